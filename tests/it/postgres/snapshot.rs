//! Snapshots: modes, threads, and going on where one broke off.

use std::collections::{BTreeMap, BTreeSet};

use ferroconnect::config::Props;
use ferroconnect::data::SourceOffset;
use serde_json::{Value, json};

use super::source::{Event, Source, config, short, until_streaming, version};
use crate::support::TestDatabase;

const TABLES: &str = "\
    create schema inv;
    create table inv.a (id int primary key, version int not null default 0, note text);
    create table inv.b (id int primary key);
    create table inv.empty (id int primary key);";

/// Tables of several chunks of `CHUNKS` blocks each.
const ROWS: i32 = 4000;
const FILL: &str = "\
    insert into inv.a select n, 0, repeat('x', 300) from generate_series(1, 4000) n;
    insert into inv.b select n from generate_series(1, 10) n;";
const CHUNKS: (&str, &str) = ("internal.snapshot.chunk.blocks", "16");

async fn filled() -> (TestDatabase, tokio_postgres::Client) {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    client.batch_execute(FILL).await.unwrap();
    (database, client)
}

fn id(event: &Event) -> i32 {
    i32::try_from(event.key["id"].as_i64().unwrap()).unwrap()
}

fn marker(event: &Event) -> &str {
    event.value["source"]["snapshot"].as_str().unwrap()
}

