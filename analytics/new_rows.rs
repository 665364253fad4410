//! One look over the rows that a batch has put into the change log: which of them can be folded, and what
//! about them concerns more than their own keys.

use duckdb::Connection;

use crate::config::Config;
use crate::error::Error;
use crate::load::Batch;
use crate::manifest::Table;
use crate::report::Counts;
use crate::scd2;
use crate::sql::{literal, quote, render};

/// What a row must be to be folded.
const IS_CHANGE: &str = "coalesce(_op in ('c', 'r', 'u', 'd', 't'), false)";

/// What the new rows are.
#[derive(Debug, Default)]
pub(crate) struct NewRows {
    pub(crate) counts: Counts,
    /// A snapshot came to its end: then it can end any key.
    pub(crate) end_snapshot: bool,
    /// There are snapshot reads with a log position.
    pub(crate) have_reads: bool,
}

/// Looks at the rows since `first_obj`, moves those out of the log that cannot be folded, and marks the
/// columns that have the placeholder for an unchanged value.
pub(crate) fn look(
    connection: &Connection,
    config: &Config,
    table: &mut Table,
    batch: &Batch<'_>,
    first_obj: i64,
) -> Result<NewRows, Error> {
    let null = |key: &str| format!("{} is null", quote(key));
    let null = table.key_names().map(null).collect::<Vec<_>>().join(" or ");
    let horizon = table.horizon_us.map(|us| format!("_ts >= make_timestamp({us})"));
    let in_time = horizon.unwrap_or_else(|| "true".into());
    let is_usable = format!("{IS_CHANGE} and {in_time} and (_op = 't' or not ({null}))");
    let toastable = toastable(config, table);
    let has_placeholder = |(index, placeholder): &(usize, String)| {
        let name = table.columns.get(*index).map(|column| quote(&column.name)).unwrap_or_default();
        format!(", coalesce(bool_or({name} = {placeholder}), false)")
    };
    let placeholders: String = toastable.iter().map(has_placeholder).collect();
    let changes = quote(&table.changes());
    let (first_obj, run_id) = (first_obj.to_string(), batch.run.id.to_string());
    let values = [
        ("changes", changes.as_str()),
        ("tbl", &literal(&table.name)),
        ("is_change", IS_CHANGE),
        ("in_time", &in_time),
        ("is_usable", &is_usable),
        ("placeholders", &placeholders),
        ("first_obj", &first_obj),
        ("run_id", &run_id),
    ];
    let facts = batch.inspection.facts.iter();
    let tombstones: u64 = facts.clone().map(|facts| facts.tombstones).sum();
    let mut found = NewRows::default();
    found.counts.rows = facts.map(|facts| facts.rows).sum();
    found.counts.ignored = tombstones;
    let pass = render(include_str!("sql/new_rows.sql"), &values);
    let mut toasted: Vec<bool> = Vec::new();
    loop {
        let unusable: u64 = connection.query_row(&pass, [], |row| {
            found.counts.truncates = row.get(1)?;
            found.end_snapshot = row.get(2)?;
            found.have_reads = row.get(3)?;
            toasted = (0..toastable.len()).map(|i| row.get(4 + i)).collect::<Result<_, _>>()?;
            row.get(0)
        })?;
        if unusable == 0 {
            break;
        }
        let run = |template| connection.execute(&render(template, &values), []);
        let rejects = run(include_str!("sql/reject.sql"))? as u64;
        run(include_str!("sql/drop_unusable.sql"))?;
        found.counts.rejects += rejects;
        found.counts.ignored += unusable.saturating_sub(rejects);
    }
    for ((index, _), is_toasted) in toastable.iter().zip(toasted) {
        if let Some(column) = table.columns.get_mut(*index) {
            column.toast |= is_toasted;
        }
    }
    Ok(found)
}

/// The columns in which no placeholder was seen yet, though one could be, each with its placeholder.
fn toastable(config: &Config, table: &Table) -> Vec<(usize, String)> {
    let of = &config.unavailable_value_placeholder;
    let columns = table.columns.iter().enumerate().filter(|(_, column)| !column.toast);
    columns
        .filter_map(|(index, column)| Some((index, scd2::placeholder_of(&column.type_name, of)?)))
        .collect()
}
