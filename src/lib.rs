//! Ferroconnect: Kafka Connect's REST API and runtime, Debezium's PostgreSQL source, the S3 sink
//! and SCD2 history tables in one binary.
//!
//! Read the modules in this order: [`data`] is Connect's data model and the batch that carries
//! records; [`converter`] and [`transform`] work on it; [`connector`] has the traits of connectors
//! and their tasks, with one folder per connector; [`runtime`] runs them, with [`kafka`] and
//! [`store`] at its hands; [`rest`] lets people ask it to. `ARCHITECTURE.md` says who may import
//! whom, and a test holds it.

pub mod cli;
pub mod config;
pub mod connector;
pub mod converter;
pub mod data;
pub mod error;
pub mod kafka;
pub mod metrics;
pub mod plugin;
pub mod rest;
pub mod runtime;
pub mod store;
pub mod transform;
