//! The keys of `EventRouter`.

use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::error::ConnectError;
use crate::transform::java_regex::Pattern;
use crate::transform::json_expansion::Untyped;

/// The configuration keys, in the original's order.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    let text = ConfigType::String;
    ConfigDef::new(vec![
        key("table.field.event.id", text, "The column of the event's id.").default("id"),
        key("table.field.event.key", text, "The column of the message key.").default("aggregateid"),
        key("table.field.event.type", text, "Without effect, as in the original.").default("type"),
        key(
            "table.field.event.timestamp",
            text,
            "The column of the message timestamp; without it, when the event was read.",
        )
        .medium(),
        key("table.field.event.payload", text, "The column of the message.").default("payload"),
        key("table.field.event.schema.version", text, "The column of the schema's version."),
        key(
            "table.fields.additional.placement",
            ConfigType::List,
            "Further columns: column:header, column:envelope or column:partition, then :name if it \
             is to have another name.",
        )
        .default("")
        .high()
        .check(Validator::Custom(placements)),
        key(
            "table.fields.additional.error.on.missing",
            ConfigType::Boolean,
            "Whether a further column that is missing is an error. Debezium up to 3.5.",
        )
        .default("true")
        .medium(),
        key(
            "table.field.additional.missing",
            text,
            "What becomes of a further column that is missing: error or ignore.",
        )
        .medium()
        .check(Validator::Custom(|value| one_of(&["error", "ignore"], value))),
        key("route.by.field", text, "The column that decides the topic.")
            .default("aggregatetype")
            .high(),
        key("route.topic.regex", text, "The expression that must match that column's whole value.")
            .default("(?<routedByValue>.*)")
            .check(Validator::Custom(|value| match value {
                ConfigValue::String(text) => Pattern::new(text)
                    .err()
                    .map(|error| format!("A valid regular expressions is expected, but {error}")),
                _ => None,
            })),
        key("route.topic.replacement", text, "What the topic becomes.")
            .default("outbox.event.${routedByValue}")
            .high(),
        key(
            "route.tombstone.on.empty.payload",
            ConfigType::Boolean,
            "Whether an empty payload becomes a tombstone.",
        )
        .default("false")
        .high(),
        key(
            "table.op.invalid.behavior",
            text,
            "What becomes of updates: warn or error, a line in the log; fatal, the task fails.",
        )
        .default("warn")
        .medium()
        .check(Validator::Custom(|value| one_of(&["warn", "error", "fatal"], value))),
        key(
            "table.expand.json.payload",
            ConfigType::Boolean,
            "Whether a payload that is a JSON object becomes a struct.",
        )
        .default("false")
        .medium(),
        key(
            "table.json.payload.null.behavior",
            text,
            "What becomes of null in that object: ignore or optional_bytes.",
        )
        .default("ignore")
        .medium()
        .check(Validator::Custom(|value| one_of(&["ignore", "optional_bytes"], value))),
        key(
            "table.json.payload.empty.array.behavior",
            text,
            "What becomes of empty arrays in that object: ignore or optional_string.",
        )
        .default("ignore")
        .medium()
        .check(Validator::Custom(|value| one_of(&["ignore", "optional_string"], value))),
        key(
            "tracing.span.context.field",
            text,
            "Without effect: spans are not carried through tables.",
        )
        .default("tracingspancontext")
        .high(),
        key("tracing.operation.name", text, "Without effect, see above.")
            .default("debezium-read")
            .high(),
        key("tracing.with.context.field.only", ConfigType::Boolean, "Without effect, see above.")
            .default("false")
            .high(),
    ])
}

fn one_of(allowed: &[&str], value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(text)
            if !allowed.iter().any(|word| word.eq_ignore_ascii_case(text)) =>
        {
            Some(format!("Value must be one of {}", allowed.join(", ")))
        }
        _ => None,
    }
}

fn placements(value: &ConfigValue) -> Option<String> {
    let ConfigValue::List(items) = value else { return None };
    items.iter().find_map(|item| Additional::parse(item).err())
}

/// Where a further column goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    Header,
    Envelope,
    Partition,
}

/// A further column.
#[derive(Debug, Clone)]
pub(super) struct Additional {
    pub(super) column: String,
    pub(super) placement: Placement,
    pub(super) name: String,
}

impl Additional {
    fn parse(item: &str) -> Result<Self, String> {
        let parts: Vec<_> = item.split(':').map(str::trim).collect();
        let (column, placement, name) = match *parts.as_slice() {
            [column, placement] => (column, placement, column),
            [column, placement, name] => (column, placement, name),
            _ => {
                return Err(format!(
                    "A comma-separated list of valid String pairs or trios is expected but got: \
                     [{item}]"
                ));
            }
        };
        let placement = match placement.to_ascii_lowercase().as_str() {
            "header" => Placement::Header,
            "envelope" => Placement::Envelope,
            "partition" => Placement::Partition,
            other => {
                return Err(format!(
                    "{column} can be placed in header, envelope or partition, not in {other}"
                ));
            }
        };
        Ok(Self { column: column.to_owned(), placement, name: name.to_owned() })
    }
}

/// What becomes of updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnUpdate {
    Warn,
    Error,
    Fail,
}

/// The keys, understood.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) id: String,
    pub(super) key: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) payload: String,
    pub(super) schema_version: Option<String>,
    pub(super) additional: Vec<Additional>,
    pub(super) ignore_missing: bool,
    pub(super) route_by: String,
    pub(super) regex: Pattern,
    pub(super) replacement: String,
    pub(super) tombstone_on_empty: bool,
    pub(super) on_update: OnUpdate,
    pub(super) expand_json: Option<Untyped>,
}

impl Settings {
    pub(super) fn new(props: &Props) -> Result<Self, ConnectError> {
        let parsed = config_def().parse(props)?;
        let additional = parsed.list("table.fields.additional.placement");
        let additional = additional.iter().map(|item| Additional::parse(item));
        let missing = parsed.optional_string("table.field.additional.missing");
        let is = |key: &str, word: &str| parsed.string(key).eq_ignore_ascii_case(word);
        Ok(Self {
            id: parsed.string("table.field.event.id"),
            key: parsed.optional_string("table.field.event.key"),
            timestamp: parsed.optional_string("table.field.event.timestamp"),
            payload: parsed.string("table.field.event.payload"),
            schema_version: parsed.optional_string("table.field.event.schema.version"),
            additional: additional.collect::<Result<_, _>>().map_err(ConnectError::config)?,
            ignore_missing: match missing {
                Some(word) => word.eq_ignore_ascii_case("ignore"),
                None => !parsed.boolean("table.fields.additional.error.on.missing"),
            },
            route_by: parsed.string("route.by.field"),
            regex: Pattern::new(&parsed.string("route.topic.regex"))
                .map_err(ConnectError::config)?,
            replacement: parsed.string("route.topic.replacement"),
            tombstone_on_empty: parsed.boolean("route.tombstone.on.empty.payload"),
            on_update: match () {
                () if is("table.op.invalid.behavior", "fatal") => OnUpdate::Fail,
                () if is("table.op.invalid.behavior", "error") => OnUpdate::Error,
                () => OnUpdate::Warn,
            },
            expand_json: parsed.boolean("table.expand.json.payload").then(|| Untyped {
                null_is_bytes: is("table.json.payload.null.behavior", "optional_bytes"),
                empty_array_is_strings: is(
                    "table.json.payload.empty.array.behavior",
                    "optional_string",
                ),
            }),
        })
    }
}
