//! The transform for TimescaleDB, against a catalog of its form.

use std::sync::Arc;

use ferroconnect::config::Props;
use ferroconnect::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use ferroconnect::plugin::{Constructor, PluginKind, Plugins};
use ferroconnect::transform::{Keep, Transformation};

use crate::support::{TestDatabase, services};

/// What the transform reads of TimescaleDB's catalog (2.x).
const CATALOG: &str = "create schema _timescaledb_catalog;
    create table _timescaledb_catalog.hypertable (id int primary key, schema_name name, table_name name);
    create table _timescaledb_catalog.chunk (id int primary key, hypertable_id int, schema_name name, table_name name);
    create table _timescaledb_catalog.continuous_agg (mat_hypertable_id int, user_view_schema name, user_view_name name);
    insert into _timescaledb_catalog.hypertable values
        (1, 'public', 'conditions'), (2, '_timescaledb_internal', '_materialized_hypertable_2');
    insert into _timescaledb_catalog.continuous_agg values (2, 'public', 'conditions_summary');
    insert into _timescaledb_catalog.chunk values
        (1, 1, '_timescaledb_internal', '_hyper_1_1_chunk'), (2, 2, '_timescaledb_internal', '_hyper_2_2_chunk')";

fn transform(database: &TestDatabase, port: u16) -> Box<dyn Transformation> {
    let plugins = Plugins::builtin();
    let class = "io.debezium.connector.postgresql.transforms.timescaledb.TimescaleDb";
    let plugin = plugins.find(&[PluginKind::Transformation], class).unwrap();
    let Constructor::Transformation(construct) = plugin.constructor else { panic!("a transform") };
    let user = url::Url::parse(&services().postgres).unwrap();
    let (host, _) = services().postgres_address();
    let settings = [
        ("database.hostname", host),
        ("database.port", port.to_string()),
        ("database.user", user.username().to_owned()),
        ("database.password", user.password().unwrap_or("unused").to_owned()),
        ("database.dbname", database.name.clone()),
        ("target.topic.prefix", "ts".to_owned()),
    ];
    let props: Props = settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    construct(&props).unwrap()
}

fn structure(schema: &Arc<Schema>, values: Vec<Value>) -> Value {
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

fn change(schema: &str, table: &str) -> Record {
    let string = SchemaBuilder::new(Type::String).build();
    let source = SchemaBuilder::structure()
        .field("schema", string.clone())
        .field("table", string.clone())
        .build();
    let envelope = SchemaBuilder::structure()
        .name("cdc.Envelope")
        .field("source", source.clone())
        .field("op", string)
        .build();
    let source = structure(&source, vec![Value::string(schema), Value::string(table)]);
    let value = structure(&envelope, vec![source, Value::string("c")]);
    Record {
        topic: format!("cdc.{schema}.{table}").into(),
        partition: None,
        key: SchemaAndValue::NULL,
        value: SchemaAndValue { schema: Some(envelope), value },
        timestamp_ms: None,
        offset: None,
        headers: Vec::new(),
    }
}

/// Topic, source and headers of what the transform makes of a chunk's change.
fn routed(transform: &mut dyn Transformation, chunk: &str) -> (String, String, Vec<String>) {
    let mut record = change("_timescaledb_internal", chunk);
    assert_eq!(transform.apply(&mut record).unwrap(), Keep::Record);
    let event = record.value.value.as_struct().unwrap();
    let source = event.get("source").and_then(Value::as_struct).unwrap();
    let text = |name: &str| source.get(name).and_then(Value::as_str).unwrap().to_owned();
    let headers = record.headers.iter().map(|header| {
        let name = header.key.trim_start_matches("__debezium_timescaledb_");
        format!("{name}={}", header.value.as_str().unwrap())
    });
    let source = format!("{}.{}", text("schema"), text("table"));
    (record.topic.to_string(), source, headers.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_their_hypertable_or_its_aggregate() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client.batch_execute(CATALOG).await.unwrap();
    let (_, port) = services().postgres_address();
    let mut smt = transform(&database, port);
    let (topic, source, headers) = routed(smt.as_mut(), "_hyper_1_1_chunk");
    assert_eq!((topic.as_str(), source.as_str()), ("ts.public.conditions", "public.conditions"));
    assert_eq!(headers, ["chunk_table=_hyper_1_1_chunk", "chunk_schema=_timescaledb_internal"]);
    let (topic, source, headers) = routed(smt.as_mut(), "_hyper_2_2_chunk");
    assert_eq!(topic, "ts.public.conditions_summary");
    assert_eq!(source, "public.conditions_summary");
    let expected = [
        "chunk_table=_hyper_2_2_chunk",
        "chunk_schema=_timescaledb_internal",
        "hypertable_table=_materialized_hypertable_2",
        "hypertable_schema=_timescaledb_internal",
    ];
    assert_eq!(headers, expected);

    // A chunk that was made after the catalog was read.
    let insert =
        "insert into _timescaledb_catalog.chunk values (3, 1, '_timescaledb_internal', 'late')";
    client.batch_execute(insert).await.unwrap();
    assert_eq!(routed(smt.as_mut(), "late").0, "ts.public.conditions");
    assert_eq!(routed(smt.as_mut(), "nobodys").0, "cdc._timescaledb_internal.nobodys");
    let mut other = change("public", "users");
    smt.apply(&mut other).unwrap();
    assert_eq!(other, change("public", "users"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_cannot_be_read_is_named() {
    let database = TestDatabase::create().await;
    let (_, port) = services().postgres_address();
    let chunk = || change("_timescaledb_internal", "_hyper_1_1_chunk");
    for port in [port, 1] {
        let mut record = chunk();
        let error = transform(&database, port).apply(&mut record).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&database.name) && text.contains("extension"), "{text}");
        assert_eq!(record, chunk());
    }
}
