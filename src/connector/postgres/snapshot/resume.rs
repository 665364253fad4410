//! Whether a snapshot that broke off can be gone on with. Pure.

use crate::connector::postgres::client::{ServerFacts, Slot};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::setup;
use crate::connector::postgres::snapshot::progress::Interrupted;

/// The snapshot that broke off, when its slot still has everything that was committed since it began.
/// What is read from now on is newer than the slot's position, and the stream from there brings it up
/// to date again; without that stream a snapshot must be of one moment, and begins anew.
pub(in crate::connector::postgres) fn resumable(
    config: &PostgresConfig,
    facts: &ServerFacts,
    slot: Option<&Slot>,
    interrupted: Option<Interrupted>,
) -> Option<Interrupted> {
    let interrupted = interrupted?;
    if !config.snapshot.mode.streams() {
        return None;
    }
    match setup::gap(config, facts, slot, interrupted.lsn()) {
        None => Some(interrupted),
        Some(gap) => {
            tracing::warn!(gap, "the interrupted snapshot begins anew");
            None
        }
    }
}
