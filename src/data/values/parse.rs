//! Literals: the type of a value is guessed from its text, with all the guesses of the original.

use std::sync::Arc;

use num_bigint::BigInt;

use super::calendar::{DAY_MS, days};
use crate::data::{Decimal, Schema, SchemaAndValue, SchemaBuilder, Type, Value, logical};

/// How deep containers may nest before the text is taken as a string.
const DEPTH_MAX: usize = 64;
/// Digits of a number; the original would go on, at quadratic cost.
const DIGITS_MAX: usize = 1000;

/// The value that `text` looks like; a string if it looks like nothing else.
pub fn parse(text: &str) -> SchemaAndValue {
    if text.is_empty() {
        return of(Type::String, Value::string(text));
    }
    let mut parser = Parser { text, at: 0 };
    match parser.value(None) {
        Ok(Some(value)) => value,
        Ok(None) => SchemaAndValue::NULL,
        Err(NoValue) => of(Type::String, Value::string(text)),
    }
}

/// The text is no value of the kind expected: the whole is a string.
#[derive(Debug)]
struct NoValue;

fn of(ty: Type, value: Value) -> SchemaAndValue {
    SchemaAndValue { schema: Some(SchemaBuilder::new(ty).build()), value }
}

fn named(ty: Type, name: &str, value: Value) -> SchemaAndValue {
    SchemaAndValue { schema: Some(SchemaBuilder::new(ty).name(name).version(1).build()), value }
}

