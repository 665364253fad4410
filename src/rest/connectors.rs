//! `/connectors` and what a connector is told to do.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::auth::Seen;
use super::entity::{
    ConnectorHealth, ConnectorInfo, ConnectorStateInfo, CreateConnectorRequestSchema, Expanded,
    InOrder,
};
use super::error::{ApiError, ErrorMessage};
use super::extract::{BaseUrl, ConnectorName, Entity, Query};
use super::json::CreateConnectorRequest;
use super::{Api, reply};
use crate::config::Props;
use crate::runtime::access::Role;
use crate::runtime::audit::Changes;
use crate::runtime::connector_config::NAME;
use crate::runtime::herder::{Overview, TargetState};
use crate::runtime::validation::{self, SubmittedProps, ValidationScope};

/// All connectors.
///
/// Without `expand` their names; with it an object with each connector's `info`, `status` or both.
#[utoipa::path(
    get, path = "/connectors", tag = "connectors",
    params(("expand" = Option<Vec<String>>, Query, description = "info, status; repeatable", example = json!(["info", "status"]))),
    responses((
        status = 200, description = "The names, or with `expand` an object by name",
        body = Value, example = json!(["postgres-commerce-cdc", "s3-sink"])
    ))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Seen(access): Seen,
    query: Query,
) -> Result<Response, ApiError> {
    let may_see = |name: &str| access.allows(Role::Viewer, Some(name));
    if !query.has("expand") {
        let mut names = api.herder.connectors().await?;
        names.retain(|name| may_see(name));
        return Ok(Json(names).into_response());
    }
    let wanted: Vec<_> = query.all("expand").collect();
    let with_status = wanted.contains(&"status");
    let overviews = api.herder.overviews(wanted.contains(&"info"), with_status).await?;
    let listed = overviews
        .into_iter()
        // A connector that has no status yet is left out, as in the original.
        .filter(|overview| !with_status || overview.status.is_some())
        .filter(|overview| may_see(&overview.name))
        .map(|overview| expanded(overview, &wanted));
    Ok(Json(InOrder(listed.collect())).into_response())
}

/// One connector with what is wanted of it, in the order in which it is wanted.
fn expanded(overview: Overview, wanted: &[&str]) -> (String, InOrder<&'static str, Expanded>) {
    let Overview { name, mut info, mut status } = overview;
    let members = wanted.iter().filter_map(|member| match *member {
        "info" => info.take().map(|info| ("info", Expanded::Info(info.into()))),
        "status" => status.take().map(|status| ("status", Expanded::Status(status.into()))),
        _ => None,
    });
    (name, InOrder(members.collect()))
}

/// Creates a connector.
#[utoipa::path(
    post, path = "/connectors", tag = "connectors",
    request_body(content = CreateConnectorRequestSchema, description = "Name and configuration"),
    responses(
        (status = 201, description = "Created", body = ConnectorInfo, headers(("Location" = String, description = "The connector's address"))),
        (status = 400, description = "The configuration is invalid", body = ErrorMessage),
        (status = 409, description = "The name is taken", body = ErrorMessage),
        (status = 413, description = "The body is too long", body = ErrorMessage),
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    changes: Changes,
    base: BaseUrl,
    Entity(request): Entity<CreateConnectorRequest>,
) -> Result<Response, ApiError> {
    let request = request.ok_or_else(|| {
        ApiError::null_body(
            "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest.name()",
            "createRequest",
        )
    })?;
    let name = request.name.unwrap_or_default().trim().to_owned();
    let config = named(&name, request.config)?;
    let config = without_nulls(&api, config).await?;
    let state = request.initial_state.unwrap_or(TargetState::Started);
    let info = changes.create_connector(&name, config, state).await?;
    Ok(reply::created(&base, &name, ConnectorInfo::from(info)))
}

