//! `/`, `/health`, `/metrics`, `/openapi.json` (checklist 28 to 32).

use serde_json::json;

use super::client::{Name, call, get, is_ours};
use crate::support::{eventually_async, unique};

#[tokio::test]
async fn the_version_opens_feature_gates() {
    let info = get("/").await.is(200).json();
    let parts: Vec<_> = info["version"].as_str().unwrap().split('.').map(str::to_owned).collect();
    assert_eq!(parts.len(), 3, "{info}");
    assert!(parts.iter().all(|part| part.parse::<u32>().is_ok()), "{info}");
    assert!(info["kafka_cluster_id"].is_string(), "{info}");
}

#[tokio::test]
async fn a_worker_that_is_up_is_healthy() {
    let answer = get("/health").await.is(200);
    assert_eq!(
        answer.text,
        "{\"status\":\"healthy\",\"message\":\"Worker has completed startup and is ready to handle \
         requests.\"}"
    );
}

#[tokio::test]
async fn metrics_are_openmetrics_text() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"test.records": "1", "topic": unique("metrics")})).await.is(201);
    let series = format!(
        "kafka_connect_source_task_source_record_poll_total{{connector=\"{}\",task=\"0\"}} 1",
        name.0
    );
    eventually_async("the record is counted", 20, || async {
        let answer = get("/metrics").await.is(200);
        assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        assert!(answer.text.ends_with("# EOF\n"), "{answer:?}");
        if answer.text.contains(&series) { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn the_document_is_the_committed_one() {
    if !is_ours() {
        return;
    }
    let served = get("/openapi.json").await.is(200).json();
    let committed = include_str!("../../../openapi/connect.json");
    assert_eq!(served, serde_json::from_str::<serde_json::Value>(committed).unwrap());
    call("POST", "/openapi.json").await.is(405);
}
