use std::collections::BTreeMap;

use ferroconnect_analytics::{
    Deletes, Rules, SnapshotFrom, TableConfig, Time, Track, TypeConflict, ZeroLength, run,
};

use crate::support::{Lake, values};

const COLUMNS: &str = "id INTEGER, a INTEGER, b VARCHAR, __op VARCHAR, __source_ts_ms BIGINT, __source_lsn BIGINT, __source_snapshot VARCHAR";

fn lake(rules: Rules) -> Lake {
    let mut lake = Lake::new();
    let table = TableConfig { rules: Some(rules), ..TableConfig::default() };
    lake.config.tables = BTreeMap::from([("t".to_owned(), table)]);
    lake
}

/// Reads rows `(id, a, b, op, second, lsn, snapshot)`; the time is in seconds.
fn read(lake: &Lake, offset: u64, rows: &[(i32, i32, &str, &str, i64, i64, &str)]) {
    let rows: Vec<_> = rows
        .iter()
        .map(|(id, a, b, op, second, lsn, snapshot)| {
            format!(
                "({id}, {a}, '{b}', '{op}', {}, {lsn}, nullif('{snapshot}', ''))",
                second * 1000
            )
        })
        .collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    lake.parquet("t", (0, offset), &values(COLUMNS, &rows), &[]);
}

const VERSIONS: &str =
    "select id, a, b, epoch(effective_from)::int, epoch(effective_to)::int, _version, _op, _end_op
                        from t order by id, _version";

fn check(lake: &Lake, expected: &[&str]) {
    lake.run();
    assert_eq!(lake.rows(VERSIONS), expected);
    lake.rebuild();
    assert_eq!(lake.rows(VERSIONS), expected, "rebuilt");
}

#[test]
fn deletes_may_leave_rows_that_say_so() {
    let lake = lake(Rules { deletes: Deletes::Row, ..Rules::default() });
    read(
        &lake,
        0,
        &[(1, 1, "x", "c", 1, 100, ""), (1, 0, "", "d", 2, 200, ""), (1, 3, "z", "c", 4, 300, "")],
    );
    read(&lake, 3, &[(2, 1, "x", "c", 1, 400, ""), (2, 0, "", "d", 2, 500, "")]);
    check(
        &lake,
        &[
            "1|1|x|1|2|1|c|d",
            "1|1|x|2|4|2|d|u",
            "1|3|z|4||3|c|",
            "2|1|x|1|2|1|c|d",
            "2|1|x|2||2|d|",
        ],
    );
    assert_eq!(
        lake.rows("select id, is_deleted from t where _op = 'd' order by id"),
        ["1|true", "2|true"]
    );
    assert_eq!(lake.rows("select id, a from t_current"), ["1|3"]);
    let as_of = |second| {
        lake.rows(&format!("select id from t_as_of(make_timestamp({second}000000)) order by id"))
    };
    assert_eq!(
        (as_of(1), as_of(3), as_of(4)),
        (vec!["1".into(), "2".into()], vec![], vec!["1".into()])
    );
}

#[test]
fn only_tracked_columns_open_versions() {
    let rows =
        [(1, 1, "x", "c", 1, 100, ""), (1, 1, "y", "u", 2, 200, ""), (1, 2, "z", "u", 3, 300, "")];
    let tracked = lake(Rules { track: Track::Only(vec!["a".into()]), ..Rules::default() });
    read(&tracked, 0, &rows);
    check(&tracked, &["1|1|x|1|3|1|c|u", "1|2|z|3||2|u|"]);
    let except =
        lake(Rules { track: Track::Except(vec!["a".into(), "b".into()]), ..Rules::default() });
    read(&except, 0, &rows);
    check(&except, &["1|1|x|1||1|c|"]);
}

