//! A table as the rows that are read now have it: what each column of the wire becomes, and the plans
//! of its records. Made once per Relation message or snapshot of the table, never per row.

use std::collections::HashSet;
use std::sync::Arc;

use crate::connector::postgres::client::{CatalogTable, Types};
use crate::connector::postgres::codec::Codec;
use crate::connector::postgres::column_mapper::{Mapper, TextMapper, is_text};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::default_value;
use crate::connector::postgres::envelope::{Plans, ReadPlans, ReadPoint};
use crate::connector::postgres::names;
use crate::connector::postgres::pgoutput::{Datum, DecodeError, RelationMessage, Tuple};
use crate::connector::postgres::source_type::SourceColumn;
use crate::connector::postgres::type_mapping::{PgKind, PgType, Phase, TypeTable, unavailable};
use crate::data::{Cell, RecordBatch, Schema, Value};
use crate::error::ConnectError;

/// A table's columns before they are mapped.
#[derive(Debug, Clone)]
pub(super) struct TableShape {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) columns: Vec<ColumnShape>,
    /// The names of the key's columns, in key order.
    pub(super) key: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct ColumnShape {
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
    /// Part of the replica identity.
    pub(super) identity: bool,
    pub(super) not_null: bool,
    pub(super) default: Option<String>,
}

/// A table whose rows can be read.
#[derive(Debug)]
pub(super) struct Relation {
    /// `schema.table`.
    pub(super) name: String,
    pub(super) topic: Arc<str>,
    /// By position on the wire; `None` is neither in the value nor in the key.
    columns: Vec<Option<Column>>,
    /// Positions of the key's columns.
    pub(super) key: Vec<usize>,
    /// How many cells a row takes.
    pub(super) cells: usize,
    fail_on_bad_value: bool,
    /// The cells, and the names, of NOT NULL columns whose values may have no form in their schema.
    strict: Vec<(usize, String)>,
}

/// What a column becomes.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) field: String,
    /// In values.
    pub(super) schema: Arc<Schema>,
    /// In keys, which mappers leave alone.
    pub(super) key_schema: Arc<Schema>,
    /// What stands in every value, whatever the column holds.
    pub(super) mask: Option<Value>,
    pub(super) codec: Codec,
    pub(super) identity: bool,
    /// The column filter may keep a key column out of the value.
    pub(super) in_value: bool,
    /// Its first cell, counted from the row's first.
    pub(super) cell: usize,
    /// What stands for a TOASTed value that was not sent.
    pub(super) unchanged: Value,
}

/// Why a row cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("a row of {table} has {found} columns where its relation has {expected}")]
    ColumnCount { table: String, found: usize, expected: usize },
    #[error("column {column} of {table} has a value that is not of its type")]
    Value { table: String, column: String },
}

impl TableShape {
    /// From a Relation message, completed by the catalog as it is now.
    pub(super) fn streamed(message: &RelationMessage<'_>, catalog: CatalogTable) -> Self {
        let column = |column: &crate::connector::postgres::pgoutput::RelationColumn<'_>| {
            let known = catalog.columns.iter().find(|known| known.name == column.name);
            ColumnShape {
                name: column.name.to_owned(),
                type_oid: column.type_oid,
                modifier: column.modifier,
                identity: column.identity,
                not_null: known.is_some_and(|known| known.not_null),
                default: known.and_then(|known| known.default.clone()),
            }
        };
        Self {
            schema: message.schema.to_owned(),
            table: message.table.to_owned(),
            columns: message.columns.iter().map(column).collect(),
            key: catalog.key,
        }
    }

    /// From the catalog alone.
    pub(super) fn read(schema: &str, table: &str, catalog: CatalogTable) -> Self {
        let columns = catalog.columns.into_iter().map(|column| ColumnShape {
            name: column.name,
            type_oid: column.type_oid,
            modifier: column.modifier,
            identity: false,
            not_null: column.not_null,
            default: column.default,
        });
        Self {
            schema: schema.to_owned(),
            table: table.to_owned(),
            columns: columns.collect(),
            key: catalog.key,
        }
    }

    /// The object ids of the columns' types.
    pub(super) fn type_oids(&self) -> Vec<u32> {
        self.columns.iter().map(|column| column.type_oid).collect()
    }

    /// The names of the columns that make the key of records.
    pub(super) fn key_names(&self, config: &PostgresConfig) -> Vec<String> {
        let name = |position: usize| Some(self.columns.get(position)?.name.clone());
        self.key_positions(config).into_iter().filter_map(name).collect()
    }

    fn key_positions(&self, config: &PostgresConfig) -> Vec<usize> {
        let id = format!("{}.{}", self.schema, self.table);
        let position = |name: &String| self.columns.iter().position(|column| column.name == *name);
        let mapped: Vec<_> = config
            .key_columns
            .iter()
            .filter(|(table, _)| table.matches(&id))
            .flat_map(|(_, names)| {
                // Per entry of the property, in the table's order.
                let mut positions: Vec<_> = names.iter().filter_map(position).collect();
                positions.sort_unstable();
                positions
            })
            .collect();
        if mapped.is_empty() { self.key.iter().filter_map(position).collect() } else { mapped }
    }

    fn reject_case_duplicates(&self) -> Result<(), ConnectError> {
        let mut seen = HashSet::new();
        match self.columns.iter().find(|column| !seen.insert(column.name.to_lowercase())) {
            None => Ok(()),
            Some(column) => Err(ConnectError::fatal(format!(
                "Table '{}.{}' has columns that differ only by case. Column name: '{}'. Debezium \
                 does not support case-sensitive duplicate column names as this causes data \
                 corruption. Please rename one of the duplicate columns before running Debezium.",
                self.schema, self.table, column.name
            ))),
        }
    }
}

