//! What the columns of a change file mean: full Debezium envelopes, rows flattened by
//! `ExtractNewRecordState` with `add.fields`, or bare flattened rows.
//!
//! Pure: fields with their SQL expressions go in, the expressions of a change row come out. Payload of
//! a delete is never trusted beyond its key: under the default replica identity the other columns are
//! null or type defaults.

use crate::logical::logical;
use crate::report::{OrderSource, TimeSource};

/// A column of a file, or of a struct in one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The SQL that yields its value.
    pub(crate) expr: String,
    /// As DuckDB spells it.
    pub(crate) type_name: String,
    /// Connect's name for what the type means, such as `io.debezium.time.Date`.
    pub(crate) connect: Option<String>,
    /// Of a struct.
    pub(crate) children: Vec<Field>,
}

/// The type of a JSON field that is null in every document. As a column it would have no type, so it
/// is left out, which reads as NULL.
pub(crate) const NULL: &str = "\"NULL\"";

/// Which of the row shapes a file has; stored in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Envelope,
    /// With `__op`, `__ts_ms` and the like.
    FlattenedWithFields,
    /// With `__deleted` at most.
    Flattened,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Envelope => "envelope",
            Kind::FlattenedWithFields => "flattened with fields",
            Kind::Flattened => "flattened",
        }
    }
}

/// How to make change rows of a file's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// The table's columns, with logical types applied.
    pub(crate) payload: Vec<Field>,
    pub(crate) op: String,
    /// The times that a row itself tells, the most exact first.
    pub(crate) times: Vec<(TimeSource, String)>,
    pub(crate) lsn: Option<String>,
    /// The record's offset, if the sink was told to add it.
    pub(crate) offset: Option<String>,
    /// Which part of a snapshot the row is: `first`, `true`, `last`, …
    pub(crate) snapshot: Option<String>,
    /// The row before an update, if the files say: whether it is there, and its columns as in `payload`.
    pub(crate) before: Option<(String, Vec<Field>)>,
}

impl Shape {
    pub(crate) fn order(&self) -> OrderSource {
        if self.lsn.is_some() { OrderSource::Lsn } else { OrderSource::KafkaOffset }
    }
}

/// What `InsertField` of the sink may add; recognised by these names without configuration.
const KAFKA_TIMESTAMP: &str = "__kafka_ts";
const KAFKA_OFFSET: &str = "__kafka_offset";
const KAFKA_PARTITION: &str = "__kafka_partition";
/// What `delete.handling.mode=rewrite` adds, whatever the prefix is.
const DELETED: &str = "__deleted";

/// Fields that `add.fields` may add, with how they tell the time of a change; best first.
const TIMES: &[(&str, TimeSource, i64)] = &[
    ("source_ts_us", TimeSource::Source, 1),
    ("source_ts_ms", TimeSource::Source, 1_000),
    ("ts_us", TimeSource::Processing, 1),
    ("ts_ms", TimeSource::Processing, 1_000),
];
const POSITIONS: &[&str] = &["source_lsn", "lsn"];

/// Recognises the shape of a file with these columns.
pub(crate) fn detect(fields: &[Field], prefix: &str, placeholder: &str) -> Shape {
    let has_members = |name| find(fields, name).is_some_and(|field| !field.children.is_empty());
    let is_null = |name| find(fields, name).is_some_and(|field| field.type_name == NULL);
    // A file of nothing but truncates has no row in it at all.
    let truncates_only = is_null("before") && is_null("after") && has_members("source");
    if find(fields, "op").is_some()
        && (has_members("after") || has_members("before") || truncates_only)
    {
        return envelope(fields, placeholder);
    }
    flattened(fields, prefix, placeholder)
}

