//! Documents as rows; a run of the original is in `tests/golden/peer`.

use super::*;
use crate::data::values;
use crate::transform::testing::{apply, record, smt};

fn key() -> SchemaAndValue {
    let id = SchemaBuilder::new(Type::String).optional().build();
    let schema = SchemaBuilder::structure().name("m.db.c.Key").field("id", id).build();
    let value = Struct::new(schema.clone(), vec![Value::string("{\"$oid\":\"57e1\"}")]);
    SchemaAndValue { schema: Some(schema), value: Value::Struct(Box::new(value)) }
}

fn change(after: Option<&str>, update: Option<(&str, &[&str])>) -> Record {
    let text = SchemaBuilder::new(Type::String).optional().build();
    let update_schema = SchemaBuilder::structure()
        .field("removedFields", SchemaBuilder::array(text.clone()).optional().build())
        .field("updatedFields", text.clone())
        .optional()
        .build();
    let schema = SchemaBuilder::structure()
        .name("m.db.c.Envelope")
        .field("before", text.clone())
        .field("after", text.clone())
        .field("updateDescription", update_schema.clone())
        .field("op", text)
        .build();
    let update = update.map_or(Value::Null, |(updated, removed)| {
        let removed = removed.iter().map(Value::string).collect();
        let values = vec![Value::Array(removed), Value::string(updated)];
        Value::Struct(Box::new(Struct::new(update_schema, values)))
    });
    let after = after.map_or(Value::Null, Value::string);
    let values = vec![Value::Null, after, update, Value::string("x")];
    let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
    let value = SchemaAndValue { schema: Some(schema), value };
    Record { key: key(), value, ..record("m.db.c") }
}

/// The row as text, `dropped`, or the error.
fn made(settings: &[(&str, &str)], mut input: Record) -> Result<String, String> {
    let mut smt = smt(construct, settings).unwrap();
    if apply(smt.as_mut(), &mut input)? == Keep::Drop {
        return Ok("dropped".to_owned());
    }
    Ok(values::format(&input.value.value).unwrap_or_else(|| "null".to_owned()))
}

#[test]
fn documents_become_rows() {
    let full = r#"{"_id":{"$oid":"57e1"},"n":1,"o":{"x":1},"a":[{"x":1},{"y":2}],"e":[]}"#;
    for (settings, expected) in [
        (
            &[][..],
            r#"{"_id":"57e1","n":1,"o":{"x":1},"a":[{"x":1,"y":null},{"x":null,"y":2}],"e":[]}"#,
        ),
        (
            &[("array.encoding", "document")],
            r#"{"_id":"57e1","n":1,"o":{"x":1},"a":{"_0":{"x":1},"_1":{"y":2}},"e":{}}"#,
        ),
        (
            &[("add.fields", "op"), ("flatten.struct", "true"), ("array.encoding", "document")],
            r#"{"_id":"57e1","n":1,"o_x":1,"a__0_x":1,"a__1_y":2,"__op":"x"}"#,
        ),
        (
            &[
                ("delete.tombstone.handling.mode", "rewrite"),
                ("field.name.adjustment.mode", "avro"),
            ],
            r#"{"_id":"57e1","n":1,"o":{"x":1},"a":[{"x":1,"y":null},{"x":null,"y":2}],"__deleted":false}"#,
        ),
    ] {
        assert_eq!(made(settings, change(Some(full), None)).as_deref(), Ok(expected));
    }
}

#[test]
fn updates_and_deletes_are_what_is_told_of_them() {
    let update = || change(None, Some((r#"{"a.b":1,"c":2}"#, &["c"])));
    assert_eq!(made(&[], update()).as_deref(), Ok(r#"{"a.b":1,"_id":"57e1"}"#));
    let flat = [("flatten.struct", "true")];
    assert_eq!(made(&flat, update()).as_deref(), Ok(r#"{"a_b":1,"_id":"57e1"}"#));
    let delete = || change(None, None);
    let mode = |mode| ("delete.tombstone.handling.mode", mode);
    assert_eq!(made(&[], delete()).as_deref(), Ok("null"));
    assert_eq!(made(&[mode("drop")], delete()).as_deref(), Ok("dropped"));
    assert_eq!(made(&[mode("rewrite")], delete()).as_deref(), Ok(r#"{"__deleted":true}"#));
    let with_id = [mode("rewrite"), ("delete.tombstone.handling.mode.rewrite-with-id", "true")];
    let expected = r#"{"__deleted":true,"_id":"57e1"}"#;
    assert_eq!(made(&with_id, delete()).as_deref(), Ok(expected));
    let tombstone = || Record { value: SchemaAndValue::NULL, ..change(None, None) };
    assert_eq!(made(&[], tombstone()).as_deref(), Ok("dropped"));
    assert_eq!(made(&[mode("rewrite-with-tombstone")], tombstone()).as_deref(), Ok("null"));
}

#[test]
fn schemas_stay_the_same_objects_and_what_is_no_change_passes() {
    let mut by_default = smt(construct, &[]).unwrap();
    let mut schema_of = |text: &str| {
        let mut record = change(Some(text), None);
        apply(by_default.as_mut(), &mut record).unwrap();
        record.value.schema.unwrap()
    };
    let first = schema_of(r#"{"a":1}"#);
    assert!(Arc::ptr_eq(&first, &schema_of(r#"{"a":2}"#)));
    assert!(!Arc::ptr_eq(&first, &schema_of(r#"{"a":"x"}"#)));
    let mut other = record("t");
    let untouched = other.clone();
    apply(by_default.as_mut(), &mut other).unwrap();
    assert_eq!(other, untouched);
}

#[test]
fn what_cannot_be_a_row_is_named() {
    for (text, expected) in [
        (r#"{"a":[1,"x"]}"#, "Array elements with different Bson types are not supported"),
        ("[1]", "the text is no document of MongoDB"),
        ("{", "not JSON of MongoDB (line 1, column 1)"),
    ] {
        let error = made(&[], change(Some(text), None)).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
