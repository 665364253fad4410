//! A sink task without a worker: rows in, objects in the real server's folder, a ledger in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ferroconnect::config::{Props, Secret, SinkDefaults};
use ferroconnect::connector::s3::construct_task;
use ferroconnect::connector::{ConnectorContext, FileLedger, SinkFile, SinkTask, SinkTaskContext};
use ferroconnect::data::{
    Origin, Record, Schema, SchemaAndValue, SchemaBuilder, SinkBatch, Struct, TopicPartition, Type,
    Value,
};
use ferroconnect::error::ConnectError;
use ferroconnect::metrics::{Metrics, TaskMetrics, TaskSide};

use crate::support::services;

/// Where a ledger call ends the task's life, as a crash would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// Recorded, and nothing after it.
    AfterCompleting,
    /// The objects are there, the ledger does not know.
    BeforeCompleted,
}

#[derive(Debug, Default)]
struct Rows {
    completing: Vec<SinkFile>,
    done: Vec<SinkFile>,
    next: BTreeMap<TopicPartition, i64>,
    uploads: Vec<(TopicPartition, String, String)>,
    crash: Option<Crash>,
}

/// The ledger of the state database, in memory.
#[derive(Debug, Default)]
pub(super) struct MemoryLedger {
    rows: Mutex<Rows>,
}

impl MemoryLedger {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("no call panics while it holds the rows")
    }

    pub(super) fn crash_at(&self, crash: Option<Crash>) {
        self.rows().crash = crash;
    }

    /// The files that are done, as (first, last), in the order of completion.
    pub(super) fn done(&self) -> Vec<(i64, i64)> {
        let rows = self.rows();
        rows.done.iter().map(|file| (file.first_offset, file.last_offset)).collect()
    }

    pub(super) fn completing(&self) -> Vec<SinkFile> {
        self.rows().completing.clone()
    }

    pub(super) fn uploads(&self) -> usize {
        self.rows().uploads.len()
    }
}

fn crashed() -> ConnectError {
    ConnectError::fatal("crashed")
}

#[async_trait]
impl FileLedger for MemoryLedger {
    async fn completing(&self, files: &[SinkFile]) -> Result<(), ConnectError> {
        let mut rows = self.rows();
        rows.completing.retain(|known| files.iter().all(|file| file.key != known.key));
        rows.completing.extend(files.iter().cloned());
        match rows.crash {
            Some(Crash::AfterCompleting) => Err(crashed()),
            _ => Ok(()),
        }
    }

    async fn completed(&self, files: &[SinkFile], next: i64) -> Result<(), ConnectError> {
        let mut rows = self.rows();
        if rows.crash == Some(Crash::BeforeCompleted) {
            return Err(crashed());
        }
        rows.completing.retain(|known| files.iter().all(|file| file.key != known.key));
        rows.uploads.retain(|(_, key, _)| files.iter().all(|file| file.key != *key));
        rows.done.extend(files.iter().cloned());
        rows.next.insert(files[0].partition.clone(), next);
        Ok(())
    }

    async fn recover(
        &self,
        partition: &TopicPartition,
    ) -> Result<(Vec<SinkFile>, Option<i64>), ConnectError> {
        let rows = self.rows();
        let files = rows.completing.iter().filter(|file| file.partition == *partition);
        Ok((files.cloned().collect(), rows.next.get(partition).copied()))
    }

    async fn upload_started(
        &self,
        partition: &TopicPartition,
        key: &str,
        upload_id: &str,
    ) -> Result<(), ConnectError> {
        let row = (partition.clone(), key.to_owned(), upload_id.to_owned());
        self.rows().uploads.push(row);
        Ok(())
    }

    async fn orphaned_uploads(
        &self,
        partition: &TopicPartition,
    ) -> Result<Vec<(String, String)>, ConnectError> {
        let rows = self.rows();
        let orphans = rows.uploads.iter().filter(|(at, key, _)| {
            at == partition && rows.completing.iter().all(|file| file.key != *key)
        });
        Ok(orphans.map(|(_, key, id)| (key.clone(), id.clone())).collect())
    }

    async fn upload_ended(&self, key: &str, upload_id: &str) -> Result<(), ConnectError> {
        let mut rows = self.rows();
        rows.uploads.retain(|(_, k, id)| k != key || id != upload_id);
        Ok(())
    }
}

/// One sink with its bucket; tasks come and go.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) bucket: String,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) props: Props,
    pub(super) defaults: SinkDefaults,
    pub(super) registry: Metrics,
    pub(super) metrics: Arc<TaskMetrics>,
}