fn envelope(fields: &[Field], placeholder: &str) -> Shape {
    let children = |name| find(fields, name).map_or(&[][..], |field| field.children.as_slice());
    let (before, after, source) = (children("before"), children("after"), children("source"));
    let op = find(fields, "op").map_or_else(|| "null".to_owned(), |field| field.expr.clone());
    let (mut payload, mut of_before) = (Vec::new(), Vec::new());
    let gone = before.iter().filter(|field| find(after, &field.name).is_none());
    for field in after.iter().chain(gone).filter(|field| field.type_name != NULL) {
        let (in_before, in_after) = (find(before, &field.name), find(after, &field.name));
        of_before.extend(in_before.map(|field| logical(field.clone(), placeholder)));
        let expr = |side: Option<&Field>| side.map_or("null".to_owned(), |f| f.expr.clone());
        let (before, after) = (expr(in_before), expr(in_after));
        let expr = format!("case when {op} = 'd' then {before} else {after} end");
        payload.push(logical(Field { expr, ..field.clone() }, placeholder));
    }
    let times = [
        (TimeSource::Source, source, "ts_us", 1),
        (TimeSource::Source, source, "ts_ms", 1_000),
        (TimeSource::Processing, fields, "ts_us", 1),
        (TimeSource::Processing, fields, "ts_ms", 1_000),
    ];
    let times = times
        .into_iter()
        .filter_map(|(kind, fields, name, us)| Some((kind, instant(find(fields, name)?, us))));
    Shape {
        kind: Kind::Envelope,
        times: times.collect(),
        lsn: find(source, "lsn").map(position),
        offset: None,
        snapshot: find(source, "snapshot").map(text),
        before: find(fields, "before")
            .filter(|_| !payload.is_empty() && of_before.len() == payload.len())
            .map(|before| (format!("{op} = 'u' and {} is not null", before.expr), of_before)),
        payload,
        op,
    }
}

fn flattened(fields: &[Field], prefix: &str, placeholder: &str) -> Shape {
    let added = |name: &str| find(fields, &format!("{prefix}{name}"));
    let op = added("op");
    let times =
        TIMES.iter().filter_map(|(name, kind, us)| Some((*kind, instant(added(name)?, *us))));
    let mut times: Vec<_> = times.collect();
    let lsn = POSITIONS.iter().find_map(|name| added(name)).map(position);
    let with_fields = op.is_some() || !times.is_empty() || lsn.is_some();
    let is_added = |field: &&Field| {
        let name = field.name.as_str();
        let known = name.strip_prefix(prefix).is_some_and(|name| {
            name == "op" || POSITIONS.contains(&name) || TIMES.iter().any(|time| time.0 == name)
        });
        matches!(name, DELETED | KAFKA_TIMESTAMP | KAFKA_OFFSET | KAFKA_PARTITION)
            || (with_fields && (known || !prefix.is_empty() && name.starts_with(prefix)))
    };
    let payload =
        fields.iter().filter(|field| !is_added(field) && field.type_name != NULL).cloned();
    let kafka_time = find(fields, KAFKA_TIMESTAMP)
        .map(|field| (TimeSource::RecordTimestamp, instant(field, 1_000)));
    times.extend(kafka_time);
    Shape {
        kind: if with_fields { Kind::FlattenedWithFields } else { Kind::Flattened },
        payload: payload.map(|field| logical(field, placeholder)).collect(),
        op: flattened_op(op, find(fields, DELETED)),
        times,
        lsn,
        offset: find(fields, KAFKA_OFFSET).map(|field| format!("cast({} as ubigint)", field.expr)),
        snapshot: added("source_snapshot").map(text),
        before: None,
    }
}

fn flattened_op(op: Option<&Field>, deleted: Option<&Field>) -> String {
    let otherwise = op.map_or("'u'".to_owned(), |field| format!("coalesce({}, 'u')", field.expr));
    match deleted {
        // The string "true" or "false", or a boolean.
        Some(field) => {
            let deleted = format!("lower(cast({} as varchar)) = 'true'", field.expr);
            format!("case when {deleted} then 'd' else {otherwise} end")
        }
        None => otherwise,
    }
}

fn text(field: &Field) -> String {
    format!("cast({} as varchar)", field.expr)
}

fn find<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    fields.iter().find(|field| field.name == name)
}

