//! What holds for every request: types, methods, slashes (checklist 1 to 27).

use serde_json::json;

use super::client::{Name, call, call_raw, call_with, get, is_ours, send, source};
use super::file_stream;
use crate::support::InProcessWorker;

#[tokio::test]
async fn json_is_compact_and_has_no_charset() {
    let answer = get("/").await.is(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.text.starts_with("{\"version\":\""), "{answer:?}");
    assert!(!answer.text.contains(": ") && !answer.text.ends_with('\n'), "{answer:?}");
    let keys: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["version", "commit", "kafka_cluster_id"]);
}

#[tokio::test]
async fn an_unknown_path_is_an_untyped_404() {
    for headers in [&[][..], &[("accept", "text/html")]] {
        let answer = send("GET", "/nope", headers, None).await;
        answer.is_error(404, "HTTP 404 Not Found");
        assert_eq!(answer.header("content-type"), None);
    }
    for path in ["//connectors", "/connector-plugins/FileStreamSource", "/connectors/c/nope"] {
        get(path).await.is_error(404, "HTTP 404 Not Found");
    }
}

#[tokio::test]
async fn an_unknown_method_is_an_untyped_405() {
    for (method, path) in [
        ("DELETE", "/connectors"),
        ("POST", "/"),
        ("TRACE", "/connectors"),
        ("FOO", "/connectors"),
        ("GET", "/connector-plugins/FileStreamSource/config/validate"),
        ("GET", "/connectors/c/pause"),
    ] {
        let answer = call(method, path).await;
        answer.is_error(405, "HTTP 405 Method Not Allowed");
        assert_eq!(answer.header("allow"), None, "{method} {path}");
        assert_eq!(answer.header("content-type"), None, "{method} {path}");
    }
}

#[tokio::test]
async fn the_client_has_to_take_json() {
    let answer = send("GET", "/connectors", &[("accept", "text/html")], None).await;
    answer.is_error(406, "HTTP 406 Not Acceptable");
    assert_eq!(answer.header("content-type"), None);
    for accept in ["*/*", "application/json", "text/html, */*;q=0.1"] {
        send("GET", "/connectors", &[("accept", accept)], None).await.is(200);
    }
}

#[tokio::test]
async fn a_body_has_to_be_declared_as_json() {
    for declared in
        ["application/x-www-form-urlencoded", "application/vnd.foo+json", "text/json", "text/plain"]
    {
        let headers = [("content-type", declared)];
        let answer = send("POST", "/connectors", &headers, Some("{}".to_owned())).await;
        answer.is_error(415, "HTTP 415 Unsupported Media Type");
        assert_eq!(answer.header("content-type"), None, "{declared}");
        send("POST", "/connectors/c/restart", &headers, None)
            .await
            .is_error(415, "HTTP 415 Unsupported Media Type");
    }
    let answer = send("POST", "/connectors", &[], Some("{}".to_owned())).await;
    answer.is_error(415, "HTTP 415 Unsupported Media Type");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let headers = [("content-type", "application/json; charset=utf-8")];
    send("POST", "/connectors", &headers, Some("{}".to_owned())).await.is(500);
}

#[tokio::test]
async fn one_trailing_slash_changes_nothing() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    name.reaches("RUNNING", 1).await;
    // Other tests set levels meanwhile.
    let loggers = get("/admin/loggers/").await.is(200).json();
    assert!(loggers["root"]["level"].is_string(), "{loggers}");
    for path in [name.path("").as_str(), "/health", "/connector-plugins"] {
        let plain = get(path).await.is(200);
        assert_eq!(get(&format!("{path}/")).await.is(200).text, plain.text, "{path}");
    }
    for path in ["/connectors", "/connectors/"] {
        let listed = get(path).await.is(200).json();
        assert!(listed.as_array().unwrap().contains(&json!(name.0)), "{path}: {listed}");
        let listed = get(&format!("{path}?expand=info")).await.is(200).json();
        assert_eq!(listed[&name.0]["info"]["name"], name.0, "{path}");
    }
    get("/connectors/nobody/").await.is_error(404, "Connector nobody not found");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let whole = get("/connector-plugins").await;
    let head = call("HEAD", "/connector-plugins").await.is(200);
    assert_eq!(head.text, "");
    assert_eq!(head.header("content-length"), Some(whole.text.len().to_string().as_str()));
    assert_eq!(head.header("content-type"), Some("application/json"));
    call("HEAD", "/connectors/nobody").await.is(404);
}

