//! `org.apache.kafka.common.config.ConfigDef`: a plugin's keys with types, defaults and checks.
//!
//! One table per plugin is the only origin of parsing, validation, the `/config/validate` reply and
//! the reference documentation. Error texts are the original's (`ConfigDef.java`,
//! `ConfigException.java`).

use super::{Parsed, Props, Secret, Validator};
use crate::error::ConnectError;

/// The types of configuration values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigType {
    /// What Debezium says of a value that is none of the type.
    fn expectation(self) -> &'static str {
        match self {
            Self::Boolean => "Either 'true' or 'false' is expected",
            Self::Int => "An integer is expected",
            Self::Short => "A short value is expected",
            Self::Long => "A long value is expected",
            Self::Double => "A double value is expected",
            Self::Class => "A Java class name is expected",
            Self::String | Self::List | Self::Password => "A value is required",
        }
    }

    /// The name in replies and error texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How much a key matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

impl Importance {
    /// The name in replies.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// How wide an input field for the key should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

impl Width {
    /// The name in replies.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        }
    }
}

/// A typed configuration value.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    Null,
    Boolean(bool),
    /// STRING and CLASS.
    String(String),
    /// INT, SHORT and LONG.
    Integer(i64),
    Double(f64),
    List(Vec<String>),
    Password(Secret),
}

impl ConfigValue {
    /// As replies show it; `None` is null.
    pub fn render(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(value) => value.to_string(),
            Self::String(value) => value.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Double(value) => format!("{value:?}"),
            Self::List(items) => items.join(","),
            Self::Password(_) => "[hidden]".to_owned(),
        })
    }

    /// As error texts show it.
    pub fn in_error(&self) -> String {
        match self {
            Self::List(items) => format!("[{}]", items.join(", ")),
            other => other.render().unwrap_or_else(|| "null".to_owned()),
        }
    }
}

/// One key of a [`ConfigDef`].
#[derive(Debug, Clone)]
pub struct ConfigKey {
    pub name: &'static str,
    pub ty: ConfigType,
    pub default: Default,
    pub importance: Importance,
    pub documentation: &'static str,
    pub group: Option<&'static str>,
    /// The position in the group, from 1; -1 without a group.
    pub order: i32,
    pub width: Width,
    pub display_name: &'static str,
    pub dependents: &'static [&'static str],
    pub recommended: &'static [&'static str],
    pub validator: Option<Validator>,
    pub wording: Wording,
    /// When forms show the key; `None`: always.
    pub visibility: Option<Visibility>,
}

/// On which other key's value it depends whether forms show a key.
#[derive(Debug, Clone, Copy)]
pub struct Visibility {
    pub key: &'static str,
    pub when: fn(&str) -> bool,
}

/// Whose sentences the messages about a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// `ConfigDef` and its validators.
    Kafka,
    /// Debezium's `Field`, which checks its configuration without `ConfigDef`.
    Debezium,
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    Required,
    Null,
    Text(&'static str),
}

impl ConfigKey {
    /// A key of low importance without group, default null.
    pub const fn new(name: &'static str, ty: ConfigType, documentation: &'static str) -> Self {
        Self {
            name,
            ty,
            default: Default::Null,
            importance: Importance::Low,
            documentation,
            group: None,
            order: -1,
            width: Width::None,
            display_name: name,
            dependents: &[],
            recommended: &[],
            validator: None,
            wording: Wording::Kafka,
            visibility: None,
        }
    }

