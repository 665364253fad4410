//! Where ours differs from the original because it should. What of it a connector file's owner could meet stands in
//! `docs/compatibility.md`; the differences themselves are recorded in `tests/golden/peer/on-purpose.txt`.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::Difference;

/// A reason, and the differences that it covers.
struct Rule {
    why: &'static str,
    covers: fn(&Difference<'_>) -> bool,
}

impl Difference<'_> {
    fn class_is(&self, names: &[&str]) -> bool {
        let simple = self.case.class().rsplit('.').next().unwrap();
        let simple = simple.split('$').next().unwrap();
        names.contains(&simple)
    }

    /// The original's exception texts, one behind the other.
    fn original_failure(&self) -> Option<String> {
        let chain = self.original.get("error").unwrap_or(&self.original).as_array()?;
        let texts = chain.iter().map(|one| one[1].as_str().unwrap_or_default());
        Some(texts.collect::<Vec<_>>().join("\n"))
    }

    fn original_says(&self, part: &str) -> bool {
        self.original_failure().is_some_and(|text| text.contains(part))
    }

    fn ours_failure(&self) -> Option<&str> {
        match (self.input, &self.ours) {
            (None, ours) => ours.as_str().filter(|text| *text != "accepted"),
            (Some(_), ours) => ours.get("error")?.as_str(),
        }
    }

    /// Both fail, the original with a text that has `part`.
    fn both_fail(&self, part: &str) -> bool {
        self.original_says(part) && self.ours_failure().is_some()
    }

    fn setting(&self, key: &str) -> Option<&str> {
        self.case.line["config"][key].as_str()
    }

    fn input(&self) -> &Json {
        self.input.map_or(&Json::Null, |at| &self.case.inputs()[at])
    }
}

