//! Table tests of the timezone converter.

use super::*;
use crate::data::{SchemaBuilder, Type, values};
use crate::transform::testing::{apply, change, record, smt};

fn row() -> Value {
    let named = |ty, name: &str| SchemaBuilder::new(ty).name(name).build();
    let schema = SchemaBuilder::structure()
        .optional()
        .name("s.db.t.Value")
        .field("ms", named(Type::Int64, "io.debezium.time.Timestamp"))
        .field("us", named(Type::Int64, "io.debezium.time.MicroTimestamp"))
        .field("ns", named(Type::Int64, "io.debezium.time.NanoTimestamp"))
        .field("tz", named(Type::String, "io.debezium.time.ZonedTimestamp"))
        .field("day", named(Type::Int32, "io.debezium.time.Date"))
        .build();
    let values = vec![
        Value::Int64(1_719_828_000_000),
        Value::Int64(1_719_828_000_000_001),
        Value::Int64(1_719_828_000_000_000_001),
        Value::string("2024-07-01T10:00:00.120000Z"),
        Value::Int32(19_905),
    ];
    Value::Struct(Box::new(Struct::new(schema, values)))
}

fn run(settings: &[(&str, &str)], mut record: Record) -> Result<Record, String> {
    let mut smt = smt(construct, settings)?;
    apply(smt.as_mut(), &mut record)?;
    Ok(record)
}

fn converted(settings: &[(&str, &str)]) -> (String, Option<i64>) {
    let output = run(settings, change("c", Value::Null, row())).unwrap();
    let event = output.value.value.as_struct().unwrap();
    let source = member(event, "source").unwrap().get("ts_ms").unwrap().as_i64();
    (values::format(event.get("after").unwrap()).unwrap(), source)
}

const UNCHANGED: &str = r#"{"ms":1719828000000,"us":1719828000000001,"ns":1719828000000000001,"tz":"2024-07-01T10:00:00.120000Z","day":19905}"#;

/// Observed on Debezium 3.6.3.
#[test]
fn times_move_to_the_zone() {
    for (zone, expected) in [
        (
            "+05:30",
            r#"{"ms":1719808200000,"us":1719808200000001,"ns":1719808200000000001,"tz":"2024-07-01T15:30:00.12+05:30","day":19905}"#,
        ),
        (
            "America/New_York",
            r#"{"ms":1719842400000,"us":1719842400000001,"ns":1719842400000000001,"tz":"2024-07-01T06:00:00.12-04:00","day":19905}"#,
        ),
        (
            "UTC",
            r#"{"ms":1719828000000,"us":1719828000000001,"ns":1719828000000000001,"tz":"2024-07-01T10:00:00.12Z","day":19905}"#,
        ),
    ] {
        let expected = (expected.to_owned(), Some(1000));
        assert_eq!(converted(&[("converted.timezone", zone)]), expected, "{zone}");
    }
}

#[test]
fn lists_choose_the_fields() {
    const ZONE: (&str, &str) = ("converted.timezone", "+05:30");
    let only_ms = UNCHANGED.replace("1719828000000,", "1719808200000,");
    let all = converted(&[ZONE]).0;
    let but_ms = all.replace("1719808200000,", "1719828000000,");
    for (list, rules, expected, source) in [
        ("include.list", "source:t:ms", only_ms.as_str(), 1000),
        ("include.list", "topic:s.db.t:after.ms", &only_ms, 1000),
        ("include.list", "t:ms", &only_ms, 1000),
        ("include.list", "source:t", &all, 1000),
        ("include.list", "source:other", UNCHANGED, 1000),
        ("include.list", "source:other,t", &all, 1000),
        ("include.list", "source:t:before.ms", UNCHANGED, 1000),
        ("include.list", "source:t:source.ts_ms", UNCHANGED, 19_801_000),
        ("exclude.list", "source:t:ms", &but_ms, 1000),
        ("exclude.list", "source:t", UNCHANGED, 1000),
        ("exclude.list", "source:other", &all, 1000),
    ] {
        let expected = (expected.to_owned(), Some(source));
        assert_eq!(converted(&[ZONE, (list, rules)]), expected, "{list} {rules}");
    }
}

#[test]
fn offsets_around_a_change_of_the_clocks() {
    let zone = Zone::parse("America/New_York").unwrap();
    let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    for (local, hours) in [
        ("2024-03-10 01:59", -5),
        ("2024-03-10 02:30", -5),
        ("2024-03-10 03:00", -4),
        ("2024-11-03 01:30", -4),
        ("2024-11-03 02:00", -5),
    ] {
        assert_eq!(zone.at_local(at(local)), hours * 3600, "{local}");
    }
}

#[test]
fn times_of_day_take_the_offset_of_now() {
    let zone = Zone::Fixed(19_800);
    let smt = TimezoneConverter { zone, rules: Rules::default(), scope: Scope::Everything };
    for (text, expected) in [
        ("10:00:00Z", Some("15:30:00+05:30")),
        ("23:00:00.5+01:00", Some("03:30:00.5+05:30")),
        ("10:00Z", Some("15:30:00+05:30")),
        ("noon", None),
    ] {
        assert_eq!(smt.zoned_time(text).as_deref(), expected);
    }
    assert_eq!(smt.zoned_timestamp("noon"), None);
    assert_eq!(offset_text(-3_723), "-01:02:03");
}

#[test]
fn other_records_pass() {
    let settings = [("converted.timezone", "+01:00")];
    assert_eq!(run(&settings, record("t")).unwrap(), record("t"));
}

#[test]
fn settings_are_checked() {
    let zone = ("converted.timezone", "+01:00");
    for (settings, expected) in [
        (
            vec![zone, ("include.list", "source:t"), ("exclude.list", "source:t")],
            "Both include and exclude lists are specified. Please specify only one.",
        ),
        (
            vec![zone, ("include.list", "t")],
            "Invalid value [t] for configuration include.list: Invalid include list format.",
        ),
        (
            vec![("converted.timezone", "Mars/Olympus")],
            "Invalid value Mars/Olympus for configuration converted.timezone: Invalid timezone \
             format.",
        ),
        (
            vec![("converted.timezone", "+19:00")],
            "Invalid value +19:00 for configuration converted.timezone: Invalid timezone format.",
        ),
    ] {
        let error = run(&settings, record("t")).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
