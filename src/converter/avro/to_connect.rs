//! The Connect schema of an Avro schema, and how values of it are read (Confluent,
//! `AvroData.toConnectSchema`).

use std::sync::Arc;

use serde_json::Value as Json;

use super::AvroOptions;
use super::from_connect::is_decimal;
use super::schema::{AvroField, AvroSchema, AvroType, FullName, Kind, TypeId};
use super::vocabulary::{
    ANYTHING, DECIMAL_PRECISION, DEFAULT_PRECISION, ENUM, ENUM_DEFAULT, ENUM_DOC, FIELD_DEFAULT,
    FIELD_DOC, FIXED_SIZE, GENERAL_ENUM, GENERAL_UNION, GENERAL_UNION_PREFIX, INTERNAL_TYPE,
    MAP_ENTRY, NAMESPACE, RECORD_DOC, UNION, UNNAMED_FULL,
};
use crate::data::{Schema, SchemaBuilder, Type, logical};
use crate::error::DataError;

/// How a value is read.
#[derive(Debug)]
pub(super) enum Decoding {
    Leaf(ReadForm),
    Array(Box<Decoding>),
    Map(Box<Decoding>),
    Entries {
        key: Box<Decoding>,
        value: Box<Decoding>,
        key_first: bool,
    },
    Record {
        schema: Arc<Schema>,
        fields: Vec<Decoding>,
    },
    /// A union with null, of which null is the branch `null`.
    Nullable {
        null: usize,
        inner: Box<Decoding>,
    },
    /// A union of one type.
    Single(Box<Decoding>),
    /// A union as a struct; `None` is null.
    Union {
        schema: Arc<Schema>,
        branches: Vec<Option<(usize, Decoding)>>,
    },
    /// A value without schema.
    Anything,
}

/// How a leaf is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ReadForm {
    Boolean,
    Int8,
    Int16,
    Int32,
    Date,
    Time,
    Long,
    Timestamp,
    Float,
    Double,
    String,
    Enum(Vec<Arc<str>>),
    Bytes,
    Fixed(usize),
    Decimal { scale: i32, size: Option<usize> },
}

type Result<T, E = DataError> = std::result::Result<T, E>;

/// The Connect schema of `avro` and how its values are read. `version` is that of the registry, for a
/// schema that does not say its own.
///
/// # Errors
/// When Connect has no such schema.
pub(super) fn to_connect(
    avro: &AvroSchema,
    version: Option<i32>,
    options: AvroOptions,
) -> Result<(Option<Arc<Schema>>, Decoding)> {
    if avro.record_name().as_deref() == Some(ANYTHING) {
        return Ok((None, Decoding::Anything));
    }
    let mut mapping = Mapping { avro, options, open: Vec::new(), unions: 0 };
    let place = Place { version, ..Place::default() };
    let (schema, decoding) = mapping.any(avro.root, &place)?;
    Ok((Some(schema), decoding))
}

struct Mapping<'a> {
    avro: &'a AvroSchema,
    options: AvroOptions,
    /// The types around the one at hand.
    open: Vec<TypeId>,
    unions: usize,
}

/// What stands around a type.
#[derive(Debug, Default)]
struct Place<'a> {
    optional: bool,
    default: Option<&'a Json>,
    doc: Option<&'a str>,
    version: Option<i32>,
}

