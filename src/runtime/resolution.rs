//! References of configurations, resolved where waiting for a file does no harm.

use std::sync::Arc;

use crate::config::{ConfigProviders, Props, Resolved};
use crate::error::ConnectError;

/// `props` with its references resolved. Without references this is `props`.
///
/// # Errors
/// When a provider cannot answer.
pub(crate) async fn resolved(
    providers: &Arc<ConfigProviders>,
    props: Props,
) -> Result<Resolved, ConnectError> {
    if !providers.concern(props.values()) {
        return Ok(Resolved::plain(props));
    }
    let providers = Arc::clone(providers);
    // Files can lie on a share that does not answer.
    let reading = tokio::task::spawn_blocking(move || providers.resolve(&props));
    reading.await.unwrap_or_else(|error| {
        Err(ConnectError::fatal("resolving a configuration did not end well").because(error))
    })
}
