//! `io.confluent.connect.json.JsonSchemaConverter`: JSON, with its schema in the registry.
//!
//! Values are written and read by JsonConverter's code; schemas are mapped here.

mod from_connect;
mod to_connect;
pub(super) mod vocabulary;

use std::sync::Arc;

use super::json::{JsonLayout, JsonValues};
use super::registry::{self, Described, Format, RegistryConverter, Resolved, SchemaText};
use super::{Converter, ConverterContext, RowEncoder};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::{PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue, Value};
use crate::error::{ConnectError, DataError};

/// How Connect's schemas and JSON Schema's become each other (Confluent, `JsonSchemaDataConfig`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting")]
struct JsonSchemaOptions {
    generalized_sum_type_support: bool,
    ignore_default_for_nullables: bool,
    additional_properties: bool,
    optional_for_nonrequired: bool,
    flatten_singleton_unions: bool,
    /// `decimal.format=NUMERIC`
    numeric: bool,
}

impl JsonSchemaOptions {
    fn values(self) -> JsonValues {
        JsonValues::of_registry(self.numeric, !self.ignore_default_for_nullables)
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
            "object.additional.properties",
            "true",
            "Whether the schemas of objects allow members that they do not name.",
        )
        .medium(),
        flag(
            "use.optional.for.nonrequired",
            "false",
            "Whether properties that a schema does not require are optional.",
        )
        .medium(),
        ConfigKey::new(
            "decimal.format",
            ConfigType::String,
            "How decimals are written: BASE64 is exact two's complement, NUMERIC a JSON number.",
        )
        .default("BASE64")
        .check(Validator::OneOfAnyCase(&["NUMERIC", "BASE64"])),
        flag("flatten.singleton.unions", "true", "Whether a oneOf of one schema is that schema."),
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
    let options = JsonSchemaOptions {
        generalized_sum_type_support: parsed.boolean("generalized.sum.type.support"),
        ignore_default_for_nullables: parsed.boolean("ignore.default.for.nullables"),
        additional_properties: parsed.boolean("object.additional.properties"),
        optional_for_nonrequired: parsed.boolean("use.optional.for.nonrequired"),
        flatten_singleton_unions: parsed.boolean("flatten.singleton.unions"),
        numeric: parsed.string("decimal.format").eq_ignore_ascii_case("NUMERIC"),
    };
    let format = JsonSchemaFormat { options };
    Ok(Box::new(RegistryConverter::new(format, &parsed, props, context)?))
}

#[derive(Debug)]
struct JsonSchemaFormat {
    options: JsonSchemaOptions,
}

#[derive(Debug)]
struct JsonReader {
    schema: Arc<Schema>,
    layout: JsonLayout,
}

impl Format for JsonSchemaFormat {
    const NAME: &'static str = "JSON";
    const TYPE: &'static str = "JSON";

    /// Values look the same under every schema that fits.
    type Writer = ();
    type Reader = JsonReader;

    fn describe(&self, schema: Option<&Arc<Schema>>) -> Result<Described, DataError> {
        let schema = schema.ok_or_else(|| {
            DataError::new(
                "JsonSchemaConverter writes only values with a schema; use JsonConverter with \
                 schemas.enable=false for values without",
            )
        })?;
        Ok(Described {
            schema: SchemaText {
                ty: Self::TYPE.to_owned(),
                text: from_connect::from_connect(schema, self.options)?,
                references: Vec::new(),
            },
            record: schema.name().map(str::to_owned),
        })
    }

    fn writer(
        &self,
        _schema: Option<&Arc<Schema>>,
        _target: &Resolved,
        _strict: bool,
    ) -> Result<(), DataError> {
        Ok(())
    }

    fn is_null(&self, schema: Option<&Arc<Schema>>, value: &Value) -> Result<bool, DataError> {
        // Under a schema null is the JSON null, as JsonConverter has it.
        Ok(schema.is_none() && value.is_null())
    }

    fn write(
        &self,
        _writer: &(),
        schema: Option<&Arc<Schema>>,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        self.options.values().push(out, schema, value)
    }

    fn encoder(
        &self,
        _writer: &(),
        planned: &PlannedValue,
        prefix: &[u8],
    ) -> Option<Box<dyn RowEncoder>> {
        self.options.values().encoder(planned, prefix)
    }

    fn reader(&self, schema: &Resolved, version: Option<i32>) -> Result<JsonReader, DataError> {
        let references: Vec<_> = schema
            .references
            .iter()
            .map(|(reference, schema)| (reference.name.clone(), schema.text.clone()))
            .collect();
        let schema =
            to_connect::to_connect(&schema.schema.text, &references, version, self.options)?;
        let layout = self.options.values().layout(&schema);
        Ok(JsonReader { schema, layout })
    }

    fn read(&self, reader: &JsonReader, body: &[u8]) -> Result<SchemaAndValue, DataError> {
        let value = self.options.values().read(Some(&reader.schema), body)?;
        Ok(SchemaAndValue { schema: Some(reader.schema.clone()), value })
    }

    fn plan(&self, reader: &JsonReader, topic: &str) -> Option<RowPlan> {
        Some(reader.layout.plan(topic))
    }

    fn read_cells(
        &self,
        reader: &JsonReader,
        off: usize,
        end: usize,
        batch: &mut RecordBatch,
    ) -> Result<bool, DataError> {
        Ok(reader.layout.read(off, end, batch, self.options.values()).is_some())
    }
}

#[cfg(test)]
mod tests;
