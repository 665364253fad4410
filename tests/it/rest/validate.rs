//! `/connector-plugins/{plugin}/config/validate` (checklist 200 to 257); the rules themselves have
//! their tests in `runtime::validation`.

use serde_json::{Value, json};

use super::client::{SOURCE, call_raw, call_with, get, is_ours, sink, source};

async fn validate(plugin: &str, config: Value) -> super::client::Answer {
    call_with("PUT", &format!("/connector-plugins/{plugin}/config/validate"), config).await
}

fn entry(infos: &Value, name: &str) -> Value {
    let configs = infos["configs"].as_array().expect("a list");
    configs.iter().find(|config| config["value"]["name"] == name).expect("the key").clone()
}

#[tokio::test]
async fn a_valid_configuration_has_no_errors() {
    let config = source(json!({
        "name": "validated", "tasks.max": " 5 ", "nobody.knows": "this", "batch.size": "+5",
        "consumer.override.group.id": "g", "admin.override.retries": "x",
    }));
    let answer = validate("FileStreamSource", config).await.is(200);
    let infos = answer.json();
    let keys: Vec<_> = infos.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["name", "error_count", "groups", "configs"]);
    assert_eq!((&infos["name"], &infos["error_count"]), (&json!(SOURCE), &json!(0)));
    let tasks_max = entry(&infos, "tasks.max");
    assert_eq!(
        tasks_max["value"],
        json!({"name": "tasks.max", "value": "5", "recommended_values": [], "errors": [], "visible": true})
    );
    let definition = &tasks_max["definition"];
    assert_eq!((&definition["type"], &definition["default_value"]), (&json!("INT"), &json!("1")));
    assert_eq!(
        (&definition["importance"], &definition["width"]),
        (&json!("HIGH"), &json!("SHORT"))
    );
    assert_eq!(definition["display_name"], "Tasks max");
    assert_eq!(entry(&infos, "name")["definition"]["required"], true);
    assert_eq!(entry(&infos, "errors.tolerance")["value"]["value"], "none");
    assert_eq!(entry(&infos, "batch.size")["value"]["value"], "5");
    let names: Vec<_> =
        infos["configs"].as_array().unwrap().iter().map(|of| &of["value"]["name"]).collect();
    for ignored in ["nobody.knows", "consumer.override.group.id", "admin.override.retries"] {
        assert!(!names.contains(&&json!(ignored)), "{ignored}");
    }
    let config = sink(json!({"name": "v", "producer.override.max.request.size": "x"}));
    let infos = validate("Sink", config).await.is(200).json();
    assert_eq!(infos["error_count"], 0, "without a dead letter queue there is no producer");
    let infos = validate("Source", source(json!({"name": "v", "tasks.max": "+5"}))).await.json();
    let tasks_max = &entry(&infos, "tasks.max")["value"];
    assert_eq!((&tasks_max["value"], &tasks_max["errors"]), (&json!("5"), &json!([])));
    get("/connectors/validated").await.is(404);
}

#[tokio::test]
async fn an_invalid_configuration_is_answered_too() {
    let config = source(json!({"name": "v", "tasks.max": "abc", "errors.tolerance": "zzz"}));
    let infos = validate("FileStreamSource", config).await.is(200).json();
    assert_eq!(infos["error_count"], 3);
    let tasks_max = &entry(&infos, "tasks.max")["value"];
    assert_eq!(
        (&tasks_max["value"], tasks_max["errors"].as_array().unwrap().len()),
        (&Value::Null, 2)
    );
    assert_eq!(entry(&infos, "errors.tolerance")["value"]["value"], "zzz");
}

#[tokio::test]
async fn the_path_has_to_suit_the_body() {
    for plugin in ["FileStreamSource", "FileStreamSourceConnector", "Source", SOURCE] {
        validate(plugin, source(json!({"name": "v"}))).await.is(200);
    }
    validate("Sink", source(json!({}))).await.is_error(
        400,
        &format!("Included connector type {SOURCE} does not match request type Sink"),
    );
    validate(SOURCE, source(json!({"connector.class": "FileStreamSource"}))).await.is(400);
    validate(SOURCE, source(json!({"connector.class": ""}))).await.is(400);
}

