//! The REST API of any Kafka Connect worker, as the commands need it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Environment;
use crate::config::Props;

/// Longer than a worker takes for its slowest answer.
const TIMEOUT: Duration = Duration::from_secs(95);
/// How often a call is tried while the worker's group rebalances, a second apart.
const REBALANCE_TRIES: u32 = 60;

/// A worker.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: url::Url,
    user: Option<(String, Option<String>)>,
    token: Option<String>,
}

/// A key that validation refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyError {
    pub(super) key: String,
    pub(super) message: String,
}

/// How a connector is doing.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    pub(super) connector: Part,
    #[serde(default)]
    pub(super) tasks: Vec<Part>,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

/// A connector or a task.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    pub(super) id: Option<u32>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) trace: Option<String>,
}

/// A source partition, or a partition of a topic, and the offset stored for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredOffset {
    pub(super) partition: Value,
    pub(super) offset: Value,
}

#[derive(Deserialize)]
struct StoredOffsets {
    offsets: Vec<StoredOffset>,
}

#[derive(Deserialize)]
struct Info {
    config: Props,
}

#[derive(Deserialize)]
struct Expanded {
    #[serde(default)]
    info: Option<Info>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Validation {
    configs: Vec<ValidatedKey>,
}

#[derive(Deserialize)]
struct ValidatedKey {
    value: ValidatedValue,
}

#[derive(Deserialize)]
struct ValidatedValue {
    name: String,
    #[serde(default)]
    errors: Vec<String>,
}

impl Client {
    /// The worker that is named, by argument or by `FERROCONNECT_URL`; `FERROCONNECT_TOKEN` is sent to it.
    ///
    /// # Errors
    /// When this is no http or https URL.
    pub(super) fn from_arguments(
        url: Option<&str>,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        super::worker::install_crypto();
        let variable = |name| environment.get(name).map(String::as_str);
        let url = url.or_else(|| variable("FERROCONNECT_URL")).unwrap_or("http://localhost:8083");
        Self::new(url, variable("FERROCONNECT_TOKEN"))
    }

    /// # Errors
    /// When this is no http or https URL.
    fn new(url: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let no_url = || format!("\"{url}\" is no URL of a worker, such as http://localhost:8083");
        let mut base = url::Url::parse(url).with_context(no_url)?;
        anyhow::ensure!(matches!(base.scheme(), "http" | "https"), no_url());
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
        };
        let user = (!base.username().is_empty())
            .then(|| (decoded(base.username()), base.password().map(decoded)));
        // They go into a header, never into a message.
        let stripped = base.set_username("").and_then(|()| base.set_password(None));
        anyhow::ensure!(stripped.is_ok(), no_url());
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        let http = http.context("cannot make an HTTP client")?;
        Ok(Self { http, base, user, token: token.map(str::to_owned) })
    }

    /// All connectors with their configurations.
    pub(super) async fn connectors(&self) -> anyhow::Result<BTreeMap<String, Props>> {
        let found = self.expanded("info").await?;
        Ok(found.into_iter().filter_map(|(name, one)| Some((name, one.info?.config))).collect())
    }

    /// All connectors with their states.
    pub(super) async fn statuses(&self) -> anyhow::Result<HashMap<String, Status>> {
        let found = self.expanded("status").await?;
        Ok(found.into_iter().filter_map(|(name, one)| Some((name, one.status?))).collect())
    }

    async fn expanded(&self, what: &str) -> anyhow::Result<HashMap<String, Expanded>> {
        let body = self.call(Method::GET, &["connectors"], Some(what), None).await?;
        serde_json::from_value(body).context("the worker's list of connectors cannot be read")
    }

    /// What is wrong with a configuration, key by key.
    pub(super) async fn validate(&self, config: &Props) -> anyhow::Result<Vec<KeyError>> {
        let Some(class) = config.get("connector.class").filter(|class| !class.is_empty()) else {
            let message = "it is missing: it names what the connector is".to_owned();
            return Ok(vec![KeyError { key: "connector.class".to_owned(), message }]);
        };
        let path = ["connector-plugins", class, "config", "validate"];
        let body = match self.call(Method::PUT, &path, None, Some(json!(config))).await {
            Ok(body) => body,
            // A class that is not there, for one.
            Err(error) => match error.downcast::<Refused>() {
                Ok(Refused { status, message, .. })
                    if status.is_client_error() || status == 500 =>
                {
                    return Ok(vec![KeyError { key: "connector.class".to_owned(), message }]);
                }
                Ok(refused) => return Err(refused.into()),
                Err(error) => return Err(error),
            },
        };
        let found: Validation =
            serde_json::from_value(body).context("the worker's validation cannot be read")?;
        let errors = found.configs.into_iter().flat_map(|key| {
            let ValidatedValue { name, errors } = key.value;
            errors.into_iter().map(move |message| KeyError { key: name.clone(), message })
        });
        Ok(errors.collect())
    }

