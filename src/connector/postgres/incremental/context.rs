//! Which tables an incremental snapshot reads and how far it has come, as members of the source
//! offset. Source: Debezium, `AbstractIncrementalSnapshotContext`. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::connector::postgres::incremental::java::{self, JavaValue};
use crate::connector::postgres::incremental::query::Key;

/// An incremental snapshot that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    /// The first one is being read. Never empty.
    pub(super) collections: VecDeque<Collection>,
    /// The id of the signal that began it.
    pub(super) correlation: Option<String>,
    /// The key of the last row that was handed out of the first table.
    pub(super) last: Option<StoredKey>,
    /// The largest key of the first table when its reading began.
    pub(super) maximum: Option<StoredKey>,
    /// Rows that were handed out of the first table.
    pub(super) rows: u64,
}

/// A table to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Collection {
    #[serde(rename = "incremental_snapshot_collections_id")]
    pub(super) name: String,
    #[serde(rename = "incremental_snapshot_collections_additional_condition", default)]
    pub(super) condition: Option<String>,
    #[serde(rename = "incremental_snapshot_collections_surrogate_key", default)]
    pub(super) surrogate_key: Option<String>,
}

/// A key as the original keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredKey(pub(super) Vec<JavaValue>);

/// What Java makes of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JavaKind {
    Integer,
    Long,
    Boolean,
    Uuid,
    Text,
}

impl JavaKind {
    pub(super) fn of(type_name: &str) -> Self {
        match type_name {
            "int2" | "int4" => Self::Integer,
            "int8" => Self::Long,
            "bool" => Self::Boolean,
            "uuid" => Self::Uuid,
            _ => Self::Text,
        }
    }

    fn value(self, text: &str) -> JavaValue {
        let value = match self {
            Self::Integer => text.parse().ok().map(JavaValue::Integer),
            Self::Long => text.parse().ok().map(JavaValue::Long),
            Self::Boolean => Some(JavaValue::Boolean(text == "t")),
            Self::Uuid => {
                uuid::Uuid::parse_str(text).ok().map(|uuid| JavaValue::Uuid(uuid.as_u128()))
            }
            Self::Text => None,
        };
        value.unwrap_or_else(|| JavaValue::Text(text.to_owned()))
    }
}

impl StoredKey {
    pub(super) fn new(key: &Key, kinds: &[JavaKind]) -> Self {
        let value = |(text, kind): (&Option<String>, &JavaKind)| match text {
            None => JavaValue::Null,
            Some(text) => kind.value(text),
        };
        Self(key.iter().zip(kinds).map(value).collect())
    }

    /// As the server reads it.
    pub(super) fn key(&self) -> Key {
        let text = |value: &JavaValue| match value {
            JavaValue::Null => None,
            JavaValue::Integer(number) => Some(number.to_string()),
            JavaValue::Long(number) => Some(number.to_string()),
            JavaValue::Boolean(value) => Some(if *value { "t" } else { "f" }.to_owned()),
            JavaValue::Uuid(bits) => Some(uuid::Uuid::from_u128(*bits).to_string()),
            JavaValue::Text(text) => Some(text.clone()),
        };
        self.0.iter().map(text).collect()
    }

    /// For notifications.
    pub(super) fn text(&self) -> String {
        let texts: Vec<_> =
            self.key().into_iter().map(|text| text.unwrap_or_else(|| "null".to_owned())).collect();
        texts.join(",")
    }
}

/// The members of an offset.
#[derive(Debug, Deserialize)]
struct Members {
    #[serde(rename = "incremental_snapshot_primary_key", default)]
    last: Option<String>,
    #[serde(rename = "incremental_snapshot_maximum_key", default)]
    maximum: Option<String>,
    #[serde(rename = "incremental_snapshot_collections", default)]
    collections: Option<String>,
    #[serde(rename = "incremental_snapshot_correlation_id", default)]
    correlation: Option<String>,
}

impl Context {
    /// One that begins.
    pub(super) fn new(correlation: &str) -> Self {
        Self {
            collections: VecDeque::new(),
            correlation: Some(correlation.to_owned()),
            last: None,
            maximum: None,
            rows: 0,
        }
    }

