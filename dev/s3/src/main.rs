//! A local S3 server for the demo, the tests and the benchmark: objects are files below one folder.
//!
//! Unlike most emulators it verifies the signature of each request, so a wrong key or a wrong
//! canonical request fails here as it does at Amazon's. What it does not do: `ListMultipartUploads`,
//! `encoding-type=url` in listings, conditional puts that hold against concurrent writers, and long
//! keys (see `gate`).

mod gate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::fs;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::gate::{ExistingBuckets, KeyPair};

/// How long requests under way may take after SIGTERM. A test should not wait for a client that keeps its connection open.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// A local S3 server whose objects are files below one folder.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example: ferroconnect-dev-s3 --dir /tmp/s3 --access-key minioadmin --secret-key minioadmin \\
    --bucket my-cdc-bucket --port-file /tmp/s3.port"
)]
struct Args {
    /// Folder of the buckets; made if absent.
    #[arg(long)]
    dir: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long)]
    access_key: String,
    #[arg(long)]
    secret_key: String,
    /// Bucket to make if absent; may be given again.
    #[arg(long)]
    bucket: Vec<String>,
    /// File that gets the port number once the server answers.
    #[arg(long)]
    port_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,ferroconnect_dev_s3=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();

    make_buckets(&args.dir, &args.bucket).await?;
    let files = FileSystem::new(&args.dir).map_err(|error| {
        anyhow::anyhow!("folder {} cannot hold objects: {error:?}", args.dir.display())
    })?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(KeyPair { access_key: args.access_key, secret_key: args.secret_key.into() });
    builder.set_access(ExistingBuckets { dir: args.dir.clone() });

    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    if let Some(file) = &args.port_file {
        announce(file, address.port()).await?;
    }
    tracing::info!(%address, dir = %args.dir.display(), "serving");
    serve(listener, builder.build()).await
}

async fn make_buckets(dir: &Path, buckets: &[String]) -> anyhow::Result<()> {
    fs::create_dir_all(dir)
        .await
        .with_context(|| format!("cannot make folder {}", dir.display()))?;
    for bucket in buckets {
        let path = dir.join(bucket);
        fs::create_dir_all(&path)
            .await
            .with_context(|| format!("cannot make bucket {}", path.display()))?;
    }
    Ok(())
}

/// Whoever waits for the file must never read half a number, hence the rename.
async fn announce(file: &Path, port: u16) -> anyhow::Result<()> {
    let unfinished = file.with_extension("new");
    fs::write(&unfinished, format!("{port}\n"))
        .await
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, file).await.with_context(|| format!("cannot write {}", file.display()))
}

/// Serves until SIGTERM or SIGINT, then lets requests under way finish.
async fn serve(listener: TcpListener, service: S3Service) -> anyhow::Result<()> {
    let server = auto::Builder::new(TokioExecutor::new());
    let graceful = GracefulShutdown::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors, most likely: others must be closed first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        // Small answers of several writes otherwise wait for the client's delayed acknowledgement.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "connection already gone");
            continue;
        }
        let connection =
            server.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "connection ended");
            }
        });
    }

    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::info!("requests under way were cut off");
    }
    Ok(())
}
