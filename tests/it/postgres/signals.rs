//! Signals: incremental and blocking snapshots beside the stream, and what is told of them.

use std::collections::BTreeMap;

use ferroconnect::data::SourceOffset;
use serde_json::{Value, json};

use super::source::{Event, Source, config};
use crate::support::TestDatabase;

const TABLES: &str = "\
    create schema inv;
    create table inv.sig (id text primary key, type text, data text);
    create table inv.a (id int primary key, version int not null default 0, twice int generated \
        always as (version * 2) stored);
    create table inv.pair (x int, y text, v int, primary key (x, y));
    create table inv.keyless (v int);
    create table inv.empty (id int primary key);";

async fn filled(rows: i32) -> (TestDatabase, tokio_postgres::Client) {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let fill = format!("insert into inv.a select n, 0 from generate_series(1, {rows}) n");
    client.batch_execute(&fill).await.unwrap();
    (database, client)
}

const NOTES: &str = "notes";
const BASE: [(&str, &str); 6] = [
    ("snapshot.mode", "no_data"),
    ("table.include.list", "inv.(a|pair|keyless|empty|more)"),
    ("signal.data.collection", "inv.sig"),
    ("incremental.snapshot.chunk.size", "1000"),
    ("notification.enabled.channels", "sink,log"),
    ("notification.sink.topic.name", NOTES),
];

/// A source whose stream has begun, and what came until then.
async fn streaming(
    database: &TestDatabase,
    more: &[(&str, &str)],
    stored: Option<SourceOffset>,
) -> (Source, Vec<Event>) {
    let settings: Vec<_> = BASE.iter().chain(more).copied().collect();
    let mut source = Source::start(&config(database, &settings), stored, false);
    // Skipped, says the first record.
    let mut events = source.poll().await.unwrap();
    assert_eq!(notes(&events), ["Initial Snapshot SKIPPED"]);
    let client = database.connect().await;
    let active = "select count(*) from pg_replication_slots s \
                  join pg_stat_replication r on r.pid = s.active_pid \
                  where slot_name = $1 and r.state = 'streaming'";
    for _ in 0..50 {
        let streaming: i64 = client.query_one(active, &[&database.name]).await.unwrap().get(0);
        if streaming == 1 {
            return (source, events);
        }
        events.extend(source.rest(300).await);
    }
    panic!("the stream does not begin");
}

async fn signal(client: &tokio_postgres::Client, id: &str, kind: &str, data: &Value) {
    let insert = "insert into inv.sig values ($1, $2, $3)";
    client.execute(insert, &[&id, &kind, &data.to_string()]).await.unwrap();
}

fn notes(events: &[Event]) -> Vec<String> {
    let notes = events.iter().filter(|event| event.topic == NOTES);
    notes
        .map(|event| {
            let text = |name: &str| event.value[name].as_str().unwrap().to_owned();
            let status = event.value["additional_data"]["status"].as_str();
            let status = status.map(|status| format!(" {status}")).unwrap_or_default();
            format!("{} {}{status}", text("aggregate_type"), text("type"))
        })
        .collect()
}

/// Polls until a notification of this type.
async fn until(source: &mut Source, kind: &str) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        events.extend(source.poll().await.unwrap());
        let told = |event: &Event| event.topic == NOTES && event.value["type"] == kind;
        if events.iter().any(told) {
            return events;
        }
    }
}

fn reads<'a>(events: &'a [Event], topic: &str) -> Vec<&'a Event> {
    let topic = format!("srv.{topic}");
    events.iter().filter(|event| event.topic == topic && event.value["op"] == "r").collect()
}

fn ids(events: &[&Event]) -> Vec<i64> {
    events.iter().map(|event| event.key["id"].as_i64().unwrap()).collect()
}

