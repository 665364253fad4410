//! Streams of frames to batches: seals, cuts, idle positions.

use std::sync::Arc;

use super::seal::{IDLE_BYTES, IDLE_EARLIEST, IDLE_LATEST};
use super::*;
use crate::config::Props;
use crate::connector::postgres::offset::Position;
use crate::connector::postgres::relation::{ColumnShape, TableShape};
use crate::connector::postgres::type_mapping::{PgKind, PgType};
use crate::data::{Header, Record, Row, Value};

fn config(more: &[(&str, &str)]) -> Arc<PostgresConfig> {
    let base = [
        ("topic.prefix", "srv"),
        ("database.hostname", "h"),
        ("database.user", "u"),
        ("database.dbname", "db"),
        ("plugin.name", "pgoutput"),
    ];
    let pairs = base.iter().chain(more);
    let props: Props = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Arc::new(PostgresConfig::new(&props).unwrap())
}

fn decoder(config: &Arc<PostgresConfig>, from: u64) -> StreamDecoder {
    StreamDecoder::new(config.clone(), Offsets::new("srv"), Lsn(from), None)
}

/// `inv.a(id int primary key, name text not null)`.
fn table(config: &PostgresConfig) -> Arc<Streamed> {
    let column = |name: &str, type_oid, identity| ColumnShape {
        name: name.to_owned(),
        type_oid,
        modifier: -1,
        identity,
        not_null: true,
        default: None,
    };
    let shape = TableShape {
        schema: "inv".to_owned(),
        table: "a".to_owned(),
        columns: vec![column("id", 23, true), column("name", 25, false)],
        key: vec!["id".to_owned()],
    };
    let base = |name: &str| {
        Arc::new(PgType { name: name.to_owned(), elsewhere: None, kind: PgKind::Base })
    };
    let types = [(23, base("int4")), (25, base("text"))].into_iter().collect();
    let (relation, plans) = Relation::streamed(&shape, &types, config).unwrap();
    Arc::new(Streamed { relation, plans })
}

/// A chunk under construction.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Frames {
    fn data(mut self, lsn: u64, message: &[&[u8]]) -> Self {
        let mut body = vec![b'w'];
        body.extend(lsn.to_be_bytes());
        body.extend([0; 16]);
        body.extend(message.concat());
        self.0.push(b'd');
        self.0.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        self.0.extend(body);
        self
    }

    fn relation(self) -> Self {
        self.data(0, &[b"R", &1_u32.to_be_bytes(), b"inv\0a\0d\0\0"])
    }

    fn begin(self, lsn: u64, end: u64, xid: u32) -> Self {
        let micros = 1_000_123_i64.to_be_bytes();
        self.data(lsn, &[b"B", &end.to_be_bytes(), &micros, &xid.to_be_bytes()])
    }

    fn insert(self, lsn: u64, id: &str, name: &str) -> Self {
        let tuple = tuple(&[Some(id), Some(name)]);
        self.data(lsn, &[b"I", &1_u32.to_be_bytes(), b"N", &tuple])
    }

    fn update(self, lsn: u64, old: Option<(u8, &[Option<&str>])>, new: &[Option<&str>]) -> Self {
        let old = old.map(|(kind, old)| [vec![kind], tuple(old)].concat()).unwrap_or_default();
        self.data(lsn, &[b"U", &1_u32.to_be_bytes(), &old, b"N", &tuple(new)])
    }

    fn delete(self, lsn: u64, old: &[Option<&str>]) -> Self {
        self.data(lsn, &[b"D", &1_u32.to_be_bytes(), b"K", &tuple(old)])
    }

    fn commit(self, end: u64) -> Self {
        let (start, end_bytes) = ((end - 8).to_be_bytes(), end.to_be_bytes());
        self.data(end, &[b"C\0", &start, &end_bytes, &[0; 8]])
    }

    fn keepalive(mut self, wal_end: u64, answer: bool) -> Self {
        self.0.extend(b"d\0\0\0\x16k");
        self.0.extend(wal_end.to_be_bytes());
        self.0.extend([0; 8]);
        self.0.push(u8::from(answer));
        self
    }
}

