//! `/connectors/{connector}/topics` (checklist 153 to 160).

use serde_json::json;

use super::client::{Name, call, call_with, get, is_ours, sink};
use super::file_stream;
use crate::support::{InProcessWorker, eventually_async, unique};

#[tokio::test]
async fn an_unknown_connector_has_no_topics() {
    let answer = get("/connectors/nobody/topics").await.is(200);
    assert_eq!(answer.json(), json!({"nobody": {"topics": []}}));
    call("PUT", "/connectors/nobody/topics/reset").await.is(202);
}

#[tokio::test]
async fn topics_come_with_the_data_and_go_with_a_reset() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    let topic = unique("topics");
    name.source(json!({"topic": topic, "test.records": "1"})).await.is(201);
    let path = name.path("/topics");
    eventually_async("the topic is listed", 30, || async {
        let topics = get(&path).await.json();
        let expected = json!({&name.0: {"topics": [&topic]}});
        if topics == expected { Ok(()) } else { Err(topics) }
    })
    .await;
    call("PUT", &name.path("/topics/reset")).await.is(202);
    assert_eq!(get(&path).await.json(), json!({&name.0: {"topics": []}}));
}

#[tokio::test]
async fn a_sink_lists_what_it_consumed_and_not_what_a_transform_made_of_it() {
    if !is_ours() {
        return;
    }
    let topic = unique("topics");
    let writer = Name::new();
    writer.source(json!({"topic": topic, "test.records": "1"})).await.is(201);
    let name = Name::new();
    let config = sink(json!({
        "topics": topic, "value.converter": "StringConverter", "transforms": "r",
        "transforms.r.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.r.regex": ".*", "transforms.r.replacement": "renamed",
    }));
    call_with("PUT", &name.path("/config"), config).await.is(201);
    let path = name.path("/topics");
    eventually_async("the topic is listed", 30, || async {
        let topics = get(&path).await.json();
        let expected = json!({&name.0: {"topics": [&topic]}});
        if topics == expected { Ok(()) } else { Err(topics) }
    })
    .await;
}

#[tokio::test]
async fn topics_that_are_not_tracked_are_neither_shown_nor_reset() {
    if !is_ours() {
        return;
    }
    for (setting, shown, reset) in [
        ("topic.tracking.enable", 403, "Topic tracking is disabled."),
        ("topic.tracking.allow.reset", 200, "Topic tracking reset is disabled."),
    ] {
        let worker = InProcessWorker::start(file_stream::plugins(), &[(setting, "false")]).await;
        let topics = format!("{}/connectors/c/topics", worker.url);
        let answer = reqwest::get(&topics).await.unwrap();
        assert_eq!(answer.status().as_u16(), shown, "{setting}");
        if shown == 403 {
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(body, json!({"error_code": 403, "message": reset}));
        }
        let answer = reqwest::Client::new().put(format!("{topics}/reset")).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{setting}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body, json!({"error_code": 403, "message": reset}));
        worker.stop().await;
    }
}
