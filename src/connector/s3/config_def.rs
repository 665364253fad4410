//! The table of keys: `S3SinkConnectorConfig` with the groups and the order of the original, then
//! the key that is ours.

use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Validator, Width};

pub(super) const FORMAT_CLASS: &str = "format.class";
pub(super) const FLUSH_SIZE: &str = "flush.size";
pub(super) const ROTATE_INTERVAL_MS: &str = "rotate.interval.ms";
pub(super) const ROTATE_SCHEDULE_INTERVAL_MS: &str = "rotate.schedule.interval.ms";
pub(super) const ROTATE_IDLE_INTERVAL_MS: &str = "rotate.idle.interval.ms";
pub(super) const ROTATE_FILE_SIZE_BYTES: &str = "rotate.file.size.bytes";
pub(super) const MAX_WRITE_DURATION_MS: &str = "max.write.duration.ms";
pub(super) const OFFSET_PAD_WIDTH: &str = "filename.offset.zero.pad.width";
pub(super) const PARQUET_CODEC: &str = "parquet.codec";
pub(super) const PARQUET_LZ4_EXTENSION: &str = "parquet.lz4.extension";
pub(super) const SCHEMA_COMPATIBILITY: &str = "schema.compatibility";
pub(super) const BUCKET: &str = "s3.bucket.name";
pub(super) const OBJECT_TAGGING: &str = "s3.object.tagging";
pub(super) const REGION: &str = "s3.region";
pub(super) const PART_SIZE: &str = "s3.part.size";
pub(super) const CREDENTIALS_PROVIDER: &str = "s3.credentials.provider.class";
pub(super) const ACCESS_KEY_ID: &str = "aws.access.key.id";
pub(super) const SECRET_ACCESS_KEY: &str = "aws.secret.access.key";
pub(super) const SSEA_NAME: &str = "s3.ssea.name";
pub(super) const SSE_CUSTOMER_KEY: &str = "s3.sse.customer.key";
pub(super) const SSE_KMS_KEY_ID: &str = "s3.sse.kms.key.id";
pub(super) const ACL_CANNED: &str = "s3.acl.canned";
pub(super) const WAN_MODE: &str = "s3.wan.mode";
pub(super) const COMPRESSION_TYPE: &str = "s3.compression.type";
pub(super) const COMPRESSION_LEVEL: &str = "s3.compression.level";
pub(super) const JSON_DECIMAL_FORMAT: &str = "json.decimal.format";
pub(super) const PART_RETRIES: &str = "s3.part.retries";
pub(super) const RETRY_BACKOFF_MS: &str = "s3.retry.backoff.ms";
pub(super) const PARTS_IN_FLIGHT: &str = "s3.max.parts.in.flight";
pub(super) const FILES_IN_FLIGHT: &str = "s3.max.files.in.flight";
pub(super) const PROXY_URL: &str = "s3.proxy.url";
pub(super) const PROXY_USER: &str = "s3.proxy.user";
pub(super) const PROXY_PASSWORD: &str = "s3.proxy.password";
pub(super) const BEHAVIOR_ON_NULL_VALUES: &str = "behavior.on.null.values";
pub(super) const SCHEMA_AFFIX: &str = "s3.schema.partition.affix.type";
pub(super) const STORE_KEYS: &str = "store.kafka.keys";
pub(super) const STORE_HEADERS: &str = "store.kafka.headers";
pub(super) const KEYS_FORMAT_CLASS: &str = "keys.format.class";
pub(super) const HEADERS_FORMAT_CLASS: &str = "headers.format.class";
pub(super) const PATH_STYLE: &str = "s3.path.style.access.enabled";
pub(super) const STORAGE_CLASS: &str = "storage.class";
pub(super) const TOPICS_DIR: &str = "topics.dir";
pub(super) const STORE_URL: &str = "store.url";
pub(super) const DIRECTORY_DELIM: &str = "directory.delim";
pub(super) const FILE_DELIM: &str = "file.delim";
pub(super) const PARTITIONER_CLASS: &str = "partitioner.class";
pub(super) const PARTITION_FIELD_NAME: &str = "partition.field.name";
pub(super) const TIMEZONE: &str = "timezone";
pub(super) const PARTITION_DURATION_MS: &str = "partition.duration.ms";
pub(super) const PATH_FORMAT: &str = "path.format";
pub(super) const LOCALE: &str = "locale";
pub(super) const TIMESTAMP_EXTRACTOR: &str = "timestamp.extractor";
pub(super) const TIMESTAMP_FIELD: &str = "timestamp.field";
pub(super) const OPEN_FILES_MAX: &str = "partitioner.max.open.files";
pub(super) const ROTATE_ON_PATH_CHANGE: &str = "rotate.file.on.partition.change";
pub(super) const TOMBSTONE_PARTITION: &str = "tombstone.encoded.partition";
pub(super) const BYTES_EXTENSION: &str = "format.bytearray.extension";
pub(super) const BYTES_SEPARATOR: &str = "format.bytearray.separator";
pub(super) const CONNECT_METADATA: &str = "connect.meta.data";
pub(super) const ENHANCED_AVRO: &str = "enhanced.avro.schema.support";
pub(super) const OPTIONAL_MAP_KEYS: &str = "allow.optional.map.keys";
pub(super) const AVRO_CODEC: &str = "avro.codec";
pub(super) const REPORT_NULL_VALUES: &str = "report.null.values.to.dlq";
pub(super) const TAGGING_PAIRS: &str = "s3.object.tagging.key.value.pairs";
pub(super) const TAGGING_ERRORS: &str = "s3.object.behavior.on.tagging.error";

