//! `/connector-plugins` (checklist 184 to 199).

use serde_json::{Value, json};

use super::client::{SINK, SOURCE, get, is_ours};

fn texts<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item[key].as_str().expect("text")).collect()
}

#[tokio::test]
async fn plugins_are_listed_by_kind_and_class() {
    let connectors = get("/connector-plugins").await.is(200).json();
    let kinds = texts(&connectors, "type");
    assert!(kinds.contains(&"sink") && kinds.contains(&"source"));
    assert!(kinds.is_sorted() && kinds.iter().all(|kind| matches!(*kind, "sink" | "source")));
    for kind in ["sink", "source"] {
        let of_kind = connectors.as_array().unwrap().iter().filter(|item| item["type"] == kind);
        let classes: Vec<_> = of_kind.map(|item| item["class"].as_str().unwrap()).collect();
        assert!(classes.is_sorted(), "{classes:?}");
    }
    let first: Vec<_> = connectors[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(first[..2], ["class", "type"]);
    for query in ["?connectorsOnly=", "?connectorsOnly=true", "?connectorsOnly=TRUE"] {
        assert_eq!(get(&format!("/connector-plugins{query}")).await.json(), connectors);
    }
}

#[tokio::test]
async fn the_other_kinds_follow_when_asked_for() {
    let all = get("/connector-plugins?connectorsOnly=false").await.is(200).json();
    let mut kinds = texts(&all, "type");
    kinds.dedup();
    let order = ["sink", "source", "transformation", "predicate", "converter", "header_converter"];
    let place = |kind: &str| order.iter().position(|other| *other == kind).expect("a kind");
    assert!(kinds.is_sorted_by_key(|kind| place(kind)), "{kinds:?}");
    assert!(kinds.contains(&"transformation") && kinds.contains(&"header_converter"));
    assert_eq!(get("/connector-plugins?connectorsOnly=xx").await.json(), all);
}

#[tokio::test]
async fn a_connectors_keys_come_before_the_frameworks() {
    let keys = get(&format!("/connector-plugins/{SOURCE}/config")).await.is(200).json();
    let names = texts(&keys, "name");
    assert_eq!(names[..4], ["file", "topic", "batch.size", "name"]);
    for alias in ["FileStreamSource", "FileStreamSourceConnector"] {
        assert_eq!(get(&format!("/connector-plugins/{alias}/config")).await.json(), keys);
    }
    let mut members: Vec<_> = keys[0].as_object().unwrap().keys().cloned().collect();
    if is_ours() {
        // 4.3 calls it so; both generations of clients find theirs.
        assert_eq!(members.remove(7), "order_in_group");
    }
    assert_eq!(
        members,
        [
            "name",
            "type",
            "required",
            "default_value",
            "importance",
            "documentation",
            "group",
            "width",
            "display_name",
            "dependents",
            "order"
        ]
    );
    assert_eq!(keys[0]["group"], Value::Null);
    assert_eq!((&keys[0]["order"], &keys[0]["width"]), (&json!(-1), &json!("NONE")));
    let of_sink = get(&format!("/connector-plugins/{SINK}/config")).await.json();
    let of_sink = texts(&of_sink, "name");
    assert!(of_sink.contains(&"topics") && !names.contains(&"topics"));
    assert!(names.contains(&"topic.creation.groups"));
}

#[tokio::test]
async fn a_converter_shows_what_it_converts() {
    let keys = get("/connector-plugins/JsonConverter/config").await.is(200).json();
    assert!(texts(&keys, "name").contains(&"converter.type"), "{keys}");
    let enable = keys.as_array().unwrap().iter().find(|key| key["name"] == "schemas.enable");
    let enable = enable.expect("the key");
    assert_eq!(
        [&enable["group"], &enable["width"], &enable["display_name"], &enable["order"]],
        [&json!("Schemas"), &json!("MEDIUM"), &json!("Enable Schemas"), &json!(0)]
    );
}

#[tokio::test]
async fn an_unknown_plugin_is_not_found() {
    get("/connector-plugins/zzz/config").await.is_error(404, "Unknown plugin zzz.");
}

#[tokio::test]
async fn a_class_of_a_kind_that_is_not_listed_is_refused() {
    let class = "org.apache.kafka.common.config.provider.FileConfigProvider";
    get(&format!("/connector-plugins/{class}/config")).await.is_error(
        400,
        &format!(
            "Invalid plugin class {class}. Valid types are sink, source, converter, \
             header_converter, transformation, predicate."
        ),
    );
}
