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

    /// Starts a standby of this server, which is stopped for it: the standby begins with a copy of its
    /// files, without its slots.
    pub(crate) fn standby(&mut self, options: &str) -> Self {
        self.stop();
        let folder = PathBuf::from("/var/tmp").join(unique("own_standby"));
        let home = std::fs::canonicalize(self.folder.join("postgres/home")).expect("its files");
        let copy = folder.join("postgres/home");
        std::fs::create_dir_all(&copy).expect("a folder");
        let conninfo = format!(
            "primary_conninfo = 'host=127.0.0.1 port={} user=postgres dbname=postgres'\n",
            self.port
        );
        let script = format!(
            "chown --reference={home} {copy} && cp -a {home}/data {copy}/ && rm -rf {copy}/data/pg_replslot/* && \
             cp -a {home}/data/PG_VERSION {copy}/data/standby.signal && \
             printf \"%s\" \"$0\" >> {copy}/data/postgresql.auto.conf",
            home = home.display(),
            copy = copy.display()
        );
        let copied = Command::new("sh").args(["-c", &script, &conninfo]).output().expect("sh");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        self.go_on();
        let options = options.to_owned();
        let mut standby = Self { folder, part: self.part, options, port: 0 };
        standby.go_on();
        standby
    }

    /// Stops the server as `pg_ctl -m fast stop` does.
    pub(crate) fn stop(&self) {
        self.services(&["stop", self.part]);
    }

    /// Sends the server's process a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let file = self.folder.join(self.part).join("pid");
        let pid = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(pid) = pid.split_whitespace().next() {
            drop(Command::new("kill").args([&format!("-{name}"), pid]).status());
        }
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
        // One that stands still cannot end.
        self.signal("CONT");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/services");
        let clean = Command::new(script)
            .args(["clean", self.part])
            .env("FERROCONNECT_DEV_DIR", &self.folder)
            .output();
        drop(clean);
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