/// The smallest part that S3 takes, but for the last one.
pub(super) const PART_SIZE_MIN: i64 = 5 * 1024 * 1024;

pub(super) const AVRO_FORMAT: &str = "io.confluent.connect.s3.format.avro.AvroFormat";
pub(super) const JSON_FORMAT: &str = "io.confluent.connect.s3.format.json.JsonFormat";
pub(super) const BYTE_ARRAY_FORMAT: &str =
    "io.confluent.connect.s3.format.bytearray.ByteArrayFormat";
pub(super) const PARQUET_FORMAT: &str = "io.confluent.connect.s3.format.parquet.ParquetFormat";
const FORMATS: &[&str] = &[AVRO_FORMAT, JSON_FORMAT, BYTE_ARRAY_FORMAT, PARQUET_FORMAT];
const HEADER_FORMATS: &[&str] = &[AVRO_FORMAT, JSON_FORMAT, PARQUET_FORMAT];

const S3_STORAGE: &str = "io.confluent.connect.s3.storage.S3Storage";

pub(super) const DEFAULT_PARTITIONER: &str =
    "io.confluent.connect.storage.partitioner.DefaultPartitioner";
pub(super) const HOURLY_PARTITIONER: &str =
    "io.confluent.connect.storage.partitioner.HourlyPartitioner";
pub(super) const DAILY_PARTITIONER: &str =
    "io.confluent.connect.storage.partitioner.DailyPartitioner";
pub(super) const TIME_PARTITIONER: &str =
    "io.confluent.connect.storage.partitioner.TimeBasedPartitioner";
pub(super) const FIELD_PARTITIONER: &str =
    "io.confluent.connect.storage.partitioner.FieldPartitioner";
const PARTITIONERS: &[&str] = &[
    DEFAULT_PARTITIONER,
    HOURLY_PARTITIONER,
    DAILY_PARTITIONER,
    TIME_PARTITIONER,
    FIELD_PARTITIONER,
];

const DEFAULT_PROVIDER: &str = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider";
pub(super) const ANONYMOUS_PROVIDER: &str =
    "software.amazon.awssdk.auth.credentials.AnonymousCredentialsProvider";
pub(super) const ASSUME_ROLE_PROVIDER: &str =
    "io.confluent.connect.s3.auth.AwsAssumeRoleCredentialsProvider";
