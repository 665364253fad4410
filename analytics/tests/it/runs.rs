use std::path::Path;

use ferroconnect_analytics::{Error, Progress, S3Access, TableConfig, plan, rebuild, run, status};

use crate::support::{Lake, values};

fn rows(rows: &[&str]) -> String {
    values("id INTEGER, v INTEGER, __deleted VARCHAR", rows)
}

fn lake() -> Lake {
    let lake = Lake::new();
    lake.parquet(
        "cdc.commerce.products",
        (0, 0),
        &rows(&["(1, 1, 'false')", "(2, 2, 'false')"]),
        &[],
    );
    lake.parquet("cdc.commerce.users", (1, 0), &rows(&["(7, 7, 'false')"]), &[]);
    lake
}

#[test]
fn a_second_run_reads_nothing() {
    let lake = lake();
    let first = lake.run();
    assert_eq!(first.tables.iter().map(|table| table.objects).collect::<Vec<_>>(), [1, 1]);
    let before = lake.history("products");
    let second = lake.run();
    assert_eq!(second.tables.iter().map(|table| table.objects).collect::<Vec<_>>(), [0, 0]);
    assert_eq!(second.tables[0].versions, 2);
    assert_eq!(lake.history("products"), before);
}

#[test]
fn small_batches_give_the_same_table() {
    let mut lake = lake();
    for offset in 2..7_u64 {
        let row = format!("(1, {offset}, 'false')");
        lake.parquet("cdc.commerce.products", (0, offset), &rows(&[&row]), &[]);
    }
    lake.config.batch_objects_max = 2;
    let mut batches = 0;
    let report = run(&lake.config, &lake.options(), &mut |progress| {
        batches += usize::from(matches!(progress, Progress::Applied { table: "products", .. }));
    })
    .unwrap();
    // Staged by twos, folded once.
    assert_eq!(batches, 1);
    assert_eq!(report.tables[0].counts.rows, 7);
    assert_eq!(lake.rows("select v from products_history(1)"), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(lake.rows("select v from products_current order by id"), ["6", "2"]);
}

#[test]
fn an_object_with_new_content_replaces_its_old_rows() {
    let lake = lake();
    lake.run();
    lake.parquet(
        "cdc.commerce.products",
        (0, 0),
        &rows(&["(1, 10, 'false')", "(3, 3, 'false')", "(3, 4, 'false')"]),
        &[],
    );
    assert_eq!(plan(&lake.config, &lake.options()).unwrap().tables[0].objects_changed, 1);
    lake.run();
    assert_eq!(
        lake.rows("select id, v from products order by id, _version"),
        ["1|10", "3|3", "3|4"]
    );
    assert_eq!(lake.rows("select count(*) from products__changes"), ["3"]);
}

#[test]
fn an_object_that_is_gone_leaves_its_rows() {
    let lake = lake();
    lake.run();
    std::fs::remove_file(lake.path("cdc.commerce.products", 0, 0, "snappy.parquet")).unwrap();
    lake.parquet("cdc.commerce.products", (0, 2), &rows(&["(1, 5, 'false')"]), &[]);
    let report = lake.run();
    assert_eq!(report.tables[0].objects_gone, 1);
    assert_eq!(lake.rows("select v from products order by id, _version"), ["1", "5", "2"]);
}

#[test]
fn a_dry_run_reports_everything_and_changes_nothing() {
    let lake = lake();
    lake.run();
    lake.parquet(
        "cdc.commerce.products",
        (0, 2),
        &values("id INTEGER, w INTEGER, __deleted VARCHAR", &["(1, 5, 'false')"]),
        &[],
    );
    let before = (
        lake.history("products"),
        lake.rows("from cdc_objects order by all"),
        lake.rows("from cdc_tables"),
    );
    let options = ferroconnect_analytics::RunOptions { dry_run: true, ..lake.options() };
    let report = run(&lake.config, &options, &mut |_| {}).unwrap();
    assert_eq!(report.tables[0].counts.opened, 1);
    let after = (
        lake.history("products"),
        lake.rows("from cdc_objects order by all"),
        lake.rows("from cdc_tables"),
    );
    assert_eq!(after, before);
    assert_eq!(lake.run().tables[0].counts.opened, 1);
}

#[test]
fn a_plan_needs_no_database_and_makes_none() {
    let lake = lake();
    let planned = plan(&lake.config, &lake.options()).unwrap();
    assert_eq!(planned.tables[0].table, "products");
    assert_eq!(planned.tables[0].objects_new, 1);
    assert!(0 < planned.tables[0].bytes);
    assert!(!lake.config.database.exists());
    lake.run();
    let planned = plan(&lake.config, &lake.options()).unwrap();
    assert_eq!((planned.tables[0].objects_new, planned.tables[0].objects_done), (0, 1));
}

#[test]
fn one_bad_table_does_not_stop_the_others() {
    let lake = lake();
    let bad = lake.path("cdc.commerce.orders", 0, 0, "snappy.parquet");
    std::fs::write(&bad, b"PAR1 this is no Parquet file PAR1").unwrap();
    let keyless = values("name VARCHAR, __deleted VARCHAR", &["('a', 'false')"]);
    lake.parquet("cdc.commerce.events", (0, 0), &keyless, &[]);
    let report = run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
    let errors: Vec<_> =
        report.tables.iter().map(|t| (t.table.as_str(), t.error.as_deref())).collect();
    assert_eq!(errors[0].0, "events");
    assert!(errors[0].1.unwrap().contains("set its keys"), "{errors:?}");
    assert_eq!(errors[1].0, "orders");
    assert!(
        errors[1].1.unwrap().contains("cdc.commerce.orders+0+0000000000.snappy.parquet"),
        "{errors:?}"
    );
    assert!(report.has_failures());
    assert_eq!((errors[2], errors[3]), (("products", None), ("users", None)));
    assert_eq!(lake.rows("select count(*) from products"), ["2"]);
    // Once it is mended, the next run picks it up.
    lake.parquet("cdc.commerce.orders", (0, 0), &rows(&["(1, 1, 'false')"]), &[]);
    run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
    assert_eq!(lake.rows("select count(*) from orders"), ["1"]);
}

#[test]
fn a_failed_batch_leaves_the_table_as_it_was() {
    let lake = lake();
    lake.run();
    let before = lake.history("products");
    lake.parquet("cdc.commerce.products", (0, 2), &rows(&["(1, 5, 'false')"]), &[]);
    let other = values("name VARCHAR, __deleted VARCHAR", &["('a', 'false')"]);
    lake.parquet("cdc.commerce.products", (0, 3), &other, &[]);
    let report = run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.contains("+0000000003") && error.contains("no key column \"id\""), "{error}");
    assert_eq!(lake.history("products"), before);
    assert_eq!(lake.rows("select count(*) from cdc_objects where tbl = 'products'"), ["1"]);
}

