//! PostgreSQL is the oracle: what a table was after each transaction is what `as_of` says of that time,
//! after the way through the log, Kafka, S3 and DuckDB.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};

use super::{folder, rows};
use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerProcess, eventually_async};

const CREATE: &str = "
    create table items (id bigint primary key, name text, price numeric(10,2), big text, seen timestamptz);
    alter table items alter column big set storage external;
    insert into items values (1, 'there before', 1.50, repeat('x', 3000), '2026-01-01Z')";

const STATE: &str = "select coalesce(string_agg(concat_ws('|', id::text, coalesce(name, '-'), coalesce(price::text, '-'), md5(big),
           to_char(seen at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US')), E'\\n' order by id), '') from items";

/// The rows with `name`, `price` and `big` as PostgreSQL shows them above.
const HISTORY: &str = "select concat_ws('|', id::varchar, coalesce(name, '-'), coalesce(price::varchar, '-'), md5(big),
           strftime(seen, '%Y-%m-%d %H:%M:%S.%f'))";

/// A statement, before it is known which rows are there: most of them hit one of few ids.
fn statement() -> impl Strategy<Value = String> {
    let id = 1..7_i64;
    let name = proptest::option::of("[a-c]{1,2}");
    let values = (id, name, 0..400_i64, 0..12_u8);
    values.prop_map(|(id, name, cents, action)| {
        let name = name.map_or("null".to_owned(), |name| format!("'{name}'"));
        let price = format!("{}.{:02}", cents / 100, cents % 100);
        match action {
            0..=3 => format!(
                "insert into items values ({id}, {name}, {price}, repeat('{}', 2500), now()) on conflict (id) do nothing",
                cents % 10
            ),
            // The large value stays: the log does not repeat it.
            4..=6 => format!("update items set name = {name}, price = {price} where id = {id}"),
            7 => format!("update items set big = repeat('{}', 2700) where id = {id}", cents % 10),
            8 => format!("update items set big = null, name = {name} where id = {id}"),
            9 => format!("delete from items where id = {id}"),
            // A new key brings all its values: one that the log does not repeat would be unknown.
            10 => format!(
                "update items set id = {other}, big = repeat('k', 2600) where id = {id} and not exists (select from items where id = {other})",
                other = id % 6 + 1
            ),
            _ => format!("update items set name = name where id = {id}"),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_tell_what_postgres_held_at_each_commit() {
    check(1, |config| {
        config.remove("transforms");
        config.insert("tombstones.on.delete".to_owned(), json!("false"));
        config.insert("skipped.operations".to_owned(), json!("none"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flattened_rows_with_added_fields_tell_what_postgres_held_at_each_commit() {
    check(2, |config| {
        let fields = json!("op,source.ts_us,source.lsn");
        config.insert("transforms.unwrap.add.fields".to_owned(), fields);
    })
    .await;
}

async fn check(seed: u64, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let pipeline = Pipeline::create().await;
    let worker = WorkerProcess::start(&pipeline.options);
    let folder = folder();
    let database = folder.join("history.duckdb");
    let client = pipeline.source.connect().await;
    client.batch_execute(CREATE).await.unwrap();
    post_all(&pipeline, &worker, &database, edit).await;
    // The snapshot is through before the first change: from here on the log is complete.
    shows(&worker, &database, "select id from items_current", "1").await;
    let recorded = perform(&client, seed).await;
    client.batch_execute("insert into items values (999, 'the end')").await.unwrap();
    shows(&worker, &database, "select id from items_current where id = 999", "999").await;
    let mut states = BTreeSet::new();
    for (time, state) in &recorded {
        let sql = format!("{HISTORY} from items_as_of('{time}') order by id");
        let found = eventually_async("the database", 30, || async { rows(&database, &sql) }).await;
        assert_eq!(found.join("\n"), *state, "as of {time}");
        states.insert(state.clone());
    }
    assert!(20 < states.len(), "the workload changes the table: {} states", states.len());
    // Now that it is quiet, `verify --against` finds both sides equal.
    let against = || {
        let (database, url) = (database.clone(), pipeline.source.url.clone());
        async move {
            let config = ferroconnect_analytics::Config::new("", database);
            let compared = tokio::task::spawn_blocking(move || {
                ferroconnect_analytics::against(&config, &[], &url)
            });
            compared.await.unwrap().map_err(|error| error.to_string())
        }
    };
    let found = eventually_async("the comparison", 30, against).await;
    let of = &found[0];
    assert_eq!((of.missing, of.surplus, of.different), (0, 0, 0), "{of:?}");
    assert!(0 < of.rows && of.not_compared.is_empty(), "{of:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Source, sink and history tables, all three as connectors of one worker.
async fn post_all(
    pipeline: &Pipeline,
    worker: &WorkerProcess,
    database: &Path,
    edit: impl FnOnce(&mut serde_json::Map<String, Value>),
) {
    let mut source = pipeline.source_file("public.items");
    edit(source["config"].as_object_mut().unwrap());
    pipeline.post(worker, &source).await;
    let mut sink = pipeline.sink_file(&format!("{}.public.items", pipeline.prefix));
    // Small files, so that a run does not find everything in one.
    sink["config"]["flush.size"] = json!(7);
    pipeline.post(worker, &sink).await;
    let history = json!({
        "name": format!("{}-history", pipeline.prefix),
        "config": {
            "connector.class": "DuckDbScd2Sink",
            "scd2.source": format!("s3://{}/cdc_data", pipeline.bucket),
            "scd2.database": database.to_str().unwrap(),
            "scd2.poll.interval.ms": "300",
        }
    });
    pipeline.post(worker, &history).await;
}

/// Random transactions; what the table was after each, with a time between it and the next.
async fn perform(client: &tokio_postgres::Client, seed: u64) -> Vec<(String, String)> {
    let config =
        Config { rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let transaction = proptest::collection::vec(statement(), 1..4);
    let transactions = proptest::collection::vec(transaction, 60);
    let transactions = transactions.new_tree(&mut runner).unwrap().current();
    let mut recorded = Vec::new();
    for (number, transaction) in transactions.iter().enumerate() {
        let end = if number % 9 == 8 { "rollback" } else { "commit" };
        let text = format!("begin; {}; {end}", transaction.join("; "));
        client.batch_execute(&text).await.unwrap();
        if seed == 1 && number == 40 {
            client.batch_execute("truncate items").await.unwrap();
        }
        let time =
            "select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US')";
        let time: String = client.query_one(time, &[]).await.unwrap().get(0);
        let state: String = client.query_one(STATE, &[]).await.unwrap().get(0);
        recorded.push((time, state));
    }
    recorded
}

async fn shows(worker: &WorkerProcess, database: &Path, sql: &str, expected: &str) {
    eventually_async("the history", 60, || async {
        match rows(database, sql) {
            Ok(found) if found == [expected] => Ok(()),
            found => {
                let status = get(&format!("{}/connectors?expand=status", worker.url)).await?;
                Err(format!("{found:?}; {status}"))
            }
        }
    })
    .await;
}
