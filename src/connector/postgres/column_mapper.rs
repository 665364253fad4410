//! Columns whose text is cut or masked in values, never in keys (Debezium, `ColumnMappers`), and the
//! features of the original that are refused or warned of because they are not there.

use crate::config::Props;
use crate::connector::postgres::filter::Patterns;
use crate::error::ConnectError;

/// What becomes of a column's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapper {
    /// Cut to this many characters.
    Truncate(usize),
    /// Replaced by this many asterisks, also when null.
    Mask(usize),
}

/// The rules, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Mappers(Vec<(Patterns, Mapper)>);

impl Mappers {
    /// Reads `column.truncate.to.N.chars` and `column.mask.with.N.chars`.
    pub(super) fn new(props: &Props) -> Result<Self, ConnectError> {
        let mut rules = Vec::new();
        for (prefix, kind) in [
            ("column.truncate.to.", Mapper::Truncate as fn(usize) -> Mapper),
            ("column.mask.with.", Mapper::Mask),
        ] {
            for (key, columns) in props {
                let count = key.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".chars"));
                let Some(count) = count.and_then(|count| count.parse().ok()) else { continue };
                let columns = Patterns::parse(columns)
                    .map_err(|reason| ConnectError::config(format!("{key}: {reason}")))?;
                rules.push((columns, kind(count)));
            }
        }
        Ok(Self(rules))
    }

    /// The first rule that matches.
    pub(super) fn of(&self, schema: &str, table: &str, column: &str) -> Option<Mapper> {
        if self.0.is_empty() {
            return None;
        }
        let name = format!("{schema}.{table}.{column}");
        self.0.iter().find(|(columns, _)| columns.matches(&name)).map(|(_, mapper)| *mapper)
    }
}

/// Whether a column's text is what mappers work on.
pub(super) fn is_text(type_name: &str) -> bool {
    matches!(type_name, "text" | "varchar" | "bpchar" | "char" | "name")
}

/// `text` cut to `chars` characters, counted as Java does.
pub(super) fn truncated(text: &str, chars: usize) -> &str {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > chars {
            return text.get(..at).unwrap_or(text);
        }
    }
    text
}

/// Refuses what would show data that was to be hidden, or needs Java classes.
pub(super) fn refuse_unsupported(props: &Props) -> Result<(), ConnectError> {
    let set = |key: &str| props.get(key).is_some_and(|value| !value.trim().is_empty());
    if let Some(key) = props.keys().find(|key| key.starts_with("column.mask.hash.")) {
        return Err(ConnectError::config(format!(
            "{key}: masking by digest is not supported; use column.mask.with.N.chars, which hides \
             the value altogether"
        )));
    }
    match ["converters", "post.processors"].into_iter().find(|key| set(key)) {
        None => Ok(()),
        Some(key) => Err(ConnectError::config(format!(
            "{key}: it names Java classes, which Ferroconnect cannot load; remove the key, and \
             convert with a transform"
        ))),
    }
}

/// Warns of what the original would do and this does not.
pub(super) fn warn_unsupported(props: &Props) {
    let value = |key: &str| props.get(key).map(|value| value.trim()).unwrap_or_default();
    let ignored = [
        ("provide.transaction.metadata", value("provide.transaction.metadata") == "true"),
        ("heartbeat.interval.ms", !matches!(value("heartbeat.interval.ms"), "" | "0")),
        ("signal.data.collection", !value("signal.data.collection").is_empty()),
        ("notification.enabled.channels", !value("notification.enabled.channels").is_empty()),
        ("column.propagate.source.type", !value("column.propagate.source.type").is_empty()),
        ("datatype.propagate.source.type", !value("datatype.propagate.source.type").is_empty()),
        ("replica.identity.autoset.values", !value("replica.identity.autoset.values").is_empty()),
        ("xmin.fetch.interval.ms", !matches!(value("xmin.fetch.interval.ms"), "" | "0")),
    ];
    for (key, _) in ignored.iter().filter(|(_, asked)| *asked) {
        tracing::warn!(key, "the key has no effect: its feature is not supported");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_first_rule_wins_and_truncation_comes_first() {
        let mappers = Mappers::new(&props(&[
            ("column.mask.with.3.chars", "inv.a.(name|mail)"),
            ("column.truncate.to.5.chars", "inv.a.name"),
            ("column.mask.with.(d+).chars", ""),
        ]))
        .unwrap();
        assert_eq!(mappers.of("inv", "a", "name"), Some(Mapper::Truncate(5)));
        assert_eq!(mappers.of("inv", "a", "mail"), Some(Mapper::Mask(3)));
        assert_eq!(mappers.of("inv", "a", "id"), None);
    }

    #[test]
    fn characters_are_counted_as_java_does() {
        for (text, chars, expected) in [
            ("abc", 2, "ab"),
            ("abc", 3, "abc"),
            ("\u{fc}\u{fc}", 1, "\u{fc}"),
            ("\u{1f600}b", 1, ""),
        ] {
            assert_eq!(truncated(text, chars), expected, "{text} to {chars}");
        }
    }

    #[test]
    fn what_would_show_hidden_data_is_refused() {
        let hash = props(&[("column.mask.hash.SHA-256.with.salt.x", "inv.a.mail")]);
        assert!(refuse_unsupported(&hash).is_err());
        assert!(refuse_unsupported(&props(&[("converters", "a")])).is_err());
        assert!(refuse_unsupported(&props(&[("converters", "")])).is_ok());
    }
}
