//! Statements end, one way or the other: a network that swallows packets must not hold a task for
//! the quarter of an hour that TCP allows it.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::StoreError;

/// Every statement here touches a few rows by their key; one that takes longer than this is waiting
/// for a database that is away.
const STATEMENT_MAX: Duration = Duration::from_secs(10);

/// Gives a statement its deadline.
pub(super) trait Bounded<T> {
    /// The statement's outcome, [`StoreError::Away`] when it does not come in time. A write may
    /// nevertheless have happened, as with every connection that breaks; all of them may be repeated.
    async fn bounded(self) -> Result<T, StoreError>;
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> Bounded<T> for F {
    async fn bounded(self) -> Result<T, StoreError> {
        match timeout(STATEMENT_MAX, self).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(StoreError::Away(sqlx::Error::Io(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", STATEMENT_MAX.as_secs()),
            )))),
        }
    }
}
