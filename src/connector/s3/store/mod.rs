//! The bucket: the requests that the sink makes, each failure told with bucket, key, operation and
//! remedy.
//!
//! Every failure of the outside is retriable, wrong keys and a missing bucket among them: once they
//! are mended the task goes on where it was.
//!
//! | module | does |
//! |---|---|
//! | `client` | makes the client: endpoint, encryption, proxy, retries |
//! | `extra` | what the client cannot say: canned ACL, tags; counts failed requests |
//! | `credentials` | profile, web identity, container, instance, assumed role |
//! | `endpoint` | addresses |
//! | `cause` | why a request failed, and what to do |
//! | `folder` | a folder in place of a bucket (`file:///`) |

mod cause;
mod client;
mod credentials;
mod endpoint;
mod extra;
mod folder;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutPayload};

use self::cause::{Cause, brief};
use self::client::Client;
use self::folder::Folder;
use super::config::{Credentials, Place, StoreConfig};
use crate::config::{HostMap, SinkDefaults};
use crate::error::ConnectError;
use crate::metrics::TaskMetrics;

/// A task that starts must not wait for a store that hangs: it tries again.
const CHECK_DEADLINE: Duration = Duration::from_secs(3);

/// A bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    backend: Backend,
    name: Arc<str>,
    /// Where it is, for error texts.
    place: Arc<str>,
    /// Whether requests need not wait for credentials from elsewhere.
    has_keys: bool,
}

#[derive(Clone)]
enum Backend {
    S3(Client),
    Folder(Folder),
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What became of completing an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    /// The object is there.
    Done,
    /// The upload is gone and the object is not there.
    Lost,
}

impl Bucket {
    /// The bucket of `config`, reached through `hosts`.
    ///
    /// # Errors
    /// When no client can be made of the settings.
    pub(super) fn new(
        config: &StoreConfig,
        hosts: &HostMap,
        defaults: &SinkDefaults,
        metrics: &TaskMetrics,
    ) -> Result<Self, ConnectError> {
        let (backend, place) = match &config.place {
            Place::Folder(folder) => {
                let folder = folder.join(&config.bucket);
                let place = folder.display().to_string();
                (Backend::Folder(Folder::new(folder)), place)
            }
            place => {
                let place = match place {
                    Place::Endpoint(endpoint) => endpoint.to_string(),
                    _ => format!("Amazon S3, region {}", config.region),
                };
                (Backend::S3(Client::new(config, hosts, defaults, metrics)?), place)
            }
        };
        let name = config.bucket.as_str().into();
        let has_keys =
            matches!(config.credentials, Credentials::Static { .. } | Credentials::Anonymous);
        Ok(Self { backend, name, place: place.into(), has_keys })
    }

    /// Whether the bucket is there and takes our keys. Being forbidden to list counts as yes, as in
    /// the original: many policies only allow to write.
    ///
    /// # Errors
    /// What is wrong, with the remedy.
    pub(super) async fn check(&self) -> Result<(), ConnectError> {
        let client = match &self.backend {
            Backend::S3(client) => client,
            Backend::Folder(folder) => {
                return folder.check().await.map_err(|error| self.broken("open", None, &error));
            }
        };
        // A prefix that nothing has: the listing stays empty.
        let prefix = Path::from("ferroconnect-access-check");
        let mut listing = client.store.list(Some(&prefix));
        match tokio::time::timeout(CHECK_DEADLINE, listing.next()).await {
            Ok(None | Some(Ok(_))) => Ok(()),
            Ok(Some(Err(error))) if Cause::of(&error) == Cause::AccessDenied => Ok(()),
            Ok(Some(Err(error))) => Err(self.failure("ListObjectsV2", None, error)),
            Err(_) => Err(ConnectError::retriable(self.silence())),
        }
    }

    /// What to say when the deadline came first.
    fn silence(&self) -> String {
        let Self { name, place, .. } = self;
        let seconds = CHECK_DEADLINE.as_secs();
        if self.has_keys {
            format!(
                "bucket \"{name}\" at {place} did not answer within {seconds} s; check store.url (or \
                 the worker's AWS_ENDPOINT_URL_S3) and s3.region"
            )
        } else {
            // The request waits for credentials that only a machine at Amazon's has.
            format!(
                "bucket \"{name}\" cannot be reached without credentials, and this machine has none \
                 of its own; set aws.access.key.id and aws.secret.access.key, or AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY of the worker"
            )
        }
    }

    /// Starts an upload and returns its id.
    pub(super) async fn create(&self, key: &str) -> Result<String, ConnectError> {
        const OPERATION: &str = "CreateMultipartUpload";
        fail::fail_point!("s3.before-create");
        let client = match &self.backend {
            Backend::S3(client) => client,
            Backend::Folder(folder) => {
                let created = folder.create().await;
                return created.map_err(|error| self.broken(OPERATION, Some(key), &error));
            }
        };
        let created = client.store.create_multipart(&self.path(key)?).await;
        fail::fail_point!("s3.after-create");
        created.map_err(|error| self.failure(OPERATION, Some(key), error))
    }

