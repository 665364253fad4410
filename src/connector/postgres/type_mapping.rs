//! The one table: PostgreSQL type to Connect schema and codec, under the connector's modes (Debezium,
//! "Data type mappings"; observed on 3.6). A new type is one row of [`scalar`].

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use num_bigint::BigInt;

use crate::connector::postgres::codec::{Codec, Infinities, Unit, structure};
use crate::connector::postgres::config_types::{BinaryMode, DecimalMode, TimeMode, TypeModes};
use crate::connector::postgres::geometry;
use crate::data::{Decimal, Schema, SchemaBuilder, Type, Value, logical};

/// A type of the server's catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PgType {
    pub(super) name: String,
    /// The schema of a type that a name alone does not find: one that is not on the search path.
    pub(super) elsewhere: Option<String>,
    pub(super) kind: PgKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PgKind {
    Base,
    /// Labels in sort order.
    Enum(Vec<String>),
    Array(Arc<PgType>),
    /// The base type with the domain's own modifier.
    Domain(Arc<PgType>, i32),
    /// Composites, multiranges, pseudo-types.
    Other,
}

/// Where a row is read; the original reads some values differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Snapshot,
    Stream,
}

/// What the table says about a column.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    /// Required, without default.
    pub(super) schema: SchemaBuilder,
    pub(super) codec: Codec,
    /// Whether items of an array of the type may be null.
    items_optional: bool,
}

/// The table, under one set of modes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeTable<'a> {
    pub(super) modes: &'a TypeModes,
    pub(super) phase: Phase,
}

const NAMED: &str = "io.debezium.data";
const TIME: &str = "io.debezium.time";

