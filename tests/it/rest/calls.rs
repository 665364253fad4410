//! A record of every call, for those who compare two workers call by call.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::{LazyLock, Mutex};
use std::thread;

use serde_json::json;

use super::client::Answer;

/// Appends a call and its answer to the file `FERROCONNECT_TEST_CALLS`, a line of JSON each, under the
/// name of the test that made it.
pub(super) fn record(method: &str, path: &str, body: Option<&str>, answer: &Answer) {
    static FILE: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "tests are addressed by environment")]
        let path = std::env::var("FERROCONNECT_TEST_CALLS").ok()?;
        let file =
            File::options().create(true).append(true).open(path).expect("a file to record to");
        Some(Mutex::new(file))
    });
    let Some(file) = &*FILE else { return };
    // What cleans up after a test runs on a thread without its name, and is not compared.
    let Some(test) = thread::current().name().map(str::to_owned) else { return };
    let headers = ["content-type", "allow", "location"];
    let headers = headers.map(|name| (name, answer.header(name).map(str::to_owned)));
    let line = json!({
        "test": test,
        "method": method,
        "path": path,
        "body": body,
        "status": answer.status,
        "headers": headers.into_iter().collect::<BTreeMap<_, _>>(),
        "text": answer.text,
    });
    let mut file = file.lock().expect("no test panics while it writes a line");
    writeln!(file, "{line}").expect("the line is written");
}
