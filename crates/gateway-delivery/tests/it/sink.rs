//! A destination whose answers are scripted.

use async_trait::async_trait;
use gateway_connector::{
    Connector, Descriptor, NormalizeError, Normalizer, OutboundDelivery, Outcome, PreparedDelivery, Reason,
    RequestError, Sink,
};
use gateway_model::{AskBy, BookItem, Change, Dataset, Digest, ItemKey, Operation, Receipt, ReceiptSource, Timestamp};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::{Barrier, Notify};

/// `complete` shows only in the record, `refuse` can't be asked for, the rest has receipts.
pub struct FakeDestination {
    descriptor: Descriptor,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outcomes: VecDeque<Outcome>,
    answers: VecDeque<Result<Option<Receipt>, RequestError>>,
    sent: Vec<OutboundDelivery>,
    asked: usize,
    under_way: HashSet<String>,
    most_under_way: usize,
    barrier: Option<Arc<Barrier>>,
    hanging: bool,
    slow: Option<Arc<Notify>>,
    unsendable: bool,
}

pub fn receipt(source: ReceiptSource) -> Receipt {
    Receipt { receipt_number: Some("R1".into()), received_at: None, source }
}

pub fn no_answer() -> Outcome {
    Outcome::Ambiguous(Reason::new("timeout", "no answer in time"))
}

pub fn refused() -> Outcome {
    Outcome::Rejected(Reason::new("state_refused", "the platform answered 1003"))
}

impl FakeDestination {
    pub fn new() -> Self {
        let descriptor = Descriptor { kind: "fake", datasets: vec![Dataset::Completion], manifest_grains: Vec::new() };
        Self { descriptor, state: Mutex::default() }
    }

    /// How the next attempts end; after them, all are acknowledged.
    pub fn answers_attempts(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.state.lock().unwrap().outcomes.extend(outcomes);
    }

    /// What the next questions bring; after them, nothing is known.
    pub fn answers_questions(&self, answers: impl IntoIterator<Item = Result<Option<Receipt>, RequestError>>) {
        self.state.lock().unwrap().answers.extend(answers);
    }

    /// From now on no attempt ends.
    pub fn hang(&self, hanging: bool) {
        self.state.lock().unwrap().hanging = hanging;
    }

    /// From now on an attempt ends only when it is let go.
    pub fn is_slow(&self) -> Arc<Notify> {
        self.state.lock().unwrap().slow.insert(Arc::default()).clone()
    }

    pub fn refuse_to_prepare(&self) {
        self.state.lock().unwrap().unsendable = true;
    }

    /// Attempts end only when as many are under way.
    pub fn wait_for(&self, attempts: usize) {
        self.state.lock().unwrap().barrier = Some(Arc::new(Barrier::new(attempts)));
    }

    /// What was sent, in order.
    pub fn sent(&self) -> Vec<OutboundDelivery> {
        self.state.lock().unwrap().sent.clone()
    }

    /// The idempotency keys of what was sent.
    pub fn keys(&self) -> Vec<String> {
        self.sent().into_iter().map(|delivery| delivery.idempotency_key).collect()
    }

    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    pub fn most_under_way(&self) -> usize {
        self.state.lock().unwrap().most_under_way
    }
}

#[async_trait]
impl Sink for FakeDestination {
    fn prepare(&self, delivery: &OutboundDelivery) -> Result<PreparedDelivery, Reason> {
        if self.state.lock().unwrap().unsendable {
            return Err(Reason::new("missing_field", "`replyContent` is missing"));
        }
        let key = ItemKey {
            dataset: delivery.dataset,
            number: delivery.number.number.clone(),
            day: delivery.number.day,
            part: delivery.part.clone(),
        };
        let ask_by = match delivery.operation {
            Operation::Complete => AskBy::Record,
            Operation::Refuse => AskBy::Nothing,
            _ => AskBy::Receipt,
        };
        Ok(PreparedDelivery {
            item: BookItem { key, event_time: delivery.event_time, digest: Digest([7; 32]) },
            ask_by,
        })
    }

    async fn deliver(&self, delivery: &OutboundDelivery) -> Outcome {
        let order = delivery.order_id.to_string();
        let (barrier, hanging, slow) = {
            let mut state = self.state.lock().unwrap();
            state.sent.push(delivery.clone());
            assert!(state.under_way.insert(order.clone()), "two deliveries of one order at once");
            state.most_under_way = state.most_under_way.max(state.under_way.len());
            (state.barrier.clone(), state.hanging, state.slow.clone())
        };
        if hanging {
            std::future::pending::<()>().await;
        }
        if let Some(slow) = slow {
            slow.notified().await;
        }
        if let Some(barrier) = barrier {
            barrier.wait().await;
        }
        let mut state = self.state.lock().unwrap();
        state.under_way.remove(&order);
        state.outcomes.pop_front().unwrap_or(Outcome::Acknowledged(receipt(ReceiptSource::Answer)))
    }

    async fn find_outcome(&self, _: &OutboundDelivery) -> Result<Option<Receipt>, RequestError> {
        let mut state = self.state.lock().unwrap();
        state.asked += 1;
        state.answers.pop_front().unwrap_or(Ok(None))
    }
}

impl Normalizer for FakeDestination {
    fn normalize(&self, _: &[u8], _: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        Ok(Vec::new())
    }

    fn projection_version(&self) -> u32 {
        1
    }
}

#[async_trait]
impl Connector for FakeDestination {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn normalizer(&self) -> &dyn Normalizer {
        self
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}
