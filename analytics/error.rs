//! Why nothing could be done, or why one table could not be.

use std::path::PathBuf;

/// Failures of this crate, as far as a caller can act differently on them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Exit status 4.
    #[error("database {} is in use by {holder}; wait for it or stop it", database.display())]
    Locked { database: PathBuf, holder: String },
    #[error("database {} does not exist; `scd2 run` makes it", .0.display())]
    NoDatabase(PathBuf),
    #[error(
        "source \"{uri}\" is not usable: {reason}; expected s3://bucket/prefix, file:///directory or a directory"
    )]
    Source { uri: String, reason: String },
    #[error("cannot list \"{uri}\"; check bucket, endpoint, region and credentials")]
    List { uri: String, source: object_store::Error },
    #[error("cannot read object \"{uri}\"")]
    Fetch { uri: String, source: object_store::Error },
    #[error("object \"{uri}\" was replaced while it was read; run again")]
    ObjectChanged { uri: String },
    #[error("object \"{uri}\": {reason}")]
    Object { uri: String, reason: String },
    #[error("table \"{table}\": {reason}")]
    Table { table: String, reason: String },
    #[error("no table or topic is called \"{0}\"; `scd2 status` names them")]
    UnknownTable(String),
    #[error("table \"{0}\": {1}")]
    Compact(String, String),
    #[error("configuration: {0}")]
    Config(String),
    #[error("postgres: {0}")]
    Postgres(String),
    #[error("duckdb: {0}")]
    DuckDb(String),
    #[error("{what}")]
    Io { what: String, source: std::io::Error },
}

impl From<duckdb::Error> for Error {
    fn from(error: duckdb::Error) -> Self {
        // The crate's other variants say less than DuckDB's own text.
        let text = match error {
            duckdb::Error::DuckDBFailure(_, Some(text)) => text,
            other => other.to_string(),
        };
        Error::DuckDb(text)
    }
}
