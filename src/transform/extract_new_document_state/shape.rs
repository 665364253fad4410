//! The schema of a document, and the document as a row of it (Debezium, `MongoDataConverter`).

use std::sync::Arc;

use super::bson::{Bson, Document};
use crate::config::SchemaNameAdjustment;
use crate::data::{Field, Schema, SchemaBuilder, Struct, Type, Value, logical};
use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

const REGEX: &str = "io.debezium.mongodb.regex";

/// How documents become rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    /// Arrays are structs with a field for each index (`array.encoding=document`).
    pub(super) arrays_are_structs: bool,
    /// `field.name.adjustment.mode`
    pub(super) names: SchemaNameAdjustment,
}

impl Encoding {
    fn name(self, name: &str) -> String {
        self.names.adjust(name)
    }

    /// Empty lists have no type; where names are made fit for Avro, they are left out.
    fn leaves_out(self, value: &Bson) -> bool {
        let is_empty = matches!(value, Bson::Array(items) if items.is_empty());
        matches!(value, Bson::Undefined) || is_empty && self.names != SchemaNameAdjustment::None
    }

    /// The fields of a document within the struct `parent`.
    ///
    /// # Errors
    /// When an array has elements of several types.
    pub(super) fn fields(self, parent: &str, document: &Document) -> Result<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::new();
        for (name, value) in document {
            let name = self.name(name);
            if !self.leaves_out(value) && !fields.iter().any(|field| field.name == name) {
                let schema = self.schema(parent, &name, value);
                fields.push(Field { schema: schema.map_err(|error| error.at(&name))?, name });
            }
        }
        Ok(fields)
    }

    fn schema(self, parent: &str, key: &str, value: &Bson) -> Result<Arc<Schema>> {
        let of = |ty| SchemaBuilder::new(ty).optional().build();
        let full = || format!("{parent}.{key}");
        Ok(match value {
            Bson::Null | Bson::Undefined | Bson::Text(_) => of(Type::String),
            Bson::Boolean(_) => of(Type::Boolean),
            Bson::Int32(_) => of(Type::Int32),
            Bson::Int64(_) => of(Type::Int64),
            Bson::Double(_) => of(Type::Float64),
            Bson::Binary(_) => of(Type::Bytes),
            Bson::Time(_) => {
                let builder = SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1);
                builder.optional().build()
            }
            Bson::Regex { .. } => SchemaBuilder::structure()
                .name(REGEX)
                .field("regex", of(Type::String))
                .field("options", of(Type::String))
                .optional()
                .build(),
            Bson::CodeWithScope { scope, .. } => {
                let scope = self.structure(&format!("{parent}.{key}.{key}.scope"), scope)?;
                SchemaBuilder::structure()
                    .name(full())
                    .field("code", of(Type::String))
                    .field("scope", scope)
                    .optional()
                    .build()
            }
            Bson::Document(document) if document.is_empty() => {
                SchemaBuilder::structure().optional().build()
            }
            Bson::Document(document) => self.structure(&full(), document)?,
            Bson::Array(items) if self.arrays_are_structs => {
                self.structure(&full(), &indexed(items))?
            }
            Bson::Array(items) => {
                let items = self.items(parent, key, items)?;
                SchemaBuilder::array(items).optional().build()
            }
        })
    }

    fn structure(self, name: &str, document: &Document) -> Result<Arc<Schema>> {
        Ok(built(Some(name), self.fields(name, document)?))
    }

    /// The one schema of all elements.
    fn items(self, parent: &str, key: &str, items: &[Bson]) -> Result<Arc<Schema>> {
        let mut common: Option<Arc<Schema>> = None;
        for item in items {
            let own = self.schema(parent, key, item)?;
            common = Some(match common {
                None => own,
                Some(common) => merged(&common, &own).ok_or_else(|| {
                    DataError::new(
                        "Array elements with different Bson types are not supported; \
                         array.encoding=document makes a struct of the array",
                    )
                })?,
            });
        }
        Ok(common.unwrap_or_else(|| SchemaBuilder::new(Type::String).optional().build()))
    }

    /// A document as a row.
    pub(super) fn row(self, schema: &Arc<Schema>, document: Document) -> Value {
        let mut values = vec![Value::Null; schema.fields().len()];
        for (name, value) in document {
            if let Some((index, field)) = schema.field(&self.name(&name))
                && let Some(slot) = values.get_mut(index)
            {
                *slot = self.value(&field.schema, value);
            }
        }
        Value::Struct(Box::new(Struct::new(schema.clone(), values)))
    }

    fn value(self, schema: &Arc<Schema>, value: Bson) -> Value {
        match value {
            Bson::Null | Bson::Undefined => Value::Null,
            Bson::Text(text) => Value::string(text),
            Bson::Boolean(value) => Value::Boolean(value),
            Bson::Int32(number) => Value::Int32(number),
            Bson::Int64(number) => Value::Int64(number),
            Bson::Double(number) => Value::Float64(number),
            Bson::Binary(bytes) => Value::Bytes(bytes),
            Bson::Time(millis) => Value::Timestamp(millis),
            Bson::Regex { pattern, options } => {
                let values = vec![Value::string(pattern), Value::string(options)];
                Value::Struct(Box::new(Struct::new(schema.clone(), values)))
            }
            Bson::CodeWithScope { code, scope } => {
                let scope_schema = schema.field("scope").map(|(_, field)| &field.schema);
                let scope = scope_schema.map_or(Value::Null, |schema| self.row(schema, scope));
                let values = vec![Value::string(code), scope];
                Value::Struct(Box::new(Struct::new(schema.clone(), values)))
            }
            Bson::Document(document) => self.row(schema, document),
            Bson::Array(items) if self.arrays_are_structs => self.row(schema, indexed(&items)),
            Bson::Array(items) => {
                let Some(own) = schema.value_schema() else { return Value::Null };
                Value::Array(items.into_iter().map(|item| self.value(own, item)).collect())
            }
        }
    }
}

/// An array as a document.
fn indexed(items: &[Bson]) -> Document {
    items.iter().enumerate().map(|(at, item)| (format!("_{at}"), item.clone())).collect()
}

/// A struct, which may be null.
pub(super) fn built(name: Option<&str>, fields: Vec<Field>) -> Arc<Schema> {
    let mut builder = SchemaBuilder::structure().optional();
    if let Some(name) = name {
        builder = builder.name(name);
    }
    for field in fields {
        builder = builder.field(field.name, field.schema);
    }
    builder.build()
}

/// What holds values of both: the same, or a struct with the fields of both.
fn merged(one: &Arc<Schema>, other: &Arc<Schema>) -> Option<Arc<Schema>> {
    if one == other {
        return Some(one.clone());
    }
    match (one.ty(), other.ty()) {
        (Type::Struct, Type::Struct) => {
            let mut fields = one.fields().to_vec();
            for field in other.fields() {
                match fields.iter_mut().find(|own| own.name == field.name) {
                    Some(own) => own.schema = merged(&own.schema, &field.schema)?,
                    None => fields.push(field.clone()),
                }
            }
            Some(built(one.name().or(other.name()), fields))
        }
        (Type::Array, Type::Array) => {
            let items = merged(one.value_schema()?, other.value_schema()?)?;
            Some(SchemaBuilder::array(items).optional().build())
        }
        _ => None,
    }
}
