//! `/connectors`: listing and creation (checklist 33 to 84).

use serde_json::{Value, json};

use super::client::{Name, call, call_raw, call_with, get, is_ours, sink, source};
use crate::support::InProcessWorker;

async fn create(name: &Value, config: Value) -> super::client::Answer {
    call_with("POST", "/connectors", json!({"name": name, "config": config})).await
}

#[tokio::test]
async fn an_empty_worker_lists_nothing() {
    // Only a worker of this test's own is surely empty.
    if !is_ours() {
        return;
    }
    let worker = InProcessWorker::start(super::file_stream::plugins(), &[]).await;
    for (query, expected) in [("", "[]"), ("?expand=status", "{}"), ("?expand=foo", "{}")] {
        let answer = reqwest::get(format!("{}/connectors{query}", worker.url)).await;
        assert_eq!(answer.expect("an answer").text().await.expect("a body"), expected);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_created_connector_is_listed_until_it_is_deleted() {
    let name = Name::new();
    let answer = name.source(json!({})).await.is(201);
    let keys: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["name", "config", "tasks", "type"]);
    assert_eq!(answer.json()["config"]["name"], name.0);
    assert_eq!(answer.json()["tasks"], json!([]));
    assert_eq!(answer.json()["type"], "source");
    let base = super::client::base();
    let location = format!("{base}/connectors/{}", name.0);
    assert_eq!(answer.header("location"), Some(location.as_str()));
    get(&name.path("")).await.is(200);
    let listed = |list: Value| list.as_array().unwrap().iter().filter(|n| **n == name.0).count();
    assert_eq!(listed(get("/connectors").await.json()), 1);
    call("DELETE", &name.path("")).await.is(204);
    assert_eq!(listed(get("/connectors").await.json()), 0);
    call("DELETE", &name.path("")).await.is_error(404, &format!("Connector {} not found", name.0));
    get(&name.path("")).await.is_error(404, &format!("Connector {} not found", name.0));
}

#[tokio::test]
async fn expand_shows_what_is_asked_for_in_order() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    let keys = |query: &'static str| {
        let name = name.0.clone();
        async move {
            let all = get(&format!("/connectors?{query}")).await.is(200).json();
            let members = all[&name].as_object().expect("the connector").clone();
            members.keys().cloned().collect::<Vec<_>>()
        }
    };
    assert_eq!(keys("expand=status").await, ["status"]);
    assert_eq!(keys("expand=info").await, ["info"]);
    assert_eq!(keys("expand=status&expand=info").await, ["status", "info"]);
    assert_eq!(keys("expand=info&expand=status").await, ["info", "status"]);
    assert!(keys("expand=info,status").await.is_empty());
    assert!(keys("expand=foo").await.is_empty());
    assert_eq!(keys("expand=info&expand=foo").await, ["info"]);
    let all = get("/connectors?expand=info&expand=status").await.json();
    assert_eq!(all[&name.0]["info"], get(&name.path("")).await.json());
    assert_eq!(all[&name.0]["status"], get(&name.path("/status")).await.json());
}

#[tokio::test]
async fn any_name_round_trips() {
    for (raw, encoded) in [
        ("a b", "a%20b"),
        ("\u{e9}t\u{e9}", "%C3%A9t%C3%A9"),
        ("a+b", "a+b"),
        ("a/b", "a%2Fb"),
        ("\u{1f980}", "%F0%9F%A6%80"),
        ("quo\"te'", "quo%22te'"),
    ] {
        let unique = crate::support::unique("n");
        let (raw, encoded) = (format!("{raw}{unique}"), format!("{encoded}{unique}"));
        let answer = create(&json!(raw), source(json!({}))).await.is(201);
        assert_eq!(answer.json()["name"], raw);
        let location = answer.header("location").unwrap();
        assert!(location.is_ascii(), "{location}");
        let path = format!("/connectors/{encoded}");
        assert_eq!(get(&path).await.is(200).json()["name"], raw);
        let all = get("/connectors?expand=info").await.json();
        assert_eq!(all[&raw]["info"]["name"], raw);
        call("DELETE", &path).await.is(204);
        let put = call_with("PUT", &format!("{path}/config"), source(json!({}))).await.is(201);
        assert_eq!(put.json()["config"]["name"], raw);
        assert_eq!(put.header("location"), Some(location), "{raw}");
        assert_eq!(get(&path).await.is(200).json()["name"], raw);
        call("DELETE", &path).await.is(204);
    }
}

#[tokio::test]
async fn what_was_submitted_comes_back() {
    let name = Name::new();
    let body = format!(
        r#"{{"name":"{}","config":{{"connector.class":"FileStreamSource","topic":"t","a":1,"b":1.50,"c":true,"d":5242880,"e":" x ","f":1e3,"u":"\u00e9"}}}}"#,
        name.0
    );
    let created = call_raw("POST", "/connectors", &body).await.is(201).json();
    let expected = json!({
        "connector.class": "FileStreamSource", "topic": "t", "a": "1", "b": "1.50", "c": "true",
        "d": "5242880", "e": " x ", "f": "1e3", "u": "\u{e9}", "name": name.0,
    });
    assert_eq!(created["config"], expected);
    assert_eq!(get(&name.path("/config")).await.json(), expected);
    assert_eq!(get(&name.path("")).await.json()["config"], expected);
}

