//! Reads the schemas and footers of staged files and groups the files that can be read as one.
//!
//! Files of different schemas are never read together: DuckDB would take the first file's columns, or
//! unite types with loss.

use std::collections::{BTreeMap, HashMap};

use duckdb::Connection;
use serde_json::Value;

use crate::avro;
use crate::config::Config;
use crate::error::Error;
use crate::layout::Format;
use crate::logical;
use crate::shape::{self, Field, Kind, Shape};
use crate::source::Staged;
use crate::sql::{literal, quote, render};

/// Files of one schema.
#[derive(Debug)]
pub(crate) struct Group {
    /// Yields the files' columns with `_file` and `file_row_number`; known as `f` to the shape's expressions.
    pub(crate) relation: String,
    pub(crate) shape: Shape,
    pub(crate) files: Vec<usize>,
}

impl Group {
    /// Only an envelope can be without any column of the table.
    pub(crate) fn has_truncates_only(&self) -> bool {
        self.shape.kind == Kind::Envelope && self.shape.payload.is_empty()
    }
}

/// What is known of one file beside its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) rows: u64,
    /// Rows that are no change at all (null values).
    pub(crate) tombstones: u64,
    pub(crate) first_offset: Option<u64>,
    pub(crate) last_offset: Option<u64>,
    pub(crate) last_timestamp_ms: Option<i64>,
    /// Of each row, or empty.
    pub(crate) timestamps_ms: Vec<i64>,
    pub(crate) key_fields: Option<Vec<String>>,
}

impl Facts {
    /// Whether row *i* has offset *first + i*.
    pub(crate) fn offsets_are_exact(&self) -> bool {
        match (self.first_offset, self.last_offset) {
            (Some(first), Some(last)) => {
                last.checked_sub(first).and_then(|gap| gap.checked_add(1)) == Some(self.rows)
            }
            _ => false,
        }
    }
}

/// The result of looking into a batch of files; indices are those of the batch.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    pub(crate) groups: Vec<Group>,
    pub(crate) facts: Vec<Facts>,
}

pub(crate) fn inspect(
    connection: &Connection,
    config: &Config,
    topic: &str,
    files: &[Staged],
) -> Result<Inspection, Error> {
    let mut inspection =
        Inspection { groups: Vec::new(), facts: vec![Facts::default(); files.len()] };
    // Avro files were written anew as Parquet when they were staged.
    let (json, parquet): (Vec<_>, Vec<_>) =
        files.iter().enumerate().partition(|(_, file)| file.object.name.format == Format::Json);
    if !parquet.is_empty() {
        inspect_parquet(connection, config, &parquet, &mut inspection)?;
    }
    for (index, file) in json {
        inspect_json(connection, config, index, file, &mut inspection)?;
    }
    if let Some(types) = config.tables.get(topic).map(|table| &table.types) {
        let fields = inspection.groups.iter_mut().flat_map(|group| &mut group.shape.payload);
        for field in fields {
            let declared = types.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name));
            if let Some((_, declared)) = declared {
                *field = declare(connection, field, declared)?;
            }
        }
    }
    Ok(inspection)
}

/// The field as the type that its table's configuration gives it.
fn declare(connection: &Connection, field: &Field, declared: &str) -> Result<Field, Error> {
    let declared_field = logical::declared(field, declared);
    // DuckDB's own spelling: types are compared as text.
    let statement = format!("select typeof(cast(null as {}))", declared_field.type_name);
    let type_name = connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| {
        let reason = format!("type \"{declared}\" of column {}: {error}", field.name);
        Error::Config(reason)
    })?;
    Ok(Field { type_name, ..declared_field })
}

/// The columns of a file of keys, if it has any.
pub(crate) fn key_columns(
    connection: &Connection,
    file: &Staged,
) -> Result<Option<Vec<String>>, Error> {
    let path = path_literal(file);
    let fields = if file.object.name.format == Format::Json {
        let statement = render(include_str!("sql/json_facts.sql"), &[("file", &path)]);
        let structure: Option<String> = connection.query_row(&statement, [], |row| row.get(2))?;
        let structure = structure.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let fields = structure.map(|structure| json_fields("f.json", &structure));
        let fields = fields.unwrap_or_default();
        json_payload(&fields).unwrap_or(fields)
    } else {
        let relation = render(include_str!("sql/parquet_rows.sql"), &[("files", &path)]);
        parquet_fields(connection, &relation, &BTreeMap::new())?
    };
    let names: Vec<String> = fields.into_iter().map(|field| field.name).collect();
    // A key that is no struct has no columns of its own, only the name that the format gives it.
    let is_plain = matches!(names.as_slice(), [only] if only == "value" || only == "key");
    Ok(Some(names).filter(|names| !names.is_empty() && !is_plain))
}

