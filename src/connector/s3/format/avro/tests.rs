//! Files are taken apart as the specification says, and rows compared byte by byte.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::*;
use crate::data::{Decimal, SchemaAndValue, SchemaBuilder};

const OPTIONS: AvroOptions =
    AvroOptions { metadata: true, enhanced: true, optional_map_keys: false };

fn optional(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

fn required(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).build()
}

fn schema() -> Arc<Schema> {
    let number_keys = SchemaBuilder::map(required(Type::Int32), required(Type::String)).build();
    SchemaBuilder::structure()
        .name("shop.orders.Value")
        .field("id", required(Type::Int32))
        .field("small", required(Type::Int16))
        .field("name", optional(Type::String))
        .field("price", SchemaBuilder::decimal(2).optional().build())
        .field(
            "stock",
            SchemaBuilder::new(Type::Int64).optional().default_value(Value::Int64(5)).build(),
        )
        .field("rate", required(Type::Float64))
        .field("tags", SchemaBuilder::array(optional(Type::String)).build())
        .field(
            "attributes",
            SchemaBuilder::map(required(Type::String), optional(Type::Boolean)).build(),
        )
        .field("numbered", number_keys)
        .field(
            "at",
            SchemaBuilder::new(Type::Int64)
                .name(crate::data::logical::TIMESTAMP)
                .version(1)
                .build(),
        )
        .build()
}

fn row(id: i32, name: Value, price: Value) -> Vec<Value> {
    vec![
        Value::Int32(id),
        Value::Int16(-3),
        name,
        price,
        Value::Null,
        Value::Float64(0.5),
        Value::Array(vec![Value::string("a"), Value::Null]),
        Value::Map(vec![(Value::string("k"), Value::Boolean(true))]),
        Value::Map(vec![(Value::Int32(1), Value::string("one"))]),
        Value::Timestamp(1_000),
    ]
}

fn record(schema: &Arc<Schema>, value: Value) -> Record {
    Record {
        topic: "t".into(),
        partition: None,
        key: SchemaAndValue::NULL,
        value: SchemaAndValue { schema: Some(schema.clone()), value },
        timestamp_ms: None,
        offset: None,
        headers: Vec::new(),
    }
}

fn structure(schema: &Arc<Schema>, values: Vec<Value>) -> Value {
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

fn provenance() -> Provenance {
    Provenance {
        topic: "orders".into(),
        partition: 3,
        first_offset: 10,
        last_offset: 11,
        first_timestamp_ms: Some(5),
        last_timestamp_ms: Some(6),
        row_times_ms: None,
        key_fields: vec!["id".to_owned()],
    }
}

fn write(writer: &mut dyn RecordWriter, records: &[Record]) -> Vec<u8> {
    for record in records {
        writer.write_record(record).unwrap();
        writer.accept().unwrap();
    }
    writer.finish(&provenance()).unwrap();
    std::mem::take(writer.output())
}

/// A file taken apart.
struct Parsed {
    metadata: BTreeMap<String, Vec<u8>>,
    rows: i64,
    content: Vec<u8>,
}

fn long(input: &mut &[u8]) -> i64 {
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let byte = input[0];
        *input = &input[1..];
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        }
    }
}

fn bytes<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let length = usize::try_from(long(input)).unwrap();
    let (bytes, rest) = input.split_at(length);
    *input = rest;
    bytes
}

fn parse(file: &[u8]) -> Parsed {
    let mut input = file.strip_prefix(b"Obj\x01").unwrap();
    let mut metadata = BTreeMap::new();
    for _ in 0..long(&mut input) {
        let name = String::from_utf8(bytes(&mut input).to_vec()).unwrap();
        metadata.insert(name, bytes(&mut input).to_vec());
    }
    assert_eq!(long(&mut input), 0, "the end of the metadata");
    let (sync, mut input) = input.split_at(16);
    let (mut rows, mut content) = (0, Vec::new());
    while !input.is_empty() {
        rows += long(&mut input);
        let block = bytes(&mut input);
        match metadata["avro.codec"].as_slice() {
            b"deflate" => {
                flate2::read::DeflateDecoder::new(block).read_to_end(&mut content).unwrap();
            }
            b"bzip2" => {
                bzip2::read::BzDecoder::new(block).read_to_end(&mut content).unwrap();
            }
            b"snappy" => {
                let (block, checksum) = block.split_at(block.len() - 4);
                let plain = snap::raw::Decoder::new().decompress_vec(block).unwrap();
                assert_eq!(crc32fast::hash(&plain).to_be_bytes(), checksum);
                content.extend(plain);
            }
            _ => content.extend_from_slice(block),
        }
        assert_eq!(&input[..16], sync);
        input = &input[16..];
    }
    Parsed { metadata, rows, content }
}

