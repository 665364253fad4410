//! The messages of the output plugin `pgoutput`, protocol 1 (what later ones have for transactions in
//! progress is `in_progress`'s matter): bytes to borrowed messages, with no
//! I/O and no state. Positions are those of the chunk, so that cells can point into it. Source:
//! PostgreSQL "Logical Replication Message Formats".
#![deny(clippy::indexing_slicing)]

use std::time::{SystemTime, UNIX_EPOCH};

use crate::connector::postgres::lsn::Lsn;

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
pub(super) const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The wall clock, in microseconds since 1970.
pub(super) fn micros_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// Bytes that are no message of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("a message of pgoutput is cut short at byte {0}")]
    Short(usize),
    #[error("Unsupported message type: {0}")]
    Unsupported(char),
    #[error("a tuple of pgoutput has a column of kind {0:?}")]
    ColumnKind(char),
    #[error("text of pgoutput is not UTF-8")]
    NotUtf8,
}

type Result<T> = std::result::Result<T, DecodeError>;

/// What the walsender sent in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// `wal_end`: all that was committed before it has been sent.
    Keepalive { wal_end: Lsn, answer: bool },
    /// A message of the plugin, from `start` to `end` of the chunk.
    Data { lsn: Lsn, start: usize, end: usize },
    /// A frame that carries nothing for us (notices, settings).
    Other,
}

/// The frames of a chunk, one after the other.
#[derive(Debug)]
pub(super) struct FrameReader<'a> {
    chunk: &'a [u8],
    at: usize,
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(chunk: &'a [u8]) -> Self {
        Self { chunk, at: 0 }
    }

    /// The next frame; `None` at the end of the chunk.
    pub(super) fn next(&mut self) -> Result<Option<Frame>> {
        if self.at >= self.chunk.len() {
            return Ok(None);
        }
        let mut reader = Reader { chunk: self.chunk, at: self.at };
        let tag = reader.u8()?;
        let length = reader.u32()? as usize;
        let end = self.at + 1 + length;
        if end > self.chunk.len() {
            return Err(DecodeError::Short(self.at));
        }
        self.at = end;
        if tag != b'd' {
            return Ok(Some(Frame::Other));
        }
        Ok(Some(match reader.u8()? {
            b'w' => {
                let lsn = Lsn(reader.u64()?);
                reader.skip(16)?;
                Frame::Data { lsn, start: reader.at, end }
            }
            b'k' => {
                let wal_end = Lsn(reader.u64()?);
                reader.skip(8)?;
                Frame::Keepalive { wal_end, answer: reader.u8()? == 1 }
            }
            _ => Frame::Other,
        }))
    }
}

/// A message of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Begin { final_lsn: Lsn, commit_micros: i64, xid: u32 },
    Commit { end: Lsn },
    Origin { lsn: Lsn, name: &'a str },
    Relation(RelationMessage<'a>),
    Insert { relation: u32, new: Tuple<'a> },
    Update { relation: u32, old: Option<(OldKind, Tuple<'a>)>, new: Tuple<'a> },
    Delete { relation: u32, kind: OldKind, old: Tuple<'a> },
    Truncate { relations: Vec<u32> },
    Logical { transactional: bool, prefix: &'a str, content: &'a [u8] },
    Type,
}

/// Whether an old tuple is a key or a whole row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OldKind {
    Key,
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RelationMessage<'a> {
    pub(super) id: u32,
    pub(super) schema: &'a str,
    pub(super) table: &'a str,
    pub(super) columns: Vec<RelationColumn<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RelationColumn<'a> {
    /// Part of the replica identity.
    pub(super) identity: bool,
    pub(super) name: &'a str,
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
}

/// The columns of a row, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuple<'a> {
    chunk: &'a [u8],
    at: usize,
    count: u16,
}

/// One column of a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datum<'a> {
    Null,
    /// TOASTed and left alone by the statement.
    Unchanged,
    Text {
        off: u32,
        text: &'a [u8],
    },
}

impl<'a> Message<'a> {
    /// Reads the message from `start` to `end` of `chunk`.
    pub(super) fn parse(chunk: &'a [u8], start: usize, end: usize) -> Result<Self> {
        let chunk = chunk.get(..end).ok_or(DecodeError::Short(start))?;
        let mut reader = Reader { chunk, at: start };
        Ok(match reader.u8()? {
            b'I' => {
                let relation = reader.u32()?;
                reader.skip(1)?;
                Self::Insert { relation, new: reader.tuple()? }
            }
            b'U' => {
                let relation = reader.u32()?;
                let mut old = None;
                let kind = reader.u8()?;
                if kind != b'N' {
                    old = Some((old_kind(kind)?, reader.tuple_and_skip()?));
                    reader.skip(1)?;
                }
                Self::Update { relation, old, new: reader.tuple()? }
            }
            b'D' => {
                let relation = reader.u32()?;
                let kind = old_kind(reader.u8()?)?;
                Self::Delete { relation, kind, old: reader.tuple()? }
            }
            b'B' => Self::Begin {
                final_lsn: Lsn(reader.u64()?),
                commit_micros: reader.i64()?.saturating_add(PG_EPOCH_MICROS),
                xid: reader.u32()?,
            },
            b'C' => {
                // Flags, and where the commit record starts.
                reader.skip(1 + 8)?;
                Self::Commit { end: Lsn(reader.u64()?) }
            }
            b'R' => Self::Relation(reader.relation()?),
            b'O' => Self::Origin { lsn: Lsn(reader.u64()?), name: reader.string()? },
            b'T' => {
                let count = reader.u32()?;
                reader.skip(1)?;
                let relations = (0..count).map(|_| reader.u32()).collect::<Result<_>>()?;
                Self::Truncate { relations }
            }
            b'M' => {
                let transactional = reader.u8()? & 1 == 1;
                reader.skip(8)?;
                let prefix = reader.string()?;
                let length = reader.u32()? as usize;
                Self::Logical { transactional, prefix, content: reader.take(length)? }
            }
            b'Y' => Self::Type,
            other => return Err(DecodeError::Unsupported(char::from(other))),
        })
    }
}

fn old_kind(kind: u8) -> Result<OldKind> {
    match kind {
        b'K' => Ok(OldKind::Key),
        b'O' => Ok(OldKind::Full),
        other => Err(DecodeError::ColumnKind(char::from(other))),
    }
}

impl<'a> Tuple<'a> {
    /// How many columns the tuple has.
    pub(super) fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// The columns, in order.
    pub(super) fn columns(&self) -> Columns<'a> {
        Columns { reader: Reader { chunk: self.chunk, at: self.at }, left: self.count }
    }
}