/// Both generations of the AWS SDK.
const PROVIDERS: &[&str] = &[
    DEFAULT_PROVIDER,
    "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.SystemPropertyCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider",
    ANONYMOUS_PROVIDER,
    "com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
    "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
    "com.amazonaws.auth.SystemPropertiesCredentialsProvider",
    "com.amazonaws.auth.InstanceProfileCredentialsProvider",
    "com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper",
    "com.amazonaws.auth.WebIdentityTokenCredentialsProvider",
    "com.amazonaws.auth.profile.ProfileCredentialsProvider",
    ASSUME_ROLE_PROVIDER,
];

const SSE_ALGORITHMS: &[&str] = &["", "AES256", "aws:kms", "aws:kms:dsse"];
const PARQUET_CODECS: &[&str] =
    &["none", "gzip", "snappy", "lz4", "brotli", "lz4_raw", "zstd", "lzo"];
/// Values of `parquet.lz4.extension`.
pub(super) const LZ4_PLAIN: &str = ".lz4";
const LZ4_HADOOP: &str = ".lz4hadoop";
const LZ4_EXTENSIONS: &[&str] = &[LZ4_HADOOP, LZ4_PLAIN];
const CANNED_ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
];

/// The table.
pub fn config_def() -> ConfigDef {
    let mut keys = connector_keys();
    keys.extend(schema_keys());
    keys.extend(s3_keys());
    keys.extend(transfer_keys());
    keys.extend(behavior_keys());
    keys.extend(companion_keys());
    keys.extend(storage_keys());
    keys.extend(partitioner_keys());
    ConfigDef::new(keys)
}

fn key(name: &'static str, ty: ConfigType, documentation: &'static str) -> ConfigKey {
    ConfigKey::new(name, ty, documentation)
}

#[rustfmt::skip]
fn connector_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Class, Int, Long, String};
    const GROUP: &str = "Connector";
    vec![
        key(FORMAT_CLASS, Class, "The format of the objects.")
            .required().high().recommended(FORMATS).check(known_format())
            .shown(GROUP, 1, Width::None, "Format class"),
        key(FLUSH_SIZE, Int, "How many records of a topic partition make a file; 0 or less means one.")
            .required().high().shown(GROUP, 2, Width::Long, "Flush Size"),
        key(ROTATE_INTERVAL_MS, Long, "Close a file when a record's timestamp is this much later than the file's first one, in milliseconds; -1 is off.")
            .default("-1").high().shown(GROUP, 3, Width::Medium, "Rotate Interval (ms)"),
        key(ROTATE_SCHEDULE_INTERVAL_MS, Long, "Close files at multiples of this many milliseconds after local midnight of timezone; -1 is off.")
            .default("-1").medium().shown(GROUP, 4, Width::Medium, "Rotate Schedule Interval (ms)"),
        key("schemas.cache.config", Int, "Kept for compatibility; schemas are compared by pointer first.")
            .default("1000").shown(GROUP, 5, Width::Long, "Schema Cache Size"),
        key(ENHANCED_AVRO, Boolean, "Whether Avro keeps enumerations and package names.")
            .default("true").shown(GROUP, 6, Width::Short, "Enhanced Avro Support"),
        key(CONNECT_METADATA, Boolean, "Whether Avro schemas carry the connect.* properties.")
            .default("true").shown(GROUP, 7, Width::Short, "Connect Metadata"),
        key("retry.backoff.ms", Long, "How long to wait after a failure that may pass, in milliseconds.")
            .default("5000").shown(GROUP, 8, Width::Medium, "Retry Backoff (ms)"),
        key(OFFSET_PAD_WIDTH, Int, "Digits of the start offset in object names, filled with zeros; 0 is no filling.")
            .default("10").check(Validator::AtLeast(0))
            .shown(GROUP, 10, Width::Long, "Filename Offset Zero Pad Width"),
        key(AVRO_CODEC, String, "The compression of Avro files.")
            .default("null").check(Validator::OneOf(&["null", "deflate", "snappy", "bzip2"]))
            .recommended(&["null", "deflate", "snappy", "bzip2"])
            .shown(GROUP, 11, Width::Medium, "Avro Compression Codec")
            .visible(FORMAT_CLASS, |class| is_class(class, AVRO_FORMAT)),
        key(OPTIONAL_MAP_KEYS, Boolean, "Whether maps with optional string keys are Avro maps.")
            .default("false").shown(GROUP, 12, Width::Short, "Allow Optional Map Keys"),
        key(PARQUET_CODEC, String, "The compression of Parquet files.")
            .default("snappy").check(Validator::Custom(parquet_codec)).recommended(PARQUET_CODECS)
            .shown(GROUP, 13, Width::Medium, "Parquet Compression Codec")
            .visible(FORMAT_CLASS, |class| is_class(class, PARQUET_FORMAT)),
        key(ROTATE_IDLE_INTERVAL_MS, Long, "Close a file when its partition has had no record for this many milliseconds; -1 is off, as in the original. Default: s3.rotate.idle.interval.ms of the worker, else 60000.")
            .shown(GROUP, 14, Width::Medium, "Rotate Idle Interval (ms)"),
        key(ROTATE_FILE_SIZE_BYTES, Long, "Close the files of a partition when one of them has about this many bytes; -1 is off, as in the original.")
            .default("-1").shown(GROUP, 15, Width::Medium, "Rotate File Size (bytes)"),
        key(PARQUET_LZ4_EXTENSION, String, "How the names of files with the codec lz4 end before .parquet: .lz4hadoop as in the original since parquet-java 1.13, .lz4 as before.")
            .default(LZ4_HADOOP).check(Validator::Custom(lz4_extension)).recommended(LZ4_EXTENSIONS)
            .shown(GROUP, 16, Width::Short, "Parquet LZ4 Extension")
            .visible(FORMAT_CLASS, |class| is_class(class, PARQUET_FORMAT)),
    ]
}

