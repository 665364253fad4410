//! Who may do what: each way of saying who one is, the roles over every operation, limits, and where
//! connectors may connect to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::client::{is_ours, source};
use super::file_stream;
use crate::support::{Certificates, InProcessWorker, eventually_async, unique};

/// Files that go with the test.
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new() -> Self {
        let folder = std::env::temp_dir().join(unique("security"));
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        Self(folder)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the folder is writable");
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A worker with a token for each role, and one for editors and viewers of some connectors.
pub(super) async fn guarded(files: &Files, more: &[(&str, &str)]) -> InProcessWorker {
    let tokens = files.write(
        "tokens",
        "vera=token-vera\noscar=token-oscar\ned=token-ed\nada=token-ada\norders=token-orders\n\
         nobody=token-nobody\n",
    );
    let roles = "vera=viewer,oscar=operator,ed=editor,ada=admin,orders=editor:orders-,\
                 orders=viewer:shared-";
    let settings =
        [&[("rest.auth.tokens.file", tokens.as_str()), ("rest.auth.roles", roles)], more].concat();
    InProcessWorker::start(file_stream::plugins(), &settings).await
}

async fn call(
    worker: &InProcessWorker,
    who: Option<&str>,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Response {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = Client::new().request(method, format!("{}{path}", worker.url));
    if let Some(who) = who {
        request = request.bearer_auth(format!("token-{who}"));
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.expect("an answer")
}

/// What each operation takes, written down a second time.
fn expected_role(method: &str, path: &str) -> &'static str {
    match (method, path) {
        ("put", "/admin/loggers/{logger}") | ("get", "/ferroconnect/audit") => "ada",
        (
            "put",
            "/connectors/{connector}/pause"
            | "/connectors/{connector}/resume"
            | "/connectors/{connector}/stop",
        )
        | ("post", "/connectors/{connector}/restart")
        | ("post", "/connectors/{connector}/tasks/{task}/restart") => "oscar",
        ("get", _) => "vera",
        _ => "ed",
    }
}

#[tokio::test]
async fn every_operation_takes_its_role() {
    if !is_ours() {
        return;
    }
    let files = Files::new();
    let worker = guarded(&files, &[]).await;
    let document: Value =
        serde_json::from_str(include_str!("../../../openapi/connect.json")).unwrap();
    let ranks = ["nobody", "vera", "oscar", "ed", "ada"];
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let least = ranks.iter().position(|who| *who == expected_role(method, path)).unwrap();
            // Methods are case-sensitive, and the document writes them small.
            let method = method.to_ascii_uppercase();
            let concrete = path
                .replace("{connector}", "absent")
                .replace("{task}", "0")
                .replace("{plugin}", "FileStreamSource")
                .replace("{logger}", "a.test");
            let body = matches!(method.as_str(), "PUT" | "POST" | "PATCH").then(|| json!({}));
            let answer = call(&worker, None, &method, &concrete, body.clone()).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            for (rank, who) in ranks.iter().enumerate() {
                let answer = call(&worker, Some(who), &method, &concrete, body.clone()).await;
                let forbidden = answer.status() == StatusCode::FORBIDDEN;
                assert_eq!(forbidden, rank < least, "{method} {path} by {who}");
                if forbidden {
                    let error: Value = answer.json().await.unwrap();
                    assert_eq!(error["error_code"], 403);
                    let message = error["message"].as_str().unwrap();
                    assert!(message.starts_with(&format!("{who} is not allowed")), "{message}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 5 * 30, "{count}");
    // What is not there is not there for anybody, as in the original; the page shows nothing.
    for path in ["/nope", "/connectors/a/nope"] {
        assert_eq!(call(&worker, None, "GET", path, None).await.status(), 404);
    }
    assert_eq!(call(&worker, None, "GET", "/docs/", None).await.status(), 200);
    worker.stop().await;
}

#[tokio::test]
async fn a_role_for_some_connectors_is_one_for_those() {
    if !is_ours() {
        return;
    }
    let files = Files::new();
    let worker = guarded(&files, &[]).await;
    let create = async |who: &str, name: &str| {
        let body = json!({"name": name, "config": source(json!({}))});
        call(&worker, Some(who), "POST", "/connectors", Some(body)).await.status().as_u16()
    };
    assert_eq!(create("orders", "orders-1").await, 201);
    assert_eq!(create("orders", "shared-1").await, 403, "only a viewer of those");
    assert_eq!(create("orders", "other-1").await, 403);
    assert_eq!(create("ed", "shared-1").await, 201);
    assert_eq!(create("ed", "other-1").await, 201);
    let config = Some(source(json!({})));
    for (name, get, put) in [("orders-1", 200, 200), ("shared-1", 200, 403), ("other-1", 403, 403)]
    {
        let path = format!("/connectors/{name}");
        let answer = call(&worker, Some("orders"), "GET", &path, None).await;
        assert_eq!(answer.status(), get, "{name}");
        let path = format!("/connectors/{name}/config");
        let answer = call(&worker, Some("orders"), "PUT", &path, config.clone()).await;
        assert_eq!(answer.status(), put, "{name}");
        let path = format!("/ferroconnect/connectors/{name}/history");
        let answer = call(&worker, Some("orders"), "GET", &path, None).await;
        assert_eq!(answer.status(), get, "{name}");
    }
    // A name that is written in another way is the same name.
    let answer = call(&worker, Some("orders"), "GET", "/connectors/%6Fther-1", None).await;
    assert_eq!(answer.status(), 403);
    let listed: Value =
        call(&worker, Some("orders"), "GET", "/connectors", None).await.json().await.unwrap();
    assert_eq!(listed, json!(["orders-1", "shared-1"]));
    let listed = call(&worker, Some("orders"), "GET", "/connectors?expand=info", None).await;
    let listed: BTreeMap<String, Value> = listed.json().await.unwrap();
    assert_eq!(listed.into_keys().collect::<Vec<_>>(), ["orders-1", "shared-1"]);
    for path in ["/metrics", "/ferroconnect/audit"] {
        assert_eq!(call(&worker, Some("orders"), "GET", path, None).await.status(), 403, "{path}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn basic_authentication_is_the_originals() {
    if !is_ours() {
        return;
    }
    let files = Files::new();
    let users = files.write("users.properties", "alice=wonderland\nbob=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n");
    let jaas = files.write(
        "jaas.conf",
        &format!(
            "KafkaConnect {{\n  org.apache.kafka.connect.rest.basic.auth.extension.\
             PropertyFileLoginModule required\n  file=\"{users}\";\n}};\n"
        ),
    );
    let class = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension";
    let by_extension =
        [("rest.extension.classes", class), ("java.security.auth.login.config", jaas.as_str())];
    let by_file = [("rest.auth.basic.file", users.as_str())];
    for settings in [&by_extension[..], &by_file] {
        let worker = InProcessWorker::start(file_stream::plugins(), settings).await;
        let ask = async |authorization: Option<String>| {
            let mut request = Client::new().get(format!("{}/connectors", worker.url));
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            request.send().await.unwrap()
        };
        let basic = |text: &str| Some(format!("Basic {}", STANDARD.encode(text)));
        for (authorization, status) in [
            (None, 401),
            (basic("alice:wonderland"), 200),
            (basic("alice:wonderlan"), 401),
            (basic("alice:"), 401),
            (basic("bob:test"), 200),
            (basic("eve:wonderland"), 401),
            (Some("Basic !".to_owned()), 401),
            (Some("Bearer wonderland".to_owned()), 401),
            (Some("Digest x".to_owned()), 401),
            (Some(format!("bAsIc {}", STANDARD.encode("alice:wonderland"))), 200),
        ] {
            let answer = ask(authorization.clone()).await;
            assert_eq!(answer.status(), status, "{authorization:?}");
            assert_eq!(answer.headers().get("www-authenticate"), None);
            if status == 401 {
                assert_eq!(answer.text().await.unwrap(), "User cannot access the resource.");
            }
        }
        for path in ["/", "/health", "/metrics", "/openapi.json"] {
            let answer = reqwest::get(format!("{}{path}", worker.url)).await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn json_web_tokens_of_the_issuer_are_believed() {
    if !is_ours() {
        return;
    }
    let issuer = FakeIssuer::start().await;
    let settings = [
        ("rest.auth.oidc.issuer", issuer.url.as_str()),
        ("rest.auth.oidc.audience", "ferroconnect"),
        ("rest.auth.oidc.principal.claim", "preferred_username"),
        ("rest.auth.roles", "group:admins=admin,vera=viewer"),
    ];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let ask = async |token: &str, method: Method, path: &str| {
        let request = Client::new().request(method, format!("{}{path}", worker.url));
        let answer = request.bearer_auth(token).json(&json!({"level": "INFO"})).send().await;
        answer.unwrap().status().as_u16()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let good = json!({
        "iss": issuer.url, "aud": "ferroconnect", "exp": now + 600, "preferred_username": "vera",
        "groups": [],
    });
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        issuer.token(&claims)
    };
    assert_eq!(ask(&issuer.token(&good), Method::GET, "/connectors").await, 200);
    assert_eq!(ask(&issuer.token(&good), Method::PUT, "/admin/loggers/a").await, 403);
    let admin = with("groups", json!(["others", "admins"]));
    assert_eq!(ask(&admin, Method::PUT, "/admin/loggers/a").await, 200);
    let mut without_name = good.clone();
    without_name.as_object_mut().unwrap().remove("preferred_username");
    for (why, token) in [
        ("expired", with("exp", json!(now - 600))),
        ("another audience", with("aud", json!("others"))),
        ("another issuer", with("iss", json!("https://elsewhere.example"))),
        ("not yet", with("nbf", json!(now + 600))),
        ("nobody", issuer.token(&without_name)),
        ("another's signature", FakeIssuer::key().1.sign(&good, Some("1"))),
        ("a key that is not there", issuer.key.sign(&good, Some("2"))),
        ("no signature", unsigned(&good)),
        ("a shared secret", symmetric(&good, &issuer.public)),
        ("nonsense", "a.b.c".to_owned()),
        ("too long", "x".repeat(20_000)),
    ] {
        assert_eq!(ask(&token, Method::GET, "/connectors").await, 401, "{why}");
    }
    let asked = issuer.asked.load(std::sync::atomic::Ordering::SeqCst);
    assert!(asked <= 2, "the keys are kept: metadata and keys were asked for {asked} times");
    worker.stop().await;
}

fn unsigned(claims: &Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(json!({"alg": "none", "typ": "JWT"})), part(claims.clone()))
}

/// The public key as a shared secret: what a careless check of the algorithm would believe.
fn symmetric(claims: &Value, public: &[u8]) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(public).unwrap();
    let header = jsonwebtoken::Header {
        kid: Some("1".to_owned()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
    };
    jsonwebtoken::encode(&header, claims, &key).unwrap()
}

struct SigningKey(jsonwebtoken::EncodingKey);

impl SigningKey {
    fn sign(&self, claims: &Value, kid: Option<&str>) -> String {
        let header = jsonwebtoken::Header {
            kid: kid.map(str::to_owned),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, claims, &self.0).unwrap()
    }
}

/// An OpenID Connect issuer, as far as those who check its tokens see it.
struct FakeIssuer {
    url: String,
    key: SigningKey,
    public: Vec<u8>,
    asked: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl FakeIssuer {
    fn key() -> (Vec<u8>, SigningKey) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = jsonwebtoken::EncodingKey::from_ec_der(&pair.serialize_der());
        (pair.public_key_raw().to_vec(), SigningKey(key))
    }

    async fn start() -> Self {
        let (public, key) = Self::key();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // An uncompressed point: 4, x, y.
        let (x, y) =
            (URL_SAFE_NO_PAD.encode(&public[1..33]), URL_SAFE_NO_PAD.encode(&public[33..]));
        let keys = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "1", "use": "sig", "alg": "ES256"},
        ]});
        let metadata = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = asked.clone();
        let answer = move |body: Value| {
            let counter = counter.clone();
            axum::routing::get(move || {
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let body = body.clone();
                async move { axum::Json(body) }
            })
        };
        let routes = axum::Router::new()
            .route("/.well-known/openid-configuration", answer(metadata))
            .route("/keys", answer(keys));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, key, public, asked }
    }

    fn token(&self, claims: &Value) -> String {
        self.key.sign(claims, Some("1"))
    }
}

#[tokio::test]
async fn certificates_say_who_somebody_is() {
    if !is_ours() {
        return;
    }
    let certificates = Certificates::make();
    let (keystore, truststore) = (certificates.path("server.pem"), certificates.path("ca.pem"));
    let settings = [
        ("listeners", "https://127.0.0.1:0"),
        ("ssl.keystore.location", keystore.as_str()),
        ("ssl.truststore.location", truststore.as_str()),
        ("ssl.client.auth", "requested"),
        ("rest.auth.roles", "alice=operator"),
    ];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let status = async |identity: Option<&str>, method: Method, path: &str| {
        let authority = reqwest::Certificate::from_pem(&certificates.read("ca.pem")).unwrap();
        let mut client = Client::builder().tls_certs_only([authority]);
        if let Some(file) = identity {
            let identity = reqwest::Identity::from_pem(&certificates.read(file)).unwrap();
            client = client.identity(identity);
        }
        let request = client.build().unwrap().request(method, format!("{}{path}", worker.url));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(None, Method::GET, "/connectors").await, 401);
    assert_eq!(status(Some("alice.pem"), Method::GET, "/connectors").await, 200);
    assert_eq!(status(Some("alice.pem"), Method::PUT, "/connectors/a/pause").await, 404);
    assert_eq!(status(Some("alice.pem"), Method::DELETE, "/connectors/a").await, 403);
    worker.stop().await;
}

#[tokio::test]
async fn whoever_asks_too_often_waits() {
    if !is_ours() {
        return;
    }
    let files = Files::new();
    let worker = guarded(&files, &[("rest.rate.limit.requests.per.second", "5")]).await;
    let mut refused = None;
    for _ in 0..50 {
        let answer = call(&worker, Some("vera"), "GET", "/connectors", None).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status(), 200);
    }
    let refused = refused.expect("50 requests take less than 10 s");
    assert_eq!(refused.headers()["retry-after"], "1");
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error, json!({"error_code": 429, "message": "Too many requests: try again in 1 s"}));
    let other = call(&worker, Some("oscar"), "GET", "/connectors", None).await;
    assert_eq!(other.status(), 200, "others do not wait for them");
    worker.stop().await;

    // Whoever guesses waits too, with the right secret as well.
    let worker = guarded(&files, &[]).await;
    let guess = async || call(&worker, Some("wrong"), "GET", "/connectors", None).await.status();
    eventually_async("guessing ends", 30, || async {
        match guess().await {
            StatusCode::TOO_MANY_REQUESTS => Ok(()),
            status => Err(status),
        }
    })
    .await;
    let right = call(&worker, Some("vera"), "GET", "/connectors", None).await;
    assert_eq!(right.status(), StatusCode::TOO_MANY_REQUESTS);
    worker.stop().await;
}

#[tokio::test]
async fn without_authentication_only_loopback_listens_if_that_is_wanted() {
    if !is_ours() {
        return;
    }
    let listeners = [("listeners", "http://0.0.0.0:0"), ("listeners.require.auth", "true")];
    let worker = InProcessWorker::start(file_stream::plugins(), &listeners).await;
    assert!(worker.url.starts_with("http://127.0.0.1:"), "{}", worker.url);
    assert_eq!(reqwest::get(&worker.url).await.unwrap().status(), 200);
    worker.stop().await;
    let files = Files::new();
    let worker = guarded(&files, &listeners).await;
    assert!(worker.url.starts_with("http://0.0.0.0:"), "{}", worker.url);
    worker.stop().await;
}

#[tokio::test]
async fn a_name_is_of_no_use_when_its_address_is_denied() {
    if !is_ours() {
        return;
    }
    let denied = [("egress.deny", "127.0.0.0/8,::1")];
    let guarded = InProcessWorker::start(file_stream::plugins(), &denied).await;
    let open = InProcessWorker::start(file_stream::plugins(), &[]).await;
    let config = json!({
        "name": "c", "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "localhost", "database.port": "1", "database.user": "u",
        "database.password": "p", "database.dbname": "d", "topic.prefix": "t",
        "plugin.name": "pgoutput",
    });
    // Private and loopback addresses are where databases are: by default they are tried.
    for (worker, expected) in
        [(&guarded, "connectors may not connect to \"localhost\""), (&open, "localhost:1 refused")]
    {
        let path = "/connector-plugins/PostgresConnector/config/validate";
        let answer = call(worker, None, "PUT", path, Some(config.clone())).await;
        let infos: Value = answer.json().await.unwrap();
        let configs = infos["configs"].as_array().unwrap().iter().map(|config| &config["value"]);
        let mut wrong = configs.filter(|value| value["errors"] != json!([]));
        let wrong = wrong.next().unwrap();
        assert_eq!(wrong["name"], "database.hostname");
        assert!(wrong["errors"][0].as_str().unwrap().contains(expected), "{wrong}");
    }
    guarded.stop().await;
    open.stop().await;
}

#[tokio::test]
async fn connectors_do_not_reach_what_is_the_machines() {
    if !is_ours() {
        return;
    }
    let settings = [("egress.deny", "forbidden.example")];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let sink = |url: &str| {
        json!({
            "connector.class": "io.confluent.connect.s3.S3SinkConnector", "topics": "t",
            "s3.bucket.name": "b", "s3.region": "us-east-1", "flush.size": "1",
            "storage.class": "io.confluent.connect.s3.storage.S3Storage",
            "format.class": "io.confluent.connect.s3.format.json.JsonFormat", "store.url": url,
        })
    };
    for url in ["http://169.254.169.254", "http://[fe80::1]:9000", "http://forbidden.example:1"] {
        let body = json!({"name": "c", "config": sink(url)});
        let answer = call(&worker, None, "POST", "/connectors", Some(body)).await;
        assert_eq!(answer.status(), 400, "{url}");
        let error: Value = answer.json().await.unwrap();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("connectors may not connect to"), "{message}");
    }
    let mut config = sink("http://169.254.169.254");
    config["name"] = json!("c");
    let path = "/connector-plugins/S3SinkConnector/config/validate";
    let infos: Value = call(&worker, None, "PUT", path, Some(config)).await.json().await.unwrap();
    let configs = infos["configs"].as_array().unwrap().iter();
    let with_errors: Vec<_> = configs
        .filter(|config| config["value"]["errors"] != json!([]))
        .map(|config| config["value"]["name"].clone())
        .collect();
    assert_eq!(with_errors, [json!("store.url")]);
    let listed = call(&worker, None, "GET", "/connectors", None).await.text().await.unwrap();
    assert_eq!(listed, "[]");
    worker.stop().await;
}
