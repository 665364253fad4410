//! `org.apache.kafka.connect.transforms.Filter`: drops every record that it sees; which ones it
//! sees, a predicate says.

use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::{Record, RowPlan};
use crate::error::ConnectError;

/// There is nothing to configure.
pub fn config_def() -> ConfigDef {
    ConfigDef::default()
}

/// Makes the transform.
///
/// # Errors
/// None; the signature is that of all transforms.
pub fn construct(_props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(Filter))
}

#[derive(Debug)]
struct Filter;

impl Transformation for Filter {
    fn plan(&self, _input: &RowPlan) -> Planned {
        Planned::Drop
    }

    fn apply(&mut self, _record: &mut Record) -> Result<Keep, ConnectError> {
        Ok(Keep::Drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{plan_agrees, shape, smt};

    #[test]
    fn everything_is_dropped() {
        let (plan, batch) = shape("t");
        assert!(plan_agrees(smt(construct, &[]).unwrap().as_mut(), &plan, &batch));
    }
}
