//! The Avro schema of a Connect schema (Confluent, `AvroData.fromConnectSchema`).

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::AvroOptions;
use super::names::{scrub, scrub_full};
use super::schema::{AvroField, AvroSchema, AvroType, FullName, Kind, TypeId, check_name};
use super::vocabulary::{
    ANYTHING_JSON, DECIMAL_PRECISION, DEFAULT_PRECISION, ENUM_DEFAULT, ENUM_DOC, FIELD_DEFAULT,
    FIELD_DOC, FIXED_SIZE, INTERNAL_TYPE, MAP_ENTRY, NAMESPACE, RECORD_DOC, UNNAMED, enum_param,
    is_fixed, is_union,
};
use crate::data::{Schema, Struct, Type, Value, logical};
use crate::error::DataError;

/// The Avro schema of `schema`; that of anything at all where there is none.
///
/// # Errors
/// When Avro has no such schema.
pub(crate) fn from_connect(
    schema: Option<&Arc<Schema>>,
    options: AvroOptions,
) -> Result<AvroSchema, DataError> {
    let Some(schema) = schema else {
        return super::parse::parse(ANYTHING_JSON, &[]);
    };
    let mut builder =
        Builder { options, types: Vec::new(), known: Vec::new(), entries: Vec::new(), unnamed: 0 };
    let root = builder.any(schema, false)?;
    Ok(AvroSchema::new(builder.types, root))
}

struct Builder {
    options: AvroOptions,
    types: Vec<AvroType>,
    /// Named types that exist already, by the required form of their schema.
    known: Vec<(Arc<Schema>, TypeId)>,
    /// The entries of maps, by their name and the schemas of key and value.
    entries: Vec<MapEntry>,
    unnamed: usize,
}

/// A map's entry: the map's name, the schemas of key and value, and the entry's type.
type MapEntry = (Option<String>, Arc<Schema>, Arc<Schema>, TypeId);

type Result<T, E = DataError> = std::result::Result<T, E>;

impl Builder {
    fn add(&mut self, ty: AvroType) -> TypeId {
        self.types.push(ty);
        self.types.len() - 1
    }

    /// The type of `schema`, in a union with null where it is optional and that is wanted.
    fn any(&mut self, schema: &Arc<Schema>, ignore_optional: bool) -> Result<TypeId> {
        if is_union(schema) {
            return self.union(schema);
        }
        let base = self.base(schema)?;
        if !schema.is_optional() || ignore_optional {
            return Ok(base);
        }
        let null = self.add(AvroType::of(Kind::Null));
        let has_default = schema.default_value().is_some_and(|default| !default.is_null());
        // The type of a field's default stands first; a record's default is not kept.
        let branches = match has_default && schema.ty() != Type::Struct {
            true => vec![base, null],
            false => vec![null, base],
        };
        Ok(self.add(AvroType::of(Kind::Union(branches))))
    }

    fn union(&mut self, schema: &Arc<Schema>) -> Result<TypeId> {
        let mut branches = Vec::new();
        if schema.is_optional() {
            branches.push(self.add(AvroType::of(Kind::Null)));
        }
        for field in schema.fields() {
            branches.push(self.any(&field.schema, true)?);
        }
        Ok(self.add(AvroType::of(Kind::Union(branches))))
    }

    fn base(&mut self, schema: &Arc<Schema>) -> Result<TypeId> {
        let ty = match schema.ty() {
            Type::Struct => return self.record(schema),
            Type::Array => {
                let items = part(schema.value_schema())?.clone();
                AvroType::of(Kind::Array(self.any(&items, false)?))
            }
            Type::Map => self.map(schema)?,
            Type::String => self.string(schema)?,
            Type::Bytes => self.bytes(schema)?,
            Type::Int8 | Type::Int16 | Type::Int32 => AvroType::of(Kind::Int),
            Type::Int64 => AvroType::of(Kind::Long),
            Type::Float32 => AvroType::of(Kind::Float),
            Type::Float64 => AvroType::of(Kind::Double),
            Type::Boolean => AvroType::of(Kind::Boolean),
        };
        let ty = self.with_properties(ty, schema);
        Ok(self.add(ty))
    }

