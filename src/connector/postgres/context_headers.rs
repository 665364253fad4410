//! The headers that say which run of which connector a record is of (Debezium, "Context headers").

use std::sync::Arc;

use uuid::Uuid;

use crate::data::{Header, SchemaBuilder, Type, Value};

/// The headers of a run that begins now.
pub(super) fn of_run(topic_prefix: &str) -> Arc<[Header]> {
    // Time-ordered, so that runs sort as they began.
    let run = Uuid::now_v7().to_string();
    let schema = SchemaBuilder::new(Type::String).build();
    [
        ("connectorLogicalName", topic_prefix),
        ("taskId", "0"),
        ("connectorName", "postgresql"),
        ("runId", run.as_str()),
    ]
    .map(|(name, value)| Header {
        key: format!("__debezium.context.{name}"),
        schema: Some(schema.clone()),
        value: Value::string(value),
    })
    .into()
}
