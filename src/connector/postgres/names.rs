//! Names of topics, schemas and fields (Debezium, `AbstractTopicNamingStrategy`,
//! `SchemaNameAdjuster`).

use std::fmt::Write as _;

use crate::connector::postgres::config::{Adjustment, PostgresConfig};

/// Kafka's limit.
const TOPIC_CHARS_MAX: usize = 249;

/// The topic of a table, with what Kafka does not allow replaced.
pub(super) fn topic(config: &PostgresConfig, schema: &str, table: &str) -> String {
    let delimiter = &config.topic_delimiter;
    let name = format!("{}{delimiter}{schema}{delimiter}{table}", config.topic_prefix);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let valid: String =
        name.chars().map(|c| if allowed(c) { c } else { '_' }).take(TOPIC_CHARS_MAX).collect();
    let valid = match valid.as_str() {
        "." => "_".to_owned(),
        ".." => "__".to_owned(),
        _ => valid,
    };
    if valid != name {
        tracing::warn!(name, valid, "the name of a table is no topic name and was changed");
    }
    valid
}

/// A schema's name, adjusted: parts are separated by dots.
pub(super) fn schema_name(mode: Adjustment, name: &str) -> String {
    adjust(mode, name, true)
}

/// A field's name, adjusted.
pub(super) fn field_name(mode: Adjustment, name: &str) -> String {
    adjust(mode, name, false)
}

fn adjust(mode: Adjustment, name: &str, dots: bool) -> String {
    if mode == Adjustment::Keep {
        return name.to_owned();
    }
    let unicode = mode == Adjustment::AvroUnicode;
    let mut adjusted = String::with_capacity(name.len());
    for (index, c) in name.chars().enumerate() {
        let inner = c.is_ascii_alphanumeric() || (c == '_' && !unicode) || (c == '.' && dots);
        let first = inner && !c.is_ascii_digit() && c != '.';
        match (index, inner) {
            (0, _) if first => adjusted.push(c),
            (0, true) if c.is_ascii_digit() && !unicode => {
                adjusted.push('_');
                adjusted.push(c);
            }
            (1.., true) => adjusted.push(c),
            _ if unicode => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(adjusted, "_u{unit:04x}").expect("writing to a String cannot fail");
                }
            }
            _ => adjusted.push('_'),
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_avro() {
        for (mode, name, expected) in [
            (Adjustment::Keep, "srv.inv.Weird-_.Value", "srv.inv.Weird-_.Value"),
            (Adjustment::Avro, "srv.inv.Weird_Tab-_.Envelope", "srv.inv.Weird_Tab__.Envelope"),
            (Adjustment::Avro, "1a", "_1a"),
            (Adjustment::AvroUnicode, "a_b-c", "a_u005fb_u002dc"),
        ] {
            assert_eq!(schema_name(mode, name), expected, "{name}");
        }
        assert_eq!(field_name(Adjustment::Avro, "Camel-Name.x"), "Camel_Name_x");
        assert_eq!(field_name(Adjustment::AvroUnicode, "Camel-Name"), "Camel_u002dName");
    }
}
