//! The bucket: the requests that the sink makes, each failure told with bucket, key, operation and
//! remedy.
//!
//! Every failure of the outside is retriable, wrong keys and a missing bucket among them: once they
//! are mended the task goes on where it was.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{DnsFuture, DnsResolver};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore as _, ObjectStoreExt as _, PutPayload, RetryConfig,
};
use url::Url;

use super::config::{Credentials, Encryption, StoreConfig};
use crate::config::HostMap;
use crate::error::ConnectError;

/// A task that starts must not wait for a store that hangs: it tries again.
const CHECK_DEADLINE: Duration = Duration::from_secs(3);
/// One request. Below the default `max.poll.interval.ms` even with its repetitions.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After this no request is repeated; the task itself goes on trying.
const RETRY_TIMEOUT: Duration = Duration::from_secs(90);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// A bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    client: Arc<AmazonS3>,
    name: Arc<str>,
    /// Where it is, for error texts.
    place: Arc<str>,
    /// Whether requests need not wait for the machine's own credentials.
    has_keys: bool,
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
    pub(super) fn new(config: &StoreConfig, hosts: &HostMap) -> Result<Self, ConnectError> {
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(config.retry_backoff_ms.max(1)),
                max_backoff: BACKOFF_MAX,
                base: 2.0,
            },
            max_retries: config.retries,
            retry_timeout: RETRY_TIMEOUT,
        };
        let mut options = ClientOptions::new()
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_allow_http(true);
        let path_style = config.path_style || config.endpoint.as_ref().is_some_and(is_address);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_virtual_hosted_style_request(!path_style)
            .with_retry(retry);
        if let Some(endpoint) = &config.endpoint {
            let (url, resolver) = mapped(endpoint, hosts);
            if let Some(resolver) = resolver {
                options = options.with_dns_resolver(Arc::new(resolver));
            }
            let bucket = (!path_style).then_some(config.bucket.as_str());
            builder = builder.with_endpoint(endpoint_text(url, bucket));
        }
        if let Some(proxy) = &config.proxy {
            builder = builder.with_proxy_url(proxy);
        }
        builder = encrypted(signed(builder, &config.credentials), &config.encryption);
        let client = builder.with_client_options(options).build().map_err(|error| {
            ConnectError::config(format!(
                "no S3 client can be made for bucket \"{}\"; check store.url, s3.region and the \
                 credentials",
                config.bucket
            ))
            .because(error)
        })?;
        let place = match &config.endpoint {
            Some(endpoint) => endpoint.to_string(),
            None => format!("Amazon S3, region {}", config.region),
        };
        Ok(Self {
            client: Arc::new(client),
            name: config.bucket.as_str().into(),
            place: place.into(),
            has_keys: !matches!(config.credentials, Credentials::Machine),
        })
    }

    /// Whether the bucket is there and takes our keys. Being forbidden to list counts as yes, as in
    /// the original: many policies only allow to write.
    ///
    /// # Errors
    /// What is wrong, with the remedy.
    pub(super) async fn check(&self) -> Result<(), ConnectError> {
        // A prefix that nothing has: the listing stays empty.
        let prefix = Path::from("ferroconnect-access-check");
        let mut listing = self.client.list(Some(&prefix));
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
        let path = self.path(key)?;
        let created = self.client.create_multipart(&path).await;
        created.map_err(|error| self.failure("CreateMultipartUpload", Some(key), error))
    }

    /// Uploads the part `index`, from 0, and returns its entity tag.
    pub(super) async fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        index: usize,
        content: Bytes,
    ) -> Result<String, ConnectError> {
        let path = self.path(key)?;
        let payload = PutPayload::from_bytes(content);
        match self.client.put_part(&path, &upload_id.to_owned(), index, payload).await {
            Ok(part) => Ok(part.content_id),
            Err(error) => Err(self.failure("UploadPart", Some(key), error)),
        }
    }

    /// Makes the object visible. Repeating it is safe: an upload that is gone is looked for as an
    /// object, because a reply may have been lost after it succeeded.
    pub(super) async fn complete(
        &self,
        key: &str,
        upload_id: &str,
        etags: &[String],
    ) -> Result<Completion, ConnectError> {
        let path = self.path(key)?;
        let parts = etags.iter().map(|etag| PartId { content_id: etag.clone() }).collect();
        let completed = self.client.complete_multipart(&path, &upload_id.to_owned(), parts).await;
        let Err(error) = completed else { return Ok(Completion::Done) };
        let cause = Cause::of(&error);
        if !matches!(cause, Cause::NoSuchUpload | Cause::AccessDenied) {
            return Err(self.failure("CompleteMultipartUpload", Some(key), error));
        }
        if self.exists(key).await? {
            return Ok(Completion::Done);
        }
        // Some stores answer "access denied" for an upload that they do not know. Who may start an
        // upload may complete it, so being allowed to start one tells which it is.
        if cause == Cause::AccessDenied {
            match self.create(key).await {
                Ok(probe) => self.abort(key, &probe).await?,
                Err(_) => return Err(self.failure("CompleteMultipartUpload", Some(key), error)),
            }
        }
        Ok(Completion::Lost)
    }

    /// Ends an upload without an object. One that is gone already is fine.
    pub(super) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), ConnectError> {
        let path = self.path(key)?;
        match self.client.abort_multipart(&path, &upload_id.to_owned()).await {
            Ok(()) => Ok(()),
            Err(error)
                if matches!(Cause::of(&error), Cause::NoSuchUpload | Cause::AccessDenied) =>
            {
                Ok(())
            }
            Err(error) => Err(self.failure("AbortMultipartUpload", Some(key), error)),
        }
    }

    async fn exists(&self, key: &str) -> Result<bool, ConnectError> {
        let path = self.path(key)?;
        match self.client.head(&path).await {
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
}

/// The client's error with its innermost cause. Each of the client's causes repeats the text of the
/// next one, which nobody could read in a `trace`.
fn brief(error: &object_store::Error) -> String {
    let text = error.to_string();
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let root = innermost.to_string();
    if text.contains(&root) { text } else { format!("{text}: {root}") }
}

/// Why a request failed, as far as the remedy depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    NoSuchBucket,
    NoSuchUpload,
    UnknownKey,
    WrongSecret,
    ExpiredToken,
    ClockSkew,
    AccessDenied,
    OtherRegion,
    NoCredentials,
    Throttled,
    Unreachable,
    Other,
}

