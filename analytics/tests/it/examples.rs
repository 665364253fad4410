use std::collections::BTreeMap;

use ferroconnect_analytics::{Error, OrderSource, TableConfig, TimeSource};
use serde_json::Value;

use crate::support::{Lake, values};

const PRODUCTS: &str = "cdc.commerce.products";

/// The values of a recording (Debezium 3.6.3.Final on PostgreSQL 14, JsonConverter), as files.
fn recorded(recording: &str) -> Lake {
    let mut lake = Lake::new();
    let users = TableConfig { keys: vec!["id".into(), "tenant".into()], ..TableConfig::default() };
    lake.config.tables.insert("cdc.commerce.users".into(), users);
    let mut by_topic: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in recording.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let topic = record["dest"].as_str().unwrap().to_owned();
        by_topic.entry(topic).or_default().push(record["value"].to_string());
    }
    for (topic, lines) in by_topic {
        lake.json(&topic, (0, 0), &lines);
    }
    lake
}

const RECORDED_PRODUCTS: &str = "
    select id, name, price, qty, left(description, 4), color, strftime(effective_from, '%S.%g'),
           strftime(effective_to, '%S.%g'), is_current, _version, _op, _end_op
    from products order by id, _version";
const RECORDED_USERS: &str = "
    select id, tenant, email, strftime(effective_from, '%S.%g'), strftime(effective_to, '%S.%g'),
           is_current, _version, _op, _end_op
    from users order by id, tenant, _version";

#[test]
fn recorded_envelopes_give_the_history_of_the_source() {
    let lake = recorded(include_str!("../fixtures/debezium-3.6.3-env.jsonl"));
    let report = lake.run();
    assert_eq!(
        lake.rows(RECORDED_PRODUCTS),
        [
            "1|a|AJY=|10|XXXX||23.313|30.822|false|1|r|u",
            "1|a|AK8=|10|XXXX||30.822|30.823|false|2|u|u",
            "1|a|AK8=|1|XXXX||30.823|30.823|false|3|u|u",
            "1|a|AK8=|2|XXXX||30.823||true|4|u|",
            "2|b|AOE=||||23.313|30.822|false|1|r|d",
            "3|c|ASw=|||red|30.826|30.827|false|1|c|u",
            "3|c|A+c=|||red|30.827||true|2|u|",
            "100|b|AOE=||||30.822|30.824|false|1|c|d",
        ]
    );
    assert_eq!(
        lake.rows(RECORDED_USERS),
        [
            "1|t1|a@x|23.313|30.823|false|1|r|d",
            "1|t1|again@x|30.823|30.830|false|2|c|t",
            "2|t2|b@x|30.823|30.830|false|1|c|t",
        ]
    );
    let products = &report.tables[0];
    assert_eq!(products.order, Some(OrderSource::Lsn));
    assert_eq!(products.time, Some(TimeSource::Source));
    assert_eq!(products.counts.unresolved_toast, 0);
    assert_eq!(report.tables[1].counts.truncates, 1);
}

#[test]
fn recorded_bare_rows_give_the_same_versions_by_offset() {
    let lake = recorded(include_str!("../fixtures/debezium-3.6.3-flatnew.jsonl"));
    let report = lake.run();
    let without_times = "
        select id, name, price, qty, left(description, 4), color, effective_from = effective_to,
               is_current, _version, _op, _end_op
        from products order by id, _version";
    assert_eq!(
        lake.rows(without_times),
        [
            "1|a|AJY=|10|XXXX||true|false|1|u|u",
            "1|a|AK8=|10|XXXX||true|false|2|u|u",
            "1|a|AK8=|1|XXXX||true|false|3|u|u",
            "1|a|AK8=|2|XXXX|||true|4|u|",
            "2|b|AOE=||||true|false|1|u|d",
            "3|c|ASw=|||red|true|false|1|u|u",
            "3|c|A+c=|||red||true|2|u|",
            "100|b|AOE=||||true|false|1|u|d",
        ]
    );
    // A truncate leaves no trace in bare rows: what it removed stays current.
    assert_eq!(
        lake.rows("select id, tenant, email from users_current order by id"),
        ["1|t1|again@x", "2|t2|b@x"]
    );
    assert_eq!(report.tables[0].order, Some(OrderSource::KafkaOffset));
    assert_eq!(report.tables[0].time, Some(TimeSource::ObjectLastModified));
}

