//! Whatever is found whenever, and however often the process dies: nobody is told of an end without a beginning, nobody twice of a beginning, and
//! of what lasts everybody knows.

use crate::place::{Place, config, finding, webhook};
use gateway_alert::AlertConfig;
use gateway_model::{IncidentState, News, Severity};
use proptest::prelude::*;
use std::collections::BTreeMap;

const CODES: [&str; 3] = ["delivery_stuck", "disk_low", "channel_quiet"];

#[derive(Debug, Clone)]
enum Step {
    Find(Vec<(usize, u8, bool)>),
    Blind,
    Acknowledge(i64),
    Die,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0..CODES.len(), 0..3u8, any::<bool>()), 0..4).prop_map(Step::Find),
        1 => Just(Step::Blind),
        1 => (1..6i64).prop_map(Step::Acknowledge),
        1 => Just(Step::Die),
        3 => (10..900i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn everybody_knows_what_lasts_and_nothing_ends_that_did_not_begin(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut place = Place::new(AlertConfig { notifiers: vec![webhook("a", "http://127.0.0.1:9/")], ..config() }).await;
            let mut now = 0;
            // What the notifier believes of each incident.
            let mut believed: BTreeMap<i64, bool> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Find(findings) => place.find(findings.iter().map(|(code, subject, critical)| {
                        let severity = if *critical { Severity::Critical } else { Severity::Warning };
                        finding(CODES[*code], &subject.to_string(), severity)
                    }).collect()),
                    Step::Blind => place.fail("played"),
                    // Refused unless it is open; that is what it says.
                    Step::Acknowledge(id) => drop(place.store.acknowledge_incident(gateway_model::IncidentId(id), "x", crate::place::at(now)).await),
                    Step::Die => place = place.restart().await,
                    Step::Wait(seconds) => now += seconds,
                }
                now += 10;
                place.round(now).await;
                for row in place.owed_rows("a").await {
                    for item in &row.items {
                        let known = believed.insert(item.incident_id.0, item.news != News::Resolved);
                        match item.news {
                            News::Opened => prop_assert_eq!(known, None),
                            News::Resolved | News::Repeated | News::Worsened => prop_assert_eq!(known, Some(true)),
                            other => prop_assert!(false, "{:?} was not expected", other),
                        }
                    }
                }
                place.take("a").await;
                for incident in place.incidents().await {
                    let lasts = believed.get(&incident.id.0).copied();
                    match incident.state {
                        IncidentState::Open => prop_assert!(lasts != Some(false)),
                        IncidentState::Resolved => prop_assert!(lasts != Some(true)),
                        IncidentState::Suspected => prop_assert_eq!(lasts, None),
                    }
                }
            }
            // When nothing changes any more, everybody knows of all that lasts.
            place.rounds(now + 10..=now + 50).await;
            for row in place.owed_rows("a").await {
                for item in &row.items {
                    believed.insert(item.incident_id.0, item.news != News::Resolved);
                }
            }
            for incident in place.incidents().await.iter().filter(|incident| incident.state == IncidentState::Open) {
                prop_assert_eq!(believed.get(&incident.id.0), Some(&true));
            }
            Ok(())
        })?;
    }
}