/// A text as tokens: delimiters that no backslash precedes, and what stands between them.
#[derive(Debug, Clone, Copy)]
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next token; `None` at the end.
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let (mut escaped, mut length) = (false, rest.len());
        for (at, character) in rest.char_indices() {
            match character {
                '\\' => escaped = !escaped,
                ':' | ',' | '{' | '}' | '[' | ']' | '"' if !escaped => {
                    length = at.max(1);
                    break;
                }
                _ => escaped = false,
            }
        }
        let token = rest.get(..length).filter(|token| !token.is_empty())?;
        self.at += length;
        Some(token)
    }

    /// The next token that is not blank, or the last one.
    fn next_visible(&mut self) -> Option<&'a str> {
        let mut token = self.next()?;
        while token.trim().is_empty() {
            match self.next() {
                Some(next) => token = next,
                None => break,
            }
        }
        Some(token)
    }

    /// Consumes the next visible token if it is `expected`.
    fn accept(&mut self, expected: &str) -> bool {
        let mut ahead = *self;
        let found = ahead.next_visible().is_some_and(|token| token.trim() == expected);
        if found {
            *self = ahead;
        }
        found
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Reads a value; `depth` is that of the container around it.
    fn value(&mut self, depth: Option<usize>) -> Result<Option<SchemaAndValue>, NoValue> {
        if depth.is_some_and(|depth| depth > DEPTH_MAX) {
            return Err(NoValue);
        }
        if depth.is_some() && self.accept("\"") {
            return Ok(Some(self.quoted()));
        }
        let literals = [
            ("null", None),
            ("true", Some(of(Type::Boolean, Value::Boolean(true)))),
            ("false", Some(of(Type::Boolean, Value::Boolean(false)))),
        ];
        for (literal, value) in literals {
            let before = *self;
            if self.accept(literal) && (depth.is_some() || self.is_at_end()) {
                return Ok(value);
            }
            *self = before;
        }
        let inner = depth.map_or(0, |depth| depth + 1);
        if self.accept("[") {
            return self.array(inner).map(Some);
        }
        if self.accept("{") {
            return self.map(inner).map(Some);
        }
        let token = self.next_visible().unwrap_or_default();
        let scalar = self.scalar(token.trim());
        match (scalar, depth) {
            (Some(scalar), _) => Ok(Some(scalar)),
            (None, Some(_)) if token.trim().is_empty() => {
                Ok(Some(of(Type::String, Value::string(token))))
            }
            (None, _) => Err(NoValue),
        }
    }

    /// A string of a container; only dates and times are seen in it.
    fn quoted(&mut self) -> SchemaAndValue {
        let mut content = String::new();
        while !self.is_at_end() && !self.accept("\"") {
            content.push_str(self.next_visible().unwrap_or_default());
        }
        let parsed = parse(&content);
        let is_temporal =
            parsed.schema.as_ref().and_then(|schema| schema.name()).is_some_and(|name| {
                matches!(name, logical::DATE | logical::TIME | logical::TIMESTAMP)
            });
        if is_temporal { parsed } else { of(Type::String, Value::string(content)) }
    }

    fn array(&mut self, depth: usize) -> Result<SchemaAndValue, NoValue> {
        let (mut items, mut common) = (Vec::new(), Common::Nothing);
        loop {
            if self.accept("]") {
                let common = common.schema();
                let items = aligned(common.as_ref(), items)?;
                let schema = match common {
                    Some(element) => SchemaBuilder::array(element),
                    None => SchemaBuilder::new(Type::Array),
                };
                let value = Value::Array(items);
                return Ok(SchemaAndValue { schema: Some(schema.build()), value });
            }
            if self.is_at_end() || self.accept(",") {
                return Err(NoValue);
            }
            items.push(self.element(depth, &mut common)?);
            let mut ahead = *self;
            if !ahead.accept("]") && !self.accept(",") {
                return Err(NoValue);
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<SchemaAndValue, NoValue> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let (mut common_key, mut common_value) = (Common::Nothing, Common::Nothing);
        loop {
            if self.accept("}") {
                let (common_key, common_value) = (common_key.schema(), common_value.schema());
                let keys = aligned(common_key.as_ref(), keys)?;
                let values = aligned(common_value.as_ref(), values)?;
                let schema = SchemaBuilder::map_of(common_key, common_value);
                let value = Value::Map(keys.into_iter().zip(values).collect());
                return Ok(SchemaAndValue { schema: Some(schema.build()), value });
            }
            if self.is_at_end() || self.accept(",") {
                return Err(NoValue);
            }
            let key = self.element(depth, &mut common_key)?;
            if key.is_null() || !self.accept(":") {
                return Err(NoValue);
            }
            let value = self.element(depth, &mut common_value)?;
            match keys.iter().position(|known| *known == key) {
                Some(index) => values[index] = value,
                None => {
                    keys.push(key);
                    values.push(value);
                }
            }
            self.accept(",");
        }
    }

    /// Reads an element and widens the schema that all of them have in common.
    fn element(&mut self, depth: usize, common: &mut Common) -> Result<Value, NoValue> {
        let Some(SchemaAndValue { schema, value }) = self.value(Some(depth))? else {
            return Ok(Value::Null);
        };
        *common = match (std::mem::replace(common, Common::Nothing), schema) {
            (Common::Incompatible, _) => Common::Incompatible,
            (Common::Nothing, Some(latest)) => Common::Schema(latest),
            (Common::Schema(previous), Some(latest)) => {
                widest(previous, latest).map_or(Common::Incompatible, Common::Schema)
            }
            (Common::Nothing, None) => Common::Nothing,
            (Common::Schema(_), None) => Common::Incompatible,
        };
        Ok(value)
    }

    /// A date, a time or a number.
    fn scalar(&mut self, token: &str) -> Option<SchemaAndValue> {
        let first = token.chars().next()?;
        if first.is_ascii_digit() {
            // Times have colons, which are delimiters: five tokens.
            let mut ahead = *self;
            let start = ahead.at;
            if (0..4).all(|_| ahead.next().is_some()) {
                let more = self.text.get(start..ahead.at).unwrap_or_default();
                if let Some(temporal) = temporal(&format!("{token}{more}")) {
                    *self = ahead;
                    return Some(temporal);
                }
            }
            if let Some(temporal) = temporal(token) {
                return Some(temporal);
            }
        }
        let numeric = first.is_ascii_digit() || first == '+' || first == '-';
        numeric.then(|| number(token)).flatten()
    }
}

/// What the elements of a container have in common, so far.
enum Common {
    Nothing,
    Schema(Arc<Schema>),
    /// Nothing that comes later makes up for it.
    Incompatible,
}

impl Common {
    fn schema(self) -> Option<Arc<Schema>> {
        match self {
            Self::Schema(schema) => Some(schema),
            Self::Nothing | Self::Incompatible => None,
        }
    }
}

/// The schema that fits both, numbers widened; `None` when there is none.
fn widest(previous: Arc<Schema>, latest: Arc<Schema>) -> Option<Arc<Schema>> {
    let rank = |schema: &Schema| {
        Some(match schema.ty() {
            Type::Int8 => 0,
            Type::Int16 => 1,
            Type::Int32 => 2,
            Type::Int64 => 3,
            Type::Float32 => 4,
            Type::Float64 => 5,
            _ => return None,
        })
    };
    if previous.ty() == latest.ty() {
        return Some(latest);
    }
    Some(if rank(&previous)? < rank(&latest)? { latest } else { previous })
}

/// The elements as values of the schema they have in common; a null does not fit one.
fn aligned(common: Option<&Arc<Schema>>, items: Vec<Value>) -> Result<Vec<Value>, NoValue> {
    let Some(schema) = common else { return Ok(items) };
    items.into_iter().map(|item| align(schema, item)).collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers are widened as in Java"
)]
fn align(schema: &Schema, value: Value) -> Result<Value, NoValue> {
    let integer = value.as_i64();
    let float = match value {
        Value::Float32(number) => Some(f64::from(number)),
        Value::Float64(number) => Some(number),
        _ => integer.map(|number| number as f64),
    };
    Ok(match (schema.ty(), schema.name(), &value) {
        (Type::String, None, Value::String(_))
        | (Type::Boolean, None, Value::Boolean(_))
        | (Type::Array, None, Value::Array(_))
        | (Type::Map, None, Value::Map(_))
        | (_, Some(logical::DATE), Value::Date(_))
        | (_, Some(logical::TIME), Value::Time(_))
        | (_, Some(logical::TIMESTAMP), Value::Timestamp(_))
        | (_, Some(logical::DECIMAL), Value::Decimal(_)) => value,
        (_, Some(_), _) => return Err(NoValue),
        (Type::Int8, ..) => Value::Int8(narrow(integer)?),
        (Type::Int16, ..) => Value::Int16(narrow(integer)?),
        (Type::Int32, ..) => Value::Int32(narrow(integer)?),
        (Type::Int64, ..) => Value::Int64(narrow(integer)?),
        (Type::Float32, ..) => Value::Float32(float.ok_or(NoValue)? as f32),
        (Type::Float64, ..) => Value::Float64(float.ok_or(NoValue)?),
        _ => return Err(NoValue),
    })
}

fn narrow<T: TryFrom<i64>>(integer: Option<i64>) -> Result<T, NoValue> {
    integer.and_then(|integer| T::try_from(integer).ok()).ok_or(NoValue)
}

/// A date, time or timestamp: the length tells which. Parts may be beyond their range.
fn temporal(token: &str) -> Option<SchemaAndValue> {
    let token = token.replace("\\:", ":");
    let mut clock = Clock(&token);
    match token.chars().count() {
        10 => {
            let days = i32::try_from(clock.date()?).ok()?;
            Some(named(Type::Int32, logical::DATE, Value::Date(days)))
        }
        13 => {
            let millis = i32::try_from(clock.time()?).ok()?;
            Some(named(Type::Int32, logical::TIME, Value::Time(millis)))
        }
        24 => {
            let days = clock.date()?;
            clock.literal("T")?;
            let millis = days * DAY_MS + clock.time()?;
            Some(named(Type::Int64, logical::TIMESTAMP, Value::Timestamp(millis)))
        }
        _ => None,
    }
}

struct Clock<'a>(&'a str);

