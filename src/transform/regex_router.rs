//! `org.apache.kafka.connect.transforms.RegexRouter`: topics renamed by a regular expression.

use std::sync::Arc;

use super::java_regex::Pattern;
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Record, RowPlan};
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "regex",
            ConfigType::String,
            "The expression that must match a whole topic.",
        )
        .required()
        .high()
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text) => {
                Pattern::new(text).err().map(|error| format!("Invalid regex: {error}"))
            }
            _ => None,
        })),
        ConfigKey::new(
            "replacement",
            ConfigType::String,
            "What the first find becomes; $1 and ${name} are groups.",
        )
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
    let pattern = Pattern::new(&parsed.string("regex")).map_err(ConnectError::config)?;
    Ok(Box::new(RegexRouter { pattern, replacement: parsed.string("replacement"), last: None }))
}

#[derive(Debug)]
struct RegexRouter {
    pattern: Pattern,
    replacement: String,
    /// The newest topic and what it became: topics come in runs.
    last: Option<(Arc<str>, Arc<str>)>,
}

impl RegexRouter {
    fn route(&self, topic: &Arc<str>) -> Result<Arc<str>, ConnectError> {
        if !self.pattern.matches(topic)? {
            return Ok(topic.clone());
        }
        Ok(self.pattern.replace_first(topic, &self.replacement)?.into())
    }
}

impl Transformation for RegexRouter {
    fn plan(&self, input: &RowPlan) -> Planned {
        match self.route(&input.topic) {
            Ok(topic) => Planned::Plan(Arc::new(RowPlan { topic, ..input.clone() })),
            Err(_) => Planned::PerRecord,
        }
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let routed = match &self.last {
            Some((from, to)) if *from == record.topic => to.clone(),
            _ => {
                let routed = self.route(&record.topic)?;
                self.last = Some((record.topic.clone(), routed.clone()));
                routed
            }
        };
        record.topic = routed;
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, plan_agrees, record, shape};

    fn router(regex: &str, replacement: &str) -> Result<Box<dyn Transformation>, ConnectError> {
        construct(&Props::from([
            ("regex".to_owned(), regex.to_owned()),
            ("replacement".to_owned(), replacement.to_owned()),
        ]))
    }

    #[test]
    fn topics_that_match_as_a_whole_are_renamed() {
        for (topic, regex, replacement, expected) in [
            ("cdc.commerce.users", r"cdc\.(.*)\.(.*)", "$1_$2", "commerce_users"),
            ("ab", "a|ab", "X", "Xb"),
            ("other", "oth", "X", "other"),
            ("a.b", r"(?<l>[^.]+)\.(?<r>.+)", "${r}.${l}", "b.a"),
        ] {
            let mut smt = router(regex, replacement).unwrap();
            for _ in 0..2 {
                let mut record = record(topic);
                assert_eq!(apply(smt.as_mut(), &mut record), Ok(Keep::Record));
                assert_eq!(&*record.topic, expected);
            }
            let (plan, batch) = shape(topic);
            assert!(plan_agrees(smt.as_mut(), &plan, &batch));
        }
    }

    #[test]
    fn what_cannot_work_is_named() {
        let error = router("(", "x").err().unwrap().to_string();
        assert!(
            error.starts_with("Invalid value ( for configuration regex: Invalid regex: "),
            "{error}"
        );
        let mut smt = router(".*", "$3").unwrap();
        let mut record = record("t");
        assert_eq!(apply(smt.as_mut(), &mut record), Err("No group 3".to_owned()));
        let (plan, _) = shape("t");
        assert_eq!(smt.plan(&plan), Planned::PerRecord);
    }
}
