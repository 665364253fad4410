//! `/status`, `/pause`, `/resume`, `/stop`, `/restart` of connectors and tasks (checklist 115 to 152).

use serde_json::{Value, json};

use super::client::{Name, call, call_with, get, is_ours, sink, source};
use super::file_stream;
use crate::support::{InProcessWorker, eventually_async, unique};

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
    assert!(trace.contains("Waiting for a person"), "it is not restarted by itself: {trace}");
    let health = get(&format!("/ferroconnect{}", name.path("/health"))).await.is(200).json();
    assert_eq!(health["name"], name.0);
    assert_eq!(health["connector"]["state"], "RUNNING");
    assert_eq!(health["connector"]["condition"], Value::Null);
    assert_eq!(
        (&health["tasks"][0]["id"], &health["tasks"][0]["state"]),
        (&json!(0), &json!("FAILED"))
    );
    assert_eq!(health["tasks"][0]["condition"], trace);
    let restart = name.path("/restart?includeTasks=true&onlyFailed=true");
    let plan = call("POST", &restart).await.is(202).json();
    assert_eq!(plan["connector"]["state"], "RUNNING");
    assert_eq!(plan["tasks"][0]["state"], "RESTARTING");
    assert_eq!(plan["tasks"][0]["trace"], trace, "the old trace is still shown");
    eventually_async("the task fails again", 30, failed).await;
}

#[tokio::test]
async fn a_failed_task_does_not_start_again_by_itself() {
    if !is_ours() {
        return;
    }
    // A task that failed for an outside reason would start again after a millisecond.
    let settings = [("task.restart.backoff.initial.ms", "1"), ("task.restart.backoff.max.ms", "1")];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let client = reqwest::Client::new();
    let create = async |name: &str, config: Value| {
        let body = json!({"name": name, "config": source(config)});
        let request = client.post(format!("{}/connectors", worker.url)).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 201);
    };
    let text = async |path: &str| {
        let answer = client.get(format!("{}{path}", worker.url)).send().await.unwrap();
        answer.text().await.unwrap()
    };
    let task_is = async |name: &str, state: &str| {
        let path = format!("/connectors/{name}/tasks/0/status");
        let expected = format!("\"state\":\"{state}\"");
        eventually_async(state, 30, || async {
            let status = text(&path).await;
            if status.contains(&expected) { Ok(()) } else { Err(status) }
        })
        .await;
    };
    create("failing", json!({"test.fail": "task"})).await;
    task_is("failing", "FAILED").await;
    // Another task has come up since: many times the pause has passed.
    create("running", json!({})).await;
    task_is("running", "RUNNING").await;
    task_is("failing", "FAILED").await;
    let metrics = text("/metrics").await;
    let attempts = "kafka_connect_worker_task_startup_attempts_total 2.0";
    assert!(metrics.lines().any(|line| line == attempts), "{metrics}");
    worker.stop().await;
}

#[tokio::test]
async fn only_what_failed_restarts_when_that_is_asked() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    let topic = unique("restarts");
    // Each start of a task produces one record, so that the offset counts the starts.
    let config = json!({"topic": topic, "file": "/f", "test.records": "1", "test.tasks": "2",
                        "tasks.max": "2", "test.fail": "task-1"});
    name.source(config).await.is(201);
    let states = |connector: &'static str, first: &'static str, second: &'static str| {
        let path = name.path("/status");
        async move {
            eventually_async("the states", 20, || async {
                let status = get(&path).await.json();
                let seen = [&status["connector"], &status["tasks"][0], &status["tasks"][1]]
                    .map(|of| of["state"].clone());
                if seen == [connector, first, second] { Ok(status) } else { Err(status) }
            })
            .await
        }
    };
    states("RUNNING", "RUNNING", "FAILED").await;
    let at = |position: u64| {
        let path = name.path("/offsets");
        async move {
            eventually_async("the offset", 20, || async {
                let offsets = get(&path).await.json();
                let found = offsets["offsets"][0]["offset"]["position"] == position;
                if found { Ok(()) } else { Err(offsets) }
            })
            .await;
        }
    };
    at(1).await;
    let restart = name.path("/restart?includeTasks=true&onlyFailed=true");
    let plan = call("POST", &restart).await.is(202).json();
    assert_eq!(plan["connector"]["state"], "RUNNING");
    assert_eq!(plan["tasks"][0]["state"], "RUNNING");
    assert_eq!(plan["tasks"][1]["state"], "RESTARTING");
    states("RUNNING", "RUNNING", "FAILED").await;
    call("POST", &name.path("/restart?onlyFailed=true")).await.is(202);
    // The healthy task starts for the second time now: it was not touched before.
    call("POST", &name.path("/tasks/0/restart")).await.is(204);
    at(2).await;
    call("PUT", &name.path("/stop")).await.is(204);
    name.reaches("STOPPED", 0).await;
    at(2).await;
}

#[tokio::test]
async fn the_health_shows_what_a_connector_waits_for() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    let path = format!("/ferroconnect{}", name.path("/health"));
    get(&path).await.is_error(404, &format!("No status found for connector {}", name.0));
    let config = sink(json!({"topics": unique("absent"), "value.converter": "StringConverter"}));
    call_with("PUT", &name.path("/config"), config).await.is(201);
    let health = eventually_async("the condition", 30, || async {
        let health = get(&path).await.json();
        if health["tasks"][0]["condition"].is_string() { Ok(health) } else { Err(health) }
    })
    .await;
    let keys: Vec<_> = health.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["name", "connector", "tasks"]);
    assert_eq!(health["tasks"][0]["state"], "RUNNING");
    let condition = health["tasks"][0]["condition"].as_str().unwrap();
    assert!(condition.contains("topic"), "{condition}");
    // Clients of the original take a trace for a failure.
    let status = get(&name.path("/status")).await.json();
    assert_eq!(status["tasks"][0].get("trace"), None, "{status}");
    call("DELETE", &path).await.is_error(405, "HTTP 405 Method Not Allowed");
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
