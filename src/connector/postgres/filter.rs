//! Which schemas, tables and columns are captured: lists of regexes in Java's dialect, matched in
//! full and in any case (Debezium, `Selectors`).

use std::fmt;

use fancy_regex::Regex;

/// The items of a comma-separated list; a comma behind a backslash does not separate.
pub(super) fn split_list(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = items.len() - 1;
        match c {
            '\\' if chars.peek() == Some(&',') => items[last].extend(chars.next()),
            ',' => items.push(String::new()),
            c => items[last].push(c),
        }
    }
    items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// A list of regexes.
#[derive(Clone)]
pub(super) struct Patterns {
    patterns: Vec<(String, Regex)>,
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.patterns.iter().map(|(text, _)| text)).finish()
    }
}

impl Patterns {
    /// Parses a comma-separated list.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let patterns = split_list(text)
            .into_iter()
            .map(|item| {
                let regex = Regex::new(&format!("(?i)^(?:{item})$"))
                    .map_err(|error| format!("\"{item}\" is none: {error}"))?;
                Ok((item, regex))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { patterns })
    }

    /// Whether one of the patterns matches `name` as a whole.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// The first pattern that matches.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.patterns.iter().position(|(_, regex)| regex.is_match(name).unwrap_or(false))
    }

    /// The patterns, as written.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(|(text, _)| text.as_str())
    }
}

/// An include list, an exclude list, or neither.
#[derive(Debug, Clone, Default)]
pub(super) enum Selector {
    #[default]
    All,
    Include(Patterns),
    Exclude(Patterns),
}

impl Selector {
    /// From the texts of the two keys, of which the include list wins.
    pub(super) fn new(include: Option<&str>, exclude: Option<&str>) -> Result<Self, String> {
        let present =
            |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(Patterns::parse);
        if let Some(include) = present(include) {
            return Ok(Self::Include(include?));
        }
        match present(exclude) {
            Some(exclude) => Ok(Self::Exclude(exclude?)),
            None => Ok(Self::All),
        }
    }

    /// Whether `name` passes.
    pub(super) fn selects(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Include(patterns) => patterns.matches(name),
            Self::Exclude(patterns) => !patterns.matches(name),
        }
    }
}

/// The filters of a connector.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters {
    pub(super) schemas: Selector,
    pub(super) tables: Selector,
    pub(super) columns: Selector,
    pub(super) ignore_builtin: bool,
    /// Captured whatever the lists say.
    pub(super) signal_table: Option<String>,
}

impl Filters {
    /// Whether `schema.table` is captured.
    pub(super) fn captures(&self, schema: &str, table: &str) -> bool {
        let id = format!("{schema}.{table}");
        if self.signal_table.as_deref() == Some(&id) {
            return true;
        }
        if self.ignore_builtin && is_builtin(schema, table) {
            return false;
        }
        self.schemas.selects(schema) && self.tables.selects(&id)
    }

    /// Whether the column is part of rows.
    pub(super) fn has_column(&self, schema: &str, table: &str, column: &str) -> bool {
        matches!(self.columns, Selector::All)
            || self.columns.selects(&format!("{schema}.{table}.{column}"))
    }

    /// The place of a captured table: of the first include pattern that matches it.
    pub(super) fn rank(&self, schema: &str, table: &str) -> usize {
        let Selector::Include(patterns) = &self.tables else { return 0 };
        patterns.position(&format!("{schema}.{table}")).unwrap_or(usize::MAX)
    }

    /// The entries of the include list that match none of `tables`.
    pub(super) fn unmatched<'a>(&'a self, tables: &[String]) -> Vec<&'a str> {
        let Selector::Include(patterns) = &self.tables else { return Vec::new() };
        let unmatched = |(_, regex): &&(String, Regex)| {
            !tables.iter().any(|table| regex.is_match(table).unwrap_or(false))
        };
        patterns.patterns.iter().filter(unmatched).map(|(text, _)| text.as_str()).collect()
    }
}

fn is_builtin(schema: &str, table: &str) -> bool {
    schema.eq_ignore_ascii_case("pg_catalog")
        || schema.eq_ignore_ascii_case("information_schema")
        || schema.to_ascii_lowercase().starts_with("pg_temp")
        || table.eq_ignore_ascii_case("spatial_ref_sys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_behind_a_backslash_does_not_separate() {
        assert_eq!(split_list(r" a\,b , ,c"), ["a,b", "c"]);
    }

    #[test]
    fn patterns_match_in_full_and_in_any_case() {
        let patterns = Patterns::parse("commerce.products,inv\\.(?!x).*").unwrap();
        for (name, expected) in [
            ("commerce.products", true),
            ("Commerce.Products", true),
            ("commerce.products2", false),
            ("inv.a", true),
            ("inv.x", false),
        ] {
            assert_eq!(patterns.matches(name), expected, "{name}");
        }
        assert!(Patterns::parse("a(b").is_err());
    }

    #[test]
    fn schema_and_table_lists_must_both_pass() {
        let filters = Filters {
            schemas: Selector::new(Some("a"), None).unwrap(),
            tables: Selector::new(None, Some("a.x")).unwrap(),
            signal_table: Some("s.signals".to_owned()),
            ignore_builtin: true,
            ..Filters::default()
        };
        for (schema, table, expected) in
            [("a", "y", true), ("a", "x", false), ("b", "y", false), ("s", "signals", true)]
        {
            assert_eq!(filters.captures(schema, table), expected, "{schema}.{table}");
        }
        assert!(
            !Filters { ignore_builtin: true, ..Filters::default() }.captures("pg_catalog", "x")
        );
    }
}
