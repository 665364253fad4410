//! The config and offset topics of a distributed Kafka Connect cluster.
//!
//! Source: `KafkaConfigBackingStore.java` and `KafkaOffsetBackingStore.java`. Keys of the config topic are
//! `connector-NAME`, `target-state-NAME` and others that say how the cluster works inside; keys of the
//! offset topic are `["NAME",{partition}]`.

use serde_json::Value;

use super::origin::{Origin, Target};
use crate::cli::rest_client::StoredOffset;
use crate::kafka::Latest;

/// Connectors and target states, from the newest values of the config topic.
///
/// # Errors
/// The key whose value cannot be read, and why.
pub(super) fn connectors(topic: &Latest) -> Result<Origin, String> {
    let mut origin = Origin::new();
    for (key, value) in topic {
        let Ok(key) = std::str::from_utf8(key) else { continue };
        let read = || -> Result<Value, String> {
            let value = serde_json::from_slice(value);
            value.map_err(|error| format!("the value of \"{key}\" is no JSON: {error}"))
        };
        if let Some(name) = key.strip_prefix("connector-") {
            let value = read()?;
            let properties = value.get("properties").and_then(Value::as_object);
            let properties =
                properties.ok_or_else(|| format!("the value of \"{key}\" has no properties"))?;
            let connector = origin.entry(name.to_owned()).or_default();
            // The original takes texts only; a null is as good as none.
            for (key, value) in properties {
                if let Some(text) = value.as_str() {
                    connector.config.insert(key.clone(), text.to_owned());
                }
            }
            connector.config.insert("name".to_owned(), name.to_owned());
        } else if let Some(name) = key.strip_prefix("target-state-") {
            let value = read()?;
            // `state.v2` knows STOPPED; older readers see PAUSED beside it.
            let state = value.get("state.v2").or_else(|| value.get("state"));
            let target = match state.and_then(Value::as_str) {
                Some("PAUSED") => Target::Paused,
                Some("STOPPED") => Target::Stopped,
                _ => Target::Started,
            };
            origin.entry(name.to_owned()).or_default().target = target;
        }
    }
    // A target state may outlive its connector.
    origin.retain(|_, connector| !connector.config.is_empty());
    Ok(origin)
}

/// Adds the source offsets, from the newest values of an offset topic or file. Those of connectors that are
/// not in `origin` are left out: the original never deletes them. What was added before gives way: a
/// connector's own topic is read after the workers'.
///
/// # Errors
/// The key that cannot be read, and why.
pub(super) fn add_offsets(origin: &mut Origin, stored: &Latest) -> Result<(), String> {
    for (key, value) in stored {
        let text = String::from_utf8_lossy(key);
        let read = |bytes: &[u8]| -> Result<Value, String> {
            let value = serde_json::from_slice(bytes);
            value.map_err(|error| format!("the offset of {text} is no JSON: {error}"))
        };
        let key = read(key)?;
        let Some([Value::String(name), partition]) = key.as_array().map(Vec::as_slice) else {
            return Err(format!("the offset key {text} is not [name, partition]"));
        };
        let offset = read(value)?;
        if let (Some(connector), false) = (origin.get_mut(name), offset.is_null()) {
            connector.offsets.retain(|known| known.partition != *partition);
            connector.offsets.push(StoredOffset { partition: partition.clone(), offset });
        }
    }
    Ok(())
}

/// The key under which the offset topic has a partition.
pub(super) fn offset_key(name: &str, partition: &Value) -> Vec<u8> {
    Value::Array(vec![Value::from(name), partition.clone()]).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn topic(records: &[(&str, Value)]) -> Latest {
        let bytes = |value: &Value| value.to_string().into_bytes();
        records.iter().map(|(key, value)| (key.as_bytes().to_vec(), bytes(value))).collect()
    }

    #[test]
    fn connectors_come_with_their_target_states() {
        let origin = connectors(&topic(&[
            ("connector-a", json!({"properties": {"connector.class": "C", "x": null}})),
            ("connector-b", json!({"properties": {"connector.class": "C", "name": "b"}})),
            ("target-state-b", json!({"state": "PAUSED", "state.v2": "STOPPED"})),
            ("target-state-gone", json!({"state": "STARTED"})),
            ("task-a-0", json!({"properties": {}})),
            ("commit-a", json!({"tasks": 1})),
            ("session-key", json!({"key": "k"})),
        ]))
        .unwrap();
        assert_eq!(origin.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(origin["a"].config["connector.class"], "C");
        assert_eq!(origin["a"].config["name"], "a");
        assert_eq!(origin["a"].config.len(), 2);
        assert_eq!((origin["a"].target, origin["b"].target), (Target::Started, Target::Stopped));
    }

    #[test]
    fn offsets_find_their_connectors() {
        let mut origin = connectors(&topic(&[("connector-a", json!({"properties": {}}))])).unwrap();
        let key = r#"["a",{"server":"cdc"}]"#;
        let stored =
            topic(&[(key, json!({"lsn": 24_023_128})), (r#"["gone",{"server":"x"}]"#, json!({}))]);
        add_offsets(&mut origin, &stored).unwrap();
        let [found] = origin["a"].offsets.as_slice() else { panic!("one offset") };
        assert_eq!(found.partition, json!({"server": "cdc"}));
        assert_eq!(found.offset, json!({"lsn": 24_023_128}));
        assert_eq!(offset_key("a", &found.partition), key.as_bytes());
        add_offsets(&mut origin, &topic(&[(key, json!({"lsn": 24_023_200}))])).unwrap();
        let [found] = origin["a"].offsets.as_slice() else { panic!("one offset") };
        assert_eq!(found.offset, json!({"lsn": 24_023_200}));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = connectors(&topic(&[("connector-a", json!([]))])).unwrap_err();
        assert!(error.contains("connector-a"), "{error}");
        let error = add_offsets(&mut Origin::new(), &topic(&[("{}", json!({}))])).unwrap_err();
        assert!(error.contains("{}"), "{error}");
    }
}
