//! What a signal asks for. Pure.

use serde::Deserialize;

use crate::connector::postgres::signal::Signal;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connector::postgres) enum Action {
    /// Log a message, in which `{}` is the offset.
    Log(String),
    Execute(Execute),
    Stop(Scope),
    Pause,
    Resume,
    /// A window of the incremental snapshot opens or closes.
    WindowOpen,
    WindowClose,
}

/// Read tables again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connector::postgres) struct Execute {
    pub(in crate::connector::postgres) kind: SnapshotKind,
    /// Regular expressions.
    pub(in crate::connector::postgres) collections: Vec<String>,
    /// A regular expression of tables and what holds for them: a condition, or for blocking
    /// snapshots a whole statement.
    pub(in crate::connector::postgres) conditions: Vec<(String, String)>,
    pub(in crate::connector::postgres) surrogate_key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connector::postgres) enum SnapshotKind {
    Incremental,
    Blocking,
}

/// Which tables a stop is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connector::postgres) enum Scope {
    All,
    Collections(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    message: Option<String>,
    #[serde(rename = "data-collections")]
    collections: Vec<String>,
    r#type: Option<String>,
    #[serde(rename = "additional-conditions")]
    conditions: Vec<Condition>,
    #[serde(rename = "surrogate-key")]
    surrogate_key: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "data-collection")]
    collection: String,
    filter: String,
}

/// Reads a signal.
///
/// # Errors
/// What is wrong with it, for the log: a bad signal stops nothing.
pub(in crate::connector::postgres) fn parse(signal: &Signal) -> Result<Action, String> {
    let Signal { id, kind, data } = signal;
    match kind.as_str() {
        "snapshot-window-open" => return Ok(Action::WindowOpen),
        "snapshot-window-close" => return Ok(Action::WindowClose),
        _ => {}
    }
    let text = if data.trim().is_empty() { "{}" } else { data };
    let data: Data = serde_json::from_str(text).map_err(|error| {
        format!("Signal '{id}' has been received but the data '{data}' cannot be parsed: {error}")
    })?;
    match kind.as_str() {
        "log" => match data.message {
            Some(message) => Ok(Action::Log(message)),
            None => Err(format!("Signal '{id}' of type log has no message")),
        },
        "execute-snapshot" => execute(id, data),
        "stop-snapshot" => {
            snapshot_kind(id, data.r#type.as_deref())?;
            Ok(Action::Stop(match data.collections.is_empty() {
                true => Scope::All,
                false => Scope::Collections(data.collections),
            }))
        }
        "pause-snapshot" => Ok(Action::Pause),
        "resume-snapshot" => Ok(Action::Resume),
        "schema-changes" => Err(format!(
            "Signal '{id}' of type schema-changes is not needed: definitions come with the stream"
        )),
        other => {
            Err(format!("Signal '{id}' has been received but the type '{other}' is not recognized"))
        }
    }
}

fn execute(id: &str, data: Data) -> Result<Action, String> {
    if data.collections.is_empty() {
        return Err(format!(
            "Execute snapshot signal '{id}' has arrived but no data collections were supplied"
        ));
    }
    let conditions = data.conditions.into_iter();
    Ok(Action::Execute(Execute {
        kind: snapshot_kind(id, data.r#type.as_deref())?,
        collections: data.collections.iter().map(|name| name.trim().to_owned()).collect(),
        conditions: conditions.map(|each| (each.collection, each.filter)).collect(),
        surrogate_key: data.surrogate_key.filter(|column| !column.trim().is_empty()),
    }))
}

fn snapshot_kind(id: &str, text: Option<&str>) -> Result<SnapshotKind, String> {
    match text.map(str::to_lowercase).as_deref() {
        None | Some("" | "incremental") => Ok(SnapshotKind::Incremental),
        Some("blocking") => Ok(SnapshotKind::Blocking),
        Some(other) => Err(format!(
            "Signal '{id}' asks for a snapshot of type '{other}'; there are incremental and blocking"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, data: &str) -> Result<Action, String> {
        parse(&Signal { id: "1".to_owned(), kind: kind.to_owned(), data: data.to_owned() })
    }

    #[test]
    fn signals_say_what_to_do() {
        let execute = |kind, condition: Option<(&str, &str)>, key: Option<&str>| {
            Ok(Action::Execute(Execute {
                kind,
                collections: vec!["inv.a".to_owned()],
                conditions: condition
                    .into_iter()
                    .map(|(table, filter)| (table.to_owned(), filter.to_owned()))
                    .collect(),
                surrogate_key: key.map(str::to_owned),
            }))
        };
        for (kind, data, expected) in [
            ("log", r#"{"message":"at {}"}"#, Ok(Action::Log("at {}".to_owned()))),
            (
                "execute-snapshot",
                r#"{"data-collections":["inv.a"]}"#,
                execute(SnapshotKind::Incremental, None, None),
            ),
            (
                "execute-snapshot",
                r#"{"data-collections":[" inv.a "],"type":"BLOCKING","surrogate-key":"k",
                    "additional-conditions":[{"data-collection":"inv.a","filter":"x > 1"}]}"#,
                execute(SnapshotKind::Blocking, Some(("inv.a", "x > 1")), Some("k")),
            ),
            ("stop-snapshot", "", Ok(Action::Stop(Scope::All))),
            (
                "stop-snapshot",
                r#"{"data-collections":["inv.a"],"type":"incremental"}"#,
                Ok(Action::Stop(Scope::Collections(vec!["inv.a".to_owned()]))),
            ),
            ("pause-snapshot", "{}", Ok(Action::Pause)),
            ("resume-snapshot", "{}", Ok(Action::Resume)),
            ("snapshot-window-open", "anything", Ok(Action::WindowOpen)),
            ("snapshot-window-close", "", Ok(Action::WindowClose)),
        ] {
            assert_eq!(read(kind, data), expected, "{kind} {data}");
        }
    }

    #[test]
    fn bad_signals_say_what_is_wrong() {
        for (kind, data, expected) in [
            ("nonsense", "{}", "the type 'nonsense' is not recognized"),
            ("execute-snapshot", "{", "the data '{' cannot be parsed"),
            ("execute-snapshot", "{}", "no data collections were supplied"),
            ("execute-snapshot", r#"{"data-collections":["a"],"type":"x"}"#, "type 'x'"),
            ("log", "{}", "has no message"),
            ("schema-changes", "{}", "not needed"),
        ] {
            let error = read(kind, data).unwrap_err();
            assert!(error.contains(expected), "{kind} {data}: {error}");
        }
    }
}
