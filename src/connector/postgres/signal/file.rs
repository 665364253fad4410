//! The channel `file`: a line of JSON per signal, looked at every now and then.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::OpenOptions;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use crate::connector::postgres::signal::Signal;
use crate::connector::postgres::signal::channels::read_json;

/// A file larger than this holds something else than signals.
const BYTES_MAX: u64 = 1024 * 1024;

/// Looks at `path` every `interval` until nobody listens.
pub(super) async fn watch(path: PathBuf, interval: Duration, out: mpsc::Sender<Signal>) {
    let mut told = false;
    loop {
        match take(&path).await {
            Ok(text) => {
                told = false;
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    match read_json(line) {
                        Ok(signal) => {
                            if out.send(signal).await.is_err() {
                                return;
                            }
                        }
                        Err(reason) => {
                            let path = path.display().to_string();
                            tracing::warn!(path, reason, "a line of signal.file is no signal");
                        }
                    }
                }
            }
            // It may come later.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    let path = path.display().to_string();
                    tracing::warn!(path, %error, "cannot read signal.file");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = out.closed() => return,
        }
    }
}

/// Takes what the file holds, which is empty afterwards.
async fn take(path: &Path) -> io::Result<String> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).await?;
    let length = file.metadata().await?.len();
    if length == 0 {
        return Ok(String::new());
    }
    if length > BYTES_MAX {
        return Err(io::Error::other(format!("{length} bytes, at most {BYTES_MAX}")));
    }
    let mut text = Vec::new();
    // What is written meanwhile is read, too: only then is the file cut.
    while file.read_to_end(&mut text).await? > 0 {}
    if file.metadata().await?.len() == text.len() as u64 {
        file.set_len(0).await?;
        return String::from_utf8(text).map_err(io::Error::other);
    }
    // A writer is at work: the next look takes it all.
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_taken_once_and_bad_ones_passed_over() {
        let path = std::env::temp_dir().join(format!("signals-{}", uuid::Uuid::new_v4()));
        let (out, mut signals) = mpsc::channel(4);
        let watching = tokio::spawn(watch(path.clone(), Duration::from_millis(10), out));
        let text = "{\"id\":\"1\",\"type\":\"log\",\"data\":{\"message\":\"x\"}}\nnonsense\n\n\
                    {\"id\":\"2\",\"type\":\"pause-snapshot\"}\n";
        tokio::fs::write(&path, text).await.unwrap();
        let first = signals.recv().await.unwrap();
        assert_eq!((first.id.as_str(), first.kind.as_str()), ("1", "log"));
        assert_eq!(first.data, "{\"message\":\"x\"}");
        assert_eq!(signals.recv().await.unwrap().id, "2");
        assert_eq!(tokio::fs::read(&path).await.unwrap(), b"");
        drop(signals);
        watching.await.unwrap();
        tokio::fs::remove_file(&path).await.unwrap();
    }
}
