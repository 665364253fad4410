//! Every case goes through both paths, which must agree to the byte.

use bytes::Bytes;
use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;
use crate::converter::json::JsonConverter;
use crate::converter::{Converter, Presence};
use crate::data::{Cell, RecordBatch};

/// The table of the specification's worked example (section 5), and a column with a default.
fn row_of_products() -> Arc<Schema> {
    let optional = |ty| SchemaBuilder::new(ty).optional();
    let price = SchemaBuilder::decimal(2).parameter("connect.decimal.precision", "10").optional();
    let updated_at = optional(Type::String).name("io.debezium.time.ZonedTimestamp").version(1);
    SchemaBuilder::structure()
        .optional()
        .name("cdc.commerce.products.Value")
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .field("name", optional(Type::String).build())
        .field("price", price.build())
        .field("updated_at", updated_at.build())
        .build()
}

fn with_default_column() -> Arc<Schema> {
    let kind = SchemaBuilder::new(Type::String).optional().default_value(Value::string("n/a"));
    SchemaBuilder::structure()
        .optional()
        .name("t.Value")
        .field("id", SchemaBuilder::new(Type::Int32).default_value(Value::Int32(0)).build())
        .field("kind", kind.build())
        .build()
}

fn envelope(row: &Arc<Schema>) -> Arc<Schema> {
    let plain = |ty| SchemaBuilder::new(ty).build();
    let optional = |ty| SchemaBuilder::new(ty).optional().build();
    let snapshot =
        SchemaBuilder::new(Type::String).optional().default_value(Value::string("false"));
    let source = SchemaBuilder::structure()
        .field("ts_ms", plain(Type::Int64))
        .field("snapshot", snapshot.build())
        .field("table", plain(Type::String))
        .field("lsn", optional(Type::Int64));
    let transaction = SchemaBuilder::structure().field("id", plain(Type::String)).optional();
    SchemaBuilder::structure()
        .name("cdc.commerce.products.Envelope")
        .version(2)
        .field("before", row.clone())
        .field("after", row.clone())
        .field("source", source.build())
        .field("transaction", transaction.build())
        .field("op", plain(Type::String))
        .field("ts_ms", optional(Type::Int64))
        .build()
}

/// The images of a row event, as cells.
#[derive(Clone)]
struct Event {
    row: Arc<Schema>,
    op: &'static str,
    before: Option<Vec<Cell>>,
    after: Option<Vec<Cell>>,
    wire: Vec<u8>,
}

impl Event {
    fn text(&mut self, text: &str) -> Cell {
        let off = u32::try_from(self.wire.len()).unwrap();
        self.wire.extend_from_slice(text.as_bytes());
        Cell::Wire { off, len: u32::try_from(text.len()).unwrap() }
    }

    fn products(op: &'static str, image: Image, row: Option<(&str, i64, &str)>) -> Self {
        let mut event =
            Self { row: row_of_products(), op, before: None, after: None, wire: Vec::new() };
        let cells = match row {
            None => vec![Cell::I64(1), Cell::Null, Cell::Null, Cell::Null],
            Some((name, cents, updated_at)) => {
                let name = event.text(name);
                let price = BigInt::from(cents).to_signed_bytes_be();
                let off = u32::try_from(event.wire.len()).unwrap();
                let len = u32::try_from(price.len()).unwrap();
                event.wire.extend_from_slice(&price);
                vec![Cell::I64(1), name, Cell::Wire { off, len }, event.text(updated_at)]
            }
        };
        match image {
            Image::Before => event.before = Some(cells),
            Image::After => event.after = Some(cells),
        }
        event
    }

    fn create() -> Self {
        Self::products("c", Image::After, Some(("Widget", 1999, "2024-05-01T10:00:00.000000Z")))
    }

    fn delete() -> Self {
        Self::products("d", Image::Before, None)
    }

    fn truncate() -> Self {
        Self { op: "t", before: None, ..Self::delete() }
    }

    fn tombstone() -> Option<Self> {
        None
    }
}

