//! Evaluation of expressions over a record.

use std::borrow::Cow;
use std::cmp::Ordering;

use num_bigint::BigInt;

use super::{Binary, Binding, Expression, Method, Outcome, kind_of};
use crate::data::{Decimal, Header, Record, Schema, SchemaAndValue, Value, values};
use crate::error::ConnectError;
use crate::transform::rebuild::or_default;

/// Scales further apart than this are compared as doubles: powers of ten cost memory.
const SCALES_MAX: u32 = 1_000;

/// Something an expression works with.
#[derive(Debug, Clone)]
enum Item<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(Cow<'a, Decimal>),
    Text(Cow<'a, str>),
    List(Vec<Item<'a>>),
    /// A struct, map, array or bytes of the record.
    Data(Cow<'a, Value>),
    Schema(&'a Schema),
    Headers(&'a [Header]),
    Header(&'a Header),
}

type Evaluated<'a> = Result<Item<'a>, ConnectError>;

pub(super) fn evaluate(expression: &Expression, record: &Record) -> Result<Outcome, ConnectError> {
    Ok(match item(expression, record)? {
        Item::Null => Outcome::Null,
        Item::Boolean(truth) => Outcome::Boolean(truth),
        Item::Text(text) => Outcome::Text(text.into_owned()),
        other => Outcome::Other(other.kind()),
    })
}

fn item<'a>(expression: &'a Expression, record: &'a Record) -> Evaluated<'a> {
    let truth = |expression: &'a Expression| item(expression, record).map(|item| item.is_true());
    Ok(match expression {
        Expression::Null => Item::Null,
        Expression::Boolean(truth) => Item::Boolean(*truth),
        Expression::Integer(integer) => Item::Integer(*integer),
        Expression::Decimal(decimal) => Item::Decimal(Cow::Borrowed(decimal)),
        Expression::Text(text) => Item::Text(Cow::Borrowed(text)),
        Expression::List(items) => {
            Item::List(items.iter().map(|one| item(one, record)).collect::<Result<_, _>>()?)
        }
        Expression::Binding(binding) => bound(*binding, record),
        Expression::Property { of, name, safe } => member(&item(of, record)?, name, *safe)?,
        Expression::Index(of, index) => indexed(&item(of, record)?, &item(index, record)?)?,
        Expression::Call { of, method, arguments, safe } => {
            let of = item(of, record)?;
            let argument = match arguments.first() {
                Some(argument) => item(argument, record)?,
                None => Item::Null,
            };
            call(&of, *method, &argument, *safe)?
        }
        Expression::Matches(of, pattern) => match item(of, record)? {
            Item::Text(text) => Item::Boolean(pattern.matches(&text)?),
            Item::Null => Item::Boolean(false),
            other => return Err(unfit("matches", &other)),
        },
        Expression::Not(inner) => Item::Boolean(!truth(inner)?),
        Expression::Negate(inner) => match item(inner, record)? {
            Item::Integer(integer) => Item::Integer(integer.wrapping_neg()),
            Item::Float(float) => Item::Float(-float),
            Item::Decimal(decimal) => Item::Decimal(Cow::Owned(Decimal {
                unscaled: -&decimal.unscaled,
                scale: decimal.scale,
            })),
            other => return Err(unfit("-", &other)),
        },
        Expression::Binary(operator, left, right) => {
            binary(*operator, item(left, record)?, item(right, record)?)?
        }
        Expression::All(all) => {
            for one in all {
                if !truth(one)? {
                    return Ok(Item::Boolean(false));
                }
            }
            Item::Boolean(true)
        }
        Expression::Any(any) => {
            for one in any {
                if truth(one)? {
                    return Ok(Item::Boolean(true));
                }
            }
            Item::Boolean(false)
        }
        Expression::Ternary(condition, then, otherwise) => {
            item(if truth(condition)? { then } else { otherwise }, record)?
        }
        Expression::Elvis(first, otherwise) => match item(first, record)? {
            first if first.is_true() => first,
            _ => item(otherwise, record)?,
        },
    })
}

fn bound(binding: Binding, record: &Record) -> Item<'_> {
    let schema = |part: &'_ SchemaAndValue| part.schema.is_some();
    match binding {
        Binding::Key => Item::of(Cow::Borrowed(&record.key.value)),
        Binding::Value => Item::of(Cow::Borrowed(&record.value.value)),
        Binding::KeySchema if schema(&record.key) => {
            record.key.schema.as_deref().map_or(Item::Null, Item::Schema)
        }
        Binding::ValueSchema if schema(&record.value) => {
            record.value.schema.as_deref().map_or(Item::Null, Item::Schema)
        }
        Binding::KeySchema | Binding::ValueSchema => Item::Null,
        Binding::Topic => Item::Text(Cow::Borrowed(&record.topic)),
        Binding::Header => Item::Headers(&record.headers),
    }
}

impl<'a> Item<'a> {
    fn of(value: Cow<'a, Value>) -> Self {
        match value {
            Cow::Borrowed(Value::String(text)) => return Item::Text(Cow::Borrowed(text)),
            Cow::Borrowed(Value::Decimal(decimal)) => return Item::Decimal(Cow::Borrowed(decimal)),
            _ => {}
        }
        match value.as_ref() {
            Value::Null => Item::Null,
            Value::Boolean(truth) => Item::Boolean(*truth),
            Value::Float32(float) => Item::Float((*float).into()),
            Value::Float64(float) => Item::Float(*float),
            Value::String(text) => Item::Text(Cow::Owned(text.to_string())),
            Value::Decimal(decimal) => Item::Decimal(Cow::Owned(decimal.clone())),
            other => match other.as_i64() {
                Some(integer) => Item::Integer(integer),
                None => Item::Data(value),
            },
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Item::Null => "null",
            Item::Boolean(_) => "java.lang.Boolean",
            Item::Integer(_) => "java.lang.Long",
            Item::Float(_) => "java.lang.Double",
            Item::Decimal(_) => "java.math.BigDecimal",
            Item::Text(_) => "java.lang.String",
            Item::List(_) => "java.util.ArrayList",
            Item::Data(value) => kind_of(value),
            Item::Schema(_) => "a schema",
            Item::Headers(_) => "the headers",
            Item::Header(_) => "a header",
        }
    }

    /// Groovy's truth: null, zero and what is empty are false.
    fn is_true(&self) -> bool {
        match self {
            Item::Null => false,
            Item::Boolean(truth) => *truth,
            Item::Integer(integer) => *integer != 0,
            Item::Float(float) => *float != 0.0,
            Item::Decimal(decimal) => decimal.unscaled != BigInt::ZERO,
            Item::Text(text) => !text.is_empty(),
            Item::List(items) => !items.is_empty(),
            Item::Data(value) => match value.as_ref() {
                Value::Array(items) => !items.is_empty(),
                Value::Map(entries) => !entries.is_empty(),
                _ => true,
            },
            Item::Headers(headers) => !headers.is_empty(),
            Item::Schema(_) | Item::Header(_) => true,
        }
    }

    fn to_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Item::Text(text) => Cow::Borrowed(text.as_ref()),
            Item::Null => Cow::Borrowed("null"),
            Item::Boolean(truth) => Cow::Owned(truth.to_string()),
            Item::Integer(integer) => Cow::Owned(integer.to_string()),
            Item::Float(float) => Cow::Owned(values::java_string(&Value::Float64(*float))),
            Item::Decimal(decimal) => {
                Cow::Owned(values::java_string(&Value::Decimal(decimal.as_ref().clone())))
            }
            _ => return None,
        })
    }
}

fn unfit(what: &str, item: &Item<'_>) -> ConnectError {
    ConnectError::data(format!("{what} does not apply to {}", item.kind()))
}

fn member<'a>(of: &Item<'a>, name: &str, safe: bool) -> Evaluated<'a> {
    match of {
        Item::Null if safe => Ok(Item::Null),
        Item::Null => Err(ConnectError::data(format!(
            "cannot get property '{name}' of null: write ?.{name} where null may stand"
        ))),
        Item::Data(Cow::Borrowed(value)) => field(value, name),
        Item::Data(Cow::Owned(value)) => field(value, name).map(Item::owned),
        Item::Headers(headers) => {
            let header = headers.iter().rfind(|header| header.key == name);
            Ok(header.map_or(Item::Null, Item::Header))
        }
        Item::Header(header) => match name {
            "value" => Ok(Item::of(Cow::Borrowed(&header.value))),
            "schema" => Ok(header.schema.as_deref().map_or(Item::Null, Item::Schema)),
            _ => Err(unfit(&format!(".{name}"), of)),
        },
        Item::Schema(schema) => match name {
            "name" => Ok(schema.name().map_or(Item::Null, |name| Item::Text(Cow::Borrowed(name)))),
            "version" => {
                Ok(schema.version().map_or(Item::Null, |version| Item::Integer(version.into())))
            }
            "type" => Ok(Item::Text(Cow::Borrowed(schema.ty().name()))),
            "optional" => Ok(Item::Boolean(schema.is_optional())),
            _ => Err(unfit(&format!(".{name}"), of)),
        },
        Item::Text(text) if name == "length" => Ok(length(text)),
        _ => Err(unfit(&format!(".{name}"), of)),
    }
}

