//! Reading the machine.

/// Load of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Seconds of CPU that this process has used.
pub fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: f64 =
        text.rsplit(')').next().unwrap().split(' ').skip(12).take(2).map(|n| n.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// From now on the highest resident memory counts anew.
pub fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The highest resident memory since then, MB.
pub fn peak_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1_024.0 / 1e6
}

/// Prints a figure beside its aim.
pub fn aim(what: &str, figure: f64, unit: &str, aim: f64, at_least: bool) {
    let met = if at_least { figure >= aim } else { figure <= aim };
    println!(
        "{what}: {figure:.0} {unit}; aim {} {aim:.0}: {}",
        if at_least { "at least" } else { "at most" },
        if met { "met" } else { "NOT MET" }
    );
}
