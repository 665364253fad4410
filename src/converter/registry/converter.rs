//! The converter around a [`Format`].

use std::sync::Arc;

use async_trait::async_trait;

use super::client::{RegistryClient, SchemaText};
use super::config::{SharedConfig, WriteMode};
use super::http::{Refused, RegistryError};
use super::readers::{self, Readers};
use super::writers::{self, Writers};
use super::{Described, Format, MAGIC, PREFIX_BYTES, Reference, Resolved};
use crate::config::{Parsed, Props};
use crate::converter::{Converter, ConverterContext, Presence, RowEncoder};
use crate::data::{PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue};
use crate::error::{ConnectError, DataError};

/// As many schemas as one may need, directly or not.
const REFERENCES_MAX: usize = 1000;

/// Connect data in a format of the Schema Registry.
pub(in crate::converter) struct RegistryConverter<F: Format> {
    format: F,
    client: RegistryClient,
    config: SharedConfig,
    writers: Writers<F::Writer>,
    readers: Readers<F::Reader>,
}

impl<F: Format> RegistryConverter<F> {
    /// A converter with the settings of `parsed`, which has the keys of [`super::keys`].
    ///
    /// # Errors
    /// Which setting cannot be used.
    pub(in crate::converter) fn new(
        format: F,
        parsed: &Parsed,
        props: &Props,
        context: &ConverterContext,
    ) -> Result<Self, ConnectError> {
        let config = SharedConfig::new(parsed, props, context.role)?;
        let client = RegistryClient::new(&config.registry, &context.hosts)?;
        let max = config.schemas_max;
        Ok(Self { format, client, config, writers: Writers::new(max), readers: Readers::new(max) })
    }

    /// Asks the registry for the id to write with.
    async fn make_writer(
        &self,
        topic: &str,
        schema: Option<&Arc<Schema>>,
    ) -> Outcome<writers::Ready<F::Writer>> {
        let failed = |error: &dyn std::fmt::Display| {
            let name = F::NAME;
            DataError::new(format!("Failed to serialize {name} data from topic {topic} : {error}"))
        };
        let described = self.format.describe(schema).map_err(|error| failed(&error))?;
        let subject = self.config.subjects.subject(topic, described.record.as_deref());
        let subject = subject.map_err(|error| failed(&error))?;
        let found = match self.registered(&subject, &described).await {
            Ok(found) => found,
            Err(error) => {
                let what = self.failed_request(&described);
                return Err(Failure::of(error, |refused| {
                    failed(&format!("{what}: {refused} (subject {subject})"))
                }));
            }
        };
        let (id, target, strict) = found;
        let target = match target {
            None => Resolved { schema: described.schema, references: Vec::new() },
            Some(schema) => self.resolve(schema).await?,
        };
        if target.schema.ty != F::TYPE {
            let ty = &target.schema.ty;
            return Err(failed(&format!("the schema {id} is one of type {ty}")).into());
        }
        let writer = self.format.writer(schema, &target, strict);
        let writer = writer.map_err(|error| failed(&format!("schema {id}: {error}")))?;
        Ok(writers::Ready { prefix: prefix(id), writer })
    }

    /// The id, and the schema where it is not the described one.
    async fn registered(
        &self,
        subject: &str,
        described: &Described,
    ) -> Result<(i32, Option<SchemaText>, bool), RegistryError> {
        let (client, schema) = (&self.client, &described.schema);
        match &self.config.mode {
            WriteMode::Register { normalize, propagate_tags } => {
                let id = client.register(subject, schema, *normalize, *propagate_tags).await?;
                Ok((id, None, true))
            }
            WriteMode::Lookup { normalize } => {
                Ok((client.lookup(subject, schema, *normalize).await?, None, true))
            }
            WriteMode::Id { id, strict } => {
                Ok((*id, Some(client.by_id(*id, Some(subject)).await?), *strict))
            }
            WriteMode::Latest { strict } => {
                let latest = client.latest(subject).await?;
                self.check_latest(subject, schema, *strict).await?;
                Ok((latest.id, Some(latest.schema), *strict))
            }
            WriteMode::LatestWith { metadata, strict } => {
                let latest = client.latest_with(subject, metadata).await?;
                Ok((latest.id, Some(latest.schema), *strict))
            }
        }
    }

    /// Formats whose writers do not follow the registered schema have the registry judge.
    async fn check_latest(
        &self,
        subject: &str,
        schema: &SchemaText,
        strict: bool,
    ) -> Result<(), RegistryError> {
        if !strict || F::TYPE == "AVRO" {
            return Ok(());
        }
        match self.client.incompatibility(subject, schema).await? {
            None => Ok(()),
            Some(why) => Err(RegistryError::Refused(Refused {
                status: 409,
                code: 409,
                message: format!(
                    "Incompatible schema {} with the latest of the subject: {why}. Set \
                     latest.compatibility.strict to false to disable this check",
                    schema.text
                ),
            })),
        }
    }

