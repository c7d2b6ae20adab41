//! The keyed hash of a statement's whole content, which tells a duplicate from a change.
//!
//! Keyed, since it covers person fields: an unkeyed hash of a phone number is as good as the number.

use gateway_model::Change;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The installation's secret for content hashes.
#[derive(Clone)]
pub struct ContentKey(Hmac<Sha256>);

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

impl ContentKey {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // A 32-byte key is always valid for HMAC-SHA256; the fallback is the same construction for the type system's sake.
        Self(Hmac::new_from_slice(secret).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// Tells this key from others without telling it.
    #[must_use]
    pub fn print(&self) -> String {
        let mut mac = self.0.clone();
        mac.update(b"which key this is");
        mac.finalize().into_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The hash of everything that a change says. Revision and record are not content.
    #[must_use]
    pub fn hash(&self, change: &Change) -> [u8; 32] {
        let mut mac = self.0.clone();
        let content = (&change.event_time, &change.digest, &change.fields, &change.person, &change.unmapped);
        // Maps are ordered and every key is text, so this can't fail and is the same for the same content.
        let text = serde_json::to_vec(&content).unwrap_or_default();
        mac.update(&text);
        mac.finalize().into_bytes().into()
    }
}
