//! Everything that Ferroconnect does with Kafka; the only users of rdkafka.
//!
//! The clients here speak in the words of the Java client's properties, because that is what worker
//! and connector files hold; [`client_config`] alone knows librdkafka's. Nothing here decides what a
//! failure means for a task: errors are [`crate::error::ConnectError`]s with their kind.

mod admin;
mod client_config;
mod client_security;
mod compacted;
mod consumer;
mod context;
mod ffi;
mod key_store;
mod orphans;
mod producer;
mod rebalance;
mod transactions;

pub use admin::{Admin, CreateOutcome, GroupError, NewTopic};
pub use client_config::{ClientKind, ClientProps, Translation};
pub use compacted::{Latest, read_compacted};
pub use consumer::{Consumer, ConsumerEvent, ConsumerOptions, Message, MessageBatch, Span};
pub use producer::{MessageHeaders, Outgoing, Producer, Refused, Reports};
pub use transactions::Ended;