#[test]
fn recorded_rows_with_added_fields_are_ordered_by_position() {
    // Recorded with deletes as null values, so nothing ends: id 2 and 100 stay.
    let lake = recorded(include_str!("../fixtures/debezium-3.6.3-flatadd.jsonl"));
    let report = lake.run();
    let columns =
        "select id, price, qty, strftime(effective_from, '%S.%g'), _op, _end_op from products";
    assert_eq!(
        lake.rows(&format!("{columns} where id <> 3 order by id, _version")),
        [
            "1|AJY=|10|50.773|r|u",
            "1|AK8=|10|57.192|u|u",
            "1|AK8=|1|57.216|u|u",
            "1|AK8=|2|57.216|u|",
            "2|AOE=||50.773|r|",
            "100|AOE=||57.193|c|",
        ]
    );
    assert_eq!(report.tables[0].order, Some(OrderSource::Lsn));
    assert_eq!(report.tables[0].counts.ignored, 2);
}

/// A change as `op id price second lsn`; `-` where there is none.
fn change(text: &str) -> String {
    let parts: Vec<_> = text.split(' ').collect();
    let [op, id, price, second, lsn] = parts[..] else { panic!("{text}") };
    let price = if price == "-" { "null" } else { price };
    let image = |wanted: bool| {
        if wanted { format!("{{'id': {id}::int, 'price': {price}::int}}") } else { "null".into() }
    };
    let (before, after) = (image(op == "d"), image(!matches!(op, "d" | "t")));
    let us = (second.parse::<f64>().unwrap() * 1e6).round();
    format!("({before}, {after}, '{op}', {{'ts_us': {us}::bigint, 'lsn': {lsn}::bigint}})")
}

/// Each batch is a file, read by a run of its own.
#[track_caller]
fn check(name: &str, batches: &[&[&str]], expected: &[&str]) {
    let lake = Lake::new();
    let image = "STRUCT(id INTEGER, price INTEGER)";
    let columns = format!(
        "before {image}, after {image}, op VARCHAR, source STRUCT(ts_us BIGINT, lsn BIGINT)"
    );
    // `values` takes columns apart at ", ", which the struct types contain.
    let columns = columns.replace("INTEGER, p", "INTEGER,p").replace("BIGINT, l", "BIGINT,l");
    let mut offset = 0;
    for batch in batches {
        let rows: Vec<_> = batch.iter().map(|text| change(text)).collect();
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        lake.parquet("t", (0, offset), &values(&columns, &rows), &[]);
        offset += rows.len() as u64;
        lake.run();
    }
    let seconds = |column| format!("round(epoch_ms({column}) / 1000, 3)::decimal(9, 3)::double");
    let (from, to) = (seconds("effective_from"), seconds("effective_to"));
    let sql = format!(
        "select id || ' ' || price || ' [' || {from} || ',' || coalesce({to}::varchar, '-') || ') '
                || _op || '/' || coalesce(_end_op, '-') || ' v' || _version
         from t order by id, _version"
    );
    assert_eq!(lake.rows(&sql), expected, "{name}");
    lake.rebuild();
    assert_eq!(lake.rows(&sql), expected, "{name}, rebuilt");
}

