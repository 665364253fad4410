//! Signals: what people ask of a running connector. Source: Debezium, `SignalProcessor` and its
//! channels and actions.
//!
//! `parse` reads a signal; the channels bring them: rows of the signalling table come with the stream,
//! `file` and the runtime's topic reader bring the others. What they ask for is done by `incremental`
//! and `snapshot`.

mod channels;
mod file;
mod parse;

pub(super) use channels::{Channels, SignalConfig};
pub(super) use parse::{Action, Execute, Scope, SnapshotKind, parse};

/// A signal as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signal {
    pub(super) id: String,
    pub(super) kind: String,
    /// JSON.
    pub(super) data: String,
}
