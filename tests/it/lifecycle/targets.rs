//! Pause, resume, stop and restart under load: nothing is lost, nothing repeated.

use super::ledger::{Ledger, nothing_for};
use crate::support::pipeline::get;
use crate::support::{WorkerProcess, eventually_async};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_stopped_and_restarted_goes_on_where_it_was() {
    let mut ledger = Ledger::create().await;
    let worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&worker).await;
    ledger.are(&worker, "RUNNING", Some("RUNNING")).await;
    ledger.write(50).await;
    ledger.all_arrive(&worker, 40).await;

    ledger.ask(&worker, "PUT", "/pause").await;
    ledger.are(&worker, "PAUSED", Some("PAUSED")).await;
    ledger.write(50).await;
    nothing_for(2).await;
    assert_eq!(ledger.arrived().len(), 50, "what is paused moves nothing");
    ledger.ask(&worker, "PUT", "/resume").await;
    ledger.all_arrive(&worker, 40).await;

    ledger.ask(&worker, "PUT", "/stop").await;
    ledger.are(&worker, "STOPPED", None).await;
    ledger.write(50).await;
    ledger.ask(&worker, "PUT", "/resume").await;
    ledger.are(&worker, "RUNNING", Some("RUNNING")).await;
    ledger.all_arrive(&worker, 40).await;

    for _ in 0..3 {
        ledger.write(20).await;
        ledger.ask(&worker, "POST", "/restart?includeTasks=true").await;
    }
    ledger.write(1).await;
    ledger.all_arrive(&worker, 40).await;
    ledger.assert_each_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_end_drains_and_its_successor_repeats_nothing() {
    let mut ledger = Ledger::create().await;
    let mut worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&worker).await;
    ledger.write(10).await;
    ledger.all_arrive(&worker, 40).await;
    for _ in 0..3 {
        ledger.write(30).await;
        assert!(worker.terminate(), "status 0 on SIGTERM");
        worker = WorkerProcess::start(&ledger.pipeline.options);
    }
    ledger.all_arrive(&worker, 40).await;
    ledger.assert_each_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_worker_at_once() {
    let mut ledger = Ledger::create().await;
    // The stop waits for a broker that never answers for longer than the test.
    let timeout = ("FERROCONNECT_TASK_SHUTDOWN_GRACEFUL_TIMEOUT_MS".to_owned(), "60000".to_owned());
    ledger.pipeline.options.environment.push(timeout);
    ledger.pipeline.options.failpoints = Some("source.before-store=sleep(60000)".to_owned());
    let mut worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&worker).await;
    ledger.write(1).await;
    let produced =
        || ledger.source_metric(&worker, "kafka_connect_source_task_source_record_write_total");
    while produced().await < 1.0 {
        nothing_for(1).await;
    }
    worker.signal("TERM");
    nothing_for(2).await;
    let asked = std::time::Instant::now();
    worker.signal("TERM");
    let status = worker.wait(20);
    assert!(asked.elapsed().as_secs() < 5, "at once, not after {:?}", asked.elapsed());
    assert_eq!(status.code(), Some(130));

    ledger.pipeline.options.failpoints = None;
    let worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.all_arrive(&worker, 40).await;
    ledger.assert_each_offset_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_is_failed_with_its_message_and_the_worker_lives() {
    let mut ledger = Ledger::create().await;
    ledger.pipeline.options.failpoints =
        Some("source.after-produce=1*panic(the task's own bug)".to_owned());
    let mut worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&worker).await;
    ledger.write(20).await;
    let status = format!("{}/connectors/{}-source/status", worker.url, ledger.pipeline.prefix);
    eventually_async("the task to fail", 40, || async {
        let status = get(&status).await?;
        let task = &status["tasks"][0];
        let trace = task["trace"].as_str().unwrap_or_default();
        let told = trace.contains("panicked at") && trace.contains("the task's own bug");
        let fine = status["connector"]["state"] == "RUNNING" && task["state"] == "FAILED";
        if told && fine { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    // A bug waits for a person; whoever restarts the task gets everything.
    ledger.ask(&worker, "POST", "/restart?includeTasks=true").await;
    ledger.write(20).await;
    ledger.all_arrive(&worker, 60).await;
    ledger.assert_each_offset_once();
    assert!(worker.terminate(), "status 0 on SIGTERM");
}
