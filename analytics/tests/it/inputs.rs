use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ferroconnect_analytics::TableConfig;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::support::{Lake, values};

fn bare(rows: &[&str]) -> String {
    values("id INTEGER, v INTEGER, __deleted VARCHAR", rows)
}

#[test]
fn logical_types_are_read_from_the_footer() {
    let lake = Lake::new();
    let rows = "select 1 as id, 20000::int as d, 1700000000123::bigint as ms, 1700000000123456::bigint as us,
                       1700000000123456789::bigint as ns, 3723004::int as t, 3723004005::bigint as ut,
                       '2026-11-22T07:16:39.522564Z' as z, '{\"a\": 1}' as j, 9.5::decimal(10,2) as p,
                       '00000000-0000-0000-0000-000000000001' as u,
                       {'scale': 1, 'value': '\\x0F'::blob} as n, 'false' as __deleted";
    let of = |name: &str, base: &str, connect: &str| {
        format!(
            r#"{{"name":"{name}","type":["null",{{"type":"{base}","connect.name":"io.debezium.{connect}"}}]}}"#
        )
    };
    let fields = [
        of("d", "int", "time.Date"),
        of("ms", "long", "time.Timestamp"),
        of("us", "long", "time.MicroTimestamp"),
        of("ns", "long", "time.NanoTimestamp"),
        of("t", "int", "time.Time"),
        of("ut", "long", "time.MicroTime"),
        of("z", "string", "time.ZonedTimestamp"),
        of("j", "string", "data.Json"),
        of("u", "string", "data.Uuid"),
        of("n", "record", "data.VariableScaleDecimal"),
    ];
    let schema = format!(r#"{{"type":"record","name":"Value","fields":[{}]}}"#, fields.join(","));
    lake.parquet("t", (0, 0), rows, &[("parquet.avro.schema", &schema)]);
    lake.run();
    assert_eq!(
        lake.rows("select d, ms, us, ns, t, ut, z, j, p, u, n from t"),
        [
            "2024-10-04|2023-11-14 22:13:20.123|2023-11-14 22:13:20.123456|2023-11-14 22:13:20.123456|\
          01:02:03.004|01:02:03.004005|2026-11-22 07:16:39.522564|{\"a\": 1}|9.50|\
          00000000-0000-0000-0000-000000000001|1.5"
        ]
    );
    let types = lake.rows("select column_type from (describe select d, us, t, z, j, u from t)");
    assert_eq!(types, ["DATE", "TIMESTAMP", "TIME", "TIMESTAMP", "JSON", "UUID"]);
}

#[test]
fn logical_types_are_read_in_envelopes() {
    let lake = Lake::new();
    let rows = "select null::STRUCT(id INTEGER, us BIGINT, n STRUCT(scale INTEGER, value BLOB)) as before,
                       {'id': 1, 'us': 1700000000123456::bigint, 'n': {'scale': 1, 'value': '\\x0F'::blob}} as after,
                       'c' as op, {'ts_ms': 5, 'lsn': 7} as source";
    let schema = r#"{"type":"record","fields":[
        {"name":"before","type":["null",{"type":"record","name":"Value","fields":[
          {"name":"us","type":{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}},
          {"name":"n","type":["null",{"type":"record","connect.name":"io.debezium.data.VariableScaleDecimal"}]}]}]},
        {"name":"after","type":["null","Value"]}]}"#;
    lake.parquet("t", (0, 0), rows, &[("parquet.avro.schema", schema)]);
    lake.run();
    assert_eq!(lake.rows("select us, n, _hi from t"), ["2023-11-14 22:13:20.123456|1.5|7"]);
}

#[test]
fn an_unchanged_json_value_is_no_broken_document() {
    let lake = Lake::new();
    let rows = values(
        "id INTEGER, j VARCHAR, n INTEGER, __deleted VARCHAR",
        &["(1, '{\"a\":1}', 1, 'false')", "(1, '__debezium_unavailable_value', 2, 'false')"],
    );
    let schema = r#"{"type":"record","fields":[{"name":"j","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}]}]}"#;
    lake.parquet("t", (0, 0), &rows, &[("parquet.avro.schema", schema)]);
    lake.run();
    assert_eq!(lake.rows("select j, n from t order by _version"), ["{\"a\":1}|1", "{\"a\":1}|2"]);
}

#[test]
fn columns_that_come_and_go_leave_null() {
    let lake = Lake::new();
    lake.parquet("t", (0, 0), &bare(&["(1, 1, 'false')", "(2, 2, 'false')"]), &[]);
    lake.run();
    let later = values("id INTEGER, color VARCHAR, __deleted VARCHAR", &["(1, 'red', 'false')"]);
    lake.parquet("t", (0, 2), &later, &[]);
    lake.run();
    let expected = ["1|1||false", "1||red|true", "2|2||true"];
    let sql = "select id, v, color, is_current from t order by id, _version";
    assert_eq!(lake.rows(sql), expected);
    assert_eq!(lake.rows("select id, color from t_current order by id"), ["1|red", "2|"]);
    lake.rebuild();
    assert_eq!(lake.rows(sql), expected);
}

