//! `ferroconnect.DuckDbScd2SinkConnector` over REST.

use std::path::Path;

use serde_json::{Value, json};

use super::{folder, rows};
use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerProcess, eventually_async};

const CLASS: &str = "ferroconnect.DuckDbScd2SinkConnector";

fn write(folder: &Path, offset: u64, lines: &[&str]) {
    let topic = folder.join("lake/shop.items/partition=0");
    std::fs::create_dir_all(&topic).unwrap();
    // As objects appear: whole.
    let unfinished = folder.join("unfinished");
    std::fs::write(&unfinished, lines.join("\n") + "\n").unwrap();
    std::fs::rename(unfinished, topic.join(format!("shop.items+0+{offset:010}.json"))).unwrap();
}

fn file(pipeline: &Pipeline, folder: &Path) -> Value {
    json!({
        "name": format!("{}-history", pipeline.prefix),
        "config": {
            "connector.class": CLASS,
            "scd2.source": folder.join("lake").to_str().unwrap(),
            "scd2.database": folder.join("history.duckdb").to_str().unwrap(),
            "scd2.poll.interval.ms": "200",
        }
    })
}

async fn shows(database: &Path, sql: &str, expected: &[&str]) {
    eventually_async("the history tables", 30, || async {
        let found = rows(database, sql)?;
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

async fn reaches(url: &str, state: &str, tasks: usize) {
    eventually_async("the status", 30, || async {
        let status = get(&format!("{url}/status")).await?;
        let all = status["tasks"].as_array().map_or(0, Vec::len);
        if status["connector"]["state"] == state && all == tasks {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_connector_keeps_the_tables_current() {
    let pipeline = Pipeline::create().await;
    let worker = WorkerProcess::start(&pipeline.options);
    let folder = folder();
    let database = folder.join("history.duckdb");
    write(&folder, 0, &[r#"{"id":1,"v":1,"__deleted":"false"}"#]);
    pipeline.post(&worker, &file(&pipeline, &folder)).await;
    let url = format!("{}/connectors/{}-history", worker.url, pipeline.prefix);
    shows(&database, "select id, v from items_current order by id", &["1|1"]).await;
    write(
        &folder,
        1,
        &[r#"{"id":1,"v":2,"__deleted":"false"}"#, r#"{"id":2,"v":7,"__deleted":"false"}"#],
    );
    shows(&database, "select id, v from items_current order by id", &["1|2", "2|7"]).await;
    reaches(&url, "RUNNING", 1).await;
    assert_eq!(get(&url).await.unwrap()["type"], "source");
    // Offsets show how far each partition was read.
    eventually_async("the offsets", 30, || async {
        let offsets = get(&format!("{url}/offsets")).await?;
        let only = &offsets["offsets"][0];
        let right = only["partition"]["table"] == "items"
            && only["partition"]["topic"] == "shop.items"
            && only["partition"]["partition"] == 0
            && only["offset"]["offset"] == 1;
        if right { Ok(()) } else { Err(offsets.to_string()) }
    })
    .await;
    // A paused connector reads nothing; a resumed one reads what came meanwhile.
    let client = reqwest::Client::new();
    client.put(format!("{url}/pause")).send().await.unwrap();
    reaches(&url, "PAUSED", 1).await;
    client.put(format!("{url}/resume")).send().await.unwrap();
    write(&folder, 3, &[r#"{"id":1,"v":null,"__deleted":"true"}"#]);
    shows(&database, "select id, v from items_current order by id", &["2|7"]).await;
    // The manifest is in the database: offsets cannot be taken back here.
    client.put(format!("{url}/stop")).send().await.unwrap();
    reaches(&url, "STOPPED", 0).await;
    let answer = client.delete(format!("{url}/offsets")).send().await.unwrap();
    // The original's status for a connector that refuses.
    assert_eq!(answer.status(), 500);
    assert!(answer.text().await.unwrap().contains("scd2 rebuild"), "the remedy is named");
    assert_eq!(client.delete(&url).send().await.unwrap().status(), 204);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_fails_is_in_the_status_and_the_others_go_on() {
    let pipeline = Pipeline::create().await;
    let worker = WorkerProcess::start(&pipeline.options);
    let folder = folder();
    write(&folder, 0, &[r#"{"id":1,"v":1,"__deleted":"false"}"#]);
    let other = folder.join("lake/nokey+0+0000000000.json");
    std::fs::write(&other, "{\"name\":\"a\"}\n").unwrap();
    pipeline.post(&worker, &file(&pipeline, &folder)).await;
    let url = format!("{}/connectors/{}-history", worker.url, pipeline.prefix);
    shows(&folder.join("history.duckdb"), "select id from items_current", &["1"]).await;
    eventually_async("the reason in the log", 30, || async {
        let log = std::fs::read_to_string(&worker.log).unwrap();
        if log.contains("nokey") && log.contains("set its keys") { Ok(()) } else { Err(log) }
    })
    .await;
    reaches(&url, "RUNNING", 1).await;
    // Mended from outside: no restart is needed.
    std::fs::remove_file(other).unwrap();
    write(&folder, 1, &[r#"{"id":2,"v":1,"__deleted":"false"}"#]);
    shows(&folder.join("history.duckdb"), "select id from items_current order by id", &["1", "2"])
        .await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_key_by_key() {
    let pipeline = Pipeline::create().await;
    let worker = WorkerProcess::start(&pipeline.options);
    let folder = folder();
    let plugins = get(&format!("{}/connector-plugins", worker.url)).await.unwrap();
    let listed = plugins.as_array().unwrap().iter().find(|plugin| plugin["class"] == CLASS);
    assert_eq!(listed.unwrap()["type"], "source");
    for (key, value, word) in [
        ("scd2.database", json!(null), "scd2.database"),
        ("scd2.database", json!("relative.duckdb"), "absolute"),
        ("scd2.poll.interval.ms", json!("1"), "at least 100"),
        ("scd2.tables.config", json!("{\"t\": {\"delets\": \"row\"}}"), "delets"),
    ] {
        let mut wrong = file(&pipeline, &folder);
        wrong["config"][key] = value;
        if wrong["config"][key].is_null() {
            wrong["config"].as_object_mut().unwrap().remove(key);
        }
        let (status, body) = pipeline.try_post(&worker, &wrong).await;
        assert_eq!(status, 400, "{body}");
        assert!(body.contains(word), "{body}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