/// A TIMESTAMP in UTC of a number of `unit_us`, or of what already is a time.
fn instant(field: &Field, unit_us: i64) -> String {
    let expr = &field.expr;
    match field.type_name.as_str() {
        "TIMESTAMP WITH TIME ZONE" => format!("make_timestamp(epoch_us({expr}))"),
        name if name.starts_with("TIMESTAMP") => format!("cast({expr} as timestamp)"),
        _ => format!("make_timestamp(cast({expr} as bigint) * {unit_us})"),
    }
}

/// A log position of a number or of PostgreSQL's `16/B374D848`.
fn position(field: &Field) -> String {
    let expr = &field.expr;
    if field.type_name != "VARCHAR" {
        return format!("cast({expr} as ubigint)");
    }
    let half = |part| format!("cast('0x' || split_part({expr}, '/', {part}) as ubigint)");
    format!(
        "case when contains({expr}, '/') then ({} << 32) + {} else cast({expr} as ubigint) end",
        half(1),
        half(2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, type_name: &str) -> Field {
        Field {
            name: name.into(),
            expr: name.into(),
            type_name: type_name.into(),
            ..Field::default()
        }
    }

    fn group(name: &str, children: &[&str]) -> Field {
        let child =
            |child: &&str| Field { expr: format!("{name}.{child}"), ..field(child, "BIGINT") };
        let children = children.iter().map(child).collect();
        Field { children, ..field(name, "STRUCT") }
    }

    #[track_caller]
    fn check(
        name: &str,
        fields: &[Field],
        kind: Kind,
        payload: &[&str],
        time: Option<TimeSource>,
    ) -> Shape {
        let shape = detect(fields, "__", "unavailable");
        let columns: Vec<_> = shape.payload.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(shape.kind, kind, "{name}");
        assert_eq!(columns, payload, "{name}");
        assert_eq!(shape.times.first().map(|time| time.0), time, "{name}");
        shape
    }

    #[test]
    fn shapes_are_told_by_their_columns() {
        let int = |name| field(name, "BIGINT");
        let text = |name| field(name, "VARCHAR");
        let bare = [int("id"), text("__mine"), text("__deleted")];
        let shape = check("rewrite only", &bare, Kind::Flattened, &["id", "__mine"], None);
        assert_eq!(
            shape.op,
            "case when lower(cast(__deleted as varchar)) = 'true' then 'd' else 'u' end"
        );
        assert_eq!(shape.order(), OrderSource::KafkaOffset);

        check("nothing added", &[int("id"), text("op")], Kind::Flattened, &["id", "op"], None);
        let added = [int("id"), text("__op"), int("__ts_ms"), int("__source_lsn"), text("__table")];
        let processing = Some(TimeSource::Processing);
        let shape = check("add.fields", &added, Kind::FlattenedWithFields, &["id"], processing);
        assert_eq!(shape.order(), OrderSource::Lsn);
        let source = [int("id"), int("__ts_ms"), int("__source_ts_ms")];
        check("both times", &source, Kind::FlattenedWithFields, &["id"], Some(TimeSource::Source));
        let kafka = [int("id"), int("__kafka_ts"), int("__kafka_offset"), int("__kafka_partition")];
        let shape = check(
            "InsertField",
            &kafka,
            Kind::Flattened,
            &["id"],
            Some(TimeSource::RecordTimestamp),
        );
        assert_eq!(shape.offset.as_deref(), Some("cast(__kafka_offset as ubigint)"));

        let envelope = [
            group("before", &["id", "gone"]),
            group("after", &["id", "new"]),
            group("source", &["ts_ms", "lsn"]),
            text("op"),
            int("ts_ms"),
        ];
        let shape = check(
            "envelope",
            &envelope,
            Kind::Envelope,
            &["id", "new", "gone"],
            Some(TimeSource::Source),
        );
        assert_eq!(shape.payload[0].expr, "case when op = 'd' then before.id else after.id end");
        assert_eq!(shape.lsn.as_deref(), Some("cast(source.lsn as ubigint)"));
    }
}
