//! `io.confluent.connect.avro.AvroConverter`.
//!
//! | module | does |
//! |---|---|
//! | `schema`, `parse` | Avro schemas, to text and back |
//! | `from_connect`, `to_connect` | schemas of one model as schemas of the other |
//! | `encoding` | how values of the one are written as the other, decided once |
//! | `encode`, `decode` | values: trees, and cells in |
//! | `planned` | cells out |
//! | `binary`, `defaults`, `names`, `vocabulary` | the parts of these |
//!
//! The codec is ours, although there is a crate for Avro: what Connect keeps in schemas stands in
//! properties of primitive types, which the crate drops, and it would make a tree of each record.
//! The tests have it judge our schemas and our bytes.

mod binary;
mod decode;
mod decode_default;
mod defaults;
mod encode;
mod encoding;
mod from_connect;
mod names;
mod parse;
mod planned;
mod schema;
mod to_connect;
mod vocabulary;

use std::sync::Arc;

use self::binary::Cursor;
pub(crate) use self::binary::{put_bytes, put_long};
use self::encoding::{Encoding, encoding};
use self::from_connect::from_connect;
pub(super) use self::names::scrub;
use self::schema::Kind;
use self::to_connect::{Decoding, to_connect};
use super::registry::{self, Described, Format, RegistryConverter, Resolved, SchemaText};
use super::{Converter, ConverterContext, RowEncoder};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Parsed, Props};
use crate::data::{PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue, Type, Value};
use crate::error::{ConnectError, DataError};

/// How Connect's schemas and Avro's become each other (Confluent, `AvroDataConfig`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting")]
pub(crate) struct AvroOptions {
    pub(crate) generalized_sum_type_support: bool,
    pub(crate) ignore_default_for_nullables: bool,
    pub(crate) enhanced_avro_schema_support: bool,
    pub(crate) scrub_invalid_names: bool,
    pub(crate) connect_meta_data: bool,
    pub(crate) discard_type_doc_default: bool,
    pub(crate) allow_optional_map_keys: bool,
    pub(crate) flatten_singleton_unions: bool,
}

impl AvroOptions {
    fn new(parsed: &Parsed) -> Self {
        Self {
            generalized_sum_type_support: parsed.boolean("generalized.sum.type.support"),
            ignore_default_for_nullables: parsed.boolean("ignore.default.for.nullables"),
            enhanced_avro_schema_support: parsed.boolean("enhanced.avro.schema.support"),
            scrub_invalid_names: parsed.boolean("scrub.invalid.names"),
            connect_meta_data: parsed.boolean("connect.meta.data"),
            discard_type_doc_default: parsed.boolean("discard.type.doc.default"),
            allow_optional_map_keys: parsed.boolean("allow.optional.map.keys"),
            flatten_singleton_unions: parsed.boolean("flatten.singleton.unions"),
        }
    }

    /// Whether a map is one of Avro's too, and not a list of entries.
    fn is_native_map(self, schema: &Schema) -> bool {
        schema.key_schema().is_some_and(|keys| {
            keys.ty() == Type::String && (!keys.is_optional() || self.allow_optional_map_keys)
        })
    }
}

