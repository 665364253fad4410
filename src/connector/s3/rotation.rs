//! When a file is closed: pure decisions, no clock and no I/O.
//!
//! S3 sink, "Rotation": by count, by record time, by wall clock, by schema; ours is the closing of
//! files whose partition has fallen silent. Whatever the reason, the boundary is recorded before the
//! object becomes visible, so every kind is exactly once.

use super::zone::Zone;

/// Why a file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    FlushSize,
    RotateInterval,
    /// A time partitioner's next path.
    PathChange,
    Schedule,
    Idle,
    SchemaChange,
    /// `rotate.file.size.bytes`.
    FileSize,
    /// `partitioner.max.open.files`.
    OpenFiles,
    /// The task holds too much in memory.
    Memory,
    /// A boundary that an earlier run recorded.
    Recorded,
}

/// The settings that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Records of the open files of a partition; at least 1.
    pub(super) flush_size: u64,
    /// `rotate.file.size.bytes`, where it is on.
    pub(super) file_bytes: Option<usize>,
    /// `rotate.interval.ms`, where it is on: only with the time partitioners.
    pub(super) rotate_interval_ms: Option<i64>,
    /// `rotate.file.on.partition.change`; matters with `rotate.interval.ms`.
    pub(super) rotate_on_path_change: bool,
    /// `partitioner.max.open.files`, where it is on.
    pub(super) open_files_max: Option<usize>,
    pub(super) schedule: Option<Schedule>,
    /// `rotate.idle.interval.ms`, where it is on.
    pub(super) idle_interval_ms: Option<i64>,
}

/// `rotate.schedule.interval.ms` in its `timezone`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) interval_ms: i64,
    pub(super) zone: Zone,
}

/// What the decisions look at: the open files of a partition together, because they are closed
/// together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Progress {
    pub(super) records: u64,
    /// The timestamp of the first record that has one.
    pub(super) base_timestamp_ms: Option<i64>,
    /// Wall clock of the first record, and of the last one.
    pub(super) first_arrival_ms: i64,
    pub(super) last_arrival_ms: i64,
    /// Wall clock at which the schedule fires.
    pub(super) scheduled_at_ms: Option<i64>,
}

/// What is known of the next record before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    /// The time that the partitioner sees; else that of Kafka.
    pub(super) timestamp_ms: Option<i64>,
    pub(super) now_ms: i64,
    /// Its path is not that of the record before it.
    pub(super) is_other_path: bool,
}

impl Limits {
    /// Why the files must be closed before the next record is written, if they must.
    pub(super) fn before(&self, files: &Progress, next: Next) -> Option<Rotation> {
        if let Some(interval) = self.rotate_interval_ms {
            let span = files.base_timestamp_ms.zip(next.timestamp_ms);
            if span.is_some_and(|(base, timestamp)| interval <= timestamp.saturating_sub(base)) {
                return Some(Rotation::RotateInterval);
            }
            if self.rotate_on_path_change && next.is_other_path {
                return Some(Rotation::PathChange);
            }
        }
        scheduled(files, next.now_ms)
    }

    /// Why the files must be closed after a record was written to one of them, if they must. `size`
    /// tells about how many bytes that one has; it is asked only where it matters.
    pub(super) fn after(&self, files: &Progress, size: impl FnOnce() -> usize) -> Option<Rotation> {
        if self.flush_size <= files.records {
            return Some(Rotation::FlushSize);
        }
        self.file_bytes.is_some_and(|most| most <= size()).then_some(Rotation::FileSize)
    }

    /// Why the file must be closed because time has passed, if it must.
    pub(super) fn by_clock(&self, file: &Progress, now_ms: i64) -> Option<Rotation> {
        let silence = now_ms.saturating_sub(file.last_arrival_ms);
        if self.idle_interval_ms.is_some_and(|interval| interval <= silence) {
            return Some(Rotation::Idle);
        }
        scheduled(file, now_ms)
    }
}

fn scheduled(file: &Progress, now_ms: i64) -> Option<Rotation> {
    file.scheduled_at_ms.is_some_and(|at| at <= now_ms).then_some(Rotation::Schedule)
}

