//! The replication stream: reads the socket in big chunks of whole frames, and keeps telling the
//! server how far things are stored, even while everything behind it is blocked. It looks at frame
//! headers only; what is in them is `stream.rs`'s matter. Source: PostgreSQL "Streaming Replication
//! Protocol".

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::connector::postgres::client::{literal, lsn, quoted};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::in_progress::{InProgress, Refusal, Replay, kind};
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::pgoutput::{PG_EPOCH_MICROS, micros_now};
use crate::connector::postgres::session::Event;
use crate::connector::postgres::wire::{
    Connection, Result, WireError, error_of_frame, frame_length,
};

/// A chunk is handed over as soon as the poll takes it; while the poll is busy it grows to this.
/// Together with the chunk that waits in the channel it bounds what is buffered, except for a row
/// that is larger.
const CHUNK_BYTES: usize = 256 * 1024;
/// How much one read may bring.
const READ_BYTES: usize = 64 * 1024;
/// After a read of less, while the stream is busy, the socket rests for [`NAP`] so that frames come
/// in larger reads: each wake-up costs both sides more than the frames in it.
const SMALL_READ: usize = 32 * 1024;
const NAP: Duration = Duration::from_millis(1);
/// Two reads within this time are a busy stream.
const BUSY: Duration = Duration::from_millis(10);
/// A server that says nothing for this long, though asked, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// The point that a new slot starts at, and the snapshot that shows exactly what is before it.
#[derive(Debug, Clone)]
pub(super) struct CreatedSlot {
    pub(super) consistent: Lsn,
    pub(super) snapshot: String,
}

/// Creates a logical slot and exports its snapshot, which lives until the connection's next command.
pub(super) async fn create_slot(
    connection: &mut Connection,
    name: &str,
    temporary: bool,
    failover: bool,
) -> Result<CreatedSlot> {
    let temporary = if temporary { " TEMPORARY" } else { "" };
    let options = if failover { " (FAILOVER)" } else { "" };
    let sql =
        format!("CREATE_REPLICATION_SLOT {}{temporary} LOGICAL pgoutput{options}", quoted(name));
    let rows = connection.simple(&sql).await?;
    let mut row = rows.into_iter().next().unwrap_or_default().into_iter().skip(1);
    let mut next = || {
        let value = row.next().flatten();
        value.ok_or_else(|| WireError::Protocol("an unexpected answer about a slot".to_owned()))
    };
    Ok(CreatedSlot { consistent: lsn(&next()?)?, snapshot: next()? })
}

/// Starts the stream behind `from`; `in_progress`: with large transactions before their commit.
pub(super) async fn start(
    connection: &mut Connection,
    config: &PostgresConfig,
    from: Lsn,
    version: u32,
    in_progress: bool,
) -> Result<()> {
    // Protocols 3 and 4 add what a slot for two phases and parallel workers need.
    let protocol = if in_progress { "'2', \"streaming\" 'on'" } else { "'1'" };
    let publication = literal(&quoted(&folded(&config.publication.name)));
    let mut options = format!("\"proto_version\" {protocol}, \"publication_names\" {publication}");
    if version >= 140_000 {
        options.push_str(", \"messages\" 'true'");
    }
    for (key, value) in &config.slot.stream_params {
        options.push_str(&format!(", {} {}", quoted(key), literal(value)));
    }
    let slot = quoted(&config.slot.name);
    let sql = format!("START_REPLICATION SLOT {slot} LOGICAL {from} ({options})");
    connection.start_copy(&sql).await
}

