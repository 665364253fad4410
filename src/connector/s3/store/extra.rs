//! What the client cannot say by itself, over the client's own connections and with its own signer:
//! the canned ACL of an upload, and an object's tags. Counts the requests that fail.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use md5::{Digest as _, Md5};
use object_store::aws::AwsAuthorizer;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpRequestBody, HttpResponse, HttpService,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::credentials::Signer;
use crate::metrics::TaskCounter;

const ACL: HeaderName = HeaderName::from_static("x-amz-acl");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// What stays as it is in the path of a signed request.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The connections of a client, and what is done besides.
#[derive(Debug)]
pub(super) struct Extra {
    pub(super) http: HttpClient,
    /// The bucket's URL, with a slash at its end.
    pub(super) base: String,
    pub(super) region: String,
    /// `s3.acl.canned`
    pub(super) acl: Option<HeaderValue>,
    pub(super) signer: Signer,
    pub(super) failed_requests: TaskCounter,
}

impl Extra {
    /// What the client connects with.
    pub(super) fn connector(self: &Arc<Self>) -> impl HttpConnector {
        Connections(self.clone())
    }

    /// Replaces the tags of the object `key`.
    ///
    /// # Errors
    /// What the store or the network said.
    pub(super) async fn put_tags(
        &self,
        key: &str,
        tags: &[(String, String)],
    ) -> Result<(), String> {
        let body = tagging(tags);
        let digest = base64::engine::general_purpose::STANDARD.encode(Md5::digest(&body));
        let uri = format!("{}{}?tagging", self.base, utf8_percent_encode(key, PATH));
        let mut request = http::Request::builder()
            .method(Method::PUT)
            .uri(uri)
            .header(CONTENT_MD5, digest)
            .header(CONTENT_TYPE, "application/xml")
            .body(HttpRequestBody::from(body))
            .map_err(|error| error.to_string())?;
        self.sign(&mut request).await.map_err(|error| error.to_string())?;
        let reply = self.http.execute(request).await;
        let reply = reply.inspect_err(|_| self.failed()).map_err(|error| full(&error))?;
        if reply.status().is_success() {
            return Ok(());
        }
        self.failed();
        let status = reply.status();
        let text = reply.into_body().bytes().await.unwrap_or_default();
        Err(format!("{status}: {}", String::from_utf8_lossy(&text)))
    }

    async fn sign(&self, request: &mut HttpRequest) -> object_store::Result<()> {
        let Signer::Provider(provider) = &self.signer else { return Ok(()) };
        let credential = provider.get_credential().await?;
        request.headers_mut().remove(AUTHORIZATION);
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(request, None)
    }

    fn failed(&self) {
        self.failed_requests.inc();
    }
}

#[derive(Debug)]
struct Connections(Arc<Extra>);

impl HttpConnector for Connections {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Decorated(self.0.clone())))
    }
}

/// Every request of the client passes here on its way.
#[derive(Debug)]
struct Decorated(Arc<Extra>);

#[async_trait]
impl HttpService for Decorated {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let extra = &self.0;
        if let Some(acl) = extra.acl.as_ref().filter(|_| starts_an_upload(&request)) {
            request.headers_mut().insert(ACL, acl.clone());
            // The signature is over every header of this kind.
            let signed = extra.sign(&mut request).await;
            signed.map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        }
        let reply = extra.http.execute(request).await;
        let is_failed = reply.as_ref().map_or(true, |reply| {
            reply.status().is_server_error() || reply.status().as_u16() == 429
        });
        if is_failed {
            extra.failed();
        }
        reply
    }
}

fn starts_an_upload(request: &HttpRequest) -> bool {
    let starts =
        |query: &str| query.split('&').any(|pair| pair.split('=').next() == Some("uploads"));
    request.method() == Method::POST && request.uri().query().is_some_and(starts)
}

/// The document of PutObjectTagging.
fn tagging(tags: &[(String, String)]) -> String {
    let set: String = tags
        .iter()
        .map(|(key, value)| {
            format!("<Tag><Key>{}</Key><Value>{}</Value></Tag>", escaped(key), escaped(value))
        })
        .collect();
    format!("<Tagging><TagSet>{set}</TagSet></Tagging>")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
