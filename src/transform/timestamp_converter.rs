//! `org.apache.kafka.connect.transforms.TimestampConverter`: instants between text, numbers and
//! Connect's logical types.

use std::sync::Arc;

use super::java_date_format::DateFormat;
use super::rebuild::{Fields, MadeOnce, basics, node_converted, node_or_default, or_default};
use super::target::{PlannedPart, Target, planned_part, require_map};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::values::DAY_MS;
use crate::data::{
    Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Struct, Type,
    Value, logical,
};
use crate::error::ConnectError;

const PURPOSE: &str = "converting timestamp formats";
const NO_FORMAT: &str =
    "TimestampConverter requires format option to be specified when using string timestamps";

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("field", ConfigType::String, "The field; the whole key or value if empty.")
            .default("")
            .high(),
        ConfigKey::new("target.type", ConfigType::String, "What instants become.")
            .required()
            .high()
            .check(Validator::OneOf(&["string", "unix", "Date", "Time", "Timestamp"])),
        ConfigKey::new(
            "format",
            ConfigType::String,
            "The pattern of text, as for java.text.SimpleDateFormat, in UTC.",
        )
        .default("")
        .medium(),
        ConfigKey::new("unix.precision", ConfigType::String, "The unit of numbers.")
            .default("milliseconds")
            .check(Validator::OneOf(&["nanoseconds", "microseconds", "milliseconds", "seconds"])),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes `TimestampConverter$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `TimestampConverter$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let kind = match parsed.string("target.type").as_str() {
        "string" => Kind::Text,
        "unix" => Kind::Unix,
        "Date" => Kind::Date,
        "Time" => Kind::Time,
        _ => Kind::Timestamp,
    };
    let pattern = parsed.optional_string("format");
    if kind == Kind::Text && pattern.is_none() {
        return Err(ConnectError::config(NO_FORMAT));
    }
    let format = pattern.map(|pattern| {
        let format = DateFormat::new(&pattern).map_err(|reason| {
            // The two places are swapped in the original.
            ConnectError::config(format!(
                "Invalid value java.lang.IllegalArgumentException: {reason} for configuration \
                 TimestampConverter requires a SimpleDateFormat-compatible pattern for string \
                 timestamps: {pattern}"
            ))
        })?;
        Ok::<_, ConnectError>((pattern, format))
    });
    let per_milli = match parsed.string("unix.precision").as_str() {
        "seconds" => Precision::Coarser(1000),
        "microseconds" => Precision::Finer(1000),
        "nanoseconds" => Precision::Finer(1_000_000),
        _ => Precision::Finer(1),
    };
    Ok(Box::new(TimestampConverter {
        target,
        field: parsed.optional_string("field"),
        conversion: Conversion { kind, format: format.transpose()?, precision: per_milli },
        replace_null_with_default: parsed.boolean("replace.null.with.default"),
        made: MadeOnce::new(),
    }))
}

#[derive(Debug)]
struct TimestampConverter {
    target: Target,
    /// `None` is the whole.
    field: Option<String>,
    conversion: Conversion,
    replace_null_with_default: bool,
    made: MadeOnce<(), Arc<Schema>>,
}

/// A form of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

/// The unit of numbers, against milliseconds.
#[derive(Debug, Clone, Copy)]
enum Precision {
    Finer(i64),
    Coarser(i64),
}

#[derive(Debug)]
struct Conversion {
    kind: Kind,
    format: Option<(String, DateFormat)>,
    precision: Precision,
}

impl Kind {
    /// What a schema's values are.
    fn of(schema: &Schema) -> Result<Self, ConnectError> {
        match (schema.name(), schema.ty()) {
            (Some(logical::TIMESTAMP), _) => Ok(Self::Timestamp),
            (Some(logical::DATE), _) => Ok(Self::Date),
            (Some(logical::TIME), _) => Ok(Self::Time),
            (_, Type::String) => Ok(Self::Text),
            (_, Type::Int64) => Ok(Self::Unix),
            (name, ty) => {
                let (name, ty) = (name.map(|name| format!("{name}:")), ty.name());
                let name = name.unwrap_or_default();
                Err(ConnectError::data(format!(
                    "Schema Schema{{{name}{ty}}} does not correspond to a known timestamp type \
                     format"
                )))
            }
        }
    }