#[tokio::test]
async fn names_are_checked() {
    let name = Name::new();
    let config = source(json!({"name": name.0}));
    create(&json!(format!(" {} ", name.0)), config).await.is(201);
    create(&json!("x"), source(json!({"name": "y"}))).await.is_error(
        400,
        "Connector name configuration (y) doesn't match connector name in the URL (x)",
    );
    call_with("POST", "/connectors", json!({"config": source(json!({"name": "y"}))}))
        .await
        .is_error(
            400,
            "Connector name configuration (y) doesn't match connector name in the URL ()",
        );
    create(&json!(""), source(json!({}))).await.is_error_with(400, "String may not be empty");
    create(&json!("a\tb"), source(json!({}))).await.is_error_with(400, "ASCII chars: 9");
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_but_an_invalid_configuration_comes_first() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.source(json!({})).await.is_error(409, &format!("Connector {} already exists", name.0));
    name.source(json!({"tasks.max": "0"})).await.is_error_with(400, "Value must be at least 1");
}

#[tokio::test]
async fn of_two_creations_at_once_one_wins() {
    let name = Name::new();
    let answers = futures::future::join_all((0..8).map(|_| name.source(json!({})))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    if !is_ours() {
        // The original says 201 to all of them.
        return;
    }
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn the_class_has_to_be_known() {
    create(&json!("x"), json!({"topic": "t"}))
        .await
        .is_error_with(400, "contains no connector type");
    create(&json!("x"), json!({}))
        .await
        .is_error(400, "Connector config {name=x} contains no connector type");
    let answer = create(&json!("x"), json!({"connector.class": "Nope"})).await;
    answer.is_error_with(
        500,
        "Failed to find any class that implements Connector and which name matches Nope, available \
         connectors are: ",
    );
}

#[tokio::test]
async fn what_is_no_creation_is_refused() {
    let known = "Cannot invoke \"java.util.Map.get(Object)\" because \"connectorConfig\" is null";
    for (body, part) in [
        ("{}", known),
        ("", "because \"createRequest\" is null"),
        ("null", "because \"createRequest\" is null"),
        ("[]", "Cannot deserialize value"),
        ("\"s\"", ""),
        ("{bad", ""),
        ("{\"name\":\"x\"} trailing", ""),
        ("{\"name\":\"x\"}{}", ""),
        ("{\"foo\":1}", "Unrecognized field \"foo\""),
        (
            "{\"name\":\"x\",\"config\":{\"a\":{}}}",
            "Cannot deserialize value of type `java.lang.String` from Object value (token \
             `JsonToken.START_OBJECT`)",
        ),
        (
            "{\"name\":\"x\",\"config\":{\"a\":[]}}",
            "Cannot deserialize value of type `java.lang.String` from Array value (token \
             `JsonToken.START_ARRAY`)",
        ),
        ("{\"name\":\"x\",\"config\":{},\"initial_state\":\"foo\"}", "No enum constant"),
    ] {
        call_raw("POST", "/connectors", body).await.is_error_with(500, part);
    }
}

#[tokio::test]
async fn every_error_is_listed_and_counted() {
    create(&json!("x"), source(json!({"tasks.max": "x"}))).await.is_error(
        400,
        "Connector configuration is invalid and contains the following 2 error(s):\n\
         Invalid value x for configuration tasks.max: Not a number of type INT\n\
         Invalid value null for configuration tasks.max: Value must be non-null\n\
         You can also find the above list of errors at the endpoint \
         `/connector-plugins/{connectorType}/config/validate`",
    );
    create(&json!("x"), sink(json!({"topics": ""})))
        .await
        .is_error_with(400, "contains the following 2 error(s):\nMust configure one of topics");
    create(&json!("x"), source(json!({"errors.tolerance": null})))
        .await
        .is_error_with(400, "Null value can not be supplied as the configuration value.");
}

#[tokio::test]
async fn the_initial_state_is_taken() {
    for (initial, state, tasks) in [
        (json!("PAUSED"), "PAUSED", 0),
        (json!("stopped"), "STOPPED", 0),
        (json!("RUNNING"), "RUNNING", 1),
        (Value::Null, "RUNNING", 1),
    ] {
        let name = Name::new();
        let body = json!({
            "name": name.0, "config": source(json!({})), "initial_state": initial,
        });
        call_with("POST", "/connectors", body).await.is(201);
        name.reaches(state, tasks).await;
    }
}

#[tokio::test]
async fn a_connector_that_cannot_start_is_created_and_fails() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"test.fail": "connector"})).await.is(201);
    name.reaches("FAILED", 0).await;
    let status = get(&name.path("/status")).await.json();
    let trace = status["connector"]["trace"].as_str().expect("a trace");
    assert!(trace.contains("the connector fails as it was told"), "{trace}");
}
