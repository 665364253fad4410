//! When a file is closed: pure decisions, no clock and no I/O.
//!
//! S3 sink, "Rotation": by count, by record time, by wall clock, by schema; ours is the closing of
//! files whose partition has fallen silent. Whatever the reason, the boundary is recorded before the
//! object becomes visible, so every kind is exactly once.

use std::sync::Arc;

use chrono::{DateTime, Days, LocalResult, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::data::Schema;

/// Why a file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    FlushSize,
    RotateInterval,
    Schedule,
    Idle,
    SchemaChange,
    /// The task holds too much in memory.
    Memory,
    /// A boundary that an earlier run recorded.
    Recorded,
}

/// The settings that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Records of a file; at least 1.
    pub(super) flush_size: u64,
    /// `rotate.interval.ms`, where it is on.
    pub(super) rotate_interval_ms: Option<i64>,
    pub(super) schedule: Option<Schedule>,
    /// `rotate.idle.interval.ms`, where it is on.
    pub(super) idle_interval_ms: Option<i64>,
}

/// `rotate.schedule.interval.ms` in its `timezone`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) interval_ms: i64,
    pub(super) zone: Tz,
}

/// What the decisions look at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Progress {
    pub(super) records: u64,
    pub(super) schema: Option<Arc<Schema>>,
    /// The timestamp of the first record that has one.
    pub(super) base_timestamp_ms: Option<i64>,
    /// Wall clock of the last record.
    pub(super) last_arrival_ms: i64,
    /// Wall clock at which the schedule fires.
    pub(super) scheduled_at_ms: Option<i64>,
}

impl Limits {
    /// Why the file must be closed before the next record is written to it, if it must.
    pub(super) fn before(
        &self,
        file: &Progress,
        schema: Option<&Arc<Schema>>,
        timestamp_ms: Option<i64>,
        now_ms: i64,
    ) -> Option<Rotation> {
        if !same_schema(file.schema.as_ref(), schema) {
            return Some(Rotation::SchemaChange);
        }
        let age = self.rotate_interval_ms.zip(file.base_timestamp_ms.zip(timestamp_ms));
        if age
            .is_some_and(|(interval, (base, timestamp))| interval <= timestamp.saturating_sub(base))
        {
            return Some(Rotation::RotateInterval);
        }
        scheduled(file, now_ms)
    }

    /// Why the file must be closed after a record was written to it, if it must.
    pub(super) fn after(&self, file: &Progress) -> Option<Rotation> {
        (self.flush_size <= file.records).then_some(Rotation::FlushSize)
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

/// Connect's full equality; the pointer answers nearly always.
fn same_schema(file: Option<&Arc<Schema>>, next: Option<&Arc<Schema>>) -> bool {
    match (file, next) {
        (None, None) => true,
        (Some(file), Some(next)) => Arc::ptr_eq(file, next) || file == next,
        _ => false,
    }
}

impl Schedule {
    /// The next multiple of the interval after local midnight, the next midnight at the latest.
    pub(super) fn next_ms(&self, now_ms: i64) -> Option<i64> {
        let now = DateTime::<Utc>::from_timestamp_millis(now_ms)?.with_timezone(&self.zone);
        let midnight = self.midnight(now, 0)?;
        let tomorrow = self.midnight(now, 1)?;
        let passed = now_ms.checked_sub(midnight)?.checked_div(self.interval_ms)?;
        let next = passed.checked_add(1)?.checked_mul(self.interval_ms)?.checked_add(midnight)?;
        Some(next.min(tomorrow))
    }

    /// The start of the local day of `now`, `days` later. Where a clock change skips midnight, the
    /// first instant behind the gap.
    fn midnight(&self, now: DateTime<Tz>, days: u64) -> Option<i64> {
        let date = now.date_naive().checked_add_days(Days::new(days))?;
        let local = date.and_time(NaiveTime::MIN);
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.timestamp_millis()),
            LocalResult::None => {
                let later = local.checked_add_signed(chrono::TimeDelta::hours(1))?;
                let at = self.zone.from_local_datetime(&later).earliest()?;
                Some(at.timestamp_millis())
            }
        }
    }
}

/// The time zone of this id.
pub(super) fn zone(id: &str) -> Option<Tz> {
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaBuilder, Type};

    fn ms(time: &str) -> i64 {
        DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis()
    }

    fn limits() -> Limits {
        Limits {
            flush_size: 3,
            rotate_interval_ms: Some(600_000),
            schedule: None,
            idle_interval_ms: Some(60_000),
        }
    }

    fn file() -> Progress {
        Progress {
            records: 1,
            schema: None,
            base_timestamp_ms: Some(1_000),
            last_arrival_ms: 1_000,
            scheduled_at_ms: None,
        }
    }

    #[test]
    fn a_record_closes_the_file_before_it() {
        let text = SchemaBuilder::new(Type::String).build();
        let equal = SchemaBuilder::new(Type::String).build();
        let documented = SchemaBuilder::new(Type::String).doc("d").build();
        let with = |schema: &Arc<Schema>| Progress { schema: Some(schema.clone()), ..file() };
        let due = Progress { scheduled_at_ms: Some(5_000), ..file() };
        let rows = [
            ("same time", file(), None, Some(1_000), 0, None),
            ("just below", file(), None, Some(600_999), 0, None),
            ("interval", file(), None, Some(601_000), 0, Some(Rotation::RotateInterval)),
            ("late record", file(), None, Some(-5), 0, None),
            ("no timestamp", file(), None, None, 0, None),
            ("same schema", with(&text), Some(&text), None, 0, None),
            ("equal schema", with(&text), Some(&equal), None, 0, None),
            ("other doc", with(&text), Some(&documented), None, 0, Some(Rotation::SchemaChange)),
            ("now schemaless", with(&text), None, None, 0, Some(Rotation::SchemaChange)),
            ("now with schema", file(), Some(&text), None, 0, Some(Rotation::SchemaChange)),
            ("before schedule", due.clone(), None, None, 4_999, None),
            ("at schedule", due, None, None, 5_000, Some(Rotation::Schedule)),
        ];
        for (name, file, schema, timestamp, now, expected) in rows {
            assert_eq!(limits().before(&file, schema, timestamp, now), expected, "{name}");
        }
    }

    #[test]
    fn the_count_closes_the_file_after_a_record() {
        for (records, expected) in [(2, None), (3, Some(Rotation::FlushSize))] {
            assert_eq!(limits().after(&Progress { records, ..file() }), expected, "{records}");
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
            let schedule = Schedule { interval_ms, zone: zone(id).unwrap() };
            assert_eq!(schedule.next_ms(ms(now)), Some(ms(expected)), "{name}");
        }
    }
}
