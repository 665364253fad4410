//! Reading JSON bodies as the original's parser does: scalars in a configuration become their source
//! text, the last of equal keys wins, and whatever does not fit is an error of the server (500).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::config::Props;
use crate::error::ConnectError;
use crate::runtime::herder::{OffsetChange, TargetState};
use crate::runtime::validation::SubmittedProps;

const CONNECTOR_OFFSETS: &str = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets";
const CONNECTOR_OFFSET: &str = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffset";
const CREATE_REQUEST: &str =
    "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest";

/// What a body can be read as. `None` is JSON's null or an empty body.
pub(super) trait FromJson: Sized {
    fn from_json(body: &[u8]) -> Result<Option<Self>, ApiError>;
}

/// The body of `POST /connectors`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CreateConnectorRequest {
    pub(super) name: Option<String>,
    pub(super) config: Option<SubmittedProps>,
    pub(super) initial_state: Option<TargetState>,
}

impl FromJson for CreateConnectorRequest {
    fn from_json(body: &[u8]) -> Result<Option<Self>, ApiError> {
        let Some(members) = object(body, CREATE_REQUEST)? else { return Ok(None) };
        let mut request = Self::default();
        for (field, value) in members {
            match field.as_str() {
                "name" => request.name = scalar(value)?,
                "config" => request.config = props(value.get().as_bytes())?,
                "initial_state" => {
                    request.initial_state = scalar(value)?.map(|text| state(&text)).transpose()?;
                }
                _ => {
                    let known = ["name", "config", "initial_state"];
                    return Err(unrecognized(&field, CREATE_REQUEST, &known));
                }
            }
        }
        Ok(Some(request))
    }
}

/// The body of `PATCH /connectors/{connector}/offsets`; no list is an empty one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct OffsetChanges(pub(super) Vec<OffsetChange>);

impl FromJson for OffsetChanges {
    fn from_json(body: &[u8]) -> Result<Option<Self>, ApiError> {
        let Some(members) = object(body, CONNECTOR_OFFSETS)? else { return Ok(None) };
        let mut changes = Vec::new();
        for (field, value) in members {
            if field != "offsets" {
                return Err(unrecognized(&field, CONNECTOR_OFFSETS, &["offsets"]));
            }
            let list: Option<Vec<&RawValue>> = match value.get().bytes().next() {
                Some(b'[' | b'n') => parse(value.get())?,
                _ => return Err(mismatch("java.util.ArrayList", value)),
            };
            changes = list.unwrap_or_default().into_iter().map(change).collect::<Result<_, _>>()?;
        }
        Ok(Some(Self(changes)))
    }
}

fn change(value: &RawValue) -> Result<OffsetChange, ApiError> {
    let members = object(value.get().as_bytes(), CONNECTOR_OFFSET)?.unwrap_or_default();
    let mut change = OffsetChange { partition: None, offset: None };
    for (field, value) in members {
        match field.as_str() {
            "partition" => change.partition = free_members(value)?,
            "offset" => change.offset = free_members(value)?,
            _ => return Err(unrecognized(&field, CONNECTOR_OFFSET, &["partition", "offset"])),
        }
    }
    Ok(change)
}

/// An object of anything, or null.
fn free_members(value: &RawValue) -> Result<Option<Map<String, Value>>, ApiError> {
    match value.get().bytes().next() {
        Some(b'{' | b'n') if !value.get().contains("\\u0000") => parse(value.get()),
        Some(b'{') => Err(ApiError::bad_request(
            "The offsets contain the character U+0000, which cannot be stored; remove it",
        )),
        _ => Err(mismatch("java.util.LinkedHashMap<java.lang.String,java.lang.Object>", value)),
    }
}

/// The body of `PUT /admin/loggers/{logger}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoggerChange {
    pub(super) level: Option<String>,
}

impl FromJson for LoggerChange {
    fn from_json(body: &[u8]) -> Result<Option<Self>, ApiError> {
        let class = "java.util.LinkedHashMap<java.lang.String,java.lang.String>";
        let Some(members) = object(body, class)? else { return Ok(None) };
        let level = members.get("level").map(|level| scalar(level)).transpose()?.flatten();
        Ok(Some(Self { level }))
    }
}