impl Schedule {
    /// The next multiple of the interval after local midnight, the next midnight at the latest.
    pub(super) fn next_ms(&self, now_ms: i64) -> Option<i64> {
        let midnight = self.zone.midnight(now_ms, 0);
        let tomorrow = self.zone.midnight(now_ms, 1);
        let passed = now_ms.checked_sub(midnight)?.checked_div(self.interval_ms)?;
        let next = passed.checked_add(1)?.checked_mul(self.interval_ms)?.checked_add(midnight)?;
        Some(next.min(tomorrow))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn ms(time: &str) -> i64 {
        DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis()
    }

    fn limits() -> Limits {
        Limits {
            flush_size: 3,
            file_bytes: None,
            rotate_interval_ms: Some(600_000),
            rotate_on_path_change: true,
            open_files_max: None,
            schedule: None,
            idle_interval_ms: Some(60_000),
        }
    }

    fn file() -> Progress {
        Progress {
            records: 1,
            base_timestamp_ms: Some(1_000),
            first_arrival_ms: 1_000,
            last_arrival_ms: 1_000,
            scheduled_at_ms: None,
        }
    }

    #[test]
    fn a_record_closes_the_files_before_it() {
        let due = Progress { scheduled_at_ms: Some(5_000), ..file() };
        let off = Limits { rotate_interval_ms: None, ..limits() };
        let stay = Limits { rotate_on_path_change: false, ..limits() };
        let rows = [
            ("same time", limits(), file(), Some(1_000), 0, false, None),
            ("just below", limits(), file(), Some(600_999), 0, false, None),
            ("interval", limits(), file(), Some(601_000), 0, false, Some(Rotation::RotateInterval)),
            ("interval off", off, file(), Some(601_000), 0, true, None),
            ("late record", limits(), file(), Some(-5), 0, false, None),
            ("late, elsewhere", limits(), file(), Some(-5), 0, true, Some(Rotation::PathChange)),
            ("path change allowed", stay, file(), Some(-5), 0, true, None),
            ("no timestamp", limits(), file(), None, 0, false, None),
            ("before schedule", limits(), due.clone(), None, 4_999, false, None),
            ("at schedule", limits(), due, None, 5_000, false, Some(Rotation::Schedule)),
        ];
        for (name, limits, files, timestamp_ms, now_ms, is_other_path, expected) in rows {
            let next = Next { timestamp_ms, now_ms, is_other_path };
            assert_eq!(limits.before(&files, next), expected, "{name}");
        }
    }

    #[test]
    fn the_count_closes_the_file_after_a_record() {
        let sized = Limits { file_bytes: Some(10), ..limits() };
        let rows = [
            (limits(), 2, 99, None),
            (limits(), 3, 0, Some(Rotation::FlushSize)),
            (sized, 2, 9, None),
            (sized, 2, 10, Some(Rotation::FileSize)),
            (sized, 3, 0, Some(Rotation::FlushSize)),
        ];
        for (limits, records, bytes, expected) in rows {
            let found = limits.after(&Progress { records, ..file() }, || bytes);
            assert_eq!(found, expected, "{records} records, {bytes} bytes");
        }
    }

    #[test]
    fn silence_closes_the_file() {
        let off = Limits { idle_interval_ms: None, ..limits() };
        assert_eq!(limits().by_clock(&file(), 60_999), None);
        assert_eq!(limits().by_clock(&file(), 61_000), Some(Rotation::Idle));
        assert_eq!(limits().by_clock(&file(), -1), None, "the clock stepped back");
        assert_eq!(off.by_clock(&file(), i64::MAX), None);
    }

    #[test]
    fn the_schedule_is_aligned_to_local_midnight() {
        let hours = |hours: i64| hours * 3_600_000;
        let rows = [
            ("ten minutes", 600_000, "UTC", "2026-11-22T10:07:00Z", "2026-11-22T10:10:00Z"),
            ("on a boundary", 600_000, "UTC", "2026-11-22T10:10:00Z", "2026-11-22T10:20:00Z"),
            ("seven hours", hours(7), "UTC", "2026-11-22T07:00:00Z", "2026-11-22T14:00:00Z"),
            ("cut at midnight", hours(7), "UTC", "2026-11-22T21:30:00Z", "2026-11-23T00:00:00Z"),
            ("local", hours(12), "Europe/Paris", "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"),
            // The day of the clock change has 25 hours.
            ("autumn", hours(24), "Europe/Paris", "2026-10-25T10:00:00Z", "2026-10-25T22:00:00Z"),
            (
                "autumn end",
                hours(24),
                "Europe/Paris",
                "2026-10-25T22:30:00Z",
                "2026-10-25T23:00:00Z",
            ),
            // Midnight of this day does not exist in São Paulo.
            ("gap", hours(24), "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"),
        ];
        for (name, interval_ms, id, now, expected) in rows {
            let schedule = Schedule { interval_ms, zone: Zone::parse(id).unwrap() };
            assert_eq!(schedule.next_ms(ms(now)), Some(ms(expected)), "{name}");
        }
    }
}
