//! `topic.creation.*`: which topics a source makes, and how (KIP-158, Kafka Connect's
//! `TopicCreationConfig` and `TopicCreation`).

use std::collections::HashSet;
use std::time::Duration;

use fancy_regex::Regex;

use crate::config::{Props, with_prefix};
use crate::error::{ConnectError, ErrorKind};
use crate::kafka::{Admin, ClientProps, NewTopic};

const PREFIX: &str = "topic.creation.";
const DEFAULT_GROUP: &str = "default";
const INCLUDE: &str = "include";
const EXCLUDE: &str = "exclude";
const REPLICATION_FACTOR: &str = "replication.factor";
const PARTITIONS: &str = "partitions";

/// How long one question to the cluster may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The groups of a connector; without any, making topics is left to the broker.
#[derive(Debug)]
pub struct TopicCreation {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    name: String,
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    replication_factor: i32,
    partitions: i32,
    config: Vec<(String, String)>,
}

impl TopicCreation {
    /// Reads the groups from a connector's configuration.
    ///
    /// # Errors
    /// The original's text for the first key that cannot be used.
    pub fn new(enabled: bool, config: &Props) -> Result<Self, ConnectError> {
        if !enabled || !config.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(Self { groups: Vec::new() });
        }
        let defaults = with_prefix(config, &format!("{PREFIX}{DEFAULT_GROUP}."));
        let required = |key: &str| {
            defaults.get(key).map(String::as_str).ok_or_else(|| {
                ConnectError::config(format!(
                    "Missing required configuration \"{PREFIX}{DEFAULT_GROUP}.{key}\" which has no \
                     default value."
                ))
            })
        };
        let (replication, partitions) = (required(REPLICATION_FACTOR)?, required(PARTITIONS)?);
        let names = config.get("topic.creation.groups").map_or("", String::as_str);
        let named = names.split(',').map(str::trim);
        let named = named.filter(|name| !name.is_empty() && *name != DEFAULT_GROUP);
        let groups = named
            .chain([DEFAULT_GROUP])
            .map(|name| Group::new(name, config, replication, partitions))
            .collect::<Result<_, _>>()?;
        Ok(Self { groups })
    }

    /// Whether the broker makes topics, not we.
    pub fn is_left_to_the_broker(&self) -> bool {
        self.groups.is_empty()
    }

    /// How `topic` is to be made.
    fn new_topic(&self, topic: &str) -> Option<NewTopic> {
        let group = self.groups.iter().find(|group| group.matches(topic))?;
        Some(NewTopic {
            name: topic.to_owned(),
            partitions: group.partitions,
            replication_factor: group.replication_factor,
            config: group.config.clone(),
        })
    }
}

impl Group {
    fn new(
        name: &str,
        config: &Props,
        replication: &str,
        partitions: &str,
    ) -> Result<Self, ConnectError> {
        let own = with_prefix(config, &format!("{PREFIX}{name}."));
        let key = |suffix: &str| format!("{PREFIX}{name}.{suffix}");
        let text = |suffix: &str, otherwise: &str| {
            own.get(suffix).map_or(otherwise, String::as_str).trim().to_owned()
        };
        let count = |suffix: &str, otherwise: &str, rule: &str| {
            let text = text(suffix, otherwise);
            let number = text.parse::<i32>().ok().filter(|number| *number == -1 || 1 <= *number);
            number.ok_or_else(|| {
                ConnectError::config(format!(
                    "Invalid value {text} for configuration {}: {rule}",
                    key(suffix)
                ))
            })
        };
        let is_default = name == DEFAULT_GROUP;
        if !is_default && !own.contains_key(INCLUDE) {
            return Err(ConnectError::config(format!(
                "Missing required configuration \"{}\" which has no default value.",
                key(INCLUDE)
            )));
        }
        let topic_config = own
            .iter()
            .filter(|(suffix, _)| {
                !matches!(suffix.as_str(), INCLUDE | EXCLUDE | REPLICATION_FACTOR | PARTITIONS)
            })
            .map(|(suffix, value)| (suffix.clone(), value.trim().to_owned()));
        Ok(Self {
            name: name.to_owned(),
            include: if is_default {
                Vec::new()
            } else {
                patterns(&text(INCLUDE, ""), &key(INCLUDE))?
            },
            exclude: if is_default {
                Vec::new()
            } else {
                patterns(&text(EXCLUDE, ""), &key(EXCLUDE))?
            },
            replication_factor: count(
                REPLICATION_FACTOR,
                replication,
                "Replication factor must be positive and not larger than the number of brokers in \
                 the Kafka cluster, or -1 to use the broker's default",
            )?,
            partitions: count(
                PARTITIONS,
                partitions,
                "Number of partitions must be positive, or -1 to use the broker's default",
            )?,
            config: topic_config.collect(),
        })
    }

