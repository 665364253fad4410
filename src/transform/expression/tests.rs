//! Table tests of the expression.

use super::*;
use crate::data::{Header, SchemaAndValue, SchemaBuilder, Struct, Type};
use crate::transform::testing::{change, row};

fn subject() -> Record {
    let mut record = change("u", row(1, "before"), row(2, "after"));
    record.headers.push(Header {
        key: "h".to_owned(),
        schema: Some(SchemaBuilder::new(Type::String).build()),
        value: Value::string("x"),
    });
    record
}

fn outcome(expression: &str, record: &Record) -> Result<Outcome, String> {
    let compiled = Compiled::new(expression).map_err(|error| error.trace())?;
    compiled.evaluate(record).map_err(|error| error.trace())
}

#[test]
fn conditions_look_at_the_record() {
    let record = subject();
    for (expression, expected) in [
        ("value.op == 'u'", true),
        ("value.op === \"u\" && value.after.id == 2", true),
        ("value.op == 'd' || value.before.id == 1", true),
        ("!(value.op == 'd')", true),
        ("value.op in ['c', 'u']", true),
        ("['c','r'].contains(value.op)", false),
        ("value.after.name.startsWith('aft') && value.after.name.endsWith('er')", true),
        ("value.after.name.toUpperCase() == 'AFTER'", true),
        ("value.after.name.length() == 5 && value.after.name.size() > 4", true),
        ("value.after.name.matches('a.*') && value.after.name ==~ 'x'", false),
        ("value.after.id > 1 && value.after.id <= 2 && value.after.id != 3", true),
        ("value.after.id + 1 == 3 && value.after.id * 2 - 1 == 3 && 7 % 4 == 3", true),
        ("value.after.id == 2.0 && value.after.id < 2.5", true),
        ("-value.after.id == -2", true),
        ("topic.contains('db') && topic == 's.' + 'db.t'", true),
        ("key.id == 1", true),
        ("valueSchema.name() == 's.db.t.Envelope' && keySchema.name == 't.Key'", true),
        ("header.h.value == 'x' && header['h'].value == 'x'", true),
        ("header.missing == null && header.missing?.value == null", true),
        ("value.source.table == 't' && value.get('source').get('table') == 't'", true),
        ("value['after']['id'] == 2", true),
        ("value.op == null", false),
        ("value.op == 5", false),
        ("value.after.id == 2 ? true : false", true),
        ("(value.before?.name ?: 'none') == 'before';", true),
        ("return value.op == 'u'", true),
        ("value.after.name.equalsIgnoreCase('AFTER')", true),
        ("null < 1 && !null", true),
    ] {
        assert_eq!(outcome(expression, &record), Ok(Outcome::Boolean(expected)), "{expression}");
    }
}

#[test]
fn null_is_named_where_it_is_not_expected() {
    let record = change("d", row(1, "a"), Value::Null);
    assert_eq!(outcome("value?.after?.id == 1", &record), Ok(Outcome::Boolean(false)));
    assert_eq!(outcome("value.after?.name?.trim()", &record), Ok(Outcome::Null));
    for (expression, expected) in [
        (
            "value.after.id == 1",
            "cannot get property 'id' of null: write ?.id where null may stand",
        ),
        ("value.after.toString()", "cannot call a method of null: write ?. where null may stand"),
        ("value.before.zz == 1", "zz is not a valid field name"),
        ("value.op < 5", "java.lang.String cannot be compared with java.lang.Long"),
        ("value.op.id", ".id does not apply to java.lang.String"),
        ("9223372036854775807 + 1", "the result is no number of 64 bits"),
        ("5 % 0", "the result is no number of 64 bits"),
        ("value.op * 2", "java.lang.String and java.lang.Long cannot be computed with each other"),
    ] {
        assert_eq!(
            outcome(expression, &record).unwrap_err(),
            format!("Error while evaluating expression '{expression}'\nCaused by: {expected}")
        );
    }
}

