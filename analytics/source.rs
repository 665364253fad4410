//! The object store: listing change files and bringing them to local disk.
//!
//! The DuckDB we link has no httpfs, and a transaction should not wait for a network, so objects are
//! downloaded before they are read. Objects of a local directory are read where they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::avro_file;
use crate::config::{Config, S3Access};
use crate::error::Error;
use crate::layout::{self, FileName, Format, ObjectName};
use crate::report::Skipped;
use crate::wide_decimals;

/// Downloads at a time: enough to hide latency, few enough for a small link.
const DOWNLOADS_MAX: usize = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of one request; a body cut off by it is resumed where it stopped.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(120);

/// A change file as listed.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// What the manifest knows it by.
    pub(crate) uri: String,
    pub(crate) name: FileName,
    pub(crate) size: u64,
    /// Microseconds since the epoch.
    pub(crate) last_modified_us: i64,
    /// What tells two contents under one name apart: the ETag, or if the store lists none, when the
    /// object was stored and its size.
    pub(crate) etag: String,
    has_etag: bool,
    location: object_store::path::Path,
}

/// A change file that DuckDB can open.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) object: Object,
    pub(crate) path: PathBuf,
}

/// Everything under the source's prefix.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<Object>,
    /// The keys' companions, of which one a topic can tell its key.
    pub(crate) keys: Vec<Object>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A place where change files are.
#[derive(Debug)]
pub(crate) struct Source {
    store: Arc<dyn ObjectStore>,
    /// Set if objects are files that need no download.
    local: Option<LocalFileSystem>,
    /// What precedes a location in a URI.
    base: String,
    prefix: object_store::path::Path,
    uri: String,
    delimiter: String,
    runtime: tokio::runtime::Runtime,
}

