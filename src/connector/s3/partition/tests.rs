//! Boundaries: what is cut where, without a bucket.

use std::sync::Arc;

use super::*;
use crate::config::{Props, SinkDefaults};
use crate::connector::SinkFile;
use crate::connector::s3::config::S3Config;
use crate::connector::s3::recorded::split_recorded;
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

fn hourly(extractor: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("partitioner.class", "HourlyPartitioner"),
        ("locale", "en"),
        ("timezone", "UTC"),
        ("timestamp.extractor", extractor),
    ]
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
    while let Some(Work::Files(group)) = writer.work() {
        let files = group.files.iter();
        closed.extend(files.map(|file| (file.first_offset, file.last_offset, file.reason)));
        writer.finished(Work::Files(group), true);
    }
    closed
}

/// An object that an earlier run left, and whether it is there.
fn left(path: &str, first_offset: i64, last_offset: i64, is_present: bool) -> (SinkFile, bool) {
    let file = SinkFile {
        partition: tp(),
        first_offset,
        last_offset,
        key: format!("topics/t/{path}/t+0+{first_offset:010}.json"),
        upload_id: Some("u".to_owned()),
        etags: vec!["e".to_owned()],
        records: 1,
    };
    (file, is_present)
}

fn recorded(first_offset: i64, last_offset: i64, is_present: bool) -> (SinkFile, bool) {
    left("partition=0", first_offset, last_offset, is_present)
}

fn spans(config: &S3Config, left: Vec<(SinkFile, bool)>) -> VecDeque<Span> {
    split_recorded(left, &config.naming).1
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
    let mut changes = hourly("Record").to_vec();
    changes.extend([
        ("partitioner.class", "DailyPartitioner"),
        ("flush.size", "100"),
        ("rotate.interval.ms", "1000"),
        ("rotate.idle.interval.ms", "500"),
    ]);
    let config = config(&changes);
    let (one, two) = (schema("one"), schema("two"));
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    let rows = [(0, &one, 0), (1, &one, 999), (2, &one, 1000), (3, &two, 1001), (4, &two, 50)];
    take(&mut writer, &config, &batch(&rows), 0);
    writer.pass_time(&config, 499).unwrap();
    assert_eq!(writer.open_files(), 1);
    writer.pass_time(&config, 500).unwrap();
    assert_eq!(writer.open_files(), 0);
    assert_eq!(
        closed(&mut writer),
        [(0, 1, Rotation::RotateInterval), (2, 2, Rotation::SchemaChange), (3, 4, Rotation::Idle)]
    );
}

