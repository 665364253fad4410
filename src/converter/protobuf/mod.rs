//! `io.confluent.connect.protobuf.ProtobufConverter`.
//!
//! Files are compiled by crates (`protox`, `prost-reflect`), numbers are framed by one (`prost`); what
//! stands between is ours, because dynamic messages would be a second tree beside Connect's.

mod descriptor;
mod from_connect;
mod read;
mod to_connect;
mod vocabulary;
mod wire;
mod write;

use std::sync::Arc;

use self::read::MessageReader;
use self::wire::{Cursor, Scalar, put_varint};
use self::write::MessageWriter;
use super::registry::{self, Described, Format, RegistryConverter, Resolved, SchemaText};
use super::{Converter, ConverterContext};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{Schema, SchemaAndValue, Type, Value};
use crate::error::{ConnectError, DataError};

/// As deep as the message of a value may stand within others.
const INDEXES_MAX: usize = 64;

/// How Connect's schemas and Protobuf's become each other (Confluent, `ProtobufDataConfig`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting")]
struct ProtobufOptions {
    generalized_sum_type_support: bool,
    ignore_default_for_nullables: bool,
    enhanced_schema_support: bool,
    scrub_invalid_names: bool,
    int_for_enums: bool,
    optional_for_nullables: bool,
    optional_for_proto2: bool,
    wrapper_for_nullables: bool,
    wrapper_for_raw_primitives: bool,
    index_for_unions: bool,
    flatten_unions: bool,
}

impl ProtobufOptions {
    fn scrubbed(self, name: &str) -> String {
        if self.scrub_invalid_names { scrub(name) } else { name.to_owned() }
    }
}

/// A name that Protobuf takes: its bytes are URL-encoded, a digit or underscore in front gets a
/// prefix, and what is left over becomes `_`.
fn scrub(name: &str) -> String {
    let scrubbed = crate::converter::avro::scrub(name);
    if scrubbed.starts_with('_') { format!("x{scrubbed}") } else { scrubbed }
}

/// The configuration keys: those of the registry, then those of the mapping, in the originals' order.
pub fn config_def() -> ConfigDef {
    let mut keys = registry::keys();
    keys.extend(registry::data_keys());
    let flag = |name, default, documentation| {
        ConfigKey::new(name, ConfigType::Boolean, documentation).default(default).medium()
    };
    keys.extend([
        flag(
            "enhanced.protobuf.schema.support",
            "false",
            "Whether names in Connect carry their package.",
        ),
        flag(
            "scrub.invalid.names",
            "false",
            "Whether names that Protobuf refuses are made fit; else they are an error.",
        ),
        flag("int.for.enums", "false", "Whether enumerations are read as their numbers."),
        flag(
            "optional.for.nullables",
            "false",
            "Whether fields that may be null are optional ones of proto3; else null reads back as \
             zero, false or an empty text.",
        ),
        flag(
            "optional.for.proto2",
            "true",
            "Whether optional fields of proto2 that are absent are read as null.",
        ),
        flag(
            "wrapper.for.nullables",
            "false",
            "Whether fields that may be null are messages of google/protobuf/wrappers.proto.",
        ),
        flag(
            "wrapper.for.raw.primitives",
            "true",
            "Whether a wrapper message at the top is read as the value in it.",
        ),
        flag(
            "generate.index.for.unions",
            "true",
            "Whether the field of a oneof carries its index in its name.",
        ),
        flag(
            "flatten.unions",
            "false",
            "Whether the members of a oneof become fields of the struct around it.",
        ),
    ]);
    ConfigDef::new(keys)
}

/// Makes the converter.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(
    props: &Props,
    context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let options = ProtobufOptions {
        generalized_sum_type_support: parsed.boolean("generalized.sum.type.support"),
        ignore_default_for_nullables: parsed.boolean("ignore.default.for.nullables"),
        enhanced_schema_support: parsed.boolean("enhanced.protobuf.schema.support"),
        scrub_invalid_names: parsed.boolean("scrub.invalid.names"),
        int_for_enums: parsed.boolean("int.for.enums"),
        optional_for_nullables: parsed.boolean("optional.for.nullables"),
        optional_for_proto2: parsed.boolean("optional.for.proto2"),
        wrapper_for_nullables: parsed.boolean("wrapper.for.nullables"),
        wrapper_for_raw_primitives: parsed.boolean("wrapper.for.raw.primitives"),
        index_for_unions: parsed.boolean("generate.index.for.unions"),
        flatten_unions: parsed.boolean("flatten.unions"),
    };
    let format = ProtobufFormat { options };
    Ok(Box::new(RegistryConverter::new(format, &parsed, props, context)?))
}

