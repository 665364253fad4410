//! What can go wrong with the state database, by what follows from it.

use crate::error::ConnectError;

/// An error of the state database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another worker or task holds the lease now.
    #[error("the lease of connector \"{connector}\" was taken over: this task is fenced")]
    Fenced { connector: String },
    /// A constraint refused the change.
    #[error("the state database refused the change: constraint \"{constraint}\"")]
    Conflict { constraint: String },
    /// What is stored cannot be understood.
    #[error("the state database holds {what} that this version cannot read")]
    Unreadable { what: String },
    /// The database is away, or a statement failed for a reason of its own.
    #[error("the state database is away")]
    Away(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let constraint = match &error {
            sqlx::Error::Database(database) => database.constraint().map(str::to_owned),
            _ => None,
        };
        match constraint {
            Some(constraint) => Self::Conflict { constraint },
            None => Self::Away(error),
        }
    }
}

impl From<StoreError> for ConnectError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Away(cause) => Self::retriable(text).because(cause),
            StoreError::Fenced { .. } => Self::fatal(text),
            StoreError::Conflict { .. } | StoreError::Unreadable { .. } => Self::fatal(text),
        }
    }
}
