//! Schemas and bytes as the original has them; the crate's dynamic messages read what we write.

use bytes::Bytes;
use expect_test::expect;
use proptest::prelude::*;
use prost_reflect::DynamicMessage;

use super::*;
use crate::converter::registry::Reference;
use crate::data::{Decimal, SchemaBuilder, Struct, logical};

const DEFAULTS: ProtobufOptions = ProtobufOptions {
    generalized_sum_type_support: false,
    ignore_default_for_nullables: false,
    enhanced_schema_support: false,
    scrub_invalid_names: false,
    int_for_enums: false,
    optional_for_nullables: false,
    optional_for_proto2: true,
    wrapper_for_nullables: false,
    wrapper_for_raw_primitives: true,
    index_for_unions: true,
    flatten_unions: false,
};

fn of(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).build()
}

fn optional(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

fn structure(schema: &Arc<Schema>, values: Vec<Value>) -> Value {
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

fn resolved(text: &str) -> Resolved {
    let schema =
        SchemaText { ty: "PROTOBUF".to_owned(), text: text.to_owned(), references: Vec::new() };
    Resolved { schema, references: Vec::new() }
}

fn write(
    schema: &Arc<Schema>,
    value: &Value,
    options: ProtobufOptions,
) -> Result<(String, Vec<u8>), String> {
    let format = ProtobufFormat { options };
    let write = || {
        let text = format.describe(Some(schema))?.schema.text;
        let writer = format.writer(Some(schema), &resolved(&text), true)?;
        let mut out = Vec::new();
        format.write(&writer, Some(schema), value, &mut out)?;
        Ok((text, out))
    };
    write().map_err(|error: DataError| error.0)
}

fn read(text: &str, bytes: &[u8], options: ProtobufOptions) -> Result<SchemaAndValue, String> {
    let format = ProtobufFormat { options };
    let reader = format.reader(&resolved(text), None).map_err(|error| error.0)?;
    format.read(&reader, bytes).map_err(|error| error.0)
}

fn products() -> (Arc<Schema>, Value) {
    let price = SchemaBuilder::decimal(2).parameter("connect.decimal.precision", "10").optional();
    let point = SchemaBuilder::structure().name("geo.Point").field("x", of(Type::Float64)).build();
    let schema = SchemaBuilder::structure()
        .name("cdc.commerce.products.Value")
        .field("id", of(Type::Int32))
        .field("name", optional(Type::String))
        .field("price", price.build())
        .field("small", of(Type::Int8))
        .field("at", SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1).build())
        .field("tags", SchemaBuilder::array(of(Type::Int64)).build())
        .field("attrs", SchemaBuilder::map(of(Type::String), of(Type::Int32)).name("Attrs").build())
        .field("where", point.clone())
        .build();
    let value = structure(
        &schema,
        vec![
            Value::Int32(1),
            Value::string("Widget"),
            Value::Decimal(Decimal { unscaled: 1999.into(), scale: 2 }),
            Value::Int8(-1),
            Value::Timestamp(-1),
            Value::Array(vec![Value::Int64(1), Value::Int64(300)]),
            Value::Map(vec![(Value::string("k"), Value::Int32(7))]),
            structure(&point, vec![Value::Float64(0.5)]),
        ],
    );
    (schema, value)
}

#[test]
fn a_row_has_the_originals_schema_and_others_read_it() {
    let (schema, value) = products();
    let (text, bytes) = write(&schema, &value, DEFAULTS).unwrap();
    expect![[r#"
        syntax = "proto3";
        package cdc.commerce.products;

        import "confluent/meta.proto";
        import "confluent/type/decimal.proto";
        import "google/protobuf/timestamp.proto";

        message Value {
          int32 id = 1;
          string name = 2;
          .confluent.type.Decimal price = 3 [(confluent.field_meta) = {
            params: [
              {
                key: "precision",
                value: "10"
              },
              {
                key: "scale",
                value: "2"
              }
            ]
          }];
          int32 small = 4 [(confluent.field_meta) = {
            params: [
              {
                key: "connect.type",
                value: "int8"
              }
            ]
          }];
          .google.protobuf.Timestamp at = 5;
          repeated int64 tags = 6;
          repeated AttrsEntry attrs = 7;
          Point where = 8;

          message AttrsEntry {
            string key = 1;
            int32 value = 2;
          }
          message Point {
            double x = 1;
          }
        }
    "#]]
    .assert_eq(&text);
    assert_eq!(bytes[0], 0, "the first message of the file");
    let pool = descriptor::compile(&resolved(&text)).unwrap();
    let (message, _) = descriptor::by_name(&pool, Some("cdc.commerce.products.Value")).unwrap();
    let dynamic = DynamicMessage::decode(message, &bytes[1..]).unwrap();
    let field = |name: &str| dynamic.get_field_by_name(name).unwrap().into_owned();
    assert_eq!(field("id").as_i32(), Some(1));
    assert_eq!(field("name").as_str(), Some("Widget"));
    assert_eq!(field("small").as_i32(), Some(-1));
    assert_eq!(field("tags").as_list().unwrap().len(), 2);
    let price = field("price");
    let price = price.as_message().unwrap();
    assert_eq!(price.get_field_by_name("value").unwrap().as_bytes().unwrap().as_ref(), b"\x07\xcf");
    assert_eq!(price.get_field_by_name("precision").unwrap().as_u32(), Some(4));
    let at = field("at");
    let at = at.as_message().unwrap();
    assert_eq!(at.get_field_by_name("seconds").unwrap().as_i64(), Some(-1));
    assert_eq!(at.get_field_by_name("nanos").unwrap().as_i32(), Some(999_000_000));
}

#[test]
fn a_row_comes_back() {
    let (schema, value) = products();
    let (text, bytes) = write(&schema, &value, DEFAULTS).unwrap();
    let back = read(&text, &bytes, DEFAULTS).unwrap();
    let own = back.schema.unwrap();
    assert_eq!(own.name(), Some("Value"));
    let (_, name) = own.field("name").unwrap();
    assert!(name.schema.is_optional());
    assert_eq!(name.schema.parameter("io.confluent.connect.protobuf.Tag"), Some("2"));
    let Value::Struct(row) = back.value else { panic!("no struct") };
    let Value::Struct(sent) = value else { panic!("no struct") };
    assert_eq!(row.values()[..7], sent.values()[..7]);
    let Value::Struct(point) = &row.values()[7] else { panic!("no struct") };
    assert_eq!(point.values(), [Value::Float64(0.5)]);
}

#[test]
fn null_is_zero_unless_fields_are_optional_or_wrapped() {
    let schema = SchemaBuilder::structure()
        .name("t.R")
        .field("name", optional(Type::String))
        .field("n", optional(Type::Int32))
        .build();
    let nothing = structure(&schema, vec![Value::Null, Value::Null]);
    let zeros = structure(&schema, vec![Value::string(""), Value::Int32(0)]);
    let values = |options: ProtobufOptions, value: &Value| {
        let (text, bytes) = write(&schema, value, options).unwrap();
        let Value::Struct(row) = read(&text, &bytes, options).unwrap().value else {
            panic!("no struct")
        };
        row.into_values()
    };
    assert_eq!(values(DEFAULTS, &nothing), [Value::string(""), Value::Int32(0)]);
    for options in [
        ProtobufOptions { optional_for_nullables: true, ..DEFAULTS },
        ProtobufOptions { wrapper_for_nullables: true, ..DEFAULTS },
    ] {
        assert_eq!(values(options, &nothing), [Value::Null, Value::Null]);
        assert_eq!(values(options, &zeros), [Value::string(""), Value::Int32(0)]);
    }
}

#[test]
fn values_alone_are_wrapped() {
    let (text, bytes) = write(&of(Type::String), &Value::string("a"), DEFAULTS).unwrap();
    // One index: the eighth message of the file.
    assert_eq!(bytes, b"\x02\x0e\x0a\x01a");
    let back = read(&text, &bytes, DEFAULTS).unwrap();
    assert_eq!(back, SchemaAndValue { schema: Some(of(Type::String)), value: Value::string("a") });
    let (text, bytes) = write(&of(Type::Int32), &Value::Int32(0), DEFAULTS).unwrap();
    assert_eq!(read(&text, &bytes, DEFAULTS).unwrap().value, Value::Int32(0));
}

#[test]
fn others_schemas_are_read_and_written_again() {
    let text = r#"syntax = "proto3";
        package shop;
        import "parts.proto";
        message Other { string x = 1; }
        message Order {
          enum State { NEW = 0; PAID = 2; }
          State state = 1;
          oneof payment { string card = 2; Other other = 3; }
          shop.parts.Part part = 4;
          map<string, sint64> counts = 5;
          optional uint32 note = 6;
          repeated State history = 7;
        }"#;
    let mut schema = resolved(text);
    let part =
        resolved("syntax = \"proto3\"; package shop.parts; message Part { fixed32 no = 1; }");
    let name =
        |name: &str| Reference { name: name.to_owned(), subject: "s".to_owned(), version: 1 };
    schema.references.push((name("parts.proto"), part.schema));
    let format = ProtobufFormat { options: DEFAULTS };
    let reader = format.reader(&schema, Some(2)).unwrap();
    // The second message of the file.
    let bytes = b"\x02\x02\x08\x02\x1a\x03\x0a\x01y\x22\x05\x0d\x07\0\0\0\x2a\x05\x0a\x01k\x10\x01\x3a\x02\x00\x02";
    let found = format.read(&reader, bytes).unwrap();
    let schema = found.schema.unwrap();
    assert_eq!((schema.name(), schema.version()), (Some("Order"), Some(2)));
    let Value::Struct(row) = &found.value else { panic!("no struct") };
    assert_eq!(row.get("state"), Some(&Value::string("PAID")));
    assert_eq!(row.get("note"), Some(&Value::Null));
    assert_eq!(row.get("counts"), Some(&Value::Map(vec![(Value::string("k"), Value::Int64(-1))])));
    assert_eq!(
        row.get("history"),
        Some(&Value::Array(vec![Value::string("NEW"), Value::string("PAID")]))
    );
    let Some(Value::Struct(payment)) = row.get("payment_0") else { panic!("no oneof") };
    assert_eq!(payment.values()[0], Value::Null);
    let Value::Struct(other) = &payment.values()[1] else { panic!("no struct") };
    assert_eq!(other.get("x"), Some(&Value::string("y")));
}

#[test]
fn what_cannot_be_is_named() {
    let row =
        |name: &str| SchemaBuilder::structure().name("t.R").field(name, of(Type::Int32)).build();
    let value = |schema: &Arc<Schema>| structure(schema, vec![Value::Int32(1)]);
    let schema = row("a-b");
    let error = write(&schema, &value(&schema), DEFAULTS).unwrap_err();
    assert!(error.contains("\"a-b\" is not a valid identifier"), "{error}");
    let scrubbed = ProtobufOptions { scrub_invalid_names: true, ..DEFAULTS };
    assert!(write(&schema, &value(&schema), scrubbed).unwrap().0.contains("int32 a_b = 1;"));
    let text = "syntax = \"proto3\"; message R { R inner = 1; string s = 2; }";
    for (bytes, expected) in [
        (&b""[..], "invalid varint"),
        (b"\x04\x00\x00", "The schema has no message with indexes"),
        (b"\x00\x0a", "The message R contains itself"),
    ] {
        let error = read(text, bytes, DEFAULTS).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let text = "syntax = \"proto3\"; message R { string s = 2; }";
    for (bytes, expected) in [
        (&b"\x00\x12\x01\xff"[..], "text is not valid UTF-8"),
        (b"\x00\x12\x02a", "truncated: 2 bytes wanted and 1 left (field \"s\")"),
        (b"\x00\x10\x01", "wire type 0 where 2 is expected (field \"s\")"),
        (b"\x00\x07", "is no tag"),
    ] {
        let error = read(text, bytes, DEFAULTS).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let error = read("message {", b"\0", DEFAULTS).unwrap_err();
    assert!(error.starts_with("Cannot compile the Protobuf schema"), "{error}");
}

/// Names of schemas under options, from one file with an enumeration and a oneof.
#[test]
fn options_say_what_enumerations_and_oneofs_become() {
    let text = r#"syntax = "proto3";
        package shop;
        message Order {
          enum State { NEW = 0; PAID = 2; }
          State state = 1;
          oneof payment { string card = 2; uint32 cash = 3; }
        }"#;
    let bytes = b"\x00\x08\x02\x18\x07";
    let fields = |options: ProtobufOptions| {
        let found = read(text, bytes, options).unwrap();
        let schema = found.schema.unwrap();
        let names = schema.fields().iter().map(|field| {
            let own = field.schema.name().unwrap_or_default();
            format!("{}: {} {own}", field.name, field.schema.ty().name())
        });
        let names: Vec<_> = names.collect();
        (schema.name().unwrap_or_default().to_owned(), names, found.value)
    };
    let (name, names, value) = fields(DEFAULTS);
    assert_eq!(name, "Order");
    let union = "payment_0: STRUCT io.confluent.connect.protobuf.Union.payment";
    assert_eq!(names, [union, "state: STRING State"]);
    let row = value.as_struct().unwrap();
    assert_eq!(row.get("state"), Some(&Value::string("PAID")));
    let payment = row.get("payment_0").and_then(Value::as_struct).unwrap();
    assert_eq!(payment.values(), [Value::Null, Value::Int64(7)]);

    let (_, names, _) = fields(ProtobufOptions { index_for_unions: false, ..DEFAULTS });
    assert!(names[0].starts_with("payment: "), "{names:?}");
    let (name, names, _) = fields(ProtobufOptions { enhanced_schema_support: true, ..DEFAULTS });
    assert_eq!(name, "shop.Order");
    let union = "payment_0: STRUCT io.confluent.connect.protobuf.Union.shop.Order.payment";
    assert_eq!(names, [union, "state: STRING shop.Order.State"]);
    let (_, names, value) = fields(ProtobufOptions { int_for_enums: true, ..DEFAULTS });
    assert_eq!(names[1], "state: INT32 State");
    assert_eq!(value.as_struct().unwrap().get("state"), Some(&Value::Int32(2)));
    let (_, names, value) = fields(ProtobufOptions { flatten_unions: true, ..DEFAULTS });
    assert_eq!(names, ["card: STRING ", "cash: INT64 ", "state: STRING State"]);
    let expected = [Value::Null, Value::Int64(7), Value::string("PAID")];
    assert_eq!(value.as_struct().unwrap().values(), expected);
    let general = ProtobufOptions { generalized_sum_type_support: true, ..DEFAULTS };
    let (_, names, _) = fields(general);
    assert_eq!(names[0], "payment_0: STRUCT payment");
    let unknown = read(text, b"\x00\x08\x05", DEFAULTS).unwrap().value;
    let state = unknown.as_struct().unwrap().get("state").cloned();
    assert_eq!(state, Some(Value::string("UNKNOWN_ENUM_VALUE_State_5")));
}

/// What was read is written again under a schema of the same meaning.
#[test]
fn enumerations_and_oneofs_are_written_again() {
    let text = r#"syntax = "proto3";
        package shop;
        message Order {
          enum State { NEW = 0; PAID = 2; }
          State state = 1;
          oneof payment { string card = 2; uint32 cash = 3; }
        }"#;
    for options in [
        DEFAULTS,
        ProtobufOptions { enhanced_schema_support: true, ..DEFAULTS },
        ProtobufOptions { int_for_enums: true, ..DEFAULTS },
        ProtobufOptions { generalized_sum_type_support: true, ..DEFAULTS },
        ProtobufOptions { wrapper_for_nullables: true, ..DEFAULTS },
        ProtobufOptions { optional_for_nullables: true, ..DEFAULTS },
    ] {
        for bytes in [&b"\x00\x08\x02\x18\x07"[..], b"\x00\x12\x00", b"\x00"] {
            let found = read(text, bytes, options).unwrap();
            let schema = found.schema.clone().unwrap();
            let (again, written) = write(&schema, &found.value, options).unwrap();
            assert!(again.contains("oneof payment {"), "{again}");
            // What was absent and had no keyword is zero, which the keyword shows.
            if !options.optional_for_nullables {
                assert_eq!(written, bytes, "{options:?} {again}");
            }
            assert_eq!(read(&again, &written, options).unwrap().value, found.value);
        }
    }
}

#[test]
fn a_wrapper_at_the_top_is_its_value_unless_switched_off() {
    let (text, bytes) = write(&of(Type::Int64), &Value::Int64(7), DEFAULTS).unwrap();
    assert_eq!(read(&text, &bytes, DEFAULTS).unwrap().value, Value::Int64(7));
    let options = ProtobufOptions { wrapper_for_raw_primitives: false, ..DEFAULTS };
    let found = read(&text, &bytes, options).unwrap();
    assert_eq!(found.schema.unwrap().name(), Some("Int64Value"));
    assert_eq!(found.value.as_struct().unwrap().get("value"), Some(&Value::Int64(7)));
}

#[test]
fn defaults_stand_for_null_unless_switched_off() {
    let with_default = SchemaBuilder::new(Type::Int32).optional().default_value(Value::Int32(5));
    let schema = SchemaBuilder::structure().name("t.R").field("n", with_default.build()).build();
    let nothing = structure(&schema, vec![Value::Null]);
    let optional = ProtobufOptions { optional_for_nullables: true, ..DEFAULTS };
    let (_, bytes) = write(&schema, &nothing, optional).unwrap();
    assert_eq!(bytes, b"\x00\x08\x05");
    let options = ProtobufOptions { ignore_default_for_nullables: true, ..optional };
    let (text, bytes) = write(&schema, &nothing, options).unwrap();
    assert_eq!(bytes, b"\x00");
    let back = read(&text, &bytes, options).unwrap().value;
    assert_eq!(back.as_struct().unwrap().values(), [Value::Null]);
}

/// A schema of few lines may stand for more messages than memory holds.
#[test]
fn a_schema_that_doubles_with_each_level_is_refused() {
    let mut text = "syntax = \"proto3\"; message M0 { int32 x = 1; }".to_owned();
    for level in 1..40 {
        let below = level - 1;
        text.push_str(&format!(" message M{level} {{ M{below} a = 1; M{below} b = 2; }}"));
    }
    // The last message of the file; the first is read as ever.
    let error = read(&text, b"\x02\x4e", DEFAULTS).unwrap_err();
    assert!(error.contains("more than 10000 messages"), "{error}");
    assert!(read(&text, b"\x00", DEFAULTS).is_ok());
}

fn anything(ty: Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Int8 => any::<i8>().prop_map(Value::Int8).boxed(),
        Type::Int16 => any::<i16>().prop_map(Value::Int16).boxed(),
        Type::Int32 => any::<i32>().prop_map(Value::Int32).boxed(),
        Type::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
        Type::Float32 => {
            any::<f32>().prop_filter("no NaN", |n| !n.is_nan()).prop_map(Value::Float32).boxed()
        }
        Type::Float64 => {
            any::<f64>().prop_filter("no NaN", |n| !n.is_nan()).prop_map(Value::Float64).boxed()
        }
        Type::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Type::String => any::<String>().prop_map(Value::string).boxed(),
        _ => prop::collection::vec(any::<u8>(), 0..20).prop_map(|b| Value::Bytes(b.into())).boxed(),
    }
}

const SCALARS: [Type; 9] = [
    Type::Int8,
    Type::Int16,
    Type::Int32,
    Type::Int64,
    Type::Float32,
    Type::Float64,
    Type::Boolean,
    Type::String,
    Type::Bytes,
];

/// A schema with a field of each scalar type (required, optional and as a list), with a row of it.
fn rows() -> impl Strategy<Value = (Arc<Schema>, Value)> {
    let fields = SCALARS.map(|ty| {
        let nullable = prop_oneof![Just(Value::Null), anything(ty)];
        (anything(ty), nullable, prop::collection::vec(anything(ty), 0..4))
    });
    Vec::from(fields).prop_map(|fields| {
        let (mut builder, mut values) = (SchemaBuilder::structure().name("t.R"), Vec::new());
        for (at, (one, nullable, list)) in fields.into_iter().enumerate() {
            let ty = SCALARS[at];
            builder = builder
                .field(format!("a{at}"), of(ty))
                .field(format!("b{at}"), optional(ty))
                .field(format!("c{at}"), SchemaBuilder::array(of(ty)).build());
            values.extend([one, nullable, Value::Array(list)]);
        }
        let schema = builder.build();
        let value = structure(&schema, values);
        (schema, value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_bytes_panic(
        noise in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
        text in "[{};=a-z0-9\" ]{0,40}",
    ) {
        let (schema, value) = products();
        let (schema_text, mut mutated) = write(&schema, &value, DEFAULTS).unwrap();
        let at = at.index(mutated.len());
        mutated[at] = byte;
        mutated.truncate(1 + cut.index(mutated.len()));
        let format = ProtobufFormat { options: DEFAULTS };
        let reader = format.reader(&resolved(&schema_text), None).unwrap();
        let _ = format.read(&reader, &noise);
        let _ = format.read(&reader, &Bytes::from(mutated));
        let _ = format.reader(&resolved(&text), None);
    }

    #[test]
    fn rows_come_back((schema, value) in rows()) {
        for options in [
            ProtobufOptions { optional_for_nullables: true, ..DEFAULTS },
            ProtobufOptions { wrapper_for_nullables: true, ..DEFAULTS },
        ] {
            let (text, bytes) = write(&schema, &value, options).unwrap();
            let back = read(&text, &bytes, options).unwrap().value;
            let (back, sent) = (back.as_struct().unwrap(), value.as_struct().unwrap());
            for (at, (back, sent)) in back.values().iter().zip(sent.values()).enumerate() {
                // A wrapper has no room for `connect.type`.
                let same = back == sent || sent.as_i64().is_some() && back.as_i64() == sent.as_i64();
                prop_assert!(same, "field {at}: {sent:?} came back as {back:?} from {text}");
            }
            // And a crate reads the same.
            let pool = descriptor::compile(&resolved(&text)).unwrap();
            let (message, _) = descriptor::by_name(&pool, Some("t.R")).unwrap();
            prop_assert!(DynamicMessage::decode(message, &bytes[1..]).is_ok());
        }
    }

    #[test]
    fn integers_come_back(number in any::<i64>(), small in any::<i32>()) {
        let schema = SchemaBuilder::structure()
            .name("t.R")
            .field("a", of(Type::Int64))
            .field("b", of(Type::Int32))
            .build();
        let value = structure(&schema, vec![Value::Int64(number), Value::Int32(small)]);
        let (text, bytes) = write(&schema, &value, DEFAULTS).unwrap();
        let Value::Struct(row) = read(&text, &bytes, DEFAULTS).unwrap().value else { panic!("no struct") };
        prop_assert_eq!(row.values(), [Value::Int64(number), Value::Int32(small)]);
    }
}
