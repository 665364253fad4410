//! What a table's history means, as far as its owner can choose. Kept with the table: a table that was
//! made by other rules has to be rebuilt.

use serde::{Deserialize, Serialize};

use crate::fold;

/// The choices; the defaults lose nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    pub deletes: Deletes,
    /// Events that change nothing open versions too; the same event twice does not.
    pub every_event: bool,
    pub zero_length: ZeroLength,
    pub track: Track,
    pub snapshot_from: SnapshotFrom,
    /// Rows that a complete snapshot lacks end with it: deleted while no slot was there.
    pub snapshot_closes_missing: bool,
    /// `effective_to` of current versions, as DuckDB reads a TIMESTAMP; NULL if `None`.
    pub open_end: Option<String>,
    pub time: Time,
    pub on_type_conflict: TypeConflict,
}

/// What a deleted row leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// The last version ends.
    #[default]
    Close,
    /// The last version ends, and a row with its image and `is_deleted` follows.
    Row,
    /// Nothing: the last version stays current.
    Ignore,
}

/// Whether versions that begin and end at one instant are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroLength {
    #[default]
    Keep,
    Drop,
}

/// Whose changes open versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    #[default]
    All,
    /// Only these columns'; the others show what they were when the version opened.
    Only(Vec<String>),
    /// All but these columns'.
    Except(Vec<String>),
}

impl Track {
    pub(crate) fn has(&self, column: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(column));
        match self {
            Track::All => true,
            Track::Only(names) => named(names),
            Track::Except(names) => !named(names),
        }
    }
}

/// Since when a row has existed that a snapshot found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotFrom {
    /// Since the snapshot.
    #[default]
    Observed,
    /// Since ever.
    Beginning,
    /// Since the time in this column.
    Column(String),
}

/// What tells the time of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Time {
    /// The most exact there is.
    #[default]
    Auto,
    /// When the source committed it; a file without that is an error.
    Source,
    /// When the connector handled it; a file without that is an error.
    Processing,
    /// The Kafka timestamp, of the record or, if unknown, of its object.
    Kafka,
    /// The time in this column; for deletes, whose images are blank, as `Auto`.
    Column(String),
}

/// What happens when a column comes with a type that cannot be united with the known one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeConflict {
    /// The column becomes text.
    #[default]
    Varchar,
    /// The table is not brought up to date.
    Error,
    /// The other type gets a column of its own, `<name>__2`.
    Split,
}

impl Rules {
    pub(crate) fn fold(&self) -> fold::Rules {
        fold::Rules {
            deletes: self.deletes,
            every_event: self.every_event,
            drop_zero_length: self.zero_length == ZeroLength::Drop,
            snapshot_from_beginning: self.snapshot_from == SnapshotFrom::Beginning,
        }
    }
}
