//! `org.apache.kafka.connect.json.JsonConverter`.
//!
//! | module | does |
//! |---|---|
//! | `text` | tokens, byte for byte |
//! | `lexer` | bytes to tokens |
//! | `schema` | schemas to JSON objects and back |
//! | `write`, `read` | the general path: trees |
//! | `encoder`, `decoder` | the planned path: cells |

mod decoder;
mod encoder;
mod form;
mod lexer;
mod read;
mod schema;
mod text;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use self::decoder::Writers;
use self::lexer::{Lexer, Malformed, Node, Text};
use super::{Converter, ConverterContext, Presence, Role, RowEncoder};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator, Width};
use crate::data::{PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue, Value};
use crate::error::{ConnectError, DataError};

const NOT_AN_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not \
     contain additional fields. If you are trying to deserialize plain JSON data, set \
     schemas.enable=false in your converter configuration.";

/// The original skips it, at the start of a message.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How decimals are written; both forms are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecimalFormat {
    Base64,
    Numeric,
}

/// What the writing and reading of values depends on.
#[derive(Debug, Clone, Copy)]
struct JsonOptions {
    decimal_format: DecimalFormat,
    replace_null_with_default: bool,
    /// As JsonSchemaConverter has it: other maps than those with text keys are lists of objects, and
    /// some structs are unions.
    of_registry: bool,
}

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "converter.type",
            ConfigType::String,
            "Whether keys or values are converted.",
        )
        .default("value")
        .check(Validator::OneOf(&["key", "value", "header"])),
        ConfigKey::new(
            "schemas.enable",
            ConfigType::Boolean,
            "Whether each message carries its schema.",
        )
        .default("true")
        .high()
        .shown("Schemas", 0, Width::Medium, "Enable Schemas"),
        ConfigKey::new(
            "schemas.cache.size",
            ConfigType::Int,
            "How many schemas are kept converted, in each direction.",
        )
        .default("1000")
        .high()
        .shown("Schemas", 1, Width::Medium, "Schema Cache Size"),
        ConfigKey::new(
            "decimal.format",
            ConfigType::String,
            "How decimals are written: BASE64 is exact two's complement, NUMERIC a JSON number.",
        )
        .default("BASE64")
        .check(Validator::OneOfAnyCase(&["NUMERIC", "BASE64"]))
        .shown("Serialization", 0, Width::Medium, "Decimal Format"),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .shown("Serialization", 1, Width::Medium, "Replace null with default"),
        ConfigKey::new(
            "schema.content",
            ConfigType::String,
            "The schema, as JSON, of messages that do not carry theirs; read with schemas.enable.",
        )
        .high(),
    ])
}

/// Makes the converter.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(
    props: &Props,
    context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    // The original sets it, too, whatever the file says.
    let ty = if context.role == Role::Key { "key" } else { "value" };
    let mut props = props.clone();
    props.insert("converter.type".to_owned(), ty.to_owned());
    Ok(Box::new(JsonConverter::new(&props)?))
}

/// Connect data as JSON, with or without the schema in an envelope.
#[derive(Debug)]
pub struct JsonConverter {
    schemas_enable: bool,
    cache_size: usize,
    options: JsonOptions,
    /// `schema.content`.
    content: Option<Arc<Schema>>,
    /// Rendered schemas by address; each is kept, so that its address stays taken.
    rendered: HashMap<usize, (Arc<Schema>, Arc<[u8]>)>,
    /// Parsed schemas by their text.
    parsed: HashMap<Box<[u8]>, Arc<Schema>>,
    writers: Writers,
}

impl JsonConverter {
    /// A converter with the settings of `props`.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub fn new(props: &Props) -> Result<Self, ConnectError> {
        let parsed = config_def().parse(props)?;
        let numeric = parsed.string("decimal.format").eq_ignore_ascii_case("NUMERIC");
        let options = JsonOptions {
            decimal_format: if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
            replace_null_with_default: parsed.boolean("replace.null.with.default"),
            of_registry: false,
        };
        let schemas_enable = parsed.boolean("schemas.enable");
        let content = parsed.optional_string("schema.content").filter(|_| schemas_enable);
        Ok(Self {
            schemas_enable,
            // One is always needed to work with.
            cache_size: usize::try_from(parsed.integer("schemas.cache.size")).unwrap_or(0).max(1),
            options,
            content: content.map(|content| schema_content(&content, options)).transpose()?,
            rendered: HashMap::new(),
            parsed: HashMap::new(),
            writers: Writers::default(),
        })
    }

    /// The JSON text of `schema`, rendered once.
    fn schema_text(&mut self, schema: &Arc<Schema>) -> Result<Arc<[u8]>, DataError> {
        let address = Arc::as_ptr(schema) as usize;
        if let Some((_, text)) = self.rendered.get(&address) {
            return Ok(text.clone());
        }
        let mut text = Vec::new();
        schema::push_schema(&mut text, schema, None, self.options)?;
        let text: Arc<[u8]> = text.into();
        if self.rendered.len() >= self.cache_size {
            self.rendered.clear();
        }
        self.rendered.insert(address, (schema.clone(), text.clone()));
        Ok(text)
    }

    /// The schema that `text` describes, parsed once; `None` for `null`.
    fn schema_of(&mut self, text: &[u8]) -> Result<Option<Arc<Schema>>, DataError> {
        if text == b"null" {
            return Ok(None);
        }
        if let Some(schema) = self.parsed.get(text) {
            return Ok(Some(schema.clone()));
        }
        let node = Lexer::new(text, 0).value().map_err(malformed)?;
        let schema = schema::read_schema(&node, self.options)?;
        if self.parsed.len() >= self.cache_size {
            self.parsed.clear();
        }
        self.parsed.insert(text.into(), schema.clone());
        Ok(Some(schema))
    }
}

