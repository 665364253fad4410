//! `schema.compatibility`: whether a value fits the schema of the open file, and its projection onto
//! that schema. Kafka Connect, `SchemaProjector`, and the storage sinks' check in front of it.

use std::sync::Arc;

use crate::data::{Record, Schema, SchemaAndValue, Struct, Type, Value};
use crate::error::DataError;

/// The property's meaning. FULL is BACKWARD, and every other text is NONE, as in the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compatibility {
    None,
    Backward,
    Forward,
    Full,
}

/// Whether a value fits the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    AsIs,
    Projected,
    No,
}

/// Parameters that only describe.
const DESCRIPTIONS: &[&str] =
    &["connect.record.doc", "connect.record.aliases", "connect.record.namespace"];
const FIELD_DESCRIPTIONS: &str = "io.confluent.connect.avro.field.doc.";
const ENUM: &str = "io.confluent.connect.avro.Enum";

impl Compatibility {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "BACKWARD" => Self::Backward,
            "FORWARD" => Self::Forward,
            "FULL" => Self::Full,
            _ => Self::None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::Forward => "FORWARD",
            Self::Full => "FULL",
        }
    }

    /// Whether a value of `next` fits a file of `file`; the caller has found them not equal.
    ///
    /// # Errors
    /// When a schema has no version to go by.
    pub(super) fn fit(
        self,
        file: Option<&Arc<Schema>>,
        next: Option<&Arc<Schema>>,
    ) -> Result<Fit, DataError> {
        let (file, next) = match (file, next) {
            (None, None) => return Ok(Fit::AsIs),
            (Some(file), Some(next)) => (file, next),
            _ => return Ok(Fit::No),
        };
        if self == Self::None {
            return Ok(Fit::No);
        }
        let (Some(file_version), Some(version)) = (file.version(), next.version()) else {
            return Err(DataError::new(format!(
                "Schema version required for {} compatibility",
                self.name()
            )));
        };
        let is_beyond = match self {
            Self::Forward => version < file_version,
            _ => file_version < version,
        };
        let fits = !is_beyond && is_projectable(next, file);
        Ok(if fits { Fit::Projected } else { Fit::No })
    }
}

/// Whether every value of `source` can be projected onto `target`.
fn is_projectable(source: &Schema, target: &Schema) -> bool {
    let is_type = source.ty() == target.ty() || is_widening(source.ty(), target.ty());
    let is_null = !source.is_optional() || target.is_optional() || has_default(target);
    let fits = is_type
        && is_null
        && source.name() == target.name()
        && are_parameters_compatible(source, target);
    if !fits || source.ty() != target.ty() {
        return fits;
    }
    let parts = [
        (source.key_schema(), target.key_schema()),
        (source.value_schema(), target.value_schema()),
    ];
    let are_parts = parts.into_iter().all(|pair| match pair {
        (Some(source), Some(target)) => is_projectable(source, target),
        (None, None) => true,
        _ => false,
    });
    are_parts
        && target.fields().iter().all(|field| match source.field(&field.name) {
            Some((_, own)) => is_projectable(&own.schema, &field.schema),
            None => field.schema.is_optional() || has_default(&field.schema),
        })
}

fn has_default(schema: &Schema) -> bool {
    schema.default_value().is_some_and(|value| !value.is_null())
}

fn is_widening(from: Type, to: Type) -> bool {
    const ORDER: &[Type] =
        &[Type::Int8, Type::Int16, Type::Int32, Type::Int64, Type::Float32, Type::Float64];
    let rank = |ty: Type| ORDER.iter().position(|known| *known == ty);
    rank(from).zip(rank(to)).is_some_and(|(from, to)| from <= to)
}

fn are_parameters_compatible(source: &Schema, target: &Schema) -> bool {
    // An enumeration may have fewer symbols than the file's.
    let is_enum = source.parameter(ENUM).is_some() && target.parameter(ENUM).is_some();
    let is_known = |(key, value): &&(String, String)| target.parameter(key) == Some(value);
    let own = meaningful(source);
    let known = own.clone().filter(is_known).count();
    known == own.count() && (is_enum || known == meaningful(target).count())
}

fn meaningful(schema: &Schema) -> impl Iterator<Item = &(String, String)> + Clone {
    schema.parameters().iter().filter(|(key, _)| {
        !DESCRIPTIONS.contains(&key.as_str()) && !key.starts_with(FIELD_DESCRIPTIONS)
    })
}

/// `record` with its value projected onto `target`; everything else stays.
///
/// # Errors
/// When the value does not fit.
pub(super) fn projected(record: &Record, target: &Arc<Schema>) -> Result<Record, DataError> {
    let source = record.value.schema.as_ref();
    let source = source.ok_or_else(|| DataError::new("a schemaless value cannot be projected"))?;
    let value = project(source, &record.value.value, target)?;
    let value = SchemaAndValue { schema: Some(target.clone()), value };
    Ok(Record { value, ..record.clone() })
}

