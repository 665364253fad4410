use crate::support::Lake;

/// An Avro object container file, byte by byte (Apache Avro specification, "Object Container Files").
struct Container {
    bytes: Vec<u8>,
    rows: Vec<u8>,
    count: i64,
}

const SYNC: [u8; 16] = *b"0123456789abcdef";

fn long(out: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while 0x7f < rest {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
}

fn text(out: &mut Vec<u8>, text: &str) {
    long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

impl Container {
    fn new(schema: &str, entries: &[(&str, &str)]) -> Self {
        let mut bytes = b"Obj\x01".to_vec();
        long(&mut bytes, entries.len() as i64 + 2);
        for (key, value) in [("avro.schema", schema), ("avro.codec", "null")].iter().chain(entries)
        {
            text(&mut bytes, key);
            text(&mut bytes, value);
        }
        long(&mut bytes, 0);
        bytes.extend_from_slice(&SYNC);
        Container { bytes, rows: Vec::new(), count: 0 }
    }

    fn row(mut self, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        write(&mut self.rows);
        self.count += 1;
        self
    }

    fn finish(mut self) -> Vec<u8> {
        long(&mut self.bytes, self.count);
        long(&mut self.bytes, self.rows.len() as i64);
        self.bytes.extend_from_slice(&self.rows);
        self.bytes.extend_from_slice(&SYNC);
        self.bytes
    }
}

const VALUE: &str = r#"{"type":"record","name":"Value","connect.name":"cdc.t.Value","fields":[
    {"name":"id","type":"int"},
    {"name":"name","type":["null","string"],"default":null},
    {"name":"price","type":["null",{"type":"bytes","scale":2,"precision":10,"logicalType":"decimal","connect.name":"org.apache.kafka.connect.data.Decimal"}],"default":null},
    {"name":"seen","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}}]}"#;

fn value(out: &mut Vec<u8>, id: i64, name: Option<&str>, cents: Option<u8>, seen: i64) {
    long(out, id);
    match name {
        Some(name) => {
            long(out, 1);
            text(out, name);
        }
        None => long(out, 0),
    }
    match cents {
        Some(cents) => {
            long(out, 1);
            long(out, 2);
            out.extend_from_slice(&[0, cents]);
        }
        None => long(out, 0),
    }
    long(out, seen);
}

#[test]
fn envelopes_are_read_with_their_types_and_offsets() {
    let lake = Lake::new();
    let schema = format!(
        r#"{{"type":"record","name":"Envelope","fields":[
            {{"name":"before","type":["null",{VALUE}],"default":null}},
            {{"name":"after","type":["null","Value"],"default":null}},
            {{"name":"op","type":"string"}},
            {{"name":"source","type":{{"type":"record","name":"Source","fields":[
                {{"name":"ts_ms","type":"long"}},{{"name":"lsn","type":["null","long"]}}]}}}}]}}"#
    );
    let entries =
        [("cdc.first_offset", "40"), ("cdc.last_offset", "42"), ("cdc.key_fields", "[\"id\"]")];
    let source = |out: &mut Vec<u8>, ms: i64, lsn: i64| {
        long(out, ms);
        long(out, 1);
        long(out, lsn);
    };
    let file = Container::new(&schema, &entries)
        .row(|out| {
            long(out, 0);
            long(out, 1);
            value(out, 1, Some("a"), Some(150), 1_700_000_000_123_456);
            text(out, "c");
            source(out, 1_000, 100);
        })
        .row(|out| {
            long(out, 0);
            long(out, 1);
            value(out, 1, None, None, 1_700_000_000_123_456);
            text(out, "u");
            source(out, 2_000, 200);
        })
        .row(|out| {
            long(out, 1);
            value(out, 1, None, None, 0);
            long(out, 0);
            text(out, "d");
            source(out, 3_000, 300);
        })
        .finish();
    std::fs::write(lake.path("t", 0, 40, "avro"), file).unwrap();
    lake.run();
    assert_eq!(
        lake.rows("select id, name, price, seen, effective_from, effective_to, _end_op, _lo from t order by _version"),
        [
            "1|a|1.50|2023-11-14 22:13:20.123456|1970-01-01 00:00:01|1970-01-01 00:00:02|u|40",
            "1|||2023-11-14 22:13:20.123456|1970-01-01 00:00:02|1970-01-01 00:00:03|d|41",
        ]
    );
    let types = lake.rows("select column_type from (describe select price, seen from t)");
    assert_eq!(types, ["DECIMAL(10,2)", "TIMESTAMP"]);
}

#[test]
fn avro_and_parquet_files_of_one_topic_make_one_table() {
    let lake = Lake::new();
    let schema = r#"{"type":"record","name":"Value","fields":[
        {"name":"id","type":"int"},{"name":"v","type":["null","int"]},{"name":"__deleted","type":["null","string"]}]}"#;
    let row = |v: i64| {
        move |out: &mut Vec<u8>| {
            long(out, 1);
            long(out, 1);
            long(out, v);
            long(out, 1);
            text(out, "false");
        }
    };
    let file = Container::new(schema, &[]).row(row(1)).row(row(2)).finish();
    std::fs::write(lake.path("t", 0, 0, "avro"), file).unwrap();
    let rows =
        crate::support::values("id INTEGER, v INTEGER, __deleted VARCHAR", &["(1, 3, 'false')"]);
    lake.parquet("t", (0, 2), &rows, &[]);
    lake.run();
    assert_eq!(lake.rows("select v from t order by _version"), ["1", "2", "3"]);
    let types = lake.rows("select column_type from (describe select v from t)");
    assert_eq!(types, ["INTEGER"]);
}

#[test]
fn a_broken_file_is_named_and_may_be_set_aside() {
    let lake = Lake::new();
    std::fs::write(lake.path("t", 0, 0, "avro"), b"Obj\x01 this is no container").unwrap();
    let rows = crate::support::values("id INTEGER, __deleted VARCHAR", &["(1, 'false')"]);
    lake.parquet("t", (0, 1), &rows, &[]);
    let report = ferroconnect_analytics::run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.contains("t+0+0000000000.avro"), "{error}");
    let mut options = lake.options();
    options.skip_bad = true;
    let report = ferroconnect_analytics::run(&lake.config, &options, &mut |_| {}).unwrap();
    assert_eq!((report.tables[0].error.as_ref(), report.tables[0].objects_bad), (None, 1));
    assert!(report.has_rejects());
    assert_eq!(lake.rows("select id from t"), ["1"]);
    assert_eq!(lake.rows("select count(*) from cdc_rejects where tbl = 't'"), ["1"]);
    assert_eq!(lake.run().tables[0].objects, 0);
}