/// What the records about the signalling table and about `topic` are, in short, runs put together.
fn story(events: &[Event]) -> Vec<String> {
    let mut story: Vec<String> = Vec::new();
    for event in events {
        let what = if event.topic == NOTES {
            format!("told {}", event.value["type"].as_str().unwrap())
        } else if event.topic == "srv.inv.sig" {
            let row = if event.value["after"].is_null() { "before" } else { "after" };
            let kind = event.value[row]["type"].as_str().unwrap_or("row");
            format!("{} {kind}", event.value["op"].as_str().unwrap_or("tombstone"))
        } else {
            event.value["op"].as_str().unwrap_or("tombstone").to_owned()
        };
        if story.last() != Some(&what) {
            story.push(what);
        }
    }
    story
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_has_a_table_read_in_chunks() {
    let (database, client) = filled(2500).await;
    let (mut source, _) = streaming(&database, &[], None).await;
    signal(&client, "s1", "execute-snapshot", &json!({"data-collections": ["inv.a"]})).await;
    let events = until(&mut source, "COMPLETED").await;
    let read = reads(&events, "inv.a");
    assert_eq!(ids(&read), (1..=2500).collect::<Vec<_>>());
    let first = &read[0].value;
    assert_eq!(first["source"]["snapshot"], "incremental");
    assert_eq!((&first["source"]["lsn"], &first["source"]["txId"]), (&json!(null), &json!(null)));
    assert!(first["source"]["sequence"].as_str().unwrap().contains(','), "{first}");
    assert_eq!(
        first["after"],
        json!({"id": 1, "version": 0}),
        "generated columns are not streamed"
    );
    assert_eq!(first["before"], json!(null));
    assert!(read[0].headers.contains(&"__debezium.context.runId".to_owned()));
    // A chunk is told beside the stream: before or behind the record of its window.
    let mut story = story(&events);
    assert_eq!(story[0], "told STARTED");
    story.retain(|what| !what.starts_with("told"));
    assert_eq!(
        story[..5],
        [
            "c execute-snapshot",
            "c snapshot-window-open",
            "r",
            "c snapshot-window-close",
            "c snapshot-window-open",
        ]
        .map(str::to_owned),
        "{story:?}"
    );
    assert_eq!(
        notes(&events),
        [
            "Incremental Snapshot STARTED",
            "Incremental Snapshot IN_PROGRESS",
            "Incremental Snapshot IN_PROGRESS",
            "Incremental Snapshot IN_PROGRESS",
            "Incremental Snapshot TABLE_SCAN_COMPLETED SUCCEEDED",
            "Incremental Snapshot COMPLETED",
        ]
    );
    let told = events.iter().find(|event| event.value["type"] == "IN_PROGRESS").unwrap();
    assert_eq!(told.key["id"], "s1");
    assert_eq!(
        told.value["additional_data"],
        json!({
            "connector_name": "srv", "data_collections": "inv.a",
            "current_collection_in_progress": "inv.a", "maximum_key": "2500",
            "last_processed_key": "1000",
        })
    );
    source.stop().await;
}

/// What each key's last record says, against the table.
async fn assert_up_to_date(client: &tokio_postgres::Client, events: &[Event]) {
    let mut newest = BTreeMap::new();
    for event in events.iter().filter(|event| event.topic == "srv.inv.a") {
        let version = event.value["after"]["version"].as_i64();
        newest.insert(event.key["id"].as_i64().unwrap(), version);
    }
    newest.retain(|_, version| version.is_some());
    let rows = client.query("select id, version from inv.a order by id", &[]).await.unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (i64::from(row.get::<_, i32>(0)), Some(i64::from(row.get::<_, i32>(1)))))
        .collect();
    assert_eq!(newest.into_iter().collect::<Vec<_>>(), rows);
}