/// Topic, key and row of each event, and how often it came.
fn rows(events: &[Event]) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for event in events {
        let row = format!("{} {} {}", event.topic, event.key, event.value["after"]);
        *rows.entry(row).or_default() += 1;
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn two_threads_read_what_one_reads() {
    let (database, client) = filled().await;
    client
        .batch_execute(
            "create table inv.p (id int, k int, primary key (id, k)) partition by list (k);
             create table inv.p1 partition of inv.p for values in (1);
             create table inv.p2 partition of inv.p for values in (2);
             insert into inv.p select n, 1 + n % 2 from generate_series(1, 3000) n;",
        )
        .await
        .unwrap();
    let read = async |threads: &str, more: &[(&str, &str)]| {
        let mut settings = vec![
            ("snapshot.mode", "initial_only"),
            ("snapshot.max.threads", threads),
            ("table.include.list", "inv.(a|b|empty|p)"),
            CHUNKS,
        ];
        settings.extend_from_slice(more);
        let mut source = Source::start(&config(&database, &settings), None, false);
        let events = source.snapshot().await;
        source.stop().await;
        events
    };
    let one = read("1", &[("internal.snapshot.chunk.blocks", "100000")]).await;
    assert_eq!(one.len(), 4000 + 10 + 3000);
    for (threads, more) in [
        ("1", &[][..]),
        ("2", &[]),
        ("3", &[("snapshot.max.threads.multiplier", "2")]),
        ("2", &[("legacy.snapshot.max.threads", "true")]),
        ("2", &[("snapshot.isolation.mode", "read_committed")]),
        ("2", &[("snapshot.tables.order.by.row.count", "descending")]),
    ] {
        let events = read(threads, more).await;
        assert_eq!(rows(&events), rows(&one), "{threads} threads with {more:?}");
        assert_markers(&events);
    }
}

/// `first` comes first and `last` last; so it is in each table.
#[track_caller]
fn assert_markers(events: &[Event]) {
    assert_eq!(marker(&events[0]), "first");
    assert_eq!(marker(&events[events.len() - 1]), "last");
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in events {
        tables.entry(&event.topic).or_default().push(marker(event));
    }
    for (topic, markers) in tables {
        let (first, last) = (markers[0], markers[markers.len() - 1]);
        assert!(["first", "first_in_data_collection"].contains(&first), "{topic}: {first}");
        assert!(["last", "last_in_data_collection"].contains(&last), "{topic}: {last}");
        let middle = &markers[1..markers.len() - 1];
        assert!(middle.iter().all(|marker| *marker == "true"), "{topic}");
    }
    for member in ["lsn", "txId", "ts_us"] {
        let values: BTreeSet<_> =
            events.iter().map(|event| event.value["source"][member].to_string()).collect();
        assert_eq!(values.len(), 1, "{member}: {values:?}");
    }
}

/// Polls until `chunks` chunks of inv.a are declared read; what came until then.
async fn until_chunks(source: &mut Source, chunks: u64) -> Vec<Event> {
    let mut events = Vec::new();
    while done(source.sealed.as_ref()) < chunks {
        events.extend(source.poll().await.unwrap());
    }
    events
}

/// Whether the server reads a range of blocks by those blocks alone. Before 14 it would read the whole
/// table for each, and so each table is one chunk, which is read again when it breaks off.
async fn reads_ranges(client: &tokio_postgres::Client, props: &Props) -> bool {
    if version(client).await >= 140_000 {
        return true;
    }
    let mut source = Source::start(props, None, false);
    let (mut events, mut chunks) = (0, 0);
    while source
        .sealed
        .as_ref()
        .is_none_or(|sealed| !sealed.offset.contains("last_snapshot_record\":true"))
    {
        events += source.poll().await.unwrap().len();
        chunks = chunks.max(done(source.sealed.as_ref()));
    }
    source.stop().await;
    assert!(events == 4010 && chunks <= 2, "{events} rows in {chunks} chunks");
    false
}

/// How many chunks the offset says are read.
fn done(offset: Option<&SourceOffset>) -> u64 {
    let Some(offset) = offset else { return 0 };
    let members: Value = serde_json::from_str(&offset.offset).unwrap();
    let Some(progress) = members["ferroconnect_snapshot"].as_str() else { return 0 };
    let progress: Value = serde_json::from_str(progress).unwrap();
    let tables = progress["begun"].as_object().unwrap().values();
    let runs = tables.flat_map(|table| table["done"].as_array().unwrap());
    runs.map(|run| run[1].as_u64().unwrap() - run[0].as_u64().unwrap() + 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_breaks_off_is_gone_on_with() {
    let (database, client) = filled().await;
    // Its value is not sent again when another column changes.
    client
        .batch_execute(
            "alter table inv.a alter note set storage external;
             update inv.a set note = repeat('y', 9000) where id = 3990;",
        )
        .await
        .unwrap();
    client.batch_execute("vacuum inv.a").await.unwrap();
    let settings = [("table.include.list", "inv.b,inv.a"), CHUNKS];
    if !reads_ranges(&client, &config(&database, &settings)).await {
        return;
    }
    let mut source = Source::start(&config(&database, &settings), None, false);
    let before = until_chunks(&mut source, 3).await;
    let stored = source.sealed.clone().unwrap();
    source.stop().await;
    assert_eq!(marker(&before[0]), "first");
    let read: BTreeSet<_> =
        before.iter().filter(|event| event.topic == "srv.inv.a").map(id).collect();
    assert!(!read.contains(&3990) && read.len() < 3000, "{} rows were read", read.len());

    // Moves to a place that has been read, by its own update; others change, come and go.
    client.batch_execute("delete from inv.a where id <= 100").await.unwrap();
    client.batch_execute("vacuum inv.a").await.unwrap();
    client
        .batch_execute(
            "update inv.a set version = 1 where id in (3990, 200, 3991);
             delete from inv.a where id = 3992;
             insert into inv.a values (5000, 0, 'new');",
        )
        .await
        .unwrap();
    let mut source = Source::start(&config(&database, &settings), Some(stored), false);
    let after = source.snapshot().await;
    assert!(after.iter().all(|event| event.topic == "srv.inv.a"), "inv.b was finished");
    assert_eq!(marker(&after[after.len() - 1]), "last");
    assert!(after.iter().all(|event| marker(event) != "first"));
    let again = after.iter().filter(|event| read.contains(&id(event))).count();
    // A chunk, and what came into the others.
    assert!(again < 700, "{again} of {} rows were read again", read.len());
    let seen: BTreeSet<_> =
        before.iter().chain(&after).filter(|event| event.topic == "srv.inv.a").map(id).collect();
    let gone = 3992;
    let expected: BTreeSet<_> = (101..=ROWS).filter(|id| *id != gone).chain([5000]).collect();
    let missing: Vec<_> = expected.difference(&seen).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let moved = after.iter().find(|event| id(event) == 3990).expect("the row that moved");
    assert_eq!(moved.value["after"]["note"].as_str().unwrap().len(), 9000);
    assert_eq!(moved.value["after"]["version"], 1);
    // Rows say when they were read; the stream goes on from the first snapshot's point.
    let lsn = |event: &Event| event.value["source"]["lsn"].as_i64().unwrap();
    assert!(lsn(&before[0]) < lsn(moved));
    let streamed = source.take(100 * 2 + 3 + 2 + 1).await;
    // A change may begin where the snapshot's point is.
    let points = [lsn(&before[0]), lsn(&streamed[0]), lsn(moved)];
    assert!(points[0] <= points[1] && points[1] < points[2], "{points:?}");
    let last = |id: i32| streamed.iter().rev().find(|event| event.key["id"] == id).unwrap();
    assert_eq!(last(gone).value, Value::Null);
    assert_eq!(last(3990).value["after"]["note"], "__debezium_unavailable_value");
    assert_eq!(last(5000).short(), "c 5000");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_table_and_a_lost_slot_are_read_from_the_beginning() {
    let (database, client) = filled().await;
    let settings = [("table.include.list", "inv.b,inv.a"), CHUNKS];
    let props = config(&database, &settings);
    if !reads_ranges(&client, &props).await {
        return;
    }
    let mut source = Source::start(&props, None, false);
    until_chunks(&mut source, 3).await;
    let stored = source.sealed.clone().unwrap();
    source.stop().await;
    client.batch_execute("vacuum full inv.a").await.unwrap();
    let mut source = Source::start(&props, Some(stored), false);
    let count = |events: &[Event]| events.iter().filter(|e| e.topic == "srv.inv.a").count();
    let mut again = until_chunks(&mut source, 3).await;
    let stored = source.sealed.clone().unwrap();
    again.extend(source.snapshot().await);
    assert_eq!(count(&again), 4000);
    assert_eq!(again.len(), 4000, "inv.b was finished");
    source.stop().await;

    crate::support::eventually_async("the slot to be free", 30, || async {
        client.execute("select pg_drop_replication_slot($1)", &[&database.name]).await
    })
    .await;
    let mut source = Source::start(&props, Some(stored), false);
    let all = source.snapshot().await;
    assert_eq!(all.len(), 4010);
    assert_eq!(marker(&all[0]), "first");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_say_when_tables_are_read_and_whether_changes_follow() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    client.batch_execute("insert into inv.b values (1)").await.unwrap();
    let with = |more: &[(&str, &str)]| {
        let mut settings = vec![("table.include.list", "inv.b")];
        settings.extend_from_slice(more);
        config(&database, &settings)
    };
    // Nothing is read, and the stream starts with the slot.
    let mut source = Source::start(&with(&[("snapshot.mode", "no_data")]), None, false);
    let insert = async {
        until_streaming(&client, &database.name).await;
        client.batch_execute("insert into inv.b values (2)").await.unwrap();
    };
    let (events, ()) = tokio::join!(source.take(1), insert);
    assert_eq!(short(&events), ["c 2"]);
    let stored = source.commit().await;
    source.stop().await;
    // Everything is read at each start.
    let always = with(&[("snapshot.mode", "always")]);
    let mut source = Source::start(&always, Some(stored), false);
    assert_eq!(short(&source.snapshot().await), ["r 1", "r 2"]);
    let stored = source.commit().await;
    source.stop().await;
    let based = |data: &'static str, stream: &'static str| {
        with(&[
            ("snapshot.mode", "configuration_based"),
            ("snapshot.mode.configuration.based.snapshot.data", data),
            ("snapshot.mode.configuration.based.start.stream", stream),
        ])
    };
    let mut source = Source::start(&based("true", "true"), Some(stored.clone()), false);
    assert_eq!(short(&source.snapshot().await), ["r 1", "r 2"]);
    client.batch_execute("insert into inv.b values (3)").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 3"]);
    let stored = source.commit().await;
    source.stop().await;
    // Neither: the task has nothing to do, and is not an error.
    let mut source = Source::start(&based("false", "false"), Some(stored.clone()), false);
    assert!(source.is_idle().await);
    source.stop().await;
    // With the slot gone, initial stops and when_needed reads.
    crate::support::eventually_async("the slot to be free", 30, || async {
        client.execute("select pg_drop_replication_slot($1)", &[&database.name]).await
    })
    .await;
    let mut source = Source::start(&with(&[]), Some(stored.clone()), false);
    let error = source.failure().await.trace();
    assert!(error.contains("no longer available on the server"), "{error}");
    source.stop().await;
    let mut source = Source::start(&with(&[("snapshot.mode", "when_needed")]), Some(stored), false);
    assert_eq!(short(&source.snapshot().await), ["r 1", "r 2", "r 3"]);
    let stored = source.commit().await;
    source.stop().await;
    // initial_only has read what there was.
    let only = with(&[("snapshot.mode", "initial_only")]);
    let mut source = Source::start(&only, Some(stored), false);
    assert!(source.is_idle().await);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_of_java_and_contradictions_are_refused_with_a_way_out() {
    let database = TestDatabase::create().await;
    for (settings, expected) in [
        (
            &[("snapshot.mode", "custom"), ("snapshot.mode.custom.name", "x")][..],
            "use one of always, initial",
        ),
        (
            &[("snapshot.locking.mode", "custom"), ("snapshot.locking.mode.custom.name", "x")],
            "use none or shared",
        ),
        (
            &[("snapshot.query.mode", "custom"), ("snapshot.query.mode.custom.name", "x")],
            "use select_all",
        ),
    ] {
        let error = Source::refused(&config(&database, settings));
        assert!(error.contains(expected), "{error}");
    }
    let interrupted = SourceOffset {
        partition: json!({"server": "srv"}).to_string().into(),
        offset: json!({"lsn": 5, "ts_usec": 1, "snapshot": "INITIAL"}).to_string().into(),
    };
    for (mode, more, stored, expected) in [
        ("no_data", None, Some(interrupted), "configured to never allow snapshots"),
        (
            "configuration_based",
            Some(("snapshot.mode.configuration.based.snapshot.on.schema.error", "true")),
            None,
            "Could not find existing redo log information",
        ),
    ] {
        let mut settings = vec![("snapshot.mode", mode)];
        settings.extend(more);
        let mut source = Source::start(&config(&database, &settings), stored, false);
        let error = source.failure().await.trace();
        assert!(error.contains(expected), "{mode}: {error}");
        source.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_statement_names_the_table() {
    let (database, _client) = filled().await;
    let settings = [
        ("table.include.list", "inv.b"),
        ("snapshot.select.statement.overrides", "inv.b"),
        ("snapshot.select.statement.overrides.inv.b", "select id / 0 as id from inv.b"),
    ];
    let mut source = Source::start(&config(&database, &settings), None, false);
    let error = source.failure().await.trace();
    assert!(error.contains("Snapshotting of table inv.b failed"), "{error}");
    assert!(error.contains("division by zero"), "{error}");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_locked_against_definitions_only() {
    let (database, client) = filled().await;
    let settings = [
        ("table.include.list", "inv.b"),
        ("snapshot.mode", "initial_only"),
        ("snapshot.locking.mode", "shared"),
        ("snapshot.lock.timeout.ms", "200"),
    ];
    let other = database.connect().await;
    client.batch_execute("begin; lock table inv.b in access exclusive mode").await.unwrap();
    let mut source = Source::start(&config(&database, &settings), None, false);
    let error = source.failure().await.trace();
    assert!(error.contains("locking the tables"), "{error}");
    source.stop().await;
    client.batch_execute("rollback").await.unwrap();
    // Under a lock that writers take the snapshot is read.
    other.batch_execute("begin; lock table inv.b in row exclusive mode").await.unwrap();
    let mut source = Source::start(&config(&database, &settings), None, false);
    assert_eq!(source.snapshot().await.len(), 10);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_list_limits_the_snapshot_and_not_the_stream() {
    let (database, client) = filled().await;
    let settings =
        [("table.include.list", "inv.a,inv.b"), ("snapshot.include.collection.list", "inv.b")];
    let mut source = Source::start(&config(&database, &settings), None, false);
    let events = source.snapshot().await;
    assert!(events.len() == 10 && events.iter().all(|event| event.topic == "srv.inv.b"));
    client.batch_execute("insert into inv.a values (5000, 0, 'x')").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 5000"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_left_out_and_generated_columns_are_not() {
    let (database, client) = filled().await;
    client
        .batch_execute(
            "create view inv.bview as select * from inv.b;
             alter table inv.b add column twice int generated always as (id * 2) stored;",
        )
        .await
        .unwrap();
    let settings = [("table.include.list", "inv.b.*"), ("snapshot.mode", "initial_only")];
    let mut source = Source::start(&config(&database, &settings), None, false);
    let events = source.snapshot().await;
    assert!(events.len() == 10 && events.iter().all(|event| event.topic == "srv.inv.b"));
    assert_eq!(events[4].value["after"], json!({"id": 5, "twice": 10}));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_and_stream_can_be_put_off() {
    let (database, client) = filled().await;
    let settings = [
        ("table.include.list", "inv.b"),
        ("snapshot.delay.ms", "700"),
        ("streaming.delay.ms", "600"),
    ];
    let started = std::time::Instant::now();
    let mut source = Source::start(&config(&database, &settings), None, false);
    assert_eq!(source.snapshot().await.len(), 10);
    assert!(started.elapsed().as_millis() >= 700);
    client.batch_execute("insert into inv.b values (11)").await.unwrap();
    let read = std::time::Instant::now();
    assert_eq!(short(&source.take(1).await), ["c 11"]);
    assert!(read.elapsed().as_millis() >= 500, "{:?}", read.elapsed());
    source.stop().await;
}