impl Cause {
    /// Goes by the error code in the reply's text: the client does not hand out the reply itself.
    fn of(error: &object_store::Error) -> Self {
        let text = full_text(error);
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        match code.map_or("", |(code, _)| code) {
            "NoSuchBucket" => return Self::NoSuchBucket,
            "NoSuchUpload" => return Self::NoSuchUpload,
            "InvalidAccessKeyId" => return Self::UnknownKey,
            "SignatureDoesNotMatch" => return Self::WrongSecret,
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => return Self::ExpiredToken,
            "RequestTimeTooSkewed" => return Self::ClockSkew,
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => return Self::OtherRegion,
            "SlowDown" | "ServiceUnavailable" | "Throttling" | "RequestLimitExceeded" => {
                return Self::Throttled;
            }
            _ => {}
        }
        let has = |needle: &str| text.contains(needle);
        if has("169.254.169.254") || has("metadata endpoint") {
            return Self::NoCredentials;
        }
        match error {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => Self::AccessDenied,
            _ if has("redirect") => Self::OtherRegion,
            _ if has("503 Service Unavailable") || has("429 Too Many") => Self::Throttled,
            _ if has("error sending request") || has("timed out") || has("dns error") => {
                Self::Unreachable
            }
            _ => Self::Other,
        }
    }

    fn explanation(self, bucket: &str) -> String {
        match self {
            Self::NoSuchBucket => {
                format!("the bucket does not exist; create \"{bucket}\" or correct s3.bucket.name")
            }
            Self::NoSuchUpload => "the upload is gone".to_owned(),
            Self::UnknownKey => "the access key is not known there; correct aws.access.key.id, or \
                                 the worker's AWS_ACCESS_KEY_ID"
                .to_owned(),
            Self::WrongSecret => "the secret does not fit the access key; correct \
                                  aws.secret.access.key, or the worker's AWS_SECRET_ACCESS_KEY"
                .to_owned(),
            Self::ExpiredToken => "the credentials have expired; renew them".to_owned(),
            Self::ClockSkew => {
                "this machine's clock differs too much from the store's; set it".to_owned()
            }
            Self::AccessDenied => "access denied; allow these keys s3:PutObject, s3:GetObject and \
                 s3:AbortMultipartUpload on the bucket's objects, and s3:ListBucket on the bucket"
                .to_owned(),
            Self::OtherRegion => "the bucket is in another region; correct s3.region".to_owned(),
            Self::NoCredentials => {
                "no credentials were found; set aws.access.key.id and aws.secret.access.key, or \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the worker"
                    .to_owned()
            }
            Self::Throttled => "the store asks to slow down; it is tried again".to_owned(),
            Self::Unreachable => {
                "no connection; check that the store runs and that store.url (or the worker's \
                 AWS_ENDPOINT_URL_S3) names it"
                    .to_owned()
            }
            Self::Other => "the request failed".to_owned(),
        }
    }
}

