//! What goes wrong outside: each is named with its remedy, and nothing is lost or silently skipped.

use ferroconnect::connector::{ConnectorContext, postgres};
use ferroconnect::error::ErrorKind;

use super::source::{Source, config, short};
use crate::support::{TestDatabase, eventually_async, unique};

const TABLE: &str = "create schema inv; create table inv.a (id int primary key, name text);";

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_loses_and_repeats_nothing() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLE).await.unwrap();
    let props = config(&database, &[("table.include.list", "inv.a")]);
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client
        .batch_execute("insert into inv.a select n, 'x' from generate_series(1, 12000) n")
        .await
        .unwrap();
    let mut events = Vec::new();
    // In the middle of the transaction.
    while events.len() < 3000 {
        events.extend(source.poll().await.unwrap());
    }
    let kill =
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1";
    client.execute(kill, &[&database.name]).await.unwrap();
    client.batch_execute("insert into inv.a values (12001, 'y')").await.unwrap();
    let mut failures = 0;
    while events.len() < 12_001 {
        match source.poll().await {
            Ok(more) => events.extend(more),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Retriable, "{error:?}");
                assert!(error.to_string().contains(&database.name), "{error}");
                failures += 1;
            }
        }
    }
    assert!(failures >= 1);
    let mut ids: Vec<_> = events.iter().map(|event| event.key["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=12_001).collect::<Vec<_>>());
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_snapshot_whose_rows_had_all_arrived_only_ends() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLE).await.unwrap();
    client
        .batch_execute("insert into inv.a select n, 'x' from generate_series(1, 20000) n")
        .await
        .unwrap();
    let props = config(&database, &[("table.include.list", "inv.a")]);
    let mut source = Source::start(&props, None, false);
    while source.poll().await.unwrap().is_empty() {}
    let stored = source.sealed.clone();
    assert!(stored.as_ref().unwrap().offset.contains("\"snapshot_completed\":false"));
    drop(source);
    client.batch_execute("insert into inv.a values (20001, 'between')").await.unwrap();
    let mut source = Source::start(&props, stored, false);
    let events = source.snapshot().await;
    assert_eq!(events.len(), 0);
    client.batch_execute("insert into inv.a values (20002, 'after')").await.unwrap();
    assert_eq!(short(&source.take(2).await), ["c 20001", "c 20002"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_ahead_of_the_stored_offset_stops_the_task() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLE).await.unwrap();
    let props = config(&database, &[("table.include.list", "inv.a")]);
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client.batch_execute("insert into inv.a values (1, 'seen')").await.unwrap();
    source.take(1).await;
    let stored = source.commit().await;
    source.stop().await;
    client.batch_execute("insert into inv.a values (2, 'missed')").await.unwrap();
    // A task waits 2 s for the server to let go of the slot, which a busy server may take longer for.
    let active = "select 1 from pg_replication_slots where slot_name = $1 and active";
    eventually_async("the slot to be free", 30, || async {
        let rows = client.query(active, &[&database.name]).await.unwrap();
        if rows.is_empty() { Ok(()) } else { Err("active") }
    })
    .await;
    let drop = "select pg_drop_replication_slot($1)";
    client.execute(drop, &[&database.name]).await.unwrap();
    let error = Source::start(&props, Some(stored.clone()), false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("does not exist"), "{error}");
    let create = "select pg_create_logical_replication_slot($1, 'pgoutput')";
    client.execute(create, &[&database.name]).await.unwrap();
    let error = Source::start(&props, Some(stored.clone()), false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    for word in [database.name.as_str(), "ahead of the stored position", "when_needed"] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
    let mut when_needed = props.clone();
    when_needed.insert("snapshot.mode".to_owned(), "when_needed".to_owned());
    let mut source = Source::start(&when_needed, Some(stored), false);
    assert_eq!(short(&source.snapshot().await), ["r 1", "r 2"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_is_waited_for() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let props = config(&database, &[("table.include.list", "inv.a")]);
    let mut source = Source::start(&props, None, false);
    let error = source.failure().await;
    assert_eq!(error.kind(), ErrorKind::Retriable);
    assert!(error.to_string().contains("table.include.list (inv.a)"), "{error}");
    client.batch_execute(TABLE).await.unwrap();
    client.batch_execute("insert into inv.a values (1, 'x')").await.unwrap();
    assert_eq!(short(&source.snapshot().await), ["r 1"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_with_the_remedy() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLE).await.unwrap();
    let role = unique("plain");
    client.batch_execute(&format!("create role {role} login password 'postgres'")).await.unwrap();
    let list = ("table.include.list", "inv.a");
    type More<'a> = &'a [(&'a str, &'a str)];
    let rows: &[(&str, More<'_>, &str, &[&str])] = &[
        (
            "an unreachable server",
            &[("database.port", "1")],
            "database.hostname",
            &["Error while validating connector config: Connection to 127.0.0.1:1 refused."],
        ),
        (
            "an unknown database",
            &[("database.dbname", "nodb")],
            "database.hostname",
            &["FATAL: database \"nodb\" does not exist"],
        ),
        (
            "a wrong password",
            &[("database.user", &role), ("database.password", "wrong")],
            "database.hostname",
            &["FATAL: password authentication failed for user"],
        ),
        ("a plain role", &[("database.user", &role)], "database.user", &["replication"]),
        (
            "no grant",
            &[("database.user", &role), list],
            "table.include.list",
            &["grant select on inv.a"],
        ),
        (
            "no publication",
            &[("publication.autocreate.mode", "disabled"), list],
            "publication.name",
            &["Publication autocreation is disabled"],
        ),
        (
            "contradicting lists",
            &[list, ("table.exclude.list", "inv.b")],
            "table.exclude.list",
            &["\"table.include.list\" is already specified"],
        ),
    ];
    for (name, more, key, words) in rows {
        let props = config(&database, more);
        let connector = postgres::connector(&props, ConnectorContext::default()).unwrap();
        let errors = connector.validate().await;
        let found = errors.iter().find(|error| error.key == *key);
        let found = found.unwrap_or_else(|| panic!("{name}: no error on {key}: {errors:?}"));
        for word in *words {
            assert!(found.message.contains(word), "{name}: {}", found.message);
        }
    }
    let fine = postgres::connector(&config(&database, &[list]), ConnectorContext::default());
    assert_eq!(fine.unwrap().validate().await, []);
    let props = config(&database, &[("publication.autocreate.mode", "disabled"), list]);
    let error = Source::start(&props, None, false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Config);
    let wrong = config(&database, &[("database.user", &role), ("database.password", "wrong")]);
    let error = Source::start(&wrong, None, false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("database.password"), "{error}");
    client.batch_execute(&format!("drop role {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_has_one_reader_and_waits_for_open_transactions() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLE).await.unwrap();
    let props = config(&database, &[("table.include.list", "inv.a")]);
    // Open before the slot, committed behind it: neither lost nor twice.
    let writer = database.connect().await;
    writer.batch_execute("begin; insert into inv.a values (1, 'open')").await.unwrap();
    let mut source = Source::start(&props, None, false);
    let (events, ()) = tokio::join!(source.snapshot(), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        writer.batch_execute("insert into inv.a values (2, 'open'); commit").await.unwrap();
    });
    let mut seen = short(&events);
    while seen.len() < 2 {
        seen.extend(short(&source.poll().await.unwrap()));
    }
    assert_eq!(seen, ["r 1", "r 2"]);
    // It polls until it streams.
    client.batch_execute("insert into inv.a values (3, 'streamed')").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 3"]);
    let error = Source::start(&props, None, false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Retriable);
    assert!(error.to_string().contains("another client reads replication slot"), "{error}");
    source.stop().await;
}
