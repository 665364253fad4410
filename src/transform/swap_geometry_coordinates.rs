//! `io.debezium.transforms.SwapGeometryCoordinates`: x and y of geometries change places, for
//! reference systems whose axes come in the other order.

use super::geometry::Geometries;
use super::{Transformation, wkb};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::error::ConnectError;

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "srids",
            ConfigType::List,
            "The spatial reference systems of geometries whose coordinates change places.",
        )
        .default("4326,3857,4269")
        .check(Validator::Custom(|value| match value {
            ConfigValue::List(items) if items.is_empty() => {
                Some("For input string: \"\"".to_owned())
            }
            ConfigValue::List(items) => {
                let bad = items.iter().find(|item| item.parse::<i32>().is_err())?;
                Some(format!("For input string: \"{bad}\""))
            }
            _ => None,
        })),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let srids = config_def().parse(props)?.list("srids");
    let srids: Vec<i32> = srids.iter().filter_map(|item| item.parse().ok()).collect();
    Ok(Box::new(Geometries::new(srids, |srids, wkb, srid| {
        if !srid.is_some_and(|srid| srids.contains(&srid)) {
            return Ok(None);
        }
        let failed = || ConnectError::data("Failed to swap EWKB/WKB coordinates");
        wkb::swapped(wkb).map(Some).ok_or_else(failed)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Record, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
    use crate::transform::testing::{apply, record, smt};

    fn point(x: f64, y: f64) -> Value {
        let bytes = [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat();
        Value::Bytes(bytes.into())
    }

    fn with_geometry(wkb: Value, srid: Value) -> Record {
        let geometry = SchemaBuilder::structure()
            .name("io.debezium.data.geometry.Geometry")
            .field("wkb", SchemaBuilder::new(Type::Bytes).build())
            .field("srid", SchemaBuilder::new(Type::Int32).optional().build())
            .build();
        let schema = SchemaBuilder::structure().field("g", geometry.clone()).build();
        let geometry = Value::Struct(Box::new(Struct::new(geometry, vec![wkb, srid])));
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), vec![geometry])));
        Record { value: SchemaAndValue { schema: Some(schema), value }, ..record("t") }
    }

    #[test]
    fn listed_systems_are_swapped() {
        let mut smt = smt(construct, &[]).unwrap();
        for (srid, expected) in [
            (Value::Int32(4326), point(2.0, 1.0)),
            (Value::Int32(25_832), point(1.0, 2.0)),
            (Value::Null, point(1.0, 2.0)),
        ] {
            let mut record = with_geometry(point(1.0, 2.0), srid.clone());
            apply(smt.as_mut(), &mut record).unwrap();
            assert_eq!(record, with_geometry(expected, srid));
        }
        let mut broken = with_geometry(Value::Bytes(vec![1].into()), Value::Int32(4326));
        assert_eq!(
            apply(smt.as_mut(), &mut broken).unwrap_err(),
            "Failed to swap EWKB/WKB coordinates"
        );
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(
            smt(construct, &[("srids", "1,x")]).err().unwrap(),
            "Invalid value [1, x] for configuration srids: For input string: \"x\""
        );
    }
}
