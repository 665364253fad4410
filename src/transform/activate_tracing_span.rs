//! `io.debezium.transforms.tracing.ActivateTracingSpan`: the trace that a row was written in goes on
//! in the message's headers (W3C Trace Context).
//!
//! The original also reports spans of its own through an OpenTelemetry agent. There is none here: the
//! writer's context is handed on as it stands in the row, so that consumers are its children.

use super::envelope::{change_event, member, text};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, parse_properties};
use crate::data::{Header, Record, SchemaBuilder, Type, Value};
use crate::error::ConnectError;

const FIELD: &str = "tracing.span.context.field";
/// What OpenTelemetry's default propagators carry ("Trace Context", "Baggage").
const CARRIED: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    ConfigDef::new(vec![
        key(
            FIELD,
            ConfigType::String,
            "The column with the writer's span context, as the text of a Java properties file.",
        )
        .default("tracingspancontext")
        .high(),
        key(
            "tracing.operation.name",
            ConfigType::String,
            "The name of the span that the original reports; no effect here, where none is.",
        )
        .default("debezium-read")
        .high(),
        key(
            "tracing.with.context.field.only",
            ConfigType::Boolean,
            "Whether only rows with a span context are traced; no effect here, where others have \
             nothing to hand on.",
        )
        .default("false")
        .high(),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let field = config_def().parse(props)?.string(FIELD);
    Ok(Box::new(ActivateTracingSpan { field }))
}

#[derive(Debug)]
struct ActivateTracingSpan {
    field: String,
}

impl Transformation for ActivateTracingSpan {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let after = change_event(record).and_then(|event| member(event, "after"));
        let Some(context) = after.and_then(|after| text(after, &self.field)) else {
            return Ok(Keep::Record);
        };
        let context = parse_properties(context).map_err(|reason| {
            let field = &self.field;
            ConnectError::data(format!("the column {field} holds no properties: {reason}"))
        })?;
        for key in CARRIED {
            let Some(value) = context.get(key) else { continue };
            record.headers.retain(|header| header.key != key);
            record.headers.push(Header {
                key: key.to_owned(),
                schema: Some(SchemaBuilder::new(Type::String).build()),
                value: Value::string(value),
            });
        }
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, change, record, row, smt};

    #[test]
    fn the_writers_context_goes_into_headers() {
        let mut smt = smt(construct, &[(FIELD, "name")]).unwrap();
        let text = "#Wed May 01\ntraceparent=00-4bf9-00f0-01\nbaggage=a\\=b\nother=x\n";
        let mut traced = change("c", Value::Null, row(1, text));
        traced.headers.push(Header {
            key: "traceparent".to_owned(),
            schema: None,
            value: Value::string("older"),
        });
        apply(smt.as_mut(), &mut traced).unwrap();
        let shown = traced
            .headers
            .iter()
            .map(|header| format!("{}: {}", header.key, header.value.as_str().unwrap_or_default()));
        assert_eq!(shown.collect::<Vec<_>>(), ["traceparent: 00-4bf9-00f0-01", "baggage: a=b"]);
    }

    #[test]
    fn what_has_no_context_passes_and_a_broken_one_is_named() {
        let mut by_default = smt(construct, &[]).unwrap();
        for input in [change("c", Value::Null, row(1, "a")), record("t")] {
            let mut output = input.clone();
            apply(by_default.as_mut(), &mut output).unwrap();
            assert_eq!(output, input);
        }
        let mut smt = smt(construct, &[(FIELD, "name")]).unwrap();
        let mut broken = change("c", Value::Null, row(1, "traceparent=\\u00"));
        let error = apply(smt.as_mut(), &mut broken).unwrap_err();
        assert!(error.starts_with("the column name holds no properties: line 1"), "{error}");
    }
}
