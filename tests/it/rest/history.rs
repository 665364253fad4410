//! `/ferroconnect/audit`, `/ferroconnect/connectors/{connector}/history` and `rollback`: every change is
//! recorded, without secrets, and can be taken back.

use reqwest::Client;
use serde_json::{Value, json};

use super::client::{is_ours, sink, source};
use super::file_stream;
use super::security::{Files, guarded};
use crate::support::{InProcessWorker, eventually_async, unique};

async fn ask(
    worker: &InProcessWorker,
    who: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = Client::new().request(method, format!("{}{path}", worker.url));
    request = request.bearer_auth(format!("token-{who}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn entries(worker: &InProcessWorker, path: &str) -> Vec<Value> {
    let (status, answer) = ask(worker, "ada", "GET", path, None).await;
    assert_eq!(status, 200, "{answer}");
    answer["entries"].as_array().expect("entries").clone()
}

async fn runs(worker: &InProcessWorker, status: &str) {
    eventually_async("it runs", 30, || async {
        let (_, status) = ask(worker, "vera", "GET", status, None).await;
        let states = [&status["connector"]["state"], &status["tasks"][0]["state"]];
        if states == ["RUNNING", "RUNNING"] { Ok(()) } else { Err(status) }
    })
    .await;
}

/// The history comes a page at a time.
async fn pages(worker: &InProcessWorker, name: &str, ids: &[i64]) {
    let path = format!("/ferroconnect/connectors/{name}/history?limit=2&before={}", ids[3]);
    let page = entries(worker, &path).await;
    let found: Vec<_> = page.iter().map(|entry| entry["id"].as_i64().unwrap()).collect();
    assert_eq!(found, ids[4..6]);
    let (status, error) = ask(worker, "ada", "GET", "/ferroconnect/audit?limit=x", None).await;
    assert_eq!((status, &error["message"]), (400, &json!("\"x\" is no number for limit")));
}

#[tokio::test]
async fn every_change_is_recorded_with_who_and_what() {
    if !is_ours() {
        return;
    }
    let files = Files::new();
    let worker = guarded(&files, &[]).await;
    let name = unique("h");
    let at = |rest: &str| format!("/connectors/{name}{rest}");
    let stopped =
        json!({"name": name, "config": source(json!({"a": "1"})), "initial_state": "STOPPED"});
    let position =
        json!({"offsets": [{"partition": {"filename": "/f"}, "offset": {"position": 3}}]});
    let level = json!({"level": "WARN"});
    let steps = [
        ("ed", "POST", "/connectors".to_owned(), Some(stopped.clone()), 201, "create", "done"),
        ("ed", "POST", "/connectors".to_owned(), Some(stopped), 409, "create", "refused"),
        ("ed", "PUT", at("/config"), Some(source(json!({"a": "2"}))), 200, "update", "done"),
        (
            "ed",
            "PUT",
            at("/config"),
            Some(source(json!({"tasks.max": "0"}))),
            400,
            "update",
            "refused",
        ),
        ("ed", "PATCH", at("/config"), Some(json!({"a": "3"})), 200, "patch", "done"),
        ("ed", "PATCH", at("/offsets"), Some(position), 200, "alter offsets", "done"),
        ("ed", "DELETE", at("/offsets"), None, 200, "reset offsets", "done"),
        ("ed", "PUT", at("/topics/reset"), None, 202, "reset topics", "done"),
        ("oscar", "PUT", at("/resume"), None, 202, "resume", "done"),
        ("oscar", "POST", at("/restart?includeTasks=true"), None, 202, "restart", "done"),
        ("oscar", "POST", at("/restart"), None, 204, "restart", "done"),
        ("oscar", "POST", at("/tasks/9/restart"), None, 404, "restart", "refused"),
        ("oscar", "PUT", at("/pause"), None, 202, "pause", "done"),
        ("oscar", "PUT", at("/stop"), None, 204, "stop", "done"),
        ("ada", "PUT", "/admin/loggers/a.b".to_owned(), Some(level), 200, "set log level", "done"),
        ("ed", "DELETE", at(""), None, 204, "delete", "done"),
    ];
    for (who, method, path, body, status, action, outcome) in steps {
        let (found, answer) = ask(&worker, who, method, &path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        if action == "resume" {
            runs(&worker, &at("/status")).await;
        }
        let newest = entries(&worker, "/ferroconnect/audit?limit=1").await.remove(0);
        assert_eq!(newest["principal"], who, "{newest}");
        assert_eq!((&newest["action"], &newest["outcome"]), (&json!(action), &json!(outcome)));
        assert_eq!(newest["address"], "127.0.0.1");
        assert!(newest["at"].as_str().unwrap().ends_with('Z'), "{newest}");
        let of_worker = action == "set log level";
        assert_eq!(newest["connector"], if of_worker { Value::Null } else { json!(name) });
    }
    // The history outlives its connector, newest first.
    let history = entries(&worker, &format!("/ferroconnect/connectors/{name}/history")).await;
    assert_eq!(history.len(), 15);
    let ids: Vec<_> = history.iter().map(|entry| entry["id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    let find = |action: &str| history.iter().find(|entry| entry["action"] == action).unwrap();
    let patch = &find("patch")["detail"];
    assert_eq!(patch["changed"], json!(["a"]));
    assert_eq!((&patch["old"]["a"], &patch["new"]["a"]), (&json!("2"), &json!("3")));
    assert_eq!(find("delete")["detail"]["old"]["a"], "3");
    assert_eq!(find("alter offsets")["detail"]["new"][0]["offset"]["position"], 3);
    assert_eq!(find("reset offsets")["detail"]["old"][0]["offset"]["position"], 3);
    pages(&worker, &name, &ids).await;
    // What nobody may do is not done, and what is only looked at is not recorded.
    let before = entries(&worker, "/ferroconnect/audit?limit=1").await;
    assert_eq!(ask(&worker, "vera", "DELETE", &at(""), None).await.0, 403);
    assert_eq!(ask(&worker, "vera", "GET", "/connectors", None).await.0, 200);
    assert_eq!(entries(&worker, "/ferroconnect/audit?limit=1").await, before);
    worker.stop().await;
}

#[tokio::test]
async fn a_configuration_can_be_taken_back() {
    if !is_ours() {
        return;
    }
    let files = Files::new();
    let worker = guarded(&files, &[]).await;
    let name = unique("h");
    let config = format!("/connectors/{name}/config");
    let rollback = format!("/ferroconnect/connectors/{name}/rollback");
    for a in ["1", "2", "3"] {
        let body = source(json!({"a": a, "secret.token": format!("hunter{a}")}));
        assert!(ask(&worker, "ed", "PUT", &config, Some(body)).await.0 < 300);
    }
    let history = entries(&worker, &format!("/ferroconnect/connectors/{name}/history")).await;
    let first = history.last().unwrap()["version"].as_i64().expect("a version");
    let (status, info) =
        ask(&worker, "ed", "POST", &rollback, Some(json!({"version": first}))).await;
    assert_eq!(status, 200, "{info}");
    let (_, found) = ask(&worker, "ed", "GET", &config, None).await;
    let expected = source(json!({"a": "1", "secret.token": "hunter1", "name": name}));
    assert_eq!(found, expected, "secrets are given back too");
    assert_eq!(info["config"], expected);
    let history = entries(&worker, &format!("/ferroconnect/connectors/{name}/history")).await;
    let newest = &history[0];
    assert_eq!(newest["action"], "rollback");
    assert_eq!(newest["detail"]["to_version"], first);
    assert_eq!(newest["detail"]["changed"], json!(["a", "secret.token"]));
    assert_eq!(newest["detail"]["new"]["secret.token"], "[hidden]");
    assert!(newest["version"].as_i64() > Some(first));
    for (body, status) in [
        (json!({"version": 999_999}), 404),
        (json!({"version": "x"}), 400),
        (json!({}), 400),
        (json!([]), 400),
    ] {
        assert_eq!(
            ask(&worker, "ed", "POST", &rollback, Some(body.clone())).await.0,
            status,
            "{body}"
        );
    }
    let of_nobody = "/ferroconnect/connectors/nobody/rollback";
    let (status, error) = ask(&worker, "ed", "POST", of_nobody, Some(json!({"version": 1}))).await;
    assert_eq!((status, &error["message"]), (404, &json!("Connector nobody not found")));
    assert_eq!(
        ask(&worker, "oscar", "POST", &rollback, Some(json!({"version": first}))).await.0,
        403
    );
    worker.stop().await;
}

#[tokio::test]
async fn the_history_keeps_no_secret() {
    if !is_ours() {
        return;
    }
    let files = Files::new();
    let worker = guarded(&files, &[]).await;
    let name = unique("h");
    let canary = unique("canary");
    let secrets = json!({
        "database.password": canary, "aws.secret.access.key": canary, "custom.api.key": canary,
        "producer.override.sasl.jaas.config": format!("org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"{canary}\";"),
        "basic.auth.user.info": format!("u:{canary}"),
        "some.url": format!("https://u:{canary}@host.example/"),
        "other.password": "${env:PASSWORD}",
    });
    let body = json!({"name": name, "config": source(secrets.clone())});
    let (status, answer) = ask(&worker, "ed", "POST", "/connectors", Some(body)).await;
    assert_eq!(status, 201, "{answer}");
    let config = format!("/connectors/{name}/config");
    let patch = json!({"database.password": format!("{canary}2")});
    assert_eq!(ask(&worker, "ed", "PATCH", &config, Some(patch)).await.0, 200);
    assert_eq!(ask(&worker, "ed", "DELETE", &format!("/connectors/{name}"), None).await.0, 204);
    let history = entries(&worker, &format!("/ferroconnect/connectors/{name}/history")).await;
    assert_eq!(history.len(), 3);
    let text = serde_json::to_string(&history).unwrap();
    assert!(!text.contains(&canary), "{text}");
    let new = &history[2]["detail"]["new"];
    assert_eq!(new["other.password"], "${env:PASSWORD}", "a reference says nothing of it");
    assert_eq!(new["database.password"], "[hidden]");
    assert_eq!(history[1]["detail"]["changed"], json!(["database.password"]));
    // Nor does the database below it.
    let audit = worker.database().connect().await;
    let rows = audit.query("select detail::text from ferroconnect.audit", &[]).await.unwrap();
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|row| !row.get::<_, String>(0).contains(&canary)));
    worker.stop().await;
}

#[tokio::test]
async fn what_is_too_old_is_forgotten_but_not_what_counts() {
    if !is_ours() {
        return;
    }
    let first = InProcessWorker::start(file_stream::plugins(), &[]).await;
    let name = unique("h");
    let put = async |a: &str| {
        let url = format!("{}/connectors/{name}/config", first.url);
        let body = sink(json!({ "a": a }));
        let answer = Client::new().put(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success());
    };
    put("1").await;
    put("2").await;
    let database = first.database().connect().await;
    let age = "update ferroconnect.audit set at = at - interval '8 days';
               update ferroconnect.connector_config set created_at = created_at - interval '8 days'";
    database.batch_execute(age).await.unwrap();
    put("3").await;
    // A worker forgets when it starts.
    let settings = [("audit.retention.days", "7")];
    let second = first.beside(file_stream::plugins(), &settings).await;
    eventually_async("the old is forgotten", 20, || async {
        let count = async |what: &str| {
            let sql = format!("select count(*) from ferroconnect.{what}");
            database.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0)
        };
        let left = (count("audit").await, count("connector_config").await);
        if left == (1, 1) { Ok(()) } else { Err(left) }
    })
    .await;
    let url = format!("{}/connectors/{name}/config", second.url);
    let config: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(config["a"], "3");
    second.stop().await;
    first.stop().await;
}
