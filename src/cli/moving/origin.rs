//! What a Kafka Connect cluster holds.

use std::collections::BTreeMap;

use crate::cli::rest_client::StoredOffset;
use crate::config::Props;

/// What a connector is meant to do: the original's target state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Target {
    #[default]
    Started,
    Paused,
    Stopped,
}

/// A connector with everything that moves.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OriginConnector {
    /// With `name`.
    pub(super) config: Props,
    pub(super) target: Target,
    pub(super) offsets: Vec<StoredOffset>,
}

/// Connectors by name.
pub(super) type Origin = BTreeMap<String, OriginConnector>;
