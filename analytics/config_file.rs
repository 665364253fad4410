//! The configuration file: `[analytics]` with the same names as the command's options, and a section
//! for each topic that needs one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::{Config, TableConfig};
use crate::error::Error;
use crate::rules::Rules;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    analytics: Analytics,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Analytics {
    source: Option<String>,
    database: Option<PathBuf>,
    publish: Option<PathBuf>,
    file_delim: Option<String>,
    add_fields_prefix: Option<String>,
    unavailable_value_placeholder: Option<String>,
    batch_objects_max: Option<usize>,
    batch_bytes_max: Option<u64>,
    memory_limit: Option<String>,
    threads: Option<u16>,
    #[serde(default)]
    tables: BTreeMap<String, FileTable>,
}

/// A table's section; what it says of the meaning of versions is taken together as its rules.
#[derive(Deserialize)]
struct FileTable {
    name: Option<String>,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    types: BTreeMap<String, String>,
    /// Partition and offset of each.
    #[serde(default)]
    epochs: Vec<(i32, u64)>,
    #[serde(flatten)]
    rules: toml::Table,
}

impl Config {
    /// Takes what the file at `path` says; what it leaves open stays.
    ///
    /// # Errors
    /// When the file cannot be read, or says something unknown.
    pub fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            what: format!("cannot read {}", path.display()),
            source,
        })?;
        self.read_text(&text)
            .map_err(|reason| Error::Config(format!("{}: {reason}", path.display())))
    }

    fn read_text(&mut self, text: &str) -> Result<(), String> {
        let document: Document = toml::from_str(text).map_err(|error| error.to_string())?;
        let file = document.analytics;
        fn take<T>(setting: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *setting = value;
            }
        }
        take(&mut self.source, file.source);
        take(&mut self.database, file.database);
        take(&mut self.file_delim, file.file_delim);
        take(&mut self.add_fields_prefix, file.add_fields_prefix);
        take(&mut self.unavailable_value_placeholder, file.unavailable_value_placeholder);
        take(&mut self.batch_objects_max, file.batch_objects_max);
        take(&mut self.batch_bytes_max, file.batch_bytes_max);
        take(&mut self.memory_limit, file.memory_limit);
        self.publish = file.publish.or(self.publish.take());
        self.threads = file.threads.or(self.threads);
        self.tables.extend(table_configs(file.tables)?);
        Ok(())
    }
}

/// The settings of tables, by topic, as JSON: what the file has under `[analytics.tables]`.
///
/// # Errors
/// What cannot be understood.
pub fn parse_tables(text: &str) -> Result<BTreeMap<String, TableConfig>, String> {
    let tables = serde_json::from_str(text).map_err(|error| error.to_string())?;
    table_configs(tables)
}

fn table_configs(
    tables: BTreeMap<String, FileTable>,
) -> Result<BTreeMap<String, TableConfig>, String> {
    let mut configs = BTreeMap::new();
    for (topic, table) in tables {
        let rules = if table.rules.is_empty() {
            None
        } else {
            let rules: Rules = table
                .rules
                .try_into()
                .map_err(|error: toml::de::Error| format!("table {topic}: {error}"))?;
            Some(rules)
        };
        let FileTable { name, keys, types, epochs, .. } = table;
        configs.insert(topic, TableConfig { name, keys, types, rules, epochs });
    }
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Deletes, SnapshotFrom, Time, Track};

    #[test]
    fn the_file_says_what_the_command_can() {
        let mut config = Config::new("", "");
        config
            .read_text(
                r#"
                [analytics]
                database = "./analytics.duckdb"
                source = "s3://my-cdc-bucket/cdc_data"
                [analytics.tables."cdc.commerce.products"]
                name = "products"
                keys = ["id"]
                time = "auto"
                deletes = "row"
                track = { except = ["seen_at"] }
                [analytics.tables."cdc.commerce.users"]
                time = { column = "updated_at" }
                snapshot_from = "beginning"
                types = { created = "timestamp_us" }
                [analytics.tables.plain]
                "#,
            )
            .unwrap();
        assert_eq!(config.source, "s3://my-cdc-bucket/cdc_data");
        let products = &config.tables["cdc.commerce.products"];
        let rules = products.rules.as_ref().unwrap();
        assert_eq!((rules.deletes, &rules.time), (Deletes::Row, &Time::Auto));
        assert_eq!(rules.track, Track::Except(vec!["seen_at".into()]));
        let users = config.tables["cdc.commerce.users"].rules.as_ref().unwrap();
        assert_eq!(users.time, Time::Column("updated_at".into()));
        assert_eq!(users.snapshot_from, SnapshotFrom::Beginning);
        assert_eq!(config.tables["plain"], TableConfig::default());
    }

    #[test]
    fn what_it_does_not_know_is_named() {
        let mut config = Config::new("", "");
        for (text, word) in [
            ("[analytics]\nsauce = 1", "sauce"),
            ("[analytics.tables.t]\ndelets = \"row\"", "delets"),
            ("[analytics.tables.t]\ndeletes = \"maybe\"", "maybe"),
        ] {
            let error = config.read_text(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
