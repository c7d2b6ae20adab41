//! The other sides of the gateway, simulated, and the judge that tells whether the gateway kept step with them.
//!
//! Four things live here. The **platform** (`simulate 12345`) is a municipal 12345 platform with durable books of its own that
//! speaks `docs/channels/municipal-12345.md`; the same machine is the **province** (`simulate 12328`), which takes uploads by
//! `docs/channels/provincial-12328.md`, and the **bureau** (`simulate bureau`), which works on what is dispatched to it by
//! `docs/channels/bureau.md`. The **desk** (`simulate desk`) plays the bureau's handling desk through `/api/v1`.
//! The **operating-data service** (`simulate operating-data`) is asked of cars by `docs/operating-data.md`.
//! **Faults** are what real peers do wrong, injected by a seeded plan and counted. The **judge** compares, record by record, what
//! the platform's and the desk's books say with what the gateway holds.
//!
//! Contract: this crate shares no code with the gateway, neither types nor digests nor code tables. It is a second implementation
//! from the contract pages alone, so that a mistake in one of the two is seen as a difference. The price is that the tables of
//! `docs/api.md` are written down twice; refused was the alternative, a shared crate, in which one mistake would be invisible.

pub mod book;
pub mod cli;
pub mod clock;
pub mod control;
pub mod data;
pub mod desk;
pub mod digest;
pub mod dress;
pub mod error;
pub mod faults;
pub mod http;
pub mod invent;
pub mod journal;
pub mod judge;
pub mod operating_data;
pub mod pace;
pub mod picture;
pub mod platform;
pub mod record;
pub mod sign;

pub use cli::{SimulateCommand, SimulateDesk, SimulatePlatform};
pub use clock::SimClock;
pub use desk::{DeskHandle, DeskOptions, run_desk, start_desk};
pub use dress::Dress;
pub use error::SimError;
pub use faults::expectation::Expected;
pub use faults::injected::Injected;
pub use faults::{FaultKind, FaultPlan};
pub use judge::{
    AttachmentOptions, ControlPoint, ForwardOptions, JudgeOptions, Party, Verdict, VerificationOptions, judge,
    judge_details,
};
pub use operating_data::{Car, CarFault, OperatingDataHandle, OperatingDataOptions, start_operating_data};
pub use pace::{DeskPace, Lateness, Pace, Wait};
pub use platform::{PlatformEnd, PlatformHandle, PlatformKind, PlatformOptions, run_platform, start_platform};
