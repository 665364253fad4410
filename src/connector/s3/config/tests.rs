//! The configuration as read from files and the worker's settings.

use super::*;

fn example() -> Props {
    let text = include_str!("../../../../connectors/s3-sink.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let config = file["config"].as_object().unwrap().iter();
    config
        .map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key.clone(), text)
        })
        .collect()
}

fn with(changes: &[(&str, &str)]) -> Props {
    let mut props = example();
    props.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    props
}

fn worker() -> SinkDefaults {
    SinkDefaults {
        endpoint_url: Some("http://minio:9000".to_owned()),
        region: Some("eu-central-1".to_owned()),
        access_key_id: Some("id".to_owned()),
        secret_access_key: Some(Secret::new("secret")),
        session_token: None,
        rotate_idle_interval_ms: Some(1_500),
    }
}

#[test]
fn the_example_file_uses_the_workers_endpoint_and_keys() {
    let config = S3Config::new(&example(), &worker()).unwrap();
    assert_eq!(config.store.endpoint.unwrap().as_str(), "http://minio:9000/");
    assert_eq!(config.store.region, "eu-central-1");
    assert!(matches!(config.store.credentials, Credentials::Static { access_key_id, .. }
        if access_key_id == "id"));
    assert_eq!(config.limits.flush_size, 1000);
    assert_eq!(config.limits.idle_interval_ms, Some(1_500));
    assert_eq!(config.part_size, 5_242_880);
    assert_eq!(config.naming.extension, ".snappy.parquet");
    assert_eq!(config.warnings.len(), 2, "one per placeholder: {:?}", config.warnings);
}

#[test]
fn what_the_file_says_wins() {
    let props = with(&[
        ("store.url", "minio:9000"),
        ("s3.region", "x"),
        ("aws.access.key.id", "own"),
        ("aws.secret.access.key", "own-secret"),
        ("rotate.idle.interval.ms", "-1"),
        ("format.class", def::JSON_FORMAT),
        ("s3.compression.type", "gzip"),
    ]);
    let config = S3Config::new(&props, &worker()).unwrap();
    assert_eq!(config.store.endpoint.unwrap().as_str(), "https://minio:9000/");
    assert_eq!(config.store.region, "x");
    assert!(matches!(config.store.credentials, Credentials::Static { access_key_id, .. }
        if access_key_id == "own"));
    assert_eq!(config.limits.idle_interval_ms, None);
    assert_eq!(config.naming.extension, ".json.gz");
}

#[test]
fn alone_it_is_amazon_with_the_machines_credentials() {
    let config = S3Config::new(&example(), &SinkDefaults::default()).unwrap();
    assert_eq!(config.store.endpoint, None);
    assert_eq!(config.store.region, "us-west-2");
    assert_eq!(config.store.credentials, Credentials::Machine);
    assert_eq!(config.limits.idle_interval_ms, Some(60_000));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of thirteen rows")]
fn what_only_the_whole_configuration_can_tell() {
    let gzip = "Compression Type gzip not valid for data format class: \
                ( io.confluent.connect.s3.format.parquet.ParquetFormat ).";
    type Changes = &'static [(&'static str, &'static str)];
    let rows: [(Changes, &str, &str); 13] = [
        (&[("s3.compression.type", "gzip")], "format.class", gzip),
        (
            &[("behavior.on.null.values", "write")],
            "store.kafka.keys",
            "Writing Kafka record keys to storage is mandatory when tombstone writing is \
             enabled.",
        ),
        (
            &[("rotate.schedule.interval.ms", "600000")],
            "timezone",
            "timezone configuration must be set when using rotate.schedule.interval.ms",
        ),
        (
            &[("partitioner.class", "FieldPartitioner")],
            "partition.field.name",
            "Partition field name cannot be null or empty when using FieldPartitioner.",
        ),
        (
            &[("partitioner.class", "TimeBasedPartitioner")],
            "partition.duration.ms",
            "Partition duration needs to be a positive.",
        ),
        (
            &[("partitioner.class", "TimeBasedPartitioner")],
            "path.format",
            "Path format cannot be empty.",
        ),
        (
            &[("partitioner.class", "DailyPartitioner"), ("timezone", "UTC")],
            "locale",
            "Locale cannot be empty.",
        ),
        (
            &[("partitioner.class", "HourlyPartitioner"), ("locale", "en")],
            "timezone",
            "Timezone cannot be empty.",
        ),
        (
            &[("partitioner.class", "HourlyPartitioner"), ("timestamp.extractor", "com.x.E")],
            "timestamp.extractor",
            "Invalid timestamp extractor: com.x.E",
        ),
        (
            &[
                ("s3.compression.type", "gzip"),
                ("format.class", "JsonFormat"),
                ("store.kafka.keys", "true"),
                ("keys.format.class", "ParquetFormat"),
            ],
            "store.kafka.keys",
            "Compression Type gzip not valid for keys format class: ( ParquetFormat ).",
        ),
        (
            &[("s3.ssea.name", "AES256"), ("s3.sse.customer.key", "AAAA")],
            "s3.sse.customer.key",
            "the key is not 32 bytes in base64",
        ),
        (
            &[("store.url", "ftp://x")],
            "store.url",
            "store.url \"ftp://x\" is no address of an S3 store; write http://host:port or \
             https://host",
        ),
        (
            &[("flush.size", "x")],
            "flush.size",
            "Invalid value x for configuration flush.size: Not a number of type INT",
        ),
    ];
    for (changes, key, message) in rows {
        let errors = S3Config::new(&with(changes), &worker()).unwrap_err();
        assert!(errors.contains(&ConfigError::new(key, message)), "{changes:?}: {errors:?}");
    }
}