/// A connector.
#[utoipa::path(
    get, path = "/connectors/{connector}", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The connector", body = ConnectorInfo),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<ConnectorInfo>, ApiError> {
    Ok(Json(api.herder.connector_info(&name).await?.into()))
}

/// Deletes a connector; the offsets of what it read stay.
#[utoipa::path(
    delete, path = "/connectors/{connector}", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
    )
)]
pub(super) async fn delete(
    changes: Changes,
    ConnectorName(name): ConnectorName,
) -> Result<Response, ApiError> {
    changes.delete_connector(&name).await?;
    Ok(reply::done())
}

/// A connector's configuration as submitted, with its name.
#[utoipa::path(
    get, path = "/connectors/{connector}/config", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The configuration", body = BTreeMap<String, String>, example = json!({"connector.class": "S3SinkConnector", "name": "s3-sink", "topics": "t"})),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
    )
)]
pub(super) async fn get_config(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<Props>, ApiError> {
    Ok(Json(api.herder.connector_config(&name).await?))
}

/// Creates a connector or replaces its whole configuration.
#[utoipa::path(
    put, path = "/connectors/{connector}/config", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    request_body(content = BTreeMap<String, String>, description = "The whole configuration", example = json!({"connector.class": "S3SinkConnector", "topics": "t", "s3.bucket.name": "b", "flush.size": "1000", "storage.class": "io.confluent.connect.s3.storage.S3Storage", "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat"})),
    responses(
        (status = 200, description = "Replaced", body = ConnectorInfo),
        (status = 201, description = "Created", body = ConnectorInfo, headers(("Location" = String, description = "The connector's address"))),
        (status = 400, description = "The configuration is invalid", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
        (status = 413, description = "The body is too long", body = ErrorMessage),
    )
)]
pub(super) async fn put_config(
    State(api): State<Api>,
    changes: Changes,
    ConnectorName(name): ConnectorName,
    base: BaseUrl,
    Entity(config): Entity<SubmittedProps>,
) -> Result<Response, ApiError> {
    let config = named(&name, config)?;
    let config = without_nulls(&api, config).await?;
    let (created, info) = changes.put_connector_config(&name, config).await?;
    let info = ConnectorInfo::from(info);
    if created {
        return Ok(reply::created(&base, &name, info));
    }
    Ok(Json(info).into_response())
}

/// Sets keys of a connector's configuration and, with null, removes them.
#[utoipa::path(
    patch, path = "/connectors/{connector}/config", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    request_body(content = BTreeMap<String, Option<String>>, description = "The changes", example = json!({"flush.size": "5000", "rotate.interval.ms": null})),
    responses(
        (status = 200, description = "Changed", body = ConnectorInfo),
        (status = 400, description = "The configuration would be invalid", body = ErrorMessage),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
        (status = 413, description = "The body is too long", body = ErrorMessage),
    )
)]
pub(super) async fn patch_config(
    State(api): State<Api>,
    changes: Changes,
    ConnectorName(name): ConnectorName,
    Entity(patch): Entity<SubmittedProps>,
) -> Result<Json<ConnectorInfo>, ApiError> {
    let Some(patch) = patch else {
        // The original looks for the connector first.
        api.herder.connector_config(&name).await?;
        let call = "java.util.Map.forEach(java.util.function.BiConsumer)";
        return Err(ApiError::null_body(call, "patch"));
    };
    Ok(Json(changes.patch_connector_config(&name, patch).await?.into()))
}

