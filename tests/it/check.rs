//! `ferroconnect check`: what a file's database and bucket say before it is posted.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{TestDatabase, services, unique};

fn file(name: &str, config: &Value) -> PathBuf {
    let path = std::env::temp_dir().join(format!("{}.json", unique(name)));
    std::fs::write(&path, json!({"name": name, "config": config}).to_string()).unwrap();
    path
}

/// Exit code and everything that is printed.
async fn check(path: PathBuf) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferroconnect"));
    command.arg("check").arg(path);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code().unwrap(), text)
}

fn source(database: &TestDatabase, more: Value) -> Value {
    let (host, port) = services().postgres_address();
    let mut config = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "topic.prefix": "srv", "plugin.name": "pgoutput",
        "database.hostname": host, "database.port": port.to_string(),
        "database.user": "postgres", "database.password": "postgres",
        "database.dbname": database.name,
        "slot.name": database.name, "publication.name": database.name,
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_shown_with_a_record_and_leaves_nothing_behind() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client
        .batch_execute(
            "create schema inv; create table inv.a (id bigint primary key, qty numeric(8,2)); \
             create table inv.empty (id int primary key); insert into inv.a values (7, 1.50)",
        )
        .await
        .unwrap();
    let (code, text) = check(file("good", &source(&database, json!({})))).await;
    assert_eq!(code, 0, "{text}");
    for part in [
        "2 captured: inv.a, inv.empty",
        &format!("{} will be made", database.name),
        "A record, to the topic srv.inv.a",
        r#"key    {"id":7}"#,
        r#"value  {"id":7,"qty":"AJY="}"#,
        "REQUIRED INT64 id;",
        "qty (DECIMAL(8,2));",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let made = "select (select count(*) from pg_replication_slots where database = $1) \
                + (select count(*) from pg_publication)";
    let made: i64 = client.query_one(made, &[&database.name]).await.unwrap().get(0);
    assert_eq!(made, 0, "no slot and no publication");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_should_know_is_told_with_the_next_step() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute("create schema inv; create table inv.bare (x int)").await.unwrap();
    let config = source(&database, json!({"tabel.include.list": "inv.a"}));
    let (code, text) = check(file("look", &config)).await;
    assert_eq!(code, 3, "{text}");
    for part in [
        "nobody reads tabel.include.list; did you mean table.include.list?",
        "inv.bare: tables without a primary key",
        "(alter table inv.bare replica identity full)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("A record"), "{text}");
    let wrong = source(&database, json!({"database.user": "nobody", "slot.name": "No Slot"}));
    let (code, text) = check(file("wrong", &wrong)).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("wrong slot.name: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sinks_bucket_is_written_to_without_a_trace() {
    let services = services();
    let bucket = services.bucket();
    let sink = |bucket: &str| {
        json!({
            "connector.class": "io.confluent.connect.s3.S3SinkConnector", "topics": "t",
            "s3.bucket.name": bucket, "s3.region": "us-east-1", "store.url": services.s3,
            "aws.access.key.id": services.s3_access_key,
            "aws.secret.access.key": services.s3_secret_key, "flush.size": "1",
            "storage.class": "io.confluent.connect.s3.storage.S3Storage",
            "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat",
        })
    };
    let (code, text) = check(file("sink", &sink(&bucket))).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("was begun and given up"), "{text}");
    let left = std::fs::read_dir(services.s3_dir.join(&bucket)).unwrap().count();
    assert_eq!(left, 0, "nothing in the bucket");
    let (code, text) = check(file("sink", &sink("no-such-bucket"))).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("no-such-bucket"), "{text}");
}
