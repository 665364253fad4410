//! A Connect schema as an Avro schema: the `parquet.avro.schema` entry of the original's files.
//!
//! Follows Confluent's `AvroData` with its defaults (`connect.meta.data`, enhanced schemas).

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::parquet::{ENUM, FIXED_SIZE, decimal};
use crate::data::{Schema, Type, Value, logical};

const NAMESPACE: &str = "io.confluent.connect.avro";
/// The name of a struct whose schema has none.
const UNNAMED: &str = "ConnectDefault";

/// The Avro schema of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AvroSchema {
    /// The record's name with its namespace.
    pub(super) full_name: String,
    pub(super) json: String,
}

/// What a connector's file says about Avro schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AvroOptions {
    /// `connect.meta.data`
    pub(crate) metadata: bool,
    /// `enhanced.avro.schema.support`
    pub(crate) enhanced: bool,
    /// `allow.optional.map.keys`
    pub(crate) optional_map_keys: bool,
}

impl Default for AvroOptions {
    fn default() -> Self {
        Self { metadata: true, enhanced: true, optional_map_keys: false }
    }
}

/// The Avro schema of any `schema`, as if it were required: a file has no null rows.
pub(super) fn of_any(schema: &Schema, options: AvroOptions) -> String {
    Generator { options, ..Generator::default() }.base(schema).to_string()
}

/// The symbols of an enumeration, in order; `None` for plain text.
pub(super) fn enum_symbols(
    schema: &Schema,
    options: AvroOptions,
) -> Option<impl Iterator<Item = &str>> {
    schema.parameter(ENUM).filter(|_| options.enhanced && schema.ty() == Type::String)?;
    let symbols = schema
        .parameters()
        .iter()
        .filter(|(key, _)| key.strip_prefix(ENUM).is_some_and(|rest| rest.starts_with('.')));
    Some(symbols.map(|(_, symbol)| symbol.as_str()))
}

/// The length that all values of `schema` have.
pub(super) fn fixed_size(schema: &Schema) -> Option<i64> {
    schema.parameter(FIXED_SIZE).and_then(|size| size.parse().ok())
}

/// The Avro schema of the STRUCT `schema`, as if it were required: a file has no null rows.
pub(super) fn of(schema: &Schema) -> AvroSchema {
    let mut generator = Generator::default();
    let full_name = generator.record_name(schema);
    let json = generator.record(schema, &full_name).to_string();
    AvroSchema { full_name, json }
}

#[derive(Debug, Default)]
struct Generator {
    options: AvroOptions,
    /// Records that were written out: Avro names them from then on.
    defined: Vec<(String, Schema)>,
    unnamed: usize,
}

impl Generator {
    fn record_name(&mut self, schema: &Schema) -> String {
        if let Some(name) = schema.name() {
            return name.to_owned();
        }
        self.unnamed += 1;
        match self.unnamed {
            1 => format!("{NAMESPACE}.{UNNAMED}"),
            number => format!("{NAMESPACE}.{UNNAMED}{number}"),
        }
    }

    fn record(&mut self, schema: &Schema, full_name: &str) -> Json {
        self.defined.push((full_name.to_owned(), schema.clone()));
        let mut record = Map::new();
        record.insert("type".into(), "record".into());
        put_name(&mut record, full_name);
        if let Some(doc) = schema.doc() {
            record.insert("doc".into(), doc.into());
        }
        let fields: Vec<_> =
            schema.fields().iter().map(|f| self.field(&f.name, &f.schema)).collect();
        record.insert("fields".into(), fields.into());
        self.put_metadata(&mut record, schema);
        Json::Object(record)
    }

    fn field(&mut self, name: &str, schema: &Arc<Schema>) -> Json {
        let mut field = Map::new();
        field.insert("name".into(), name.into());
        field.insert("type".into(), self.any(schema));
        if let Some(doc) = schema.doc() {
            field.insert("doc".into(), doc.into());
        }
        match schema.default_value().filter(|value| !value.is_null()).and_then(default_json) {
            Some(default) => drop(field.insert("default".into(), default)),
            None if schema.is_optional() => drop(field.insert("default".into(), Json::Null)),
            None => {}
        }
        Json::Object(field)
    }

    /// The type of `schema`, in a union with null where it is optional.
    fn any(&mut self, schema: &Schema) -> Json {
        let base = self.base(schema);
        let defaulted = schema.default_value().is_some_and(|value| !value.is_null());
        match (schema.is_optional(), defaulted) {
            (false, _) => base,
            (true, false) => json!(["null", base]),
            // The first branch of a union is the type of the field's default.
            (true, true) => json!([base, "null"]),
        }
    }

