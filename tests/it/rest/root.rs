//! `/`, `/health`, `/metrics`, `/openapi.json` (checklist 28 to 32).

use super::client::{call, get, is_ours};
use super::file_stream;
use crate::support::InProcessWorker;

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
async fn a_worker_without_its_brokers_says_so() {
    if !is_ours() {
        return;
    }
    // Nobody listens there.
    let settings = [("bootstrap.servers", "127.0.0.1:1")];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let answer = reqwest::get(format!("{}/health", worker.url)).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(
        answer.text().await.unwrap(),
        "{\"status\":\"unhealthy\",\"message\":\"Worker was unable to handle this request and may be \
         unable to handle other requests. The Kafka cluster cannot be reached.\"}"
    );
    let info: serde_json::Value =
        reqwest::get(format!("{}/", worker.url)).await.unwrap().json().await.unwrap();
    assert_eq!(info["kafka_cluster_id"], serde_json::Value::Null);
    assert_eq!(info["version"], "3.9.1");
    worker.stop().await;
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
