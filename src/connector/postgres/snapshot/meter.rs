//! What people see of a running snapshot: a line in the log every few seconds, and gauges.

use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{TaskMetrics, set_gauge};

const LOG_EVERY: Duration = Duration::from_secs(10);

/// Counts what is read.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    metrics: &'a TaskMetrics,
    tables: usize,
    /// Of all tables, and of those that an earlier session read.
    blocks: u64,
    blocks_before: u64,
    blocks_done: u64,
    rows: u64,
    bytes: u64,
    started: Instant,
    logged: Instant,
    completed: bool,
}

impl<'a> Meter<'a> {
    pub(super) fn start(
        metrics: &'a TaskMetrics,
        tables: usize,
        blocks: u64,
        blocks_before: u64,
    ) -> Self {
        let now = Instant::now();
        metrics.snapshot_running.set(1);
        metrics.snapshot_completed.set(0);
        metrics.snapshot_aborted.set(0);
        set_gauge(&metrics.snapshot_total_tables, u64::try_from(tables).unwrap_or(u64::MAX));
        let meter = Self {
            metrics,
            tables,
            blocks,
            blocks_before,
            blocks_done: blocks_before,
            rows: 0,
            bytes: 0,
            started: now,
            logged: now,
            completed: false,
        };
        meter.show(tables);
        meter
    }

    /// These were read.
    pub(super) fn rows(&mut self, rows: usize, bytes: usize) {
        let (rows, bytes) = (rows as u64, bytes as u64);
        self.rows += rows;
        self.bytes += bytes;
        self.metrics.snapshot_rows_scanned.inc_by(rows);
        self.metrics.snapshot_bytes.inc_by(bytes);
    }

    /// A chunk of so many blocks is done.
    pub(super) fn chunk(&mut self, blocks: u64, tables_left: usize) {
        self.blocks_done = (self.blocks_done + blocks).min(self.blocks);
        self.show(tables_left);
        if self.logged.elapsed() < LOG_EVERY {
            return;
        }
        self.logged = Instant::now();
        let seconds = self.started.elapsed().as_secs().max(1);
        tracing::info!(
            tables = self.tables,
            tables_left,
            rows = self.rows,
            bytes = self.bytes,
            percent = self.percent(),
            rows_per_second = self.rows / seconds,
            bytes_per_second = self.bytes / seconds,
            remaining_seconds = self.remaining_seconds(),
            "snapshot progress"
        );
    }

    /// Everything has been read.
    pub(super) fn ends(mut self) {
        self.completed = true;
        self.blocks_done = self.blocks;
        self.show(0);
        self.metrics.snapshot_completed.set(1);
        let seconds = self.started.elapsed().as_secs_f64();
        tracing::info!(rows = self.rows, bytes = self.bytes, seconds, "snapshot complete");
    }

    fn percent(&self) -> u64 {
        (self.blocks_done.saturating_mul(100)).checked_div(self.blocks).unwrap_or(100)
    }

    /// At the rate of this session.
    fn remaining_seconds(&self) -> Option<u64> {
        let read = self.blocks_done.saturating_sub(self.blocks_before);
        let left = self.blocks.saturating_sub(self.blocks_done);
        let elapsed = self.started.elapsed().as_secs();
        elapsed.saturating_mul(left).checked_div(read)
    }

    fn show(&self, tables_left: usize) {
        let metrics = self.metrics;
        set_gauge(&metrics.snapshot_remaining_tables, tables_left as u64);
        set_gauge(&metrics.snapshot_percent, self.percent());
        set_gauge(&metrics.snapshot_duration_seconds, self.started.elapsed().as_secs());
        // Not known yet is no number of seconds.
        metrics.snapshot_remaining_seconds.set(
            self.remaining_seconds().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(-1),
        );
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.metrics.snapshot_running.set(0);
        if !self.completed {
            self.metrics.snapshot_aborted.set(1);
        }
    }
}