    fn base(&mut self, schema: &Schema) -> Json {
        let mut ty = Map::new();
        match schema.ty() {
            Type::Struct => return self.named_record(schema),
            Type::Array => {
                let items = schema.value_schema().map(|items| self.any(items));
                ty.insert("type".into(), "array".into());
                ty.insert("items".into(), items.unwrap_or(Json::Null));
            }
            Type::Map if self.is_native_map(schema) => {
                let values = schema.value_schema().map(|values| self.any(values));
                ty.insert("type".into(), "map".into());
                ty.insert("values".into(), values.unwrap_or(Json::Null));
            }
            Type::Map => {
                ty.insert("type".into(), "array".into());
                ty.insert("items".into(), self.map_entry(schema));
            }
            _ => put_primitive(&mut ty, schema, self.options),
        }
        self.put_metadata(&mut ty, schema);
        if let Some(logical) = logical_type(schema) {
            ty.insert("logicalType".into(), logical.into());
        }
        // A type without properties is its name alone.
        match ty.len() {
            1 => ty.remove("type").unwrap_or(Json::Null),
            _ => Json::Object(ty),
        }
    }

    fn named_record(&mut self, schema: &Schema) -> Json {
        let known = self
            .defined
            .iter()
            .find(|(_, known)| schema.name().is_some() && known.name() == schema.name());
        if let Some((name, _)) = known {
            return name.clone().into();
        }
        let full_name = self.record_name(schema);
        self.record(schema, &full_name)
    }

    fn is_native_map(&self, schema: &Schema) -> bool {
        let has_text_keys = schema.key_schema().is_some_and(|keys| keys.ty() == Type::String);
        super::parquet::is_native_map(schema) || (self.options.optional_map_keys && has_text_keys)
    }

    fn put_metadata(&self, ty: &mut Map<String, Json>, schema: &Schema) {
        if self.options.metadata {
            put_metadata(ty, schema);
        }
    }

    fn map_entry(&mut self, schema: &Schema) -> Json {
        let mut entry = Map::new();
        entry.insert("type".into(), "record".into());
        put_name(&mut entry, &format!("{NAMESPACE}.MapEntry"));
        let members = [("key", schema.key_schema()), ("value", schema.value_schema())];
        let fields: Vec<_> = members
            .into_iter()
            .filter_map(|(name, schema)| Some(self.field(name, schema?)))
            .collect();
        entry.insert("fields".into(), fields.into());
        Json::Object(entry)
    }
}

fn put_name(record: &mut Map<String, Json>, full_name: &str) {
    match full_name.rsplit_once('.') {
        Some((namespace, name)) => {
            record.insert("name".into(), name.into());
            record.insert("namespace".into(), namespace.into());
        }
        None => drop(record.insert("name".into(), full_name.into())),
    }
}

fn put_primitive(ty: &mut Map<String, Json>, schema: &Schema, options: AvroOptions) {
    if let Some(symbols) = enum_symbols(schema, options) {
        ty.insert("type".into(), "enum".into());
        put_name(ty, schema.parameter(ENUM).unwrap_or_default());
        let symbols: Vec<Json> = symbols.map(Into::into).collect();
        ty.insert("symbols".into(), symbols.into());
        return;
    }
    if let Some(size) = fixed_size(schema) {
        ty.insert("type".into(), "fixed".into());
        put_name(ty, schema.name().unwrap_or("fixed"));
        ty.insert("size".into(), size.into());
        return;
    }
    let (name, connect_type) = match schema.ty() {
        Type::Int8 => ("int", Some("int8")),
        Type::Int16 => ("int", Some("int16")),
        Type::Int32 => ("int", None),
        Type::Int64 => ("long", None),
        Type::Float32 => ("float", None),
        Type::Float64 => ("double", None),
        Type::Boolean => ("boolean", None),
        Type::Bytes => ("bytes", None),
        _ => ("string", None),
    };
    ty.insert("type".into(), name.into());
    if let Some((precision, scale)) = decimal(schema) {
        ty.insert("scale".into(), scale.into());
        ty.insert("precision".into(), precision.into());
    }
    if let Some(connect_type) = connect_type.filter(|_| options.metadata) {
        ty.insert("connect.type".into(), connect_type.into());
    }
}