#[test]
fn small_cases_are_as_specified() {
    check(
        "a row that is inserted again opens a version after the gap",
        &[&["c 1 10 1 100", "u 1 12 2 200", "d 1 - 3 300", "c 1 15 5 400"]],
        &["1 10 [1.0,2.0) c/u v1", "1 12 [2.0,3.0) u/d v2", "1 15 [5.0,-) c/- v3"],
    );
    check(
        "a late change splits the version it falls in",
        &[&["c 1 10 1 100", "u 1 13 3 300"], &["u 1 12 2 200"]],
        &["1 10 [1.0,2.0) c/u v1", "1 12 [2.0,3.0) u/u v2", "1 13 [3.0,-) u/- v3"],
    );
    check(
        "changes that are delivered again are recognised",
        &[&["c 1 10 1 100", "u 1 12 2 200", "c 1 10 1 100", "u 1 12 2 200", "u 1 13 4 300"]],
        &["1 10 [1.0,2.0) c/u v1", "1 12 [2.0,4.0) u/u v2", "1 13 [4.0,-) u/- v3"],
    );
    check(
        "changes of one transaction keep their order at one time",
        &[&["c 1 10 1 100", "u 1 11 2 200", "u 1 12 2 208", "u 1 13 2 216"]],
        &[
            "1 10 [1.0,2.0) c/u v1",
            "1 11 [2.0,2.0) u/u v2",
            "1 12 [2.0,2.0) u/u v3",
            "1 13 [2.0,-) u/- v4",
        ],
    );
    check(
        "a second snapshot of an unchanged row changes nothing",
        &[&["r 1 10 1 100", "u 1 12 2 200", "r 1 12 9 500"]],
        &["1 10 [1.0,2.0) r/u v1", "1 12 [2.0,-) u/- v2"],
    );
    check(
        "a truncate ends every live row",
        &[&["c 1 10 1 100", "c 2 20 1 108", "t - - 3 300", "c 2 21 4 400"]],
        &["1 10 [1.0,3.0) c/t v1", "2 20 [1.0,3.0) c/t v1", "2 21 [4.0,-) c/- v2"],
    );
    check(
        "a truncate in a later file ends rows of earlier ones",
        &[&["c 1 10 1 100", "c 2 20 1 108"], &["t - - 3 300"], &["c 2 21 4 400"]],
        &["1 10 [1.0,3.0) c/t v1", "2 20 [1.0,3.0) c/t v1", "2 21 [4.0,-) c/- v2"],
    );
    check(
        "a key change ends one row and begins another",
        &[&["c 1 10 1 100", "d 1 - 2 200", "c 5 10 2 200"]],
        &["1 10 [1.0,2.0) c/d v1", "5 10 [2.0,-) c/- v1"],
    );
    check(
        "a clock that steps back makes no negative interval",
        &[&["c 1 10 1.010 100", "u 1 12 1.005 200", "u 1 13 1.020 300"]],
        &["1 10 [1.01,1.01) c/u v1", "1 12 [1.01,1.02) u/u v2", "1 13 [1.02,-) u/- v3"],
    );
    check("a delete of nothing leaves nothing", &[&["d 7 - 1 100"]], &[]);
}

#[test]
fn the_pipelines_bare_rows_are_ordered_by_offset_and_timed_by_object() {
    let lake = Lake::new();
    let columns = "id INTEGER, name VARCHAR, price DECIMAL(10,2), __deleted VARCHAR";
    let file = |offset: u64, ms: &str, rows: &[&str]| {
        let last = offset + rows.len() as u64 - 1;
        let footer = [
            ("cdc.first_offset", offset.to_string()),
            ("cdc.last_offset", last.to_string()),
            ("cdc.last_timestamp_ms", ms.to_owned()),
            ("cdc.key_fields", "[\"id\"]".to_owned()),
        ];
        let footer = footer.each_ref().map(|(key, value)| (*key, value.as_str()));
        lake.parquet(PRODUCTS, (0, offset), &values(columns, rows), &footer);
    };
    file(0, "1000", &["(1, 'a', 1.50, 'false')", "(2, 'b', 2.25, 'false')"]);
    lake.run();
    file(
        2,
        "2000",
        &["(1, 'a', 1.75, 'false')", "(2, '', null, 'true')", "(1, 'a', 1.80, 'false')"],
    );
    let report = lake.run();
    assert_eq!(
        lake.rows(
            "select id, name, price, effective_from, effective_to, is_current, _op, _end_op, _lo \
             from products order by id, _version"
        ),
        [
            "1|a|1.50|1970-01-01 00:00:01|1970-01-01 00:00:02|false|u|u|0",
            "1|a|1.75|1970-01-01 00:00:02|1970-01-01 00:00:02|false|u|u|2",
            "1|a|1.80|1970-01-01 00:00:02||true|u||4",
            "2|b|2.25|1970-01-01 00:00:01|1970-01-01 00:00:02|false|u|d|1",
        ]
    );
    assert_eq!(report.tables[0].time, Some(TimeSource::ObjectLastTimestamp));
    assert_eq!(report.tables[0].keys, ["id"]);
    let as_of = |time: &str| {
        lake.rows(&format!("select id, price from products_as_of('{time}') order by id"))
    };
    assert_eq!(as_of("1970-01-01 00:00:00"), Vec::<String>::new());
    assert_eq!(as_of("1970-01-01 00:00:01"), ["1|1.50", "2|2.25"]);
    assert_eq!(as_of("1970-01-01 00:00:02"), ["1|1.80"]);
    assert_eq!(
        lake.rows("select id, change from products_diff('1970-01-01 00:00:01', '1970-01-01 00:00:09') order by id"),
        ["1|changed", "2|removed"]
    );
    assert_eq!(lake.rows("select price from products_history(1)"), ["1.50", "1.75", "1.80"]);
    assert_eq!(
        lake.rows("select count(*) from products_between('1970-01-01', '1970-01-01 00:00:02')"),
        ["2"]
    );
}

