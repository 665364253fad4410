//! Paths, without a bucket.

use std::sync::Arc;

use chrono::DateTime;

use super::*;
use crate::data::{
    Origin, Record, Row, Schema, SchemaAndValue, SchemaBuilder, SinkBatch, Struct, TopicPartition,
};

const INSTANT: &str = "2026-11-22T05:31:20Z";

fn ms(time: &str) -> i64 {
    DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis()
}

fn batch(schema: Option<Arc<Schema>>, value: Value, timestamp_ms: Option<i64>) -> SinkBatch {
    let partitions = vec![TopicPartition { topic: "t".into(), partition: 0 }];
    let mut batch = SinkBatch { partitions, ..SinkBatch::default() };
    batch.records.push_record(Record {
        topic: "t".into(),
        partition: Some(0),
        key: SchemaAndValue::NULL,
        value: SchemaAndValue { schema, value },
        timestamp_ms,
        offset: Some(42),
        headers: Vec::new(),
    });
    batch.origins.push(Origin { partition: 0, offset: 42, timestamp_ms });
    batch
}

fn path(partitioner: &Partitioner, batch: &SinkBatch, now_ms: i64) -> Result<String, String> {
    let arrival = Arrival {
        batch,
        row: Row::Tree { record: 0 },
        partition: 0,
        offset: 42,
        timestamp_ms: batch.origins[0].timestamp_ms,
        now_ms,
    };
    let mut path = LastPath::default();
    partitioner.encode(&arrival, 0, &mut path).map_err(|error| error.to_string())?;
    Ok(path.text)
}

fn of(scheme: Scheme) -> Partitioner {
    Partitioner { scheme, affix: Affix::None, delim: "/".to_owned(), tombstones: None }
}

fn time(pattern: &str, duration_ms: i64, zone: &str, extractor: Extractor) -> Partitioner {
    of(Scheme::Time(TimeScheme {
        duration_ms,
        pattern: Pattern::new(pattern, "en").unwrap(),
        zone: Zone::parse(zone).unwrap(),
        extractor,
    }))
}

fn fields(names: &[&str]) -> Partitioner {
    of(Scheme::Field(names.iter().map(|name| FieldPath::new(name)).collect()))
}

