//! The checks of single keys, with the original's sentences (Debezium, `Field` and
//! `PostgresConnectorConfig`).

use fancy_regex::Regex;

use crate::config::ConfigValue;
use crate::connector::postgres::filter::Patterns;

type Verdict = Option<String>;

const REQUIRED: &str = "A value is required";

/// The keys whose validity depends on `key`.
pub(super) fn dependents(key: &str) -> &'static [&'static str] {
    match key {
        "schema.include.list" => &["table.include.list"],
        _ => &[],
    }
}

pub(super) fn required(value: &ConfigValue) -> Verdict {
    match text(value) {
        Some(_) => None,
        None => Some(REQUIRED.to_owned()),
    }
}

pub(super) fn host(value: &ConfigValue) -> Verdict {
    named(value)
}

pub(super) fn topic_required(value: &ConfigValue) -> Verdict {
    named(value)
}

pub(super) fn topic(value: &ConfigValue) -> Verdict {
    text(value).and_then(well_formed)
}

fn named(value: &ConfigValue) -> Verdict {
    match text(value) {
        Some(text) => well_formed(text),
        None => Some(REQUIRED.to_owned()),
    }
}

fn well_formed(text: &str) -> Verdict {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!text.chars().all(allowed)).then(|| {
        format!(
            "{text} has invalid format (only the underscore, hyphen, dot and alphanumeric \
             characters are allowed)"
        )
    })
}

pub(super) fn boolean(value: &ConfigValue) -> Verdict {
    let known = matches!(value, ConfigValue::Boolean(_));
    (!known).then(|| "Either 'true' or 'false' is expected".to_owned())
}

pub(super) fn positive(value: &ConfigValue) -> Verdict {
    at_least(value, 1, "A positive, non-zero integer value is expected")
}

pub(super) fn non_negative(value: &ConfigValue) -> Verdict {
    match value {
        // Some of these keys have no default.
        ConfigValue::Null => None,
        _ => at_least(value, 0, "An non-negative integer is expected"),
    }
}

pub(super) fn positive_long(value: &ConfigValue) -> Verdict {
    at_least(value, 1, "A positive, non-zero long value is expected")
}

pub(super) fn non_negative_long(value: &ConfigValue) -> Verdict {
    at_least(value, 0, "A non-negative long value is expected")
}

pub(super) fn queue_size(value: &ConfigValue) -> Verdict {
    at_least(value, 1, "A positive queue size is required")
}

fn at_least(value: &ConfigValue, min: i64, otherwise: &str) -> Verdict {
    match value {
        ConfigValue::Integer(number) if *number >= min => None,
        _ => Some(otherwise.to_owned()),
    }
}

pub(super) fn slot(value: &ConfigValue) -> Verdict {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let valid =
        text(value).is_some_and(|name| (1..=63).contains(&name.len()) && name.chars().all(allowed));
    (!valid).then(|| {
        "Valid replication slot name must contain only digits, lowercase characters and \
         underscores with length <= 63"
            .to_owned()
    })
}

pub(super) fn class(value: &ConfigValue) -> Verdict {
    let identifier = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '$')
            && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    let invalid = text(value).is_some_and(|name| !name.split('.').all(identifier));
    invalid.then(|| "A Java class name is expected".to_owned())
}

pub(super) fn one_of(allowed: &[&str], value: &ConfigValue) -> Verdict {
    match text(value) {
        None => None,
        Some(text) if allowed.iter().any(|a| a.eq_ignore_ascii_case(text)) => None,
        Some(_) => Some(format!("Value must be one of {}", allowed.join(", "))),
    }
}

pub(super) fn regexes(value: &ConfigValue) -> Verdict {
    let ConfigValue::List(items) = value else { return None };
    let error = Patterns::parse(&items.join(",")).err()?;
    Some(format!("A comma-separated list of valid regular expressions is expected, but {error}"))
}

pub(super) fn map(value: &ConfigValue) -> Verdict {
    let ConfigValue::List(items) = value else { return None };
    let pair = |item: &String| item.split('=').filter(|part| !part.trim().is_empty()).count() == 2;
    (!items.iter().all(pair)).then(|| {
        "A equivalent-separated map of valid key/value pairs is expected, for example: \
         k1=v1,k2=v2"
            .to_owned()
    })
}