    fn map(&mut self, schema: &Arc<Schema>) -> Result<AvroType> {
        let keys = part(schema.key_schema())?.clone();
        let values = part(schema.value_schema())?.clone();
        if self.options.is_native_map(schema) {
            return Ok(AvroType::of(Kind::Map(self.any(&values, false)?)));
        }
        let of_name = |entry: &&MapEntry| entry.0.as_deref() == schema.name();
        let mut known = self.entries.iter().filter(of_name);
        if let Some(entry) = known.find(|entry| entry.1 == keys && entry.2 == values) {
            return Ok(AvroType::of(Kind::Array(entry.3)));
        }
        let name = match schema.name() {
            Some(name) => self.full_name(name)?,
            None => {
                // Another map's entry cannot have the same name. The original fails here; the
                // property tells its readers what this is.
                let number = self.entries.iter().filter(of_name).count() + 1;
                let number = if number > 1 { number.to_string() } else { String::new() };
                let name = format!("{MAP_ENTRY}{number}");
                FullName { namespace: Some(NAMESPACE.to_owned()), name }
            }
        };
        let mut entry = AvroType::of(Kind::Null);
        if name.name != MAP_ENTRY {
            entry.props.insert(INTERNAL_TYPE.into(), MAP_ENTRY.into());
        }
        entry.name = Some(name);
        let id = self.add(entry);
        // Before what is within, which may be a map too.
        let own = (schema.name().map(str::to_owned), keys.clone(), values.clone(), id);
        self.entries.push(own);
        let fields = vec![self.field("key", &keys, None)?, self.field("value", &values, None)?];
        if let Some(entry) = self.types.get_mut(id) {
            entry.kind = Kind::Record(fields);
        }
        Ok(AvroType::of(Kind::Array(id)))
    }

    fn string(&mut self, schema: &Schema) -> Result<AvroType> {
        let Some(param) = enum_param(schema, self.options) else {
            return Ok(AvroType::of(Kind::String));
        };
        let symbols: Vec<_> =
            super::vocabulary::symbols(schema, param).map(str::to_owned).collect();
        symbols.iter().try_for_each(|symbol| check_name(symbol))?;
        let name = FullName::of(schema.parameter(param).unwrap_or_default());
        check_name(&name.name)?;
        // The parameters of doc and default carry the simple name of the schema.
        let simple = schema.name().map(|name| FullName::of(name).name).unwrap_or_default();
        let parameter = |prefix: &str| schema.parameter(&format!("{prefix}{simple}"));
        let mut ty = AvroType::of(Kind::Enum {
            symbols,
            default: parameter(ENUM_DEFAULT)
                .filter(|_| !self.options.discard_type_doc_default)
                .map(str::to_owned),
        });
        ty.name = Some(name);
        ty.doc = match self.options.discard_type_doc_default {
            true => schema.parameter("connect.enum.doc"),
            false => parameter(ENUM_DOC),
        }
        .map(str::to_owned);
        Ok(ty)
    }

    fn bytes(&mut self, schema: &Schema) -> Result<AvroType> {
        let mut ty = AvroType::of(Kind::Bytes);
        if is_fixed(schema) {
            let size = schema.parameter(FIXED_SIZE).and_then(|size| size.parse().ok());
            ty.kind = Kind::Fixed(size.ok_or_else(|| DataError::new("Invalid fixed size"))?);
            ty.name = Some(self.full_name(schema.name().unwrap_or_default())?);
        }
        if is_decimal(schema) {
            let number = |key, missing: &str| match schema.parameter(key) {
                Some(text) => text.parse::<i32>().map_err(|_| {
                    DataError::new(format!("Invalid {key} parameter of a Decimal schema: {text}"))
                }),
                None if missing.is_empty() => {
                    Err(DataError::new("Invalid Decimal schema: scale parameter not found."))
                }
                None => Ok(DEFAULT_PRECISION),
            };
            ty.props.insert("scale".into(), number(logical::SCALE, "")?.into());
            ty.props.insert("precision".into(), number(DECIMAL_PRECISION, "64")?.into());
        }
        Ok(ty)
    }

