//! The real servers that `dev/services start` runs, by the environment it prints.

use std::path::PathBuf;
use std::sync::LazyLock;

/// Where the servers are.
#[derive(Debug)]
pub(crate) struct Services {
    /// A superuser's URL without database: `postgres://postgres@127.0.0.1:PORT`.
    pub postgres: String,
    /// `host:port`.
    pub kafka: String,
    /// The S3 server's base URL, keys, and the folder behind it: a bucket is a folder in it.
    pub s3: String,
    pub s3_access_key: String,
    pub s3_secret_key: String,
    pub s3_dir: PathBuf,
}

/// The servers.
///
/// # Panics
/// When they are not running: a missing service fails the test.
pub(crate) fn services() -> &'static Services {
    static SERVICES: LazyLock<Services> = LazyLock::new(|| Services {
        postgres: without_database(&variable("FERROCONNECT_TEST_POSTGRES")),
        kafka: variable("FERROCONNECT_TEST_KAFKA"),
        s3: variable("FERROCONNECT_TEST_S3"),
        s3_access_key: variable("FERROCONNECT_TEST_S3_ACCESS_KEY"),
        s3_secret_key: variable("FERROCONNECT_TEST_S3_SECRET_KEY"),
        s3_dir: variable("FERROCONNECT_TEST_S3_DIR").into(),
    });
    &SERVICES
}

/// The URL of the Schema Registry, apart because only its own tests need it.
///
/// # Panics
/// When it is not running: a missing service fails the test.
pub(crate) fn registry() -> &'static str {
    static REGISTRY: LazyLock<String> = LazyLock::new(|| variable("FERROCONNECT_TEST_REGISTRY"));
    &REGISTRY
}

impl Services {
    /// The host and port of PostgreSQL.
    pub(crate) fn postgres_address(&self) -> (String, u16) {
        let url = url::Url::parse(&self.postgres).expect("a URL");
        (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(5432))
    }

    /// How much of something a test does, when the variable `name` does not say.
    pub(crate) fn number(&self, name: &str, otherwise: usize) -> usize {
        #[expect(clippy::disallowed_methods, reason = "tests are addressed by environment")]
        let value = std::env::var(name).ok();
        value.map_or(otherwise, |value| value.parse().expect("a number"))
    }

    /// Makes a bucket of its own for a test.
    pub(crate) fn bucket(&self) -> String {
        let name = super::unique("bucket").replace('_', "-");
        std::fs::create_dir_all(self.s3_dir.join(&name)).expect("the S3 folder is writable");
        name
    }
}

fn variable(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "tests are addressed by environment")]
    let value = std::env::var(name);
    value.unwrap_or_else(|_| {
        panic!("{name} is not set: run `make test`, or `eval \"$(dev/services env)\"` after `dev/services start`")
    })
}

fn without_database(url: &str) -> String {
    let mut url = url::Url::parse(url).expect("FERROCONNECT_TEST_POSTGRES is a URL");
    url.set_path("");
    url.to_string().trim_end_matches('/').to_owned()
}
