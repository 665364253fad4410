//! Extractors whose rejections have the API's error body.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use futures::StreamExt;

use super::Api;
use super::error::ApiError;
use super::json::FromJson;
use super::listen::Peer;
use crate::runtime::herder::TaskId;

/// How much of a body that is too long is thrown away before it is refused, and how long that may
/// take.
const DISCARD_MAX_BYTES: usize = 64 * 1024 * 1024;
const DISCARD_MAX: Duration = Duration::from_secs(10);

/// `{connector}` of the path, percent-decoded; `+` is a plus.
#[derive(Debug)]
pub(super) struct ConnectorName(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for ConnectorName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::unreadable_path())?;
        Ok(Self(storable(&name)))
    }
}

/// `{plugin}` of the path.
#[derive(Debug)]
pub(super) struct PluginName(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PluginName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        ConnectorName::from_request_parts(parts, state).await.map(|ConnectorName(name)| Self(name))
    }
}

/// `{logger}` of the path.
#[derive(Debug)]
pub(super) struct LoggerName(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for LoggerName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        ConnectorName::from_request_parts(parts, state).await.map(|ConnectorName(name)| Self(name))
    }
}

/// `{connector}` and `{task}` of the path.
#[derive(Debug)]
pub(super) struct TaskPath(pub(super) TaskId);

impl<S: Send + Sync> FromRequestParts<S> for TaskPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((connector, task)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::unreadable_path())?;
        // The original's task numbers are Java's int.
        let task = task.parse::<i32>().ok().and_then(|task| usize::try_from(task).ok());
        let task = task.ok_or_else(ApiError::unreadable_path)?;
        Ok(Self(TaskId { connector: storable(&connector), task }))
    }
}

/// PostgreSQL's text holds no U+0000, so no connector has such a name: ask for one that cannot exist
/// either, because its name was refused when it was made.
fn storable(name: &str) -> String {
    name.replace('\0', "\u{1}")
}

/// The URL of this server as the client called it, without a path.
#[derive(Debug)]
pub(super) struct BaseUrl(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for BaseUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let secure = parts.extensions.get::<Peer>().is_some_and(|peer| peer.secure);
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let scheme = if secure { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{}", host.unwrap_or("localhost"))))
    }
}

/// The query's parameters in order, decoded as forms are.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// All values of `name`, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether `name` is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// `true` in any case is true, all else false; absent or empty is `default`.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        match self.all(name).next() {
            None | Some("") => default,
            Some(text) => text.eq_ignore_ascii_case("true"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

/// The body; `None` when it is missing, empty or JSON's null.
#[derive(Debug)]
pub(super) struct Entity<T>(pub(super) Option<T>);

impl<T: FromJson> FromRequest<Api> for Entity<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let declared = request.headers().contains_key(CONTENT_TYPE);
        let body = read(request.into_body(), api.herder.config().request_bytes_max).await?;
        if !declared && !body.is_empty() {
            return Err(ApiError::untyped_body());
        }
        T::from_json(&body).map(Self)
    }
}

/// The whole body. Of one that is too long the rest is read and thrown away, within bounds: a client
/// that is still sending when the connection closes never sees the answer.
async fn read(body: Body, max: usize) -> Result<Vec<u8>, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::broken_body())?;
        if whole.len() + chunk.len() > max {
            drop(whole);
            let _ = tokio::time::timeout(DISCARD_MAX, discard(chunks)).await;
            return Err(ApiError::too_large(max));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

async fn discard(mut chunks: BodyDataStream) {
    let mut discarded = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        discarded += chunk.len();
        if discarded > DISCARD_MAX_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_follow_the_original() {
        let query =
            |text: &str| Query(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect());
        for (text, default, expected) in [
            ("f=true", false, true),
            ("f=TRUE", false, true),
            ("f=banana", true, false),
            ("f=", true, true),
            ("f", false, false),
            ("", true, true),
        ] {
            assert_eq!(query(text).flag("f", default), expected, "{text}");
        }
        assert_eq!(query("e=b&e=a").all("e").collect::<Vec<_>>(), ["b", "a"]);
    }
}
