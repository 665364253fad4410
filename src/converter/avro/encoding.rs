//! How values of a Connect schema are written under an Avro schema, decided once per pair.
//!
//! The two are matched by name, so that a record is written rightly too under a schema that somebody
//! else registered (`use.latest.version`). Avro specification, "Binary Encoding".

use std::sync::Arc;

use super::AvroOptions;
use super::from_connect::is_decimal;
use super::names::{scrub, scrub_full};
use super::schema::{AvroField, AvroSchema, FullName, Kind, TypeId};
use super::vocabulary::{ANYTHING, enum_param, is_fixed, is_union};
use crate::data::{Schema, Type, Value, logical};
use crate::error::DataError;

/// How a value is written.
#[derive(Debug)]
pub(super) enum Encoding {
    /// A leaf of this schema.
    Leaf {
        form: LeafForm,
        schema: Arc<Schema>,
    },
    Array(Box<Encoding>),
    Map(Box<Encoding>),
    /// A map as a list of records; whether the key stands first in them.
    Entries {
        key: Box<Encoding>,
        value: Box<Encoding>,
        key_first: bool,
    },
    Record {
        schema: Arc<Schema>,
        fields: Vec<FieldEncoding>,
    },
    /// A union with null; the bytes that choose each branch.
    Nullable {
        null: Vec<u8>,
        value: Vec<u8>,
        inner: Box<Encoding>,
    },
    /// A struct that stands for a union: its first member that is not null counts.
    Union {
        null: Option<Vec<u8>>,
        branches: Vec<(Vec<u8>, Encoding)>,
    },
    /// A value without schema.
    Anything,
}

/// A member of a record, in the record's order.
#[derive(Debug)]
pub(super) enum FieldEncoding {
    /// The struct's field `index`; `default` stands for null.
    Of { index: usize, default: Option<Value>, encoding: Encoding },
    /// What the struct does not have: always these bytes.
    Constant(Vec<u8>),
}

/// How a leaf is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LeafForm {
    Boolean,
    /// An integer that may not be further from zero than its type allows.
    Integer {
        max: i64,
        target: Number,
    },
    Date,
    Time,
    Timestamp,
    Float(Number),
    Double,
    String,
    Bytes,
    /// Bytes of this length.
    Fixed(usize),
    Decimal {
        scale: i32,
        size: Option<usize>,
    },
    Enum(Vec<String>),
}

/// The type that a number is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// `int` and `long`, which look alike.
    Integer,
    Float,
    Double,
}

impl Encoding {
    /// What may be null with its branches taken apart.
    pub(super) fn peeled(&self) -> (Option<&[u8]>, &[u8], &Self) {
        match self {
            Self::Nullable { null, value, inner } => (Some(null), value, inner),
            other => (None, &[], other),
        }
    }
}

type Result<T, E = DataError> = std::result::Result<T, E>;

/// Matches `schema` with `avro`. `strict`: what `avro` has and `schema` does not must have a default.
///
/// # Errors
/// When values of the one cannot be written as the other, and where.
pub(super) fn encoding(
    schema: Option<&Arc<Schema>>,
    avro: &AvroSchema,
    options: AvroOptions,
    strict: bool,
) -> Result<Encoding> {
    let Some(schema) = schema else {
        return match avro.record_name().as_deref() {
            Some(ANYTHING) => Ok(Encoding::Anything),
            _ => Err(DataError::new(
                "Values without a schema can only be written under the schema \
                 io.confluent.connect.avro.Anything; use a converter or a transform that gives \
                 them one",
            )),
        };
    };
    Matching { avro, options, strict }.any(schema, avro.root)
}

struct Matching<'a> {
    avro: &'a AvroSchema,
    options: AvroOptions,
    strict: bool,
}

