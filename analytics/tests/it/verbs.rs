use std::time::{Duration, UNIX_EPOCH};

use ferroconnect_analytics::{
    Continuity, ExportFormat, ExportOf, Stop, compact, doctor, export, history, key_history, query,
    report_page, run, verify,
};

use crate::support::{Lake, values};

const COLUMNS: &str =
    "id INTEGER, v INTEGER, __op VARCHAR, __source_ts_ms BIGINT, __source_lsn BIGINT";

/// Two keys: one that changes, one that goes and comes back.
fn lake() -> Lake {
    let lake = Lake::new();
    let rows = [
        "(1, 1, 'c', 1000, 100)",
        "(2, 1, 'c', 2000, 200)",
        "(1, 2, 'u', 3000, 300)",
        "(2, null, 'd', 4000, 400)",
        "(2, 5, 'c', 9000, 500)",
        "(1, 2, 'u', 9500, 600)",
        "(3, null, 'd', 9600, 700)",
    ];
    let footer =
        [("cdc.first_offset", "0"), ("cdc.last_offset", "6"), ("cdc.key_fields", "[\"id\"]")];
    lake.parquet("shop.t", (0, 0), &values(COLUMNS, &rows), &footer);
    lake.run();
    lake
}

fn now() -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(3_610)
}

/// An update of a table with REPLICA IDENTITY FULL, of id 1.
fn full(before: &str, after: &str, lsn: u64) -> String {
    let row = |v: &str| if v == "-" { "null".into() } else { format!("{{'id': 1, 'v': {v}}}") };
    let op = if before == "-" { "c" } else { "u" };
    format!(
        "select {}::STRUCT(id INTEGER, v INTEGER) as before, {}::STRUCT(id INTEGER, v INTEGER) as after,
                '{op}' as op, {{'ts_ms': {lsn}, 'lsn': {lsn}}} as source",
        row(before),
        row(after)
    )
}

#[test]
fn the_report_finds_updates_that_do_not_follow_from_the_change_before() {
    let lake = Lake::new();
    let key = [("cdc.key_fields", "[\"id\"]")];
    let all = |rows: &[String]| rows.join(" union all ");
    let first = [full("-", "1", 1), full("1", "null", 2), full("null", "3", 3)];
    lake.parquet("t", (0, 0), &all(&first), &key);
    lake.run();
    let of = || history(&lake.config.database, &[], now()).unwrap().tables.remove(0).continuity;
    let continuity = |checked, breaks| Some(Continuity { checked, breaks });
    assert_eq!(of(), continuity(2, 0));
    // Delivered again, and then one that has lost its predecessor.
    let second = [full("null", "3", 3), full("3", "4", 4), full("5", "6", 6)];
    lake.parquet("t", (0, 10), &all(&second), &key);
    lake.run();
    assert_eq!(of(), continuity(4, 1));
    let report = history(&lake.config.database, &[], now()).unwrap();
    let found = doctor(&report).into_iter().find(|finding| finding.what.contains("follow"));
    assert_eq!(
        found.map(|finding| finding.what).unwrap_or_default(),
        "1 of 4 updates do not follow from the change before them: changes are missing, or are not of \
         this source"
    );
    // What a late file brings closes the gap.
    lake.parquet("t", (0, 5), &full("4", "5", 5), &key);
    lake.run();
    assert_eq!(of(), continuity(5, 0));
}