/// The name that an unquoted identifier means.
pub(super) fn folded(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(exact) => exact.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

/// Reads a started stream until it breaks or the poll is gone.
pub(super) struct Stream {
    connection: Connection,
    out: mpsc::Sender<Event>,
    stored: watch::Receiver<Lsn>,
    /// Somebody wants to know where the server's log ends.
    ask: Arc<Notify>,
    /// How much of the buffer is whole frames.
    whole: usize,
    relations: bool,
    received: Lsn,
    answer_due: bool,
    heard_at: Instant,
    /// When reading goes on, while the socket rests.
    rests_until: Option<Instant>,
    status_at: Instant,
    /// `None`: the server keeps transactions until they commit.
    in_progress: Option<InProgress>,
    /// The next frame is of a transaction in progress.
    streamed: bool,
    /// A transaction that committed and is read again, and what came behind its commit.
    replay: Option<(Replay, BytesMut)>,
}

/// Why a stream ended that did not break.
#[derive(Debug)]
pub(super) enum Ended {
    /// The poll has gone away.
    Unread,
    /// The server is to keep transactions until they commit.
    Refused(Refusal),
}

impl Stream {
    pub(super) fn new(
        connection: Connection,
        out: mpsc::Sender<Event>,
        stored: watch::Receiver<Lsn>,
        ask: Arc<Notify>,
        in_progress: Option<InProgress>,
    ) -> Self {
        let now = Instant::now();
        Self {
            connection,
            out,
            stored,
            ask,
            whole: 0,
            relations: false,
            received: Lsn(0),
            answer_due: false,
            heard_at: now,
            rests_until: None,
            status_at: now,
            in_progress,
            streamed: false,
            replay: None,
        }
    }

    /// Runs until the stream breaks or ends.
    pub(super) async fn run(mut self, status_interval: Duration) -> Result<Ended> {
        let mut timer = tokio::time::interval(status_interval);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let out = self.out.clone();
        let ask = self.ask.clone();
        self.scan()?;
        loop {
            if std::mem::take(&mut self.answer_due) || self.status_at.elapsed() > status_interval {
                self.send_status(false).await?;
            }
            if self.whole == 0
                && let Err(refusal) = self.take_streamed().await?
            {
                return Ok(Ended::Refused(refusal));
            }
            let full = self.whole >= CHUNK_BYTES || self.streamed || self.replay.is_some();
            if full {
                self.connection.socket.rest();
            } else {
                self.connection.buffer.reserve(READ_BYTES);
            }
            let rests_until = self.rests_until;
            tokio::select! {
                biased;
                permit = out.reserve(), if self.whole > 0 => {
                    let Ok(permit) = permit else { return Ok(Ended::Unread) };
                    let bytes = self.connection.buffer.split_to(self.whole).freeze();
                    let relations = std::mem::take(&mut self.relations);
                    permit.send(Event::Stream { bytes, relations });
                    self.whole = 0;
                }
                () = tokio::time::sleep_until(rests_until.unwrap_or(self.heard_at)),
                    if rests_until.is_some() =>
                {
                    self.rests_until = None;
                }
                read = self.connection.socket.read_buf(&mut self.connection.buffer),
                    if !full && rests_until.is_none() =>
                {
                    let read = read.map_err(lost)?;
                    if read == 0 {
                        return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
                    }
                    self.scan()?;
                    self.rest_after(read);
                }
                changed = self.stored.changed() => {
                    if changed.is_err() {
                        return Ok(Ended::Unread);
                    }
                    self.send_status(false).await?;
                }
                () = ask.notified() => self.send_status(true).await?,
                _ = timer.tick() => {
                    let silence = self.heard_at.elapsed();
                    if silence > SILENCE_MAX && self.whole == 0 {
                        let seconds = SILENCE_MAX.as_secs();
                        let text = format!("the server has been silent for {seconds} s");
                        return Err(WireError::Io(text, std::io::ErrorKind::TimedOut.into()));
                    }
                    self.send_status(silence >= status_interval).await?;
                }
                () = out.closed() => {
                    self.send_status(false).await?;
                    self.connection.close().await;
                    return Ok(Ended::Unread);
                }
            }
        }
    }

    /// Lets the socket rest when the stream is busy with small packets.
    fn rest_after(&mut self, read: usize) {
        let now = Instant::now();
        if read < SMALL_READ && now.duration_since(self.heard_at) < BUSY {
            self.connection.socket.rest();
            self.rests_until = Some(now + NAP);
        }
        self.heard_at = now;
    }

    /// Has transactions in progress kept, frame by frame, and those that have committed read again,
    /// until there are frames to hand over or the buffer has no such frame.
    async fn take_streamed(&mut self) -> Result<std::result::Result<(), Refusal>> {
        while self.whole == 0 {
            if let Some((replay, behind)) = &mut self.replay {
                let filled = match replay.fill(&mut self.connection.buffer).await {
                    Ok(filled) => filled,
                    Err(error) => return Ok(Err(Refusal::Unread(error))),
                };
                if !filled {
                    self.connection.buffer = std::mem::take(behind);
                    self.replay = None;
                    self.heard_at = Instant::now();
                }
            } else if std::mem::take(&mut self.streamed) {
                let Some(in_progress) = &mut self.in_progress else { break };
                let buffer = &mut self.connection.buffer;
                let length = frame_length(buffer)?.unwrap_or(0).min(buffer.len());
                let taken = in_progress.take(&buffer[..length]).await;
                buffer.advance(length);
                match taken {
                    Ok(None) => {}
                    Ok(Some(replay)) => self.replay = Some((replay, std::mem::take(buffer))),
                    Err(refusal) => return Ok(Err(refusal)),
                }
                if buffer.is_empty() && buffer.capacity() > 2 * CHUNK_BYTES {
                    // The room that a large row needed.
                    *buffer = BytesMut::new();
                }
            } else {
                break;
            }
            self.scan()?;
        }
        Ok(Ok(()))
    }

    /// Finds the end of the whole frames in the buffer, up to one of a transaction in progress.
    fn scan(&mut self) -> Result<()> {
        while let Some(rest) = self.connection.buffer.get(self.whole..) {
            if self.streamed {
                break;
            }
            let Some(length) = frame_length(rest)? else { break };
            let Some(frame) = rest.get(..length) else {
                // A row larger than the buffer: make room for all of it at once.
                let missing = length - rest.len();
                self.connection.buffer.reserve(missing);
                break;
            };
            match (frame.first(), frame.get(5)) {
                (Some(b'd'), Some(b'k')) => {
                    self.received = self.received.max(Lsn(number(frame.get(6..14))));
                    self.answer_due |= frame.last() == Some(&1);
                }
                (Some(b'd'), Some(b'w')) => {
                    self.received = self.received.max(Lsn(number(frame.get(6..14))));
                    if let (Some(in_progress), None) = (&self.in_progress, &self.replay)
                        && kind(frame).is_some_and(|kind| in_progress.takes(kind))
                    {
                        self.streamed = true;
                        break;
                    }
                    self.relations |= frame.get(30) == Some(&b'R');
                }
                (Some(b'E'), _) => return Err(error_of_frame(frame)),
                (Some(b'c' | b'C'), _) => {
                    return Err(WireError::Protocol("the server ended the stream".to_owned()));
                }
                _ => {}
            }
            self.whole += length;
        }
        Ok(())
    }

    /// Standby status update: what was received, and what is stored.
    async fn send_status(&mut self, answer: bool) -> Result<()> {
        self.status_at = Instant::now();
        let stored = *self.stored.borrow_and_update();
        let mut message = BytesMut::with_capacity(64);
        message.put_u8(b'd');
        message.put_u32(4 + 1 + 8 * 4 + 1);
        message.put_u8(b'r');
        message.put_u64(self.received.max(stored).0);
        message.put_u64(stored.0);
        message.put_u64(stored.0);
        message.put_i64(micros_now() - PG_EPOCH_MICROS);
        message.put_u8(u8::from(answer));
        self.connection.send(&message).await
    }
}

fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.unwrap_or_default().iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn lost(error: std::io::Error) -> WireError {
    WireError::Io(format!("the replication connection was lost: {error}"), error)
}
