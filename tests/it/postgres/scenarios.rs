//! What transactions, tables and servers do to a stream: partitions, two phases, savepoints, replica
//! identities, values that are not sent, and a log that others fill.

use std::time::Duration;

use ferroconnect::error::ErrorKind;
use serde_json::json;
use tokio_postgres::Client;

use super::source::{Source, config, sends_messages, short, version};
use crate::support::{TestDatabase, eventually_async};

/// A database with this table, and a task that streams.
async fn streaming(tables: &str, more: &[(&str, &str)]) -> (TestDatabase, Client, Source) {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(tables).await.unwrap();
    let include = [("table.include.list", "public.*")];
    let props = config(&database, &[&include[..], more].concat());
    let mut source = Source::start(&props, None, false);
    assert!(source.snapshot().await.is_empty());
    (database, client, source)
}

const TABLE: &str = "create table t (id int primary key, name text, big text)";

/// Only what commits comes, in the order of commits, and that is whole.
#[tokio::test(flavor = "multi_thread")]
async fn savepoints_and_interleaved_transactions_come_as_they_committed() {
    let (database, client, mut source) = streaming(TABLE, &[]).await;
    let other = database.connect().await;
    client.batch_execute("begin; insert into t values (1)").await.unwrap();
    other.batch_execute("begin; insert into t values (10)").await.unwrap();
    client
        .batch_execute(
            "savepoint a; insert into t values (2); rollback to a; insert into t values (3); \
             savepoint b; insert into t values (4); release b",
        )
        .await
        .unwrap();
    other.batch_execute("insert into t values (11); commit").await.unwrap();
    client.batch_execute("commit").await.unwrap();
    other.batch_execute("begin; insert into t values (12); rollback").await.unwrap();
    client.batch_execute("insert into t values (5)").await.unwrap();
    let events = source.take(6).await;
    assert_eq!(short(&events), ["c 10", "c 11", "c 1", "c 3", "c 4", "c 5"]);
    source.stop().await;
}