fn schema_keys() -> Vec<ConfigKey> {
    vec![
        key(
            SCHEMA_COMPATIBILITY,
            ConfigType::String,
            "What happens when the schema of a path changes. NONE closes the files; schemas that alternate get a file each. BACKWARD, FORWARD and FULL go by the schemas' versions and project values onto the schema of the open file.",
        )
        .default("NONE")
        .high()
        .recommended(&["NONE", "BACKWARD", "FORWARD", "FULL"])
        .shown("Schema", 1, Width::Short, "Schema Compatibility"),
    ]
}

#[rustfmt::skip]
fn s3_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Class, Int, List, Password, String};
    const GROUP: &str = "S3";
    vec![
        key(BUCKET, String, "The bucket.")
            .required().high().shown(GROUP, 1, Width::Long, "S3 Bucket"),
        key(OBJECT_TAGGING, Boolean, "Whether objects are tagged with their offsets and count.")
            .default("false").shown(GROUP, 2, Width::Long, "S3 Object Tagging"),
        key(TAGGING_PAIRS, List, "Further tags, as key:value.")
            .default("").shown(GROUP, 3, Width::Long, "S3 Object Tagging Extra Key Value pairs"),
        key(TAGGING_ERRORS, String, "What to do when tagging fails.")
            .default("ignore").check(Validator::Custom(|value| lower_case(value, &["ignore", "fail"])))
            .recommended(&["ignore", "fail"])
            .shown(GROUP, 4, Width::Short, "Behavior for S3 object tagging error"),
        key(REGION, String, "The region of the bucket, or the one to sign for with store.url. Default: the worker's AWS_REGION, else us-west-2.")
            .default("us-west-2").medium().shown(GROUP, 5, Width::Long, "AWS region"),
        key(PART_SIZE, Int, "The size of the parts in which a growing file is uploaded, in bytes.")
            .default("26214400").high().check(Validator::Custom(part_size))
            .shown(GROUP, 6, Width::Long, "S3 Part Size"),
        key(CREDENTIALS_PROVIDER, Class, "Where credentials come from when no keys are given; names of both AWS SDK generations are taken.")
            .default(DEFAULT_PROVIDER).recommended(PROVIDERS)
            .check(Validator::Custom(|value| known_class(value, PROVIDERS)))
            .shown(GROUP, 7, Width::Long, "AWS Credentials Provider Class"),
        key(ACCESS_KEY_ID, String, "The access key. Absent, or a placeholder in angle brackets: the worker's own credentials.")
            .default("").high().shown(GROUP, 8, Width::Long, "AWS Access Key ID"),
        key(SECRET_ACCESS_KEY, Password, "The secret of the access key.")
            .default("").high().shown(GROUP, 9, Width::Long, "AWS Secret Access Key"),
        key(SSEA_NAME, String, "Server-side encryption of the objects.")
            .default("").check(Validator::OneOf(SSE_ALGORITHMS)).recommended(SSE_ALGORITHMS)
            .shown(GROUP, 10, Width::Long, "S3 Server Side Encryption Algorithm"),
        key(SSE_CUSTOMER_KEY, Password, "The customer's key for SSE-C: 32 bytes in base64.")
            .default("").shown(GROUP, 11, Width::Long, "S3 Server Side Encryption Customer-Provided Key (SSE-C)"),
        key(SSE_KMS_KEY_ID, String, "The KMS key for aws:kms.")
            .default("").shown(GROUP, 12, Width::Long, "S3 Server Side Encryption Key")
            .visible(SSEA_NAME, |name| name.eq_ignore_ascii_case("aws:kms")),
        key(ACL_CANNED, String, "The canned ACL of the objects.")
            .check(Validator::Custom(canned_acl)).recommended(CANNED_ACLS)
            .shown(GROUP, 13, Width::Long, "S3 Canned ACL"),
        key(WAN_MODE, Boolean, "Whether to use the accelerated endpoint.")
            .default("false").medium().shown(GROUP, 14, Width::Medium, "S3 accelerated endpoint enabled"),
    ]
}

