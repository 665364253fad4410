//! Putting names and values into the statements of `sql/`.
//!
//! Table and column names cannot be bound as parameters, so each statement is a template with
//! `{placeholders}`. Values are filled in once: what is filled in is never searched again, so a column
//! that is called `{keys}` stays a column.

use std::fmt::Write as _;

/// `"name"`, whatever the name contains.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, whatever the text contains.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names as an SQL list, each preceded by `prefix` (a table alias with its dot, or nothing).
pub(crate) fn list<'a>(prefix: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for name in names {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{prefix}{}", quote(name));
    }
    text
}

/// A statement of `sql/` with its placeholders filled in.
///
/// # Panics
/// If the template names a placeholder without a value: a mistake in this crate.
pub(crate) fn render(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').expect("a placeholder is closed");
        let (_, value) =
            values.iter().find(|(key, _)| *key == name).expect("every placeholder has a value");
        text.push_str(before);
        text.push_str(value);
        rest = tail;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_quoted() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(list("h.", ["id", "select"]), "h.\"id\", h.\"select\"");
        assert_eq!(list("", []), "");
    }

    #[test]
    fn filled_in_text_is_not_searched_again() {
        assert_eq!(render("{a} = {b};", &[("a", "{b}"), ("b", "1")]), "{b} = 1;");
    }
}
