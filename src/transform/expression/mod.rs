//! Conditions of `Filter` and `ContentBasedRouter`: the expressions that connector files hold for
//! Groovy and JavaScript, as far as they only look at the record.
//!
//! An interpreter of our own and not a general engine: there is nothing in it but paths, operators
//! and a few methods of texts and lists, so an expression can neither reach outside nor run on; and
//! null, numbers and `==` mean what they mean in Groovy, which no other engine would give.

mod eval;
mod lexer;
mod parser;

use crate::config::{ConfigValue, Validator};
use crate::data::{Decimal, Record, Value};
use crate::error::ConnectError;
use crate::transform::java_regex::Pattern;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {at}: {reason}")]
pub(super) struct ParseError {
    at: usize,
    reason: String,
}

impl ParseError {
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }
}

/// The check of `language`.
pub(super) const LANGUAGE: Validator = Validator::Custom(|value| {
    let ConfigValue::String(language) = value else {
        return Some("A value is required".to_owned());
    };
    match language.as_str() {
        "jsr223.groovy" | "jsr223.graal.js" => None,
        _ if language.starts_with("wasm") => Some(
            "WebAssembly modules are not run: write the condition as an expression of jsr223.groovy"
                .to_owned(),
        ),
        _ => match language.strip_prefix("jsr223.") {
            None => Some(
                "Value for option 'language' must begin with 'jsr223.' or 'wasm', e.g. \
                 'jsr223.groovy'"
                    .to_owned(),
            ),
            Some(name) => Some(format!(
                "Implementation of language '{name}' not found: use jsr223.groovy or \
                 jsr223.graal.js"
            )),
        },
    }
});

/// The check of an expression.
pub(super) const EXPRESSION: Validator = Validator::Custom(|value| match value {
    ConfigValue::String(text) => parser::parse(text)
        .err()
        .map(|error| format!("Failed to parse expression '{text}': {error}")),
    _ => Some("A value is required".to_owned()),
});

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Null,
    Boolean(bool),
    Text(String),
    /// Something else, as error texts show it.
    Other(&'static str),
}

/// An expression, ready to be evaluated.
#[derive(Debug)]
pub(super) struct Compiled {
    text: String,
    expression: Expression,
}

impl Compiled {
    /// Parses `text`.
    pub(super) fn new(text: &str) -> Result<Self, ConnectError> {
        let expression = parser::parse(text).map_err(|error| {
            ConnectError::config(format!("Failed to parse expression '{text}'")).because(error)
        })?;
        Ok(Self { text: text.to_owned(), expression })
    }

    /// Evaluates it for `record`.
    pub(super) fn evaluate(&self, record: &Record) -> Result<Outcome, ConnectError> {
        let outcome = eval::evaluate(&self.expression, record);
        outcome.map_err(|error| self.failed(error))
    }

    /// An error about the result.
    pub(super) fn failed(&self, cause: ConnectError) -> ConnectError {
        ConnectError::data(format!("Error while evaluating expression '{}'", self.text))
            .because(cause)
    }
}

#[derive(Debug)]
enum Expression {
    Null,
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    Text(String),
    List(Vec<Expression>),
    Binding(Binding),
    Property {
        of: Box<Expression>,
        name: String,
        safe: bool,
    },
    Index(Box<Expression>, Box<Expression>),
    Call {
        of: Box<Expression>,
        method: Method,
        arguments: Vec<Expression>,
        safe: bool,
    },
    /// The whole text matches.
    Matches(Box<Expression>, Box<Pattern>),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    Binary(Binary, Box<Expression>, Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Ternary(Box<Expression>, Box<Expression>, Box<Expression>),
    Elvis(Box<Expression>, Box<Expression>),
}

impl Expression {
    /// How many expressions stand in each other.
    fn depth(&self) -> usize {
        let deepest = |items: &[Self]| items.iter().map(Self::depth).max().unwrap_or(0);
        1 + match self {
            Self::Null
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::Decimal(_)
            | Self::Text(_)
            | Self::Binding(_) => 0,
            Self::List(items) | Self::All(items) | Self::Any(items) => deepest(items),
            Self::Property { of, .. } | Self::Matches(of, _) | Self::Not(of) | Self::Negate(of) => {
                of.depth()
            }
            Self::Call { of, arguments, .. } => of.depth().max(deepest(arguments)),
            Self::Index(left, right) | Self::Binary(_, left, right) | Self::Elvis(left, right) => {
                left.depth().max(right.depth())
            }
            Self::Ternary(condition, then, otherwise) => {
                condition.depth().max(then.depth()).max(otherwise.depth())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binary {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Remainder,
}

/// What an expression can start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binding {
    Key,
    Value,
    KeySchema,
    ValueSchema,
    Topic,
    Header,
}

impl Binding {
    const ALL: [(&'static str, Self); 6] = [
        ("key", Self::Key),
        ("value", Self::Value),
        ("keySchema", Self::KeySchema),
        ("valueSchema", Self::ValueSchema),
        ("topic", Self::Topic),
        ("header", Self::Header),
    ];

    fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, binding)| *binding)
    }

    fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Contains,
    StartsWith,
    EndsWith,
    Equals,
    EqualsIgnoreCase,
    Length,
    IsEmpty,
    Lower,
    Upper,
    Trim,
    Get,
    ToText,
    Name,
}

impl Method {
    /// Name, number of arguments.
    const ALL: [(&'static str, usize, Self); 18] = [
        ("contains", 1, Self::Contains),
        ("includes", 1, Self::Contains),
        ("startsWith", 1, Self::StartsWith),
        ("endsWith", 1, Self::EndsWith),
        ("equals", 1, Self::Equals),
        ("equalsIgnoreCase", 1, Self::EqualsIgnoreCase),
        ("length", 0, Self::Length),
        ("size", 0, Self::Length),
        ("isEmpty", 0, Self::IsEmpty),
        ("toLowerCase", 0, Self::Lower),
        ("toUpperCase", 0, Self::Upper),
        ("trim", 0, Self::Trim),
        ("get", 1, Self::Get),
        ("getString", 1, Self::Get),
        ("getInt32", 1, Self::Get),
        ("getInt64", 1, Self::Get),
        ("toString", 0, Self::ToText),
        ("name", 0, Self::Name),
    ];

    fn find(name: &str, arguments: usize) -> Option<Self> {
        let mut known = Self::ALL.iter();
        known.find(|(n, count, _)| *n == name && *count == arguments).map(|(.., method)| *method)
    }

    fn names() -> String {
        format!("{}, matches", Self::ALL.map(|(name, ..)| name).join(", "))
    }
}

/// A record's value, as an expression's outcome is named in errors.
fn kind_of(value: &Value) -> &'static str {
    value.java_class()
}

#[cfg(test)]
mod tests;
