//! The JSON Schema of a Connect schema (Confluent, `JsonSchemaData.fromConnectSchema`).

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::JsonSchemaOptions;
use super::vocabulary::{
    ENUM, GENERAL_ENUM, ID, INDEX, NAMESPACE, NULL_MARKER, PARAMETERS, TYPE, VERSION, is_union,
    java_hash_order,
};
use crate::data::{Schema, Type, logical};
use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// The text of the JSON Schema of `schema`, members in the original's order.
///
/// # Errors
/// When JSON Schema has no such schema.
pub(super) fn from_connect(schema: &Arc<Schema>, options: JsonSchemaOptions) -> Result<String> {
    let mut builder = Builder { options, ids: Vec::new() };
    Ok(builder.any(schema, None, false)?.to_string())
}

struct Builder {
    options: JsonSchemaOptions,
    /// Identifiers of schemas that stand further ahead.
    ids: Vec<String>,
}

impl Builder {
    /// `index` is that of a member of a struct; `required`: null is somebody else's matter.
    fn any(&mut self, schema: &Arc<Schema>, index: Option<usize>, required: bool) -> Result<Json> {
        if let Some(id) = schema.parameter(ID) {
            if self.ids.iter().any(|known| known == id) {
                return Ok(json!({ "$ref": id }));
            }
            self.ids.push(id.to_owned());
        }
        if is_union(schema) {
            return self.union(schema, index);
        }
        let optional = schema.is_optional() && !required;
        if schema.ty() == Type::Struct && optional {
            let inner = schema.to_builder().with_optional(false).build();
            let inner = self.object(&inner, None)?;
            return Ok(one_of(vec![json!({ "type": "null" }), inner], index));
        }
        let own_index = index.filter(|_| !optional);
        let inner = match schema.ty() {
            Type::Struct => self.object(schema, own_index)?,
            _ => self.plain(schema, own_index)?,
        };
        Ok(match optional {
            true => one_of(vec![json!({ "type": "null" }), inner], index),
            false => inner,
        })
    }

    fn union(&mut self, schema: &Arc<Schema>, index: Option<usize>) -> Result<Json> {
        let mut branches = Vec::new();
        if schema.is_optional() {
            branches.push(json!({ "type": "null" }));
        }
        for (at, field) in schema.fields().iter().enumerate() {
            branches.push(self.any(&field.schema, Some(at), true)?);
        }
        Ok(one_of(branches, index))
    }

    fn object(&mut self, schema: &Arc<Schema>, index: Option<usize>) -> Result<Json> {
        let mut out = self.head(schema)?;
        out.insert("type".into(), "object".into());
        let mut properties = Map::new();
        for (at, field) in schema.fields().iter().enumerate() {
            let property = self.any(&field.schema, Some(at), false);
            properties.insert(field.name.clone(), property.map_err(|e| e.at(&field.name))?);
        }
        if !properties.is_empty() {
            out.insert("properties".into(), Json::Object(properties));
        }
        if !self.options.additional_properties {
            out.insert("additionalProperties".into(), false.into());
        }
        out.extend(extras(schema, None, index));
        Ok(Json::Object(out))
    }

    fn plain(&mut self, schema: &Arc<Schema>, index: Option<usize>) -> Result<Json> {
        let mut out = self.head(schema)?;
        let mut connect_type = None;
        let (ty, own) = match schema.ty() {
            Type::Int8 => ("integer", Some("int8")),
            Type::Int16 => ("integer", Some("int16")),
            Type::Int32 => ("integer", Some("int32")),
            Type::Int64 => ("integer", Some("int64")),
            Type::Float32 => ("number", Some("float32")),
            Type::Float64 => ("number", Some("float64")),
            Type::Boolean => ("boolean", None),
            Type::Bytes if schema.name() == Some(logical::DECIMAL) && self.options.numeric => {
                ("number", Some("bytes"))
            }
            Type::Bytes => ("string", Some("bytes")),
            Type::String => {
                match self.symbols(schema) {
                    Some(symbols) => drop(out.insert("enum".into(), symbols)),
                    None => drop(out.insert("type".into(), "string".into())),
                }
                ("", None)
            }
            Type::Array => {
                let items = self.any(part(schema.value_schema())?, None, false)?;
                out.insert("type".into(), "array".into());
                out.insert("items".into(), items);
                ("", None)
            }
            Type::Map => {
                self.map(schema, &mut out)?;
                ("", Some("map"))
            }
            Type::Struct => return Err(DataError::new("a struct is an object")),
        };
        if !ty.is_empty() {
            out.insert("type".into(), ty.into());
        }
        connect_type = own.or(connect_type);
        out.extend(extras(schema, connect_type, index));
        Ok(Json::Object(out))
    }

