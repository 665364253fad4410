//! What the transforms of geometries share: the walk to each geometry of a value.

use std::sync::Arc;

use super::rebuild::MadeOnce;
use super::{Keep, Transformation};
use crate::data::{Record, Schema, Struct, Type, Value};
use crate::error::ConnectError;

const GEOMETRY: &str = "io.debezium.data.geometry.Geometry";

/// What becomes of one geometry; `None` leaves it.
pub(super) type Change<S> =
    fn(&S, wkb: &[u8], srid: Option<i32>) -> Result<Option<Vec<u8>>, ConnectError>;

/// Applies a change to every geometry of a struct value, at any depth.
#[derive(Debug)]
pub(super) struct Geometries<S> {
    settings: S,
    change: Change<S>,
    /// Whether a schema holds geometries at all.
    holders: MadeOnce<(), bool>,
}

impl<S> Geometries<S> {
    pub(super) fn new(settings: S, change: Change<S>) -> Self {
        Self { settings, change, holders: MadeOnce::new() }
    }

    fn walk(&self, value: &Struct) -> Result<Value, ConnectError> {
        let schema = value.schema();
        let members = schema.fields().iter().zip(value.values());
        let values = members.map(|(field, member)| match member {
            Value::Struct(member) if field.schema.name() == Some(GEOMETRY) => self.geometry(member),
            Value::Struct(member) => self.walk(member),
            other => Ok(other.clone()),
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
    }

    fn geometry(&self, geometry: &Struct) -> Result<Value, ConnectError> {
        let srid = match geometry.get("srid") {
            Some(Value::Int32(srid)) => Some(*srid),
            _ => None,
        };
        let schema = geometry.schema();
        let members = schema.fields().iter().zip(geometry.values());
        let values = members.map(|(field, member)| match member {
            Value::Bytes(wkb) if field.name == "wkb" => {
                let changed = (self.change)(&self.settings, wkb, srid)?;
                Ok::<_, ConnectError>(
                    changed.map_or(member.clone(), |wkb| Value::Bytes(wkb.into())),
                )
            }
            other => Ok(other.clone()),
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
    }
}

fn holds_geometries(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| {
        field.schema.name() == Some(GEOMETRY)
            || field.schema.ty() == Type::Struct && holds_geometries(&field.schema)
    })
}

impl<S: Send> Transformation for Geometries<S> {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let Value::Struct(value) = &record.value.value else { return Ok(Keep::Record) };
        let schema: &Arc<Schema> = value.schema();
        if *self.holders.get(schema, (), |()| Ok(holds_geometries(schema)))? {
            record.value.value = self.walk(value)?;
        }
        Ok(Keep::Record)
    }
}