impl Mapping<'_> {
    fn any(&mut self, id: TypeId, place: &Place<'_>) -> Result<(Arc<Schema>, Decoding)> {
        if self.open.contains(&id) {
            let name = self.avro.ty(id).name.as_ref().map(FullName::full).unwrap_or_default();
            return Err(DataError::new(format!(
                "The Avro schema {name} contains itself; values of endless depth are not supported"
            )));
        }
        self.open.push(id);
        let mapped = self.mapped(id, place);
        self.open.pop();
        mapped
    }

    fn mapped(&mut self, id: TypeId, place: &Place<'_>) -> Result<(Arc<Schema>, Decoding)> {
        let avro = self.avro;
        let ty = avro.ty(id);
        let (mut builder, make) = match &ty.kind {
            Kind::Union(branches) => {
                if let Some(simple) = self.simple_union(branches, place) {
                    return simple;
                }
                return self.union(branches, place, id);
            }
            Kind::Null => {
                return Err(DataError::new(
                    "Standalone null schemas are not supported by this converter",
                ));
            }
            Kind::Array(items) => self.array(*items)?,
            Kind::Map(values) => {
                let (schema, decoding) = self.any(*values, &Place::default())?;
                let keys = SchemaBuilder::new(Type::String).build();
                (SchemaBuilder::map(keys, schema), Made::Ready(Decoding::Map(Box::new(decoding))))
            }
            Kind::Record(fields) => self.record(ty, fields)?,
            _ => {
                let (builder, form) = self.leaf(ty)?;
                (builder, Made::Leaf(form))
            }
        };
        builder = self.with_properties(builder, ty, place)?;
        if let Some(default) = self.default_of(&builder, id, place) {
            let flagged = place.default.is_some()
                && !self.options.discard_type_doc_default
                && self.options.connect_meta_data
                && !ty.props.contains_key("connect.default");
            if flagged {
                builder = builder.parameter(FIELD_DEFAULT, "true");
            }
            builder = builder.default_value(default);
        }
        let schema = builder.with_optional(place.optional).build();
        let decoding = match make {
            Made::Leaf(form) => Decoding::Leaf(form),
            Made::Record(fields) => Decoding::Record { schema: schema.clone(), fields },
            Made::Ready(decoding) => decoding,
        };
        Ok((schema, decoding))
    }

    /// A union with null, or of one type: no struct.
    fn simple_union(
        &mut self,
        branches: &[TypeId],
        place: &Place<'_>,
    ) -> Option<Result<(Arc<Schema>, Decoding)>> {
        let is_null = |id: &TypeId| self.avro.ty(*id).kind == Kind::Null;
        match branches {
            [only] if self.options.flatten_singleton_unions => {
                let inner = Place { doc: place.doc, ..Place::default() };
                let mapped = self.any(*only, &inner);
                Some(mapped.map(|(schema, inner)| (schema, Decoding::Single(Box::new(inner)))))
            }
            [first, second] if is_null(first) != is_null(second) => {
                let null = usize::from(is_null(second));
                let other = if null == 0 { *second } else { *first };
                // The original forgets the field's default here, but not the type's own.
                let inner = Place { optional: true, doc: place.doc, ..Place::default() };
                let mapped = self.any(other, &inner);
                let nullable = |inner| Decoding::Nullable { null, inner: Box::new(inner) };
                Some(mapped.map(|(schema, inner)| (schema, nullable(inner))))
            }
            _ => None,
        }
    }

    fn union(
        &mut self,
        branches: &[TypeId],
        place: &Place<'_>,
        id: TypeId,
    ) -> Result<(Arc<Schema>, Decoding)> {
        let mut builder = SchemaBuilder::structure();
        builder = if self.options.generalized_sum_type_support {
            let name = format!("{GENERAL_UNION_PREFIX}{}", self.unions);
            self.unions += 1;
            builder.name(name.clone()).parameter(GENERAL_UNION, name)
        } else {
            builder.name(UNION)
        };
        let (mut read, mut names) = (Vec::new(), Vec::new());
        let mut optional = place.optional;
        for (index, branch) in branches.iter().enumerate() {
            let ty = self.avro.ty(*branch);
            if ty.kind == Kind::Null {
                optional = true;
                read.push(None);
                continue;
            }
            let name = member_name(ty, index, self.options);
            if names.contains(&name) {
                return Err(DataError::new(
                    "Multiple union schemas map to the Connect union field name",
                ));
            }
            let member = Place { optional: true, ..Place::default() };
            let (schema, decoding) = self.any(*branch, &member).map_err(|error| error.at(&name))?;
            read.push(Some((names.len(), decoding)));
            builder = builder.field(name.clone(), schema);
            names.push(name);
        }
        builder = self.with_properties(builder, self.avro.ty(id), place)?;
        let schema = builder.with_optional(optional).build();
        Ok((schema.clone(), Decoding::Union { schema, branches: read }))
    }

    fn array(&mut self, items: TypeId) -> Result<(SchemaBuilder, Made)> {
        if let Some((key, value, key_first)) = self.map_entry(items)? {
            let (key_schema, key) = self.any(key, &Place::default())?;
            let (value_schema, value) = self.any(value, &Place::default())?;
            let (key, value) = (Box::new(key), Box::new(value));
            return Ok((
                SchemaBuilder::map(key_schema, value_schema),
                Made::Ready(Decoding::Entries { key, value, key_first }),
            ));
        }
        let (schema, decoding) = self.any(items, &Place::default())?;
        Ok((SchemaBuilder::array(schema), Made::Ready(Decoding::Array(Box::new(decoding)))))
    }

    /// The types of key and value, where the items of an array are the entries of a map.
    fn map_entry(&self, items: TypeId) -> Result<Option<(TypeId, TypeId, bool)>> {
        let ty = self.avro.ty(items);
        let Kind::Record(fields) = &ty.kind else { return Ok(None) };
        let named = ty.name.as_ref().is_some_and(|name| {
            name.namespace.as_deref() == Some(NAMESPACE) && name.name == MAP_ENTRY
        });
        if !named && ty.text_prop(INTERNAL_TYPE) != Some(MAP_ENTRY) {
            return Ok(None);
        }
        let at = |wanted: &str| fields.iter().position(|field| field.name == wanted);
        match (fields.as_slice(), at("key"), at("value")) {
            ([first, second], Some(key), Some(_)) => Ok(Some(match key {
                0 => (first.ty, second.ty, true),
                _ => (second.ty, first.ty, false),
            })),
            _ => Err(DataError::new(
                "Found map encoded as array of key-value pairs, but array elements do not match \
                 the expected format.",
            )),
        }
    }

    fn record(&mut self, ty: &AvroType, fields: &[AvroField]) -> Result<(SchemaBuilder, Made)> {
        let keeps_docs = !self.options.discard_type_doc_default && self.options.connect_meta_data;
        let mut builder = SchemaBuilder::structure();
        if let Some(doc) = ty.doc.as_ref().filter(|_| keeps_docs) {
            builder = builder.parameter(RECORD_DOC, doc);
        }
        let mut read = Vec::with_capacity(fields.len());
        for field in fields {
            if let Some(doc) = field.doc.as_ref().filter(|_| keeps_docs) {
                builder = builder.parameter(format!("{FIELD_DOC}{}", field.name), doc);
            }
            let place = Place {
                default: field.default.as_ref().filter(|default| !default.is_null()),
                doc: field.doc.as_deref(),
                ..Place::default()
            };
            let (schema, decoding) =
                self.any(field.ty, &place).map_err(|error| error.at(&field.name))?;
            builder = builder.field(field.name.clone(), schema);
            read.push(decoding);
        }
        Ok((builder, Made::Record(read)))
    }

    fn leaf(&self, ty: &AvroType) -> Result<(SchemaBuilder, ReadForm)> {
        let logical_type = ty.text_prop("logicalType").map(str::to_ascii_lowercase);
        let plain = |ty, form| Ok((SchemaBuilder::new(ty), form));
        let named = |ty, name: &str, form| Ok((SchemaBuilder::new(ty).name(name).version(1), form));
        match (&ty.kind, logical_type.as_deref()) {
            (Kind::Boolean, _) => plain(Type::Boolean, ReadForm::Boolean),
            (Kind::Float, _) => plain(Type::Float32, ReadForm::Float),
            (Kind::Double, _) => plain(Type::Float64, ReadForm::Double),
            (Kind::Int, Some("date")) => named(Type::Int32, logical::DATE, ReadForm::Date),
            (Kind::Int, Some("time-millis")) => named(Type::Int32, logical::TIME, ReadForm::Time),
            (Kind::Int, Some(_)) => plain(Type::Int32, ReadForm::Int32),
            (Kind::Int, None) => match ty.text_prop("connect.type") {
                None => plain(Type::Int32, ReadForm::Int32),
                Some("int8") => plain(Type::Int8, ReadForm::Int8),
                Some("int16") => plain(Type::Int16, ReadForm::Int16),
                Some(other) => Err(DataError::new(format!(
                    "Connect type annotation for Avro int field is unknown: {other}"
                ))),
            },
            (Kind::Long, Some("timestamp-millis")) => {
                named(Type::Int64, logical::TIMESTAMP, ReadForm::Timestamp)
            }
            (Kind::Long, _) => plain(Type::Int64, ReadForm::Long),
            (Kind::Bytes, Some("decimal")) => decimal(ty, None),
            (Kind::Fixed(size), Some("decimal")) => decimal(ty, Some(*size)),
            (Kind::Bytes, _) => plain(Type::Bytes, ReadForm::Bytes),
            (Kind::Fixed(size), _) => Ok((
                SchemaBuilder::new(Type::Bytes).parameter(FIXED_SIZE, size.to_string()),
                ReadForm::Fixed(*size),
            )),
            (Kind::Enum { symbols, default }, _) => {
                let symbols_read = symbols.iter().map(|symbol| symbol.as_str().into()).collect();
                let builder = self.enumeration(ty, symbols, default.as_deref());
                Ok((builder, ReadForm::Enum(symbols_read)))
            }
            _ => plain(Type::String, ReadForm::String),
        }
    }

    fn enumeration(
        &self,
        ty: &AvroType,
        symbols: &[String],
        default: Option<&str>,
    ) -> SchemaBuilder {
        let options = self.options;
        let simple = ty.name.as_ref().map_or("", |name| name.name.as_str());
        let mut builder = SchemaBuilder::new(Type::String);
        if let Some(doc) = ty.doc.as_ref().filter(|_| options.connect_meta_data) {
            let key = match options.discard_type_doc_default {
                true => "connect.enum.doc".to_owned(),
                false => format!("{ENUM_DOC}{simple}"),
            };
            builder = builder.parameter(key, doc);
        }
        let keeps_default = options.connect_meta_data && !options.discard_type_doc_default;
        if let Some(default) = default.filter(|_| keeps_default) {
            builder = builder.parameter(format!("{ENUM_DEFAULT}{simple}"), default);
        }
        let general = options.generalized_sum_type_support;
        let param = if general { GENERAL_ENUM } else { ENUM };
        let name = ty.name.as_ref().map(FullName::full).unwrap_or_default();
        builder = builder.parameter(param, name);
        for (index, symbol) in symbols.iter().enumerate() {
            let value = if general { index.to_string() } else { symbol.clone() };
            builder = builder.parameter(format!("{param}.{symbol}"), value);
        }
        builder
    }

    /// Doc, version, parameters and name.
    fn with_properties(
        &self,
        mut builder: SchemaBuilder,
        ty: &AvroType,
        place: &Place<'_>,
    ) -> Result<SchemaBuilder> {
        let options = self.options;
        let own_doc = ty.text_prop("connect.doc");
        if options.discard_type_doc_default {
            if let Some(doc) = place.doc.or(ty.doc.as_deref()).or(own_doc) {
                builder = builder.doc(doc);
            }
            if let Some(doc) = ty.doc.as_ref().filter(|_| options.connect_meta_data) {
                builder = builder.parameter("connect.record.doc", doc);
            }
        } else if let Some(doc) = own_doc.filter(|_| options.connect_meta_data) {
            builder = builder.doc(doc);
        }
        let made = builder.clone().build();
        let version = match ty.props.get("connect.version") {
            None => place.version.filter(|version| *version >= 0),
            Some(json) => {
                let version = json.as_i64().and_then(|number| i32::try_from(number).ok());
                Some(version.ok_or_else(|| {
                    DataError::new(format!("Invalid Connect version found: {json}"))
                })?)
            }
        };
        match (version, made.version()) {
            (Some(version), Some(own)) if version != own => {
                return Err(DataError::new(format!(
                    "Mismatched versions: version already added to SchemaBuilder ({own}) differs \
                     from version in source schema ({version})"
                )));
            }
            (Some(version), None) => builder = builder.version(version),
            _ => {}
        }
        if let Some(parameters) =
            ty.props.get("connect.parameters").filter(|_| options.connect_meta_data)
        {
            builder = with_parameters(builder, parameters)?;
        }
        for (key, value) in ty.props.iter().filter(|(key, _)| key.starts_with("avro")) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            builder = builder.parameter(key.clone(), text);
        }
        match (self.name_of(ty, &made)?, made.name()) {
            (Some(name), Some(own)) if name != own => Err(DataError::new(format!(
                "Mismatched names: name already added to SchemaBuilder ({own}) differs from name \
                 in source schema ({name})"
            ))),
            (Some(name), None) => Ok(builder.name(name)),
            _ => Ok(builder),
        }
    }

    fn name_of(&self, ty: &AvroType, made: &Schema) -> Result<Option<String>> {
        let name = match ty.props.get("connect.name") {
            Some(Json::String(name)) => Some(name.clone()),
            Some(other) => return Err(DataError::new(format!("Invalid schema name: {other}"))),
            // The name of a fixed decimal is not Decimal.
            None if is_decimal(made) => None,
            None => ty.name.as_ref().map(FullName::full),
        };
        Ok(name.filter(|name| !name.starts_with(UNNAMED_FULL)))
    }

    /// The default: the field's, else the type's own. One that does not fit is passed over, as by the
    /// original.
    fn default_of(
        &self,
        builder: &SchemaBuilder,
        id: TypeId,
        place: &Place<'_>,
    ) -> Option<crate::data::Value> {
        let ty = self.avro.ty(id);
        let json = place.default.or_else(|| ty.props.get("connect.default"))?;
        let schema = builder.clone().build();
        let value = super::decode_default::value(self.avro, id, &schema, json);
        if value.is_none() {
            let name = schema.name().unwrap_or_else(|| schema.ty().name());
            tracing::warn!(schema = name, "the default of an avro schema does not fit, ignored");
        }
        value
    }
}

