//! `io.debezium.transforms.ContentBasedRouter`: the topic that an expression gives.

use super::expression::Outcome;
use super::scripted::{self, Said, Scripted};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::Record;
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    scripted::config_def("topic.expression", "The expression that gives the topic; null keeps it.")
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let expression = Scripted::new(&config_def(), "topic.expression", props)?;
    Ok(Box::new(ContentBasedRouter { expression }))
}

#[derive(Debug)]
struct ContentBasedRouter {
    expression: Scripted,
}

impl Transformation for ContentBasedRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        match self.expression.ask(record)? {
            Said::Keep | Said::Outcome(Outcome::Null) => Ok(Keep::Record),
            Said::Drop => Ok(Keep::Drop),
            Said::Outcome(Outcome::Text(topic)) => {
                record.topic = topic.into();
                Ok(Keep::Record)
            }
            Said::Outcome(other) => Err(self.expression.wrong(&other, "String")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Value;
    use crate::transform::testing::{apply, change, row, smt};

    fn routed(expression: &str) -> Result<String, String> {
        let settings = [("language", "jsr223.groovy"), ("topic.expression", expression)];
        let mut smt = smt(construct, &settings)?;
        let mut record = change("c", Value::Null, row(1, "a"));
        assert_eq!(apply(smt.as_mut(), &mut record)?, Keep::Record);
        Ok(record.topic.to_string())
    }

    #[test]
    fn the_expression_gives_the_topic() {
        for (expression, expected) in [
            ("value.op == 'c' ? 'created' : null", Ok("created")),
            ("value.op == 'd' ? 'deleted' : null", Ok("s.db.t")),
            ("topic + '.' + value.after.name", Ok("s.db.t.a")),
            ("value.after.id", Err("Error while evaluating expression 'value.after.id'")),
            ("true", Err("Error while evaluating expression 'true'")),
        ] {
            let routed = routed(expression);
            assert_eq!(routed.as_deref().map_err(String::as_str), expected, "{expression}");
        }
    }
}