#[rustfmt::skip]
fn transfer_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Int, Long, Password, String};
    const GROUP: &str = "S3";
    vec![
        key(COMPRESSION_TYPE, String, "The compression of JSON and byte files.")
            .default("none").check(Validator::Custom(compression_type)).recommended(&["none", "gzip"])
            .shown(GROUP, 15, Width::Long, "Compression type"),
        key(COMPRESSION_LEVEL, Int, "The level of that compression; -1 is its default.")
            .default("-1").check(Validator::Between(-1, 9))
            .recommended(&["-1", "0", "1", "2", "3", "4", "5", "6", "7", "8"])
            .shown(GROUP, 16, Width::Long, "Compression Level"),
        key(JSON_DECIMAL_FORMAT, String, "How JSON files show decimals: BASE64 or NUMERIC.")
            .default("BASE64").medium().check(Validator::OneOfAnyCase(&["BASE64", "NUMERIC"]))
            .recommended(&["BASE64", "NUMERIC"])
            .shown(GROUP, 17, Width::Medium, "Decimal Format"),
        key(PART_RETRIES, Int, "How often a failed request is repeated before the task waits and starts over.")
            .default("3").medium().check(Validator::AtLeast(0))
            .shown(GROUP, 18, Width::Long, "S3 Part Upload Retries"),
        key(RETRY_BACKOFF_MS, Long, "The first wait between such repetitions, in milliseconds; it grows.")
            .default("200").check(Validator::AtLeast(0))
            .shown(GROUP, 19, Width::Short, "Retry Backoff (ms)"),
        key(BYTES_EXTENSION, String, "What names of byte files end in.")
            .default(".bin").shown(GROUP, 20, Width::Long, "Output file extension for ByteArrayFormat"),
        key(BYTES_SEPARATOR, String, "What stands behind each record of a byte file.")
            .shown(GROUP, 21, Width::Long, "Line separator ByteArrayFormat"),
        key(PROXY_URL, String, "The proxy between the worker and S3.")
            .default("").shown(GROUP, 22, Width::Long, "S3 Proxy Settings"),
        key(PROXY_USER, String, "The user for the proxy.")
            .shown(GROUP, 23, Width::Long, "S3 Proxy User"),
        key(PROXY_PASSWORD, Password, "The password for the proxy.")
            .default("").shown(GROUP, 24, Width::Long, "S3 Proxy Password"),
        key("s3.http.send.expect.continue", Boolean, "Kept for compatibility; uploads do not ask first.")
            .default("true").shown(GROUP, 25, Width::Short, "S3 HTTP Send Uses Expect Continue"),
    ]
}

