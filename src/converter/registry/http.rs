//! Requests to the registry: several instances, repetitions, credentials.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use url::Url;

use super::config::{Credentials, RegistryConfig, URL};
use crate::config::{HostMap, Secret};
use crate::error::ConnectError;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
const ACCEPTED: &str = "application/vnd.schemaregistry.v1+json, application/json; q=0.5";
/// No schema is larger; a reply that is comes from something else.
const REPLY_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why a request had no result.
#[derive(Debug)]
pub(super) enum RegistryError {
    /// Nobody answered as a registry should; it may later.
    Unavailable(ConnectError),
    /// The registry does not let us in; somebody has to change something.
    Denied(ConnectError),
    /// The registry says no.
    Refused(Refused),
}

/// The registry's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) code: i64,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; error code: {}", self.message, self.code)
    }
}

/// One instance of the registry.
#[derive(Debug)]
struct Instance {
    url: Url,
    /// As the connector's file has it, without credentials: for texts.
    shown: String,
    credentials: Option<(String, Secret)>,
}

/// The instances and how to speak to them.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    instances: Vec<Instance>,
    /// The instance that answered last is asked first.
    first: AtomicUsize,
    credentials: Credentials,
    retries_max: u32,
    retry_wait: Duration,
    retry_wait_max: Duration,
}

/// What came of asking one instance.
enum Answer<T> {
    Is(T),
    Refused(Refused),
    Denied(ConnectError),
    /// Why this one could not be asked.
    None(String),
}

impl Http {
    pub(super) fn new(config: &RegistryConfig, hosts: &HostMap) -> Result<Self, ConnectError> {
        let mut mapped = Vec::new();
        let instances = config
            .urls
            .iter()
            .map(|url| Instance::new(url, hosts, &mut mapped))
            .collect::<Result<Vec<_>, _>>()?;
        let first = if config.randomize { chance(instances.len()) } else { 0 };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config.tls.client()?)
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.read_timeout)
            // A redirection would take the credentials elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers(config)?)
            .user_agent(concat!("ferroconnect/", env!("CARGO_PKG_VERSION")));
        builder = builder.dns_resolver(Arc::new(Resolver { mapped, hosts: hosts.clone() }));
        builder = match &config.proxy {
            None => builder.no_proxy(),
            Some((host, port)) => {
                let proxy = reqwest::Proxy::all(format!("http://{host}:{port}"));
                builder.proxy(proxy.map_err(|error| {
                    ConnectError::config("proxy.host is no host").because(error)
                })?)
            }
        };
        let client = builder.build().map_err(|error| {
            ConnectError::config("the client of the schema registry cannot be set up")
                .because(error)
        })?;
        Ok(Self {
            client,
            instances,
            first: AtomicUsize::new(first),
            credentials: config.credentials.clone(),
            retries_max: config.retries_max,
            retry_wait: config.retry_wait,
            retry_wait_max: config.retry_wait_max,
        })
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(String, String)],
    ) -> Result<T, RegistryError> {
        self.call(&Method::GET, path, query, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(String, String)],
        body: &Json,
    ) -> Result<T, RegistryError> {
        self.call(&Method::POST, path, query, Some(body.to_string())).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &[&str],
        query: &[(String, String)],
        body: Option<String>,
    ) -> Result<T, RegistryError> {
        let mut attempt = 0;
        loop {
            let mut causes = Vec::new();
            for step in 0..self.instances.len() {
                let at = (self.first.load(Ordering::Relaxed) + step) % self.instances.len();
                let Some(instance) = self.instances.get(at) else { continue };
                let request = self.request(instance, method, path, query, body.clone());
                match ask(instance, request).await {
                    Answer::Is(reply) => {
                        self.first.store(at, Ordering::Relaxed);
                        return Ok(reply);
                    }
                    Answer::Refused(refused) => return Err(RegistryError::Refused(refused)),
                    Answer::Denied(error) => return Err(RegistryError::Denied(error)),
                    Answer::None(cause) => causes.push(cause),
                }
            }
            if attempt >= self.retries_max {
                let error = ConnectError::retriable(format!(
                    "the schema registry does not answer: {}",
                    causes.join("; ")
                ));
                return Err(RegistryError::Unavailable(error));
            }
            tokio::time::sleep(self.wait_before(attempt)).await;
            attempt += 1;
        }
    }

    fn request(
        &self,
        instance: &Instance,
        method: &Method,
        path: &[&str],
        query: &[(String, String)],
        body: Option<String>,
    ) -> RequestBuilder {
        let mut url = instance.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method.clone(), url).header(ACCEPT, ACCEPTED);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, MEDIA_TYPE).body(body);
        }
        match &self.credentials {
            Credentials::Bearer(token) => request.bearer_auth(token.expose()),
            Credentials::Basic { user, password } => {
                request.basic_auth(user, Some(password.expose()))
            }
            Credentials::Url => match &instance.credentials {
                Some((user, password)) => request.basic_auth(user, Some(password.expose())),
                None => request,
            },
        }
    }

    /// Doubles, up to the maximum, and is shorter by chance.
    fn wait_before(&self, attempt: u32) -> Duration {
        let doubled = self.retry_wait.saturating_mul(1 << attempt.min(16));
        let longest = doubled.min(self.retry_wait_max);
        let percent = u32::try_from(50 + chance(51)).unwrap_or(100);
        longest * percent / 100
    }
}

/// A number below `count`, by chance.
fn chance(count: usize) -> usize {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    let number = bytes.iter().take(4).fold(0usize, |number, byte| number << 8 | usize::from(*byte));
    number % count.max(1)
}

