//! The names by which the original keeps in one model what only the other has.

use super::AvroOptions;
use crate::data::{Schema, Type};

pub(super) const NAMESPACE: &str = "io.confluent.connect.avro";
/// A struct without a name.
pub(super) const UNNAMED: &str = "ConnectDefault";
pub(super) const UNNAMED_FULL: &str = "io.confluent.connect.avro.ConnectDefault";
/// The record that a map's entry is.
pub(super) const MAP_ENTRY: &str = "MapEntry";
pub(super) const INTERNAL_TYPE: &str = "connect.internal.type";
pub(super) const RECORD_DOC: &str = "io.confluent.connect.avro.record.doc";
pub(super) const FIELD_DOC: &str = "io.confluent.connect.avro.field.doc.";
pub(super) const FIELD_DEFAULT: &str = "io.confluent.connect.avro.field.default";
pub(super) const ENUM: &str = "io.confluent.connect.avro.Enum";
pub(super) const ENUM_DOC: &str = "io.confluent.connect.avro.enum.doc.";
pub(super) const ENUM_DEFAULT: &str = "io.confluent.connect.avro.enum.default.";
pub(super) const UNION: &str = "io.confluent.connect.avro.Union";
pub(super) const ANYTHING: &str = "io.confluent.connect.avro.Anything";
pub(super) const FIXED_SIZE: &str = "connect.fixed.size";
pub(super) const DECIMAL_PRECISION: &str = "connect.decimal.precision";
/// The precision of a Decimal that does not say.
pub(super) const DEFAULT_PRECISION: i32 = 64;
/// `generalized.sum.type.support`: what all formats of the registry call these.
pub(super) const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
pub(super) const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
pub(super) const GENERAL_UNION_PREFIX: &str = "connect_union_";

/// The schema of values that have none: a record with one member per kind of value.
pub(super) const ANYTHING_JSON: &str = r#"{"type":"record","name":"Anything","namespace":"io.confluent.connect.avro","fields":[{"name":"boolean","type":["null","boolean"],"default":null},{"name":"bytes","type":["null","bytes"],"default":null},{"name":"double","type":["null","double"],"default":null},{"name":"float","type":["null","float"],"default":null},{"name":"int","type":["null","int"],"default":null},{"name":"long","type":["null","long"],"default":null},{"name":"string","type":["null","string"],"default":null},{"name":"array","type":["null",{"type":"array","items":"Anything"}],"default":null},{"name":"map","type":["null",{"type":"array","items":{"type":"record","name":"MapEntry","fields":[{"name":"key","type":"Anything"},{"name":"value","type":"Anything"}]}}],"default":null}]}"#;

/// A struct that stands for a union: at most one of its fields is not null.
pub(super) fn is_union(schema: &Schema) -> bool {
    schema.ty() == Type::Struct
        && (schema.name() == Some(UNION) || schema.parameter(GENERAL_UNION).is_some())
}

/// Bytes of one length.
pub(super) fn is_fixed(schema: &Schema) -> bool {
    schema.ty() == Type::Bytes && schema.name().is_some() && schema.parameter(FIXED_SIZE).is_some()
}

/// The parameter that names the enumeration, where `schema` is written as one.
pub(super) fn enum_param(schema: &Schema, options: AvroOptions) -> Option<&'static str> {
    if schema.ty() != Type::String {
        return None;
    }
    let has = |param: &'static str| schema.parameter(param).map(|_| param);
    match (options.generalized_sum_type_support, options.enhanced_avro_schema_support) {
        (true, _) => has(GENERAL_ENUM),
        (false, true) => has(ENUM),
        (false, false) => None,
    }
}

/// The symbols that follow the parameter `param`.
pub(super) fn symbols<'a>(schema: &'a Schema, param: &'a str) -> impl Iterator<Item = &'a str> {
    let symbol = move |key: &'a str| key.strip_prefix(param)?.strip_prefix('.');
    schema.parameters().iter().filter_map(move |(key, _)| symbol(key))
}
