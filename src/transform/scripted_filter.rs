//! `io.debezium.transforms.Filter`: keeps the records for which an expression is true.

use super::expression::Outcome;
use super::scripted::{self, Said, Scripted};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::Record;
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    scripted::config_def("condition", "The expression that is true for records to keep.")
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(Filter { condition: Scripted::new(&config_def(), "condition", props)? }))
}

#[derive(Debug)]
struct Filter {
    condition: Scripted,
}

impl Transformation for Filter {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        match self.condition.ask(record)? {
            Said::Keep | Said::Outcome(Outcome::Boolean(true)) => Ok(Keep::Record),
            Said::Drop | Said::Outcome(Outcome::Boolean(false)) => Ok(Keep::Drop),
            Said::Outcome(other) => Err(self.condition.wrong(&other, "Boolean")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaAndValue, Value};
    use crate::transform::testing::{apply, change, row, smt};

    const GROOVY: (&str, &str) = ("language", "jsr223.groovy");

    fn kept(settings: &[(&str, &str)], mut record: Record) -> Result<Keep, String> {
        let mut smt = smt(construct, settings)?;
        apply(smt.as_mut(), &mut record)
    }

    #[test]
    fn true_keeps_and_false_drops() {
        let settings = [GROOVY, ("condition", "value.op == 'u' && value.before.id == 2")];
        for (id, expected) in [(2, Keep::Record), (3, Keep::Drop)] {
            assert_eq!(kept(&settings, change("u", row(id, "a"), row(1, "b"))), Ok(expected));
        }
        let elsewhere = [&settings[..], &[("topic.regex", "other.*")]].concat();
        let record = change("u", row(3, "a"), row(1, "b"));
        assert_eq!(kept(&elsewhere, record), Ok(Keep::Record));
    }

    #[test]
    fn tombstones_follow_their_mode() {
        for (mode, expected) in
            [("keep", Ok(Keep::Record)), ("DROP", Ok(Keep::Drop)), ("evaluate", Ok(Keep::Record))]
        {
            let condition = ("condition", "value?.op == null");
            let event = change("c", Value::Null, row(1, "a"));
            let tombstone = Record { value: SchemaAndValue::NULL, ..event };
            let settings = [GROOVY, condition, ("null.handling.mode", mode)];
            assert_eq!(kept(&settings, tombstone), expected, "{mode}");
        }
    }

    #[test]
    fn other_outcomes_fail() {
        for condition in ["value.op", "null", "value.after"] {
            let event = change("c", Value::Null, row(1, "a"));
            let error = kept(&[GROOVY, ("condition", condition)], event).unwrap_err();
            assert_eq!(error, format!("Error while evaluating expression '{condition}'"));
        }
    }

    #[test]
    fn settings_are_checked() {
        let condition = ("condition", "value.op == 'u'");
        for (settings, expected) in [
            (
                [GROOVY, ("condition", "value.op ==")],
                "Invalid value value.op == for configuration condition: Failed to parse expression \
                 'value.op ==': column 12: something is missing here",
            ),
            (
                [("language", "groovy"), condition],
                "Invalid value groovy for configuration language: Value for option 'language' must \
                 begin with 'jsr223.' or 'wasm', e.g. 'jsr223.groovy'",
            ),
            (
                [("language", "jsr223.python"), condition],
                "Invalid value jsr223.python for configuration language: Implementation of language \
                 'python' not found: use jsr223.groovy or jsr223.graal.js",
            ),
            (
                [("language", "wasm.chicory"), condition],
                "Invalid value wasm.chicory for configuration language: WebAssembly modules are not \
                 run: write the condition as an expression of jsr223.groovy",
            ),
        ] {
            assert_eq!(smt(construct, &settings).err().unwrap(), expected);
        }
    }
}
