//! `/connectors/{connector}/config` and `/tasks` (checklist 85 to 114).

use serde_json::json;

use super::client::{Name, call, call_raw, call_with, get, sink, source};
use crate::support::eventually_async;

#[tokio::test]
async fn what_is_unknown_is_not_found() {
    for rest in ["", "/config", "/tasks", "/tasks-config", "/offsets"] {
        get(&format!("/connectors/nobody{rest}")).await.is_error(404, "Connector nobody not found");
    }
    get("/connectors/nobody/status").await.is_error(404, "No status found for connector nobody");
    get("/connectors/nobody/tasks/0/status")
        .await
        .is_error(404, "No status found for task nobody-0");
    get("/connectors/nobody/tasks/abc/status").await.is_error(404, "HTTP 404 Not Found");
    call_with("PATCH", "/connectors/nobody/config", json!({}))
        .await
        .is_error(404, "Connector nobody not found");
    call("DELETE", "/connectors/nobody").await.is_error(404, "Connector nobody not found");
    get("/connectors/%00%FF").await.is(404);
}

#[tokio::test]
async fn tasks_have_their_configurations() {
    let name = Name::new();
    let config = sink(json!({"tasks.max": "2"}));
    call_with("PUT", &name.path("/config"), config).await.is(201);
    name.reaches("RUNNING", 2).await;
    let tasks = get(&name.path("/tasks")).await.is(200).json();
    for (number, task) in tasks.as_array().unwrap().iter().enumerate() {
        assert_eq!(task["id"], json!({"connector": name.0, "task": number}));
        assert!(task["config"]["task.class"].is_string(), "{task}");
        assert_eq!(task["config"]["topics"], "ferroconnect-it-none");
    }
    let info = get(&name.path("")).await.json();
    let ids = json!([{"connector": name.0, "task": 0}, {"connector": name.0, "task": 1}]);
    assert_eq!(info["tasks"], ids);
    assert_eq!(info["type"], "sink");
    let configs = get(&name.path("/tasks-config")).await.is(200).json();
    assert_eq!(configs[format!("{}-1", name.0)], tasks[1]["config"]);
}

#[tokio::test]
async fn put_creates_and_replaces() {
    let name = Name::new();
    let path = name.path("/config");
    let answer = call_with("PUT", &path, source(json!({"extra": "1"}))).await.is(201);
    assert!(answer.header("location").unwrap().ends_with(&name.path("")));
    assert_eq!(answer.json()["config"]["name"], name.0);
    name.reaches("RUNNING", 1).await;
    let answer = call_with("PUT", &path, source(json!({"topic": "u"}))).await.is(200);
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.json()["config"]["topic"], "u");
    assert_eq!(answer.json()["tasks"], json!([{"connector": name.0, "task": 0}]));
    let config = get(&path).await.json();
    assert_eq!((config.get("extra"), &config["topic"]), (None, &json!("u")));
    call_with("PUT", &path, source(json!({"name": "y"}))).await.is_error(
        400,
        &format!(
            "Connector name configuration (y) doesn't match connector name in the URL ({})",
            name.0
        ),
    );
    call_with("PUT", &path, json!({})).await.is_error_with(400, "contains no connector type");
    call_with("PUT", &path, source(json!({"tasks.max": "0"}))).await.is(400);
    for body in ["", "null"] {
        call_raw("PUT", &path, body).await.is_error_with(500, "\"connectorConfig\" is null");
    }
    assert_eq!(get(&path).await.json(), config, "what was refused changed nothing");
}

#[tokio::test]
async fn an_update_keeps_the_target_state() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    call("PUT", &name.path("/pause")).await.is(202);
    name.reaches("PAUSED", 1).await;
    call_with("PUT", &name.path("/config"), source(json!({"x": "1"}))).await.is(200);
    name.reaches("PAUSED", 1).await;
    call("PUT", &name.path("/stop")).await.is(204);
    name.reaches("STOPPED", 0).await;
    let answer = call_with("PUT", &name.path("/config"), source(json!({"x": "2"}))).await.is(200);
    assert_eq!(answer.json()["tasks"], json!([]));
    name.reaches("STOPPED", 0).await;
}

#[tokio::test]
async fn patch_sets_and_removes_keys() {
    let name = Name::new();
    let path = name.path("/config");
    name.source(json!({"a": "1", "b": "2"})).await.is(201);
    let answer = call_with("PATCH", &path, json!({"a": 3, "b": null, "c": "4"})).await.is(200);
    let config = source(json!({"a": "3", "c": "4", "name": name.0}));
    assert_eq!(answer.json()["config"], config);
    assert_eq!(get(&path).await.json(), config);
    call_with("PATCH", &path, json!({"topic": null}))
        .await
        .is_error_with(400, "Missing required configuration \"topic\" which has no default value.");
    call_with("PATCH", &path, json!({"name": null}))
        .await
        .is_error_with(400, "Missing required configuration \"name\" which has no default value.");
    call_with("PATCH", &path, json!({"connector.class": null}))
        .await
        .is_error_with(400, "contains no connector type");
    call_with("PATCH", &path, json!({"tasks.max": "0"})).await.is(400);
    call_raw("PATCH", &path, "null").await.is_error_with(500, "\"patch\" is null");
    call_raw("PATCH", "/connectors/nobody/config", "null").await.is(404);
    assert_eq!(get(&path).await.json(), config, "what was refused changed nothing");
    call_with("PATCH", &path, json!({"name": "other"})).await.is(200);
    assert_eq!(get(&name.path("")).await.is(200).json()["name"], name.0);
}

#[tokio::test]
async fn a_connector_made_again_starts_running() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    call("PUT", &name.path("/pause")).await.is(202);
    name.reaches("PAUSED", 1).await;
    call("DELETE", &name.path("")).await.is(204);
    eventually_async("the status goes", 20, || async {
        let answer = get(&name.path("/status")).await;
        if answer.status == 404 { Ok(answer) } else { Err(answer) }
    })
    .await
    .is_error(404, &format!("No status found for connector {}", name.0));
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
}
