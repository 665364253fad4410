//! The configuration as read from files and the worker's settings.

use super::*;
use crate::config::Secret;

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
        ..SinkDefaults::default()
    }
}

fn endpoint(url: &str) -> Place {
    Place::Endpoint(url::Url::parse(url).unwrap())
}

#[test]
fn the_example_file_uses_the_workers_endpoint_and_keys() {
    let config = S3Config::new(&example(), &worker()).unwrap();
    assert_eq!(config.store.place, endpoint("http://minio:9000/"));
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
    assert_eq!(config.store.place, endpoint("https://minio:9000/"));
    assert_eq!(config.store.region, "x");
    assert!(matches!(config.store.credentials, Credentials::Static { access_key_id, .. }
        if access_key_id == "own"));
    assert_eq!(config.limits.idle_interval_ms, None);
    assert_eq!(config.naming.extension, ".json.gz");
}

#[test]
fn files_of_lz4_end_as_either_generation_has_it() {
    let extension = |changes: &[(&str, &str)]| {
        S3Config::new(&with(changes), &worker()).unwrap().naming.extension
    };
    let older = (def::PARQUET_LZ4_EXTENSION, ".lz4");
    assert_eq!(extension(&[(def::PARQUET_CODEC, "lz4")]), ".lz4hadoop.parquet");
    assert_eq!(extension(&[(def::PARQUET_CODEC, "lz4"), older]), ".lz4.parquet");
    assert_eq!(extension(&[(def::PARQUET_CODEC, "lz4_raw"), older]), ".lz4raw.parquet");
}

#[test]
fn alone_it_is_amazon_with_the_machines_credentials() {
    let config = S3Config::new(&example(), &SinkDefaults::default()).unwrap();
    assert_eq!(config.store.place, Place::Amazon);
    assert_eq!(config.store.region, "us-west-2");
    assert_eq!(config.store.credentials, Credentials::Source(Source::Anywhere));
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
            "store.url \"ftp://x\" is no address of an S3 store; write http://host:port, \
             https://host, or file:///folder",
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

/// What the original tells only when a task starts is no reason to refuse a file.
#[test]
fn a_file_that_the_original_accepts_is_accepted() {
    let rows: [(&[(&str, &str)], bool); 10] = [
        (&[("partitioner.class", "HourlyPartitioner")], true),
        (&[("partitioner.class", "TimeBasedPartitioner"), ("path.format", "yyyy-bb")], true),
        (&[("rotate.schedule.interval.ms", "60000")], true),
        (&[("store.url", "ftp://x")], true),
        (&[("s3.proxy.url", "not a url")], true),
        (&[("s3.ssea.name", "AES256"), ("s3.sse.customer.key", "AAAA")], true),
        (&[("s3.object.tagging.key.value.pairs", "team")], true),
        (&[("partitioner.class", "FieldPartitioner")], false),
        (&[("behavior.on.null.values", "write")], false),
        (&[("s3.wan.mode", "true")], false),
    ];
    for (changes, is_accepted) in rows {
        let props = with(changes);
        let refusals = S3Config::refusals(&props, &worker());
        assert_eq!(refusals.is_empty(), is_accepted, "{changes:?}: {refusals:?}");
        S3Config::new(&props, &worker()).expect_err("no task starts with it");
    }
}

#[test]
fn credentials_come_from_where_the_provider_says() {
    const V2: &str = "software.amazon.awssdk.auth.credentials";
    let of = |class: &str, worker: &SinkDefaults, more: &[(&str, &str)]| {
        let mut props = with(&[("s3.credentials.provider.class", class)]);
        props.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        S3Config::new(&props, worker).map(|config| config.store.credentials)
    };
    let bare = SinkDefaults::default();
    for (class, source) in [
        ("DefaultCredentialsProvider", Source::Anywhere),
        ("EnvironmentVariableCredentialsProvider", Source::Environment),
        ("ProfileCredentialsProvider", Source::Profile),
        ("InstanceProfileCredentialsProvider", Source::Instance),
        ("ContainerCredentialsProvider", Source::Container),
        ("WebIdentityTokenFileCredentialsProvider", Source::WebIdentity),
    ] {
        let found = of(&format!("{V2}.{class}"), &bare, &[]).unwrap();
        assert_eq!(found, Credentials::Source(source), "{class}");
    }
    for (class, source) in [
        ("com.amazonaws.auth.DefaultAWSCredentialsProviderChain", Source::Anywhere),
        ("com.amazonaws.auth.profile.ProfileCredentialsProvider", Source::Profile),
        ("com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper", Source::Anywhere),
        ("com.amazonaws.auth.WebIdentityTokenCredentialsProvider", Source::WebIdentity),
    ] {
        assert_eq!(of(class, &bare, &[]).unwrap(), Credentials::Source(source), "{class}");
    }
    // The worker's keys are its environment: a profile is asked all the same.
    let profile = format!("{V2}.ProfileCredentialsProvider");
    let found = of(&profile, &worker(), &[]).unwrap();
    assert_eq!(found, Credentials::Source(Source::Profile));
    let keys = [("aws.access.key.id", "own"), ("aws.secret.access.key", "own-secret")];
    let found = of(&profile, &worker(), &keys).unwrap();
    assert!(matches!(found, Credentials::Static { access_key_id, .. } if access_key_id == "own"));

    let assume = "io.confluent.connect.s3.auth.AwsAssumeRoleCredentialsProvider";
    let errors = of(assume, &bare, &[]).unwrap_err();
    let texts: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(
        texts,
        ["sts.role.arn", "sts.role.session.name", "sts.role.external.id"].map(|name| format!(
            "Missing required configuration \"{name}\" which has no default value."
        ))
    );
    let role = [
        ("s3.credentials.provider.sts.role.arn", "arn:aws:iam::1:role/r"),
        ("s3.credentials.provider.sts.role.session.name", "s"),
        ("s3.credentials.provider.sts.role.external.id", "e"),
    ];
    let found = of(assume, &bare, &role).unwrap();
    assert!(matches!(found, Credentials::Role(Role { keys: None, external_id, .. })
        if external_id == "e"));
}

#[test]
fn a_folder_can_stand_for_the_store() {
    let config = S3Config::new(&with(&[("store.url", "file:///tmp/lake")]), &worker()).unwrap();
    assert_eq!(config.store.place, Place::Folder("/tmp/lake".into()));
}

#[test]
fn the_accelerated_endpoint_is_amazons() {
    let wan = with(&[("s3.wan.mode", "true"), ("s3.path.style.access.enabled", "false")]);
    let config = S3Config::new(&wan, &SinkDefaults::default()).unwrap();
    assert_eq!(config.store.place, Place::Accelerated);
}
