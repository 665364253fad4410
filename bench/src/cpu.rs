//! CPU time as the kernel counts it: all threads of a process, in user and system mode.

use anyhow::{Context, Result};

/// Ticks in a second in `/proc/PID/stat`: fixed in Linux's interface to programs.
const TICKS: f64 = 100.0;

/// CPU seconds that the process has used.
pub(crate) fn of_process(pid: u32) -> Result<f64> {
    of(&format!("/proc/{pid}/stat"))
}

/// CPU seconds that this process has used.
pub(crate) fn own() -> Result<f64> {
    of("/proc/self/stat")
}

fn of(file: &str) -> Result<f64> {
    let stat = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    // The name, in parentheses, may hold spaces: fields count from behind it, where state is 3.
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let mut next = || times.next().context("stat is short")?.context("stat has no number");
    Ok((next()? + next()?) / TICKS)
}