async fn write(client: tokio_postgres::Client) {
    for round in 1..=60 {
        let update = format!("update inv.a set version = {round} where id % 37 = {}", round % 37);
        client.batch_execute(&update).await.unwrap();
        let delete = format!("delete from inv.a where id = {}", round * 11);
        client.batch_execute(&delete).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    client.batch_execute("insert into inv.a values (-1, 0)").await.unwrap();
}

/// Polls until the writer's last row, and at least until a notification of this type.
async fn until_written(source: &mut Source, mut events: Vec<Event>) -> Vec<Event> {
    while !events.iter().any(|event| event.key["id"] == -1 && event.value["op"] == "c") {
        events.extend(source.poll().await.unwrap());
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_while_they_are_read_are_not_overtaken() {
    for strategy in ["insert_insert", "insert_delete"] {
        let (database, client) = filled(3000).await;
        let more = [
            ("incremental.snapshot.chunk.size", "150"),
            ("incremental.snapshot.watermarking.strategy", strategy),
        ];
        let (mut source, _) = streaming(&database, &more, None).await;
        let writer = tokio::spawn(write(database.connect().await));
        signal(&client, "s1", "execute-snapshot", &json!({"data-collections": ["inv.a"]})).await;
        let events = until(&mut source, "COMPLETED").await;
        writer.await.unwrap();
        let events = until_written(&mut source, events).await;
        assert_up_to_date(&client, &events).await;
        let left = "select count(*) from inv.sig where type like 'snapshot-window%'";
        let left: i64 = client.query_one(left, &[]).await.unwrap().get(0);
        assert_eq!(left == 0, strategy == "insert_delete", "{strategy}: {left} rows");
        source.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_writing_anything_rows_are_read_as_well() {
    let (database, client) = filled(3000).await;
    let file = std::env::temp_dir().join(crate::support::unique("signals"));
    let more = [
        ("incremental.snapshot.chunk.size", "150"),
        ("read.only", "true"),
        ("signal.enabled.channels", "file"),
        ("signal.file", file.to_str().unwrap()),
        ("signal.poll.interval.ms", "50"),
    ];
    let (mut source, _) = streaming(&database, &more, None).await;
    let writer = tokio::spawn(write(database.connect().await));
    let line = r#"{"id":"f1","type":"execute-snapshot","data":{"data-collections":["inv.a"]}}"#;
    std::fs::write(&file, format!("{line}\n{{\"id\":\"f2\",\"type\":\"nonsense\"}}\n")).unwrap();
    let events = until(&mut source, "COMPLETED").await;
    writer.await.unwrap();
    let events = until_written(&mut source, events).await;
    assert_up_to_date(&client, &events).await;
    let written: i64 = client.query_one("select count(*) from inv.sig", &[]).await.unwrap().get(0);
    assert_eq!(written, 0);
    // With nothing else going on, too.
    std::fs::write(&file, format!("{line}\n")).unwrap();
    let events = until(&mut source, "COMPLETED").await;
    let rows: i64 = client.query_one("select count(*) from inv.a", &[]).await.unwrap().get(0);
    assert_eq!(reads(&events, "inv.a").len() as i64, rows);
    source.stop().await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
    let (database, client) = filled(10).await;
    client
        .batch_execute(
            "insert into inv.pair select n / 10, 'y' || n % 10, n from generate_series(0, 49) n;
             create table inv.more (id int, k int, v int, unique (k, v));
             insert into inv.more select n, nullif(n % 7, 0), n from generate_series(1, 40) n;",
        )
        .await
        .unwrap();
    let more = [("incremental.snapshot.chunk.size", "7")];
    let (mut source, _) = streaming(&database, &more, None).await;
    let tables =
        json!(["inv.keyless", "inv.empty", "inv.nothing", "inv.pair", "inv.more", "inv.a"]);
    let condition = json!([
        {"data-collection": "inv.a", "filter": "id > 3 or id = 1"},
        {"data-collection": "inv.pair", "filter": "v < 40"},
    ]);
    let data = json!({"data-collections": tables, "additional-conditions": condition});
    signal(&client, "s1", "execute-snapshot", &data).await;
    let events = until(&mut source, "COMPLETED").await;
    let scans: Vec<_> = events
        .iter()
        .filter(|event| event.value["type"] == "TABLE_SCAN_COMPLETED")
        .map(|event| {
            let data = &event.value["additional_data"];
            let text = |name: &str| data[name].as_str().unwrap().to_owned();
            format!(
                "{} {} {}",
                text("scanned_collection"),
                text("status"),
                text("total_rows_scanned")
            )
        })
        .collect();
    assert_eq!(
        scans,
        [
            "inv.keyless NO_PRIMARY_KEY 0",
            "inv.empty EMPTY 0",
            "inv.nothing UNKNOWN_SCHEMA 0",
            "inv.pair SUCCEEDED 40",
            "inv.more SUCCEEDED 40",
            "inv.a SUCCEEDED 8",
        ]
    );
    assert_eq!(reads(&events, "inv.pair").len(), 40);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_column_can_order_and_bad_signals_stop_nothing() {
    let (database, client) = filled(25).await;
    let (mut source, _) =
        streaming(&database, &[("incremental.snapshot.chunk.size", "10")], None).await;
    client.batch_execute("update inv.a set version = 100 - id").await.unwrap();
    for (id, kind, data) in [
        ("b1", "nonsense", json!({})),
        ("b2", "execute-snapshot", json!("no object")),
        ("b3", "execute-snapshot", json!({})),
        ("b4", "log", json!({"message": "at {}"})),
        ("b5", "stop-snapshot", json!({})),
        (
            "s0",
            "execute-snapshot",
            json!({"data-collections": ["inv.a"], "surrogate-key": "nowhere"}),
        ),
        (
            "s1",
            "execute-snapshot",
            json!({"data-collections": ["inv.a"], "surrogate-key": "version"}),
        ),
    ] {
        signal(&client, id, kind, &data).await;
    }
    let mut events = until(&mut source, "COMPLETED").await;
    if reads(&events, "inv.a").is_empty() {
        events = until(&mut source, "COMPLETED").await;
    }
    assert_eq!(ids(&reads(&events, "inv.a")), (1..=25).rev().collect::<Vec<_>>());
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_paused_resumed_and_stopped() {
    let (database, client) = filled(400).await;
    let (mut source, _) =
        streaming(&database, &[("incremental.snapshot.chunk.size", "10")], None).await;
    let all = json!({"data-collections": ["inv.a", "inv.empty"]});
    signal(&client, "s1", "execute-snapshot", &all).await;
    signal(&client, "p", "pause-snapshot", &json!({})).await;
    let mut events = until(&mut source, "PAUSED").await;
    // The chunk that is being read comes, no other.
    events.extend(source.rest(700).await);
    let paused_at = reads(&events, "inv.a").len();
    assert!(paused_at < 400, "{paused_at}");
    signal(&client, "r", "resume-snapshot", &json!({})).await;
    let resumed = until(&mut source, "RESUMED").await;
    signal(&client, "x", "stop-snapshot", &json!({"data-collections": ["inv.a"]})).await;
    let rest = until(&mut source, "COMPLETED").await;
    assert!(
        notes(&rest).contains(&"Incremental Snapshot TABLE_SCAN_COMPLETED EMPTY".to_owned()),
        "{:?}",
        notes(&rest)
    );
    let read = paused_at + reads(&resumed, "inv.a").len() + reads(&rest, "inv.a").len();
    assert!(read < 400, "{read}");
    signal(&client, "s2", "execute-snapshot", &all).await;
    until(&mut source, "STARTED").await;
    signal(&client, "y", "stop-snapshot", &json!({})).await;
    until(&mut source, "ABORTED").await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_the_stored_key() {
    let (database, client) = filled(500).await;
    let more = [("incremental.snapshot.chunk.size", "20")];
    let (mut source, _) = streaming(&database, &more, None).await;
    signal(&client, "s1", "execute-snapshot", &json!({"data-collections": ["inv.a"]})).await;
    let mut before = Vec::new();
    while reads(&before, "inv.a").len() < 100 {
        before.extend(source.poll().await.unwrap());
    }
    let stored = source.commit().await;
    assert!(
        stored.offset.contains("\"incremental_snapshot_primary_key\":\"aced0005"),
        "{stored:?}"
    );
    source.stop().await;
    let (mut source, mut after) = streaming(&database, &more, Some(stored)).await;
    if !notes(&after).contains(&"Incremental Snapshot COMPLETED".to_owned()) {
        after.extend(until(&mut source, "COMPLETED").await);
    }
    let (before, after) = (ids(&reads(&before, "inv.a")), ids(&reads(&after, "inv.a")));
    assert!(after[0] > 60, "goes on at {}", after[0]);
    let mut all = [before, after].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (1..=500).collect::<Vec<_>>());
    // Nothing of it is left in the offset.
    client.batch_execute("insert into inv.a values (501)").await.unwrap();
    let mut events = Vec::new();
    while !events.iter().any(|event: &Event| event.key["id"] == 501) {
        events.extend(source.poll().await.unwrap());
    }
    let stored = source.commit().await;
    assert!(!stored.offset.contains("incremental"), "{stored:?}");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_snapshot_has_the_stream_wait() {
    let (database, client) = filled(30).await;
    let (mut source, _) = streaming(&database, &[], None).await;
    client.batch_execute("insert into inv.a values (100)").await.unwrap();
    assert_eq!(source.take(1).await[0].value["op"], "c");
    let data = json!({
        "data-collections": ["inv.a"], "type": "blocking",
        "additional-conditions": [
            {"data-collection": "inv.a", "filter": "select * from inv.a where id <= 20"},
        ],
    });
    signal(&client, "s1", "execute-snapshot", &data).await;
    client.batch_execute("insert into inv.a values (101)").await.unwrap();
    let mut events = until(&mut source, "COMPLETED").await;
    while !events.iter().any(|event| event.key["id"] == 101) {
        events.extend(source.poll().await.unwrap());
    }
    let read = reads(&events, "inv.a");
    assert_eq!(ids(&read), (1..=20).collect::<Vec<_>>());
    let marker = |index: usize| read[index].value["source"]["snapshot"].as_str().unwrap();
    assert_eq!((marker(0), marker(1), marker(19)), ("first", "true", "last"));
    assert!(!read[0].value["source"]["lsn"].is_null());
    let sequence = read[0].value["source"]["sequence"].as_str().unwrap();
    assert!(!sequence.starts_with("[null"), "{sequence}");
    assert_eq!(
        notes(&events),
        [
            "Initial Snapshot STARTED",
            "Initial Snapshot IN_PROGRESS",
            "Initial Snapshot TABLE_SCAN_COMPLETED SUCCEEDED",
            "Initial Snapshot COMPLETED",
        ]
    );
    // A task that ends before it is read begins it again.
    signal(&client, "s2", "execute-snapshot", &data).await;
    let stored = source.commit().await;
    while !events.iter().any(|event| event.key["id"] == "s2") {
        events.extend(source.poll().await.unwrap());
    }
    source.stop().await;
    let (mut source, mut events) = streaming(&database, &[], Some(stored)).await;
    if !notes(&events).contains(&"Initial Snapshot COMPLETED".to_owned()) {
        events.extend(until(&mut source, "COMPLETED").await);
    }
    assert!(reads(&events, "inv.a").len() >= 20);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_initial_snapshot_is_told_step_by_step() {
    let (database, _client) = filled(30).await;
    let settings = [
        ("table.include.list", "inv.empty,inv.a"),
        ("notification.enabled.channels", "sink"),
        ("notification.sink.topic.name", NOTES),
    ];
    let mut source = Source::start(&config(&database, &settings), None, false);
    let events = source.snapshot().await;
    let scans: Vec<_> = events
        .iter()
        .filter(|event| event.topic == NOTES)
        .map(|event| {
            let data = &event.value["additional_data"];
            let table = data["scanned_collection"].as_str();
            let table = table.or(data["current_collection_in_progress"].as_str());
            format!("{} {}", event.value["type"].as_str().unwrap(), table.unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        scans,
        [
            "STARTED -",
            "IN_PROGRESS inv.empty",
            "TABLE_SCAN_COMPLETED inv.empty",
            "IN_PROGRESS inv.a",
            "TABLE_SCAN_COMPLETED inv.a",
            "COMPLETED -",
        ]
    );
    assert!(events.iter().all(|event| event.topic != NOTES || event.headers.is_empty()));
    source.stop().await;
}