#[rustfmt::skip]
fn behavior_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Int, Long, String};
    const GROUP: &str = "S3";
    const BEHAVIORS: &[&str] = &["ignore", "fail", "write"];
    const AFFIXES: &[&str] = &["SUFFIX", "PREFIX", "NONE"];
    vec![
        key(BEHAVIOR_ON_NULL_VALUES, String, "What to do with records whose value is null.")
            .default("fail").check(Validator::Custom(|value| lower_case(value, BEHAVIORS)))
            .recommended(BEHAVIORS)
            .shown(GROUP, 26, Width::Short, "Behavior for null-valued records"),
        key(REPORT_NULL_VALUES, Boolean, "Whether ignored null values go to the dead letter queue.")
            .default("true").shown(GROUP, 27, Width::Short, "Report null value to dlq"),
        key(MAX_WRITE_DURATION_MS, Long, "How long a delivery may wait for uploads before its partitions are paused, in milliseconds; 4 s at most.")
            .default("9223372036854775807").shown(GROUP, 28, Width::Short, "Maximum write duration"),
        key(ROTATE_ON_PATH_CHANGE, Boolean, "Whether a time partitioner's new path closes the files of the old one.")
            .default("true").shown(GROUP, 29, Width::Short, "Rotate files on partition change"),
        key(TOMBSTONE_PARTITION, String, "The path of null values that are written.")
            .default("tombstone").shown(GROUP, 30, Width::Short, "Tombstone Encoded Partition"),
        key(SCHEMA_AFFIX, String, "Whether the schema's name is a part of the path.")
            .default("NONE").check(Validator::OneOf(AFFIXES)).recommended(AFFIXES)
            .shown(GROUP, 31, Width::Long, "Schema Partition Affix Type"),
        key("s3.send.digest", Boolean, "Kept for compatibility; requests are signed over their content.")
            .default("false").shown(GROUP, 32, Width::Short, "S3 Send Upload Message Digest"),
        key("enable.conditional.writes", Boolean, "Kept for compatibility; the ledger of files keeps every rotation exactly once.")
            .default("true").shown(GROUP, 33, Width::Short, "Enable conditional writes during multipart upload"),
        key(PARTS_IN_FLIGHT, Int, "How many parts a task uploads at a time.")
            .default("8").check(Validator::Between(1, 256))
            .shown(GROUP, 34, Width::Short, "S3 Parts In Flight"),
        key(FILES_IN_FLIGHT, Int, "How many files of a partition that are closed together are worked on at a time.")
            .default("16").check(Validator::Between(1, 1024))
            .shown(GROUP, 35, Width::Short, "S3 Files In Flight"),
        key("max.files.scan.limit", Int, "Kept for compatibility.")
            .default("100").shown("", -1, Width::None, "max.files.scan.limit"),
    ]
}

#[rustfmt::skip]
fn companion_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Class, Int};
    const GROUP: &str = "Keys and Headers";
    vec![
        key(STORE_KEYS, Boolean, "Whether record keys are written to objects of their own.")
            .default("false").dependents(&[KEYS_FORMAT_CLASS])
            .shown(GROUP, 1, Width::Short, "Store kafka keys"),
        key(STORE_HEADERS, Boolean, "Whether record headers are written to objects of their own.")
            .default("false").dependents(&[HEADERS_FORMAT_CLASS])
            .shown(GROUP, 2, Width::Short, "Store kafka headers"),
        key(KEYS_FORMAT_CLASS, Class, "The format of the keys.")
            .default(AVRO_FORMAT).recommended(FORMATS).check(known_format())
            .shown(GROUP, 3, Width::None, "Keys format class")
            .visible(STORE_KEYS, is_true),
        key(HEADERS_FORMAT_CLASS, Class, "The format of the headers.")
            .default(AVRO_FORMAT).recommended(HEADER_FORMATS).check(known_format())
            .shown(GROUP, 4, Width::None, "Headers format class")
            .visible(STORE_HEADERS, is_true),
        key(PATH_STYLE, Boolean, "Whether the bucket is a part of the path, not of the host name.")
            .default("true").shown(GROUP, 5, Width::Short, "Enable Path Style Access to S3"),
        key("s3.elastic.buffer.enable", Boolean, "Kept for compatibility; buffers always grow with their content.")
            .default("false").shown(GROUP, 6, Width::Long, "Enable elastic buffer to staging s3-part"),
        key("s3.elastic.buffer.init.capacity", Int, "Kept for compatibility.")
            .default("131072").check(Validator::AtLeast(4096))
            .shown(GROUP, 7, Width::Long, "Elastic buffer initial capacity"),
        key(OPEN_FILES_MAX, Int, "How many files of a partition may be open; -1 is unlimited.")
            .default("-1").shown("", -1, Width::None, "partitioner.max.open.files"),
    ]
}