#[test]
fn every_codec_reads_back() {
    let schema = schema();
    let price = Value::Decimal(Decimal { unscaled: (-1234).into(), scale: 2 });
    let rows = [row(1, Value::string("x"), price), row(2, Value::Null, Value::Null)];
    let rows = rows.map(|values| record(&schema, structure(&schema, values)));
    // small, then name and price; stock's default; rate; tags; attributes; numbered; at.
    let rest = b"\x00\x0a\0\0\0\0\0\0\xe0\x3f\x04\x02\x02a\0\0\x02\x02k\x02\x01\0\x02\x02\x06one\0\xd0\x0f";
    let mut expected = b"\x02\x05\x02\x02x\x02\x04\xfb\x2e".to_vec();
    expected.extend_from_slice(rest);
    expected.extend_from_slice(b"\x04\x05\0\0");
    expected.extend_from_slice(rest);
    for codec in ["null", "deflate", "snappy", "bzip2"] {
        let format = AvroFormat::new(AvroCodec::of(codec), OPTIONS);
        let file = parse(&write(format.writer(Some(&schema)).unwrap().as_mut(), &rows));
        assert_eq!(file.metadata["avro.codec"], codec.as_bytes());
        assert_eq!(file.metadata["cdc.first_offset"], b"10");
        assert_eq!(file.metadata["cdc.key_fields"], b"[\"id\"]");
        let json: serde_json::Value =
            serde_json::from_slice(&file.metadata["avro.schema"]).unwrap();
        assert_eq!(json["namespace"], "shop.orders");
        assert_eq!((file.rows, file.content), (2, expected.clone()), "{codec}");
    }
}

#[test]
fn text_keys_need_no_record_around() {
    let format = AvroFormat::new(AvroCodec::Null, OPTIONS);
    let text = required(Type::String);
    let keys = [record(&text, Value::string("a")), record(&text, Value::string("b"))];
    let file = parse(&write(format.writer(Some(&text)).unwrap().as_mut(), &keys));
    assert_eq!(file.metadata["avro.schema"], b"\"string\"");
    assert_eq!((file.rows, file.content.as_slice()), (2, &b"\x02a\x02b"[..]));
}

#[test]
fn enumerations_and_fixed_lengths() {
    let symbols = SchemaBuilder::new(Type::String)
        .parameter("io.confluent.connect.avro.Enum", "Colour")
        .parameter("io.confluent.connect.avro.Enum.RED", "RED")
        .parameter("io.confluent.connect.avro.Enum.BLUE", "BLUE")
        .build();
    let mut out = Vec::new();
    encode(&symbols, &Value::string("BLUE"), OPTIONS, &mut out).unwrap();
    assert_eq!(out, b"\x02");
    encode(&symbols, &Value::string("GREEN"), OPTIONS, &mut out).unwrap_err();
    let plain = AvroOptions { enhanced: false, ..OPTIONS };
    let mut out = Vec::new();
    encode(&symbols, &Value::string("RED"), plain, &mut out).unwrap();
    assert_eq!(out, b"\x06RED");
    let fixed = SchemaBuilder::new(Type::Bytes).parameter("connect.fixed.size", "2").build();
    let bytes = |text: &'static [u8]| Value::Bytes(bytes::Bytes::from_static(text));
    let mut out = Vec::new();
    encode(&fixed, &bytes(b"ab"), OPTIONS, &mut out).unwrap();
    assert_eq!(out, b"ab");
    encode(&fixed, &bytes(b"abc"), OPTIONS, &mut out).unwrap_err();
}

#[test]
fn a_large_file_streams_and_a_refused_row_leaves_no_trace() {
    let schema = SchemaBuilder::structure().field("text", required(Type::String)).build();
    let format = AvroFormat::new(AvroCodec::Null, OPTIONS);
    let mut writer = format.writer(Some(&schema)).unwrap();
    let mut file = Vec::new();
    let text = "y".repeat(1_000);
    for _ in 0..6_000 {
        writer.write_record(&record(&schema, structure(&schema, vec![Value::Null]))).unwrap_err();
        let value = structure(&schema, vec![Value::string(&text)]);
        writer.write_record(&record(&schema, value)).unwrap();
        writer.accept().unwrap();
        file.append(writer.output());
    }
    assert!(1_000_000 < file.len(), "it streams before its end");
    writer.finish(&provenance()).unwrap();
    file.append(writer.output());
    let file = parse(&file);
    assert_eq!((file.rows, file.content.len()), (6_000, 6_000 * 1_002));
    assert!(!file.metadata.contains_key("cdc.topic"));
}

#[test]
fn what_avro_cannot_name_is_refused() {
    let format = AvroFormat::new(AvroCodec::Null, OPTIONS);
    let schema = SchemaBuilder::structure().field("user-id", required(Type::Int32)).build();
    let error = format.writer(Some(&schema)).err().unwrap();
    assert_eq!(error.to_string(), "Illegal character in: user-id");
}

#[test]
fn values_without_a_schema_describe_themselves() {
    let without = |value| Record {
        value: SchemaAndValue { schema: None, value },
        ..record(&required(Type::String), Value::Null)
    };
    let mut writer = AvroFormat::new(AvroCodec::Null, OPTIONS).writer(None).unwrap();
    let of_schema = record(&required(Type::String), Value::string("x"));
    writer.write_record(&of_schema).unwrap_err();
    let rows = [without(Value::Boolean(false)), without(Value::Int64(3))];
    let file = parse(&write(writer.as_mut(), &rows));
    assert_eq!(file.rows, 2);
    assert_eq!(file.content, [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 6, 0, 0, 0]);
    let schema = String::from_utf8(file.metadata["avro.schema"].clone()).unwrap();
    assert!(schema.contains("io.confluent.connect.avro"), "{schema}");
}

#[test]
fn the_schema_carries_connects_entries_or_not() {
    let schema = SchemaBuilder::new(Type::Int8).name("n").version(2).build();
    let plain = AvroOptions { metadata: false, ..OPTIONS };
    let with = r#"{"type":"int","connect.type":"int8","connect.version":2,"connect.name":"n"}"#;
    assert_eq!(avro_schema::of_any(&schema, OPTIONS), with);
    assert_eq!(avro_schema::of_any(&schema, plain), "\"int\"");
}
