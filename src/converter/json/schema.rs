//! Schemas as JSON objects (`JsonSchema`, `JsonConverter.asJsonSchema` and `asConnectSchema`).

use std::sync::Arc;

use super::JsonOptions;
use super::lexer::{Node, Number};
use super::read;
use super::text::{push_boolean, push_integer, push_string};
use super::write;
use crate::data::{Schema, SchemaBuilder, Type};
use crate::error::DataError;

/// Appends the object of `schema`; `field` is its name when it is a struct's member.
///
/// # Errors
/// When its default does not fit it.
pub(super) fn push_schema(
    out: &mut Vec<u8>,
    schema: &Schema,
    field: Option<&str>,
    options: JsonOptions,
) -> Result<(), DataError> {
    out.extend_from_slice(b"{\"type\":");
    push_string(out, schema.ty().json_name());
    push_parts(out, schema, options)?;
    out.extend_from_slice(b",\"optional\":");
    push_boolean(out, schema.is_optional());
    if let Some(name) = schema.name() {
        out.extend_from_slice(b",\"name\":");
        push_string(out, name);
    }
    if let Some(version) = schema.version() {
        out.extend_from_slice(b",\"version\":");
        push_integer(out, version.into());
    }
    if let Some(doc) = schema.doc() {
        out.extend_from_slice(b",\"doc\":");
        push_string(out, doc);
    }
    push_parameters(out, schema);
    if let Some(default) = schema.default_value() {
        out.extend_from_slice(b",\"default\":");
        write::push_value(out, Some(schema), default, options)?;
    }
    if let Some(field) = field {
        out.extend_from_slice(b",\"field\":");
        push_string(out, field);
    }
    out.push(b'}');
    Ok(())
}

fn push_parts(out: &mut Vec<u8>, schema: &Schema, options: JsonOptions) -> Result<(), DataError> {
    let push = |out: &mut Vec<u8>, key: &[u8], part: Option<&Arc<Schema>>| match part {
        Some(part) => {
            out.extend_from_slice(key);
            push_schema(out, part, None, options)
        }
        None => Ok(()),
    };
    match schema.ty() {
        Type::Array => push(out, b",\"items\":", schema.value_schema()),
        Type::Map => {
            push(out, b",\"keys\":", schema.key_schema())?;
            push(out, b",\"values\":", schema.value_schema())
        }
        Type::Struct => {
            out.extend_from_slice(b",\"fields\":[");
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_schema(out, &field.schema, Some(&field.name), options)?;
            }
            out.push(b']');
            Ok(())
        }
        _ => Ok(()),
    }
}

fn push_parameters(out: &mut Vec<u8>, schema: &Schema) {
    if schema.parameters().is_empty() {
        return;
    }
    out.extend_from_slice(b",\"parameters\":{");
    for (index, (key, value)) in schema.parameters().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, key);
        out.push(b':');
        push_string(out, value);
    }
    out.push(b'}');
}

/// Reads a schema object.
///
/// # Errors
/// When it is none.
pub(super) fn read_schema(node: &Node<'_>, options: JsonOptions) -> Result<Arc<Schema>, DataError> {
    let ty = match member(node, "type") {
        Some(Node::String(text)) => text.as_ref(),
        _ => return Err(DataError::new("Schema must contain 'type' field")),
    };
    let mut builder = match ty {
        "boolean" => SchemaBuilder::new(Type::Boolean),
        "int8" => SchemaBuilder::new(Type::Int8),
        "int16" => SchemaBuilder::new(Type::Int16),
        "int32" => SchemaBuilder::new(Type::Int32),
        "int64" => SchemaBuilder::new(Type::Int64),
        "float" => SchemaBuilder::new(Type::Float32),
        "double" => SchemaBuilder::new(Type::Float64),
        "bytes" => SchemaBuilder::new(Type::Bytes),
        "string" => SchemaBuilder::new(Type::String),
        "array" => {
            let missing = "Array schema did not specify the element type";
            SchemaBuilder::array(part(node, "items", missing, options)?)
        }
        "map" => {
            let keys = part(node, "keys", "Map schema did not specify the key type", options)?;
            let missing = "Map schema did not specify the value type";
            SchemaBuilder::map(keys, part(node, "values", missing, options)?)
        }
        "struct" => read_fields(node, options)?,
        other => return Err(DataError::new(format!("Unknown schema type: {other}"))),
    };
    builder = read_attributes(builder, node)?;
    if let Some(default) = member(node, "default") {
        let without_default = builder.clone().build();
        let value = read::convert(Some(&without_default), default, options)?;
        if !value.is_null() {
            builder = builder.default_value(value);
        }
    }
    Ok(builder.build())
}

fn member<'n, 'a>(node: &'n Node<'a>, key: &str) -> Option<&'n Node<'a>> {
    let Node::Object(members) = node else { return None };
    members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn part(
    node: &Node<'_>,
    key: &str,
    missing: &str,
    options: JsonOptions,
) -> Result<Arc<Schema>, DataError> {
    match member(node, key) {
        None | Some(Node::Null) => Err(DataError::new(missing)),
        Some(schema) => read_schema(schema, options),
    }
}

fn read_fields(node: &Node<'_>, options: JsonOptions) -> Result<SchemaBuilder, DataError> {
    let Some(Node::Array(fields)) = member(node, "fields") else {
        return Err(DataError::new("Struct schema's \"fields\" argument is not an array."));
    };
    let mut builder = SchemaBuilder::structure();
    let mut names: Vec<&str> = Vec::with_capacity(fields.len());
    for field in fields {
        let Some(Node::String(name)) = member(field, "field") else {
            return Err(DataError::new("Struct schema's field name not specified properly"));
        };
        if names.contains(&name.as_ref()) {
            return Err(DataError::new(format!(
                "Cannot create field because of field name duplication {name}"
            )));
        }
        names.push(name);
        builder = builder.field(name.as_ref(), read_schema(field, options)?);
    }
    Ok(builder)
}

fn read_attributes(
    mut builder: SchemaBuilder,
    node: &Node<'_>,
) -> Result<SchemaBuilder, DataError> {
    builder = builder.with_optional(member(node, "optional") == Some(&Node::Boolean(true)));
    if let Some(Node::String(name)) = member(node, "name") {
        builder = builder.name(name.as_ref());
    }
    if let Some(Node::Number(number @ Number { integral: true, .. })) = member(node, "version") {
        builder = builder.version(read::wrap_i32(*number));
    }
    if let Some(Node::String(doc)) = member(node, "doc") {
        builder = builder.doc(doc.as_ref());
    }
    if let Some(Node::Object(parameters)) = member(node, "parameters") {
        for (key, value) in parameters {
            let Node::String(value) = value else {
                return Err(DataError::new("Schema parameters must have string values."));
            };
            builder = builder.parameter(key.as_ref(), value.as_ref());
        }
    }
    Ok(builder)
}