impl TypeTable<'_> {
    /// What becomes of a column of `ty`; `None`: it is no part of records.
    pub(super) fn map(self, ty: &PgType, modifier: i32) -> Option<Mapping> {
        match &ty.kind {
            PgKind::Domain(base, own) => self.map(base, if *own >= 0 { *own } else { modifier }),
            PgKind::Enum(labels) => Some(enumeration(labels)),
            PgKind::Array(element) => self.array(element, modifier),
            PgKind::Base => self.known(&ty.name, modifier).or_else(|| self.unknown()),
            PgKind::Other => self.unknown(),
        }
    }

    fn known(self, name: &str, modifier: i32) -> Option<Mapping> {
        if !self.modes.generation.has_type(name) {
            return None;
        }
        self.scalar(name, modifier)
    }

    fn unknown(self) -> Option<Mapping> {
        let mode = self.modes.binary;
        self.modes.include_unknown.then(|| plain(binary_type(mode), Codec::Opaque(mode)))
    }

    #[rustfmt::skip]
    fn scalar(self, name: &str, modifier: i32) -> Option<Mapping> {
        let modes = self.modes;
        Some(match name {
            "int2" => plain(Type::Int16, Codec::Integer),
            "int4" => plain(Type::Int32, Codec::Integer),
            "int8" | "oid" => plain(Type::Int64, Codec::Integer),
            "float4" => plain(Type::Float32, Codec::Float32),
            "float8" => plain(Type::Float64, Codec::Float64),
            "numeric" => self.numeric(modifier),
            "money" => self.money(),
            "bool" => plain(Type::Boolean, Codec::Boolean),
            "bit" | "varbit" if modifier == 1 => plain(Type::Boolean, Codec::Bit),
            "bit" | "varbit" => bits(modifier),
            "bytea" => plain(binary_type(modes.binary), Codec::Bytea(modes.binary)),
            "text" | "varchar" | "bpchar" | "char" | "name" | "citext" => text(),
            "inet" | "cidr" | "macaddr" | "macaddr8" => text(),
            "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" => text(),
            "isbn" | "isbn13" | "issn" | "issn13" | "ismn" | "ismn13" | "ean13" | "upc" => text(),
            "json" | "jsonb" => named(Type::String, NAMED, "Json", Codec::Text),
            "xml" => named(Type::String, NAMED, "Xml", Codec::Text),
            "uuid" => named(Type::String, NAMED, "Uuid", Codec::Text),
            "ltree" => named(Type::String, NAMED, "Ltree", Codec::Text),
            "tsvector" => Mapping { items_optional: false, ..named(Type::String, NAMED, "Tsvector", Codec::Text) },
            "hstore" if modes.hstore_map => hstore_map(),
            "hstore" => named(Type::String, NAMED, "Json", Codec::HstoreJson),
            "date" => self.date(),
            "time" => self.time(modifier),
            "timetz" => named(Type::String, TIME, "ZonedTime", Codec::ZonedTime),
            "timestamp" => self.timestamp(modifier),
            "timestamptz" => {
                let precision = u8::try_from(modifier).unwrap_or(6);
                named(Type::String, TIME, "ZonedTimestamp", Codec::ZonedTimestamp { precision })
            }
            "interval" if modes.interval_text => named(Type::String, TIME, "Interval", Codec::IntervalText),
            "interval" => named(Type::Int64, TIME, "MicroDuration", Codec::IntervalMicros),
            "point" => of(point_schema(), Codec::Point),
            "geometry" => of(geometry_schema("Geometry"), Codec::Geometry),
            "geography" => of(geometry_schema("Geography"), Codec::Geometry),
            "vector" => of(vector_schema(Type::Float64, "DoubleVector"), Codec::Vector),
            "halfvec" => of(vector_schema(Type::Float32, "FloatVector"), Codec::Vector),
            "sparsevec" => of(sparse_vector_schema(), Codec::SparseVector),
            _ => return None,
        })
    }

    fn array(self, element: &PgType, modifier: i32) -> Option<Mapping> {
        // Arrays of these are omitted in the original, whatever include.unknown.datatypes says.
        const OMITTED: [&str; 7] =
            ["name", "xml", "interval", "money", "varbit", "point", "refcursor"];
        if OMITTED.contains(&element.name.as_str()) {
            return None;
        }
        let items = match &element.kind {
            PgKind::Base if element.name == "bit" => {
                // The original gives bit[] the schema of bit, and no value.
                return self
                    .scalar("bit", modifier.max(2))
                    .map(|mapping| Mapping { codec: Codec::NullElement, ..mapping });
            }
            PgKind::Base => self.known(&element.name, modifier),
            PgKind::Enum(labels) => Some(enumeration(labels)),
            _ => None,
        };
        let unknown = || Some(Mapping { items_optional: false, ..self.unknown()? });
        let items = items.or_else(unknown)?;
        let item_schema = items.schema.with_optional(items.items_optional).build();
        Some(of(SchemaBuilder::array(item_schema), Codec::Array(Box::new(items.codec))))
    }

    fn numeric(self, modifier: i32) -> Mapping {
        match (self.modes.decimal, numeric_modifier(modifier)) {
            (DecimalMode::Double, _) => plain(Type::Float64, Codec::Float64),
            (DecimalMode::Text, modifier) => {
                let scale = modifier.map_or(0, |(_, scale)| usize::try_from(scale).unwrap_or(0));
                plain(Type::String, Codec::DecimalText { scale })
            }
            (DecimalMode::Precise, Some((precision, scale))) => of(
                SchemaBuilder::decimal(scale)
                    .parameter("connect.decimal.precision", precision.to_string()),
                Codec::Decimal { scale },
            ),
            (DecimalMode::Precise, None) => of(variable_scale(), Codec::VariableDecimal),
        }
    }

    fn money(self) -> Mapping {
        let digits = self.modes.money_digits;
        match self.modes.decimal {
            DecimalMode::Double => plain(Type::Float64, Codec::MoneyDouble),
            DecimalMode::Text => plain(Type::String, Codec::MoneyText { digits }),
            DecimalMode::Precise => {
                of(SchemaBuilder::decimal(digits.into()), Codec::Money { digits })
            }
        }
    }

    fn date(self) -> Mapping {
        let infinite = match self.phase {
            Phase::Snapshot => Infinities::SNAPSHOT,
            Phase::Stream => Infinities::STREAM,
        };
        match self.modes.time {
            TimeMode::Connect => connect(Type::Int32, logical::DATE, Codec::Date(infinite)),
            TimeMode::IsoString => {
                let infinite = match self.phase {
                    Phase::Snapshot => Infinities::SNAPSHOT_TEXT,
                    Phase::Stream => infinite,
                };
                named(Type::String, TIME, "IsoDate", Codec::DateText(infinite))
            }
            _ => named(Type::Int32, TIME, "Date", Codec::Date(infinite)),
        }
    }

    fn time(self, modifier: i32) -> Mapping {
        let millis = (0..=3).contains(&modifier);
        match self.modes.time {
            TimeMode::Connect => connect(Type::Int32, logical::TIME, Codec::Time(Unit::Millis)),
            TimeMode::IsoString => named(Type::String, TIME, "IsoTime", Codec::TimeText),
            TimeMode::Nanoseconds => named(Type::Int64, TIME, "NanoTime", Codec::Time(Unit::Nanos)),
            TimeMode::Adaptive if millis => {
                named(Type::Int32, TIME, "Time", Codec::Time(Unit::Millis))
            }
            _ => named(Type::Int64, TIME, "MicroTime", Codec::Time(Unit::Micros)),
        }
    }

    fn timestamp(self, modifier: i32) -> Mapping {
        let millis = (0..=3).contains(&modifier);
        let integer = |name, unit| named(Type::Int64, TIME, name, Codec::Timestamp(unit));
        match self.modes.time {
            TimeMode::Connect => {
                connect(Type::Int64, logical::TIMESTAMP, Codec::Timestamp(Unit::Millis))
            }
            TimeMode::IsoString => named(Type::String, TIME, "IsoTimestamp", Codec::TimestampText),
            TimeMode::Nanoseconds => integer("NanoTimestamp", Unit::Nanos),
            TimeMode::Microseconds => integer("MicroTimestamp", Unit::Micros),
            TimeMode::Adaptive | TimeMode::AdaptiveTimeMicroseconds if millis => {
                integer("Timestamp", Unit::Millis)
            }
            _ => integer("MicroTimestamp", Unit::Micros),
        }
    }
}

