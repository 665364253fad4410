//! Typed access to what a [`super::ConfigDef`] accepted.

use std::collections::HashMap;

use super::{ConfigValue, Secret};

/// The typed values of a configuration, by key. Used once, by the constructor of a plugin's typed
/// struct.
///
/// Accessors panic on a key that the table does not have with that type: a bug that the first test
/// of the plugin shows.
#[derive(Debug, Clone)]
pub struct Parsed {
    values: HashMap<&'static str, ConfigValue>,
}

impl Parsed {
    pub(super) fn new(values: HashMap<&'static str, ConfigValue>) -> Self {
        Self { values }
    }

    fn get(&self, key: &str) -> &ConfigValue {
        self.values.get(key).unwrap_or_else(|| panic!("the table has no key {key}"))
    }

    /// A STRING or CLASS that may be absent. Blank counts as absent.
    pub fn optional_string(&self, key: &str) -> Option<String> {
        match self.get(key) {
            ConfigValue::Null => None,
            ConfigValue::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            other => panic!("{key} is no string: {other:?}"),
        }
    }

    /// A STRING or CLASS that may be absent; given as nothing is not absent.
    pub fn given_string(&self, key: &str) -> Option<String> {
        match self.get(key) {
            ConfigValue::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// A STRING or CLASS; empty when absent.
    pub fn string(&self, key: &str) -> String {
        self.optional_string(key).unwrap_or_default()
    }

    /// A BOOLEAN with a default.
    pub fn boolean(&self, key: &str) -> bool {
        match self.get(key) {
            ConfigValue::Boolean(value) => *value,
            other => panic!("{key} is no boolean: {other:?}"),
        }
    }

    /// An INT, SHORT or LONG that may be absent.
    pub fn optional_integer(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            ConfigValue::Null => None,
            ConfigValue::Integer(value) => Some(*value),
            other => panic!("{key} is no integer: {other:?}"),
        }
    }

    /// An INT, SHORT or LONG with a default.
    pub fn integer(&self, key: &str) -> i64 {
        self.optional_integer(key).unwrap_or_else(|| panic!("{key} has no default"))
    }

    /// A DOUBLE with a default.
    pub fn double(&self, key: &str) -> f64 {
        match self.get(key) {
            ConfigValue::Double(value) => *value,
            other => panic!("{key} is no double: {other:?}"),
        }
    }

    /// A LIST; empty when absent.
    pub fn list(&self, key: &str) -> Vec<String> {
        match self.get(key) {
            ConfigValue::Null => Vec::new(),
            ConfigValue::List(items) => items.clone(),
            other => panic!("{key} is no list: {other:?}"),
        }
    }

    /// A PASSWORD that may be absent.
    pub fn optional_secret(&self, key: &str) -> Option<Secret> {
        match self.get(key) {
            ConfigValue::Null => None,
            ConfigValue::Password(secret) => Some(secret.clone()),
            other => panic!("{key} is no password: {other:?}"),
        }
    }
}
