//! A standby takes the place of the server that was captured.

use ferroconnect::error::ErrorKind;
use tokio_postgres::Client;

use super::source::{Source, config_of, short, version, version_of_all};
use crate::support::{OwnServer, eventually_async};

const TABLE: (&str, &str) = ("table.include.list", "public.t");

/// Without the slot on the standby, what was not read before is unknown: the task says so and stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_without_the_slot_is_refused() {
    let mut primary = OwnServer::start("");
    let standby = tokio::task::block_in_place(|| primary.standby(""));
    let client = primary.connect().await;
    client.batch_execute("create table t (id int primary key)").await.unwrap();
    let mut source = Source::start(&config_of(&primary, &[TABLE]), None, false);
    source.snapshot().await;
    client.batch_execute("insert into t values (1)").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 1"]);
    let stored = source.commit().await;
    source.stop().await;
    client.batch_execute("insert into t values (2)").await.unwrap();
    promote(&primary, &standby, 2).await;
    let error = Source::start(&config_of(&standby, &[TABLE]), Some(stored), false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
    for word in ["\"own\"", "when_needed"] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
}

/// From 17 on a slot follows to the standby, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_slot_goes_on_at_the_standby() {
    if version_of_all().await < 170_000 {
        // No server before has such slots.
        return;
    }
    let mut primary = OwnServer::start("");
    let feedback =
        "-c hot_standby_feedback=on -c sync_replication_slots=on -c primary_slot_name=physical";
    primary
        .connect()
        .await
        .batch_execute("select pg_create_physical_replication_slot('physical')")
        .await
        .unwrap();
    let standby = tokio::task::block_in_place(|| primary.standby(feedback));
    let client = primary.connect().await;
    assert!(version(&client).await >= 170_000);
    client.batch_execute("create table t (id int primary key)").await.unwrap();
    let settings = [TABLE, ("slot.failover", "true")];
    let mut source = Source::start(&config_of(&primary, &settings), None, false);
    source.snapshot().await;
    client.batch_execute("insert into t values (1)").await.unwrap();
    assert_eq!(short(&source.take(1).await), ["c 1"]);
    let mut stored = source.commit().await;
    let replica = standby.connect().await;
    let synced = "select count(*) from pg_replication_slots where slot_name = 'own' and synced and not temporary";
    let mut id = 100;
    while count(&replica, synced).await == 0 {
        // The standby takes a slot over when it has come as far as the primary's.
        id += 1;
        client.batch_execute(&format!("insert into t values ({id})")).await.unwrap();
        source.take(1).await;
        stored = source.commit().await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert!(id < 300, "the slot is not taken over");
    }
    source.stop().await;
    client.batch_execute("insert into t values (2)").await.unwrap();
    promote(&primary, &standby, i64::from(id) - 100 + 2).await;
    replica.batch_execute("insert into t values (3)").await.unwrap();
    let mut source = Source::start(&config_of(&standby, &settings), Some(stored), false);
    assert_eq!(short(&source.take_in_the_end(2).await), ["c 2", "c 3"]);
    source.stop().await;
}

async fn count(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// Has the standby take over once it has so many rows.
async fn promote(primary: &OwnServer, standby: &OwnServer, rows: i64) {
    let replica = standby.connect().await;
    eventually_async("the standby to have the rows", 60, || async {
        let query = "select count(*) from t";
        let found = replica.query_one(query, &[]).await.map(|row| row.get::<_, i64>(0));
        if found.as_ref().is_ok_and(|found| *found == rows) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
    tokio::task::block_in_place(|| primary.stop());
    replica.batch_execute("select pg_promote(true, 60)").await.unwrap();
}