    /// The default group takes everything; elsewhere exclusion wins.
    fn matches(&self, topic: &str) -> bool {
        let any = |patterns: &[Regex]| {
            patterns.iter().any(|pattern| pattern.is_match(topic).unwrap_or(false))
        };
        self.name == DEFAULT_GROUP || any(&self.include) && !any(&self.exclude)
    }
}

/// Regular expressions, comma-separated, each for a whole name.
fn patterns(list: &str, key: &str) -> Result<Vec<Regex>, ConnectError> {
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            Regex::new(&format!("^(?:{item})$")).map_err(|error| {
                ConnectError::config(format!(
                    "Invalid value {item} for configuration {key}: Syntax error in regular expression: \
                     {error}"
                ))
            })
        })
        .collect()
}

/// Makes topics before the first record goes to them.
#[derive(Debug)]
pub struct TopicMaker {
    creation: TopicCreation,
    admin: Option<Admin>,
    ensured: HashSet<String>,
}

impl TopicMaker {
    /// A maker for the connector whose topics `creation` describes.
    pub fn new(creation: TopicCreation) -> Self {
        Self { creation, admin: None, ensured: HashSet::new() }
    }

    /// Sees to it that `topic` exists, if it is ours to make. Asks once per topic.
    ///
    /// # Errors
    /// Retriable when the cluster does not answer; else as the cluster refuses.
    pub async fn ensure(
        &mut self,
        topic: &str,
        props: &ClientProps<'_>,
    ) -> Result<(), ConnectError> {
        if self.creation.is_left_to_the_broker() || self.ensured.contains(topic) {
            return Ok(());
        }
        let admin = match &self.admin {
            Some(admin) => admin,
            None => self.admin.insert(Admin::new(props)?),
        };
        if admin.partitions_of(topic, DEADLINE).await?.is_none()
            && let Some(new) = self.creation.new_topic(topic)
        {
            admin.create_topic(&new, DEADLINE).await.map_err(|error| refused(&new, error))?;
            tracing::info!(
                topic,
                partitions = new.partitions,
                replication_factor = new.replication_factor,
                "topic created"
            );
        }
        self.ensured.insert(topic.to_owned());
        Ok(())
    }
}

fn refused(topic: &NewTopic, error: ConnectError) -> ConnectError {
    if error.kind() == ErrorKind::Retriable {
        return error;
    }
    ConnectError::config(format!(
        "Task failed to create new topic (name={}, numPartitions={}, replicationFactor={}). Ensure \
         that the task is authorized to create topics or that the topic exists and restart the task",
        topic.name, topic.partitions, topic.replication_factor
    ))
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creation(pairs: &[(&str, &str)]) -> Result<TopicCreation, ConnectError> {
        let props: Props =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TopicCreation::new(true, &props)
    }

    #[test]
    fn the_first_matching_group_makes_the_topic_and_inherits_counts() {
        let creation = creation(&[
            ("topic.creation.default.replication.factor", "-1"),
            ("topic.creation.default.partitions", "3"),
            ("topic.creation.default.cleanup.policy", "compact"),
            ("topic.creation.groups", "one, two"),
            ("topic.creation.one.include", "a.*,b"),
            ("topic.creation.one.exclude", "ab"),
            ("topic.creation.one.partitions", "7"),
            ("topic.creation.two.include", "a.*"),
            ("topic.creation.two.retention.ms", "5"),
        ])
        .unwrap();
        let made = |name: &str| {
            let topic = creation.new_topic(name).unwrap();
            (topic.partitions, topic.replication_factor, topic.config)
        };
        let config = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert_eq!(made("aa"), (7, -1, vec![]));
        assert_eq!(made("ab"), (3, -1, config("retention.ms", "5")));
        assert_eq!(made("xa"), (3, -1, config("cleanup.policy", "compact")));
    }

    #[test]
    fn without_settings_the_broker_makes_topics() {
        assert!(creation(&[("topics", "x")]).unwrap().is_left_to_the_broker());
        let props = Props::from([("topic.creation.default.partitions".into(), "1".into())]);
        assert!(TopicCreation::new(false, &props).unwrap().is_left_to_the_broker());
    }

    #[test]
    fn mistakes_have_the_originals_texts() {
        let both = [
            ("topic.creation.default.replication.factor", "0"),
            ("topic.creation.default.partitions", "1"),
        ];
        for (pairs, expected) in [
            (
                &both[1..],
                "Missing required configuration \"topic.creation.default.replication.factor\" which \
                 has no default value.",
            ),
            (
                &both[..],
                "Invalid value 0 for configuration topic.creation.default.replication.factor: \
                 Replication factor must be positive and not larger than the number of brokers in \
                 the Kafka cluster, or -1 to use the broker's default",
            ),
        ] {
            assert_eq!(creation(pairs).unwrap_err().to_string(), expected);
        }
    }
}
