//! Floor of snapshots: COPY by the server, and a reader that only counts.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cpu;
use crate::wire::Connection;

/// Reads the whole table in text format.
pub(crate) fn read(postgres: SocketAddr, database: &str, table: &str) -> Result<Value> {
    let mut connection = Connection::open(postgres, database, false)?;
    let backend = connection.pid;
    let (own_before, server_before) = (cpu::own()?, cpu::of_process(backend)?);
    let begun = Instant::now();
    connection.query(&format!("copy {table} to stdout"))?;
    let (mut rows, mut bytes) = (0_u64, 0_u64);
    loop {
        match connection.message()? {
            (b'd', row) => {
                rows += 1;
                bytes += row.len() as u64;
            }
            (b'Z', _) => break,
            _ => {}
        }
    }
    let wall = begun.elapsed().as_secs_f64();
    Ok(json!({
        "events": rows,
        "bytes": bytes,
        "wall_s": wall,
        "client_cpu_s": cpu::own()? - own_before,
        "server_cpu_s": cpu::of_process(backend)? - server_before,
    }))
}