fn length<'a>(text: &str) -> Item<'a> {
    Item::Integer(i64::try_from(text.encode_utf16().count()).unwrap_or(i64::MAX))
}

impl Item<'_> {
    /// The same, standing on its own.
    fn owned<'b>(self) -> Item<'b> {
        match self {
            Item::Null => Item::Null,
            Item::Boolean(truth) => Item::Boolean(truth),
            Item::Integer(integer) => Item::Integer(integer),
            Item::Float(float) => Item::Float(float),
            Item::Decimal(decimal) => Item::Decimal(Cow::Owned(decimal.into_owned())),
            Item::Text(text) => Item::Text(Cow::Owned(text.into_owned())),
            Item::List(items) => Item::List(items.into_iter().map(Item::owned).collect()),
            Item::Data(value) => Item::Data(Cow::Owned(value.into_owned())),
            // Parts of values are none of these.
            Item::Schema(_) | Item::Headers(_) | Item::Header(_) => Item::Null,
        }
    }
}

/// A struct's field, its default in the place of null; or a map's entry, null when there is none.
fn field<'v>(value: &'v Value, name: &str) -> Evaluated<'v> {
    match value {
        Value::Struct(value) => {
            let (index, field) = value
                .schema()
                .field(name)
                .ok_or_else(|| ConnectError::data(format!("{name} is not a valid field name")))?;
            let own = &value.values()[index];
            Ok(match field.schema.default_value() {
                Some(default) if own.is_null() => {
                    Item::of(Cow::Owned(or_default(own, Some(default))))
                }
                _ => Item::of(Cow::Borrowed(own)),
            })
        }
        Value::Map(entries) => {
            let entry = entries.iter().find(|(key, _)| key.as_str() == Some(name));
            Ok(entry.map_or(Item::Null, |(_, value)| Item::of(Cow::Borrowed(value))))
        }
        other => Err(ConnectError::data(format!(".{name} does not apply to {}", kind_of(other)))),
    }
}

