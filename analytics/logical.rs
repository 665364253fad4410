//! Debezium's logical types: what a plain number or text in a file means.
//!
//! Times become TIMESTAMP in UTC and never TIMESTAMP WITH TIME ZONE, whose casts need ICU, which
//! a DuckDB built from the crate's sources does not have.

use crate::shape::Field;
use crate::sql::literal;

/// The days that Debezium gives for `infinity`, in a stream and in a snapshot: both are products of an
/// overflow, and before any date that PostgreSQL has.
const INFINITE_DAYS: &str = "-2147472692, -622191234";
/// The same for `-infinity`.
const NEGATIVE_INFINITE_DAYS: &str = "-2147472691, -625821272";
/// Milliseconds that mean `infinity`, as microseconds and as themselves.
const INFINITE_US: i64 = 9_223_372_036_825_200_000;
const INFINITE_MS: i64 = INFINITE_US / 1_000;
/// Where DuckDB's TIMESTAMP begins; PostgreSQL's begins later, so that what is below means `-infinity`.
const MIN_US: i64 = -9_223_372_022_400_000_000;
const MIN_MS: i64 = MIN_US / 1_000;

/// Connect's own logical type, whose values a file has as numbers.
const CONNECT_DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

/// The field as the type that its Connect name means; as it is, if that is no other.
pub(crate) fn logical(field: Field, placeholder: &str) -> Field {
    let expr = &field.expr;
    let number = format!("cast({expr} as bigint)");
    let (type_name, expr) = match (field.connect.as_deref(), field.type_name.as_str()) {
        (_, "TIMESTAMP WITH TIME ZONE") => {
            ("TIMESTAMP", format!("make_timestamp(epoch_us({expr}))"))
        }
        (_, "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS") => {
            ("TIMESTAMP", format!("cast({expr} as timestamp)"))
        }
        (_, "TIME WITH TIME ZONE") => ("TIME", format!("cast({expr} as time)")),
        (Some("io.debezium.time.Date"), "INTEGER" | "BIGINT") => ("DATE", date(expr)),
        (Some("io.debezium.time.Timestamp"), "BIGINT") => {
            ("TIMESTAMP", timestamp(&number, INFINITE_MS, MIN_MS, " * 1000"))
        }
        (Some("io.debezium.time.MicroTimestamp"), "BIGINT") => {
            ("TIMESTAMP", timestamp(&number, INFINITE_US, MIN_US, ""))
        }
        (Some("io.debezium.time.NanoTimestamp"), "BIGINT") => {
            ("TIMESTAMP", format!("make_timestamp({number} // 1000)"))
        }
        (Some("io.debezium.time.ZonedTimestamp"), "VARCHAR") => ("TIMESTAMP", zoned(expr)),
        (Some("io.debezium.time.Time"), "INTEGER" | "BIGINT") => {
            ("TIME", time(&format!("{number} * 1000")))
        }
        (Some("io.debezium.time.MicroTime"), "BIGINT") => ("TIME", time(&number)),
        (Some("io.debezium.time.NanoTime"), "BIGINT") => {
            ("TIME", time(&format!("{number} // 1000")))
        }
        (Some("io.debezium.data.Uuid"), "VARCHAR") => ("UUID", format!("cast({expr} as uuid)")),
        (Some("io.debezium.data.VariableScaleDecimal"), of) if of.starts_with("STRUCT(") => {
            ("VARCHAR", variable_scale(expr))
        }
        (Some("io.debezium.data.Json"), "VARCHAR") => {
            // The placeholder is no JSON document, but as a JSON string it is.
            let bare = literal(placeholder);
            let text = format!("case when {expr} = {bare} then to_json({bare}) else {expr} end");
            ("JSON", format!("cast({text} as json)"))
        }
        _ => return field,
    };
    Field { type_name: type_name.to_owned(), expr, ..field }
}

