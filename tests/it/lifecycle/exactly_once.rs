//! `exactly.once.source.support=enabled`: the worker is killed at random while writers work, and a
//! reader of committed records finds every change once, none twice.
//!
//! `FERROCONNECT_TEST_KILLS=30` kills more often than the gate has time for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ferroconnect::kafka::{ConsumerEvent, read_compacted};
use serde_json::Value;

use super::kill::{
    Change, SNAPSHOT_ROWS, Writers, create_ledger, insert_the_end, kill_and_restart,
    wait_for_the_snapshot,
};
use crate::kafka::Clients;
use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerOptions, WorkerProcess, eventually_async, services, unique};

/// Where the worker dies as it passes for the third time: with everything sent and nothing committed,
/// and with everything committed and nobody told.
const POINTS: [&str; 3] = ["source.before-commit", "source.after-commit", "source.before-store"];

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_leave_no_gap_and_no_repeat() {
    let kills = services().number("FERROCONNECT_TEST_KILLS", 6);
    let (pipeline, offsets_topic) = exactly_once_pipeline().await;
    let client = pipeline.source.connect().await;
    create_ledger(&client).await;
    let mut worker = WorkerProcess::start(&pipeline.options);
    pipeline.post(&worker, &pipeline.source_file("public.ledger")).await;
    for kill in 0..kills / 3 {
        pause(400 + (kill * 311) % 900).await;
        worker = kill_and_restart(worker, &pipeline);
    }
    wait_for_the_snapshot(&pipeline, &worker).await;

    let writers = Writers::start(&pipeline, 2_000_000).await;
    for kill in kills / 3..kills {
        pause(500 + (kill * 377) % 1_900).await;
        worker = kill_and_restart(worker, &pipeline);
    }
    for point in POINTS {
        let failpoints = Some(format!("{point}=2*off->pause"));
        worker.kill();
        worker = WorkerProcess::start(&WorkerOptions { failpoints, ..pipeline.options.clone() });
        pause(2_500).await;
        worker = kill_and_restart(worker, &pipeline);
    }
    let written = writers.stop().await;
    assert!(written.len() > 500, "too little was written to prove anything: {}", written.len());
    insert_the_end(&client).await;

    let read = read_to_the_end(&format!("{}.public.ledger", pipeline.prefix)).await;
    assert_each_once(&written, &read);
    assert_mirrored(&pipeline, &worker, &offsets_topic).await;
    assert!(worker.terminate(), "the worker ends with status 0 on SIGTERM");
}

