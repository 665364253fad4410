use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::Config as Cases;

use crate::support::{Lake, values};

const PLACEHOLDER: &str = "__debezium_unavailable_value";
/// An arbitrary start, so that times look like times.
const START_MS: i64 = 1_700_000_000_000;

#[derive(Debug, Clone, PartialEq)]
struct Change {
    op: char,
    /// None for a truncate.
    id: Option<i64>,
    a: Option<i64>,
    big: Option<String>,
    ms: i64,
    lsn: i64,
}

/// One step of the source's workload, before it is known what there is to change.
#[derive(Debug, Clone)]
struct Step {
    id: i64,
    action: u8,
    a: Option<i64>,
    big: Option<String>,
    repeats_big: bool,
    wait_ms: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = prop::option::of(prop::sample::select(vec!["xxx".to_owned(), "yyy".to_owned()]));
    let wait = prop::sample::select(vec![0_i64, 0, 1, 5, 1000, -2]);
    let a = prop::option::of(1..4_i64);
    let step = (0..5_i64, any::<u8>(), a, text, any::<bool>(), wait).prop_map(
        |(id, action, a, big, repeats_big, wait_ms)| Step {
            id,
            action,
            a,
            big,
            repeats_big,
            wait_ms,
        },
    );
    prop::collection::vec(step, 1..40)
}

type Rows = BTreeMap<i64, (Option<i64>, Option<String>)>;

/// What PostgreSQL and the connector would make of the steps.
fn perform(steps: &[Step], truncates: bool) -> Vec<Change> {
    let mut rows = Rows::new();
    let mut changes = Vec::new();
    let (mut ms, mut lsn) = (START_MS, 1000);
    for step in steps {
        ms += step.wait_ms;
        lsn += 8;
        let change = |op, id, row: &(Option<i64>, Option<String>)| Change {
            op,
            id,
            a: row.0,
            big: row.1.clone(),
            ms,
            lsn,
        };
        let nothing = (None, None);
        let image = (step.a, step.big.clone());
        let new_id = (step.id + 1) % 5;
        match (rows.get(&step.id).cloned(), step.action) {
            (None, _) => {
                changes.push(change('c', Some(step.id), &image));
                rows.insert(step.id, image);
            }
            (Some(_), 0..50) => {
                changes.push(change('d', Some(step.id), &nothing));
                rows.remove(&step.id);
            }
            (Some(row), 50..75) if !rows.contains_key(&new_id) => {
                // A key change is a delete and an insert at one position.
                changes.push(change('d', Some(step.id), &nothing));
                changes.push(change('c', Some(new_id), &row));
                rows.remove(&step.id);
                rows.insert(new_id, row);
            }
            (Some(_), 75..85) if truncates => {
                changes.push(change('t', None, &nothing));
                rows.clear();
            }
            (Some(old), _) => {
                let big = if step.repeats_big { image.1.clone() } else { old.1.clone() };
                let row = (image.0, big.clone());
                let sent = if step.repeats_big { big } else { Some(PLACEHOLDER.to_owned()) };
                changes.push(change('u', Some(step.id), &(image.0, sent)));
                rows.insert(step.id, row);
            }
        }
    }
    changes
}

/// The history by the slow obvious way: one change after the other.
fn replay(changes: &[Change], with_op: bool) -> Vec<String> {
    struct Version {
        row: (Option<i64>, Option<String>),
        from: i64,
        op: char,
        end: Option<(i64, char)>,
        lsn: i64,
    }
    let mut histories: BTreeMap<i64, Vec<Version>> = BTreeMap::new();
    let mut clocks: BTreeMap<i64, i64> = BTreeMap::new();
    for change in changes {
        let ids: Vec<i64> = match change.id {
            Some(id) => vec![id],
            None => histories.keys().copied().collect(),
        };
        for id in ids {
            let clock = clocks.entry(id).or_insert(change.ms);
            *clock = change.ms.max(*clock);
            let history = histories.entry(id).or_default();
            let live = history.last_mut().filter(|version| version.end.is_none());
            if matches!(change.op, 'd' | 't') {
                if let Some(version) = live {
                    version.end = Some((*clock, change.op));
                }
                continue;
            }
            let mut row = (change.a, change.big.clone());
            if row.1.as_deref() == Some(PLACEHOLDER) {
                row.1 = live.as_ref().and_then(|version| version.row.1.clone());
            }
            if let Some(version) = live {
                if version.row == row {
                    continue;
                }
                version.end = Some((*clock, 'u'));
            }
            history.push(Version { row, from: *clock, op: change.op, end: None, lsn: change.lsn });
        }
    }
    let show = |id: &i64, index: usize, v: &Version| {
        let text = |value: Option<String>| value.unwrap_or_default();
        let a = text(v.row.0.map(|a| a.to_string()));
        let big = text(v.row.1.clone());
        let (to, end) = v.end.map_or_else(Default::default, |(ms, op)| {
            ((ms - START_MS).to_string(), op.to_string())
        });
        let (op, lsn) = if with_op { (v.op, v.lsn) } else { ('u', 0) };
        let (from, version, current) = (v.from - START_MS, index + 1, v.end.is_none());
        format!("{id}|{a}|{big}|{from}|{to}|{current}|{version}|{op}|{end}|{lsn}")
    };
    let history = histories.iter().flat_map(|(id, versions)| {
        versions.iter().enumerate().map(move |(index, version)| show(id, index, version))
    });
    history.collect()
}