#[test]
fn schemaless_values_and_decimals() {
    let entry = |key: &str, value| (Value::string(key), value);
    let price = Decimal { unscaled: 1999.into(), scale: 2 };
    let map = Value::Map(vec![
        entry("price", Value::Decimal(price)),
        entry("tags", Value::Array(vec![Value::string("a"), Value::string("b")])),
        entry("f", Value::Float64(0.5)),
    ]);
    let value = SchemaAndValue { schema: None, value: map };
    let record = Record { value, ..subject() };
    for expression in [
        "value.price == 19.99 && value.price > 19 && value.price < 19.995",
        "value.tags.contains('b') && 'a' in value.tags && value.tags[1] == 'b'",
        "value.tags.size() == 2 && !value.tags.isEmpty() && value.tags.get(0) == 'a'",
        "value.none == null && value.f == 0.5 && value.f + 1 == 1.5",
        "valueSchema == null",
    ] {
        assert_eq!(outcome(expression, &record), Ok(Outcome::Boolean(true)), "{expression}");
    }
}

#[test]
fn defaults_stand_for_null() {
    let text = SchemaBuilder::new(Type::String).optional().default_value(Value::string("d"));
    let schema = SchemaBuilder::structure().field("x", text.build()).build();
    let value = Value::Struct(Box::new(Struct::new(schema.clone(), vec![Value::Null])));
    let record = Record { value: SchemaAndValue { schema: Some(schema), value }, ..subject() };
    assert_eq!(outcome("value.x", &record), Ok(Outcome::Text("d".to_owned())));
}

#[test]
fn what_is_not_understood_is_refused_with_its_column() {
    for (expression, expected) in [
        ("value.op = 'u'", "column 10: '=' has no meaning in an expression"),
        ("value.op == ", "column 13: something is missing here"),
        (
            "valu.op",
            "column 1: there is no valu; known are key, value, keySchema, valueSchema, \
                     topic, header",
        ),
        ("value.op.eval('x')", "column 10: there is no method eval with 1 arguments; known are "),
        ("value.a / 2", "column 9: division is not supported: multiply the other side instead"),
        ("\"a$b\"", "column 1: a text in double quotes cannot hold $"),
        ("'open", "column 1: the text has no closing '"),
        ("value.op.matches(topic)", "column 18: a regular expression must be a text in quotes"),
        ("(value.op", "column 10: ')' is missing"),
        ("value.op 'x'", "column 10: a text is not expected here"),
        ("99999999999999999999", "column 1: the number is beyond 64 bits"),
        ("12ab", "column 1: a number is written in decimal digits"),
        ("new File('x')", "column 1: there is no new; known are"),
        ("{ -> true }", "column 1: '{' has no meaning in an expression"),
    ] {
        let error = Compiled::new(expression).unwrap_err().trace();
        let head = format!("Failed to parse expression '{expression}'\nCaused by: {expected}");
        assert!(error.starts_with(&head), "{error}");
    }
}

#[test]
fn expressions_are_bounded() {
    let record = subject();
    let deep = |depth| format!("{}value.op{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(outcome(&deep(15), &record), Ok(Outcome::Text("u".to_owned())));
    assert!(Compiled::new(&deep(16)).unwrap_err().trace().contains("nests deeper than 16"));
    let long = |count| format!("'x'{}", "+1".repeat(count));
    assert!(matches!(outcome(&long(59), &record), Ok(Outcome::Text(_))));
    for (count, expected) in [(60, "more than 60 operators in a row"), (1001, "more than 1000")] {
        assert!(Compiled::new(&long(count)).unwrap_err().trace().contains(expected), "{count}");
    }
    let wide = vec!["value.after.id == 2"; 300].join(" && ");
    assert_eq!(outcome(&wide, &record), Ok(Outcome::Boolean(true)));
    assert!(Compiled::new(&" ".repeat(10_001)).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z .()\\[\\]?:'\"0-9=<>!&|+*%-]{0,40}") {
        if let Ok(compiled) = Compiled::new(&text) {
            let _ = compiled.evaluate(&subject());
        }
    }
}