    fn failed_request(&self, described: &Described) -> String {
        let (name, text) = (F::NAME, &described.schema.text);
        match &self.config.mode {
            WriteMode::Register { .. } => format!("Error registering {name} schema{text}"),
            WriteMode::Lookup { .. } => format!("Error retrieving {name} schema{text}"),
            WriteMode::Id { id, .. } => format!("Error retrieving {name} schema for id {id}"),
            WriteMode::Latest { .. } => {
                format!("Error retrieving latest version of {name} schema{text}")
            }
            WriteMode::LatestWith { metadata, .. } => {
                format!("Error retrieving latest with metadata {metadata:?}")
            }
        }
    }

    /// Asks the registry for the schema of `id`.
    async fn make_reader(&self, topic: &str, id: i32) -> Outcome<readers::Ready<F::Reader>> {
        let name = F::NAME;
        let failed = |error: &dyn std::fmt::Display| undecodable::<F>(topic, error);
        let role = self.config.subjects.role_name();
        // The subject where topics name it: what a context, and a version, are of.
        let topic_subject = self.config.subjects.subject(topic, None).ok();
        let schema = self.client.by_id(id, topic_subject.as_deref()).await.map_err(|error| {
            Failure::of(error, |refused| {
                failed(&format!("Error retrieving {name} {role} schema for id {id}: {refused}"))
            })
        })?;
        if schema.ty != F::TYPE {
            return Err(failed(&format!("the schema {id} is one of type {}", schema.ty)).into());
        }
        let resolved = self.resolve(schema).await?;
        let version = match &topic_subject {
            None => None,
            // A registry that cannot say, or a topic copied from elsewhere: no version then.
            Some(subject) => match self.client.version_of(id, subject).await {
                Ok(version) => version,
                Err(RegistryError::Refused(_)) => None,
                Err(error) => {
                    return Err(Failure::of(error, |refused| DataError::new(refused.to_string())));
                }
            },
        };
        let reader = self.format.reader(&resolved, version);
        let reader = reader.map_err(|error| failed(&format!("schema {id}: {error}")))?;
        let plan = self.format.plan(&reader, topic).map(Arc::new);
        Ok(readers::Ready { reader, plan })
    }

    /// Fetches what a schema needs, each before those that need it.
    async fn resolve(&self, schema: SchemaText) -> Outcome<Resolved> {
        enum Step {
            Open(Reference),
            Close(Reference, SchemaText),
        }
        let mut references: Vec<(Reference, SchemaText)> = Vec::new();
        let mut seen: Vec<(String, i32)> = Vec::new();
        let mut steps: Vec<_> = schema.references.iter().rev().cloned().map(Step::Open).collect();
        while let Some(step) = steps.pop() {
            let reference = match step {
                Step::Close(reference, text) => {
                    references.push((reference, text));
                    continue;
                }
                Step::Open(reference) => reference,
            };
            let key = (reference.subject.clone(), reference.version);
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            if seen.len() > REFERENCES_MAX {
                return Err(DataError::new("a schema needs too many others").into());
            }
            let (subject, version) = (&reference.subject, reference.version);
            let text = self.client.version(subject, version).await.map_err(|error| {
                Failure::of(error, |refused| {
                    DataError::new(format!(
                        "Error retrieving version {version} of {subject}: {refused}"
                    ))
                })
            })?;
            let needs: Vec<_> = text.references.iter().rev().cloned().map(Step::Open).collect();
            steps.push(Step::Close(reference, text));
            steps.extend(needs);
        }
        Ok(Resolved { schema, references })
    }

    fn ready_reader(
        &mut self,
        topic: &str,
        id: i32,
    ) -> Result<Arc<readers::Ready<F::Reader>>, DataError> {
        match self.readers.find(topic, id) {
            Some(Ok(ready)) => Ok(ready.clone()),
            Some(Err((error, _))) => Err(error.clone()),
            None => Err(undecodable::<F>(topic, &format!("the schema {id} was not prepared"))),
        }
    }
}

/// Why something was not made: for now, or for the records concerned.
enum Failure {
    Outside(ConnectError),
    Data(DataError),
}

type Outcome<T> = Result<T, Failure>;

