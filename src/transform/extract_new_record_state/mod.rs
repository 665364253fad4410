//! `io.debezium.transforms.ExtractNewRecordState`: the row instead of the change event.
//!
//! Deletes: the older pair of options (Debezium up to 3.1) and the newer single one are both
//! understood; see [`config_def`]. Where no option says anything, deletes and tombstones are
//! dropped, as Debezium did up to 3.1.

pub(super) mod config;
pub(super) mod recipe;

use std::sync::Arc;

pub use self::config::config_def;
use self::config::{DeletedPlace, OnDelete, Settings};
use self::recipe::{Image, Place, Recipe, is_kept};
use super::envelope::{is_envelope, not_a_field};
use super::rebuild::{Fields, MadeOnce, basics, or_default};
use super::{Keep, Planned, Transformation};
use crate::config::Props;
use crate::data::{
    Header, Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Struct,
    Type, Value,
};
use crate::error::ConnectError;

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(ExtractNewRecordState {
        settings: Settings::new(props)?,
        recipes: MadeOnce::new(),
        keys: MadeOnce::new(),
    }))
}

#[derive(Debug)]
struct ExtractNewRecordState {
    settings: Settings,
    recipes: MadeOnce<(Image, Vec<String>), Recipe>,
    /// Key schemas without dropped columns, and the columns that stay.
    keys: MadeOnce<Vec<String>, (Arc<Schema>, Vec<usize>)>,
}

impl Transformation for ExtractNewRecordState {
    fn plan(&self, input: &RowPlan) -> Planned {
        self.planned(input).unwrap_or(Planned::PerRecord)
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        if record.value.value.is_null() {
            return Ok(self.tombstone(record));
        }
        let (Some(schema), Value::Struct(envelope)) = (&record.value.schema, &record.value.value)
        else {
            return Ok(Keep::Record);
        };
        if !is_envelope(schema) {
            return Ok(Keep::Record);
        }
        if !Arc::ptr_eq(schema, envelope.schema()) && schema != envelope.schema() {
            return Err(ConnectError::data("Mismatching schema."));
        }
        let (image, row) = match (row(envelope, Image::After)?, row(envelope, Image::Before)?) {
            (Some(after), _) => (Image::After, after),
            (None, Some(before)) => (Image::Before, before),
            // A truncate, or a delete whose table has no replica identity.
            (None, None) => return Ok(Keep::Drop),
        };
        let dropped = self.dropped_fields(record)?;
        let value = match (image, self.settings.on_delete) {
            (Image::Before, OnDelete::Drop) => return Ok(Keep::Drop),
            (Image::Before, OnDelete::NullWithoutSchema) => SchemaAndValue::NULL,
            (Image::Before, OnDelete::NullWithSchema) => {
                SchemaAndValue { schema: row_schema(schema), value: Value::Null }
            }
            _ => {
                let settings = &self.settings;
                let recipe =
                    self.recipes.get(schema, (image, dropped.clone()), |(image, dropped)| {
                        Recipe::new(settings, schema, *image, dropped)
                    })?;
                let value = recipe.row(envelope, row);
                SchemaAndValue { schema: Some(recipe.schema.clone()), value }
            }
        };
        let topic = self.route(image, row)?;
        let headers = self.headers(schema, envelope)?;
        let key = self.key(&record.key, dropped)?;
        record.value = value;
        record.headers.extend(headers);
        if let Some(topic) = topic {
            record.topic = topic;
        }
        if let Some(key) = key {
            record.key = key;
        }
        Ok(Keep::Record)
    }
}

fn row_schema(envelope: &Schema) -> Option<Arc<Schema>> {
    envelope.field(Image::After.field()).map(|(_, field)| field.schema.clone())
}

fn row(envelope: &Struct, image: Image) -> Result<Option<&Struct>, ConnectError> {
    let name = image.field();
    let (_, field) = envelope.schema().field(name).ok_or_else(|| not_a_field(name))?;
    match envelope.get(name).unwrap_or(&Value::Null) {
        Value::Null => Ok(None),
        Value::Struct(row) if Arc::ptr_eq(row.schema(), &field.schema) => Ok(Some(row)),
        Value::Struct(row) if *row.schema() == field.schema => Ok(Some(row)),
        Value::Struct(_) => Err(ConnectError::data("Struct schemas do not match.")),
        other => {
            let class = other.java_class();
            Err(ConnectError::data(format!(
                "Only Struct objects supported for [{name}], found: {class}"
            )))
        }
    }
}

impl ExtractNewRecordState {
    fn tombstone(&self, record: &mut Record) -> Keep {
        if self.settings.drop_tombstones {
            return Keep::Drop;
        }
        let op = self.settings.add_headers.iter().find(|metadata| metadata.is_op());
        if let Some(op) = op {
            record.headers.push(Header {
                key: op.output.clone(),
                schema: Some(SchemaBuilder::new(Type::String).build()),
                value: Value::string("d"),
            });
        }
        Keep::Record
    }

    /// The topic that `row` names, if routing is asked for and the column is not blank.
    fn route(&self, image: Image, row: &Struct) -> Result<Option<Arc<str>>, ConnectError> {
        let Some(name) = &self.settings.route_by_field else { return Ok(None) };
        let (index, field) = row.schema().field(name).ok_or_else(|| not_a_field(name))?;
        if field.schema.ty() != Type::String {
            return Err(ConnectError::data(format!("Field '{name}' is not of type STRING")));
        }
        Ok(topic(&or_default(&row.values()[index], self.route_default(image, &field.schema))))
    }

