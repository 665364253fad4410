//! A worker that is stopped for longer than its lease, and comes back after its successor started:
//! it is fenced, nothing is written twice.

use super::ledger::{Ledger, nothing_for};
use crate::support::WorkerProcess;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_back_from_the_dead_writes_nothing_more() {
    let mut ledger = Ledger::create().await;
    let zombie = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&zombie).await;
    ledger.write(30).await;
    ledger.all_arrive(&zombie, 40).await;

    // Something is under way in its files and in its producer when it falls silent.
    ledger.write(30).await;
    zombie.signal("STOP");
    ledger.write(30).await;
    let successor = WorkerProcess::start(&ledger.pipeline.options);
    ledger.all_arrive(&successor, 90).await;

    zombie.signal("CONT");
    ledger.write(30).await;
    ledger.all_arrive(&successor, 60).await;
    nothing_for(5).await;
    ledger.assert_each_offset_once();
    let log = std::fs::read_to_string(&zombie.log).expect("the zombie's log");
    assert!(log.contains("the lease was taken over or is gone"), "{log}");
    let (host, port) =
        successor.url.trim_start_matches("http://").split_once(':').expect("an address");
    ledger.are(&successor, "RUNNING", Some("RUNNING")).await;
    for side in ["source", "sink"] {
        let url = format!("{}/connectors/{}-{side}/status", successor.url, ledger.pipeline.prefix);
        let status = crate::support::pipeline::get(&url).await.expect("a status");
        assert_eq!(status["tasks"][0]["worker_id"], format!("{host}:{port}"), "{status}");
    }
}
