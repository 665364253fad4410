//! A client that sees everything of an answer, and a connector that goes when the test ends.

use std::sync::LazyLock;
use std::sync::mpsc;
use std::thread;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{calls, file_stream};
use crate::support::{InProcessWorker, eventually_async, unique};

/// The class of the source that the tests make.
pub(super) const SOURCE: &str = "org.apache.kafka.connect.file.FileStreamSourceConnector";
/// The class of the sink that the tests make.
pub(super) const SINK: &str = "org.apache.kafka.connect.file.FileStreamSinkConnector";

/// The base URL of the worker under test.
pub(super) fn base() -> &'static str {
    static BASE: LazyLock<String> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "tests are addressed by environment")]
        let given = std::env::var("FERROCONNECT_TEST_URL");
        given.map_or_else(|_| start(), |url| url.trim_end_matches('/').to_owned())
    });
    &BASE
}

/// Whether the worker under test is ours, with the plugins and settings of this process.
pub(super) fn is_ours() -> bool {
    #[expect(clippy::disallowed_methods, reason = "tests are addressed by environment")]
    std::env::var("FERROCONNECT_TEST_URL").is_err()
}

/// Starts a worker that lives as long as this process, on a runtime of its own: those of the tests
/// end with them.
fn start() -> String {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (settings, environment) = super::config_providers::operators();
            let settings: Vec<_> =
                settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let plugins = file_stream::plugins();
            let worker = InProcessWorker::start_in(plugins, &settings, &environment).await;
            send.send(worker.url.clone()).expect("the tests wait for it");
            std::future::pending::<()>().await;
        });
    });
    receive.recv().expect("the worker starts; its own panic says why not")
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// A header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks that this is an error in the API's form with this status and message.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, message: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        assert_eq!(body, json!({"error_code": status, "message": message}));
        let start = format!("{{\"error_code\":{status},\"message\":");
        assert!(self.text.starts_with(&start), "{self:?}");
    }

    /// Checks that this is an error whose message contains `part`.
    #[track_caller]
    pub(super) fn is_error_with(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        assert_eq!(body["error_code"], status, "{self:?}");
        let message = body["message"].as_str().expect("a message");
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }

    /// Checks the status.
    #[track_caller]
    pub(super) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// Sends a request as it is: no header is added.
pub(super) async fn send(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) -> Answer {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // Runtimes end with their tests, and connections of a pool with their runtime.
        reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client")
    });
    let (method_name, sent) = (method, body.clone());
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = CLIENT.request(method, format!("{}{path}", base()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let answer =
        Answer { status: code(status), headers, text: response.text().await.expect("a body") };
    calls::record(method_name, path, sent.as_deref(), &answer);
    answer
}

fn code(status: StatusCode) -> u16 {
    status.as_u16()
}

/// GET.
pub(super) async fn get(path: &str) -> Answer {
    send("GET", path, &[], None).await
}

/// A request without a body.
pub(super) async fn call(method: &str, path: &str) -> Answer {
    send(method, path, &[], None).await
}

/// A request with JSON.
pub(super) async fn call_with(method: &str, path: &str, body: Value) -> Answer {
    call_raw(method, path, &body.to_string()).await
}

/// A request with a body that says that it is JSON.
pub(super) async fn call_raw(method: &str, path: &str, body: &str) -> Answer {
    send(method, path, &[("content-type", "application/json")], Some(body.to_owned())).await
}

/// A name of its own, whose connector is deleted when the test ends.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl Name {
    pub(super) fn new() -> Self {
        Self(unique("c"))
    }

    /// `/connectors/NAME` and what follows.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/connectors/{}{rest}", self.0)
    }

    /// Creates a source of this name, with more keys.
    pub(super) async fn source(&self, more: Value) -> Answer {
        call_with("POST", "/connectors", json!({"name": self.0, "config": source(more)})).await
    }

    /// Waits until connector and tasks are in this state.
    pub(super) async fn reaches(&self, state: &str, tasks: usize) {
        let path = self.path("/status");
        eventually_async(state, 20, || async {
            let answer = get(&path).await;
            let status: Value = serde_json::from_str(&answer.text).map_err(|_| answer.text)?;
            let of_tasks = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
            let reached = status["connector"]["state"] == state
                && of_tasks.len() == tasks
                && of_tasks.iter().all(|task| task["state"] == state);
            if reached { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
}

/// The configuration of a source, with more keys.
pub(super) fn source(more: Value) -> Value {
    merged(json!({"connector.class": SOURCE, "topic": "t", "file": "/tmp/none"}), more)
}

/// The configuration of a sink, with more keys.
pub(super) fn sink(more: Value) -> Value {
    merged(json!({"connector.class": SINK, "topics": "ferroconnect-it-none"}), more)
}

fn merged(mut base: Value, more: Value) -> Value {
    let members = base.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    base
}

impl Drop for Name {
    fn drop(&mut self) {
        let path = self.path("");
        // A thread with a runtime of its own: this may run inside the test's runtime.
        let gone = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(call("DELETE", &path));
        });
        let _ = gone.join();
    }
}
