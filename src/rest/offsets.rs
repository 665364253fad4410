//! `/connectors/{connector}/offsets` (KIP-875).

use axum::Json;
use axum::extract::State;

use super::Api;
use super::entity::ConnectorOffsets;
use super::error::{ApiError, ErrorMessage};
use super::extract::ConnectorName;

/// The offsets of a connector: of a source as stored, of a sink as its consumer group has them.
#[utoipa::path(
    get, path = "/connectors/{connector}/offsets", tag = "offsets",
    params(("connector" = String, Path, description = "The name", example = "s3-sink")),
    responses(
        (status = 200, description = "The offsets", body = ConnectorOffsets),
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
