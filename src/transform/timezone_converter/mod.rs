//! `io.debezium.transforms.TimezoneConverter`: times of change events in another time zone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{
    DateTime, Duration, FixedOffset, MappedLocalTime, NaiveDateTime, NaiveTime, Offset, TimeZone,
    Utc,
};
use chrono_tz::Tz;

use super::envelope::{change_event, member, text};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Field, Record, Struct, Value, logical};
use crate::error::ConnectError;

const RULES: &str = "Please specify a list of rules in the format of \"source:<tablename>:<fieldnames>\", \
                     \"topic:<topicname>:<fieldnames>\", \"<matchname>:<fieldnames>\"";

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    let list = |name, documentation| ConfigKey::new(name, ConfigType::List, documentation).high();
    ConfigDef::new(vec![
        ConfigKey::new(
            "converted.timezone",
            ConfigType::String,
            "The time zone, as America/Los_Angeles or +08:00.",
        )
        .required()
        .high()
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text) if Zone::parse(text).is_none() => Some(
                "Invalid timezone format. Please specify either a geographic timezone (e.g. \
                 America/Los_Angeles) or a UTC offset in the format of +/-hh:mm, (e.g. +08:00)."
                    .to_owned(),
            ),
            _ => None,
        })),
        list(
            "include.list",
            "The only times to convert: source:TABLE, source:TABLE:FIELD, topic:TOPIC, \
             topic:TOPIC:FIELD or NAME:FIELD.",
        )
        .check(Validator::Custom(|value| {
            malformed(value).then(|| format!("Invalid include list format. {RULES}"))
        })),
        list("exclude.list", "The times to leave alone, written as in include.list.").check(
            Validator::Custom(|value| {
                malformed(value).then(|| format!("Invalid exclude list format. {RULES}"))
            }),
        ),
    ])
}

fn malformed(value: &ConfigValue) -> bool {
    let ConfigValue::List(items) = value else { return false };
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | ' ');
    let sound = |part: &str| !part.is_empty() && part.chars().all(allowed);
    let item = |(index, item): (usize, &String)| {
        let parts: Vec<_> = item.split(':').collect();
        let count = if index == 0 { 2..=3 } else { 1..=3 };
        count.contains(&parts.len()) && parts.into_iter().all(sound)
    };
    !items.iter().enumerate().all(item)
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let (include, exclude) = (parsed.list("include.list"), parsed.list("exclude.list"));
    let (rules, scope) = match (include.is_empty(), exclude.is_empty()) {
        (true, true) => (Rules::default(), Scope::Everything),
        (false, true) => (Rules::new(&include), Scope::Listed),
        (true, false) => (Rules::new(&exclude), Scope::Unlisted),
        (false, false) => {
            return Err(ConnectError::config(
                "Both include and exclude lists are specified. Please specify only one.",
            ));
        }
    };
    let zone = Zone::parse(&parsed.string("converted.timezone"))
        .ok_or_else(|| ConnectError::config("converted.timezone is no time zone"))?;
    Ok(Box::new(TimezoneConverter { zone, rules, scope }))
}

#[derive(Debug, Clone, Copy)]
enum Scope {
    Everything,
    Listed,
    Unlisted,
}

/// The fields that rules name, by the topic or table that they are for. A rule without a field
/// leaves its set empty.
#[derive(Debug, Default)]
struct Rules {
    topics: HashMap<String, HashSet<String>>,
    tables: HashMap<String, HashSet<String>>,
    /// Of rules that do not say which.
    either: HashMap<String, HashSet<String>>,
}

impl Rules {
    fn new(items: &[String]) -> Self {
        let mut rules = Self::default();
        let mut prefix = None;
        for item in items {
            let parts: Vec<_> = item.split(':').collect();
            let (own, name, field) = match *parts.as_slice() {
                [kind, name] if is_prefix(kind) => (Some(kind), name, None),
                [kind, name, field] => (Some(kind), name, Some(field)),
                [name, field] => (None, name, Some(field)),
                _ => (None, item.as_str(), None),
            };
            // A prefix holds for the items behind it that have none.
            prefix = own.map(str::to_ascii_lowercase).or(prefix);
            let map = match prefix.as_deref() {
                Some("topic") => &mut rules.topics,
                Some("source") => &mut rules.tables,
                _ => &mut rules.either,
            };
            map.entry(name.to_owned()).or_default().extend(field.map(str::to_owned));
        }
        rules
    }

    fn of(&self, topic: &str, table: Option<&str>) -> Option<&HashSet<String>> {
        let of_table = |map: &'_ HashMap<String, HashSet<String>>| {
            table.filter(|table| map.contains_key(*table)).is_some()
        };
        if let Some(fields) = self.topics.get(topic) {
            return Some(fields);
        }
        if of_table(&self.tables) {
            return self.tables.get(table?);
        }
        self.either.get(topic).or_else(|| self.either.get(table?))
    }
}

