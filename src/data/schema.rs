//! Schemas: `org.apache.kafka.connect.data.Schema` and its builder.

use std::sync::Arc;

use super::Value;

/// The types of Connect's data model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Array,
    Map,
    Struct,
}

impl Type {
    /// The constant's name in the original, as error texts show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Float32 => "FLOAT32",
            Self::Float64 => "FLOAT64",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Struct => "STRUCT",
        }
    }

    /// The name in JsonConverter's schema objects.
    pub fn json_name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float",
            Self::Float64 => "double",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Array => "array",
            Self::Map => "map",
            Self::Struct => "struct",
        }
    }
}

/// Names of the logical types of Kafka Connect itself.
pub mod logical {
    /// BYTES, parameter `scale`: unscaled value, two's complement, big-endian.
    pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
    /// INT32: days since the epoch.
    pub const DATE: &str = "org.apache.kafka.connect.data.Date";
    /// INT32: milliseconds since midnight.
    pub const TIME: &str = "org.apache.kafka.connect.data.Time";
    /// INT64: milliseconds since the epoch.
    pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
    /// The parameter of [`DECIMAL`].
    pub const SCALE: &str = "scale";
}

/// A schema with all its attributes. Equality covers every attribute, as in the original; compare
/// `Arc` pointers first on a hot path.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    ty: Type,
    optional: bool,
    name: Option<String>,
    version: Option<i32>,
    doc: Option<String>,
    /// In insertion order.
    parameters: Vec<(String, String)>,
    default: Option<Value>,
    fields: Vec<Field>,
    key_schema: Option<Arc<Schema>>,
    value_schema: Option<Arc<Schema>>,
}

/// A member of a STRUCT schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub schema: Arc<Schema>,
}

impl Schema {
    /// The type.
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// Whether null is a valid value.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// The schema's name: a logical or semantic type, or a struct's name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The schema's version.
    pub fn version(&self) -> Option<i32> {
        self.version
    }

    /// The documentation.
    pub fn doc(&self) -> Option<&str> {
        self.doc.as_deref()
    }

    /// The parameters, in insertion order.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The parameter `key`.
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The default value.
    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// The fields of a STRUCT, in order; empty for every other type.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field `name` with its index.
    pub fn field(&self, name: &str) -> Option<(usize, &Field)> {
        self.fields.iter().enumerate().find(|(_, field)| field.name == name)
    }

    /// The schema of a MAP's keys.
    pub fn key_schema(&self) -> Option<&Arc<Schema>> {
        self.key_schema.as_ref()
    }

    /// The schema of an ARRAY's elements or a MAP's values.
    pub fn value_schema(&self) -> Option<&Arc<Schema>> {
        self.value_schema.as_ref()
    }

    /// A builder that starts from this schema's attributes.
    pub fn to_builder(&self) -> SchemaBuilder {
        SchemaBuilder { schema: self.clone() }
    }
}

/// Builds a [`Schema`].
#[derive(Debug, Clone)]
pub struct SchemaBuilder {
    schema: Schema,
}

impl SchemaBuilder {
    /// A required schema of `ty` with no other attribute.
    pub fn new(ty: Type) -> Self {
        Self {
            schema: Schema {
                ty,
                optional: false,
                name: None,
                version: None,
                doc: None,
                parameters: Vec::new(),
                default: None,
                fields: Vec::new(),
                key_schema: None,
                value_schema: None,
            },
        }
    }

    /// A STRUCT.
    pub fn structure() -> Self {
        Self::new(Type::Struct)
    }

    /// An ARRAY of `items`.
    pub fn array(items: Arc<Schema>) -> Self {
        let mut builder = Self::new(Type::Array);
        builder.schema.value_schema = Some(items);
        builder
    }

    /// A MAP from `keys` to `values`.
    pub fn map(keys: Arc<Schema>, values: Arc<Schema>) -> Self {
        let mut builder = Self::new(Type::Map);
        builder.schema.key_schema = Some(keys);
        builder.schema.value_schema = Some(values);
        builder
    }

    /// A MAP whose keys or values have no type in common.
    pub fn map_of(keys: Option<Arc<Schema>>, values: Option<Arc<Schema>>) -> Self {
        let mut builder = Self::new(Type::Map);
        builder.schema.key_schema = keys;
        builder.schema.value_schema = values;
        builder
    }

    /// The logical Decimal of Kafka Connect.
    pub fn decimal(scale: i32) -> Self {
        Self::new(Type::Bytes)
            .name(logical::DECIMAL)
            .version(1)
            .parameter(logical::SCALE, scale.to_string())
    }

    /// Allows null.
    #[must_use]
    pub fn optional(self) -> Self {
        self.with_optional(true)
    }

    /// Sets whether null is allowed.
    #[must_use]
    pub fn with_optional(mut self, optional: bool) -> Self {
        self.schema.optional = optional;
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.schema.name = Some(name.into());
        self
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: i32) -> Self {
        self.schema.version = Some(version);
        self
    }

    /// Sets the documentation.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.schema.doc = Some(doc.into());
        self
    }

    /// Adds or replaces a parameter.
    #[must_use]
    pub fn parameter(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        match self.schema.parameters.iter_mut().find(|(name, _)| *name == key) {
            Some(entry) => entry.1 = value,
            None => self.schema.parameters.push((key, value)),
        }
        self
    }

    /// Sets the default value.
    #[must_use]
    pub fn default_value(mut self, value: Value) -> Self {
        self.schema.default = Some(value);
        self
    }

    /// Appends a field to a STRUCT.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, schema: Arc<Schema>) -> Self {
        self.schema.fields.push(Field { name: name.into(), schema });
        self
    }

    /// The schema.
    pub fn build(self) -> Arc<Schema> {
        Arc::new(self.schema)
    }
}
