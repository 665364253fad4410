use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

/// The address of a proxy before the S3 server that answers so many requests for objects with 503.
fn busy(server: &str, answers: &Arc<AtomicU32>) -> String {
    let server = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answers = Arc::clone(answers);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (server, answers) = (server.clone(), Arc::clone(&answers));
            std::thread::spawn(move || answer(client, &server, &answers));
        }
    });
    address
}

/// One request a connection: the header that says so is none of those that are signed.
fn answer(mut client: TcpStream, server: &str, answers: &AtomicU32) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    let is_object = line.starts_with("GET ") && line.contains(".parquet");
    let left = |left: u32| left.checked_sub(1);
    if is_object && answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
        return client.write_all(
            b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        );
    }
    let mut upstream = TcpStream::connect(server)?;
    head.truncate(head.len() - 2);
    head.extend_from_slice(b"connection: close\r\n\r\n");
    upstream.write_all(&head)?;
    std::io::copy(&mut upstream, &mut client)?;
    Ok(())
}

#[test]
fn a_busy_store_is_asked_again_and_one_that_stays_so_is_named_with_the_object() {
    let mut bucket = Bucket::new();
    bucket.put(0, "(1, 1, 'false')");
    bucket.put(1, "(1, 2, 'false')");
    let answers = Arc::new(AtomicU32::new(3));
    let direct = bucket.lake.config.s3.endpoint.clone().unwrap();
    let proxy = busy(&direct, &answers);
    bucket.lake.config.s3.endpoint = Some(proxy.clone());
    assert_eq!(bucket.lake.run().tables[0].objects, 2);
    assert_eq!(answers.load(Ordering::SeqCst), 0, "the proxy was in between");

    bucket.lake.config.s3.endpoint = Some(direct);
    bucket.put(2, "(1, 3, 'false')");
    bucket.lake.config.s3.endpoint = Some(proxy);
    answers.store(u32::MAX, Ordering::SeqCst);
    let report = run(&bucket.lake.config, &bucket.lake.options(), &mut |_| {}).unwrap();
    let error = report.tables[0].error.clone().unwrap_or_default();
    assert!(error.contains("+0+0000000002.snappy.parquet") && error.contains("503"), "{error}");
    assert_eq!(bucket.lake.rows("select v from products order by v"), ["1", "2"]);
    assert!(!staging(&bucket.lake).exists());

    answers.store(0, Ordering::SeqCst);
    bucket.lake.run();
    assert_eq!(bucket.lake.rows("select v from products order by v"), ["1", "2", "3"]);
}