/// An event as a planned row of a batch.
fn planned(event: Option<&Event>) -> (Arc<RowPlan>, RecordBatch) {
    let mut batch = RecordBatch::default();
    let key_schema = SchemaBuilder::structure()
        .name("cdc.commerce.products.Key")
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .build();
    batch.cells.push(Cell::I64(1));
    let fields = vec![Node::cell(0)];
    let key =
        PlannedValue { schema: Some(key_schema), node: Node::Struct { presence: None, fields } };
    let value = event.map(|event| {
        let mut image = |cells: &Option<Vec<Cell>>| match cells {
            None => Node::Const(Value::Null),
            Some(cells) => {
                let first = batch.cells.len();
                batch.cells.extend_from_slice(cells);
                let fields = (first..batch.cells.len()).map(Node::cell).collect();
                Node::Struct { presence: None, fields }
            }
        };
        let (before, after) = (image(&event.before), image(&event.after));
        let first = batch.cells.len();
        batch.cells.extend([Cell::I64(1_714_640_000_000), Cell::I64(42), Cell::I64(7)]);
        batch.wire = Bytes::from(event.wire.clone());
        let source = vec![
            Node::cell(first),
            Node::Const(Value::Null),
            Node::Const(Value::string("products")),
            Node::cell(first + 1),
        ];
        let fields = vec![
            before,
            after,
            Node::Struct { presence: None, fields: source },
            Node::Const(Value::Null),
            Node::Const(Value::string(event.op)),
            Node::cell(first + 2),
        ];
        let node = Node::Struct { presence: None, fields };
        PlannedValue { schema: Some(envelope(&event.row)), node }
    });
    let topic = "cdc.commerce.products".into();
    let plan =
        RowPlan { topic, key: Some(key), value, cell_count: batch.cells.len(), headers: [].into() };
    (Arc::new(plan), batch)
}

fn smt(settings: &[(&str, &str)]) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(&settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
}

fn converter(schemas: bool) -> JsonConverter {
    let props =
        [("schemas.enable", schemas.to_string()), ("replace.null.with.default", "false".into())];
    JsonConverter::new(&props.map(|(key, value)| (key.to_owned(), value)).into()).unwrap()
}

fn json(data: &SchemaAndValue, schemas: bool) -> Option<String> {
    let mut out = Vec::new();
    let presence = converter(schemas).from_connect_data("t", data, &mut out).unwrap();
    (presence == Presence::Present).then(|| String::from_utf8(out).unwrap())
}

