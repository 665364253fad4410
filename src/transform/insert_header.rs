//! `org.apache.kafka.connect.transforms.InsertHeader`: one header, its type guessed from its text.

use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{Header, Record, values};
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("header", ConfigType::String, "The name of the header.").required().high(),
        ConfigKey::new("value.literal", ConfigType::String, "The value of the header.")
            .required()
            .high(),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let data = values::parse(&parsed.string("value.literal"));
    let header = Header { key: parsed.string("header"), schema: data.schema, value: data.value };
    Ok(Box::new(InsertHeader { header }))
}

#[derive(Debug)]
struct InsertHeader {
    header: Header,
}

impl Transformation for InsertHeader {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        record.headers.push(self.header.clone());
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Value;
    use crate::transform::testing::{apply, record, smt};

    #[test]
    fn the_literal_has_a_type() {
        for (literal, expected) in
            [("5", Value::Int8(5)), ("null", Value::Null), ("x", Value::string("x"))]
        {
            let settings = [("header", "h"), ("value.literal", literal)];
            let mut record = record("t");
            let mut smt = smt(construct, &settings).unwrap();
            for _ in 0..2 {
                apply(smt.as_mut(), &mut record).unwrap();
            }
            assert_eq!(record.headers.len(), 2);
            assert_eq!(
                (record.headers[1].key.as_str(), &record.headers[1].value),
                ("h", &expected)
            );
        }
    }
}