/// What a type is read by, before its schema is whole.
enum Made {
    Leaf(ReadForm),
    Record(Vec<Decoding>),
    Ready(Decoding),
}

fn decimal(ty: &AvroType, size: Option<usize>) -> Result<(SchemaBuilder, ReadForm)> {
    let number = |key: &str| match ty.props.get(key) {
        None => Ok(None),
        Some(json) => {
            let number = json.as_i64().and_then(|number| i32::try_from(number).ok());
            number
                .map(Some)
                .ok_or_else(|| DataError::new(format!("{key} property must be a JSON Integer.")))
        }
    };
    let scale = number("scale")?.unwrap_or(0);
    let mut builder = SchemaBuilder::decimal(scale);
    if let Some(precision) = number("precision")?.filter(|number| *number != DEFAULT_PRECISION) {
        builder = builder.parameter(DECIMAL_PRECISION, precision.to_string());
    }
    if let Some(size) = size {
        builder = builder.parameter(FIXED_SIZE, size.to_string());
    }
    Ok((builder, ReadForm::Decimal { scale, size }))
}

fn with_parameters(mut builder: SchemaBuilder, parameters: &Json) -> Result<SchemaBuilder> {
    let members = parameters.as_object().ok_or_else(|| {
        DataError::new(format!(
            "Expected JSON object for schema parameters but found: {parameters}"
        ))
    })?;
    for (key, value) in members {
        let value = value.as_str().ok_or_else(|| {
            DataError::new(format!(
                "Expected schema parameter values to be strings but found: {value}"
            ))
        })?;
        builder = builder.parameter(key.clone(), value);
    }
    Ok(builder)
}

/// The name of the member that stands for a branch of a union.
pub(super) fn member_name(ty: &AvroType, index: usize, options: AvroOptions) -> String {
    if options.generalized_sum_type_support {
        return format!("{GENERAL_UNION_PREFIX}field_{index}");
    }
    match &ty.name {
        Some(name) if options.enhanced_avro_schema_support => name.full(),
        Some(name) => name.name.clone(),
        None => ty.kind.primitive_name().to_owned(),
    }
}
