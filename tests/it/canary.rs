//! Secrets are planted wherever a configuration can hold one, and looked for wherever the worker
//! shows something: every endpoint, the log with everything switched on, metrics, error texts, the
//! state database.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::pipeline::Pipeline;
use crate::support::{TestDatabase, WorkerProcess, eventually_async, unique};

/// What must not be found anywhere.
struct Canary {
    /// Behind providers: shown nowhere at all.
    referred: Vec<String>,
    /// In password fields: shown by nothing but the configuration itself, as in the original.
    submitted: Vec<String>,
    folder: PathBuf,
}

impl Canary {
    fn plant() -> Self {
        let folder = std::env::temp_dir().join(unique("canary"));
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let text = |name: &str| format!("canary-{name}-{}", unique("x").replace('_', "-"));
        let referred = vec![text("file"), text("dir"), text("env")];
        std::fs::write(folder.join("p.properties"), format!("pw={}\n", referred[0]))
            .expect("a file");
        std::fs::write(folder.join("whole"), &referred[1]).expect("a file");
        Self { referred, submitted: vec![text("aws"), text("jaas")], folder }
    }

    /// The settings of the operator, as the environment of the worker.
    fn environment(&self) -> Vec<(String, String)> {
        const CLASS: &str = "org.apache.kafka.common.config.provider";
        let folder = self.folder.to_string_lossy().into_owned();
        [
            ("CONNECT_CONFIG_PROVIDERS", "file,dir,env".to_owned()),
            ("CONNECT_CONFIG_PROVIDERS_FILE_CLASS", format!("{CLASS}.FileConfigProvider")),
            ("CONNECT_CONFIG_PROVIDERS_FILE_PARAM_ALLOWED_PATHS", folder.clone()),
            ("CONNECT_CONFIG_PROVIDERS_DIR_CLASS", format!("{CLASS}.DirectoryConfigProvider")),
            ("CONNECT_CONFIG_PROVIDERS_DIR_PARAM_ALLOWED_PATHS", folder),
            ("CONNECT_CONFIG_PROVIDERS_ENV_CLASS", format!("{CLASS}.EnvVarConfigProvider")),
            ("CONNECT_CONFIG_PROVIDERS_ENV_PARAM_ALLOWLIST_PATTERN", "CANARY_.*".to_owned()),
            ("CANARY_ENV", self.referred[2].clone()),
            ("FERROCONNECT_LOG", "trace".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    #[track_caller]
    fn is_not_in(&self, place: &str, text: &str, submitted_too: bool) {
        let submitted = self.submitted.iter().filter(|_| submitted_too);
        for secret in self.referred.iter().chain(submitted) {
            if let Some(at) = text.find(secret.as_str()) {
                let from = text[..at].char_indices().rev().nth(300).map_or(0, |(index, _)| index);
                panic!("{secret} is in {place}: ...{}...", &text[from..at + secret.len()]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_shown_nowhere() {
    let canary = Canary::plant();
    let mut pipeline = Pipeline::create().await;
    pipeline.options.environment.extend(canary.environment());
    let client = pipeline.source.connect().await;
    client
        .batch_execute("create table t (id int primary key); insert into t values (1)")
        .await
        .unwrap();
    let mut worker = WorkerProcess::start(&pipeline.options);
    let (source, sink) = files(&pipeline, &canary);
    pipeline.post(&worker, &source).await;
    pipeline.post(&worker, &sink).await;
    eventually_async("the row in S3", 60, || async {
        let objects = pipeline.objects();
        if objects.is_empty() { Err("no object") } else { Ok(()) }
    })
    .await;

    provoke_errors(&pipeline, &worker, &canary, &source, &sink).await;
    look_at_every_endpoint(&worker, &canary, &[source, sink]).await;
    assert!(worker.terminate());
    let log = std::fs::read_to_string(&worker.log).expect("the worker's log");
    assert!(log.contains("\"TRACE\"") || log.contains("TRACE"), "everything is logged");
    canary.is_not_in("the log", &log, true);
    look_into_the_state_database(pipeline.state(), &canary).await;
    std::fs::remove_dir_all(&canary.folder).expect("the folder goes");
}

/// The example files with secrets in them. PostgreSQL trusts the tests, whatever the password.
fn files(pipeline: &Pipeline, canary: &Canary) -> (Value, Value) {
    let folder = canary.folder.display();
    let mut source = pipeline.source_file("public.t");
    source["config"]["database.password"] = json!(format!("${{file:{folder}/p.properties:pw}}"));
    // Under a key that is no password, and in the middle of a text.
    source["config"]["custom.metric.tags"] = json!("team=${env:CANARY_ENV}");
    source["config"]["test.unread"] = json!(format!("x${{dir:{folder}:whole}}y"));
    let mut sink = pipeline.sink_file(&format!("{}.public.t", pipeline.prefix));
    sink["config"]["test.secret"] = json!(format!("${{dir:{folder}:whole}}"));
    (source, sink)
}

/// Refused and failing configurations: their texts name keys and references, never secrets.
async fn provoke_errors(
    pipeline: &Pipeline,
    worker: &WorkerProcess,
    canary: &Canary,
    source: &Value,
    sink: &Value,
) {
    let jaas = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" \
         password=\"{}\";",
        canary.submitted[1]
    );
    let changed = |file: &Value, changes: &[(&str, &str)]| {
        let mut file = file.clone();
        file["name"] = json!(unique("wrong"));
        for (key, value) in changes {
            file["config"][*key] = json!(value);
        }
        file
    };
    let wrong = [
        // A host that is a secret, and cannot be reached.
        changed(source, &[("database.hostname", "${env:CANARY_ENV}.invalid")]),
        // A number that is none.
        changed(source, &[("tasks.max", "${env:CANARY_ENV}")]),
        changed(source, &[("snapshot.mode", "${env:CANARY_ENV}")]),
        changed(sink, &[("s3.bucket.name", "${env:CANARY_ENV}"), ("flush.size", "none")]),
        changed(sink, &[("aws.secret.access.key", &canary.submitted[0]), ("flush.size", "0")]),
        // Accepted, and fails as it runs: no broker listens there with SASL.
        changed(
            sink,
            &[
                ("consumer.override.security.protocol", "SASL_PLAINTEXT"),
                ("consumer.override.sasl.mechanism", "PLAIN"),
                ("consumer.override.sasl.jaas.config", &jaas),
                ("aws.secret.access.key", &canary.submitted[0]),
            ],
        ),
    ];
    for (index, file) in wrong.iter().enumerate() {
        let (status, body) = pipeline.try_post(worker, file).await;
        let accepted = status == 201;
        canary.is_not_in(&format!("answer {index}"), &body, !accepted);
        let class = file["config"]["connector.class"].as_str().expect("a class");
        let url = format!("{}/connector-plugins/{class}/config/validate", worker.url);
        let mut config = file["config"].clone();
        config["name"] = file["name"].clone();
        let answer =
            reqwest::Client::new().put(&url).json(&config).send().await.expect("an answer");
        let body = answer.text().await.expect("a body");
        canary.is_not_in(&format!("validation {index}"), &body, true);
        config.as_object_mut().expect("an object").remove("connector.class");
        let answer =
            reqwest::Client::new().put(&url).json(&config).send().await.expect("an answer");
        canary.is_not_in("the text about no class", &answer.text().await.expect("a body"), true);
    }
    // The failing sink runs into its brokers.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
}

/// GET on every path that the document names, for every connector.
async fn look_at_every_endpoint(worker: &WorkerProcess, canary: &Canary, files: &[Value]) {
    let client = reqwest::Client::new();
    let get = async |path: &str| {
        let answer = client.get(format!("{}{path}", worker.url)).send().await.expect("an answer");
        answer.text().await.expect("a body")
    };
    let document: Value = serde_json::from_str(&get("/openapi.json").await).expect("JSON");
    let mut names: Vec<String> =
        serde_json::from_str(&get("/connectors").await).expect("names of connectors");
    names.extend(files.iter().filter_map(|file| Some(file["name"].as_str()?.to_owned())));
    let mut looked_at = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        if methods.get("get").is_none() {
            continue;
        }
        for name in &names {
            let path = path
                .replace("{connector}", name)
                .replace("{task}", "0")
                .replace("{logger}", "root")
                .replace("{plugin_name}", "S3SinkConnector")
                .replace("{plugin}", "S3SinkConnector");
            // A configuration shows what was submitted.
            let shows_submitted = path.ends_with("/config")
                || path.ends_with("/tasks")
                || path.ends_with("/tasks-config")
                || path.ends_with(&format!("/connectors/{name}"));
            canary.is_not_in(&path, &get(&path).await, !shows_submitted);
            looked_at += 1;
        }
    }
    assert!(40 < looked_at, "{looked_at} answers");
    for path in ["/connectors?expand=info", "/connectors?expand=status&expand=info"] {
        canary.is_not_in(path, &get(path).await, false);
    }
}

/// Every row of every table, as text.
async fn look_into_the_state_database(state: &TestDatabase, canary: &Canary) {
    let client = state.connect().await;
    let tables = "select tablename from pg_tables where schemaname = 'ferroconnect'";
    let tables = client.query(tables, &[]).await.expect("the tables");
    assert!(5 < tables.len());
    let mut rows = 0;
    for table in tables {
        let name: String = table.get(0);
        let select = format!("select t::text from ferroconnect.{name} t");
        for row in client.query(&select, &[]).await.expect("rows") {
            canary.is_not_in(&name, row.get(0), false);
            rows += 1;
        }
    }
    assert!(5 < rows, "{rows} rows");
}