#[test]
fn recorded_boundaries_are_kept() {
    type Files = &'static [(i64, i64, Rotation)];
    type Case = (&'static str, Vec<(SinkFile, bool)>, Vec<i64>, Files);
    let rows: [Case; 6] = [
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
            vec![recorded(1, 1, false), recorded(2, 3, true)],
            (0..5).collect(),
            &[(0, 0, Rotation::Recorded), (1, 1, Rotation::Recorded), (2, 3, Rotation::Recorded)],
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
        let mut writer = PartitionWriter::new(tp(), &config, spans(&config, left));
        run(&mut writer, &config, offsets);
        assert_eq!(closed(&mut writer), expected, "{name}");
    }
}

#[test]
fn what_was_left_splits_at_the_first_gap() {
    let config = config(&[]);
    let of = |offsets: &[(i64, i64, bool)]| {
        let left = offsets.iter().map(|(first, last, there)| recorded(*first, *last, *there));
        let (done, spans) = split_recorded(left.collect(), &config.naming);
        let done: Vec<_> = done.iter().map(|file| file.first_offset).collect();
        let spans: Vec<_> = spans
            .iter()
            .map(|span| {
                let files = span.files.iter().map(|file| (file.first_offset, file.is_present));
                (span.first_offset, span.last_offset, files.collect::<Vec<_>>())
            })
            .collect();
        (done, spans)
    };
    let in_turn = of(&[(0, 1, true), (2, 3, true), (4, 5, false), (6, 7, true)]);
    let expected = vec![(4, 5, vec![(4, false)]), (6, 7, vec![(6, true)])];
    assert_eq!(in_turn, (vec![0, 2], expected));
    // A file that is there counts as done only when no missing one starts before its end.
    let woven = of(&[(0, 1, true), (2, 9, true), (4, 5, false), (6, 12, true)]);
    let expected = vec![(2, 12, vec![(2, true), (4, false), (6, true)])];
    assert_eq!(woven, (vec![0], expected));
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

const HOUR: i64 = 3_600_000;

/// The names of the closed files behind the topic, as first offset and folder.
fn names(writer: &mut PartitionWriter) -> Vec<(i64, String)> {
    let mut names = Vec::new();
    while let Some(Work::Files(group)) = writer.work() {
        for file in &group.files {
            let folders: Vec<_> = file.key.split('/').collect();
            let folder = folders[folders.len() - 2];
            let (_, end) = file.key.split_at(file.key.len() - 6);
            names.push((file.first_offset, format!("{folder}/{end}")));
        }
        writer.finished(Work::Files(group), true);
    }
    names
}

fn boundaries(writer: &mut PartitionWriter) -> Vec<(i64, i64)> {
    closed(writer).into_iter().map(|(first, last, _)| (first, last)).collect()
}

#[test]
fn the_count_is_that_of_all_paths_together() {
    let mut changes = hourly("Record").to_vec();
    changes.push(("flush.size", "4"));
    let config = config(&changes);
    let schema = schema("");
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    let rows = [(0, &schema, 0), (1, &schema, HOUR), (2, &schema, 0), (3, &schema, 2 * HOUR)];
    take(&mut writer, &config, &batch(&rows), 0);
    assert_eq!(boundaries(&mut writer), [(0, 2), (1, 1), (3, 3)]);
    assert_eq!(writer.take_committable(), Some(4));
}

#[test]
fn late_rows_close_files_or_not() {
    let schema = schema("");
    let (late, next) = (2 * HOUR - 120_000, 2 * HOUR);
    let rows = [(0, &schema, next), (1, &schema, late), (2, &schema, next), (3, &schema, late)];
    type Files = &'static [(i64, i64)];
    let expectations: [(&str, Files); 2] = [("true", &[(0, 0), (1, 1), (2, 2)]), ("false", &[])];
    for (flag, expected) in expectations {
        let mut changes = hourly("Record").to_vec();
        changes.extend([
            ("flush.size", "100"),
            ("rotate.interval.ms", "600000"),
            ("rotate.file.on.partition.change", flag),
        ]);
        let config = config(&changes);
        let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
        take(&mut writer, &config, &batch(&rows), 0);
        assert_eq!(boundaries(&mut writer), expected, "{flag}");
        assert_eq!(writer.open_files(), if expected.is_empty() { 2 } else { 1 });
    }
}

#[test]
fn a_bound_of_open_files_closes_all() {
    let mut changes = hourly("Record").to_vec();
    changes.extend([("flush.size", "100"), ("partitioner.max.open.files", "2")]);
    let config = config(&changes);
    let schema = schema("");
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    let rows = [(0, &schema, 0), (1, &schema, HOUR), (2, &schema, 0), (3, &schema, 2 * HOUR)];
    take(&mut writer, &config, &batch(&rows), 0);
    assert_eq!(boundaries(&mut writer), [(0, 2), (1, 1)]);
    assert_eq!(writer.open_files(), 1);
}

#[test]
fn missing_files_of_several_paths_are_written_again_exactly() {
    let mut changes = hourly("Record").to_vec();
    changes.push(("flush.size", "100"));
    let config = config(&changes);
    let at = |hour| format!("year=1970/month=01/day=01/hour=0{hour}");
    let left = vec![left(&at(0), 0, 4, true), left(&at(1), 1, 3, false)];
    let mut writer = PartitionWriter::new(tp(), &config, spans(&config, left));
    let schema = schema("");
    // Even offsets go to the first hour, odd ones to the second.
    let rows: Vec<_> = (0..7).map(|offset| (offset, &schema, offset % 2 * HOUR)).collect();
    take(&mut writer, &config, &batch(&rows), 0);
    writer.pass_time(&config, i64::MAX).unwrap();
    let names = names(&mut writer);
    let expected = [
        (1, "hour=01/1.json"),
        (0, "hour=00/0.json"),
        (5, "hour=01/5.json"),
        (6, "hour=00/6.json"),
    ];
    assert_eq!(names, expected.map(|(first, name)| (first, name.to_owned())));
    assert_eq!(writer.take_committable(), Some(7));
}

fn version(number: i32) -> Arc<Schema> {
    let id = SchemaBuilder::new(Type::Int64).build();
    SchemaBuilder::structure().version(number).field("id", id).build()
}

#[test]
fn compatible_schemas_stay_in_one_file() {
    type Files = &'static [(i64, i64)];
    let (old, new) = (version(1), version(2));
    let rows: Vec<_> =
        (0..7).map(|offset| (offset, if offset % 2 == 0 { &old } else { &new }, 0)).collect();
    let expectations: [(&str, usize, Files); 3] = [
        ("BACKWARD", 0, &[(0, 0), (1, 2), (3, 4), (5, 6)]),
        ("FULL", 0, &[(0, 0), (1, 2), (3, 4), (5, 6)]),
        ("FORWARD", 1, &[(1, 1), (2, 3), (4, 5)]),
    ];
    for (mode, skipped, expected) in expectations {
        let config = config(&[("flush.size", "2"), ("schema.compatibility", mode)]);
        let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
        take(&mut writer, &config, &batch(&rows[skipped..]), 0);
        assert_eq!(boundaries(&mut writer), expected, "{mode}");
    }
}

#[test]
fn schemas_that_alternate_have_a_file_each() {
    let config = config(&[("flush.size", "6")]);
    let (old, new) = (version(1), version(2));
    let rows: Vec<_> =
        (0..20).map(|offset| (offset, if offset % 2 == 0 { &old } else { &new }, 0)).collect();
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    take(&mut writer, &config, &batch(&rows), 0);
    // The first change closes the file; from the way back on both stay open.
    let expected = [(0, 0), (1, 5), (2, 6), (7, 11), (8, 12), (13, 17), (14, 18)];
    assert_eq!(boundaries(&mut writer), expected);
    assert_eq!(writer.open_files(), 1);
}

#[test]
fn a_hundred_thousand_changes_of_schema_make_three_files() {
    const ROWS: i64 = 100_000;
    let config = config(&[("flush.size", "1000000")]);
    let (old, new) = (version(1), version(2));
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    for first in (0..ROWS).step_by(1_000) {
        let of = |offset: i64| if offset % 2 == 0 { &old } else { &new };
        let rows: Vec<_> = (first..first + 1_000).map(|offset| (offset, of(offset), 0)).collect();
        take(&mut writer, &config, &batch(&rows), 0);
    }
    assert_eq!(boundaries(&mut writer), [(0, 0)], "the first change");
    writer.pass_time(&config, 60_000).unwrap();
    let mut rest = boundaries(&mut writer);
    rest.sort_unstable();
    assert_eq!(rest, [(1, ROWS - 1), (2, ROWS - 2)]);
}

#[test]
fn memory_is_given_back_without_cutting_the_file_where_the_format_allows_it() {
    let of = |format| config(&[("flush.size", "1000000"), ("format.class", format)]);
    let schema = schema("");
    let fill = |config: &S3Config| {
        let mut writer = PartitionWriter::new(tp(), config, VecDeque::new());
        let mut first = 0;
        while writer.open_memory() < 2 * 1024 * 1024 && first < 1_000_000 {
            let rows: Vec<_> = (first..first + 1_000).map(|offset| (offset, &schema, 0)).collect();
            take(&mut writer, config, &batch(&rows), 0);
            first += 1_000;
        }
        writer
    };
    // Encoded and compressed rows take a fraction of what the encoder holds.
    let mut parquet = fill(&of("ParquetFormat"));
    let before = parquet.open_memory();
    assert!(parquet.shrink().unwrap());
    assert_eq!((parquet.open_files(), parquet.waiting()), (1, 0), "it stays open");
    assert!(parquet.open_memory() <= before / 2, "{} of {before}", parquet.open_memory());
    // Lines are as long as they are, and too few for a part.
    let mut lines = fill(&of("JsonFormat"));
    assert!(lines.shrink().unwrap());
    assert_eq!((lines.open_files(), lines.waiting()), (0, 1), "it is closed");
}

/// A row with a key, a header and a value; `None` is a tombstone.
fn keyed(offset: i64, key: Option<&str>, value: Option<i64>) -> SinkBatch {
    let schema = schema("");
    let mut batch = batch(&[(offset, &schema, 0)]);
    let record = &mut batch.records.records[0];
    let text = SchemaBuilder::new(Type::String).build();
    if let Some(key) = key {
        record.key = SchemaAndValue { schema: Some(text), value: Value::string(key) };
    }
    if value.is_none() {
        record.value = SchemaAndValue::NULL;
    }
    let header = crate::data::Header { key: "h".into(), schema: None, value: Value::Int32(7) };
    record.headers.push(header);
    batch
}

/// The closed objects as name and content.
fn contents(writer: &mut PartitionWriter) -> Vec<(String, String)> {
    let mut contents = Vec::new();
    while let Some(Work::Files(mut group)) = writer.work() {
        for file in &mut group.files {
            let transfer = file.transfer.as_mut().unwrap();
            let content: Vec<u8> = transfer.pending.drain(..).flatten().collect();
            let name = file.key.strip_prefix("topics/t/").unwrap().to_owned();
            contents.push((name, String::from_utf8(content).unwrap()));
        }
        writer.finished(Work::Files(group), true);
    }
    contents
}

const COMPANIONS: [(&str, &str); 5] = [
    ("store.kafka.keys", "true"),
    ("keys.format.class", "JsonFormat"),
    ("store.kafka.headers", "true"),
    ("headers.format.class", "JsonFormat"),
    ("flush.size", "2"),
];

#[test]
fn keys_and_headers_stand_beside_the_values() {
    let config = config(&COMPANIONS);
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    take(&mut writer, &config, &keyed(0, Some("a"), Some(0)), 0);
    // The value would fit; the missing key takes the row out of every object.
    let bad = keyed(1, None, Some(1));
    let arrival = Arrival {
        batch: &bad,
        row: bad.records.rows[0],
        partition: 0,
        offset: 1,
        timestamp_ms: None,
        now_ms: 0,
    };
    let error = writer.take(&arrival, &config).unwrap_err().to_string();
    assert!(error.starts_with("t-0@1: Key cannot be null for SinkRecord"), "{error}");
    take(&mut writer, &config, &keyed(2, Some("c"), Some(2)), 0);
    let base = "partition=0/t+0+0000000000";
    let header = "{\"headers\":[{\"key\":\"h\",\"value\":\"7\"}]}\n";
    let expected = [
        (format!("{base}.json"), "{\"id\":0}\n{\"id\":2}\n".to_owned()),
        (format!("{base}.keys.json"), "\"a\"\n\"c\"\n".to_owned()),
        (format!("{base}.headers.json"), header.repeat(2)),
    ];
    assert_eq!(contents(&mut writer), expected);
}

#[test]
fn a_written_tombstone_is_a_key_alone() {
    let mut changes = COMPANIONS.to_vec();
    changes.extend([("behavior.on.null.values", "write"), ("store.kafka.headers", "false")]);
    let config = config(&changes);
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    take(&mut writer, &config, &keyed(0, Some("a"), Some(0)), 0);
    take(&mut writer, &config, &keyed(1, Some("b"), None), 0);
    let expected = [
        ("partition=0/t+0+0000000000.json", "{\"id\":0}\n"),
        ("partition=0/t+0+0000000000.keys.json", "\"a\"\n"),
        ("tombstone/t+0+0000000001.keys.json", "\"b\"\n"),
    ];
    let expected = expected.map(|(name, content)| (name.to_owned(), content.to_owned()));
    assert_eq!(contents(&mut writer), expected);
    assert_eq!(writer.take_committable(), Some(2));
}

#[test]
fn keys_and_headers_have_their_own_formats() {
    for (class, extension) in [("AvroFormat", "avro"), ("ParquetFormat", "snappy.parquet")] {
        let mut changes = COMPANIONS.to_vec();
        changes.extend([("keys.format.class", class), ("headers.format.class", class)]);
        let config = config(&changes);
        let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
        take(&mut writer, &config, &keyed(0, Some("a"), Some(0)), 0);
        take(&mut writer, &config, &keyed(1, Some("b"), Some(1)), 0);
        let Some(Work::Files(group)) = writer.work() else { panic!("no files") };
        let keys: Vec<_> = group.files.iter().map(|file| file.key.as_str()).collect();
        let base = "topics/t/partition=0/t+0+0000000000";
        let own = |view: &str| format!("{base}.{view}.{extension}");
        assert_eq!(keys, [format!("{base}.json"), own("keys"), own("headers")]);
    }
}

#[test]
fn a_name_that_s3_does_not_take_is_refused() {
    let fields = [("partitioner.class", "FieldPartitioner"), ("partition.field.name", "text")];
    let config = config(&fields);
    let text = SchemaBuilder::new(Type::String).build();
    let schema = SchemaBuilder::structure().field("text", text).build();
    let mut writer = PartitionWriter::new(tp(), &config, VecDeque::new());
    let mut batch = batch(&[]);
    let value = Struct::new(schema.clone(), vec![Value::string("x".repeat(2_000))]);
    batch.records.push_record(Record {
        topic: "t".into(),
        partition: Some(0),
        offset: Some(0),
        key: SchemaAndValue::NULL,
        value: SchemaAndValue { schema: Some(schema), value: Value::Struct(Box::new(value)) },
        timestamp_ms: None,
        headers: Vec::new(),
    });
    let row = batch.records.rows[0];
    let (partition, offset, timestamp_ms, now_ms) = (0, 0, None, 0);
    let arrival = Arrival { batch: &batch, row, partition, offset, timestamp_ms, now_ms };
    let error = writer.take(&arrival, &config).unwrap_err().to_string();
    assert!(error.contains("S3 takes 1024"), "{error}");
    assert_eq!(writer.open_files(), 0);
}
