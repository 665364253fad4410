//! Users and passwords (RFC 7617), from a file of `USER=PASSWORD` as the original's
//! `PropertyFileLoginModule` reads it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::digest::Hashed;
use crate::config::parse_properties;
use crate::error::ConnectError;

/// Who has which password.
#[derive(Debug)]
pub(super) struct Users(BTreeMap<String, Hashed>);

impl Users {
    /// Reads `file`, which the setting `key` names.
    ///
    /// # Errors
    /// When it cannot be read or names nobody: the original lets everybody in then.
    pub(super) fn read(key: &str, file: &str) -> Result<Self, ConnectError> {
        let users = secrets(key, file)?;
        Ok(Self(users.into_iter().collect()))
    }

    /// The user whose name and password these are.
    pub(super) fn known(&self, credentials: &str) -> Option<String> {
        let decoded = STANDARD.decode(credentials).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        let given = Hashed::of(password);
        // The same work for a user who does not exist.
        let nobody = Hashed::of("");
        let stored = self.0.get(user);
        let same = stored.unwrap_or(&nobody).is(&given);
        (same && stored.is_some()).then(|| user.to_owned())
    }
}

/// The names and secrets of a file.
pub(super) fn secrets(key: &str, file: &str) -> Result<Vec<(String, Hashed)>, ConnectError> {
    let wrong = |why: String| ConnectError::config(format!("the setting {key} is wrong: {why}"));
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("cannot read {file}: {error}")))?;
    let entries = parse_properties(&text).map_err(|why| wrong(format!("{file}: {why}")))?;
    if entries.is_empty() {
        return Err(wrong(format!("{file} names nobody, so that nobody could come in")));
    }
    entries
        .into_iter()
        .map(|(name, secret)| {
            let hashed = Hashed::of_file(&secret).filter(|_| !secret.is_empty());
            hashed.map(|hashed| (name.clone(), hashed)).ok_or_else(|| {
                wrong(format!(
                    "{file}: what stands for \"{name}\" is no secret; write it, or sha256: and 64 \
                     hexadecimal digits"
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_has_to_be_the_users() {
        let users = [("alice", "wonder:land"), ("bob", "builder")];
        let users = users.map(|(user, password)| (user.to_owned(), Hashed::of(password)));
        let users = Users(users.into());
        for (credentials, expected) in [
            ("alice:wonder:land", Some("alice")),
            ("alice:wonder", None),
            ("alice:builder", None),
            ("bob:builder", Some("bob")),
            ("eve:", None),
            ("eve:builder", None),
            ("alice", None),
            ("", None),
        ] {
            let known = users.known(&STANDARD.encode(credentials));
            assert_eq!(known.as_deref(), expected, "{credentials}");
        }
        assert_eq!(users.known("not base64!"), None);
        assert_eq!(users.known(&STANDARD.encode(b"\xff:\xff")), None);
    }
}
