//! The client and the converter around it, against a registry of a few lines that misbehaves where
//! the test wants it to. The real one is in the integration tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::config::Props;
use crate::converter::{Converter, ConverterContext, Presence, Role, avro};
use crate::data::{Schema, SchemaAndValue, SchemaBuilder, Type, Value};
use crate::error::ErrorKind;

/// A server that gives prepared answers, one per connection, and keeps what it was asked.
pub(in crate::converter) struct Fake {
    pub(in crate::converter) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(in crate::converter) async fn start(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut answers: VecDeque<_> =
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        tokio::spawn(async move {
            while let Some((status, body)) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                kept.lock().unwrap().push(request);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, asked }
    }

    pub(in crate::converter) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        request.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        if body.len() >= length || count == 0 {
            return String::from_utf8_lossy(&request).into_owned();
        }
    }
}

fn converter(url: &str, settings: &[(&str, &str)]) -> Box<dyn Converter> {
    let mut props = Props::from([
        ("schema.registry.url".to_owned(), url.to_owned()),
        ("max.retries".to_owned(), "0".to_owned()),
    ]);
    props.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    avro::construct(&props, &ConverterContext::from(Role::Value)).unwrap()
}

fn row() -> Arc<Schema> {
    let id = SchemaBuilder::new(Type::Int32).build();
    SchemaBuilder::structure().name("a.Row").field("id", id).build()
}

fn one(schema: &Arc<Schema>) -> SchemaAndValue {
    let row = crate::data::Struct::new(schema.clone(), vec![Value::Int32(1)]);
    SchemaAndValue { schema: Some(schema.clone()), value: Value::Struct(Box::new(row)) }
}

fn written(converter: &mut dyn Converter, data: &SchemaAndValue) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match converter.from_connect_data("t", data, &mut out) {
        Ok(Presence::Present) => Ok(out),
        Ok(Presence::Null) => Ok(Vec::new()),
        Err(error) => Err(error.0),
    }
}

const ROW: &str =
    r#"{"type":"record","name":"Row","namespace":"a","fields":[{"name":"id","type":"int"}]}"#;

fn schema_reply(id: i32) -> String {
    serde_json::json!({ "id": id, "subject": "t-value", "version": 3, "schema": ROW }).to_string()
}

