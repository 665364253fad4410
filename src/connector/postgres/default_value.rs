//! Column defaults in schemas: the catalog's expression text is read, never evaluated (Debezium,
//! `PostgresDefaultValueConverter`).

use std::sync::Arc;

use crate::connector::postgres::codec::Codec;
use crate::connector::postgres::type_mapping::zero;
use crate::data::{Schema, Value};

/// The default that `expression` declares for a column of this schema and codec; `None` when it
/// declares none that a schema can show.
pub(super) fn parse(
    expression: &str,
    type_name: &str,
    codec: &Codec,
    schema: &Arc<Schema>,
) -> Option<Value> {
    if !has_parser(type_name, codec) {
        return None;
    }
    let text = match literal(expression)? {
        Literal::Text(text) => text,
        Literal::Function => return Some(stand_in(type_name, codec, schema)),
    };
    if let Codec::DecimalText { scale } = codec
        && let Some((whole, fraction)) = text.split_once('.').or(Some((&text, "")))
        && fraction.len() < *scale
        && whole.chars().all(|c| c.is_ascii_digit() || c == '-')
    {
        return Some(Value::string(format!("{whole}.{fraction:0<scale$}")));
    }
    codec.value(schema, text.as_bytes()).filter(|value| !value.is_null())
}

enum Literal {
    Text(String),
    /// Its value is only known when a row is inserted.
    Function,
}

fn has_parser(type_name: &str, codec: &Codec) -> bool {
    const WITHOUT: [&str; 11] = [
        "bytea", "money", "inet", "cidr", "macaddr", "macaddr8", "hstore", "citext", "ltree",
        "oid", "timetz",
    ];
    let complex = matches!(
        codec,
        Codec::Array(_)
            | Codec::VariableDecimal
            | Codec::Point
            | Codec::Geometry
            | Codec::Vector
            | Codec::SparseVector
            | Codec::NullElement
            | Codec::Opaque(_)
    );
    !complex && !type_name.ends_with("range") && !WITHOUT.contains(&type_name)
}

fn literal(expression: &str) -> Option<Literal> {
    let expression = expression.trim();
    if let Some(content) = quoted(expression) {
        return Some(Literal::Text(content));
    }
    if is_function(expression) {
        return Some(Literal::Function);
    }
    let bare = expression.split("::").next().unwrap_or(expression).trim();
    let bare = bare.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(bare);
    let simple = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    (!bare.is_empty() && !bare.eq_ignore_ascii_case("null") && bare.chars().all(simple))
        .then(|| Literal::Text(bare.to_owned()))
}

/// The first quoted literal, when the expression starts with one: `'x'::text`, `B'101'::"bit"`.
fn quoted(expression: &str) -> Option<String> {
    let body = expression.strip_prefix(['B', 'b', 'E', 'e']).unwrap_or(expression);
    let mut chars = body.strip_prefix('\'')?.chars().peekable();
    let mut content = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => content.extend(chars.next()),
            '\'' => return Some(content),
            c => content.push(c),
        }
    }
    None
}

fn is_function(expression: &str) -> bool {
    const KEYWORDS: [&str; 5] =
        ["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"];
    let expression = expression.trim_start_matches('(');
    let name_end = expression
        .find(|c: char| !(c.is_alphanumeric() || "_.\"".contains(c)))
        .unwrap_or(expression.len());
    let (name, rest) = expression.split_at(name_end);
    let keyword = KEYWORDS.iter().any(|keyword| name.eq_ignore_ascii_case(keyword));
    keyword || (!name.is_empty() && rest.starts_with('('))
}

fn stand_in(type_name: &str, codec: &Codec, schema: &Arc<Schema>) -> Value {
    let text = match type_name {
        "uuid" => "00000000-0000-0000-0000-000000000000",
        "json" | "jsonb" => "{}",
        // With the column's precision, unlike the stand-in of a row that is not known.
        "timestamptz" => {
            let epoch = codec.value(schema, b"1970-01-01 00:00:00+00");
            return epoch.unwrap_or_else(|| zero(codec, schema));
        }
        _ => return zero(codec, schema),
    };
    Value::string(text)
}