#[derive(Debug)]
struct ProtobufFormat {
    options: ProtobufOptions,
}

#[derive(Debug)]
struct Writer {
    /// Which message of the file.
    indexes: Vec<u8>,
    shape: WriterShape,
}

#[derive(Debug)]
enum WriterShape {
    Message(MessageWriter),
    /// A value that is no struct, in a wrapper.
    Wrapper(Scalar),
}

/// Reads messages of a file; which one, each says itself.
#[derive(Debug)]
struct Reader {
    messages: Vec<(Vec<usize>, Result<MessageReader, DataError>)>,
}

impl Format for ProtobufFormat {
    const NAME: &'static str = "Protobuf";
    const TYPE: &'static str = "PROTOBUF";

    type Writer = Writer;
    type Reader = Reader;

    fn describe(&self, schema: Option<&Arc<Schema>>) -> Result<Described, DataError> {
        let schema = schema
            .ok_or_else(|| DataError::new("ProtobufConverter writes only values with a schema"))?;
        let (text, name) = from_connect::from_connect(schema, self.options)?;
        Ok(Described {
            schema: SchemaText { ty: Self::TYPE.to_owned(), text, references: Vec::new() },
            record: Some(name),
        })
    }

    fn writer(
        &self,
        schema: Option<&Arc<Schema>>,
        target: &Resolved,
        _strict: bool,
    ) -> Result<Writer, DataError> {
        let described = self.describe(schema)?;
        let pool = descriptor::compile(target)?;
        let (message, indexes) = descriptor::by_name(&pool, described.record.as_deref())?;
        let schema = schema.ok_or_else(|| DataError::new("no schema"))?;
        let shape = match schema.ty() {
            Type::Struct => WriterShape::Message(write::writer(schema, &message, self.options)?),
            _ => WriterShape::Wrapper(write::wrapped(&message).ok_or_else(|| {
                DataError::new(format!("{} wraps no value", message.full_name()))
            })?),
        };
        Ok(Writer { indexes: framed(&indexes), shape })
    }

    fn is_null(&self, _schema: Option<&Arc<Schema>>, value: &Value) -> Result<bool, DataError> {
        Ok(value.is_null())
    }

    fn write(
        &self,
        writer: &Writer,
        _schema: Option<&Arc<Schema>>,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        out.extend_from_slice(&writer.indexes);
        match &writer.shape {
            WriterShape::Message(message) => message.write(value, out),
            WriterShape::Wrapper(scalar) => {
                let mut body = Vec::new();
                write::put_scalar(*scalar, value, &mut body)?;
                // A zero is what a reader takes for granted.
                if body.iter().any(|byte| *byte != 0) {
                    wire::put_tag(1, scalar.wire_type(), out);
                    out.extend_from_slice(&body);
                }
                Ok(())
            }
        }
    }

    fn reader(&self, schema: &Resolved, version: Option<i32>) -> Result<Reader, DataError> {
        let pool = descriptor::compile(schema)?;
        let messages = descriptor::all(&pool)?.into_iter().map(|(indexes, message)| {
            (indexes, to_connect::reader(&message, version, self.options))
        });
        Ok(Reader { messages: messages.collect() })
    }

    fn read(&self, reader: &Reader, body: &[u8]) -> Result<SchemaAndValue, DataError> {
        let mut cursor = Cursor::new(body);
        let indexes = indexes(&mut cursor)?;
        let found = reader.messages.iter().find(|(own, _)| *own == indexes);
        let (_, message) = found.ok_or_else(|| {
            DataError::new(format!("The schema has no message with indexes {indexes:?}"))
        })?;
        let message = message.as_ref().map_err(Clone::clone)?;
        let value = message.read(cursor.rest())?;
        Ok(SchemaAndValue { schema: Some(message.schema.clone()), value })
    }
}

/// The indexes in front of a value; the first message of a file is the single byte 0.
fn framed(indexes: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    if indexes == [0] {
        out.push(0);
        return out;
    }
    put_varint((indexes.len() as u64) << 1, &mut out);
    for index in indexes {
        put_varint((*index as u64) << 1, &mut out);
    }
    out
}

fn indexes(cursor: &mut Cursor<'_>) -> Result<Vec<usize>, DataError> {
    let count = cursor.index()?;
    if count > INDEXES_MAX {
        return Err(DataError::new(format!("{count} message indexes")));
    }
    if count == 0 {
        return Ok(vec![0]);
    }
    (0..count).map(|_| cursor.index()).collect()
}

#[cfg(test)]
mod tests;