impl Relation {
    /// A table whose changes are streamed.
    pub(super) fn streamed(
        shape: &TableShape,
        types: &Types,
        config: &PostgresConfig,
    ) -> Result<(Self, Plans), ConnectError> {
        let relation = Self::mapped(shape, types, config, Phase::Stream)?;
        let plans = Plans::new(&relation, shape, config);
        Ok((relation, plans))
    }

    /// A table whose rows are read as of `point`.
    pub(super) fn read(
        shape: &TableShape,
        types: &Types,
        config: &PostgresConfig,
        point: ReadPoint,
    ) -> Result<(Self, ReadPlans), ConnectError> {
        let relation = Self::mapped(shape, types, config, Phase::Snapshot)?;
        let plans = ReadPlans::new(&relation, shape, config, point);
        Ok((relation, plans))
    }

    /// A table whose rows are read beside the stream.
    pub(super) fn incremental(
        shape: &TableShape,
        types: &Types,
        config: &PostgresConfig,
    ) -> Result<Self, ConnectError> {
        Self::mapped(shape, types, config, Phase::Snapshot)
    }

    fn mapped(
        shape: &TableShape,
        types: &Types,
        config: &PostgresConfig,
        phase: Phase,
    ) -> Result<Self, ConnectError> {
        shape.reject_case_duplicates()?;
        let key = shape.key_positions(config);
        let table = TypeTable { modes: &config.types, phase };
        let (schema, name) = (&shape.schema, &shape.table);
        let filtered_out =
            |column: &&ColumnShape| !config.filters.has_column(schema, name, &column.name);
        // All columns stay when the filter would remove every one.
        let none_left = shape.columns.iter().filter(filtered_out).count() == shape.columns.len();
        let (mut cells, mut strict) = (0, Vec::new());
        let mut columns = Vec::with_capacity(shape.columns.len());
        for (position, column) in shape.columns.iter().enumerate() {
            let in_value = none_left || !filtered_out(&column);
            if !in_value && !key.contains(&position) {
                columns.push(None);
                continue;
            }
            let ty = types.get(&column.type_oid);
            let Some(mapping) = ty.and_then(|ty| table.map(ty, column.modifier)) else {
                let type_name = ty.map_or("unknown", |ty| ty.name.as_str());
                warn_left_out(shape, column, type_name);
                columns.push(None);
                continue;
            };
            let optional = mapping.schema.with_optional(!column.not_null);
            let type_name = ty.map_or("", |ty| ty.name.as_str());
            let bare = optional.clone().build();
            let schema = match default_of(column, ty, &mapping.codec, &bare) {
                Some(value) => optional.default_value(value).build(),
                None => bare,
            };
            let mapper = config.mappers.of(&shape.schema, &shape.table, &column.name, type_name);
            let source = ty.map(|ty| SourceColumn {
                name: &column.name,
                ty,
                modifier: column.modifier,
                default: column.default.as_deref(),
                phase,
            });
            let mapped = Mapped::new(mapper, source, schema, mapping.codec);
            let unchanged = unavailable(&mapped.codec, &mapped.schema, &config.types.placeholder);
            let cell = cells;
            cells += mapped.codec.cells();
            if is_strict(column, &mapped) {
                strict.push((cell, column.name.clone()));
            }
            columns.push(Some(Column {
                field: names::field_name(config.names.fields, &column.name),
                schema: mapped.schema,
                key_schema: mapped.key_schema,
                mask: mapped.mask,
                codec: mapped.codec,
                identity: column.identity,
                in_value,
                cell,
                unchanged,
            }));
        }
        let key =
            key.into_iter().filter(|at| columns.get(*at).is_some_and(Option::is_some)).collect();
        Ok(Self {
            name: format!("{schema}.{name}"),
            topic: names::topic(config, schema, name).into(),
            columns,
            key,
            cells,
            fail_on_bad_value: config.fail_on_bad_value,
            strict,
        })
    }

