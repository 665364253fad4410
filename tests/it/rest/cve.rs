//! What went wrong in the field, each as a test that it cannot here: named after its CVE.

use serde_json::{Value, json};

use super::client::{Name, call, call_raw, call_with, get, is_ours, sink};
use crate::support::eventually_async;

/// The messages of a refusal to create.
async fn refusal(more: Value) -> String {
    let name = Name::new();
    let answer = name.source(more).await;
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.status, 400, "{answer:?}");
    get(&name.path("")).await.is(404);
    message
}

/// Secrets that a provider resolved were shown by `GET .../tasks`.
#[tokio::test]
async fn cve_2019_12399_references_are_never_answered_resolved() {
    // What the operator of the tests' worker allows it to resolve.
    let reference = if is_ours() { "${env:SHOWN_A}" } else { "${env:PATH}" };
    let resolved = if is_ours() { "first" } else { "/usr/bin" };
    let name = Name::new();
    name.source(json!({"file": reference, "some.password": reference})).await.is(201);
    name.reaches("RUNNING", 1).await;
    let paths = ["", "/config", "/tasks", "/tasks-config", "/status"].map(|rest| name.path(rest));
    let history = format!("/ferroconnect{}", name.path("/history"));
    for path in paths.iter().chain([&history]) {
        if !is_ours() && path == &history {
            continue;
        }
        let text = get(path).await.text;
        assert!(text.contains(&name.0) && !text.contains(resolved), "{path}: {text}");
    }
    let listing = get("/connectors?expand=info&expand=status").await.json();
    let listed = listing[&name.0].to_string();
    assert!(listed.contains(reference) && !listed.contains(resolved), "{listed}");
    let tasks = get(&name.path("/tasks")).await.json();
    assert_eq!(tasks[0]["config"]["file"], reference);
}

/// A login module of a connector's choice was loaded and ran code.
#[tokio::test]
async fn cve_2023_25194_only_known_login_modules_are_taken() {
    if !is_ours() {
        return;
    }
    for client in ["producer", "consumer", "admin"] {
        let key = format!("{client}.override.sasl.jaas.config");
        let jndi =
            "com.sun.security.auth.module.JndiLoginModule required user.provider.url=\"ldap://x\";";
        // Each client is one that this connector has.
        let more = json!({&key: jndi, "topic.creation.default.partitions": "1",
                          "topic.creation.default.replication.factor": "1", "offsets.storage.topic": "o"});
        let message = refusal(more).await;
        assert!(message.contains("does not allow 'sasl.jaas.config'"), "{message}");
    }
}

/// The same with another module.
#[tokio::test]
async fn cve_2025_27818_ldap_login_modules_are_not_taken() {
    if !is_ours() {
        return;
    }
    let ldap = "com.sun.security.auth.module.LdapLoginModule required userProvider=\"ldap://x\";";
    let message = refusal(json!({"producer.override.sasl.jaas.config": ldap})).await;
    assert!(message.contains("does not allow 'sasl.jaas.config'"), "{message}");
    let two = "org.apache.kafka.common.security.plain.PlainLoginModule required; \
               com.sun.security.auth.module.LdapLoginModule required;";
    let message = refusal(json!({"producer.override.sasl.jaas.config": two})).await;
    assert!(message.contains("does not allow 'sasl.jaas.config'"), "{message}");
}

/// A broker's configuration was changed through a client that passes changes on.
#[tokio::test]
async fn cve_2025_27819_nothing_here_changes_a_brokers_configuration() {
    let document = include_str!("../../../openapi/connect.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let paths = document["paths"].as_object().unwrap().keys();
    assert!(paths.clone().count() > 20);
    assert!(!paths.into_iter().any(|path| path.contains("broker") || path.contains("topics/{")));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kafka");
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap().to_lowercase();
        assert!(!text.contains("alter_configs") && !text.contains("alterconfigs"));
    }
}

/// A connector's configuration read files and variables of the worker.
#[tokio::test]
async fn cve_2024_31141_references_are_not_resolved_unless_the_operator_says_so() {
    if !is_ours() {
        return;
    }
    for reference in ["${file:/etc/passwd:root}", "${env:PATH}", "${dir:/etc:hostname}"] {
        let name = Name::new();
        name.source(json!({"file": reference, "test.records": "1"})).await.is(201);
        // What the task got is what it says its partition is.
        let path = name.path("/offsets");
        let offsets = eventually_async("an offset", 20, || async {
            let offsets = get(&path).await.json();
            if offsets["offsets"][0].is_object() { Ok(offsets) } else { Err(offsets) }
        })
        .await;
        assert_eq!(offsets["offsets"][0]["partition"]["filename"], reference);
    }
}

