//! Runs connectors and tasks: target state in, effects out.

pub mod chain;
