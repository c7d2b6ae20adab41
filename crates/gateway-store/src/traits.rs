//! The seam: what every engine of the store offers, by concern.

use crate::*;
use async_trait::async_trait;
use gateway_model::{
    AttachmentId, AttachmentState, Bucket, ChannelId, CommandId, Dataset, Day, DeadLetterId, DeliveryId, GapEvidence,
    GapId, GapState, Grain, IncidentId, JobId, NotificationId, NotificationState, OrderId, OrderPair, OrderState,
    PairId, PairState, RawId, RegistryEntry, RegistryExtract, RegistryKind, RegistryLookup, SilenceId, SourceNumber,
    Timestamp, Verdict, Window,
};
use std::collections::BTreeMap;
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// The pipeline's transaction.
#[async_trait]
pub trait IngestStore: Send + Sync {
    /// Loads and locks what `request` names, calls `decide`, and writes what it returns, all in one transaction. `decide` is pure: an engine calls
    /// it again when the transaction had to be repeated.
    async fn ingest(
        &self,
        request: IngestRequest,
        decide: &(dyn Fn(Loaded) -> IngestWrites + Send + Sync),
    ) -> Result<()>;

    /// The accounted positions of all partitions.
    async fn flow_positions(&self) -> Result<Vec<FlowPosition>>;
    /// The flow book, inbound.
    async fn flow_tallies(&self) -> Result<Vec<FlowTally>>;
    /// Changes that wait for their order, by channel and number of changes.
    async fn parked_changes(&self) -> Result<Vec<(ChannelId, u64)>>;
    /// Parked records older than `before`, at most `limit`.
    async fn parked_before(&self, before: Timestamp, limit: u32) -> Result<Vec<Parked>>;
    /// Gives up on parked records: each becomes a dead letter and is tallied, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::WrongState`], and nothing is buried, when one of them is no longer parked.
    async fn bury_parked(&self, letters: Vec<NewDeadLetter>, tallies: Vec<FlowTally>) -> Result<()>;
    /// A raw record.
    async fn raw(&self, id: RawId) -> Result<Option<RawRow>>;
    /// Receipt and event time of what records above `after` told a channel's facets for the first time, as far as they were polled or pushed and the
    /// time is no mere date; and the newest record that this covers. At most the last `span` records are looked at.
    async fn first_arrivals(
        &self,
        channel: &ChannelId,
        after: RawId,
        span: u32,
    ) -> Result<(Vec<(Timestamp, Timestamp)>, RawId)>;
    /// How often each oddity was seen.
    async fn anomalies(&self) -> Result<Vec<AnomalyTally>>;
}

/// Reading orders.
#[async_trait]
pub trait OrderReader: Send + Sync {
    /// The orders changed after a place in the feed, by change. Boundary-safe: a committed change is never skipped.
    async fn orders_after(&self, after: u64, limit: u32, persons: bool) -> Result<OrderPage>;
    /// An order.
    async fn order(&self, id: OrderId, persons: bool) -> Result<Option<OrderView>>;
    /// Those of these orders that there are, ascending by id.
    async fn orders(&self, ids: &[OrderId], persons: bool) -> Result<Vec<OrderView>>;
    /// The orders that some side knows by this number.
    async fn orders_by_number(&self, number: &SourceNumber, channel: Option<&ChannelId>) -> Result<Vec<OrderId>>;
    /// The applied changes of an order, ascending.
    async fn timeline(&self, id: OrderId) -> Result<Vec<TimelineRow>>;
    /// How many orders are held.
    async fn order_count(&self) -> Result<u64>;
}

