//! Object keys: `[topics.dir/]topic/encoded-partition/topic+partition+offset.ext`, "Object naming"
//! of the S3 sink. Readers list and parse these names, so they are exact to the byte.

use crate::data::TopicPartition;

/// The settings that names are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Naming {
    /// Blank is no prefix.
    pub(super) topics_dir: String,
    pub(super) directory_delim: String,
    pub(super) file_delim: String,
    /// Digits of the start offset, filled with zeros; longer offsets are not cut.
    pub(super) offset_width: usize,
    /// Of objects with values.
    pub(super) extension: String,
    pub(super) keys_extension: String,
    pub(super) headers_extension: String,
}

impl Naming {
    /// The name of the file that starts at `first_offset`, without the extensions of its objects.
    pub(super) fn base(
        &self,
        partition: &TopicPartition,
        encoded_partition: &str,
        first_offset: i64,
    ) -> String {
        let Self { topics_dir, directory_delim: d, file_delim: f, .. } = self;
        let TopicPartition { topic, partition } = partition;
        let width = self.offset_width;
        let prefix = if topics_dir.is_empty() { "" } else { d };
        format!(
            "{topics_dir}{prefix}{topic}{d}{encoded_partition}{d}\
             {topic}{f}{partition}{f}{first_offset:0width$}"
        )
    }

    /// Whether the object `key` holds values.
    pub(super) fn is_of_values(&self, key: &str) -> bool {
        !key.ends_with(&self.keys_extension) && !key.ends_with(&self.headers_extension)
    }

    /// The name of an object's file, from its key.
    pub(super) fn base_of<'a>(&self, key: &'a str) -> &'a str {
        // The extension of values may be the end of the others.
        [&self.keys_extension, &self.headers_extension, &self.extension]
            .into_iter()
            .filter(|extension| !extension.is_empty())
            .find_map(|extension| key.strip_suffix(extension.as_str()))
            .unwrap_or(key)
    }

    /// Why an object store client cannot express these names, if it cannot: it takes neither empty
    /// parts nor `.` and `..`, and changing a name silently would hide files from readers.
    pub(super) fn refusal(&self) -> Option<String> {
        let dir = &self.topics_dir;
        let sample = self.base(&TopicPartition { topic: "t".into(), partition: 0 }, "e", 0);
        let odd = |part: &str| matches!(part, "" | "." | "..");
        sample.split('/').any(odd).then(|| {
            format!(
                "object names would have an empty or relative part; write topics.dir \"{dir}\" \
                 without slashes at its ends and without \"//\""
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming() -> Naming {
        Naming {
            topics_dir: "cdc_data".to_owned(),
            directory_delim: "/".to_owned(),
            file_delim: "+".to_owned(),
            offset_width: 10,
            extension: ".snappy.parquet".to_owned(),
            keys_extension: ".keys.avro".to_owned(),
            headers_extension: ".headers.avro".to_owned(),
        }
    }

    #[test]
    fn keys_are_the_originals() {
        let users = "cdc_data/cdc.commerce.users/partition=0/cdc.commerce.users";
        let rows = [
            (naming(), 42, format!("{users}+0+0000000042.snappy.parquet")),
            (naming(), 12_345_678_901, format!("{users}+0+12345678901.snappy.parquet")),
            (
                Naming { offset_width: 20, ..naming() },
                42,
                format!("{users}+0+00000000000000000042.snappy.parquet"),
            ),
            (Naming { offset_width: 0, ..naming() }, 42, format!("{users}+0+42.snappy.parquet")),
            (
                Naming { topics_dir: String::new(), ..naming() },
                42,
                "cdc.commerce.users/partition=0/cdc.commerce.users+0+0000000042.snappy.parquet"
                    .to_owned(),
            ),
            (
                Naming { file_delim: "-".to_owned(), extension: ".json".to_owned(), ..naming() },
                42,
                format!("{users}-0-0000000042.json"),
            ),
            (
                Naming { directory_delim: "|".to_owned(), file_delim: "#".to_owned(), ..naming() },
                0,
                "cdc_data|cdc.commerce.users|partition=0|cdc.commerce.users#0#0000000000.snappy.parquet"
                    .to_owned(),
            ),
        ];
        let partition = TopicPartition { topic: "cdc.commerce.users".into(), partition: 0 };
        for (naming, offset, expected) in rows {
            let base = naming.base(&partition, "partition=0", offset);
            let key = format!("{base}{}", naming.extension);
            assert_eq!(key, expected);
            assert_eq!(naming.base_of(&key), base);
            assert!(naming.is_of_values(&key));
            assert!(!naming.is_of_values(&format!("{base}.keys.avro")));
            assert_eq!(naming.base_of(&format!("{base}.keys.avro")), base);
        }
    }

    #[test]
    fn names_that_would_be_changed_silently_are_refused() {
        for (dir, refused) in [
            ("a", false),
            ("a/b", false),
            ("", false),
            ("a/", true),
            ("/a", true),
            ("a/../b", true),
        ] {
            let naming = Naming { topics_dir: dir.to_owned(), ..naming() };
            assert_eq!(naming.refusal().is_some(), refused, "{dir:?}");
        }
    }
}
