use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ferroconnect_analytics::{Error, S3Access, run};
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStoreExt, PutPayload};

use crate::support::{Lake, values};

const TOPIC: &str = "cdc.commerce.products";

/// A lake whose source is a bucket of its own on the server that `dev/services` starts.
struct Bucket {
    lake: Lake,
    name: String,
}

impl Bucket {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("scd2-{}-{count}", std::process::id());
        let folder = PathBuf::from(variable("FERROCONNECT_TEST_S3_DIR"));
        std::fs::create_dir_all(folder.join(&name)).unwrap();
        let mut lake = Lake::new();
        lake.config.source = format!("s3://{name}/cdc_data");
        lake.config.s3 = S3Access {
            endpoint: Some(variable("FERROCONNECT_TEST_S3")),
            access_key_id: Some(variable("FERROCONNECT_TEST_S3_ACCESS_KEY")),
            secret_access_key: Some(variable("FERROCONNECT_TEST_S3_SECRET_KEY")),
            ..S3Access::default()
        };
        Bucket { lake, name }
    }

    /// Uploads a file with one row under the name that the sink would give it.
    fn put(&self, offset: u64, row: &str) {
        let rows = values("id INTEGER, v INTEGER, __deleted VARCHAR", &[row]);
        let path = self.lake.parquet(TOPIC, (0, offset), &rows, &[]);
        let access = &self.lake.config.s3;
        let store = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_endpoint(access.endpoint.clone().unwrap())
            .with_access_key_id(access.access_key_id.clone().unwrap())
            .with_secret_access_key(access.secret_access_key.clone().unwrap())
            .with_allow_http(true)
            .build()
            .unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let key = format!("cdc_data/{TOPIC}/partition=0/{name}");
        let content = PutPayload::from(std::fs::read(&path).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(store.put(&key.into(), content)).unwrap();
    }
}

fn variable(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "tests are addressed by environment")]
    let value = std::env::var(name);
    value.unwrap_or_else(|_| {
        panic!("{name} is not set: run `make test`, or `eval \"$(dev/services env)\"` after `dev/services start`")
    })
}

fn staging(lake: &Lake) -> PathBuf {
    Path::new(&format!("{}.staging", lake.config.database.display())).to_owned()
}

#[test]
fn objects_are_downloaded_read_and_removed() {
    let mut bucket = Bucket::new();
    bucket.lake.config.batch_objects_max = 2;
    for offset in 0..5_u64 {
        bucket.put(offset, &format!("(1, {offset}, 'false')"));
    }
    let report = bucket.lake.run();
    assert_eq!(report.tables[0].objects, 5);
    assert_eq!(
        bucket.lake.rows("select v from products order by _version"),
        ["0", "1", "2", "3", "4"]
    );
    let uri = format!(
        "s3://{}/cdc_data/{TOPIC}/partition=0/{TOPIC}+0+0000000000.snappy.parquet",
        bucket.name
    );
    assert_eq!(bucket.lake.rows("select min(uri) from cdc_objects"), [uri]);
    assert!(!staging(&bucket.lake).exists());

    assert_eq!(bucket.lake.run().tables[0].objects, 0);
    bucket.put(4, "(1, 40, 'false')");
    assert_eq!(bucket.lake.run().tables[0].objects, 1);
    assert_eq!(bucket.lake.rows("select v from products_current"), ["40"]);
}

#[test]
fn what_a_killed_run_left_behind_is_removed() {
    let bucket = Bucket::new();
    bucket.put(0, "(1, 1, 'false')");
    std::fs::create_dir(staging(&bucket.lake)).unwrap();
    std::fs::write(staging(&bucket.lake).join("000000.parquet"), b"half").unwrap();
    bucket.lake.run();
    assert!(!staging(&bucket.lake).exists());
    assert_eq!(bucket.lake.rows("select v from products"), ["1"]);
}

#[test]
fn a_bucket_that_cannot_be_listed_is_named() {
    let mut bucket = Bucket::new();
    bucket.put(0, "(1, 1, 'false')");
    let right = bucket.lake.config.clone();
    bucket.lake.config.s3.secret_access_key = Some("wrong".into());
    let wrong_key = bucket.lake.config.clone();
    bucket.lake.config = right;
    bucket.lake.config.source = "s3://no-such-bucket-here/cdc_data".into();
    for (name, config) in [("wrong key", &wrong_key), ("no bucket", &bucket.lake.config)] {
        let error = run(config, &bucket.lake.options(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::List { .. }), "{name}: {error}");
        assert!(error.to_string().contains(&config.source), "{name}: {error}");
    }
}