/// What comes out, with the schema or without; "dropped", or "null" for a true tombstone. Both
/// paths must agree, where the planned one has an answer.
#[track_caller]
fn run(settings: &[(&str, &str)], event: Option<Event>, schemas: bool) -> Result<String, String> {
    let mut smt = smt(settings).map_err(|error| error.to_string())?;
    let (plan, mut batch) = planned(event.as_ref());
    let index = batch.plan_index(&plan);
    let mut record = plan.materialize(&batch.view(index, 0)).unwrap();
    let untouched = record.clone();
    let keep = smt.apply(&mut record).map_err(|error| error.to_string());
    let expected = match &keep {
        Ok(Keep::Drop) => Ok("dropped".to_owned()),
        Ok(Keep::Record) => {
            Ok(json(&record.value, schemas).unwrap_or_else(|| "tombstone".to_owned()))
        }
        Err(error) => {
            assert_eq!(record, untouched, "an error leaves the record alone");
            Err(error.clone())
        }
    };
    match smt.plan(&plan) {
        Planned::PerRecord => {}
        Planned::Drop => assert_eq!(expected.as_deref(), Ok("dropped")),
        Planned::Plan(output) => {
            let index = batch.plan_index(&output);
            let row = batch.view(index, 0);
            assert_eq!(output.materialize(&row).unwrap(), record);
            let text = output.value.as_ref().map_or("tombstone".to_owned(), |value| {
                let mut out = Vec::new();
                let encoder = converter(schemas).encoder("t", value).unwrap();
                encoder.write(&row, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            });
            assert_eq!(Ok(text), expected);
        }
    }
    expected
}

fn is_planned(settings: &[(&str, &str)], event: Option<Event>) -> bool {
    let (plan, _) = planned(event.as_ref());
    smt(settings).unwrap().plan(&plan) != Planned::PerRecord
}

const USERS_FILE: [(&str, &str); 2] =
    [("drop.tombstones", "true"), ("delete.handling.mode", "rewrite")];

#[test]
fn the_users_file_gives_the_worked_example() {
    let schema = r#"{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"10"},"field":"price"},{"type":"string","optional":true,"name":"io.debezium.time.ZonedTimestamp","version":1,"field":"updated_at"},{"type":"string","optional":true,"field":"__deleted"}],"optional":false,"name":"cdc.commerce.products.Value"}"#;
    let created = r#"{"id":1,"name":"Widget","price":"B88=","updated_at":"2024-05-01T10:00:00.000000Z","__deleted":"false"}"#;
    let deleted = r#"{"id":1,"name":null,"price":null,"updated_at":null,"__deleted":"true"}"#;
    for (event, payload) in [(Event::create(), created), (Event::delete(), deleted)] {
        let whole = format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
        assert_eq!(run(&USERS_FILE, Some(event.clone()), true).unwrap(), whole);
        assert_eq!(run(&USERS_FILE, Some(event.clone()), false).unwrap(), payload);
        assert!(is_planned(&USERS_FILE, Some(event)));
    }
    assert_eq!(run(&USERS_FILE, Event::tombstone(), true).unwrap(), "dropped");
    assert_eq!(run(&USERS_FILE, Some(Event::truncate()), true).unwrap(), "dropped");
}

#[test]
fn each_mode_has_its_deletes_and_tombstones() {
    let row =
        r#"{"id":1,"name":"Widget","price":"B88=","updated_at":"2024-05-01T10:00:00.000000Z"}"#;
    let live = r#"{"id":1,"name":"Widget","price":"B88=","updated_at":"2024-05-01T10:00:00.000000Z","__deleted":"false"}"#;
    let dead = r#"{"id":1,"name":null,"price":null,"updated_at":null,"__deleted":"true"}"#;
    let (new, old) = ("delete.tombstone.handling.mode", "delete.handling.mode");
    let keep = ("drop.tombstones", "false");
    for (settings, created, deleted, tombstone) in [
        (&[][..], row, "dropped", "dropped"),
        (&[(old, "drop"), keep], row, "dropped", "tombstone"),
        (&[(old, "none")], row, "null", "dropped"),
        (&[(old, " NONE "), keep], row, "null", "tombstone"),
        (&[(old, "rewrite")], live, dead, "dropped"),
        (&[(old, "rewrite"), keep], live, dead, "tombstone"),
        (&[(new, "drop")], row, "dropped", "dropped"),
        (&[(new, "tombstone")], row, "null", "dropped"),
        (&[(new, "delete-to-tombstone")], row, "tombstone", "dropped"),
        (&[(new, "Rewrite")], live, dead, "dropped"),
        (&[(new, "rewrite-with-tombstone")], live, dead, "tombstone"),
        (&[(new, "drop"), (old, "rewrite"), keep], row, "dropped", "dropped"),
    ] {
        assert_eq!(run(settings, Some(Event::create()), false).unwrap(), created, "{settings:?}");
        assert_eq!(run(settings, Some(Event::delete()), false).unwrap(), deleted, "{settings:?}");
        assert_eq!(run(settings, None, false).unwrap(), tombstone, "{settings:?}");
    }
}

#[test]
fn a_null_value_keeps_the_rows_schema() {
    let settings = [("delete.tombstone.handling.mode", "tombstone")];
    let written = run(&settings, Some(Event::delete()), true).unwrap();
    assert!(
        written
            .ends_with(r#""optional":true,"name":"cdc.commerce.products.Value"},"payload":null}"#),
        "{written}"
    );
}

#[test]
fn additions_stand_where_the_generation_puts_them() {
    let add = ("add.fields", "op, source.ts_ms");
    for (mode, tail) in [
        (
            ("delete.handling.mode", "rewrite"),
            r#","__op":"d","__source_ts_ms":1714640000000,"__deleted":"true"}"#,
        ),
        (
            ("delete.tombstone.handling.mode", "rewrite"),
            r#","__deleted":"true","__op":"d","__source_ts_ms":1714640000000}"#,
        ),
    ] {
        let written = run(&[mode, add], Some(Event::delete()), false).unwrap();
        assert!(written.ends_with(tail), "{written}");
        assert!(is_planned(&[mode, add], Some(Event::delete())));
        let schema = run(&[mode, add], Some(Event::delete()), true).unwrap();
        assert!(schema.contains(r#"{"type":"string","optional":true,"field":"__op"}"#));
        assert!(schema.contains(r#"{"type":"int64","optional":true,"field":"__source_ts_ms"}"#));
    }
}

#[test]
fn metadata_is_found_by_its_short_name() {
    for (list, expected) in [
        ("op,table,lsn,ts_ms", r#","__op":"c","__table":"products","__lsn":42,"__ts_ms":7}"#),
        ("source.ts_ms:TS", r#","__TS":1714640000000}"#),
        ("transaction.id,id:tx", r#","__transaction_id":null,"__tx":null}"#),
        ("nothing,source.nothing", r#""updated_at":"2024-05-01T10:00:00.000000Z"}"#),
        ("snapshot", r#","__snapshot":"false"}"#),
    ] {
        let written = run(&[("add.fields", list)], Some(Event::create()), false).unwrap();
        assert!(written.ends_with(expected), "{written}");
    }
    let settings = [("add.fields", "op"), ("add.fields.prefix", "")];
    assert!(run(&settings, Some(Event::create()), false).unwrap().ends_with(r#","op":"c"}"#));
}

#[test]
fn metadata_that_cannot_be_added_is_named() {
    for (list, expected) in [
        ("a:b:c", "Unexpected field name: a:b:c"),
        ("op,op", "Cannot create field because of field name duplication __op"),
        (
            "nowhere.x",
            "metadata nowhere.x is to be added, but cdc.commerce.products.Envelope has no struct \
             nowhere",
        ),
    ] {
        let error = run(&[("add.fields", list)], Some(Event::create()), false).unwrap_err();
        assert_eq!(error, expected);
    }
    assert_eq!(
        run(&[("delete.tombstone.handling.mode", "zzz")], None, false).unwrap_err(),
        "Invalid value zzz for configuration delete.tombstone.handling.mode: The \
         'delete.tombstone.handling.mode' value 'zzz' is invalid: Value must be one of drop, \
         tombstone, rewrite-with-tombstone, rewrite, delete-to-tombstone"
    );
}

#[test]
fn a_rebuilt_row_has_defaults_for_nulls_unless_switched_off() {
    let after = Some(vec![Cell::I64(1), Cell::Null]);
    let event = Event { row: with_default_column(), after, ..Event::truncate() };
    let rewrite = ("delete.handling.mode", "rewrite");
    for (settings, expected) in [
        (&[rewrite][..], r#"{"id":1,"kind":"n/a","__deleted":"false"}"#),
        (
            &[rewrite, ("replace.null.with.default", "false")],
            r#"{"id":1,"kind":null,"__deleted":"false"}"#,
        ),
        (&[], r#"{"id":1,"kind":null}"#),
    ] {
        assert_eq!(run(settings, Some(event.clone()), false).unwrap(), expected);
        assert!(is_planned(settings, Some(event.clone())));
    }
}

fn record(event: &Event) -> Record {
    let (plan, mut batch) = planned(Some(event));
    let index = batch.plan_index(&plan);
    plan.materialize(&batch.view(index, 0)).unwrap()
}

#[test]
fn a_column_can_name_the_topic() {
    let settings = [("route.by.field", "name"), ("delete.handling.mode", "rewrite")];
    let routed = |event: &Event| {
        let mut record = record(event);
        smt(&settings).unwrap().apply(&mut record).unwrap();
        record.topic.to_string()
    };
    assert_eq!(routed(&Event::create()), "Widget");
    assert_eq!(routed(&Event::delete()), "cdc.commerce.products");
    let blank = Event::products("u", Image::After, Some((" ", 0, "")));
    assert_eq!(routed(&blank), "cdc.commerce.products");
    assert!(!is_planned(&settings, Some(Event::create())));
    for (field, expected) in
        [("id", "Field 'id' is not of type STRING"), ("zz", "zz is not a valid field name")]
    {
        let error = run(&[("route.by.field", field)], Some(Event::create()), false).unwrap_err();
        assert_eq!(error, expected);
    }
}

#[test]
fn headers_are_appended() {
    let settings = [
        ("add.headers", "op,source.lsn:LSN,nothing"),
        ("delete.tombstone.handling.mode", "rewrite-with-tombstone"),
    ];
    let headers = |mut record: Record| {
        smt(&settings).unwrap().apply(&mut record).unwrap();
        let header = |header: Header| (header.key, header.value);
        record.headers.into_iter().map(header).collect::<Vec<_>>()
    };
    let mut created = record(&Event::create());
    let own = Header { key: "own".into(), schema: None, value: Value::Null };
    created.headers.push(own);
    assert_eq!(
        headers(created),
        [
            ("own".to_owned(), Value::Null),
            ("__op".to_owned(), Value::string("c")),
            ("__LSN".to_owned(), Value::Int64(42)),
        ]
    );
    let tombstone = Record { value: SchemaAndValue::NULL, ..record(&Event::delete()) };
    assert_eq!(headers(tombstone), [("__op".to_owned(), Value::string("d"))]);
    assert!(!is_planned(&settings, Some(Event::create())));
}

#[test]
fn listed_columns_are_left_out() {
    let drop = ("drop.fields.header.name", "unchanged");
    let any = ("drop.fields.keep.schema.compatible", "false");
    let key = ("drop.fields.from.key", "true");
    let columns = Value::Array(vec![Value::string("id"), Value::string("name")]);
    let row =
        r#"{"id":1,"name":"Widget","price":"B88=","updated_at":"2024-05-01T10:00:00.000000Z"}"#;
    let compatible = r#"{"id":1,"price":"B88=","updated_at":"2024-05-01T10:00:00.000000Z"}"#;
    let short = r#"{"price":"B88=","updated_at":"2024-05-01T10:00:00.000000Z"}"#;
    for (settings, columns, expected_key, expected) in [
        (&[drop][..], columns.clone(), r#"{"id":1}"#, compatible),
        (&[drop, any], columns.clone(), r#"{"id":1}"#, short),
        (&[drop, any, key], columns, "{}", short),
        (&[drop, any, key], Value::Null, r#"{"id":1}"#, row),
    ] {
        let mut record = record(&Event::create());
        record.headers.push(Header { key: "unchanged".into(), schema: None, value: columns });
        smt(settings).unwrap().apply(&mut record).unwrap();
        assert_eq!(json(&record.key, false).unwrap(), expected_key);
        assert_eq!(json(&record.value, false).unwrap(), expected);
    }
}

#[test]
fn what_is_no_change_event_passes() {
    let other = SchemaBuilder::structure().name("io.debezium.connector.common.Heartbeat").build();
    let other = Value::Struct(Box::new(Struct::new(other, vec![])));
    for value in [
        SchemaAndValue {
            schema: other.as_struct().map(|value| value.schema().clone()),
            value: other,
        },
        SchemaAndValue { schema: None, value: Value::Map(vec![]) },
        SchemaAndValue { schema: None, value: Value::string("text") },
    ] {
        let mut record = Record { value, ..record(&Event::create()) };
        let untouched = record.clone();
        let settings = [("add.headers", "op")];
        assert_eq!(smt(&settings).unwrap().apply(&mut record).unwrap(), Keep::Record);
        assert_eq!(record, untouched);
    }
}

#[test]
fn schemas_are_made_once() {
    let mut smt = smt(&USERS_FILE).unwrap();
    let mut first = record(&Event::create());
    let mut second = first.clone();
    smt.apply(&mut first).unwrap();
    smt.apply(&mut second).unwrap();
    let (first, second) = (first.value.schema.unwrap(), second.value.schema.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
}

proptest! {
    #[test]
    fn any_settings_and_rows_come_out_the_same_on_both_paths(
        chosen in prop::sample::subsequence(vec![
            ("drop.tombstones", "false"),
            ("delete.handling.mode", "rewrite"),
            ("delete.tombstone.handling.mode", "rewrite-with-tombstone"),
            ("add.fields", "op,source.ts_ms,snapshot,transaction.id,lsn:LSN"),
            ("add.fields.prefix", "_"),
            ("add.headers", "op"),
            ("route.by.field", "name"),
            ("replace.null.with.default", "false"),
            ("drop.fields.header.name", "none"),
        ], 0..9),
        row in prop::option::of(("\\PC{0,12}", any::<i64>(), "[a-z\"\\\\]{0,8}")),
        kind in 0..4,
        default_column: bool,
        schemas: bool,
    ) {
        let image = if kind == 1 { Image::Before } else { Image::After };
        let row = row.as_ref().map(|(name, cents, at)| (name.as_str(), *cents, at.as_str()));
        let mut event = Event::products("u", image, row);
        if default_column {
            let cells = Some(vec![Cell::I64(1), Cell::Null]);
            let (before, after) = if kind == 1 { (cells, None) } else { (None, cells) };
            event = Event { row: with_default_column(), before, after, ..event };
        }
        let event = match kind {
            2 => Some(Event::truncate()),
            3 => Event::tombstone(),
            _ => Some(event),
        };
        // Disagreement fails inside; an error is one on both paths.
        let _outcome = run(&chosen, event, schemas);
    }
}