#[tokio::test]
async fn a_schema_is_registered_once() {
    let fake = Fake::start(&[(200, "{\"id\":258}")]).await;
    let mut converter = converter(&fake.url, &[("normalize.schemas", "true")]);
    let schema = row();
    assert!(!converter.is_prepared("t", Some(&schema)));
    assert!(written(converter.as_mut(), &one(&schema)).unwrap_err().contains("not prepared"));
    converter.prepare("t", Some(&schema)).await.unwrap();
    // An equal schema needs no second request: there is no second answer.
    for schema in [schema, row()] {
        assert!(converter.is_prepared("t", Some(&schema)));
        converter.prepare("t", Some(&schema)).await.unwrap();
        assert_eq!(written(converter.as_mut(), &one(&schema)).unwrap(), b"\0\0\0\x01\x02\x02");
    }
    let asked = fake.asked();
    let request = asked.first().unwrap();
    assert!(request.starts_with("POST /subjects/t-value/versions?normalize=true HTTP/1.1"));
    assert!(request.contains("content-type: application/vnd.schemaregistry.v1+json"));
    assert!(request.contains(r#"{"schema":"{\"type\":\"record\""#), "{request}");
    assert!(!request.contains("schemaType"));
}

#[tokio::test]
async fn what_the_registry_refuses_is_an_error_of_the_record() {
    let message = r#"{"error_code":409,"message":"Schema being registered is incompatible"}"#;
    let fake = Fake::start(&[(409, message)]).await;
    let mut converter = converter(&fake.url, &[]);
    let schema = row();
    converter.prepare("t", Some(&schema)).await.unwrap();
    assert!(converter.is_prepared("t", Some(&schema)), "it is not asked for each record");
    let error = written(converter.as_mut(), &one(&schema)).unwrap_err();
    assert!(error.starts_with("Failed to serialize Avro data from topic t : "), "{error}");
    assert!(error.contains("Error registering Avro schema{\"type\""), "{error}");
    assert!(error.contains("incompatible; error code: 409 (subject t-value)"), "{error}");
}

#[tokio::test]
async fn another_instance_is_asked_and_then_again() {
    let first = Fake::start(&[(503, "")]).await;
    let second = Fake::start(&[(500, ""), (200, "{\"id\":1}"), (200, "{\"id\":2}")]).await;
    let urls = format!("http://127.0.0.1:1,{},{}", first.url, second.url);
    let settings = [("max.retries", "1"), ("retries.wait.ms", "1")];
    let mut converter = converter(&urls, &settings);
    let schema = row();
    converter.prepare("t", Some(&schema)).await.unwrap();
    assert_eq!(written(converter.as_mut(), &one(&schema)).unwrap(), b"\0\0\0\0\x01\x02");
    assert_eq!((first.asked().len(), second.asked().len()), (1, 2));
    // The one that answered is asked first from then on.
    converter.prepare("u", Some(&schema)).await.unwrap();
    assert_eq!(second.asked().len(), 3);
}

#[tokio::test]
async fn nobody_there_is_retriable_and_a_refusal_of_access_is_not() {
    let mut nobody = converter("http://127.0.0.1:1", &[]);
    let error = nobody.prepare("t", Some(&row())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retriable);
    assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
    let other = Fake::start(&[(404, "<html>")]).await;
    let error = converter(&other.url, &[]).prepare("t", Some(&row())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retriable, "a path that is wrong, or a proxy");
    let guarded = Fake::start(&[(401, "{\"error_code\":401,\"message\":\"Unauthorized\"}")]).await;
    let url = guarded.url.replace("http://", "http://me:secret@");
    let error = converter(&url, &[]).prepare("t", Some(&row())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("credentials"), "{error}");
    assert!(!error.trace().contains("secret"), "{error}");
    // me:secret
    assert!(guarded.asked()[0].contains("authorization: Basic bWU6c2VjcmV0"));
}

#[tokio::test]
async fn credentials_and_headers_are_sent() {
    let info = "basic.auth.user.info";
    for (settings, expected) in [
        (
            vec![("basic.auth.credentials.source", "USER_INFO"), (info, "u:p")],
            "authorization: Basic dTpw",
        ),
        (vec![("bearer.auth.token", "t0k")], "authorization: Bearer t0k"),
        (vec![("request.header.X-Team", "blue")], "x-team: blue"),
    ] {
        let fake = Fake::start(&[(200, "{\"id\":1}")]).await;
        converter(&fake.url, &settings).prepare("t", Some(&row())).await.unwrap();
        assert!(fake.asked()[0].contains(expected), "{expected}");
    }
}

#[tokio::test]
async fn the_latest_schema_is_used_where_that_is_wanted() {
    let fake = Fake::start(&[(200, &schema_reply(7))]).await;
    let settings = [("auto.register.schemas", "false"), ("use.latest.version", "true")];
    let mut converter = converter(&fake.url, &settings);
    let schema = row();
    converter.prepare("t", Some(&schema)).await.unwrap();
    assert_eq!(written(converter.as_mut(), &one(&schema)).unwrap(), b"\0\0\0\0\x07\x02");
    assert!(fake.asked()[0].starts_with("GET /subjects/t-value/versions/latest HTTP/1.1"));
}

#[tokio::test]
async fn schemas_are_fetched_once_per_batch_and_unknown_ids_are_errors_of_their_messages() {
    let fake = Fake::start(&[
        (200, &schema_reply(1)),
        (200, r#"[{"subject":"other","version":1},{"subject":"t-value","version":3}]"#),
        (404, r#"{"error_code":40403,"message":"Schema not found"}"#),
    ])
    .await;
    let mut converter = converter(&fake.url, &[]);
    let known = b"\0\0\0\0\x01\x02";
    let unknown = b"\0\0\0\0\x09\x02";
    assert!(converter.wants_to_read("t", known));
    assert!(converter.wants_to_read("t", known));
    assert!(converter.wants_to_read("t", unknown));
    assert!(!converter.wants_to_read("t", b"{}"));
    converter.prepare_read().await.unwrap();
    assert!(!converter.wants_to_read("t", known) && !converter.wants_to_read("t", unknown));
    let read = converter.to_connect_data("t", Some(known)).unwrap();
    assert_eq!(read.schema.unwrap().version(), Some(3));
    let error = converter.to_connect_data("t", Some(unknown)).unwrap_err().0;
    assert!(
        error.contains(
            "Error retrieving Avro value schema for id 9: Schema not found; error code: 40403"
        ),
        "{error}"
    );
    for (message, text) in [
        (&b"{}"[..], "Unknown magic byte!"),
        (b"\0\x01", "2 bytes are no message of the registry"),
        (b"", "an empty message"),
        (b"\0\0\0\0\x01", "truncated"),
    ] {
        let error = converter.to_connect_data("t", Some(message)).unwrap_err().0;
        assert!(error.starts_with("Failed to deserialize data for topic t to Avro: "), "{error}");
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(converter.to_connect_data("t", None).unwrap(), SchemaAndValue::NULL);
    let asked = fake.asked();
    assert!(asked[0].starts_with("GET /schemas/ids/1?subject=t-value HTTP/1.1"), "{}", asked[0]);
}

#[tokio::test]
async fn records_need_names_where_the_strategy_takes_them() {
    let setting = [(
        "value.subject.name.strategy",
        "io.confluent.kafka.serializers.subject.RecordNameStrategy",
    )];
    let mut converter = converter("http://127.0.0.1:1", &setting);
    let schema = SchemaBuilder::new(Type::Int32).build();
    converter.prepare("t", Some(&schema)).await.unwrap();
    let data = SchemaAndValue { schema: Some(schema), value: Value::Int32(1) };
    let error = written(converter.as_mut(), &data).unwrap_err();
    assert!(error.contains("the message value must only be a record schema"), "{error}");
}