/// The columns of a tuple that are still to be read.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    reader: Reader<'a>,
    left: u16,
}

impl<'a> Iterator for Columns<'a> {
    type Item = Result<Datum<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.reader.datum())
    }
}

/// Numbers and texts, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    chunk: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(chunk: &'a [u8], at: usize) -> Self {
        Self { chunk, at }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(DecodeError::Short(self.at))?;
        let bytes = self.chunk.get(self.at..end).ok_or(DecodeError::Short(self.at))?;
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.chunk.get(self.at..).ok_or(DecodeError::Short(self.at))?;
        let bytes = rest.first_chunk::<N>().ok_or(DecodeError::Short(self.at))?;
        self.at += N;
        Ok(*bytes)
    }

    fn skip(&mut self, length: usize) -> Result<()> {
        self.take(length).map(drop)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a str> {
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(0, rest).ok_or(DecodeError::Short(self.at))?;
        let bytes = self.take(length)?;
        self.skip(1)?;
        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8)
    }

    fn datum(&mut self) -> Result<Datum<'a>> {
        match self.u8()? {
            b't' => {
                let length = self.u32()? as usize;
                let off = u32::try_from(self.at).map_err(|_| DecodeError::Short(self.at))?;
                Ok(Datum::Text { off, text: self.take(length)? })
            }
            b'n' => Ok(Datum::Null),
            b'u' => Ok(Datum::Unchanged),
            other => Err(DecodeError::ColumnKind(char::from(other))),
        }
    }

    /// A tuple that ends the message: its columns are read where they are used.
    fn tuple(&mut self) -> Result<Tuple<'a>> {
        let count = self.u16()?;
        Ok(Tuple { chunk: self.chunk, at: self.at, count })
    }

    /// A tuple that something follows.
    fn tuple_and_skip(&mut self) -> Result<Tuple<'a>> {
        let tuple = self.tuple()?;
        for _ in 0..tuple.count {
            self.datum()?;
        }
        Ok(tuple)
    }

    fn relation(&mut self) -> Result<RelationMessage<'a>> {
        let id = self.u32()?;
        let (schema, table) = (self.string()?, self.string()?);
        // The replica identity's kind shows in the columns' flags.
        self.skip(1)?;
        let count = self.u16()?;
        let column = |_| {
            Ok(RelationColumn {
                identity: self.u8()? & 1 == 1,
                name: self.string()?,
                type_oid: self.u32()?,
                modifier: self.u32()?.cast_signed(),
            })
        };
        let columns = (0..count).map(column).collect::<Result<_>>()?;
        // An empty name is pg_catalog.
        let schema = if schema.is_empty() { "pg_catalog" } else { schema };
        Ok(RelationMessage { id, schema, table, columns })
    }
}

#[cfg(test)]
#[path = "pgoutput_tests.rs"]
mod tests;