impl Failure {
    fn of(error: RegistryError, data: impl FnOnce(&Refused) -> DataError) -> Self {
        match error {
            RegistryError::Unavailable(error) | RegistryError::Denied(error) => {
                Self::Outside(error)
            }
            RegistryError::Refused(refused) => Self::Data(data(&refused)),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

/// Lets a failure of the outside through; the other is the result.
fn kept<T>(outcome: Outcome<T>) -> Result<Result<T, DataError>, ConnectError> {
    match outcome {
        Ok(made) => Ok(Ok(made)),
        Err(Failure::Data(error)) => Ok(Err(error)),
        Err(Failure::Outside(error)) => Err(error),
    }
}

fn prefix(id: i32) -> Vec<u8> {
    let mut prefix = vec![MAGIC];
    prefix.extend_from_slice(&id.to_be_bytes());
    prefix
}

/// The id in front of a message.
fn id_of(message: &[u8]) -> Option<i32> {
    let (magic, rest) = message.split_first().filter(|(magic, _)| **magic == MAGIC)?;
    debug_assert_eq!(*magic, MAGIC);
    rest.first_chunk::<4>().map(|id| i32::from_be_bytes(*id))
}

fn undecodable<F: Format>(topic: &str, error: &dyn std::fmt::Display) -> DataError {
    let name = F::NAME;
    DataError::new(format!("Failed to deserialize data for topic {topic} to {name}: {error}"))
}

/// As [`id_of`], for a message that has to have one.
fn id_or_error<F: Format>(topic: &str, message: &[u8]) -> Result<i32, DataError> {
    id_of(message).ok_or_else(|| {
        let why = match message.first() {
            Some(&MAGIC) => format!("{} bytes are no message of the registry", message.len()),
            Some(other) => format!(
                "Unknown magic byte! (it is {other}; was the message written by another converter?)"
            ),
            None => "an empty message".to_owned(),
        };
        undecodable::<F>(topic, &why)
    })
}

#[async_trait]
impl<F: Format> Converter for RegistryConverter<F> {
    fn is_prepared(&mut self, topic: &str, schema: Option<&Arc<Schema>>) -> bool {
        self.writers.find(topic, schema).is_some()
    }

    async fn prepare(
        &mut self,
        topic: &str,
        schema: Option<&Arc<Schema>>,
    ) -> Result<(), ConnectError> {
        if self.writers.find(topic, schema).is_none() {
            let outcome = kept(self.make_writer(topic, schema).await)?;
            self.writers.add(topic, schema, outcome);
        }
        Ok(())
    }

    fn encoder(&mut self, topic: &str, planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
        let ready = self.writers.find(topic, planned.schema.as_ref())?.ok()?;
        self.format.encoder(&ready.writer, planned, &ready.prefix)
    }

    fn from_connect_data(
        &mut self,
        topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        let schema = data.schema.as_ref();
        if self.format.is_null(schema, &data.value)? {
            return Ok(Presence::Null);
        }
        let ready = self.writers.find(topic, schema).ok_or_else(|| {
            DataError::new(format!("the schema of a record for {topic} was not prepared"))
        })??;
        out.extend_from_slice(&ready.prefix);
        self.format.write(&ready.writer, schema, &data.value, out)?;
        Ok(Presence::Present)
    }

    fn wants_to_read(&mut self, topic: &str, message: &[u8]) -> bool {
        id_of(message).is_some_and(|id| self.readers.want(topic, id))
    }

    async fn prepare_read(&mut self) -> Result<(), ConnectError> {
        while let Some((topic, id)) = self.readers.wanted.first().cloned() {
            let outcome = kept(self.make_reader(&topic, id).await)?;
            self.readers.add(&topic, id, outcome);
            self.readers.wanted.remove(&(topic, id));
        }
        self.readers.end_batch();
        Ok(())
    }

    fn to_connect_data(
        &mut self,
        topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        let Some(message) = bytes else { return Ok(SchemaAndValue::NULL) };
        let id = id_or_error::<F>(topic, message)?;
        let ready = self.ready_reader(topic, id)?;
        let body = message.get(PREFIX_BYTES..).unwrap_or_default();
        self.format.read(&ready.reader, body).map_err(|error| undecodable::<F>(topic, &error))
    }

    fn decode_cells(
        &mut self,
        topic: &str,
        off: usize,
        len: usize,
        batch: &mut RecordBatch,
    ) -> Result<Option<Arc<RowPlan>>, DataError> {
        let end = off + len;
        let message = batch.wire.get(off..end).unwrap_or_default();
        let id = id_or_error::<F>(topic, message)?;
        let ready = self.ready_reader(topic, id)?;
        let Some(plan) = &ready.plan else { return Ok(None) };
        let read = self
            .format
            .read_cells(&ready.reader, off + PREFIX_BYTES, end, batch)
            .map_err(|error| undecodable::<F>(topic, &error))?;
        Ok(read.then(|| plan.clone()))
    }
}