impl Source {
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        layout::check_delimiter(&config.file_delim)?;
        let uri = config.source.clone();
        let bad = |reason: String| Error::Source { uri: uri.clone(), reason };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Io { what: "cannot start a runtime".into(), source })?;
        let (store, local, base, prefix): (Arc<dyn ObjectStore>, _, _, _) = match Url::parse(&uri) {
            Ok(url) if url.scheme() == "s3" => {
                let bucket = url.host_str().ok_or_else(|| bad("it names no bucket".into()))?;
                let store = s3(bucket, &config.s3).map_err(|error| bad(error.to_string()))?;
                let prefix = object_store::path::Path::from_url_path(url.path())
                    .map_err(|error| bad(error.to_string()))?;
                (Arc::new(store), None, format!("s3://{bucket}/"), prefix)
            }
            Ok(url) if url.scheme() == "file" => {
                let directory =
                    url.to_file_path().map_err(|()| bad("it is no local path".into()))?;
                let store = directory_store(&directory).map_err(bad)?;
                (Arc::new(store.clone()), Some(store), directory_uri(&directory), "".into())
            }
            Ok(url) if 1 < url.scheme().len() => {
                return Err(bad(format!("scheme \"{}\" is not supported", url.scheme())));
            }
            _ => {
                let directory =
                    std::path::absolute(&uri).map_err(|error| bad(error.to_string()))?;
                let store = directory_store(&directory).map_err(bad)?;
                (Arc::new(store.clone()), Some(store), directory_uri(&directory), "".into())
            }
        };
        let delimiter = config.file_delim.clone();
        Ok(Source { store, local, base, prefix, uri, delimiter, runtime })
    }

    /// All change files, by topic, partition and offset.
    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let metas = self.runtime.block_on(self.store.list(prefix).try_collect::<Vec<_>>());
        let metas = metas.map_err(|source| Error::List { uri: self.uri.clone(), source })?;
        for meta in metas {
            let uri = format!("{}{}", self.base, meta.location);
            let name = match layout::parse(meta.location.as_ref(), &self.delimiter) {
                ObjectName::Companion => continue,
                ObjectName::Unreadable(reason) => {
                    listing.skipped.push(Skipped { uri, reason: reason.into() });
                    continue;
                }
                name => name,
            };
            let (ObjectName::Data(of) | ObjectName::Keys(of)) = &name else { continue };
            let object = Object {
                uri,
                name: of.clone(),
                size: meta.size,
                last_modified_us: meta.last_modified.timestamp_micros(),
                has_etag: meta.e_tag.is_some(),
                etag: meta.e_tag.unwrap_or_else(|| {
                    format!("{}/{}", meta.last_modified.timestamp_micros(), meta.size)
                }),
                location: meta.location,
            };
            match name {
                ObjectName::Keys(_) => listing.keys.push(object),
                _ => listing.objects.push(object),
            }
        }
        listing.objects.sort_by(|a, b| position(a).cmp(&position(b)));
        listing.skipped.sort_by(|a, b| a.uri.cmp(&b.uri));
        Ok(listing)
    }

    /// Brings `objects` to `directory`, in their order; `staged` is told of each.
    pub(crate) fn stage(
        &self,
        objects: &[Object],
        directory: &Path,
        mut staged: impl FnMut(&Object),
    ) -> Result<Vec<Staged>, Error> {
        let download = |(index, object): (usize, &Object)| {
            let object = object.clone();
            let file = directory.join(format!("{index:06}.{}", object.name.extension));
            let parquet = directory.join(format!("{index:06}.avro.parquet"));
            let text = directory.join(format!("{index:06}.text.parquet"));
            async move {
                let path = match &self.local {
                    Some(files) => files
                        .path_to_filesystem(&object.location)
                        .map_err(|source| Error::Fetch { uri: object.uri.clone(), source })?,
                    None => self.download(&object, file).await?,
                };
                let wrong = |reason| Error::Object { uri: object.uri.clone(), reason };
                let mut staged = path.clone();
                if object.name.format == Format::Avro {
                    avro_file::to_parquet(&staged, &parquet).map_err(wrong)?;
                    staged.clone_from(&parquet);
                }
                if object.name.format != Format::Json
                    && wide_decimals::to_text(&staged, &text).map_err(wrong)?
                {
                    staged.clone_from(&text);
                }
                if staged != path && self.local.is_none() {
                    let what = "cannot remove a staged file".to_owned();
                    let removed = tokio::fs::remove_file(&path).await;
                    removed.map_err(|source| Error::Io { what, source })?;
                }
                Ok::<_, Error>(Staged { object, path: staged })
            }
        };
        let downloads = futures::stream::iter(objects.iter().enumerate()).map(download);
        self.runtime.block_on(async {
            let mut done = Vec::with_capacity(objects.len());
            let mut downloads = downloads.buffered(DOWNLOADS_MAX);
            while let Some(one) = downloads.try_next().await? {
                staged(&one.object);
                done.push(one);
            }
            Ok(done)
        })
    }

    async fn download(&self, object: &Object, path: PathBuf) -> Result<PathBuf, Error> {
        let fetch = |source| Error::Fetch { uri: object.uri.clone(), source };
        let disk = |source| Error::Io { what: format!("cannot write {}", path.display()), source };
        let reply = self.store.get(&object.location).await.map_err(fetch)?;
        let replaced = match &reply.meta.e_tag {
            Some(etag) if object.has_etag => *etag != object.etag,
            _ => reply.meta.size != object.size,
        };
        if replaced {
            return Err(Error::ObjectChanged { uri: object.uri.clone() });
        }
        let mut body = reply.into_stream();
        let mut file = tokio::fs::File::create(&path).await.map_err(disk)?;
        while let Some(chunk) = body.try_next().await.map_err(fetch)? {
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        Ok(path)
    }
}

/// The order in which files are read: it makes ids, notices and new columns reproducible.
fn position(object: &Object) -> (&str, i32, u64, &str) {
    (&object.name.topic, object.name.partition, object.name.start_offset, &object.uri)
}

fn s3(bucket: &str, access: &S3Access) -> object_store::Result<impl ObjectStore> {
    let plain = access.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(access.region.as_deref().unwrap_or("us-east-1"))
        .with_virtual_hosted_style_request(access.virtual_hosted_style)
        .with_skip_signature(access.anonymous)
        .with_client_options(
            ClientOptions::new()
                .with_connect_timeout(CONNECT_TIMEOUT)
                .with_timeout(REQUEST_TIMEOUT)
                .with_allow_http(plain),
        )
        .with_retry(RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        });
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(id) = &access.access_key_id {
        builder = builder.with_access_key_id(id);
    }
    if let Some(secret) = &access.secret_access_key {
        builder = builder.with_secret_access_key(secret);
    }
    if let Some(token) = &access.session_token {
        builder = builder.with_token(token);
    }
    builder.build()
}

fn directory_store(directory: &Path) -> Result<LocalFileSystem, String> {
    if !directory.is_dir() {
        return Err("there is no such directory".into());
    }
    LocalFileSystem::new_with_prefix(directory).map_err(|error| error.to_string())
}

fn directory_uri(directory: &Path) -> String {
    format!("file://{}/", directory.display().to_string().trim_end_matches('/'))
}