#[rustfmt::skip]
fn storage_keys() -> Vec<ConfigKey> {
    use ConfigType::{Class, String};
    const GROUP: &str = "Storage";
    vec![
        key(STORAGE_CLASS, Class, "The storage: S3.")
            .required().high().recommended(&[S3_STORAGE])
            .check(Validator::Custom(|value| known_class(value, &[S3_STORAGE])))
            .shown(GROUP, 1, Width::None, "Storage Class"),
        key(TOPICS_DIR, String, "The first part of object names; blank is none.")
            .default("topics").high().shown(GROUP, 2, Width::None, "Topics directory"),
        key(STORE_URL, String, "The endpoint, for stores that are not Amazon's. Default: the worker's AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, else Amazon's of the region.")
            .high().shown(GROUP, 3, Width::None, "Store URL"),
        key(DIRECTORY_DELIM, String, "What separates the parts of object names.")
            .default("/").medium().shown(GROUP, 4, Width::Long, "Directory Delimiter"),
        key(FILE_DELIM, String, "What separates topic, partition and offset in file names.")
            .default("+").medium().shown(GROUP, 5, Width::Long, "File Delimiter"),
    ]
}

#[rustfmt::skip]
fn partitioner_keys() -> Vec<ConfigKey> {
    use ConfigType::{Class, List, Long, String};
    const GROUP: &str = "Partitioner";
    vec![
        key(PARTITIONER_CLASS, Class, "How records are spread over paths.")
            .default(DEFAULT_PARTITIONER).high().recommended(PARTITIONERS)
            .check(Validator::Custom(|value| known_class(value, PARTITIONERS)))
            .dependents(&[PARTITION_FIELD_NAME, PARTITION_DURATION_MS, PATH_FORMAT, LOCALE, TIMEZONE])
            .shown(GROUP, 1, Width::Long, "Partitioner Class"),
        key(PARTITION_FIELD_NAME, List, "The fields whose values make the path, for FieldPartitioner.")
            .default("").medium().check(Validator::Custom(field_names))
            .shown(GROUP, 2, Width::None, "Partition Field Name")
            .visible(PARTITIONER_CLASS, |class| is_class(class, FIELD_PARTITIONER)),
        key(PARTITION_DURATION_MS, Long, "How much time a path covers, for TimeBasedPartitioner.")
            .default("-1").medium().shown(GROUP, 3, Width::Long, "Partition Duration (ms)")
            .visible(PARTITIONER_CLASS, |class| is_class(class, TIME_PARTITIONER)),
        key(PATH_FORMAT, String, "The pattern of paths, for TimeBasedPartitioner.")
            .default("").medium().shown(GROUP, 4, Width::Long, "Path Format")
            .visible(PARTITIONER_CLASS, |class| is_class(class, TIME_PARTITIONER)),
        key(LOCALE, String, "The language of month and day names in paths.")
            .default("").medium().shown(GROUP, 5, Width::Long, "Locale")
            .visible(PARTITIONER_CLASS, is_by_time),
        key(TIMEZONE, String, "The time zone of paths and of rotate.schedule.interval.ms.")
            .default("").medium().check(Validator::Custom(time_zone))
            .shown(GROUP, 6, Width::Long, "Timezone")
            .visible(PARTITIONER_CLASS, is_by_time),
        key(TIMESTAMP_EXTRACTOR, String, "Where a record's time comes from: Wallclock, Record or RecordField.")
            .default("Wallclock").medium().recommended(&["Wallclock", "Record", "RecordField"])
            .shown(GROUP, 7, Width::Long, "Timestamp Extractor"),
        key(TIMESTAMP_FIELD, String, "The field with the time, for RecordField.")
            .default("timestamp").medium()
            .shown(GROUP, 8, Width::Long, "Record Field for Timestamp Extractor"),
    ]
}

