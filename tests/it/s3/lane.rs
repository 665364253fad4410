//! One sink on a real worker process: a topic that a writer fills, a bucket, a state database; and
//! what of the topic is in the objects, row by row.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use ferroconnect::kafka::{Outgoing, Producer, Refused, Reports};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::kafka::Clients;
use crate::support::pipeline::get;
use crate::support::{
    TestDatabase, WorkerOptions, WorkerProcess, eventually_async, services, unique,
};

/// Names of its own for everything.
#[derive(Debug)]
pub(super) struct Lane {
    _state: TestDatabase,
    pub(super) name: String,
    pub(super) topic: String,
    pub(super) bucket: String,
    pub(super) options: WorkerOptions,
}

impl Lane {
    pub(super) async fn create(partitions: i32, environment: &[(&str, &str)]) -> Self {
        let state = TestDatabase::create().await;
        let name = unique("lane");
        Clients::new().create(&name, partitions).await;
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let options = WorkerOptions {
            state_url: state.url.clone(),
            group_id: name.clone(),
            resolve: String::new(),
            environment: environment.iter().map(pair).collect(),
            failpoints: None,
        };
        let (topic, bucket) = (name.clone(), services().bucket());
        Self { _state: state, name, topic, bucket, options }
    }

    /// The example file for this topic and bucket. Every row is given its place in Kafka.
    pub(super) fn file(&self, changes: &[(&str, &str)]) -> Value {
        let mut config = json!({
            "connector.class": "io.confluent.connect.s3.S3SinkConnector",
            "tasks.max": "2",
            "topics": self.topic,
            "s3.bucket.name": self.bucket,
            "s3.part.size": 5_242_880,
            "flush.size": 100,
            "rotate.idle.interval.ms": "400",
            "storage.class": "io.confluent.connect.s3.storage.S3Storage",
            "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat",
            "topics.dir": "lane",
            "transforms": "place",
            "transforms.place.type": "org.apache.kafka.connect.transforms.InsertField$Value",
            "transforms.place.partition.field": "kafka_partition",
            "transforms.place.offset.field": "kafka_offset",
        });
        for (key, value) in changes {
            config[*key] = json!(value);
        }
        json!({ "name": self.name, "config": config })
    }

    pub(super) async fn post(&self, worker: &WorkerProcess, file: &Value) {
        let url = format!("{}/connectors", worker.url);
        let reply = reqwest::Client::new().post(url).json(file).send().await.expect("an answer");
        let status = reply.status().as_u16();
        assert_eq!(status, 201, "{}", reply.text().await.unwrap_or_default());
    }

    /// Waits until the objects hold `total` rows, and checks that they are each offset of each
    /// partition once.
    pub(super) async fn each_once(&self, worker: &WorkerProcess, written: &[i64]) {
        let url = format!("{}/connectors?expand=status", worker.url);
        let total: i64 = written.iter().sum();
        eventually_async("all rows in S3", 90, || {
            let url = url.clone();
            async move {
                let rows: usize = self.offsets().values().map(Vec::len).sum();
                if total <= rows as i64 {
                    return Ok(());
                }
                Err(format!("{rows} of {total}; {}", get(&url).await?))
            }
        })
        .await;
        let mut offsets = self.offsets();
        for (partition, count) in written.iter().enumerate() {
            let mut seen = offsets.remove(&(partition as i32)).unwrap_or_default();
            seen.sort_unstable();
            let expected: Vec<_> = (0..*count).collect();
            if seen != expected {
                let first = seen.iter().zip(&expected).find(|(seen, expected)| seen != expected);
                panic!("partition {partition}: {} of {count} rows, first at {first:?}", seen.len());
            }
        }
        assert!(offsets.is_empty(), "{:?}", offsets.keys());
    }