/// The field as a type that a person gave it: one of DuckDB's, or what a number or text stands for.
pub(crate) fn declared(field: &Field, declared: &str) -> Field {
    let declared = declared.trim().to_ascii_lowercase();
    let is_unit = ["timestamp_", "date_", "time_"].iter().any(|unit| declared.starts_with(unit));
    if is_unit && ["TIME", "DATE"].iter().any(|time| field.type_name.starts_with(time)) {
        // Another file of the table says it itself.
        return field.clone();
    }
    let number = || format!("cast({} as bigint)", field.expr);
    let meant = |connect: &str, type_name: &str, expr: String| {
        let connect = Some(format!("io.debezium.time.{connect}"));
        logical(Field { connect, type_name: type_name.into(), expr, ..field.clone() }, "")
    };
    match declared.as_str() {
        "timestamp_ms" => meant("Timestamp", "BIGINT", number()),
        "timestamp_us" => meant("MicroTimestamp", "BIGINT", number()),
        "timestamp_ns" => meant("NanoTimestamp", "BIGINT", number()),
        "zoned_timestamp" => meant("ZonedTimestamp", "VARCHAR", field.expr.clone()),
        "date_days" => meant("Date", "BIGINT", number()),
        "time_ms" => meant("Time", "BIGINT", number()),
        "time_us" => meant("MicroTime", "BIGINT", number()),
        "time_ns" => meant("NanoTime", "BIGINT", number()),
        "base64" => Field {
            type_name: "BLOB".into(),
            expr: format!("from_base64({})", field.expr),
            ..field.clone()
        },
        _ => {
            let scale = declared.strip_prefix("decimal(").and_then(|rest| {
                rest.trim_end_matches(')').rsplit(',').next()?.trim().parse().ok()
            });
            let expr = match scale {
                // As Connect's JsonConverter writes decimals; `wide_decimals` has made the others text.
                Some(scale)
                    if field.type_name == "VARCHAR"
                        && field.connect.as_deref() != Some(CONNECT_DECIMAL) =>
                {
                    let scale: u8 = scale;
                    let text = &field.expr;
                    format!(
                        "cast(case when {text} is null then null when regexp_full_match({text}, '-?[0-9]*[.][0-9]+') then {text} \
                         else _decimal_text(_unscaled(from_base64({text})), {scale}) end as {declared})"
                    )
                }
                _ => format!("cast({} as {declared})", field.expr),
            };
            Field { type_name: declared.to_ascii_uppercase(), expr, ..field.clone() }
        }
    }
}

fn date(days: &str) -> String {
    format!(
        "case when {days} in ({INFINITE_DAYS}) then date 'infinity' \
         when {days} in ({NEGATIVE_INFINITE_DAYS}) then date '-infinity' \
         else date '1970-01-01' + cast({days} as integer) end"
    )
}

fn timestamp(number: &str, infinite: i64, min: i64, to_us: &str) -> String {
    format!(
        "case when {infinite} <= {number} then timestamp 'infinity' \
         when {number} <= {min} then timestamp '-infinity' else make_timestamp({number}{to_us}) end"
    )
}

/// Adding an interval to a TIME would turn PostgreSQL's 24:00 into 00:00.
fn time(us: &str) -> String {
    format!(
        "case when {us} = 86400000000 then time '24:00:00' \
         else time '00:00:00' + to_microseconds({us}) end"
    )
}

/// Debezium writes offsets as `Z`; others would be ignored by a cast to TIMESTAMP. Years of five digits
/// have a plus sign, which DuckDB does not read.
fn zoned(text: &str) -> String {
    format!(
        "case when {text} in ('infinity', '-infinity') then cast({text} as timestamp) \
         else make_timestamp(epoch_us(cast(ltrim({text}, '+') as timestamptz))) end"
    )
}