/// A pipeline whose worker delivers exactly once, and its offsets topic.
async fn exactly_once_pipeline() -> (Pipeline, String) {
    let mut pipeline = Pipeline::create().await;
    let offsets_topic = unique("offsets");
    pipeline.options.environment.extend(
        [
            ("CONNECT_EXACTLY_ONCE_SOURCE_SUPPORT", "enabled"),
            ("OFFSET_STORAGE_TOPIC", &offsets_topic),
            ("CONNECT_OFFSET_STORAGE_PARTITIONS", "3"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    (pipeline, offsets_topic)
}

/// Every committed change of `topic`, up to the row that was written last.
async fn read_to_the_end(topic: &str) -> Vec<Change> {
    let mut consumer = Clients::new().consumer(&unique("reader"), &[topic.to_owned()]);
    let mut changes = Vec::new();
    let until = Instant::now() + Duration::from_secs(120);
    while Instant::now() < until {
        // A transaction that a kill left open holds readers up for a while.
        let event = tokio::time::timeout(Duration::from_secs(1), consumer.next());
        let Ok(event) = event.await else { continue };
        match event {
            ConsumerEvent::Assigned(partitions) => {
                let all: Vec<_> = partitions.into_iter().map(|each| (each, Some(0))).collect();
                consumer.assign(&all).unwrap();
            }
            ConsumerEvent::Batch(batch) => {
                for message in &batch.messages {
                    let value = message.value.expect("tombstones are dropped");
                    changes.push(change(batch.bytes(value)));
                }
            }
            other => panic!("{other:?}"),
        }
        if changes.iter().any(|change| change.id == -1) {
            consumer.close(Duration::from_secs(5)).await;
            return changes;
        }
    }
    panic!("the last row has not come behind {} changes", changes.len());
}

fn change(value: &[u8]) -> Change {
    let value: Value = serde_json::from_slice(value).expect("JSON");
    let row = &value["payload"];
    Change {
        id: row["id"].as_i64().expect("an id"),
        version: row["version"].as_i64().and_then(|version| version.try_into().ok()).unwrap_or(0),
        deleted: row["__deleted"] == "true",
    }
}

fn assert_each_once(written: &[Change], read: &[Change]) {
    let mut counts: BTreeMap<Change, usize> = BTreeMap::new();
    for change in read {
        *counts.entry(*change).or_default() += 1;
    }
    let repeated: Vec<_> = counts.iter().filter(|(_, count)| 1 < **count).collect();
    assert!(repeated.is_empty(), "{} repeats, first {:?}", repeated.len(), repeated[0]);
    let missing: Vec<_> = written.iter().filter(|change| !counts.contains_key(change)).collect();
    assert!(missing.is_empty(), "{} are missing, first {:?}", missing.len(), missing[0]);
    let expected = written.len() + usize::try_from(SNAPSHOT_ROWS).unwrap() + 1;
    assert_eq!(read.len(), expected, "the snapshot's rows, the changes, and the last row");
    let mut places = BTreeMap::new();
    for change in read {
        let before = places.insert(change.id, change.place()).unwrap_or(-1);
        assert_eq!(change.place(), before + 1, "{change:?} behind the change {before} of its row");
    }
}

/// The offsets topic has the offset in the original's form, and the state database the same.
async fn assert_mirrored(pipeline: &Pipeline, worker: &WorkerProcess, topic: &str) {
    let name = format!("{}-source", pipeline.prefix);
    let key = format!("[\"{name}\",{{\"server\":\"{}\"}}]", pipeline.prefix);
    let clients = Clients::new();
    eventually_async("the state database to follow the topic", 30, || async {
        let read = read_compacted(&clients.props(), topic, Duration::from_secs(20)).await;
        let latest = read.unwrap().expect("the topic");
        assert_eq!(latest.keys().collect::<Vec<_>>(), [key.as_bytes()]);
        let recorded: Value = serde_json::from_slice(&latest[key.as_bytes()]).unwrap();
        let shown = get(&format!("{}/connectors/{name}/offsets", worker.url)).await?;
        let same = shown["offsets"][0]["offset"] == recorded;
        if same { Ok(()) } else { Err(format!("{recorded} {shown}")) }
    })
    .await;
}

async fn pause(milliseconds: usize) {
    tokio::time::sleep(Duration::from_millis(milliseconds as u64)).await;
}

/// Offsets that are changed through the REST API are where the task goes on, although the topic had
/// others; forgotten ones are forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn changed_offsets_hold_over_those_of_the_topic() {
    let (pipeline, topic) = exactly_once_pipeline().await;
    let client = pipeline.source.connect().await;
    client
        .batch_execute("create table t (id int primary key); insert into t values (1), (2)")
        .await
        .unwrap();
    let worker = WorkerProcess::start(&pipeline.options);
    pipeline.post(&worker, &pipeline.source_file("public.t")).await;
    wait_for_the_snapshot(&pipeline, &worker).await;
    let http = reqwest::Client::new();
    let url = format!("{}/connectors/{}-source", worker.url, pipeline.prefix);
    http.put(format!("{url}/stop")).send().await.unwrap();
    let answer = http.delete(format!("{url}/offsets")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    let clients = Clients::new();
    let latest = read_compacted(&clients.props(), &topic, Duration::from_secs(20)).await.unwrap();
    assert!(latest.expect("the topic").is_empty(), "the offset is forgotten");
    http.put(format!("{url}/resume")).send().await.unwrap();
    // Both rows come again: the source begins anew.
    let changes = format!("{}.public.t", pipeline.prefix);
    let mut consumer = clients.consumer(&unique("reader"), &[changes]);
    let mut read = 0;
    while read < 4 {
        let event = tokio::time::timeout(Duration::from_secs(60), consumer.next());
        match event.await.expect("all rows once more") {
            ConsumerEvent::Assigned(partitions) => {
                let all: Vec<_> = partitions.into_iter().map(|each| (each, Some(0))).collect();
                consumer.assign(&all).unwrap();
            }
            ConsumerEvent::Batch(batch) => read += batch.messages.len(),
            other => panic!("{other:?}"),
        }
    }
    consumer.close(Duration::from_secs(5)).await;
}