impl Sink {
    /// The example file with a bucket of its own and these changes.
    pub(super) fn new(changes: &[(&str, &str)]) -> Self {
        let bucket = services().bucket();
        let text = include_str!("../../../connectors/s3-sink.json");
        let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let mut props: Props = file["config"]
            .as_object()
            .expect("an object")
            .iter()
            .map(|(key, value)| {
                (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        props.insert("s3.bucket.name".to_owned(), bucket.clone());
        for (key, value) in changes {
            props.insert((*key).to_owned(), (*value).to_owned());
        }
        let defaults = SinkDefaults {
            endpoint_url: Some(services().s3.clone()),
            access_key_id: Some(services().s3_access_key.clone()),
            secret_access_key: Some(Secret::new(services().s3_secret_key.clone())),
            ..SinkDefaults::default()
        };
        let registry = Metrics::new();
        let metrics = registry.task("sink", 0, TaskSide::Sink);
        Self { bucket, ledger: Arc::default(), props, defaults, registry, metrics }
    }

    pub(super) fn task(&self) -> Box<dyn SinkTask> {
        self.task_of(&self.props)
    }

    /// As [`Sink::task`], with other properties.
    pub(super) fn task_of(&self, props: &Props) -> Box<dyn SinkTask> {
        let context = SinkTaskContext {
            connector: "sink".to_owned(),
            task: 0,
            hosts: Arc::default(),
            defaults: Arc::new(self.defaults.clone()),
            ledger: self.ledger.clone(),
            reporter: None,
            metrics: self.metrics.clone(),
        };
        construct_task(props, context).expect("a task")
    }

    pub(super) fn connector_context(&self) -> ConnectorContext {
        ConnectorContext { hosts: Arc::default(), defaults: Arc::new(self.defaults.clone()) }
    }

    /// The keys in the bucket, in order.
    pub(super) fn keys(&self) -> Vec<String> {
        keys_in(&services().s3_dir.join(&self.bucket))
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        services().s3_dir.join(&self.bucket).join(key)
    }

    /// The `id` of every row in every Parquet object, in key order.
    pub(super) fn ids(&self) -> Vec<i32> {
        self.ids_in(&services().s3_dir.join(&self.bucket))
    }

    /// As [`Sink::ids`], of another folder.
    pub(super) fn ids_in(&self, root: &Path) -> Vec<i32> {
        use parquet::file::reader::{FileReader as _, SerializedFileReader};
        let mut ids = Vec::new();
        for key in keys_in(root) {
            let file = std::fs::File::open(root.join(&key)).expect("an object");
            let reader = SerializedFileReader::new(file).expect("Parquet");
            for row in reader.get_row_iter(None).expect("rows") {
                use parquet::record::RowAccessor as _;
                ids.push(row.expect("a row").get_int(0).expect("an id"));
            }
        }
        ids
    }
}

/// The files below `root`, in order; parts of uploads do not count.
fn keys_in(root: &Path) -> Vec<String> {
    let (mut keys, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(root).expect("below the root");
                keys.push(key.display().to_string());
            }
        }
    }
    keys.retain(|key| !key.starts_with(".ferroconnect-uploads"));
    keys.sort();
    keys
}

pub(super) fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: "orders".into(), partition: number }
}

fn schema() -> Arc<Schema> {
    SchemaBuilder::structure()
        .name("orders.Value")
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .field("text", SchemaBuilder::new(Type::String).build())
        .build()
}

/// Rows of partition 0, one per offset; `id` is the offset.
pub(super) fn rows(offsets: std::ops::Range<i64>) -> SinkBatch {
    rows_of(offsets, "x")
}

pub(super) fn rows_of(offsets: std::ops::Range<i64>, text: &str) -> SinkBatch {
    let schema = schema();
    let mut batch = SinkBatch { partitions: vec![partition(0)], ..SinkBatch::default() };
    for offset in offsets {
        let id = i32::try_from(offset).expect("a small offset");
        let value = Struct::new(schema.clone(), vec![Value::Int32(id), Value::string(text)]);
        push(&mut batch, offset, Some((schema.clone(), value)));
    }
    batch
}

/// Adds a row; `None` is a tombstone.
pub(super) fn push(batch: &mut SinkBatch, offset: i64, value: Option<(Arc<Schema>, Struct)>) {
    let value = value.map_or(SchemaAndValue::NULL, |(schema, value)| SchemaAndValue {
        schema: Some(schema),
        value: Value::Struct(Box::new(value)),
    });
    batch.records.push_record(Record {
        topic: "orders".into(),
        partition: Some(0),
        offset: Some(offset),
        key: SchemaAndValue::NULL,
        value,
        timestamp_ms: Some(1_000 + offset),
        headers: Vec::new(),
    });
    batch.origins.push(Origin { partition: 0, offset, timestamp_ms: Some(1_000 + offset) });
}