    /// The NOT NULL column whose value has no form in its schema, in the cells of a new row.
    pub(super) fn unshowable(&self, row: &[Cell]) -> Option<&str> {
        let shown = |at: &usize| !matches!(row.get(*at), Some(Cell::Null));
        self.strict.iter().find(|(at, _)| !shown(at)).map(|(_, name)| name.as_str())
    }

    /// The columns of records.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().flatten()
    }

    /// The column at `position` of the wire.
    pub(super) fn column(&self, position: usize) -> Option<&Column> {
        self.columns.get(position)?.as_ref()
    }

    /// Whether an update changes the key. A value that was not sent is unchanged.
    pub(super) fn key_changed(&self, old: Tuple<'_>, new: Tuple<'_>) -> Result<bool, DecodeError> {
        for (position, (old, new)) in old.columns().zip(new.columns()).enumerate() {
            let (old, new) = (old?, new?);
            if !self.key.contains(&position) {
                continue;
            }
            let changed = match (old, new) {
                (Datum::Text { text: old, .. }, Datum::Text { text: new, .. }) => old != new,
                (Datum::Null, Datum::Text { .. }) => {
                    self.column(position).is_some_and(|column| column.identity)
                }
                (Datum::Text { .. }, Datum::Null) => true,
                _ => false,
            };
            if changed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether two whole rows are equal in what records show of them.
    pub(super) fn unchanged(&self, old: Tuple<'_>, new: Tuple<'_>) -> Result<bool, DecodeError> {
        for ((old, new), column) in old.columns().zip(new.columns()).zip(&self.columns) {
            let equal = match (old?, new?) {
                (Datum::Text { text: old, .. }, Datum::Text { text: new, .. }) => old == new,
                (Datum::Null, Datum::Null) | (_, Datum::Unchanged) => true,
                _ => false,
            };
            if !equal && column.as_ref().is_some_and(|column| column.in_value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends the cells of a row of the stream. Where `old` is the first cell of the old row, it has
    /// what this one leaves unchanged.
    pub(super) fn push_tuple(
        &self,
        tuple: Tuple<'_>,
        old: Option<usize>,
        out: &mut RecordBatch,
    ) -> Result<(), RowError> {
        self.expect_columns(tuple.len())?;
        for (datum, column) in tuple.columns().zip(&self.columns) {
            let datum = datum?;
            let Some(column) = column else { continue };
            match datum {
                Datum::Text { off, text } => {
                    if column.codec.push_wire(&column.schema, text, off, out).is_none() {
                        self.push_bad_value(column, out)?;
                    }
                }
                Datum::Null => column.codec.push_null(&mut out.cells),
                Datum::Unchanged => match old {
                    Some(old) => {
                        let first = old + column.cell;
                        out.cells.extend_from_within(first..first + column.codec.cells());
                    }
                    None if column.unchanged.is_null() => column.codec.push_null(&mut out.cells),
                    None => {
                        out.cells.extend(std::iter::repeat_n(Cell::Unchanged, column.codec.cells()))
                    }
                },
            }
        }
        Ok(())
    }

    /// Appends the cells of a line of COPY text, which stands at `off` of the wire.
    pub(super) fn push_line(
        &self,
        line: &[u8],
        off: usize,
        out: &mut RecordBatch,
    ) -> Result<(), RowError> {
        let escaped = memchr::memchr(b'\\', line).is_some();
        self.push_fields(line, Some(off), escaped, out)
    }

    /// Appends the cells of a line of COPY text that is not part of the wire.
    pub(super) fn push_copied_line(
        &self,
        line: &[u8],
        out: &mut RecordBatch,
    ) -> Result<(), RowError> {
        self.push_fields(line, None, true, out)
    }

    fn push_fields(
        &self,
        line: &[u8],
        off: Option<usize>,
        escaped: bool,
        out: &mut RecordBatch,
    ) -> Result<(), RowError> {
        let mut rest = Some(line);
        let mut at = off.unwrap_or_default();
        for column in &self.columns {
            let Some(text) = rest else { return Err(self.count_error(0)) };
            let end = memchr::memchr(b'\t', text).unwrap_or(text.len());
            let (field, after) = text.split_at(end);
            rest = after.split_first().map(|(_, after)| after);
            let start = at;
            at += end + 1;
            let Some(column) = column else { continue };
            if field == b"\\N" {
                column.codec.push_null(&mut out.cells);
                continue;
            }
            let pushed = if off.is_none() || escaped && memchr::memchr(b'\\', field).is_some() {
                column.codec.push_copied(&column.schema, &unescape(field), out)
            } else {
                let off = u32::try_from(start).map_err(|_| DecodeError::Short(start))?;
                column.codec.push_wire(&column.schema, field, off, out)
            };
            if pushed.is_none() {
                self.push_bad_value(column, out)?;
            }
        }
        Ok(())
    }

    fn expect_columns(&self, found: usize) -> Result<(), RowError> {
        if found == self.columns.len() { Ok(()) } else { Err(self.count_error(found)) }
    }

    fn count_error(&self, found: usize) -> RowError {
        RowError::ColumnCount { table: self.name.clone(), found, expected: self.columns.len() }
    }

    fn push_bad_value(&self, column: &Column, out: &mut RecordBatch) -> Result<(), RowError> {
        if self.fail_on_bad_value {
            let (table, column) = (self.name.clone(), column.field.clone());
            return Err(RowError::Value { table, column });
        }
        tracing::warn!(
            table = self.name,
            column = column.field,
            "a value is not of its column's type and becomes null"
        );
        column.codec.push_null(&mut out.cells);
        Ok(())
    }
}

/// Whether a column is never null, and its values may have no form in its schema.
fn is_strict(column: &ColumnShape, mapped: &Mapped) -> bool {
    let partial = matches!(
        mapped.codec,
        Codec::Decimal { .. } | Codec::VariableDecimal | Codec::Timestamp(_)
    );
    partial && column.not_null && mapped.schema.default_value().is_none()
}

/// The default that the schema of a column shows.
fn default_of(
    column: &ColumnShape,
    ty: Option<&Arc<PgType>>,
    codec: &Codec,
    schema: &Arc<Schema>,
) -> Option<Value> {
    // Of a domain's column the original shows none.
    let ty = ty.filter(|ty| !matches!(ty.kind, PgKind::Domain(..)))?;
    default_value::parse(column.default.as_deref()?, &ty.name, codec, schema)
}

fn warn_left_out(shape: &TableShape, column: &ColumnShape, type_name: &str) {
    tracing::warn!(
        table = format!("{}.{}", shape.schema, shape.table),
        column = column.name,
        r#type = type_name,
        "no conversion for the type of a column, which will not be part of records; \
         include.unknown.datatypes=true would include it"
    );
}

/// A column under its mapper.
struct Mapped {
    schema: Arc<Schema>,
    key_schema: Arc<Schema>,
    mask: Option<Value>,
    codec: Codec,
}

impl Mapped {
    fn new(
        mapper: Option<&Mapper>,
        source: Option<SourceColumn<'_>>,
        schema: Arc<Schema>,
        codec: Codec,
    ) -> Self {
        let key_schema = schema.clone();
        let (Some(mapper), Some(source)) = (mapper, source) else {
            return Self { schema, key_schema, mask: None, codec };
        };
        let text = is_text(&source.ty.name);
        let marked = |key: &str, value: String| schema.to_builder().parameter(key, value).build();
        let masked = || marked("masked", "true".to_owned());
        match mapper {
            Mapper::DescribeSource => Self {
                schema: source.describe(schema.to_builder()).build(),
                key_schema,
                mask: None,
                codec,
            },
            Mapper::Truncate(chars) => Self {
                schema: marked("truncateLength", chars.to_string()),
                key_schema,
                mask: None,
                codec: if text { Codec::Mapped(TextMapper::Truncate(*chars)) } else { codec },
            },
            Mapper::Mask(count) => Self {
                schema: masked(),
                key_schema,
                mask: text.then(|| Value::string("*".repeat(*count))),
                codec,
            },
            Mapper::Digest(digest) => Self {
                schema: masked(),
                key_schema,
                mask: None,
                codec: match text {
                    true => Codec::Mapped(TextMapper::Digest(digest.clone(), source.length())),
                    false => codec,
                },
            },
        }
    }
}

/// The fields of a line of COPY text.
pub(super) fn copy_fields(line: &[u8]) -> impl Iterator<Item = Option<Vec<u8>>> {
    line.split(|byte| *byte == b'\t').map(|field| match field {
        b"\\N" => None,
        field => Some(unescape(field)),
    })
}

/// The text behind COPY's backslashes (PostgreSQL, COPY, "Text Format").
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            text.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => text.push(8),
            Some(b'f') => text.push(12),
            Some(b'n') => text.push(b'\n'),
            Some(b'r') => text.push(b'\r'),
            Some(b't') => text.push(b'\t'),
            Some(b'v') => text.push(11),
            Some(other) => text.push(*other),
            None => text.push(b'\\'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_text_is_unescaped() {
        for (field, expected) in [
            ("plain", "plain"),
            (r"a\tb\nc", "a\tb\nc"),
            (r"back\\slash", r"back\slash"),
            (r"\b\f\r\v", "\u{8}\u{c}\r\u{b}"),
        ] {
            assert_eq!(unescape(field.as_bytes()), expected.as_bytes(), "{field}");
        }
    }
}