/// Operating data, and how orders compare with it.
#[async_trait]
pub trait RegistryStore: Send + Sync {
    /// Adds the entries and replaces those of the same key; `whole` = what is not among them is removed. One transaction. An import that changes nothing
    /// leaves no trace. No key may be there twice.
    async fn import_registry(
        &self,
        kind: RegistryKind,
        entries: &[RegistryEntry],
        whole: bool,
        at: Timestamp,
    ) -> Result<RegistryChange>;
    /// The last import of each kind.
    async fn registry_imports(&self) -> Result<Vec<RegistryImport>>;
    /// What the registry says.
    async fn look_up(&self, lookups: &[RegistryLookup]) -> Result<RegistryExtract>;
    /// How an order compares with it, by channel.
    async fn verifications(&self, order: OrderId) -> Result<Vec<VerificationRow>>;
    /// Verifications judged before the last import, with the state of their orders; the furthest behind first.
    async fn verifications_behind(&self, limit: u32) -> Result<Vec<(VerificationRow, Option<OrderState>)>>;
    /// Replaces verifications by later judgements of the same word; where the order says something else meanwhile, or was judged as late already, nothing
    /// happens.
    async fn verify_again(&self, rows: &[VerificationRow]) -> Result<()>;
    /// Takes up to `limit` verifications for which the operating-data service is to be asked by `now`, the longest owed first: nobody else takes them before
    /// `until`, by when an answer must be written.
    async fn claim_lookups(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<VerificationRow>>;
    /// Writes what came of asking; where the order says something else meanwhile, or was judged by a later import, nothing happens.
    async fn write_lookups(&self, rows: &[VerificationRow]) -> Result<()>;
    /// The verifications that wait for the operating-data service, by channel; overdue are those that wait since before a time.
    async fn waiting_lookups(&self, before: Timestamp) -> Result<Vec<WaitingRecords>>;
    /// How many orders of each channel have which verdict.
    async fn verification_tallies(&self) -> Result<Vec<(ChannelId, Verdict, u64)>>;
}

/// Files that records refer to 附件.
#[async_trait]
pub trait AttachmentStore: Send + Sync {
    /// Those of an order, by channel.
    async fn attachments(&self, order: OrderId) -> Result<Vec<AttachmentRow>>;
    /// One.
    async fn attachment(&self, id: AttachmentId) -> Result<Option<AttachmentRow>>;
    /// Takes up to `limit` that are to be asked for by `now`, the longest due first: nobody else takes them before `until`, by when it must be written
    /// what came of it.
    async fn claim_attachments(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<AttachmentRow>>;
    /// Writes what came of asking for them, each with one attempt more than before; of one that is not owed any more, or was asked for meanwhile, nothing
    /// happens.
    async fn write_attachments(&self, rows: &[AttachmentRow]) -> Result<()>;
    /// Owes one again, from `at` on and as if it had not been asked for yet; `false` where there is none, or it is kept and its bytes are not `lost`.
    async fn fetch_attachment_again(&self, id: AttachmentId, lost: bool, at: Timestamp) -> Result<bool>;
    /// Those that are missing, refused, or owed since before a time; ascending by id, behind `after`.
    async fn lacking_attachments(
        &self,
        channel: &ChannelId,
        before: Timestamp,
        after: Option<AttachmentId>,
        limit: u32,
    ) -> Result<Vec<AttachmentRow>>;
    /// How many of each channel are in which state.
    async fn attachment_tallies(&self) -> Result<Vec<(ChannelId, AttachmentState, u64)>>;
}

/// Orders that are one, and orders that may be.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// A pair.
    async fn pair(&self, id: &PairId) -> Result<Option<OrderPair>>;
    /// The pairs in a state, the oldest first.
    async fn pairs(&self, state: PairState, after: Option<&PairId>, limit: u32) -> Result<Vec<OrderPair>>;
    /// The pairs that have one of these orders.
    async fn pairs_of(&self, orders: &[OrderId]) -> Result<Vec<OrderPair>>;
    /// What was said of a pair, the oldest first.
    async fn pair_steps(&self, id: &PairId) -> Result<Vec<PairStep>>;
    /// Writes what a person said of a pair, and that it was said; `was` = what held when it was looked at.
    ///
    /// # Errors
    /// [`StoreError::WrongState`], and nothing is written, when something else holds meanwhile; [`StoreError::NotFound`] when one of the orders is not
    /// there.
    async fn decide_pair(&self, pair: &OrderPair, was: Option<PairState>) -> Result<()>;
    /// Pairs that the orders' rows do not show yet, the oldest first.
    async fn pending_pairs(&self, limit: u32) -> Result<Vec<OrderPair>>;
    /// The groups that these orders belong to: every order of each, with its lead. Nothing of an order that is alone.
    async fn groups_of(&self, orders: &[OrderId]) -> Result<BTreeMap<OrderId, OrderId>>;
    /// Up to which place in the feed orders were compared.
    async fn match_position(&self) -> Result<u64>;
    /// What the finder of duplicates has to look at among at most `limit` orders of the feed behind `after`.
    async fn match_changes(&self, after: u64, limit: u32) -> Result<MatchPage>;
    /// What is to be compared with each of these (by its place among them): what is kept of orders that another channel told of first-hand, share a key and
    /// lie within the key's reach, the latest `limit` of each key and channel. One that shares several keys may come several times.
    async fn matches(&self, asked: &[&Comparable], limit: u32) -> Result<Vec<(usize, Comparable)>>;
    /// Writes what a round found. What is joined or rejected is not offered again.
    ///
    /// # Errors
    /// [`StoreError::WrongState`], and nothing is written, when another round has been written since the place `from` was read.
    async fn save_matches(&self, round: &MatchRound) -> Result<()>;
}

/// What is owed, and what became of it. `under` is the destination's lease: who has lost it begins nothing any more, and of what it brings only a proof
/// of arrival counts. `None` where nobody else can be at it.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// The deliveries of a destination that are due, the longest due first, at most one for each order: the first in flight, a
    /// forwarded acceptance before everything else, since it makes the order there. `owed`, `pending` and
    /// `ambiguous` ones can be due; `sending` and `held` ones are not, but block what comes after them.
    async fn due_deliveries(&self, destination: &ChannelId, now: Timestamp, limit: u32) -> Result<Vec<DeliveryWork>>;
    /// When the next delivery of a destination falls due; `None` when none does by time alone.
    async fn next_due(&self, destination: &ChannelId) -> Result<Option<Timestamp>>;
    /// After a start: what was `sending` when the process died is ambiguous now.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and nothing is changed, when the lease has another epoch by now.
    async fn recover_sending(&self, destination: &ChannelId, now: Timestamp, under: Option<&LeaseGrant>)
    -> Result<u64>;
    /// Begins attempts: `owed` → `sending`, attempt counted, item kept.
    ///
    /// # Errors
    /// [`StoreError::WrongState`], and none is begun, when one of them is not `owed` any more: look again what is due.
    /// [`StoreError::LeaseLost`], and none is begun, when the lease has another epoch by now.
    async fn begin_attempts(&self, starts: &[AttemptStart], under: Option<&LeaseGrant>) -> Result<()>;
    /// Ends attempts and questions. A delivery that has ended meanwhile (echo) keeps its end; what an attempt of an earlier generation says, after the
    /// delivery was given a new one, is void. Where the lease has another epoch by now, only those that arrived are written down: what else this attempt
    /// brought, its successor finds out, and may have begun another meanwhile.
    async fn end_attempts(&self, results: &[AttemptResult], under: Option<&LeaseGrant>) -> Result<()>;
    /// Sends again: a new generation with a new idempotency key, `owed` from now; its old item leaves the sent side until it is acknowledged anew.
    /// What the channel itself said under that key, or a later delivery put there, stays.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] unless it was acknowledged, rejected, held or dead-lettered.
    async fn redeliver(&self, id: DeliveryId, now: Timestamp) -> Result<()>;
    /// A person waives it, or decides a held one.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] when it was acknowledged, superseded or waived already, or while an attempt is under way.
    async fn waive_delivery(&self, id: DeliveryId, reason: &str, now: Timestamp) -> Result<()>;
    /// A delivery.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>>;
    /// Those of these deliveries that there are, in any order.
    async fn deliveries(&self, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>>;
    /// The deliveries whose item has this key at this destination, the newest first. After [`DeliveryStore::redeliver`] the item of the last attempt
    /// counts until the next one begins.
    async fn deliveries_of_item(
        &self,
        destination: &ChannelId,
        key: &gateway_model::ItemKey,
    ) -> Result<Vec<DeliveryRow>>;
    /// The deliveries that wait for a person (`held`, `rejected`, `dead_lettered`), of a destination or of all; ascending, above `after`, at most `limit`.
    async fn deliveries_left(
        &self,
        destination: Option<&ChannelId>,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>>;
    /// Its attempts.
    async fn attempts(&self, id: DeliveryId) -> Result<Vec<AttemptRow>>;
    /// What was forwarded to a destination: of each item of the scope the delivery that was decided last, without what was superseded or given up; ascending by
    /// delivery, above `after`, at most `limit`.
    async fn forwarded(
        &self,
        destination: &ChannelId,
        scope: ForwardedScope,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryWork>>;
    /// The delivery that was decided last, of all destinations; 0 where there is none.
    async fn last_delivery(&self) -> Result<DeliveryId>;
    /// Takes a destination's verdicts on rows that we told it: a row that it has acknowledges its delivery, one that it refuses reopens it as
    /// [`DeliveryStore::redeliver`] does, with the reason kept; one that was refused in the last generation that is sent by itself is rejected, and out of
    /// the sent side, until a person sends it again. Each counts for its own generation only, so the same verdicts again change nothing.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and nothing is changed, when the lease has another epoch by now.
    async fn take_verdicts(
        &self,
        destination: &ChannelId,
        verdicts: &[RowVerdict],
        hearing: Hearing<'_>,
    ) -> Result<VerdictTally>;
    /// The flow book, outbound.
    async fn outbound_tallies(&self) -> Result<Vec<OutboundTally>>;
}

/// Commands.
#[async_trait]
pub trait CommandStore: Send + Sync {
    /// A command with the deliveries that came of it.
    async fn command(&self, id: CommandId) -> Result<Option<(CommandRow, Vec<DeliveryRow>)>>;
}

/// The state book.
#[async_trait]
pub trait BookStore: Send + Sync {
    /// The buckets of a channel's dataset at a grain that lie whole in the window, both sides added, ascending, without empty ones. Read from kept
    /// sums, so a bucket that the window cuts is absent: align the window ([`Grain::bucket`]).
    async fn buckets(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        projection_version: u32,
        grain: Grain,
        window: Window,
    ) -> Result<Vec<Bucket>>;
    /// The items with event time in the window; a date-only one lies at the start of its day.
    async fn items(&self, channel: &ChannelId, dataset: Dataset, window: Window) -> Result<Vec<StoredItem>>;
    /// The items of a dataset of these numbers.
    async fn items_of(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        numbers: &[SourceNumber],
    ) -> Result<Vec<StoredItem>>;
    /// The window from the first event time of what is held of a channel to just after the last, of any projection version; not aligned to buckets.
    async fn span(&self, channel: &ChannelId) -> Result<Option<Window>>;
}

/// Gaps and comparisons.
#[async_trait]
pub trait GapStore: Send + Sync {
    /// Writes suspicions down; returns their ids.
    async fn suspect(&self, gaps: &[NewGap]) -> Result<Vec<GapId>>;
    /// A suspicion that a second look did not confirm is forgotten; counters are kept in [`Comparison::vanished`]. One that is gone stays gone, and
    /// its id is not given again.
    ///
    /// # Errors
    /// [`StoreError::WrongState`], and none is forgotten, when one of them is more than a suspicion.
    async fn forget(&self, ids: &[GapId]) -> Result<()>;
    /// A suspicion looked different at the second look: it begins anew.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] when it is more than a suspicion.
    async fn suspect_again(
        &self,
        id: GapId,
        kind: gateway_model::GapKind,
        evidence: GapEvidence,
        at: Timestamp,
    ) -> Result<()>;
    /// Moves a gap on: suspected → open; open or repairing → open, repairing (a new generation), closed, waived; waived → open, closed. `evidence`
    /// replaces the old where given; `reason` and `by` replace the old always.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] for any other step.
    async fn move_gap(
        &self,
        id: GapId,
        to: GapState,
        evidence: Option<GapEvidence>,
        reason: Option<&str>,
        by: Option<&str>,
        at: Timestamp,
    ) -> Result<()>;
    /// A gap.
    async fn gap(&self, id: GapId) -> Result<Option<GapRow>>;
    /// Gaps, ascending by id.
    async fn gaps(&self, filter: &GapFilter, limit: u32) -> Result<Vec<GapRow>>;
    /// The gaps of a channel that are not over (suspected, open, under repair), ascending by id.
    async fn active_gaps(&self, channel: &ChannelId, after: Option<GapId>, limit: u32) -> Result<Vec<GapRow>>;
    /// How many gaps are in each state, by kind.
    async fn gap_tallies(&self) -> Result<Vec<(ChannelId, gateway_model::GapKind, GapState, u64)>>;
    /// Writes a comparison down.
    async fn save_comparison(&self, comparison: &Comparison) -> Result<()>;
    /// What a round of a channel's reconciliation ends with: as [`HistoryStore::record_account`], [`GapStore::save_comparison`] and
    /// [`LeaseStore::save_checkpoint`], all in one transaction.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and nothing is written, when the lease has another epoch by now.
    async fn save_reconcile_round(&self, round: &ReconcileRound, lease: &LeaseGrant) -> Result<()>;
    /// The last comparison of a channel and kind, by its start.
    async fn last_comparison(&self, channel: &ChannelId, kind: ComparisonKind) -> Result<Option<Comparison>>;
    /// The last comparisons of a channel, the newest first.
    async fn comparisons(&self, channel: &ChannelId, limit: u32) -> Result<Vec<Comparison>>;
    /// Manifest calls, bytes and vanished suspicions, of all comparisons ever.
    async fn comparison_totals(&self) -> Result<(u64, u64, u64)>;
}

/// The books through time. `as_of` = how it was at the end of that day (China time); once that day is over, the answer is the same for ever.
/// Days come ascending.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Writes down what a channel said of itself.
    async fn record_account(&self, account: &NewAccount) -> Result<()>;
    /// The state book's days.
    async fn book_days(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<BookDay>>;
    /// The channel's account of the days.
    async fn account_days(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<AccountDay>>;
    /// The spans in step that have one of the days.
    async fn account_spans(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<AccountSpan>>;
    /// The flow book's days, inbound.
    async fn flow_days(&self, channel: &ChannelId, days: Days) -> Result<Vec<FlowDay>>;
    /// The deliveries decided on these days, to a destination.
    async fn delivery_days(&self, destination: &ChannelId, days: Days, as_of: Day) -> Result<Vec<DeliveryDay>>;
    /// The histograms of the legs.
    async fn latency_days(&self, channel: &ChannelId, days: Days) -> Result<Vec<LatencyDay>>;
    /// The lives of a channel's gaps as far as they were lived before an instant, by gap.
    async fn gap_lives(&self, channel: &ChannelId, before: Timestamp) -> Result<Vec<(GapRow, Vec<GapStep>)>>;
    /// The steps of one gap.
    async fn gap_steps(&self, id: GapId) -> Result<Vec<GapStep>>;
    /// The dead letters of a channel that came before an instant and were not settled before another.
    async fn dead_letter_lives(
        &self,
        channel: &ChannelId,
        before: Timestamp,
        unsettled_at: Timestamp,
    ) -> Result<Vec<DeadLetterLife>>;
    /// The incidents of all channels that opened before an instant and were not resolved before another, also those that were dropped since.
    async fn incident_lives(&self, before: Timestamp, unresolved_at: Timestamp) -> Result<Vec<IncidentLife>>;
}

/// Gaps in groups, one for each outage.
#[async_trait]
pub trait GapGroupStore: Send + Sync {
    /// Confirms suspicions: each becomes open and joins the youngest group of its channel and direction, if that one confirmed its last gap less than
    /// `group_within_ms` ago; else it begins one. Returns the groups, in the order of the suspicions.
    ///
    /// A gap that [`GapStore::move_gap`] opens joins the youngest that confirmed one in the past hour, or begins one.
    ///
    /// # Errors
    /// [`StoreError::WrongState`], and none is opened, when one of them is more than a suspicion; [`StoreError::NotFound`] when one is gone.
    async fn open_gaps(
        &self,
        confirmed: &[(GapId, GapEvidence)],
        group_within_ms: u64,
        at: Timestamp,
    ) -> Result<Vec<gateway_model::GapGroupId>>;
    /// Groups with their gaps counted, ascending by id.
    async fn gap_groups(&self, filter: &GapGroupFilter, limit: u32) -> Result<Vec<GapGroupRow>>;
}

/// Datasets that differ so much that nothing is repaired by itself until a person has answered.
#[async_trait]
pub trait RepairStopStore: Send + Sync {
    /// Stops a dataset's automatic repair; of one that is stopped already, only the counts are renewed.
    async fn stop_repair(&self, stop: &RepairStop) -> Result<()>;
    /// All stops, approved ones too.
    async fn repair_stops(&self) -> Result<Vec<RepairStop>>;
    /// A person lets the repair go on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] unless the dataset is stopped and not approved yet.
    async fn approve_repair(&self, channel: &ChannelId, dataset: Dataset, by: &str, at: Timestamp) -> Result<()>;
    /// Ends a stop: the difference is gone.
    async fn end_repair_stop(&self, channel: &ChannelId, dataset: Dataset) -> Result<()>;
}

/// Tracing an order.
#[async_trait]
pub trait TraceStore: Send + Sync {
    /// What is known of an order beside its rows: `numbers` are its numbers, `raws` the records that its rows refer to.
    async fn order_trace(
        &self,
        id: OrderId,
        numbers: &[gateway_model::OrderNumber],
        raws: &[RawId],
    ) -> Result<OrderTrace>;
}

/// Auditing our own books: what is kept is held against what it is kept of.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// The start of the first day (China time) that has an item or a kept sum of a dataset at or after an instant, of any projection version up to
    /// `newest_version`.
    async fn next_book_day(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        newest_version: u32,
        from: Timestamp,
    ) -> Result<Option<Timestamp>>;
    /// Adds a day's items up again and holds the sums against the kept ones of day, hour and ten minutes, and the month's against its kept days; all
    /// in one snapshot.
    async fn audit_day(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        newest_version: u32,
        day: Timestamp,
    ) -> Result<DayAudit>;
    /// Replaces the kept sums of a day by those of its items, and the month's by those of its days.
    async fn restore_day(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        newest_version: u32,
        day: Timestamp,
    ) -> Result<()>;
    /// The ranges `[from, to)` of accounted offsets that have no record.
    async fn missing_offsets(&self, topic: &str, partition: u32, from: u64, to: u64) -> Result<Vec<(u64, u64)>>;
}

/// Background jobs.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Enqueues.
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()>;
    /// Claims due jobs of a kind and channel until a time; a claim that ran out is due again.
    async fn claim_jobs(
        &self,
        kind: JobKind,
        channel: &ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>>;
    /// Finishes; a job that was asked for again meanwhile stays.
    async fn finish_jobs(&self, jobs: &[(JobId, u64)]) -> Result<()>;
    /// Gives back after a failure, due again at a time; `reason` replaces why it was asked for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it was finished meanwhile.
    async fn fail_job(&self, id: JobId, reason: &str, run_at: Timestamp) -> Result<()>;
    /// How many wait, by kind and channel.
    async fn job_tallies(&self) -> Result<Vec<(JobKind, ChannelId, u64)>>;
}

/// Leases and checkpoints.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes or renews a lease; `None` when another holds it. Its time is over from `until` on; a holder that renews late, before another took it,
    /// keeps its epoch.
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeaseGrant>>;
    /// Gives a lease back.
    async fn release_lease(&self, grant: &LeaseGrant, now: Timestamp) -> Result<()>;
    /// Gives back every lease of a holder that ends; returns how many that were.
    async fn release_leases(&self, holder: &str, now: Timestamp) -> Result<u64>;
    /// A checkpoint's text.
    async fn checkpoint(&self, channel: &ChannelId, name: &str) -> Result<Option<String>>;
    /// When a checkpoint was last saved: of a poller, when it last read its source to the end of what there was.
    async fn checkpoint_saved_at(&self, channel: &ChannelId, name: &str) -> Result<Option<Timestamp>>;
    /// Saves a checkpoint under a lease.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when the lease has another epoch by now.
    async fn save_checkpoint(
        &self,
        channel: &ChannelId,
        name: &str,
        value: &str,
        lease: &LeaseGrant,
        now: Timestamp,
    ) -> Result<()>;
}

/// Dead letters.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Dead letters, ascending by id.
    async fn dead_letters(&self, filter: &DeadLetterFilter, limit: u32) -> Result<Vec<DeadLetterRow>>;
    /// A dead letter.
    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetterRow>>;
    /// Settles open ones; one that is settled already stays as it is. Returns how many were settled.
    async fn settle_dead_letters(
        &self,
        ids: &[DeadLetterId],
        state: DeadLetterState,
        reason: &str,
        at: Timestamp,
    ) -> Result<u64>;
}

/// What the checks of silence and slowness look at.
#[async_trait]
pub trait WatchStore: Send + Sync {
    /// What a channel sent of itself since `from`, by hour, ascending; an hour without arrivals is absent.
    async fn arrival_hours(&self, channel: &ChannelId, from: Timestamp) -> Result<Vec<ArrivalHour>>;
    /// For how long of each hour since `from` the gateway was watching, ascending; an hour in which it was not is absent.
    async fn watched_hours(&self, from: Timestamp) -> Result<Vec<WatchedHour>>;
    /// Adds to what was watched; an hour never has more than an hour.
    async fn add_watched(&self, hours: &[WatchedHour]) -> Result<()>;
    /// Forgets the hours before a time: the arrivals of these channels, and what was watched.
    async fn prune_arrivals(&self, channels: &[ChannelId], before: Timestamp) -> Result<()>;
    /// The deliveries to a destination that are in flight, by state.
    async fn waiting_deliveries(&self, destination: &ChannelId, before: Timestamp) -> Result<Vec<WaitingDeliveries>>;
    /// The open dead letters, by channel.
    async fn waiting_dead_letters(&self, before: Timestamp) -> Result<Vec<WaitingRecords>>;
    /// The parked records that wait since before a time, by channel; the others are not counted.
    async fn waiting_parked(&self, before: Timestamp) -> Result<Vec<WaitingRecords>>;
    /// Order numbers of a channel below a text (all where `None`), descending by their bytes, each once.
    async fn numbers_below(&self, channel: &ChannelId, below: Option<&str>, limit: u32) -> Result<Vec<SourceNumber>>;
    /// Order numbers of a channel in `[from, to)`, ascending by their bytes, each once.
    async fn numbers_between(&self, channel: &ChannelId, from: &str, to: &str, limit: u32)
    -> Result<Vec<SourceNumber>>;
}

/// Incidents, who is told of them, and silences.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// What a round of the alerter begins with, all as of one moment.
    async fn alert_state(&self, now: Timestamp) -> Result<AlertState>;
    /// Writes down what a round decided, incidents and the notifications that they make owed, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and nothing is written, when the lease has another epoch by now.
    async fn save_alert_round(&self, round: &AlertRound, lease: &LeaseGrant) -> Result<()>;
    /// Incidents, ascending by id.
    async fn incidents(&self, filter: &IncidentFilter, limit: u32) -> Result<Vec<IncidentRow>>;
    /// An incident.
    async fn incident(&self, id: IncidentId) -> Result<Option<IncidentRow>>;
    /// A person knows of it and cares for it.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] unless it is open and nobody has acknowledged it.
    async fn acknowledge_incident(&self, id: IncidentId, by: &str, at: Timestamp) -> Result<()>;
    /// The notifications that told, or are to tell, of an incident, the newest first.
    async fn notifications_of(&self, id: IncidentId, limit: u32) -> Result<Vec<NotificationRow>>;
    /// What a notifier has still to be told, the oldest first, due or not.
    async fn owed_notifications(&self, notifier: &str, limit: u32) -> Result<Vec<NotificationRow>>;
    /// A notification was sent, or is given up; one that has ended already stays as it is.
    async fn end_notification(
        &self,
        id: NotificationId,
        state: NotificationState,
        error: Option<&str>,
        at: Timestamp,
    ) -> Result<()>;
    /// An attempt failed; the next is due at a time.
    async fn fail_notification(&self, id: NotificationId, error: &str, due_at: Timestamp) -> Result<()>;
    /// A notifier took something, or failed to, and why.
    async fn note_notifier(&self, id: &str, failed: Option<&str>, at: Timestamp) -> Result<()>;
    /// How the notifiers fare.
    async fn notifiers(&self) -> Result<Vec<NotifierRow>>;
    /// Makes a silence.
    async fn add_silence(&self, silence: &NewSilence) -> Result<SilenceId>;
    /// Ends a silence early; one that has not begun never begins.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] when it is over.
    async fn end_silence(&self, id: SilenceId, by: &str, at: Timestamp) -> Result<()>;
    /// Silences, ascending by id; with a time, those only that have not ended by then.
    async fn silences(
        &self,
        unended_at: Option<Timestamp>,
        after: Option<SilenceId>,
        limit: u32,
    ) -> Result<Vec<SilenceRow>>;
    /// A silence.
    async fn silence(&self, id: SilenceId) -> Result<Option<SilenceRow>>;
    /// Drops resolved incidents, ended notifications and silences that ended before a time. Returns how many incidents.
    async fn drop_ended_alerts(&self, before: Timestamp) -> Result<u64>;
}

/// The processes of a gateway.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// A process tells of itself; replaces what was told under its name before.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] when a process that was started later goes by the same name.
    async fn tell_node(&self, node: &NodeRow) -> Result<()>;
    /// All that have told of themselves and were not forgotten, by name.
    async fn nodes(&self) -> Result<Vec<NodeRow>>;
    /// Forgets one that will not come back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none of that name.
    async fn forget_node(&self, name: &str) -> Result<()>;
}

