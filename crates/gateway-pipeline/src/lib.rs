//! The pipeline: from a raw envelope on the bus to facets, the composed work order, the books, and what is owed. The only writer of work orders.
//!
//! A batch is normalized outside the transaction (pure, by the channel's normalizer), decided inside it (pure, over what was loaded and
//! locked), written, and only then committed on the bus. A crash between any two lines repeats the batch, and the accounted positions in the
//! store make the repetition do nothing. Records that make no sense become dead letters; a store that is down stops the pipeline, it never
//! buries a record for it.

mod applied;
mod command;
mod content;
mod decide;
mod duplicates;
mod echo;
mod look_up;
mod normalize;
mod parked;
mod routes;
mod verify;
mod version;
mod worker;

pub use content::ContentKey;
pub use decide::identity::MOST_IN_GROUP;
pub use decide::{Decider, Defences};
pub use duplicates::{DuplicateFinder, PairShower};
pub use look_up::LookUps;
pub use normalize::{Normalized, Normalizers, Statement};
pub use parked::ParkedSweeper;
pub use routes::{Route, RouteError, Routes};
pub use verify::{Reverifier, Verifying};
pub use worker::{Pipeline, PipelineConfig};
