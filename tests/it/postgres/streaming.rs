//! Snapshot, stream and resume.

use serde_json::json;

use super::source::{Source, config, sends_messages, short, until_streaming};
use crate::support::{TestDatabase, eventually_async};

const TABLES: &str = "\
    create schema inv;
    create table inv.a (id int primary key, name text not null, qty numeric(8,2));
    create table inv.empty (id int primary key);
    create table inv.other (id int primary key);";

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_then_streamed_then_resumed() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    client
        .batch_execute(
            "insert into inv.a values (1,'one',1.5),(2,'two',null),(3,E'a\\tb\\\\c\\nd',0)",
        )
        .await
        .unwrap();
    let props = config(&database, &[("table.include.list", "inv.a,inv.empty")]);
    let mut source = Source::start(&props, None, false);
    let events = source.snapshot().await;
    assert_eq!(short(&events), ["r 1", "r 2", "r 3"]);
    let markers: Vec<_> = events.iter().map(|event| &event.value["source"]["snapshot"]).collect();
    assert_eq!(markers, ["first", "true", "last"]);
    assert_eq!(events[0].topic, "srv.inv.a");
    assert_eq!(events[0].value["after"], json!({"id": 1, "name": "one", "qty": "AJY="}));
    assert_eq!(events[2].value["after"]["name"], "a\tb\\c\nd");
    let lsn = events[0].value["source"]["lsn"].as_i64().unwrap();
    assert_eq!(events[0].value["source"]["sequence"], format!("[null,\"{lsn}\"]"));
    client
        .batch_execute(
            "begin; insert into inv.a values (4,'four',4); update inv.a set name = 'uno' where id = 1; \
             insert into inv.other values (1); commit; \
             update inv.a set id = 5 where id = 2; delete from inv.a where id = 3;",
        )
        .await
        .unwrap();
    let events = source.take(7).await;
    assert_eq!(short(&events), ["c 4", "u 1", "d 2", "tombstone 2", "c 5", "d 3", "tombstone 3"]);
    assert_eq!(events[1].value["before"], json!(null));
    // Behind it come the headers that say which run of which connector a record is of.
    assert_eq!(events[2].headers[0], "__debezium.newkey");
    assert!(events.iter().all(|e| e.headers.contains(&"__debezium.context.runId".to_owned())));
    assert_eq!(events[5].value["before"], json!({"id": 3, "name": "", "qty": null}));
    assert_eq!(events[5].value["source"]["db"], database.name);
    let stored = source.commit().await;
    confirmed_at(&database, &stored.offset).await;
    source.stop().await;

    client.batch_execute("insert into inv.a values (6,'six',6)").await.unwrap();
    let mut source = Source::start(&props, Some(stored), false);
    let events = source.take(1).await;
    assert_eq!(short(&events), ["c 6"]);
    source.stop().await;
}

async fn confirmed_at(database: &TestDatabase, offset: &str) {
    let members: serde_json::Value = serde_json::from_str(offset).unwrap();
    let lsn = members["lsn_commit"].as_i64().unwrap();
    let client = database.connect().await;
    let query = "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots \
                 where slot_name = $1";
    eventually_async("the slot to be acknowledged", 30, || async {
        let confirmed: i64 = client.query_one(query, &[&database.name]).await.unwrap().get(0);
        if confirmed == lsn { Ok(()) } else { Err((confirmed, lsn)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_during_the_snapshot_lose_and_repeat_nothing() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    client
        .batch_execute("insert into inv.a select n, 'n' || n, n from generate_series(1, 20000) n")
        .await
        .unwrap();
    let props = config(&database, &[("table.include.list", "inv.a")]);
    let mut source = Source::start(&props, None, false);
    let writer = tokio::spawn(async move {
        for id in 20_001..20_201 {
            let insert = format!("insert into inv.a values ({id}, 'late', 1)");
            client.batch_execute(&insert).await.unwrap();
        }
    });
    let mut events = source.snapshot().await;
    writer.await.unwrap();
    while events.len() < 20_200 {
        events.extend(source.poll().await.unwrap());
    }
    let mut ids: Vec<_> = events.iter().map(|event| event.key["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=20_200).collect::<Vec<_>>());
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_table_show_with_its_next_row() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let props = config(&database, &[("snapshot.mode", "no_data"), ("table.include.list", "inv.*")]);
    let mut source = Source::start(&props, None, true);
    let client = &client;
    let polled = async {
        until_streaming(client, &database.name).await;
        client
            .batch_execute(
                "begin; insert into inv.a values (1,'a',1); \
                 alter table inv.a add column flag boolean not null default true; \
                 insert into inv.a values (2,'b',2,false); \
                 alter table inv.a drop column qty; \
                 insert into inv.a values (3,'c',true); commit; \
                 alter table inv.a replica identity full; update inv.a set name = 'd' where id = 3;",
            )
            .await
            .unwrap();
    };
    let (events, ()) = tokio::join!(source.take(4), polled);
    let fields = |index: usize| {
        let row = &events[index].value["schema"]["fields"][1]["fields"];
        let names = row.as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(fields(0), "id name qty");
    assert_eq!(fields(1), "id name qty flag");
    assert_eq!(fields(2), "id name flag");
    let update = &events[3].value["payload"];
    assert_eq!(update["before"], json!({"id": 3, "name": "c", "flag": true}));
    assert_eq!(update["after"], json!({"id": 3, "name": "d", "flag": true}));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logical_messages_and_truncates_are_records() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    let props =
        config(&database, &[("skipped.operations", "none"), ("table.include.list", "inv.a")]);
    let mut source = Source::start(&props, None, false);
    assert!(source.snapshot().await.is_empty());
    client
        .batch_execute(
            "begin; insert into inv.a values (1,'a',1); \
             select pg_logical_emit_message(true, 'pfx', 'hello'); truncate inv.a; commit; \
             select pg_logical_emit_message(false, 'alone', 'x');",
        )
        .await
        .unwrap();
    if !sends_messages(&client).await {
        let events = source.take(2).await;
        assert_eq!(events[1].value["op"], "t");
        return source.stop().await;
    }
    let events = source.take(4).await;
    assert_eq!(events[1].topic, "srv.message");
    assert_eq!(events[1].key, json!({"prefix": "pfx"}));
    assert_eq!(events[1].value["message"], json!({"prefix": "pfx", "content": "aGVsbG8="}));
    assert_eq!(events[2].value["op"], "t");
    assert_eq!(events[2].key, json!(null));
    assert_eq!(events[3].value["source"]["txId"], json!(null));
    source.stop().await;
}