/// Months of records and timelines that can be taken out and brought back whole.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// Every month that there is or was, ascending, with what holds it back at `now`. May take as long as reading all orders does.
    async fn months(&self, now: Timestamp) -> Result<Vec<MonthRow>>;
    /// Takes a month out, unless something holds it back; what is attached beside an archived one joins it. One transaction, in which all that may hold it
    /// back is looked at again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when nothing of that month is attached. [`StoreError::LeaseLost`], and nothing is changed, when `under` has another
    /// epoch by now. [`StoreError::Refused`] when the archive can't be made.
    async fn take_month(&self, month: Month, by: &str, now: Timestamp, under: Option<&LeaseGrant>) -> Result<Taking>;
    /// Brings a month back, with what came late beside it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when nothing of that month is out. [`StoreError::Archived`] when its table is not there any more, or not whole.
    async fn return_month(&self, month: Month) -> Result<Returning>;
    /// Replaces the list of the months that were left.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and nothing is changed, when the lease has another epoch by now.
    async fn note_months_left(&self, left: &[MonthLeft], under: &LeaseGrant) -> Result<()>;
    /// The months that the job left in its last round, ascending.
    async fn months_left(&self) -> Result<Vec<MonthLeft>>;
}

/// The whole store.
#[async_trait]
pub trait Store:
    IngestStore
    + OrderReader
    + DeliveryStore
    + CommandStore
    + BookStore
    + GapStore
    + HistoryStore
    + GapGroupStore
    + AuditStore
    + RepairStopStore
    + TraceStore
    + JobStore
    + LeaseStore
    + DeadLetterStore
    + WatchStore
    + AlertStore
    + NodeStore
    + RegistryStore
    + IdentityStore
    + AttachmentStore
    + 'static
{
    /// The same store, for who works under a lease: whatever is written by it is refused with [`StoreError::LeaseLost`], and nothing of it happens, once
    /// the lease has another epoch. So who was cut off or stopped in the middle of a round writes nothing any more, whatever it still believes.
    fn under(&self, lease: &LeaseGrant) -> Arc<dyn Store>;
    /// Months that can be taken out; `None` where the engine keeps all in one.
    fn archive(&self) -> Option<&dyn ArchiveStore> {
        None
    }
    /// Whether it can be written now.
    async fn check(&self) -> Result<()>;
    /// Closes it.
    async fn close(&self);
}