    /// What an offset says; `None` when none is under way. A key that cannot be read begins the table
    /// again.
    pub(super) fn parse(offset: &str) -> Option<Self> {
        let members: Members = serde_json::from_str(offset).ok()?;
        let collections: VecDeque<Collection> = serde_json::from_str(&members.collections?).ok()?;
        if collections.is_empty() {
            return None;
        }
        let key = |text: Option<String>| java::read(&text?)?.map(StoredKey);
        let maximum = key(members.maximum);
        // Without its end the table begins again.
        let last = maximum.as_ref().and_then(|_| key(members.last));
        let correlation = members.correlation;
        Some(Self { collections, correlation, last, maximum, rows: 0 })
    }

    /// The members of the offset, each behind a comma.
    pub(super) fn members(&self) -> String {
        let key = |key: &Option<StoredKey>| java::write(key.as_ref().map(|key| key.0.as_slice()));
        let collections =
            serde_json::to_string(&self.collections).expect("a list of texts is JSON");
        format!(
            ",\"incremental_snapshot_correlation_id\":{},\"incremental_snapshot_maximum_key\":\"{}\",\
             \"incremental_snapshot_collections\":{},\"incremental_snapshot_primary_key\":\"{}\"",
            json!(self.correlation),
            key(&self.maximum),
            json!(collections),
            key(&self.last),
        )
    }

    /// The names of the tables, as notifications list them.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.collections.iter().map(|each| each.name.as_str()).collect();
        names.join(",")
    }

    /// The first table is done. `false`: it was the last.
    pub(super) fn next_table(&mut self) -> bool {
        self.collections.pop_front();
        (self.last, self.maximum, self.rows) = (None, None, 0);
        !self.collections.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let mut context = Context::new("ad-hoc-1");
        context.collections.push_back(Collection {
            name: "inv.t1".to_owned(),
            condition: Some("id > 3".to_owned()),
            surrogate_key: None,
        });
        context
    }

    #[test]
    fn a_context_goes_through_an_offset() {
        let key = |values: &[Option<&str>]| {
            let key: Key = values.iter().map(|value| value.map(str::to_owned)).collect();
            let uuid = JavaKind::of("uuid");
            StoredKey::new(&key, &[JavaKind::of("int8"), JavaKind::of("text"), uuid])
        };
        let uuid = "0190d5a8-0000-7000-8000-0000000000ff";
        let mut context = context();
        for (last, maximum) in [
            (None, None),
            (None, Some(key(&[Some("9"), Some("z"), Some(uuid)]))),
            (Some(key(&[Some("-5"), None, None])), Some(key(&[Some("9"), Some("z"), Some(uuid)]))),
        ] {
            (context.last, context.maximum) = (last, maximum);
            let offset = format!("{{\"lsn\":5{}}}", context.members());
            assert_eq!(Context::parse(&offset).as_ref(), Some(&context), "{offset}");
        }
        assert_eq!(context.maximum.as_ref().unwrap().text(), format!("9,z,{uuid}"));
        assert_eq!(context.names(), "inv.t1");
        assert!(!context.next_table());
    }

    #[test]
    fn offsets_of_the_original_are_read() {
        let offset = r#"{"lsn":5,"incremental_snapshot_primary_key":"aced000570","incremental_snapshot_maximum_key":"aced000570","incremental_snapshot_collections":"[{\"incremental_snapshot_collections_id\":\"inv.t1\",\"incremental_snapshot_collections_additional_condition\":null,\"incremental_snapshot_collections_surrogate_key\":null,\"incremental_snapshot_collections_correlation_id\":\"ad-hoc-1\"}]","incremental_snapshot_correlation_id":null}"#;
        let context = Context::parse(offset).unwrap();
        assert_eq!((context.names().as_str(), context.last), ("inv.t1", None));
        // A class that is not known begins the table again, and does not stop the task.
        let unknown = offset.replace("aced000570", "aced0005757200");
        assert_eq!(Context::parse(&unknown).unwrap().maximum, None);
        for other in [r#"{"lsn":5}"#, r#"{"incremental_snapshot_collections":"[]"}"#] {
            assert_eq!(Context::parse(other), None, "{other}");
        }
    }
}
