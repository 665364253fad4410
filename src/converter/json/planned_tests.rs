//! Both paths give the same: any schema, any row, in both directions.

use bytes::Bytes;
use num_bigint::BigInt;
use proptest::prelude::*;

use super::tests::converter;
use super::*;
use crate::data::{
    Cell, Decimal, Node as PlanNode, Row, SchemaBuilder, Struct, Type, Value, logical,
};

fn leaf_schema() -> impl Strategy<Value = SchemaBuilder> {
    let named = |ty, name: &str| SchemaBuilder::new(ty).name(name).version(1);
    prop_oneof![
        prop::sample::select(vec![
            Type::Boolean,
            Type::Int8,
            Type::Int16,
            Type::Int32,
            Type::Int64,
            Type::Float32,
            Type::Float64,
            Type::String,
            Type::Bytes,
        ])
        .prop_map(SchemaBuilder::new),
        (-3..6).prop_map(SchemaBuilder::decimal),
        Just(named(Type::Int32, logical::DATE)),
        Just(named(Type::Int32, logical::TIME)),
        Just(named(Type::Int64, logical::TIMESTAMP)),
        Just(named(Type::String, "io.debezium.time.ZonedTimestamp")),
    ]
}

/// Optional or not, with or without a default.
fn dressed(builder: SchemaBuilder) -> BoxedStrategy<Arc<Schema>> {
    let required = builder.clone().build();
    (any::<bool>(), prop::option::weighted(0.2, value_of(&required)))
        .prop_map(move |(optional, default)| {
            let mut builder = builder.clone().with_optional(optional);
            if let Some(default) = default {
                builder = builder.default_value(default);
            }
            builder.build()
        })
        .boxed()
}

fn any_schema() -> impl Strategy<Value = Arc<Schema>> {
    let leaf = leaf_schema().prop_flat_map(dressed);
    leaf.prop_recursive(3, 24, 6, |inner| {
        let names = prop::collection::btree_set("[a-c\"é😀_]{1,3}", 0..6);
        let fields = (names, prop::collection::vec(inner.clone(), 6));
        prop_oneof![
            3 => (fields, any::<bool>()).prop_map(|((names, schemas), optional)| {
                let mut builder = SchemaBuilder::structure().with_optional(optional);
                for (name, schema) in names.into_iter().zip(schemas) {
                    builder = builder.field(name, schema);
                }
                builder.build()
            }),
            1 => inner.clone().prop_map(|items| SchemaBuilder::array(items).optional().build()),
            1 => (inner, any::<bool>()).prop_map(|(values, by_text)| {
                let ty = if by_text { Type::String } else { Type::Int16 };
                SchemaBuilder::map(SchemaBuilder::new(ty).build(), values).build()
            }),
        ]
    })
}

/// Values as they come out of reading: nulls of fields with defaults are the defaults.
fn value_of(schema: &Arc<Schema>) -> BoxedStrategy<Value> {
    let present = present_value_of(schema);
    match schema.default_value() {
        None if schema.is_optional() => prop_oneof![1 => Just(Value::Null), 3 => present].boxed(),
        _ => present,
    }
}

