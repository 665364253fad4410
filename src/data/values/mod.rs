//! Values as text and back: what `SimpleHeaderConverter`, `StringConverter` and the transforms that
//! take literals need of `org.apache.kafka.connect.data.Values` and of Java's `toString`.

mod calendar;
mod parse;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use self::calendar::{DAY_MS, DateTime, days};
pub use self::parse::{decimal, parse};
use super::number_text::{push_decimal, push_f32, push_f64};
use super::{Schema, Struct, Value};

/// The text of `value` as a header shows it; `None` is a header without bytes.
pub fn format(value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut out = String::new();
    push(&mut out, value, false);
    Some(out)
}

fn push(out: &mut String, value: &Value, embedded: bool) {
    match value {
        Value::String(text) if embedded => push_quoted(out, text),
        Value::Bytes(bytes) if embedded => push_quoted(out, &STANDARD.encode(bytes)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            push_list(out, ('[', ']'), items, |out, item| push(out, item, true));
        }
        Value::Map(entries) => push_list(out, ('{', '}'), entries, |out, (key, value)| {
            push(out, key, true);
            out.push(':');
            push(out, value, true);
        }),
        Value::Struct(value) => {
            let members = value.schema().fields().iter().zip(value.values());
            push_list(out, ('{', '}'), members, |out, (field, value)| {
                push_quoted(out, &field.name);
                out.push(':');
                push(out, or_default(&field.schema, value), true);
            });
        }
        other => push_scalar(out, other, date_text),
    }
}

fn or_default<'a>(schema: &'a Schema, value: &'a Value) -> &'a Value {
    match schema.default_value() {
        Some(default) if value.is_null() => default,
        _ => value,
    }
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
    out.push('"');
}

fn push_list<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(close);
}

/// What looks the same in both text forms, dates apart.
fn push_scalar(out: &mut String, value: &Value, date: fn(i64) -> String) {
    let number = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut text = Vec::new();
        write(&mut text);
        String::from_utf8(text).expect("numbers are ASCII")
    };
    match value {
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Float32(value) => out.push_str(&number(&|text| push_f32(text, *value))),
        Value::Float64(value) => out.push_str(&number(&|text| push_f64(text, *value))),
        Value::Decimal(decimal) => {
            out.push_str(&number(&|text| push_decimal(text, &decimal.unscaled, decimal.scale)));
        }
        Value::Date(days) => out.push_str(&date(i64::from(*days) * DAY_MS)),
        Value::Time(millis) => out.push_str(&date((*millis).into())),
        Value::Timestamp(millis) => out.push_str(&date(*millis)),
        Value::Bytes(bytes) => out.push_str(&STANDARD.encode(bytes)),
        Value::String(text) => out.push_str(text),
        other => match other.as_i64() {
            Some(integer) => out.push_str(&integer.to_string()),
            None => out.push_str("null"),
        },
    }
}

/// An instant in the form that its value suggests: time of day, date, or both; always UTC.
pub fn date_text(millis: i64) -> String {
    let DateTime { year, month, day, hour, minute, second, milli, .. } = DateTime::of(millis);
    if millis < DAY_MS {
        format!("{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    } else if millis % DAY_MS == 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// Java's `toString` of the value. Bytes have none worth keeping (the original shows an object's
/// address): they are in base64.
pub fn java_string(value: &Value) -> String {
    let mut out = String::new();
    push_java(&mut out, value);
    out
}

fn push_java(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => push_java_list(out, "[", "]", items, push_java),
        Value::Map(entries) => push_java_list(out, "{", "}", entries, |out, (key, value)| {
            push_java(out, key);
            out.push('=');
            push_java(out, value);
        }),
        Value::Struct(value) => push_java_struct(out, value),
        other => push_scalar(out, other, java_date_text),
    }
}

fn push_java_list<T>(
    out: &mut String,
    open: &str,
    close: &str,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    out.push_str(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        push(out, item);
    }
    out.push_str(close);
}

/// Fields that are null are left out.
fn push_java_struct(out: &mut String, value: &Struct) {
    let members = value.schema().fields().iter().zip(value.values());
    out.push_str("Struct");
    push_list(out, ('{', '}'), members.filter(|(_, value)| !value.is_null()), |out, member| {
        out.push_str(&member.0.name);
        out.push('=');
        push_java(out, member.1);
    });
}

fn java_date_text(millis: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let DateTime { year, month, day, weekday, hour, minute, second, .. } = DateTime::of(millis);
    let name = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
    };
    let (weekday, month) = (name(&DAYS, weekday), name(&MONTHS, month - 1));
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use num_bigint::BigInt;

    use super::*;
    use crate::data::{Decimal, SchemaBuilder, Type};

    fn structure() -> Value {
        let number = SchemaBuilder::new(Type::Int32).build();
        let text = SchemaBuilder::new(Type::String).optional().build();
        let kind = SchemaBuilder::new(Type::String).default_value(Value::string("n")).build();
        let schema =
            SchemaBuilder::structure().field("i", number).field("s", text).field("k", kind).build();
        let values = vec![Value::Int32(7), Value::Null, Value::Null];
        Value::Struct(Box::new(Struct::new(schema, values)))
    }

    #[test]
    fn headers_and_java_have_their_own_forms() {
        let decimal = |unscaled: i64, scale| {
            Value::Decimal(Decimal { unscaled: BigInt::from(unscaled), scale })
        };
        let list = Value::Array(vec![
            Value::string("a\"b\\"),
            Value::Int8(1),
            Value::Null,
            Value::Float32(1.5),
            Value::Boolean(true),
        ]);
        let map = Value::Map(vec![(Value::string("k"), Value::Array(vec![Value::Int64(1)]))]);
        let noon = 1_714_564_800_000;
        for (value, header, java) in [
            (Value::string("a\"b"), "a\"b", "a\"b"),
            (Value::Float64(1e7), "1.0E7", "1.0E7"),
            (Value::Float64(f64::NAN), "NaN", "NaN"),
            (decimal(1, -3), "1E+3", "1E+3"),
            (Value::Bytes(Bytes::from_static(b"ab")), "YWI=", "YWI="),
            (list, r#"["a\"b\\",1,null,1.5,true]"#, "[a\"b\\, 1, null, 1.5, true]"),
            (map, r#"{"k":[1]}"#, "{k=[1]}"),
            (structure(), r#"{"i":7,"s":null,"k":"n"}"#, "Struct{i=7}"),
            (Value::Date(19_844), "2024-05-01", "Wed May 01 00:00:00 UTC 2024"),
            (Value::Date(0), "00:00:00.000Z", "Thu Jan 01 00:00:00 UTC 1970"),
            (Value::Time(1), "00:00:00.001Z", "Thu Jan 01 00:00:00 UTC 1970"),
            (
                Value::Timestamp(noon + 1),
                "2024-05-01T12:00:00.001Z",
                "Wed May 01 12:00:00 UTC 2024",
            ),
            (Value::Timestamp(-1), "23:59:59.999Z", "Wed Dec 31 23:59:59 UTC 1969"),
        ] {
            assert_eq!(format(&value).as_deref(), Some(header));
            assert_eq!(java_string(&value), java);
        }
        assert_eq!(format(&Value::Null), None);
    }
}
