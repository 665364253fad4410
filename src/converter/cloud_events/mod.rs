//! `io.debezium.converters.CloudEventsConverter`: change events as CloudEvents 1.0, in the structured
//! mode ("Kafka Protocol Binding for CloudEvents", 3.3).
//!
//! The attributes and the data of an event are made as a struct (`event`), which JsonConverter or
//! AvroConverter writes; data in Avro is a value of its own within it.

mod config;
mod event;
mod read;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::config::config_def;
use self::config::{CloudEventsConfig, Serializer};
use self::event::{Event, Events};
use self::read::Rebuilt;
use super::json::{self, JsonConverter};
use super::{Converter, ConverterContext, Presence, Role, RowEncoder, avro};
use crate::config::{Props, with_prefix};
use crate::data::{Header, PlannedValue, Schema, SchemaAndValue, Value};
use crate::error::{ConnectError, DataError};

/// What the original puts behind a topic's name for the schema of data within events in Avro, to
/// keep it apart from the event's.
const DATA_SUFFIX: &str = "-data";
/// The end of an event without data, of which the empty object is replaced.
const EMPTY_DATA: &[u8] = b"{}}";

/// Makes the converter.
///
/// # Errors
/// When the configuration is not valid, or for keys.
pub fn construct(
    props: &Props,
    context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    if context.role == Role::Key {
        return Err(ConnectError::config(
            "CloudEventsConverter converts values only: it would make every key null; set \
             key.converter to another class",
        ));
    }
    let config = CloudEventsConfig::new(props)?;
    let avro = match config.registry_urls {
        None => None,
        Some(_) => Some(avro::construct(&with_prefix(props, "avro."), context)?),
    };
    // An event has no schema around it; its data may.
    let data_json = with_prefix(props, "json.");
    let mut event_json = data_json.clone();
    event_json.insert("schemas.enable".to_owned(), "false".to_owned());
    Ok(Box::new(CloudEventsConverter {
        json: JsonConverter::new(&event_json)?,
        data_json: JsonConverter::new(&data_json)?,
        avro,
        events: Events::new(&config),
        rebuilt: Rebuilt::default(),
        unread: Vec::new(),
        config,
    }))
}

struct CloudEventsConverter {
    config: CloudEventsConfig,
    /// Without schemas.
    json: JsonConverter,
    data_json: JsonConverter,
    /// Where one of the two is in Avro.
    avro: Option<Box<dyn Converter>>,
    events: Events,
    rebuilt: Rebuilt,
    /// Messages in Avro whose data can only be asked about when the schema around it is known.
    unread: Vec<(String, Vec<u8>)>,
}

impl fmt::Debug for CloudEventsConverter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudEventsConverter").field("config", &self.config).finish_non_exhaustive()
    }
}

fn avro_of(avro: &mut Option<Box<dyn Converter>>) -> Result<&mut dyn Converter, DataError> {
    match avro {
        Some(avro) => Ok(avro.as_mut()),
        None => Err(DataError::new("no AvroConverter is configured")),
    }
}

impl CloudEventsConverter {
    fn is_avro(&self) -> bool {
        self.config.event == Serializer::Avro
    }

    /// The topic by whose name the schema of data in Avro is registered.
    fn data_topic(&self, topic: &str) -> String {
        if self.is_avro() { format!("{topic}{DATA_SUFFIX}") } else { topic.to_owned() }
    }

    fn written(
        &mut self,
        topic: &str,
        mut event: Event,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        let data = std::mem::replace(&mut event.data, SchemaAndValue::NULL);
        match (self.config.data, self.config.data_has_schemas) {
            (Serializer::Json, false) => {
                self.json.from_connect_data(topic, &event.finished(data.value, None), out)
            }
            (Serializer::Json, true) => {
                let empty = event.empty_data();
                self.json.from_connect_data(topic, &event.finished(empty, None), out)?;
                debug_assert!(out.ends_with(EMPTY_DATA));
                out.truncate(out.len() - EMPTY_DATA.len());
                self.data_json.from_connect_data(topic, &data, out)?;
                out.push(b'}');
                Ok(Presence::Present)
            }
            (Serializer::Avro, _) => {
                let (data, data_schema) = self.data_in_avro(topic, &data)?;
                let whole = event.finished(Value::Bytes(data), Some(data_schema));
                match &mut self.avro {
                    Some(avro) if self.config.event == Serializer::Avro => {
                        avro.from_connect_data(topic, &whole, out)
                    }
                    _ => self.json.from_connect_data(topic, &whole, out),
                }
            }
        }
    }

    /// The data as a message of its own, and the address of its schema.
    fn data_in_avro(
        &mut self,
        topic: &str,
        data: &SchemaAndValue,
    ) -> Result<(Bytes, String), DataError> {
        let data_topic = self.data_topic(topic);
        let mut bytes = Vec::new();
        avro_of(&mut self.avro)?.from_connect_data(&data_topic, data, &mut bytes)?;
        let id = bytes.get(1..).and_then(|rest| rest.first_chunk::<4>());
        let id = id.map_or(0, |id| i32::from_be_bytes(*id));
        let urls = self.config.registry_urls.as_deref().unwrap_or_default();
        Ok((Bytes::from(bytes), format!("{urls}/schemas/ids/{id}")))
    }

