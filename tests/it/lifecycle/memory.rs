//! Memory stays within its bound: under a big transaction, a big value, and a broker that stands still.
//!
//! `FERROCONNECT_TEST_MEMORY_ROWS=2000000` and `FERROCONNECT_TEST_MEMORY_VALUE_MB=100` make them as big as the
//! bound is promised for. (A value of 100 MB is there three times for a moment, which an unoptimised worker,
//! larger by itself, does not quite have room for.)

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::pipeline::{Pipeline, get};
use crate::support::{OwnServer, WorkerProcess, eventually_async, services};

const MIB: u64 = 1024 * 1024;
/// Beside the largest row.
const PEAK_BYTES_MAX: u64 = 256 * MIB;
const ROWS: usize = 200_000;
const VALUE_MB: usize = 30;

fn rows() -> usize {
    services().number("FERROCONNECT_TEST_MEMORY_ROWS", ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_big_transaction_stays_within_its_memory() {
    one_big_transaction("", json!({"streaming.in.progress": "false"})).await;
}

/// What the server sends before the commit is on disk, not in memory.
#[tokio::test(flavor = "multi_thread")]
async fn one_big_transaction_in_progress_stays_within_its_memory() {
    let eager = "set logical_decoding_work_mem = '1MB'";
    one_big_transaction(eager, json!({"streaming.in.progress": "true"})).await;
}

async fn one_big_transaction(server: &str, more: Value) {
    let (pipeline, client) = captured("name text").await;
    if !server.is_empty() {
        let alter = format!("alter database {} {server}", pipeline.source.name);
        client.batch_execute(&alter).await.expect("a setting");
    }
    let worker = WorkerProcess::start(&pipeline.options);
    post(&pipeline, &worker, more).await;
    stored_past(&pipeline, &worker, 0).await;
    insert(&client, 1, rows()).await;
    let end = end_of_log(&client).await;
    // What follows makes the position behind the big one a commit's.
    client.batch_execute("insert into big values (0, 'the end')").await.expect("a row");
    stored_past(&pipeline, &worker, end).await;
    assert_peak(&worker, 0);
}

/// The value alone may take memory of its own size.
#[tokio::test(flavor = "multi_thread")]
async fn a_big_value_takes_its_own_size() {
    let megabytes = services().number("FERROCONNECT_TEST_MEMORY_VALUE_MB", VALUE_MB);
    let (pipeline, client) = captured("value jsonb").await;
    let worker = WorkerProcess::start(&pipeline.options);
    // Compressed, it is small: what the broker takes is not the matter here.
    let large = json!({
        "producer.override.max.request.size": "400000000",
        "producer.override.buffer.memory": "400000000",
        "producer.override.compression.type": "lz4",
    });
    post(&pipeline, &worker, large).await;
    stored_past(&pipeline, &worker, 0).await;
    let insert =
        format!("insert into big values (1, to_jsonb(repeat('0123456789', {megabytes} * 100000)))");
    client.batch_execute(&insert).await.expect("a big value");
    let end = end_of_log(&client).await;
    client.batch_execute("insert into big values (0, '1')").await.expect("a row");
    stored_past(&pipeline, &worker, end).await;
    assert_peak(&worker, megabytes as u64 * 1_000_000);
}

/// The stream waits for the broker, and the server keeps what comes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stands_still_holds_the_stream_up() {
    let broker = OwnServer::kafka();
    let (mut pipeline, client) = captured("name text").await;
    let bootstrap = ("BOOTSTRAP_SERVERS".to_owned(), format!("127.0.0.1:{}", broker.port));
    pipeline.options.environment.push(bootstrap);
    let worker = WorkerProcess::start(&pipeline.options);
    post(&pipeline, &worker, json!({})).await;
    insert(&client, 1, 10).await;
    let end = end_of_log(&client).await;
    insert(&client, 11, 11).await;
    stored_past(&pipeline, &worker, end).await;
    broker.signal("STOP");
    let part = rows() / 20;
    for first in (0..20).map(|number| 100 + number * part) {
        insert(&client, first, first + part - 1).await;
    }
    // All that fits between the server and the broker is full.
    let sent = "select (sent_lsn - '0/0')::bigint from pg_stat_replication r \
                join pg_replication_slots s on s.active_pid = r.pid where slot_name = $1";
    let end = end_of_log(&client).await;
    let mut last = (-1, 0);
    while last.1 < 5 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now: i64 =
            client.query_one(sent, &[&pipeline.prefix]).await.expect("it streams").get(0);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
    }
    assert!(last.0 < end, "the stream was not held up: {} of {end}", last.0);
    assert_peak(&worker, 0);
    broker.signal("CONT");
    insert(&client, 0, 0).await;
    stored_past(&pipeline, &worker, end).await;
    assert_peak(&worker, 0);
    let status = get(&format!("{}/connectors/{}-source/status", worker.url, pipeline.prefix)).await;
    assert_eq!(status.expect("a status")["tasks"][0]["state"], "RUNNING");
}

/// A table `big` with an id and this column, to be captured.
async fn captured(column: &str) -> (Pipeline, Client) {
    let pipeline = Pipeline::create().await;
    let client = pipeline.source.connect().await;
    let create = format!("create table big (id bigint primary key, {column})");
    client.batch_execute(&create).await.expect("a table");
    (pipeline, client)
}

async fn post(pipeline: &Pipeline, worker: &WorkerProcess, more: Value) {
    let mut file = pipeline.source_file("public.big");
    for (key, value) in more.as_object().expect("settings") {
        file["config"][key] = value.clone();
    }
    pipeline.post(worker, &file).await;
}

async fn insert(client: &Client, first: usize, last: usize) {
    let insert = format!(
        "insert into big select n, repeat(md5(n::text), 4) from generate_series({first}, {last}) n"
    );
    client.batch_execute(&insert).await.expect("rows");
}

async fn end_of_log(client: &Client) -> i64 {
    let query = "select (pg_current_wal_lsn() - '0/0')::bigint";
    client.query_one(query, &[]).await.expect("a position").get(0)
}

fn assert_peak(worker: &WorkerProcess, largest_row: u64) {
    let peak = worker.peak_memory();
    assert!(peak < PEAK_BYTES_MAX + largest_row, "{} MiB", peak / MIB);
}

/// Waits until the stored offset is this far.
async fn stored_past(pipeline: &Pipeline, worker: &WorkerProcess, lsn: i64) {
    let base = format!("{}/connectors/{}-source", worker.url, pipeline.prefix);
    eventually_async("the position to be stored", 240, || {
        let base = base.clone();
        async move {
            let offsets = get(&format!("{base}/offsets")).await?;
            let stored = offsets["offsets"][0]["offset"]["lsn"].as_i64().unwrap_or(-1);
            if stored >= lsn {
                return Ok(());
            }
            let status = get(&format!("{base}/status")).await?;
            assert_ne!(status["tasks"][0]["state"], "FAILED", "{status:#}");
            Err(offsets.to_string())
        }
    })
    .await;
}
