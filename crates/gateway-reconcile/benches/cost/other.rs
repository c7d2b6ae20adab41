//! The same items reconciled by range-based set reconciliation, for comparison: a protocol that both sides must run.

use negentropy::{Id, Negentropy, NegentropyStorageVector};

/// Bytes both ways, round trips, and how many ids were named.
pub fn negentropy(ours: &[(i64, [u8; 32])], theirs: &[(i64, [u8; 32])]) -> (u64, u32, usize) {
    let storage = |items: &[(i64, [u8; 32])]| {
        let mut storage = NegentropyStorageVector::with_capacity(items.len());
        for (second, element) in items {
            storage.insert(second.unsigned_abs(), Id::from_byte_array(*element)).unwrap();
        }
        storage.seal().unwrap();
        storage
    };
    let (ours, theirs) = (storage(ours), storage(theirs));
    let mut client = Negentropy::borrowed(&ours, 0).unwrap();
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let (mut bytes, mut trips) = (0, 0);
    let mut query = Some(client.initiate().unwrap());
    while let Some(message) = query {
        let mut server = Negentropy::borrowed(&theirs, 0).unwrap();
        let answer = server.reconcile(&message).unwrap();
        (bytes, trips) = (bytes + (message.len() + answer.len()) as u64, trips + 1);
        query = client.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
    }
    (bytes, trips, have.len() + need.len())
}
