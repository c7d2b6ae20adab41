//! Tests of the simulators and the judge, over real loopback HTTP. Waiting is level-triggered with a deadline.

mod account;
mod campaign;
mod crude;
mod data;
mod desk_and_judge;
mod details;
mod dispatches;
mod faults;
mod files;
mod forwards;
mod golden;
mod invention;
mod journal;
mod lies;
mod mini_gateway;
mod platform;
mod province;
mod pushes;
mod stepping;
mod support;