fn project(source: &Schema, value: &Value, target: &Arc<Schema>) -> Result<Value, DataError> {
    if source.is_optional() && !target.is_optional() && !has_default(target) {
        return Err(DataError::new(
            "Writer schema is optional, however, target schema does not provide a default value.",
        ));
    }
    if value.is_null() {
        return Ok(target.default_value().cloned().unwrap_or(Value::Null));
    }
    if source == &**target {
        return Ok(value.clone());
    }
    check(source, target)?;
    match value {
        Value::Struct(value) => project_struct(source, value, target),
        Value::Array(items) => {
            let (own, wanted) = parts(source.value_schema(), target.value_schema())?;
            let items = items.iter().map(|item| project(own, item, wanted));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        Value::Map(entries) => {
            let (own_key, key) = parts(source.key_schema(), target.key_schema())?;
            let (own_value, wanted) = parts(source.value_schema(), target.value_schema())?;
            let entries = entries
                .iter()
                .map(|(k, v)| Ok((project(own_key, k, key)?, project(own_value, v, wanted)?)));
            Ok(Value::Map(entries.collect::<Result<_, DataError>>()?))
        }
        value if source.ty() == target.ty() => Ok(value.clone()),
        value => widened(value, target.ty()),
    }
}

fn parts<'a>(
    source: Option<&'a Arc<Schema>>,
    target: Option<&'a Arc<Schema>>,
) -> Result<(&'a Arc<Schema>, &'a Arc<Schema>), DataError> {
    source.zip(target).ok_or_else(|| DataError::new("a container without the schema of its parts"))
}

fn check(source: &Schema, target: &Schema) -> Result<(), DataError> {
    if source.ty() != target.ty() && !is_widening(source.ty(), target.ty()) {
        return Err(DataError::new(format!(
            "Schema type mismatch. source type: {} and target type: {}",
            source.ty().name(),
            target.ty().name()
        )));
    }
    if source.name() != target.name() {
        return Err(DataError::new(format!(
            "Schema name mismatch. source name: {} and target name: {}",
            source.name().unwrap_or("null"),
            target.name().unwrap_or("null")
        )));
    }
    if !are_parameters_compatible(source, target) {
        return Err(DataError::new("Schema parameters not equal."));
    }
    Ok(())
}

