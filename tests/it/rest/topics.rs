//! `/connectors/{connector}/topics` (checklist 153 to 160).

use serde_json::json;

use super::client::{Name, call, get, is_ours};
use crate::support::{eventually_async, unique};

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
    eventually_async("the topic is listed", 20, || async {
        let topics = get(&path).await.json();
        let expected = json!({&name.0: {"topics": [&topic]}});
        if topics == expected { Ok(()) } else { Err(topics) }
    })
    .await;
    call("PUT", &name.path("/topics/reset")).await.is(202);
    assert_eq!(get(&path).await.json(), json!({&name.0: {"topics": []}}));
}