    /// The schemas that Avro has to know before the event can be written, with their topics.
    fn avro_schemas(&self, topic: &str, event: &Event) -> Vec<(String, Option<Arc<Schema>>)> {
        let mut schemas = vec![(self.data_topic(topic), event.data.schema.clone())];
        if self.is_avro() {
            schemas.push((topic.to_owned(), Some(event.schema().clone())));
        }
        schemas
    }
}

#[async_trait]
impl Converter for CloudEventsConverter {
    fn is_record_prepared(
        &mut self,
        topic: &str,
        headers: &[Header],
        data: &SchemaAndValue,
    ) -> bool {
        if self.avro.is_none() {
            return true;
        }
        // What is no event is written without asking, or is an error then.
        let Ok(Some(event)) = self.events.event(headers, data) else { return true };
        let schemas = self.avro_schemas(topic, &event);
        self.avro.as_mut().is_none_or(|avro| {
            schemas.iter().all(|(topic, schema)| avro.is_prepared(topic, schema.as_ref()))
        })
    }

    async fn prepare_record(
        &mut self,
        topic: &str,
        headers: &[Header],
        data: &SchemaAndValue,
    ) -> Result<(), ConnectError> {
        let Ok(Some(event)) = self.events.event(headers, data) else { return Ok(()) };
        let schemas = self.avro_schemas(topic, &event);
        if let Some(avro) = &mut self.avro {
            for (topic, schema) in &schemas {
                avro.prepare(topic, schema.as_ref()).await?;
            }
        }
        Ok(())
    }

    fn encoder(&mut self, _topic: &str, _planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
        None
    }

    fn from_connect_data(
        &mut self,
        topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        self.from_record(topic, &[], data, out)
    }

    fn from_record(
        &mut self,
        topic: &str,
        headers: &[Header],
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        match self.events.event(headers, data)? {
            None => Ok(Presence::Null),
            Some(event) => self.written(topic, event, out),
        }
    }

    fn wants_to_read(&mut self, topic: &str, message: &[u8]) -> bool {
        let (is_avro, data_topic) = (self.is_avro(), self.data_topic(topic));
        let Some(avro) = &mut self.avro else { return false };
        if !is_avro {
            let data = read::data_in_json(message);
            return data.is_some_and(|data| avro.wants_to_read(&data_topic, &data));
        }
        if avro.wants_to_read(topic, message) {
            self.unread.push((topic.to_owned(), message.to_vec()));
            return true;
        }
        let data = read::data_in_avro(avro.as_mut(), topic, message);
        data.is_some_and(|data| avro.wants_to_read(&data_topic, &data))
    }

    async fn prepare_read(&mut self) -> Result<(), ConnectError> {
        let Some(avro) = &mut self.avro else { return Ok(()) };
        avro.prepare_read().await?;
        let mut wants = false;
        for (topic, message) in &self.unread {
            let data = read::data_in_avro(avro.as_mut(), topic, message);
            let data_topic = format!("{topic}{DATA_SUFFIX}");
            wants |= data.is_some_and(|data| avro.wants_to_read(&data_topic, &data));
        }
        if wants {
            avro.prepare_read().await?;
        }
        self.unread.clear();
        Ok(())
    }

    fn to_connect_data(
        &mut self,
        topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        // What is no change event was written as null: it is read, too.
        let Some(bytes) = bytes else { return Ok(SchemaAndValue::NULL) };
        if self.is_avro() {
            let data_topic = self.data_topic(topic);
            let avro = avro_of(&mut self.avro)?;
            let event = avro.to_connect_data(topic, Some(bytes))?;
            let event = read::verified_struct(event, self.config.event_name.as_deref())?;
            let data = read::data_of(&event)?;
            let data = avro.to_connect_data(&data_topic, Some(&data))?;
            return Ok(self.rebuilt.with_data(&event, data));
        }
        let event = self.json.to_connect_data(topic, Some(bytes))?;
        let mut members = read::verified_map(event)?;
        let data = match (self.config.data, json::member(bytes, read::DATA)) {
            // Events need no data; as it was read it stays without schemas.
            (_, None) => return Ok(read::schemaless(members)),
            (Serializer::Json, Some((start, end))) => {
                let text = bytes.get(start..end).filter(|text| *text != b"null");
                match text.filter(|_| self.config.data_has_schemas) {
                    None => return Ok(read::schemaless(members)),
                    Some(text) => self.data_json.to_connect_data(topic, Some(text))?,
                }
            }
            (Serializer::Avro, Some(_)) => {
                let data = read::data_in_json(bytes).ok_or_else(|| {
                    DataError::new("the data of the CloudEvent is no base64 text of Avro")
                })?;
                avro_of(&mut self.avro)?.to_connect_data(topic, Some(&data))?
            }
        };
        read::set_data(&mut members, data.value);
        Ok(read::schemaless(members))
    }
}

#[cfg(test)]
mod tests;
