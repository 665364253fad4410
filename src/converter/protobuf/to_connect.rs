//! Protobuf schemas as Connect's, and how their messages are read (Confluent,
//! `ProtobufData.toConnectSchema`).

use std::sync::Arc;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::ProtobufOptions;
use super::descriptor::field_meta;
use super::read::{FieldReader, MessageReader, Shape, ValueReader};
use super::vocabulary::{
    DATE, DECIMAL, ENUM, GENERAL_ENUM, GENERAL_UNION, PRECISION, TAG, TIME, TIMESTAMP, TYPE, UNION,
    WRAPPER,
};
use super::wire::Scalar;
use super::write::wrapped;
use crate::data::{Schema, SchemaBuilder, Type, Value, logical};
use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

const DEPTH_MAX: usize = 64;
/// As many messages as one may be made of: types that hold others twice double with each level.
const MESSAGES_MAX: usize = 10_000;

/// A reader of `message`, which is of version `version` of its subject.
///
/// # Errors
/// When Connect has no such schema, and where.
pub(super) fn reader(
    message: &MessageDescriptor,
    version: Option<i32>,
    options: ProtobufOptions,
) -> Result<MessageReader> {
    let mut mapping = Mapping { options, open: Vec::new(), count: 0 };
    let mut reader = mapping.message(message)?;
    if options.wrapper_for_raw_primitives
        && let Some(scalar) = wrapped(message)
    {
        reader.schema = SchemaBuilder::new(type_of(scalar)).build();
        reader.unwrapped = true;
    }
    if let Some(version) = version {
        reader.schema = reader.schema.to_builder().version(version).build();
    }
    Ok(reader)
}

fn type_of(scalar: Scalar) -> Type {
    match scalar {
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => Type::Int32,
        Scalar::Float => Type::Float32,
        Scalar::Double => Type::Float64,
        Scalar::Bool => Type::Boolean,
        Scalar::String | Scalar::Enum => Type::String,
        Scalar::Bytes => Type::Bytes,
        _ => Type::Int64,
    }
}

struct Mapping {
    options: ProtobufOptions,
    /// The messages around the one at hand.
    open: Vec<String>,
    count: usize,
}

impl Mapping {
    fn message(&mut self, message: &MessageDescriptor) -> Result<MessageReader> {
        let full = message.full_name().to_owned();
        if self.open.contains(&full) || self.open.len() > DEPTH_MAX {
            return Err(DataError::new(format!(
                "The message {full} contains itself; values of endless depth are not supported"
            )));
        }
        self.count += 1;
        if self.count > MESSAGES_MAX {
            return Err(DataError::new(format!(
                "The schema holds more than {MESSAGES_MAX} messages within each other"
            )));
        }
        self.open.push(full);
        let reader = self.open_message(message);
        self.open.pop();
        reader
    }