#[tokio::test]
async fn options_lists_the_methods() {
    let answer = call("OPTIONS", "/connectors").await.is(200);
    assert_eq!(answer.header("allow"), Some("HEAD,POST,GET,OPTIONS"));
    assert_eq!(answer.text, "HEAD, POST, GET, OPTIONS");
    let answer = call("OPTIONS", "/connectors/c/config").await.is(200);
    let mut methods: Vec<_> = answer.header("allow").unwrap().split(',').collect();
    methods.sort_unstable();
    assert_eq!(methods, ["GET", "HEAD", "OPTIONS", "PATCH", "PUT"]);
    let json = [("accept", "application/json")];
    let answer = send("OPTIONS", "/connectors", &json, None).await.is(200);
    assert_eq!(
        (answer.text.as_str(), answer.header("content-type")),
        ("", Some("application/json"))
    );
}

#[tokio::test]
async fn empty_answers_say_so() {
    let answer = call("PUT", "/connectors/nobody/topics/reset").await.is(202);
    assert_eq!(answer.header("content-length"), Some("0"));
    assert_eq!(answer.text, "");
    let name = Name::new();
    name.source(json!({})).await.is(201);
    let answer = call_raw("PUT", &name.path("/pause"), "{\"ignored\":").await.is(202);
    assert_eq!(answer.header("content-length"), Some("0"));
    let answer = call("PUT", &name.path("/resume")).await.is(202);
    assert_eq!((answer.header("content-length"), answer.text.as_str()), (Some("0"), ""));
    let answer = call("DELETE", &name.path("")).await.is(204);
    assert_eq!((answer.header("content-type"), answer.text.as_str()), (None, ""));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    if !is_ours() {
        return;
    }
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(10 * 1024 * 1024));
    call_raw("POST", "/connectors", &body).await.is_error_with(413, "2097152 bytes");
}

#[tokio::test]
async fn a_long_body_arrives_complete() {
    let name = Name::new();
    let long = "x".repeat(100_000);
    let config = source(json!({"long": long}));
    call_with("PUT", &name.path("/config"), config).await.is(201);
    let config = get(&name.path("/config")).await.is(200);
    assert!(config.text.len() > 100_000);
    assert_eq!(config.json()["long"], long);
    let head = call("HEAD", &name.path("/config")).await.is(200);
    assert_eq!(head.text, "");
}

#[tokio::test]
async fn what_workers_say_to_each_other_is_not_there() {
    let name = Name::new();
    name.source(json!({})).await.is(201);
    let fence = call("PUT", &name.path("/fence")).await;
    let tasks = call_with("POST", &name.path("/tasks"), json!([])).await;
    if is_ours() {
        fence.is_error(404, "HTTP 404 Not Found");
        tasks.is_error(405, "HTTP 405 Method Not Allowed");
    } else {
        fence.is_error(400, "Internal request missing required signature");
        tasks.is_error(400, "Internal request missing required signature");
    }
}

#[tokio::test]
async fn settings_add_headers_to_every_answer() {
    if !is_ours() {
        return;
    }
    let settings = [
        ("access.control.allow.origin", "http://a.example"),
        ("access.control.allow.methods", "GET,PUT"),
        ("response.http.headers.config", "set X-A: 1, add Cache-Control: no-store"),
    ];
    let worker = InProcessWorker::start(file_stream::plugins(), &settings).await;
    let client = reqwest::Client::new();
    let request = |method: reqwest::Method, path: &str| {
        client.request(method, format!("{}{path}", worker.url))
    };
    for (method, path, status) in [
        (reqwest::Method::GET, "/connectors", 200),
        (reqwest::Method::GET, "/nope", 404),
        (reqwest::Method::PUT, "/connectors/nobody/topics/reset", 202),
    ] {
        let origin = [("origin", "http://a.example"), ("origin", "http://b.example")];
        for (index, (name, value)) in origin.into_iter().enumerate() {
            let answer = request(method.clone(), path).header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap());
            assert_eq!((header("x-a"), header("cache-control")), (Some("1"), Some("no-store")));
            let allowed = index == 0;
            let expected = |text: &'static str| allowed.then_some(text);
            assert_eq!(header("access-control-allow-origin"), expected("http://a.example"));
            assert_eq!(header("access-control-allow-credentials"), expected("true"));
            assert_eq!(header("vary"), expected("Origin"));
        }
    }
    let preflight = request(reqwest::Method::OPTIONS, "/connectors")
        .header("origin", "http://a.example")
        .header("access-control-request-method", "PUT");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    assert_eq!(header("access-control-max-age"), "1800");
    assert_eq!(header("access-control-allow-methods"), "GET,PUT");
    let headers = "X-Requested-With,Content-Type,Accept,Origin";
    assert_eq!(header("access-control-allow-headers"), headers);
    worker.stop().await;
}