fn headers(config: &RegistryConfig) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let refused =
            || ConnectError::config(format!("request.header.{name} is no header of HTTP"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| refused())?;
        value.set_sensitive(key == AUTHORIZATION);
        headers.insert(key, value);
    }
    Ok(headers)
}

async fn ask<T: DeserializeOwned>(instance: &Instance, request: RequestBuilder) -> Answer<T> {
    let shown = &instance.shown;
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Answer::None(format!("{shown}: {}", cause_of(&error))),
    };
    let status = response.status();
    let body = match content(response).await {
        Ok(body) => body,
        Err(cause) => return Answer::None(format!("{shown}: {cause}")),
    };
    match status.as_u16() {
        200..300 => match serde_json::from_slice(&body) {
            Ok(reply) => Answer::Is(reply),
            Err(error) => Answer::None(format!("{shown}: the reply cannot be read: {error}")),
        },
        401 | 403 => Answer::Denied(ConnectError::config(format!(
            "the schema registry at {shown} refuses access ({status}); check the credentials of \
             the converter (basic.auth.credentials.source, bearer.auth.token) and what they may do"
        ))),
        300..=399 | 408 | 429 | 500.. => Answer::None(format!("{shown}: {status}")),
        code => {
            let reply: Option<Json> = serde_json::from_slice(&body).ok();
            let text = reply.as_ref().and_then(|reply| reply.get("message")?.as_str());
            let number = reply.as_ref().and_then(|reply| reply.get("error_code")?.as_i64());
            if code == 404 && number.is_none() {
                // Whoever answers here is no registry, or not at this path.
                return Answer::None(format!("{shown}: {status}, and not in a registry's words"));
            }
            Answer::Refused(Refused {
                status: code,
                message: text.map_or_else(|| status.to_string(), str::to_owned),
                code: number.unwrap_or_else(|| i64::from(code)),
            })
        }
    }
}

async fn content(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause_of(&error))? {
        if REPLY_MAX_BYTES - body.len() < chunk.len() {
            return Err("the reply is too large".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The innermost cause: the outer ones only say that there was a request, and where to.
fn cause_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Instance {
    fn new(
        text: &str,
        hosts: &HostMap,
        mapped: &mut Vec<(String, String)>,
    ) -> Result<Self, ConnectError> {
        let refused = |why: &str| {
            // The text may have a password in it.
            let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
            ConnectError::config(format!("{URL} \"{shown}\" {why}"))
        };
        let mut url =
            Url::parse(text.trim()).map_err(|error| refused("is no URL").because(error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("is neither http nor https"));
        }
        let user = percent_decoded(url.username());
        let password = percent_decoded(url.password().unwrap_or_default());
        let credentials = (!user.is_empty()).then(|| (user, Secret::new(password)));
        // Both fail only for URLs without host, which http does not have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let shown = url.as_str().trim_end_matches('/').to_owned();
        if is_link_local(&url) {
            return Err(refused(
                "is a link-local address, which may show a machine's credentials; name the \
                 registry's own address",
            ));
        }
        map(&mut url, hosts, mapped);
        Ok(Self { url, shown, credentials })
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_link_local(),
        Some(url::Host::Ipv6(address)) => address.is_unicast_link_local(),
        Some(url::Host::Domain(name)) => name == "metadata.google.internal",
        None => false,
    }
}

/// `network.resolve`: plain HTTP goes to the other address outright; with TLS the name stays, because
/// the certificate is made for it.
fn map(url: &mut Url, hosts: &HostMap, mapped: &mut Vec<(String, String)>) {
    let (Some(host), Some(port)) = (url.host_str().map(str::to_owned), url.port_or_known_default())
    else {
        return;
    };
    let (address, to_port) = hosts.resolve(&host, port);
    let _ = url.set_port(Some(to_port));
    if address == host {
        return;
    }
    if url.scheme() == "https" {
        mapped.push((host, address));
    } else {
        let _ = url.set_host(Some(&address));
    }
}

/// Resolves names, some of them to other names' addresses, and judges what they resolve to.
#[derive(Debug)]
struct Resolver {
    mapped: Vec<(String, String)>,
    hosts: HostMap,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let other = self.mapped.iter().find(|(mapped, _)| *mapped == host);
        let name = other.map_or_else(|| host.clone(), |(_, address)| address.clone());
        let hosts = self.hosts.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            if let Some(why) = addresses.iter().find_map(|address| hosts.refuses(&host, *address)) {
                return Err(std::io::Error::other(why).into());
            }
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_have_their_own_credentials_and_are_mapped() {
        let hosts = HostMap::parse("schema-registry:8081=127.0.0.1:9,sr.test=10.0.0.1").unwrap();
        let mut mapped = Vec::new();
        let plain = Instance::new("http://u%40x:p%3A@schema-registry:8081/", &hosts, &mut mapped);
        let plain = plain.unwrap();
        assert_eq!(plain.url.as_str(), "http://127.0.0.1:9/");
        assert_eq!(plain.shown, "http://schema-registry:8081");
        let (user, password) = plain.credentials.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("u@x", "p:"));
        let tls = Instance::new("https://sr.test/prefix/", &hosts, &mut mapped).unwrap();
        assert_eq!(tls.url.as_str(), "https://sr.test/prefix/");
        assert_eq!(mapped, [("sr.test".to_owned(), "10.0.0.1".to_owned())]);
        for (url, text) in [
            ("http://169.254.169.254/", "link-local"),
            ("mock://scope", "neither http nor https"),
            ("no url", "is no URL"),
        ] {
            let error = Instance::new(url, &hosts, &mut mapped).unwrap_err().trace();
            assert!(error.contains(text), "{error}");
        }
        let error = Instance::new("mock://u:secret@x", &hosts, &mut mapped).unwrap_err();
        assert!(!error.trace().contains("secret"));
    }
}
