//! `io.debezium.transforms.VectorToJsonConverter`: vectors as JSON text, for sinks without a type
//! for them.

use std::sync::Arc;

use super::envelope::without_fields;
use super::rebuild::{MadeOnce, or_default};
use super::target::require_struct;
use super::{Keep, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::number_text::{push_f32, push_f64};
use crate::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use crate::error::ConnectError;

const DENSE: [&str; 2] = ["io.debezium.data.DoubleVector", "io.debezium.data.FloatVector"];
const SPARSE: &str = "io.debezium.data.SparseDoubleVector";

/// There is nothing to configure.
pub fn config_def() -> ConfigDef {
    ConfigDef::default()
}

/// Makes the transform.
///
/// # Errors
/// None; the signature is that of all transforms.
pub fn construct(_props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(VectorToJsonConverter { made: MadeOnce::new() }))
}

#[derive(Debug)]
struct VectorToJsonConverter {
    /// Schemas with text in place of vectors.
    made: MadeOnce<(), Arc<Schema>>,
}

impl Transformation for VectorToJsonConverter {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        if record.value.value.is_null() {
            return Ok(Keep::Record);
        }
        let value = require_struct(&record.value, "Value should be a struct")?;
        let schema: Arc<Schema> =
            (*self.made.get(value.schema(), (), |()| Ok(with_text(value.schema())))?).clone();
        let value = converted(value, &schema);
        record.value = SchemaAndValue { schema: Some(schema), value };
        Ok(Keep::Record)
    }
}

fn with_text(schema: &Arc<Schema>) -> Arc<Schema> {
    let mut builder = without_fields(schema);
    for field in schema.fields() {
        let name = field.schema.name().unwrap_or_default();
        let schema = if DENSE.contains(&name) || name == SPARSE {
            SchemaBuilder::new(Type::String)
                .name("io.debezium.data.Json")
                .version(1)
                .with_optional(field.schema.is_optional())
                .build()
        } else if field.schema.ty() == Type::Struct {
            with_text(&field.schema)
        } else {
            field.schema.clone()
        };
        builder = builder.field(field.name.as_str(), schema);
    }
    builder.build()
}

fn converted(value: &Struct, schema: &Arc<Schema>) -> Value {
    let members = value.schema().fields().iter().zip(value.values()).zip(schema.fields());
    let values = members.map(|((field, value), output)| {
        let name = field.schema.name().unwrap_or_default();
        match value {
            Value::Array(items) if DENSE.contains(&name) => Value::string(dense(items)),
            Value::Struct(vector) if name == SPARSE => Value::string(sparse(vector)),
            Value::Struct(value) => converted(value, &output.schema),
            value => or_default(value, field.schema.default_value()),
        }
    });
    let values = values.collect();
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

fn number(value: &Value) -> String {
    let mut text = Vec::new();
    match value {
        Value::Float32(number) => push_f32(&mut text, *number),
        Value::Float64(number) => push_f64(&mut text, *number),
        _ => text.extend_from_slice(b"null"),
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn dense(items: &[Value]) -> String {
    let items: Vec<_> = items.iter().map(number).collect();
    format!("{{ \"values\": [{}] }}", items.join(", "))
}

/// Keys in ascending order.
fn sparse(vector: &Struct) -> String {
    let dimensions = vector.get("dimensions").and_then(Value::as_i64).unwrap_or_default();
    let mut entries: Vec<_> = match vector.get("vector") {
        Some(Value::Map(entries)) => {
            entries.iter().map(|(key, value)| (key.as_i64().unwrap_or_default(), value)).collect()
        }
        _ => Vec::new(),
    };
    entries.sort_by_key(|(key, _)| *key);
    let entry = |(key, value): &(i64, &Value)| format!("\"{key}\": {}", number(value));
    let entries: Vec<_> = entries.iter().map(entry).collect();
    format!("{{ \"dimensions\": {dimensions}, \"vector\": {{ {} }} }}", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, record, smt};

    #[test]
    fn vectors_become_text() {
        let items = |ty| SchemaBuilder::new(ty).build();
        let dense = SchemaBuilder::array(items(Type::Float64)).name(DENSE[0]).optional().build();
        let map = SchemaBuilder::map(items(Type::Int16), items(Type::Float64)).build();
        let sparse = SchemaBuilder::structure()
            .name(SPARSE)
            .field("dimensions", items(Type::Int16))
            .field("vector", map)
            .build();
        let schema = SchemaBuilder::structure()
            .field("d", dense.clone())
            .field("n", dense)
            .field("s", sparse.clone())
            .build();
        let entries =
            vec![(Value::Int16(3), Value::Float64(1.5)), (Value::Int16(1), Value::Float64(2.0))];
        let vector = Struct::new(sparse, vec![Value::Int16(5), Value::Map(entries)]);
        let values = vec![
            Value::Array(vec![Value::Float64(1.0), Value::Float64(2.5)]),
            Value::Null,
            Value::Struct(Box::new(vector)),
        ];
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        let mut record =
            Record { value: SchemaAndValue { schema: Some(schema), value }, ..record("t") };
        let mut smt = smt(construct, &[]).unwrap();
        apply(smt.as_mut(), &mut record).unwrap();
        let output = record.value.value.as_struct().unwrap();
        assert_eq!(
            output.values(),
            [
                Value::string("{ \"values\": [1.0, 2.5] }"),
                Value::Null,
                Value::string("{ \"dimensions\": 5, \"vector\": { \"1\": 2.0, \"3\": 1.5 } }"),
            ]
        );
        assert_eq!(
            output.schema().field("s").unwrap().1.schema.name(),
            Some("io.debezium.data.Json")
        );
    }

    #[test]
    fn other_values_are_refused_and_nulls_pass() {
        let mut smt = smt(construct, &[]).unwrap();
        let mut null = Record { value: SchemaAndValue::NULL, ..record("t") };
        assert_eq!(apply(smt.as_mut(), &mut null), Ok(Keep::Record));
        null.value.value = Value::string("x");
        assert_eq!(
            apply(smt.as_mut(), &mut null).unwrap_err(),
            "Only Struct objects supported for [Value should be a struct], found: java.lang.String"
        );
    }
}