fn is_class(class: &str, full: &'static str) -> bool {
    full_class(class, &[full]).is_some()
}

fn is_by_time(class: &str) -> bool {
    [TIME_PARTITIONER, DAILY_PARTITIONER, HOURLY_PARTITIONER]
        .iter()
        .any(|full| is_class(class, full))
}

fn is_true(text: &str) -> bool {
    text == "true"
}

fn known_format() -> Validator {
    Validator::Custom(|value| known_class(value, FORMATS))
}

/// The original's text for a class that its class path does not have. Simple names mean the same.
fn known_class(value: &ConfigValue, known: &[&str]) -> Option<String> {
    match value {
        ConfigValue::String(class) if full_class(class, known).is_some() => None,
        ConfigValue::String(class) => Some(format!("Class {class} could not be found.")),
        _ => None,
    }
}

/// The member of `known` that `class` names, in full or by its simple name.
pub(super) fn full_class<'a>(class: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().copied().find(|name| {
        *name == class || name.rsplit('.').next().is_some_and(|simple| simple == class)
    })
}

/// The partitioner that `class` names.
pub(super) fn full_partitioner(class: &str) -> Option<&'static str> {
    full_class(class, PARTITIONERS)
}

/// The format that `class` names.
pub(super) fn full_format(class: &str) -> Option<&'static str> {
    full_class(class, FORMATS)
}

fn part_size(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::Null => Some("Part size must be non-null".to_owned()),
        ConfigValue::Integer(size) if *size < PART_SIZE_MIN => {
            Some(format!("Part size must be at least: {PART_SIZE_MIN} bytes (5MB)"))
        }
        _ => None,
    }
}

fn lower_case(value: &ConfigValue, allowed: &[&str]) -> Option<String> {
    match value {
        ConfigValue::String(text) if allowed.contains(&text.to_lowercase().as_str()) => None,
        _ => Some(format!("String must be one of: {}", allowed.join(", "))),
    }
}

fn one_of_list(value: &ConfigValue, allowed: &[&str]) -> Option<String> {
    match value {
        ConfigValue::String(text) if allowed.contains(&text.as_str()) => None,
        _ => Some(format!("Value must be one of: [{}]", allowed.join(", "))),
    }
}

fn compression_type(value: &ConfigValue) -> Option<String> {
    one_of_list(value, &["none", "gzip"])
}

fn parquet_codec(value: &ConfigValue) -> Option<String> {
    one_of_list(value, PARQUET_CODECS)
}

fn lz4_extension(value: &ConfigValue) -> Option<String> {
    one_of_list(value, LZ4_EXTENSIONS)
}

fn canned_acl(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::Null => None,
        value => one_of_list(value, CANNED_ACLS),
    }
}

fn field_names(value: &ConfigValue) -> Option<String> {
    let ConfigValue::List(names) = value else { return None };
    if names.iter().any(|name| name.trim().is_empty()) {
        return Some("Field name cannot be null or empty".to_owned());
    }
    let blank = |name: &String| name.split('.').any(|segment| segment.trim().is_empty());
    names
        .iter()
        .any(blank)
        .then(|| "Field name cannot contain an empty or whitespace-only path segment".to_owned())
}

fn time_zone(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(zone)
            if !zone.is_empty() && super::zone::Zone::parse(zone).is_none() =>
        {
            Some(format!("The datetime zone id '{zone}' is not recognised"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
