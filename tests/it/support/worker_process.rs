//! The real binary as a process: what is killed in kill tests.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{eventually, services, unique};

/// What differs from test to test.
#[derive(Debug, Clone)]
pub(crate) struct WorkerOptions {
    /// Where the worker keeps its state.
    pub state_url: String,
    /// Worker group.
    pub group_id: String,
    /// `network.resolve`.
    pub resolve: String,
    /// Further environment, as `FERROCONNECT_...`.
    pub environment: Vec<(String, String)>,
    /// Named crash points to arm, as the `fail` crate writes them.
    pub failpoints: Option<String>,
}

/// A running worker. Killed when dropped; its log stays in the temporary folder.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    child: Child,
    pub url: String,
    pub log: PathBuf,
}

impl WorkerProcess {
    /// Starts the binary and waits until its REST API answers.
    pub(crate) fn start(options: &WorkerOptions) -> Self {
        let mut worker = Self::spawn(options);
        worker.wait_until_it_answers();
        worker
    }

    /// Starts the binary and waits until it dies at its crash point.
    pub(crate) fn crash(options: &WorkerOptions) {
        Self::spawn(options).crashes(options);
    }

    /// Waits until the worker dies at a crash point of `options`, with which it was started.
    pub(crate) fn crashes(mut self, options: &WorkerOptions) {
        use std::os::unix::process::ExitStatusExt as _;
        const SIGABRT: i32 = 6;
        let points = options.failpoints.as_deref().unwrap_or_default();
        let status = eventually(&format!("a crash at {points}"), 40, || {
            self.child.try_wait().ok().flatten().ok_or("it runs")
        });
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        assert_eq!(status.signal(), Some(SIGABRT), "{points}: {status}:\n{log}");
    }

    fn spawn(options: &WorkerOptions) -> Self {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let log = std::env::temp_dir().join(format!("{}.log", unique("worker")));
        let output = File::create(&log).expect("the temporary folder is writable");
        let services = services();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferroconnect"));
        command
            .arg("worker")
            .env("FERROCONNECT_LISTENERS", &url)
            .env("FERROCONNECT_DATABASE_URL", &options.state_url)
            .env("FERROCONNECT_RESOLVE", &options.resolve)
            .env("BOOTSTRAP_SERVERS", &services.kafka)
            .env("GROUP_ID", &options.group_id)
            .env("AWS_ENDPOINT_URL_S3", &services.s3)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", &services.s3_access_key)
            .env("AWS_SECRET_ACCESS_KEY", &services.s3_secret_key)
            .envs(options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file handle"))
            .stderr(output);
        if let Some(failpoints) = &options.failpoints {
            command.args(["--failpoints", failpoints]);
        }
        let child = command.spawn().expect("the worker's binary starts");
        Self { child, url, log }
    }

    fn wait_until_it_answers(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        eventually("the worker's REST API", 30, || {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                panic!("the worker ended with {status}:\n{log}");
            }
            std::net::TcpStream::connect(&address)
        });
    }

    /// The most memory that the process has had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        1024 * kilobytes.and_then(|text| text.parse::<u64>().ok()).expect("a number of kB")
    }

    /// SIGKILL, as the kernel or an orchestrator would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the worker can be killed");
        self.child.wait().expect("the worker ends");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent =
            Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs");
        assert!(sent.success(), "the worker is there to be told {name}");
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self, seconds: u64) -> ExitStatus {
        eventually("the worker to end", seconds, || {
            self.child.try_wait().ok().flatten().ok_or("still running")
        })
    }

    /// SIGTERM, and waits for the end; true when the worker ended with status 0 by itself.
    pub(crate) fn terminate(&mut self) -> bool {
        self.signal("TERM");
        self.wait(30).success()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
