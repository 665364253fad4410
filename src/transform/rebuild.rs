//! What transforms that rebuild structs share: parts of schemas, and schemas made once per input.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::ConfigValue;
use crate::data::{Field, Node, Schema, SchemaBuilder, Type, Value};
use crate::error::{ConnectError, DataError};

/// Schemas one transform sees at a time; past it the cache starts anew.
const SCHEMAS_MAX: usize = 256;

/// A builder with type, name, version, doc and parameters of `schema`; required, without default
/// and, for a struct, without fields.
pub(super) fn basics(schema: &Schema) -> SchemaBuilder {
    let mut builder = match (schema.ty(), schema.key_schema(), schema.value_schema()) {
        (Type::Array, _, Some(items)) => SchemaBuilder::array(items.clone()),
        (Type::Map, Some(keys), Some(values)) => SchemaBuilder::map(keys.clone(), values.clone()),
        (ty, ..) => SchemaBuilder::new(ty),
    };
    if let Some(name) = schema.name() {
        builder = builder.name(name);
    }
    if let Some(version) = schema.version() {
        builder = builder.version(version);
    }
    if let Some(doc) = schema.doc() {
        builder = builder.doc(doc);
    }
    for (key, value) in schema.parameters() {
        builder = builder.parameter(key.as_str(), value.as_str());
    }
    builder
}

/// Collects the fields of a rebuilt struct; the original refuses equal names.
#[derive(Debug)]
pub(super) struct Fields {
    fields: Vec<Field>,
}

impl Fields {
    pub(super) fn new() -> Self {
        Self { fields: Vec::new() }
    }

    pub(super) fn push(&mut self, name: &str, schema: Arc<Schema>) -> Result<(), DataError> {
        check_name(name)?;
        if self.fields.iter().any(|field| field.name == name) {
            return Err(DataError::new(format!(
                "Cannot create field because of field name duplication {name}"
            )));
        }
        self.fields.push(Field { name: name.to_owned(), schema });
        Ok(())
    }

    /// Appends the fields to `builder`.
    pub(super) fn build(self, mut builder: SchemaBuilder) -> Arc<Schema> {
        for field in self.fields {
            builder = builder.field(field.name, field.schema);
        }
        builder.build()
    }
}

/// The original has no fields without a name.
pub(super) fn check_name(name: &str) -> Result<(), DataError> {
    match name.is_empty() {
        true => Err(DataError::new("fieldName cannot be null.")),
        false => Ok(()),
    }
}

/// Java's `String.split`: what is empty at the end is left out.
pub(super) fn java_split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.len() > 1 && parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    parts
}

/// Sets an entry of a map, as a Java map does: equal keys stand once.
pub(super) fn set_entry(entries: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some(entry) => entry.1 = value,
        None => entries.push((key, value)),
    }
}

/// A list with at least one item; the check of many a key.
pub(super) fn non_empty_list(value: &ConfigValue) -> Option<String> {
    matches!(value, ConfigValue::List(items) if items.is_empty()).then(|| "Empty list".to_owned())
}

/// `Struct.get`: null in a field with a default is the default.
pub(super) fn or_default(value: &Value, default: Option<&Value>) -> Value {
    match default {
        Some(default) if value.is_null() => default.clone(),
        _ => value.clone(),
    }
}

/// [`or_default`] for a whole shape; `None` when a plan cannot say it.
pub(super) fn node_or_default(node: &Node, default: Option<&Value>) -> Option<Node> {
    let Some(default) = default else { return Some(node.clone()) };
    match node {
        Node::Const(value) => Some(Node::Const(or_default(value, Some(default)))),
        Node::Cell { index, unchanged, null } => Some(Node::Cell {
            index: *index,
            unchanged: or_default(unchanged, Some(default)),
            null: or_default(null, Some(default)),
        }),
        Node::Struct { presence: None, .. } => Some(node.clone()),
        Node::Struct { presence: Some(_), .. } => None,
    }
}

/// `node` where a value is converted and a cell is not: `keeps_cells` says that the cell means the
/// same under the new schema. `None`: it depends on the row.
pub(super) fn node_converted(
    node: &Node,
    keeps_cells: bool,
    convert: impl Fn(&Value) -> Result<Value, ConnectError>,
) -> Option<Node> {
    Some(match node {
        Node::Const(value) => Node::Const(convert(value).ok()?),
        Node::Cell { index, unchanged, null } if keeps_cells => Node::Cell {
            index: *index,
            unchanged: convert(unchanged).ok()?,
            null: convert(null).ok()?,
        },
        _ => return None,
    })
}

/// What was made of a schema, by the schema's address and `K`. Each schema is kept, so that its
/// address stays taken.
#[derive(Debug)]
pub(super) struct MadeOnce<K, T> {
    made: HashMap<(usize, K), (Arc<Schema>, Arc<T>)>,
}

impl<K: std::hash::Hash + Eq, T> MadeOnce<K, T> {
    pub(super) fn new() -> Self {
        Self { made: HashMap::new() }
    }

    /// What `make` made of `schema` under `key`, at its first call.
    pub(super) fn get(
        &mut self,
        schema: &Arc<Schema>,
        key: K,
        make: impl FnOnce(&K) -> Result<T, ConnectError>,
    ) -> Result<Arc<T>, ConnectError> {
        let key = (Arc::as_ptr(schema) as usize, key);
        if let Some((_, made)) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let made = Arc::new(make(&key.1)?);
        if self.made.len() >= SCHEMAS_MAX {
            self.made.clear();
        }
        self.made.insert(key, (schema.clone(), made.clone()));
        Ok(made)
    }
}
