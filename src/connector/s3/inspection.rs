//! What can be seen of a bucket before the connector runs. Nothing is left in it.

use bytes::Bytes;

use super::config::S3Config;
use super::store::Bucket;
use crate::connector::{ConnectorContext, Inspection};
use crate::error::ConnectError;
use crate::metrics::{Metrics, TaskSide};

/// The object that is begun and given up.
const PROBE: &str = "ferroconnect-access-check";

/// Looks at the bucket, and begins an upload that never becomes an object.
///
/// # Errors
/// When the bucket cannot be reached at all.
pub(super) async fn inspect(
    config: &S3Config,
    context: &ConnectorContext,
) -> Result<Inspection, ConnectError> {
    let metrics = Metrics::new().task("check", 0, TaskSide::Sink);
    let bucket = Bucket::new(&config.store, &context.hosts, &context.defaults, &metrics)?;
    let mut inspection = Inspection::default();
    for warning in &config.warnings {
        inspection.look("configuration", warning.as_str());
    }
    let name = &config.store.bucket;
    if let Err(error) = bucket.check().await {
        inspection.wrong("bucket", error.trace());
        return Ok(inspection);
    }
    inspection.fine("bucket", format!("{name} answers"));
    match write(&bucket).await {
        Ok(()) => inspection.fine("writing", format!("an upload to {name} was begun and given up")),
        Err(error) => inspection.wrong("writing", error.trace()),
    }
    Ok(inspection)
}

async fn write(bucket: &Bucket) -> Result<(), ConnectError> {
    let upload = bucket.create(PROBE).await?;
    let put = bucket.put_part(PROBE, &upload, 0, Bytes::from_static(b"-")).await;
    // Given up in any case: a part that is left behind is paid for.
    let aborted = bucket.abort(PROBE, &upload).await;
    put?;
    aborted
}
