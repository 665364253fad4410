//! What `Filter` and `ContentBasedRouter` of Debezium's scripting module share.

use super::expression::{Compiled, EXPRESSION, LANGUAGE, Outcome};
use super::java_regex::Pattern;
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::Record;
use crate::error::ConnectError;

const NULL_MODES: [&str; 3] = ["keep", "drop", "evaluate"];

/// The keys; `expression` is the one with the expression.
pub(super) fn config_def(expression: &'static str, documentation: &'static str) -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "language",
            ConfigType::String,
            "The language of the expression: jsr223.groovy or jsr223.graal.js. Understood are \
             paths, comparisons, boolean operators and methods of texts and lists.",
        )
        .required()
        .high()
        .check(LANGUAGE),
        ConfigKey::new(expression, ConfigType::String, documentation)
            .required()
            .high()
            .check(EXPRESSION),
        ConfigKey::new(
            "topic.regex",
            ConfigType::String,
            "Only records whose whole topic matches are looked at.",
        )
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text) => Pattern::new(text)
                .err()
                .map(|error| format!("A valid regular expressions is expected, but {error}")),
            _ => None,
        })),
        ConfigKey::new(
            "null.handling.mode",
            ConfigType::String,
            "What becomes of tombstones: keep, drop or evaluate.",
        )
        .default("keep")
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text)
                if !NULL_MODES.iter().any(|mode| mode.eq_ignore_ascii_case(text)) =>
            {
                Some(format!("Value must be one of {}", NULL_MODES.join(", ")))
            }
            _ => None,
        })),
    ])
}

/// What an expression says of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// It was not asked, and the record stays as it is.
    Keep,
    /// It was not asked, and the record goes.
    Drop,
    Outcome(Outcome),
}

/// An expression with the records that it is for.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) compiled: Compiled,
    topics: Option<Pattern>,
    on_null: Option<Said>,
}

impl Scripted {
    pub(super) fn new(keys: &ConfigDef, key: &str, props: &Props) -> Result<Self, ConnectError> {
        let parsed = keys.parse(props)?;
        let topics = parsed.optional_string("topic.regex").map(|text| Pattern::new(&text));
        let on_null = match parsed.string("null.handling.mode").to_ascii_lowercase().as_str() {
            "evaluate" => None,
            "drop" => Some(Said::Drop),
            _ => Some(Said::Keep),
        };
        Ok(Self {
            compiled: Compiled::new(&parsed.string(key))?,
            topics: topics.transpose().map_err(ConnectError::config)?,
            on_null,
        })
    }

    pub(super) fn ask(&self, record: &Record) -> Result<Said, ConnectError> {
        if let Some(topics) = &self.topics
            && !topics.matches(&record.topic)?
        {
            return Ok(Said::Keep);
        }
        if let (true, Some(said)) = (record.value.value.is_null(), &self.on_null) {
            return Ok(said.clone());
        }
        self.compiled.evaluate(record).map(Said::Outcome)
    }

    /// The expression gave something of the wrong type.
    pub(super) fn wrong(&self, outcome: &Outcome, wanted: &str) -> ConnectError {
        let shown = match outcome {
            Outcome::Null => "null",
            Outcome::Boolean(true) => "true",
            Outcome::Boolean(false) => "false",
            Outcome::Text(text) => text,
            Outcome::Other(kind) => kind,
        };
        self.compiled.failed(ConnectError::data(format!(
            "Value '{shown}' returned by the expression is not a {wanted}"
        )))
    }
}