    fn open_message(&mut self, message: &MessageDescriptor) -> Result<MessageReader> {
        let name = match self.options.enhanced_schema_support {
            true => message.full_name(),
            false => message.name(),
        };
        let mut builder = SchemaBuilder::structure().name(name);
        let (mut fields, mut defaults) = (Vec::new(), Vec::new());
        let is_own = |field: &FieldDescriptor| {
            field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic())
        };
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            if self.options.flatten_unions {
                for field in oneof.fields() {
                    let (schema, reader, _) = self.field(&field, true, defaults.len())?;
                    builder = builder.field(field.name(), schema);
                    fields.push(reader);
                    defaults.push(Value::Null);
                }
                continue;
            }
            let (name, schema, members) = self.oneof(&oneof, defaults.len())?;
            builder = builder.field(name, schema);
            fields.extend(members);
            defaults.push(Value::Null);
        }
        for field in in_order(message).into_iter().filter(is_own) {
            let mapped = self.field(&field, false, defaults.len());
            let (schema, reader, default) = mapped.map_err(|error| error.at(field.name()))?;
            builder = builder.field(field.name(), schema);
            fields.push(reader);
            defaults.push(default);
        }
        fields.sort_by_key(|field| field.number);
        Ok(MessageReader { schema: builder.build(), defaults, fields, unwrapped: false })
    }

    fn oneof(
        &mut self,
        oneof: &OneofDescriptor,
        index: usize,
    ) -> Result<(String, Arc<Schema>, Vec<FieldReader>)> {
        let mut builder = SchemaBuilder::structure();
        builder = match self.options.generalized_sum_type_support {
            true => builder.name(oneof.name()).parameter(GENERAL_UNION, oneof.name()),
            false if self.options.enhanced_schema_support => {
                builder.name(format!("{UNION}.{}", oneof.full_name()))
            }
            false => builder.name(format!("{UNION}.{}", oneof.name())),
        };
        let mut readers = Vec::new();
        for field in oneof.fields() {
            let (schema, reader, _) =
                self.field(&field, true, index).map_err(|error| error.at(field.name()))?;
            builder = builder.field(field.name(), schema);
            readers.push(reader);
        }
        let schema = builder.optional().build();
        for (member, reader) in readers.iter_mut().enumerate() {
            reader.member = Some((schema.clone(), member));
        }
        let position = oneof.parent_message().oneofs().position(|each| each == *oneof);
        let name = match self.options.index_for_unions {
            true => format!("{}_{}", oneof.name(), position.unwrap_or_default()),
            false => oneof.name().to_owned(),
        };
        Ok((name, schema, readers))
    }

    /// The schema of a field, how it is read, and what stands for it when it is absent.
    fn field(
        &mut self,
        field: &FieldDescriptor,
        in_oneof: bool,
        index: usize,
    ) -> Result<(Arc<Schema>, FieldReader, Value)> {
        let (builder, value) = self.value(field)?;
        let (mut builder, shape, mut default) = match (field.is_list() || field.is_map(), value) {
            (true, ValueReader::Message(entry)) if is_map(field) => {
                let part = |at: usize| entry.schema.fields().get(at).map(|f| f.schema.clone());
                let (Some(keys), Some(values)) = (part(0), part(1)) else {
                    return Err(DataError::new("an entry of a map without key and value"));
                };
                let name = self.map_name(field);
                let builder = SchemaBuilder::map(keys, values).name(name).optional();
                (builder, Shape::Entries(entry), Value::Map(Vec::new()))
            }
            (true, value) => {
                let element = builder.optional().build();
                let builder = SchemaBuilder::array(element.clone()).optional();
                (builder, Shape::Many(value.of(&element)), Value::Array(Vec::new()))
            }
            (false, value) => {
                let default = value.default();
                (builder, Shape::One(value), default)
            }
        };
        let has_keyword = field.field_descriptor_proto().proto3_optional()
            || (self.options.optional_for_proto2
                && field.parent_file().syntax() == prost_reflect::Syntax::Proto2
                && field.supports_presence());
        let is_optional = if in_oneof {
            true
        } else if self.options.optional_for_nullables {
            has_keyword
        } else {
            !self.options.wrapper_for_nullables
        };
        if is_optional {
            builder = builder.optional();
        }
        if in_oneof && matches!(shape, Shape::One(ValueReader::Wrapper(..))) {
            builder = builder.parameter(WRAPPER, "true");
        }
        if has_keyword || in_oneof {
            default = Value::Null;
        }
        let schema = builder.parameter(TAG, field.number().to_string()).build();
        let shape = match shape {
            Shape::One(value) => Shape::One(value.of(&schema)),
            other => other,
        };
        let reader = FieldReader {
            number: field.number(),
            name: field.name().to_owned(),
            index,
            member: None,
            shape,
        };
        Ok((schema, reader, default))
    }

    fn map_name(&self, field: &FieldDescriptor) -> String {
        let Kind::Message(entry) = field.kind() else { return String::new() };
        let name = match self.options.enhanced_schema_support {
            true => entry.full_name().to_owned(),
            false => entry.name().to_owned(),
        };
        // As `ProtobufSchema.toMapField` has it: back to words between underscores.
        let name = name.strip_suffix("Entry").unwrap_or(&name).to_owned();
        let mut out = String::new();
        for (at, each) in name.chars().enumerate() {
            if each.is_ascii_uppercase() && at > 0 && !out.ends_with(['_', '.']) {
                out.push('_');
            }
            out.push(each.to_ascii_lowercase());
        }
        if name.starts_with("ConnectDefault") { name } else { out }
    }

    fn value(&mut self, field: &FieldDescriptor) -> Result<(SchemaBuilder, ValueReader)> {
        let message = match field.kind() {
            Kind::Message(message) => message,
            Kind::Enum(symbols) => return Ok(self.enumeration(&symbols)),
            kind => {
                let scalar = Scalar::of(&kind).ok_or_else(|| DataError::new("no scalar"))?;
                let mut ty = type_of(scalar);
                let mut builder = SchemaBuilder::new(ty);
                let connect_type = field_meta(field).remove("connect.type");
                match (ty, connect_type.as_deref()) {
                    (Type::Int32, Some("int8")) => ty = Type::Int8,
                    (Type::Int32, Some("int16")) => ty = Type::Int16,
                    _ => {}
                }
                if matches!(ty, Type::Int8 | Type::Int16) {
                    builder = SchemaBuilder::new(ty);
                } else if matches!(ty, Type::Int32 | Type::Int64)
                    && !matches!(scalar, Scalar::Int32 | Scalar::Int64)
                {
                    builder = builder.parameter(TYPE, scalar.name());
                }
                return Ok((builder, ValueReader::Scalar(scalar, ty)));
            }
        };
        let named = |ty, name: &str| SchemaBuilder::new(ty).name(name).version(1).optional();
        Ok(match message.full_name() {
            DECIMAL => {
                let meta = field_meta(field);
                let number = |key: &str| meta.get(key).and_then(|text| text.parse::<i32>().ok());
                let scale = number("scale").unwrap_or(0);
                let mut builder = SchemaBuilder::decimal(scale);
                if let Some(precision) = number("precision") {
                    builder = builder.parameter(PRECISION, precision.to_string());
                }
                (builder.optional(), ValueReader::Decimal(scale))
            }
            DATE => (named(Type::Int32, logical::DATE), ValueReader::Date),
            TIME => (named(Type::Int32, logical::TIME), ValueReader::Time),
            TIMESTAMP => (named(Type::Int64, logical::TIMESTAMP), ValueReader::Timestamp),
            _ => match wrapped(&message).filter(|_| self.options.wrapper_for_nullables) {
                Some(scalar) => {
                    let ty = type_of(scalar);
                    (SchemaBuilder::new(ty).optional(), ValueReader::Wrapper(scalar, ty))
                }
                None => {
                    let reader = self.message(&message)?;
                    let builder = reader.schema.to_builder().optional();
                    (builder, ValueReader::Message(Box::new(reader)))
                }
            },
        })
    }

    fn enumeration(&self, symbols: &EnumDescriptor) -> (SchemaBuilder, ValueReader) {
        let ty = if self.options.int_for_enums { Type::Int32 } else { Type::String };
        let name = match self.options.enhanced_schema_support {
            true => symbols.full_name(),
            false => symbols.name(),
        };
        let general = self.options.generalized_sum_type_support;
        let param = if general { GENERAL_ENUM } else { ENUM };
        let mut builder =
            SchemaBuilder::new(ty).name(name).parameter(param, symbols.name()).optional();
        for symbol in symbols.values() {
            let key = format!("{param}.{}", symbol.name());
            builder = builder.parameter(key, symbol.number().to_string());
        }
        if self.options.int_for_enums {
            return (builder, ValueReader::Scalar(Scalar::Enum, Type::Int32));
        }
        let own = symbols.name().to_owned();
        let values = symbols.values().map(|symbol| (symbol.number(), symbol.name().into()));
        (builder, ValueReader::Enum { name: own, symbols: values.collect() })
    }
}

/// The fields as the file has them.
fn in_order(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let own = message.descriptor_proto().field.iter();
    own.filter_map(|field| message.get_field_by_name(field.name())).collect()
}

fn is_map(field: &FieldDescriptor) -> bool {
    let Kind::Message(entry) = field.kind() else { return false };
    let mut fields = in_order(&entry).into_iter();
    let mut is =
        |name: &str| fields.next().is_some_and(|field| field.name() == name && !field.is_list());
    entry.name().ends_with("Entry") && is("key") && is("value") && entry.fields().len() == 2
}
