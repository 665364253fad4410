//! Properties: both paths agree, the crate for Avro agrees, and no bytes panic.

use proptest::prelude::*;

use super::*;

/// A schema and a value of it.
fn typed() -> impl Strategy<Value = (Arc<Schema>, Value)> {
    let leaf = leaf().boxed();
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|members| {
                let mut builder = SchemaBuilder::structure();
                let mut values = Vec::new();
                for (index, (schema, value)) in members.into_iter().enumerate() {
                    builder = builder.field(format!("f{index}"), schema);
                    values.push(value);
                }
                let schema = builder.build();
                let value = structure(&schema, values);
                (schema, value)
            }),
            (inner.clone(), 0..3usize).prop_map(|((schema, value), count)| {
                (SchemaBuilder::array(schema).build(), Value::Array(vec![value; count]))
            }),
            (inner.clone(), "[a-z]{1,4}").prop_map(|((schema, value), key)| {
                let schema = SchemaBuilder::map(of(Type::String), schema).build();
                (schema, Value::Map(vec![(Value::string(key), value)]))
            }),
            (inner, any::<i16>()).prop_map(|((schema, value), key)| {
                let schema = SchemaBuilder::map(of(Type::Int16), schema).build();
                (schema, Value::Map(vec![(Value::Int16(key), value)]))
            }),
        ]
    })
}

fn leaf() -> impl Strategy<Value = (Arc<Schema>, Value)> {
    let logical_of = |ty, name: &'static str| SchemaBuilder::new(ty).name(name).version(1).build();
    let scalar = prop_oneof![
        any::<bool>().prop_map(|value| (of(Type::Boolean), Value::Boolean(value))),
        any::<i8>().prop_map(|value| (of(Type::Int8), Value::Int8(value))),
        any::<i16>().prop_map(|value| (of(Type::Int16), Value::Int16(value))),
        any::<i32>().prop_map(|value| (of(Type::Int32), Value::Int32(value))),
        any::<i64>().prop_map(|value| (of(Type::Int64), Value::Int64(value))),
        (-1e30f32..1e30).prop_map(|value| (of(Type::Float32), Value::Float32(value))),
        (-1e300f64..1e300).prop_map(|value| (of(Type::Float64), Value::Float64(value))),
        ".{0,8}".prop_map(|text| (of(Type::String), Value::string(text))),
        prop::collection::vec(any::<u8>(), 0..8)
            .prop_map(|bytes| (of(Type::Bytes), Value::Bytes(bytes.into()))),
        (any::<i128>(), 0..5i32).prop_map(|(number, scale)| {
            let value = Value::Decimal(Decimal { unscaled: number.into(), scale });
            (SchemaBuilder::decimal(scale).build(), value)
        }),
        any::<i32>()
            .prop_map(move |days| { (logical_of(Type::Int32, logical::DATE), Value::Date(days)) }),
        (0..86_400_000i32).prop_map(move |millis| {
            (logical_of(Type::Int32, logical::TIME), Value::Time(millis))
        }),
        any::<i64>().prop_map(move |millis| {
            (logical_of(Type::Int64, logical::TIMESTAMP), Value::Timestamp(millis))
        }),
    ];
    (scalar, 0..3u8).prop_map(|((schema, value), null)| match null {
        0 => (schema, value),
        1 => (schema.to_builder().optional().build(), value),
        _ => (schema.to_builder().optional().build(), Value::Null),
    })
}

/// A record around a value: what rows are.
fn row() -> impl Strategy<Value = (Arc<Schema>, Value)> {
    prop::collection::vec(typed(), 1..5).prop_map(|members| {
        let mut builder = SchemaBuilder::structure().name("t.Row");
        let mut values = Vec::new();
        for (index, (schema, value)) in members.into_iter().enumerate() {
            builder = builder.field(format!("c{index}"), schema);
            values.push(value);
        }
        let schema = builder.build();
        let value = structure(&schema, values);
        (schema, value)
    })
}

/// Equal but for what Avro does not keep: the struct schemas' pointers and unnamed versions.
#[track_caller]
fn assert_reads_back(value: &Value, text: &str, bytes: &[u8]) {
    let format = AvroFormat { options: DEFAULTS };
    let reader = format.reader(&resolved(text), None).unwrap();
    let read = format.read(&reader, bytes).unwrap();
    assert_eq!(
        format!("{:?}", without_schemas(&read.value)),
        format!("{:?}", without_schemas(value))
    );

    // The same bytes as cells, and the cells as bytes.
    let Some(plan) = format.plan(&reader, "t").map(Arc::new) else { panic!("a row has a plan") };
    let mut batch = RecordBatch { wire: Bytes::copy_from_slice(bytes), ..RecordBatch::default() };
    let index = batch.plan_index(&plan);
    batch.start_row(index);
    format.read_cells(&reader, 0, bytes.len(), &mut batch).unwrap();
    assert_eq!(batch.cells.len(), plan.cell_count);
    let view = batch.view(index, 0);
    assert_eq!(plan.materialize(&view).unwrap().value, read);
    let schema = read.schema.as_ref();
    let own = format.describe(schema).unwrap().schema.text;
    let writer = format.writer(schema, &resolved(&own), true).unwrap();
    let planned = plan.value.as_ref().unwrap();
    let encoder = format.encoder(&writer, planned, b"").unwrap();
    let mut out = Vec::new();
    encoder.write(&view, &mut out).unwrap();
    assert_eq!(out, bytes);
}

fn without_schemas(value: &Value) -> Value {
    match value {
        Value::Struct(row) => Value::Array(row.values().iter().map(without_schemas).collect()),
        Value::Array(items) => Value::Array(items.iter().map(without_schemas).collect()),
        Value::Map(entries) => Value::Map(
            entries.iter().map(|(key, value)| (key.clone(), without_schemas(value))).collect(),
        ),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rows_come_back_on_both_paths_and_the_crate_reads_them((schema, value) in row()) {
        let text = text_of(&schema, DEFAULTS).unwrap();
        let bytes = bytes_of(Some(&schema), &value, DEFAULTS).unwrap();
        assert_reads_back(&value, &text, &bytes);
        let foreign = apache_avro::Schema::parse_str(&text).unwrap();
        let mut input = bytes.as_slice();
        apache_avro::from_avro_datum(&foreign, &mut input, None).unwrap();
        prop_assert!(input.is_empty());
    }

    #[test]
    fn no_bytes_panic(
        (schema, value) in row(),
        noise in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = text_of(&schema, DEFAULTS).unwrap();
        let format = AvroFormat { options: DEFAULTS };
        let reader = format.reader(&resolved(&text), None).unwrap();
        let mut mutated = bytes_of(Some(&schema), &value, DEFAULTS).unwrap();
        if !mutated.is_empty() {
            let at = at.index(mutated.len());
            mutated[at] = byte;
            mutated.truncate(1 + cut.index(mutated.len()));
        }
        for bytes in [noise, mutated] {
            let tree = format.read(&reader, &bytes);
            let mut batch =
                RecordBatch { wire: Bytes::from(bytes.clone()), ..RecordBatch::default() };
            let cells = format.read_cells(&reader, 0, bytes.len(), &mut batch);
            // Both paths judge alike.
            prop_assert_eq!(tree.map(drop), cells.map(drop));
        }
    }

    #[test]
    fn no_schema_text_panics(text in "[\\[\\]{}\",:a-z ]{0,40}") {
        let _ = AvroFormat { options: DEFAULTS }.reader(&resolved(&text), None);
    }
}
