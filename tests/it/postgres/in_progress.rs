//! Transactions that the server sends while they are in progress: the records are those that it would
//! have sent after the commit.

use tokio_postgres::Client;

use super::source::{Event, Source, config_of, short, until_streaming, version, version_of_all};
use crate::support::{OwnServer, eventually_async};

const ON: (&str, &str) = ("streaming.in.progress", "true");
const OFF: (&str, &str) = ("streaming.in.progress", "false");
const TABLES: &str = "\
    create table t (id int primary key, name text, big text); alter table t replica identity full; \
    create table k (id int primary key, name text, big text); \
    create table p (id int primary key) partition by range (id); \
    create table p1 partition of p for values from (0) to (1000000)";

/// A server that streams every transaction of more than some hundred rows, if it is new enough.
async fn server() -> OwnServer {
    let eager = match version_of_all().await {
        130_000.. => "-c logical_decoding_work_mem=64kB ",
        _ => "",
    };
    OwnServer::start(&format!("{eager}-c max_prepared_transactions=10"))
}

/// How many transactions were streamed of a slot.
async fn streamed(client: &Client, slot: &str) -> i64 {
    let query = "select coalesce(sum(stream_txns), 0)::bigint from pg_stat_replication_slots \
                 where slot_name = $1";
    client.query_one(query, &[&slot]).await.unwrap().get(0)
}

/// A task that streams; it reads with a slot of this name, by the publication that all share.
async fn reader(server: &OwnServer, slot: &str, more: &[(&str, &str)]) -> Source {
    let named = [("slot.name", slot), ("skipped.operations", "none")];
    let metadata = [("provide.transaction.metadata", "true"), ("table.include.list", "public.*")];
    let all = [&named[..], &metadata[..], more].concat();
    let mut source = Source::start(&config_of(server, &all), None, false);
    let client = server.connect().await;
    source.snapshot().await;
    until_streaming(&client, slot).await;
    source
}

/// All that there is to compare: without the clock of the reading.
fn comparable(events: &[Event]) -> Vec<String> {
    let text = |event: &Event| {
        let mut value = event.value.clone();
        if let Some(members) = value.as_object_mut().filter(|members| members.contains_key("op")) {
            members.retain(|name, _| !["ts_ms", "ts_us", "ts_ns"].contains(&name.as_str()));
        }
        format!("{} {} {value} {:?}", event.topic, event.key, event.headers)
    };
    events.iter().map(text).collect()
}

