//! How an output row is put together from an envelope: made once per schema, followed for single
//! records and for whole shapes alike, so that both come out the same.

use std::sync::Arc;

use super::config::{DeletedPlace, Metadata, OnDelete, Settings};
use crate::data::{Field, Node, Schema, SchemaBuilder, Struct, Type, Value};
use crate::error::{ConnectError, DataError};
use crate::transform::envelope::not_a_field;
use crate::transform::rebuild::{Fields, basics, node_or_default, or_default};

const DELETED: &str = "__deleted";

/// Which image of the row the output is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Image {
    Before,
    After,
}

impl Image {
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// The output row's schema, and where each of its values comes from.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) schema: Arc<Schema>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    /// A column of the image.
    Column {
        index: usize,
        default: Option<Value>,
    },
    Deleted(Value),
    Added(Place),
}

/// Where metadata is found in an envelope.
#[derive(Debug, Clone)]
pub(in crate::transform) struct Place {
    outer: usize,
    /// The member of the struct at `outer`.
    inner: Option<usize>,
    /// The optional copy of its schema.
    pub(in crate::transform) schema: Arc<Schema>,
    default: Option<Value>,
}

impl Recipe {
    /// The recipe for `image` under the envelope's schema, without the columns in `dropped`.
    pub(super) fn new(
        settings: &Settings,
        envelope: &Schema,
        image: Image,
        dropped: &[String],
    ) -> Result<Self, ConnectError> {
        let (_, row) = envelope.field(image.field()).ok_or_else(|| not_a_field(image.field()))?;
        let mut recipe = Draft { fields: Fields::new(), parts: Vec::new() };
        for (index, field) in row.schema.fields().iter().enumerate() {
            if is_kept(field, dropped, settings) {
                // What rebuilds the row a second time puts defaults for nulls.
                let rebuilt = settings.on_delete == OnDelete::Rewrite || !dropped.is_empty();
                let default = field
                    .schema
                    .default_value()
                    .filter(|_| rebuilt && settings.replace_null_with_default);
                let part = Part::Column { index, default: default.cloned() };
                recipe.push(&field.name, field.schema.clone(), part)?;
            }
        }
        if settings.deleted_place == DeletedPlace::BeforeAdditions {
            recipe.push_deleted(settings, image)?;
        }
        for metadata in &settings.add_fields {
            if let Some(place) = Place::find(metadata, envelope)? {
                recipe.push(&metadata.output, place.schema.clone(), Part::Added(place))?;
            }
        }
        if settings.deleted_place == DeletedPlace::AfterAdditions {
            recipe.push_deleted(settings, image)?;
        }
        let schema = recipe.fields.build(basics(&row.schema));
        Ok(Self { schema, parts: recipe.parts })
    }

    /// The output row of one record.
    pub(super) fn row(&self, envelope: &Struct, image: &Struct) -> Value {
        let value = |part: &Part| match part {
            Part::Column { index, default } => {
                or_default(&image.values()[*index], default.as_ref())
            }
            Part::Deleted(value) => value.clone(),
            Part::Added(place) => place.value(envelope),
        };
        let values = self.parts.iter().map(value).collect();
        Value::Struct(Box::new(Struct::new(self.schema.clone(), values)))
    }

    /// The output row of a whole shape; `None` when it depends on the row.
    pub(super) fn node(&self, envelope: &[Node], image: &[Node]) -> Option<Node> {
        let node = |part: &Part| match part {
            Part::Column { index, default } => {
                node_or_default(image.get(*index)?, default.as_ref())
            }
            Part::Deleted(value) => Some(Node::Const(value.clone())),
            Part::Added(place) => place.node(envelope),
        };
        let fields = self.parts.iter().map(node).collect::<Option<_>>()?;
        Some(Node::Struct { presence: None, fields })
    }
}

struct Draft {
    fields: Fields,
    parts: Vec<Part>,
}

impl Draft {
    fn push(&mut self, name: &str, schema: Arc<Schema>, part: Part) -> Result<(), DataError> {
        self.fields.push(name, schema)?;
        self.parts.push(part);
        Ok(())
    }

    fn push_deleted(&mut self, settings: &Settings, image: Image) -> Result<(), DataError> {
        if settings.on_delete != OnDelete::Rewrite {
            return Ok(());
        }
        let deleted = if image == Image::Before { "true" } else { "false" };
        let schema = SchemaBuilder::new(Type::String).optional().build();
        self.push(DELETED, schema, Part::Deleted(Value::string(deleted)))
    }
}

/// Whether `field` stays when the fields in `dropped` are to go.
pub(super) fn is_kept(field: &Field, dropped: &[String], settings: &Settings) -> bool {
    let protected = settings.drop_only_optional && !field.schema.is_optional();
    protected || !dropped.contains(&field.name)
}

impl Place {
    /// Where `metadata` is in the envelope; `None` when there is no such field.
    pub(in crate::transform) fn find(
        metadata: &Metadata,
        envelope: &Schema,
    ) -> Result<Option<Self>, ConnectError> {
        let Some(structure) = &metadata.structure else {
            return Ok(Self::outer(&metadata.field, envelope));
        };
        let Some((outer, holder)) = envelope.field(structure) else {
            let (field, schema) = (&metadata.field, envelope.name().unwrap_or_default());
            return Err(ConnectError::data(format!(
                "metadata {structure}.{field} is to be added, but {schema} has no struct {structure}"
            )));
        };
        Ok(match holder.schema.field(&metadata.field) {
            Some((inner, field)) => Some(Self::new(outer, Some(inner), &field.schema)),
            None if metadata.or_envelope => Self::outer(&metadata.field, envelope),
            None => None,
        })
    }

    fn outer(name: &str, envelope: &Schema) -> Option<Self> {
        envelope.field(name).map(|(outer, field)| Self::new(outer, None, &field.schema))
    }

    fn new(outer: usize, inner: Option<usize>, schema: &Arc<Schema>) -> Self {
        let mut fields = basics(schema).optional();
        for field in schema.fields() {
            fields = fields.field(field.name.as_str(), field.schema.clone());
        }
        Self { outer, inner, schema: fields.build(), default: schema.default_value().cloned() }
    }

    pub(in crate::transform) fn value(&self, envelope: &Struct) -> Value {
        let outer = &envelope.values()[self.outer];
        let value = match (self.inner, outer) {
            (None, value) => value,
            (Some(inner), Value::Struct(holder)) => {
                holder.values().get(inner).unwrap_or(&Value::Null)
            }
            (Some(_), _) => return Value::Null,
        };
        self.rehomed(or_default(value, self.default.as_ref()))
    }

    /// A struct belongs to its schema, and the copy is another one.
    fn rehomed(&self, value: Value) -> Value {
        match value {
            Value::Struct(value) => {
                Value::Struct(Box::new(Struct::new(self.schema.clone(), value.into_values())))
            }
            other => other,
        }
    }

    fn node(&self, envelope: &[Node]) -> Option<Node> {
        let outer = envelope.get(self.outer)?;
        let node = match (self.inner, outer) {
            (None, node) => node.clone(),
            (Some(inner), Node::Struct { presence: None, fields }) => fields.get(inner)?.clone(),
            (Some(inner), Node::Const(Value::Struct(holder))) => {
                Node::Const(holder.values().get(inner)?.clone())
            }
            (Some(_), Node::Const(Value::Null)) => return Some(Node::Const(Value::Null)),
            _ => return None,
        };
        match node_or_default(&node, self.default.as_ref())? {
            Node::Const(value) => Some(Node::Const(self.rehomed(value))),
            node => Some(node),
        }
    }
}
