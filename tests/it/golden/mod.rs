//! The same inputs through the original and through ours. `tests/golden/peer` has what the original made of them, recorded by
//! `make peer-golden`; here ours meets the same inputs, and every difference that [`on_purpose`] does not name fails.

mod any_bytes;
mod examples;
mod form;
mod on_purpose;
mod planned;
mod run;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use expect_test::expect_file;
use serde_json::Value as Json;

use ferroconnect::plugin::Plugins;

/// One class with one configuration, its inputs, and what the original made of each.
struct Case {
    line: Json,
}

impl Case {
    fn id(&self) -> &str {
        self.line["id"].as_str().unwrap()
    }

    fn class(&self) -> &str {
        self.line["class"].as_str().unwrap_or("SchemaProjector")
    }

    fn inputs(&self) -> &[Json] {
        self.line["inputs"].as_array().unwrap()
    }
}

/// Where ours does something else; `input` is `None` when one of the two refuses the configuration.
struct Difference<'a> {
    case: &'a Case,
    input: Option<usize>,
    original: Json,
    ours: Json,
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden/peer"].iter().collect()
}

/// The cases of a file, with references into its table of repeated parts resolved.
fn cases(text: &str) -> Vec<Case> {
    let mut lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let table = lines.next().unwrap()["table"].as_array().unwrap().clone();
    lines.map(|line| Case { line: resolved(line, &table) }).collect()
}

fn resolved(node: Json, table: &[Json]) -> Json {
    match node {
        Json::String(text) => {
            match text.strip_prefix('#').and_then(|at| at.parse::<usize>().ok()) {
                Some(at) => resolved(table[at].clone(), table),
                None => Json::String(text),
            }
        }
        Json::Array(items) => items.into_iter().map(|item| resolved(item, table)).collect(),
        Json::Object(members) => Json::Object(
            members.into_iter().map(|(name, member)| (name, resolved(member, table))).collect(),
        ),
        other => other,
    }
}

/// Exceptions that are accidents of the original's code: there is no text to keep.
const ACCIDENTS: [&str; 7] = [
    "java.lang.NullPointerException",
    "java.lang.ClassCastException",
    "java.lang.IndexOutOfBoundsException",
    "java.lang.StringIndexOutOfBoundsException",
    "java.lang.ArrayIndexOutOfBoundsException",
    "java.nio.BufferUnderflowException",
    "java.lang.UnsupportedOperationException",
];

/// Whether `ours`, a text with its causes on lines of their own, says what the original's exceptions say.
fn same_failure(original: &Json, ours: &Json) -> bool {
    let (Some(chain), Some(ours)) = (original.as_array(), ours.as_str()) else { return false };
    let message = |at: usize| chain.get(at).and_then(|one| one[1].as_str()).unwrap_or_default();
    if ACCIDENTS.contains(&chain[0][0].as_str().unwrap()) {
        return true;
    }
    // Which list or buffer it is says nothing about the data.
    let named = |text: &str| {
        text.replace("java.util.LinkedHashMap", "java.util.HashMap")
            .replace("java.nio.HeapByteBuffer", "[B")
    };
    let (first, cause) = (named(message(0)), named(message(1)));
    let ours = ours.lines().next().unwrap_or_default();
    // What the original leaves to the cause, ours says in the same breath; and ours names the key of a setting.
    ours == first
        || first.ends_with(": ") && ours.starts_with(&first)
        || !cause.is_empty() && ours == format!("{first}: {cause}")
        || ours.starts_with("Invalid value ") && !first.is_empty() && ours.ends_with(&first)
}

fn same(original: &Json, ours: &Json) -> bool {
    match (original.get("error"), ours.get("error")) {
        (Some(original), Some(ours)) => same_failure(original, ours),
        (None, None) => form::normal(original) == form::normal(ours),
        _ => false,
    }
}

fn differences<'a>(plugins: &Plugins, case: &'a Case) -> Vec<Difference<'a>> {
    let step = run::step(plugins, &case.line);
    let refused = case.line.get("refused");
    let mut step = match (step, refused) {
        (Err(ours), Some(original)) => {
            if same_failure(original, &Json::String(ours.clone())) {
                return Vec::new();
            }
            let original = original.clone();
            return vec![Difference { case, input: None, original, ours: Json::String(ours) }];
        }
        (Err(ours), None) => {
            let original = Json::from("accepted");
            return vec![Difference { case, input: None, original, ours: Json::String(ours) }];
        }
        (Ok(_), Some(original)) => {
            let (original, ours) = (original.clone(), Json::from("accepted"));
            return vec![Difference { case, input: None, original, ours }];
        }
        (Ok(step), None) => step,
    };
    let outcomes = case.line["outcomes"].as_array().unwrap();
    let compared = case.inputs().iter().zip(outcomes).enumerate();
    let differing = compared.filter_map(|(at, (input, original))| {
        let ours = catch_unwind(AssertUnwindSafe(|| step(input)));
        let ours = ours.unwrap_or_else(|_| Json::from(PANIC));
        let original = original.clone();
        (!same(&original, &ours)).then_some(Difference { case, input: Some(at), original, ours })
    });
    differing.collect()
}

/// What ours is said to make of an input when it panics.
const PANIC: &str = "a panic";

fn shown(difference: &Difference<'_>, why: &str) -> String {
    let Difference { case, input, original, ours } = difference;
    let mut text = format!("{} {} {}\n", case.id(), case.class(), case.line["config"]);
    if let Some(at) = input {
        writeln!(text, "  input {at}: {}", case.inputs()[*at]).unwrap();
    }
    write!(text, "  original: {original}\n  ours: {ours}\n  why: {why}\n").unwrap();
    text
}

#[test]
fn ours_makes_of_every_input_what_the_original_makes() {
    let plugins = Plugins::builtin();
    let mut paths: Vec<_> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut explained, mut unexplained, mut inputs) = (String::new(), Vec::new(), 0);
    let mut reasons_used = BTreeSet::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "jsonl")) {
        for case in cases(&fs::read_to_string(path).unwrap()) {
            inputs += case.inputs().len();
            for difference in differences(&plugins, &case) {
                match on_purpose::reason(&difference) {
                    Some(why) => {
                        reasons_used.insert(why);
                        explained += &shown(&difference, why);
                    }
                    None => unexplained.push(shown(&difference, "?")),
                }
            }
        }
    }
    assert!(inputs > 10_000, "the recorded cases are not there: {inputs} inputs");
    #[expect(clippy::disallowed_methods, reason = "tests are addressed by environment")]
    let differences = std::env::var("GOLDEN_DIFFERENCES");
    if let Ok(file) = differences {
        fs::write(file, unexplained.concat()).unwrap();
    }
    let count = unexplained.len();
    assert!(
        unexplained.is_empty(),
        "{count} differences, the first of them:\n{}",
        unexplained.into_iter().take(20).collect::<String>()
    );
    on_purpose::check_all_used(&reasons_used);
    expect_file!["../../golden/peer/on-purpose.txt"].assert_eq(&explained);
}