    /// Uploads the part `index`, from 0, and returns its entity tag.
    pub(super) async fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        index: usize,
        content: Bytes,
    ) -> Result<String, ConnectError> {
        const OPERATION: &str = "UploadPart";
        fail::fail_point!("s3.before-part");
        let client = match &self.backend {
            Backend::S3(client) => client,
            Backend::Folder(folder) => {
                let put = folder.put_part(upload_id, index, &content).await;
                return put.map_err(|error| self.broken(OPERATION, Some(key), &error));
            }
        };
        let payload = PutPayload::from_bytes(content);
        let (path, id) = (self.path(key)?, upload_id.to_owned());
        let put = client.store.put_part(&path, &id, index, payload).await;
        fail::fail_point!("s3.after-part");
        put.map(|part| part.content_id).map_err(|error| self.failure(OPERATION, Some(key), error))
    }

    /// Makes the object visible. Repeating it is safe: an upload that is gone is looked for as an
    /// object, because a reply may have been lost after it succeeded.
    pub(super) async fn complete(
        &self,
        key: &str,
        upload_id: &str,
        etags: &[String],
    ) -> Result<Completion, ConnectError> {
        const OPERATION: &str = "CompleteMultipartUpload";
        fail::fail_point!("s3.before-complete");
        let client = match &self.backend {
            Backend::S3(client) => client,
            Backend::Folder(folder) => {
                let completed = folder.complete(key, upload_id, etags.len()).await;
                let completed =
                    completed.map_err(|error| self.broken(OPERATION, Some(key), &error))?;
                return Ok(if completed { Completion::Done } else { Completion::Lost });
            }
        };
        let parts = etags.iter().map(|etag| PartId { content_id: etag.clone() }).collect();
        let (path, id) = (self.path(key)?, upload_id.to_owned());
        let completed = client.store.complete_multipart(&path, &id, parts).await;
        let Err(error) = completed else { return Ok(Completion::Done) };
        let cause = Cause::of(&error);
        if !matches!(cause, Cause::NoSuchUpload | Cause::AccessDenied) {
            return Err(self.failure(OPERATION, Some(key), error));
        }
        if self.exists(client, key).await? {
            return Ok(Completion::Done);
        }
        // Some stores answer "access denied" for an upload that they do not know. Who may start an
        // upload may complete it, so being allowed to start one tells which it is.
        if cause == Cause::AccessDenied {
            match self.create(key).await {
                Ok(probe) => self.abort(key, &probe).await?,
                Err(_) => return Err(self.failure(OPERATION, Some(key), error)),
            }
        }
        Ok(Completion::Lost)
    }

    /// Ends an upload without an object. One that is gone already is fine.
    pub(super) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), ConnectError> {
        const OPERATION: &str = "AbortMultipartUpload";
        let client = match &self.backend {
            Backend::S3(client) => client,
            Backend::Folder(folder) => {
                let aborted = folder.abort(upload_id).await;
                return aborted.map_err(|error| self.broken(OPERATION, Some(key), &error));
            }
        };
        match client.store.abort_multipart(&self.path(key)?, &upload_id.to_owned()).await {
            Ok(()) => Ok(()),
            Err(error)
                if matches!(Cause::of(&error), Cause::NoSuchUpload | Cause::AccessDenied) =>
            {
                Ok(())
            }
            Err(error) => Err(self.failure(OPERATION, Some(key), error)),
        }
    }

    /// Replaces the tags of an object. Folders have none.
    pub(super) async fn tag(
        &self,
        key: &str,
        tags: &[(String, String)],
    ) -> Result<(), ConnectError> {
        let Backend::S3(client) = &self.backend else { return Ok(()) };
        client.extra.put_tags(key, tags).await.map_err(|reason| {
            let Self { name, place, .. } = self;
            ConnectError::retriable(format!(
                "PutObjectTagging, bucket \"{name}\", key \"{key}\" at {place}: {reason}; allow \
                 s3:PutObjectTagging, or set s3.object.tagging=false"
            ))
        })
    }

    async fn exists(&self, client: &Client, key: &str) -> Result<bool, ConnectError> {
        match client.store.head(&self.path(key)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failure("HeadObject", Some(key), error)),
        }
    }

    /// The key as it is: no percent-encoding that would become a part of the name.
    fn path(&self, key: &str) -> Result<Path, ConnectError> {
        Path::parse(key).map_err(|error| {
            ConnectError::config(format!(
                "object key \"{key}\" of bucket \"{}\" cannot be written; check topics.dir and \
                 directory.delim",
                self.name
            ))
            .because(error)
        })
    }

    fn failure(
        &self,
        operation: &str,
        key: Option<&str>,
        error: object_store::Error,
    ) -> ConnectError {
        let Self { name, place, .. } = self;
        let object = key.map(|key| format!(", key \"{key}\"")).unwrap_or_default();
        let what = Cause::of(&error).explanation(name);
        ConnectError::retriable(format!(
            "{operation}, bucket \"{name}\"{object} at {place}: {what}"
        ))
        .because(brief(&error))
    }

    /// A failure of the file system behind a folder.
    fn broken(&self, operation: &str, key: Option<&str>, error: &std::io::Error) -> ConnectError {
        let place = &self.place;
        let object = key.map(|key| format!(", key \"{key}\"")).unwrap_or_default();
        ConnectError::retriable(format!(
            "{operation}, folder \"{place}\"{object}: {error}; check that the folder of store.url \
             can be written and has room"
        ))
    }
}