#[test]
fn every_event_and_no_zero_length() {
    let rows =
        [(1, 1, "x", "c", 1, 100, ""), (1, 1, "x", "u", 2, 200, ""), (1, 2, "x", "u", 2, 208, "")];
    let every = lake(Rules { every_event: true, ..Rules::default() });
    read(&every, 0, &rows);
    check(&every, &["1|1|x|1|2|1|c|u", "1|1|x|2|2|2|u|u", "1|2|x|2||3|u|"]);
    let drop = lake(Rules { every_event: true, zero_length: ZeroLength::Drop, ..Rules::default() });
    read(&drop, 0, &rows);
    check(&drop, &["1|1|x|1|2|1|c|u", "1|2|x|2||2|u|"]);
}

#[test]
fn rows_of_a_snapshot_may_have_been_there_since_ever() {
    let lake = lake(Rules {
        snapshot_from: SnapshotFrom::Beginning,
        open_end: Some("9999-12-31".into()),
        ..Rules::default()
    });
    read(&lake, 0, &[(1, 1, "x", "r", 5, 100, "true"), (1, 2, "x", "u", 6, 200, "")]);
    lake.run();
    assert_eq!(
        lake.rows("select a, effective_from, effective_to, is_current from t order by _version"),
        ["1|-infinity|1970-01-01 00:00:06|false", "2|1970-01-01 00:00:06|9999-12-31 00:00:00|true"]
    );
    assert_eq!(lake.rows("select a from t_as_of('1900-01-01')"), ["1"]);
    assert_eq!(lake.rows("select a from t_as_of('2900-01-01')"), ["2"]);
}

#[test]
fn a_complete_snapshot_may_end_what_it_lacks() {
    let lake = lake(Rules { snapshot_closes_missing: true, ..Rules::default() });
    read(
        &lake,
        0,
        &[
            (1, 1, "x", "r", 1, 100, "first"),
            (2, 1, "x", "r", 1, 100, "last"),
            (3, 1, "x", "c", 2, 200, ""),
        ],
    );
    lake.run();
    // The connector was away, its slot too: 2 and 3 were deleted meanwhile. Not complete yet:
    read(&lake, 3, &[(1, 1, "x", "r", 9, 900, "first")]);
    lake.run();
    assert_eq!(lake.rows("select id from t_current order by id"), ["1", "2", "3"]);
    read(&lake, 4, &[(4, 1, "x", "r", 9, 900, "last")]);
    check(&lake, &["1|1|x|1||1|r|", "2|1|x|1|9|1|r|s", "3|1|x|2|9|1|c|s", "4|1|x|9||1|r|"]);
}

#[test]
fn log_positions_that_begin_anew_are_another_servers() {
    let lake = lake(Rules::default());
    let far = 10 << 30;
    read(&lake, 0, &[(1, 1, "x", "c", 1, far, ""), (1, 2, "x", "u", 2, far + 8, "")]);
    lake.run();
    // Restored from a dump: the same topic, lower positions, beginning with a snapshot.
    read(&lake, 2, &[(1, 3, "x", "r", 5, 100, "last"), (1, 4, "x", "u", 6, 200, "")]);
    let report = lake.run();
    assert!(report.tables[0].notices.iter().any(|n| n.contains("offset 2")), "{report:?}");
    check(&lake, &["1|1|x|1|2|1|c|u", "1|2|x|2|5|2|u|u", "1|3|x|5|6|3|r|u", "1|4|x|6||4|u|"]);
    // By hand, where no snapshot shows it.
    let mut by_hand = self::lake(Rules::default());
    read(&by_hand, 0, &[(1, 1, "x", "c", 1, far, "")]);
    read(&by_hand, 1, &[(1, 2, "x", "u", 2, 100, "")]);
    by_hand.run();
    assert_eq!(by_hand.rows("select a from t_current"), ["1"]);
    by_hand.config.tables.get_mut("t").unwrap().epochs.push((0, 1));
    by_hand.run();
    assert_eq!(by_hand.rows("select a from t_current"), ["2"]);
}

#[test]
fn a_column_may_tell_the_time() {
    let lake = lake(Rules { time: Time::Column("moved".into()), ..Rules::default() });
    let columns =
        "id INTEGER, moved TIMESTAMP, __op VARCHAR, __source_ts_ms BIGINT, __source_lsn BIGINT";
    let rows = ["(1, '1970-01-01 00:00:07', 'c', 1000, 100)", "(1, null, 'd', 9000, 200)"];
    lake.parquet("t", (0, 0), &values(columns, &rows), &[]);
    lake.run();
    assert_eq!(
        lake.rows("select effective_from, effective_to from t"),
        ["1970-01-01 00:00:07|1970-01-01 00:00:09"]
    );
}

