//! Where credentials come from, each source as the AWS SDKs have it: the server behind checks that
//! they sign right.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ferroconnect::error::ErrorKind;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::support::{Sink, partition, rows};
use super::until_committed;
use crate::support::fault_proxy::{FaultProxy, Operation};
use crate::support::{services, unique};

const V2: &str = "software.amazon.awssdk.auth.credentials";

/// A sink whose worker has no keys in its environment, but these variables.
fn sink(class: &str, variables: &[(&str, &str)]) -> Sink {
    let mut sink = Sink::new(&[("flush.size", "3"), ("s3.credentials.provider.class", class)]);
    sink.defaults.access_key_id = None;
    sink.defaults.secret_access_key = None;
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    sink.defaults.aws.variables = variables.iter().map(pair).collect();
    sink
}

async fn writes(sink: &Sink) {
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows(0..3)).await.unwrap();
    until_committed(task.as_mut(), 3).await;
    assert_eq!(sink.ids(), [0, 1, 2]);
    task.stop().await.unwrap();
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(unique("aws"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The server's keys, as a section of the files below `~/.aws`.
fn section(name: &str) -> String {
    let (id, secret) = (&services().s3_access_key, &services().s3_secret_key);
    format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

#[tokio::test]
async fn a_profile_is_read_from_either_file() {
    let folder = folder();
    let (credentials, config) = (folder.join("credentials"), folder.join("config"));
    std::fs::write(&credentials, format!("[default]\n{}", section("team"))).unwrap();
    let file = credentials.display().to_string();
    let variables = [("AWS_PROFILE", "team"), ("AWS_SHARED_CREDENTIALS_FILE", &*file)];
    for class in
        ["com.amazonaws.auth.profile.ProfileCredentialsProvider", "DefaultCredentialsProvider"]
    {
        writes(&sink(class, &variables)).await;
    }
    std::fs::write(&config, section("profile team")).unwrap();
    let file = config.display().to_string();
    let variables = [
        ("AWS_PROFILE", "team"),
        ("AWS_CONFIG_FILE", &*file),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
    ];
    writes(&sink(&format!("{V2}.ProfileCredentialsProvider"), &variables)).await;

    // Without variables: below the home folder.
    let home = folder.join("home");
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    std::fs::write(home.join(".aws/credentials"), section("default")).unwrap();
    let mut at_home = sink("DefaultCredentialsProvider", &[]);
    at_home.defaults.aws.home = Some(home.display().to_string());
    writes(&at_home).await;
    std::fs::remove_dir_all(folder).unwrap();
}

/// A server that gives credentials, and remembers who asked how.
struct Giver {
    url: String,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Giver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let remember = asked.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let remember = remember.clone();
                let service = service_fn(move |request| answer(request, remember.clone()));
                tokio::spawn(async move {
                    let io = TokioIo::new(socket);
                    let _ = http1::Builder::new().serve_connection(io, service).await;
                });
            }
        });
        Self { url, asked }
    }

    /// What the requests to STS said, and who signed them.
    fn sts(&self) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(text, _)| text.contains("Action=")).cloned().collect()
    }
}

async fn answer(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = format!("{} {} {}", parts.method, parts.uri, String::from_utf8_lossy(&body));
    let signed = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    asked.lock().unwrap().push((text.clone(), signed.unwrap_or_default().to_owned()));
    let (id, secret) = (&services().s3_access_key, &services().s3_secret_key);
    let expires = "2099-01-01T00:00:00Z";
    // STS gives keys of another form than the server's, and no less is taken from it.
    let (role_id, role_secret) = ("ASIAIOSFODNN7EXAMPLE", "a-secret-of-the-role");
    let json = format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"{secret}","Token":"token","Expiration":"{expires}"}}"#
    );
    let sts = |operation: &str, id: &str, secret: &str| {
        format!(
            "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <{operation}Result><Credentials><AccessKeyId>{id}</AccessKeyId>\
             <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>token</SessionToken>\
             <Expiration>{expires}</Expiration></Credentials></{operation}Result>\
             </{operation}Response>"
        )
    };
    let reply = match parts.uri.path() {
        _ if text.contains("AssumeRoleWithWebIdentity") => {
            sts("AssumeRoleWithWebIdentity", id, secret)
        }
        _ if text.contains("Action=AssumeRole") => sts("AssumeRole", role_id, role_secret),
        "/latest/api/token" => "metadata-token".to_owned(),
        "/latest/meta-data/iam/security-credentials/" => "role".to_owned(),
        _ => json,
    };
    Ok(Response::new(Full::from(reply)))
}