fn of(schema: SchemaBuilder, codec: Codec) -> Mapping {
    Mapping { schema, codec, items_optional: true }
}

fn plain(ty: Type, codec: Codec) -> Mapping {
    of(SchemaBuilder::new(ty), codec)
}

fn text() -> Mapping {
    plain(Type::String, Codec::Text)
}

/// A semantic type of Debezium.
fn named(ty: Type, package: &str, name: &str, codec: Codec) -> Mapping {
    of(SchemaBuilder::new(ty).name(format!("{package}.{name}")).version(1), codec)
}

/// A logical type of Kafka Connect.
fn connect(ty: Type, name: &str, codec: Codec) -> Mapping {
    of(SchemaBuilder::new(ty).name(name).version(1), codec)
}

fn binary_type(mode: BinaryMode) -> Type {
    match mode {
        BinaryMode::Bytes => Type::Bytes,
        _ => Type::String,
    }
}

fn enumeration(labels: &[String]) -> Mapping {
    let schema = SchemaBuilder::new(Type::String)
        .name("io.debezium.data.Enum")
        .version(1)
        .parameter("allowed", labels.join(","));
    Mapping { items_optional: false, ..of(schema, Codec::Text) }
}

fn bits(modifier: i32) -> Mapping {
    let length = if modifier > 0 { modifier } else { i32::MAX };
    let schema = SchemaBuilder::new(Type::Bytes)
        .name("io.debezium.data.Bits")
        .version(1)
        .parameter("length", length.to_string());
    of(schema, Codec::Bits)
}

