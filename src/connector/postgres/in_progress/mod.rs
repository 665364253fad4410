//! Large transactions that the server sends while they are in progress (`streaming` of pgoutput).
//! They are kept here, in memory and then on disk, and nothing of them goes on before their commit.
//! Then they go on as the frames that the server would have sent had it waited: what comes behind
//! does not know of this. Where that cannot be, the server is asked to wait for commits again.

mod kept;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

pub(super) use self::kept::Replay;
pub(super) use self::messages::kind;

use self::kept::Kept;
use self::messages::{Streamed, begin_and_commit, parse, position};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::pgoutput::DecodeError;

/// What all transactions together keep in memory; the largest of them goes to its file then.
const MEMORY_MAX: usize = 8 * 1024 * 1024;
/// Subtransactions of one transaction that are told apart: some 40 bytes each.
const SUBTRANSACTIONS_MAX: usize = 200_000;

/// What a person asked for.
#[derive(Debug, Clone)]
pub(super) struct InProgressConfig {
    /// Where files are made.
    pub(super) folder: PathBuf,
    /// What all files together hold, in bytes.
    pub(super) disk_max: u64,
}

/// Why transactions cannot be kept: the server has to keep them.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "transactions in progress exceed streaming.spill.max.bytes={0}; raise it where the disk has room"
    )]
    DiskMax(u64),
    #[error("cannot keep a transaction in {0}; streaming.spill.directory names another folder")]
    Disk(String, #[source] io::Error),
    #[error("a transaction in progress has more than {SUBTRANSACTIONS_MAX} subtransactions")]
    Subtransactions,
    #[error(
        "a transaction in progress came from a replication origin, whose position shows at its commit only"
    )]
    Origin,
    #[error("what was kept of a transaction cannot be read again")]
    Unread(#[source] io::Error),
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
}

/// Whether the server can stream transactions in progress so that the records are the same.
pub(super) fn is_possible(config: &PostgresConfig, version: u32) -> bool {
    let ours = !config.slot.stream_params.iter().any(|(key, _)| key == "streaming");
    // Before 15 a Begin message has a position that a stream in progress does not tell; transaction
    // metadata shows it.
    let told = version >= 150_000 || version >= 140_000 && config.transaction_topic.is_none();
    ours && told
}

/// The transactions in progress.
#[derive(Debug)]
pub(super) struct InProgress {
    config: InProgressConfig,
    /// The server tells of transactions without a change, too (before 15).
    empty_are_told: bool,
    /// Whose block is being received.
    block: Option<(u32, Kept)>,
    /// The others.
    kept: HashMap<u32, Kept>,
    /// How many bytes those, and what came of the block, have in memory.
    memory: usize,
}

impl InProgress {
    pub(super) fn new(config: InProgressConfig, version: u32) -> Self {
        let empty_are_told = version < 150_000;
        Self { config, empty_are_told, block: None, kept: HashMap::new(), memory: 0 }
    }

    /// Whether a message of this kind, next in the stream, is of a transaction in progress.
    pub(super) fn takes(&self, kind: u8) -> bool {
        self.block.is_some() || matches!(kind, b'S' | b'E' | b'c' | b'A')
    }

    /// Takes the next frame. A transaction whose commit it is comes back.
    pub(super) async fn take(&mut self, frame: &[u8]) -> Result<Option<Replay>, Refusal> {
        match parse(frame)? {
            Streamed::Change { xid } => self.change(xid, frame).await?,
            Streamed::Start { xid } => {
                self.block = Some((xid, self.kept.remove(&xid).unwrap_or_default()));
            }
            Streamed::Stop => self.kept.extend(self.block.take()),
            Streamed::Origin => return Err(Refusal::Origin),
            Streamed::Abort { xid, subxid } => self.abort(xid, subxid).await?,
            Streamed::Commit { xid, end } => {
                let kept = self.kept.remove(&xid).unwrap_or_default();
                self.memory = self.kept.values().map(Kept::memory).sum();
                let commit = position(frame)?;
                let first = match kept.first() {
                    None if !self.empty_are_told => return Ok(None),
                    first => first.unwrap_or(commit),
                };
                let ends = begin_and_commit(xid, &end, first, commit);
                let replay = kept.replay(ends).await.map_err(|error| self.disk(error))?;
                return Ok(Some(replay));
            }
        }
        Ok(None)
    }

    async fn change(&mut self, xid: u32, frame: &[u8]) -> Result<(), Refusal> {
        let Some((block, kept)) = &mut self.block else {
            return Err(DecodeError::Unsupported('S').into());
        };
        let before = kept.memory();
        kept.push(Some(xid).filter(|xid| xid != block), position(frame)?, frame);
        self.memory += kept.memory() - before;
        if kept.subtransactions() > SUBTRANSACTIONS_MAX {
            return Err(Refusal::Subtransactions);
        }
        if self.memory > MEMORY_MAX { self.write_largest().await } else { Ok(()) }
    }

    /// Moves what the largest transaction has in memory to its file.
    async fn write_largest(&mut self) -> Result<(), Refusal> {
        let all = || self.kept.values().chain(self.block.iter().map(|(_, kept)| kept));
        let in_files: u64 = all().map(Kept::in_file).sum();
        let of_block = self.block.iter_mut().map(|(_, kept)| kept);
        let Some(largest) = self.kept.values_mut().chain(of_block).max_by_key(|kept| kept.memory())
        else {
            return Ok(());
        };
        let bytes = largest.memory();
        if in_files + bytes as u64 > self.config.disk_max {
            return Err(Refusal::DiskMax(self.config.disk_max));
        }
        let written = largest.write(&self.config.folder).await;
        written.map_err(|error| self.disk(error))?;
        self.memory -= bytes;
        Ok(())
    }

    async fn abort(&mut self, xid: u32, subxid: u32) -> Result<(), Refusal> {
        if xid == subxid {
            self.kept.remove(&xid);
        } else if let Some(kept) = self.kept.get_mut(&xid) {
            let aborted = kept.abort(subxid).await;
            aborted.map_err(|error| self.disk(error))?;
        }
        self.memory = self.kept.values().map(Kept::memory).sum();
        Ok(())
    }

    fn disk(&self, error: io::Error) -> Refusal {
        Refusal::Disk(self.config.folder.display().to_string(), error)
    }
}