impl Clock<'_> {
    fn number(&mut self) -> Option<i64> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        digits.parse().ok()
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    /// Days since the epoch.
    fn date(&mut self) -> Option<i64> {
        let year = self.number()?;
        self.literal("-")?;
        let month = self.number()?;
        self.literal("-")?;
        // Lengths bound the numbers to ten digits.
        Some(days(year, month, self.number()?))
    }

    /// Milliseconds since midnight.
    fn time(&mut self) -> Option<i64> {
        let hour = self.number()?;
        self.literal(":")?;
        let minute = self.number()?;
        self.literal(":")?;
        let second = self.number()?;
        self.literal(".")?;
        let milli = self.number()?;
        self.literal("Z")?;
        Some(((hour * 60 + minute) * 60 + second) * 1000 + milli)
    }
}

/// The narrowest integer that is exact; else a float, however imprecise; else a decimal.
fn number(token: &str) -> Option<SchemaAndValue> {
    let decimal = decimal(token)?;
    if let Some(integer) = exact_integer(&decimal) {
        return Some(if let Ok(number) = i8::try_from(integer) {
            of(Type::Int8, Value::Int8(number))
        } else if let Ok(number) = i16::try_from(integer) {
            of(Type::Int16, Value::Int16(number))
        } else if let Ok(number) = i32::try_from(integer) {
            of(Type::Int32, Value::Int32(number))
        } else {
            of(Type::Int64, Value::Int64(integer))
        });
    }
    if decimal.scale != 0 {
        if let Some(number) = token.parse::<f32>().ok().filter(|number| number.is_finite()) {
            return Some(of(Type::Float32, Value::Float32(number)));
        }
        if let Some(number) = token.parse::<f64>().ok().filter(|number| number.is_finite()) {
            return Some(of(Type::Float64, Value::Float64(number)));
        }
    }
    let schema = SchemaBuilder::decimal(decimal.scale).build();
    Some(SchemaAndValue { schema: Some(schema), value: Value::Decimal(decimal) })
}