/// Precision and scale; `None` for `numeric` without any.
pub(super) fn numeric_modifier(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    // The scale is a signed 11-bit number since PostgreSQL 15.
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    Some((packed >> 16 & 0xffff, scale))
}

fn variable_scale() -> SchemaBuilder {
    SchemaBuilder::structure()
        .name("io.debezium.data.VariableScaleDecimal")
        .version(1)
        .doc("Variable scaled decimal")
        .field("scale", SchemaBuilder::new(Type::Int32).build())
        .field("value", SchemaBuilder::new(Type::Bytes).build())
}

fn hstore_map() -> Mapping {
    let keys = SchemaBuilder::new(Type::String).build();
    let values = SchemaBuilder::new(Type::String).optional().build();
    of(SchemaBuilder::map(keys, values), Codec::HstoreMap)
}

fn point_schema() -> SchemaBuilder {
    let double = SchemaBuilder::new(Type::Float64).build();
    SchemaBuilder::structure()
        .name("io.debezium.data.geometry.Point")
        .version(1)
        .doc("Geometry (POINT)")
        .field("x", double.clone())
        .field("y", double)
        .field("wkb", SchemaBuilder::new(Type::Bytes).optional().build())
        .field("srid", SchemaBuilder::new(Type::Int32).optional().build())
}

fn geometry_schema(name: &str) -> SchemaBuilder {
    SchemaBuilder::structure()
        .name(format!("io.debezium.data.geometry.{name}"))
        .version(1)
        .doc(name)
        .field("wkb", SchemaBuilder::new(Type::Bytes).build())
        .field("srid", SchemaBuilder::new(Type::Int32).optional().build())
}

fn vector_schema(ty: Type, name: &str) -> SchemaBuilder {
    SchemaBuilder::array(SchemaBuilder::new(ty).build()).name(format!("{NAMED}.{name}")).version(1)
}

fn sparse_vector_schema() -> SchemaBuilder {
    let keys = SchemaBuilder::new(Type::Int16).build();
    let values = SchemaBuilder::new(Type::Float64).build();
    SchemaBuilder::structure()
        .name("io.debezium.data.SparseDoubleVector")
        .version(1)
        .doc("Sparse double vector")
        .field("dimensions", SchemaBuilder::new(Type::Int16).build())
        .field("vector", SchemaBuilder::map(keys, values).build())
}

/// What stands for a value that the server did not send because the statement left it alone;
/// [`Value::Null`] where the original has nothing.
pub(super) fn unavailable(codec: &Codec, schema: &Schema, placeholder: &[u8]) -> Value {
    let text = || Value::string(String::from_utf8_lossy(placeholder));
    let text = |codec: &Codec, schema: &Schema| match (codec, schema.ty()) {
        (Codec::Text | Codec::Bytea(_) | Codec::Opaque(_), Type::String) => Some(text()),
        (Codec::Bytea(_) | Codec::Opaque(_), Type::Bytes) => {
            Some(Value::Bytes(Bytes::copy_from_slice(placeholder)))
        }
        _ => None,
    };
    match codec {
        Codec::HstoreJson => {
            let name = String::from_utf8_lossy(placeholder);
            Value::string(serde_json::json!({ (name.as_ref()): name }).to_string())
        }
        Codec::HstoreMap => {
            let name = Value::string(String::from_utf8_lossy(placeholder));
            Value::Map(vec![(name.clone(), name)])
        }
        Codec::Array(element) => {
            let Some(items) = schema.value_schema() else { return Value::Null };
            match (element.as_ref(), items.ty()) {
                (Codec::Text, _) if items.name() == Some("io.debezium.data.Uuid") => {
                    // As Java's UUID.nameUUIDFromBytes: version 3 without a namespace.
                    let name = uuid::Builder::from_md5_bytes(Md5::digest(placeholder).into());
                    Value::Array(vec![Value::string(name.into_uuid().to_string())])
                }
                (Codec::Integer | Codec::Date(_), Type::Int32)
                    if items.name() != Some(logical::DATE) =>
                {
                    Value::Array(
                        placeholder.iter().map(|byte| Value::Int32((*byte).into())).collect(),
                    )
                }
                (Codec::Integer, Type::Int64) => Value::Array(
                    placeholder.iter().map(|byte| Value::Int64((*byte).into())).collect(),
                ),
                (element, _) => {
                    text(element, items).map_or(Value::Null, |value| Value::Array(vec![value]))
                }
            }
        }
        Codec::Mapped(mapper) => {
            let name = String::from_utf8_lossy(placeholder);
            Value::string(mapper.map(&name).as_ref())
        }
        codec => text(codec, schema).unwrap_or(Value::Null),
    }
}

