//! The one integration binary. `make test` starts the real servers that it speaks to.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "a test that panics says where and why"
)]

/// Secrets are shown nowhere.
mod canary;
/// `ferroconnect check`: a file before it is posted.
mod check;
/// What cannot be started here, read: docker-compose.yml and the example files.
mod compose;
/// `ferroconnect apply`, `diff`, `delete` and `status`, as CI would run them.
mod declarative;
/// The recorded outcomes of the original.
mod golden;
/// The life of connectors on a worker.
mod herder;
/// Producer, consumer and admin against the real broker.
mod kafka;
/// What happens to running connectors: crashes first.
mod lifecycle;
// What a listing asks of the state database.
mod listing;
/// docs/metrics.md and the dashboard know the metrics that there are.
mod metrics;
/// `ferroconnect import` and `export`, with a cluster's internal topics.
mod moving;
/// The whole pipeline on the real binary, with parts that are wrong until mended.
mod pipeline;
/// The PostgreSQL source, through its task.
mod postgres;
/// docs/reference says what the code says.
mod reference;
/// The converters of the Schema Registry.
mod registry;
/// The REST API, endpoint by endpoint.
mod rest;
/// The S3 sink against a real server.
mod s3;
/// The history tables: PostgreSQL as the oracle, and the connector over REST.
#[cfg(feature = "analytics")]
mod scd2;
/// Every statement of the store, executed.
mod store;
/// What the tests share.
mod support;
/// Source and sink tasks: fake plugins on real servers.
mod tasks;
/// The house rules: imports, file lengths.
mod tidy;
/// Settings as the original's images and scripts are given them.
mod worker_settings;
