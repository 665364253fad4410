//! `io.debezium.connector.mongodb.transforms.ExtractNewDocumentState`: the document of a MongoDB change
//! event, which is text there, as a row. For sinks of topics that somebody else's connector fills.

mod bson;
mod shape;

use std::sync::Arc;

use self::bson::{Bson, Document};
use self::shape::{Encoding, built};
use super::envelope::is_envelope;
use super::extract_new_record_state::config::{OnDelete, Settings};
use super::extract_new_record_state::recipe::Place;
use super::rebuild::Fields;
use super::{Keep, Transformation, extract_new_record_state, flatten};
use crate::config::{
    ConfigDef, ConfigKey, ConfigType, Props, SCHEMA_NAME_ADJUSTMENT_MODES, SchemaNameAdjustment,
    Validator,
};
use crate::data::{Header, Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use crate::error::ConnectError;

const DELETED: &str = "__deleted";
const ID: &str = "_id";
const ENVELOPE: &str = ".Envelope";

/// The configuration keys: those of `ExtractNewRecordState`, then its own.
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    let mut keys = extract_new_record_state::config_def().keys().to_vec();
    keys.extend([
        key(
            "array.encoding",
            ConfigType::String,
            "How arrays are written: array, whose elements are of one type, or document, a struct \
             with a field for each index.",
        )
        .default("array")
        .medium()
        .check(Validator::OneOfAnyCase(&["array", "document"])),
        key(
            "flatten.struct",
            ConfigType::Boolean,
            "Whether fields of documents within become fields of the row.",
        )
        .default("false"),
        key("flatten.struct.delimiter", ConfigType::String, "What joins their names.").default("_"),
        key(
            "delete.tombstone.handling.mode.rewrite-with-id",
            ConfigType::Boolean,
            "Whether a rewritten delete has the document's _id, from the key.",
        )
        .default("false"),
        key(
            "field.name.adjustment.mode",
            ConfigType::String,
            "How the names of fields are made fit for Avro: none, avro or avro_unicode.",
        )
        .default("none")
        .check(SCHEMA_NAME_ADJUSTMENT_MODES),
    ]);
    ConfigDef::new(keys)
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let mut settings = Settings::new(props)?;
    let is_given = |key: &str| parsed.optional_string(key).is_some();
    if !is_given("delete.tombstone.handling.mode") && !props.contains_key("delete.handling.mode") {
        settings.on_delete = OnDelete::NullWithoutSchema;
    }
    let delimiter = parsed.string("flatten.struct.delimiter");
    let flatten = match parsed.boolean("flatten.struct") {
        false => None,
        true => {
            let props = Props::from([("delimiter".to_owned(), delimiter.clone())]);
            Some(flatten::construct_value(&props)?)
        }
    };
    let names = SchemaNameAdjustment::parse(&parsed.string("field.name.adjustment.mode"));
    Ok(Box::new(ExtractNewDocumentState {
        settings,
        encoding: Encoding {
            arrays_are_structs: parsed.string("array.encoding").eq_ignore_ascii_case("document"),
            names: names.unwrap_or(SchemaNameAdjustment::None),
        },
        flatten,
        delimiter,
        rewrite_with_id: parsed.boolean("delete.tombstone.handling.mode.rewrite-with-id"),
        last: [None, None],
    }))
}

struct ExtractNewDocumentState {
    settings: Settings,
    encoding: Encoding,
    flatten: Option<Box<dyn Transformation>>,
    delimiter: String,
    rewrite_with_id: bool,
    /// The schemas of the last key and value: documents of a collection are often alike, and what
    /// follows keeps what it made of a schema.
    last: [Option<Arc<Schema>>; 2],
}

impl Transformation for ExtractNewDocumentState {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let is_key =
            |schema: &Arc<Schema>| schema.name().is_some_and(|name| name.ends_with(".Key"));
        if !record.key.schema.as_ref().is_some_and(is_key) {
            return Ok(Keep::Record);
        }
        if record.value.value.is_null() {
            return self.tombstone(record);
        }
        let (Some(schema), Value::Struct(event)) = (&record.value.schema, &record.value.value)
        else {
            return Ok(Keep::Record);
        };
        if !is_envelope(schema) {
            return Ok(Keep::Record);
        }
        let id = id_of(&record.key)?;
        let Some(document) = self.document(event, &id)? else { return Ok(Keep::Drop) };
        let headers = self.headers(schema, event)?;
        let value = self.row(schema, event, document)?;
        let key = self.key(id)?;
        let mut made = Record { key, value, ..record.clone() };
        made.headers.extend(headers);
        if let Some(flatten) = &mut self.flatten {
            flatten.apply(&mut made)?;
        }
        *record = made;
        Ok(Keep::Record)
    }
}

impl ExtractNewDocumentState {
    fn tombstone(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        if self.settings.drop_tombstones {
            return Ok(Keep::Drop);
        }
        let key = self.key(id_of(&record.key)?)?;
        let op = self.settings.add_headers.iter().find(|metadata| metadata.is_op());
        if let Some(op) = op {
            record.headers.push(Header {
                key: op.output.clone(),
                schema: Some(SchemaBuilder::new(Type::String).build()),
                value: Value::string("d"),
            });
        }
        record.key = key;
        record.value = SchemaAndValue::NULL;
        Ok(Keep::Record)
    }