    fn record(&mut self, schema: &Arc<Schema>) -> Result<TypeId> {
        let schema = match schema.is_optional() {
            true => &schema.to_builder().with_optional(false).build(),
            false => schema,
        };
        let same = |known: &&(Arc<Schema>, TypeId)| {
            Arc::ptr_eq(&known.0, schema) || (known.0.name() == schema.name() && known.0 == *schema)
        };
        if let Some((_, id)) = self.known.iter().find(same) {
            return Ok(*id);
        }
        let name = match schema.name() {
            Some(name) => self.full_name(name)?,
            None => {
                self.unnamed += 1;
                let number = (self.unnamed > 1).then(|| self.unnamed.to_string());
                let name = format!("{UNNAMED}{}", number.unwrap_or_default());
                FullName { namespace: Some(NAMESPACE.to_owned()), name }
            }
        };
        let mut ty = AvroType::of(Kind::Null);
        ty.name = Some(name);
        ty.doc = schema
            .parameter(match self.options.discard_type_doc_default {
                true => "connect.record.doc",
                false => RECORD_DOC,
            })
            .map(str::to_owned);
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let doc = schema.parameter(&format!("{FIELD_DOC}{}", field.name));
            let doc = doc.filter(|_| !self.options.discard_type_doc_default);
            fields.push(self.field(&field.name, &field.schema, doc)?);
        }
        ty.kind = Kind::Record(fields);
        let ty = self.with_properties(ty, schema);
        let id = self.add(ty);
        self.known.push((schema.clone(), id));
        Ok(id)
    }

    fn field(&mut self, name: &str, schema: &Arc<Schema>, doc: Option<&str>) -> Result<AvroField> {
        let name = match self.options.scrub_invalid_names {
            true => scrub(name),
            false => name.to_owned(),
        };
        check_name(&name)?;
        let doc = if self.options.discard_type_doc_default { schema.doc() } else { doc };
        let default = schema.default_value().filter(|default| !default.is_null());
        let default = match default {
            // The first branch of an optional record's union is null, which its default is not.
            Some(_) if schema.ty() == Type::Struct && schema.is_optional() => None,
            Some(default) => Some(default_json(schema, default, self.options)?),
            None => schema.is_optional().then_some(Json::Null),
        };
        Ok(AvroField {
            name,
            ty: self.any(schema, false)?,
            doc: doc.map(str::to_owned),
            default,
            props: Map::new(),
        })
    }

    fn full_name(&self, name: &str) -> Result<FullName> {
        let name = match self.options.scrub_invalid_names {
            true => FullName::of(&scrub_full(name)),
            false => FullName::of(name),
        };
        check_name(&name.name)?;
        Ok(name)
    }

    /// What Connect knows of a type and Avro does not, and the logical type.
    fn with_properties(&self, mut ty: AvroType, schema: &Schema) -> AvroType {
        let props = &mut ty.props;
        if self.options.connect_meta_data {
            if let Some(doc) = schema.doc() {
                props.insert("connect.doc".into(), doc.into());
            }
            if let Some(version) = schema.version() {
                props.insert("connect.version".into(), version.into());
            }
            let keeps_flag = self.options.discard_type_doc_default;
            let parameters: Map<_, _> = schema
                .parameters()
                .iter()
                .filter(|(key, _)| keeps_flag || key != FIELD_DEFAULT)
                .map(|(key, value)| (key.clone(), value.clone().into()))
                .collect();
            if !parameters.is_empty() {
                props.insert("connect.parameters".into(), Json::Object(parameters));
            }
            if let Some(default) = schema.default_value().filter(|default| !default.is_null())
                && (keeps_flag || schema.parameter(FIELD_DEFAULT).is_none())
                && let Ok(default) = default_json(schema, default, self.options)
            {
                props.insert("connect.default".into(), default);
            }
            if let Some(name) = schema.name() {
                props.insert("connect.name".into(), name.into());
            }
            match schema.ty() {
                Type::Int8 => drop(props.insert("connect.type".into(), "int8".into())),
                Type::Int16 => drop(props.insert("connect.type".into(), "int16".into())),
                _ => {}
            }
        }
        let logical_type = match (schema.ty(), schema.name()) {
            (Type::Bytes, _) if is_decimal(schema) => Some("decimal"),
            (Type::Int32, Some(logical::TIME)) => Some("time-millis"),
            (Type::Int64, Some(logical::TIMESTAMP)) => Some("timestamp-millis"),
            (Type::Int32, Some(logical::DATE)) => Some("date"),
            _ => None,
        };
        if let Some(logical_type) = logical_type {
            props.insert("logicalType".into(), logical_type.into());
        }
        for (key, value) in schema.parameters() {
            if key.starts_with("avro") {
                props.insert(key.clone(), value.clone().into());
            }
        }
        ty
    }
}