/// The states of a connector and its tasks.
#[utoipa::path(
    get, path = "/connectors/{connector}/status", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The states", body = ConnectorStateInfo),
        (status = 404, description = "There is no status", body = ErrorMessage),
    )
)]
pub(super) async fn status(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<ConnectorStateInfo>, ApiError> {
    Ok(Json(api.herder.connector_status(&name).await?.into()))
}

/// What keeps a connector and its tasks from moving, which `status` shows of failures only.
#[utoipa::path(
    get, path = "/ferroconnect/connectors/{connector}/health", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The states, and why nothing moves where nothing does", body = ConnectorHealth),
        (status = 404, description = "There is no status", body = ErrorMessage),
    )
)]
pub(super) async fn health(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<ConnectorHealth>, ApiError> {
    Ok(Json(api.herder.connector_status(&name).await?.into()))
}

/// Restarts a connector and, if asked to, its tasks (KIP-745).
#[utoipa::path(
    post, path = "/connectors/{connector}/restart", tag = "connectors",
    params(
        ("connector" = String, Path, description = "The name", example = "s3-sink"),
        ("includeTasks" = Option<bool>, Query, description = "Restart the tasks too", example = true),
        ("onlyFailed" = Option<bool>, Query, description = "Restart only what has failed", example = true),
    ),
    responses(
        (status = 202, description = "What will restart is RESTARTING", body = ConnectorStateInfo),
        (status = 204, description = "The connector has restarted; neither parameter was true"),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
    )
)]
pub(super) async fn restart(
    changes: Changes,
    ConnectorName(name): ConnectorName,
    query: Query,
) -> Result<Response, ApiError> {
    let include_tasks = query.flag("includeTasks", false);
    let only_failed = query.flag("onlyFailed", false);
    if include_tasks || only_failed {
        let plan = changes.restart_connector_and_tasks(&name, include_tasks, only_failed).await?;
        return Ok(reply::accepted_as(ConnectorStateInfo::from(plan)));
    }
    changes.restart_connector(&name).await?;
    Ok(reply::done())
}

/// Pauses a connector and its tasks; they keep what they hold.
#[utoipa::path(
    put, path = "/connectors/{connector}/pause", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 202, description = "It will pause"),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
    )
)]
pub(super) async fn pause(
    changes: Changes,
    ConnectorName(name): ConnectorName,
) -> Result<Response, ApiError> {
    changes.pause(&name).await?;
    Ok(reply::accepted())
}

/// Resumes a paused or stopped connector.
#[utoipa::path(
    put, path = "/connectors/{connector}/resume", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 202, description = "It will resume"),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
    )
)]
pub(super) async fn resume(
    changes: Changes,
    ConnectorName(name): ConnectorName,
) -> Result<Response, ApiError> {
    changes.resume(&name).await?;
    Ok(reply::accepted())
}

/// Stops a connector; its tasks are gone until it is resumed.
#[utoipa::path(
    put, path = "/connectors/{connector}/stop", tag = "connectors",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 204, description = "It stops"),
        (status = 404, description = "There is none of this name", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
    )
)]
pub(super) async fn stop(
    changes: Changes,
    ConnectorName(name): ConnectorName,
) -> Result<Response, ApiError> {
    changes.stop(&name).await?;
    Ok(reply::done())
}

/// The configuration with its name in it, which must not be another one.
fn named(name: &str, config: Option<SubmittedProps>) -> Result<SubmittedProps, ApiError> {
    let mut config = config
        .ok_or_else(|| ApiError::null_body("java.util.Map.get(Object)", "connectorConfig"))?;
    match config.get(NAME) {
        Some(Some(other)) if other != name => Err(ApiError::bad_request(format!(
            "Connector name configuration ({other}) doesn't match connector name in the URL ({name})"
        ))),
        Some(Some(_)) => Ok(config),
        Some(None) | None => {
            config.insert(NAME.to_owned(), Some(name.to_owned()));
            Ok(config)
        }
    }
}

/// What can be stored of a configuration. Null is refused, except for keys of the plugin's own, for
/// which it means absence.
async fn without_nulls(api: &Api, config: SubmittedProps) -> Result<Props, ApiError> {
    if config.values().any(Option::is_none) {
        let scope = ValidationScope::of(api.herder.plugins(), api.herder.config());
        validation::check(&scope, &config).await?;
    }
    Ok(config.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}
