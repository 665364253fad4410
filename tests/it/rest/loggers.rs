//! `/admin/loggers` (checklist 258 to 271).

use serde_json::{Value, json};

use super::client::{call, call_raw, call_with, get, is_ours};
use super::file_stream;
use crate::support::{InProcessWorker, eventually_async, unique};

async fn set(logger: &str, level: &str) -> super::client::Answer {
    call_with("PUT", &format!("/admin/loggers/{logger}"), json!({ "level": level })).await
}

#[tokio::test]
async fn loggers_are_listed_with_the_root() {
    let name = unique("logger.a");
    set(&name, "DEBUG").await.is(200);
    let answer = get("/admin/loggers").await.is(200);
    let loggers = answer.json();
    let names: Vec<_> = loggers.as_object().unwrap().keys().cloned().collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(loggers["root"]["level"].is_string(), "{loggers}");
    let keys: Vec<_> = loggers[&name].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["level", "last_modified"]);
    assert_eq!(loggers[&name]["level"], "DEBUG");
    let root = get("/admin/loggers/Root").await.is(200).json();
    assert_eq!(root["level"], loggers["root"]["level"]);
    get("/admin/loggers/").await.is(200);
}

#[tokio::test]
async fn a_level_is_set_for_all_that_start_with_the_name() {
    let name = unique("logger.b");
    let (child, sibling) = (format!("{name}.x"), format!("{name}y"));
    let missing = format!("Logger {name} not found.");
    get(&format!("/admin/loggers/{name}")).await.is_error(404, &missing);
    for logger in [&child, &sibling] {
        assert_eq!(set(logger, "info").await.is(200).json(), json!([logger]));
    }
    let changed = set(&name, "Trace").await.is(200).json();
    assert_eq!(changed, json!([name, child, sibling]));
    let level = get(&format!("/admin/loggers/{child}")).await.is(200).json();
    assert_eq!(level["level"], "TRACE");
    assert!(level["last_modified"].as_i64().is_some_and(|at| at > 1_600_000_000_000), "{level}");
    set(&name, "OFF").await.is(200);
    call("DELETE", &format!("/admin/loggers/{name}"))
        .await
        .is_error(405, "HTTP 405 Method Not Allowed");
}

#[tokio::test]
async fn a_scope_of_the_cluster_says_nothing() {
    let path = format!("/admin/loggers/{}", unique("logger.c"));
    let body = json!({"level": "WARN"});
    let answer = call_with("PUT", &format!("{path}?scope=cluster"), body.clone()).await.is(204);
    assert_eq!(answer.text, "");
    let answer = call_with("PUT", &format!("{path}?scope=bogus"), body).await.is(200);
    assert!(answer.json().is_array());
}

#[tokio::test]
async fn what_is_no_level_is_refused() {
    let path = format!("/admin/loggers/{}", unique("logger.d"));
    set(path.trim_start_matches("/admin/loggers/"), "BOGUS")
        .await
        .is_error(404, "invalid log level 'BOGUS'.");
    let none = "Desired 'level' parameter was not specified in request.";
    for body in ["{}", "{\"level\":null}", "{\"other\":\"x\"}"] {
        call_raw("PUT", &path, body).await.is_error(400, none);
    }
    for body in ["", "null", "[]", "{"] {
        call_raw("PUT", &path, body).await.is(500);
    }
    get(&path).await.is(404);
}

#[tokio::test]
async fn loggers_go_with_their_listener() {
    if !is_ours() {
        return;
    }
    let none = [("admin.listeners", "")];
    let worker = InProcessWorker::start(file_stream::plugins(), &none).await;
    for path in ["/admin/loggers", "/admin/loggers/root"] {
        let answer = reqwest::get(format!("{}{path}", worker.url)).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    worker.stop().await;

    // The root sets everything: on a worker of its own, whose levels no other test looks at.
    let worker = InProcessWorker::start(file_stream::plugins(), &[]).await;
    let loggers = format!("{}/admin/loggers", worker.url);
    let untouched = reqwest::get(&loggers).await.unwrap().text().await.unwrap();
    assert_eq!(untouched, "{\"root\":{\"level\":\"INFO\",\"last_modified\":null}}");
    let request = reqwest::Client::new().put(format!("{loggers}/root"));
    let answer = request.json(&json!({"level": "error"})).send().await.unwrap();
    let changed: Vec<String> = answer.json().await.unwrap();
    assert!(changed.contains(&"root".to_owned()) && changed.len() > 1, "{changed:?}");
    let levels: Value = reqwest::get(&loggers).await.unwrap().json().await.unwrap();
    assert!(levels["root"]["last_modified"].is_i64(), "{levels}");
    for (name, level) in levels.as_object().unwrap() {
        assert_eq!(level["level"], "ERROR", "{name}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn loggers_are_on_listeners_of_their_own() {
    if !is_ours() {
        return;
    }
    let own = [("admin.listeners", "http://127.0.0.1:0")];
    let worker = InProcessWorker::start(file_stream::plugins(), &own).await;
    let status = async |url: &str, path: &str| {
        reqwest::get(format!("{url}{path}")).await.unwrap().status().as_u16()
    };
    let [admin] = worker.admin_urls.as_slice() else { panic!("{:?}", worker.admin_urls) };
    assert_ne!(admin, &worker.url);
    assert_eq!(status(&worker.url, "/admin/loggers").await, 404);
    assert_eq!(status(&worker.url, "/connectors").await, 200);
    assert_eq!(status(admin, "/admin/loggers").await, 200);
    assert_eq!(status(admin, "/admin/loggers/root").await, 200);
    assert_eq!(status(admin, "/connectors").await, 404);
    worker.stop().await;
}

#[tokio::test]
async fn every_worker_follows_a_level_of_the_cluster() {
    if !is_ours() {
        return;
    }
    let asked = InProcessWorker::start(file_stream::plugins(), &[]).await;
    let other = asked.beside(file_stream::plugins(), &[]).await;
    let name = unique("logger.e");
    let path = format!("/admin/loggers/{name}");
    let level = async |worker: &InProcessWorker| {
        let answer = reqwest::get(format!("{}{path}", worker.url)).await.unwrap();
        answer.json::<Value>().await.unwrap()["level"].clone()
    };
    let set = async |query: &str, level: &str| {
        let url = format!("{}{path}{query}", asked.url);
        let request = reqwest::Client::new().put(url).json(&json!({ "level": level }));
        request.send().await.unwrap().status().as_u16()
    };
    // What is set before the other worker looks for the first time is not for it.
    let follows = async |expected: &str| {
        eventually_async("the other worker follows", 20, || async {
            if level(&other).await == expected {
                return Ok(());
            }
            assert_eq!(set("?scope=cluster", expected).await, 204);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Err(level(&other).await)
        })
        .await;
        assert_eq!(level(&asked).await, expected, "the one that was asked, at once");
    };
    follows("DEBUG").await;
    assert_eq!(set("?scope=worker", "ERROR").await, 200);
    follows("WARN").await;
    assert_eq!(set("", "TRACE").await, 200);
    assert_eq!(level(&asked).await, "TRACE");
    assert_eq!(level(&other).await, "WARN", "a level of one worker is its own");
    other.stop().await;
    // A worker that starts later has its own settings.
    let later = asked.beside(file_stream::plugins(), &[]).await;
    assert_eq!(level(&later).await, Value::Null);
    later.stop().await;
    asked.stop().await;
}
