//! The crate from outside: change files in, history tables out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

/// Avro files, byte by byte.
mod avro;
/// What the history tables are for known changes, recorded ones among them.
mod examples;
/// Object formats, row shapes, types and columns that come and go.
mod inputs;
/// How keys are found.
mod keys;
/// Any order, cut, repetition and rebuild gives the same table as a replay, one change at a time.
mod properties;
/// What the owner of a table can choose.
mod rules;
/// Running twice, failing, dry runs, locks and what is reported.
mod runs;
/// A real S3 server as the source.
mod s3;
/// Lakes of change files, and tables as text.
mod support;
/// Reports, exports, checks and compaction.
mod verbs;
