//! The PostgreSQL source against a real server, through its task alone.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected is")]

mod failover;
mod faults;
mod in_progress;
mod metadata;
mod publications;
mod scenarios;
mod servers;
mod signals;
mod snapshot;
mod source;
mod start;
mod streaming;
mod timescaledb;
mod tls;
mod types;
