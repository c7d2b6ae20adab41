//! Processor time of processes, as Linux counts it.

use std::time::Duration;

/// Processor time so far.
pub type Cpu = Duration;

/// Ticks of `/proc/PID/stat` a second, on every Linux.
const TICKS: u64 = 100;

/// Of a process.
pub fn of(process: u64) -> Cpu {
    spent(process, &[11, 12])
}

/// Of a process, its children that run, and those that ended: a server and its sessions.
pub fn of_tree(process: u64) -> Cpu {
    let children = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = children.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let running: Cpu = numbers.filter(|one| fields(*one).get(1) == Some(&process)).map(of).sum();
    spent(process, &[11, 12, 13, 14]) + running
}

fn spent(process: u64, which: &[usize]) -> Cpu {
    let fields = fields(process);
    let ticks: u64 = which.iter().filter_map(|at| fields.get(*at)).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// What stands behind the name: its state (as 0), its parent, …; nothing for a process that is gone.
fn fields(process: u64) -> Vec<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind = stat.rsplit(") ").next().unwrap_or_default();
    behind.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect()
}
