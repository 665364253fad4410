//! Kafka or the source's database away under the whole pipeline: nothing is lost, tasks stay RUNNING,
//! say why and when they try again, and go on by themselves.

use std::time::Duration;

use super::ledger::{Ledger, nothing_for};
use crate::support::pipeline::get;
use crate::support::{OwnServer, WorkerProcess, eventually_async, services};

/// How long the broker is away; `FERROCONNECT_TEST_BROKER_AWAY_SECONDS=60` in `make kill-test`.
const AWAY_SECONDS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn what_commits_while_kafka_is_away_arrives_when_it_is_back() {
    let away = services().number("FERROCONNECT_TEST_BROKER_AWAY_SECONDS", AWAY_SECONDS) as u64;
    let mut kafka = OwnServer::kafka();
    let mut ledger = Ledger::create().await;
    let brokers = ("BOOTSTRAP_SERVERS".to_owned(), format!("127.0.0.1:{}", kafka.port));
    ledger.pipeline.options.environment.push(brokers);
    let worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&worker).await;
    ledger.write(30).await;
    ledger.all_arrive(&worker, 60).await;

    kafka.stop();
    let began = std::time::Instant::now();
    ledger.write(100).await;
    let health =
        format!("{}/ferroconnect/connectors/{}-source/health", worker.url, ledger.pipeline.prefix);
    eventually_async("the health to name Kafka", 40, || async {
        let health = get(&health).await?.to_string();
        if health.contains("waiting for Kafka") { Ok(()) } else { Err(health) }
    })
    .await;
    while began.elapsed() < Duration::from_secs(away) {
        nothing_for(1).await;
        ledger.write(1).await;
    }
    ledger.are(&worker, "RUNNING", Some("RUNNING")).await;
    kafka.go_on();
    ledger.all_arrive(&worker, 90).await;
    ledger.assert_each_once();
    ledger.are(&worker, "RUNNING", Some("RUNNING")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_task_whose_source_is_away_names_the_cause_and_the_next_attempt() {
    let mut ledger = Ledger::create().await;
    let worker = WorkerProcess::start(&ledger.pipeline.options);
    ledger.post(&worker).await;
    ledger.write(20).await;
    ledger.all_arrive(&worker, 60).await;

    ledger.pipeline.allow_source(false).await;
    let url = format!("{}/ferroconnect/connectors/{}", worker.url, ledger.pipeline.prefix);
    eventually_async("cause and next attempt", 60, || async {
        let health = get(&format!("{url}-source/health")).await?;
        let task = &health["tasks"][0];
        let condition = task["condition"].as_str().unwrap_or_default();
        let told =
            condition.contains("; next attempt at 20") && condition.contains("not currently");
        let fine = task["state"] == "RUNNING" && task["id"] == 0;
        if told && fine { Ok(()) } else { Err(health.to_string()) }
    })
    .await;
    // Clients of the original take a trace for a failure.
    let status = format!("{}/connectors/{}-source/status", worker.url, ledger.pipeline.prefix);
    let status = get(&status).await.expect("a status");
    assert!(status["tasks"][0].get("trace").is_none(), "{status}");
    let retrying = ledger.source_metric(&worker, "ferroconnect_task_retrying").await;
    let next = ledger.source_metric(&worker, "ferroconnect_task_next_attempt_timestamp_seconds");
    assert!(retrying == 1.0 && 1_700_000_000.0 < next.await);

    ledger.pipeline.allow_source(true).await;
    ledger.connect().await;
    ledger.write(20).await;
    ledger.all_arrive(&worker, 90).await;
    ledger.assert_each_once();
    eventually_async("the condition to be gone", 30, || async {
        let health = get(&format!("{url}-source/health")).await?;
        if health["tasks"][0]["condition"].is_null() { Ok(()) } else { Err(health.to_string()) }
    })
    .await;
}