fn put_metadata(ty: &mut Map<String, Json>, schema: &Schema) {
    if let Some(doc) = schema.doc().filter(|_| schema.ty() != Type::Struct) {
        ty.insert("connect.doc".into(), doc.into());
    }
    if let Some(version) = schema.version() {
        ty.insert("connect.version".into(), version.into());
    }
    if !schema.parameters().is_empty() {
        let parameters: Map<_, _> =
            schema.parameters().iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        ty.insert("connect.parameters".into(), Json::Object(parameters));
    }
    let default = schema.default_value().filter(|value| !value.is_null()).and_then(default_json);
    if let Some(default) = default {
        ty.insert("connect.default".into(), default);
    }
    if let Some(name) = schema.name() {
        ty.insert("connect.name".into(), name.into());
    }
}

fn logical_type(schema: &Schema) -> Option<&'static str> {
    match (schema.ty(), schema.name()?) {
        (Type::Bytes, logical::DECIMAL) => decimal(schema).map(|_| "decimal"),
        (Type::Int32, logical::DATE) => Some("date"),
        (Type::Int32, logical::TIME) => Some("time-millis"),
        (Type::Int64, logical::TIMESTAMP) => Some("timestamp-millis"),
        _ => None,
    }
}

/// A default as Avro writes it in schemas: bytes become characters of the same number.
fn default_json(value: &Value) -> Option<Json> {
    let characters = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    Some(match value {
        Value::Boolean(value) => (*value).into(),
        Value::Float32(value) => (*value).into(),
        Value::Float64(value) => (*value).into(),
        Value::String(text) => text.as_ref().into(),
        Value::Bytes(bytes) => characters(bytes).into(),
        Value::Decimal(decimal) => characters(&decimal.unscaled.to_signed_bytes_be()).into(),
        Value::Array(items) => items.iter().map(default_json).collect::<Option<Vec<_>>>()?.into(),
        other => other.as_i64()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::connector::s3::format::parquet::DECIMAL_PRECISION;
    use crate::data::SchemaBuilder;

    fn optional(ty: Type) -> Arc<Schema> {
        SchemaBuilder::new(ty).optional().build()
    }

    #[test]
    fn a_debezium_row_has_the_originals_avro_schema() {
        let price = SchemaBuilder::decimal(2).parameter(DECIMAL_PRECISION, "10").optional();
        let created = SchemaBuilder::new(Type::Int64)
            .name("io.debezium.time.MicroTimestamp")
            .version(1)
            .optional();
        let schema = SchemaBuilder::structure()
            .name("cdc.commerce.products.Value")
            .field("id", SchemaBuilder::new(Type::Int32).build())
            .field("name", SchemaBuilder::new(Type::String).build())
            .field("price", price.build())
            .field("tags", SchemaBuilder::array(optional(Type::String)).optional().build())
            .field("created_at", created.build())
            .field("stock", SchemaBuilder::new(Type::Int16).default_value(Value::Int16(0)).build())
            .field("__deleted", optional(Type::String))
            .build();
        let avro = of(&schema);
        assert_eq!(avro.full_name, "cdc.commerce.products.Value");
        expect![[r#"{"type":"record","name":"Value","namespace":"cdc.commerce.products","fields":[{"name":"id","type":"int"},{"name":"name","type":"string"},{"name":"price","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},{"name":"tags","type":["null",{"type":"array","items":["null","string"]}],"default":null},{"name":"created_at","type":["null",{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}],"default":null},{"name":"stock","type":{"type":"int","connect.type":"int16","connect.default":0},"default":0},{"name":"__deleted","type":["null","string"],"default":null}],"connect.name":"cdc.commerce.products.Value"}"#]]
        .assert_eq(&avro.json);
    }

    #[test]
    fn unnamed_and_repeated_structs_have_names() {
        let point = SchemaBuilder::structure()
            .name("geo.Point")
            .field("x", SchemaBuilder::new(Type::Float64).build())
            .build();
        let schema = SchemaBuilder::structure().field("a", point.clone()).field("b", point).build();
        let avro = of(&schema);
        assert_eq!(avro.full_name, "io.confluent.connect.avro.ConnectDefault");
        let json: Json = serde_json::from_str(&avro.json).unwrap();
        assert_eq!(json["fields"][0]["type"]["connect.name"], "geo.Point");
        assert_eq!(json["fields"][1]["type"], "geo.Point");
    }
}