/// How DuckDB is told of a file.
pub(crate) fn path_literal(file: &Staged) -> String {
    literal(&file.path.to_string_lossy())
}

fn inspect_parquet(
    connection: &Connection,
    config: &Config,
    files: &[(usize, &Staged)],
    inspection: &mut Inspection,
) -> Result<(), Error> {
    let list = files.iter().map(|(_, file)| path_literal(file)).collect::<Vec<_>>().join(", ");
    let by_path: HashMap<String, usize> = files
        .iter()
        .map(|(index, file)| (file.path.to_string_lossy().into_owned(), *index))
        .collect();
    let mut schemas: BTreeMap<usize, String> = BTreeMap::new();
    let mut avro_schemas: BTreeMap<usize, String> = BTreeMap::new();

    let mut statement =
        connection.prepare(&render(include_str!("sql/parquet_facts.sql"), &[("files", &list)]))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(index) = by_path.get(&row.get::<_, String>(0)?) else { continue };
        let Some(facts) = inspection.facts.get_mut(*index) else { continue };
        facts.rows = row.get(1)?;
        schemas.insert(*index, row.get(2)?);
        if let Some(entries) = row.get::<_, Option<String>>(3)? {
            footer(&entries, facts, |schema| {
                avro_schemas.insert(*index, schema);
            });
        }
    }
    let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (index, _) in files {
        let key = |of: &BTreeMap<usize, String>| of.get(index).cloned().unwrap_or_default();
        groups.entry((key(&schemas), key(&avro_schemas))).or_default().push(*index);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // In the order of their first files, so that new columns come in the order of the changes.
    groups.sort_by_key(|(_, files)| files.first().copied());
    let paths: HashMap<usize, String> =
        files.iter().map(|(index, file)| (*index, path_literal(file))).collect();
    for ((_, avro_schema), members) in groups {
        let list: Vec<_> = members.iter().filter_map(|index| paths.get(index)).cloned().collect();
        let relation = render(include_str!("sql/parquet_rows.sql"), &[("files", &list.join(", "))]);
        let fields = parquet_fields(connection, &relation, &avro::connect_names(&avro_schema))?;
        let shape = shape::detect(
            &fields,
            &config.add_fields_prefix,
            &config.unavailable_value_placeholder,
        );
        inspection.groups.push(Group { relation, shape, files: members });
    }
    Ok(())
}

/// Takes what we and the original write into a Parquet footer.
fn footer(entries: &str, facts: &mut Facts, mut avro_schema: impl FnMut(String)) {
    let Ok(Value::Object(entries)) = serde_json::from_str(entries) else { return };
    for (key, value) in entries {
        let Value::String(value) = value else { continue };
        match key.as_str() {
            "cdc.first_offset" => facts.first_offset = value.parse().ok(),
            "cdc.last_offset" => facts.last_offset = value.parse().ok(),
            "cdc.last_timestamp_ms" => facts.last_timestamp_ms = value.parse().ok(),
            "cdc.timestamps_ms" => {
                let of_rows = timestamps(&value).unwrap_or_default();
                if of_rows.len() as u64 == facts.rows {
                    facts.timestamps_ms = of_rows;
                }
            }
            "cdc.key_fields" => facts.key_fields = serde_json::from_str(&value).ok(),
            "parquet.avro.schema" => avro_schema(value),
            _ => {}
        }
    }
}

/// The records' timestamps: the first one, then each one's difference to the one before it.
fn timestamps(text: &str) -> Option<Vec<i64>> {
    let mut timestamp = 0_i64;
    let mut next = |difference: &str| {
        timestamp = timestamp.checked_add(difference.parse().ok()?)?;
        Some(timestamp)
    };
    text.split(',').map(&mut next).collect()
}

fn parquet_fields(
    connection: &Connection,
    relation: &str,
    connect: &BTreeMap<String, String>,
) -> Result<Vec<Field>, Error> {
    let mut fields = describe(connection, relation, "f", "*", connect)?;
    // What `parquet_rows.sql` adds.
    fields.retain(|field| !matches!(field.name.as_str(), "_file" | "file_row_number"));
    for field in &mut fields {
        let nested = matches!(field.name.as_str(), "before" | "after" | "source");
        if nested && field.type_name.starts_with("STRUCT(") {
            let all = format!("unnest({})", field.expr);
            field.children = describe(connection, relation, &field.expr, &all, connect)?;
        }
    }
    Ok(fields)
}

/// The columns of `select {columns}`, each of which is `{parent}."name"`.
fn describe(
    connection: &Connection,
    relation: &str,
    parent: &str,
    columns: &str,
    connect: &BTreeMap<String, String>,
) -> Result<Vec<Field>, Error> {
    let mut statement =
        connection.prepare(&format!("describe select {columns} from {relation} f"))?;
    let fields = statement.query_map([], |row| {
        let name: String = row.get(0)?;
        Ok(Field {
            expr: format!("{parent}.{}", quote(&name)),
            type_name: row.get(1)?,
            connect: connect.get(&name).cloned(),
            children: Vec::new(),
            name,
        })
    })?;
    Ok(fields.collect::<Result<_, _>>()?)
}