fn present_value_of(schema: &Arc<Schema>) -> BoxedStrategy<Value> {
    match (schema.ty(), schema.name()) {
        (_, Some(logical::DECIMAL)) => {
            let scale = schema.parameter(logical::SCALE).unwrap().parse().unwrap();
            let bytes = prop::collection::vec(any::<u8>(), 0..12);
            bytes
                .prop_map(move |bytes| {
                    let unscaled = BigInt::from_signed_bytes_be(&bytes);
                    Value::Decimal(Decimal { unscaled, scale })
                })
                .boxed()
        }
        (_, Some(logical::DATE)) => any::<i32>().prop_map(Value::Date).boxed(),
        (_, Some(logical::TIME)) => (0..=86_400_000).prop_map(Value::Time).boxed(),
        (_, Some(logical::TIMESTAMP)) => any::<i64>().prop_map(Value::Timestamp).boxed(),
        (Type::Boolean, _) => any::<bool>().prop_map(Value::Boolean).boxed(),
        (Type::Int8, _) => any::<i8>().prop_map(Value::Int8).boxed(),
        (Type::Int16, _) => any::<i16>().prop_map(Value::Int16).boxed(),
        (Type::Int32, _) => any::<i32>().prop_map(Value::Int32).boxed(),
        (Type::Int64, _) => any::<i64>().prop_map(Value::Int64).boxed(),
        (Type::Float32, _) => {
            prop_oneof![any::<f32>(), Just(f32::INFINITY)].prop_map(Value::Float32).boxed()
        }
        (Type::Float64, _) => {
            prop_oneof![any::<f64>(), Just(f64::NEG_INFINITY)].prop_map(Value::Float64).boxed()
        }
        (Type::String, _) => {
            let text = prop_oneof![any::<String>(), "[ -~]{0,40}", "[\"\\\\\n\u{1}é]{0,6}"];
            text.prop_map(Value::string).boxed()
        }
        (Type::Bytes, _) => {
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|b| Value::Bytes(b.into())).boxed()
        }
        (Type::Array, _) => {
            let items = prop::collection::vec(value_of(schema.value_schema().unwrap()), 0..3);
            items.prop_map(Value::Array).boxed()
        }
        (Type::Map, _) => {
            let values = prop::collection::vec(value_of(schema.value_schema().unwrap()), 0..3);
            let by_text = schema.key_schema().unwrap().ty() == Type::String;
            let key = move |index: usize| match by_text {
                true => Value::string(format!("k{index}")),
                false => Value::Int16(i16::try_from(index).unwrap()),
            };
            values
                .prop_map(move |values| {
                    let entries = values.into_iter().enumerate();
                    Value::Map(entries.map(|(index, value)| (key(index), value)).collect())
                })
                .boxed()
        }
        (Type::Struct, _) => {
            let fields: Vec<_> = schema.fields().iter().map(|f| value_of(&f.schema)).collect();
            let schema = schema.clone();
            let whole = move |values| Value::Struct(Box::new(Struct::new(schema.clone(), values)));
            fields.prop_map(whole).boxed()
        }
    }
}

fn schema_and_value() -> impl Strategy<Value = (Arc<Schema>, Value)> {
    any_schema().prop_flat_map(|schema| {
        let value = value_of(&schema);
        (Just(schema), value)
    })
}

/// Lays a value out as a planned row, by the rolls of a die.
#[derive(Default)]
struct Layout {
    batch: RecordBatch,
    wire: Vec<u8>,
    rolls: Vec<u8>,
    cell_count: usize,
}

impl Layout {
    fn roll(&mut self) -> u8 {
        self.rolls.pop().unwrap_or(0)
    }

    fn push(&mut self, cell: Cell) -> usize {
        self.batch.cells.push(cell);
        self.cell_count += 1;
        self.cell_count - 1
    }

    fn node(&mut self, schema: &Arc<Schema>, value: &Value) -> PlanNode {
        match (self.roll() % 6, value) {
            (1, value) => PlanNode::Const(value.clone()),
            (2, value) => {
                let index = self.push(Cell::Unchanged);
                PlanNode::Cell { index, unchanged: value.clone(), null: Value::Null }
            }
            (3, value) => {
                let index = self.push(Cell::Null);
                PlanNode::Cell { index, unchanged: Value::Null, null: value.clone() }
            }
            (_, Value::Struct(value)) => {
                let present = self.roll() < 128;
                let presence = present.then(|| self.push(Cell::I64(1)));
                let fields = schema.fields().iter().zip(value.values());
                let fields = fields.map(|(field, value)| self.node(&field.schema, value));
                PlanNode::Struct { presence, fields: fields.collect() }
            }
            (_, Value::Null) if schema.ty() == Type::Struct => {
                let presence = Some(self.push(Cell::Null));
                let null = |_| PlanNode::cell(self.push(Cell::Null));
                PlanNode::Struct { presence, fields: schema.fields().iter().map(null).collect() }
            }
            (roll, value) => {
                let cell = self.cell(value, roll == 4);
                PlanNode::cell(self.push(cell))
            }
        }
    }

