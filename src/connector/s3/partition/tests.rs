//! Boundaries: what is cut where, without a bucket.

use std::sync::Arc;

use super::*;
use crate::config::{Props, SinkDefaults};
use crate::connector::s3::config::S3Config;
use crate::data::{
    Origin, Record, Schema, SchemaAndValue, SchemaBuilder, SinkBatch, Struct, Type, Value,
};

fn config(changes: &[(&str, &str)]) -> S3Config {
    let mut props: Props = [
        ("s3.bucket.name", "b"),
        ("flush.size", "3"),
        ("format.class", "JsonFormat"),
        ("storage.class", "S3Storage"),
        ("s3.part.size", "5242880"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    props.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    S3Config::new(&props, &SinkDefaults::default()).unwrap()
}

fn tp() -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: 0 }
}

fn schema(doc: &str) -> Arc<Schema> {
    let id = SchemaBuilder::new(Type::Int64).build();
    SchemaBuilder::structure().doc(doc).field("id", id).build()
}

/// One row per offset, with its schema and timestamp.
fn batch(rows: &[(i64, &Arc<Schema>, i64)]) -> SinkBatch {
    let mut batch = SinkBatch { partitions: vec![tp()], ..SinkBatch::default() };
    for (offset, schema, timestamp_ms) in rows {
        let value = Struct::new((*schema).clone(), vec![Value::Int64(*offset)]);
        batch.records.push_record(Record {
            topic: "t".into(),
            partition: Some(0),
            offset: Some(*offset),
            key: SchemaAndValue::NULL,
            value: SchemaAndValue {
                schema: Some((*schema).clone()),
                value: Value::Struct(Box::new(value)),
            },
            timestamp_ms: Some(*timestamp_ms),
            headers: Vec::new(),
        });
        let timestamp_ms = Some(*timestamp_ms);
        batch.origins.push(Origin { partition: 0, offset: *offset, timestamp_ms });
    }
    batch
}

fn take(writer: &mut PartitionWriter, config: &S3Config, batch: &SinkBatch, now_ms: i64) {
    for (row, origin) in batch.records.rows.iter().zip(&batch.origins) {
        let (offset, timestamp_ms) = (origin.offset, origin.timestamp_ms);
        let arrival = Arrival { batch, row: *row, partition: 0, offset, timestamp_ms, now_ms };
        writer.take(&arrival, config).unwrap();
    }
}

/// Runs `writer` over plain rows of these offsets.
fn run(writer: &mut PartitionWriter, config: &S3Config, offsets: impl IntoIterator<Item = i64>) {
    let schema = schema("");
    let rows: Vec<_> = offsets.into_iter().map(|offset| (offset, &schema, offset)).collect();
    take(writer, config, &batch(&rows), 0);
}

/// The closed files as first, last and reason; they count as completed.
fn closed(writer: &mut PartitionWriter) -> Vec<(i64, i64, Rotation)> {
    let mut closed = Vec::new();
    while let Some(Work::Files(files)) = writer.work() {
        closed.extend(files.iter().map(|file| (file.first_offset, file.last_offset, file.reason)));
        writer.finished(Work::Files(files), true);
    }
    closed
}

fn recorded(first_offset: i64, last_offset: i64, is_present: bool) -> Recorded {
    let file = SinkFile {
        partition: tp(),
        first_offset,
        last_offset,
        key: format!("recorded-{first_offset}"),
        upload_id: Some("u".to_owned()),
        etags: vec!["e".to_owned()],
    };
    Recorded { file, is_present }
}

#[test]
fn files_end_by_count_and_repeated_rows_are_known() {
    let config = config(&[]);
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    run(&mut writer, &config, 10..15);
    run(&mut writer, &config, 10..17);
    let by_count = Rotation::FlushSize;
    assert_eq!(closed(&mut writer), [(10, 12, by_count), (13, 15, by_count)]);
    assert_eq!(writer.take_committable(), Some(16));
    assert_eq!(writer.take_committable(), None, "told once");
}

