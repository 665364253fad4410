//! The API's document, made from the handlers themselves; `openapi/connect.json` is the committed
//! form, and a test compares the two.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};

use super::examples::add_examples;
use super::{Api, admin_routes, routes};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Ferroconnect",
        description = "The REST API of Kafka Connect 3.9, with the additions of 4.x that take nothing \
                       away.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "http://localhost:8083", description = "A worker on this machine")),
    tags(
        (name = "worker", description = "The worker itself"),
        (name = "connectors", description = "Connectors and what they are told to do"),
        (name = "tasks", description = "The tasks of a connector"),
        (name = "topics", description = "The topics that a connector used"),
        (name = "offsets", description = "Where a connector is"),
        (name = "loggers", description = "What the worker logs"),
        (name = "history", description = "Who changed what, and the way back"),
        (name = "plugins", description = "What connectors can be made of"),
    ),
)]
struct Head;

/// The document of this API.
pub fn document() -> OpenApi {
    let (_, mut document) = routes().merge(admin_routes()).split_for_parts();
    for (path, item) in &mut document.paths.paths {
        let json_resource = path.starts_with("/connector") || path.starts_with("/admin");
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            add_common_answers(operation, json_resource);
        }
    }
    let mut head = Head::openapi();
    head.merge(document);
    add_examples(&mut head);
    head
}

/// The document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "worker",
    responses((status = 200, description = "This document", body = serde_json::Value, example = json!({"openapi": "3.1.0"})))
)]
pub(super) async fn openapi(State(api): State<Api>) -> Response {
    ([(CONTENT_TYPE, "application/json")], api.document).into_response()
}

/// The operations of a path by their method.
pub(super) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Unique, as the format wants it, which the handlers' names are not.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(['/', '-', '.', '{', '}']).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

/// What every operation may answer besides.
fn add_common_answers(operation: &mut Operation, json_resource: bool) {
    let common: &[(&str, &str)] = &[
        ("401", "Nobody knows who asks; only where the worker wants to know"),
        ("403", "Whoever asks is not allowed to do this"),
        ("429", "Whoever asks has asked too often; Retry-After says when to try again"),
        ("406", "The client does not take JSON"),
        ("415", "The body is declared as something else than JSON"),
        ("500", "The body cannot be read, or the worker cannot do what was asked"),
    ];
    for (status, description) in common {
        let applies = json_resource || *status != "415";
        if !applies || operation.responses.responses.contains_key(*status) {
            continue;
        }
        let mut response = ResponseBuilder::new().description(*description);
        // What is decided before a handler is chosen has no `Content-Type`, as in the original: its
        // JSON is not declared.
        if matches!(*status, "403" | "429" | "500") {
            let content = Content::new(Some(Ref::from_schema_name("ErrorMessage")));
            response = response.content("application/json", content);
        }
        if *status == "401" {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let mut content = Content::new(Some(RefOr::T(Schema::Object(text.build()))));
            content.example = Some("User cannot access the resource.".into());
            response = response.content("text/plain; charset=utf-8", content);
        }
        operation.responses.responses.insert((*status).to_owned(), response.build().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_this_one() {
        let mut text = document().to_pretty_json().expect("the document is JSON");
        text.push('\n');
        expect_test::expect_file!["../../openapi/connect.json"].assert_eq(&text);
        let text = document().to_yaml().expect("the document is YAML");
        expect_test::expect_file!["../../openapi/connect.yaml"].assert_eq(&text);
    }

    #[test]
    fn every_operation_declares_its_errors_and_every_reference_leads_somewhere() {
        let text = document().to_json().expect("the document is JSON");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().expect("a name");
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                assert!(operation["responses"].get("500").is_some(), "{method} {path}");
                assert!(operation.get("summary").is_some(), "{method} {path}");
            }
        }
    }
}