    fn schema(self, optional: bool) -> Arc<Schema> {
        let builder = match self {
            Self::Text => SchemaBuilder::new(Type::String),
            Self::Unix => SchemaBuilder::new(Type::Int64),
            Self::Date => SchemaBuilder::new(Type::Int32).name(logical::DATE).version(1),
            Self::Time => SchemaBuilder::new(Type::Int32).name(logical::TIME).version(1),
            Self::Timestamp => SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1),
        };
        builder.with_optional(optional).build()
    }
}

impl Conversion {
    fn convert(&self, value: &Value) -> Result<Value, ConnectError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let millis = self.millis(value)?;
        Ok(match self.kind {
            Kind::Text => {
                let (_, format) = self.format()?;
                Value::string(format.format(millis))
            }
            Kind::Unix => Value::Int64(match self.precision {
                Precision::Finer(factor) => millis.saturating_mul(factor),
                Precision::Coarser(divisor) => millis / divisor,
            }),
            Kind::Date => Value::Date(in_32_bits(millis.div_euclid(DAY_MS))?),
            Kind::Time => Value::Time(in_32_bits(millis.rem_euclid(DAY_MS))?),
            Kind::Timestamp => Value::Timestamp(millis),
        })
    }

    /// Whether the number in a row's cell is the same after the conversion.
    fn keeps(&self, source: Kind) -> bool {
        let in_millis = matches!(self.precision, Precision::Finer(1));
        match (source, self.kind) {
            (Kind::Timestamp, Kind::Timestamp) | (Kind::Date, Kind::Date) => true,
            (Kind::Timestamp | Kind::Unix, Kind::Timestamp | Kind::Unix) => in_millis,
            _ => false,
        }
    }

    fn format(&self) -> Result<&(String, DateFormat), ConnectError> {
        self.format.as_ref().ok_or_else(|| ConnectError::data(NO_FORMAT))
    }

    fn millis(&self, value: &Value) -> Result<i64, ConnectError> {
        match value {
            Value::Timestamp(millis) => Ok(*millis),
            Value::Date(days) => Ok(i64::from(*days) * DAY_MS),
            Value::Time(millis) => Ok((*millis).into()),
            Value::Int64(number) => Ok(match self.precision {
                Precision::Finer(factor) => number / factor,
                Precision::Coarser(divisor) => number.saturating_mul(divisor),
            }),
            Value::String(text) => {
                let (pattern, format) = self.format()?;
                format.parse(text).ok_or_else(|| {
                    ConnectError::data(format!(
                        "Could not parse timestamp: value ({text}) does not match pattern \
                         ({pattern})"
                    ))
                })
            }
            other => {
                let class = other.java_class();
                Err(ConnectError::data(format!(
                    "TimestampConverter does not support class {class} objects as timestamps"
                )))
            }
        }
    }
}

fn in_32_bits(number: i64) -> Result<i32, ConnectError> {
    i32::try_from(number)
        .map_err(|_| ConnectError::data(format!("{number} days are beyond a Date's range")))
}

impl TimestampConverter {
    /// `None`: it depends on the row.
    fn planned(&self, input: &RowPlan) -> Option<Planned> {
        let name = self.field.as_deref()?;
        if self.target.planned(input).is_none() {
            return Some(Planned::Plan(Arc::new(input.clone())));
        }
        let PlannedPart::Struct(schema, nodes) = planned_part(self.target.planned(input)) else {
            return None;
        };
        let mut fields = Vec::with_capacity(nodes.len());
        for (field, node) in schema.fields().iter().zip(nodes) {
            let default = field.schema.default_value();
            let node = node_or_default(node, default.filter(|_| self.replace_null_with_default))?;
            fields.push(if field.name == name {
                let keeps = self.conversion.keeps(Kind::of(&field.schema).ok()?);
                node_converted(&node, keeps, |value| self.conversion.convert(value))?
            } else {
                node
            });
        }
        let schema = converted_schema(schema, name, self.conversion.kind).ok()?;
        let node = Node::Struct { presence: None, fields };
        Some(self.target.replaced(input, Some(PlannedValue { schema: Some(schema), node })))
    }
}

