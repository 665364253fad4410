//! What holds between keys of a connector (Kafka Connect, `SinkConnectorConfig.validate` and
//! `DistributedHerder.validateSinkConnectorConfig`, `validateSourceConnectorConfig`).

use super::report::Report;
use super::{SubmittedProps, ValidationError, ValidationScope};
use crate::config::Props;
use crate::connector::{Connector, ExactlyOnceSupport};
use crate::plugin::{Constructor, Plugin};
use crate::runtime::connector_config::{
    DLQ_TOPIC_NAME, EXACTLY_ONCE_SUPPORT, NAME, TOPICS, TOPICS_REGEX, TRANSACTION_BOUNDARY,
};
use crate::runtime::panics;

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

/// The rules of sources (KIP-618).
pub(super) fn source(
    scope: &ValidationScope<'_>,
    plugin: &Plugin,
    submitted: &SubmittedProps,
    report: &mut Report,
) {
    if text(submitted, EXACTLY_ONCE_SUPPORT).eq_ignore_ascii_case("required") {
        if !scope.exactly_once {
            let message = "This worker does not have exactly-once source support enabled.";
            report.error(EXACTLY_ONCE_SUPPORT, message.to_owned());
        }
        let support = asked(scope, plugin, submitted, |source| source.exactly_once_support());
        let message = match support {
            Ok(Some(ExactlyOnceSupport::Supported)) => None,
            Ok(Some(ExactlyOnceSupport::Unsupported)) => Some(UNSUPPORTED.to_owned()),
            Ok(None) => Some(UNSAID.to_owned()),
            Err(message) => Some(message),
        };
        if let Some(message) = message {
            report.error(EXACTLY_ONCE_SUPPORT, message);
        }
    }
    if text(submitted, TRANSACTION_BOUNDARY).eq_ignore_ascii_case("connector") {
        let message =
            match asked(scope, plugin, submitted, |source| source.defines_transaction_boundaries())
            {
                Ok(true) => return,
                Ok(false) => NO_BOUNDARIES.to_owned(),
                Err(message) => message,
            };
        report.error(TRANSACTION_BOUNDARY, message);
    }
}

const UNSUPPORTED: &str =
    "The connector does not support exactly-once semantics with the provided configuration.";
const UNSAID: &str = "The connector does not implement the API required for preflight validation of \
     exactly-once source support. Please consult the documentation for the connector to determine \
     whether it supports exactly-once semantics, and then consider reconfiguring the connector to \
     use the value \"requested\" for this property (which will disable this preflight check and \
     allow the connector to be created).";
const NO_BOUNDARIES: &str = "The connector does not support connector-defined transaction boundaries \
     with the given configuration. Please reconfigure it to use a different transaction boundary \
     definition.";

/// What the connector itself says; the error is the text to report.
fn asked<T>(
    scope: &ValidationScope<'_>,
    plugin: &Plugin,
    submitted: &SubmittedProps,
    question: impl FnOnce(&dyn Connector) -> T,
) -> Result<T, String> {
    let Constructor::Source { connector, .. } = plugin.constructor else {
        return Err("An unexpected error occurred during validation".to_owned());
    };
    let props: Props =
        submitted.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    let answer = panics::caught(|| Ok(question(&*connector(&props, scope.context.clone())?)));
    answer.map_err(|error| format!("An unexpected error occurred during validation: {error}"))
}

fn text<'a>(submitted: &'a SubmittedProps, key: &str) -> &'a str {
    submitted.get(key).and_then(Option::as_deref).unwrap_or("").trim()
}