    fn cell(&mut self, value: &Value, scratch: bool) -> Cell {
        let bytes = match value {
            Value::Null => return Cell::Null,
            Value::Boolean(value) => return Cell::I64((*value).into()),
            Value::Float32(number) => return Cell::F64((*number).into()),
            Value::Float64(number) => return Cell::F64(*number),
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Bytes(bytes) => bytes.to_vec(),
            Value::Decimal(decimal) => decimal.unscaled.to_signed_bytes_be(),
            other => match other.as_i64() {
                Some(number) => return Cell::I64(number),
                None => return self.batch.push_tree(other.clone()),
            },
        };
        if scratch {
            return self.batch.push_scratch(&bytes);
        }
        let off = u32::try_from(self.wire.len()).unwrap();
        self.wire.extend_from_slice(&bytes);
        Cell::Wire { off, len: u32::try_from(bytes.len()).unwrap() }
    }
}

fn plan_of(schema: &Arc<Schema>, node: PlanNode, cell_count: usize) -> Arc<RowPlan> {
    let value = Some(PlannedValue { schema: Some(schema.clone()), node });
    Arc::new(RowPlan { topic: "t".into(), key: None, value, cell_count, headers: [].into() })
}

fn settings(schemas: bool, numeric: bool) -> [(&'static str, &'static str); 2] {
    [
        ("schemas.enable", if schemas { "true" } else { "false" }),
        ("decimal.format", if numeric { "NUMERIC" } else { "BASE64" }),
    ]
}

/// Reads on both paths; `None` when the planned one leaves it to the general one.
fn read_both(
    converter: &mut JsonConverter,
    message: &[u8],
) -> (Result<SchemaAndValue, DataError>, Option<SchemaAndValue>) {
    let general = converter.to_connect_data("t", Some(message));
    // A neighbour on either side: a message must not be read past its end.
    let wire = [b"{\"schema\":", message, b",\"payload\":1}"].concat();
    let mut batch = RecordBatch { wire: Bytes::from(wire), ..RecordBatch::default() };
    let plan = converter.decode_cells("t", 10, message.len(), &mut batch).unwrap();
    let planned = plan.map(|plan| {
        assert_eq!(batch.cells.len(), plan.cell_count);
        let index = batch.plan_index(&plan);
        plan.materialize(&batch.view(index, 0)).unwrap().value
    });
    if planned.is_none() {
        assert!(batch.cells.is_empty() && batch.scratch.is_empty() && batch.trees.is_empty());
    }
    (general, planned)
}

/// NaN equals itself here.
fn same(left: &SchemaAndValue, right: &SchemaAndValue) -> bool {
    left == right || format!("{left:?}") == format!("{right:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_paths_write_and_read_the_same(
        (schema, value) in schema_and_value(),
        rolls: Vec<u8>,
        schemas: bool,
        numeric: bool,
    ) {
        let mut layout = Layout { rolls, ..Layout::default() };
        let node = layout.node(&schema, &value);
        let plan = plan_of(&schema, node, layout.cell_count);
        let mut batch = layout.batch;
        batch.wire = layout.wire.into();
        let index = batch.plan_index(&plan);
        batch.rows.push(Row::Planned { plan: index, first_cell: 0 });
        let row = batch.view(index, 0);

        let mut converter = converter(&settings(schemas, numeric));
        let mut planned = Vec::new();
        let encoder = converter.encoder("t", plan.value.as_ref().unwrap()).unwrap();
        encoder.write(&row, &mut planned).unwrap();
        let tree = plan.materialize(&row).unwrap().value;
        let mut general = Vec::new();
        converter.from_connect_data("t", &tree, &mut general).unwrap();
        prop_assert_eq!(String::from_utf8(planned).unwrap(), String::from_utf8(general.clone()).unwrap());

        if schemas {
            let (general, planned) = read_both(&mut converter, &general);
            let (general, planned) = (general.unwrap(), planned.expect("our own form is planned"));
            prop_assert!(same(&general, &planned), "{general:?}\n{planned:?}");
            let written = SchemaAndValue { schema: Some(schema), value };
            prop_assert!(numeric || same(&general, &written), "{general:?}\n{written:?}");
        }
    }

    #[test]
    fn a_payload_of_another_schema_reads_the_same_or_not_at_all(
        (schema, value) in schema_and_value(),
        (other, _) in schema_and_value(),
        cut in 0..40_usize,
        insert in "[ {}\\[\\],:\"a0n.-]{0,2}",
    ) {
        let mut converter = converter(&[]);
        let mut payload = Vec::new();
        write::push_value(&mut payload, Some(&schema), &value, converter.options).unwrap();
        let at = cut.min(payload.len());
        payload.splice(at..at, insert.into_bytes());
        for schema in [schema, other] {
            let text = converter.schema_text(&schema).unwrap();
            let message =
                [b"{\"schema\":", &*text, b",\"payload\":", payload.as_slice(), b"}"].concat();
            let (general, planned) = read_both(&mut converter, &message);
            match (general, planned) {
                (Ok(general), Some(planned)) => {
                    prop_assert!(same(&general, &planned), "{general:?}\n{planned:?}");
                }
                (Err(error), Some(planned)) => prop_assert!(false, "{error} but {planned:?}"),
                (_, None) => {}
            }
        }
    }
}