#[test]
fn types_widen_or_become_text_whatever_comes_first() {
    let narrow = bare(&["(1, 7, 'false')"]);
    let wide = values("id BIGINT, v DECIMAL(10,2), __deleted VARCHAR", &["(1, 8.25, 'false')"]);
    let text = values("id INTEGER, v VARCHAR, __deleted VARCHAR", &["(1, 'many', 'false')"]);
    for (name, files, expected, notices) in [
        ("widened", vec![(0, &narrow), (1, &wide)], vec!["7.00", "8.25"], 0),
        ("widened, wide first", vec![(1, &wide), (0, &narrow)], vec!["7.00", "8.25"], 0),
        ("text", vec![(0, &narrow), (1, &text)], vec!["7", "many"], 1),
        ("text, text first", vec![(1, &text), (0, &narrow)], vec!["7", "many"], 1),
    ] {
        let lake = Lake::new();
        let mut said = 0;
        for (offset, rows) in files {
            lake.parquet("t", (0, offset), rows, &[]);
            said += lake.run().tables[0].notices.len();
        }
        assert_eq!(lake.rows("select v from t order by _version"), expected, "{name}");
        assert_eq!(said, notices, "{name}");
    }
}

#[test]
fn difficult_column_names_are_kept() {
    let lake = Lake::new();
    let rows = r#"select 1 as id, 2 as "partition", 'x' as filename, 'y' as effective_from, 'z' as _op,
                         's' as "select", 'q' as "a ""b"" {keys}", '☃' as "snow ☃", 'false' as __deleted"#;
    lake.parquet("t", (0, 0), rows, &[]);
    lake.run();
    let sql = r#"select "partition", filename, src_effective_from, src__op, "select", "a ""b"" {keys}", "snow ☃" from t"#;
    assert_eq!(lake.rows(sql), ["2|x|y|z|s|q|☃"]);
    lake.rebuild();
    assert_eq!(lake.rows(sql), ["2|x|y|z|s|q|☃"]);
}