    /// No default: absent is an error.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.default = Default::Required;
        self
    }

    /// The default, in the text form of the type.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Default::Text(text);
        self
    }

    /// Importance HIGH.
    #[must_use]
    pub const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }

    /// Importance MEDIUM.
    #[must_use]
    pub const fn medium(mut self) -> Self {
        self.importance = Importance::Medium;
        self
    }

    /// Where and how forms show the key.
    #[must_use]
    pub const fn shown(
        mut self,
        group: &'static str,
        order: i32,
        width: Width,
        display_name: &'static str,
    ) -> Self {
        self.group = Some(group);
        self.order = order;
        self.width = width;
        self.display_name = display_name;
        self
    }

    /// The check that follows parsing.
    #[must_use]
    pub const fn check(mut self, validator: Validator) -> Self {
        self.validator = Some(validator);
        self
    }

    /// The keys whose meaning depends on this one.
    #[must_use]
    pub const fn dependents(mut self, keys: &'static [&'static str]) -> Self {
        self.dependents = keys;
        self
    }

    /// Forms show the key only while the value of `key` is such that `when`.
    #[must_use]
    pub const fn visible(mut self, key: &'static str, when: fn(&str) -> bool) -> Self {
        self.visibility = Some(Visibility { key, when });
        self
    }

    /// The values that forms offer.
    #[must_use]
    pub const fn recommended(mut self, values: &'static [&'static str]) -> Self {
        self.recommended = values;
        self
    }

    /// Parses `text`, trimmed, as this key's type.
    ///
    /// # Errors
    /// The original's text, naming the key.
    pub fn parse(&self, text: &str) -> Result<ConfigValue, String> {
        self.parse_as(self.name, text)
    }

    /// As [`ConfigKey::parse`], with `shown` as the key's name in the message: keys embedded under a
    /// prefix are called by their full name.
    fn parse_as(&self, shown: &str, text: &str) -> Result<ConfigValue, String> {
        let raw = text;
        let text = text.trim();
        let reason =
            |reason: &str| format!("Invalid value {raw} for configuration {shown}: {reason}");
        let integer = |min: i64, max: i64| {
            let number = text.parse::<i64>().ok().filter(|number| (min..=max).contains(number));
            number
                .map(ConfigValue::Integer)
                .ok_or_else(|| reason(&format!("Not a number of type {}", self.ty.name())))
        };
        match self.ty {
            ConfigType::Boolean if text.eq_ignore_ascii_case("true") => {
                Ok(ConfigValue::Boolean(true))
            }
            ConfigType::Boolean if text.eq_ignore_ascii_case("false") => {
                Ok(ConfigValue::Boolean(false))
            }
            ConfigType::Boolean => Err(reason("Expected value to be either true or false")),
            ConfigType::String | ConfigType::Class => Ok(ConfigValue::String(text.to_owned())),
            ConfigType::Password => Ok(ConfigValue::Password(Secret::new(text))),
            ConfigType::Int => integer(i32::MIN.into(), i32::MAX.into()),
            ConfigType::Short => integer(i16::MIN.into(), i16::MAX.into()),
            ConfigType::Long => integer(i64::MIN, i64::MAX),
            ConfigType::Double => text
                .parse()
                .map(ConfigValue::Double)
                .map_err(|_| reason("Not a number of type DOUBLE")),
            ConfigType::List if text.is_empty() => Ok(ConfigValue::List(Vec::new())),
            ConfigType::List => {
                Ok(ConfigValue::List(text.split(',').map(|item| item.trim().to_owned()).collect()))
            }
        }
    }

    /// What becomes of this key when it is submitted like this. `shown` is its name in the parser's
    /// messages; the validator's messages use the key's own name, as in the original.
    pub fn outcome(&self, shown: &str, submitted: Submitted<'_>) -> Outcome {
        let mut errors = Vec::new();
        let value = match (submitted, self.default) {
            // What cannot be parsed goes on as null, so that one bad value can give two messages.
            (Submitted::Text(text), _) => self.parse_as(shown, text).unwrap_or_else(|message| {
                errors.push(match self.wording {
                    Wording::Kafka => message,
                    Wording::Debezium => self.debezium(self.ty.expectation()),
                });
                ConfigValue::Null
            }),
            (Submitted::Absent, Default::Text(text)) => {
                self.parse(text).expect("a default is of its key's type: held by a test per table")
            }
            (Submitted::Null, _) | (Submitted::Absent, Default::Null) => ConfigValue::Null,
            (Submitted::Absent, Default::Required) => {
                let message = format!(
                    "Missing required configuration \"{shown}\" which has no default value."
                );
                return Outcome { value: ConfigValue::Null, errors: vec![message] };
            }
        };
        if let Some(reason) = self.validator.as_ref().and_then(|check| check.check(&value)) {
            let offender = self.validator.as_ref().and_then(|check| check.offender(&value));
            let (name, shown) =
                (self.name, offender.map_or_else(|| value.in_error(), str::to_owned));
            errors.push(match self.wording {
                Wording::Kafka => {
                    format!("Invalid value {shown} for configuration {name}: {reason}")
                }
                Wording::Debezium => self.debezium(&reason),
            });
        }
        Outcome { value, errors }
    }

    fn debezium(&self, reason: &str) -> String {
        format!("The '{}' value is invalid: {reason}", self.name)
    }
}

