//! `io.debezium.connector.jdbc.transforms.CollectionNameTransformation`: topics in another style.

use std::sync::Arc;

use super::naming_style::{self, Naming};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::{Record, RowPlan};
use crate::error::ConnectError;

const KEYS: [&str; 3] =
    ["collection.naming.prefix", "collection.naming.suffix", "collection.naming.style"];

/// The configuration keys.
pub fn config_def() -> ConfigDef {
    let [prefix, suffix, style] = KEYS;
    naming_style::config_def(prefix, suffix, style)
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(CollectionNameTransformation { naming: Naming::new(props, KEYS)? }))
}

#[derive(Debug)]
struct CollectionNameTransformation {
    naming: Naming,
}

impl Transformation for CollectionNameTransformation {
    fn plan(&self, input: &RowPlan) -> Planned {
        let topic = self.naming.of(&input.topic).into();
        Planned::Plan(Arc::new(RowPlan { topic, ..input.clone() }))
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        record.topic = self.naming.of(&record.topic).into();
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, plan_agrees, record, shape, smt};

    #[test]
    fn topics_are_renamed_and_planned() {
        let settings =
            [("collection.naming.style", "snake_case"), ("collection.naming.prefix", "p_")];
        let mut smt = smt(construct, &settings).unwrap();
        let mut renamed = record("cdc.myTable");
        apply(smt.as_mut(), &mut renamed).unwrap();
        assert_eq!(&*renamed.topic, "p_cdc_my_table");
        let (plan, batch) = shape("cdc.myTable");
        assert!(plan_agrees(smt.as_mut(), &plan, &batch));
    }

    #[test]
    fn settings_are_checked() {
        let error = smt(construct, &[("collection.naming.style", "kebab")]).err().unwrap();
        assert!(error.ends_with(
            "Invalid naming style: kebab. Allowed styles are: SNAKE_CASE, CAMEL_CASE, UPPER_CASE, \
             LOWER_CASE, DEFAULT"
        ));
    }
}
