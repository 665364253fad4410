//! The views and macros beside a history table.

use duckdb::Connection;

use crate::error::Error;
use crate::manifest::Table;
use crate::rules::Deletes;
use crate::scd2::same_key;
use crate::sql::{quote, render};

/// Makes the views and macros of a table, or makes them anew after its columns have changed.
pub(crate) fn create(connection: &Connection, table: &Table) -> Result<(), Error> {
    let name = quote(&table.name);
    let with_rows = table.rules.deletes == Deletes::Row;
    let called = |suffix: &str| quote(&format!("{}_{suffix}", table.name));
    let make = |template: &str, values: &[(&str, &str)]| {
        connection.execute(&render(template, values), []).map_err(Error::from)
    };
    for (template, suffix) in [
        (include_str!("sql/view_current.sql"), "current"),
        (include_str!("sql/macro_as_of.sql"), "as_of"),
        (include_str!("sql/macro_between.sql"), "between"),
    ] {
        make(
            template,
            &[
                ("name", &called(suffix)),
                ("table", &name),
                ("deleted", if with_rows { ", is_deleted" } else { "" }),
                ("alive", if with_rows { " and not is_deleted" } else { "" }),
            ],
        )?;
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
