//! References to config providers (checklist 84, 272 to 276).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::client::{Name, SOURCE, call_with, get, is_ours, source};
use crate::support::{eventually_async, unique};

/// What the operator of the tests' worker allows: a folder of secrets and some variables.
pub(super) fn operators() -> (Vec<(&'static str, String)>, BTreeMap<String, String>) {
    const CLASS: &str = "org.apache.kafka.common.config.provider";
    let folder = FOLDER.to_string_lossy().into_owned();
    let settings = vec![
        ("config.providers", "file,dir,env".to_owned()),
        ("config.providers.file.class", format!("{CLASS}.FileConfigProvider")),
        ("config.providers.file.param.allowed.paths", folder.clone()),
        ("config.providers.dir.class", format!("{CLASS}.DirectoryConfigProvider")),
        ("config.providers.dir.param.allowed.paths", folder),
        ("config.providers.env.class", format!("{CLASS}.EnvVarConfigProvider")),
        ("config.providers.env.param.allowlist.pattern", "SHOWN_.*".to_owned()),
    ];
    let environment = [("SHOWN_A", "first"), ("SHOWN_B", "second"), ("SECRET_C", "third")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (settings, environment.into())
}

/// The folder that may be read.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(unique("secrets"));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    std::fs::write(folder.join("topics.properties"), "name=from-a-file\nbatch=many\n").unwrap();
    std::fs::write(folder.join("whole"), "from-a-folder").unwrap();
    folder
});

fn file(key: &str) -> String {
    format!("${{file:{}:{key}}}", FOLDER.join("topics.properties").display())
}

async fn topic_is(name: &Name, topic: &str) {
    let path = name.path("/topics");
    eventually_async("the topic is listed", 30, || async {
        let topics = get(&path).await.json();
        let expected = json!({&name.0: {"topics": [topic]}});
        if topics == expected { Ok(()) } else { Err(topics) }
    })
    .await;
}

#[tokio::test]
async fn references_come_back_as_submitted() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    let folder = FOLDER.display();
    let references = [
        ("topic", file("name")),
        ("test.a", format!("${{dir:{folder}:whole}}")),
        ("test.b", "${env:SHOWN_A}".to_owned()),
    ];
    let mut more: Value =
        references.iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect();
    more["test.records"] = json!("1");
    let created = name.source(more).await.is(201).json();
    topic_is(&name, "from-a-file").await;
    let name_path = name.path("");
    let config = get(&name.path("/config")).await.json();
    let expanded = get("/connectors?expand=info").await.json();
    let tasks = get(&name.path("/tasks")).await.json();
    let put = call_with("PUT", &name.path("/config"), config.clone()).await.is(200).json();
    for shown in [
        &created["config"],
        &config,
        &get(&name_path).await.json()["config"],
        &expanded[&name.0]["info"]["config"],
        &tasks[0]["config"],
        &put["config"],
    ] {
        for (key, reference) in &references {
            assert_eq!(shown[key], *reference, "{shown}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_stays_as_text() {
    if !is_ours() {
        return;
    }
    let outside = std::env::temp_dir().join(unique("outside"));
    std::fs::write(&outside, "name=no").unwrap();
    for reference in [
        "${nobody:path:key}".to_owned(),
        "${env:SHOWN_NONE}".to_owned(),
        "${env:SECRET_C}".to_owned(),
        file("none"),
        format!("${{file:{}:name}}", outside.display()),
        format!(
            "${{file:{}/../{}:name}}",
            FOLDER.display(),
            outside.file_name().unwrap().display()
        ),
    ] {
        let config = source(json!({"name": "c", "batch.size": reference}));
        let infos = call_with("PUT", "/connector-plugins/FileStreamSource/config/validate", config);
        let infos = infos.await.is(200).json();
        let of = |info: &&Value| info["value"]["name"] == "batch.size";
        let value = &infos["configs"].as_array().unwrap().iter().find(of).unwrap()["value"];
        let expected = format!(
            "Invalid value {reference} for configuration batch.size: Not a number of type INT"
        );
        assert_eq!(value["errors"], json!([expected]));
        let name = Name::new();
        name.source(json!({"test.a": reference})).await.is(201);
        name.reaches("RUNNING", 1).await;
    }
    std::fs::remove_file(outside).unwrap();
}

#[tokio::test]
async fn two_references_of_a_value_are_both_resolved() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    let topic = "${env:SHOWN_A}-and-${env:SHOWN_B}";
    name.source(json!({"topic": topic, "test.records": "1"})).await.is(201);
    topic_is(&name, "first-and-second").await;
}

#[tokio::test]
async fn a_provider_that_cannot_answer_is_an_error() {
    if !is_ours() {
        return;
    }
    let missing = FOLDER.join("missing");
    for (reference, message) in [
        (
            "${env:/path:SHOWN_A}".to_owned(),
            "Path is not supported for EnvVarConfigProvider, invalid value '/path'".to_owned(),
        ),
        (
            format!("${{file:{}:key}}", missing.display()),
            format!("Could not read properties from file {}", missing.display()),
        ),
    ] {
        let name = Name::new();
        let created = name.source(json!({"topic": reference})).await;
        created.is_error_with(500, &message);
        get(&name.path("")).await.is(404);
        let config = json!({"connector.class": SOURCE, "topic": reference, "name": "c"});
        let path = "/connector-plugins/FileStreamSource/config/validate";
        call_with("PUT", path, config).await.is_error_with(500, &message);
    }
}

#[tokio::test]
async fn a_patch_keeps_the_references_of_other_keys() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"topic": "${env:SHOWN_A}"})).await.is(201);
    let patched = call_with("PATCH", &name.path("/config"), json!({"batch.size": "7"})).await;
    assert_eq!(patched.is(200).json()["config"]["topic"], "${env:SHOWN_A}");
    let config = get(&name.path("/config")).await.json();
    assert_eq!((&config["topic"], &config["batch.size"]), (&json!("${env:SHOWN_A}"), &json!("7")));
}

#[tokio::test]
async fn a_validation_shows_references_in_place_of_what_they_stand_for() {
    if !is_ours() {
        return;
    }
    let config = source(json!({"name": "c", "topic": file("name"), "batch.size": file("batch")}));
    let path = "/connector-plugins/FileStreamSource/config/validate";
    let answer = call_with("PUT", path, config).await.is(200);
    for secret in ["from-a-file", "many"] {
        assert!(!answer.text.contains(secret), "{answer:?}");
    }
    let infos = answer.json();
    let value = |key: &str| {
        let configs = infos["configs"].as_array().unwrap();
        configs.iter().find(|info| info["value"]["name"] == key).unwrap()["value"].clone()
    };
    assert_eq!(value("topic")["value"], file("name"));
    let batch = file("batch");
    let expected =
        format!("Invalid value {batch} for configuration batch.size: Not a number of type INT");
    assert_eq!(value("batch.size")["errors"], json!([expected]));
}