fn inspect_json(
    connection: &Connection,
    config: &Config,
    index: usize,
    file: &Staged,
    inspection: &mut Inspection,
) -> Result<(), Error> {
    let path = path_literal(file);
    let statement = render(include_str!("sql/json_facts.sql"), &[("file", &path)]);
    let (rows, tombstones, structure): (u64, u64, Option<String>) =
        connection.query_row(&statement, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if let Some(facts) = inspection.facts.get_mut(index) {
        (facts.rows, facts.tombstones) = (rows, tombstones);
    }
    let Some(Ok(structure)) = structure.map(|text| serde_json::from_str::<Value>(&text)) else {
        return Ok(());
    };
    let mut fields = json_fields("f.json", &structure);
    if let Some(payload) = json_payload(&fields) {
        fields = payload;
    }
    let relation = render(include_str!("sql/json_rows.sql"), &[("file", &path)]);
    let shape =
        shape::detect(&fields, &config.add_fields_prefix, &config.unavailable_value_placeholder);
    inspection.groups.push(Group { relation, shape, files: vec![index] });
    Ok(())
}

/// The inner document of `{"schema": …, "payload": …}`.
fn json_payload(fields: &[Field]) -> Option<Vec<Field>> {
    match fields {
        [a, b] if a.name == "schema" && b.name == "payload" && !b.children.is_empty() => {
            Some(b.children.clone())
        }
        _ => None,
    }
}

/// Fields of documents of this structure (`json_group_structure`).
fn json_fields(parent: &str, structure: &Value) -> Vec<Field> {
    let Value::Object(members) = structure else { return Vec::new() };
    let mut fields = Vec::new();
    for (name, structure) in members {
        let key = if name.starts_with(['$', '/']) {
            literal(&format!("$.\"{name}\""))
        } else {
            literal(name)
        };
        let document = format!("({parent} -> {key})");
        let text = format!("({parent} ->> {key})");
        let (type_name, expr) = match structure.as_str() {
            Some("NULL") => (shape::NULL, "null".into()),
            Some("BIGINT" | "UBIGINT") => ("BIGINT", format!("cast({text} as bigint)")),
            Some("HUGEINT" | "UHUGEINT") => ("HUGEINT", format!("cast({text} as hugeint)")),
            Some("DOUBLE") => ("DOUBLE", format!("cast({text} as double)")),
            Some("BOOLEAN") => ("BOOLEAN", format!("cast({text} as boolean)")),
            Some(_) => ("VARCHAR", text),
            None => ("JSON", document.clone()),
        };
        fields.push(Field {
            name: name.clone(),
            expr,
            type_name: type_name.into(),
            connect: None,
            children: json_fields(&document, structure),
        });
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_exact_only_without_gaps() {
        let facts = |first, last, rows| Facts {
            rows,
            first_offset: first,
            last_offset: last,
            ..Facts::default()
        };
        for (name, facts, expected) in [
            ("none", facts(None, None, 0), false),
            ("exact", facts(Some(10), Some(12), 3), true),
            ("a gap", facts(Some(10), Some(13), 3), false),
            ("backwards", facts(Some(10), Some(9), 0), false),
            ("the whole range", facts(Some(0), Some(u64::MAX), 0), false),
        ] {
            assert_eq!(facts.offsets_are_exact(), expected, "{name}");
        }
    }

    #[test]
    fn footers_with_nonsense_are_as_good_as_none() {
        let mut facts = Facts::default();
        footer("[]", &mut facts, |_| {});
        footer(
            r#"{"cdc.first_offset": "x", "cdc.key_fields": "{", "other": 1}"#,
            &mut facts,
            |_| {},
        );
        assert_eq!(facts, Facts::default());
        facts.rows = 3;
        for wrong in ["1,2", "1,2,x", "9223372036854775807,1,1"] {
            footer(&format!(r#"{{"cdc.timestamps_ms": "{wrong}"}}"#), &mut facts, |_| {});
            assert_eq!(facts.timestamps_ms, Vec::<i64>::new(), "{wrong}");
        }
        footer(r#"{"cdc.timestamps_ms": "1700000000000,0,-5"}"#, &mut facts, |_| {});
        assert_eq!(facts.timestamps_ms, [1_700_000_000_000, 1_700_000_000_000, 1_699_999_999_995]);
        footer(r#"{"cdc.first_offset": "5", "cdc.key_fields": "[\"id\"]"}"#, &mut facts, |_| {});
        assert_eq!(facts.first_offset, Some(5));
        assert_eq!(facts.key_fields, Some(vec!["id".into()]));
    }
}
