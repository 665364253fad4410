//! Watches the slot from the outside: how much log it keeps on the server, how far it is behind, and
//! how long until the server gives it up. Also reads what `source.xmin` shows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::config::HostMap;
use crate::connector::postgres::client::{Client, SlotState};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::lsn::Lsn;
use crate::metrics::{TaskMetrics, set_gauge};

/// How often the slot is looked at; more often where `source.xmin` asks for it.
const EVERY: Duration = Duration::from_secs(10);
/// Positions of the server that are remembered, to tell how old a position is: an hour of them.
const POSITIONS_MAX: usize = 360;
/// Below this much time, an operator is told.
const ALARM_SECONDS: i64 = 3600;

/// A running watch. Dropping it ends it.
#[derive(Debug)]
pub(super) struct SlotMonitor {
    task: JoinHandle<()>,
    xmin: watch::Receiver<Option<i64>>,
}

impl Drop for SlotMonitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SlotMonitor {
    /// Starts to watch.
    pub(super) fn start(
        config: Arc<PostgresConfig>,
        hosts: Arc<HostMap>,
        metrics: Arc<TaskMetrics>,
    ) -> Self {
        let (sender, xmin) = watch::channel(None);
        let watching = watch_slot(config, hosts, metrics, sender);
        Self { task: tokio::spawn(watching.in_current_span()), xmin }
    }

    /// The slot's `catalog_xmin`, as last read.
    pub(super) fn xmin(&self) -> Option<i64> {
        *self.xmin.borrow()
    }
}

async fn watch_slot(
    config: Arc<PostgresConfig>,
    hosts: Arc<HostMap>,
    metrics: Arc<TaskMetrics>,
    xmin: watch::Sender<Option<i64>>,
) {
    let every = config.xmin_interval.map_or(EVERY, |interval| interval.min(EVERY));
    let mut client = None;
    let mut history = History::default();
    loop {
        // Without an answer nothing is known; the stream itself tells what is wrong with the server.
        if let Some(state) = look(&mut client, &config, &hosts).await {
            xmin.send_replace(state.catalog_xmin.filter(|_| config.xmin_interval.is_some()));
            let forecast = history.add(Instant::now(), &state);
            report(&metrics, &config, &state, forecast);
        }
        tokio::time::sleep(every).await;
    }
}

async fn look(
    client: &mut Option<Client>,
    config: &PostgresConfig,
    hosts: &HostMap,
) -> Option<SlotState> {
    let mut connected = match client.take() {
        Some(client) => client,
        None => Client::open(&config.server, hosts, "Ferroconnect Slot Info").await.ok()?,
    };
    let state = connected.slot_state(&config.slot.name).await.ok()?;
    *client = Some(connected);
    state
}

/// What the positions of a while tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forecast {
    lag_seconds: i64,
    /// Until the slot is given up, if all goes on as it did; `None`: never.
    seconds_left: Option<i64>,
}

/// Where the server's log ended, and when.
#[derive(Debug, Default)]
struct History {
    positions: VecDeque<(Instant, Lsn)>,
}

impl History {
    fn add(&mut self, now: Instant, state: &SlotState) -> Forecast {
        if self.positions.len() == POSITIONS_MAX {
            self.positions.pop_front();
        }
        self.positions.push_back((now, state.current));
        // The first position that the slot has not reached was the server's since then.
        let behind = self.positions.iter().find(|(_, lsn)| *lsn > state.confirmed);
        let lag = behind.map_or(Duration::ZERO, |(since, _)| now - *since);
        let seconds_left = state.safe_bytes.and_then(|safe| {
            let (first, from) = self.positions.front()?;
            let elapsed = (now - *first).as_secs().max(1);
            let written = state.current.0.saturating_sub(from.0);
            // What is kept grows only while the slot stands still behind what is written.
            let rate = written / elapsed;
            let safe = u64::try_from(safe).unwrap_or(0);
            (rate > 0 && lag > Duration::ZERO)
                .then(|| i64::try_from(safe / rate).unwrap_or(i64::MAX))
        });
        Forecast { lag_seconds: i64::try_from(lag.as_secs()).unwrap_or(i64::MAX), seconds_left }
    }
}

fn report(metrics: &TaskMetrics, config: &PostgresConfig, state: &SlotState, forecast: Forecast) {
    let bytes = |from: Lsn| state.current.0.saturating_sub(from.0);
    set_gauge(&metrics.slot_retained_bytes, state.restart.map_or(0, bytes));
    set_gauge(&metrics.slot_lag_bytes, bytes(state.confirmed));
    metrics.slot_lag_seconds.set(forecast.lag_seconds);
    metrics.slot_wal_status.set(match state.wal_status.as_deref() {
        Some("extended") => 1,
        Some("unreserved") => 2,
        Some("lost") => 3,
        _ => 0,
    });
    metrics.slot_seconds_to_limit.set(forecast.seconds_left.unwrap_or(-1));
    let endangered = forecast.seconds_left.is_some_and(|left| left < ALARM_SECONDS)
        || state.wal_status.as_deref() == Some("unreserved");
    if endangered {
        tracing::warn!(
            slot = config.slot.name,
            wal_status = state.wal_status,
            safe_bytes = state.safe_bytes,
            seconds_left = forecast.seconds_left,
            "the server will give the slot up, and changes will be lost, if it stays so far behind; \
             find what holds the connector up, or raise max_slot_wal_keep_size"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(current: u64, confirmed: u64, safe_bytes: Option<i64>) -> SlotState {
        SlotState {
            current: Lsn(current),
            confirmed: Lsn(confirmed),
            restart: None,
            catalog_xmin: None,
            wal_status: None,
            safe_bytes,
        }
    }

    #[test]
    fn lag_and_forecast() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::default();
        let fine = Forecast { lag_seconds: 0, seconds_left: None };
        assert_eq!(history.add(at(0), &state(1000, 1000, Some(5000))), fine);
        assert_eq!(
            history.add(at(10), &state(2000, 1000, Some(4000))),
            Forecast { lag_seconds: 0, seconds_left: None }
        );
        // 100 bytes a second, and the slot does not move.
        assert_eq!(
            history.add(at(20), &state(3000, 1000, Some(3000))),
            Forecast { lag_seconds: 10, seconds_left: Some(30) }
        );
        assert_eq!(history.add(at(30), &state(3000, 3000, Some(6000))), fine);
        assert_eq!(history.add(at(40), &state(4000, 3000, None)).seconds_left, None);
    }
}
