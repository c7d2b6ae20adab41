//! Addresses of attachments that we give out: each is a key to one file, for one destination, until a moment.
//!
//! An address is made from what it opens alone and holds its own proof, so that the same delivery always says the same text and nothing is kept for it. What
//! it opens is decided anew whenever somebody comes with it; the proof only says that it is ours. It tells nothing of the order, the reference or a person.
//!
//! Refused: tokens kept in the store (a row for each picture and destination, and another text with each attempt), and addresses that never end.

use crate::verification::key_for;
use crate::{AttachmentId, ChannelId, Timestamp};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// What an address opens, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentAddress {
    /// The attachment.
    pub id: AttachmentId,
    /// The destination that it is given to.
    pub to: ChannelId,
    /// Until when, in seconds since 1970.
    pub until: i64,
}

/// Makes addresses, and knows its own: HMAC-SHA256 with a secret of the installation.
#[derive(Clone)]
pub struct AddressKey(Hmac<Sha256>);

impl fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressKey(…)")
    }
}

impl AddressKey {
    /// The key that belongs to an installation's secret; nothing else that is made from the secret equals it.
    #[must_use]
    pub fn of_installation(secret: &[u8; 32]) -> Self {
        Self(key_for(secret, b"addresses of attachments"))
    }

    /// The address below `base`, which is empty for a relative one or ends without a slash.
    #[must_use]
    pub fn address(&self, base: &str, address: &AttachmentAddress) -> String {
        let AttachmentAddress { id, to, until } = address;
        let mac = hex::encode(self.over(address).finalize().into_bytes());
        format!("{base}/attachments/{id}?to={}&until={until}&mac={mac}", escaped(to.as_str()))
    }

    /// Whether `mac` is ours for the address, and the address has not ended.
    #[must_use]
    pub fn opens(&self, address: &AttachmentAddress, mac: &str, now: Timestamp) -> bool {
        let mut offered = [0; 32];
        let written = hex::decode_to_slice(mac, &mut offered).is_ok();
        // In constant time: an answer's time tells nothing of how much of a guess was right.
        let ours = self.over(address).verify_slice(&offered).is_ok();
        written && ours && now.as_second() < address.until
    }

    fn over(&self, AttachmentAddress { id, to, until }: &AttachmentAddress) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(format!("{id}\n{to}\n{until}").as_bytes());
        mac
    }
}

/// A channel's id as it stands in a query; ids that the configuration allows stay as they are.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let sign = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(sign).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::OrderId;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn some(n: u128, to: &str, until: i64) -> AttachmentAddress {
        let id = AttachmentId::of(OrderId(uuid::Uuid::from_u128(n)), &ChannelId::new("taxi-qr").unwrap(), "p/1.jpg");
        AttachmentAddress { id, to: ChannelId::new(to).unwrap(), until }
    }

    /// An address as who is given it takes it apart.
    fn read(text: &str) -> (AttachmentId, BTreeMap<String, String>) {
        let (path, query) = text.split_once('?').unwrap();
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        let id = path.rsplit('/').next().unwrap().parse().unwrap();
        (id, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn mac(text: &str) -> String {
        read(text).1["mac"].clone()
    }

    #[test]
    fn an_address_is_the_same_text_whenever_it_is_made() {
        let key = AddressKey::of_installation(&[7; 32]);
        let address = some(1, "bureau", 1_800_000_000);
        let text = key.address("https://gw.example.cn/hotline", &address);
        assert_eq!(text, AddressKey::of_installation(&[7; 32]).address("https://gw.example.cn/hotline", &address));
        let id = address.id;
        let begin = format!("https://gw.example.cn/hotline/attachments/{id}?to=bureau&until=1800000000&mac=");
        assert!(text.starts_with(&begin) && text.len() == begin.len() + 64, "{text}");
        assert_eq!(key.address("", &address), text.strip_prefix("https://gw.example.cn/hotline").unwrap());
        assert!(!text.contains(','), "addresses are joined by commas");
        assert_eq!(format!("{key:?}"), "AddressKey(…)");
    }

    #[test]
    fn it_opens_until_its_end_and_not_after() {
        let key = AddressKey::of_installation(&[7; 32]);
        let address = some(1, "bureau", 1_800_000_000);
        let mac = mac(&key.address("", &address));
        assert!(key.opens(&address, &mac, at(1_799_999_999)));
        assert!(!key.opens(&address, &mac, at(1_800_000_000)));
        assert!(!AddressKey::of_installation(&[8; 32]).opens(&address, &mac, at(0)), "another installation");
    }

    #[test]
    fn what_is_no_mac_opens_nothing() {
        let key = AddressKey::of_installation(&[7; 32]);
        let address = some(1, "bureau", 1_800_000_000);
        let mac = mac(&key.address("", &address));
        for wrong in ["", "00", &mac[2..], &format!("{mac}00"), &"0".repeat(64), &"g".repeat(64), &"é".repeat(32)] {
            assert!(!key.opens(&address, wrong, at(0)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_mac_opens_nothing_but_what_it_was_made_for(
            one in (0u128..3, "[a-z][a-z0-9-]{0,8}", 0i64..3),
            other in (0u128..3, "[a-z][a-z0-9-]{0,8}", 0i64..3),
            flipped in 0usize..256,
        ) {
            let key = AddressKey::of_installation(&[7; 32]);
            let [one, other] = [one, other].map(|(n, to, until)| some(n, &to, 1_800_000_000 + until));
            let (id, query) = read(&key.address("", &one));
            prop_assert_eq!((id, query["to"].as_str(), query["until"].parse()), (one.id, one.to.as_str(), Ok(one.until)));
            prop_assert!(key.opens(&one, &query["mac"], at(0)));
            prop_assert_eq!(key.opens(&other, &query["mac"], at(0)), one == other);
            let mut bytes = hex::decode(&query["mac"]).unwrap();
            bytes[flipped / 8] ^= 1 << (flipped % 8);
            prop_assert!(!key.opens(&one, &hex::encode(bytes), at(0)), "no bit of it may differ");
        }
    }
}