#[test]
fn rules_change_by_a_rebuild_only() {
    let mut lake = lake(Rules::default());
    read(&lake, 0, &[(1, 1, "x", "c", 1, 100, ""), (1, 0, "", "d", 2, 200, "")]);
    lake.run();
    let rules = Rules { deletes: Deletes::Row, ..Rules::default() };
    lake.config.tables.get_mut("t").unwrap().rules = Some(rules);
    let report = run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.contains("rebuild"), "{error}");
    lake.rebuild();
    assert_eq!(lake.rows("select _op, is_deleted from t order by _version"), ["c|false", "d|true"]);
    read(&lake, 2, &[(1, 5, "x", "c", 3, 300, "")]);
    lake.run();
    assert_eq!(lake.rows("select count(*) from t"), ["3"]);
}

#[test]
fn types_that_do_not_go_together_are_as_told() {
    for (on_type_conflict, expected) in [
        (TypeConflict::Varchar, Ok(vec!["7|", "many|"])),
        (TypeConflict::Split, Ok(vec!["7|", "|many"])),
        (TypeConflict::Error, Err("on_type_conflict")),
    ] {
        let lake = lake(Rules { on_type_conflict, ..Rules::default() });
        lake.parquet("t", (0, 0), &values("id INTEGER, v INTEGER", &["(1, 7)"]), &[]);
        lake.run();
        lake.parquet("t", (0, 1), &values("id INTEGER, v VARCHAR", &["(1, 'many')"]), &[]);
        let report = run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
        match expected {
            Ok(rows) => {
                assert_eq!(report.tables[0].error, None);
                let split = on_type_conflict == TypeConflict::Split;
                let other = if split { "v__2" } else { "null" };
                let found = lake.rows(&format!("select v, {other} from t order by _version"));
                assert_eq!(found, rows, "{on_type_conflict:?}");
            }
            Err(word) => {
                assert!(report.tables[0].error.as_ref().unwrap().contains(word));
                assert_eq!(lake.rows("select count(*) from t"), ["1"]);
            }
        }
    }
}

#[test]
fn json_columns_have_the_types_that_are_declared() {
    let mut lake = Lake::new();
    let types = [
        ("made", "timestamp_us"),
        ("day", "date_days"),
        ("price", "decimal(10,2)"),
        ("n", "bigint"),
    ];
    let types = types.map(|(column, of)| (column.to_owned(), of.to_owned())).into();
    let table = TableConfig { types, ..TableConfig::default() };
    lake.config.tables.insert("t".into(), table);
    let line =
        r#"{"id":1,"made":1700000000123456,"day":19675,"price":"AJY=","n":7,"__deleted":"false"}"#;
    let nulls = r#"{"id":2,"made":null,"day":null,"price":null,"n":null,"__deleted":"false"}"#;
    lake.json("t", (0, 0), &[line.into(), nulls.into()]);
    let rows =
        "select 1 as id, timestamp '2023-11-14 22:13:20.123456' as made, date '2023-11-14' as day,
                1.75::decimal(10,2) as price, 7::bigint as n, 'false' as __deleted";
    lake.parquet("t", (0, 2), rows, &[]);
    lake.run();
    assert_eq!(
        lake.rows("select made, day, price, n from t where id = 1 order by _version"),
        [
            "2023-11-14 22:13:20.123456|2023-11-14|1.50|7",
            "2023-11-14 22:13:20.123456|2023-11-14|1.75|7"
        ]
    );
    assert_eq!(lake.rows("select made, day, price, n from t where id = 2"), ["|||"]);
    let types = lake.rows("select column_type from (describe select made, day, price, n from t)");
    assert_eq!(types, ["TIMESTAMP", "DATE", "DECIMAL(10,2)", "BIGINT"]);
}