#[test]
fn the_report_names_columns_that_were_dropped_and_where() {
    let lake = Lake::new();
    let file = |offset, columns: &str, row: &str| {
        lake.parquet("t", (0, offset), &values(columns, &[row]), &[]);
    };
    file(0, "id INTEGER, a INTEGER, b INTEGER, __deleted VARCHAR", "(1, 1, 1, 'false')");
    file(20, "id INTEGER, b INTEGER, __deleted VARCHAR", "(1, 3, 'false')");
    file(30, "id INTEGER, a INTEGER, __deleted VARCHAR", "(1, 4, 'false')");
    lake.run();
    // An older file that comes late tells nothing of what is now.
    file(10, "id INTEGER, b INTEGER, __deleted VARCHAR", "(1, 2, 'false')");
    lake.run();
    let report = history(&lake.config.database, &[], now()).unwrap();
    let changes = report.tables[0].schema_changes.iter();
    let dropped: Vec<_> = changes.filter(|change| change.change == "dropped").collect();
    assert_eq!(dropped.iter().map(|change| change.column.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(dropped[0].object.as_ref().unwrap().ends_with("+0000000030.snappy.parquet"));
    assert!(report_page(&report).contains("<td>b</td><td>dropped</td>"));
}

#[test]
fn the_report_counts_what_happened() {
    let lake = lake();
    let columns = COLUMNS.replace("v INTEGER", "v BIGINT, w INTEGER");
    lake.parquet("shop.t", (0, 10), &values(&columns, &["(1, 3, 4, 'u', 10000, 900)"]), &[]);
    lake.run();
    let report = history(&lake.config.database, &[], now()).unwrap();
    let t = &report.tables[0];
    assert_eq!((t.table.as_str(), t.objects, t.rows_read), ("t", 2, 8));
    assert_eq!((t.inserts, t.updates, t.deletes, t.truncates), (3, 3, 2, 0));
    assert_eq!((t.unchanged, t.deletes_without_row, t.duplicates), (1, 1, 0));
    assert_eq!((t.keys_ever, t.keys_live, t.keys_deleted, t.keys_reinserted), (2, 2, 0, 1));
    assert_eq!((t.versions, t.versions_per_key_max, t.zero_length_versions), (5, 3, 0));
    assert_eq!((t.most_changed[0].key.as_str(), t.most_changed[0].versions), ("1", 3));
    assert_eq!(t.last_event.as_deref(), Some("1970-01-01 00:00:10"));
    assert_eq!((t.lag_seconds, t.newest_lsn), (Some(3600.0), Some(900)));
    assert_eq!(t.offset_gaps.len(), 1);
    assert_eq!((t.offset_gaps[0].expected, t.offset_gaps[0].got), (7, 10));
    let changes: Vec<_> =
        t.schema_changes.iter().map(|c| format!("{} {}", c.column, c.change)).collect();
    assert_eq!(changes[2..], ["v INTEGER became BIGINT", "w added, INTEGER"]);
    assert!(t.schema_changes[2].object.as_ref().unwrap().ends_with("+0000000010.snappy.parquet"));
    let bars: u64 = t.changes_over_time.iter().map(|b| b.inserted + b.updated + b.deleted).sum();
    assert_eq!((t.bucket_seconds, bars), (1, 6));
    let page = report_page(&report);
    assert!(page.contains("<svg") && page.contains("expected offset 7, got 10"), "{page}");
    let findings = doctor(&report);
    assert!(findings.iter().any(|finding| finding.what.contains("expected offset 7")));
}

#[test]
fn a_key_shows_what_each_version_changed() {
    let lake = lake();
    let of_key = key_history(&lake.config.database, "t", &["2".into()]).unwrap();
    assert_eq!(of_key.columns, ["id", "v"]);
    let shown: Vec<_> = of_key
        .versions
        .iter()
        .map(|v| (v.effective_from.as_str(), v.end_op.as_deref(), v.changed.clone()))
        .collect();
    assert_eq!(
        shown,
        [
            ("1970-01-01 00:00:02", Some("d"), vec![false, false]),
            ("1970-01-01 00:00:09", None, vec![false, true]),
        ]
    );
    assert!(of_key.versions[0].object.as_ref().unwrap().contains("shop.t+0+0000000000"));
    assert!(key_history(&lake.config.database, "t", &["9".into()]).unwrap().versions.is_empty());
    let error = key_history(&lake.config.database, "t", &[]).unwrap_err();
    assert!(error.to_string().contains("id"), "{error}");
}

#[test]
fn exports_are_files_of_other_tools() {
    let lake = lake();
    let folder = lake.directory.path().join("out");
    let write =
        |of: &ExportOf, format| export(&lake.config.database, &[], of, format, &folder).unwrap();
    let written = write(&ExportOf::History, ExportFormat::Parquet);
    assert_eq!((written[0].0.clone(), written[0].1), (folder.join("t.parquet"), 4));
    write(&ExportOf::AsOf("1970-01-01 00:00:02".into()), ExportFormat::Csv);
    let csv = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    assert!(csv.starts_with("id,v,effective_from"), "{csv}");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert_eq!(write(&ExportOf::Current, ExportFormat::Csv)[0].1, 2);
    let path = folder.join("t.parquet").display().to_string();
    let count = query(&lake.config.database, &format!("select count(*) from '{path}'")).unwrap();
    assert_eq!(count.rows, [[Some("4".to_owned())]]);
}

#[test]
fn a_sound_table_passes_and_a_broken_one_does_not() {
    let lake = lake();
    let broken = |lake: &Lake| {
        let checks = verify(&lake.config, &[]).unwrap();
        let broken = checks.into_iter().filter(|check| 0 < check.broken_by);
        broken.map(|check| check.promise).collect::<Vec<_>>()
    };
    assert_eq!(broken(&lake), Vec::<String>::new());
    let connection = duckdb::Connection::open(&lake.config.database).unwrap();
    connection
        .execute("update t set effective_to = null, is_current = true where id = 2", [])
        .unwrap();
    drop(connection);
    let found = broken(&lake);
    assert!(found.contains(&"intervals of a key do not overlap".to_owned()), "{found:?}");
    assert!(found.contains(&"a key has at most one current row".to_owned()), "{found:?}");
    assert!(found.iter().any(|promise| promise.contains("anew")), "{found:?}");
    lake.rebuild();
    assert_eq!(broken(&lake), Vec::<String>::new());
}

#[test]
fn compacted_tables_keep_their_versions_and_go_on() {
    let lake = lake();
    let before = lake.history("t");
    let log = lake.rows("select count(*) from t__changes");
    // Everything that ended before second 5 is forgotten.
    let keep = Duration::from_secs(3_605);
    let compacted = compact(&lake.config, &[], keep, now()).unwrap();
    assert_eq!((log[0].as_str(), compacted[0].changes_forgotten), ("7", 3));
    assert_eq!(lake.history("t"), before);
    lake.rebuild();
    assert_eq!(lake.history("t"), before, "rebuilt");
    let more = ["(1, 9, 'u', 11000, 900)", "(2, null, 'd', 12000, 1000)", "(1, 7, 'u', 3500, 350)"];
    lake.parquet("shop.t", (0, 7), &values(COLUMNS, &more), &[]);
    let report = lake.run();
    assert_eq!(report.tables[0].counts.rejects, 1);
    assert_eq!(lake.rows("select reason from cdc_rejects"), ["too late"]);
    assert_eq!(
        lake.rows("select id, v, epoch(effective_from)::int, epoch(effective_to)::int, _version, _end_op from t order by id, _version"),
        ["1|1|1|3|1|u", "1|2|3|11|2|u", "1|9|11||3|", "2|1|2|4|1|d", "2|5|9|12|2|d"]
    );
    // A second time, further on.
    compact(&lake.config, &[], Duration::from_secs(3_598), now()).unwrap();
    let before = lake.history("t");
    lake.rebuild();
    assert_eq!(lake.history("t"), before, "rebuilt after the second time");
    assert!(verify(&lake.config, &[]).unwrap().iter().all(|check| check.broken_by == 0));
}

#[test]
fn compaction_keeps_values_that_were_not_repeated() {
    let lake = Lake::new();
    let columns = "id INTEGER, big VARCHAR, n INTEGER, __op VARCHAR, __source_ts_ms BIGINT, __source_lsn BIGINT";
    let rows = [
        "(1, 'large', 1, 'c', 1000, 100)",
        "(1, '__debezium_unavailable_value', 2, 'u', 2000, 200)",
        "(1, '__debezium_unavailable_value', 3, 'u', 9000, 300)",
    ];
    lake.parquet("t", (0, 0), &values(columns, &rows), &[]);
    lake.run();
    compact(&lake.config, &[], Duration::from_secs(3_605), now()).unwrap();
    lake.parquet(
        "t",
        (0, 3),
        &values(columns, &["(1, '__debezium_unavailable_value', 4, 'u', 9900, 400)"]),
        &[],
    );
    lake.run();
    assert_eq!(
        lake.rows("select big, n, _version from t order by _version"),
        ["large|1|1", "large|2|2", "large|3|3", "large|4|4"]
    );
}

#[test]
fn a_published_copy_can_be_read_while_runs_go_on() {
    let mut lake = lake();
    let copy = lake.directory.path().join("public.duckdb");
    lake.config.publish = Some(copy.clone());
    lake.parquet("shop.t", (0, 7), &values(COLUMNS, &["(4, 1, 'c', 11000, 900)"]), &[]);
    lake.run();
    let mut seen = None;
    run(&lake.config, &lake.options(), &mut |_| {
        seen.get_or_insert_with(|| query(&copy, "select count(*) from t_current").unwrap());
    })
    .unwrap();
    assert_eq!(seen.unwrap().rows, [[Some("3".to_owned())]]);
}

#[test]
fn a_run_that_is_stopped_leaves_whole_batches() {
    let mut lake = lake();
    lake.config.batch_objects_max = 1;
    for offset in 7..10_u64 {
        let row = format!("({offset}, 1, 'c', 11000, {})", 900 + offset);
        lake.parquet("shop.t", (0, offset), &values(COLUMNS, &[&row]), &[]);
    }
    let stop = Stop::default();
    let mut options = lake.options();
    options.stop = stop.clone();
    let mut staged = 0;
    let report = run(&lake.config, &options, &mut |progress| {
        if matches!(progress, ferroconnect_analytics::Progress::Staged { .. }) {
            staged += 1;
            if staged == 2 {
                stop.stop();
            }
        }
    })
    .unwrap();
    assert!(report.tables[0].objects < 3, "{report:?}");
    lake.run();
    assert_eq!(lake.rows("select count(*) from t_current"), ["5"]);
}

#[test]
fn objects_can_be_read_again() {
    let lake = lake();
    let before = lake.history("t");
    let mut options = lake.options();
    options.from_objects = true;
    let report = ferroconnect_analytics::rebuild(&lake.config, &options, &mut |_| {}).unwrap();
    assert_eq!(report.tables[0].objects, 1);
    let without_obj = |rows: Vec<String>| rows.len();
    assert_eq!(without_obj(lake.history("t")), without_obj(before));
    std::fs::remove_file(lake.path("shop.t", 0, 0, "snappy.parquet")).unwrap();
    let error = ferroconnect_analytics::rebuild(&lake.config, &options, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("no object"), "{error}");
    assert_eq!(lake.rows("select count(*) from t_current"), ["2"]);
}
