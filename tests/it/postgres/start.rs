//! Start-up: what is made on the server, and what is left alone.

use super::source::{Source, config, short};
use crate::support::TestDatabase;

const TABLES: &str = "\
    create schema inv;
    create table inv.a (id int primary key);
    create table inv.b (id int primary key, secret text);
    insert into inv.a values (1); insert into inv.b values (1, 'hidden'), (2, 'hidden');";

async fn count(client: &tokio_postgres::Client, query: &str, name: &str) -> i64 {
    client.query_one(query, &[&name]).await.unwrap().get(0)
}

const SLOTS: &str = "select count(*) from pg_replication_slots where slot_name = $1";
const PUBLICATIONS: &str = "select count(*) from pg_publication where pubname = $1";

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_publication_follows_the_lists() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let with = |list: &'static str| {
        config(
            &database,
            &[("publication.autocreate.mode", "filtered"), ("table.include.list", list)],
        )
    };
    let published = async || {
        let query = "select string_agg(tablename, ' ' order by tablename) \
                     from pg_publication_tables where pubname = $1";
        client.query_one(query, &[&database.name]).await.unwrap().get::<_, String>(0)
    };
    let mut source = Source::start(&with("inv.a"), None, false);
    assert_eq!(short(&source.snapshot().await), ["r 1"]);
    assert_eq!(published().await, "a");
    let stored = source.commit().await;
    source.stop().await;
    let mut source = Source::start(&with("inv.b,inv.a"), Some(stored), false);
    let insert = async {
        crate::support::eventually_async("the publication to follow", 30, || async {
            let tables = published().await;
            if tables == "a b" { Ok(()) } else { Err(tables) }
        })
        .await;
        client.batch_execute("insert into inv.b values (3, 'x')").await.unwrap();
    };
    let (events, ()) = tokio::join!(source.take(1), insert);
    assert_eq!(short(&events), ["c 3"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn initial_only_leaves_neither_slot_nor_publication() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let props = config(
        &database,
        &[
            ("snapshot.mode", "initial_only"),
            ("table.include.list", "inv.b,inv.a"),
            ("column.exclude.list", "inv.b.secret"),
            ("snapshot.select.statement.overrides", "inv.b"),
            ("snapshot.select.statement.overrides.inv.b", "select * from inv.b where id > 1;"),
        ],
    );
    let mut source = Source::start(&props, None, false);
    let events = source.snapshot().await;
    // In the order of the list.
    assert_eq!(short(&events), ["r 2", "r 1"]);
    assert_eq!(events[0].value["after"], serde_json::json!({"id": 2}));
    assert_eq!(events[0].value["source"]["snapshot"], "first");
    assert_eq!(events[1].value["source"]["snapshot"], "last");
    assert_eq!(count(&client, SLOTS, &database.name).await, 0);
    assert_eq!(count(&client, PUBLICATIONS, &database.name).await, 0);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_dropped_at_stop_when_asked_for() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let props = config(&database, &[("slot.drop.on.stop", "true")]);
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    assert_eq!(count(&client, SLOTS, &database.name).await, 1);
    assert_eq!(count(&client, PUBLICATIONS, &database.name).await, 1);
    source.stop().await;
    assert_eq!(count(&client, SLOTS, &database.name).await, 0);
}