/// Rows of every kind, in transactions that interleave, with savepoints at several depths, in
/// transactions small and large.
async fn mixed(server: &OwnServer) {
    let clients = [server.connect().await, server.connect().await];
    let rows = |table: &str, from: i32, to: i32| {
        format!(
            "insert into {table} select i, 'n' || i, repeat('x', i % 50) from generate_series({from}, {to}) i;"
        )
    };
    let run = |client: usize, sql: String| (client, sql);
    let big = "(select string_agg(md5(i::text), '') from generate_series(1, 3000) i)";
    let steps = [
        run(0, format!("begin; {} savepoint a; {}", rows("t", 1, 2000), rows("t", 2001, 4000))),
        run(1, format!("begin; {} savepoint x; {}", rows("k", 1, 1500), rows("k", 1501, 3000))),
        run(1, "select pg_logical_emit_message(false, 'p', 'beside'); rollback to x;".to_owned()),
        run(0, format!("savepoint b; {} savepoint c; delete from t;", rows("k", 9001, 9900))),
        run(0, "rollback to b; alter table t add column late int default 3;".to_owned()),
        run(0, "insert into p select generate_series(1, 700); update t set name = 'u';".to_owned()),
        run(1, format!("insert into k values (5000, 'toast', {big}); update k set name = 'v';")),
        run(1, "select pg_logical_emit_message(true, 'p', 'inside'); release savepoint x; commit;".to_owned()),
        run(0, "delete from t where id % 2 = 0; update t set id = -id where id < 300; truncate k; commit;".to_owned()),
        run(1, format!("begin; {} rollback;", rows("k", 1, 3000))),
        run(0, format!("begin; savepoint a; {} rollback to a; commit;", rows("k", 1, 3000))),
        run(1, format!("begin; {} prepare transaction 'p';", rows("k", 1, 2500))),
        run(0, "insert into t values (900000);".to_owned()),
        run(1, "commit prepared 'p';".to_owned()),
        run(0, "insert into t values (900001);".to_owned()),
    ];
    for (client, sql) in steps {
        let ran = clients[client].batch_execute(&sql).await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Polls until the last row of [`mixed`] has come.
async fn all(source: &mut Source) -> Vec<Event> {
    let mut events = Vec::new();
    while !events.iter().any(|event: &Event| event.key["id"] == 900_001) {
        events.extend(source.poll().await.unwrap());
    }
    // And the end of its transaction.
    events.extend(source.rest(1500).await);
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_those_of_transactions_that_were_sent_whole() {
    let server = server().await;
    let client = server.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let mut whole = reader(&server, "whole", &[OFF]).await;
    let mut streaming = reader(&server, "streaming", &[ON]).await;
    // From here on both know when something was committed.
    client.batch_execute("insert into p values (0)").await.unwrap();
    mixed(&server).await;
    let expected = comparable(&all(&mut whole).await);
    let got = comparable(&all(&mut streaming).await);
    assert!(expected.len() > 15_000, "{}", expected.len());
    let differs = expected.iter().zip(&got).position(|(one, other)| one != other);
    assert_eq!(differs.map(|at| (&expected[at], &got[at])), None);
    assert_eq!(expected.len(), got.len());
    if version(&client).await >= 150_000 {
        // The server counts when it pleases.
        eventually_async("streamed transactions to be counted", 30, || async {
            let (on, off) =
                (streamed(&client, "streaming").await, streamed(&client, "whole").await);
            if on >= 5 && off == 0 { Ok(()) } else { Err((on, off)) }
        })
        .await;
    }
    assert_eq!(sealed(&whole), sealed(&streaming));
    whole.stop().await;
    streaming.stop().await;
}

/// The position of the newest offset.
fn sealed(source: &Source) -> String {
    let members: serde_json::Value =
        serde_json::from_str(&source.sealed.as_ref().unwrap().offset).unwrap();
    members["lsn_commit"].to_string()
}

/// Killed while a transaction is received: it comes whole after the commit, and nothing before.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_cut_in_a_transaction_in_progress_loses_and_repeats_nothing() {
    let server = server().await;
    let client = server.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let mut source = reader(&server, "own", &[ON]).await;
    let writer = server.connect().await;
    client.batch_execute("insert into t values (-1)").await.unwrap();
    assert_eq!(short(&rows(source.take(3).await)), ["c -1"]);
    let stored = source.commit().await;
    let insert = "insert into t select i, repeat('x', 100) from generate_series($1, $2) i";
    let part =
        |from: i32, to: i32| insert.replace("$1", &from.to_string()).replace("$2", &to.to_string());
    writer.batch_execute(&format!("begin; {}", part(1, 10_000))).await.unwrap();
    assert!(source.is_idle().await, "a row before its commit");
    let send = "select count(*) from pg_stat_replication where sent_lsn >= pg_current_wal_lsn() - 4096::numeric";
    if version(&client).await >= 140_000 {
        eventually_async("the transaction to be received", 30, || async {
            let sent: i64 = client.query_one(send, &[]).await.unwrap().get(0);
            if sent > 0 { Ok(()) } else { Err("behind") }
        })
        .await;
    }
    // As a kill: no good-bye.
    drop(source);
    writer.batch_execute(&format!("{}; commit", part(10_001, 20_000))).await.unwrap();
    let more = [("slot.name", "own"), ("table.include.list", "public.*"), ON];
    let mut source = Source::start(&config_of(&server, &more), Some(stored), false);
    let events = source.take_in_the_end(20_000).await;
    let ids: Vec<_> = events.iter().map(|event| event.key["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=20_000).collect::<Vec<_>>());
    source.stop().await;
}

fn rows(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| event.value["op"].is_string()).collect()
}

/// Where the disk's limit is reached the server keeps transactions, as it does without streaming.
#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_of_the_disk_the_server_keeps_transactions() {
    let server = server().await;
    let client = server.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let small = ("streaming.spill.max.bytes", "1000000");
    let mut source = reader(&server, "own", &[ON, small]).await;
    client
        .batch_execute(
            "begin; insert into t select i, repeat('x', 300) from generate_series(1, 30000) i; \
             savepoint a; insert into k values (1); rollback to a; commit",
        )
        .await
        .unwrap();
    let events = rows(source.take_in_the_end(30_002).await);
    assert_eq!(events.len(), 30_000);
    client.batch_execute("insert into t values (-1)").await.unwrap();
    assert_eq!(short(&rows(source.take(3).await)), ["c -1"]);
    source.stop().await;
}
