//! Asking an operating-data service of what no import says: orders are taken in at once, and their verdict follows when the service answers.
//!
//! What is owed stands in the store beside the verdict, so it survives a restart, and several processes share it: who takes a question has it for a while,
//! and whose process dies gives it back by that. A question that fails is repeated with growing waits, for ever: each by itself, so that one plate over which
//! the service stumbles holds up no other.
//!
//! Refused: asking inside the pipeline's transaction (its silence would stop intake), and keeping answers as a registry of our own (they would grow old, and
//! stand beside what a person imported as if it were as good).

use async_trait::async_trait;
use gateway_connector::wire::{DriverAsked, OperatingData};
use gateway_connector::{RequestError, RetryPolicy};
use gateway_model::{
    Clock, Dataset, Field, FieldValue, LookedUp, OrderId, PersonKey, RegistryExtract, RegistryKind, RegistryLookup,
    Timestamp,
};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{OrderView, Store, StoreError, VerificationRow};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Verifications that are judged in one round where nobody is asked.
const BATCH: u32 = 100;

/// Beyond what its questions may take, how long a process keeps what it has taken.
const GRACE: Duration = Duration::from_secs(30);

/// An order says at most this many things that are asked for one by one: the plate, the plate that was probably meant, the driver, the trip.
const MOST_QUESTIONS: u32 = 4;

/// Asks the operating-data service, and judges by what it answers. Without a service it judges what waits for one by the imports alone.
pub struct LookUps {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    service: Option<Arc<OperatingData>>,
    person_key: PersonKey,
    retry: RetryPolicy,
}

/// What came of asking about one verification.
type Asked = Result<LookedUp, RequestError>;

impl LookUps {
    /// A task that asks a service.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        service: Option<Arc<OperatingData>>,
        person_key: PersonKey,
        retry: RetryPolicy,
    ) -> Self {
        Self { store, clock, service, person_key, retry }
    }

    fn kinds(&self) -> BTreeSet<RegistryKind> {
        self.service.as_ref().map(|service| service.kinds()).unwrap_or_default()
    }

    /// What one round takes, and for how long.
    fn share(&self) -> (u32, Duration) {
        let Some(service) = &self.service else { return (BATCH, GRACE) };
        let at_once = u32::try_from(service.concurrency()).unwrap_or(BATCH).clamp(1, BATCH);
        // With fewer in flight at a time than are asked, each waits for its turn too.
        (at_once, service.patience() * MOST_QUESTIONS + GRACE)
    }

    /// The permit numbers that these orders name, where they may be told: of a secret or anonymous order no person is.
    async fn drivers(&self, rows: &[&VerificationRow]) -> Result<HashMap<(OrderId, String), DriverAsked>, StoreError> {
        let ids: Vec<OrderId> = rows.iter().map(|row| row.order_id).collect();
        let orders = if ids.is_empty() { Vec::new() } else { self.store.orders(&ids, true).await? };
        let mut drivers = HashMap::new();
        for view in orders.iter().filter(|view| !is_hidden(view)) {
            let said = view.persons.iter().filter(|person| person.dataset == Dataset::Acceptance);
            for person in said {
                let licence = person.fields.text(Field::DriverLicence);
                let hash = licence.and_then(|text| self.person_key.hash(Field::DriverLicence, text));
                if let (Some(licence), Some(hash)) = (licence, hash) {
                    let key = (person.order_id, person.channel.as_str().to_owned());
                    drivers.insert(key, DriverAsked { licence: licence.to_owned(), hash });
                }
            }
        }
        Ok(drivers)
    }

    /// What a verification becomes, and why asking failed where it did.
    fn settle(
        &self,
        row: VerificationRow,
        registry: &RegistryExtract,
        asked: Asked,
        now: Timestamp,
    ) -> (VerificationRow, Option<RequestError>) {
        match asked {
            Ok(answer) => {
                let result = row.subject.judge_with(registry, Some(&answer));
                let looked_up = (!answer.kinds.is_empty()).then_some(answer);
                let registry_seq = registry.seq;
                (VerificationRow { result, looked_up, look_up_at: None, registry_seq, at: now, ..row }, None)
            }
            Err(error) => {
                let before = row.looked_up.as_ref().filter(|before| before.raw_id == row.raw_id);
                let attempts = before.map_or(0, |before| before.attempts).saturating_add(1);
                let wait = self.retry.wait_after(attempts, retry_after(&error));
                let failed = Some(error.code().to_owned());
                let looked_up = LookedUp { attempts, error: failed, ..LookedUp::owed(row.raw_id) };
                let look_up_at = now.checked_add(wait).unwrap_or(now);
                let row = VerificationRow { looked_up: Some(looked_up), look_up_at: Some(look_up_at), ..row };
                (row, Some(error))
            }
        }
    }
}

