use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ferroconnect::config::Props;
use ferroconnect::kafka::{
    Admin, ClientProps, NewTopic, Outgoing, Producer, Reports, read_compacted,
};
use serde_json::{Value, json};

use crate::rest::file_stream;
use crate::support::{InProcessWorker, services, unique};

const DEADLINE: Duration = Duration::from_secs(20);
const SOURCE: &str = "org.apache.kafka.connect.file.FileStreamSourceConnector";

/// The internal topics of a cluster that has stopped, and a worker of ours.
struct Setting {
    config_topic: String,
    offset_topic: String,
    worker: InProcessWorker,
}

fn props(none: &Props) -> ClientProps<'_> {
    ClientProps {
        bootstrap_servers: &services().kafka,
        worker: none,
        connector: none,
        client_id: "moving",
    }
}

async fn topic_of(prefix: &str, partitions: i32, records: &[(String, Option<Value>)]) -> String {
    let none = Props::new();
    let name = unique(prefix);
    let config = vec![("cleanup.policy".to_owned(), "compact".to_owned())];
    let topic = NewTopic { name: name.clone(), partitions, replication_factor: 1, config };
    Admin::new(&props(&none)).unwrap().create_topic(&topic, DEADLINE).await.unwrap();
    let producer = Producer::new(&props(&none)).unwrap();
    let mut reports = Reports::default();
    // One after the other: a later value of a key is the newer one.
    for (key, value) in records {
        let value = value.as_ref().map(|value| value.to_string().into_bytes());
        let (key, value) = (Some(key.as_bytes()), value.as_deref());
        let mut message = Outgoing { topic: &name, key, value, ..Outgoing::default() };
        producer.send(&mut message, 0).unwrap();
        while reports.is_empty() {
            producer.reported().await;
            producer.take_reports(&mut reports);
        }
        assert!(reports.errors.is_empty(), "{:?}", reports.errors);
        reports.clear();
    }
    name
}

fn connector(name: &str, config: Value) -> (String, Option<Value>) {
    (format!("connector-{name}"), Some(json!({"properties": config})))
}

fn offset(name: &str, position: u64) -> (String, Option<Value>) {
    (format!("[\"{name}\",{{\"filename\":\"/tmp/none\"}}]"), Some(json!({"position": position})))
}

impl Setting {
    async fn new() -> Self {
        let source = json!({"connector.class": SOURCE, "topic": "t", "file": "/tmp/none"});
        let config_topic = topic_of(
            "configs",
            1,
            &[
                connector("old", source.clone()),
                connector("runs", json!({"connector.class": SOURCE, "topic": "before"})),
                connector("runs", source.clone()),
                connector("paused", source.clone()),
                connector("foreign", json!({"connector.class": "com.example.Other"})),
                (
                    "target-state-paused".to_owned(),
                    Some(json!({"state": "PAUSED", "state.v2": "PAUSED"})),
                ),
                ("task-runs-0".to_owned(), Some(json!({"properties": {"task.class": "x"}}))),
                ("connector-old".to_owned(), None),
            ],
        )
        .await;
        let offset_topic =
            topic_of("offsets", 5, &[offset("runs", 1), offset("runs", 7), offset("old", 3)]).await;
        let worker = InProcessWorker::start(file_stream::plugins(), &[]).await;
        Self { config_topic, offset_topic, worker }
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferroconnect"));
        command.args(arguments).args(["--url", &self.worker.url]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    async fn import(&self, more: &[&str]) -> (i32, String) {
        let group = unique("stopped");
        let mut arguments = vec!["import", "--bootstrap-servers", &services().kafka];
        arguments.extend(["--group-id", &group, "--config-topic", &self.config_topic]);
        arguments.extend(["--offset-topic", &self.offset_topic]);
        arguments.extend(more);
        self.run(&arguments).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.worker.url)).await.unwrap();
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_taken_over_and_given_back() {
    let setting = Setting::new().await;
    let (code, text) = setting.import(&[]).await;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("Nothing was changed"), "{text}");
    assert!(text.contains("com.example.Other"), "{text}");
    assert_eq!(setting.get("/connectors").await, json!([]));

    let (code, text) = setting.import(&["--yes"]).await;
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("runs: taken over, started") && text.contains("paused: taken over, paused"),
        "{text}"
    );
    assert_eq!(setting.get("/connectors").await, json!(["paused", "runs"]));
    assert_eq!(setting.get("/connectors/runs/config").await["topic"], "t");
    let stored = json!([{"partition": {"filename": "/tmp/none"}, "offset": {"position": 7}}]);
    assert_eq!(setting.get("/connectors/runs/offsets").await["offsets"], stored);
    assert_eq!(setting.get("/connectors/paused/status").await["connector"]["state"], "PAUSED");

    // What is there stays as it is.
    let (code, text) = setting.import(&["--yes", "--only", "runs"]).await;
    assert!(code == 3 && text.contains("has one of this name"), "{text}");

    let back = topic_of("back", 1, &[]).await;
    let folder = std::env::temp_dir().join(unique("export"));
    let folder = folder.to_str().unwrap();
    let brokers = ["--bootstrap-servers", &services().kafka, "--offset-topic", &back];
    let export = [&["export", "--to-connect"][..], &brokers, &["--only", "runs", folder]].concat();
    let (code, text) = setting.run(&export).await;
    assert!(code == 1 && text.contains("stop these first"), "{text}");
    let stop = format!("{}/connectors/runs/stop", setting.worker.url);
    reqwest::Client::new().put(stop).send().await.unwrap().error_for_status().unwrap();
    let (code, text) = setting.run(&export).await;
    assert_eq!(code, 0, "{text}");
    let none = Props::new();
    let written = read_compacted(&props(&none), &back, DEADLINE).await.unwrap().unwrap();
    let (key, value) = offset("runs", 7);
    let expected = BTreeMap::from([(key.into_bytes(), value.unwrap().to_string().into_bytes())]);
    assert_eq!(written, expected);
    let file = |name: &str| -> Value {
        let text = std::fs::read_to_string(PathBuf::from(folder).join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(file("runs.json")["config"]["topic"], "t");
    assert_eq!(file("runs.offsets.json")["offsets"], stored);
    setting.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named() {
    let setting = Setting::new().await;
    let nowhere = ["import", "--bootstrap-servers", &services().kafka, "--config-topic", "nowhere"];
    let (code, text) = setting.run(&nowhere).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("there is no topic \"nowhere\""), "{text}");
    setting.worker.stop().await;
}
