//! Where the bucket is, who asks, and what requests carry.

use std::path::PathBuf;

use http::HeaderValue;
use url::Url;

use super::Reader;
use crate::config::{Parsed, Props, Secret, SinkDefaults, with_prefix};
use crate::connector::s3::config_def as def;

const REGION_DEFAULT: &str = "us-west-2";

/// Where the bucket is and how it is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoreConfig {
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) place: Place,
    pub(crate) path_style: bool,
    pub(crate) credentials: Credentials,
    pub(crate) encryption: Encryption,
    /// `s3.acl.canned`
    pub(crate) acl: Option<HeaderValue>,
    pub(crate) retries: usize,
    pub(crate) retry_backoff_ms: u64,
    /// With user and password, where there are.
    pub(crate) proxy: Option<Secret>,
}

/// Whose bucket it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Amazon's, in the region.
    Amazon,
    /// Amazon's, through the accelerated endpoint.
    Accelerated,
    Endpoint(Url),
    /// Not one at all: `file:///`.
    Folder(PathBuf),
}

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Credentials {
    Static { access_key_id: String, secret_access_key: Secret, session_token: Option<Secret> },
    Source(Source),
    Role(Role),
    Anonymous,
}

/// What gives credentials, apart from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// All of these, in the order of the AWS SDK.
    Anywhere,
    Environment,
    Profile,
    WebIdentity,
    Container,
    Instance,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) session_name: String,
    pub(crate) external_id: String,
    /// `sts.region`; `None` is the bucket's.
    pub(crate) region: Option<String>,
    /// Who assumes it; `None`: whoever is found.
    pub(crate) keys: Option<(String, Secret)>,
}

/// Server-side encryption.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Encryption {
    Bucket,
    S3,
    Kms(String),
    Customer(Secret),
}

/// `s3.object.tagging`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tagging {
    /// `s3.object.tagging.key.value.pairs`
    pub(crate) extra: Vec<(String, String)>,
    /// `s3.object.behavior.on.tagging.error=fail`
    pub(crate) must_succeed: bool,
    /// At least one.
    pub(crate) attempts: usize,
    pub(crate) backoff_ms: u64,
}

impl Reader {
    pub(super) fn store(
        &mut self,
        parsed: &Parsed,
        props: &Props,
        defaults: &SinkDefaults,
    ) -> StoreConfig {
        let bucket = parsed.string(def::BUCKET);
        if bucket.is_empty() {
            self.error(def::BUCKET, "s3.bucket.name is blank; name a bucket");
        }
        let region = match props.get(def::REGION) {
            Some(region) => region.trim().to_owned(),
            None => defaults.region.clone().unwrap_or_else(|| REGION_DEFAULT.to_owned()),
        };
        let store = StoreConfig {
            bucket,
            region,
            place: self.place(parsed, defaults),
            path_style: parsed.boolean(def::PATH_STYLE),
            credentials: self.credentials(parsed, props, defaults),
            encryption: self.encryption(parsed),
            acl: parsed
                .optional_string(def::ACL_CANNED)
                .and_then(|acl| HeaderValue::from_str(&acl).ok()),
            retries: usize::try_from(parsed.integer(def::PART_RETRIES)).unwrap_or_default(),
            retry_backoff_ms: u64::try_from(parsed.integer(def::RETRY_BACKOFF_MS))
                .unwrap_or_default(),
            proxy: self.proxy(parsed),
        };
        let wants_s3 = store.acl.is_some() || parsed.boolean(def::OBJECT_TAGGING);
        if matches!(store.place, Place::Folder(_)) && wants_s3 {
            self.warnings
                .push("a folder (store.url=file:///…) has neither tags nor ACLs".to_owned());
        }
        store
    }

    fn place(&mut self, parsed: &Parsed, defaults: &SinkDefaults) -> Place {
        let own = parsed.optional_string(def::STORE_URL);
        if parsed.boolean(def::WAN_MODE) {
            if parsed.boolean(def::PATH_STYLE) {
                for key in [def::WAN_MODE, def::PATH_STYLE] {
                    self.error(
                        key,
                        "accelerated mode and path-style access exclude each other: disable one",
                    );
                }
            }
            if own.is_some() {
                self.warnings.push("s3.wan.mode has no effect beside store.url".to_owned());
            } else {
                return Place::Accelerated;
            }
        }
        let Some(text) = own.or_else(|| defaults.endpoint_url.clone()) else {
            return Place::Amazon;
        };
        let full = if text.contains("://") { text.clone() } else { format!("https://{text}") };
        let url = Url::parse(&full).ok();
        if let Some(folder) = url.as_ref().filter(|url| url.scheme() == "file")
            && let Ok(path) = folder.to_file_path()
        {
            return Place::Folder(path);
        }
        match url {
            Some(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => {
                Place::Endpoint(url)
            }
            _ => {
                let message = format!(
                    "store.url \"{text}\" is no address of an S3 store; write http://host:port, \
                     https://host, or file:///folder"
                );
                self.start_error(def::STORE_URL, message);
                Place::Amazon
            }
        }
    }

    fn credentials(
        &mut self,
        parsed: &Parsed,
        props: &Props,
        defaults: &SinkDefaults,
    ) -> Credentials {
        let keys = self.keys(parsed);
        let class = parsed.string(def::CREDENTIALS_PROVIDER);
        let simple = class.rsplit('.').next().unwrap_or_default();
        if simple == "AwsAssumeRoleCredentialsProvider" {
            return Credentials::Role(self.role(props, keys));
        }
        if let Some((access_key_id, secret_access_key)) = keys {
            return Credentials::Static { access_key_id, secret_access_key, session_token: None };
        }
        let source = match simple {
            "AnonymousCredentialsProvider" => return Credentials::Anonymous,
            "SystemPropertyCredentialsProvider" | "SystemPropertiesCredentialsProvider" => {
                self.warnings.push(format!(
                    "{class} reads system properties of a JVM, of which there is none here; the \
                     worker's AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are used"
                ));
                Source::Environment
            }
            "EnvironmentVariableCredentialsProvider" => Source::Environment,
            "ProfileCredentialsProvider" => Source::Profile,
            "WebIdentityTokenFileCredentialsProvider" | "WebIdentityTokenCredentialsProvider" => {
                Source::WebIdentity
            }
            "ContainerCredentialsProvider" => Source::Container,
            "InstanceProfileCredentialsProvider" => Source::Instance,
            // The wrapper looks into the container, then at the instance: so does the chain.
            _ => Source::Anywhere,
        };
        let is_environment = matches!(source, Source::Anywhere | Source::Environment);
        match (&defaults.access_key_id, &defaults.secret_access_key) {
            (Some(id), Some(secret)) if is_environment => Credentials::Static {
                access_key_id: id.clone(),
                secret_access_key: secret.clone(),
                session_token: defaults.session_token.clone(),
            },
            _ => Credentials::Source(source),
        }
    }

    /// The file's keys, when there are both.
    fn keys(&mut self, parsed: &Parsed) -> Option<(String, Secret)> {
        let id = parsed.optional_string(def::ACCESS_KEY_ID);
        match (id, secret(parsed, def::SECRET_ACCESS_KEY)) {
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, None) => None,
            (id, _) => {
                let (given, missing) = match id {
                    Some(_) => (def::ACCESS_KEY_ID, def::SECRET_ACCESS_KEY),
                    None => (def::SECRET_ACCESS_KEY, def::ACCESS_KEY_ID),
                };
                self.warnings.push(format!("{given} is ignored because {missing} is not set"));
                None
            }
        }
    }