#[test]
fn rows_that_cannot_be_used_are_set_aside() {
    let lake = Lake::new();
    let columns = "id INTEGER, v INTEGER, __op VARCHAR, __ts_ms BIGINT, __lsn BIGINT";
    let changes = [
        "(1, 1, 'c', 1, 1)",
        "(null, 1, 'c', 1, 2)",
        "(2, 1, 'x', 1, 3)",
        "(null, null, 'm', 1, 4)",
    ];
    lake.parquet("t", (0, 0), &values(columns, &changes), &[]);
    std::fs::write(lake.path("t", 0, 9, "bin"), b"").unwrap();
    let report = lake.run();
    let counts = report.tables[0].counts;
    assert_eq!((counts.opened, counts.rejects, counts.ignored), (1, 2, 1));
    assert!(report.has_rejects());
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(
        lake.rows("select row, reason from cdc_rejects order by row"),
        ["1|null key", "2|unknown operation x"]
    );
}

#[test]
fn only_the_selected_tables_are_read() {
    let lake = lake();
    let mut options = lake.options();
    options.tables = vec!["users".into()];
    let report = run(&lake.config, &options, &mut |_| {}).unwrap();
    assert_eq!(report.tables.len(), 1);
    options.tables = vec!["cdc.commerce.products".into()];
    assert_eq!(run(&lake.config, &options, &mut |_| {}).unwrap().tables[0].table, "products");
    options.tables = vec!["nothing".into()];
    let error = run(&lake.config, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::UnknownTable(_)), "{error}");
    let error = rebuild(&lake.config, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::UnknownTable(_)), "{error}");
}

#[test]
fn a_changed_key_is_refused() {
    let mut lake = lake();
    lake.run();
    let keys = TableConfig { keys: vec!["v".into()], ..TableConfig::default() };
    lake.config.tables.insert("cdc.commerce.products".into(), keys);
    lake.parquet("cdc.commerce.products", (0, 2), &rows(&["(1, 5, 'false')"]), &[]);
    let report = run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.contains("rebuild --key"), "{error}");
    lake.rebuild();
    assert_eq!(lake.rows("select id, v from products_current order by v"), ["1|1", "2|2"]);
}

#[test]
fn files_must_agree_on_the_key() {
    let lake = Lake::new();
    lake.parquet("t", (0, 0), &rows(&["(1, 5, 'false')"]), &[("cdc.key_fields", "[\"id\"]")]);
    lake.parquet("t", (0, 1), &rows(&["(1, 5, 'false')"]), &[("cdc.key_fields", "[\"v\"]")]);
    let report = run(&lake.config, &lake.options(), &mut |_| {}).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.contains("+0000000000") && error.contains("+0000000001"), "{error}");
}