    /// The offsets of all rows in all objects, by partition.
    pub(super) fn offsets(&self) -> BTreeMap<i32, Vec<i64>> {
        let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for row in rows_below(services().s3_dir.join(&self.bucket)) {
            let (mut partition, mut offset) = (-1, -1);
            for (name, field) in row.get_column_iter() {
                match (name.as_str(), field) {
                    ("kafka_partition", Field::Int(value)) => partition = *value,
                    ("kafka_offset", Field::Long(value)) => offset = *value,
                    _ => {}
                }
            }
            offsets.entry(partition).or_default().push(offset);
        }
        offsets
    }

    pub(super) fn objects(&self) -> usize {
        files_below(services().s3_dir.join(&self.bucket)).len()
    }
}

/// The rows of every Parquet object below `folder`.
pub(super) fn rows_below(folder: PathBuf) -> Vec<Row> {
    let mut rows = Vec::new();
    for path in files_below(folder) {
        let file = std::fs::File::open(&path).expect("an object");
        let reader = SerializedFileReader::new(file).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        rows.extend(reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")));
    }
    rows
}

fn files_below(folder: PathBuf) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|ext| ext == "parquet") => files.push(path),
                false => {}
            }
        }
    }
    files
}

/// A JSON message with its schema.
pub(super) fn message(id: i64, text: &str) -> String {
    message_of(id, &format!("k{}", id % 3), text)
}

/// As [`message`], of this kind.
pub(super) fn message_of(id: i64, kind: &str, text: &str) -> String {
    json!({
        "schema": {"type": "struct", "name": "lane.Value", "fields": [
            {"field": "id", "type": "int64"},
            {"field": "kind", "type": "string"},
            {"field": "text", "type": "string"},
        ]},
        "payload": {"id": id, "kind": kind, "text": text},
    })
    .to_string()
}

/// Writes to every partition until it is stopped.
pub(super) struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<i64>>,
    written: Arc<AtomicI64>,
}

impl Writer {
    /// About `per_second` messages a second, spread over the partitions.
    pub(super) fn start(topic: &str, partitions: i32, per_second: u64) -> Self {
        let (stop, written): (Arc<AtomicBool>, Arc<AtomicI64>) = Default::default();
        let (topic, stopped, counter) = (topic.to_owned(), stop.clone(), written.clone());
        let task = tokio::spawn(async move {
            let producer = Producer::new(&Clients::new().props()).expect("a producer");
            let mut counts = vec![0; partitions as usize];
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..per_second.div_ceil(50) {
                    let id = counts.iter().sum::<i64>();
                    let partition = (id % i64::from(partitions)) as i32;
                    send(&producer, &topic, partition, &message(id, "under load")).await;
                    counts[partition as usize] += 1;
                }
                counter.store(counts.iter().sum(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            acknowledged(&producer, counts.iter().sum()).await;
            counts
        });
        Self { stop, task, written }
    }

    pub(super) fn written(&self) -> i64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How many messages each partition has, all acknowledged.
    pub(super) async fn stop(self) -> Vec<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the writer ends")
    }
}

/// Writes `count` messages to each partition.
pub(super) async fn write(topic: &str, partitions: i32, count: i64) {
    let producer = Producer::new(&Clients::new().props()).expect("a producer");
    for id in 0..count {
        for partition in 0..partitions {
            send(&producer, topic, partition, &message(id, "written")).await;
        }
    }
    acknowledged(&producer, count * i64::from(partitions)).await;
}

async fn send(producer: &Producer, topic: &str, partition: i32, value: &str) {
    let mut message = Outgoing {
        topic,
        partition: Some(partition),
        value: Some(value.as_bytes()),
        ..Outgoing::default()
    };
    while let Err(refused) = producer.send(&mut message, 0) {
        assert!(matches!(refused, Refused::Full), "{refused:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn acknowledged(producer: &Producer, count: i64) {
    let (mut total, mut reports) = (0, Reports::default());
    while total < count {
        let _ = tokio::time::timeout(Duration::from_secs(5), producer.reported()).await;
        producer.take_reports(&mut reports);
        assert!(reports.errors.is_empty(), "{:?}", reports.errors);
        total += reports.delivered.iter().map(|(_, count)| i64::from(*count)).sum::<i64>();
        reports.clear();
    }
}
