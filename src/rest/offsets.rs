//! `/connectors/{connector}/offsets` (KIP-875).

use axum::Json;
use axum::extract::State;

use super::Api;
use super::entity::{ConnectorOffsets, Message};
use super::error::{ApiError, ErrorMessage};
use super::extract::{ConnectorName, Entity};
use super::json::OffsetChanges;
use crate::runtime::audit::Changes;

/// The offsets of a connector: of a source as stored, of a sink as its consumer group has them.
#[utoipa::path(
    get, path = "/connectors/{connector}/offsets", tag = "offsets",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The offsets", body = ConnectorOffsets, example = json!({"offsets": [{"partition": {"kafka_partition": 3, "kafka_topic": "t"}, "offset": {"kafka_offset": 1000}}]})),
        (status = 404, description = "There is no such connector", body = ErrorMessage),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    ConnectorName(name): ConnectorName,
) -> Result<Json<ConnectorOffsets>, ApiError> {
    let offsets = api.herder.offsets(&name).await?;
    Ok(Json(ConnectorOffsets { offsets: offsets.into_iter().map(Into::into).collect() }))
}

/// Changes the offsets of a stopped connector; null forgets a partition, partitions that are not named
/// keep theirs.
#[utoipa::path(
    patch, path = "/connectors/{connector}/offsets", tag = "offsets",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    request_body(content = ConnectorOffsets, description = "The partitions to change", example = json!({"offsets": [{"partition": {"kafka_topic": "t", "kafka_partition": 3}, "offset": {"kafka_offset": 1000}}]})),
    responses(
        (status = 200, description = "Changed", body = Message),
        (status = 400, description = "The connector is not stopped, or the offsets are not of its kind", body = ErrorMessage),
        (status = 404, description = "There is no such connector", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
        (status = 413, description = "The body is too long", body = ErrorMessage),
    )
)]
pub(super) async fn alter(
    changes: Changes,
    ConnectorName(name): ConnectorName,
    Entity(body): Entity<OffsetChanges>,
) -> Result<Json<Message>, ApiError> {
    let OffsetChanges(altered) = body.ok_or_else(|| {
        ApiError::null_body(
            "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets.offsets()",
            "offsets",
        )
    })?;
    if altered.is_empty() {
        return Err(ApiError::bad_request(
            "Partitions / offsets need to be provided for an alter offsets request",
        ));
    }
    let message = changes.alter_offsets(&name, &altered).await?;
    Ok(Json(Message { message }))
}

/// Forgets the offsets of a stopped connector: it starts anew when it is resumed.
#[utoipa::path(
    delete, path = "/connectors/{connector}/offsets", tag = "offsets",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "Forgotten", body = Message),
        (status = 400, description = "The connector is not stopped", body = ErrorMessage),
        (status = 404, description = "There is no such connector", body = ErrorMessage),
        (status = 409, description = "Try again: another change is under way", body = ErrorMessage),
    )
)]
pub(super) async fn reset(
    changes: Changes,
    ConnectorName(name): ConnectorName,
) -> Result<Json<Message>, ApiError> {
    let message = changes.reset_offsets(&name).await?;
    Ok(Json(Message { message }))
}
