//! The columns of a table and how they grow: one type for all files seen, lossless or else text.

use serde::{Deserialize, Serialize};

/// Columns that the history table or the change log adds; a source column of that name is shown as
/// `src_<name>`.
const RESERVED: &[&str] = &[
    "effective_from",
    "effective_to",
    "is_current",
    "_version",
    "_op",
    "_end_op",
    "_epoch",
    "_hi",
    "_part",
    "_lo",
    "_row",
    "_obj",
    "_ts",
    "_incomplete",
    "_snapshot",
    "_before",
];

/// A source column in the history table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its name in the files.
    pub(crate) source: String,
    /// As DuckDB spells it.
    #[serde(rename = "type")]
    pub(crate) type_name: String,
    /// Some row has the placeholder for a value that the source did not repeat.
    pub(crate) toast: bool,
}

/// How a file's columns change those of the table.
#[derive(Debug, Default)]
pub(crate) struct Evolution {
    /// For each column of the file, its index in the table.
    pub(crate) targets: Vec<usize>,
    /// Types that could only be united as text, or were not.
    pub(crate) conflicts: Vec<String>,
}

/// Takes a file's columns (name and type) into those of the table. `split`: types that do not go
/// together get columns of their own.
pub(crate) fn evolve<'a>(
    columns: &mut Vec<Column>,
    file: impl IntoIterator<Item = (&'a str, &'a str)>,
    split: bool,
) -> Evolution {
    let mut evolution = Evolution::default();
    for (source, type_name) in file {
        let known = columns.iter().position(|column| column.source.eq_ignore_ascii_case(source));
        let index = match known {
            Some(index) if !evolution.targets.contains(&index) => index,
            // Two columns of one file whose names differ in case only.
            Some(_) => add(columns, &format!("{source}_2"), type_name),
            None => add(columns, source, type_name),
        };
        let index = match columns.get(index) {
            Some(column) if split && unite(&column.type_name, type_name).1 => {
                split_off(columns, source, type_name)
            }
            _ => index,
        };
        if let Some(column) = columns.get_mut(index) {
            let (united, conflict) = unite(&column.type_name, type_name);
            if conflict {
                let (name, old) = (&column.name, &column.type_name);
                evolution
                    .conflicts
                    .push(format!("column {name}: {old} and {type_name} are kept as text"));
            }
            column.type_name = united;
        }
        evolution.targets.push(index);
    }
    evolution
}

/// The column `<source>__2`, `__3`, … whose type this one goes with, made if there is none.
fn split_off(columns: &mut Vec<Column>, source: &str, type_name: &str) -> usize {
    let mut number = 2;
    loop {
        let name = format!("{source}__{number}");
        match columns.iter().position(|column| column.source.eq_ignore_ascii_case(&name)) {
            None => return add(columns, &name, type_name),
            Some(index) => match columns.get(index) {
                Some(column) if unite(&column.type_name, type_name).1 => number += 1,
                _ => return index,
            },
        }
    }
}

fn add(columns: &mut Vec<Column>, source: &str, type_name: &str) -> usize {
    if let Some(index) = columns.iter().position(|c| c.source.eq_ignore_ascii_case(source)) {
        return index;
    }
    let reserved = RESERVED.iter().any(|name| name.eq_ignore_ascii_case(source));
    columns.push(Column {
        name: if reserved { format!("src_{source}") } else { source.to_owned() },
        source: source.to_owned(),
        type_name: type_name.to_owned(),
        toast: false,
    });
    columns.len() - 1
}

/// The narrowest type that holds the values of both without loss; text, and `true`, if there is none.
fn unite(a: &str, b: &str) -> (String, bool) {
    if a == b {
        return (a.to_owned(), false);
    }
    let pair = |x: &str, y: &str| (a == x && b == y) || (a == y && b == x);
    if pair("FLOAT", "DOUBLE") {
        return ("DOUBLE".into(), false);
    }
    if pair("DATE", "TIMESTAMP") {
        return ("TIMESTAMP".into(), false);
    }
    match (integer_rank(a), integer_rank(b)) {
        (Some(x), Some(y)) => return ((if x < y { b } else { a }).to_owned(), false),
        (None, None) if decimal(a).is_none() || decimal(b).is_none() => {}
        _ => {
            if let (Some(x), Some(y)) = (digits(a), digits(b)) {
                let scale = x.1.max(y.1);
                let whole = (x.0 - x.1).max(y.0 - y.1);
                if whole + scale <= 38 {
                    return (format!("DECIMAL({},{scale})", whole + scale), false);
                }
            }
        }
    }
    ("VARCHAR".into(), true)
}