#[test]
fn members_may_come_in_any_order_and_be_left_out() {
    let schema = r#"{"type":"struct","fields":[{"type":"int32","field":"a"},{"type":"string","optional":true,"field":"b"},{"type":"int8","default":7,"field":"c"}]}"#;
    let mut converter = converter(&[]);
    for (payload, planned) in [
        (r#"{"a":1,"b":"x","c":2}"#, true),
        (r#"{"b":"x\n","c":2,"a":1}"#, true),
        (r#" { "c" : null , "z" : [ {} ] , "a" : 1 } "#, true),
        (r#"{"a":1}"#, true),
        (r#"{"\u0061":1}"#, true),
        (r#"{"a":1.9,"b":5}"#, true),
        (r#"{"a":1,"a":2}"#, false),
        (r#"{"b":"x"}"#, false),
        (r#"{"a" 1}"#, false),
        (r#"{"a":1},"x":2"#, false),
        ("null", false),
    ] {
        let message = format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
        let (general, cells) = read_both(&mut converter, message.as_bytes());
        assert_eq!(cells.is_some(), planned, "{payload}");
        if let Some(cells) = cells {
            assert_eq!(general.unwrap(), cells, "{payload}");
        }
    }
}

#[test]
fn a_shape_is_the_same_for_all_messages_of_a_schema() {
    let mut converter = converter(&[("schemas.cache.size", "2")]);
    let mut decode = |topic: &str, ty: &str| {
        let message = format!(r#"{{"schema":{{"type":"{ty}"}},"payload":1}}"#);
        let mut batch = RecordBatch { wire: message.clone().into(), ..RecordBatch::default() };
        converter.decode_cells(topic, 0, message.len(), &mut batch).unwrap().unwrap()
    };
    let first = decode("a", "int32");
    assert!(!Arc::ptr_eq(&first, &decode("b", "int32")));
    assert!(Arc::ptr_eq(&first, &decode("a", "int32")));
    decode("a", "int64");
    let again = decode("a", "int32");
    assert!(!Arc::ptr_eq(&first, &again), "the cache is bounded");
    assert_eq!(first, again);
}

#[test]
fn other_forms_are_left_to_the_general_path() {
    let mut converter = converter(&[]);
    for message in [
        "",
        "1",
        "{}",
        r#"{"schema":null,"payload":1}"#,
        r#"{"payload":1,"schema":{"type":"int8"}}"#,
        r#"{"schema":{"type":"int8"},"payload":1,"x":2}"#,
        r#"{"schema":{"type":"int8"},"payload":"#,
        r#"{"schema":{"type":"none"},"payload":1}"#,
    ] {
        assert!(read_both(&mut converter, message.as_bytes()).1.is_none(), "{message}");
    }
}
