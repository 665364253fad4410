//! The process as Linux shows it under `/proc/self`, by the names that Prometheus' client libraries
//! use. Elsewhere nothing is shown.

use std::fs;

/// Ticks of `/proc/self/stat` in a second: `USER_HZ`, part of the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// A number of the process: name, help, whether it counts up, value.
pub(super) type Row = (&'static str, &'static str, bool, f64);

/// What can be read at present.
pub(super) fn read() -> Vec<Row> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut rows = Vec::new();
    let mut push = |name, help, counts, value: Option<f64>| {
        rows.extend(value.map(|value| (name, help, counts, value)));
    };
    let cpu = ticks(&stat, 14).zip(ticks(&stat, 15)).map(|(user, system)| user + system);
    push("process_cpu_seconds", "Processor time of the process, seconds", true, cpu);
    let resident = kibibytes(&status, "VmRSS:");
    push("process_resident_memory_bytes", "Memory of the process, bytes", false, resident);
    let address_space = kibibytes(&status, "VmSize:");
    push(
        "process_virtual_memory_bytes",
        "Address space of the process, bytes",
        false,
        address_space,
    );
    push("process_threads", "Threads of the process", false, field(&stat, 20));
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    push("process_open_fds", "Open file descriptors", false, open);
    push("process_max_fds", "Open file descriptors, at most", false, descriptors_max());
    let started = ticks(&stat, 22).zip(boot_time()).map(|(after, boot)| boot + after);
    push("process_start_time_seconds", "When the process started, since 1970", false, started);
    rows
}

/// Field `number`, from 1, of `/proc/self/stat`. The second is in parentheses and may hold spaces.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn ticks(stat: &str, number: usize) -> Option<f64> {
    field(stat, number).map(|ticks| ticks / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(number * 1024.0)
}

fn descriptors_max() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_shows_itself() {
        let rows = read();
        for name in [
            "process_cpu_seconds",
            "process_resident_memory_bytes",
            "process_threads",
            "process_open_fds",
            "process_max_fds",
            "process_start_time_seconds",
        ] {
            let (.., value) = rows.iter().find(|row| row.0 == name).expect(name);
            assert!(0.0 <= *value, "{name} {value}");
        }
        let memory = rows.iter().find(|row| row.0 == "process_resident_memory_bytes").unwrap().3;
        assert!(1e6 < memory, "{memory}");
    }

    #[test]
    fn a_command_with_spaces_and_parentheses_is_passed_over() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 17 18 900";
        assert_eq!(ticks(stat, 14), Some(2.5));
        assert_eq!(ticks(stat, 15), Some(0.5));
        assert_eq!(field(stat, 20), Some(17.0));
        assert_eq!(field("", 3), None);
    }
}
