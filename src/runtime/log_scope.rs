//! Levels of loggers for the whole cluster (KIP-976): they go through the state database, and every
//! worker applies what the others announce.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::runtime::herder::{Answer, Herder, internal};
use crate::runtime::loggers::{LogControl, LogLevel};
use crate::runtime::worker::Shared;
use crate::store::LoggerChange;

/// How often a worker looks for levels that others were asked to set.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

impl Herder {
    /// Tells every other worker to give `logger` this level; they follow within seconds.
    ///
    /// # Errors
    /// When the state database is away.
    pub async fn announce_log_level(&self, logger: &str, level: LogLevel) -> Answer<()> {
        let worker = &self.shared.worker.id;
        self.change()?.announce_logger(logger, level.name(), worker).await.map_err(internal)
    }

    /// Has `logs` follow what other workers announce from now on, until the worker ends.
    pub fn follow_log_levels(&self, logs: LogControl) {
        let shared = Arc::clone(&self.shared);
        self.shared.tracker.spawn(follow(shared, logs));
    }
}

async fn follow(shared: Arc<Shared>, logs: LogControl) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.shutdown.cancelled() => return,
        }
        match shared.assembly.store.logger_changes(&shared.worker.id).await {
            Ok(changes) => {
                for change in new_changes(&mut seen, changes) {
                    let Some(level) = LogLevel::parse(&change.level) else { continue };
                    logs.set(&change.logger, level);
                    tracing::info!(logger = change.logger, level = change.level, "level set");
                }
            }
            // The heartbeat says that the database is away.
            Err(error) => tracing::debug!(%error, "cannot read the levels of loggers"),
        }
    }
}

/// Those that were not there at the last look. What the first look finds was set before this worker
/// started and is not for it. A number that commits late is new although a higher one was seen.
fn new_changes(seen: &mut Option<BTreeSet<i64>>, found: Vec<LoggerChange>) -> Vec<LoggerChange> {
    let numbers = found.iter().map(|change| change.number).collect();
    let Some(before) = seen.replace(numbers) else { return Vec::new() };
    found.into_iter().filter(|change| !before.contains(&change.number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_applied_once_however_late_it_commits() {
        let change = |number| LoggerChange {
            number,
            logger: "ferroconnect".to_owned(),
            level: "DEBUG".to_owned(),
        };
        let mut seen = None;
        let mut look = |numbers: &[i64]| {
            let found = numbers.iter().map(|&number| change(number)).collect();
            let new = new_changes(&mut seen, found);
            new.into_iter().map(|change| change.number).collect::<Vec<_>>()
        };
        assert_eq!(look(&[1, 2]), [0_i64; 0], "set before this worker started");
        assert_eq!(look(&[1, 2, 5]), [5]);
        assert_eq!(look(&[2, 4, 5]), [4]);
        assert_eq!(look(&[]), [0_i64; 0]);
    }
}
