//! An example for every body and answer of the document: errors as they read, the rest from the
//! examples of the members.

use serde_json::{Map, Value, json};
use utoipa::openapi::{Content, OpenApi, RefOr};

use super::openapi::operations;

/// How deep schemas may refer to each other.
const DEPTH_MAX: usize = 16;

/// What errors say, for example; the first row that fits counts. A method or path that is empty is
/// any, a path is its end.
const MESSAGES: &[(&str, &str, &str, &str)] = &[
    ("post", "/rollback", "400", "write {\"version\": N} with a version of the history"),
    ("post", "/rollback", "404", "Connector s3-sink has no configuration of version 7"),
    ("post", "/connectors", "409", "Connector s3-sink already exists"),
    (
        "put",
        "/validate",
        "400",
        "Included connector type S3SinkConnector does not match request type FileStreamSource",
    ),
    (
        "put",
        "/admin/loggers/{logger}",
        "400",
        "Desired 'level' parameter was not specified in request.",
    ),
    ("put", "/admin/loggers/{logger}", "404", "invalid log level 'LOUD'."),
    ("", "/admin/loggers/{logger}", "404", "Logger nobody not found."),
    (
        "",
        "/connector-plugins/{plugin}/config",
        "400",
        "Invalid plugin class FileConfigProvider. Valid types are sink, source, converter, header_converter, transformation, predicate.",
    ),
    ("", "/connector-plugins/{plugin}/config", "404", "Unknown plugin zzz."),
    (
        "patch",
        "/offsets",
        "400",
        "Partitions / offsets need to be provided for an alter offsets request",
    ),
    (
        "delete",
        "/offsets",
        "400",
        "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/s3-sink/stop' endpoint",
    ),
    ("", "/topics", "403", "Topic tracking is disabled."),
    ("", "/topics/reset", "403", "Topic tracking reset is disabled."),
    ("get", "/connectors/{connector}/status", "404", "No status found for connector s3-sink"),
    ("get", "/connectors/{connector}/health", "404", "No status found for connector s3-sink"),
    ("get", "/tasks/{task}/status", "404", "No status found for task s3-sink-0"),
    ("post", "/tasks/{task}/restart", "404", "Unknown task: s3-sink-0"),
    ("post", "/restart", "404", "Unknown connector: s3-sink"),
    ("put", "/pause", "404", "Unknown connector s3-sink"),
    ("put", "/resume", "404", "Unknown connector s3-sink"),
    ("put", "/stop", "404", "Unknown connector s3-sink"),
    (
        "",
        "",
        "400",
        "Connector configuration is invalid and contains the following 1 error(s):\nInvalid value 0 for configuration tasks.max: Value must be at least 1\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
    ),
    ("", "", "404", "Connector s3-sink not found"),
    (
        "",
        "",
        "409",
        "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)",
    ),
    ("", "", "413", "The request body is longer than 2097152 bytes, the limit of this worker"),
    ("", "", "403", "alice is not allowed to do this: it takes an editor of connector s3-sink"),
    ("", "", "429", "Too many requests: try again in 2 s"),
    ("", "", "500", "the state database is away"),
];

/// Puts an example wherever there is none.
pub(super) fn add_examples(document: &mut OpenApi) {
    let schemas = serde_json::to_value(&document.components).expect("components are JSON");
    let schemas = &schemas["schemas"];
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                add(body.content.values_mut(), |schema| example(schema, schemas, DEPTH_MAX));
            }
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else { continue };
                add(response.content.values_mut(), |schema| match is_error(schema) {
                    true => error(method, path, status),
                    false => example(schema, schemas, DEPTH_MAX),
                });
            }
        }
    }
}

fn add<'a>(
    contents: impl Iterator<Item = &'a mut RefOr<Content>>,
    example: impl Fn(&Value) -> Option<Value>,
) {
    for content in contents {
        let RefOr::T(content) = content else { continue };
        if content.example.is_none() && content.examples.is_empty() {
            let schema = serde_json::to_value(&content.schema).expect("a schema is JSON");
            content.example = example(&schema);
        }
    }
}

fn is_error(schema: &Value) -> bool {
    schema["$ref"] == "#/components/schemas/ErrorMessage"
}

fn error(method: &str, path: &str, status: &str) -> Option<Value> {
    let fits = |(of, end, code, _): &&(&str, &str, &str, &str)| {
        *code == status && (of.is_empty() || *of == method) && path.ends_with(end)
    };
    let (_, _, _, message) = MESSAGES.iter().find(fits)?;
    Some(json!({"error_code": status.parse::<u16>().ok()?, "message": message}))
}

/// An instance of `schema`, made of the examples in it.
fn example(schema: &Value, schemas: &Value, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    if let Some(own) = schema.get("example") {
        return Some(own.clone());
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return example(schemas.get(name)?, schemas, depth);
    }
    for of in ["oneOf", "anyOf"] {
        if let Some(cases) = schema[of].as_array() {
            return cases.iter().find_map(|case| example(case, schemas, depth));
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            whole.extend(example(part, schemas, depth)?.as_object()?.clone());
        }
        return Some(whole.into());
    }
    if let Some(items) = schema.get("items") {
        return Some(json!([example(items, schemas, depth)?]));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let members = properties
            .iter()
            .map(|(name, property)| Some((name.clone(), example(property, schemas, depth)?)));
        return members.collect::<Option<Map<_, _>>>().map(Value::Object);
    }
    let values = schema.get("additionalProperties")?;
    Some(json!({"s3-sink": example(values, schemas, depth)?}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::document;

    #[test]
    fn every_parameter_body_and_answer_has_an_example() {
        let document = serde_json::to_value(document()).unwrap();
        let mut missing = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    if parameter.get("example").is_none() || parameter.get("description").is_none()
                    {
                        missing.push(format!("{at}: {}", parameter["name"]));
                    }
                }
                let body = &operation["requestBody"];
                let answers = operation["responses"].as_object().unwrap();
                let bodies = answers.iter().map(|(status, answer)| (status.as_str(), answer));
                for (what, described) in bodies.chain([("body", body)]) {
                    if !described.is_null() && described["description"].as_str().is_none() {
                        missing.push(format!("{at}: {what} is not described"));
                    }
                    for (kind, content) in described["content"].as_object().into_iter().flatten() {
                        if content.get("example").is_none() {
                            missing.push(format!("{at}: {what} {kind}"));
                        }
                    }
                }
            }
        }
        assert!(missing.is_empty(), "no example:\n{}", missing.join("\n"));
    }

    #[test]
    fn errors_read_as_they_do() {
        for (method, path, status, expected) in [
            ("get", "/connectors/{connector}", "404", "Connector s3-sink not found"),
            ("put", "/connectors/{connector}/pause", "404", "Unknown connector s3-sink"),
            ("get", "/admin/loggers/{logger}", "404", "Logger nobody not found."),
            ("put", "/admin/loggers/{logger}", "404", "invalid log level 'LOUD'."),
        ] {
            let found = error(method, path, status).unwrap();
            assert_eq!(found["message"], expected, "{method} {path}");
        }
        assert_eq!(error("get", "/", "418"), None);
    }
}
