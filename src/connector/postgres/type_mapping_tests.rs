//! The type table of the reference, row by row.

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::BigInt;

use super::config_types::{BinaryMode, DecimalMode, TimeMode, TypeModes};
use super::default_value;
use super::generation::Generation;
use super::type_mapping::{PgKind, PgType, Phase, TypeTable, unavailable, zero};
use crate::data::{Decimal, Schema, Type, Value};

fn modes() -> TypeModes {
    TypeModes {
        generation: Generation::Three,
        decimal: DecimalMode::Precise,
        time: TimeMode::Adaptive,
        binary: BinaryMode::Bytes,
        hstore_map: false,
        interval_text: false,
        money_digits: 2,
        include_unknown: false,
        placeholder: b"__debezium_unavailable_value".to_vec(),
    }
}

fn base(name: &str) -> PgType {
    PgType { name: name.to_owned(), elsewhere: None, kind: PgKind::Base }
}

fn array(name: &str) -> PgType {
    PgType { name: format!("_{name}"), elsewhere: None, kind: PgKind::Array(Arc::new(base(name))) }
}

fn numeric(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale & 0x7ff) + 4
}

fn describe(schema: &Schema) -> String {
    let mut text = schema.ty().json_name().to_owned();
    if let Some(name) = schema.name() {
        text.push_str(&format!(" {name}"));
    }
    for (key, value) in schema.parameters() {
        text.push_str(&format!(" {key}={value}"));
    }
    text
}

#[track_caller]
fn check(modes: &TypeModes, ty: &PgType, modifier: i32, schema: &str, text: &str, value: &Value) {
    let table = TypeTable { modes, phase: Phase::Stream };
    let mapping = table.map(ty, modifier).unwrap_or_else(|| panic!("{} is omitted", ty.name));
    let built = mapping.schema.build();
    assert_eq!(describe(&built), schema, "schema of {}", ty.name);
    let decoded = mapping.codec.value(&built, text.as_bytes());
    assert_eq!(decoded.as_ref(), Some(value), "{} {text}", ty.name);
}

fn decimal(unscaled: i64, scale: i32) -> Value {
    Value::Decimal(Decimal { unscaled: BigInt::from(unscaled), scale })
}

