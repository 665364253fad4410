//! Every type in one table: what the snapshot reads and what the stream brings is the same record.

use serde_json::{Value as Json, json};

use super::source::{Source, config};
use crate::support::TestDatabase;

/// Column definition, SQL literal, and what JsonConverter shows.
fn columns() -> Vec<(&'static str, &'static str, Json)> {
    vec![
        ("smallint", "-32768", json!(-32768)),
        ("int not null", "2147483647", json!(2147483647)),
        ("bigint", "9223372036854775807", json!(9223372036854775807_i64)),
        ("real", "1.25", json!(1.25)),
        ("double precision", "1e300", json!(1e300)),
        ("numeric(5,2)", "123.45", json!("MDk=")),
        ("numeric(38,10)", "1234567890123456789.0123456789", json!("J+QbMka+ybFuOYEV")),
        ("numeric", "1234.5600", json!({"scale": 2, "value": "AeJA"})),
        ("numeric(5,2)", "'NaN'", json!(null)),
        ("money", "'-12.34'", json!("+y4=")),
        ("boolean", "true", json!(true)),
        ("bit(1)", "B'1'", json!(true)),
        ("bit(9)", "B'100000001'", json!("AQE=")),
        ("varbit", "B'10110'", json!("Fg==")),
        ("bytea", r"'\xdeadbeef00ff'", json!("3q2+7wD/")),
        ("char(5)", "'ab'", json!("ab   ")),
        ("varchar(20)", "'it''s'", json!("it's")),
        ("text", r"E'tab\t back\\slash \n ü'", json!("tab\t back\\slash \n ü")),
        ("json", r#"'{ "a":1}'"#, json!("{ \"a\":1}")),
        ("jsonb", r#"'{"b":[true,null],"a":1}'"#, json!("{\"a\": 1, \"b\": [true, null]}")),
        ("xml", "'<a>b</a>'", json!("<a>b</a>")),
        (
            "uuid",
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        ("inet", "'192.168.1.5/24'", json!("192.168.1.5/24")),
        ("macaddr", "'08:00:2b:01:02:03'", json!("08:00:2b:01:02:03")),
        ("date", "'2024-02-29'", json!(19782)),
        ("date", "'0044-03-15 BC'", json!(-735160)),
        ("time(3)", "'12:34:56.789'", json!(45296789)),
        ("time", "'24:00:00'", json!(86400000000_i64)),
        ("timetz", "'12:34:56.7-05:30'", json!("18:04:56.7Z")),
        ("timestamp(3)", "'2024-02-29 12:34:56.789'", json!(1709210096789_i64)),
        ("timestamp", "'2024-02-29 12:34:56.789012'", json!(1709210096789012_i64)),
        ("timestamp", "'-infinity'", json!(-9223372036832400000_i64)),
        ("timestamptz", "'2024-02-29 12:34:56.789012+02'", json!("2024-02-29T10:34:56.789012Z")),
        ("timestamptz(3)", "'0044-03-15 01:02:03+00 BC'", json!("-0043-03-15T01:02:03.000Z")),
        ("interval", "'1 year 2 months 3 days 04:05:06.789'", json!(37091106789000_i64)),
        (
            "point",
            "'(1.5,2.5)'",
            json!({"x": 1.5, "y": 2.5, "wkb": "AQEAAAAAAAAAAAD4PwAAAAAAAARA", "srid": null}),
        ),
        ("int4range", "'[1,10)'", json!("[1,10)")),
        ("tsvector", "'fat:2 cat:1'", json!("'cat':1 'fat':2")),
        ("oid", "4294967295", json!(4294967295_i64)),
        ("name", "'nm'", json!("nm")),
        ("mood", "'very happy'", json!("very happy")),
        ("dnum", "12.5", json!("BOI=")),
        ("int[]", "'{1,NULL,3}'", json!([1, null, 3])),
        ("int[]", "'{{1,2},{3,4}}'", json!([null, null])),
        ("text[]", r#"'{a,"b,c","d\"e",""}'"#, json!(["a", "b,c", "d\"e", ""])),
        ("numeric(5,2)[]", "'{1.5,-1}'", json!(["AJY=", "nA=="])),
        ("timestamptz[]", "'{2024-02-29 12:34:56+00}'", json!(["2024-02-29T12:34:56.000000Z"])),
        (
            "uuid[]",
            "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'",
            json!(["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ),
        ("boolean[]", "'{t,f}'", json!([true, false])),
        ("bytea[]", r#"'{"\\xbeef"}'"#, json!(["vu8="])),
        ("mood[]", "'{sad,ok}'", json!(["sad", "ok"])),
        ("text", "null", json!(null)),
        ("int[]", "null", json!(null)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_and_stream_give_the_same_record_for_every_type() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let columns = columns();
    let definitions: Vec<_> =
        columns.iter().enumerate().map(|(n, (ty, _, _))| format!("c{n} {ty}")).collect();
    let values: Vec<_> = columns.iter().map(|(_, literal, _)| *literal).collect();
    client
        .batch_execute(&format!(
            "create type mood as enum ('sad', 'ok', 'very happy'); \
             create domain dnum as numeric(6,2); \
             create table public.t (id serial primary key, {})",
            definitions.join(", ")
        ))
        .await
        .unwrap();
    let insert = format!("insert into t values (default, {})", values.join(", "));
    client.batch_execute(&insert).await.unwrap();
    let props = config(&database, &[("table.include.list", "public.t")]);
    let mut source = Source::start(&props, None, true);
    let read = source.snapshot().await.remove(0);
    client.batch_execute(&insert).await.unwrap();
    let created = source.take(1).await.remove(0);
    source.stop().await;
    for (what, event) in [("snapshot", &read), ("stream", &created)] {
        let after = &event.value["payload"]["after"];
        for (n, (ty, literal, expected)) in columns.iter().enumerate() {
            assert_eq!(&after[format!("c{n}")], expected, "{what}: {ty} {literal}");
        }
    }
    assert_eq!(read.value["schema"], created.value["schema"]);
    assert_eq!(read.key["schema"], created.key["schema"]);
    assert_eq!(
        read.key,
        json!({
            "schema": {"type": "struct", "fields": [
                {"type": "int32", "optional": false, "default": 0, "field": "id"}
            ], "optional": false, "name": "srv.public.t.Key"},
            "payload": {"id": 1}
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_envelope_is_that_of_the_reference() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    client
        .batch_execute(
            "create schema inv; create table inv.a (id int primary key, name varchar(20) default 'nm', \
             qty numeric(8,2) not null default 1.5, big text)",
        )
        .await
        .unwrap();
    let props = config(&database, &[("table.include.list", "inv.a")]);
    let mut source = Source::start(&props, None, true);
    assert!(source.snapshot().await.is_empty());
    client.batch_execute("insert into inv.a values (10, 'ten', 5.22, null)").await.unwrap();
    let mut event = source.take(1).await.remove(0).value;
    source.stop().await;
    let row = json!([
        {"type": "int32", "optional": false, "field": "id"},
        {"type": "string", "optional": true, "default": "nm", "field": "name"},
        {"type": "bytes", "optional": false, "name": "org.apache.kafka.connect.data.Decimal",
         "version": 1, "parameters": {"scale": "2", "connect.decimal.precision": "8"},
         "default": "AJY=", "field": "qty"},
        {"type": "string", "optional": true, "field": "big"}
    ]);
    let schema = &event["schema"];
    assert_eq!(schema["fields"][0]["fields"], row);
    assert_eq!((&schema["name"], &schema["version"]), (&json!("srv.inv.a.Envelope"), &json!(2)));
    let names = |fields: &Json| {
        let names = fields.as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&schema["fields"]), "before after source transaction op ts_ms ts_us ts_ns");
    assert_eq!(
        names(&schema["fields"][2]["fields"]),
        "version connector name ts_ms snapshot db sequence ts_us ts_ns schema table txId lsn xmin \
         origin origin_lsn"
    );
    let payload = &mut event["payload"];
    assert_eq!(payload["after"], json!({"id": 10, "name": "ten", "qty": "Ago=", "big": null}));
    let source = payload["source"].as_object_mut().unwrap();
    let micros = source["ts_us"].as_i64().unwrap();
    assert_eq!(source["ts_ms"], micros / 1000);
    assert_eq!(source["ts_ns"], micros * 1000);
    assert!(source["txId"].is_i64() && source["lsn"].is_i64());
    assert_eq!(source["version"], "3.6.3.Final");
    assert_eq!(source["snapshot"], "false");
    assert_eq!(payload["op"], "c");
}