fn integer_rank(type_name: &str) -> Option<usize> {
    ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"]
        .iter()
        .position(|name| *name == type_name)
}

/// Precision and scale of what an exact number needs as a decimal.
fn digits(type_name: &str) -> Option<(u8, u8)> {
    let integer = integer_rank(type_name).and_then(|rank| [3, 5, 10, 19, 39].get(rank).copied());
    integer.map(|precision| (precision, 0)).or_else(|| decimal(type_name))
}

fn decimal(type_name: &str) -> Option<(u8, u8)> {
    let (precision, scale) =
        type_name.strip_prefix("DECIMAL(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: &str, conflict: bool) {
        assert_eq!(unite(a, b), (expected.into(), conflict), "{a} and {b}");
        assert_eq!(unite(b, a), (expected.into(), conflict), "{b} and {a}");
    }

    #[test]
    fn types_widen_without_loss_or_become_text() {
        check("INTEGER", "INTEGER", "INTEGER", false);
        check("INTEGER", "BIGINT", "BIGINT", false);
        check("FLOAT", "DOUBLE", "DOUBLE", false);
        check("DATE", "TIMESTAMP", "TIMESTAMP", false);
        check("DECIMAL(10,2)", "DECIMAL(12,3)", "DECIMAL(12,3)", false);
        check("DECIMAL(10,2)", "DECIMAL(10,4)", "DECIMAL(12,4)", false);
        check("INTEGER", "DECIMAL(10,2)", "DECIMAL(12,2)", false);
        check("BIGINT", "DECIMAL(38,30)", "VARCHAR", true);
        check("HUGEINT", "DECIMAL(10,2)", "VARCHAR", true);
        check("INTEGER", "DOUBLE", "VARCHAR", true);
        check("DECIMAL(10,2)", "DOUBLE", "VARCHAR", true);
        check("INTEGER", "VARCHAR", "VARCHAR", true);
        check("INTEGER", "TIMESTAMP", "VARCHAR", true);
        check("STRUCT(a INTEGER)", "INTEGER", "VARCHAR", true);
    }

    #[test]
    fn new_columns_follow_and_taken_names_give_way() {
        let mut columns = Vec::new();
        evolve(&mut columns, [("id", "INTEGER"), ("_op", "VARCHAR"), ("Id", "INTEGER")], false);
        let evolution = evolve(&mut columns, [("color", "VARCHAR"), ("ID", "BIGINT")], false);
        let names: Vec<_> =
            columns.iter().map(|c| (c.name.as_str(), c.type_name.as_str())).collect();
        assert_eq!(
            names,
            [("id", "BIGINT"), ("src__op", "VARCHAR"), ("Id_2", "INTEGER"), ("color", "VARCHAR")]
        );
        assert_eq!(evolution.targets, [3, 0]);
        assert_eq!(evolution.conflicts, Vec::<String>::new());
    }

    #[test]
    fn types_that_do_not_go_together_may_have_columns_of_their_own() {
        let mut columns = Vec::new();
        for type_name in ["INTEGER", "VARCHAR", "BIGINT", "VARCHAR", "DOUBLE", "BOOLEAN"] {
            let evolution = evolve(&mut columns, [("v", type_name)], true);
            assert_eq!(evolution.conflicts, Vec::<String>::new());
        }
        let names: Vec<_> =
            columns.iter().map(|c| (c.name.as_str(), c.type_name.as_str())).collect();
        assert_eq!(
            names,
            [("v", "BIGINT"), ("v__2", "VARCHAR"), ("v__3", "DOUBLE"), ("v__4", "BOOLEAN")]
        );
    }
}
