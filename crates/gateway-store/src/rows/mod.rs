//! The rows as the rest of the gateway sees them.

mod alert;
mod archive;
mod attachment;
mod audit;
mod book;
mod delivery;
mod gap_group;
mod history;
mod identity;
mod ingest;
mod node;
mod order;
mod registry;
mod trace;
mod watch;
mod work;

pub use alert::{
    AlertRound, AlertState, IncidentFilter, IncidentRow, NewNotification, NewSilence, NotificationItem,
    NotificationRow, NotifierRow, SilenceRow, Told,
};
pub use archive::{Hold, HoldKind, Month, MonthLeft, MonthPlace, MonthRow, NoMonth, Returning, Taking};
pub use attachment::{AttachmentRow, AttachmentsNamed};
pub use audit::{BucketDamage, DayAudit};
pub use book::{BookPut, Comparison, ComparisonKind, GapFilter, GapRow, NewGap, ReconcileRound, StoredItem};
pub use delivery::{
    AttemptResult, AttemptRow, AttemptStart, CommandRow, DeliveryKey, DeliveryRow, DeliveryUpdate, DeliveryWork,
    ForwardedScope, Hearing, NewDelivery, OutboundTally, RowVerdict, VerdictNote, VerdictTally,
};
pub use gap_group::{GapGroupFilter, GapGroupRow, GapTally, RepairStop};
pub use history::{
    AccountDay, AccountSpan, BookDay, Days, DeadLetterLife, DeliveryDay, FlowDay, GapStep, IncidentLife, Latency,
    LatencyDay, Leg, NewAccount,
};
pub use identity::{
    Comparable, FirstHand, MatchChange, MatchEntry, MatchPage, MatchRound, MatchTurn, OrderReference, PairStep,
};
pub use ingest::{
    ChangeRow, FlowOutcome, FlowPosition, FlowTally, IngestRequest, IngestWrites, Loaded, NewAnomaly, NewDeadLetter,
    NewPark, NewRaw, Parked, RawMeta, RawRow, left_topic,
};
pub use node::{NodeRow, NodeSpool};
pub use order::{NumberReading, OrderAggregate, OrderPage, OrderView, PersonRow, TimelineRow, WorkOrderRow};
pub use registry::{RegistryChange, RegistryImport, VerificationRow};
pub use trace::OrderTrace;
pub use watch::{ArrivalHour, Waiting, WaitingDeliveries, WaitingRecords, WatchedHour};
pub use work::{AnomalyTally, DeadLetterFilter, DeadLetterRow, DeadLetterState, Job, JobKind, LeaseGrant, NewJob};
