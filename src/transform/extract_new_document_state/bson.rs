//! Documents as MongoDB writes them into text: Extended JSON v2, canonical and relaxed, and the older
//! forms of binary data and regular expressions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::DateTime;
use serde_json::{Map, Value as Json};

use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bson {
    Null,
    /// Has no field of its own.
    Undefined,
    Boolean(bool),
    Int32(i32),
    Int64(i64),
    Double(f64),
    /// Text, and what is shown as such: object ids, decimals, code, symbols.
    Text(String),
    Binary(Bytes),
    /// Milliseconds since the epoch.
    Time(i64),
    Regex {
        pattern: String,
        options: String,
    },
    CodeWithScope {
        code: String,
        scope: Document,
    },
    Document(Document),
    Array(Vec<Bson>),
}

/// The fields of a document, in order.
pub(super) type Document = Vec<(String, Bson)>;

/// Reads a document.
///
/// # Errors
/// When it is none.
pub(super) fn document(text: &str) -> Result<Document> {
    match value(text)? {
        Bson::Document(document) => Ok(document),
        _ => Err(DataError::new("the text is no document of MongoDB")),
    }
}

/// Reads a value. The text is a row: it does not belong into an error.
///
/// # Errors
/// When it is none.
pub(super) fn value(text: &str) -> Result<Bson> {
    let json: Json = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        DataError::new(format!("not JSON of MongoDB (line {line}, column {column})"))
    })?;
    of_json(json)
}

fn of_json(json: Json) -> Result<Bson> {
    Ok(match json {
        Json::Null => Bson::Null,
        Json::Bool(value) => Bson::Boolean(value),
        Json::String(text) => Bson::Text(text),
        Json::Number(number) => match number.as_i64() {
            Some(number) => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
            None => Bson::Double(number.as_f64().ok_or_else(|| malformed("a number"))?),
        },
        Json::Array(items) => Bson::Array(items.into_iter().map(of_json).collect::<Result<_>>()?),
        Json::Object(members) => match special(&members)? {
            Some(value) => value,
            None => {
                let member = |(name, value)| Ok((name, of_json(value)?));
                Bson::Document(members.into_iter().map(member).collect::<Result<_>>()?)
            }
        },
    })
}

#[cold]
fn malformed(what: &str) -> DataError {
    DataError::new(format!("{what} is not as MongoDB writes it"))
}

/// The value that an object with a `$` in front of its first member stands for.
fn special(members: &Map<String, Json>) -> Result<Option<Bson>> {
    let Some((name, value)) = members.iter().next() else { return Ok(None) };
    let text = || value.as_str().ok_or_else(|| malformed(name));
    let number = || -> Result<i64> {
        let text = text()?;
        text.parse().map_err(|_| malformed(name))
    };
    Ok(Some(match name.as_str() {
        "$oid" | "$numberDecimal" | "$symbol" => Bson::Text(text()?.to_owned()),
        "$numberInt" => Bson::Int32(i32::try_from(number()?).map_err(|_| malformed(name))?),
        "$numberLong" => Bson::Int64(number()?),
        "$numberDouble" => Bson::Double(match text()? {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            text => text.parse().map_err(|_| malformed(name))?,
        }),
        "$date" => Bson::Time(date(value)?),
        "$timestamp" => {
            let seconds = value.get("t").and_then(Json::as_i64).ok_or_else(|| malformed(name))?;
            Bson::Time(seconds.saturating_mul(1000))
        }
        "$binary" => {
            let text = value.get("base64").unwrap_or(value).as_str();
            let bytes = text.and_then(|text| STANDARD.decode(text).ok());
            Bson::Binary(bytes.ok_or_else(|| malformed(name))?.into())
        }
        "$uuid" => {
            let uuid = uuid::Uuid::parse_str(text()?).map_err(|_| malformed(name))?;
            Bson::Binary(Bytes::copy_from_slice(uuid.as_bytes()))
        }
        "$regularExpression" => regex(value.get("pattern"), value.get("options"))?,
        "$regex" => regex(Some(value), members.get("$options"))?,
        "$code" => match members.get("$scope") {
            None => Bson::Text(text()?.to_owned()),
            Some(scope) => match of_json(scope.clone())? {
                Bson::Document(scope) => Bson::CodeWithScope { code: text()?.to_owned(), scope },
                _ => return Err(malformed("$scope")),
            },
        },
        "$undefined" | "$minKey" | "$maxKey" => Bson::Undefined,
        _ => return Ok(None),
    }))
}

fn date(value: &Json) -> Result<i64> {
    let malformed = || malformed("$date");
    match value {
        Json::Number(millis) => millis.as_i64().ok_or_else(malformed),
        Json::String(text) => {
            let time = DateTime::parse_from_rfc3339(text).map_err(|_| malformed())?;
            Ok(time.timestamp_millis())
        }
        other => {
            let millis = other.get("$numberLong").and_then(Json::as_str).ok_or_else(malformed)?;
            millis.parse().map_err(|_| malformed())
        }
    }
}

fn regex(pattern: Option<&Json>, options: Option<&Json>) -> Result<Bson> {
    let pattern =
        pattern.and_then(Json::as_str).ok_or_else(|| malformed("a regular expression"))?;
    let options = options.and_then(Json::as_str).unwrap_or_default();
    Ok(Bson::Regex { pattern: pattern.to_owned(), options: options.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_types() {
        let text = |text: &str| Bson::Text(text.to_owned());
        for (json, expected) in [
            ("null", Bson::Null),
            ("true", Bson::Boolean(true)),
            ("1", Bson::Int32(1)),
            ("3000000000", Bson::Int64(3_000_000_000)),
            ("1.5", Bson::Double(1.5)),
            (r#"{"$oid":"57e193d7a9cc81b4027498b5"}"#, text("57e193d7a9cc81b4027498b5")),
            (r#"{"$numberInt":"5"}"#, Bson::Int32(5)),
            (r#"{"$numberLong":"5"}"#, Bson::Int64(5)),
            (r#"{"$numberDouble":"-Infinity"}"#, Bson::Double(f64::NEG_INFINITY)),
            (r#"{"$numberDecimal":"1.10"}"#, text("1.10")),
            (r#"{"$date":1700000000123}"#, Bson::Time(1_700_000_000_123)),
            (r#"{"$date":{"$numberLong":"-1"}}"#, Bson::Time(-1)),
            (r#"{"$date":"1970-01-01T00:00:01.5Z"}"#, Bson::Time(1500)),
            (r#"{"$timestamp":{"t":2,"i":1}}"#, Bson::Time(2000)),
            (r#"{"$binary":{"base64":"AQ==","subType":"00"}}"#, Bson::Binary(vec![1].into())),
            (r#"{"$binary":"AQ==","$type":"00"}"#, Bson::Binary(vec![1].into())),
            (r#"{"$undefined":true}"#, Bson::Undefined),
            (r#"{"$code":"f()"}"#, text("f()")),
            (
                r#"{"$regularExpression":{"pattern":"a","options":"i"}}"#,
                Bson::Regex { pattern: "a".to_owned(), options: "i".to_owned() },
            ),
            (r#"{"$other":1}"#, Bson::Document(vec![("$other".to_owned(), Bson::Int32(1))])),
        ] {
            assert_eq!(value(json), Ok(expected), "{json}");
        }
        for json in [r#"{"$oid":5}"#, r#"{"$numberInt":"3000000000"}"#, r#"{"$date":true}"#, "{"] {
            assert!(value(json).is_err(), "{json}");
        }
        assert!(document("[1]").is_err());
    }
}
