//! The messages with which pgoutput streams transactions that are still in progress (protocol 2):
//! where their blocks start and stop, and how they end. Source: PostgreSQL "Logical Replication
//! Message Formats", Stream Start to Stream Abort.

use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::pgoutput::{DecodeError, Reader};

/// Where the plugin's message starts in a frame: behind the frame's header and that of XLogData.
pub(super) const MESSAGE_AT: usize = 30;

/// A frame of a transaction in progress, as it goes to where the transaction is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Streamed {
    Start {
        xid: u32,
    },
    Stop,
    Commit {
        xid: u32,
        end: CommitEnd,
    },
    /// A whole transaction where both are the same.
    Abort {
        xid: u32,
        subxid: u32,
    },
    /// A message like those of a committed transaction, of this transaction or subtransaction.
    Change {
        xid: u32,
    },
    /// Where the transaction came from; its position is not known before the commit.
    Origin,
}

/// What the Commit message of a transaction says, in its bytes: flags, where the commit record
/// starts and ends, and the time.
pub(super) type CommitEnd = [u8; 1 + 8 + 8 + 8];

/// The kind of message that a complete frame holds; `None`: it is no frame of the plugin.
pub(in crate::connector::postgres) fn kind(frame: &[u8]) -> Option<u8> {
    match (frame.first(), frame.get(5)) {
        (Some(b'd'), Some(b'w')) => frame.get(MESSAGE_AT).copied(),
        _ => None,
    }
}

/// Reads a frame that stands inside a block, or starts or ends one.
pub(super) fn parse(frame: &[u8]) -> Result<Streamed, DecodeError> {
    let mut reader = Reader::new(frame, MESSAGE_AT);
    Ok(match reader.u8()? {
        b'S' => Streamed::Start { xid: reader.u32()? },
        b'E' => Streamed::Stop,
        b'c' => Streamed::Commit { xid: reader.u32()?, end: reader.array()? },
        // Protocol 4 has the abort's position and time behind.
        b'A' => Streamed::Abort { xid: reader.u32()?, subxid: reader.u32()? },
        b'O' => Streamed::Origin,
        b'I' | b'U' | b'D' | b'T' | b'R' | b'Y' | b'M' => Streamed::Change { xid: reader.u32()? },
        other => return Err(DecodeError::Unsupported(char::from(other))),
    })
}

/// Appends a frame of a streamed change as it would be after the commit: without the transaction.
pub(super) fn push_without_xid(frame: &[u8], out: &mut bytes::BytesMut) {
    let (head, rest) = frame.split_at(MESSAGE_AT + 1);
    let rest = &rest[4..];
    out.extend_from_slice(b"d");
    let length = head.len() - 1 + rest.len();
    out.extend_from_slice(&u32::try_from(length).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(&head[5..]);
    out.extend_from_slice(rest);
}

/// The position that a frame's header names.
pub(super) fn position(frame: &[u8]) -> Result<Lsn, DecodeError> {
    Reader::new(frame, 6).u64().map(Lsn)
}

/// A frame with this message, whose header names `lsn`.
pub(super) fn frame(lsn: Lsn, message: &[&[u8]]) -> bytes::BytesMut {
    let size: usize = message.iter().map(|part| part.len()).sum();
    let mut out = bytes::BytesMut::with_capacity(MESSAGE_AT + size);
    out.extend_from_slice(b"d");
    let length = u32::try_from(MESSAGE_AT - 1 + size).unwrap_or_default();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(b"w");
    out.extend_from_slice(&lsn.0.to_be_bytes());
    out.extend_from_slice(&lsn.0.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    message.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// The Begin and the Commit message of a transaction that was streamed: what the server would have
/// sent had it waited for the commit.
pub(super) fn begin_and_commit(
    xid: u32,
    end: &CommitEnd,
    first: Lsn,
    commit_frame: Lsn,
) -> [bytes::BytesMut; 2] {
    let (final_lsn, time) = (&end[1..9], &end[17..25]);
    [frame(first, &[b"B", final_lsn, time, &xid.to_be_bytes()]), frame(commit_frame, &[b"C", end])]
}
