//! A Kafka broker of a test's own, to be stopped and to go on.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::unique;

/// A running broker; its data goes when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnBroker {
    folder: PathBuf,
    /// `host:port`.
    pub(crate) address: String,
}

impl OwnBroker {
    pub(crate) fn start() -> Self {
        let folder = PathBuf::from("/var/tmp").join(unique("own_broker"));
        let mut broker = Self { folder, address: String::new() };
        assert!(broker.services("start"), "dev/services start kafka");
        let port = std::fs::read_to_string(broker.folder.join("kafka/port")).expect("its port");
        broker.address = format!("127.0.0.1:{}", port.trim());
        broker
    }

    /// Sends the broker's process a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.join("kafka/pid")).expect("its process");
        let pid = pid.split_whitespace().next().expect("a process id").to_owned();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success(), "the broker is there to be told {name}");
    }

    fn services(&self, verb: &str) -> bool {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/services");
        let ran = Command::new(script)
            .args([verb, "kafka"])
            .env("FERROCONNECT_DEV_DIR", &self.folder)
            .output();
        ran.is_ok_and(|ran| ran.status.success())
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // A broker that stands still cannot end.
        let pid = std::fs::read_to_string(self.folder.join("kafka/pid")).unwrap_or_default();
        if let Some(pid) = pid.split_whitespace().next() {
            drop(Command::new("kill").args(["-CONT", pid]).status());
        }
        self.services("clean");
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
