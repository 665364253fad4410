//! Runs connectors: the herder takes commands, the worker carries them out, tasks move data.
//!
//! Target state goes in through [`herder::Herder`] and is decided by the state database; the worker
//! makes what runs on this machine equal to it.

pub mod access;
mod assembly;
pub mod audit;
mod board;
mod cluster;
mod condition;
mod entity;
mod exactly_once;
mod leases;
mod log_scope;
mod offsets;
mod panics;
mod resolution;
mod runner;
mod stall;
mod state;
mod supervisor;
mod worker;

pub mod chain;
pub mod config_infos;
pub mod connector_config;
mod dead_letter;
pub mod errant;
pub mod herder;
pub mod ledger;
pub mod listener;
pub mod loggers;
mod offset_flush;
pub mod security_config;
mod sink_commit;
mod sink_record;
pub mod sink_task;
mod source_progress;
mod source_record;
pub mod source_task;
mod source_transaction;
pub mod submitted;
pub mod task;
pub mod tolerance;
pub mod topic_creation;
mod topic_reader;
pub mod transactions;
pub mod validation;
pub mod worker_config;
pub mod worker_settings;
