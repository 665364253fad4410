//! Floor of streaming: logical decoding by the server, and a reader that only counts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::cpu;
use crate::wire::Connection;

/// What is streamed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream<'a> {
    pub(crate) slot: &'a str,
    pub(crate) publication: &'a str,
}

/// In a CopyData: the kind, then for changes start, end and send time before the pgoutput message.
const XLOG_DATA_HEADER: usize = 25;

/// Reads until the commit that follows `rows` row changes.
pub(crate) fn read(
    postgres: SocketAddr,
    database: &str,
    stream: &Stream<'_>,
    rows: u64,
    nap_us: u64,
) -> Result<Value> {
    let mut connection = Connection::open(postgres, database, true)?;
    connection.nap(Duration::from_micros(nap_us));
    let walsender = connection.pid;
    let (own_before, server_before) = (cpu::own()?, cpu::of_process(walsender)?);
    let begun = Instant::now();
    connection.query(&format!(
        "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names '{}')",
        stream.slot, stream.publication
    ))?;
    let (mut seen, mut messages, mut bytes) = (0_u64, 0_u64, 0_u64);
    loop {
        let (tag, body) = connection.message()?;
        if tag != b'd' {
            continue;
        }
        match (body.first(), body.get(XLOG_DATA_HEADER)) {
            (Some(b'w'), Some(kind)) => {
                messages += 1;
                bytes += (body.len() - XLOG_DATA_HEADER) as u64;
                match kind {
                    b'I' | b'U' | b'D' => seen += 1,
                    b'C' if seen >= rows => break,
                    _ => {}
                }
            }
            // A keepalive whose last byte asks for an answer.
            (Some(b'k'), _) if body.last() == Some(&1) => confirm_nothing(&mut connection)?,
            _ => {}
        }
    }
    let wall = begun.elapsed().as_secs_f64();
    Ok(json!({
        "events": seen,
        "messages": messages,
        "bytes": bytes,
        "wall_s": wall,
        "client_cpu_s": cpu::own()? - own_before,
        "server_cpu_s": cpu::of_process(walsender)? - server_before,
    }))
}

/// A status update with positions 0: the slot stays where it is and can be read again.
fn confirm_nothing(connection: &mut Connection) -> Result<()> {
    let mut update = [0_u8; 34];
    update[0] = b'r';
    connection.send(b'd', &update)
}
