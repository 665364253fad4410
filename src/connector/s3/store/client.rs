//! The client of a bucket: endpoint, encryption, proxy, retries, and who signs.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpConnector as _, ReqwestConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use url::Url;

use super::credentials::{Signer, signer};
use super::endpoint::{MappedHost, Resolver, endpoint_text, is_address, mapped};
use super::extra::Extra;
use crate::config::{HostMap, SinkDefaults};
use crate::connector::s3::config::{Encryption, Place, StoreConfig};
use crate::error::ConnectError;
use crate::metrics::TaskMetrics;

/// One request. Below the default `max.poll.interval.ms` even with its repetitions.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After this no request is repeated; the task itself goes on trying.
const RETRY_TIMEOUT: Duration = Duration::from_secs(90);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// A client of one bucket.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) store: Arc<AmazonS3>,
    pub(super) extra: Arc<Extra>,
}

impl Client {
    pub(super) fn new(
        config: &StoreConfig,
        hosts: &HostMap,
        defaults: &SinkDefaults,
        metrics: &TaskMetrics,
    ) -> Result<Self, ConnectError> {
        let refused = |error: object_store::Error| {
            ConnectError::config(format!(
                "no S3 client can be made for bucket \"{}\"; check store.url, s3.region, \
                 s3.proxy.url and the credentials",
                config.bucket
            ))
            .because(error)
        };
        let mut options = ClientOptions::new()
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_allow_http(true);
        if let Some(proxy) = &config.proxy {
            options = options.with_proxy_url(proxy.expose());
        }
        let (base, mapped) = base(config, hosts);
        let resolver = Resolver { mapped, hosts: hosts.clone() };
        options = options.with_dns_resolver(Arc::new(resolver));
        let signer = signer(config, defaults)?;
        let http = ReqwestConnector::default().connect(&options).map_err(refused)?;
        let extra = Arc::new(Extra {
            http,
            base: format!("{}/", base.bucket_url),
            region: config.region.clone(),
            acl: config.acl.clone(),
            signer: signer.clone(),
            failed_requests: metrics.sink_failed_requests.clone(),
        });
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_virtual_hosted_style_request(base.is_virtual)
            .with_endpoint(base.endpoint)
            .with_retry(retries(config))
            .with_client_options(options)
            .with_http_connector(extra.connector());
        builder = match signer {
            Signer::Nobody => builder.with_skip_signature(true),
            Signer::Provider(provider) => builder.with_credentials(provider),
        };
        let store = encrypted(builder, &config.encryption).build().map_err(refused)?;
        Ok(Self { store: Arc::new(store), extra })
    }
}

/// Where requests go.
struct Base {
    /// As the client's builder wants it.
    endpoint: String,
    /// The URL that keys are appended to, without a slash at its end.
    bucket_url: String,
    is_virtual: bool,
}

fn base(config: &StoreConfig, hosts: &HostMap) -> (Base, Option<MappedHost>) {
    let bucket = config.bucket.as_str();
    let amazon = |host: String| {
        let endpoint = format!("https://{host}");
        match config.path_style {
            true => {
                Base { bucket_url: format!("{endpoint}/{bucket}"), endpoint, is_virtual: false }
            }
            false => {
                let url = format!("https://{bucket}.{host}");
                Base { endpoint: url.clone(), bucket_url: url, is_virtual: true }
            }
        }
    };
    match &config.place {
        Place::Endpoint(endpoint) => {
            let (url, resolver) = mapped(endpoint, hosts);
            (of_endpoint(url, bucket, config.path_style || is_address(endpoint)), resolver)
        }
        Place::Accelerated => (amazon("s3-accelerate.amazonaws.com".to_owned()), None),
        _ => {
            // The regions of China have a domain of their own.
            let domain = if config.region.starts_with("cn-") { ".cn" } else { "" };
            (amazon(format!("s3.{}.amazonaws.com{domain}", config.region)), None)
        }
    }
}

fn of_endpoint(url: Url, bucket: &str, is_path_style: bool) -> Base {
    let endpoint = endpoint_text(url, (!is_path_style).then_some(bucket));
    let bucket_url = match is_path_style {
        true => format!("{endpoint}/{bucket}"),
        false => endpoint.clone(),
    };
    Base { endpoint, bucket_url, is_virtual: !is_path_style }
}

fn retries(config: &StoreConfig) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(config.retry_backoff_ms.max(1)),
            max_backoff: BACKOFF_MAX,
            base: 2.0,
        },
        max_retries: config.retries,
        retry_timeout: RETRY_TIMEOUT,
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
