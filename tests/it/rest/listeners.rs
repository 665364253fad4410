//! `listeners`: several, `https` with certificates in each form, clients' certificates, limits.

use std::io;

use reqwest::{Certificate, Client, Identity};
use serde_json::{Value, json};

use super::client::is_ours;
use super::file_stream;
use crate::support::{Certificates, InProcessWorker};

fn client(certificates: &Certificates, identity: Option<&str>) -> Client {
    let authority = Certificate::from_pem(&certificates.read("ca.pem")).unwrap();
    let mut builder = Client::builder().tls_certs_only([authority]);
    if let Some(file) = identity {
        builder = builder.identity(Identity::from_pem(&certificates.read(file)).unwrap());
    }
    builder.build().unwrap()
}

#[tokio::test]
async fn http_and_https_serve_beside_each_other() {
    if !is_ours() {
        return;
    }
    let certificates = Certificates::make();
    let keystore = certificates.path("server.pem");
    let settings = [
        ("listeners", "http://127.0.0.1:0,https://127.0.0.1:0"),
        ("ssl.keystore.location", keystore.as_str()),
        ("ssl.keystore.type", "PEM"),
    ];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let [plain, secure] = worker.urls.as_slice() else { panic!("{:?}", worker.urls) };
    assert!(secure.starts_with("https://"), "{secure}");
    let client = client(&certificates, None);
    for url in [plain, secure] {
        let answer = client.get(format!("{url}/connectors")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "[]", "{url}");
    }
    // The address of what was made is the one that the client called.
    let body = json!({"name": "c", "config": super::client::source(json!({}))});
    let request = client.post(format!("{secure}/connectors")).json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["location"], format!("{secure}/connectors/c").as_str());
    // Whoever speaks the other protocol gets nothing, and others are still served.
    let mixed = secure.replace("https://", "http://");
    assert!(client.get(format!("{mixed}/")).send().await.is_err());
    assert!(client.get(format!("{secure}/")).send().await.is_ok());
    worker.stop().await;
}

#[tokio::test]
async fn keys_come_in_pem_and_pkcs12_and_a_prefix_goes_before() {
    if !is_ours() {
        return;
    }
    let certificates = Certificates::make();
    let keystore = certificates.pkcs12("server", "secret");
    let pem = String::from_utf8(certificates.read("server.pem")).unwrap();
    let (chain, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
    for settings in [
        vec![("ssl.keystore.location", keystore.as_str()), ("ssl.keystore.password", "secret")],
        vec![("ssl.keystore.certificate.chain", chain), ("ssl.keystore.key", key)],
        vec![
            ("listeners.https.ssl.keystore.location", keystore.as_str()),
            ("listeners.https.ssl.keystore.password", "secret"),
            ("listeners.https.ssl.enabled.protocols", "TLSv1.3"),
            ("ssl.keystore.location", "/nowhere"),
        ],
    ] {
        let settings = [&[("listeners", "https://127.0.0.1:0")], settings.as_slice()].concat();
        let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
        let answer = client(&certificates, None).get(&worker.url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        worker.stop().await;
    }
}

#[tokio::test]
async fn clients_are_known_by_their_certificates() {
    if !is_ours() {
        return;
    }
    let certificates = Certificates::make();
    let keystore = certificates.path("server.pem");
    let truststore = certificates.path("ca.pem");
    for (auth, anonymous) in [("required", false), ("requested", true), ("none", true)] {
        let settings = [
            ("listeners", "https://127.0.0.1:0"),
            ("ssl.keystore.location", keystore.as_str()),
            ("ssl.truststore.location", truststore.as_str()),
            ("ssl.client.auth", auth),
        ];
        let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
        let answers = async |identity: Option<&str>| {
            client(&certificates, identity).get(&worker.url).send().await.is_ok()
        };
        assert_eq!(answers(None).await, anonymous, "{auth}");
        assert!(answers(Some("alice.pem")).await, "{auth}");
        assert_eq!(answers(Some("eve.pem")).await, auth == "none", "{auth}: another authority's");
        worker.stop().await;
    }
}

#[tokio::test]
async fn loggers_have_an_https_listener_of_their_own() {
    if !is_ours() {
        return;
    }
    let certificates = Certificates::make();
    let keystore = certificates.path("server.pem");
    let settings = [
        ("admin.listeners", "https://127.0.0.1:0"),
        ("admin.listeners.https.ssl.keystore.location", keystore.as_str()),
    ];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let [admin] = worker.admin_urls.as_slice() else { panic!("{:?}", worker.admin_urls) };
    let client = client(&certificates, None);
    let answer = client.get(format!("{admin}/admin/loggers")).send().await.unwrap();
    assert!(answer.json::<Value>().await.unwrap()["root"].is_object());
    worker.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_keeps_nobody_out() -> io::Result<()> {
    if !is_ours() {
        return Ok(());
    }
    let certificates = Certificates::make();
    let keystore = certificates.path("server.pem");
    let settings =
        [("listeners", "https://127.0.0.1:0"), ("ssl.keystore.location", keystore.as_str())];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let address = worker.url.trim_start_matches("https://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(&address).await?);
    }
    let answer = client(&certificates, None).get(&worker.url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    // Nor do they hold the end up.
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(20), worker.stop()).await;
    assert!(stopped.is_ok());
    Ok(())
}
