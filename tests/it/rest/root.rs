//! `/`, `/health`, `/metrics`, `/openapi.json` (checklist 28 to 32).

use super::client::{call, get, is_ours};

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
async fn the_document_is_the_committed_one() {
    if !is_ours() {
        return;
    }
    let served = get("/openapi.json").await.is(200).json();
    let committed = include_str!("../../../openapi/connect.json");
    assert_eq!(served, serde_json::from_str::<serde_json::Value>(committed).unwrap());
    call("POST", "/openapi.json").await.is(405);
}
