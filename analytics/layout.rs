//! Object names, as the S3 sink writes them: `<topic>+<partition>+<start offset>.<extensions>`.
//!
//! Only the file name counts. The directories above it are the partitioner's affair and may be
//! anything; the topic is read from the file name, because its directory may have been renamed.

use crate::error::Error;

/// How the rows of an object are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Parquet,
    /// One JSON document a line, perhaps compressed.
    Json,
    Avro,
}

/// What the name of a change file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) start_offset: u64,
    pub(crate) format: Format,
    /// From the first dot after the offset on, without it: DuckDB tells compression by it.
    pub(crate) extension: String,
}

/// The kinds of names that occur under a sink's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectName {
    Data(FileName),
    /// The records' keys, beside a data file of the same offset.
    Keys(FileName),
    /// Headers that belong to a data file of the same offset.
    Companion,
    /// Not to be read, and why.
    Unreadable(&'static str),
}

/// Reads an object's name from the right, so that topics may contain dots and the delimiter.
pub(crate) fn parse(path: &str, delimiter: &str) -> ObjectName {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((topic, partition, offset, extension)) = split(name, delimiter) else {
        return ObjectName::Unreadable("its name is not <topic>+<partition>+<offset>.<format>");
    };
    if extension.starts_with("headers.") {
        return ObjectName::Companion;
    }
    let (is_keys, extension) = match extension.strip_prefix("keys.") {
        Some(extension) => (true, extension),
        None => (false, extension),
    };
    let format = match extension.rsplit('.').next() {
        Some("parquet") => Format::Parquet,
        Some("json") => Format::Json,
        _ if matches!(extension, "json.gz" | "json.zst") => Format::Json,
        Some("avro") => Format::Avro,
        _ => {
            return ObjectName::Unreadable("its format is not known; use Parquet, JSON or Avro");
        }
    };
    let name = FileName {
        topic: topic.to_owned(),
        partition,
        start_offset: offset,
        format,
        extension: extension.to_owned(),
    };
    if is_keys { ObjectName::Keys(name) } else { ObjectName::Data(name) }
}

fn split<'a>(name: &'a str, delimiter: &str) -> Option<(&'a str, i32, u64, &'a str)> {
    let (head, tail) = name.rsplit_once(delimiter)?;
    let (topic, partition) = head.rsplit_once(delimiter)?;
    let (offset, extension) = tail.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if topic.is_empty() || !digits(partition) || !digits(offset) {
        return None;
    }
    Some((topic, partition.parse().ok()?, offset.parse().ok()?, extension))
}

/// Checks a delimiter before it is used to take names apart.
pub(crate) fn check_delimiter(delimiter: &str) -> Result<(), Error> {
    if delimiter.is_empty() || delimiter.contains(['/', '.']) {
        return Err(Error::Source {
            uri: delimiter.to_owned(),
            reason: "file.delim must not be empty or contain a slash or dot".into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(
        topic: &str,
        partition: i32,
        start_offset: u64,
        format: Format,
        extension: &str,
    ) -> ObjectName {
        ObjectName::Data(FileName {
            topic: topic.into(),
            partition,
            start_offset,
            format,
            extension: extension.into(),
        })
    }

    #[track_caller]
    fn check(name: &str, path: &str, delimiter: &str, expected: &ObjectName) {
        assert_eq!(&parse(path, delimiter), expected, "{name}");
    }

    #[test]
    fn names_of_the_sink_are_read() {
        let parquet = "snappy.parquet";
        check(
            "default partitioner",
            "cdc_data/cdc.commerce.products/partition=0/cdc.commerce.products+0+0000001000.snappy.parquet",
            "+",
            &data("cdc.commerce.products", 0, 1000, Format::Parquet, parquet),
        );
        check(
            "time partitioner",
            "cdc_data/t/year=2026/month=11/day=22/t+12+0000000042.snappy.parquet",
            "+",
            &data("t", 12, 42, Format::Parquet, parquet),
        );
        check(
            "no compression",
            "t+0+0000000000.parquet",
            "+",
            &data("t", 0, 0, Format::Parquet, "parquet"),
        );
        check(
            "gzipped json",
            "t+0+0000000000.json.gz",
            "+",
            &data("t", 0, 0, Format::Json, "json.gz"),
        );
        check(
            "wide padding",
            "t+0+00000000000000000042.json",
            "+",
            &data("t", 0, 42, Format::Json, "json"),
        );
        check("avro", "t+0+0000000001.avro", "+", &data("t", 0, 1, Format::Avro, "avro"));
        check(
            "delimiter in the topic",
            "my-t-0-7.json",
            "-",
            &data("my-t", 0, 7, Format::Json, "json"),
        );
    }

    #[test]
    fn other_names_are_told_apart() {
        let ObjectName::Data(keys) = data("t", 0, 0, Format::Avro, "avro") else { panic!() };
        check("keys", "t+0+0000000000.keys.avro", "+", &ObjectName::Keys(keys));
        check("headers", "t+0+0000000000.headers.json", "+", &ObjectName::Companion);
        for (name, path) in [
            ("no offset", "t+0.parquet"),
            ("no extension", "t+0+1"),
            ("no digits", "t+a+1.json"),
            ("offset too large", "t+0+99999999999999999999999.json"),
            ("no topic", "+0+1.json"),
            ("bytes", "t+0+1.bin"),
            ("empty", ""),
        ] {
            assert!(matches!(parse(path, "+"), ObjectName::Unreadable(_)), "{name}");
        }
    }
}