    /// What is left of the event; `None`: it is dropped.
    fn document(&self, event: &Struct, id: &Bson) -> Result<Option<Document>, ConnectError> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let update = event.get("updateDescription").and_then(Value::as_struct);
        let mut document = match (text("after"), update) {
            (Some(after), _) => bson::document(after)?,
            (None, Some(update)) => self.partial(update, id)?,
            (None, None) => match self.settings.on_delete {
                OnDelete::Drop => return Ok(None),
                OnDelete::Rewrite => {
                    text("before").map(bson::document).transpose()?.unwrap_or_default()
                }
                OnDelete::NullWithSchema | OnDelete::NullWithoutSchema => Document::new(),
            },
        };
        if self.settings.on_delete == OnDelete::Rewrite {
            let is_delete = text("after").is_none() && update.is_none();
            set(&mut document, DELETED, Bson::Boolean(is_delete));
            if self.rewrite_with_id && !document.iter().any(|(name, _)| name == ID) {
                document.push((ID.to_owned(), id.clone()));
            }
        }
        Ok(Some(document))
    }

    /// What an update tells of a document that is not there as a whole.
    fn partial(&self, update: &Struct, id: &Bson) -> Result<Document, ConnectError> {
        let updated = update.get("updatedFields").and_then(Value::as_str);
        let mut document = updated.map(bson::document).transpose()?.unwrap_or_default();
        if let Some(Value::Array(removed)) = update.get("removedFields") {
            let is_removed =
                |name: &str| removed.iter().any(|removed| removed.as_str() == Some(name));
            document.retain(|(name, _)| !is_removed(name));
        }
        if !document.iter().any(|(name, _)| name == ID) {
            document.push((ID.to_owned(), id.clone()));
        }
        if self.flatten.is_some() {
            // Fields of documents within are named by their path.
            for (name, _) in &mut document {
                *name = name.replace('.', &self.delimiter);
            }
        }
        Ok(document)
    }

    /// The row, with metadata of the event; null without a schema where nothing is left.
    fn row(
        &mut self,
        envelope: &Arc<Schema>,
        event: &Struct,
        document: Document,
    ) -> Result<SchemaAndValue, ConnectError> {
        if document.is_empty() {
            return Ok(SchemaAndValue::NULL);
        }
        let name = envelope.name().unwrap_or_default();
        let name = name.strip_suffix(ENVELOPE).unwrap_or(name);
        let parts = name.split('.').map(|part| self.encoding.names.adjust(part));
        let name = parts.collect::<Vec<_>>().join(".");
        let own = self.encoding.fields(&name, &document)?;
        let Value::Struct(row) = self.encoding.row(&built(None, own.clone()), document) else {
            return Err(ConnectError::data("the document is no row"));
        };
        let (mut fields, mut values) = (Fields::new(), row.into_values());
        for field in own {
            fields.push(&field.name, field.schema)?;
        }
        for metadata in &self.settings.add_fields {
            if let Some(place) = Place::find(metadata, envelope)? {
                fields.push(&metadata.output, place.schema.clone())?;
                values.push(place.value(event));
            }
        }
        let schema = fields.build(SchemaBuilder::structure().name(name));
        Ok(self.settled(1, schema, values))
    }

    fn key(&mut self, id: Bson) -> Result<SchemaAndValue, ConnectError> {
        let document = vec![("id".to_owned(), id)];
        // The original puts the missing name into those of structs within.
        let fields = self.encoding.fields("null", &document)?;
        let Value::Struct(row) = self.encoding.row(&built(None, fields.clone()), document) else {
            return Err(ConnectError::data("the key is no row"));
        };
        let mut own = Fields::new();
        for field in fields {
            own.push(&field.name, field.schema)?;
        }
        let schema = own.build(SchemaBuilder::structure());
        Ok(self.settled(0, schema, row.into_values()))
    }

    /// The row under the schema of the last one where that is the same.
    fn settled(&mut self, side: usize, schema: Arc<Schema>, values: Vec<Value>) -> SchemaAndValue {
        let schema = match self.last.get_mut(side) {
            Some(Some(last)) if *last == schema => last.clone(),
            Some(last) => {
                *last = Some(schema.clone());
                schema
            }
            None => schema,
        };
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        SchemaAndValue { schema: Some(schema), value }
    }

    fn headers(&self, schema: &Arc<Schema>, event: &Struct) -> Result<Vec<Header>, ConnectError> {
        let mut headers = Vec::new();
        for metadata in &self.settings.add_headers {
            if let Some(place) = Place::find(metadata, schema)? {
                let value = place.value(event);
                let key = metadata.output.clone();
                headers.push(Header { key, schema: Some(place.schema), value });
            }
        }
        Ok(headers)
    }
}

/// The document's id, which the key has as text.
fn id_of(key: &SchemaAndValue) -> Result<Bson, ConnectError> {
    let id = key.value.as_struct().and_then(|key| key.get("id")).and_then(Value::as_str);
    let id = id.ok_or_else(|| ConnectError::data("the key of a change in MongoDB has no id"))?;
    Ok(bson::value(id)?)
}

fn set(document: &mut Document, name: &str, value: Bson) {
    match document.iter_mut().find(|(own, _)| own == name) {
        Some((_, slot)) => *slot = value,
        None => document.push((name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests;