/// What stands in a required column of which nothing is known: a before image that is only a key.
pub(super) fn zero(codec: &Codec, schema: &Arc<Schema>) -> Value {
    if let Some(default) = schema.default_value() {
        return default.clone();
    }
    let decimal = |scale: usize| match scale {
        0 => "0".to_owned(),
        scale => format!("0.{:0<scale$}", ""),
    };
    match codec {
        Codec::DecimalText { scale } => return Value::string(decimal(*scale)),
        Codec::MoneyText { digits } => return Value::string(decimal((*digits).into())),
        _ => {}
    }
    let text = match codec {
        Codec::ZonedTime | Codec::TimeText => Some("00:00:00Z"),
        Codec::ZonedTimestamp { .. } | Codec::TimestampText => Some("1970-01-01T00:00:00Z"),
        Codec::DateText(_) => Some("1970-01-01Z"),
        Codec::IntervalText => Some("P0Y0M0DT0H0M0S"),
        Codec::HstoreJson => Some("{}"),
        _ => None,
    };
    match (text, schema.ty()) {
        (Some(text), _) => Value::string(text),
        (_, Type::Int8) => Value::Int8(0),
        (_, Type::Int16) => Value::Int16(0),
        (_, Type::Int32) => match schema.name() {
            Some(logical::DATE) => Value::Date(0),
            Some(logical::TIME) => Value::Time(0),
            _ => Value::Int32(0),
        },
        (_, Type::Int64) if schema.name() == Some(logical::TIMESTAMP) => Value::Timestamp(0),
        (_, Type::Int64) => Value::Int64(0),
        (_, Type::Float32) => Value::Float32(0.0),
        (_, Type::Float64) => Value::Float64(0.0),
        (_, Type::Boolean) => Value::Boolean(false),
        (_, Type::String) => Value::string(""),
        (_, Type::Bytes) => zero_bytes(codec),
        (_, Type::Array) => Value::Array(Vec::new()),
        (_, Type::Map) => Value::Map(Vec::new()),
        (_, Type::Struct) => zero_struct(codec, schema),
    }
}

fn zero_bytes(codec: &Codec) -> Value {
    match codec {
        Codec::Decimal { scale } => {
            Value::Decimal(Decimal { unscaled: BigInt::ZERO, scale: *scale })
        }
        Codec::Money { digits } => {
            Value::Decimal(Decimal { unscaled: BigInt::ZERO, scale: (*digits).into() })
        }
        _ => Value::Bytes(Bytes::new()),
    }
}

/// An empty geometry collection in well-known binary.
const EMPTY_GEOMETRY: &[u8] = &[1, 7, 0, 0, 0, 0, 0, 0, 0];

fn zero_struct(codec: &Codec, schema: &Arc<Schema>) -> Value {
    match codec {
        Codec::VariableDecimal => {
            structure(schema, vec![Value::Int32(0), Value::Bytes(Bytes::from_static(&[0]))])
        }
        Codec::Point => geometry::point_value(schema, 0.0, 0.0),
        Codec::Geometry => {
            structure(schema, vec![Value::Bytes(Bytes::from_static(EMPTY_GEOMETRY)), Value::Null])
        }
        _ => Value::Null,
    }
}
