//! Pause, stop, restart, crash.

/// SIGKILL during snapshot and streaming: nothing lost, each offset once.
mod kill;
/// Dying at named points of a snapshot.
mod kill_in_snapshot;
/// One transaction of many rows, in bounded memory.
mod memory;
/// Signals that come through Kafka.
mod signal_topic;
