//! What a client may send by mistake or malice: a clear JSON error, and nothing is half made.

use serde_json::json;

use super::client::{call_raw, call_with, get, is_ours, source};
use crate::support::unique;

#[tokio::test]
async fn names_that_cannot_be_kept_are_refused() {
    // Nothing that compresses: what is stored is indexed.
    let long: String = std::iter::repeat_with(|| unique("")).take(500).collect();
    let long: String = long.chars().take(5000).collect();
    for (name, part) in
        [(long.as_str(), "5000 bytes"), ("a\nb", "ASCII chars: 10"), ("a\u{1}b", "ASCII chars: 1")]
    {
        if name == long && !is_ours() {
            continue;
        }
        let body = json!({"name": name, "config": source(json!({}))});
        call_with("POST", "/connectors", body).await.is_error_with(400, part);
        let path: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        call_with("PUT", &format!("/connectors/{path}/config"), source(json!({})))
            .await
            .is_error_with(400, part);
        get(&format!("/connectors/{path}")).await.is(404);
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_make_nothing() {
    let name = unique("c");
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for body in [
        format!("{{\"name\":\"{name}\",\"config\":"),
        format!("{{\"name\":\"{name}\",\"config\":{{\"a\":{deep}}}}}"),
        format!("{{\"name\":\"{name}\",\"config\":[]}}"),
        format!("{{\"name\":{{}},\"config\":{{\"name\":\"{name}\"}}}}"),
        deep,
    ] {
        let answer = call_raw("POST", "/connectors", &body).await;
        answer.is_error_with(500, "");
    }
    get(&format!("/connectors/{name}")).await.is(404);
}

#[tokio::test]
async fn the_page_of_the_document_needs_nothing_else() {
    if !is_ours() {
        return;
    }
    let page = get("/docs/").await.is(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    for link in page.text.split(['"', '\'']).filter(|text| text.starts_with("./")) {
        get(&format!("/docs/{}", link.trim_start_matches("./"))).await.is(200);
    }
    for outside in ["src=\"http", "href=\"http", "src=\"//"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    let start = get("/docs/swagger-initializer.js").await.is(200);
    assert!(start.text.contains("\"../openapi.json\""), "{}", start.text);
    get("/docs").await.is(200);
    get("/docs/nope").await.is(404);
}

/// Bytes as they are on the wire: what a client library would not send.
async fn raw(request: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = super::client::base().trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(20), read).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_refused() {
    let body = b"{\"name\":\"caf\xe9\",\"config\":{\"a\":\"\xff\"}}";
    let head = format!(
        "POST /connectors HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = raw(&[head.as_bytes(), body].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("{\"error_code\":500,\"message\":\""), "{answer}");
    let list = get("/connectors").await.text;
    assert!(!list.contains("caf"), "{list}");
}

#[tokio::test]
async fn paths_that_are_no_utf8_and_headers_that_lie_are_refused() {
    if !is_ours() {
        return;
    }
    for (request, status) in [
        (&b"GET /connectors/%FF%FE HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"[..], " 404 "),
        (b"GET /connectors/caf\xe9 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", " 40"),
        (b"POST /connectors HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n", " 400 "),
        (b"nonsense\r\n\r\n", " 400 "),
    ] {
        let answer = raw(request).await;
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.contains(status), "{:?}: {answer}", String::from_utf8_lossy(request));
    }
}
