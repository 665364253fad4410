//! The frames of one transaction in progress: the first of them in a file, the rest in memory. The
//! file has no name, so that the system removes it with the task or the process, however they end.

use std::collections::HashMap;
use std::io::{self, SeekFrom};
use std::path::Path;

use bytes::BytesMut;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::messages::push_without_xid;
use crate::connector::postgres::lsn::Lsn;

/// How much is taken back at once.
const READ_BYTES: usize = 256 * 1024;

/// What was received of a transaction.
#[derive(Debug, Default)]
pub(super) struct Kept {
    file: Option<File>,
    /// How many bytes are in the file; the rest follows in memory.
    in_file: u64,
    in_memory: BytesMut,
    /// Of the first change.
    first: Option<Lsn>,
    /// Where the frames of each subtransaction begin, in order: what comes behind belongs to it or to
    /// one inside it, until it ends.
    starts: Vec<(u32, u64)>,
    known: HashMap<u32, u64>,
}

impl Kept {
    pub(super) fn memory(&self) -> usize {
        self.in_memory.len()
    }

    pub(super) fn in_file(&self) -> u64 {
        self.in_file
    }

    pub(super) fn subtransactions(&self) -> usize {
        self.starts.len()
    }

    /// The position of the first change; `None`: nothing is kept.
    pub(super) fn first(&self) -> Option<Lsn> {
        self.first
    }

    /// Keeps a frame of a subtransaction, `None`: of the transaction itself.
    pub(super) fn push(&mut self, subxid: Option<u32>, lsn: Lsn, frame: &[u8]) {
        let at = self.in_file + self.in_memory.len() as u64;
        if let Some(subxid) = subxid
            && self.starts.last().is_none_or(|(last, _)| *last != subxid)
            && !self.known.contains_key(&subxid)
        {
            self.known.insert(subxid, at);
            self.starts.push((subxid, at));
        }
        // What is sent in front of a change, its table's columns, has no position.
        if lsn != Lsn(0) {
            self.first.get_or_insert(lsn);
        }
        push_without_xid(frame, &mut self.in_memory);
    }

    /// Drops what a subtransaction did that was rolled back.
    pub(super) async fn abort(&mut self, subxid: u32) -> io::Result<()> {
        let Some(start) = self.known.get(&subxid).copied() else { return Ok(()) };
        while let Some((inner, _)) = self.starts.pop_if(|(_, at)| *at >= start) {
            self.known.remove(&inner);
        }
        if start == 0 {
            self.first = None;
        }
        match usize::try_from(start.saturating_sub(self.in_file)) {
            Ok(left) if start >= self.in_file => self.in_memory.truncate(left),
            _ => {
                self.in_memory.clear();
                if let Some(file) = &mut self.file {
                    file.set_len(start).await?;
                    file.seek(SeekFrom::Start(start)).await?;
                }
                self.in_file = start;
            }
        }
        Ok(())
    }

    /// Moves what is in memory to the file.
    pub(super) async fn write(&mut self, folder: &Path) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::from_std(tempfile::tempfile_in(folder)?)),
        };
        let bytes = std::mem::take(&mut self.in_memory);
        file.write_all(&bytes).await?;
        file.flush().await?;
        self.in_file += bytes.len() as u64;
        Ok(())
    }

    /// Ends the keeping: the frames between these two, from the first on.
    pub(super) async fn replay(mut self, [begin, commit]: [BytesMut; 2]) -> io::Result<Replay> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0)).await?;
        }
        self.in_memory.unsplit(commit);
        Ok(Replay { begin, file: self.file, left: self.in_file, rest: self.in_memory })
    }
}

/// The frames of a transaction that has committed, to be read once.
#[derive(Debug)]
pub(in crate::connector::postgres) struct Replay {
    begin: BytesMut,
    file: Option<File>,
    /// How much of the file is still to be read.
    left: u64,
    /// What follows the file.
    rest: BytesMut,
}

impl Replay {
    /// Appends the next bytes; `false`: there are no more.
    pub(in crate::connector::postgres) async fn fill(
        &mut self,
        buffer: &mut BytesMut,
    ) -> io::Result<bool> {
        if !self.begin.is_empty() {
            buffer.unsplit(self.begin.split());
            return Ok(true);
        }
        if let Some(file) = self.file.as_mut().filter(|_| self.left > 0) {
            buffer.reserve(READ_BYTES);
            let most = self.left.min(READ_BYTES as u64);
            let read = file.take(most).read_buf(buffer).await? as u64;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left -= read;
            return Ok(true);
        }
        let piece = self.rest.split_to(self.rest.len().min(READ_BYTES));
        buffer.extend_from_slice(&piece);
        Ok(!piece.is_empty())
    }
}
