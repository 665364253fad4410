//! The house rules of ARCHITECTURE.md as a test: who may import whom, who may name which third
//! party, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// A row of the import table: the module, what it may import of this crate, and what only it (with
/// others that list it) may name of third parties.
struct Rule {
    module: &'static str,
    imports: &'static [&'static str],
    third_parties: &'static [&'static str],
}

const FIRST_ROW: [&str; 4] = ["error", "data", "config", "metrics"];

const RULES: &[Rule] = &[
    Rule { module: "error", imports: &[], third_parties: &[] },
    Rule { module: "data", imports: &["error"], third_parties: &[] },
    Rule { module: "config", imports: &["error"], third_parties: &[] },
    Rule { module: "metrics", imports: &["error"], third_parties: &["prometheus_client"] },
    Rule { module: "converter", imports: &["converter", "transform"], third_parties: &[] },
    Rule { module: "transform", imports: &["converter", "transform"], third_parties: &[] },
    // A transform of this connector asks its server.
    Rule {
        module: "connector::postgres",
        imports: &["connector", "transform"],
        third_parties: &["tokio_postgres", "postgres_protocol", "tokio_rustls"],
    },
    // JsonFormat writes what JsonConverter writes: the one encoder serves both.
    Rule {
        module: "connector::s3",
        imports: &["connector", "converter"],
        third_parties: &[
            "object_store",
            "parquet",
            "arrow_array",
            "arrow_schema",
            "arrow_buffer",
            "reqsign_aws_v4",
            "reqsign_core",
        ],
    },
    // The history tables are another crate's; their connector only runs them.
    Rule {
        module: "connector::duckdb",
        imports: &["connector"],
        third_parties: &["ferroconnect_analytics"],
    },
    Rule { module: "connector", imports: &["connector"], third_parties: &[] },
    Rule {
        module: "plugin",
        imports: &["converter", "transform", "connector"],
        third_parties: &[],
    },
    Rule { module: "kafka", imports: &[], third_parties: &["rdkafka", "openssl"] },
    Rule { module: "store", imports: &[], third_parties: &["sqlx"] },
    Rule {
        module: "runtime",
        imports: &["converter", "transform", "connector", "plugin", "kafka", "store"],
        third_parties: &[],
    },
    Rule {
        module: "rest",
        imports: &["runtime", "plugin"],
        third_parties: &[
            "axum",
            "hyper",
            "utoipa",
            "utoipa_axum",
            "utoipa_swagger_ui",
            "tokio_rustls",
        ],
    },
    Rule {
        module: "cli",
        // `import` and `export` read and write the topics of a cluster that moves in or out.
        imports: &["rest", "runtime", "store", "plugin", "kafka"],
        third_parties: &["clap", "anyhow", "ferroconnect_analytics"],
    },
    Rule { module: "main", imports: &["cli"], third_parties: &["anyhow", "clap"] },
    Rule { module: "lib", imports: &[], third_parties: &[] },
];

/// A file is one idea: longer than this needs a reason in its module comment, and a line here.
const LINES_MAX: usize = 600;

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut offences = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let rule = rule_for(&module);
        let own = rule.module.split("::").next().expect("a module has a name");
        for (number, line) in code_lines(&text) {
            for imported in imports_of_crate(line) {
                let first = imported.split("::").next().expect("an import has a head");
                let reaches_into_a_connector = own != "connector"
                    && own != "plugin"
                    && (imported.starts_with("connector::postgres")
                        || imported.starts_with("connector::s3")
                        || imported.starts_with("connector::duckdb"));
                let allowed = first == own
                    || FIRST_ROW.contains(&first)
                        && !matches!(own, "error" | "data" | "config" | "metrics")
                    || rule.imports.contains(&first);
                if !allowed || reaches_into_a_connector {
                    offences.push(format!(
                        "{}:{number}: {module} may not import {imported}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn third_parties_are_named_only_where_they_belong() {
    let restricted: Vec<&str> =
        RULES.iter().flat_map(|rule| rule.third_parties.iter().copied()).collect();
    let mut offences = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let rule = rule_for(&module);
        for (number, line) in code_lines(&text) {
            for name in &restricted {
                let named = line.contains(&format!("{name}::"))
                    && !line.contains(&format!("::{name}::"))
                    && !line.contains(&format!("_{name}::"));
                // utoipa's derive stands on the entities that the API shows.
                let shown = *name == "utoipa" && module.starts_with("runtime");
                if named && !rule.third_parties.contains(name) && !shown {
                    offences
                        .push(format!("{}:{number}: {module} may not name {name}", path.display()));
                }
            }
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn files_are_one_idea_long() {
    let mut offences = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            offences.push(format!("{}: {lines} lines, at most {LINES_MAX}", path.display()));
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn every_module_says_what_it_owns() {
    let offences: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(offences.is_empty(), "no module comment: {offences:?}");
}

fn rule_for(module: &str) -> &'static Rule {
    RULES
        .iter()
        .find(|rule| module == rule.module || module.starts_with(&format!("{}::", rule.module)))
        .unwrap_or_else(|| panic!("no row of the import table for {module}"))
}

/// Lines outside comments and outside the tests at the end of a file, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn imports_of_crate(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .filter(|(at, _)| !line[..*at].ends_with('$') && !line[..*at].ends_with("(in "))
        .map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            rest[..end.unwrap_or(rest.len())].trim_end_matches(':').to_owned()
        })
        .filter(|import| !import.is_empty())
        .collect()
}

fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).expect("a source is under src");
    let mut parts: Vec<_> =
        relative.iter().map(|part| part.to_string_lossy().replace(".rs", "")).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts.join("::")
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