fn is_prefix(text: &str) -> bool {
    text.eq_ignore_ascii_case("source") || text.eq_ignore_ascii_case("topic")
}

#[derive(Debug)]
struct TimezoneConverter {
    zone: Zone,
    rules: Rules,
    scope: Scope,
}

/// Which fields of one struct to convert.
#[derive(Debug, Clone)]
enum Chosen {
    All,
    Only(HashSet<String>),
    AllBut(HashSet<String>),
}

impl Chosen {
    fn has(&self, field: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(fields) => fields.contains(field),
            Self::AllBut(fields) => !fields.contains(field),
        }
    }
}

impl Transformation for TimezoneConverter {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let Some(event) = change_event(record) else { return Ok(Keep::Record) };
        let table = member(event, "source").and_then(|source| text(source, "table"));
        let rule = self.rules.of(&record.topic, table);
        let choose: fn(HashSet<String>) -> Chosen = match (self.scope, rule) {
            (Scope::Everything, _) | (Scope::Unlisted, None) => |_| Chosen::All,
            (Scope::Listed, None) => return Ok(Keep::Record),
            (Scope::Listed, Some(fields)) if fields.is_empty() => |_| Chosen::All,
            (Scope::Listed, Some(_)) => Chosen::Only,
            (Scope::Unlisted, Some(fields)) if fields.is_empty() => return Ok(Keep::Record),
            (Scope::Unlisted, Some(_)) => Chosen::AllBut,
        };
        let fields = rule.cloned().unwrap_or_default();
        let schema = Arc::clone(event.schema());
        let mut values = Vec::with_capacity(schema.fields().len());
        for (field, value) in schema.fields().iter().zip(event.values()) {
            let name = field.name.as_str();
            let part = match (name, value) {
                ("before" | "after", Value::Struct(row)) => {
                    self.converted(row, &choose(named(&fields, name)), &[])?
                }
                ("source", Value::Struct(source)) => match named(&fields, name) {
                    none if none.is_empty() => value.clone(),
                    some => self.converted(source, &choose(some), &EPOCH_FIELDS)?,
                },
                _ => value.clone(),
            };
            values.push(part);
        }
        record.value.value = Value::Struct(Box::new(Struct::new(schema, values)));
        Ok(Keep::Record)
    }
}

/// The fields that `fields` names in the member `part`: those under it, and for rows those under
/// none.
fn named(fields: &HashSet<String>, part: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    for field in fields {
        match field.split_once('.') {
            Some((under, name)) if under == part => {
                found.insert(name.to_owned());
            }
            Some(("before" | "after" | "source", _)) => {}
            _ if part != "source" => {
                found.insert(field.clone());
            }
            _ => {}
        }
    }
    found
}

/// The numbers in `source` that are instants.
const EPOCH_FIELDS: [&str; 3] = ["ts_ms", "ts_us", "ts_ns"];

/// What is left alone, with a warning.
const UNSUPPORTED: [&str; 6] = [
    "io.debezium.time.Date",
    "io.debezium.time.Time",
    "io.debezium.time.MicroTime",
    "io.debezium.time.NanoTime",
    logical::DATE,
    logical::TIME,
];

impl TimezoneConverter {
    fn converted(
        &self,
        row: &Struct,
        chosen: &Chosen,
        instants: &[&str],
    ) -> Result<Value, ConnectError> {
        let schema = Arc::clone(row.schema());
        let convert = |(field, value): (&Field, &Value)| {
            if value.is_null() || !chosen.has(&field.name) {
                return Ok(value.clone());
            }
            let converted = match field.schema.name() {
                Some(name) if UNSUPPORTED.contains(&name) => {
                    tracing::debug!(field = %field.name, name, "type not converted");
                    return Ok(value.clone());
                }
                Some(name) => self.local(name, value),
                None if instants.contains(&field.name.as_str()) => self.instant(&field.name, value),
                None => return Ok(value.clone()),
            };
            converted.ok_or_else(|| {
                let name = &field.name;
                ConnectError::data(format!("field {name} holds no time that can be converted"))
            })
        };
        let fields = schema.fields().iter().zip(row.values());
        let values = fields.map(convert).collect::<Result<_, _>>()?;
        Ok(Value::Struct(Box::new(Struct::new(schema, values))))
    }

    /// A time of the semantic type `name`; `None` when it cannot be represented.
    fn local(&self, name: &str, value: &Value) -> Option<Value> {
        let shifted = |number: i64, per_second: i64| {
            let at = DateTime::from_timestamp(number.div_euclid(per_second), 0)?.naive_utc();
            number.checked_sub(i64::from(self.zone.at_local(at)) * per_second)
        };
        Some(match (name, value) {
            ("io.debezium.time.Timestamp", Value::Int64(ms)) => Value::Int64(shifted(*ms, 1_000)?),
            ("io.debezium.time.MicroTimestamp", Value::Int64(us)) => {
                Value::Int64(shifted(*us, 1_000_000)?)
            }
            ("io.debezium.time.NanoTimestamp", Value::Int64(ns)) => {
                Value::Int64(shifted(*ns, 1_000_000_000)?)
            }
            (logical::TIMESTAMP, Value::Timestamp(ms)) => Value::Timestamp(shifted(*ms, 1_000)?),
            ("io.debezium.time.ZonedTimestamp", Value::String(text)) => match text.as_ref() {
                "infinity" | "-infinity" => value.clone(),
                text => Value::string(self.zoned_timestamp(text)?),
            },
            ("io.debezium.time.ZonedTime", Value::String(text)) => {
                Value::string(self.zoned_time(text)?)
            }
            _ => value.clone(),
        })
    }