fn history(lake: &Lake) -> Vec<String> {
    let ms = |column| format!("epoch_ms({column}) - {START_MS}");
    let (from, to) = (ms("effective_from"), ms("effective_to"));
    lake.rows(&format!(
        "select id, a, big, {from}, {to}, is_current, _version, _op, _end_op, _hi \
         from t order by id, _version"
    ))
}

/// How the changes reach the lake.
#[derive(Debug, Clone)]
struct Delivery {
    /// Lengths of files, used in turn.
    cuts: Vec<usize>,
    /// From which change on the connector sends again, and how often it does.
    resend: Vec<prop::sample::Index>,
    /// Sort keys of the files' arrival.
    arrival: Vec<u32>,
    /// How many files arrive between runs, used in turn.
    runs: Vec<usize>,
    json: Vec<bool>,
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (
        prop::collection::vec(1..9_usize, 1..6),
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        prop::collection::vec(any::<u32>(), 64),
        prop::collection::vec(1..4_usize, 1..4),
        prop::collection::vec(any::<bool>(), 8),
    )
        .prop_map(|(cuts, resend, arrival, runs, json)| Delivery {
            cuts,
            resend,
            arrival,
            runs,
            json,
        })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Envelope,
    WithFields,
    Bare,
}

/// Writes the log of one partition as files that arrive in any order, with runs in between.
fn deliver(lake: &Lake, log: &[Change], shape: Shape, how: &Delivery) {
    let mut files = Vec::new();
    let mut offset = 0;
    while offset < log.len() {
        let length = how.cuts[files.len() % how.cuts.len()].min(log.len() - offset);
        files.push((offset, &log[offset..offset + length]));
        offset += length;
    }
    let mut order: Vec<_> = (0..files.len()).collect();
    order.sort_by_key(|index| how.arrival[index % how.arrival.len()]);
    let mut waiting = 0;
    for (arrived, index) in order.into_iter().enumerate() {
        let (offset, changes) = files[index];
        // A JSON file cannot tell the type of a column that is null throughout, so one file always can.
        if 0 < index && how.json[index % how.json.len()] {
            let lines: Vec<_> = changes.iter().map(|change| json_line(change, shape)).collect();
            lake.json("t", (0, offset as u64), &lines);
        } else {
            parquet_file(lake, offset, changes, shape);
        }
        waiting += 1;
        if how.runs[arrived % how.runs.len()] <= waiting {
            lake.run();
            waiting = 0;
        }
    }
    lake.run();
}

fn json_line(change: &Change, shape: Shape) -> String {
    let Change { op, id, a, big, ms, lsn } = change;
    let row = serde_json::json!({"id": id, "a": a, "big": big});
    let mut line = match shape {
        Shape::Envelope => {
            let (before, after) = match op {
                'd' => (row, serde_json::Value::Null),
                't' => (serde_json::Value::Null, serde_json::Value::Null),
                _ => (serde_json::Value::Null, row),
            };
            let source = serde_json::json!({"ts_ms": ms, "lsn": lsn});
            return serde_json::json!({"before": before, "after": after, "op": op, "source": source})
                .to_string();
        }
        _ => row,
    };
    if shape == Shape::WithFields {
        line["__op"] = op.to_string().into();
        line["__source_ts_ms"] = (*ms).into();
        line["__source_lsn"] = (*lsn).into();
    } else {
        // The record's time, as InsertField of the sink adds it.
        line["__kafka_ts"] = (*ms).into();
    }
    line["__deleted"] = (*op == 'd').to_string().into();
    line.to_string()
}