fn tuple(values: &[Option<&str>]) -> Vec<u8> {
    let mut bytes = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            Some("<unchanged>") => bytes.push(b'u'),
            Some(text) => {
                bytes.push(b't');
                bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            None => bytes.push(b'n'),
        }
    }
    bytes
}

fn decode(decoder: &mut StreamDecoder, frames: Frames) -> RecordBatch {
    let mut batch = RecordBatch::default();
    decoder.decode(&Bytes::from(frames.0), None, &mut batch).unwrap();
    batch
}

fn record_of(batch: &RecordBatch, row: &Row) -> Record {
    match row {
        Row::Planned { plan, first_cell } => {
            let view = batch.view(*plan, *first_cell);
            batch.plans[*plan as usize].materialize(&view).unwrap()
        }
        Row::Tree { record } => batch.records[*record as usize].clone(),
    }
}

/// Each record as text: op, key, and the members that are asked for.
fn shown(batch: &RecordBatch) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Struct(fields) => {
            let fields = fields.values().iter().map(|value| match value {
                Value::Null => "null".to_owned(),
                Value::Int32(number) => number.to_string(),
                Value::String(text) => text.to_string(),
                other => format!("{other:?}"),
            });
            format!("({})", fields.collect::<Vec<_>>().join(" "))
        }
        Value::Null => "-".to_owned(),
        other => format!("{other:?}"),
    };
    batch
        .rows
        .iter()
        .map(|row| {
            let record = record_of(batch, row);
            let key = text(&record.key.value);
            let of_row = |h: &&Header| !h.key.starts_with("__debezium.context.");
            let headers = record.headers.iter().filter(of_row);
            let headers: Vec<_> =
                headers.map(|h| format!(" {}={}", h.key, text(&h.value))).collect();
            let Some(value) = record.value.value.as_struct() else {
                return format!("tombstone {key}{}", headers.concat());
            };
            let op = value.get("op").unwrap().as_str().unwrap().to_owned();
            let (before, after) = (value.get("before").unwrap(), value.get("after").unwrap());
            format!("{op} {key} {} {}{}", text(before), text(after), headers.concat())
        })
        .collect()
}

fn resumes(batch: &RecordBatch) -> Vec<(usize, u64)> {
    let position = |text: &str| match Position::parse(text).unwrap() {
        Position::Streaming { resume, .. } => resume.0,
        Position::SnapshotInterrupted => panic!(),
    };
    batch.seals.iter().map(|seal| (seal.rows, position(&seal.offset.offset))).collect()
}

#[test]
fn every_operation_becomes_its_records() {
    let config = config(&[]);
    let mut decoder = decoder(&config, 10);
    decoder.stage(vec![Some(table(&config))]);
    let batch = decode(
        &mut decoder,
        Frames::default()
            .begin(20, 90, 7)
            .relation()
            .insert(20, "1", "one")
            .update(30, None, &[Some("1"), Some("<unchanged>")])
            .update(40, Some((b'O', &[Some("1"), Some("x")])), &[Some("1"), Some("<unchanged>")])
            .update(50, Some((b'K', &[Some("1"), None])), &[Some("2"), Some("two")])
            .delete(60, &[Some("2"), None])
            .commit(90),
    );
    assert_eq!(
        shown(&batch),
        [
            "c (1) - (1 one)",
            "u (1) - (1 __debezium_unavailable_value)",
            "u (1) (1 x) (1 x)",
            "d (1) (1 ) - __debezium.newkey=(2)",
            "tombstone (1) __debezium.newkey=(2)",
            "c (2) - (2 two) __debezium.oldkey=(1)",
            "d (2) (2 ) -",
            "tombstone (2)",
        ]
    );
    assert_eq!(resumes(&batch), [(8, 90)]);
    assert_eq!(
        batch.seals[0].offset.offset.as_ref(),
        r#"{"lsn_proc":90,"messageType":"COMMIT","lsn_commit":90,"lsn":90,"txId":7,"ts_usec":946684801000123}"#
    );
}

