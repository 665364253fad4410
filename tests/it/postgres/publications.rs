//! What start-up makes on the server: publications of every mode, and failover slots.

use ferroconnect::error::ErrorKind;
use tokio_postgres::Client;

use super::source::{Source, config, version};
use crate::support::TestDatabase;

const TABLES: &str = "create table a (id int primary key); create table b (id int primary key)";

async fn database() -> (TestDatabase, Client) {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(TABLES).await.unwrap();
    (database, client)
}

/// Whether all tables are published, and insert, update, delete, truncate.
async fn published(database: &TestDatabase, client: &Client) -> (bool, String) {
    let query = "select puballtables, concat_ws(' ', pubinsert, pubupdate, pubdelete, pubtruncate), \
                 (select count(*) from pg_publication_tables t where t.pubname = p.pubname) \
                 from pg_publication p where pubname = $1";
    let row = client.query_one(query, &[&database.name]).await.unwrap();
    (row.get(0), format!("{} {}", row.get::<_, String>(1), row.get::<_, i64>(2)))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_makes_its_publication() {
    for (mode, more, expected) in [
        ("all_tables", None, (true, "t t t t 2")),
        ("no_tables", None, (false, "t t t t 0")),
        ("filtered", None, (false, "t t t t 1")),
        ("filtered", Some(("skipped.operations", "t")), (false, "t t t f 1")),
        ("all_tables", Some(("skipped.operations", "u,d")), (true, "t f f t 2")),
    ] {
        let (database, client) = database().await;
        let mode = ("publication.autocreate.mode", mode);
        let settings: Vec<_> =
            [mode, ("table.include.list", "public.a")].into_iter().chain(more).collect();
        let mut source = Source::start(&config(&database, &settings), None, false);
        source.snapshot().await;
        let (all, rest) = expected;
        assert_eq!(published(&database, &client).await, (all, rest.to_owned()), "{settings:?}");
        source.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_does_not_suit_is_refused() {
    let (database, client) = database().await;
    let filtered = ("publication.autocreate.mode", "filtered");
    let create = format!("create publication {} for all tables", database.name);
    client.batch_execute(&create).await.unwrap();
    let props = config(&database, &[filtered, ("table.include.list", "public.a")]);
    let error = Source::start(&props, None, false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = format!("A logical publication for all tables named '{}'", database.name);
    assert!(error.to_string().starts_with(&text), "{error}");

    let drop = format!("drop publication {}", database.name);
    client.batch_execute(&drop).await.unwrap();
    let props = config(&database, &[filtered, ("table.include.list", "public.none")]);
    let error = Source::start(&props, None, false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Retriable);
    assert!(error.to_string().contains("no table of database"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_differ_in_case_are_refused() {
    let (database, client) = database().await;
    client
        .batch_execute("create table twins (id int primary key, name text, \"Name\" text)")
        .await
        .unwrap();
    client.batch_execute("insert into twins values (1)").await.unwrap();
    let props = config(&database, &[("table.include.list", "public.twins")]);
    let error = Source::start(&props, None, false).failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    let text = "Table 'public.twins' has columns that differ only by case. Column name: 'Name'.";
    assert!(error.trace().contains(text), "{}", error.trace());
}

/// From version 17 on a slot can follow a failover.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_slot_is_one_where_the_server_has_them() {
    let (database, client) = database().await;
    let props = config(&database, &[("slot.failover", "true"), ("table.include.list", "public.a")]);
    let mut source = Source::start(&props, None, false);
    source.snapshot().await;
    let version = version(&client).await;
    let failover = "select (to_jsonb(s) ->> 'failover')::boolean from pg_replication_slots s \
                    where slot_name = $1";
    let failover: Option<bool> =
        client.query_one(failover, &[&database.name]).await.unwrap().get(0);
    assert_eq!(failover, (version >= 170_000).then_some(true));
    client.batch_execute("insert into a values (1)").await.unwrap();
    assert_eq!(source.take(1).await.len(), 1);
    source.stop().await;
}