/// Each single-row transaction begins where the one before ended: stopping behind any of them and
/// going on neither loses nor repeats.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_behind_any_commit_loses_and_repeats_nothing() {
    let (database, client, mut source) = streaming(TABLE, &[]).await;
    let props = config(&database, &[("table.include.list", "public.*")]);
    let mut seen = Vec::new();
    let in_a_round = if sends_messages(&client).await { 10 } else { 5 };
    for round in 0..4 {
        for id in round * 5..round * 5 + 5 {
            let message = "begin; select pg_logical_emit_message(true, 'p', 'x'); \
                           insert into t values ($id); commit";
            client.batch_execute(&message.replace("$id", &id.to_string())).await.unwrap();
        }
        // A busy server may hold the slot for a moment after a stop: the task says so and tries again.
        let missing = in_a_round * (round + 1) - seen.len();
        seen.extend(source.take_in_the_end(missing).await);
        // Rows may be handed out before the commit that ends their transaction has come.
        while source.open_rows > 0 {
            seen.extend(source.poll().await.unwrap());
        }
        let stored = source.commit().await;
        source.stop().await;
        source = Source::start(&props, Some(stored), false);
    }
    let rows: Vec<_> = seen.iter().filter(|event| event.topic != "srv.message").collect();
    let ids: Vec<_> = rows.iter().map(|event| event.key["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    client.batch_execute("insert into t values (100)").await.unwrap();
    assert_eq!(short(&source.take_in_the_end(1).await), ["c 100"]);
    source.stop().await;
}

/// A prepared transaction comes when it is committed.
#[tokio::test(flavor = "multi_thread")]
async fn prepared_transactions_come_when_they_commit() {
    let server = crate::support::OwnServer::start("-c max_prepared_transactions=10");
    let client = server.connect().await;
    client.batch_execute(TABLE).await.unwrap();
    let props = super::source::config_of(&server, &[("table.include.list", "public.t")]);
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client
        .batch_execute("begin; insert into t values (1); prepare transaction 'kept'")
        .await
        .unwrap();
    client
        .batch_execute("begin; insert into t values (2); prepare transaction 'dropped'")
        .await
        .unwrap();
    client.batch_execute("insert into t values (3)").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 3"]);
    client.batch_execute("rollback prepared 'dropped'").await.unwrap();
    client.batch_execute("commit prepared 'kept'").await.unwrap();
    client.batch_execute("insert into t values (4)").await.unwrap();
    assert_eq!(short(&source.take(2).await), ["c 1", "c 4"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_leaves_or_their_root() {
    const PARTED: &str = "\
        create table p (id int, region text, primary key (id, region)) partition by list (region); \
        create table p_a partition of p for values in ('a'); \
        create table p_b partition of p for values in ('b')";
    let change = "insert into p values (1, 'a'); update p set region = 'b' where id = 1; \
                  alter table p detach partition p_b";
    let (_database, client, mut source) = streaming(PARTED, &[]).await;
    client.batch_execute(change).await.unwrap();
    let events = source.take(4).await;
    let topics: Vec<_> = events.iter().map(|event| event.topic.as_str()).collect();
    // A row that moves to another partition is deleted here and created there.
    assert_eq!(topics, ["srv.public.p_a", "srv.public.p_a", "srv.public.p_a", "srv.public.p_b"]);
    assert_eq!(short(&events), ["c 1", "d 1", "tombstone 1", "c 1"]);
    source.stop().await;

    let via_root = [
        ("publish.via.partition.root", "true"),
        ("publication.autocreate.mode", "filtered"),
        ("table.include.list", "public.p"),
    ];
    if version(&client).await < 130_000 {
        let database = TestDatabase::create().await;
        database.connect().await.batch_execute(PARTED).await.unwrap();
        let props = config(&database, &via_root);
        let error = Source::start(&props, None, false).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("needs PostgreSQL 13"), "{error}");
        return;
    }
    let (_database, client, mut source) = streaming(PARTED, &via_root).await;
    client.batch_execute(change).await.unwrap();
    let events = source.take(4).await;
    assert!(events.iter().all(|event| event.topic == "srv.public.p"), "{events:?}");
    source.stop().await;
}

/// A value that was left alone and is not sent has a placeholder; where the old row has it, it is
/// that value.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_not_sent_are_never_lost() {
    let (_database, client, mut source) = streaming(TABLE, &[]).await;
    let big = "(select string_agg(md5(i::text), '') from generate_series(1, 300) i)";
    let insert = format!("insert into t values (1, 'a', {big})");
    client.batch_execute(&insert).await.unwrap();
    client.batch_execute("update t set name = 'b'").await.unwrap();
    client.batch_execute("alter table t replica identity full").await.unwrap();
    client.batch_execute("update t set name = 'c'").await.unwrap();
    let events = source.take(3).await;
    let whole = events[0].value["after"]["big"].clone();
    assert_eq!(whole.as_str().unwrap().len(), 9600);
    assert_eq!(events[1].value["after"]["big"], "__debezium_unavailable_value");
    assert_eq!(events[2].value["after"]["big"], whole);
    assert_eq!(events[2].value["before"]["big"], whole);
    source.stop().await;
}

/// Identities that change while the stream goes on, down to none at all.
#[tokio::test(flavor = "multi_thread")]
async fn every_replica_identity_is_read() {
    let table = "create table t (id int primary key, name text not null, big text); \
                 create unique index t_name on t (name)";
    let (_database, client, mut source) = streaming(table, &[]).await;
    client
        .batch_execute(
            "insert into t values (1, 'a', 'x'); update t set big = 'y'; \
             alter table t replica identity using index t_name; update t set big = 'z'; \
             alter table t replica identity full; update t set big = 'w'; \
             alter table t replica identity nothing; insert into t values (2, 'b', 'x')",
        )
        .await
        .unwrap();
    let events = source.take(5).await;
    let befores: Vec<_> = events.iter().map(|event| event.value["before"].clone()).collect();
    assert_eq!(befores[1], json!(null));
    assert_eq!(befores[3], json!({"id": 1, "name": "a", "big": "z"}));
    // The server refuses what could not be told apart.
    let refused = client.batch_execute("update t set big = 'v'").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "55000");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_columns_and_a_table_added_to_the_publication() {
    let table =
        "create table t (id int primary key, twice int generated always as (id * 2) stored)";
    let (database, client, mut source) =
        streaming(table, &[("publication.autocreate.mode", "filtered")]).await;
    client.batch_execute("insert into t values (1)").await.unwrap();
    assert_eq!(source.take(1).await[0].value["after"]["id"], 1);
    // Open while the publication changes: what it does to the new table is in the stream from then on.
    let writer = database.connect().await;
    writer.batch_execute("create table late (id int primary key)").await.unwrap();
    writer.batch_execute("begin; insert into t values (2)").await.unwrap();
    client
        .batch_execute(&format!("alter publication {} add table late", database.name))
        .await
        .unwrap();
    writer.batch_execute("insert into late values (1); commit").await.unwrap();
    client.batch_execute("insert into late values (2)").await.unwrap();
    let mut seen = Vec::new();
    while !seen.contains(&"c 2 srv.public.late".to_owned()) {
        let events = source.poll().await.unwrap();
        seen.extend(events.iter().map(|event| format!("{} {}", event.short(), event.topic)));
    }
    assert_eq!(seen[0], "c 2 srv.public.t");
    source.stop().await;
}

async fn confirmed(client: &Client, slot: &str) -> i64 {
    let query = "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots \
                 where slot_name = $1";
    client.query_one(query, &[&slot]).await.unwrap().get(0)
}

/// Others fill the log while nothing captured changes: the slot moves all the same, but never past
/// what Kafka has not taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_table_on_a_busy_server_keeps_no_log_and_loses_none() {
    let (database, client, mut source) = streaming(TABLE, &[]).await;
    let slot = database.name.clone();
    // The snapshot's end is stored; what follows is not until it is said to be.
    source.commit().await;
    client.batch_execute("create schema other; create table other.noise (x text)").await.unwrap();
    client.batch_execute("insert into t values (1)").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 1"]);
    let held = source.sealed.clone().unwrap();
    let noise = "insert into other.noise select repeat('x', 1000) from generate_series(1, 3000)";
    client.batch_execute(noise).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let members: serde_json::Value = serde_json::from_str(&held.offset).unwrap();
    let lsn = members["lsn"].as_i64().unwrap();
    assert!(confirmed(&client, &slot).await < lsn, "acknowledged what nobody stored");
    // With nothing in flight, positions follow the log: they are stored like those of rows.
    source.commit().await;
    let end: i64 = client
        .query_one("select (pg_current_wal_lsn() - '0/0')::bigint", &[])
        .await
        .unwrap()
        .get(0);
    let end = end - 1024 * 1024;
    while serde_json::from_str::<serde_json::Value>(&source.sealed.clone().unwrap().offset).unwrap()
        ["lsn"]
        .as_i64()
        .unwrap()
        < end
    {
        client.batch_execute(noise).await.unwrap();
        assert!(source.poll().await.unwrap().is_empty());
    }
    source.commit().await;
    eventually_async("the slot to follow", 30, || async {
        let confirmed = confirmed(&client, &slot).await;
        if confirmed >= end { Ok(()) } else { Err((confirmed, end)) }
    })
    .await;
    source.stop().await;
}

/// A value that records cannot show in a column that is never null stops the task, or its change is
/// left out where that is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_without_a_form_in_its_schema_is_never_null_silently() {
    let table = "create table t (id int primary key, price numeric(5, 2) not null)";
    let change = "insert into t values (1, 1.5); insert into t values (2, 'NaN'); \
                  update t set price = 'NaN' where id = 1; insert into t values (3, 3)";
    let mode = |mode| ("event.processing.failure.handling.mode", mode);
    let (_database, client, mut source) =
        streaming(table, &[mode("warn"), ("provide.transaction.metadata", "true")]).await;
    client.batch_execute(&format!("begin; {change}; commit")).await.unwrap();
    let events = source.take(4).await;
    let kept = events.iter().filter(|event| event.topic == "srv.public.t").cloned();
    assert_eq!(short(&kept.collect::<Vec<_>>()), ["c 1", "c 3"]);
    assert_eq!(events[3].value["event_count"], 2);
    source.stop().await;

    let (_database, client, mut source) = streaming(table, &[]).await;
    client.batch_execute(change).await.unwrap();
    let error = source.failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    for word in ["\"price\" of public.t is NOT NULL", "decimal.handling.mode=string", "warn"] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
}
