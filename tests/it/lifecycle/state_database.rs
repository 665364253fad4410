//! The state database is away: what cannot be recorded is not produced for long, and afterwards
//! everything goes on.

use super::ledger::{Ledger, nothing_for};
use crate::support::WorkerProcess;

#[tokio::test(flavor = "multi_thread")]
async fn producing_stops_until_progress_can_be_stored_again() {
    const WRITTEN: &str = "kafka_connect_source_task_source_record_write_total";
    let mut ledger = Ledger::create().await;
    let worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&worker).await;
    ledger.write(20).await;
    ledger.all_arrive(&worker, 40).await;

    ledger.pipeline.allow_state(false).await;
    ledger.write(20).await;
    // For 10 s it goes on: a restart of the database is none of the source's business.
    nothing_for(14).await;
    let before = ledger.source_metric(&worker, WRITTEN).await;
    ledger.write(20).await;
    nothing_for(3).await;
    let after = ledger.source_metric(&worker, WRITTEN).await;
    assert_eq!(before, after, "nothing is produced that could not be recorded");
    assert_eq!(ledger.source_metric(&worker, "ferroconnect_task_retrying").await, 1.0);

    ledger.pipeline.allow_state(true).await;
    ledger.all_arrive(&worker, 60).await;
    ledger.assert_each_offset_once();
    ledger.are(&worker, "RUNNING", Some("RUNNING")).await;
    assert_eq!(ledger.source_metric(&worker, "ferroconnect_task_retrying").await, 0.0);
}