const RULES: &[Rule] = &[
    Rule {
        why: "a value whose schema has no name is no change event",
        covers: |one| {
            one.class_is(&["CloudEventsConverter"])
                && one.original_says("because \"schemaName\" is null")
                && one.ours == Json::Null
        },
    },
    Rule {
        why: "an event needs no data, and null is read as null",
        covers: |one| {
            one.class_is(&["CloudEventsConverter"])
                && one.ours_failure().is_none()
                && (one.original_says("because \"jsonSchema\" is null")
                    || one.original_says("because \"data\" is null")
                    || one.input().is_null() && one.original_says("not a CloudEvent: value=null"))
        },
    },
    Rule {
        why: "of two headers that are missing another one is named",
        covers: |one| one.class_is(&["CloudEventsConverter"]) && one.both_fail("was not provided"),
    },
    Rule {
        why: "a field with an empty name is refused, also where there is no value",
        covers: |one| {
            one.class_is(&["ExtractField"])
                && one.setting("field") == Some("")
                && one.ours_failure().is_some()
        },
    },
    Rule {
        why: "there is no year 0: two calendars count before the first year differently",
        covers: |one| {
            one.class_is(&["TimestampConverter"])
                && one.setting("format") == Some("yyyy")
                && one.input()["value"] == "0"
        },
    },
    Rule {
        why: "what is wrong with a setting is said, where the original says it in its log alone",
        covers: |one| {
            one.input.is_none()
                && (one.both_fail("Unable to validate config.")
                    || one.both_fail("The provided configuration isn't valid"))
        },
    },
    Rule {
        why: "a setting of Debezium's transforms is refused for the same reason in Kafka's words",
        covers: |one| one.input.is_none() && one.both_fail("value is invalid: "),
    },
    Rule {
        why: "a regular expression is refused with our engine's reason",
        covers: |one| one.both_fail("Unclosed group"),
    },
    Rule {
        why: "our engine takes an unclosed counter for what it is, text",
        covers: |one| one.original_says("Unclosed counted closure"),
    },
    Rule {
        why: "a setting that fails every record is refused at once",
        covers: |one| {
            one.input.is_none()
                && one.original == "accepted"
                && one.ours_failure().is_some()
                && one.class_is(&[
                    "TimestampRouter",
                    "TimezoneConverter",
                    "DecodeLogicalDecodingMessageContent",
                ])
        },
    },
    Rule {
        why: "a setting is refused with what can be used instead",
        covers: |one| {
            one.input.is_none()
                && (one.both_fail("Unsupported encoding")
                    || one.both_fail("Implementation of language")
                    || one.both_fail("Cannot use 'application/json' data content type")
                    || one.both_fail("Need URL(s) for schema registry instances")
                    || one.both_fail("metadata source can't be")
                    || one.both_fail("is not allowed to set custom source")
                    || one.both_fail("Field source `zz` is not valid")
                    || one.both_fail("InsertField$InsertionSpec@ADDRESS"))
        },
    },
    Rule {
        why: "the record is not written into the error",
        covers: |one| {
            one.both_fail("Timestamp missing on record: ")
                || one.both_fail("Error while evaluating expression")
                || one.both_fail("Unexpected update message received")
                || one.both_fail("Unable to parse logical decoding message content JSON string")
                || one.both_fail("A deserialized record's value is not a CloudEvent")
                || one.both_fail("Array elements with different Bson types are not supported")
        },
    },
    Rule {
        why: "the reason is in our words",
        covers: |one| {
            one.class_is(&["DecodeLogicalDecodingMessageContent"])
                && (one.both_fail("JsonEOFException") || one.both_fail("homogenous array"))
                || one.class_is(&["ExtractField"]) && one.both_fail("fromIndex(0) > toIndex(-1)")
        },
    },
    Rule {
        why: "null stays null in a required field with a default; what follows decides",
        covers: |one| {
            one.ours_failure().is_none()
                && (one.original_says("null used for required field: \"count\"")
                    || one.original_says("A null value requires an optional schema but was"))
        },
    },
    Rule {
        why: "digits of other scripts are no numbers",
        covers: |one| one.class_is(&["Cast"]) && one.input()["value"] == "\u{ff12}",
    },
    Rule {
        why: "schemas of any type can be renamed: the original's check for structs is a regression of 3.9",
        covers: |one| {
            one.class_is(&["SetSchemaMetadata"])
                && one.original_says("Cannot list fields on non-struct type")
        },
    },
    Rule {
        why: "a default of an optional struct passes on to its members; the original fails",
        covers: |one| one.class_is(&["Flatten"]) && one.original_says("Invalid default value"),
    },
    Rule {
        why: "years before 1582 are those of today's calendar, and years before 1 have a sign",
        covers: |one| {
            let shown = one.original.to_string() + &one.ours.to_string();
            one.class_is(&["TimestampConverter", "StringConverter"])
                && ["UTC 1", "0001-01-0", "1966990-09-20", "-61936099200000", "-62325158400000"]
                    .iter()
                    .any(|part| shown.contains(part) || shown.contains("205554432031"))
        },
    },
    Rule {
        why: "a date beyond 32 bits of days is refused and not wrapped when it is written",
        covers: |one| {
            one.ours_failure().is_some_and(|text| text.contains("are beyond a Date's range"))
        },
    },
    Rule {
        why: "what the original's own writer makes of NaN is read as NaN and not as 0",
        covers: |one| one.class_is(&["JsonConverter"]) && one.input().to_string().contains("NaN"),
    },
    Rule {
        why: "the sign of zero is kept",
        covers: |one| one.class_is(&["JsonConverter"]) && one.input() == "-0.0",
    },
    Rule {
        why: "half a surrogate pair is no character",
        covers: |one| one.class_is(&["JsonConverter"]) && one.input() == "\"\\ud83d\"",
    },
    Rule {
        why: "the header text null is null",
        covers: |one| {
            one.class_is(&["SimpleHeaderConverter"])
                && one.original.to_string().contains("NullPointerException")
        },
    },
    Rule {
        why: "a list of dates and numbers stays text: the numbers would become dates",
        covers: |one| {
            one.class_is(&["SimpleHeaderConverter"])
                && one.original.to_string().contains("org.apache.kafka.connect.data.Date")
        },
    },
    Rule {
        why: "text that starts with a blank and a bracket stays whole",
        covers: |one| {
            one.class_is(&["SimpleHeaderConverter"])
                && one.input().as_str().is_some_and(|text| text.starts_with(" ["))
        },
    },
    Rule {
        why: "without any option about deletes, deletes are dropped, as up to 3.1",
        covers: |one| {
            one.class_is(&["ExtractNewRecordState"])
                && one.ours == "dropped"
                && one.setting("delete.tombstone.handling.mode").is_none()
                && one.setting("delete.handling.mode").is_none()
        },
    },
    Rule {
        why: "replace.null.with.default=false keeps nulls when columns are dropped, too",
        covers: |one| {
            one.class_is(&["ExtractNewRecordState"])
                && one.setting("drop.fields.header.name").is_some()
                && one.setting("replace.null.with.default") == Some("false")
        },
    },
    Rule {
        why: "with the older options, too, a deleted row goes to the topic that its insert went to",
        covers: |one| {
            one.class_is(&["ExtractNewRecordState"])
                && one.case.line["original"] == "debezium-2"
                && one.setting("route.by.field").is_some()
        },
    },
    Rule {
        why: "the schema is made for each combination of headers; the original's first one stays for all",
        covers: |one| {
            one.class_is(&["HeaderToValue"])
                && one.original_says("Cannot create field because of field name duplication")
        },
    },
    Rule {
        why: "a row that may be null stays so when it gets a field: the original makes it required, and deletes fail",
        covers: |one| one.class_is(&["HeaderToValue"]) && one.ours_failure().is_none(),
    },
    Rule {
        why: "a header without a schema cannot become a field",
        covers: |one| one.class_is(&["HeaderToValue"]) && one.both_fail("fieldSchema for field"),
    },
    Rule {
        why: "each aggregate type has its schema; the original's first one stays for all",
        covers: |one| {
            one.class_is(&["EventRouter"])
                && one.original.to_string().contains("s.db.outbox.Order.Value")
                && one.ours.to_string().contains("s.db.outbox.A.b.Value")
        },
    },
    Rule {
        why: "JSON that cannot be expanded stays text under the column's schema; the original's schema and value do not fit each other",
        covers: |one| {
            one.class_is(&["EventRouter"])
                && one.setting("table.expand.json.payload") == Some("true")
        },
    },
    Rule {
        why: "a path through a struct that is null contributes nothing, as since 3.7",
        covers: |one| {
            one.class_is(&["PartitionRouting"])
                && one.original_says("Unprocessable message")
                && one.ours_failure().is_none()
        },
    },
    Rule {
        why: "a hash that is another one in every process is refused",
        covers: |one| {
            one.class_is(&["PartitionRouting"])
                && one.ours_failure().is_some_and(|text| text.contains("has no hash code"))
        },
    },
    Rule {
        why: "infinity is left alone",
        covers: |one| one.class_is(&["TimezoneConverter"]) && one.original_says("'infinity'"),
    },
    Rule {
        why: "tables whose names have hyphens can be named",
        covers: |one| {
            one.class_is(&["TimezoneConverter"])
                && one.setting("include.list") == Some("source:a-b")
        },
    },
    Rule {
        why: "the columns of a tombstone's key are renamed like those of other keys",
        covers: |one| one.class_is(&["FieldNameTransformation"]) && one.input()["value"].is_null(),
    },
    Rule {
        why: "records without a schema and tombstones pass",
        covers: |one| {
            one.class_is(&["DecodeLogicalDecodingMessageContent"])
                && one.input()["valueSchema"].is_null()
                && one.ours_failure().is_none()
        },
    },
];

/// Why a difference is meant; `None` when it is not.
pub(super) fn reason(difference: &Difference<'_>) -> Option<&'static str> {
    // Also where the two paths of ours do not agree: nothing excuses that.
    if difference.ours == super::PANIC {
        return None;
    }
    RULES.iter().find(|rule| (rule.covers)(difference)).map(|rule| rule.why)
}

/// A reason that covers nothing is no longer true.
pub(super) fn check_all_used(used: &BTreeSet<&'static str>) {
    for rule in RULES {
        assert!(used.contains(rule.why), "no difference for: {}", rule.why);
    }
}