fn indexed<'a>(of: &Item<'a>, index: &Item<'a>) -> Evaluated<'a> {
    match (of, index) {
        (_, Item::Text(name)) => member(of, name, false),
        (Item::List(items), Item::Integer(index)) => {
            let found = usize::try_from(*index).ok().and_then(|index| items.get(index));
            Ok(found.cloned().unwrap_or(Item::Null))
        }
        (Item::Data(value), Item::Integer(index)) => match value.as_ref() {
            Value::Array(items) => {
                let found = usize::try_from(*index).ok().and_then(|index| items.get(index));
                Ok(found.map_or(Item::Null, |item| Item::of(Cow::Owned(item.clone()))))
            }
            _ => Err(unfit("[]", of)),
        },
        _ => Err(unfit("[]", of)),
    }
}

fn call<'a>(of: &Item<'a>, method: Method, argument: &Item<'a>, safe: bool) -> Evaluated<'a> {
    match (method, of) {
        (_, Item::Null) if safe => Ok(Item::Null),
        (_, Item::Null) => {
            Err(ConnectError::data("cannot call a method of null: write ?. where null may stand"))
        }
        (Method::Get, Item::Data(value)) if matches!(value.as_ref(), Value::Array(_)) => {
            indexed(of, argument)
        }
        (Method::Get, _) => match argument {
            Item::Text(name) => member(of, name, safe),
            _ => indexed(of, argument),
        },
        (Method::Name, Item::Schema(_)) => member(of, "name", safe),
        (Method::Equals, _) => Ok(Item::Boolean(equal(of, argument))),
        (Method::ToText, _) => match of.to_text() {
            Some(text) => Ok(Item::Text(Cow::Owned(text.into_owned()))),
            None => Err(unfit("toString", of)),
        },
        (_, Item::Text(text)) => of_text(text, method, argument),
        (Method::Contains, _) => contains(of, argument).map(Item::Boolean),
        (Method::Length | Method::IsEmpty, _) => {
            let count = match of {
                Item::List(items) => items.len(),
                Item::Data(value) => match value.as_ref() {
                    Value::Array(items) => items.len(),
                    Value::Map(entries) => entries.len(),
                    _ => return Err(unfit("size", of)),
                },
                _ => return Err(unfit("size", of)),
            };
            Ok(match method {
                Method::IsEmpty => Item::Boolean(count == 0),
                _ => Item::Integer(i64::try_from(count).unwrap_or(i64::MAX)),
            })
        }
        _ => Err(unfit("the method", of)),
    }
}