impl Matching<'_> {
    fn any(&self, schema: &Arc<Schema>, id: TypeId) -> Result<Encoding> {
        match &self.avro.ty(id).kind {
            Kind::Union(branches) if is_union(schema) => self.union(schema, branches),
            Kind::Union(branches) => self.nullable(schema, branches),
            _ => self.value(schema, id),
        }
    }

    fn nullable(&self, schema: &Arc<Schema>, branches: &[TypeId]) -> Result<Encoding> {
        let is_null = |id: &&TypeId| self.avro.ty(**id).kind == Kind::Null;
        let null = branches.iter().position(|id| is_null(&id)).map(branch);
        let mut refused = None;
        for (index, id) in branches.iter().enumerate().filter(|(_, id)| !is_null(id)) {
            match self.value(schema, *id) {
                Ok(inner) => {
                    let (value, inner) = (branch(index), Box::new(inner));
                    // Without a null branch null is refused as if there were no union.
                    return Ok(match null {
                        Some(null) => Encoding::Nullable { null, value, inner },
                        None => Encoding::Union { null, branches: vec![(value, *inner)] },
                    });
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| self.mismatch(schema, "null")))
    }

    fn union(&self, schema: &Arc<Schema>, branches: &[TypeId]) -> Result<Encoding> {
        let null = branches.iter().position(|id| self.avro.ty(*id).kind == Kind::Null);
        let mut left: Vec<_> =
            branches.iter().copied().enumerate().filter(|(at, _)| Some(*at) != null).collect();
        let mut encodings = Vec::new();
        for field in schema.fields() {
            let found = left.iter().enumerate().find_map(|(at, (index, id))| {
                let encoding = self.value(&field.schema, *id).ok()?;
                self.is_branch(&field.name, *id, *index).then_some((at, *index, encoding))
            });
            let Some((at, index, encoding)) = found else {
                return Err(self.mismatch(&field.schema, "union").at(&field.name));
            };
            left.remove(at);
            encodings.push((branch(index), encoding));
        }
        Ok(Encoding::Union { null: null.map(branch), branches: encodings })
    }

    /// Whether the member `name` of a struct stands for this branch.
    fn is_branch(&self, name: &str, id: TypeId, index: usize) -> bool {
        let ty = self.avro.ty(id);
        name == super::to_connect::member_name(ty, index, self.options)
            // What did not come from Avro may name its members as it likes: the first that fits.
            || ty.name.is_none()
            || ty.name.as_ref().is_some_and(|own| own.name == name || own.full() == name)
            || self.options.generalized_sum_type_support
    }

    fn value(&self, schema: &Arc<Schema>, id: TypeId) -> Result<Encoding> {
        let ty = self.avro.ty(id);
        match (schema.ty(), &ty.kind) {
            (Type::Struct, Kind::Record(fields)) => self.record(schema, fields),
            (Type::Array, Kind::Array(items)) => {
                Ok(Encoding::Array(Box::new(self.any(part(schema.value_schema())?, *items)?)))
            }
            (Type::Map, Kind::Map(values)) => {
                if schema.key_schema().is_none_or(|keys| keys.ty() != Type::String) {
                    return Err(self.mismatch(schema, "map"));
                }
                Ok(Encoding::Map(Box::new(self.any(part(schema.value_schema())?, *values)?)))
            }
            (Type::Map, Kind::Array(items)) => self.entries(schema, *items),
            _ => {
                let form = self.leaf(schema, &ty.kind, ty.name.as_ref());
                let form = form?.ok_or_else(|| self.mismatch(schema, ty.kind.primitive_name()))?;
                Ok(Encoding::Leaf { form, schema: schema.clone() })
            }
        }
    }

    fn entries(&self, schema: &Arc<Schema>, items: TypeId) -> Result<Encoding> {
        let Kind::Record(fields) = &self.avro.ty(items).kind else {
            return Err(self.mismatch(schema, "array"));
        };
        let [first, second] = fields.as_slice() else {
            return Err(self.mismatch(schema, "array"));
        };
        let key_first = first.name == "key";
        let (key, value) = if key_first { (first, second) } else { (second, first) };
        if key.name != "key" || value.name != "value" {
            return Err(self.mismatch(schema, "array"));
        }
        Ok(Encoding::Entries {
            key: Box::new(self.any(part(schema.key_schema())?, key.ty)?),
            value: Box::new(self.any(part(schema.value_schema())?, value.ty)?),
            key_first,
        })
    }

    fn record(&self, schema: &Arc<Schema>, fields: &[AvroField]) -> Result<Encoding> {
        let name_of = |name: &str| match self.options.scrub_invalid_names {
            true => scrub(name),
            false => name.to_owned(),
        };
        let mut encodings = Vec::with_capacity(fields.len());
        for (at, target) in fields.iter().enumerate() {
            // In the same place, nearly always.
            let in_place = schema.fields().get(at).filter(|own| name_of(&own.name) == target.name);
            let found = match in_place {
                Some(field) => Some((at, field)),
                None => {
                    let mut own = schema.fields().iter().enumerate();
                    own.find(|(_, own)| name_of(&own.name) == target.name)
                }
            };
            encodings.push(match found {
                Some((index, field)) => {
                    let encoding = self.any(&field.schema, target.ty);
                    let default = field.schema.default_value().cloned();
                    FieldEncoding::Of {
                        index,
                        default: default.filter(|_| !self.options.ignore_default_for_nullables),
                        encoding: encoding.map_err(|error| error.at(&field.name))?,
                    }
                }
                None => self.absent(target)?,
            });
        }
        Ok(Encoding::Record { schema: schema.clone(), fields: encodings })
    }

    /// A member that the registered schema has and the record does not.
    fn absent(&self, field: &AvroField) -> Result<FieldEncoding> {
        let mut bytes = Vec::new();
        match &field.default {
            Some(default) => super::defaults::encode(self.avro, field.ty, default, &mut bytes)?,
            None if !self.strict => {
                super::defaults::encode(self.avro, field.ty, &serde_json::Value::Null, &mut bytes)?;
            }
            None => {
                return Err(DataError::new(format!(
                    "The registered schema has the field \"{}\" without a default, and the record \
                     has no such field (latest.compatibility.strict=false writes null where the \
                     schema allows it)",
                    field.name
                )));
            }
        }
        Ok(FieldEncoding::Constant(bytes))
    }

    fn leaf(
        &self,
        schema: &Schema,
        kind: &Kind,
        name: Option<&FullName>,
    ) -> Result<Option<LeafForm>> {
        let number = match kind {
            Kind::Int | Kind::Long => Some(Number::Integer),
            Kind::Float => Some(Number::Float),
            Kind::Double => Some(Number::Double),
            _ => None,
        };
        let integer = |max: i64| {
            // A long does not fit an int.
            number
                .filter(|_| *kind != Kind::Int || max <= i64::from(i32::MAX))
                .map(|target| LeafForm::Integer { max, target })
        };
        let is = |wanted: Kind, form: LeafForm| (*kind == wanted).then_some(form);
        let whole = matches!(kind, Kind::Int | Kind::Long);
        Ok(match (schema.ty(), schema.name()) {
            (Type::Bytes, _) if is_decimal(schema) => {
                let scale = schema.parameter(logical::SCALE).ok_or_else(|| {
                    DataError::new("Invalid Decimal schema: scale parameter not found.")
                })?;
                let scale = scale.parse().map_err(|_| {
                    DataError::new("Invalid scale parameter found in Decimal schema: ")
                })?;
                match kind {
                    Kind::Bytes => Some(LeafForm::Decimal { scale, size: None }),
                    Kind::Fixed(size) => Some(LeafForm::Decimal { scale, size: Some(*size) }),
                    _ => None,
                }
            }
            (Type::Int32, Some(logical::DATE)) => whole.then_some(LeafForm::Date),
            (Type::Int32, Some(logical::TIME)) => whole.then_some(LeafForm::Time),
            (Type::Int64, Some(logical::TIMESTAMP)) => is(Kind::Long, LeafForm::Timestamp),
            (Type::Int8, _) => integer(i8::MAX.into()),
            (Type::Int16, _) => integer(i16::MAX.into()),
            (Type::Int32, _) => integer(i32::MAX.into()),
            (Type::Int64, _) => integer(i64::MAX),
            (Type::Float32, _) => {
                number.filter(|number| *number != Number::Integer).map(LeafForm::Float)
            }
            (Type::Float64, _) => is(Kind::Double, LeafForm::Double),
            (Type::Boolean, _) => is(Kind::Boolean, LeafForm::Boolean),
            (Type::String, _) => match kind {
                Kind::Enum { symbols, .. } if self.is_enum(schema, name) => {
                    Some(LeafForm::Enum(symbols.clone()))
                }
                _ => is(Kind::String, LeafForm::String),
            },
            (Type::Bytes, _) => match kind {
                Kind::Fixed(size) if self.is_fixed(schema, name) => Some(LeafForm::Fixed(*size)),
                _ => is(Kind::Bytes, LeafForm::Bytes),
            },
            _ => None,
        })
    }

    /// Plain text fits any enumeration, one that names its own only that.
    fn is_enum(&self, schema: &Schema, name: Option<&FullName>) -> bool {
        let own = enum_param(schema, self.options).and_then(|param| schema.parameter(param));
        own.is_none_or(|own| name.is_some_and(|name| name.full() == own))
    }

    fn is_fixed(&self, schema: &Schema, name: Option<&FullName>) -> bool {
        if !is_fixed(schema) {
            return true;
        }
        let own = schema.name().unwrap_or_default();
        let own = if self.options.scrub_invalid_names { scrub_full(own) } else { own.to_owned() };
        name.is_some_and(|name| name.full() == own)
    }

    fn mismatch(&self, schema: &Schema, target: &str) -> DataError {
        let ty = schema.ty().name();
        DataError::new(format!("{ty} cannot be written as the {target} of the registered schema"))
    }
}

fn part(schema: Option<&Arc<Schema>>) -> Result<&Arc<Schema>> {
    schema.ok_or_else(|| DataError::new("A container without the schema of its parts"))
}

/// The bytes that choose a branch of a union.
fn branch(index: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    super::binary::put_long(i64::try_from(index).unwrap_or_default(), &mut bytes);
    bytes
}
