//! `/status`, `/pause`, `/resume`, `/stop`, `/restart` of connectors and tasks (checklist 115 to 152).

use serde_json::{Value, json};

use super::client::{Name, call, get, is_ours};
use crate::support::eventually_async;

#[tokio::test]
async fn a_status_has_its_keys_in_order() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    let answer = get(&name.path("/status")).await.is(200);
    let status = answer.json();
    let keys = |value: &Value| {
        let keys = value.as_object().unwrap().keys().filter(|key| *key != "version");
        keys.cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&status), ["name", "connector", "tasks", "type"]);
    assert_eq!(keys(&status["connector"]), ["state", "worker_id"]);
    assert_eq!(keys(&status["tasks"][0]), ["id", "state", "worker_id"]);
    let worker = status["connector"]["worker_id"].as_str().unwrap();
    assert!(worker.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()));
    let task = get(&name.path("/tasks/0/status")).await.is(200).json();
    assert_eq!(task, status["tasks"][0]);
    get(&name.path("/tasks/9/status"))
        .await
        .is_error(404, &format!("No status found for task {}-9", name.0));
}

#[tokio::test]
async fn pause_resume_and_stop() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    for _ in 0..2 {
        call("PUT", &name.path("/pause")).await.is(202);
    }
    name.reaches("PAUSED", 1).await;
    for _ in 0..2 {
        call("PUT", &name.path("/resume")).await.is(202);
    }
    name.reaches("RUNNING", 1).await;
    for _ in 0..2 {
        call("PUT", &name.path("/stop")).await.is(204);
    }
    name.reaches("STOPPED", 0).await;
    assert_eq!(get(&name.path("")).await.json()["tasks"], json!([]));
    assert_eq!(get(&name.path("/tasks")).await.json(), json!([]));
    call("PUT", &name.path("/resume")).await.is(202);
    name.reaches("RUNNING", 1).await;
    call("PUT", &name.path("/stop")).await.is(204);
    name.reaches("STOPPED", 0).await;
    call("PUT", &name.path("/pause")).await.is(202);
    name.reaches("PAUSED", 0).await;
}

#[tokio::test]
async fn an_unknown_connector_cannot_be_told_anything() {
    for rest in ["/pause", "/resume", "/stop"] {
        call("PUT", &format!("/connectors/nobody{rest}"))
            .await
            .is_error(404, "Unknown connector nobody");
    }
    for rest in ["/restart", "/restart?includeTasks=true", "/tasks/0/restart"] {
        call("POST", &format!("/connectors/nobody{rest}"))
            .await
            .is_error(404, "Unknown connector: nobody");
    }
}

#[tokio::test]
async fn restarts() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    for query in ["", "?includeTasks=banana", "?includeTasks=&onlyFailed="] {
        let answer = call("POST", &name.path(&format!("/restart{query}"))).await.is(204);
        assert_eq!((answer.text.as_str(), answer.header("content-type")), ("", None));
    }
    name.reaches("RUNNING", 1).await;
    let plan = call("POST", &name.path("/restart?onlyFailed=true")).await.is(202).json();
    assert_eq!(plan["connector"]["state"], "RUNNING");
    assert_eq!(plan["tasks"][0]["state"], "RUNNING");
    let plan = call("POST", &name.path("/restart?includeTasks=TRUE")).await.is(202).json();
    assert_eq!(plan["connector"]["state"], "RESTARTING");
    assert_eq!(plan["tasks"][0]["state"], "RESTARTING");
    name.reaches("RUNNING", 1).await;
    call("POST", &name.path("/tasks/0/restart")).await.is(204);
    name.reaches("RUNNING", 1).await;
    call("POST", &name.path("/tasks/7/restart"))
        .await
        .is_error(404, &format!("Unknown task: {}-7", name.0));
    call("PUT", &name.path("/pause")).await.is(202);
    name.reaches("PAUSED", 1).await;
    call("POST", &name.path("/restart")).await.is(204);
    name.reaches("PAUSED", 1).await;
}

#[tokio::test]
async fn a_failed_task_stays_failed_and_its_connector_runs() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"test.fail": "task"})).await.is(201);
    let path = name.path("/status");
    let failed = || async {
        let status = get(&path).await.json();
        let state = status["tasks"][0]["state"].clone();
        if state == "FAILED" { Ok(status) } else { Err(status) }
    };
    let status = eventually_async("the task fails", 30, failed).await;
    assert_eq!(status["connector"]["state"], "RUNNING");
    assert_eq!(status["connector"].get("trace"), None);
    let trace = status["tasks"][0]["trace"].as_str().expect("a trace");
    assert!(trace.contains("the task fails as it was told"), "{trace}");
    let restart = name.path("/restart?includeTasks=true&onlyFailed=true");
    let plan = call("POST", &restart).await.is(202).json();
    assert_eq!(plan["connector"]["state"], "RUNNING");
    assert_eq!(plan["tasks"][0]["state"], "RESTARTING");
    assert_eq!(plan["tasks"][0]["trace"], trace, "the old trace is still shown");
    eventually_async("the task fails again", 30, failed).await;
}

#[tokio::test]
async fn a_failed_connector_can_be_stopped() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"test.fail": "connector"})).await.is(201);
    name.reaches("FAILED", 0).await;
    for rest in ["/pause", "/resume"] {
        call("PUT", &name.path(rest)).await.is(202);
        name.reaches("FAILED", 0).await;
    }
    call("POST", &name.path("/restart"))
        .await
        .is_error(500, &format!("Failed to start connector: {}", name.0));
    call("PUT", &name.path("/stop")).await.is(204);
    name.reaches("STOPPED", 0).await;
}

#[tokio::test]
async fn more_tasks_than_allowed_fail_the_connector() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"test.tasks": "3", "tasks.max": "2"})).await.is(201);
    name.reaches("FAILED", 0).await;
    let status = get(&name.path("/status")).await.json();
    let trace = status["connector"]["trace"].as_str().expect("a trace");
    assert!(trace.contains("has generated 3 tasks, which is greater than 2"), "{trace}");
    let name = Name::new();
    let config = json!({"test.tasks": "12", "tasks.max": "2", "tasks.max.enforce": "false"});
    name.source(config).await.is(201);
    name.reaches("RUNNING", 12).await;
    let status = get(&name.path("/status")).await.json();
    let ids = status["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_u64().unwrap());
    assert!(ids.eq(0..12), "{status}");
}