#[test]
fn a_transaction_that_another_began_goes_on() {
    let config = config(&[]);
    let mut decoder = decoder(&config, 30);
    decoder.skip(Some((7, Lsn(30))));
    decoder.stage(vec![Some(table(&config))]);
    let frames = Frames::default().begin(20, 90, 7).relation().insert(20, "1", "one");
    let frames = frames.insert(30, "2", "two").insert(30, "3", "three").commit(90);
    // Another transaction, which ended later, wrote before.
    let frames = frames.begin(10, 99, 6).insert(10, "4", "four").commit(99);
    assert_eq!(
        shown(&decode(&mut decoder, frames)),
        ["c (2) - (2 two)", "c (3) - (3 three)", "c (4) - (4 four)"]
    );
}

#[test]
fn rows_say_which_run_they_are_of() {
    let headers = |more: &[(&str, &str)]| {
        let config = config(more);
        let mut decoder = decoder(&config, 10);
        decoder.stage(vec![Some(table(&config))]);
        let frames = Frames::default().begin(20, 90, 7).relation().insert(20, "1", "one");
        let frames = frames.update(50, Some((b'K', &[Some("1"), None])), &[Some("2"), Some("x")]);
        let batch = decode(&mut decoder, frames.commit(90));
        let records: Vec<_> = batch.rows.iter().map(|row| record_of(&batch, row)).collect();
        let keys = |record: &Record| {
            let keys = record.headers.iter().map(|h| h.key.trim_start_matches("__debezium."));
            keys.collect::<Vec<_>>().join(" ")
        };
        records.iter().map(keys).collect::<Vec<_>>()
    };
    let context = "context.connectorLogicalName context.taskId context.connectorName context.runId";
    let (old, new) = (format!("oldkey {context}"), format!("newkey {context}"));
    assert_eq!(headers(&[]), [context, &new, &new, &old]);
    assert_eq!(
        headers(&[("extended.headers.enabled", "false")]),
        ["", "newkey", "newkey", "oldkey"]
    );
}

#[test]
fn source_says_where_and_when() {
    let config = config(&[]);
    let mut decoder = decoder(&config, 10);
    decoder.stage(vec![Some(table(&config))]);
    let first = Frames::default().begin(20, 40, 7).relation().insert(21, "1", "a").commit(40);
    let batch = decode(&mut decoder, first.begin(50, 70, 8).insert(51, "2", "b"));
    let source = |row: usize| {
        let Row::Planned { plan, first_cell } = batch.rows[row] else { panic!() };
        let plan_of = &batch.plans[plan as usize];
        let record = plan_of.materialize(&batch.view(plan, first_cell)).unwrap();
        let value = record.value.value.as_struct().unwrap().clone();
        value.get("source").unwrap().as_struct().unwrap().clone()
    };
    let first = source(0);
    assert_eq!(first.get("sequence"), Some(&Value::string("[null,\"21\"]")));
    assert_eq!(first.get("ts_ms"), Some(&Value::Int64(946_684_801_000)));
    assert_eq!(first.get("ts_ns"), Some(&Value::Int64(946_684_801_000_123_000)));
    assert_eq!(first.get("txId"), Some(&Value::Int64(7)));
    assert_eq!(first.get("table"), Some(&Value::string("a")));
    let second = source(1);
    assert_eq!(second.get("sequence"), Some(&Value::string("[\"40\",\"51\"]")));
    assert_eq!(second.get("lsn"), Some(&Value::Int64(51)));
    assert_eq!(second.get("origin"), Some(&Value::Null));
    // The open transaction's row is not sealed.
    assert_eq!(resumes(&batch), [(1, 40)]);
    let rest = decode(&mut decoder, Frames::default().commit(70));
    assert_eq!(resumes(&rest), [(0, 70)]);
    assert_eq!(decoder.position(), (Lsn(70), Some(Lsn(70))));
}

