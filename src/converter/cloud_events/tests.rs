//! Events as the original has them; a run of the original is in `tests/golden/peer`.

use expect_test::{Expect, expect};

use super::*;
use crate::converter::registry::tests::Fake;
use crate::data::{SchemaBuilder, Struct, Type};

fn converter(settings: &[(&str, &str)]) -> Result<Box<dyn Converter>, String> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let props: Props = settings.iter().map(pair).collect();
    construct(&props, &Role::Value.into()).map_err(|error| error.to_string())
}

fn of(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).build()
}

fn structure(schema: &Arc<Schema>, values: Vec<Value>) -> Value {
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

fn source() -> SchemaAndValue {
    let snapshot =
        SchemaBuilder::new(Type::String).optional().default_value(Value::string("false"));
    let schema = SchemaBuilder::structure()
        .name("io.debezium.connector.postgresql.Source")
        .field("connector", of(Type::String))
        .field("name", of(Type::String))
        .field("ts_ms", of(Type::Int64))
        .field("snapshot", snapshot.build())
        .field("db", of(Type::String))
        .field("sequence", SchemaBuilder::new(Type::String).optional().build())
        .field("txId", SchemaBuilder::new(Type::Int64).optional().build())
        .field("lsn", SchemaBuilder::new(Type::Int64).optional().build())
        .build();
    let value = structure(
        &schema,
        vec![
            Value::string("postgresql"),
            Value::string("cdc"),
            Value::Int64(1_714_557_600_123),
            Value::Null,
            Value::string("a-b"),
            Value::Null,
            Value::Int64(737),
            Value::Int64(26_570_784),
        ],
    );
    SchemaAndValue { schema: Some(schema), value }
}

fn row() -> SchemaAndValue {
    let schema = SchemaBuilder::structure()
        .optional()
        .name("cdc.s.t.Value")
        .field("id", of(Type::Int32))
        .build();
    let value = structure(&schema, vec![Value::Int32(1)]);
    SchemaAndValue { schema: Some(schema), value }
}

fn change() -> SchemaAndValue {
    let (source, row) = (source(), row());
    let row_schema = row.schema.unwrap();
    let schema = SchemaBuilder::structure()
        .name("cdc.s.t.Envelope")
        .field("before", row_schema.clone())
        .field("after", row_schema)
        .field("source", source.schema.unwrap())
        .field("op", of(Type::String))
        .build();
    let values = vec![Value::Null, row.value, source.value, Value::string("c")];
    let value = structure(&schema, values);
    SchemaAndValue { schema: Some(schema), value }
}

fn written(
    settings: &[(&str, &str)],
    headers: &[Header],
    data: &SchemaAndValue,
) -> Result<Option<String>, String> {
    let mut out = Vec::new();
    let mut converter = converter(settings)?;
    match converter.from_record("t", headers, data, &mut out) {
        Ok(Presence::Present) => Ok(Some(String::from_utf8(out).unwrap())),
        Ok(Presence::Null) => Ok(None),
        Err(error) => Err(error.0),
    }
}

#[track_caller]
fn check(settings: &[(&str, &str)], headers: &[Header], data: &SchemaAndValue, expected: &Expect) {
    let text = written(settings, headers, data).unwrap().unwrap();
    expected.assert_eq(&text);
}

fn header(key: &str, data: SchemaAndValue) -> Header {
    Header { key: key.to_owned(), schema: data.schema, value: data.value }
}

fn text_header(key: &str, text: &str) -> Header {
    header(key, SchemaAndValue { schema: Some(of(Type::String)), value: Value::string(text) })
}

#[test]
fn a_change_is_an_event_with_its_row_as_data() {
    let plain = [("json.schemas.enable", "false")];
    check(
        &plain,
        &[],
        &change(),
        &expect![[
            r#"{"id":"name:cdc;lsn:26570784;txId:737;sequence:null","source":"/debezium/postgresql/cdc","specversion":"1.0","type":"io.debezium.connector.postgresql.DataChangeEvent","time":"2024-05-01T10:00:00.123Z","datacontenttype":"application/json","iodebeziumop":"c","iodebeziumconnector":"postgresql","iodebeziumname":"cdc","iodebeziumtsms":"1714557600123","iodebeziumsnapshot":"false","iodebeziumdb":"a-b","iodebeziumsequence":null,"iodebeziumtxId":"737","iodebeziumlsn":"26570784","iodebeziumtxid":null,"iodebeziumtxtotalorder":null,"iodebeziumtxdatacollectionorder":null,"data":{"before":null,"after":{"id":1}}}"#
        ]],
    );
    let settings = [("extension.attributes.enable", "false")];
    check(
        &settings,
        &[],
        &change(),
        &expect![[
            r#"{"id":"name:cdc;lsn:26570784;txId:737;sequence:null","source":"/debezium/postgresql/cdc","specversion":"1.0","type":"io.debezium.connector.postgresql.DataChangeEvent","time":"2024-05-01T10:00:00.123Z","datacontenttype":"application/json","data":{"schema":{"type":"struct","fields":[{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":true,"name":"cdc.s.t.Value","field":"before"},{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":true,"name":"cdc.s.t.Value","field":"after"}],"optional":false,"name":"io.debezium.connector.postgresql.Data"},"payload":{"before":null,"after":{"id":1}}}}"#
        ]],
    );
}

#[test]
fn attributes_may_come_from_headers() {
    let settings = [
        ("metadata.source", "header,type:generate"),
        ("json.schemas.enable", "false"),
        ("extension.attributes.enable", "false"),
        ("opentelemetry.tracing.attributes.enable", "true"),
    ];
    let headers = [
        header("source", source()),
        text_header("op", "u"),
        text_header("id", "first"),
        text_header("id", "one"),
        text_header("traceparent", "00-1-2-01"),
    ];
    check(
        &settings,
        &headers,
        &row(),
        &expect![[
            r#"{"id":"one","source":"/debezium/postgresql/cdc","specversion":"1.0","type":"io.debezium.connector.postgresql.DataChangeEvent","time":"2024-05-01T10:00:00.123Z","datacontenttype":"application/json","traceparent":"00-1-2-01","data":{"id":1}}"#
        ]],
    );
    let error = written(&settings, &headers[..2], &row()).unwrap_err();
    assert_eq!(error, "Header `id` was not provided");
    let error = written(&settings, &headers[..3], &row()).unwrap_err();
    assert!(error.contains("\"traceparent\""), "{error}");
    assert_eq!(written(&settings, &headers[2..], &row()), Ok(None), "no change event");
}

#[test]
fn what_is_no_change_event_is_null() {
    assert_eq!(written(&[], &[], &row()), Ok(None));
    assert_eq!(written(&[], &[], &SchemaAndValue::NULL), Ok(None));
    let mut other = change();
    let Value::Struct(event) = &other.value else { panic!("a struct") };
    let mut values = event.values().to_vec();
    let Value::Struct(own) = &values[2] else { panic!("a struct") };
    let mut members = own.values().to_vec();
    members[0] = Value::string("oracle");
    values[2] = structure(own.schema(), members);
    other.value = structure(event.schema(), values);
    let error = written(&[], &[], &other).unwrap_err();
    assert_eq!(error, "No usable CloudEvents converters for connector type \"oracle\"");
}

#[test]
fn settings_are_checked() {
    for (settings, expected) in [
        (&[("serializer.type", "avro")][..], "Cannot use 'application/json' data content type"),
        (&[("data.serializer.type", "avro")], "set avro.schema.registry.url"),
        (
            &[("data.serializer.type", "avro"), ("avro.apicurio.registry.url", "http://x")],
            "/apis/ccompat/v7",
        ),
        (&[("metadata.source", "generate")], "Global metadata source can't be GENERATE"),
        (&[("metadata.source", "value,zz:header")], "Field `zz` is not allowed"),
        (&[("metadata.source", "value,id:zz")], "Field source `zz` is not valid"),
        (&[("serializer.type", "xml")], "serializer.type"),
    ] {
        let error = converter(settings).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
    let error = construct(&Props::new(), &Role::Key.into()).err().unwrap();
    assert!(error.to_string().contains("values only"), "{error}");
}

#[test]
fn events_are_read_with_their_data() {
    let start = r#"{"id":"i","source":"/s","specversion":"1.0","type":"t""#;
    let data = r#"{"schema":{"type":"int32","optional":false},"payload":5}"#;
    let mut with = converter(&[]).unwrap();
    let read = |converter: &mut dyn Converter, text: &str| {
        let read = converter.to_connect_data("t", Some(text.as_bytes()));
        let value = read.map(|read| read.value).map_err(|error| error.0)?;
        let Value::Map(members) = value else { return Err("no map".to_owned()) };
        let data = members.into_iter().find(|(key, _)| *key == Value::string("data"));
        Ok(data.map(|(_, data)| data))
    };
    let whole = format!("{start},\"data\":{data}}}");
    assert_eq!(read(with.as_mut(), &whole), Ok(Some(Value::Int32(5))));
    assert_eq!(read(with.as_mut(), &format!("{start}}}")), Ok(None));
    assert_eq!(read(with.as_mut(), &format!("{start},\"data\":null}}")), Ok(Some(Value::Null)));
    let error = read(with.as_mut(), &format!("{start},\"data\":7}}")).unwrap_err();
    assert!(error.contains("requires \"schema\" and \"payload\""), "{error}");
    let error = read(with.as_mut(), "{\"id\":\"i\"}").unwrap_err();
    assert!(error.starts_with("A deserialized record's value is not a CloudEvent"), "{error}");
    let mut without = converter(&[("json.schemas.enable", "false")]).unwrap();
    let whole = format!("{start},\"data\":7}}");
    assert_eq!(read(without.as_mut(), &whole), Ok(Some(Value::Int64(7))));
    assert_eq!(without.to_connect_data("t", None), Ok(SchemaAndValue::NULL));
}

#[tokio::test]
async fn data_in_avro_are_a_message_within_the_event() {
    let registry = Fake::start(&[(200, r#"{"id":5}"#)]).await;
    let settings = [
        ("data.serializer.type", "avro"),
        ("avro.schema.registry.url", registry.url.as_str()),
        ("extension.attributes.enable", "false"),
    ];
    let mut converter = converter(&settings).unwrap();
    let change = change();
    assert!(!converter.is_record_prepared("t", &[], &change));
    converter.prepare_record("t", &[], &change).await.unwrap();
    assert!(converter.is_record_prepared("t", &[], &change));
    let mut out = Vec::new();
    converter.from_record("t", &[], &change, &mut out).unwrap();
    let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(event["datacontenttype"], "application/avro");
    assert_eq!(event["dataschema"], format!("{}/schemas/ids/5", registry.url));
    // No image before, one after, and 1 in it.
    assert_eq!(read::data_in_json(&out).unwrap(), b"\0\0\0\0\x05\x00\x02\x02");
    let asked = registry.asked();
    assert!(asked[0].starts_with("POST /subjects/t-value/versions"), "{asked:?}");
    assert!(asked[0].contains("io.debezium.connector.postgresql"), "{asked:?}");
}

#[tokio::test]
async fn events_in_avro_are_under_two_subjects() {
    let registry = Fake::start(&[(200, r#"{"id":5}"#), (200, r#"{"id":6}"#)]).await;
    let settings = [
        ("data.serializer.type", "avro"),
        ("serializer.type", "avro"),
        ("avro.schema.registry.url", registry.url.as_str()),
    ];
    let mut converter = converter(&settings).unwrap();
    let change = change();
    converter.prepare_record("t", &[], &change).await.unwrap();
    let mut out = Vec::new();
    converter.from_record("t", &[], &change, &mut out).unwrap();
    assert_eq!(out[..5], [0, 0, 0, 0, 6]);
    let asked = registry.asked();
    assert!(asked[0].starts_with("POST /subjects/t-data-value/versions"), "{asked:?}");
    assert!(asked[1].starts_with("POST /subjects/t-value/versions"), "{asked:?}");
    assert!(asked[1].contains("cdc.a_b.CloudEvents"), "{asked:?}");
}
