//! `io.debezium.transforms.GeometryFormatTransformer`: plain WKB to EWKB, or back.

use super::geometry::Geometries;
use super::{Transformation, wkb};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::error::ConnectError;

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "format",
            ConfigType::String,
            "What geometries are: wkb gets its SRID (EWKB), ewkb loses it. EWKB among wkb loses it, too.",
        )
        .default("wkb")
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text)
                if text.eq_ignore_ascii_case("wkb") || text.eq_ignore_ascii_case("ewkb") =>
            {
                None
            }
            _ => Some("Value must be one of ewkb, wkb".to_owned()),
        })),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let adds = config_def().parse(props)?.string("format").eq_ignore_ascii_case("wkb");
    Ok(Box::new(Geometries::new(adds, |adds, wkb, srid| {
        let failed = || ConnectError::data("a geometry is no well-known binary");
        match wkb::Head::of(wkb) {
            Some(head) if head.has_srid() => wkb::without_srid(wkb).map(Some).ok_or_else(failed),
            _ if !adds => Ok(None),
            None => Err(failed()),
            Some(_) => {
                let srid = srid.ok_or_else(|| {
                    ConnectError::data("Cannot convert to EWKB when SRID is null")
                })?;
                wkb::with_srid(wkb, srid).map(Some).ok_or_else(failed)
            }
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::smt;

    #[test]
    fn settings_are_checked() {
        assert!(smt(construct, &[("format", "EWKB")]).is_ok());
        assert_eq!(
            smt(construct, &[("format", "kml")]).err().unwrap(),
            "Invalid value kml for configuration format: Value must be one of ewkb, wkb"
        );
    }
}