#[test]
fn a_cut_transaction_is_not_handed_out_twice() {
    let config = config(&[]);
    let mut decoder = decoder(&config, 10);
    decoder.stage(vec![Some(table(&config))]);
    let batch = decode(
        &mut decoder,
        Frames::default().begin(20, 90, 7).relation().insert(21, "1", "a").insert(22, "2", "b"),
    );
    assert_eq!(shown(&batch).len(), 2);
    decoder.restarted();
    assert_eq!(decoder.position().0, Lsn(10));
    decoder.stage(vec![Some(table(&config))]);
    let again = Frames::default()
        .begin(15, 18, 6)
        .commit(18)
        .begin(20, 90, 7)
        .relation()
        .insert(21, "1", "a");
    let batch = decode(&mut decoder, again);
    assert!(shown(&batch).is_empty());
    // Cut once more, before what was handed out the first time.
    decoder.restarted();
    decoder.stage(vec![Some(table(&config))]);
    let whole = Frames::default()
        .begin(20, 90, 7)
        .relation()
        .insert(21, "1", "a")
        .insert(22, "2", "b")
        .insert(23, "3", "c")
        .commit(90)
        .begin(91, 99, 8)
        .insert(92, "4", "d")
        .commit(99);
    let batch = decode(&mut decoder, whole);
    assert_eq!(shown(&batch), ["c (3) - (3 c)", "c (4) - (4 d)"]);
    assert_eq!(resumes(&batch), [(2, 99)]);
}

#[test]
fn what_is_skipped_or_not_captured_is_not_handed_out() {
    let skipping = config(&[("skipped.operations", "c"), ("tombstones.on.delete", "false")]);
    let mut decoder = self::decoder(&skipping, 10);
    decoder.stage(vec![Some(table(&skipping)), None]);
    let frames = Frames::default()
        .begin(20, 90, 7)
        .relation()
        .insert(21, "1", "a")
        .delete(22, &[Some("1"), None])
        .data(22, &[b"T", &1_u32.to_be_bytes(), b"\0", &1_u32.to_be_bytes()])
        .relation()
        .delete(23, &[Some("9"), None])
        .commit(90);
    let batch = decode(&mut decoder, frames);
    assert_eq!(shown(&batch), ["d (1) (1 ) -", "t - - -"]);
}

#[test]
fn an_idle_position_waits_for_its_time_unless_the_server_waits() {
    let config = config(&[]);
    let mut decoder = decoder(&config, 10);
    let far = 10 + 16 * IDLE_BYTES;
    assert!(decode(&mut decoder, Frames::default().keepalive(far, false)).is_empty());
    // A transaction without captured rows is idle too.
    let empty = Frames::default().begin(far, far + 8, 7).commit(far + 8);
    assert!(decode(&mut decoder, empty).is_empty());
    decoder.sealed_at = Instant::now().checked_sub(IDLE_EARLIEST).unwrap();
    assert!(decode(&mut decoder, Frames::default().keepalive(11, false)).is_empty());
    let batch = decode(&mut decoder, Frames::default().keepalive(far, false));
    assert_eq!(resumes(&batch), [(0, far)]);
    // Within a transaction the position stays.
    decoder.sealed_at = Instant::now().checked_sub(IDLE_LATEST).unwrap();
    let open = Frames::default().begin(far + 8, far + 90, 8).keepalive(far + 50, true);
    assert!(decode(&mut decoder, open.keepalive(far + 50, true)).is_empty());
    // A server that shuts down asks again and again.
    let closed = Frames::default().commit(far + 90).keepalive(far + 99, true);
    let batch = decode(&mut decoder, closed.keepalive(far + 99, true));
    assert_eq!(resumes(&batch).last(), Some(&(0, far + 99)));
}

#[test]
fn mapped_columns_are_cut_or_masked_in_values_only() {
    let truncating = config(&[("column.truncate.to.2.chars", "inv.a.name")]);
    let mut decoder = self::decoder(&truncating, 10);
    decoder.stage(vec![Some(table(&truncating))]);
    let frames = Frames::default().begin(20, 90, 7).relation().insert(21, "1", "abc").commit(90);
    let batch = decode(&mut decoder, frames);
    assert_eq!(shown(&batch), ["c (1) - (1 ab)"]);
    let masking = config(&[
        ("column.mask.with.3.chars", "inv.a.name"),
        ("message.key.columns", "inv.a:name"),
        ("skip.messages.without.change", "true"),
    ]);
    let mut decoder = self::decoder(&masking, 10);
    decoder.stage(vec![Some(table(&masking))]);
    let row = [Some("1"), Some("abc")];
    let frames = Frames::default()
        .begin(20, 90, 7)
        .relation()
        .insert(21, "1", "abc")
        .update(22, Some((b'O', &row)), &row)
        .commit(90);
    assert_eq!(shown(&decode(&mut decoder, frames)), ["c (abc) - (1 ***)"]);
}