/// URLs of a connector's choice were fetched by the worker, and files shown in errors.
#[tokio::test]
async fn cve_2025_27817_urls_of_tokens_are_not_a_connectors_choice() {
    if !is_ours() {
        return;
    }
    for key in ["sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.jwks.endpoint.url"] {
        for url in ["file:///etc/passwd", "http://169.254.169.254/latest/meta-data"] {
            let more = json!({format!("producer.override.{key}"): url});
            let message = refusal(more).await;
            assert!(message.contains(key), "{message}");
            assert!(!message.contains("root:"), "{message}");
        }
    }
}

/// A client did not check the nonce of the server's answer.
#[test]
fn cve_2024_56128_the_servers_nonce_has_to_be_ours() {
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    let client = || ScramSha256::new(b"password", ChannelBinding::unsupported());
    let first = |scram: &ScramSha256| String::from_utf8(scram.message().to_vec()).unwrap();
    let nonce = |message: &str| message.split_once("r=").unwrap().1.to_owned();
    let mut honest = client();
    let answer = format!("r={}server,s=c2FsdA==,i=4096", nonce(&first(&honest)));
    assert!(honest.update(answer.as_bytes()).is_ok());
    let mut fooled = client();
    assert!(fooled.update(b"r=anothernonce,s=c2FsdA==,i=4096").is_err());
}

/// A small body grew without bound when it was decompressed.
#[tokio::test]
async fn cve_2023_34455_bodies_are_not_decompressed_and_depth_is_bounded() {
    if !is_ours() {
        return;
    }
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let bomb = "\u{1f}\u{8b}".to_owned() + &"\0".repeat(1000);
    let answer = super::client::send("POST", "/connectors", &headers, Some(bomb)).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    let deep = "[".repeat(1_000_000);
    call_raw("POST", "/connectors", &deep).await.is_error_with(500, "");
    get("/connectors").await.is(200);
}

/// The time that a comparison took told how much of a password was right.
#[test]
fn cve_2021_38153_secrets_are_compared_as_digests_in_constant_time() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rest/auth");
    let digest = std::fs::read_to_string(format!("{folder}/digest.rs")).unwrap();
    assert!(digest.contains("ct_eq"), "the one comparison of secrets");
    for file in ["basic.rs", "tokens.rs"] {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        assert!(code.contains("Hashed::of(") && code.contains(".is(&"), "{file} compares digests");
    }
}

/// A length that a stranger sent was allocated before anything was read.
#[tokio::test]
async fn cve_2022_34917_a_length_alone_allocates_nothing() {
    if !is_ours() {
        return;
    }
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = super::client::base().trim_start_matches("http://").to_owned();
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = "POST /connectors HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                    Content-Length: 4000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    get("/connectors").await.is(200);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kilobytes < 4_000_000, "{kilobytes} kB for 200 GB that were announced");
    // A head without an end is bounded too.
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
    for _ in 0..10_000 {
        if stream.write_all(&[b'x'; 1000]).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let read =
        tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut answer));
    let _ = read.await.expect("the connection ends");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.contains(" 431 ") || answer.contains(" 400 "), "{answer}");
}

/// Credentials were written to the log with the requests that carried them.
#[test]
fn cve_2026_33558_what_holds_secrets_does_not_print_them() {
    let secret = ferroconnect::config::Secret::new("hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let env = std::collections::BTreeMap::from([
        ("DATABASE_URL".to_owned(), "postgres://u:hunter2@h/d".to_owned()),
        ("CONNECT_PRODUCER_SASL_JAAS_CONFIG".to_owned(), "x password=\"hunter2\";".to_owned()),
    ]);
    let config = ferroconnect::runtime::worker_config::WorkerConfig::from_sources(None, &env);
    let shown = format!("{:?}", config.unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// Text that was logged was looked up and ran code; lines in it looked like lines of the log.
#[tokio::test]
async fn cve_2021_44228_names_are_text() {
    let lookup = "${jndi:ldap://127.0.0.1:1/a}";
    let name = Name::new();
    name.source(json!({"file": lookup})).await.is(201);
    assert_eq!(get(&name.path("/config")).await.json()["file"], lookup);
    let path = "/connectors/$%7Bjndi:ldap:%2F%2F127.0.0.1:1%2Fa%7D%0Afake%20line";
    get(path).await.is(404);
    call("DELETE", path).await.is(404);
    let body = json!({"name": format!("{lookup}\n"), "config": sink(json!({}))});
    let answer = call_with("POST", "/connectors", body).await;
    assert!(matches!(answer.status, 201 | 400), "{answer:?}");
    if answer.status == 201 {
        call("DELETE", "/connectors/$%7Bjndi:ldap:%2F%2F127.0.0.1:1%2Fa%7D").await.is(204);
    }
}
