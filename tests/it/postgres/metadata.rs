//! What records and topics tell beside the rows: transactions, heartbeats, source types, masks, and
//! the older form of it all.

use std::time::Duration;

use ferroconnect::error::ErrorKind;
use serde_json::{Value as Json, json};

use super::source::{Event, Source, config, sends_messages, short};
use crate::support::{TestDatabase, eventually_async};

const TABLES: &str = "\
    create schema inv; \
    create table inv.a (id int primary key, name text); \
    create table inv.b (id int primary key, name text);";

async fn database() -> TestDatabase {
    let database = TestDatabase::create().await;
    database.connect().await.batch_execute(TABLES).await.unwrap();
    database
}

fn block(event: &Event) -> (i64, i64) {
    let block = &event.value["transaction"];
    (block["total_order"].as_i64().unwrap(), block["data_collection_order"].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_told_with_what_they_hold() {
    let database = database().await;
    let client = database.connect().await;
    let props = config(
        &database,
        &[("table.include.list", "inv.*"), ("provide.transaction.metadata", "true")],
    );
    client.batch_execute("insert into inv.a values (1, 'read')").await.unwrap();
    let mut source = Source::start(&props, None, false);
    let read = source.snapshot().await;
    assert_eq!(read[0].value["transaction"], json!(null));
    client
        .batch_execute(
            "begin; insert into inv.b values (1, 'b'); insert into inv.a values (2, 'a'); \
             update inv.b set id = 3 where id = 1; \
             select pg_logical_emit_message(true, 'p', 'x'); commit",
        )
        .await
        .unwrap();
    let told = sends_messages(&client).await;
    let (count, last) = if told { (5, 7) } else { (4, 6) };
    let events = source.take(last + 1).await;
    let begin = &events[0];
    assert_eq!(begin.topic, "srv.transaction");
    let xid = events[1].value["source"]["txId"].as_i64().unwrap();
    let lsn = |event: &Event| event.value["source"]["lsn"].as_i64().unwrap();
    assert_eq!(begin.key, json!({"id": format!("{xid}:{}", lsn(&events[1]))}));
    assert_eq!(
        begin.value,
        json!({
            "status": "BEGIN", "id": format!("{xid}:{}", lsn(&events[1])), "event_count": null,
            "data_collections": null, "ts_ms": events[1].value["source"]["ts_ms"],
        })
    );
    assert_eq!(events[1].value["transaction"]["id"], format!("{xid}:{}", lsn(&events[1])));
    assert_eq!(block(&events[1]), (1, 1));
    assert_eq!(block(&events[2]), (2, 1));
    // Both halves of a changed key count.
    assert_eq!(short(&events[3..6]), ["d 1", "tombstone 1", "c 3"]);
    assert_eq!((block(&events[3]), block(&events[5])), ((3, 2), (4, 3)));
    if told {
        assert_eq!(block(&events[6]), (5, 1));
    }
    let end = &events[last].value;
    assert_eq!((&end["status"], &end["event_count"]), (&json!("END"), &json!(count)));
    let collections = end["data_collections"].as_array().unwrap();
    assert!(collections.contains(&json!({"data_collection": "inv.b", "event_count": 3})));
    assert!(collections.contains(&json!({"data_collection": "inv.a", "event_count": 1})));
    assert!(events[last].headers.is_empty());
    source.stop().await;
}

/// A transaction that is cut by a lost connection begins and ends once, and its events are counted
/// through.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_transaction_is_told_once() {
    let database = database().await;
    let client = database.connect().await;
    let props = config(
        &database,
        &[("table.include.list", "inv.a"), ("provide.transaction.metadata", "true")],
    );
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client
        .batch_execute("insert into inv.a select n, 'x' from generate_series(1, 12000) n")
        .await
        .unwrap();
    let mut events = Vec::new();
    let mut cut = false;
    while events.len() < 12_002 {
        match source.poll().await {
            Ok(more) => events.extend(more),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Retriable, "{error:?}"),
        }
        if events.len() > 3000 && !cut {
            cut = true;
            let kill = "select pg_terminate_backend(active_pid) from pg_replication_slots \
                        where slot_name = $1";
            client.execute(kill, &[&database.name]).await.unwrap();
        }
    }
    let statuses: Vec<_> =
        events.iter().filter_map(|event| event.value["status"].as_str()).collect();
    assert_eq!(statuses, ["BEGIN", "END"]);
    assert_eq!(events[12_001].value["event_count"], 12_000);
    let orders: Vec<_> = events[1..12_001].iter().map(|event| block(event).0).collect();
    assert_eq!(orders, (1..=12_000).collect::<Vec<_>>());
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_come_without_changes_and_run_their_statement() {
    let database = database().await;
    let client = database.connect().await;
    client.batch_execute("create table inv.beats (at timestamptz)").await.unwrap();
    let props = config(
        &database,
        &[
            ("table.include.list", "inv.a"),
            ("heartbeat.interval.ms", "200"),
            ("heartbeat.action.query", "insert into inv.beats values (now())"),
        ],
    );
    let mut source = Source::start(&props, None, false);
    // The first follows the snapshot at once.
    let events = source.take(3).await;
    for event in &events {
        assert_eq!(event.topic, "__debezium-heartbeat.srv");
        assert_eq!(event.key, json!({"serverName": "srv"}));
        assert!(event.value["ts_ms"].is_i64() && event.headers.is_empty());
        assert_eq!(event.partition, Some(0));
    }
    client.batch_execute("insert into inv.a values (1, 'a')").await.unwrap();
    let mut seen = Vec::new();
    while !seen.contains(&"c 1".to_owned()) {
        seen.extend(short(&source.poll().await.unwrap()));
    }
    // The statement's own effects are no captured changes, and move the position.
    let before = source.sealed.clone().unwrap().offset;
    let mut after = before.clone();
    let mut polls = 0;
    while after == before {
        source.poll().await.unwrap();
        after = source.sealed.clone().unwrap().offset;
        polls += 1;
        assert!(polls < 50, "the position does not move: {after}");
    }
    let beats: i64 = client.query_one("select count(*) from inv.beats", &[]).await.unwrap().get(0);
    assert!(beats >= 2, "{beats}");
    client.batch_execute("drop table inv.beats").await.unwrap();
    let error = source.failure().await;
    let text = "Could not execute heartbeat action query (Error: 42P01)";
    assert!(error.to_string().starts_with(text), "{error}");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn source_types_are_told_and_texts_are_masked() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client
        .batch_execute(
            "create table public.t (id int primary key, num numeric(6,2), at timestamp(3), \
             mail text, card varchar(30), pin int); \
             insert into t values (1, 1.5, '2024-02-29', 'hashme', 'hashme2', 4711)",
        )
        .await
        .unwrap();
    let props = config(
        &database,
        &[
            ("table.include.list", "public.t"),
            ("column.propagate.source.type", "public.t.(num|at)"),
            ("datatype.propagate.source.type", "public\\.t\\.int4"),
            ("column.mask.hash.SHA-256.with.salt.abc", "public.t.(mail|id)"),
            ("column.mask.hash.v2.SHA-256.with.salt.abc", "public.t.card"),
        ],
    );
    let mut source = Source::start(&props, None, true);
    let read = source.snapshot().await.remove(0);
    let insert = "insert into t values (2, 1.5, '2024-02-29', 'hashme', 'hashme2', 4711)";
    client.batch_execute(insert).await.unwrap();
    let created = source.take(1).await.remove(0);
    source.stop().await;
    for event in [&read, &created] {
        let after = &event.value["payload"]["after"];
        let digest = "7d08b92e25e8790a228ea0ea8266b5671b7188b7bcb53708995e408f63266366";
        assert_eq!(after["mail"], digest);
        assert_eq!(after["card"], "17c4be095122305b51ae1c3b347a5e");
        assert_eq!(after["pin"], 4711);
        let fields = event.value["schema"]["fields"][1]["fields"].as_array().unwrap();
        let parameters = |name: &str| -> Json {
            fields.iter().find(|field| field["field"] == name).unwrap()["parameters"].clone()
        };
        let source = |ty: &str, length: &str, scale: &str, name: &str| {
            json!({
                "__debezium.source.column.type": ty, "__debezium.source.column.length": length,
                "__debezium.source.column.scale": scale, "__debezium.source.column.name": name,
            })
        };
        assert_eq!(parameters("at"), source("TIMESTAMP", "26", "3", "at"));
        // A rule of types comes before one of digests.
        assert_eq!(parameters("id"), source("INT4", "10", "0", "id"));
        assert_eq!(parameters("num")["__debezium.source.column.type"], "NUMERIC");
        assert_eq!(parameters("num")["scale"], "2");
        assert_eq!(parameters("mail"), json!({"masked": "true"}));
        assert_eq!(event.key["schema"]["fields"][0]["parameters"], json!(null));
    }
    assert_eq!(read.value["schema"], created.value["schema"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_form_is_that_of_the_older_generation() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client
        .batch_execute("create table public.t (id int primary key, found tsvector)")
        .await
        .unwrap();
    client.batch_execute("insert into t values (1, 'a'), (2, 'b')").await.unwrap();
    let props =
        config(&database, &[("table.include.list", "public.t"), ("debezium.compatibility", "2.3")]);
    let mut source = Source::start(&props, None, true);
    let read = source.snapshot().await.remove(0);
    let sealed = source.sealed.clone().unwrap().offset;
    assert!(sealed.ends_with("\"snapshot\":true}"), "{sealed}");
    client
        .batch_execute("insert into t values (3); select pg_logical_emit_message(true, 'p', 'x')")
        .await
        .unwrap();
    let told = sends_messages(&client).await;
    let events = source.take(1 + usize::from(told)).await;
    let stored = source.commit().await;
    assert!(stored.offset.starts_with("{\"transaction_id\":null,"), "{}", stored.offset);
    let names =
        |members: &Json| members.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    for event in [&read, &events[0]] {
        assert!(event.headers.is_empty());
        let payload = &event.value["payload"];
        assert_eq!(names(payload), "before after source op ts_ms transaction");
        assert_eq!(
            names(&payload["source"]),
            "version connector name ts_ms snapshot db sequence schema table txId lsn xmin"
        );
        assert_eq!(payload["source"]["version"], "2.3.7.Final");
        assert_eq!(names(&payload["after"]), "id");
        let schema = &event.value["schema"];
        assert_eq!(schema["version"], 1);
        let source = &schema["fields"][2];
        assert_eq!(source["version"], json!(null));
        let allowed = &source["fields"][4]["parameters"]["allowed"];
        assert_eq!(allowed, "true,last,false,incremental");
    }
    if told {
        assert_eq!(names(&events[1].value["payload"]), "op ts_ms source message");
    }
    source.stop().await;

    // What one generation wrote, the other goes on from.
    client.batch_execute("insert into t values (4)").await.unwrap();
    let newer = config(&database, &[("table.include.list", "public.t")]);
    let mut source = Source::start(&newer, Some(stored), false);
    assert_eq!(short(&source.take(1).await), ["c 4"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_get_the_replica_identity_that_was_asked_for() {
    let database = database().await;
    let client = database.connect().await;
    client
        .batch_execute(
            "create unique index b_name on inv.b (name); alter table inv.b alter name set not null",
        )
        .await
        .unwrap();
    let props = config(
        &database,
        &[
            ("table.include.list", "inv.*"),
            ("replica.identity.autoset.values", "inv.a:FULL,inv.b:INDEX b_name"),
            ("xmin.fetch.interval.ms", "100"),
        ],
    );
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client
        .batch_execute("insert into inv.a values (1, 'a'); update inv.a set name = 'b'")
        .await
        .unwrap();
    let events = source.take(2).await;
    assert_eq!(events[1].value["before"], json!({"id": 1, "name": "a"}));
    let identities = "select string_agg(relreplident::text, '' order by relname) from pg_class \
                      where oid in ('inv.a'::regclass, 'inv.b'::regclass)";
    let identities: String = client.query_one(identities, &[]).await.unwrap().get(0);
    assert_eq!(identities, "fi");
    // The slot is looked at from the side, and records show its xmin once that is known.
    let mut xmin = json!(null);
    for id in 2..200 {
        client.execute("insert into inv.a values ($1, 'x')", &[&id]).await.unwrap();
        xmin = source.take(1).await.remove(0).value["source"]["xmin"].clone();
        if xmin.is_i64() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(xmin.is_i64(), "{xmin}");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tables_stop_the_task_where_that_is_asked() {
    let database = database().await;
    let limits = [("table.include.list", "inv.*"), ("guardrail.collections.max", "1")];
    let fail = ("guardrail.collections.limit.action", "fail");
    let props = config(&database, &[&limits[..], &[fail]].concat());
    let error = Source::start(&props, None, false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = "Guardrail limit exceeded: 2 tables/collections configured for capture, but maximum \
                allowed is 1.";
    assert!(error.to_string().starts_with(text), "{error}");
    let mut source = Source::start(&config(&database, &limits), None, false);
    source.snapshot().await;
    source.stop().await;
}

/// The role's password changes while the task runs: it waits for the old one to come back, and says
/// so.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_is_waited_out() {
    let database = database().await;
    let client = database.connect().await;
    let role = crate::support::unique("rotated");
    client
        .batch_execute(&format!("create role {role} login superuser password 'first'"))
        .await
        .unwrap();
    let props = config(
        &database,
        &[
            ("table.include.list", "inv.a"),
            ("database.user", &role),
            ("database.password", "first"),
        ],
    );
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    client.batch_execute("insert into inv.a values (1, 'before')").await.unwrap();
    source.take(1).await;
    client.batch_execute(&format!("alter role {role} password 'second'")).await.unwrap();
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1";
    client.execute(kill, &[&role]).await.unwrap();
    // The cut itself, and then what logging in says.
    let mut error = source.failure().await;
    while !error.to_string().contains("no longer lets the connector in") {
        assert_eq!(error.kind(), ErrorKind::Retriable, "{error:?}");
        error = source.failure().await;
    }
    assert_eq!(error.kind(), ErrorKind::Retriable);
    assert!(error.trace().contains("password authentication failed"), "{}", error.trace());
    client
        .batch_execute(&format!(
            "alter role {role} password 'first'; insert into inv.a values (2, 'after')"
        ))
        .await
        .unwrap();
    let events = source.take_in_the_end(1).await;
    assert_eq!(short(&events), ["c 2"]);
    source.stop().await;
    // The publication is its own.
    let drop = format!("drop owned by {role}; drop role {role}");
    eventually_async("the role to be free", 30, || async { client.batch_execute(&drop).await })
        .await;
}
