//! What differs on the wire between the generations of the original, as `debezium.compatibility`
//! chooses: its 3.6, or its 2.3 for consumers of the older form. Observed on both.

/// The generation whose records these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// 2.3.
    Two,
    /// 3.6.
    Three,
}

impl Generation {
    /// What `source.version` says.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Two => "2.3.7.Final",
            Self::Three => crate::connector::postgres::VERSION,
        }
    }

    /// The version of envelopes.
    pub(super) fn envelope_version(self) -> i32 {
        match self {
            Self::Two => 1,
            Self::Three => 2,
        }
    }

    /// The members of an envelope in their order, from those of the newer one: before, after,
    /// source, transaction, op, and the time in three units.
    pub(super) fn envelope<T>(self, members: [T; 8]) -> Vec<T> {
        match (self, members) {
            (Self::Three, members) => members.into(),
            (Self::Two, [before, after, source, transaction, op, ts_ms, _, _]) => {
                vec![before, after, source, op, ts_ms, transaction]
            }
        }
    }

    /// The members of a logical message's value: op, time, source, transaction, message.
    pub(super) fn message<T>(self, members: [T; 5]) -> Vec<T> {
        match (self, members) {
            (Self::Three, members) => members.into(),
            (Self::Two, [op, ts_ms, source, _, message]) => vec![op, ts_ms, source, message],
        }
    }

    /// What the schema of `source.snapshot` allows. The older one says less than it writes.
    pub(super) fn snapshot_markers(self) -> &'static str {
        match self {
            Self::Two => "true,last,false,incremental",
            Self::Three => {
                "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"
            }
        }
    }

    /// Whether columns of the type are part of records.
    pub(super) fn has_type(self, name: &str) -> bool {
        const NEWER: [&str; 4] = ["tsvector", "vector", "halfvec", "sparsevec"];
        self == Self::Three || !NEWER.contains(&name)
    }
}
