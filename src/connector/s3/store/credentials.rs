//! Who signs: keys, or what the surroundings of the worker give, as the AWS SDKs look for it.
//!
//! The environment is the one that the worker was started with; nothing here reads the process's.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ClientOptions;
use object_store::aws::{AwsCredential, AwsCredentialProvider};
use object_store::client::{
    CredentialProvider, HttpClient, HttpConnector as _, HttpRequestBody, ReqwestConnector,
    StaticCredentialProvider,
};
use reqsign_aws_v4::{
    AssumeRoleCredentialProvider, AssumeRoleWithWebIdentityCredentialProvider, Credential,
    ECSCredentialProvider, EnvCredentialProvider, IMDSv2CredentialProvider,
    ProcessCredentialProvider, ProfileCredentialProvider, RequestSigner, SSOCredentialProvider,
};
use reqsign_core::{
    CommandExecute, CommandOutput, Context, FileRead, HttpSend, ProvideCredential,
    ProvideCredentialChain, ProvideCredentialDyn, StaticEnv,
};
use tokio::sync::Mutex;
use url::Url;

use crate::config::{AwsEnvironment, SinkDefaults};
use crate::connector::s3::config::{Credentials, Role, Source, StoreConfig};
use crate::error::ConnectError;

/// Credentials are renewed so long before they expire.
const RENEWAL: Duration = Duration::from_secs(300);
/// Credentials that do not say when they expire are read again after this: somebody may have
/// replaced them in their file.
const READ_AGAIN: Duration = Duration::from_secs(60);
/// What answers to whom credentials are given stands on the same machine, or is Amazon's STS.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Who signs requests.
#[derive(Debug, Clone)]
pub(super) enum Signer {
    /// They are not signed.
    Nobody,
    Provider(AwsCredentialProvider),
}

/// Who signs for `config`.
///
/// # Errors
/// When no client can be made for those who give credentials.
pub(super) fn signer(
    config: &StoreConfig,
    defaults: &SinkDefaults,
) -> Result<Signer, ConnectError> {
    let context = || context(&defaults.aws);
    let source: Arc<dyn ProvideCredentialDyn<Credential = Credential>> = match &config.credentials {
        Credentials::Anonymous => return Ok(Signer::Nobody),
        Credentials::Static { access_key_id, secret_access_key, session_token } => {
            let credential = AwsCredential {
                key_id: access_key_id.clone(),
                secret_key: secret_access_key.expose().to_owned(),
                token: session_token.as_ref().map(|token| token.expose().to_owned()),
            };
            return Ok(Signer::Provider(Arc::new(StaticCredentialProvider::new(credential))));
        }
        Credentials::Source(source) => provider(*source, &config.region),
        Credentials::Role(role) => Arc::new(assumed(role, &config.region, &context()?)),
    };
    let provider = Renewed { source, context: context()?, held: Mutex::default() };
    Ok(Signer::Provider(Arc::new(provider)))
}

fn provider(
    source: Source,
    region: &str,
) -> Arc<dyn ProvideCredentialDyn<Credential = Credential>> {
    let web_identity = || {
        AssumeRoleWithWebIdentityCredentialProvider::new()
            .with_region(region.to_owned())
            .with_regional_sts_endpoint()
    };
    match source {
        Source::Environment => Arc::new(EnvCredentialProvider::new()),
        Source::Profile => Arc::new(profile()),
        Source::WebIdentity => Arc::new(web_identity()),
        Source::Container => Arc::new(ECSCredentialProvider::new()),
        Source::Instance => Arc::new(IMDSv2CredentialProvider::new()),
        // In the order of the SDK for Java.
        Source::Anywhere => Arc::new(
            ProvideCredentialChain::new()
                .push(EnvCredentialProvider::new())
                .push(web_identity())
                .push(profile())
                .push(ECSCredentialProvider::new())
                .push(IMDSv2CredentialProvider::new()),
        ),
    }
}

/// A profile's keys, its single sign-on, or its process.
fn profile() -> ProvideCredentialChain<Credential> {
    ProvideCredentialChain::new()
        .push(ProfileCredentialProvider::new())
        .push(SSOCredentialProvider::new())
        .push(ProcessCredentialProvider::new())
}

fn assumed(role: &Role, region: &str, context: &Context) -> AssumeRoleCredentialProvider {
    let source: Arc<dyn ProvideCredentialDyn<Credential = Credential>> = match &role.keys {
        Some((id, secret)) => {
            Arc::new(reqsign_aws_v4::StaticCredentialProvider::new(id, secret.expose()))
        }
        None => provider(Source::Anywhere, region),
    };
    let region = role.region.as_deref().unwrap_or(region);
    let signer =
        reqsign_core::Signer::new(context.clone(), source, RequestSigner::new("sts", region));
    AssumeRoleCredentialProvider::new(role.arn.clone(), signer)
        .with_role_session_name(role.session_name.clone())
        .with_external_id(role.external_id.clone())
        .with_region(region.to_owned())
        .with_regional_sts_endpoint()
}