impl Transformation for TimestampConverter {
    fn plan(&self, input: &RowPlan) -> Planned {
        self.planned(input).unwrap_or(Planned::PerRecord)
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        let converted = match (&part.schema, self.field.clone()) {
            (None, None) => {
                SchemaAndValue { schema: None, value: self.conversion.convert(&part.value)? }
            }
            (None, Some(_)) if part.value.is_null() => return Ok(Keep::Record),
            (None, Some(field)) => {
                let entries = self.in_map(require_map(part, PURPOSE)?, &field)?;
                SchemaAndValue { schema: None, value: Value::Map(entries) }
            }
            (Some(schema), None) => {
                Kind::of(schema)?;
                let kind = self.conversion.kind;
                let output: Arc<Schema> =
                    (*self.made.get(schema, (), |()| Ok(kind.schema(schema.is_optional())))?)
                        .clone();
                let value = self.conversion.convert(&part.value)?;
                SchemaAndValue { schema: Some(output), value }
            }
            (Some(schema), Some(field)) => self.in_struct(schema, &part.value, &field)?,
        };
        *self.target.of_mut(record) = converted;
        Ok(Keep::Record)
    }
}

impl TimestampConverter {
    fn in_map(
        &self,
        entries: &[(Value, Value)],
        field: &str,
    ) -> Result<Vec<(Value, Value)>, ConnectError> {
        let mut entries = entries.to_vec();
        match entries.iter_mut().find(|(key, _)| key.as_str() == Some(field)) {
            Some((_, value)) => *value = self.conversion.convert(value)?,
            None => entries.push((Value::string(field), Value::Null)),
        }
        Ok(entries)
    }

    fn in_struct(
        &mut self,
        schema: &Arc<Schema>,
        value: &Value,
        field: &str,
    ) -> Result<SchemaAndValue, ConnectError> {
        let kind = self.conversion.kind;
        let output: Arc<Schema> =
            (*self.made.get(schema, (), |()| converted_schema(schema, field, kind))?).clone();
        let value = match value {
            Value::Null => Value::Null,
            Value::Struct(value) => {
                let mut values = Vec::with_capacity(value.values().len());
                for (member, value) in value.schema().fields().iter().zip(value.values()) {
                    let default = member.schema.default_value();
                    let value =
                        or_default(value, default.filter(|_| self.replace_null_with_default));
                    values.push(match member.name == field {
                        true => self.conversion.convert(&value)?,
                        false => value,
                    });
                }
                Value::Struct(Box::new(Struct::new(output.clone(), values)))
            }
            other => {
                let class = other.java_class();
                return Err(ConnectError::data(format!(
                    "Only Struct objects supported for [{PURPOSE}], found: {class}"
                )));
            }
        };
        Ok(SchemaAndValue { schema: Some(output), value })
    }
}

