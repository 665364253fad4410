//! The Avro schema in a Parquet footer (`parquet.avro.schema`): the only place where a file says that
//! a plain INT64 is, for instance, an `io.debezium.time.MicroTimestamp`.

use std::collections::BTreeMap;

use serde_json::Value;

/// The `connect.name` of each column that has one.
///
/// Columns of an envelope's `before` and `after` are listed under their own names: both have the
/// schema of the table, and Avro writes it out only at its first use.
pub(crate) fn connect_names(schema: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    if let Ok(schema) = serde_json::from_str::<Value>(schema) {
        collect(&schema, &mut names);
    }
    names
}

fn collect(record: &Value, names: &mut BTreeMap<String, String>) {
    let Some(fields) = record.get("fields").and_then(Value::as_array) else { return };
    for field in fields {
        let (Some(name), Some(declared)) =
            (field.get("name").and_then(Value::as_str), field.get("type"))
        else {
            continue;
        };
        let declared = not_null(declared);
        if matches!(name, "before" | "after") && declared.get("fields").is_some() {
            collect(declared, names);
        } else if let Some(connect) = meaning(declared) {
            names.insert(name.to_owned(), connect.to_owned());
        }
    }
}

/// A record that occurs again is only named, and Debezium's records are named like their meaning.
fn meaning(declared: &Value) -> Option<&str> {
    let named = declared.as_str().filter(|name| name.contains('.'));
    named.or_else(|| declared.get("connect.name")?.as_str())
}

/// The type itself, or the one beside null in a union.
fn not_null(declared: &Value) -> &Value {
    match declared.as_array() {
        Some(union) => union.iter().find(|member| *member != "null").unwrap_or(declared),
        None => declared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, schema: &str, expected: &[(&str, &str)]) {
        let names = connect_names(schema);
        let names: Vec<_> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(names, expected, "{name}");
    }

    #[test]
    fn connect_names_are_found() {
        let micro = r#"{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}"#;
        check("no schema", "", &[]);
        check("not a record", r#""string""#, &[]);
        check(
            "a flattened row",
            &format!(
                r#"{{"type":"record","name":"Value","connect.name":"cdc.t.Value","fields":[
                   {{"name":"id","type":"int"}},{{"name":"created","type":["null",{micro}]}},
                   {{"name":"seen","type":{micro}}},{{"name":"__deleted","type":["null","string"]}}]}}"#
            ),
            &[
                ("created", "io.debezium.time.MicroTimestamp"),
                ("seen", "io.debezium.time.MicroTimestamp"),
            ],
        );
        let record =
            r#"{"type":"record","name":"V","connect.name":"io.debezium.data.V","fields":[]}"#;
        check(
            "a record that occurs twice",
            &format!(
                r#"{{"fields":[{{"name":"a","type":{record}}},
                   {{"name":"b","type":["null","io.debezium.data.V"]}}]}}"#
            ),
            &[("a", "io.debezium.data.V"), ("b", "io.debezium.data.V")],
        );
        check(
            "an envelope, whose second record is a reference",
            &format!(
                r#"{{"type":"record","name":"Envelope","fields":[
                   {{"name":"before","type":["null",{{"type":"record","name":"Value","fields":[
                     {{"name":"created","type":{micro}}}]}}]}},
                   {{"name":"after","type":["null","Value"]}},{{"name":"op","type":"string"}}]}}"#
            ),
            &[("created", "io.debezium.time.MicroTimestamp")],
        );
    }
}