/// The body of `POST /ferroconnect/connectors/{connector}/rollback`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Rollback {
    pub(super) version: i64,
}

impl FromJson for Rollback {
    fn from_json(body: &[u8]) -> Result<Option<Self>, ApiError> {
        // This is ours: what cannot be read is the client's mistake, and said to be.
        Ok(serde_json::from_slice(body).ok())
    }
}

/// Reads a connector file, `{"name": ..., "config": {...}}`, as `POST /connectors` reads its body.
///
/// # Errors
/// What is wrong with it.
pub fn connector_file(text: &str) -> Result<(String, Props), ConnectError> {
    let request = CreateConnectorRequest::from_json(text.as_bytes())
        .map_err(|error| ConnectError::config(error.into_message()))?
        .unwrap_or_default();
    let (Some(name), Some(config)) = (request.name, request.config) else {
        return Err(ConnectError::config("it needs the members \"name\" and \"config\""));
    };
    let mut props = Props::new();
    for (key, value) in config {
        let value =
            value.ok_or_else(|| ConnectError::config(format!("the value of \"{key}\" is null")))?;
        props.insert(key, value);
    }
    props.insert("name".to_owned(), name.clone());
    Ok((name, props))
}

impl FromJson for SubmittedProps {
    fn from_json(body: &[u8]) -> Result<Option<Self>, ApiError> {
        props(body)
    }
}

fn props(body: &[u8]) -> Result<Option<SubmittedProps>, ApiError> {
    let Some(members) = object(body, "java.util.LinkedHashMap<java.lang.String,java.lang.String>")?
    else {
        return Ok(None);
    };
    let mut props = SubmittedProps::new();
    for (key, value) in members {
        let value = scalar(value)?;
        if key.contains('\0') || value.as_ref().is_some_and(|value| value.contains('\0')) {
            let key = key.replace('\0', "\\u0000");
            return Err(ApiError::bad_request(format!(
                "The configuration key \"{key}\" or its value contains the character U+0000, which \
                 cannot be stored; remove it"
            )));
        }
        props.insert(key, value);
    }
    Ok(Some(props))
}

fn state(text: &str) -> Result<TargetState, ApiError> {
    match text.to_uppercase().as_str() {
        "RUNNING" => Ok(TargetState::Started),
        "PAUSED" => Ok(TargetState::Paused),
        "STOPPED" => Ok(TargetState::Stopped),
        other => Err(ApiError::unreadable_body(format!(
            "Cannot construct instance of `{CREATE_REQUEST}$InitialState`, problem: No enum constant \
             {CREATE_REQUEST}.InitialState.{other}"
        ))),
    }
}

/// The members of a body that is an object, the last of equal keys.
fn object<'a>(
    body: &'a [u8],
    class: &str,
) -> Result<Option<BTreeMap<String, &'a RawValue>>, ApiError> {
    let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) else { return Ok(None) };
    if *first == b'{' {
        return serde_json::from_slice(body).map(Some).map_err(|error| unreadable(&error));
    }
    let value: &RawValue = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    if value.get() == "null" {
        return Ok(None);
    }
    Err(mismatch(class, value))
}

/// A scalar as its text; the source text of numbers, `true` and `false`.
fn scalar(value: &RawValue) -> Result<Option<String>, ApiError> {
    let source = value.get();
    match source.bytes().next() {
        Some(b'"') => serde_json::from_str(source).map(Some).map_err(|error| unreadable(&error)),
        Some(b'{' | b'[') => Err(mismatch("java.lang.String", value)),
        _ if source == "null" => Ok(None),
        _ => Ok(Some(source.to_owned())),
    }
}