impl JsonConverter {
    /// Where the payload of the message at `off..end` of `wire` starts, and its writer known;
    /// `None` when this is for the general path.
    fn payload(&mut self, topic: &str, wire: &[u8], off: usize, end: usize) -> Option<usize> {
        if let Some(payload) = self.writers.find(topic, wire, off, end) {
            return Some(payload);
        }
        let mut lexer = Lexer::new(wire.get(..end)?, off);
        let is_key = |key: Text<'_>, name| matches!(key, Text::Plain { text, .. } if text == name);
        if !lexer.accept(b'{') || !is_key(lexer.key().ok()?, "schema") {
            return None;
        }
        let (start, schema_end) = lexer.skip().ok()?;
        if !lexer.accept(b',') || !is_key(lexer.key().ok()?, "payload") {
            return None;
        }
        let schema = self.schema_of(wire.get(start..schema_end)?).ok()??;
        let payload = lexer.position();
        let prefix = wire.get(off..payload)?;
        self.writers.add(topic, prefix, &schema, self.cache_size, self.options);
        Some(payload)
    }
}

impl Converter for JsonConverter {
    fn encoder(&mut self, _topic: &str, planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
        let schema_text = match &planned.schema {
            Some(schema) if self.schemas_enable => Some(self.schema_text(schema).ok()?),
            _ => None,
        };
        // What cannot be compiled goes the general way, which has the error if it is one.
        let program = match schema_text {
            None => encoder::compile(planned, b"", b"", self.options).ok()?,
            Some(text) => {
                let before = [b"{\"schema\":", &*text, b",\"payload\":"].concat();
                encoder::compile(planned, &before, b"}", self.options).ok()?
            }
        };
        Some(Box::new(program))
    }

    fn from_connect_data(
        &mut self,
        _topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        let schema = data.schema.as_ref();
        if schema.is_none() && data.value.is_null() {
            return Ok(Presence::Null);
        }
        if !self.schemas_enable {
            write::push_value(out, schema.map(AsRef::as_ref), &data.value, self.options)?;
            return Ok(Presence::Present);
        }
        out.extend_from_slice(b"{\"schema\":");
        match schema {
            Some(schema) => out.extend_from_slice(&self.schema_text(schema)?),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"payload\":");
        write::push_value(out, schema.map(AsRef::as_ref), &data.value, self.options)?;
        out.push(b'}');
        Ok(Presence::Present)
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        let Some(bytes) = bytes else { return Ok(SchemaAndValue::NULL) };
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        if !self.schemas_enable || self.content.is_some() {
            let node = whole(bytes)?;
            let schema = self.content.clone();
            let value = read::convert(schema.as_ref(), &node, self.options)?;
            return Ok(SchemaAndValue { schema, value });
        }
        let (schema_text, payload) = envelope(bytes)?;
        let schema = self.schema_of(schema_text)?;
        let value = read::convert(schema.as_ref(), &payload, self.options)?;
        Ok(SchemaAndValue { schema, value })
    }

    fn decode_cells(
        &mut self,
        topic: &str,
        off: usize,
        len: usize,
        batch: &mut RecordBatch,
    ) -> Result<Option<Arc<RowPlan>>, DataError> {
        if !self.schemas_enable || self.content.is_some() {
            return Ok(None);
        }
        let end = off + len;
        let Some(payload) = self.payload(topic, &batch.wire, off, end) else { return Ok(None) };
        let (cells, scratch, trees) = (batch.cells.len(), batch.scratch.len(), batch.trees.len());
        let plan = self.writers.decode(payload, end, batch, self.options);
        if plan.is_none() {
            batch.cells.truncate(cells);
            batch.scratch.truncate(scratch);
            batch.trees.truncate(trees);
        }
        Ok(plan)
    }
}

/// JSON values as JsonSchemaConverter has them: those of JsonConverter without an envelope, but for
/// maps and unions.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonValues {
    options: JsonOptions,
}

