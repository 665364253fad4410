//! `io.debezium.transforms.ExtractSchemaToNewRecord`: the source table's columns as a member of the
//! change event, from the parameters that `column.propagate.source.type` and
//! `datatype.propagate.source.type` leave in the schema.

use std::sync::Arc;

use super::envelope::{change_event, member, text};
use super::rebuild::{MadeOnce, basics};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::{Field, Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use crate::error::ConnectError;

const NOT_PROPAGATED: &str = "Ensure that enable configurations \"column.propagate.source.type\" or \
     \"datatype.propagate.source.type\" and the value is set to \".*\"";

/// There is nothing to configure.
pub fn config_def() -> ConfigDef {
    ConfigDef::default()
}

/// Makes the transform.
///
/// # Errors
/// None; the signature is that of all transforms.
pub fn construct(_props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(ExtractSchemaToNewRecord { made: MadeOnce::new() }))
}

#[derive(Debug)]
struct ExtractSchemaToNewRecord {
    made: MadeOnce<(), Extended>,
}

/// The event's schema with `sourceSchema`, and that member's schema and its table.
#[derive(Debug)]
struct Extended {
    schema: Arc<Schema>,
    source: Arc<Schema>,
    table: Value,
}

impl Transformation for ExtractSchemaToNewRecord {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let Some(event) = change_event(record) else { return Ok(Keep::Record) };
        // A truncate has no row whose columns could be told.
        if member(event, "after").is_none() && member(event, "before").is_none() {
            return Ok(Keep::Record);
        }
        let made = self.made.get(event.schema(), (), |()| extended(event.schema()))?;
        let table = member(event, "source").and_then(|source| text(source, "table"));
        let id =
            table.ok_or_else(|| ConnectError::data("the change event's source has no table"))?;
        let source = Struct::new(made.source.clone(), vec![Value::string(id), made.table.clone()]);
        let mut values = event.values().to_vec();
        values.push(Value::Struct(Box::new(source)));
        let value = Value::Struct(Box::new(Struct::new(made.schema.clone(), values)));
        record.value = SchemaAndValue { schema: Some(made.schema.clone()), value };
        Ok(Keep::Record)
    }
}

fn extended(event: &Schema) -> Result<Extended, ConnectError> {
    let plain = |ty, optional| SchemaBuilder::new(ty).with_optional(optional).build();
    let named = |name: &str| {
        let name = format!("io.debezium.connector.source.{name}");
        SchemaBuilder::structure().name(name).version(1)
    };
    let column = named("schema.Column")
        .field("name", plain(Type::String, false))
        .field("typeName", plain(Type::String, false))
        .field("length", plain(Type::Int32, true))
        .field("scale", plain(Type::Int32, true))
        .field("comment", plain(Type::String, true))
        .build();
    let columns = SchemaBuilder::array(column.clone()).build();
    let table = named("schema.Table").field("columns", columns).build();
    let source = named("Schema")
        .field("id", plain(Type::String, false))
        .field("table", table.clone())
        .build();
    let row = event.field("after").ok_or_else(|| ConnectError::data(NOT_PROPAGATED))?.1;
    let columns = row.schema.fields().iter().map(|field| described(field, &column));
    let columns = Value::Array(columns.collect::<Result<_, _>>()?);
    let table = Value::Struct(Box::new(Struct::new(table, vec![columns])));
    let mut builder = basics(event);
    for field in event.fields() {
        builder = builder.field(field.name.as_str(), field.schema.clone());
    }
    let schema = builder.field("sourceSchema", source.clone()).build();
    Ok(Extended { schema, source, table })
}

fn described(field: &Field, column: &Arc<Schema>) -> Result<Value, ConnectError> {
    let parameter =
        |name: &str| field.schema.parameter(&format!("__debezium.source.column.{name}"));
    let ty = parameter("type").ok_or_else(|| ConnectError::data(NOT_PROPAGATED))?;
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::string);
    let number = |text: Option<&str>| {
        text.and_then(|text| text.parse().ok()).map_or(Value::Null, Value::Int32)
    };
    let values = vec![
        Value::string(parameter("name").unwrap_or(&field.name)),
        Value::string(ty),
        number(parameter("length")),
        number(parameter("scale")),
        text(parameter("comment")),
    ];
    Ok(Value::Struct(Box::new(Struct::new(column.clone(), values))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;
    use crate::transform::testing::{apply, change, record, row, smt};

    #[test]
    fn columns_are_told_by_their_parameters() {
        let id = SchemaBuilder::new(Type::Int32)
            .parameter("__debezium.source.column.type", "INT4")
            .parameter("__debezium.source.column.length", "10")
            .parameter("__debezium.source.column.name", "id")
            .build();
        let schema =
            SchemaBuilder::structure().optional().name("s.db.t.Value").field("id", id).build();
        let after = Value::Struct(Box::new(Struct::new(schema, vec![Value::Int32(1)])));
        let mut record = change("c", Value::Null, after);
        let mut smt = smt(construct, &[]).unwrap();
        apply(smt.as_mut(), &mut record).unwrap();
        let source = record.value.value.as_struct().unwrap().get("sourceSchema").unwrap();
        assert_eq!(
            values::format(source).unwrap(),
            "{\"id\":\"t\",\"table\":{\"columns\":[{\"name\":\"id\",\"typeName\":\"INT4\",\
             \"length\":10,\"scale\":null,\"comment\":null}]}}"
        );
    }

    #[test]
    fn without_parameters_the_hint_is_given() {
        let mut smt = smt(construct, &[]).unwrap();
        let mut event = change("c", Value::Null, row(1, "a"));
        assert_eq!(apply(smt.as_mut(), &mut event).unwrap_err(), NOT_PROPAGATED);
        let mut other = record("t");
        apply(smt.as_mut(), &mut other).unwrap();
        assert_eq!(other, record("t"));
    }
}