    /// The same instant. The offset is looked up by the wall clock, as in the original.
    fn zoned_timestamp(&self, text: &str) -> Option<String> {
        let instant = DateTime::parse_from_rfc3339(text).ok()?;
        let seconds = self.zone.at_local(instant.naive_local());
        let local = instant.with_timezone(&FixedOffset::east_opt(seconds)?).naive_local();
        let text = format!("{}{}", local.format("%Y-%m-%dT%H:%M:%S%.9f"), offset_text(seconds));
        Some(with_short_fraction(&text))
    }

    /// The same instant, by the offset of today.
    fn zoned_time(&self, text: &str) -> Option<String> {
        let split = text.find(['Z', '+', '-'])?;
        let (time, offset) = text.split_at_checked(split)?;
        let time = ["%H:%M:%S%.f", "%H:%M"]
            .iter()
            .find_map(|format| NaiveTime::parse_from_str(time, format).ok())?;
        let from = if offset == "Z" { 0 } else { offset_seconds(offset)? };
        let to = self.zone.at_instant(Utc::now());
        let (time, _) = time.overflowing_add_signed(Duration::seconds(i64::from(to - from)));
        let text = format!("{}{}", time.format("%H:%M:%S%.9f"), offset_text(to));
        Some(with_short_fraction(&text))
    }

    /// The wall clock of the zone as if it were UTC.
    fn instant(&self, name: &str, value: &Value) -> Option<Value> {
        let per_second = match name {
            "ts_us" => 1_000_000,
            "ts_ns" => 1_000_000_000,
            _ => 1_000,
        };
        let number = value.as_i64()?;
        let at = DateTime::from_timestamp(number.div_euclid(per_second), 0)?;
        let offset = i64::from(self.zone.at_instant(at)) * per_second;
        number.checked_add(offset).map(Value::Int64)
    }
}

/// `text` without the zeros at the end of its fraction.
fn with_short_fraction(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, offset) = rest.split_at(end);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{offset}"),
        fraction => format!("{whole}.{fraction}{offset}"),
    }
}

#[derive(Debug, Clone, Copy)]
enum Zone {
    /// Seconds east of UTC.
    Fixed(i32),
    Named(Tz),
}

impl Zone {
    fn parse(text: &str) -> Option<Self> {
        if text.starts_with(['+', '-']) {
            return offset_seconds(text).map(Self::Fixed);
        }
        text.parse().ok().map(Self::Named)
    }

    /// The offset at a wall-clock time: where there are two or none, the one before the change.
    fn at_local(self, local: NaiveDateTime) -> i32 {
        let Self::Named(zone) = self else { return self.at_instant(DateTime::UNIX_EPOCH) };
        // No clock was ever set forward by more than a day.
        let earlier = (0..=25).filter_map(|hours| local.checked_sub_signed(Duration::hours(hours)));
        for at in earlier {
            match zone.offset_from_local_datetime(&at) {
                MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => {
                    return offset.fix().local_minus_utc();
                }
                MappedLocalTime::None => {}
            }
        }
        zone.offset_from_utc_datetime(&local).fix().local_minus_utc()
    }

    fn at_instant(self, instant: DateTime<Utc>) -> i32 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => {
                zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
            }
        }
    }
}

/// `+hh:mm` or `+hh:mm:ss`, at most 18 hours, as seconds.
fn offset_seconds(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+')?),
    };
    let number = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<i32>().ok()).flatten()
    };
    let parts: Vec<_> = digits.split(':').map(number).collect::<Option<_>>()?;
    let seconds = match *parts.as_slice() {
        [hours, minutes] if minutes < 60 => hours * 3600 + minutes * 60,
        [hours, minutes, seconds] if minutes < 60 && seconds < 60 => {
            hours * 3600 + minutes * 60 + seconds
        }
        _ => return None,
    };
    (seconds <= 18 * 3600).then_some(sign * seconds)
}

fn offset_text(seconds: i32) -> String {
    if seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, rest) = (seconds.abs() / 3600, seconds.abs() % 3600);
    match rest % 60 {
        0 => format!("{sign}{hours:02}:{:02}", rest / 60),
        odd => format!("{sign}{hours:02}:{:02}:{odd:02}", rest / 60),
    }
}

#[cfg(test)]
mod tests;
