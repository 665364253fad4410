//! The merge: folds the change log of some keys into versions of the history table.
//!
//! There is one way for every batch: the versions of the touched keys are made anew from all
//! their changes. So a change that arrives late, twice or in another cut needs no case of its own, and
//! a rebuild is the same statement without a scope.

use duckdb::Connection;

use crate::error::Error;
use crate::manifest::Table;
use crate::report::Counts;
use crate::sql::{list, literal, quote, render};

/// The order of a key's changes. Within one log position the delete half of a key change comes
/// first; without a position the offset alone decides. The time only tells copies of one record apart.
const ORDER: &str = "_epoch, _hi, (_hi > 0 and _op not in ('d', 't')), _part, _lo, _row, _ts";
/// The same for folded rows, whose time is no longer the change's.
const FOLDED_ORDER: &str =
    "_epoch, _hi, (_hi > 0 and _op not in ('d', 't')), _part, _lo, _row, _from";

/// Which keys are made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those in the temporary table `_affected`.
    Affected,
    All,
}

/// Makes the versions of the keys in scope anew. Counts what became of the rows of objects from
/// `first_obj` on.
pub(crate) fn merge(
    connection: &Connection,
    table: &Table,
    placeholder: &str,
    scope: Scope,
    first_obj: i64,
) -> Result<Counts, Error> {
    fold(connection, table, placeholder, scope, first_obj)?;
    let keys = list("", table.key_names());
    let columns = list("", table.column_names());
    let name = quote(&table.name);
    match scope {
        Scope::All => connection.execute(&format!("delete from {name}"), [])?,
        Scope::Affected => {
            let same_key = same_key(table, "h", "a");
            let values = [("table", name.as_str()), ("same_key", &same_key)];
            connection.execute(&render(include_str!("sql/delete_versions.sql"), &values), [])?
        }
    };
    let values =
        [("table", name.as_str()), ("columns", &columns), ("keys", &keys), ("order", FOLDED_ORDER)];
    connection.execute(&render(include_str!("sql/insert_versions.sql"), &values), [])?;
    let counts = render(include_str!("sql/counts.sql"), &[("keys", &keys)]);
    let counts = connection.query_row(&counts, [], |row| {
        Ok(Counts {
            opened: row.get(0)?,
            closed_by_delete: row.get(1)?,
            unchanged: row.get(2)?,
            duplicates: row.get(3)?,
            deletes_without_row: row.get(4)?,
            clamped: row.get(5)?,
            unresolved_toast: row.get(6)?,
            late_keys: row.get(7)?,
            ..Counts::default()
        })
    })?;
    connection.execute("drop table _folded", [])?;
    Ok(counts)
}

fn fold(
    connection: &Connection,
    table: &Table,
    placeholder: &str,
    scope: Scope,
    first_obj: i64,
) -> Result<(), Error> {
    let is_key = |name: &str| table.keys.iter().any(|key| key == name);
    let keys = list("", table.key_names());
    let payload = || table.columns.iter().filter(|column| !is_key(&column.name));
    let mut carried = String::new();
    let mut resolved = Vec::new();
    let mut unseen = Vec::new();
    for (index, column) in payload().enumerate() {
        let name = quote(&column.name);
        match placeholder_of(&column.type_name, placeholder).filter(|_| column.toast) {
            Some(placeholder) => {
                carried += &format!(
                    ", last_value(case when _del or {name} is distinct from {placeholder} \
                     then struct_pack(v := case when not _del then {name} end, seen := not _del) \
                     end ignore nulls) over w as _carried{index}"
                );
                resolved.push(format!("_carried{index}.v as {name}"));
                unseen.push(format!("not coalesce(_carried{index}.seen, false)"));
            }
            None => resolved.push(name),
        }
    }
    let columns = list("", payload().map(|column| column.name.as_str()));
    let image = if columns.is_empty() { "true".into() } else { format!("row({columns})") };
    let incomplete = if unseen.is_empty() {
        "false".into()
    } else {
        format!("(not _del and ({}))", unseen.join(" or "))
    };
    // A table may consist of its key alone; the lists below need a column all the same.
    let filler = "1 as _filler".to_owned();
    let (columns, resolved) = if columns.is_empty() {
        ("1 as _filler".into(), filler)
    } else {
        (columns, resolved.join(", "))
    };
    let scope = match scope {
        Scope::All => String::new(),
        Scope::Affected => format!("semi join _affected using ({keys})"),
    };
    let statement = render(
        include_str!("sql/fold.sql"),
        &[
            ("changes", &quote(&table.changes())),
            ("keys", &keys),
            ("payload", &columns),
            ("carried", &carried),
            ("resolved", &resolved),
            ("incomplete", &incomplete),
            ("image", &image),
            ("scope", &scope),
            ("order", ORDER),
            ("first_obj", &first_obj.to_string()),
        ],
    );
    connection.execute(&statement, [])?;
    Ok(())
}

/// `a."id" = b."id" and …`
pub(crate) fn same_key(table: &Table, a: &str, b: &str) -> String {
    let equal = |key: &str| format!("{a}.{name} = {b}.{name}", name = quote(key));
    table.key_names().map(equal).collect::<Vec<_>>().join(" and ")
}

/// What stands in a column of this type for a value that the source did not repeat.
pub(crate) fn placeholder_of(type_name: &str, placeholder: &str) -> Option<String> {
    let text = literal(placeholder);
    match type_name {
        "VARCHAR" => Some(text),
        "BLOB" => Some(format!("encode({text})")),
        "VARCHAR[]" => Some(format!("[{text}]")),
        "JSON" => Some(format!("to_json({text})")),
        _ => None,
    }
}

/// Makes the views and macros of a table, or makes them anew after its columns have changed.
pub(crate) fn create_views(connection: &Connection, table: &Table) -> Result<(), Error> {
    let name = quote(&table.name);
    let called = |suffix: &str| quote(&format!("{}_{suffix}", table.name));
    let make = |template: &str, values: &[(&str, &str)]| {
        connection.execute(&render(template, values), []).map_err(Error::from)
    };
    for (template, suffix) in [
        (include_str!("sql/view_current.sql"), "current"),
        (include_str!("sql/macro_as_of.sql"), "as_of"),
        (include_str!("sql/macro_between.sql"), "between"),
    ] {
        make(template, &[("name", &called(suffix)), ("table", &name)])?;
    }
    let arguments: Vec<String> = match table.keys.len() {
        1 => vec!["k".into()],
        count => (1..=count).map(|index| format!("k{index}")).collect(),
    };
    let condition = table.key_names().zip(&arguments);
    let condition: Vec<_> =
        condition.map(|(key, argument)| format!("{name}.{} = {argument}", quote(key))).collect();
    make(
        include_str!("sql/macro_history.sql"),
        &[
            ("name", &called("history")),
            ("table", &name),
            ("arguments", &arguments.join(", ")),
            ("condition", &condition.join(" and ")),
        ],
    )?;
    let both = |key: &str| format!("coalesce(x.{name}, y.{name}) as {name}", name = quote(key));
    let keys: Vec<_> = table.key_names().map(both).collect();
    make(
        include_str!("sql/macro_diff.sql"),
        &[
            ("name", &called("diff")),
            ("as_of", &called("as_of")),
            ("keys", &keys.join(", ")),
            ("same_key", &same_key(table, "x", "y")),
        ],
    )?;
    Ok(())
}
