//! Memory stays within its bound however big a transaction is.
//!
//! `FERROCONNECT_TEST_MEMORY_ROWS=2000000` makes the transaction as big as the bound is promised for.

use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerProcess, eventually_async};

const PEAK_BYTES_MAX: u64 = 256 * 1024 * 1024;
const ROWS: i64 = 200_000;

#[expect(clippy::disallowed_methods, reason = "the test's own setting")]
fn rows() -> i64 {
    std::env::var("FERROCONNECT_TEST_MEMORY_ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_big_transaction_stays_within_its_memory() {
    let pipeline = Pipeline::create().await;
    let client = pipeline.source.connect().await;
    let create = "create table big (id bigint primary key, name text)";
    client.batch_execute(create).await.expect("a table");
    let worker = WorkerProcess::start(&pipeline.options);
    pipeline.post(&worker, &pipeline.source_file("public.big")).await;
    stored_past(&pipeline, &worker, 0).await;
    let insert = format!(
        "insert into big select n, repeat(md5(n::text), 4) from generate_series(1, {}) n",
        rows()
    );
    client.batch_execute(&insert).await.expect("a big transaction");
    let query = "select (pg_current_wal_lsn() - '0/0')::bigint";
    let end: i64 = client.query_one(query, &[]).await.expect("a position").get(0);
    // What follows makes the position behind the big one a commit's.
    client.batch_execute("insert into big values (0, 'the end')").await.expect("a row");
    stored_past(&pipeline, &worker, end).await;
    let peak = worker.peak_memory();
    assert!(peak < PEAK_BYTES_MAX, "{} MiB", peak / (1024 * 1024));
}

/// Waits until the stored offset is this far.
async fn stored_past(pipeline: &Pipeline, worker: &WorkerProcess, lsn: i64) {
    let url = format!("{}/connectors/{}-source/offsets", worker.url, pipeline.prefix);
    eventually_async("the position to be stored", 240, || {
        let url = url.clone();
        async move {
            let offsets = get(&url).await?;
            let stored = offsets["offsets"][0]["offset"]["lsn"].as_i64().unwrap_or(-1);
            if stored >= lsn { Ok(()) } else { Err(offsets.to_string()) }
        }
    })
    .await;
}