    /// The keys of the assuming provider stand behind its prefix.
    fn role(&mut self, props: &Props, keys: Option<(String, Secret)>) -> Role {
        let own = with_prefix(props, "s3.credentials.provider.");
        let mut required = |name: &str| {
            let value = own.get(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty()).unwrap_or_else(|| {
                let message = format!(
                    "Missing required configuration \"{name}\" which has no default value."
                );
                self.start_error(&format!("s3.credentials.provider.{name}"), message);
                String::new()
            })
        };
        Role {
            arn: required("sts.role.arn"),
            session_name: required("sts.role.session.name"),
            external_id: required("sts.role.external.id"),
            region: own.get("sts.region").filter(|region| !region.trim().is_empty()).cloned(),
            keys,
        }
    }

    fn encryption(&mut self, parsed: &Parsed) -> Encryption {
        let customer_key = secret(parsed, def::SSE_CUSTOMER_KEY);
        let kms_key = parsed.optional_string(def::SSE_KMS_KEY_ID);
        match (parsed.string(def::SSEA_NAME).as_str(), customer_key, kms_key) {
            ("AES256", None, _) => Encryption::S3,
            ("AES256", Some(key), _) => {
                if !is_sse_key(&key) {
                    self.start_error(def::SSE_CUSTOMER_KEY, "the key is not 32 bytes in base64");
                }
                Encryption::Customer(key)
            }
            ("aws:kms", _, Some(key)) => Encryption::Kms(key),
            (name, _, _) => {
                if name.starts_with("aws:kms") {
                    self.warnings.push(format!(
                        "s3.ssea.name={name} without a key of its own leaves the encryption to the \
                         bucket, as in the original"
                    ));
                }
                Encryption::Bucket
            }
        }
    }

    fn proxy(&mut self, parsed: &Parsed) -> Option<Secret> {
        let text = parsed.optional_string(def::PROXY_URL)?;
        let Ok(mut url) = Url::parse(&text) else {
            self.start_error(def::PROXY_URL, "s3.proxy.url is no URL; write http://host:port");
            return None;
        };
        if let Some(user) = parsed.optional_string(def::PROXY_USER) {
            let password = secret(parsed, def::PROXY_PASSWORD);
            let password = password.as_ref().map(Secret::expose);
            if url.set_username(&user).and_then(|()| url.set_password(password)).is_err() {
                self.start_error(def::PROXY_URL, "s3.proxy.url cannot carry a user");
            }
        }
        Some(Secret::new(String::from(url)))
    }

    pub(super) fn tagging(&mut self, parsed: &Parsed) -> Option<Tagging> {
        let mut extra = Vec::new();
        for pair in parsed.list(def::TAGGING_PAIRS) {
            let mut parts = pair.split(':');
            match (parts.next(), parts.next()) {
                (Some(key), Some(value)) if !key.is_empty() => {
                    extra.push((key.to_owned(), value.to_owned()));
                }
                // The original's task crashes on it.
                _ => self.start_error(
                    def::TAGGING_PAIRS,
                    format!("\"{pair}\" is no tag; write key:value"),
                ),
            }
        }
        parsed.boolean(def::OBJECT_TAGGING).then(|| Tagging {
            extra,
            must_succeed: parsed.string(def::TAGGING_ERRORS).eq_ignore_ascii_case("fail"),
            attempts: usize::try_from(parsed.integer(def::PART_RETRIES)).unwrap_or_default().max(1),
            backoff_ms: u64::try_from(parsed.integer(def::RETRY_BACKOFF_MS)).unwrap_or_default(),
        })
    }
}

fn secret(parsed: &Parsed, key: &str) -> Option<Secret> {
    parsed.optional_secret(key).filter(|secret| !secret.expose().is_empty())
}

fn is_sse_key(key: &Secret) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(key.expose())
        .is_ok_and(|bytes| bytes.len() == 32)
}
