//! The table: what it takes, what it refuses, what it shows.

use super::*;
use crate::config::Props;

fn errors(changes: &[(&str, &str)]) -> Vec<String> {
    let mut props: Props = [
        (FORMAT_CLASS, PARQUET_FORMAT),
        (FLUSH_SIZE, "1000"),
        (BUCKET, "b"),
        (STORAGE_CLASS, S3_STORAGE),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    props.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let def = config_def();
    def.validate(&props).into_iter().flat_map(|(_, outcome)| outcome.errors).collect()
}

#[test]
fn the_example_and_both_generations_of_class_names_are_accepted() {
    for changes in [
        &[][..],
        &[(CREDENTIALS_PROVIDER, "com.amazonaws.auth.DefaultAWSCredentialsProviderChain")],
        &[(PARTITIONER_CLASS, "DefaultPartitioner")],
        &[("schema.generator.class", "io.confluent.connect.storage.hive.schema.X")],
        &[(BEHAVIOR_ON_NULL_VALUES, "IGNORE")],
    ] {
        assert!(errors(changes).is_empty(), "{changes:?}: {:?}", errors(changes));
    }
}

#[test]
fn forms_show_what_matters() {
    let def = config_def();
    let is_shown = |key: &str, value: &str| {
        let visibility = def.key(key).unwrap().visibility.unwrap();
        (visibility.when)(value)
    };
    let rows = [
        (PARQUET_CODEC, PARQUET_FORMAT, true),
        (PARQUET_CODEC, "AvroFormat", false),
        (AVRO_CODEC, "AvroFormat", true),
        (KEYS_FORMAT_CLASS, "true", true),
        (KEYS_FORMAT_CLASS, "false", false),
        (HEADERS_FORMAT_CLASS, "false", false),
        (SSE_KMS_KEY_ID, "AWS:KMS", true),
        (SSE_KMS_KEY_ID, "", false),
        (PARTITION_FIELD_NAME, FIELD_PARTITIONER, true),
        (PARTITION_FIELD_NAME, DEFAULT_PARTITIONER, false),
        (PATH_FORMAT, TIME_PARTITIONER, true),
        (PATH_FORMAT, HOURLY_PARTITIONER, false),
        (TIMEZONE, HOURLY_PARTITIONER, true),
        (LOCALE, DEFAULT_PARTITIONER, false),
    ];
    for (key, value, expected) in rows {
        assert_eq!(is_shown(key, value), expected, "{key} with {value}");
    }
}

#[test]
fn refused_values_get_the_originals_texts() {
    let rows = [
        (PART_SIZE, "5", "Part size must be at least: 5242880 bytes (5MB)"),
        (PART_SIZE, "3000000000", "Not a number of type INT"),
        (COMPRESSION_TYPE, "bzip", "Value must be one of: [none, gzip]"),
        (
            PARQUET_CODEC,
            "uncompressed",
            "Value must be one of: [none, gzip, snappy, lz4, brotli, lz4_raw, zstd, lzo]",
        ),
        (FORMAT_CLASS, "com.x.F", "Class com.x.F could not be found."),
        (TIMEZONE, "Mars/X", "The datetime zone id 'Mars/X' is not recognised"),
        (PARTITION_FIELD_NAME, "a,,b", "Field name cannot be null or empty"),
        (SSEA_NAME, "x", "String must be one of: , AES256, aws:kms, aws:kms:dsse"),
        (OFFSET_PAD_WIDTH, "-1", "Value must be at least 0"),
        (FLUSH_SIZE, "many", "Not a number of type INT"),
    ];
    for (key, value, reason) in rows {
        let found = errors(&[(key, value)]);
        let expected = format!(" for configuration {key}: {reason}");
        assert!(found.first().is_some_and(|text| text.ends_with(&expected)), "{found:?}");
    }
}
