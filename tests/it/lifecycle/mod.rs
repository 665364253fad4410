//! Pause, stop, restart, crash.

/// Transactions: SIGKILL at random, and each change once.
mod exactly_once;
/// SIGKILL during snapshot and streaming: nothing lost, each offset once.
mod kill;
/// Dying at named points of a snapshot.
mod kill_in_snapshot;
/// What the tests write and find again.
mod ledger;
/// One transaction of many rows, in bounded memory.
mod memory;
/// Kafka or the source away for a while.
mod outside;
/// Signals that come through Kafka.
mod signal_topic;
/// The state database away for a while.
mod state_database;
/// Pause, resume, stop, restart, SIGTERM, a second signal.
mod targets;
/// A worker that is stopped, succeeded, and comes back.
mod zombie;
