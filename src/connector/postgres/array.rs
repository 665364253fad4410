//! PostgreSQL's text of arrays and of `hstore` ("Array Input and Output Syntax", "hstore External
//! Representation").

use std::sync::Arc;

use crate::connector::postgres::codec::Codec;
use crate::connector::postgres::java_map;
use crate::data::{Schema, Value};

/// The elements of `{a,"b c",NULL}`. An element of an array of more dimensions is null, as in the
/// original.
pub(super) fn decode(element: &Codec, schema: &Arc<Schema>, text: &[u8]) -> Option<Value> {
    let items = schema.value_schema()?;
    // `[0:1]={...}`: bounds that Connect has no place for.
    let start = memchr::memchr(b'{', text)?;
    let mut rest = text.get(start + 1..)?.strip_suffix(b"}")?;
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (item, after) = next_element(rest)?;
        rest = after;
        values.push(match item {
            Element::Null | Element::Nested => Value::Null,
            Element::Text(text) => element.value(items, &text)?,
        });
    }
    Some(Value::Array(values))
}

enum Element {
    Null,
    Nested,
    Text(Vec<u8>),
}

/// The first element and what follows its comma.
fn next_element(text: &[u8]) -> Option<(Element, &[u8])> {
    match text.first()? {
        b'{' => {
            let end = nested_end(text)?;
            Some((Element::Nested, after_comma(text.get(end..)?)?))
        }
        b'"' => {
            let (value, rest) = quoted(text)?;
            Some((Element::Text(value), after_comma(rest)?))
        }
        _ => {
            let end = memchr::memchr(b',', text).unwrap_or(text.len());
            let (value, rest) = text.split_at(end);
            let null = value.eq_ignore_ascii_case(b"NULL");
            let element = if null { Element::Null } else { Element::Text(value.to_vec()) };
            Some((element, after_comma(rest)?))
        }
    }
}

fn after_comma(text: &[u8]) -> Option<&[u8]> {
    match text.split_first() {
        None => Some(text),
        Some((b',', rest)) => Some(rest),
        Some(_) => None,
    }
}

/// Where the array that `text` starts with ends; braces in quotes do not count.
fn nested_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_quotes = false;
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_quotes = !in_quotes,
            b'{' if !in_quotes => depth += 1,
            b'}' if !in_quotes => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The content of the quoted text that `text` starts with, and what follows the closing quote.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        let end = memchr::memchr2(b'"', b'\\', rest)?;
        value.extend_from_slice(rest.get(..end)?);
        let after = rest.get(end + 1..)?;
        if rest.get(end) == Some(&b'"') {
            return Some((value, after));
        }
        let (escaped, after) = after.split_first()?;
        value.push(*escaped);
        rest = after;
    }
}

/// Key and value; no value is SQL null.
type Pair = (String, Option<String>);

/// The pairs of `"a"=>"1", "b"=>NULL`, in the order of a Java `HashMap`, which the original's JSON has.
fn hstore(text: &[u8]) -> Option<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let after = after.strip_prefix(b"=>")?;
        let (value, after) = match after.strip_prefix(b"NULL") {
            Some(after) => (None, after),
            None => {
                let (value, after) = quoted(after)?;
                (Some(String::from_utf8(value).ok()?), after)
            }
        };
        pairs.push((String::from_utf8(key).ok()?, value));
        rest = after.strip_prefix(b", ").unwrap_or(after);
    }
    let buckets = java_map::buckets(pairs.len());
    java_map::sort(&mut pairs, buckets, |(key, _)| key);
    Some(pairs)
}

/// Appends the pairs as a JSON object.
pub(super) fn hstore_json(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut object = serde_json::Map::new();
    for (key, value) in hstore(text)? {
        object.insert(key, value.map_or(serde_json::Value::Null, serde_json::Value::String));
    }
    serde_json::to_writer(out, &object).ok()
}

/// The pairs as a map.
pub(super) fn hstore_map(text: &[u8]) -> Option<Value> {
    let entry = |(key, value): Pair| (Value::string(key), value.map_or(Value::Null, Value::string));
    Some(Value::Map(hstore(text)?.into_iter().map(entry).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaBuilder, Type};

    #[test]
    fn arrays_of_texts() {
        let items = SchemaBuilder::new(Type::String).optional().build();
        let schema = SchemaBuilder::array(items).build();
        let string = |text: &str| Value::string(text);
        for (text, expected) in [
            ("{}", Some(vec![])),
            ("{a,NULL,\"NULL\"}", Some(vec![string("a"), Value::Null, string("NULL")])),
            (
                r#"{"a,b","c\"d","e\\f",""}"#,
                Some(vec![string("a,b"), string("c\"d"), string("e\\f"), string("")]),
            ),
            ("[0:1]={x,y}", Some(vec![string("x"), string("y")])),
            ("{{1,2},{\"}\",4}}", Some(vec![Value::Null, Value::Null])),
            ("{a", None),
            ("{\"a}", None),
            ("a", None),
        ] {
            let expected = expected.map(Value::Array);
            assert_eq!(decode(&Codec::Text, &schema, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn hstore_in_both_forms() {
        let text = br#""a"=>"1", "b"=>NULL, "c d"=>"e\"f""#;
        let mut json = Vec::new();
        hstore_json(text, &mut json).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"a":"1","b":null,"c d":"e\"f"}"#);
        assert_eq!(
            hstore_map(br#""k"=>"v""#),
            Some(Value::Map(vec![(Value::string("k"), Value::string("v"))]))
        );
        assert_eq!(hstore_map(b""), Some(Value::Map(vec![])));
        assert_eq!(hstore_map(b"k=>v"), None);
    }
}
