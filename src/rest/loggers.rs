//! `/admin/loggers`: what the worker logs, changed while it runs (KIP-495, KIP-976).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::entity::{LoggerChangeSchema, LoggerLevel};
use super::error::{ApiError, ErrorMessage};
use super::extract::{Entity, LoggerName, Query};
use super::json::LoggerChange;
use super::{Api, reply};
use crate::runtime::audit::Changes;
use crate::runtime::loggers::LogLevel;

/// The loggers whose level was set, and the root.
#[utoipa::path(
    get, path = "/admin/loggers", tag = "loggers",
    responses((
        status = 200, description = "The levels by name", body = BTreeMap<String, LoggerLevel>,
        example = json!({"ferroconnect::rest": {"level": "DEBUG", "last_modified": 1_790_000_000_000_i64}, "root": {"level": "INFO", "last_modified": null}})
    ))
)]
pub(super) async fn list(State(api): State<Api>) -> Json<BTreeMap<String, LoggerLevel>> {
    let levels = api.logs.all().into_iter();
    Json(levels.map(|(name, level)| (name, level.into())).collect())
}

/// The level of a logger.
#[utoipa::path(
    get, path = "/admin/loggers/{logger}", tag = "loggers",
    params(("logger" = String, Path, description = "A module, a package of the original, or root", example = "ferroconnect::rest")),
    responses(
        (status = 200, description = "The level", body = LoggerLevel),
        (status = 404, description = "There is no such logger", body = ErrorMessage),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    LoggerName(name): LoggerName,
) -> Result<Json<LoggerLevel>, ApiError> {
    let level = api.logs.get(&name);
    let level = level.ok_or_else(|| ApiError::not_found(format!("Logger {name} not found.")))?;
    Ok(Json(level.into()))
}

/// Sets the level of a logger and of all whose names start with its name.
#[utoipa::path(
    put, path = "/admin/loggers/{logger}", tag = "loggers",
    params(
        ("logger" = String, Path, description = "A module, a package of the original, or root", example = "ferroconnect::rest"),
        ("scope" = Option<String>, Query, description = "worker, which tells what changed, or cluster: every worker follows within seconds", example = "worker"),
    ),
    request_body(content = LoggerChangeSchema, description = "The level: ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL or OFF"),
    responses(
        (status = 200, description = "The loggers that were set", body = Vec<String>, example = json!(["ferroconnect::rest"])),
        (status = 204, description = "Set; the scope is cluster"),
        (status = 400, description = "There is no level", body = ErrorMessage),
        (status = 404, description = "There is no such level", body = ErrorMessage),
        (status = 413, description = "The body is too long", body = ErrorMessage),
    )
)]
pub(super) async fn set(
    State(api): State<Api>,
    changes: Changes,
    LoggerName(name): LoggerName,
    query: Query,
    Entity(change): Entity<LoggerChange>,
) -> Result<Response, ApiError> {
    let change =
        change.ok_or_else(|| ApiError::null_body("java.util.Map.get(Object)", "levelMap"))?;
    let level = change.level.ok_or_else(|| {
        ApiError::bad_request("Desired 'level' parameter was not specified in request.")
    })?;
    let level = LogLevel::parse(&level)
        .ok_or_else(|| ApiError::not_found(format!("invalid log level '{level}'.")))?;
    let cluster = query.all("scope").next().is_some_and(|scope| scope == "cluster");
    changes.set_log_level(&name, level, cluster).await?;
    let names = api.logs.set(&name, level);
    if cluster {
        return Ok(reply::done());
    }
    Ok(Json(names).into_response())
}
