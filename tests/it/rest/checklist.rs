//! README.md names a test for every line of the checklist, and each test that it names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The last line of the checklist.
const LINES: u32 = 287;

#[test]
fn every_line_of_the_checklist_has_its_test() {
    let mut missing: BTreeSet<u32> = (1..=LINES).collect();
    let mut rows = 0;
    for row in include_str!("README.md").lines() {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [lines, tests] = cells.as_slice() else { continue };
        let Some(lines) = numbers(lines) else { continue };
        rows += 1;
        for line in lines {
            missing.remove(&line);
        }
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        let excused = tests.starts_with("does not apply:") || tests.starts_with("every test:");
        assert!(excused || named.iter().any(|name| name.contains("::")), "no test: {row}");
        for name in named.into_iter().filter(|name| name.contains("::")) {
            assert!(is_there(name), "no test {name}: {row}");
        }
    }
    assert!(rows > 50, "the table is read");
    assert!(missing.is_empty(), "no row for {missing:?}");
}

/// `1, 3-5`
fn numbers(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in text.split(", ") {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(from.parse::<u32>().ok()?..=to.parse::<u32>().ok()?);
    }
    Some(numbers)
}

/// `module::test` and `module::*` are here; `area::module` is a module of the crate with tests.
fn is_there(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| fs::read_to_string(path).ok();
    let (module, test) = name.rsplit_once("::").expect("the caller looked");
    if let Some(text) = read(root.join(format!("tests/it/rest/{module}.rs"))) {
        return test == "*" || text.contains(&format!("fn {test}("));
    }
    let path = name.replace("::", "/");
    let files =
        [format!("src/{path}.rs"), format!("src/{path}/mod.rs"), format!("src/{path}/tests.rs")];
    files
        .into_iter()
        .filter_map(|file| read(root.join(file)))
        .any(|text| text.contains("#[test]") || text.contains("#[tokio::test]"))
}