#[tokio::test]
async fn what_cannot_be_judged_is_a_500() {
    validate("FileStreamSource", json!({"name": "v"})).await.is_error(
        500,
        "org.apache.kafka.connect.runtime.rest.errors.BadRequestException: Connector config {name=v} \
         contains no connector type",
    );
    for body in ["", "null"] {
        call_raw("PUT", "/connector-plugins/FileStreamSource/config/validate", body)
            .await
            .is_error_with(500, "\"connectorConfig\" is null");
    }
    validate("Nope", json!({"connector.class": "Nope"})).await.is_error_with(
        500,
        "Failed to find any class that implements Connector and which name matches Nope, available \
         connectors are: ",
    );
    validate("FileStreamSource", source(json!({"producer.override.max.request.size": "x"})))
        .await
        .is_error_with(
            500,
            "Invalid value x for configuration max.request.size: Not a number of type INT",
        );
}

#[tokio::test]
async fn groups_are_those_of_the_kind() {
    let base = ["Common", "Transforms", "Predicates", "Error Handling"];
    let infos = validate("Sink", sink(json!({"name": "v"}))).await.is(200).json();
    assert_eq!(infos["groups"], json!(base));
    let infos = validate("Source", source(json!({"name": "v"}))).await.is(200).json();
    let mut groups = base.to_vec();
    groups.extend(["Topic Creation", "Exactly Once Support", "offsets.topic"]);
    assert_eq!(infos["groups"], json!(groups));
}

#[tokio::test]
async fn a_transforms_keys_are_shown() {
    let class = if is_ours() {
        "io.debezium.transforms.ExtractNewRecordState"
    } else {
        "org.apache.kafka.connect.transforms.RegexRouter"
    };
    let config = source(json!({
        "name": "v", "transforms": "r", "transforms.r.type": class, "transforms.r.negate": "x",
        "transforms.r.predicate": "p", "transforms.r.regex": "(.*)", "transforms.r.replacement": "t",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    }));
    let infos = validate("FileStreamSource", config).await.is(200).json();
    assert_eq!(infos["error_count"], 1, "{infos}");
    assert_eq!(
        entry(&infos, "transforms.r.negate")["value"]["errors"],
        json!([
            "Invalid value x for configuration transforms.r.negate: Expected value to be either \
                true or false"
        ])
    );
    let ty = entry(&infos, "transforms.r.type");
    assert!(ty["value"]["recommended_values"].as_array().unwrap().contains(&json!(class)));
    assert_eq!(ty["definition"]["order"], 0);
    assert_eq!(entry(&infos, "transforms.r.negate")["definition"]["group"], "Transforms: r");
    assert_eq!(entry(&infos, "key.converter.schemas.enable")["value"]["value"], "true");
}

/// A server that takes connections and never says anything.
async fn silent_server() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let serving = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (port, serving)
}

#[tokio::test]
async fn an_outside_that_hangs_is_an_error_in_time() {
    if !is_ours() {
        return;
    }
    let (port, silent) = silent_server().await;
    let postgres = json!({
        "name": "v", "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1", "database.port": port.to_string(),
        "database.user": "u", "database.password": "p", "database.dbname": "d",
        "topic.prefix": "t", "plugin.name": "pgoutput",
    });
    let asked = std::time::Instant::now();
    let validation = validate("PostgresConnector", postgres);
    let others = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let asked = std::time::Instant::now();
        get("/connectors").await.is(200);
        asked.elapsed()
    };
    let (infos, of_others) = tokio::join!(validation, others);
    // Its deadline is 2 s, and a loaded machine gets some more.
    assert!(asked.elapsed().as_secs_f64() < 10.0, "{:?}", asked.elapsed());
    assert!(of_others.as_secs_f64() < 5.0, "others wait for it: {of_others:?}");
    let infos = infos.is(200).json();
    assert_eq!(infos["error_count"], 1, "{infos}");
    let errors = entry(&infos, "database.hostname")["value"]["errors"].to_string();
    assert!(errors.contains(&format!("127.0.0.1:{port}")), "it says what was tried: {errors}");
    silent.abort();
}