fn is_hidden(view: &OrderView) -> bool {
    let flagged = |field| {
        let mut facets = view.aggregate.facets.iter();
        facets.any(|facet| facet.fields.get(field) == Some(&FieldValue::Flag(true)))
    };
    flagged(Field::IsSecret) || flagged(Field::IsAnonymous)
}

fn retry_after(error: &RequestError) -> Option<Duration> {
    match error {
        RequestError::Throttled { retry_after } => *retry_after,
        _ => None,
    }
}

/// Asks everything about one order; one question that fails is the failure of all, and all are asked again.
async fn ask(
    service: Arc<OperatingData>,
    key: PersonKey,
    row: VerificationRow,
    missing: Vec<RegistryLookup>,
    driver: Option<DriverAsked>,
    clock: Arc<dyn Clock>,
) -> (VerificationRow, Asked) {
    let mut answer = LookedUp::owed(row.raw_id);
    let driver = driver.filter(|driver| row.subject.driver_licence.as_ref() == Some(&driver.hash));
    for lookup in &missing {
        if lookup.kind == RegistryKind::Drivers && driver.is_none() {
            continue;
        }
        match service.look_up(lookup, driver.as_ref(), &key).await {
            Ok(entries) => {
                answer.kinds.insert(lookup.kind);
                answer.entries.extend(entries);
            }
            Err(error) => return (row, Err(error)),
        }
    }
    answer.answered_at = Some(clock.now());
    (row, Ok(answer))
}

#[async_trait]
impl Task for LookUps {
    fn name(&self) -> String {
        "look-up/operating-data".into()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let failed = |error: StoreError| TaskError::new("store", &error);
        let (share, kept) = self.share();
        let now = self.clock.now();
        let until = now.checked_add(kept).unwrap_or(now);
        let rows = self.store.claim_lookups(now, until, share).await.map_err(failed)?;
        if rows.is_empty() {
            return Ok(Ran::Idle);
        }
        let ran = if rows.len() < share as usize { Ran::Idle } else { Ran::Busy };
        let lookups: BTreeSet<_> = rows.iter().flat_map(|row| row.subject.lookups()).collect();
        let registry = self.store.look_up(&lookups.into_iter().collect::<Vec<_>>()).await.map_err(failed)?;
        let kinds = self.kinds();
        let owed: Vec<_> = rows.iter().map(|row| row.subject.missing(&registry, &kinds)).collect();
        let wants_driver = |missing: &[RegistryLookup]| missing.iter().any(|one| one.kind == RegistryKind::Drivers);
        let with_driver: Vec<_> =
            rows.iter().zip(&owed).filter(|(_, missing)| wants_driver(missing)).map(|(row, _)| row).collect();
        let mut drivers = self.drivers(&with_driver).await.map_err(failed)?;

        let mut settled = Vec::new();
        let mut asking = JoinSet::new();
        for (row, missing) in rows.iter().cloned().zip(owed) {
            match &self.service {
                Some(service) if !missing.is_empty() => {
                    let driver = drivers.remove(&(row.order_id, row.channel.as_str().to_owned()));
                    let (service, key, clock) = (service.clone(), self.person_key.clone(), self.clock.clone());
                    asking.spawn(ask(service, key, row, missing, driver, clock));
                }
                _ => {
                    let nothing = LookedUp::owed(row.raw_id);
                    settled.push(self.settle(row, &registry, Ok(nothing), now).0);
                }
            }
        }
        let (mut answers, mut last_error) = (settled.len(), None);
        loop {
            let asked = tokio::select! {
                asked = asking.join_next() => asked,
                () = round.stopping.cancelled() => {
                    // Not asked to the end: whoever comes next asks at once.
                    asking.abort_all();
                    let done: BTreeSet<_> = settled.iter().map(|row| (row.order_id, row.channel.clone())).collect();
                    let rest = rows.iter().filter(|row| !done.contains(&(row.order_id, row.channel.clone())));
                    settled.extend(rest.map(|row| VerificationRow { look_up_at: Some(now), ..row.clone() }));
                    break;
                }
            };
            // One that panicked comes back when its time is over.
            let (row, asked) = match asked {
                None => break,
                Some(Ok(asked)) => asked,
                Some(Err(error)) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a question to the operating-data service broke off"
                    );
                    continue;
                }
            };
            let (row, error) = self.settle(row, &registry, asked, self.clock.now());
            match error {
                None => answers += 1,
                Some(error) => last_error = Some(error),
            }
            settled.push(row);
        }
        self.store.write_lookups(&settled).await.map_err(failed)?;
        match last_error {
            // Nobody was answered: the service is in trouble, not one plate.
            Some(error) if answers == 0 => Err(TaskError::new(error.code(), &error).retry_after(retry_after(&error))),
            _ => Ok(ran),
        }
    }
}
