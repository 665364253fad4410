//! Servers that are set up wrongly, stop, lose what the slot needs, or are replaced.

use ferroconnect::connector::{ConnectorContext, postgres};
use ferroconnect::error::ErrorKind;

use super::source::{Source, config_of, short, version_of_all};
use crate::support::{OwnServer, eventually_async};

const TABLE: (&str, &str) = ("table.include.list", "public.t");

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_told_at_once() {
    let server =
        OwnServer::start("-c wal_level=replica -c max_replication_slots=1 -c max_wal_senders=1");
    let client = server.connect().await;
    client
        .batch_execute(
            "create role plain login password 'secret'; \
             create schema shut; create table shut.t (id int primary key); \
             select pg_create_physical_replication_slot('taken', true)",
        )
        .await
        .unwrap();
    let props = config_of(
        &server,
        &[
            ("database.user", "plain"),
            ("database.password", "secret"),
            ("table.include.list", "shut.t"),
            ("publication.autocreate.mode", "filtered"),
        ],
    );
    let connector = postgres::connector(&props, ConnectorContext::default()).unwrap();
    let errors = connector.validate().await;
    for (key, words) in [
        ("database.hostname", "alter system set wal_level = logical"),
        ("database.user", "alter role \"plain\" login replication"),
        ("table.include.list", "grant select on shut.t to \"plain\""),
        ("slot.name", "alter system set max_replication_slots = 11"),
        ("publication.name", "create publication own for table shut.t"),
    ] {
        let told = errors.iter().any(|error| error.key == key && error.message.contains(words));
        assert!(told, "{key}: {words} in {errors:#?}");
    }
    assert_eq!(errors.len(), 5, "{errors:#?}");
}

/// The server stops at once although the connector reads from it, and the task goes on when it is
/// back.
#[tokio::test(flavor = "multi_thread")]
async fn a_fast_stop_is_not_held_up_and_a_restart_is_waited_for() {
    let mut server = OwnServer::start("");
    let client = server.connect().await;
    client.batch_execute("create table t (id int primary key)").await.unwrap();
    let mut source = Source::start(&config_of(&server, &[TABLE]), None, false);
    source.snapshot().await;
    client.batch_execute("insert into t values (1)").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 1"]);
    // Not stored: what was handed out comes no second time in this task, all the same.
    drop(client);
    let polling = tokio::spawn(async move {
        let error = source.failure().await;
        (source, error)
    });
    let started = std::time::Instant::now();
    tokio::task::block_in_place(|| server.stop());
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    let (mut source, error) = polling.await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Retriable, "{error:?}");
    tokio::task::block_in_place(|| server.go_on());
    let client = server.connect().await;
    client.batch_execute("insert into t values (2)").await.unwrap();
    assert_eq!(short(&source.take_in_the_end(1).await), ["c 2"]);
    source.stop().await;
}

/// The server gave the slot up because too much log was kept for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_the_server_gave_up_stops_the_task_with_the_remedy() {
    if version_of_all().await < 130_000 {
        // It has no such limit.
        return;
    }
    let server =
        OwnServer::start("-c max_slot_wal_keep_size=1MB -c max_wal_size=32MB -c min_wal_size=32MB");
    let client = server.connect().await;
    client
        .batch_execute("create table t (id int primary key); create table noise (x text)")
        .await
        .unwrap();
    let props = config_of(&server, &[TABLE]);
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client.batch_execute("insert into t values (1)").await.unwrap();
    source.take(1).await;
    let stored = source.commit().await;
    source.stop().await;
    let lost = "select wal_status = 'lost' from pg_replication_slots where slot_name = 'own'";
    eventually_async("the slot to be given up", 60, || async {
        let noise = "insert into noise select repeat('x', 1000) from generate_series(1, 20000); \
                     select pg_switch_wal(); checkpoint";
        client.batch_execute(noise).await.unwrap();
        let lost: bool = client.query_one(lost, &[]).await.unwrap().get(0);
        if lost { Ok(()) } else { Err("kept") }
    })
    .await;
    let error = Source::start(&props, Some(stored.clone()), false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    for word in ["\"own\"", "wal_status is lost", "max_slot_wal_keep_size", "when_needed"] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
}

/// A server that was restored from an older state, or replaced: its log ends before what is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_the_stored_position_is_refused() {
    let server = OwnServer::start("");
    let client = server.connect().await;
    client.batch_execute("create table t (id int primary key)").await.unwrap();
    let props = config_of(&server, &[TABLE]);
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client.batch_execute("insert into t values (1)").await.unwrap();
    source.take(1).await;
    let mut stored = source.commit().await;
    source.stop().await;
    let members: serde_json::Value = serde_json::from_str(&stored.offset).unwrap();
    let lsn = members["lsn"].as_i64().unwrap();
    let ahead = (lsn + (1 << 40)).to_string();
    stored.offset = stored.offset.replace(&lsn.to_string(), &ahead).into();
    let error = Source::start(&props, Some(stored), false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("the server was restored or replaced"), "{error}");
}