    /// Rows that stay are routed after defaults stand for nulls, since 2.5; deleted ones before.
    fn route_default<'a>(&self, image: Image, schema: &'a Schema) -> Option<&'a Value> {
        let substituted = image == Image::After
            && self.settings.deleted_place == DeletedPlace::BeforeAdditions
            && self.settings.on_delete == OnDelete::Rewrite
            && self.settings.replace_null_with_default;
        schema.default_value().filter(|_| substituted)
    }

    fn headers(
        &self,
        schema: &Arc<Schema>,
        envelope: &Struct,
    ) -> Result<Vec<Header>, ConnectError> {
        let mut headers = Vec::new();
        for metadata in &self.settings.add_headers {
            if let Some(place) = Place::find(metadata, schema)? {
                let value = place.value(envelope);
                let key = metadata.output.clone();
                headers.push(Header { key, schema: Some(place.schema), value });
            }
        }
        Ok(headers)
    }

    /// The columns that the configured header lists.
    fn dropped_fields(&self, record: &Record) -> Result<Vec<String>, ConnectError> {
        let Some(name) = &self.settings.drop_fields_header else { return Ok(Vec::new()) };
        let header = record.headers.iter().rfind(|header| header.key == *name);
        let items = match header.map(|header| &header.value) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let class = other.java_class();
                return Err(ConnectError::data(format!(
                    "header {name} must hold a list of column names, found: {class}"
                )));
            }
        };
        Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The key without dropped columns, when that is asked for.
    fn key(
        &mut self,
        key: &SchemaAndValue,
        dropped: Vec<String>,
    ) -> Result<Option<SchemaAndValue>, ConnectError> {
        if dropped.is_empty() || !self.settings.drop_fields_from_key {
            return Ok(None);
        }
        let (Some(schema), Value::Struct(value)) = (&key.schema, &key.value) else {
            let class = key.value.java_class();
            return Err(ConnectError::data(format!(
                "Only Struct objects supported for [dropping fields from the key], found: {class}"
            )));
        };
        let settings = &self.settings;
        let made = self.keys.get(schema, dropped, |dropped| {
            let (mut fields, mut columns) = (Fields::new(), Vec::new());
            for (index, field) in schema.fields().iter().enumerate() {
                if is_kept(field, dropped, settings) {
                    fields.push(&field.name, field.schema.clone())?;
                    columns.push(index);
                }
            }
            Ok((fields.build(basics(schema)), columns))
        })?;
        let (schema, columns) = made.as_ref();
        let values = columns.iter().map(|index| value.values()[*index].clone()).collect();
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        Ok(Some(SchemaAndValue { schema: Some(schema.clone()), value }))
    }

    /// `None`: it depends on the row.
    fn planned(&self, input: &RowPlan) -> Option<Planned> {
        let unchanged = || Some(Planned::Plan(Arc::new(input.clone())));
        let value = match &input.value {
            None => return self.planned_tombstone(input),
            Some(value) if value.node == Node::Const(Value::Null) => {
                return self.planned_tombstone(input);
            }
            Some(value) => value,
        };
        let Some(schema) = value.schema.as_ref().filter(|schema| is_envelope(schema)) else {
            // A cell may be null, which would be a tombstone.
            return if matches!(value.node, Node::Struct { presence: None, .. }) {
                unchanged()
            } else {
                None
            };
        };
        let Node::Struct { presence: None, fields: envelope } = &value.node else { return None };
        // Shapes have no headers, records may.
        if !self.settings.add_headers.is_empty() || self.settings.drop_fields_header.is_some() {
            return None;
        }
        let (_, after) = value.member(Image::After.field())?;
        let (_, before) = value.member(Image::Before.field())?;
        let (image, row) = match (after, before) {
            (Node::Struct { presence: None, fields }, _) => (Image::After, fields),
            (Node::Const(Value::Null), Node::Struct { presence: None, fields }) => {
                (Image::Before, fields)
            }
            (Node::Const(Value::Null), Node::Const(Value::Null)) => return Some(Planned::Drop),
            _ => return None,
        };
        let output = match (image, self.settings.on_delete) {
            (Image::Before, OnDelete::Drop) => return Some(Planned::Drop),
            (Image::Before, OnDelete::NullWithoutSchema) => None,
            (Image::Before, OnDelete::NullWithSchema) => {
                Some(PlannedValue { schema: row_schema(schema), node: Node::Const(Value::Null) })
            }
            _ => {
                let recipe = Recipe::new(&self.settings, schema, image, &[]).ok()?;
                let node = recipe.node(envelope, row)?;
                Some(PlannedValue { schema: Some(recipe.schema), node })
            }
        };
        let topic = self.planned_route(schema, image, row)?.unwrap_or_else(|| input.topic.clone());
        Some(Planned::Plan(Arc::new(RowPlan { topic, value: output, ..input.clone() })))
    }

    fn planned_tombstone(&self, input: &RowPlan) -> Option<Planned> {
        if self.settings.drop_tombstones {
            return Some(Planned::Drop);
        }
        self.settings.add_headers.is_empty().then(|| Planned::Plan(Arc::new(input.clone())))
    }

    /// The outer `None`: it depends on the row, or fails.
    fn planned_route(
        &self,
        envelope: &Schema,
        image: Image,
        row: &[Node],
    ) -> Option<Option<Arc<str>>> {
        let Some(name) = &self.settings.route_by_field else { return Some(None) };
        let (_, row_field) = envelope.field(image.field())?;
        let (index, field) = row_field.schema.field(name)?;
        match row.get(index)? {
            Node::Const(value) if field.schema.ty() == Type::String => {
                Some(topic(&or_default(value, self.route_default(image, &field.schema))))
            }
            _ => None,
        }
    }
}

fn topic(value: &Value) -> Option<Arc<str>> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(Arc::from)
}

#[cfg(test)]
mod tests;