    fn map(&mut self, schema: &Schema, out: &mut Map<String, Json>) -> Result<()> {
        let (keys, values) = (part(schema.key_schema())?, part(schema.value_schema())?);
        if keys.ty() == Type::String && !keys.is_optional() {
            out.insert("type".into(), "object".into());
            out.insert("additionalProperties".into(), self.any(values, None, false)?);
            return Ok(());
        }
        let key = self.any(keys, Some(0), false)?;
        let value = self.any(values, Some(1), false)?;
        out.insert("type".into(), "array".into());
        let entry = json!({ "type": "object", "properties": { "key": key, "value": value } });
        out.insert("items".into(), entry);
        Ok(())
    }

    fn symbols(&self, schema: &Schema) -> Option<Json> {
        let param = match self.options.generalized_sum_type_support {
            true => GENERAL_ENUM,
            false => ENUM,
        };
        schema.parameter(param)?;
        let symbols = schema.parameters().iter().filter_map(|(key, _)| {
            let symbol = key.strip_prefix(param)?.strip_prefix('.')?;
            Some(if symbol == NULL_MARKER { Json::Null } else { symbol.into() })
        });
        Some(symbols.collect::<Vec<_>>().into())
    }

    /// What stands in front of every schema.
    fn head(&self, schema: &Arc<Schema>) -> Result<Map<String, Json>> {
        let mut out = Map::new();
        if let Some(name) = schema.name() {
            out.insert("title".into(), name.into());
        }
        if let Some(doc) = schema.doc() {
            out.insert("description".into(), doc.into());
        }
        if let Some(id) = schema.parameter(ID) {
            out.insert("$id".into(), id.into());
        }
        if let Some(default) = schema.default_value().filter(|default| !default.is_null()) {
            let mut text = Vec::new();
            self.options.values().push(&mut text, Some(schema), default)?;
            let default = serde_json::from_slice(&text)
                .map_err(|error| DataError::new(format!("Invalid default value: {error}")))?;
            out.insert("default".into(), default);
        }
        Ok(out)
    }
}

fn one_of(branches: Vec<Json>, index: Option<usize>) -> Json {
    let mut out = Map::new();
    out.insert("oneOf".into(), branches.into());
    if let Some(index) = index {
        out.insert(INDEX.into(), index.into());
    }
    Json::Object(out)
}

/// What only Connect knows, in the order in which a hash map of Java keeps it.
fn extras(
    schema: &Schema,
    connect_type: Option<&str>,
    index: Option<usize>,
) -> Vec<(String, Json)> {
    let mut extras: Vec<(String, Json)> = Vec::new();
    if let Some(version) = schema.version() {
        extras.push((VERSION.to_owned(), version.into()));
    }
    if let Some(index) = index {
        extras.push((INDEX.to_owned(), index.into()));
    }
    if let Some(connect_type) = connect_type {
        extras.push((TYPE.to_owned(), connect_type.into()));
    }
    let own = schema.parameters().iter().filter(|(key, _)| !key.starts_with(NAMESPACE));
    let mut own: Vec<_> =
        own.map(|(key, value)| (key.clone(), Json::from(value.clone()))).collect();
    if !own.is_empty() {
        java_hash_order(&mut own);
        extras.push((PARAMETERS.to_owned(), Json::Object(own.into_iter().collect())));
    }
    extras
}

fn part(schema: Option<&Arc<Schema>>) -> Result<&Arc<Schema>> {
    schema.ok_or_else(|| DataError::new("A container without the schema of its parts"))
}
