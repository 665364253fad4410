//! Bearer tokens (RFC 6750) from a file of `NAME=TOKEN`.

use super::basic::secrets;
use super::digest::Hashed;
use crate::error::ConnectError;

/// Whose token is which.
#[derive(Debug)]
pub(super) struct Tokens(Vec<(String, Hashed)>);

impl Tokens {
    /// Reads the file that `rest.auth.tokens.file` names.
    ///
    /// # Errors
    /// When it cannot be read or holds none.
    pub(super) fn read(file: &str) -> Result<Self, ConnectError> {
        secrets("rest.auth.tokens.file", file).map(Self)
    }

    /// Whose token this is. All are looked at: the time says nothing.
    pub(super) fn known(&self, token: &str) -> Option<&str> {
        let given = Hashed::of(token);
        let mut found = None;
        for (name, hashed) in &self.0 {
            if hashed.is(&given) {
                found = Some(name.as_str());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_holder() {
        let tokens = [("ci", "t0k3n"), ("backup", "other")];
        let tokens = tokens.map(|(name, token)| (name.to_owned(), Hashed::of(token)));
        let tokens = Tokens(tokens.into());
        assert_eq!(tokens.known("t0k3n"), Some("ci"));
        assert_eq!(tokens.known("other"), Some("backup"));
        assert_eq!(tokens.known("t0k3"), None);
        assert_eq!(tokens.known(""), None);
    }
}