fn string(text: &str) -> Value {
    Value::string(text)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn scalars_in_the_default_modes() {
    let json = "string io.debezium.data.Json";
    let decimal_schema = "bytes org.apache.kafka.connect.data.Decimal";
    let precise = format!("{decimal_schema} scale=2 connect.decimal.precision=5");
    let money = format!("{decimal_schema} scale=2");
    let micro = "int64 io.debezium.time.MicroTimestamp";
    let zoned = "string io.debezium.time.ZonedTimestamp";
    let rows: &[(&str, i32, &str, &str, Value)] = &[
        ("int2", -1, "int16", "-32768", Value::Int16(-32768)),
        ("int4", -1, "int32", "2147483647", Value::Int32(i32::MAX)),
        ("int8", -1, "int64", "9223372036854775807", Value::Int64(i64::MAX)),
        ("oid", -1, "int64", "4294967295", Value::Int64(4_294_967_295)),
        ("float4", -1, "float", "1e+30", Value::Float32(1e30)),
        ("float8", -1, "double", "-Infinity", Value::Float64(f64::NEG_INFINITY)),
        ("numeric", numeric(5, 2), &precise, "123.45", decimal(12345, 2)),
        ("numeric", numeric(5, 2), &precise, "NaN", Value::Null),
        ("money", -1, &money, "$1,234.56", decimal(123_456, 2)),
        ("bool", -1, "boolean", "t", Value::Boolean(true)),
        ("bit", 1, "boolean", "1", Value::Boolean(true)),
        (
            "bit",
            3,
            "bytes io.debezium.data.Bits length=3",
            "101",
            Value::Bytes(Bytes::from_static(&[5])),
        ),
        (
            "varbit",
            -1,
            "bytes io.debezium.data.Bits length=2147483647",
            "10110",
            Value::Bytes(Bytes::from_static(&[0x16])),
        ),
        ("bpchar", 9, "string", "ab   ", string("ab   ")),
        ("varchar", 24, "string", "x", string("x")),
        ("json", -1, json, "{ \"a\":1}", string("{ \"a\":1}")),
        ("jsonb", -1, json, "{\"a\": 1}", string("{\"a\": 1}")),
        ("xml", -1, "string io.debezium.data.Xml", "<a>b</a>", string("<a>b</a>")),
        ("inet", -1, "string", "192.168.1.5/24", string("192.168.1.5/24")),
        ("hstore", -1, json, "\"a\"=>\"1\"", string("{\"a\":\"1\"}")),
        ("date", -1, "int32 io.debezium.time.Date", "2024-02-29", Value::Int32(19782)),
        ("date", -1, "int32 io.debezium.time.Date", "infinity", Value::Int32(-2_147_472_692)),
        ("time", 3, "int32 io.debezium.time.Time", "12:34:56.789", Value::Int32(45_296_789)),
        ("time", -1, "int64 io.debezium.time.MicroTime", "24:00:00", Value::Int64(86_400_000_000)),
        (
            "timetz",
            -1,
            "string io.debezium.time.ZonedTime",
            "12:34:56.7-05:30",
            string("18:04:56.7Z"),
        ),
        (
            "timestamp",
            3,
            "int64 io.debezium.time.Timestamp",
            "2024-02-29 12:34:56.789",
            Value::Int64(1_709_210_096_789),
        ),
        (
            "timestamp",
            3,
            "int64 io.debezium.time.Timestamp",
            "infinity",
            Value::Int64(9_223_372_036_825_200),
        ),
        ("timestamp", -1, micro, "2024-02-29 12:34:56.789012", Value::Int64(1_709_210_096_789_012)),
        ("timestamp", 6, micro, "-infinity", Value::Int64(-9_223_372_036_832_400_000)),
        ("timestamptz", -1, zoned, "2024-02-29 12:34:56+00", string("2024-02-29T12:34:56.000000Z")),
        ("timestamptz", 0, zoned, "2024-02-29 12:34:56+00", string("2024-02-29T12:34:56Z")),
        ("timestamptz", -1, zoned, "infinity", string("infinity")),
        (
            "interval",
            -1,
            "int64 io.debezium.time.MicroDuration",
            "1 day",
            Value::Int64(86_400_000_000),
        ),
        ("int4range", -1, "string", "[1,10)", string("[1,10)")),
        ("tsvector", -1, "string io.debezium.data.Tsvector", "'cat':1", string("'cat':1")),
    ];
    for (name, modifier, schema, text, value) in rows {
        check(&modes(), &base(name), *modifier, schema, text, value);
    }
}

#[test]
fn enums_domains_and_structs() {
    let labels = ["sad", "ok", "very happy"].map(str::to_owned).to_vec();
    let mood = PgType { name: "mood".to_owned(), elsewhere: None, kind: PgKind::Enum(labels) };
    let allowed = "string io.debezium.data.Enum allowed=sad,ok,very happy";
    check(&modes(), &mood, -1, allowed, "very happy", &string("very happy"));
    let inner = PgType {
        name: "dnum".to_owned(),
        elsewhere: None,
        kind: PgKind::Domain(Arc::new(base("numeric")), numeric(6, 2)),
    };
    let outer = PgType {
        name: "d2".to_owned(),
        elsewhere: None,
        kind: PgKind::Domain(Arc::new(inner), -1),
    };
    let schema = "bytes org.apache.kafka.connect.data.Decimal scale=2 connect.decimal.precision=6";
    check(&modes(), &outer, -1, schema, "12.50", &decimal(1250, 2));
    let table_modes = modes();
    let table = TypeTable { modes: &table_modes, phase: Phase::Stream };
    let mapping = table.map(&base("numeric"), -1).unwrap();
    let schema = mapping.schema.build();
    assert_eq!(schema.name(), Some("io.debezium.data.VariableScaleDecimal"));
    let value = mapping.codec.value(&schema, b"1234.5600").unwrap();
    let fields = value.as_struct().unwrap().values().to_vec();
    assert_eq!(fields[0], Value::Int32(2));
    assert_eq!(fields[1], Value::Bytes(Bytes::from_static(&[0x01, 0xe2, 0x40])));
    let mapping = table.map(&base("point"), -1).unwrap();
    let schema = mapping.schema.build();
    let value = mapping.codec.value(&schema, b"(1.5,2.5)").unwrap();
    assert_eq!(value.as_struct().unwrap().get("y"), Some(&Value::Float64(2.5)));
    for name in ["xid", "tid", "line", "box"] {
        assert!(table.map(&base(name), -1).is_none(), "{name}");
    }
}

#[test]
fn other_modes() {
    let double = TypeModes { decimal: DecimalMode::Double, ..modes() };
    check(&double, &base("numeric"), -1, "double", "1234.5600", &Value::Float64(1234.56));
    check(&double, &base("money"), -1, "double", "-$12.34", &Value::Float64(-12.34));
    let text = TypeModes { decimal: DecimalMode::Text, ..modes() };
    check(&text, &base("numeric"), -1, "string", "1234.5600", &string("1234.5600"));
    check(&text, &base("numeric"), -1, "string", "Infinity", &string("POSITIVE_INFINITY"));
    let connect = TypeModes { time: TimeMode::Connect, ..modes() };
    let package = "org.apache.kafka.connect.data";
    let schema = format!("int32 {package}.Date");
    check(&connect, &base("date"), -1, &schema, "2024-02-29", &Value::Date(19782));
    let schema = format!("int32 {package}.Time");
    check(&connect, &base("time"), -1, &schema, "12:34:56.789999", &Value::Time(45_296_789));
    let schema = format!("int64 {package}.Timestamp");
    let value = Value::Timestamp(9_223_372_036_825_200);
    check(&connect, &base("timestamp"), -1, &schema, "infinity", &value);
    let iso = TypeModes { time: TimeMode::IsoString, ..modes() };
    let schema = "string io.debezium.time.IsoTimestamp";
    let value = string("2024-02-29T12:34:56.7Z");
    check(&iso, &base("timestamp"), -1, schema, "2024-02-29 12:34:56.7", &value);
    let value = string("-5877611-06-21Z");
    check(&iso, &base("date"), -1, "string io.debezium.time.IsoDate", "infinity", &value);
    let nanos = TypeModes { time: TimeMode::Nanoseconds, ..modes() };
    let schema = "int64 io.debezium.time.NanoTimestamp";
    check(&nanos, &base("timestamp"), -1, schema, "9999-12-31 00:00:00", &Value::Null);
    let hex = TypeModes { binary: BinaryMode::Hex, include_unknown: true, ..modes() };
    check(&hex, &base("bytea"), -1, "string", "\\xbeef", &string("beef"));
    check(&hex, &base("xid"), -1, "string", "12", &string("3132"));
}

#[test]
fn arrays() {
    let ints = Value::Array(vec![Value::Int32(1), Value::Null]);
    check(&modes(), &array("int4"), -1, "array", "{1,NULL}", &ints);
    let decimals = Value::Array(vec![decimal(150, 2)]);
    check(&modes(), &array("numeric"), numeric(5, 2), "array", "{1.50}", &decimals);
    let schema = "bytes io.debezium.data.Bits length=2";
    check(&modes(), &array("bit"), 2, schema, "{10}", &Value::Null);
    let table_modes = modes();
    let table = TypeTable { modes: &table_modes, phase: Phase::Stream };
    for name in ["name", "money", "interval"] {
        assert!(table.map(&array(name), -1).is_none(), "{name}");
    }
}

#[test]
fn placeholders_and_zeros() {
    let modes = modes();
    let table = TypeTable { modes: &modes, phase: Phase::Stream };
    let of = |ty: &PgType, modifier: i32| {
        let mapping = table.map(ty, modifier).unwrap();
        let schema = mapping.schema.build();
        (unavailable(&mapping.codec, &schema, b"_p"), zero(&mapping.codec, &schema))
    };
    assert_eq!(of(&base("text"), -1), (string("_p"), string("")));
    assert_eq!(of(&base("jsonb"), -1), (string("_p"), string("")));
    assert_eq!(
        of(&base("bytea"), -1),
        (Value::Bytes(Bytes::from_static(b"_p")), Value::Bytes(Bytes::new()))
    );
    assert_eq!(of(&base("hstore"), -1), (string("{\"_p\":\"_p\"}"), string("{}")));
    assert_eq!(of(&base("numeric"), numeric(4, 1)), (Value::Null, decimal(0, 1)));
    assert_eq!(of(&array("text"), -1).0, Value::Array(vec![string("_p")]));
    assert_eq!(of(&array("int4"), -1).0, Value::Array(vec![Value::Int32(95), Value::Int32(112)]));
    assert_eq!(of(&array("int2"), -1).0, Value::Null);
    assert_eq!(of(&base("timestamptz"), -1).1, string("1970-01-01T00:00:00Z"));
    let name = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";
    let mapping = table.map(&array("uuid"), -1).unwrap();
    let placeholder =
        unavailable(&mapping.codec, &mapping.schema.build(), b"__debezium_unavailable_value");
    assert_eq!(placeholder, Value::Array(vec![string(name)]));
}

#[test]
fn decimals_as_text_have_the_columns_scale() {
    let modes = TypeModes { decimal: DecimalMode::Text, ..modes() };
    let table = TypeTable { modes: &modes, phase: Phase::Stream };
    let of = |name: &str, modifier: i32, default: &str| {
        let mapping = table.map(&base(name), modifier).unwrap();
        let schema = mapping.schema.build();
        let default = default_value::parse(default, name, &mapping.codec, &schema);
        (zero(&mapping.codec, &schema), default)
    };
    let texts = |zero: &str, default: &str| (string(zero), Some(string(default)));
    assert_eq!(of("numeric", numeric(8, 2), "1.5"), texts("0.00", "1.50"));
    assert_eq!(of("numeric", numeric(8, 2), "'-7'::integer"), texts("0.00", "-7.00"));
    assert_eq!(of("numeric", numeric(8, 0), "7"), texts("0", "7"));
    assert_eq!(of("numeric", -1, "3.1400"), texts("0", "3.1400"));
    assert_eq!(of("money", -1, "1").0, string("0.00"));
}

#[test]
fn defaults_are_read_from_expressions() {
    let modes = modes();
    let table = TypeTable { modes: &modes, phase: Phase::Stream };
    let of = |name: &str, modifier: i32, expression: &str| {
        let mapping = table.map(&base(name), modifier).unwrap();
        let schema = mapping.schema.build();
        assert_ne!(schema.ty(), Type::Struct);
        default_value::parse(expression, name, &mapping.codec, &schema)
    };
    let rows: &[(&str, i32, &str, Option<Value>)] = &[
        ("int4", -1, "nextval('inv.a_id_seq'::regclass)", Some(Value::Int32(0))),
        ("int4", -1, "'-5'::integer", Some(Value::Int32(-5))),
        ("int4", -1, "3", Some(Value::Int32(3))),
        ("int4", -1, "(1 + 2)", None),
        ("float4", -1, "'NaN'::real", Some(Value::Float32(f32::NAN))),
        ("numeric", numeric(5, 2), "1.1", Some(decimal(110, 2))),
        ("text", -1, "(now())::text", Some(string(""))),
        ("varchar", -1, "'it''s'::character varying", Some(string("it's"))),
        ("varchar", -1, "NULL::character varying", None),
        ("date", -1, "now()", Some(Value::Int32(0))),
        ("date", -1, "CURRENT_DATE", Some(Value::Int32(0))),
        (
            "timestamp",
            -1,
            "'2024-02-29 01:02:03.5'::timestamp without time zone",
            Some(Value::Int64(1_709_168_523_500_000)),
        ),
        (
            "timestamptz",
            -1,
            "'2024-02-28 23:02:03+00'::timestamp with time zone",
            Some(string("2024-02-28T23:02:03.000000Z")),
        ),
        ("timestamptz", -1, "now()", Some(string("1970-01-01T00:00:00.000000Z"))),
        ("uuid", -1, "gen_random_uuid()", Some(string("00000000-0000-0000-0000-000000000000"))),
        ("jsonb", -1, "'{\"a\": 1}'::jsonb", Some(string("{\"a\": 1}"))),
        ("bit", 3, "'101'::\"bit\"", Some(Value::Bytes(Bytes::from_static(&[5])))),
        ("bool", -1, "true", Some(Value::Boolean(true))),
        ("bytea", -1, "'\\x00'::bytea", None),
        ("inet", -1, "'1.2.3.4'::inet", None),
    ];
    for (name, modifier, expression, expected) in rows {
        let actual = of(name, *modifier, expression);
        // NaN equals nothing, not even itself.
        assert_eq!(format!("{actual:?}"), format!("{expected:?}"), "{name} {expression}");
    }
}
