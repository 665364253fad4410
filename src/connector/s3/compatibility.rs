//! `schema.compatibility`: whether a value fits the schema of the open file, and its projection onto
//! that schema. Kafka Connect, `SchemaProjector`, and the storage sinks' check in front of it.

use std::sync::Arc;

use crate::data::schema_projector::{self, project_if};
use crate::data::{Record, Schema, SchemaAndValue, Type};
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
    let value = project_if(source, &record.value.value, target, check)?;
    let value = SchemaAndValue { schema: Some(target.clone()), value };
    Ok(Record { value, ..record.clone() })
}

/// The projector's check, but for parameters that only describe.
fn check(source: &Schema, target: &Schema) -> Result<(), DataError> {
    match are_parameters_compatible(source, target) {
        true => schema_projector::check_types(source, target),
        false => schema_projector::check_compatible(source, target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaBuilder, Struct, Value};

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
    fn descriptions_do_not_hinder_projection() {
        let source = version(1).parameter("connect.record.doc", "d").build();
        let target = version(2).field("note", optional(Type::String)).build();
        let value = Struct::new(source.clone(), vec![Value::Int32(1)]);
        let value = Value::Struct(Box::new(value));
        let found = project_if(&source, &value, &target, check).unwrap();
        let expected = Struct::new(target.clone(), vec![Value::Int32(1), Value::Null]);
        assert_eq!(found, Value::Struct(Box::new(expected)));
        let other = version(1).name("other").build();
        assert_eq!(
            check(&other, &target).unwrap_err().to_string(),
            "Schema name mismatch. source name: other and target name: r"
        );
    }
}
