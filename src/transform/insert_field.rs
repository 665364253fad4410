//! `org.apache.kafka.connect.transforms.InsertField`: fields from the record's metadata, and a
//! constant.

use std::sync::Arc;

use super::rebuild::{Fields, MadeOnce, basics, node_or_default, or_default, set_entry};
use super::target::{PlannedPart, Target, planned_part, require_map, require_struct};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{
    Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Struct, Type,
    Value, logical,
};
use crate::error::ConnectError;

const PURPOSE: &str = "field insertion";

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    let field =
        |name, documentation| ConfigKey::new(name, ConfigType::String, documentation).medium();
    ConfigDef::new(vec![
        field("topic.field", "The field for the topic; ! behind it makes it required."),
        field("partition.field", "The field for the Kafka partition; ! makes it required."),
        field("offset.field", "The field for the Kafka offset, sinks only; ! makes it required."),
        field("timestamp.field", "The field for the record's timestamp; ! makes it required."),
        field("static.field", "The field for the constant; ! makes it required."),
        field("static.value", "The constant."),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes `InsertField$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `InsertField$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let mut insertions = Vec::new();
    for (key, source) in [
        ("topic.field", Source::Topic),
        ("partition.field", Source::Partition),
        ("offset.field", Source::Offset),
        ("timestamp.field", Source::Timestamp),
    ] {
        insertions.extend(parsed.given_string(key).map(|text| Insertion::new(&text, source)));
    }
    if let Some(text) = parsed.given_string("static.field") {
        let value = parsed.given_string("static.value").ok_or_else(|| {
            ConnectError::config(format!(
                "Invalid value null for configuration static.value: No value specified for static \
                 field: {text}"
            ))
        })?;
        insertions.push(Insertion::new(&text, Source::Static(Value::string(value))));
    }
    if insertions.is_empty() {
        return Err(ConnectError::config("No field insertion configured"));
    }
    let replace_null_with_default = parsed.boolean("replace.null.with.default");
    let insertions = Insertions { insertions, replace_null_with_default };
    Ok(Box::new(InsertField { target, insertions, made: MadeOnce::new() }))
}

#[derive(Debug)]
struct InsertField {
    target: Target,
    insertions: Insertions,
    made: MadeOnce<(), Arc<Schema>>,
}

#[derive(Debug)]
struct Insertions {
    /// In the order of the output.
    insertions: Vec<Insertion>,
    replace_null_with_default: bool,
}

#[derive(Debug)]
struct Insertion {
    field: String,
    schema: Arc<Schema>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Static(Value),
}

impl Insertion {
    fn new(text: &str, source: Source) -> Self {
        let (field, optional) = match (text.strip_suffix('!'), text.strip_suffix('?')) {
            (Some(field), _) => (field, false),
            (None, Some(field)) => (field, true),
            (None, None) => (text, true),
        };
        let builder = match source {
            Source::Topic | Source::Static(_) => SchemaBuilder::new(Type::String),
            Source::Partition => SchemaBuilder::new(Type::Int32),
            Source::Offset => SchemaBuilder::new(Type::Int64),
            Source::Timestamp => {
                SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1)
            }
        };
        Self { field: field.to_owned(), schema: builder.with_optional(optional).build(), source }
    }

    /// What is inserted into `record`; null where it has no such thing.
    fn value(&self, record: &Record) -> Result<Value, ConnectError> {
        Ok(match &self.source {
            Source::Topic => Value::String(record.topic.clone()),
            Source::Partition => record.partition.map_or(Value::Null, Value::Int32),
            Source::Offset => record.offset.map(Value::Int64).ok_or_else(|| {
                ConnectError::data(
                    "Only SinkRecord supported for [field insertion], found: \
                     org.apache.kafka.connect.source.SourceRecord",
                )
            })?,
            Source::Timestamp => record.timestamp_ms.map_or(Value::Null, Value::Timestamp),
            Source::Static(value) => value.clone(),
        })
    }

    /// The same for all rows of a shape, if it is.
    fn node(&self, plan: &RowPlan) -> Option<Node> {
        match &self.source {
            Source::Topic => Some(Node::Const(Value::String(plan.topic.clone()))),
            Source::Static(value) => Some(Node::Const(value.clone())),
            Source::Partition | Source::Offset | Source::Timestamp => None,
        }
    }
}

impl Insertions {
    fn schema(&self, schema: &Schema) -> Result<Arc<Schema>, ConnectError> {
        let mut fields = Fields::new();
        for field in schema.fields() {
            fields.push(&field.name, field.schema.clone())?;
        }
        for insertion in &self.insertions {
            fields.push(&insertion.field, insertion.schema.clone())?;
        }
        Ok(fields.build(basics(schema)))
    }

    fn default<'a>(&self, schema: &'a Schema) -> Option<&'a Value> {
        schema.default_value().filter(|_| self.replace_null_with_default)
    }

    fn insert_into_map(
        &self,
        entries: &[(Value, Value)],
        record: &Record,
    ) -> Result<Value, ConnectError> {
        let mut entries = entries.to_vec();
        for insertion in &self.insertions {
            let value = match insertion.value(record)? {
                // Without a schema nothing would say that a number is a time.
                Value::Timestamp(millis) => Value::Int64(millis),
                Value::Null => continue,
                other => other,
            };
            let key = Value::string(&insertion.field);
            set_entry(&mut entries, key, value);
        }
        Ok(Value::Map(entries))
    }
}

