//! `org.apache.kafka.connect.transforms.predicates.HasHeaderKey`.

use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::Record;
use crate::error::ConnectError;
use crate::transform::Predicate;

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("name", ConfigType::String, "The header that a record must have.")
            .required()
            .medium()
            .check(Validator::NonEmpty),
    ])
}

/// Makes the predicate.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Predicate>, ConnectError> {
    Ok(Box::new(HasHeaderKey { name: config_def().parse(props)?.string("name") }))
}

#[derive(Debug)]
struct HasHeaderKey {
    name: String,
}

impl Predicate for HasHeaderKey {
    fn test(&self, record: &Record) -> bool {
        record.headers.iter().any(|header| header.key == self.name)
    }
}
