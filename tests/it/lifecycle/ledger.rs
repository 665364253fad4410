//! A table whose rows are the ledger: what committed in it must be in the objects, each offset once.

use std::collections::BTreeSet;
use std::time::Duration;

use parquet::record::Field;
use tokio_postgres::Client;

use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerProcess, eventually_async};

/// The pipeline of a test with its table.
pub(super) struct Ledger {
    pub(super) pipeline: Pipeline,
    client: Client,
    next: i64,
}

impl Ledger {
    pub(super) async fn create() -> Self {
        let pipeline = Pipeline::create().await;
        let client = pipeline.source.connect().await;
        let create = "create table ledger (id bigint primary key)";
        client.batch_execute(create).await.expect("a table to capture");
        // A stopped worker keeps its slot only for this long.
        let timeout =
            format!("alter database {} set wal_sender_timeout = '3s'", pipeline.source.name);
        client.batch_execute(&timeout).await.expect("a database's setting");
        Self { pipeline, client, next: 0 }
    }

    /// Connects to the source anew.
    pub(super) async fn connect(&mut self) {
        self.client = self.pipeline.source.connect().await;
    }

    /// Posts the source and the sink.
    pub(super) async fn post(&self, worker: &WorkerProcess) {
        let topic = format!("{}.public.ledger", self.pipeline.prefix);
        self.pipeline.post(worker, &self.pipeline.source_file("public.ledger")).await;
        self.pipeline.post(worker, &self.pipeline.sink_file(&topic)).await;
    }

    /// Commits `count` rows, a transaction each.
    pub(super) async fn write(&mut self, count: i64) {
        for id in self.next..self.next + count {
            self.client.execute("insert into ledger values ($1)", &[&id]).await.expect("a row");
        }
        self.next += count;
    }

    /// The ids of the rows in the objects, as often as they are there.
    pub(super) fn arrived(&self) -> Vec<i64> {
        let rows = self.pipeline.objects().into_iter().flat_map(|object| object.rows);
        let mut ids: Vec<i64> = rows
            .filter_map(|row| {
                row.get_column_iter().find_map(|(name, field)| match (name.as_str(), field) {
                    ("id", Field::Long(id)) => Some(*id),
                    _ => None,
                })
            })
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Waits until every row that committed is in the objects.
    pub(super) async fn all_arrive(&self, worker: &WorkerProcess, seconds: u64) {
        let url = format!("{}/connectors?expand=status", worker.url);
        eventually_async("every row in S3", seconds, || async {
            let arrived: BTreeSet<i64> = self.arrived().into_iter().collect();
            let missing: Vec<_> = (0..self.next).filter(|id| !arrived.contains(id)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            let first: Vec<_> = missing.iter().take(5).collect();
            Err(format!("{} missing, first {first:?}: {:?}", missing.len(), get(&url).await))
        })
        .await;
    }

    /// Every row once, every offset once.
    pub(super) fn assert_each_once(&self) {
        self.assert_each_offset_once();
        assert_eq!(self.arrived(), (0..self.next).collect::<Vec<_>>());
    }

    /// Every offset once: rows may have been produced again.
    pub(super) fn assert_each_offset_once(&self) {
        self.pipeline.assert_each_offset_once(&self.pipeline.objects());
    }

    /// Waits until connector and tasks of both are in these states.
    pub(super) async fn are(&self, worker: &WorkerProcess, connector: &str, task: Option<&str>) {
        for side in ["source", "sink"] {
            let url = format!("{}/connectors/{}-{side}/status", worker.url, self.pipeline.prefix);
            eventually_async(connector, 30, || async {
                let status = get(&url).await?;
                let tasks = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
                let fine = status["connector"]["state"] == connector
                    && tasks.is_empty() == task.is_none()
                    && tasks.iter().all(|one| Some(one["state"].as_str().unwrap_or("")) == task);
                if fine { Ok(()) } else { Err(status.to_string()) }
            })
            .await;
        }
    }

    /// PUT or POST on both connectors.
    pub(super) async fn ask(&self, worker: &WorkerProcess, method: &str, rest: &str) {
        for side in ["source", "sink"] {
            let url = format!("{}/connectors/{}-{side}{rest}", worker.url, self.pipeline.prefix);
            let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
            let answer =
                reqwest::Client::new().request(method, &url).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{url}: {}", answer.status());
        }
    }

    /// A task's metric of the source.
    pub(super) async fn source_metric(&self, worker: &WorkerProcess, metric: &str) -> f64 {
        let text = reqwest::get(format!("{}/metrics", worker.url)).await.expect("an answer");
        let text = text.text().await.expect("a text");
        let start =
            format!("{metric}{{connector=\"{}-source\",task=\"0\"}} ", self.pipeline.prefix);
        let value = text.lines().find_map(|line| line.strip_prefix(&start));
        value.unwrap_or_else(|| panic!("{start} is not shown")).parse().expect("a number")
    }
}

/// Lets time pass in which nothing must happen.
pub(super) async fn nothing_for(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
