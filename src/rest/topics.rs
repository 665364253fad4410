//! `/connectors/{connector}/topics` (KIP-558).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use super::entity::TopicList;
use super::error::{ApiError, ErrorMessage};
use super::extract::ConnectorName;
use super::{Api, reply};
use crate::runtime::audit::Changes;

/// The topics that a connector used since it was made, or since the last reset.
#[utoipa::path(
    get, path = "/connectors/{connector}/topics", tag = "topics",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The topics under the name; none for an unknown one", body = BTreeMap<String, TopicList>),
        (status = 403, description = "Topics are not tracked", body = ErrorMessage),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<BTreeMap<String, TopicList>>, ApiError> {
    let topics = api.herder.topics(&name).await?;
    Ok(Json(BTreeMap::from([(name, TopicList { topics })])))
}

/// Forgets the topics that a connector used.
#[utoipa::path(
    put, path = "/connectors/{connector}/topics/reset", tag = "topics",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 202, description = "Forgotten"),
        (status = 403, description = "Topics are not tracked, or not to be reset", body = ErrorMessage),
    )
)]
pub(super) async fn reset(
    changes: Changes,
    ConnectorName(name): ConnectorName,
) -> Result<Response, ApiError> {
    changes.reset_topics(&name).await?;
    Ok(reply::accepted())
}
