use ferroconnect_analytics::run;

use crate::support::{Lake, values};

#[test]
fn companions_tell_the_key() {
    for (name, write) in [
        (
            "parquet",
            (|lake: &Lake| {
                let path = lake.parquet("keys", (0, 0), "select 1 as tenant, 'x' as code", &[]);
                std::fs::rename(path, lake.path("t", 0, 0, "keys.parquet")).unwrap();
            }) as fn(&Lake),
        ),
        ("json", |lake: &Lake| {
            let line = "{\"tenant\":1,\"code\":\"x\"}\n";
            std::fs::write(lake.path("t", 0, 0, "keys.json"), line).unwrap();
        }),
        ("json with schemas", |lake: &Lake| {
            let line =
                "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"tenant\":1,\"code\":\"x\"}}\n";
            std::fs::write(lake.path("t", 0, 0, "keys.json"), line).unwrap();
        }),
    ] {
        let lake = Lake::new();
        let columns = "tenant INTEGER, code VARCHAR, id INTEGER, __deleted VARCHAR";
        let rows = values(columns, &["(1, 'x', 7, 'false')", "(1, 'x', 8, 'false')"]);
        lake.parquet("t", (0, 0), &rows, &[]);
        write(&lake);
        let report = lake.run();
        let table = report.tables.iter().find(|table| table.table == "t").unwrap();
        assert_eq!(table.keys, ["tenant", "code"], "{name}");
        assert_eq!(lake.rows("select id from t_current"), ["8"], "{name}");
    }
}

#[test]
fn deletes_suggest_a_key_that_has_to_be_accepted() {
    let lake = Lake::new();
    let mut rows: Vec<String> = (1..=25).map(|n| format!("({n}, 'a{n}', 'false')")).collect();
    rows.extend((1..=25).map(|n| format!("({n}, '', 'true')")));
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    lake.parquet("t", (0, 0), &values("number INTEGER, v VARCHAR, __deleted VARCHAR", &rows), &[]);
    let mut options = lake.options();
    let report = run(&lake.config, &options, &mut |_| {}).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.contains("number") && error.contains("--accept-guessed-keys"), "{error}");
    options.accept_guessed_keys = true;
    let report = run(&lake.config, &options, &mut |_| {}).unwrap();
    assert_eq!(
        (report.tables[0].error.as_ref(), &report.tables[0].keys[..]),
        (None, &["number".to_owned()][..])
    );
    assert!(report.tables[0].notices.iter().any(|notice| notice.contains("guessed")));
}
