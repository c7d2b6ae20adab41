//! The program `hotline-gateway`.

use clap::Parser;
use gateway_server::cli::Program;
use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    gateway_server::run(Program::parse())
}
