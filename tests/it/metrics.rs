//! `docs/metrics.md` lists what `/metrics` shows, and the dashboard asks for nothing else.
//! `UPDATE_EXPECT=1` writes the page anew.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect_file;

use ferroconnect::metrics::Metrics;

/// Every metric of a worker without connectors: name as a scrape has it, type and help.
fn exported() -> BTreeMap<String, (String, String)> {
    let text = Metrics::new().encode();
    let mut helps = BTreeMap::new();
    let mut metrics = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            helps.insert(name, help);
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let help = helps.get(name).expect("a help stands before its type");
            let help = help.trim_end_matches('.').to_owned();
            let replaced = metrics.insert(format!("{name}{suffix}"), (kind.to_owned(), help));
            assert_eq!(replaced, None, "{name} is shown twice");
        }
    }
    metrics
}

#[test]
fn the_page_lists_every_metric() {
    let mut page = String::from(HEAD);
    let sections = [
        ("The original's names", "kafka_connect_"),
        ("The source's names", "debezium_"),
        ("Ours", "ferroconnect_"),
        ("The process", "process_"),
    ];
    let mut shown = 0;
    for (title, prefix) in sections {
        page.push_str(&format!("\n## {title}\n\n| metric | type | meaning |\n|---|---|---|\n"));
        for (name, (kind, help)) in exported().iter().filter(|(name, _)| name.starts_with(prefix)) {
            page.push_str(&format!("| `{name}` | {kind} | {help} |\n"));
            shown += 1;
        }
    }
    assert_eq!(shown, exported().len(), "a metric that no section shows");
    expect_file!["../../docs/metrics.md"].assert_eq(&page);
}

const HEAD: &str = "# Metrics\n\n\
`GET /metrics` answers in the OpenMetrics text form, for Prometheus and what reads its form. Series of a task have the labels\n\
`connector` and `task`; those of a connector `connector`; a text (a state, a class) is a label of a series with the value 1.\n\
A series disappears with its task or connector. Rates, averages and maxima cover the last 30 to 60 s and are `NaN` before the\n\
first sample, as in the original; percentages are fractions of 1, as there.\n\n\
The dashboard [`deploy/grafana/ferroconnect.json`](../deploy/grafana/ferroconnect.json) shows them; import it into Grafana and\n\
choose the Prometheus data source. Dashboards made for Strimzi's names of Kafka Connect's metrics find the same names here.\n\n\
Not shown, because there is nothing behind them: `sink-record-lag-max` (the original declares and never publishes it; use\n\
`ferroconnect_sink_lag_records`) and the rebalance metrics (workers share leases in the state database, no group protocol).\n\n\
Generated from the code.\n";

/// The words of a query that can only be names of metrics.
fn names(query: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    query
        .split(|c| !is_word(c))
        .filter(|word| {
            ["kafka_", "debezium_", "ferroconnect_", "process_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        })
        .map(str::to_owned)
        .collect()
}

fn queries(node: &serde_json::Value, found: &mut Vec<String>) {
    match node {
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(text) if key == "expr" || (key == "query" && text.contains('(')) => {
                        found.push(text.to_owned());
                    }
                    _ => queries(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let folder = format!("{}/deploy/grafana", env!("CARGO_MANIFEST_DIR"));
    let exported = exported();
    let mut dashboards = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut found = Vec::new();
        queries(&dashboard, &mut found);
        assert!(10 < found.len(), "{}: {found:?}", path.display());
        for query in found {
            let names = names(&query);
            assert!(!names.is_empty(), "{query} asks for no metric");
            for name in names {
                let (kind, _) = exported.get(&name).unwrap_or_else(|| {
                    panic!("{}: {name} of {query} is no metric", path.display())
                });
                let rated = query.contains(&format!("rate({name}"));
                assert!(!rated || kind == "counter", "{query}: {name} is a {kind}");
            }
        }
        dashboards += 1;
    }
    assert!(0 < dashboards);
}
