//! Pause, stop, restart, crash.

/// SIGKILL during snapshot and streaming: nothing lost, each offset once.
mod kill;

/// One transaction of many rows, in bounded memory.
mod memory;