/// A decimal number in Java's grammar, its trailing zeros kept.
pub fn decimal(token: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match token.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (token, 0),
    };
    let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = [whole, fraction].concat();
    let valid = !digits.is_empty()
        && digits.len() <= DIGITS_MAX
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !valid {
        return None;
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let magnitude = BigInt::parse_bytes(digits.as_bytes(), 10)?;
    let unscaled = if mantissa.starts_with('-') { -magnitude } else { magnitude };
    Some(Decimal { unscaled, scale })
}

fn exact_integer(decimal: &Decimal) -> Option<i64> {
    let ten = || BigInt::from(10);
    let whole = match decimal.scale {
        _ if decimal.unscaled == BigInt::ZERO => BigInt::ZERO,
        // More than the 19 digits of a 64-bit integer.
        ..-19 => return None,
        -19..=0 => &decimal.unscaled * ten().pow(decimal.scale.unsigned_abs()),
        1..=1000 => {
            let divisor = ten().pow(decimal.scale.unsigned_abs());
            let whole = &decimal.unscaled / &divisor;
            if &whole * divisor != decimal.unscaled {
                return None;
            }
            whole
        }
        1001.. => return None,
    };
    i64::try_from(whole).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let SchemaAndValue { schema, value } = parse(text);
        let Some(schema) = schema else { return format!("none {value:?}") };
        let element = |schema: Option<&Arc<Schema>>| {
            schema
                .map_or("?", |s| s.name().unwrap_or(s.ty().name()).rsplit('.').next().unwrap())
                .to_owned()
        };
        let ty = match schema.ty() {
            Type::Array => format!("ARRAY<{}>", element(schema.value_schema())),
            Type::Map => {
                format!("MAP<{},{}>", element(schema.key_schema()), element(schema.value_schema()))
            }
            _ => element(Some(&schema)),
        };
        format!("{ty} {}", super::super::java_string(&value))
    }

    #[test]
    fn the_guesses_are_the_originals() {
        for (text, expected) in [
            ("", "STRING "),
            (" x ", "STRING  x "),
            ("null", "none Null"),
            (" true ", "BOOLEAN true"),
            ("TRUE", "STRING TRUE"),
            ("true}", "STRING true}"),
            ("1", "INT8 1"),
            ("-5", "INT8 -5"),
            ("+5", "INT8 5"),
            ("128", "INT16 128"),
            ("32768", "INT32 32768"),
            ("2147483648", "INT64 2147483648"),
            ("9223372036854775808", "Decimal 9223372036854775808"),
            ("1.0", "INT8 1"),
            ("1e3", "INT16 1000"),
            ("3.14", "FLOAT32 3.14"),
            ("3.141592653589793", "FLOAT32 3.1415927"),
            ("1.1e39", "FLOAT64 1.1E39"),
            ("1e400", "Decimal 1E+400"),
            ("2024-01-02", "Date Tue Jan 02 00:00:00 UTC 2024"),
            ("2024-13-45", "Date Fri Feb 14 00:00:00 UTC 2025"),
            ("10:00:00.000Z", "Time Thu Jan 01 10:00:00 UTC 1970"),
            ("2024-01-02T10:00:00.000Z", "Timestamp Tue Jan 02 10:00:00 UTC 2024"),
            ("2024-01-02T10:00:00Z", "STRING 2024-01-02T10:00:00Z"),
            ("12:30", "INT8 12"),
            ("1,2", "INT8 1"),
            ("1 2", "STRING 1 2"),
            ("a:b", "STRING a:b"),
            ("\\:", "STRING \\:"),
            ("\"quoted\"", "STRING \"quoted\""),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn containers_have_the_type_their_elements_share() {
        for (text, expected) in [
            ("[1,2]", "ARRAY<INT8> [1, 2]"),
            ("[1,2.5]", "ARRAY<FLOAT32> [1.0, 2.5]"),
            ("[1000, 1]", "ARRAY<INT16> [1000, 1]"),
            ("[1, \"a\"]", "ARRAY<?> [1, a]"),
            ("[]", "ARRAY<?> []"),
            ("[null]", "ARRAY<?> [null]"),
            ("[1,]", "ARRAY<INT8> [1]"),
            ("[,1]", "STRING [,1]"),
            ("[1 ,null]", "STRING [1 ,null]"),
            ("[1", "STRING [1"),
            ("[[1],[2]]", "ARRAY<ARRAY> [[1], [2]]"),
            ("[\"2024-01-02\"]", "ARRAY<Date> [Tue Jan 02 00:00:00 UTC 2024]"),
            ("[\"a,b\"]", "ARRAY<STRING> [a,b]"),
            ("{\"a\":1}", "MAP<STRING,INT8> {a=1}"),
            ("{\"a\":1,\"b\":1000}", "MAP<STRING,INT16> {a=1, b=1000}"),
            ("{}", "MAP<?,?> {}"),
            ("{\"a\":1,\"b\":\"x\"}", "MAP<STRING,?> {a=1, b=x}"),
            ("[128,\"1\",1]", "ARRAY<?> [128, 1, 1]"),
            ("{a:1}", "STRING {a:1}"),
            ("[foo]", "STRING [foo]"),
            ("{null:1}", "STRING {null:1}"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_some_value(text: String, literal in "[\\[\\]{}:,\"\\\\ a0-9.eE+TZ-]{0,40}") {
            for text in [text, literal, "[".repeat(1000)] {
                let parsed = parse(&text);
                if parsed.schema.is_some_and(|schema| schema.ty() == Type::String) {
                    prop_assert_eq!(parsed.value.as_str(), Some(text.as_str()));
                }
            }
        }
    }
}
