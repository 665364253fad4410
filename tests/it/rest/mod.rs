//! Contract tests of the REST API; the tree mirrors the URLs, README.md maps the checklist.
//!
//! They speak HTTP to `FERROCONNECT_TEST_URL`, which may be any Kafka Connect worker with the
//! FileStream connectors; without it, to a worker in this process. With `FERROCONNECT_TEST_CALLS`
//! every call is recorded.

mod bad_input;
mod calls;
mod checklist;
mod client;
mod config;
mod config_providers;
mod connectors;
mod cve;
pub(crate) mod file_stream;
mod history;
mod lifecycle;
mod listeners;
mod loggers;
mod metrics;
mod offsets;
mod plugins;
mod root;
mod security;
mod topics;
mod transport;
mod validate;
