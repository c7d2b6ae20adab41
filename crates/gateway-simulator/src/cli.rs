//! (placeholder)
/// x
pub struct SimulateCommand;
/// x
pub struct SimulateDesk;
/// x
pub struct SimulateMunicipal;