fn unreadable(error: &serde_json::Error) -> ApiError {
    ApiError::unreadable_body(format!("The request body is not valid JSON: {error}"))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

fn unrecognized(field: &str, class: &str, known: &[&str]) -> ApiError {
    let count = known.len();
    let properties = if count == 1 {
        "one known property".to_owned()
    } else {
        format!("{count} known properties")
    };
    let known: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
    ApiError::unreadable_body(format!(
        "Unrecognized field \"{field}\" (class {class}), not marked as ignorable ({properties}: {}])",
        known.join(", ")
    ))
}

fn mismatch(class: &str, value: &RawValue) -> ApiError {
    let (kind, token) = match value.get().bytes().next() {
        Some(b'{') => ("Object value", "START_OBJECT"),
        Some(b'[') => ("Array value", "START_ARRAY"),
        Some(b'"') => ("String value", "VALUE_STRING"),
        Some(b't') => ("Boolean value", "VALUE_TRUE"),
        Some(b'f') => ("Boolean value", "VALUE_FALSE"),
        _ => ("Number value", "VALUE_NUMBER"),
    };
    ApiError::unreadable_body(format!(
        "Cannot deserialize value of type `{class}` from {kind} (token `JsonToken.{token}`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(body: &str) -> Option<SubmittedProps> {
        SubmittedProps::from_json(body.as_bytes()).expect("readable")
    }

    #[test]
    fn scalars_become_their_source_text() {
        let props =
            config(r#"{"a":5242880,"b":1.50,"c":true,"d":" x ","e":null,"f":1e3,"g":"A\n"}"#)
                .unwrap();
        let shown: Vec<_> = props.values().map(|value| value.as_deref().unwrap_or("-")).collect();
        assert_eq!(shown, ["5242880", "1.50", "true", " x ", "-", "1e3", "A\n"]);
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        assert_eq!(config(r#"{"a":1,"a":2}"#).unwrap()["a"].as_deref(), Some("2"));
    }

    #[test]
    fn null_and_nothing_are_no_body() {
        for body in ["", "  ", "null", " null\n"] {
            assert_eq!(config(body), None, "{body:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let deep = "[".repeat(100_000);
        for body in [
            "{",
            "{} x",
            "{} {}",
            "[]",
            "\"s\"",
            "5",
            "nul",
            "{bad}",
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":"\ud800"}"#,
            deep.as_str(),
            "{\"a\":\"\\u0000\"}",
        ] {
            assert!(SubmittedProps::from_json(body.as_bytes()).is_err(), "{body:.20}");
        }
        assert!(SubmittedProps::from_json(b"{\"a\":\"\xe9\"}").is_err(), "Latin-1");
    }

    #[test]
    fn offset_changes_are_read_with_their_types() {
        let read = |body: &str| OffsetChanges::from_json(body.as_bytes());
        let changes = read(
            r#"{"offsets":[{"partition":{"a":1,"b":1.5,"c":null},"offset":{"p":"x"}},{"partition":null},{}]}"#,
        );
        let OffsetChanges(changes) = changes.unwrap().unwrap();
        assert_eq!(changes.len(), 3);
        let partition = changes[0].partition.clone().map(Value::Object);
        assert_eq!(partition.unwrap().to_string(), r#"{"a":1,"b":1.5,"c":null}"#);
        assert_eq!(changes[1], OffsetChange { partition: None, offset: None });
        for body in ["{}", "{\"offsets\":null}", "{\"offsets\":[]}"] {
            assert_eq!(read(body).unwrap(), Some(OffsetChanges::default()), "{body}");
        }
        assert_eq!(read("null").unwrap(), None);
        for body in [
            "[]",
            r#"{"foo":1}"#,
            r#"{"offsets":{}}"#,
            r#"{"offsets":[1]}"#,
            r#"{"offsets":[{"x":1}]}"#,
            r#"{"offsets":[{"partition":1}]}"#,
            r#"{"offsets":[{"partition":{"a":"\u0000"}}]}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_creation_has_three_fields() {
        let read = |body: &str| CreateConnectorRequest::from_json(body.as_bytes());
        let request =
            read(r#"{"name":5,"config":{"a":"b"},"initial_state":"paused"}"#).unwrap().unwrap();
        assert_eq!(request.name.as_deref(), Some("5"));
        assert_eq!(request.initial_state, Some(TargetState::Paused));
        assert_eq!(read("{}").unwrap(), Some(CreateConnectorRequest::default()));
        assert!(read(r#"{"foo":1}"#).is_err());
        assert!(read(r#"{"initial_state":"foo"}"#).is_err());
        assert_eq!(read(r#"{"initial_state":null}"#).unwrap().unwrap().initial_state, None);
    }
}
