//! What holds between keys of a connector (Kafka Connect, `SinkConnectorConfig.validate` and
//! `DistributedHerder.validateSinkConnectorConfig`, `validateSourceConnectorConfig`).

use super::report::Report;
use super::{SubmittedProps, ValidationError};
use crate::runtime::connector_config::{
    DLQ_TOPIC_NAME, EXACTLY_ONCE_SUPPORT, NAME, TOPICS, TOPICS_REGEX, TRANSACTION_BOUNDARY,
};

const GROUP_OVERRIDE: &str = "consumer.override.group.id";

/// The rules of sinks.
pub(super) fn sink(
    worker_group: &str,
    submitted: &SubmittedProps,
    report: &mut Report,
) -> Result<(), ValidationError> {
    let topics = text(submitted, TOPICS);
    let regex = text(submitted, TOPICS_REGEX);
    let both_or_neither = match (topics.is_empty(), regex.is_empty()) {
        (false, false) => {
            Some("topics and topics.regex are mutually exclusive options, but both are set.")
        }
        (true, true) => Some("Must configure one of topics or topics.regex"),
        _ => None,
    };
    if let Some(message) = both_or_neither {
        report.error(TOPICS, message.to_owned());
        report.error(TOPICS_REGEX, message.to_owned());
    }
    dead_letter_queue(topics, regex, text(submitted, DLQ_TOPIC_NAME), report)?;
    consumer_group(worker_group, submitted, report);
    Ok(())
}

/// A dead letter queue that the connector consumes would feed itself.
fn dead_letter_queue(
    topics: &str,
    regex: &str,
    queue: &str,
    report: &mut Report,
) -> Result<(), ValidationError> {
    if queue.is_empty() {
        return Ok(());
    }
    let topics: Vec<_> = topics.split(',').map(str::trim).collect();
    if topics.contains(&queue) {
        let topics = topics.join(", ");
        report.error(
            TOPICS,
            format!(
                "The DLQ topic '{queue}' may not be included in the list of topics \
                 ('topics=[{topics}]') consumed by the connector"
            ),
        );
    }
    if regex.is_empty() {
        return Ok(());
    }
    let whole = fancy_regex::Regex::new(&format!("^(?:{regex})$"))
        .map_err(|error| ValidationError::Unreadable(error.to_string()))?;
    if whole.is_match(queue).unwrap_or(false) {
        report.error(
            TOPICS_REGEX,
            format!(
                "The DLQ topic '{queue}' may not be matched by the regex for the topics \
                 ('topics.regex={regex}') consumed by the connector"
            ),
        );
    }
    Ok(())
}

/// The group `connect-NAME` must not be the one in which the workers meet.
fn consumer_group(worker_group: &str, submitted: &SubmittedProps, report: &mut Report) {
    if let Some(Some(group)) = submitted.get(GROUP_OVERRIDE) {
        if group == worker_group {
            report.error(
                GROUP_OVERRIDE,
                format!(
                    "Consumer group {group} conflicts with Connect worker group {worker_group}"
                ),
            );
        }
        return;
    }
    let Some(Some(name)) = submitted.get(NAME) else { return };
    if format!("connect-{name}") == worker_group {
        report.error(
            NAME,
            format!(
                "Consumer group for sink connector named {name} conflicts with Connect worker group \
                 {worker_group}"
            ),
        );
    }
}

/// The rules of sources.
pub(super) fn source(exactly_once: bool, submitted: &SubmittedProps, report: &mut Report) {
    let support = text(submitted, EXACTLY_ONCE_SUPPORT);
    if support.eq_ignore_ascii_case("required") && !exactly_once {
        let message = "This worker does not have exactly-once source support enabled.";
        report.error(EXACTLY_ONCE_SUPPORT, message.to_owned());
    }
    // None of our sources defines transaction boundaries of its own.
    if text(submitted, TRANSACTION_BOUNDARY).eq_ignore_ascii_case("connector") {
        let message = "The connector does not support connector-defined transaction boundaries with \
                       the given configuration. Please reconfigure it to use a different transaction \
                       boundary definition.";
        report.error(TRANSACTION_BOUNDARY, message.to_owned());
    }
}

fn text<'a>(submitted: &'a SubmittedProps, key: &str) -> &'a str {
    submitted.get(key).and_then(Option::as_deref).unwrap_or("").trim()
}