#[test]
fn bare_rows_have_times_of_their_own_if_the_footer_lists_them() {
    let lake = Lake::new();
    let rows = values(
        "id INTEGER, v INTEGER, __deleted VARCHAR",
        &["(1, 1, 'false')", "(1, 2, 'false')", "(1, null, 'true')"],
    );
    let footer = [("cdc.last_timestamp_ms", "9000"), ("cdc.timestamps_ms", "1000,1500,2000")];
    lake.parquet("t", (0, 0), &rows, &footer);
    let report = lake.run();
    assert_eq!(
        lake.rows(
            "select v, epoch_ms(effective_from), epoch_ms(effective_to) from t order by _version"
        ),
        ["1|1000|2500", "2|2500|4500"]
    );
    assert_eq!(report.tables[0].time, Some(TimeSource::RecordTimestamp));
}

#[test]
fn files_of_the_original_without_footers_are_ordered_by_name_and_row() {
    let lake = Lake::new();
    let columns = "id INTEGER, v INTEGER, __deleted VARCHAR";
    // Offset 2 was a record that the sink skipped: the names have a gap, the order has none.
    lake.parquet("t", (0, 3), &values(columns, &["(1, 3, 'false')", "(1, 4, 'false')"]), &[]);
    lake.run();
    lake.parquet("t", (0, 0), &values(columns, &["(1, 1, 'false')", "(1, 2, 'false')"]), &[]);
    let report = lake.run();
    assert_eq!(report.tables[0].counts.late_keys, 1);
    assert_eq!(lake.rows("select v from t order by _version"), ["1", "2", "3", "4"]);
    assert_eq!(lake.rows("select v from t_current"), ["4"]);
}

#[test]
fn records_in_two_files_count_once_if_their_offsets_are_known() {
    let lake = Lake::new();
    let file = |offset: u64, rows: &[&str]| {
        let last = (offset + rows.len() as u64 - 1).to_string();
        let first = offset.to_string();
        let footer = [("cdc.first_offset", first.as_str()), ("cdc.last_offset", &last)];
        let rows = values("id INTEGER, v INTEGER, __deleted VARCHAR", rows);
        lake.parquet("t", (0, offset), &rows, &footer);
    };
    file(0, &["(1, 1, 'false')", "(1, 2, 'false')", "(1, 1, 'false')"]);
    file(1, &["(1, 2, 'false')", "(1, 1, 'false')", "(1, 5, 'false')"]);
    let report = lake.run();
    assert_eq!(report.tables[0].counts.duplicates, 2);
    assert_eq!(lake.rows("select v from t order by _version"), ["1", "2", "1", "5"]);
}

#[test]
fn a_value_that_the_source_did_not_repeat_is_that_of_the_version_before() {
    let lake = Lake::new();
    let columns = "id INTEGER, big VARCHAR, __op VARCHAR, __ts_ms BIGINT, __source_lsn BIGINT";
    let unchanged = "'__debezium_unavailable_value'";
    let update = |id: i32, big: &str, lsn: i64| format!("({id}, {big}, 'u', {lsn}, {lsn})");
    let rows = [
        update(1, "'x'", 1),
        update(1, unchanged, 2),
        update(1, "null", 3),
        update(1, unchanged, 4),
        update(2, unchanged, 5),
        update(2, "'y'", 6),
    ];
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    lake.parquet("t", (0, 0), &values(columns, &rows), &[]);
    let report = lake.run();
    assert_eq!(
        lake.rows("select id, big, _incomplete, _hi from t order by id, _version"),
        ["1|x|false|1", "1||false|3", "2||true|5", "2|y|false|6"]
    );
    assert_eq!(report.tables[0].counts.unchanged, 2);
    assert_eq!(report.tables[0].counts.unresolved_toast, 1);
    assert_eq!(report.tables[0].time, Some(TimeSource::Processing));
}

#[test]
fn a_missing_database_is_said_to_be_missing() {
    let lake = Lake::new();
    let error = ferroconnect_analytics::status(&lake.config.database).unwrap_err();
    assert!(matches!(error, Error::NoDatabase(_)), "{error}");
}
