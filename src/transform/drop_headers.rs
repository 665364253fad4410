//! `org.apache.kafka.connect.transforms.DropHeaders`.

use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::Record;
use crate::error::ConnectError;
use crate::transform::rebuild::non_empty_list;

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("headers", ConfigType::List, "The headers to drop, all of each name.")
            .required()
            .high()
            .check(Validator::Custom(non_empty_list)),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(DropHeaders { names: config_def().parse(props)?.list("headers") }))
}

#[derive(Debug)]
struct DropHeaders {
    names: Vec<String>,
}

impl Transformation for DropHeaders {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        record.headers.retain(|header| !self.names.contains(&header.key));
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Header, Value};
    use crate::transform::testing::{apply, record, smt};

    #[test]
    fn all_headers_of_a_listed_name_go() {
        let mut record = record("t");
        for key in ["a", "b", "a", "c"] {
            record.headers.push(Header { key: key.into(), schema: None, value: Value::Null });
        }
        let mut smt = smt(construct, &[("headers", "a, c")]).unwrap();
        apply(smt.as_mut(), &mut record).unwrap();
        let names: Vec<_> = record.headers.iter().map(|header| header.key.as_str()).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn a_list_is_required() {
        assert_eq!(
            smt(construct, &[("headers", "")]).err().unwrap(),
            "Invalid value [] for configuration headers: Empty list"
        );
    }
}