#[test]
fn schema_record_time_and_silence_end_files() {
    let config = config(&[
        ("flush.size", "100"),
        ("rotate.interval.ms", "1000"),
        ("rotate.idle.interval.ms", "500"),
    ]);
    let (one, two) = (schema("one"), schema("two"));
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    let rows = [(0, &one, 0), (1, &one, 999), (2, &one, 1000), (3, &two, 1001), (4, &two, 50)];
    take(&mut writer, &config, &batch(&rows), 0);
    writer.pass_time(&config, 499).unwrap();
    assert!(writer.is_open());
    writer.pass_time(&config, 500).unwrap();
    assert!(!writer.is_open());
    assert_eq!(
        closed(&mut writer),
        [(0, 1, Rotation::RotateInterval), (2, 2, Rotation::SchemaChange), (3, 4, Rotation::Idle)]
    );
}

#[test]
fn recorded_boundaries_are_kept() {
    type Files = &'static [(i64, i64, Rotation)];
    let rows: [(&str, Vec<Recorded>, Vec<i64>, Files); 6] = [
        (
            "longer than the count",
            vec![recorded(0, 4, false)],
            (0..8).collect(),
            &[(0, 4, Rotation::Recorded), (5, 7, Rotation::FlushSize)],
        ),
        (
            "its last row is gone",
            vec![recorded(0, 2, false)],
            vec![0, 1, 3, 4, 5],
            &[(0, 2, Rotation::Recorded), (3, 5, Rotation::FlushSize)],
        ),
        (
            "an object between two gaps",
            vec![recorded(0, 1, false), recorded(2, 3, true), recorded(4, 4, false)],
            (0..6).collect(),
            &[(0, 1, Rotation::Recorded), (2, 3, Rotation::Recorded), (4, 4, Rotation::Recorded)],
        ),
        (
            "a file before ends at it",
            vec![recorded(2, 3, false)],
            (0..4).collect(),
            &[(0, 1, Rotation::Recorded), (2, 3, Rotation::Recorded)],
        ),
        (
            "a file before ends at an object",
            vec![recorded(2, 3, true)],
            (0..5).collect(),
            &[(0, 1, Rotation::Recorded), (2, 3, Rotation::Recorded)],
        ),
        (
            "the group was moved beyond it",
            vec![recorded(0, 3, false)],
            (10..13).collect(),
            &[(10, 12, Rotation::FlushSize)],
        ),
    ];
    for (name, left, offsets, expected) in rows {
        let config = config(&[]);
        let mut writer = PartitionWriter::new(tp(), &config, left.into());
        run(&mut writer, &config, offsets);
        assert_eq!(closed(&mut writer), expected, "{name}");
    }
}

#[test]
fn what_was_left_splits_at_the_first_gap() {
    let file = |first, last| recorded(first, last, true).file;
    let left =
        vec![(file(0, 1), true), (file(2, 3), true), (file(4, 5), false), (file(6, 7), true)];
    let (done, recorded) = split_recorded(left);
    assert_eq!(done, [file(0, 1), file(2, 3)]);
    let flags: Vec<_> =
        recorded.iter().map(|each| (each.file.first_offset, each.is_present)).collect();
    assert_eq!(flags, [(4, false), (6, true)]);
}

#[test]
fn a_refused_row_is_named_and_counts_as_taken() {
    let config = config(&[("format.class", "ParquetFormat")]);
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    let mut batch = batch(&[(7, &schema(""), 0)]);
    batch.records.records[0].value = SchemaAndValue { schema: None, value: Value::string("x") };
    let arrival = Arrival {
        batch: &batch,
        row: batch.records.rows[0],
        partition: 0,
        offset: 7,
        timestamp_ms: None,
        now_ms: 0,
    };
    let error = writer.take(&arrival, &config).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Data);
    assert!(error.to_string().starts_with("t-0@7: Parquet needs values that are structs"));
    writer.take(&arrival, &config).unwrap();
    assert_eq!(writer.take_committable(), Some(8));
}