fn converted_schema(schema: &Schema, field: &str, kind: Kind) -> Result<Arc<Schema>, ConnectError> {
    let mut fields = Fields::new();
    for member in schema.fields() {
        let converted = match member.name == field {
            true => {
                Kind::of(&member.schema)?;
                kind.schema(member.schema.is_optional())
            }
            false => member.schema.clone(),
        };
        fields.push(&member.name, converted)?;
    }
    Ok(fields.build(basics(schema).with_optional(schema.is_optional())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, map, record, smt};

    const MILLIS: i64 = 1_714_680_930_123;

    fn converted(
        settings: &[(&str, &str)],
        schema: Option<Arc<Schema>>,
        value: Value,
    ) -> Result<SchemaAndValue, String> {
        let mut smt = smt(construct_value, settings)?;
        let mut record = Record { value: SchemaAndValue { schema, value }, ..record("t") };
        apply(smt.as_mut(), &mut record)?;
        Ok(record.value)
    }

    #[test]
    fn instants_change_their_form() {
        let micros = ("unix.precision", "microseconds");
        let format = ("format", "yyyy-MM-dd");
        let target = |kind| ("target.type", kind);
        for (settings, value, expected) in [
            (&[target("Timestamp")][..], Value::Int64(MILLIS), Value::Timestamp(MILLIS)),
            (&[target("Timestamp"), micros], Value::Int64(-1999), Value::Timestamp(-1)),
            (&[target("unix"), micros], Value::Timestamp(2), Value::Int64(2000)),
            (
                &[target("unix"), ("unix.precision", "seconds")],
                Value::Timestamp(-1999),
                Value::Int64(-1),
            ),
            (&[target("Date")], Value::Int64(MILLIS), Value::Date(19_845)),
            (&[target("Time")], Value::Int64(-1), Value::Time(86_399_999)),
            (&[target("string"), format], Value::Int64(MILLIS), Value::string("2024-05-02")),
            (
                &[target("Timestamp"), format],
                Value::string("2024-05-02"),
                Value::Timestamp(19_845 * DAY_MS),
            ),
            (&[target("unix")], Value::Null, Value::Null),
        ] {
            assert_eq!(converted(settings, None, value).unwrap().value, expected, "{settings:?}");
        }
    }

    #[test]
    fn schemas_change_with_their_values() {
        let settings = [("target.type", "Timestamp"), ("field", "at")];
        let at = SchemaBuilder::new(Type::Int64).name("io.debezium.time.Timestamp").optional();
        let schema =
            SchemaBuilder::structure().name("n").optional().field("at", at.build()).build();
        let value = Struct::new(schema.clone(), vec![Value::Int64(MILLIS)]);
        let value = Value::Struct(Box::new(value));
        for (value, expected) in [(value, Some(Value::Timestamp(MILLIS))), (Value::Null, None)] {
            let converted = converted(&settings, Some(schema.clone()), value).unwrap();
            let output = converted.schema.unwrap();
            assert_eq!((output.name(), output.is_optional()), (Some("n"), true));
            assert_eq!(output.fields()[0].schema, Kind::Timestamp.schema(true));
            let found = converted.value.as_struct().and_then(|value| value.get("at").cloned());
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_missing_stays_missing() {
        let settings = [("target.type", "unix"), ("field", "zz")];
        let schemaless = converted(&settings, None, map(&[("a", 1)])).unwrap().value;
        let Value::Map(entries) = schemaless else { panic!("still a map") };
        assert_eq!(entries[1], (Value::string("zz"), Value::Null));
        let row = record("t").value;
        let converted = converted(&settings, row.schema, row.value).unwrap();
        assert_eq!(converted.value.as_struct().unwrap().values().len(), 3);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let int32 = SchemaBuilder::new(Type::Int32).build();
        let text = SchemaBuilder::new(Type::String).build();
        for (settings, schema, value, expected) in [
            (&[("target.type", "string")][..], None, Value::Null, NO_FORMAT),
            (&[("target.type", "unix")], Some(text), Value::string("x"), NO_FORMAT),
            (
                &[("target.type", "unix")],
                Some(int32),
                Value::Int32(1),
                "Schema Schema{INT32} does not correspond to a known timestamp type format",
            ),
            (
                &[("target.type", "unix")],
                None,
                Value::Int32(1),
                "TimestampConverter does not support class java.lang.Integer objects as timestamps",
            ),
            (
                &[("target.type", "unix"), ("format", "yyyy-MM-dd")],
                None,
                Value::string("xx"),
                "Could not parse timestamp: value (xx) does not match pattern (yyyy-MM-dd)",
            ),
            (
                &[("target.type", "date")],
                None,
                Value::Null,
                "Invalid value date for configuration target.type: String must be one of: string, \
                 unix, Date, Time, Timestamp",
            ),
        ] {
            assert_eq!(converted(settings, schema, value).unwrap_err(), expected);
        }
    }
}
