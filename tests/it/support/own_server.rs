//! A server of a test's own: with other settings than the shared one, or to be stopped and started.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::{Client, NoTls};

use super::unique;

/// A running server; its data goes when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnServer {
    folder: PathBuf,
    /// The part of `dev/services`.
    part: &'static str,
    options: String,
    pub(crate) port: u16,
}

impl OwnServer {
    /// Starts a PostgreSQL with these options of `postgres`.
    pub(crate) fn start(options: &str) -> Self {
        Self::of("postgres", options)
    }

    /// Starts a Kafka.
    pub(crate) fn kafka() -> Self {
        Self::of("kafka", "")
    }

    fn of(part: &'static str, options: &str) -> Self {
        let folder = PathBuf::from("/var/tmp").join(unique("own_server"));
        let mut server = Self { folder, part, options: options.to_owned(), port: 0 };
        server.go_on();
        server
    }

    /// Starts the server again, at the same port.
    pub(crate) fn go_on(&mut self) {
        self.services(&["start", self.part]);
        let file = self.folder.join(self.part).join("port");
        let port = std::fs::read_to_string(file).expect("its port");
        self.port = port.trim().parse().expect("a number");
    }

    /// Stops the server as `pg_ctl -m fast stop` does.
    pub(crate) fn stop(&self) {
        self.services(&["stop", self.part]);
    }

    /// A connection as superuser.
    pub(crate) async fn connect(&self) -> Client {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("PostgreSQL");
        tokio::spawn(connection);
        client
    }

    fn services(&self, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/services");
        let ran = Command::new(script)
            .args(arguments)
            .env("FERROCONNECT_DEV_DIR", &self.folder)
            .env("FERROCONNECT_POSTGRES_OPTIONS", &self.options)
            .output()
            .expect("dev/services");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/services");
        let clean = Command::new(script)
            .args(["clean", self.part])
            .env("FERROCONNECT_DEV_DIR", &self.folder)
            .output();
        drop(clean);
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