fn of_text<'a>(text: &str, method: Method, argument: &Item<'a>) -> Evaluated<'a> {
    let other = || match argument {
        Item::Text(other) => Ok(other.as_ref()),
        item => Err(unfit("a method of texts with this argument", item)),
    };
    Ok(match method {
        Method::Contains => Item::Boolean(text.contains(other()?)),
        Method::StartsWith => Item::Boolean(text.starts_with(other()?)),
        Method::EndsWith => Item::Boolean(text.ends_with(other()?)),
        Method::EqualsIgnoreCase => Item::Boolean(match argument {
            Item::Null => false,
            _ => text.to_lowercase() == other()?.to_lowercase(),
        }),
        Method::Length => length(text),
        Method::IsEmpty => Item::Boolean(text.is_empty()),
        Method::Lower => Item::Text(Cow::Owned(text.to_lowercase())),
        Method::Upper => Item::Text(Cow::Owned(text.to_uppercase())),
        Method::Trim => Item::Text(Cow::Owned(text.trim().to_owned())),
        Method::Equals | Method::Get | Method::ToText | Method::Name => {
            return Err(unfit("the method", &Item::Text(Cow::Borrowed(text))));
        }
    })
}

fn contains(of: &Item<'_>, sought: &Item<'_>) -> Result<bool, ConnectError> {
    match of {
        Item::List(items) => Ok(items.iter().any(|item| equal(item, sought))),
        Item::Data(value) => match value.as_ref() {
            Value::Array(items) => {
                Ok(items.iter().any(|item| equal(&Item::of(Cow::Borrowed(item)), sought)))
            }
            Value::Map(entries) => {
                Ok(entries.iter().any(|(key, _)| equal(&Item::of(Cow::Borrowed(key)), sought)))
            }
            _ => Err(unfit("in", of)),
        },
        Item::Null => Ok(false),
        _ => Err(unfit("in", of)),
    }
}

fn binary<'a>(operator: Binary, left: Item<'a>, right: Item<'a>) -> Evaluated<'a> {
    let ordered = |wanted: fn(Ordering) -> bool| {
        compared(&left, &right).map(|ordering| Item::Boolean(ordering.is_some_and(wanted)))
    };
    match operator {
        Binary::Equal => Ok(Item::Boolean(equal(&left, &right))),
        Binary::NotEqual => Ok(Item::Boolean(!equal(&left, &right))),
        Binary::In => contains(&right, &left).map(Item::Boolean),
        Binary::Less => ordered(Ordering::is_lt),
        Binary::LessOrEqual => ordered(Ordering::is_le),
        Binary::Greater => ordered(Ordering::is_gt),
        Binary::GreaterOrEqual => ordered(Ordering::is_ge),
        Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Remainder => {
            arithmetic(operator, &left, &right)
        }
    }
}