/// PostgreSQL's `numeric` without precision, as exact text. What is beyond 36 digits stays readable as
/// a struct's text.
fn variable_scale(number: &str) -> String {
    format!(
        "case when octet_length(({number}).value) <= 15 \
         then _decimal_text(_unscaled(({number}).value), ({number}).scale) \
         else cast({number} as varchar) end"
    )
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::*;

    /// DuckDB is the judge of what an expression yields.
    #[track_caller]
    fn check(connect: &str, type_name: &str, value: &str, expected: &str) {
        let field = Field {
            name: "x".into(),
            expr: format!("cast({value} as {type_name})"),
            type_name: type_name.into(),
            connect: Some(format!("io.debezium.{connect}")),
            children: Vec::new(),
        };
        let Field { expr, type_name, .. } = logical(field, "unavailable");
        let connection = Connection::open_in_memory().unwrap();
        connection.execute(include_str!("sql/macro_unscaled.sql"), []).unwrap();
        connection.execute(include_str!("sql/macro_decimal_text.sql"), []).unwrap();
        let sql = format!("select cast({expr} as varchar), typeof({expr})");
        let (text, actual): (String, String) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(text, expected, "{connect} {value}");
        assert_eq!(actual, type_name, "{connect} {value}");
    }

    #[test]
    fn times_are_those_of_postgres_at_the_edges_too() {
        check("time.Date", "INTEGER", "19782", "2024-02-29");
        check("time.Date", "INTEGER", "-735160", "0044-03-15 (BC)");
        check("time.Date", "INTEGER", "-2147472692", "infinity");
        check("time.Date", "INTEGER", "-622191234", "infinity");
        check("time.Date", "INTEGER", "-2147472691", "-infinity");
        check("time.Timestamp", "BIGINT", "1709210096789", "2024-02-29 12:34:56.789");
        check("time.Timestamp", "BIGINT", "9223372036825200", "infinity");
        check("time.Timestamp", "BIGINT", "-9223372036832400", "-infinity");
        check("time.MicroTimestamp", "BIGINT", "1709210096789012", "2024-02-29 12:34:56.789012");
        check("time.MicroTimestamp", "BIGINT", "253402300799999999", "9999-12-31 23:59:59.999999");
        check("time.MicroTimestamp", "BIGINT", "9223372036825200000", "infinity");
        check("time.MicroTimestamp", "BIGINT", "-9223372036832400000", "-infinity");
        check("time.NanoTimestamp", "BIGINT", "1709210096789012345", "2024-02-29 12:34:56.789012");
        check("time.MicroTime", "BIGINT", "3723000001", "01:02:03.000001");
        check("time.MicroTime", "BIGINT", "86400000000", "24:00:00");
        check("time.Time", "INTEGER", "3723000", "01:02:03");
        let zoned = |text: &str, expected| check("time.ZonedTimestamp", "VARCHAR", text, expected);
        zoned("'2024-02-29T10:34:56.789012Z'", "2024-02-29 10:34:56.789012");
        zoned("'2024-02-29T10:34:56+02:00'", "2024-02-29 08:34:56");
        zoned("'+12345-01-01T00:00:00.000000Z'", "12345-01-01 00:00:00");
        zoned("'-0043-03-15T01:02:03.000000Z'", "0044-03-15 (BC) 01:02:03");
        zoned("'infinity'", "infinity");
    }

    #[test]
    fn numbers_without_precision_are_exact() {
        for (scale, bytes, expected) in [
            (2, "\\x01\\xE2\\x40", "1234.56"),
            (2, "\\xFE\\x01", "-5.11"),
            (0, "\\x64", "100"),
            (4, "\\xFF", "-0.0001"),
            (3, "\\x00", "0.000"),
            (-2, "\\x05", "500"),
            (1, &"\\x7F".repeat(15), "66200766848895810140699410453177945.5"),
        ] {
            let value = format!("{{'scale': {scale}, 'value': '{bytes}'::blob}}");
            let of = "STRUCT(scale INTEGER, \"value\" BLOB)";
            check("data.VariableScaleDecimal", of, &value, expected);
        }
    }

    #[test]
    fn other_types_stay_as_they_are() {
        check("data.Json", "VARCHAR", "'{\"a\": 1}'", "{\"a\": 1}");
        check("data.Json", "VARCHAR", "'unavailable'", "\"unavailable\"");
        check("time.MicroDuration", "BIGINT", "5", "5");
        check("data.Xml", "VARCHAR", "'<a/>'", "<a/>");
    }
}
