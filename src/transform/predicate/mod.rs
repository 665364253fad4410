//! Predicates: whether a stage of the chain runs on a record; one file each.

pub mod has_header_key;
pub mod record_is_tombstone;
pub mod topic_name_matches;
