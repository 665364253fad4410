//! `/connectors/{connector}/offsets` (checklist 114, 161 to 183).

use serde_json::{Value, json};

use super::client::{Name, call, call_raw, call_with, get, is_ours, sink};
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
    eventually_async("the offsets are stored", 30, || async {
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
    let offsets = eventually_async("the group has offsets", 30, || async {
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

/// A source that has stored offset 3 of file `/f`, stopped.
async fn stopped_source() -> Name {
    let name = Name::new();
    let config = json!({"topic": unique("offsets"), "file": "/f", "test.records": "3"});
    name.source(config).await.is(201);
    reached(&name, file_at(json!(3))).await;
    call("PUT", &name.path("/stop")).await.is(204);
    name
}

fn file_at(position: Value) -> Value {
    json!({"offsets": [{"partition": {"filename": "/f"}, "offset": {"position": position}}]})
}

fn entry(partition: Value, offset: Value) -> Value {
    json!({"offsets": [{"partition": partition, "offset": offset}]})
}

#[tokio::test]
async fn offsets_of_a_connector_that_is_not_stopped_stay() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    let expected = format!(
        "Connectors must be in the STOPPED state before their offsets can be modified. This can be \
         done for the specified connector by issuing a 'PUT' request to the '{}' endpoint",
        name.path("/stop")
    );
    let path = name.path("/offsets");
    call_with("PATCH", &path, file_at(json!(1))).await.is_error(400, &expected);
    call("DELETE", &path).await.is_error(400, &expected);
    call("PUT", &name.path("/pause")).await.is(202);
    call_with("PATCH", &path, file_at(json!(1))).await.is_error(400, &expected);

    let nobody = "/connectors/nobody/offsets";
    let unknown = "Connector nobody not found";
    call_with("PATCH", nobody, file_at(json!(1))).await.is_error(404, unknown);
    call("DELETE", nobody).await.is_error(404, unknown);
    let nothing = "Partitions / offsets need to be provided for an alter offsets request";
    for body in ["{}", "{\"offsets\":[]}", "{\"offsets\":null}"] {
        call_raw("PATCH", nobody, body).await.is_error(400, nothing);
        call_raw("PATCH", &path, body).await.is_error(400, nothing);
    }
    for body in ["null", "", "[]", "{", "{\"foo\":1}", "{\"offsets\":[{\"foo\":1}]}"] {
        call_raw("PATCH", &path, body).await.is(500);
    }
    let answer = call_raw("PATCH", &path, "{\"foo\":1}").await;
    answer.is_error_with(500, "Unrecognized field \"foo\"");
}

#[tokio::test]
async fn offsets_of_a_stopped_source_are_altered_and_reset() {
    if !is_ours() {
        return;
    }
    let name = stopped_source().await;
    let path = name.path("/offsets");
    let altered = "The offsets for this connector have been altered successfully";
    let alter = async |body: Value| {
        let answer = call_with("PATCH", &path, body).await.is(200);
        assert_eq!(answer.text, json!({ "message": altered }).to_string());
    };
    alter(file_at(json!(7))).await;
    assert_eq!(get(&path).await.json(), file_at(json!(7)));
    // Types are kept, other partitions stay, and a missing offset forgets as null does.
    alter(entry(json!({"filename": "/g", "n": 1.5}), json!({"x": null, "y": "t", "z": true})))
        .await;
    let text = get(&path).await.text;
    assert!(text.contains("{\"partition\":{\"filename\":\"/g\",\"n\":1.5},\"offset\":{\"x\":null,\"y\":\"t\",\"z\":true}}"), "{text}");
    alter(entry(json!({"n": 1.5, "filename": "/g"}), Value::Null)).await;
    assert_eq!(get(&path).await.json(), file_at(json!(7)));
    alter(json!({"offsets": [{"partition": {"filename": "/f"}}]})).await;
    assert_eq!(get(&path).await.text, "{\"offsets\":[]}");

    for (body, message) in [
        (
            entry(json!({"filename": "/f"}), json!({"position": 1, "deep": {}})),
            "Offsets may only contain primitive types as values, but field deep contains MAP",
        ),
        (
            entry(json!({"filename": "/f", "list": []}), json!({"position": 1})),
            "Offsets may only contain primitive types as values, but field list contains ARRAY",
        ),
        (
            file_at(json!("x")),
            "The value for the 'position' key in the offset is expected to be a Long value",
        ),
        (
            entry(json!({"f": 1}), json!({"position": 1})),
            "Partition objects should contain the key 'filename'",
        ),
    ] {
        call_with("PATCH", &path, body).await.is_error(500, message);
    }

    alter(file_at(json!(10))).await;
    call("PUT", &name.path("/resume")).await.is(202);
    // Three records more, from where it was told.
    reached(&name, file_at(json!(13))).await;
    call("PUT", &name.path("/stop")).await.is(204);
    for _ in 0..2 {
        let answer = call("DELETE", &path).await.is(200);
        let reset = "The offsets for this connector have been reset successfully";
        assert_eq!(answer.text, json!({ "message": reset }).to_string());
        assert_eq!(get(&path).await.text, "{\"offsets\":[]}");
    }
}

#[tokio::test]
async fn a_sinks_malformed_offsets_are_told_apart() {
    let name = Name::new();
    let body = json!({"name": name.0, "config": sink(json!({})), "initial_state": "STOPPED"});
    call_with("POST", "/connectors", body).await.is(201);
    let whole = json!({"kafka_topic": "t", "kafka_partition": 1});
    let position = json!({"kafka_offset": 1});
    for (partition, offset, message) in [
        (
            Value::Null,
            &position,
            "The partition for a sink connector offset cannot be null or missing",
        ),
        (
            json!({"kafka_topic": "t"}),
            &position,
            "The partition for a sink connector offset must contain the keys 'kafka_topic' and \
             'kafka_partition'",
        ),
        (
            json!({"kafka_topic": null, "kafka_partition": 1}),
            &position,
            "Kafka topic names must be valid strings and may not be null",
        ),
        (
            json!({"kafka_topic": "t", "kafka_partition": null}),
            &position,
            "Kafka partitions must be valid numbers and may not be null",
        ),
        (
            json!({"kafka_topic": "t", "kafka_partition": "x"}),
            &position,
            "Failed to parse the following Kafka partition value in the provided offsets: 'x'. \
             Partition values for sink connectors need to be integers.",
        ),
        (
            whole.clone(),
            &json!({"offset": 1}),
            "The offset for a sink connector should either be null or contain the key \
             'kafka_offset'",
        ),
        (
            whole,
            &json!({"kafka_offset": null}),
            "Failed to parse the following Kafka offset value in the provided offsets: 'null'. \
             Offset values for sink connectors need to be integers.",
        ),
    ] {
        let path = name.path("/offsets");
        call_with("PATCH", &path, entry(partition, offset.clone())).await.is_error(400, message);
    }
}

#[tokio::test]
async fn offsets_of_a_stopped_sink_are_those_of_its_group() {
    if !is_ours() {
        return;
    }
    let topic = unique("offsets");
    let writer = Name::new();
    writer.source(json!({"topic": topic, "file": "/f", "test.records": "3"})).await.is(201);
    reached(&writer, file_at(json!(3))).await;
    let name = Name::new();
    let config = sink(json!({"topics": topic, "value.converter": "StringConverter"}));
    call_with("PUT", &name.path("/config"), config).await.is(201);
    let at = |offset: i64| {
        entry(json!({"kafka_partition": 0, "kafka_topic": topic}), json!({"kafka_offset": offset}))
    };
    reached(&name, at(3)).await;
    call("PUT", &name.path("/stop")).await.is(204);

    let path = name.path("/offsets");
    let text = |done: &str| {
        let text = format!(
            "The Connect framework-managed offsets for this connector have been {done} \
             successfully. However, if this connector manages offsets externally, they will need to \
             be manually {done} in the system that the connector uses."
        );
        json!({ "message": text })
    };
    let spelled = json!({"kafka_partition": "0", "kafka_topic": topic});
    let body = entry(spelled.clone(), json!({"kafka_offset": "1"}));
    assert_eq!(call_with("PATCH", &path, body).await.is(200).json(), text("altered"));
    assert_eq!(get(&path).await.json(), at(1));
    let forgotten = entry(spelled, Value::Null);
    assert_eq!(call_with("PATCH", &path, forgotten).await.is(200).json(), text("altered"));
    assert_eq!(get(&path).await.text, "{\"offsets\":[]}");
    call_with("PATCH", &path, at(2)).await.is(200);
    call("PUT", &name.path("/resume")).await.is(202);
    reached(&name, at(3)).await;
    call("PUT", &name.path("/stop")).await.is(204);
    for _ in 0..2 {
        assert_eq!(call("DELETE", &path).await.is(200).json(), text("reset"));
        assert_eq!(get(&path).await.text, "{\"offsets\":[]}");
    }
}