fn full_text(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push('\n');
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn signed(builder: AmazonS3Builder, credentials: &Credentials) -> AmazonS3Builder {
    match credentials {
        Credentials::Machine => builder,
        Credentials::Anonymous => builder.with_skip_signature(true),
        Credentials::Static { access_key_id, secret_access_key, session_token } => {
            let builder = builder
                .with_access_key_id(access_key_id)
                .with_secret_access_key(secret_access_key.expose());
            match session_token {
                Some(token) => builder.with_token(token.expose()),
                None => builder,
            }
        }
    }
}

fn encrypted(builder: AmazonS3Builder, encryption: &Encryption) -> AmazonS3Builder {
    match encryption {
        Encryption::Bucket => builder,
        Encryption::S3 => {
            let algorithm: AmazonS3ConfigKey =
                "aws_server_side_encryption".parse().expect("a key of the client");
            builder.with_config(algorithm, "AES256")
        }
        Encryption::Kms(key) => builder.with_sse_kms_encryption(key),
        Encryption::Customer(key) => builder.with_ssec_encryption(key.expose()),
    }
}

/// With virtual-host style the client wants the bucket in the endpoint's host.
fn endpoint_text(mut endpoint: Url, bucket: Option<&str>) -> String {
    if let (Some(bucket), Some(host)) = (bucket, endpoint.host_str()) {
        let host = format!("{bucket}.{host}");
        let _ = endpoint.set_host(Some(&host));
    }
    endpoint.as_str().trim_end_matches('/').to_owned()
}

/// Whether the host is an IP address, which no bucket can stand before.
fn is_address(endpoint: &Url) -> bool {
    matches!(endpoint.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)))
}

/// Where to connect instead of `endpoint`. Plain HTTP goes to the other address outright; with TLS
/// the name stays, because the certificate is made for it.
fn mapped(endpoint: &Url, hosts: &HostMap) -> (Url, Option<MappedHost>) {
    let (Some(host), Some(port)) = (endpoint.host_str(), endpoint.port_or_known_default()) else {
        return (endpoint.clone(), None);
    };
    let (address, to_port) = hosts.resolve(host, port);
    let mut url = endpoint.clone();
    // Both fail only for URLs without host, which were refused before.
    let _ = url.set_port(Some(to_port));
    if address == host {
        return (url, None);
    }
    if endpoint.scheme() == "https" {
        return (url, Some(MappedHost { host: host.to_owned(), address }));
    }
    let _ = url.set_host(Some(&address));
    (url, None)
}

/// Resolves one name to another's address.
#[derive(Debug)]
struct MappedHost {
    host: String,
    address: String,
}

impl DnsResolver for MappedHost {
    fn resolve(&self, host: &str) -> DnsFuture {
        // With virtual-host style the bucket stands before the name.
        let ours = host == self.host || host.ends_with(&format!(".{}", self.host));
        let name = if ours { self.address.clone() } else { host.to_owned() };
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect::<Vec<IpAddr>>())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_endpoints_are_mapped_and_tls_names_are_kept() {
        let hosts = HostMap::parse("minio:9000=127.0.0.1:19000,s3.test=127.0.0.1:8443").unwrap();
        let rows = [
            ("http://minio:9000", "http://127.0.0.1:19000/", false),
            ("http://other:9000", "http://other:9000/", false),
            ("https://s3.test", "https://s3.test:8443/", true),
        ];
        for (endpoint, expected, resolver) in rows {
            let (url, found) = mapped(&Url::parse(endpoint).unwrap(), &hosts);
            assert_eq!((url.as_str(), found.is_some()), (expected, resolver), "{endpoint}");
        }
    }

    #[test]
    fn causes_are_told_from_replies() {
        let generic = |text: &str| object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        };
        let rows = [
            ("404: <Error><Code>NoSuchBucket</Code></Error>", Cause::NoSuchBucket),
            ("404: <Error><Code>NoSuchUpload</Code></Error>", Cause::NoSuchUpload),
            ("403: <Error><Code>InvalidAccessKeyId</Code></Error>", Cause::UnknownKey),
            ("403: <Error><Code>SignatureDoesNotMatch</Code></Error>", Cause::WrongSecret),
            ("503: <Error><Code>SlowDown</Code></Error>", Cause::Throttled),
            ("Received redirect without LOCATION", Cause::OtherRegion),
            ("error sending request: Connection refused", Cause::Unreachable),
            ("something else", Cause::Other),
        ];
        for (text, cause) in rows {
            assert_eq!(Cause::of(&generic(text)), cause, "{text}");
        }
    }
}