fn project_struct(
    source: &Schema,
    value: &Struct,
    target: &Arc<Schema>,
) -> Result<Value, DataError> {
    let mut values = Vec::with_capacity(target.fields().len());
    for field in target.fields() {
        let own = source.field(&field.name);
        values.push(match own {
            Some((index, own)) => {
                let value = value.values().get(index).unwrap_or(&Value::Null);
                project(&own.schema, value, &field.schema).map_err(|error| {
                    DataError::new(format!("Error projecting {}: {error}", field.name))
                })?
            }
            None => match field.schema.default_value() {
                Some(default) => default.clone(),
                None if field.schema.is_optional() => Value::Null,
                None => {
                    return Err(DataError::new(format!(
                        "Required field `{}` is missing from source schema",
                        field.name
                    )));
                }
            },
        });
    }
    Ok(Value::Struct(Box::new(Struct::new(target.clone(), values))))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "Java's widening conversions; integers were found to be narrower"
)]
fn widened(value: &Value, to: Type) -> Result<Value, DataError> {
    let real = match value {
        Value::Float32(number) => Some(f64::from(*number)),
        Value::Float64(number) => Some(*number),
        _ => None,
    };
    let widened = match (value.as_i64(), real, to) {
        (Some(number), _, Type::Int16) => i16::try_from(number).ok().map(Value::Int16),
        (Some(number), _, Type::Int32) => i32::try_from(number).ok().map(Value::Int32),
        (Some(number), _, Type::Int64) => Some(Value::Int64(number)),
        (Some(number), _, Type::Float32) => Some(Value::Float32(number as f32)),
        (Some(number), _, Type::Float64) => Some(Value::Float64(number as f64)),
        (_, Some(number), Type::Float64) => Some(Value::Float64(number)),
        _ => None,
    };
    widened.ok_or_else(|| {
        DataError::new(format!("a {} cannot become {}", value.java_class(), to.name()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SchemaBuilder;

    fn version(number: i32) -> SchemaBuilder {
        SchemaBuilder::structure()
            .name("r")
            .version(number)
            .field("id", SchemaBuilder::new(Type::Int32).build())
    }

    fn optional(ty: Type) -> Arc<Schema> {
        SchemaBuilder::new(ty).optional().build()
    }

    #[test]
    fn version_and_structure_decide() {
        let one = version(1).build();
        let two = version(2).field("note", optional(Type::String)).build();
        let required = version(2).field("n", SchemaBuilder::new(Type::Int32).build()).build();
        let renamed = version(1).name("other").build();
        let documented = version(1).parameter("connect.record.doc", "d").build();
        let other = version(1).parameter("p", "d").build();
        let text = SchemaBuilder::structure()
            .name("r")
            .version(1)
            .field("id", SchemaBuilder::new(Type::String).build())
            .build();
        use Compatibility::{Backward, Forward, Full, None as Never};
        let rows = [
            ("new in an old file", Backward, &one, &two, Fit::No),
            ("old in a new file", Backward, &two, &one, Fit::Projected),
            ("full is backward", Full, &two, &one, Fit::Projected),
            ("full is backward", Full, &one, &two, Fit::No),
            ("new in an old file", Forward, &one, &two, Fit::Projected),
            ("old in a new file", Forward, &two, &one, Fit::No),
            ("what the file requires is missing", Backward, &required, &one, Fit::No),
            ("another name", Backward, &one, &renamed, Fit::No),
            ("a description", Backward, &one, &documented, Fit::Projected),
            ("a parameter", Backward, &one, &other, Fit::No),
            ("a nested type", Backward, &one, &text, Fit::No),
            ("none", Never, &two, &one, Fit::No),
        ];
        for (name, mode, file, next, expected) in rows {
            assert_eq!(mode.fit(Some(file), Some(next)).unwrap(), expected, "{name} {mode:?}");
        }
        assert_eq!(Backward.fit(None, Some(&one)).unwrap(), Fit::No);
        assert_eq!(Compatibility::of("FULL_TRANSITIVE"), Never);
    }

    #[test]
    fn a_version_is_required() {
        let one = SchemaBuilder::structure().build();
        let two = version(2).build();
        let error = Compatibility::Forward.fit(Some(&one), Some(&two)).unwrap_err();
        assert_eq!(error.to_string(), "Schema version required for FORWARD compatibility");
    }

    #[test]
    fn an_enumeration_may_have_fewer_symbols() {
        let with = |symbols: &[&str]| {
            let schema = SchemaBuilder::new(Type::String).version(1).parameter(ENUM, "e");
            let schema = symbols.iter().fold(schema, |schema, symbol| {
                schema.parameter(format!("{ENUM}.{symbol}"), *symbol)
            });
            schema.build()
        };
        let (few, many) = (with(&["a"]), with(&["a", "b"]));
        let backward = Compatibility::Backward;
        assert_eq!(backward.fit(Some(&many), Some(&few)).unwrap(), Fit::Projected);
        assert_eq!(backward.fit(Some(&few), Some(&many)).unwrap(), Fit::No);
    }

    #[test]
    fn values_are_projected_by_name() {
        let number = |ty: Type| SchemaBuilder::new(ty).build();
        let inner = SchemaBuilder::structure().field("n", number(Type::Int8)).build();
        let wide = SchemaBuilder::structure().field("n", number(Type::Float64)).build();
        let source = SchemaBuilder::structure()
            .field("gone", number(Type::Int32))
            .field("id", number(Type::Int32))
            .field("inner", inner.clone())
            .field("list", SchemaBuilder::array(number(Type::Int32)).build())
            .build();
        let target = SchemaBuilder::structure()
            .field("id", number(Type::Int64))
            .field("inner", wide.clone())
            .field("list", SchemaBuilder::array(number(Type::Int64)).build())
            .field("new", optional(Type::String))
            .field("set", SchemaBuilder::new(Type::Int32).default_value(Value::Int32(7)).build())
            .build();
        let value = Struct::new(
            source.clone(),
            vec![
                Value::Int32(1),
                Value::Int32(2),
                Value::Struct(Box::new(Struct::new(inner, vec![Value::Int8(3)]))),
                Value::Array(vec![Value::Int32(4)]),
            ],
        );
        let found = project(&source, &Value::Struct(Box::new(value)), &target).unwrap();
        let expected = Struct::new(
            target,
            vec![
                Value::Int64(2),
                Value::Struct(Box::new(Struct::new(wide, vec![Value::Float64(3.0)]))),
                Value::Array(vec![Value::Int64(4)]),
                Value::Null,
                Value::Int32(7),
            ],
        );
        assert_eq!(found, Value::Struct(Box::new(expected)));
    }

    #[test]
    fn what_cannot_be_projected_is_said_in_the_originals_words() {
        let of = |ty| SchemaBuilder::new(ty).build();
        let rows = [
            (
                of(Type::Int64),
                Value::Int64(1),
                of(Type::Int32),
                "Schema type mismatch. source type: INT64 and target type: INT32",
            ),
            (
                optional(Type::Int32),
                Value::Int32(1),
                of(Type::Int32),
                "Writer schema is optional, however, target schema does not provide a default value.",
            ),
            (
                SchemaBuilder::structure().build(),
                Value::Struct(Box::new(Struct::new(SchemaBuilder::structure().build(), vec![]))),
                SchemaBuilder::structure().field("f", of(Type::Int32)).build(),
                "Required field `f` is missing from source schema",
            ),
        ];
        for (source, value, target, expected) in rows {
            let error = project(&source, &value, &target).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