    pub(super) async fn create(&self, name: &str, config: &Props) -> anyhow::Result<()> {
        let body = json!({"name": name, "config": config});
        self.call(Method::POST, &["connectors"], None, Some(body)).await.map(drop)
    }

    pub(super) async fn create_stopped(&self, name: &str, config: &Props) -> anyhow::Result<()> {
        let body = json!({"name": name, "config": config, "initial_state": "STOPPED"});
        self.call(Method::POST, &["connectors"], None, Some(body)).await.map(drop)
    }

    pub(super) async fn resume(&self, name: &str) -> anyhow::Result<()> {
        self.call(Method::PUT, &["connectors", name, "resume"], None, None).await.map(drop)
    }

    pub(super) async fn pause(&self, name: &str) -> anyhow::Result<()> {
        self.call(Method::PUT, &["connectors", name, "pause"], None, None).await.map(drop)
    }

    /// The offsets that a connector has stored.
    pub(super) async fn offsets(&self, name: &str) -> anyhow::Result<Vec<StoredOffset>> {
        let body = self.call(Method::GET, &["connectors", name, "offsets"], None, None).await?;
        let found: StoredOffsets =
            serde_json::from_value(body).context("the worker's offsets cannot be read")?;
        Ok(found.offsets)
    }

    /// Gives a stopped connector these offsets.
    pub(super) async fn alter_offsets(
        &self,
        name: &str,
        offsets: &[StoredOffset],
    ) -> anyhow::Result<()> {
        let path = ["connectors", name, "offsets"];
        let body = json!({"offsets": offsets});
        self.call(Method::PATCH, &path, None, Some(body)).await.map(drop)
    }

    pub(super) async fn update(&self, name: &str, config: &Props) -> anyhow::Result<()> {
        let path = ["connectors", name, "config"];
        self.call(Method::PUT, &path, None, Some(json!(config))).await.map(drop)
    }

    pub(super) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.call(Method::DELETE, &["connectors", name], None, None).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        expand: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let mut url = self.base.clone();
        let segments = url.path_segments_mut();
        segments.map_err(|()| anyhow::anyhow!("no URL of a worker"))?.pop_if_empty().extend(path);
        if let Some(what) = expand {
            url.query_pairs_mut().append_pair("expand", what);
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let request = self.authorized(self.http.request(method.clone(), url.clone()));
            let request = body.iter().fold(request, RequestBuilder::json);
            match self.answer(request, &url).await {
                // The original refuses changes while its group rebalances.
                Err(error) if tries < REBALANCE_TRIES && is_rebalance(&error) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match (&self.token, &self.user) {
            (Some(token), _) => request.bearer_auth(token),
            (None, Some((user, password))) => request.basic_auth(user, password.as_ref()),
            (None, None) => request,
        }
    }

    async fn answer(&self, request: RequestBuilder, url: &url::Url) -> anyhow::Result<Value> {
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let base = &self.base;
        let response = response.with_context(|| {
            format!("no answer from {base}: is the worker up? --url says where it is")
        })?;
        let status = response.status();
        let text = response.text().await.context("the answer broke off")?;
        if status.is_success() {
            if text.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_str(&text)
                .with_context(|| format!("{base} does not answer like a Kafka Connect worker"));
        }
        let message = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|body| Some(body.get("message")?.as_str()?.to_owned()))
            .unwrap_or(text);
        Err(Refused { status, message, path: url.path().to_owned() }.into())
    }
}

/// The worker said no.
#[derive(Debug, thiserror::Error)]
#[error("the worker answered {path} with {status}: {message}")]
struct Refused {
    status: StatusCode,
    message: String,
    path: String,
}

fn is_rebalance(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| {
        refused.status == StatusCode::CONFLICT && refused.message.contains("rebalance")
    })
}

impl Status {
    /// Whether the connector and all its tasks run. A connector without tasks does not.
    pub(super) fn runs(&self) -> bool {
        self.connector.state == "RUNNING"
            && !self.tasks.is_empty()
            && self.tasks.iter().all(|task| task.state == "RUNNING")
    }

    /// Whether a person has to look.
    pub(super) fn failed(&self) -> bool {
        let mut parts = self.tasks.iter().chain([&self.connector]);
        parts.any(|part| part.state == "FAILED")
    }

    /// `3 RUNNING, 1 FAILED`
    pub(super) fn tasks_summary(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for task in &self.tasks {
            *counts.entry(&task.state).or_default() += 1;
        }
        let counts: Vec<_> =
            counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
        counts.join(", ")
    }

    /// Who failed (`""` the connector, ` task 0`), and the first line of why.
    pub(super) fn traces(&self) -> Vec<(String, String)> {
        let parts = [&self.connector].into_iter().chain(&self.tasks);
        let traces = parts.filter_map(|part| {
            let trace = part.trace.as_deref()?.lines().next()?.to_owned();
            Some((part.id.map_or_else(String::new, |id| format!(" task {id}")), trace))
        });
        traces.collect()
    }
}
