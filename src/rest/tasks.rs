//! `/connectors/{connector}/tasks` and `tasks-config`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use super::entity::{TaskInfo, TaskState};
use super::error::{ApiError, ErrorMessage};
use super::extract::{ConnectorName, TaskPath};
use super::{Api, reply};
use crate::config::Props;
use crate::runtime::audit::Changes;

/// The tasks of a connector.
#[utoipa::path(
    get, path = "/connectors/{connector}/tasks", tag = "tasks",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The tasks by number", body = Vec<TaskInfo>),
        (status = 404, description = "There is no such connector", body = ErrorMessage),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<Vec<TaskInfo>>, ApiError> {
    let tasks = api.herder.task_infos(&name).await?;
    let tasks = tasks.into_iter().map(|(id, config)| TaskInfo { id: id.into(), config });
    Ok(Json(tasks.collect()))
}

/// The configurations of a connector's tasks by task (deprecated in the original).
#[utoipa::path(
    get, path = "/connectors/{connector}/tasks-config", tag = "tasks",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The configurations", body = BTreeMap<String, BTreeMap<String, String>>, example = json!({"s3-sink-0": {"task.class": "io.confluent.connect.s3.S3SinkTask", "topics": "t"}})),
        (status = 404, description = "There is no such connector", body = ErrorMessage),
    )
)]
pub(super) async fn configs(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<BTreeMap<String, Props>>, ApiError> {
    let tasks = api.herder.task_infos(&name).await?;
    Ok(Json(tasks.into_iter().map(|(id, config)| (id.to_string(), config)).collect()))
}

/// The state of a task.
#[utoipa::path(
    get, path = "/connectors/{connector}/tasks/{task}/status", tag = "tasks",
    params(
        ("connector" = String, Path, description = "The name", example = "s3-sink"),
        ("task" = i32, Path, description = "The task's number", example = 0),
    ),
    responses(
        (status = 200, description = "The state", body = TaskState),
        (status = 404, description = "There is no status", body = ErrorMessage),
    )
)]
pub(super) async fn status(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
) -> Result<Json<TaskState>, ApiError> {
    let state = api.herder.task_status(&id).await?;
    Ok(Json(TaskState::of(id.task, state)))
}

/// Restarts a task.
#[utoipa::path(
    post, path = "/connectors/{connector}/tasks/{task}/restart", tag = "tasks",
    params(
        ("connector" = String, Path, description = "The name", example = "s3-sink"),
        ("task" = i32, Path, description = "The task's number", example = 0),
    ),
    responses(
        (status = 204, description = "Restarted"),
        (status = 404, description = "There is no such task", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
    )
)]
pub(super) async fn restart(
    changes: Changes,
    TaskPath(id): TaskPath,
) -> Result<Response, ApiError> {
    changes.restart_task(&id).await?;
    Ok(reply::done())
}
