//! Columns that are cut, masked or described in values, never in keys (Debezium, `ColumnMappers`), and
//! the features of the original that are refused or warned of because they are not there.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::Props;
use crate::connector::postgres::digest_mask::{DigestMask, Form};
use crate::connector::postgres::filter::Patterns;
use crate::error::ConnectError;

/// What becomes of a column.
#[derive(Debug, Clone)]
pub(super) enum Mapper {
    /// Its text is cut to this many characters.
    Truncate(usize),
    /// Its text is replaced by this many asterisks, also when null.
    Mask(usize),
    /// Its schema tells the column's type.
    DescribeSource,
    /// Its text is replaced by its digest.
    Digest(Arc<DigestMask>),
}

/// What a rule's patterns are matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// `schema.table.column`.
    Column,
    /// `schema.table.type`.
    Type,
}

#[derive(Debug, Clone)]
struct Rule {
    patterns: Patterns,
    subject: Subject,
    mapper: Mapper,
}

/// The rules, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Mappers(Vec<Rule>);

impl Mappers {
    /// Reads the keys whose names have parameters, and those of source types, in the original's
    /// order of kinds.
    pub(super) fn new(props: &Props) -> Result<Self, ConnectError> {
        let mut rules = Vec::new();
        let mut add = |key: &str, subject, mapper| -> Result<(), ConnectError> {
            let text = props.get(key).filter(|text| !text.trim().is_empty());
            let Some(text) = text else { return Ok(()) };
            let patterns = Patterns::parse(text)
                .map_err(|reason| ConnectError::config(format!("{key}: {reason}")))?;
            rules.push(Rule { patterns, subject, mapper });
            Ok(())
        };
        for (prefix, mapper) in [
            ("column.truncate.to.", Mapper::Truncate as fn(usize) -> Mapper),
            ("column.mask.with.", Mapper::Mask),
        ] {
            for key in props.keys() {
                let count = key.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".chars"));
                let Some(count) = count.and_then(|count| count.parse().ok()) else { continue };
                add(key, Subject::Column, mapper(count))?;
            }
        }
        add("column.propagate.source.type", Subject::Column, Mapper::DescribeSource)?;
        add("datatype.propagate.source.type", Subject::Type, Mapper::DescribeSource)?;
        for form in [Form::Serialized, Form::Utf8] {
            for key in props.keys() {
                let Some((algorithm, salt)) = digest_parameters(key, form) else { continue };
                let digest = DigestMask::new(algorithm, salt, form)
                    .ok_or_else(|| unknown_digest(algorithm))?;
                add(key, Subject::Column, Mapper::Digest(Arc::new(digest)))?;
            }
        }
        Ok(Self(rules))
    }

    /// The first rule that matches; `type_name` is the type's name in the catalog.
    pub(super) fn of(
        &self,
        schema: &str,
        table: &str,
        column: &str,
        type_name: &str,
    ) -> Option<&Mapper> {
        if self.0.is_empty() {
            return None;
        }
        let column = format!("{schema}.{table}.{column}");
        let ty = format!("{schema}.{table}.{type_name}");
        let matches = |rule: &&Rule| match rule.subject {
            Subject::Column => rule.patterns.matches(&column),
            Subject::Type => rule.patterns.matches(&ty),
        };
        self.0.iter().find(matches).map(|rule| &rule.mapper)
    }
}

/// Algorithm and salt of a key of digest masks of this form; `None` for other keys. The key's own
/// pattern, as tables of keys show it, is none.
fn digest_parameters(key: &str, form: Form) -> Option<(&str, &str)> {
    let parameters = key.strip_prefix("column.mask.hash.")?;
    let parameters = match (parameters.strip_prefix("v2."), form) {
        (Some(parameters), Form::Utf8) => parameters,
        (None, Form::Serialized) => parameters,
        _ => return None,
    };
    parameters.split_once(".with.salt.").filter(|(algorithm, _)| !algorithm.starts_with('('))
}

fn unknown_digest(algorithm: &str) -> ConnectError {
    ConnectError::config(format!(
        "column.mask.hash: there is no digest \"{algorithm}\"; use one of MD5, SHA-1, SHA-224, \
         SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256"
    ))
}

/// How the text of a mapped column is made from the column's.
#[derive(Debug, Clone)]
pub(super) enum TextMapper {
    Truncate(usize),
    /// Cut to the column's length.
    Digest(Arc<DigestMask>, usize),
}

impl TextMapper {
    /// The text that values show.
    pub(super) fn map<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Truncate(chars) => Cow::Borrowed(truncated(text, *chars)),
            Self::Digest(digest, length) => {
                let mut masked = digest.mask(text);
                masked.truncate(*length);
                Cow::Owned(masked)
            }
        }
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

/// Refuses what needs Java classes.
pub(super) fn refuse_unsupported(props: &Props) -> Result<(), ConnectError> {
    let set = |key: &str| props.get(key).is_some_and(|value| !value.trim().is_empty());
    match ["converters", "post.processors"].into_iter().find(|key| set(key)) {
        None => Ok(()),
        Some(key) => Err(ConnectError::config(format!(
            "{key}: it names Java classes, which Ferroconnect cannot load; remove the key, and \
             convert with a transform"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_first_rule_wins_in_the_order_of_kinds() {
        let mappers = Mappers::new(&props(&[
            ("column.mask.hash.SHA-256.with.salt.a.b", "inv.a.*"),
            ("column.mask.hash.v2.SHA-1.with.salt.c", "inv.b.secret"),
            ("column.mask.with.3.chars", "inv.a.(name|mail)"),
            ("column.truncate.to.5.chars", "inv.a.name"),
            ("column.mask.with.(d+).chars", ""),
            ("datatype.propagate.source.type", ".+\\.int4"),
        ]))
        .unwrap();
        let of = |table, column, ty| format!("{:?}", mappers.of("inv", table, column, ty));
        assert_eq!(of("a", "name", "text"), "Some(Truncate(5))");
        assert_eq!(of("a", "mail", "text"), "Some(Mask(3))");
        assert_eq!(of("a", "id", "int4"), "Some(DescribeSource)");
        assert_eq!(of("a", "id", "int8"), "Some(Digest(DigestMask { form: Serialized, .. }))");
        assert_eq!(of("b", "secret", "text"), "Some(Digest(DigestMask { form: Utf8, .. }))");
        assert_eq!(of("b", "id", "int8"), "None");
        let unknown = Mappers::new(&props(&[("column.mask.hash.ROT13.with.salt.x", "a.b.c")]));
        assert!(unknown.unwrap_err().to_string().contains("ROT13"));
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
    fn java_classes_are_refused() {
        assert!(refuse_unsupported(&props(&[("converters", "a")])).is_err());
        assert!(refuse_unsupported(&props(&[("converters", "")])).is_ok());
    }
}
