//! `/connectors/{connector}/offsets` (checklist 161 to 165, 114).

use serde_json::{Value, json};

use super::client::{Name, call, call_with, get, is_ours, sink};
use crate::support::{eventually_async, unique};

#[tokio::test]
async fn a_source_without_offsets_has_none() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    assert_eq!(get(&name.path("/offsets")).await.is(200).text, "{\"offsets\":[]}");
    get("/connectors/nobody/offsets").await.is_error(404, "Connector nobody not found");
}

async fn reached(name: &Name, expected: Value) {
    let path = name.path("/offsets");
    eventually_async("the offsets are stored", 20, || async {
        let offsets = get(&path).await.is(200).json();
        if offsets == expected { Ok(()) } else { Err(offsets) }
    })
    .await;
}

#[tokio::test]
async fn offsets_of_source_and_sink() {
    if !is_ours() {
        return;
    }
    let topic = unique("offsets");
    let name = Name::new();
    name.source(json!({"topic": topic, "file": "/f", "test.records": "3"})).await.is(201);
    let source = json!({"offsets": [{"partition": {"filename": "/f"}, "offset": {"position": 3}}]});
    reached(&name, source.clone()).await;

    let reader = Name::new();
    let config = sink(json!({"topics": topic, "value.converter": "StringConverter"}));
    call_with("PUT", &reader.path("/config"), config).await.is(201);
    let path = reader.path("/offsets");
    let offsets = eventually_async("the group has offsets", 20, || async {
        let offsets = get(&path).await.is(200).json();
        let entries = offsets["offsets"].as_array().unwrap();
        let sum: i64 =
            entries.iter().filter_map(|entry| entry["offset"]["kafka_offset"].as_i64()).sum();
        if sum == 3 { Ok(offsets) } else { Err(offsets) }
    })
    .await;
    let first = &offsets["offsets"][0];
    assert_eq!(first["partition"]["kafka_topic"], topic);
    assert!(first["partition"]["kafka_partition"].is_i64(), "{first}");

    // Offsets outlive their connector.
    call("DELETE", &name.path("")).await.is(204);
    get(&name.path("/offsets")).await.is(404);
    name.source(json!({"topic": topic, "file": "/f"})).await.is(201);
    reached(&name, source).await;
}
