//! `timestamp.extractor`: the time that a time partitioner goes by.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::arrival::{Arrival, FieldPath, Member};
use crate::data::{Type, Value, logical};
use crate::error::DataError;

/// Where a record's time comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extractor {
    /// The clock when the record's batch arrived.
    Wallclock,
    /// The Kafka timestamp.
    Record,
    /// `timestamp.field`.
    Field(FieldPath),
}

const PACKAGE: &str = "io.confluent.connect.storage.partitioner.TimeBasedPartitioner";

impl Extractor {
    /// The extractor of this name or class, with its field.
    pub(super) fn of(name: &str, field: &str) -> Option<Self> {
        let short = name.strip_prefix(PACKAGE).and_then(|class| class.strip_prefix('$'));
        let short = short.and_then(|class| class.strip_suffix("TimestampExtractor"));
        match short.unwrap_or(name) {
            "Wallclock" => Some(Self::Wallclock),
            "Record" => Some(Self::Record),
            "RecordField" => Some(Self::Field(FieldPath::new(field))),
            _ => None,
        }
    }

    /// The time of a record in milliseconds.
    ///
    /// # Errors
    /// When the record has none.
    pub(super) fn extract(&self, arrival: &Arrival<'_>) -> Result<i64, DataError> {
        match self {
            Self::Wallclock => Ok(arrival.now_ms),
            Self::Record => arrival.timestamp_ms.ok_or_else(|| {
                DataError::new(
                    "Unable to determine timestamp using timestamp.extractor Record: the record \
                     has no Kafka timestamp",
                )
            }),
            Self::Field(path) => of_field(arrival, path),
        }
    }
}

fn of_field(arrival: &Arrival<'_>, path: &FieldPath) -> Result<i64, DataError> {
    let name = path.text();
    let unusable =
        || DataError::new(format!("Error extracting timestamp from record field: {name}"));
    let (schema, value) = match arrival.member(path)? {
        Member::NoStruct => return Err(DataError::new("Error encoding partition.")),
        Member::Missing | Member::Value(_, Value::Null) => {
            return Err(DataError::new(format!("The field '{name}' does not exist.")));
        }
        Member::Value(schema, value) => (schema, value),
    };
    match &value {
        Value::Timestamp(ms) => Ok(*ms),
        Value::Int32(number) => Ok((*number).into()),
        Value::Int64(number) => Ok(*number),
        Value::String(text) => parse(text).ok_or_else(unusable),
        // The dates of Kafka Connect are integers underneath; a map may hold any number.
        Value::Date(days) if schema.is_none() => Ok(i64::from(*days) * 86_400_000),
        Value::Date(number) | Value::Time(number) => Ok((*number).into()),
        Value::Int8(_) | Value::Int16(_) if schema.is_none() => value.as_i64().ok_or_else(unusable),
        Value::Float64(number) if schema.is_none() => Ok(truncated(*number)),
        Value::Float32(number) if schema.is_none() => Ok(truncated((*number).into())),
        _ => match schema.as_ref().map(|schema| (schema.ty(), schema.name())) {
            Some((Type::Int64, Some(logical::TIMESTAMP))) => value.as_i64().ok_or_else(unusable),
            _ => Err(unusable()),
        },
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Java's longValue, saturating as there")]
fn truncated(number: f64) -> i64 {
    number as i64
}

/// Milliseconds as digits, or an ISO date with or without time, fraction and zone.
fn parse(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.len() <= 19 && digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_millis());
    }
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"];
    if let Some(at) = zoned.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
        return Some(at.timestamp_millis());
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let local = local.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    Some(local.or_else(date)?.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_milliseconds_or_an_iso_date() {
        let rows = [
            ("1763789480123", Some(1_763_789_480_123)),
            ("-5", Some(-5)),
            ("2026-11-22T05:31:20.123Z", Some(1_795_325_480_123)),
            ("2026-11-22T05:31:20Z", Some(1_795_325_480_000)),
            ("2026-11-22T06:31:20+01:00", Some(1_795_325_480_000)),
            ("2026-11-22T06:31:20+0100", Some(1_795_325_480_000)),
            ("2026-11-22T05:31:20", Some(1_795_325_480_000)),
            ("2026-11-22T05:31", Some(1_795_325_460_000)),
            ("2026-11-22", Some(1_795_305_600_000)),
            ("yesterday", None),
            ("99999999999999999999", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn extractors_have_short_and_class_names() {
        let class = format!("{PACKAGE}$RecordFieldTimestampExtractor");
        assert_eq!(Extractor::of("Record", ""), Some(Extractor::Record));
        assert_eq!(Extractor::of(&class, "a"), Some(Extractor::Field(FieldPath::new("a"))));
        assert_eq!(Extractor::of("com.x.Mine", ""), None);
    }
}
