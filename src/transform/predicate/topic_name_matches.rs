//! `org.apache.kafka.connect.transforms.predicates.TopicNameMatches`: the pattern matches the whole
//! topic.

use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Record, RowPlan};
use crate::error::ConnectError;
use crate::transform::Predicate;
use crate::transform::java_regex::Pattern;

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("pattern", ConfigType::String, "A Java regular expression for the topic.")
            .required()
            .medium()
            .check(Validator::Custom(|value| match value {
                ConfigValue::String(text) if text.is_empty() => {
                    Some("String must be non-empty".to_owned())
                }
                ConfigValue::String(text) => {
                    Pattern::new(text).err().map(|error| format!("Invalid regex: {error}"))
                }
                _ => None,
            })),
    ])
}

/// Makes the predicate.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Predicate>, ConnectError> {
    let pattern = config_def().parse(props)?.string("pattern");
    let pattern = Pattern::new(&pattern).map_err(ConnectError::config)?;
    Ok(Box::new(TopicNameMatches { pattern }))
}

#[derive(Debug)]
struct TopicNameMatches {
    pattern: Pattern,
}

impl TopicNameMatches {
    /// A pattern that takes too many steps on a topic does not match it.
    fn matches(&self, topic: &str) -> bool {
        self.pattern.matches(topic).unwrap_or(false)
    }
}

impl Predicate for TopicNameMatches {
    fn plan(&self, input: &RowPlan) -> Option<bool> {
        Some(self.matches(&input.topic))
    }

    fn test(&self, record: &Record) -> bool {
        self.matches(&record.topic)
    }
}