fn parquet_file(lake: &Lake, offset: usize, changes: &[Change], shape: Shape) {
    let number = |value: &Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
    let text =
        |value: &Option<String>| value.as_ref().map_or("null".to_owned(), |v| format!("'{v}'"));
    let row = |c: &Change| {
        format!(
            "({}, {}, {}, '{}', {}, {}, '{}')",
            number(&c.id),
            number(&c.a),
            text(&c.big),
            c.op,
            c.ms,
            c.lsn,
            c.op == 'd'
        )
    };
    let rows: Vec<_> = changes.iter().map(row).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let columns =
        "id BIGINT, a BIGINT, big VARCHAR, op VARCHAR, ms BIGINT, lsn BIGINT, deleted VARCHAR";
    let rows = values(columns, &rows);
    let columns = match shape {
        Shape::Envelope => {
            "case when op = 'd' then row end as before, \
             case when op not in ('d', 't') then row end as after, op, \
             {'ts_ms': ms, 'lsn': lsn} as source \
             from (select *, {'id': id, 'a': a, 'big': big} as row"
        }
        Shape::WithFields => {
            "id, a, big, op as __op, ms as __source_ts_ms, lsn as __source_lsn, deleted as __deleted from (select *"
        }
        Shape::Bare => "id, a, big, ms as __kafka_ts, deleted as __deleted from (select *",
    };
    let first = offset.to_string();
    let last = (offset + changes.len() - 1).to_string();
    let footer = [("cdc.first_offset", first.as_str()), ("cdc.last_offset", &last)];
    // Some files are as the original writes them, whose offsets are known by name only.
    let footer = if offset.is_multiple_of(2) { &footer[..] } else { &[] };
    let path = ("t", (0, offset as u64));
    lake.parquet(path.0, path.1, &format!("select {columns} from ({rows}))"), footer);
}

/// The changes with stretches of them sent again, as after a restart of the connector.
fn with_repeats(changes: &[Change], how: &Delivery) -> Vec<Change> {
    let mut log = changes.to_vec();
    for start in &how.resend {
        let start = start.index(changes.len());
        log.extend(changes[start..].iter().take(7).cloned());
    }
    log
}

fn check_invariants(lake: &Lake) {
    for (what, sql) in [
        ("negative interval", "select * from t where effective_to < effective_from"),
        (
            "overlap",
            "select * from (select *, lead(effective_from) over (partition by id order by _version) as next from t) \
             where next is not null and (effective_to is null or effective_to > next)",
        ),
        ("two current rows", "select id from t where is_current group by id having 1 < count(*)"),
        ("current and ended", "select * from t where is_current <> (effective_to is null)"),
        (
            "gaps between versions",
            "select * from (select _version, row_number() over (partition by id order by _version) as n from t) \
             where n <> _version",
        ),
        ("a placeholder", "select * from t where big = '__debezium_unavailable_value'"),
    ] {
        assert_eq!(lake.rows(sql), Vec::<String>::new(), "{what}");
    }
}

fn check(steps: &[Step], how: &Delivery, shape: Shape) {
    let changes = perform(steps, shape == Shape::Envelope);
    let lake = Lake::new();
    // Without log positions, a repeat cannot be told from a change.
    let log = if shape == Shape::Bare { changes.clone() } else { with_repeats(&changes, how) };
    deliver(&lake, &log, shape, how);
    let expected = replay(&changes, shape != Shape::Bare);
    assert_eq!(history(&lake), expected, "incremental");
    check_invariants(&lake);
    let all = lake.history("t");
    lake.run();
    assert_eq!(lake.history("t"), all, "nothing to do");
    lake.rebuild();
    assert_eq!(lake.history("t"), all, "rebuilt");
}

proptest! {
    // A case is a database, a dozen files and several runs: about half a second.
    #![proptest_config(Cases {
        cases: 12,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Cases::default()
    })]

    #[test]
    fn envelopes_in_any_order_give_the_replayed_history(steps in steps(), how in delivery()) {
        check(&steps, &how, Shape::Envelope);
    }

    #[test]
    fn rows_with_added_fields_in_any_order_give_the_replayed_history(steps in steps(), how in delivery()) {
        check(&steps, &how, Shape::WithFields);
    }

    #[test]
    fn bare_rows_in_any_order_give_the_replayed_history(steps in steps(), how in delivery()) {
        check(&steps, &how, Shape::Bare);
    }
}
