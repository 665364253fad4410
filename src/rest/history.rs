//! `/ferroconnect/audit` and `/ferroconnect/connectors/{connector}/history`: who changed what, and the
//! way back.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::entity::ConnectorInfo;
use super::error::{ApiError, ErrorMessage};
use super::extract::{ConnectorName, Entity, Query};
use super::json::Rollback;
use crate::runtime::audit::{AuditRow, Changes};

/// Entries of one answer when the request does not say, and at most.
const LIMIT: i64 = 100;
const LIMIT_MAX: i64 = 1000;

/// What was changed, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    entries: Vec<Change>,
}

/// A change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Change {
    /// Grows with time; `before` takes it.
    #[schema(example = 42)]
    id: i64,
    /// When it was begun, in UTC.
    #[schema(example = "2026-01-02T03:04:05.678Z")]
    at: String,
    /// Who changed it.
    #[schema(example = "alice")]
    principal: String,
    /// Where the request came from; null for the worker's own files.
    #[schema(example = "10.0.0.7")]
    address: Option<String>,
    /// create, update, patch, rollback, delete, pause, resume, stop, restart, reset topics, alter
    /// offsets, reset offsets or set log level.
    #[schema(example = "patch")]
    action: String,
    /// Null: the worker.
    #[schema(example = "s3-sink")]
    connector: Option<String>,
    /// The version of the configuration that the change made; `rollback` takes it.
    #[schema(example = 7)]
    version: Option<i64>,
    /// done, refused, failed, or begun if the worker ended or the client left before it was known.
    #[schema(example = "done")]
    outcome: String,
    /// What was changed: old and new configuration without secrets, offsets, a level.
    #[schema(value_type = Option<Object>, example = json!({"changed": ["flush.size"], "old": {"flush.size": "1000"}, "new": {"flush.size": "5000"}}))]
    detail: Value,
}

impl From<AuditRow> for Change {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            principal: row.principal,
            address: row.address,
            action: row.action,
            connector: row.connector,
            version: row.config_version,
            outcome: row.outcome,
            detail: row.detail,
        }
    }
}

/// What was changed of a connector, who did it, and from where; also of one that is gone.
#[utoipa::path(
    get, path = "/ferroconnect/connectors/{connector}/history", tag = "history",
    params(
        ("connector" = String, Path, description = "The name", example = "s3-sink"),
        ("limit" = Option<i64>, Query, description = "So many entries, 100 when absent, 1000 at most", example = 10),
        ("before" = Option<i64>, Query, description = "Only what is older than the entry of this id", example = 43),
    ),
    responses(
        (
            status = 200, description = "The changes, newest first", body = History,
            example = json!({"entries": [{
                "id": 42, "at": "2026-01-02T03:04:05.678Z", "principal": "alice",
                "address": "10.0.0.7", "action": "patch", "connector": "s3-sink", "version": 7,
                "outcome": "done",
                "detail": {"changed": ["flush.size"], "old": {"flush.size": "1000"}, "new": {"flush.size": "5000"}},
            }]})
        ),
        (status = 400, description = "A number cannot be read", body = ErrorMessage, example = json!({"error_code": 400, "message": "\"x\" is no number for limit"})),
    )
)]
pub(super) async fn of_connector(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
    query: Query,
) -> Result<Json<History>, ApiError> {
    answer(&api, Some(&name), &query).await
}

/// What was changed, of all connectors and of the worker.
#[utoipa::path(
    get, path = "/ferroconnect/audit", tag = "history",
    params(
        ("limit" = Option<i64>, Query, description = "So many entries, 100 when absent, 1000 at most", example = 10),
        ("before" = Option<i64>, Query, description = "Only what is older than the entry of this id", example = 43),
    ),
    responses(
        (
            status = 200, description = "The changes, newest first", body = History,
            example = json!({"entries": [{
                "id": 42, "at": "2026-01-02T03:04:05.678Z", "principal": "alice",
                "address": "10.0.0.7", "action": "patch", "connector": "s3-sink", "version": 7,
                "outcome": "done",
                "detail": {"changed": ["flush.size"], "old": {"flush.size": "1000"}, "new": {"flush.size": "5000"}},
            }]})
        ),
        (status = 400, description = "A number cannot be read", body = ErrorMessage, example = json!({"error_code": 400, "message": "\"x\" is no number for limit"})),
    )
)]
pub(super) async fn audit(State(api): State<Api>, query: Query) -> Result<Json<History>, ApiError> {
    answer(&api, None, &query).await
}

async fn answer(
    api: &Api,
    connector: Option<&str>,
    query: &Query,
) -> Result<Json<History>, ApiError> {
    let number = |name: &str, default: i64| match query.all(name).next() {
        None | Some("") => Ok(default),
        Some(text) => text
            .parse::<i64>()
            .map_err(|_| ApiError::bad_request(format!("\"{text}\" is no number for {name}"))),
    };
    let limit = number("limit", LIMIT)?.clamp(1, LIMIT_MAX);
    let before = number("before", i64::MAX)?;
    let rows = api.herder.history(connector, before, limit).await?;
    Ok(Json(History { entries: rows.into_iter().map(Change::from).collect() }))
}

/// The body of a rollback, for the document; what reads it is `json`.
#[derive(Debug, ToSchema)]
#[schema(as = Rollback)]
#[expect(dead_code, reason = "describes the body; the reader keeps source texts")]
pub(super) struct RollbackSchema {
    /// A version that the history shows.
    #[schema(example = 7)]
    version: i64,
}

/// Gives a connector the configuration back that it had as `version`.
#[utoipa::path(
    post, path = "/ferroconnect/connectors/{connector}/rollback", tag = "history",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    request_body(content = RollbackSchema, description = "The version"),
    responses(
        (status = 200, description = "Changed", body = ConnectorInfo),
        (status = 400, description = "No version is named, or its configuration is not valid any more", body = ErrorMessage),
        (status = 404, description = "There is no such connector or version", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
        (status = 413, description = "The body is too long", body = ErrorMessage),
    )
)]
pub(super) async fn rollback(
    ConnectorName(name): ConnectorName,
    changes: Changes,
    Entity(body): Entity<Rollback>,
) -> Result<Json<ConnectorInfo>, ApiError> {
    let Some(Rollback { version }) = body else {
        return Err(ApiError::bad_request("write {\"version\": N} with a version of the history"));
    };
    Ok(Json(changes.roll_back(&name, version).await?.into()))
}