/// How a key was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted<'a> {
    Absent,
    /// Present with JSON's null: no default applies.
    Null,
    Text(&'a str),
}

/// A message about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub key: String,
    pub message: String,
}

impl ConfigError {
    /// A message about `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// A plugin's keys, in the original's order.
#[derive(Debug, Clone, Default)]
pub struct ConfigDef {
    keys: Vec<ConfigKey>,
    undeclared: Option<fn(&str) -> bool>,
}

/// What became of one key: its value as parsed, and everything wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub value: ConfigValue,
    pub errors: Vec<String>,
}

impl ConfigDef {
    /// A table of these keys.
    pub fn new(keys: Vec<ConfigKey>) -> Self {
        Self { keys, undeclared: None }
    }

    /// The same table of a plugin that also reads keys that it does not declare: those whose names
    /// have parameters, and those that the original keeps to itself.
    #[must_use]
    pub fn reading(mut self, undeclared: fn(&str) -> bool) -> Self {
        self.undeclared = Some(undeclared);
        self
    }

    /// Whether the plugin reads the key `name`, declared or not.
    pub fn reads(&self, name: &str) -> bool {
        self.key(name).is_some() || self.undeclared.is_some_and(|reads| reads(name))
    }

    /// The same table with messages in other words.
    #[must_use]
    pub fn worded(mut self, wording: Wording) -> Self {
        self.keys.iter_mut().for_each(|key| key.wording = wording);
        self
    }

    /// The keys, in order.
    pub fn keys(&self) -> &[ConfigKey] {
        &self.keys
    }

    /// The key `name`.
    pub fn key(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// What becomes of every key, in table order.
    pub fn validate(&self, props: &Props) -> Vec<(&ConfigKey, Outcome)> {
        let submitted =
            |name| props.get(name).map_or(Submitted::Absent, |text| Submitted::Text(text));
        self.keys.iter().map(|key| (key, key.outcome(key.name, submitted(key.name)))).collect()
    }

    /// The typed values.
    ///
    /// # Errors
    /// Every message about every key, as one configuration error.
    pub fn parse(&self, props: &Props) -> Result<Parsed, ConnectError> {
        let outcomes = self.validate(props);
        let messages: Vec<_> =
            outcomes.iter().flat_map(|(_, outcome)| outcome.errors.iter().cloned()).collect();
        if !messages.is_empty() {
            return Err(ConnectError::config(messages.join("\n")));
        }
        Ok(Parsed::new(
            outcomes.into_iter().map(|(key, outcome)| (key.name, outcome.value)).collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(key: ConfigKey, text: Option<&str>) -> Vec<String> {
        key.outcome(key.name, text.map_or(Submitted::Absent, Submitted::Text)).errors
    }

    #[test]
    fn one_bad_value_can_give_two_messages() {
        let key = ConfigKey::new("tasks.max", ConfigType::Int, "")
            .default("1")
            .check(Validator::AtLeast(1));
        assert_eq!(
            messages(key.clone(), Some("abc")),
            [
                "Invalid value abc for configuration tasks.max: Not a number of type INT",
                "Invalid value null for configuration tasks.max: Value must be non-null",
            ]
        );
        assert_eq!(
            messages(key.clone(), Some("0")),
            ["Invalid value 0 for configuration tasks.max: Value must be at least 1"]
        );
        assert!(messages(key.clone(), Some(" +5 ")).is_empty());
        assert!(messages(key, None).is_empty());
    }

    #[test]
    fn an_absent_required_key_is_named() {
        let key = ConfigKey::new("name", ConfigType::String, "").required();
        assert_eq!(
            messages(key, None),
            ["Missing required configuration \"name\" which has no default value."]
        );
    }
}
