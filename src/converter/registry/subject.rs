//! Under which subject a schema stands: Confluent's `*NameStrategy` classes.

use crate::config::ConfigValue;
use crate::converter::Role;
use crate::error::{ConnectError, DataError};

const PACKAGE: &str = "io.confluent.kafka.serializers.subject.";
pub(super) const TOPIC_NAME: &str = "io.confluent.kafka.serializers.subject.TopicNameStrategy";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Topic,
    Record,
    TopicRecord,
}

impl Strategy {
    fn of(class: &str) -> Option<Self> {
        let simple = class.strip_prefix(PACKAGE).unwrap_or(class);
        Some(match simple {
            // The associated one asks the registry for an association and falls back to this; there
            // is none in a registry that is not told of any.
            "TopicNameStrategy" | "AssociatedNameStrategy" => Self::Topic,
            "RecordNameStrategy" => Self::Record,
            "TopicRecordNameStrategy" => Self::TopicRecord,
            _ => return None,
        })
    }

    fn simple(self) -> &'static str {
        match self {
            Self::Topic => "TopicNameStrategy",
            Self::Record => "RecordNameStrategy",
            Self::TopicRecord => "TopicRecordNameStrategy",
        }
    }
}

/// The rule of the settings that name a strategy.
pub(super) fn strategy_rule(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(class) if Strategy::of(class).is_some() => None,
        _ => Some(
            "must be one of TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy of \
             io.confluent.kafka.serializers.subject"
                .to_owned(),
        ),
    }
}

/// The subjects of one converter.
#[derive(Debug, Clone)]
pub(super) struct SubjectNames {
    setting: &'static str,
    strategy: Strategy,
    role: Role,
}

impl SubjectNames {
    pub(super) fn new(
        setting: &'static str,
        class: &str,
        role: Role,
    ) -> Result<Self, ConnectError> {
        let strategy = Strategy::of(class).ok_or_else(|| {
            ConnectError::config(format!("{setting} \"{class}\" is no subject name strategy"))
        })?;
        Ok(Self { setting, strategy, role })
    }

    /// `key` or `value`.
    pub(super) fn role_name(&self) -> &'static str {
        match self.role {
            Role::Key => "key",
            Role::Value => "value",
        }
    }

    /// The subject of a schema; `record` is its full name, where it is one of a record.
    ///
    /// # Errors
    /// When the strategy needs a record and this is none, in the original's words.
    pub(super) fn subject(&self, topic: &str, record: Option<&str>) -> Result<String, DataError> {
        let suffix = self.role_name();
        if self.strategy == Strategy::Topic {
            return Ok(format!("{topic}-{suffix}"));
        }
        let record = record.ok_or_else(|| {
            DataError::new(format!(
                "In configuration {} = {PACKAGE}{}, the message {suffix} must only be a record \
                 schema",
                self.setting,
                self.strategy.simple()
            ))
        })?;
        Ok(match self.strategy {
            Strategy::TopicRecord => format!("{topic}-{record}"),
            _ => record.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_strategies_name_subjects_as_the_original() {
        let subject = |class: &str, role, record| {
            let names = SubjectNames::new("value.subject.name.strategy", class, role).unwrap();
            names.subject("t", record).map_err(|error| error.0)
        };
        let refused = Err("In configuration value.subject.name.strategy = \
                           io.confluent.kafka.serializers.subject.RecordNameStrategy, the message \
                           value must only be a record schema"
            .to_owned());
        let ok = |text: &str| Ok(text.to_owned());
        for (class, role, record, expected) in [
            ("TopicNameStrategy", Role::Key, None, ok("t-key")),
            (TOPIC_NAME, Role::Value, Some("a.B"), ok("t-value")),
            ("AssociatedNameStrategy", Role::Value, Some("a.B"), ok("t-value")),
            ("RecordNameStrategy", Role::Value, Some("a.B"), ok("a.B")),
            ("TopicRecordNameStrategy", Role::Value, Some("a.B"), ok("t-a.B")),
            ("RecordNameStrategy", Role::Value, None, refused),
        ] {
            assert_eq!(subject(class, role, record), expected, "{class}");
        }
    }
}
