//! Connector files: `{"name": ..., "config": {...}}`, as they are posted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::json_files;
use crate::config::Props;
use crate::rest;

/// What a file wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) name: String,
    /// With `name`, as the worker answers it.
    pub(super) config: Props,
    pub(super) file: PathBuf,
}

/// The definitions of these files and folders, by name.
///
/// # Errors
/// A file that cannot be read or is no connector file; a name that two files have; no file at all.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Definition>> {
    let mut found: BTreeMap<String, Definition> = BTreeMap::new();
    for file in all_files(paths)? {
        let definition = definition(&file)?;
        if let Some(other) = found.get(&definition.name) {
            anyhow::bail!(
                "{} and {} both describe the connector {}: keep one of them",
                other.file.display(),
                file.display(),
                definition.name
            );
        }
        found.insert(definition.name.clone(), definition);
    }
    anyhow::ensure!(!found.is_empty(), "no connector file (*.json) there");
    Ok(found.into_values().collect())
}

fn all_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(json_files(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn definition(file: &Path) -> anyhow::Result<Definition> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (name, config) = rest::connector_file(&text)
        .with_context(|| format!("{} is no connector file", file.display()))?;
    Ok(Definition { name, config, file: file.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ferroconnect-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_is_read_by_name_and_other_files_are_left_alone() {
        let folder = folder(&[
            ("2.json", r#"{"name": "a", "config": {"tasks.max": 1}}"#),
            ("1.json", r#"{"name": "b", "config": {}}"#),
            ("README.md", "no connector"),
        ]);
        let found = read(std::slice::from_ref(&folder)).unwrap();
        let names: Vec<_> = found.iter().map(|definition| definition.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found[0].config["tasks.max"], "1");
        assert_eq!(found[0].config["name"], "a");
    }

    #[test]
    fn a_name_stands_in_one_file() {
        let same = r#"{"name": "a", "config": {}}"#;
        let folder = folder(&[("1.json", same), ("2.json", same)]);
        let error = read(&[folder]).unwrap_err().to_string();
        assert!(error.contains("1.json") && error.contains("2.json"), "{error}");
    }

    #[test]
    fn what_is_no_connector_file_is_named() {
        let folder = folder(&[("x.json", "[]")]);
        assert!(read(&[folder]).unwrap_err().to_string().contains("x.json is no connector file"));
        assert!(read(&[PathBuf::from("/none.json")]).is_err());
    }
}