/// The configuration keys: those of the registry, then those of the mapping, in the originals' order.
pub fn config_def() -> ConfigDef {
    let mut keys = registry::keys();
    keys.extend(registry::data_keys());
    let flag = |name, default, documentation| {
        ConfigKey::new(name, ConfigType::Boolean, documentation).default(default)
    };
    keys.extend([
        flag(
            "enhanced.avro.schema.support",
            "false",
            "Whether strings that name an enumeration are written as one, and members of unions \
             carry their namespace.",
        )
        .medium(),
        flag(
            "scrub.invalid.names",
            "false",
            "Whether names that Avro refuses are made fit; else they are an error.",
        )
        .medium(),
        flag(
            "connect.meta.data",
            "true",
            "Whether what only Connect knows of a schema goes into properties of Avro's.",
        ),
        flag(
            "discard.type.doc.default",
            "false",
            "Deprecated. Whether only documentation and defaults of fields are kept, not those of \
             types.",
        ),
        flag(
            "allow.optional.map.keys",
            "false",
            "Whether maps with optional text keys become maps of Avro, and not lists of entries.",
        ),
        flag("flatten.singleton.unions", "true", "Whether a union of one type is that type."),
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
    let format = AvroFormat { options: AvroOptions::new(&parsed) };
    Ok(Box::new(RegistryConverter::new(format, &parsed, props, context)?))
}

/// Connect data in Avro's binary encoding.
#[derive(Debug)]
struct AvroFormat {
    options: AvroOptions,
}

#[derive(Debug)]
struct AvroWriter {
    encoding: Arc<Encoding>,
    /// The whole is bytes: they stand without their length.
    raw: bool,
}

#[derive(Debug)]
struct AvroReader {
    schema: Option<Arc<Schema>>,
    decoding: Decoding,
    raw: bool,
}

impl Format for AvroFormat {
    const NAME: &'static str = "Avro";
    const TYPE: &'static str = "AVRO";

    type Writer = AvroWriter;
    type Reader = AvroReader;

    fn describe(&self, schema: Option<&Arc<Schema>>) -> Result<Described, DataError> {
        let avro = from_connect(schema, self.options)?;
        Ok(Described {
            schema: SchemaText {
                ty: Self::TYPE.to_owned(),
                text: avro.text()?,
                references: Vec::new(),
            },
            record: avro.record_name(),
        })
    }

    fn writer(
        &self,
        schema: Option<&Arc<Schema>>,
        target: &Resolved,
        strict: bool,
    ) -> Result<AvroWriter, DataError> {
        let avro = parse::parse(&target.schema.text, &target.reference_texts())?;
        Ok(AvroWriter {
            encoding: Arc::new(encoding(schema, &avro, self.options, strict)?),
            raw: avro.root_type().kind == Kind::Bytes,
        })
    }

    fn is_null(&self, schema: Option<&Arc<Schema>>, value: &Value) -> Result<bool, DataError> {
        if value.is_null() && schema.is_some_and(|schema| !schema.is_optional()) {
            return Err(encode::required_null());
        }
        Ok(value.is_null())
    }

    fn write(
        &self,
        writer: &AvroWriter,
        schema: Option<&Arc<Schema>>,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        match value {
            Value::Bytes(bytes) if writer.raw => {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            // A logical type over bytes: its bytes stand without length too.
            value if writer.raw => {
                let mut encoded = Vec::new();
                encode::encode(&writer.encoding, value, &mut encoded)?;
                out.extend_from_slice(Cursor::new(&encoded, 0).bytes()?.1);
                return Ok(());
            }
            _ => {}
        }
        if schema.is_none() {
            encode::check_schemaless(value)?;
        }
        encode::encode(&writer.encoding, value, out)
    }

    fn encoder(
        &self,
        writer: &AvroWriter,
        planned: &PlannedValue,
        prefix: &[u8],
    ) -> Option<Box<dyn RowEncoder>> {
        let plain = planned.schema.as_ref().is_some_and(|schema| schema.name().is_none());
        if writer.raw && !plain {
            return None;
        }
        let program = planned::compile(planned, &writer.encoding, prefix, writer.raw)?;
        Some(Box::new(program))
    }

    fn reader(&self, schema: &Resolved, version: Option<i32>) -> Result<AvroReader, DataError> {
        let avro = parse::parse(&schema.schema.text, &schema.reference_texts())?;
        let (schema, decoding) = to_connect(&avro, version, self.options)?;
        Ok(AvroReader { schema, decoding, raw: avro.root_type().kind == Kind::Bytes })
    }

    fn read(&self, reader: &AvroReader, body: &[u8]) -> Result<SchemaAndValue, DataError> {
        let value = if reader.raw {
            let mut framed = Vec::with_capacity(body.len() + 5);
            binary::put_bytes(body, &mut framed);
            decode::decode(&reader.decoding, &mut Cursor::new(&framed, 0))?
        } else {
            decode::decode(&reader.decoding, &mut Cursor::new(body, 0))?
        };
        // A null that was written as one is a null message, as the original has it.
        let schema = reader.schema.clone().filter(|_| !value.is_null());
        Ok(SchemaAndValue { schema, value })
    }

    fn plan(&self, reader: &AvroReader, topic: &str) -> Option<RowPlan> {
        let schema = reader.schema.as_ref().filter(|_| !reader.raw)?;
        // The whole being null is for the general path.
        matches!(reader.decoding, Decoding::Record { .. })
            .then(|| decode::plan(topic, schema, &reader.decoding))
    }

    fn read_cells(
        &self,
        reader: &AvroReader,
        off: usize,
        end: usize,
        batch: &mut RecordBatch,
    ) -> Result<bool, DataError> {
        let wire = batch.wire.clone();
        let message = wire.get(..end).unwrap_or_default();
        decode::decode_cells(&reader.decoding, &mut Cursor::new(message, off), batch)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