pub(super) fn operations(value: &ConfigValue) -> Verdict {
    let ConfigValue::List(items) = value else { return None };
    if !items.iter().all(|item| ["r", "c", "u", "d", "t", "none"].contains(&item.as_str())) {
        return Some("Invalid operation".to_owned());
    }
    (items.len() > 1 && items.iter().any(|item| item == "none"))
        .then(|| "'none' cannot be specified with other skipped operation types".to_owned())
}

pub(super) fn single(value: &ConfigValue) -> Verdict {
    let ConfigValue::List(items) = value else { return None };
    (items.len() > 1).then(|| {
        "For single task connector only one signal data collection is permitted.".to_owned()
    })
}

pub(super) fn key_columns(value: &ConfigValue) -> Verdict {
    const FORM: &str = r"^\s*([^:]+):([^:,]+(,[^:,]+)*)\s*$";
    parts_of_form(value, ';', FORM, FORM)
}

pub(super) fn replica_identity(value: &ConfigValue) -> Verdict {
    const FORM: &str = r"(?i)^\s*([^\s:]+):(DEFAULT|(INDEX) (.\w*)|FULL|NOTHING)\s*$";
    const SHOWN: &str = r"(?i)^\s*(?<tablepredicate>[^\s:]+):(?<replicaidentity>DEFAULT|(INDEX) (?<indexname>.\w*)|FULL|NOTHING)\s*$";
    parts_of_form(value, ',', FORM, SHOWN)
}

fn parts_of_form(value: &ConfigValue, separator: char, form: &str, shown: &str) -> Verdict {
    let ConfigValue::String(text) = value else { return None };
    if text.is_empty() {
        return Some("Must not be empty".to_owned());
    }
    let form = Regex::new(form).expect("a constant that the tests compile");
    let wrong = text.split(separator).find(|part| !form.is_match(part).unwrap_or(false))?;
    Some(format!("{wrong} has an invalid format (expecting '{shown}')"))
}

fn text(value: &ConfigValue) -> Option<&str> {
    match value {
        ConfigValue::String(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> ConfigValue {
        ConfigValue::String(text.to_owned())
    }

    fn list(text: &str) -> ConfigValue {
        ConfigValue::List(text.split(',').map(str::to_owned).collect())
    }

    type Rule = fn(&ConfigValue) -> Verdict;

    #[test]
    fn rules_answer_in_the_words_of_the_original() {
        let slot_text = "Valid replication slot name must contain only digits, lowercase \
                         characters and underscores with length <= 63";
        let rows: &[(&str, Rule, ConfigValue, Option<&str>)] = &[
            ("slot", slot, string("commerce_slot"), None),
            ("upper case", slot, string("Slot"), Some(slot_text)),
            ("dash", slot, string("a-b"), Some(slot_text)),
            ("64 characters", slot, string(&"a".repeat(64)), Some(slot_text)),
            (
                "blank in prefix",
                topic_required,
                string("a b"),
                Some(
                    "a b has invalid format (only the underscore, hyphen, dot and alphanumeric \
                     characters are allowed)",
                ),
            ),
            ("operations", operations, list("t"), None),
            ("unknown operation", operations, list("x"), Some("Invalid operation")),
            (
                "none mixed",
                operations,
                list("none,c"),
                Some("'none' cannot be specified with other skipped operation types"),
            ),
            ("regexes", regexes, list("commerce\\.products,commerce.users"), None),
            (
                "key columns",
                key_columns,
                string("foo"),
                Some(r"foo has an invalid format (expecting '^\s*([^:]+):([^:,]+(,[^:,]+)*)\s*$')"),
            ),
            ("good key columns", key_columns, string("a.b:c,d;(.*).e:f"), None),
            ("replica identity", replica_identity, string("a.b:FULL,c.d:index i"), None),
            (
                "interval below zero",
                non_negative,
                ConfigValue::Integer(-1),
                Some("An non-negative integer is expected"),
            ),
        ];
        for (name, rule, value, expected) in rows {
            assert_eq!(rule(value).as_deref(), *expected, "{name}");
        }
        assert!(replica_identity(&string("foo")).unwrap().contains("<tablepredicate>"));
        assert!(regexes(&list("a(b")).unwrap().starts_with("A comma-separated list of valid"));
    }
}