fn equal(left: &Item<'_>, right: &Item<'_>) -> bool {
    match (left, right) {
        (Item::Null, Item::Null) => true,
        (Item::Boolean(left), Item::Boolean(right)) => left == right,
        (Item::Data(left), Item::Data(right)) => left == right,
        (Item::List(left), Item::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        _ => compared(left, right).is_ok_and(|ordering| ordering == Some(Ordering::Equal)),
    }
}

/// Numbers by value whatever their types, texts by their characters; `None` where one is NaN. Null
/// comes before everything, as in Groovy.
fn compared(left: &Item<'_>, right: &Item<'_>) -> Result<Option<Ordering>, ConnectError> {
    Ok(match (left, right) {
        (Item::Null, Item::Null) => Some(Ordering::Equal),
        (Item::Null, _) => Some(Ordering::Less),
        (_, Item::Null) => Some(Ordering::Greater),
        (Item::Text(left), Item::Text(right)) => {
            Some(left.encode_utf16().cmp(right.encode_utf16()))
        }
        (Item::Integer(left), Item::Integer(right)) => Some(left.cmp(right)),
        _ => match (decimal(left), decimal(right)) {
            (Some(left), Some(right)) => Some(compared_decimals(&left, &right)),
            _ => match (double(left), double(right)) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => {
                    let (left, right) = (left.kind(), right.kind());
                    return Err(ConnectError::data(format!(
                        "{left} cannot be compared with {right}"
                    )));
                }
            },
        },
    })
}

fn decimal<'a>(item: &'a Item<'_>) -> Option<Cow<'a, Decimal>> {
    match item {
        Item::Integer(integer) => {
            Some(Cow::Owned(Decimal { unscaled: (*integer).into(), scale: 0 }))
        }
        Item::Decimal(decimal) => Some(Cow::Borrowed(decimal)),
        _ => None,
    }
}

/// Java's conversion of numbers to double.
fn double(item: &Item<'_>) -> Option<f64> {
    match item {
        Item::Integer(integer) => Some(*integer as f64),
        Item::Float(float) => Some(*float),
        Item::Decimal(decimal) => {
            format!("{}e{}", decimal.unscaled, -i64::from(decimal.scale)).parse().ok()
        }
        _ => None,
    }
}

fn compared_decimals(left: &Decimal, right: &Decimal) -> Ordering {
    let apart = left.scale.abs_diff(right.scale);
    if apart > SCALES_MAX {
        let as_double = |decimal: &Decimal| double(&Item::Decimal(Cow::Borrowed(decimal)));
        return as_double(left).partial_cmp(&as_double(right)).unwrap_or(Ordering::Equal);
    }
    let factor = BigInt::from(10).pow(apart);
    if left.scale < right.scale {
        (&left.unscaled * factor).cmp(&right.unscaled)
    } else {
        left.unscaled.cmp(&(&right.unscaled * factor))
    }
}

fn arithmetic<'a>(operator: Binary, left: &Item<'a>, right: &Item<'a>) -> Evaluated<'a> {
    if let (Item::Integer(left), Item::Integer(right)) = (left, right) {
        let result = match operator {
            Binary::Add => left.checked_add(*right),
            Binary::Subtract => left.checked_sub(*right),
            Binary::Multiply => left.checked_mul(*right),
            _ => left.checked_rem(*right),
        };
        let failed = || ConnectError::data("the result is no number of 64 bits");
        return result.map(Item::Integer).ok_or_else(failed);
    }
    if let (Binary::Add, Item::Text(_), _) | (Binary::Add, _, Item::Text(_)) =
        (operator, left, right)
    {
        let unfit = |item| move || unfit("+", item);
        let (left, right) =
            (left.to_text().ok_or_else(unfit(left))?, right.to_text().ok_or_else(unfit(right))?);
        return Ok(Item::Text(Cow::Owned(format!("{left}{right}"))));
    }
    if matches!((left, right), (Item::Float(_), _) | (_, Item::Float(_)))
        && let (Some(left), Some(right)) = (double(left), double(right))
    {
        return Ok(Item::Float(match operator {
            Binary::Add => left + right,
            Binary::Subtract => left - right,
            Binary::Multiply => left * right,
            _ => left % right,
        }));
    }
    let (left, right) = (left.kind(), right.kind());
    Err(ConnectError::data(format!("{left} and {right} cannot be computed with each other")))
}