impl Transformation for InsertField {
    fn plan(&self, input: &RowPlan) -> Planned {
        let (schema, nodes) = match planned_part(self.target.planned(input)) {
            PlannedPart::Null => return Planned::Plan(Arc::new(input.clone())),
            PlannedPart::Struct(schema, nodes) => (schema, nodes),
            PlannedPart::Other => return Planned::PerRecord,
        };
        let insertions = &self.insertions;
        let Ok(output) = insertions.schema(schema) else { return Planned::PerRecord };
        let kept = schema
            .fields()
            .iter()
            .zip(nodes)
            .map(|(field, node)| node_or_default(node, insertions.default(&field.schema)));
        let inserted = insertions.insertions.iter().map(|insertion| insertion.node(input));
        let Some(fields) = kept.chain(inserted).collect() else { return Planned::PerRecord };
        let node = Node::Struct { presence: None, fields };
        self.target.replaced(input, Some(PlannedValue { schema: Some(output), node }))
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        if part.value.is_null() {
            return Ok(Keep::Record);
        }
        let insertions = &self.insertions;
        let inserted = match &part.schema {
            None => {
                let value = insertions.insert_into_map(require_map(part, PURPOSE)?, record)?;
                SchemaAndValue { schema: None, value }
            }
            Some(_) => {
                let value = require_struct(part, PURPOSE)?;
                let schema = value.schema();
                let output = self.made.get(schema, (), |()| insertions.schema(schema))?;
                let mut values: Vec<_> = schema
                    .fields()
                    .iter()
                    .zip(value.values())
                    .map(|(field, value)| or_default(value, insertions.default(&field.schema)))
                    .collect();
                for insertion in &insertions.insertions {
                    values.push(insertion.value(record)?);
                }
                let output: Arc<Schema> = (*output).clone();
                let value = Value::Struct(Box::new(Struct::new(output.clone(), values)));
                SchemaAndValue { schema: Some(output), value }
            }
        };
        *self.target.of_mut(record) = inserted;
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;
    use crate::transform::testing::{apply, map, plan_agrees, record, shape, smt};

    const ALL: [(&str, &str); 6] = [
        ("static.field", "s"),
        ("static.value", "x"),
        ("timestamp.field", "ts!"),
        ("offset.field", "o"),
        ("partition.field", "p?"),
        ("topic.field", "t"),
    ];

    fn at_a_sink() -> Record {
        Record { partition: Some(3), offset: Some(9), timestamp_ms: Some(7), ..record("t") }
    }

    #[test]
    fn fields_are_appended_in_the_originals_order() {
        let mut smt = smt(construct_value, &ALL).unwrap();
        let mut record = at_a_sink();
        apply(smt.as_mut(), &mut record).unwrap();
        let text = values::format(&record.value.value).unwrap();
        assert_eq!(
            text,
            r#"{"id":1,"name":"a","kind":"n/a","t":"t","p":3,"o":9,"ts":00:00:00.007Z,"s":"x"}"#
        );
        let schema = record.value.schema.unwrap();
        let of = |name: &str| schema.field(name).unwrap().1.schema.clone();
        assert!(of("p").is_optional() && of("t").is_optional() && !of("ts").is_optional());
        assert_eq!(of("ts").name(), Some(logical::TIMESTAMP));
        assert_eq!((schema.name(), schema.is_optional()), (Some("t.Value"), false));
    }

    #[test]
    fn maps_get_plain_values() {
        let mut smt = smt(construct_value, &ALL).unwrap();
        let mut record = at_a_sink();
        record.value = SchemaAndValue { schema: None, value: map(&[("a", 1)]) };
        apply(smt.as_mut(), &mut record).unwrap();
        let text = values::format(&record.value.value).unwrap();
        assert_eq!(text, r#"{"a":1,"t":"t","p":3,"o":9,"ts":7,"s":"x"}"#);
    }

    #[test]
    fn what_all_rows_share_is_planned() {
        let (plan, batch) = shape("t");
        for (settings, planned) in [
            (&[("topic.field", "t!"), ("static.field", "s"), ("static.value", "x")][..], true),
            (&[("topic.field", "t"), ("replace.null.with.default", "false")], true),
            (&[("partition.field", "p")], false),
            (&[("topic.field", "id")], false),
        ] {
            let mut smt = smt(construct_value, settings).unwrap();
            assert_eq!(plan_agrees(smt.as_mut(), &plan, &batch), planned, "{settings:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (settings, expected) in [
            (&[][..], "No field insertion configured"),
            (
                &[("static.field", "s")],
                "Invalid value null for configuration static.value: No value specified for static \
                 field: s",
            ),
            (
                &[("offset.field", "o")],
                "Only SinkRecord supported for [field insertion], found: \
                 org.apache.kafka.connect.source.SourceRecord",
            ),
            (&[("topic.field", "id")], "Cannot create field because of field name duplication id"),
        ] {
            let applied = smt(construct_value, settings)
                .and_then(|mut smt| apply(smt.as_mut(), &mut record("t")));
            assert_eq!(applied, Err(expected.to_owned()));
        }
    }

    #[test]
    fn null_passes() {
        let mut smt = smt(construct_key, &[("topic.field", "t")]).unwrap();
        let mut record = Record { key: SchemaAndValue::NULL, ..record("t") };
        let untouched = record.clone();
        apply(smt.as_mut(), &mut record).unwrap();
        assert_eq!(record, untouched);
    }
}
