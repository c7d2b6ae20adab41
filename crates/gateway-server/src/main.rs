//! The program `hotline-gateway`.

use clap::Parser;
use gateway_server::cli::Program;
use std::process::ExitCode;

fn main() -> ExitCode {
    gateway_server::run(Program::parse())
}