pub(super) fn is_decimal(schema: &Schema) -> bool {
    schema.ty() == Type::Bytes
        && schema.name().is_some_and(|name| name.eq_ignore_ascii_case(logical::DECIMAL))
}

fn part(schema: Option<&Arc<Schema>>) -> Result<&Arc<Schema>> {
    schema.ok_or_else(|| DataError::new("A container without the schema of its parts"))
}

/// A default as Avro has it in schemas: bytes are characters of the same number.
fn default_json(schema: &Schema, value: &Value, options: AvroOptions) -> Result<Json> {
    let characters = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let inner =
        |schema: Option<&Arc<Schema>>, value: &Value| default_json(part(schema)?, value, options);
    Ok(match (schema.ty(), value) {
        (_, Value::Null) => Json::Null,
        (Type::Boolean, Value::Boolean(value)) => (*value).into(),
        // The shortest text of the number, not the nearest double's.
        (Type::Float32, Value::Float32(value)) => {
            value.to_string().parse::<f64>().unwrap_or_default().into()
        }
        (Type::Float64, Value::Float64(value)) => (*value).into(),
        (Type::String, Value::String(text)) => text.as_ref().into(),
        (Type::Bytes, Value::Bytes(bytes)) => characters(bytes).into(),
        (Type::Bytes, Value::Decimal(decimal)) => {
            characters(&decimal.unscaled.to_signed_bytes_be()).into()
        }
        (Type::Array, Value::Array(items)) => {
            let items = items.iter().map(|item| inner(schema.value_schema(), item));
            items.collect::<Result<Vec<_>>>()?.into()
        }
        (Type::Map, Value::Map(entries)) if options.is_native_map(schema) => {
            let entries = entries.iter().map(|(key, value)| {
                let key = key.as_str().unwrap_or_default().to_owned();
                Ok((key, inner(schema.value_schema(), value)?))
            });
            Json::Object(entries.collect::<Result<_>>()?)
        }
        (Type::Map, Value::Map(entries)) => {
            let entries = entries.iter().map(|(key, value)| {
                Ok(Json::Array(vec![
                    inner(schema.key_schema(), key)?,
                    inner(schema.value_schema(), value)?,
                ]))
            });
            entries.collect::<Result<Vec<_>>>()?.into()
        }
        (Type::Struct, Value::Struct(value)) => default_struct(schema, value, options)?,
        (_, value) => value
            .as_i64()
            .ok_or_else(|| {
                let (ty, class) = (schema.ty().name(), value.java_class());
                DataError::new(format!(
                    "Invalid type used for default value of {ty} field: class {class}"
                ))
            })?
            .into(),
    })
}

fn default_struct(schema: &Schema, value: &Struct, options: AvroOptions) -> Result<Json> {
    let mut members = Map::new();
    for (field, value) in schema.fields().iter().zip(value.values()) {
        let value = field.schema.default_value().filter(|_| value.is_null()).unwrap_or(value);
        let json = default_json(&field.schema, value, options)?;
        if is_union(schema) {
            return Ok(json);
        }
        let name = match options.scrub_invalid_names {
            true => scrub(&field.name),
            false => field.name.clone(),
        };
        members.insert(name, json);
    }
    Ok(Json::Object(members))
}
