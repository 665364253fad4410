//! The registry's REST API, as far as converters need it (Confluent, "Schema Registry API
//! Reference").

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::http::{Http, RegistryError};
use crate::config::HostMap;
use crate::error::ConnectError;

/// A schema as the registry keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::converter) struct SchemaText {
    /// `AVRO`, `JSON` or `PROTOBUF`.
    pub(in crate::converter) ty: String,
    pub(in crate::converter) text: String,
    pub(in crate::converter) references: Vec<Reference>,
}

/// Another schema that one needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::converter) struct Reference {
    pub(in crate::converter) name: String,
    pub(in crate::converter) subject: String,
    pub(in crate::converter) version: i32,
}

/// A schema of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) id: i32,
    pub(super) schema: SchemaText,
}

const AVRO: &str = "AVRO";

/// Speaks to the registry.
#[derive(Debug)]
pub(super) struct RegistryClient {
    http: Http,
}

#[derive(Deserialize)]
struct SchemaReply {
    #[serde(default)]
    id: i32,
    schema: String,
    #[serde(rename = "schemaType")]
    ty: Option<String>,
    references: Option<Vec<Reference>>,
}

impl From<SchemaReply> for Registered {
    fn from(reply: SchemaReply) -> Self {
        Self {
            id: reply.id,
            schema: SchemaText {
                ty: reply.ty.unwrap_or_else(|| AVRO.to_owned()),
                text: reply.schema,
                references: reply.references.unwrap_or_default(),
            },
        }
    }
}

#[derive(Deserialize)]
struct IdReply {
    id: i32,
}

#[derive(Deserialize)]
struct VersionReply {
    subject: String,
    version: i32,
}

#[derive(Deserialize)]
struct CompatibilityReply {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

type Result<T, E = RegistryError> = std::result::Result<T, E>;

impl RegistryClient {
    pub(super) fn new(
        config: &super::config::RegistryConfig,
        hosts: &HostMap,
    ) -> Result<Self, ConnectError> {
        Ok(Self { http: Http::new(config, hosts)? })
    }

    /// Registers a schema, or finds that it is there.
    pub(super) async fn register(
        &self,
        subject: &str,
        schema: &SchemaText,
        normalize: bool,
        propagate_tags: bool,
    ) -> Result<i32> {
        let mut body = body_of(schema);
        if propagate_tags {
            body["propagateSchemaTags"] = json!(true);
        }
        let query = normalized(normalize);
        let path = ["subjects", subject, "versions"];
        Ok(self.http.post::<IdReply>(&path, &query, &body).await?.id)
    }

    /// The id of a schema that is there.
    pub(super) async fn lookup(
        &self,
        subject: &str,
        schema: &SchemaText,
        normalize: bool,
    ) -> Result<i32> {
        let (query, body) = (normalized(normalize), body_of(schema));
        Ok(self.http.post::<IdReply>(&["subjects", subject], &query, &body).await?.id)
    }

    /// The latest schema of a subject.
    pub(super) async fn latest(&self, subject: &str) -> Result<Registered> {
        let path = ["subjects", subject, "versions", "latest"];
        Ok(self.http.get::<SchemaReply>(&path, &[]).await?.into())
    }

    /// The latest schema of a subject that has this metadata.
    pub(super) async fn latest_with(
        &self,
        subject: &str,
        metadata: &[(String, String)],
    ) -> Result<Registered> {
        let path = ["subjects", subject, "metadata"];
        let pairs = metadata.iter().flat_map(|(key, value)| {
            [("key".to_owned(), key.clone()), ("value".to_owned(), value.clone())]
        });
        Ok(self.http.get::<SchemaReply>(&path, &pairs.collect::<Vec<_>>()).await?.into())
    }

    /// The schema of a version of a subject.
    pub(super) async fn version(&self, subject: &str, version: i32) -> Result<SchemaText> {
        let version = version.to_string();
        let path = ["subjects", subject, "versions", version.as_str()];
        Ok(Registered::from(self.http.get::<SchemaReply>(&path, &[]).await?).schema)
    }

    /// The schema of an id, which may be known only in the context of `subject`.
    pub(super) async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<SchemaText> {
        let id = id.to_string();
        let query: Vec<_> =
            subject.map(|subject| ("subject".to_owned(), subject.to_owned())).into_iter().collect();
        let path = ["schemas", "ids", id.as_str()];
        Ok(Registered::from(self.http.get::<SchemaReply>(&path, &query).await?).schema)
    }

    /// Which version of `subject` a schema is.
    pub(super) async fn version_of(&self, id: i32, subject: &str) -> Result<Option<i32>> {
        let id = id.to_string();
        let path = ["schemas", "ids", id.as_str(), "versions"];
        let versions: Vec<VersionReply> = self.http.get(&path, &[]).await?;
        let mut of_subject = versions.into_iter().filter(|each| each.subject == subject);
        Ok(of_subject.next_back().map(|each| each.version))
    }

    /// Why the registry would not take `schema` behind the latest of `subject`, if so.
    pub(super) async fn incompatibility(
        &self,
        subject: &str,
        schema: &SchemaText,
    ) -> Result<Option<String>> {
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let query = [("verbose".to_owned(), "true".to_owned())];
        let reply: CompatibilityReply = self.http.post(&path, &query, &body_of(schema)).await?;
        Ok((!reply.is_compatible).then(|| reply.messages.join("; ")))
    }
}

fn normalized(normalize: bool) -> Vec<(String, String)> {
    if normalize { vec![("normalize".to_owned(), "true".to_owned())] } else { Vec::new() }
}

fn body_of(schema: &SchemaText) -> Json {
    let mut body = json!({ "schema": schema.text });
    // Old registries know only Avro, and no such key.
    if schema.ty != AVRO {
        body["schemaType"] = json!(schema.ty);
    }
    if !schema.references.is_empty() {
        let references = schema.references.iter().map(
            |each| json!({ "name": each.name, "subject": each.subject, "version": each.version }),
        );
        body["references"] = references.collect::<Vec<_>>().into();
    }
    body
}
