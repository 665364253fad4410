//! Progress is the truth: a task that runs and moves nothing although there is work is stalled,
//! whatever its state says.

use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{TaskMetrics, TaskSide};

/// A source's lag below this is no work: the position of an idle source follows at this distance.
const LAG_BYTES_MIN: i64 = 2 << 20;

/// Watches over the progress of one run of a task.
#[derive(Debug)]
pub(crate) struct StallWatch {
    side: TaskSide,
    /// How long a task may stand still; zero: for ever.
    limit: Duration,
    moved: Moved,
    since: Instant,
}

/// What changes when a task moves something.
type Moved = [u64; 8];

impl StallWatch {
    pub(crate) fn new(
        side: TaskSide,
        limit: Duration,
        metrics: &TaskMetrics,
        now: Instant,
    ) -> Self {
        Self { side, limit, moved: moved(metrics), since: now }
    }

    /// How often to look; `None`: never.
    pub(crate) fn interval(&self) -> Option<Duration> {
        (!self.limit.is_zero()).then(|| (self.limit / 4).max(Duration::from_millis(100)))
    }

    /// A task that rests has no work: it begins anew.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.since = now;
    }

    /// Why the task counts as stalled, if it does.
    pub(crate) fn look(&mut self, metrics: &TaskMetrics, now: Instant) -> Option<String> {
        let moved = moved(metrics);
        let work = work(self.side, metrics);
        if self.moved != moved || work.is_none() {
            self.moved = moved;
            self.since = now;
            return None;
        }
        let stood = now.saturating_duration_since(self.since);
        if self.limit.is_zero() || stood < self.limit {
            return None;
        }
        work.map(|work| format!("stalled: nothing has moved for {} s: {work}", stood.as_secs()))
    }
}

fn moved(metrics: &TaskMetrics) -> Moved {
    [
        metrics.source_record_poll.get(),
        metrics.source_record_write.get(),
        metrics.snapshot_rows_scanned.get(),
        metrics.sink_record_read.get(),
        metrics.sink_record_send.get(),
        metrics.sink_files.get(),
        metrics.sink_bytes.get(),
        metrics.offset_commits.get(),
    ]
}

/// The work that waits for the task, in words.
fn work(side: TaskSide, metrics: &TaskMetrics) -> Option<String> {
    match side {
        TaskSide::Source => {
            let active = metrics.source_record_active.get();
            if 0 < active {
                return Some(format!(
                    "{active} records wait for Kafka to acknowledge them: are the brokers there, and \
                     may the producer write?"
                ));
            }
            if 0 < metrics.snapshot_running.get() {
                return Some(
                    "a snapshot runs and reads no rows: is a table locked, or its server overloaded?"
                        .to_owned(),
                );
            }
            let lag = metrics.lag_bytes.get();
            (LAG_BYTES_MIN < lag).then(|| {
                format!(
                    "{lag} bytes of write-ahead log wait and the slot gives nothing: is a transaction \
                     open for long, or the connection dead?"
                )
            })
        }
        TaskSide::Sink => {
            let lag = metrics.sink_lag_records.get();
            (0 < lag).then(|| {
                format!(
                    "{lag} records wait in Kafka and none is consumed: is the destination slow, or an \
                     open transaction of a producer in the way?"
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn standing_still_is_told_when_there_is_work() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let metrics = TaskMetrics::default();
        let mut watch = StallWatch::new(TaskSide::Sink, LIMIT, &metrics, start);
        assert_eq!(watch.look(&metrics, at(100)), None, "idle");
        metrics.sink_lag_records.set(7);
        assert_eq!(watch.look(&metrics, at(159)), None, "not long enough");
        let cause = watch.look(&metrics, at(161)).unwrap();
        assert!(
            cause.starts_with("stalled: nothing has moved for 61 s: 7 records wait"),
            "{cause}"
        );
        metrics.sink_record_read.inc();
        assert_eq!(watch.look(&metrics, at(162)), None, "it moved");
        assert_eq!(watch.look(&metrics, at(221)), None);
        watch.rest(at(221));
        assert_eq!(watch.look(&metrics, at(280)), None, "it rested");
        assert!(watch.look(&metrics, at(281)).is_some());
    }

    /// A name, what makes the work, and what is told.
    type Row = (&'static str, fn(&TaskMetrics), Option<&'static str>);

    #[test]
    fn each_kind_of_work_is_named() {
        let start = Instant::now();
        let later = start + LIMIT;
        let rows: [Row; 5] = [
            ("unacknowledged", |metrics| metrics.source_record_active.set(3), Some("3 records")),
            ("snapshot", |metrics| metrics.snapshot_running.set(1), Some("a snapshot")),
            ("lag", |metrics| metrics.lag_bytes.set(64 << 20), Some("67108864 bytes")),
            ("small lag", |metrics| metrics.lag_bytes.set(1 << 20), None),
            ("nothing", |_| {}, None),
        ];
        for (name, set, expected) in rows {
            let metrics = TaskMetrics::default();
            let mut watch = StallWatch::new(TaskSide::Source, LIMIT, &metrics, start);
            set(&metrics);
            let found = watch.look(&metrics, later);
            assert_eq!(found.is_some(), expected.is_some(), "{name}: {found:?}");
            assert!(found.is_none_or(|text| text.contains(expected.unwrap())), "{name}");
        }
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let start = Instant::now();
        let metrics = TaskMetrics::default();
        let mut watch = StallWatch::new(TaskSide::Sink, Duration::ZERO, &metrics, start);
        metrics.sink_lag_records.set(1);
        assert_eq!(watch.interval(), None);
        assert_eq!(watch.look(&metrics, start + Duration::from_secs(9999)), None);
    }
}
