//! A Kafka Connect cluster as the command line names it: brokers, group, internal topics, security.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::config::{Props, parse_properties};
use crate::kafka::ClientProps;

/// Where a Kafka Connect cluster is.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Its brokers
    #[arg(long, value_name = "HOST:PORT,...")]
    bootstrap_servers: Option<String>,
    /// Its group
    #[arg(long, value_name = "GROUP")]
    group_id: Option<String>,
    /// The topic that keeps its source offsets
    #[arg(long, value_name = "TOPIC")]
    offset_topic: Option<String>,
    /// Its workers' properties file, for everything that is not given here, security settings too
    #[arg(long, value_name = "FILE")]
    worker_properties: Option<PathBuf>,
}

/// The arguments with the file read.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    arguments: &'a Arguments,
    bootstrap_servers: String,
    worker: Props,
    none: Props,
}

impl Arguments {
    /// Whether brokers are named.
    pub(super) fn is_given(&self) -> bool {
        self.bootstrap_servers.is_some() || self.worker_properties.is_some()
    }

    /// # Errors
    /// When the file cannot be read, or nothing names the brokers.
    pub(super) fn cluster(&self) -> anyhow::Result<Cluster<'_>> {
        let mut worker = Props::new();
        if let Some(file) = &self.worker_properties {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            worker = parse_properties(&text)
                .map_err(|reason| anyhow::anyhow!("{}: {reason}", file.display()))?;
        }
        let servers = self.bootstrap_servers.as_ref().or_else(|| worker.get("bootstrap.servers"));
        let bootstrap_servers = servers
            .context("--bootstrap-servers (or --worker-properties) says where the cluster is")?
            .clone();
        Ok(Cluster { arguments: self, bootstrap_servers, worker, none: Props::new() })
    }
}

impl Cluster<'_> {
    /// For clients that speak to its brokers.
    pub(super) fn client_props(&self) -> ClientProps<'_> {
        ClientProps {
            bootstrap_servers: &self.bootstrap_servers,
            worker: &self.worker,
            connector: &self.none,
            client_id: "ferroconnect",
        }
    }

    /// The workers' group.
    pub(super) fn group_id(&self) -> String {
        self.topic(self.arguments.group_id.as_deref(), "group.id", "connect-cluster")
    }

    /// The topic of source offsets.
    pub(super) fn offset_topic(&self) -> String {
        let given = self.arguments.offset_topic.as_deref();
        self.topic(given, "offset.storage.topic", "connect-offsets")
    }

    /// What is given, else what the file says, else what Kafka's example file has.
    pub(super) fn topic(&self, given: Option<&str>, key: &str, example: &str) -> String {
        given.or_else(|| self.worker.get(key).map(String::as_str)).unwrap_or(example).to_owned()
    }
}