#[tokio::test]
async fn a_container_and_an_instance_are_asked() {
    let giver = Giver::start().await;
    let uri = format!("{}/credentials", giver.url);
    let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri)];
    for class in ["ContainerCredentialsProvider", "EC2ContainerCredentialsProviderWrapper"] {
        writes(&sink(class, &container)).await;
    }
    let instance = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*giver.url)];
    writes(&sink("com.amazonaws.auth.InstanceProfileCredentialsProvider", &instance)).await;
    let asked = giver.asked.lock().unwrap().clone();
    let roles = asked.iter().filter(|(text, _)| text.contains("security-credentials/role"));
    assert_eq!(roles.count(), 1, "once for all requests: {asked:?}");
}

#[tokio::test]
async fn a_web_identity_is_exchanged() {
    let (giver, folder) = (Giver::start().await, folder());
    let token = folder.join("token");
    std::fs::write(&token, "a.web.token").unwrap();
    let file = token.display().to_string();
    let variables = [
        ("AWS_ENDPOINT_URL_STS", &*giver.url),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sink"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &*file),
    ];
    for class in ["WebIdentityTokenFileCredentialsProvider", "DefaultCredentialsProvider"] {
        writes(&sink(&format!("{V2}.{class}"), &variables)).await;
    }
    let asked = giver.sts();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].0.contains("WebIdentityToken=a.web.token"), "{asked:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id() {
    let giver = Giver::start().await;
    let class = "io.confluent.connect.s3.auth.AwsAssumeRoleCredentialsProvider";
    let mut sink = sink(class, &[("AWS_ENDPOINT_URL_STS", &*giver.url)]);
    for (key, value) in [
        ("s3.credentials.provider.sts.role.arn", "arn:aws:iam::123456789012:role/sink"),
        ("s3.credentials.provider.sts.role.session.name", "night"),
        ("s3.credentials.provider.sts.role.external.id", "partner-7"),
        ("s3.credentials.provider.sts.region", "eu-central-1"),
        ("aws.access.key.id", "AKIAIOSFODNN7EXAMPLE"),
        ("aws.secret.access.key", "who-assumes"),
    ] {
        sink.props.insert(key.to_owned(), value.to_owned());
    }
    let proxy = FaultProxy::start().await;
    sink.defaults.endpoint_url = Some(proxy.url.clone());
    let error = sink.task().open(&[partition(0)]).await.unwrap_err();
    assert!(error.to_string().contains("the access key is not known there"), "{error}");
    let request = &proxy.seen(Operation::List)[0].headers;
    let signed = request["authorization"].to_str().unwrap();
    assert!(signed.contains("Credential=ASIAIOSFODNN7EXAMPLE/"), "{signed}");
    assert_eq!(request["x-amz-security-token"], "token");
    let asked = giver.sts();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let (text, signed) = &asked[0];
    for part in ["RoleSessionName=night", "ExternalId=partner-7", "role%2Fsink"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(signed.contains("Credential=AKIAIOSFODNN7EXAMPLE/"), "{signed}");
    assert!(signed.contains("/eu-central-1/sts/aws4_request"), "{signed}");
}

#[tokio::test]
async fn a_machine_without_any_says_what_to_set() {
    for class in ["DefaultCredentialsProvider", "ProfileCredentialsProvider"] {
        let sink = sink(class, &[("AWS_EC2_METADATA_DISABLED", "true")]);
        let error = sink.task().open(&[partition(0)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retriable, "it heals when there are some");
        let text = error.to_string();
        assert!(text.contains("no credentials were found; set aws.access.key.id"), "{text}");
    }
}
