//! Digests and signatures against vectors computed by another program (Python), from the contract page.

use gateway_simulator::digest::{Dataset, add, element, items};
use gateway_simulator::record::Order;
use gateway_simulator::sign::{SignatureMethod, Signer};
use proptest::prelude::*;
use serde_json::{Value, json};

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/digests.json")).expect("golden file")
}

#[test]
fn items_digests_and_sums_equal_the_golden_file() {
    let golden = golden();
    let order: Order = serde_json::from_value(golden["order"].clone()).expect("order");
    let mut sums = [[0u8; 32]; 4];
    let mut found = Vec::new();
    for item in items(&order) {
        let element = element(&item.key, &item.digest);
        add(&mut sums[item.key.dataset as usize], &element);
        found.push(json!({
            "dataset": item.key.dataset.as_str(), "part": item.key.part, "eventTime": item.event_time,
            "digest": hex::encode(item.digest), "element": hex::encode(element),
        }));
    }
    assert_eq!(json!(found), golden["items"]);
    for dataset in Dataset::ALL {
        assert_eq!(json!(hex::encode(sums[dataset as usize])), golden["sums"][dataset.as_str()]);
    }
}

#[test]
fn signatures_equal_the_golden_file() {
    let golden = &golden()["signature"];
    let text = |name: &str| golden[name].as_str().expect("text").to_owned();
    for (method, name) in [(SignatureMethod::HmacSha256, "hmacSha256"), (SignatureMethod::HmacSm3, "hmacSm3")] {
        let signer = Signer::new("app", method, text("secret").into_bytes());
        let sign =
            signer.sign(&text("method"), &text("target"), &text("timestamp"), &text("nonce"), text("body").as_bytes());
        assert_eq!(sign, text(name));
    }
}

proptest! {
    #[test]
    fn addition_is_modulo_2_to_the_256_and_does_not_care_for_order(elements in prop::collection::vec(any::<[u8; 32]>(), 0..20)) {
        let (mut forward, mut backward) = ([0u8; 32], [0u8; 32]);
        elements.iter().for_each(|element| add(&mut forward, element));
        elements.iter().rev().for_each(|element| add(&mut backward, element));
        prop_assert_eq!(forward, backward);
        // Taking every element away again (adding its complement) leaves nothing.
        for element in &elements {
            let mut complement = element.map(|byte| !byte);
            let mut one = [0u8; 32];
            one[31] = 1;
            add(&mut complement, &one);
            add(&mut forward, &complement);
        }
        prop_assert_eq!(forward, [0u8; 32]);
    }
}
