use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::rest::file_stream;
use crate::support::{InProcessWorker, unique};

/// A folder of connector files, and the worker that shall be like it.
struct Setting {
    folder: PathBuf,
    worker: InProcessWorker,
}

impl Setting {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(unique("declarative"));
        std::fs::create_dir(&folder).unwrap();
        Self { folder, worker: InProcessWorker::start(file_stream::plugins(), &[]).await }
    }

    fn file(&self, name: &str, more: Value) {
        let mut config = json!({
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
            "topic": unique("t"),
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let text = json!({"name": name, "config": config}).to_string();
        std::fs::write(self.folder.join(format!("{name}.json")), text).unwrap();
    }

    /// Exit code and standard output.
    async fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferroconnect"));
        command.args(arguments).args(["--url", &self.worker.url]).arg(&self.folder);
        // The worker lives on this runtime: it must go on while the command runs.
        let Output { status, stdout, stderr } =
            tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        (status.code().unwrap(), text)
    }

    async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.worker.url)).await.unwrap();
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_becomes_what_the_folder_says() {
    let setting = Setting::new().await;
    setting.file("a", json!({"password": "hunter2"}));
    setting.file("b", json!({}));
    let (code, text) = setting.run(&["diff"]).await;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("+ a") && text.contains("2 to create, 0 to update"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(setting.get("/connectors").await, json!([]));

    let (code, text) = setting.run(&["apply"]).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("say --yes"), "{text}");
    assert_eq!(setting.get("/connectors").await, json!([]));

    let (code, text) = setting.run(&["apply", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("a: created") && text.contains("1 RUNNING"), "{text}");
    assert_eq!(setting.run(&["diff"]).await.0, 0);
    let (code, text) = setting.run(&["apply", "--yes"]).await;
    assert!(code == 0 && text.contains("Nothing to do: 2 connectors"), "{text}");

    setting.file("b", json!({"file": "/tmp/other"}));
    let (_, text) = setting.run(&["diff"]).await;
    assert!(text.contains("~ b") && text.contains("+ file = /tmp/other"), "{text}");
    assert_eq!(setting.run(&["apply", "--yes"]).await.0, 0);
    assert_eq!(setting.get("/connectors/b/config").await["file"], "/tmp/other");

    let (code, text) = setting.run(&["delete", "--yes"]).await;
    assert!(code == 0 && text.contains("b: deleted"), "{text}");
    assert_eq!(setting.get("/connectors").await, json!([]));
    setting.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_file_keeps_everything_as_it_is() {
    let setting = Setting::new().await;
    setting.file("good", json!({}));
    setting.file("wrong", json!({"batch.size": "many"}));
    setting.file("unknown", json!({"connector.class": "none.There"}));
    for verb in [&["diff"][..], &["apply", "--yes"]] {
        let (code, text) = setting.run(verb).await;
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("batch.size: Invalid value many"), "{text}");
        assert!(text.contains("none.There"), "{text}");
        assert!(text.contains("refuses 2 of the files"), "{text}");
    }
    assert_eq!(setting.get("/connectors").await, json!([]));
    setting.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_fails_is_shown_and_fails_the_command() {
    let setting = Setting::new().await;
    setting.file("broken", json!({"test.fail": "task"}));
    let (code, text) = setting.run(&["apply", "--yes"]).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("1 FAILED") && text.contains("broken task 0:"), "{text}");
    let (code, text) = setting.run(&["status"]).await;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("broken task 0:"), "{text}");
    setting.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_deletes_what_no_file_describes() {
    let setting = Setting::new().await;
    setting.file("team-a", json!({}));
    setting.file("team-b", json!({}));
    setting.file("other", json!({}));
    assert_eq!(setting.run(&["apply", "--yes"]).await.0, 0);
    for name in ["team-b", "other"] {
        std::fs::remove_file(setting.folder.join(format!("{name}.json"))).unwrap();
    }
    let prune = ["apply", "--yes", "--prune", "--prune-prefix", "team-"];
    let (code, text) = setting.run(&prune).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("- team-b") && text.contains("left alone: other"), "{text}");
    assert_eq!(setting.get("/connectors").await, json!(["other", "team-a"]));
    setting.worker.stop().await;
}