/// Credentials that are renewed before they expire.
struct Renewed {
    source: Arc<dyn ProvideCredentialDyn<Credential = Credential>>,
    context: Context,
    held: Mutex<Option<Held>>,
}

struct Held {
    credential: Arc<AwsCredential>,
    renew_at: SystemTime,
    /// `None`: it does not say.
    expires_at: Option<SystemTime>,
}

impl fmt::Debug for Renewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").field("source", &self.source).finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for Renewed {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // One asks, the others wait for what it gets.
        let mut held = self.held.lock().await;
        let now = SystemTime::now();
        if let Some(held) = held.as_ref().filter(|held| now < held.renew_at) {
            return Ok(held.credential.clone());
        }
        let renewed = match self.source.provide_credential(&self.context).await {
            Ok(Some(credential)) => Held::new(credential, now),
            // What is there still holds for some minutes.
            nothing => {
                match held.as_ref().filter(|held| held.expires_at.is_some_and(|at| now < at)) {
                    Some(held) => return Ok(held.credential.clone()),
                    None => return Err(nothing_found(nothing.err())),
                }
            }
        };
        Ok(held.insert(renewed).credential.clone())
    }
}

impl Held {
    fn new(credential: Credential, now: SystemTime) -> Self {
        let expires_at = credential.expires_in.map(|at| at.as_system_time());
        let renew_at = match expires_at {
            Some(at) => at.checked_sub(RENEWAL).unwrap_or(now),
            None => now + READ_AGAIN,
        };
        let credential = Arc::new(AwsCredential {
            key_id: credential.access_key_id,
            secret_key: credential.secret_access_key,
            token: credential.session_token,
        });
        Self { credential, renew_at, expires_at }
    }
}

/// What [`super::cause`] knows by its words.
pub(super) const NOTHING_FOUND: &str = "no AWS credentials were found";

fn nothing_found(error: Option<reqsign_core::Error>) -> object_store::Error {
    let reason = error.map(|error| format!(": {error}")).unwrap_or_default();
    object_store::Error::Generic { store: "S3", source: format!("{NOTHING_FOUND}{reason}").into() }
}

fn context(environment: &AwsEnvironment) -> Result<Context, ConnectError> {
    let options = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(true);
    let http = ReqwestConnector::default().connect(&options).map_err(|error| {
        ConnectError::config("no client can be made to ask for AWS credentials").because(error)
    })?;
    let sts = environment.variables.get("AWS_ENDPOINT_URL_STS");
    let sts = sts.and_then(|url| Url::parse(url).ok());
    let envs: HashMap<String, String> =
        environment.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(Context::new()
        .with_env(StaticEnv { home_dir: environment.home.clone().map(Into::into), envs })
        .with_file_read(Files)
        .with_command_execute(Commands)
        .with_http_send(Requests { http, sts }))
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        tokio::fs::read(path).await.map_err(|error| {
            reqsign_core::Error::config_invalid(format!("{path} cannot be read")).with_source(error)
        })
    }
}

/// Runs the `credential_process` of a profile.
#[derive(Debug)]
struct Commands;

impl CommandExecute for Commands {
    async fn command_execute<'a>(
        &'a self,
        program: &'a str,
        args: &'a [&'a str],
    ) -> reqsign_core::Result<CommandOutput> {
        let output = tokio::process::Command::new(program).args(args).kill_on_drop(true).output();
        let failed = |error: String| {
            reqsign_core::Error::config_invalid(format!("credential_process {program}: {error}"))
        };
        let output = tokio::time::timeout(REQUEST_TIMEOUT, output).await;
        let output = output.map_err(|_| failed("no answer in time".to_owned()))?;
        let output = output.map_err(|error| failed(error.to_string()))?;
        Ok(CommandOutput {
            status: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

/// Asks over the S3 client's kind of connection.
#[derive(Debug)]
struct Requests {
    http: HttpClient,
    /// `AWS_ENDPOINT_URL_STS`
    sts: Option<Url>,
}

impl HttpSend for Requests {
    async fn http_send(
        &self,
        mut request: http::Request<Bytes>,
    ) -> reqsign_core::Result<http::Response<Bytes>> {
        let failed = |error: &dyn fmt::Display| {
            reqsign_core::Error::unexpected(format!("the request for credentials failed: {error}"))
        };
        if let Some(sts) = self.sts.as_ref().filter(|_| is_sts(&request)) {
            let query = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let base = sts.as_str().trim_end_matches('/');
            let uri = format!("{base}{query}").parse();
            *request.uri_mut() = uri.map_err(|error| failed(&error))?;
        }
        let request = request.map(HttpRequestBody::from);
        let reply = self.http.execute(request).await.map_err(|error| failed(&error))?;
        let (parts, body) = reply.into_parts();
        let body = body.bytes().await.map_err(|error| failed(&error))?;
        Ok(http::Response::from_parts(parts, body))
    }
}

fn is_sts(request: &http::Request<Bytes>) -> bool {
    request.uri().host().is_some_and(|host| host.starts_with("sts."))
}