#[test]
fn a_database_in_use_is_refused_with_its_holder() {
    let lake = lake();
    let mut inner = None;
    run(&lake.config, &lake.options(), &mut |_| {
        inner.get_or_insert_with(|| run(&lake.config, &lake.options(), &mut |_| {}).unwrap_err());
    })
    .unwrap();
    match inner.unwrap() {
        Error::Locked { holder, .. } => {
            assert_eq!(holder, format!("process {}", std::process::id()))
        }
        error => panic!("{error}"),
    }
}

#[test]
fn status_tells_what_there_is() {
    let lake = lake();
    lake.run();
    let status = status(&lake.config.database).unwrap();
    let products = &status.tables[0];
    assert_eq!(
        (products.table.as_str(), products.topic.as_str()),
        ("products", "cdc.commerce.products")
    );
    assert_eq!(
        (products.objects, products.changes, products.versions, products.current),
        (1, 2, 2, 2)
    );
    assert_eq!(products.keys, ["id"]);
    assert_eq!(products.order.as_deref(), Some("kafka offset"));
    assert_eq!(products.time.as_deref(), Some("object last-modified (approximate)"));
    assert_eq!(products.last_run.as_deref(), Some("2027-01-15 08:00:00"));
    assert_eq!(products.offsets.get(&0), Some(&0));
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let mut lake = lake();
    for source in ["/does/not/exist", "gs://bucket/x", "s3:///x"] {
        lake.config.source = source.into();
        let error = run(&lake.config, &lake.options(), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains(source), "{error}");
        assert!(!Path::new("analytics.duckdb").exists());
    }
}

#[test]
fn credentials_are_never_printed() {
    let access = S3Access {
        access_key_id: Some("AKIAEXAMPLE".into()),
        secret_access_key: Some("hush".into()),
        session_token: Some("hush".into()),
        ..S3Access::default()
    };
    let text = format!("{access:?}");
    assert!(!text.contains("hush") && !text.contains("AKIA"), "{text}");
}

/// More changes than are put into the table at once, beside what a window says of the same files.
#[test]
fn a_long_log_gives_what_a_window_says() {
    let lake = Lake::new();
    let key = [("cdc.key_fields", "[\"id\"]")];
    let file = |first: u64, rows: u64| {
        let rows = format!(
            "select (hash(i) % 1000)::int as id, (hash(i, 1) % 3)::int as v, repeat('x', (hash(i, 2) % 4)::int) as note,
                    case when hash(i, 3) % 50 = 0 then 'd' else 'u' end as __op,
                    (1000 + i)::bigint as __source_ts_ms, (100 + i)::bigint as __source_lsn
             from range({first}, {}) r(i)",
            first + rows
        );
        lake.parquet("t", (0, first), &rows, &key)
    };
    let mut files = vec![file(0, 150_000), file(150_000, 250_000)];
    lake.run();
    // The second run has rows that are committed and rows that are not.
    files.extend([file(400_000, 300_000), file(700_000, 100_000)]);
    lake.run();
    let files: Vec<_> = files.iter().map(|file| format!("'{}'", file.display())).collect();
    let expected = format!(
        "with change as (
           select id, v, note, __op = 'd' as gone, make_timestamp(__source_ts_ms * 1000) as ts, __source_lsn as lsn
           from read_parquet([{}])
         ), told as (
           select *, lag(gone) over w as was_gone, lag(v) over w as old_v, lag(note) over w as old_note
           from change window w as (partition by id order by lsn)
         ), event as (
           select * from told
           where case when gone then not was_gone
                      else coalesce(was_gone, true) or v <> old_v or note <> old_note end
         )
         select id, v, note, ts as effective_from, lead(ts) over w as effective_to, gone,
                count(*) filter (not gone) over w as _version, lsn as _hi
         from event window w as (partition by id order by lsn)",
        files.join(", ")
    );
    let columns = "id, v, note, effective_from, effective_to, _version, _hi";
    let expected = format!("select {columns} from ({expected}) where not gone");
    let found = format!("select {columns} from t");
    for (a, b) in [(&expected, &found), (&found, &expected)] {
        assert_eq!(lake.rows(&format!("{a} except all {b} limit 3")), Vec::<String>::new());
    }
    let versions: u64 = lake.rows("select count(*) from t")[0].parse().unwrap();
    assert!(600_000 < versions, "{versions}");
    let before = lake.rows("select sum(hash(t)::hugeint) from t");
    lake.rebuild();
    assert_eq!(lake.rows("select sum(hash(t)::hugeint) from t"), before);
}
