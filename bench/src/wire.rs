//! PostgreSQL's protocol, as much as a floor needs: connect without password, one query, messages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How much one read may bring.
const CHUNK: usize = 256 * 1024;

/// A connection as superuser `postgres`, who needs no password at servers that `dev/services` starts.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    nap: Duration,
    /// The server process that serves this connection.
    pub(crate) pid: u32,
}

impl Connection {
    /// Connects and waits until the server is ready.
    pub(crate) fn open(address: SocketAddr, database: &str, replication: bool) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        let buffer = vec![0; CHUNK];
        let mut connection = Self { stream, buffer, start: 0, end: 0, nap: Duration::ZERO, pid: 0 };
        connection.start_up(database, replication)?;
        loop {
            let (tag, body) = connection.message()?;
            match tag {
                b'R' if body != [0; 4] => bail!("the server asks for a password"),
                b'K' => connection.pid = u32_at(body, 0)?,
                b'Z' => return Ok(connection),
                _ => {}
            }
        }
    }

    fn start_up(&mut self, database: &str, replication: bool) -> Result<()> {
        let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
        let mode = if replication { "database" } else { "false" };
        for word in ["user", "postgres", "database", database, "replication", mode] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        body.push(0);
        let length = u32::try_from(body.len() + 4)?.to_be_bytes();
        self.stream.write_all(&[&length[..], &body].concat())?;
        Ok(())
    }

    /// Sleeps so long before each read.
    pub(crate) fn nap(&mut self, nap: Duration) {
        self.nap = nap;
    }

    /// Sends a simple query.
    pub(crate) fn query(&mut self, sql: &str) -> Result<()> {
        self.send(b'Q', &[sql.as_bytes(), &[0]].concat())
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, tag: u8, body: &[u8]) -> Result<()> {
        let length = u32::try_from(body.len() + 4)?.to_be_bytes();
        self.stream.write_all(&[&[tag], &length[..], body].concat())?;
        Ok(())
    }

    /// The next message: its tag and body. The server's errors are errors.
    pub(crate) fn message(&mut self) -> Result<(u8, &[u8])> {
        self.fill(5)?;
        let head = &self.buffer[self.start..];
        let (tag, length) = (head[0], u32_at(head, 1)? as usize);
        ensure!(length >= 4, "a message of length {length}");
        self.fill(1 + length)?;
        let body = self.start + 5..self.start + 1 + length;
        self.start = body.end;
        let body = &self.buffer[body];
        if tag == b'E' {
            bail!("{}", String::from_utf8_lossy(body).replace('\0', " "));
        }
        Ok((tag, body))
    }

    fn fill(&mut self, needed: usize) -> Result<()> {
        while self.end - self.start < needed {
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
            } else if self.buffer.len() < self.start + needed {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
                self.buffer.resize(self.buffer.len().max(needed), 0);
            }
            if !self.nap.is_zero() {
                #[expect(clippy::disallowed_methods, reason = "one thread, which does only this")]
                std::thread::sleep(self.nap);
            }
            let read = self.stream.read(&mut self.buffer[self.end..])?;
            ensure!(read > 0, "the server closed the connection");
            self.end += read;
        }
        Ok(())
    }
}

/// The big-endian number at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Result<u32> {
    let bytes = bytes.get(offset..offset + 4).context("a message is short")?;
    Ok(u32::from_be_bytes(bytes.try_into()?))
}
