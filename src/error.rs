//! The failure meanings that the runtime can act on.
//!
//! Every plugin boundary returns [`ConnectError`]: one type with one axis, its kind. What follows
//! from a kind (retry, tolerate, fail) is decided in `runtime::tolerance` alone.

use std::error::Error as StdError;
use std::fmt;

type Cause = Box<dyn StdError + Send + Sync>;

/// What the runtime may do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The outside (database, broker, bucket) failed; the same call may succeed later.
    Retriable,
    /// This record cannot be processed; `errors.tolerance` decides.
    Data,
    /// The configuration cannot work; a person has to change it.
    Config,
    /// Going on would lose or corrupt data, or an invariant is broken; a person has to look.
    Fatal,
}

/// An error at a plugin boundary.
///
/// The message is lower case, names the thing and, where an operator can act, says what to do. The
/// cause is attached, never formatted into the message; [`ConnectError::trace`] shows the chain.
pub struct ConnectError {
    kind: ErrorKind,
    message: String,
    source: Option<Cause>,
}

impl ConnectError {
    /// An error of the outside that may pass.
    pub fn retriable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retriable, message)
    }

    /// An error of one record.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// An error of the connector's configuration.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// An error that only a person can clear.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fatal, message)
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Attaches the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// What the runtime may do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message with every cause on a line of its own, as a task's `trace` shows it.
    pub fn trace(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str("\nCaused by: ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.trace())
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|cause| cause.as_ref() as &(dyn StdError + 'static))
    }
}

impl From<DataError> for ConnectError {
    fn from(error: DataError) -> Self {
        Self::data(error.to_string())
    }
}

/// Data that does not fit its schema or its format: Connect's `DataException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DataError(pub String);

impl DataError {
    /// An error with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The error as one of the member `name` of what is at hand: called on the way out, it gives the
    /// path of a field, `(field "after.tags[2]")`.
    #[must_use]
    pub fn at(self, name: &str) -> Self {
        let Self(text) = self;
        Self(match text.rsplit_once(FIELD).filter(|(_, path)| path.ends_with("\")")) {
            Some((text, path)) => {
                let dot = if path.starts_with('[') { "" } else { "." };
                format!("{text}{FIELD}{name}{dot}{path}")
            }
            None => format!("{text}{FIELD}{name}\")"),
        })
    }
}

/// What stands before the path of a field.
const FIELD: &str = " (field \"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_on_the_way_out() {
        let error = DataError::new("bad").at("[2]").at("tags").at("after");
        assert_eq!(error.0, "bad (field \"after.tags[2]\")");
    }

    #[test]
    fn trace_lists_every_cause_on_its_own_line() {
        let inner = ConnectError::retriable("connection refused");
        let error = ConnectError::fatal("cannot read slot \"s\"").because(inner);
        assert_eq!(error.trace(), "cannot read slot \"s\"\nCaused by: connection refused");
        assert_eq!(error.to_string(), "cannot read slot \"s\"");
    }
}