impl JsonValues {
    pub(super) fn of_registry(numeric: bool, replace_null_with_default: bool) -> Self {
        let decimal_format = if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 };
        Self {
            options: JsonOptions { decimal_format, replace_null_with_default, of_registry: true },
        }
    }

    /// Appends `value`.
    ///
    /// # Errors
    /// When it does not fit its schema.
    pub(super) fn push(
        self,
        out: &mut Vec<u8>,
        schema: Option<&Arc<Schema>>,
        value: &Value,
    ) -> Result<(), DataError> {
        write::push_value(out, schema.map(AsRef::as_ref), value, self.options)
    }

    /// Compiles a shape whose rows start with `prefix`; `None`: they take the general path.
    pub(super) fn encoder(
        self,
        planned: &PlannedValue,
        prefix: &[u8],
    ) -> Option<Box<dyn RowEncoder>> {
        let program = encoder::compile(planned, prefix, b"", self.options).ok()?;
        Some(Box::new(program))
    }

    /// Reads a whole text.
    ///
    /// # Errors
    /// When it is no JSON, or not of `schema`.
    pub(super) fn read(
        self,
        schema: Option<&Arc<Schema>>,
        text: &[u8],
    ) -> Result<Value, DataError> {
        read::convert(schema, &whole(text)?, self.options)
    }

    /// Where the parts of values of `schema` go.
    pub(super) fn layout(self, schema: &Arc<Schema>) -> JsonLayout {
        JsonLayout { layout: decoder::Layout::new(schema, self.options) }
    }
}

/// The cells of values of one schema.
#[derive(Debug)]
pub(super) struct JsonLayout {
    layout: decoder::Layout,
}

impl JsonLayout {
    /// The shape of the rows.
    pub(super) fn plan(&self, topic: &str) -> RowPlan {
        self.layout.plan(topic)
    }

    /// Reads the value at `off..end` of the batch's wire; `None`: the general path has to, and
    /// nothing was appended.
    pub(super) fn read(
        &self,
        off: usize,
        end: usize,
        batch: &mut RecordBatch,
        values: JsonValues,
    ) -> Option<()> {
        let (cells, scratch, trees) = (batch.cells.len(), batch.scratch.len(), batch.trees.len());
        let read = self.layout.read(off, end, batch, values.options, false);
        if read.is_none() {
            batch.cells.truncate(cells);
            batch.scratch.truncate(scratch);
            batch.trees.truncate(trees);
        }
        read
    }
}

fn schema_content(content: &str, options: JsonOptions) -> Result<Arc<Schema>, ConnectError> {
    let failed = "Failed to parse schema in converter config due to serialization error: ";
    let node =
        whole(content.as_bytes()).map_err(|error| ConnectError::config(failed).because(error))?;
    schema::read_schema(&node, options).map_err(|error| {
        ConnectError::config("schema.content is no schema of JsonConverter").because(error)
    })
}

fn whole(bytes: &[u8]) -> Result<Node<'_>, DataError> {
    let mut lexer = Lexer::new(bytes, 0);
    if lexer.peek().is_none() {
        return Ok(Node::Missing);
    }
    lexer.value().map_err(malformed)
}

/// Where the member `name` of an object stands in its text; `None` when the text is no such object.
pub(super) fn member(text: &[u8], name: &str) -> Option<(usize, usize)> {
    let mut lexer = Lexer::new(text, 0);
    if !lexer.accept(b'{') || lexer.accept(b'}') {
        return None;
    }
    let mut found = None;
    loop {
        let key = lexer.key().ok()?;
        let is_it = match &key {
            Text::Plain { text, .. } => *text == name,
            Text::Unescaped(text) => text == name,
        };
        let place = lexer.skip().ok()?;
        // Of equal keys the last value stands.
        found = if is_it { Some(place) } else { found };
        if !lexer.accept(b',') {
            return found;
        }
    }
}

/// Takes an envelope apart: the schema's text and the payload.
fn envelope(bytes: &[u8]) -> Result<(&[u8], Node<'_>), DataError> {
    let mut lexer = Lexer::new(bytes, 0);
    if !lexer.accept(b'{') {
        whole(bytes)?;
        return Err(DataError::new(NOT_AN_ENVELOPE));
    }
    let (mut schema, mut payload, mut others) = (None, None, false);
    if !lexer.accept(b'}') {
        loop {
            let key = lexer.key().map_err(malformed)?;
            let plain = match &key {
                Text::Plain { text, .. } => text,
                Text::Unescaped(text) => text.as_str(),
            };
            match plain {
                "schema" => {
                    let (start, end) = lexer.skip().map_err(malformed)?;
                    schema = bytes.get(start..end);
                }
                "payload" => payload = Some(lexer.value().map_err(malformed)?),
                _ => {
                    lexer.value().map_err(malformed)?;
                    others = true;
                }
            }
            if !lexer.accept(b',') {
                lexer.expect(b'}', "',' or '}' is expected").map_err(malformed)?;
                break;
            }
        }
    }
    match (schema, payload) {
        (Some(schema), Some(payload)) if !others => Ok((schema, payload)),
        _ => Err(DataError::new(NOT_AN_ENVELOPE)),
    }
}

fn malformed(error: Malformed) -> DataError {
    let Malformed { at, reason } = error;
    DataError::new(format!(
        "Converting byte[] to Kafka Connect data failed due to serialization error: \
         not JSON at byte {at}: {reason}"
    ))
}

#[cfg(test)]
mod planned_tests;
#[cfg(test)]
mod tests;