#[test]
fn json_parquet_and_gzip_files_of_one_topic_make_one_table() {
    let lake = Lake::new();
    lake.parquet("t", (0, 0), &bare(&["(1, 1, 'false')"]), &[]);
    lake.json("t", (0, 1), &[r#"{"id":1,"v":2,"__deleted":"false"}"#.into(), "null".into()]);
    lake.json("t", (0, 3), &[r#"{"id":1,"v":null,"__deleted":"true"}"#.into()]);
    let report = lake.run();
    assert_eq!(
        lake.rows("select v, is_current, _end_op from t order by _version"),
        ["1|false|u", "2|false|d"]
    );
    assert_eq!(report.tables[0].counts.ignored, 1);
}

#[test]
fn nested_values_are_kept_and_compared() {
    let lake = Lake::new();
    let row = |tags: &str| {
        format!("select 1 as id, {tags} as tags, {{'x': {tags}}} as s, 'false' as __deleted")
    };
    lake.parquet("t", (0, 0), &row("['a', null]"), &[]);
    lake.parquet("t", (0, 1), &row("['a', null]"), &[]);
    lake.parquet("t", (0, 2), &row("['b']"), &[]);
    lake.run();
    assert_eq!(lake.rows("select tags from t order by _version"), ["[a, NULL]", "[b]"]);
}

#[test]
fn log_positions_may_be_text() {
    let lake = Lake::new();
    let columns = "id INTEGER, v INTEGER, __op VARCHAR, __ts_ms BIGINT, __lsn VARCHAR";
    let rows = ["(1, 2, 'u', 2, '1/0')", "(1, 1, 'c', 1, '0/FFFFFFFF')"];
    lake.parquet("t", (0, 0), &values(columns, &rows), &[]);
    lake.run();
    assert_eq!(
        lake.rows("select v, _hi from t order by _version"),
        ["1|4294967295", "2|4294967296"]
    );
}

#[test]
fn a_table_may_have_nothing_but_a_compound_key() {
    let mut lake = Lake::new();
    let keys = TableConfig {
        name: Some("pairs".into()),
        keys: vec!["a".into(), "b".into()],
        ..TableConfig::default()
    };
    lake.config.tables.insert("x.t".into(), keys);
    let columns = "a INTEGER, b VARCHAR, __deleted VARCHAR";
    let rows = ["(1, 'x', 'false')", "(1, 'y', 'false')", "(1, 'x', 'false')", "(1, 'y', 'true')"];
    lake.parquet("x.t", (0, 0), &values(columns, &rows), &[]);
    let report = lake.run();
    assert_eq!(lake.rows("select a, b from pairs_current"), ["1|x"]);
    assert_eq!(lake.rows("select _end_op from pairs_history(1, 'y')"), ["d"]);
    assert_eq!(report.tables[0].counts.unchanged, 1);
    lake.rebuild();
    assert_eq!(lake.rows("select a, b from pairs_current"), ["1|x"]);
}

#[test]
fn a_key_is_compared_by_its_type() {
    for (name, of, one, other) in [
        ("text", "VARCHAR", "'a'", "'A'"),
        (
            "uuid",
            "UUID",
            "'00000000-0000-0000-0000-000000000001'",
            "'00000000-0000-0000-0000-000000000002'",
        ),
        ("decimal", "DECIMAL(10,2)", "1.10", "1.11"),
        ("timestamp", "TIMESTAMP", "'2026-01-01'", "'2026-01-01 00:00:00.000001'"),
        ("bytes", "BLOB", "'\\x00'", "'\\x00\\x00'"),
    ] {
        let lake = Lake::new();
        let row = |key: &str, v: i32| format!("({key}, {v}, 'false')");
        let rows = [row(one, 1), row(other, 2), row(one, 3)];
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        let columns = format!("id {of}, v INTEGER, __deleted VARCHAR");
        lake.parquet("t", (0, 0), &values(&columns, &rows), &[]);
        lake.run();
        assert_eq!(lake.rows("select v from t_current order by v"), ["2", "3"], "{name}");
        assert_eq!(lake.rows("select count(*) from t"), ["3"], "{name}");
    }
}

#[test]
fn files_without_rows_are_done_all_the_same() {
    let lake = Lake::new();
    lake.parquet("t", (0, 0), &format!("{} limit 0", bare(&["(1, 1, 'false')"])), &[]);
    lake.json("t", (0, 1), &[]);
    lake.json("u", (0, 0), &["null".into()]);
    lake.run();
    assert_eq!(lake.rows("select count(*) from t"), ["0"]);
    lake.parquet("t", (0, 2), &bare(&["(1, 1, 'true')"]), &[]);
    let report = lake.run();
    assert_eq!(report.tables[0].counts.deletes_without_row, 1);
    assert_eq!(lake.rows("select count(*) from t"), ["0"]);
}

/// Rows of id and price as the sinks write a Decimal whose schema does not tell its precision: 64 digits,
/// in a BYTE_ARRAY. As an envelope's `after`, or flattened.
fn wide_decimals(path: &Path, prices: &[Option<&[u8]>], in_envelope: bool) {
    let row = "required int32 id; optional binary price (DECIMAL(64,2));";
    let message = if in_envelope {
        format!("message m {{ required group after {{ {row} }} required binary op (STRING); }}")
    } else {
        format!("message m {{ {row} }}")
    };
    let connect = r#"{"type":"record","fields":[{"name":"price","type":["null",{"type":"bytes","connect.name":"org.apache.kafka.connect.data.Decimal"}]}]}"#;
    let entry = KeyValue::new("parquet.avro.schema".to_owned(), connect.to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![entry])).build();
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let ids: Vec<i32> = (1..).take(prices.len()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&ids, None, None).unwrap();
    column.close().unwrap();
    let values: Vec<ByteArray> =
        prices.iter().flatten().map(|bytes| bytes.to_vec().into()).collect();
    let levels: Vec<i16> = prices.iter().map(|price| i16::from(price.is_some())).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
    if in_envelope {
        let ops = vec![ByteArray::from("c"); prices.len()];
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&ops, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// DuckDB would read them as DOUBLE, and wrongly if they are shorter than eight bytes.
#[test]
fn decimals_of_more_digits_than_duckdb_has_are_exact_text() {
    let prices: [Option<&[u8]>; 5] = [
        Some(&[0x0f]),
        Some(&[0xff]),
        Some(&[1, 0, 0, 0, 0, 0, 0, 0, 0]),
        None,
        Some(&[0x4e, 0x20]),
    ];
    let expected =
        ["1|0.15", "2|-0.01", "3|184467440737095516.16", "4|", "5|200.00"].map(str::to_owned);
    for in_envelope in [false, true] {
        let lake = Lake::new();
        wide_decimals(&lake.path("t", 0, 0, "snappy.parquet"), &prices, in_envelope);
        lake.run();
        assert_eq!(lake.rows("select id, price from t order by id"), expected, "{in_envelope}");
        assert_eq!(lake.rows("select distinct typeof(price) from t"), ["VARCHAR"], "{in_envelope}");
    }
    let mut lake = Lake::new();
    let types = [("price".to_owned(), "decimal(38,2)".to_owned())].into();
    lake.config.tables.insert("t".into(), TableConfig { types, ..TableConfig::default() });
    wide_decimals(&lake.path("t", 0, 0, "snappy.parquet"), &prices, false);
    lake.run();
    assert_eq!(lake.rows("select id, price from t order by id"), expected);
    assert_eq!(lake.rows("select distinct typeof(price) from t"), ["DECIMAL(38,2)"]);
}