fn optional(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

/// A user in France with an address.
fn user(country: Value, city: Option<Value>) -> SinkBatch {
    let address =
        SchemaBuilder::structure().optional().field("city", optional(Type::String)).build();
    let schema = SchemaBuilder::structure()
        .name("users.Value")
        .field("id", optional(Type::Int32))
        .field("country", optional(Type::String))
        .field("active", optional(Type::Boolean))
        .field("score", optional(Type::Float64))
        .field("address", address.clone())
        .build();
    let address =
        city.map_or(Value::Null, |city| Value::Struct(Box::new(Struct::new(address, vec![city]))));
    let values =
        vec![Value::Int32(7), country, Value::Boolean(false), Value::Float64(1.5), address];
    let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
    batch(Some(schema), value, Some(0))
}

#[test]
fn the_default_path_is_the_kafka_partition() {
    let default = of(Scheme::Default);
    assert_eq!(default.constant(2).as_deref(), Some("partition=2"));
    let user = user(Value::string("FR"), None);
    let named = |affix| path(&Partitioner { affix, ..default.clone() }, &user, 0).unwrap();
    assert_eq!(named(Affix::None), "partition=0");
    assert_eq!(named(Affix::Prefix), "schema_name=users.Value/partition=0");
    assert_eq!(named(Affix::Suffix), "partition=0/schema_name=users.Value");
    let schemaless = batch(None, Value::string("x"), None);
    let prefix = Partitioner { affix: Affix::Prefix, ..default };
    assert_eq!(path(&prefix, &schemaless, 0).unwrap(), "schema_name=null/partition=0");
}

#[test]
fn fields_are_written_in_order() {
    let city = Some(Value::string("Paris"));
    let rows: [(&[&str], Value, Option<Value>, &str); 9] = [
        (&["country", "active"], Value::string("FR"), None, "country=FR/active=false"),
        (&["id"], Value::Null, None, "id=7"),
        (&["country"], Value::Null, None, "country=null"),
        (&["country"], Value::string(""), None, "country="),
        (&["country"], Value::string("a/b c=d"), None, "country=a/b c=d"),
        (&["country"], Value::string("../../etc"), None, "country=..%2F..%2Fetc"),
        (&["country"], Value::string("/x\n"), None, "country=%2Fx%0A"),
        (&["address.city"], Value::Null, city, "address.city=Paris"),
        (&["address.city"], Value::Null, None, "address.city=null"),
    ];
    for (names, country, city, expected) in rows {
        let found = path(&fields(names), &user(country, city), 0).unwrap();
        assert_eq!(found, expected, "{names:?}");
    }
    let delim = Partitioner { delim: "|".to_owned(), ..fields(&["id", "country"]) };
    let found = path(&delim, &user(Value::string("FR"), None), 0).unwrap();
    assert_eq!(found, "id=7|country=FR");
}

#[test]
fn what_cannot_be_a_path_is_refused() {
    let user = user(Value::Null, None);
    let missing = path(&fields(&["x"]), &user, 0).unwrap_err();
    assert_eq!(missing, "Field 'x' is not present in the schema.");
    let map = Value::Map(vec![(Value::string("id"), Value::string("1"))]);
    let rows = [
        (fields(&["score"]), user),
        (fields(&["id"]), batch(None, map, None)),
        (fields(&["id"]), batch(None, Value::string("x"), None)),
    ];
    for (partitioner, batch) in rows {
        let error = path(&partitioner, &batch, 0).unwrap_err();
        assert!(error.starts_with("Error encoding partition."), "{error}");
    }
}

#[test]
fn time_is_rounded_down_in_local_time() {
    let hourly = "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH";
    let (quarter, hour, day) = (900_000, 3_600_000, 86_400_000);
    let los_angeles = "America/Los_Angeles";
    let rows = [
        (hourly, hour, "Europe/Paris", INSTANT, "year=2026/month=11/day=22/hour=06"),
        ("'year'=YYYY/'month'=MM/'day'=dd", day, "UTC", INSTANT, "year=2026/month=11/day=22"),
        ("'dt'=YYYY-MM-dd/'m'=mm", quarter, "UTC", INSTANT, "dt=2026-11-22/m=30"),
        ("HH", 2 * hour, "Europe/Paris", INSTANT, "06"),
        ("HH", 2 * hour, "UTC", INSTANT, "04"),
        ("HH", hour, "+02:00", INSTANT, "07"),
        // 01:30 comes twice, 02:30 never.
        ("HH Z", hour, los_angeles, "2026-11-01T08:30:00Z", "01 -0700"),
        ("HH Z", hour, los_angeles, "2026-11-01T09:30:00Z", "01 -0700"),
        ("HH Z", hour, los_angeles, "2026-03-08T10:30:00Z", "03 -0700"),
        // Toward zero, not down.
        ("YYYY-MM-dd HH", hour, "UTC", "1969-12-31T22:30:00Z", "1969-12-31 23"),
    ];
    for (pattern, duration, zone, at, expected) in rows {
        let partitioner = time(pattern, duration, zone, Extractor::Record);
        let batch = batch(None, Value::string("x"), Some(ms(at)));
        assert_eq!(path(&partitioner, &batch, 0).unwrap(), expected, "{pattern} {zone} {at}");
    }
}

#[test]
fn each_extractor_has_its_time() {
    let at = ms(INSTANT);
    let schema = |ty| Some(SchemaBuilder::structure().field("ts", ty).build());
    let wrap = |schema: &Option<Arc<Schema>>, value| {
        let schema = schema.clone().unwrap();
        Value::Struct(Box::new(Struct::new(schema, vec![value])))
    };
    let field = || Extractor::Field(FieldPath::new("ts"));
    let timestamp = SchemaBuilder::new(Type::Int64).name(crate::data::logical::TIMESTAMP).build();
    let (long, int, text) = (
        schema(SchemaBuilder::new(Type::Int64).build()),
        schema(SchemaBuilder::new(Type::Int32).build()),
        schema(SchemaBuilder::new(Type::String).build()),
    );
    let timestamp = schema(timestamp);
    let map = |value| Value::Map(vec![(Value::string("ts"), value)]);
    let rows = [
        (Extractor::Wallclock, None, Value::string("x"), "2026-11-22 05"),
        (field(), long.clone(), wrap(&long, Value::Int64(at)), "2026-11-22 05"),
        (field(), int.clone(), wrap(&int, Value::Int32(3_600_000)), "1970-01-01 01"),
        (field(), text.clone(), wrap(&text, Value::string(INSTANT)), "2026-11-22 05"),
        (field(), timestamp.clone(), wrap(&timestamp, Value::Timestamp(at)), "2026-11-22 05"),
        (field(), None, map(Value::Float64(3_600_000.5)), "1970-01-01 01"),
        (field(), None, map(Value::string("3600000")), "1970-01-01 01"),
    ];
    for (extractor, schema, value, expected) in rows {
        let partitioner = time("YYYY-MM-dd HH", 3_600_000, "UTC", extractor);
        let found = path(&partitioner, &batch(schema, value.clone(), None), at).unwrap();
        assert_eq!(found, expected, "{value:?}");
    }
    let bytes = schema(SchemaBuilder::new(Type::Boolean).build());
    let rows = [
        (
            Extractor::Record,
            None,
            Value::string("x"),
            "Unable to determine timestamp using timestamp.extractor Record: the record has no \
             Kafka timestamp",
        ),
        (
            field(),
            bytes.clone(),
            wrap(&bytes, Value::Boolean(true)),
            "Error extracting timestamp from record field: ts",
        ),
        (field(), None, map(Value::Null), "The field 'ts' does not exist."),
        (field(), None, Value::string("x"), "Error encoding partition."),
    ];
    for (extractor, schema, value, expected) in rows {
        let partitioner = time("HH", 1, "UTC", extractor);
        let error = path(&partitioner, &batch(schema, value, None), 0).unwrap_err();
        assert_eq!(error, expected);
    }
}

#[test]
fn a_tombstone_has_a_path_of_its_own() {
    let tombstones = Some("tombstone".to_owned());
    let partitioner = Partitioner { tombstones, affix: Affix::Prefix, ..fields(&["country"]) };
    let null = batch(None, Value::Null, None);
    assert_eq!(path(&partitioner, &null, 0).unwrap(), "tombstone");
}
