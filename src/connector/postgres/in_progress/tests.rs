//! Blocks of transactions in progress, as pgoutput sends them, and what goes on after their commits.

use bytes::BytesMut;
use proptest::prelude::*;

use super::messages::{frame, kind};
use super::*;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::pgoutput::{Frame, FrameReader, Message};

fn config(disk_max: u64) -> InProgressConfig {
    InProgressConfig { folder: std::env::temp_dir(), disk_max }
}

fn start(xid: u32) -> BytesMut {
    frame(Lsn(1), &[b"S", &xid.to_be_bytes(), b"\x01"])
}

fn stop() -> BytesMut {
    frame(Lsn(1), &[b"E"])
}

fn abort(xid: u32, subxid: u32) -> BytesMut {
    frame(Lsn(1), &[b"A", &xid.to_be_bytes(), &subxid.to_be_bytes()])
}

/// A logical message with this text, of this subtransaction.
fn change(xid: u32, lsn: u64, text: &str) -> BytesMut {
    let length = u32::try_from(text.len()).unwrap();
    let parts: [&[u8]; 6] =
        [b"M", &xid.to_be_bytes(), b"\x01", &[0; 8], b"p\0", &length.to_be_bytes()];
    frame(Lsn(lsn), &[&parts.concat(), text.as_bytes()])
}

fn commit(xid: u32, lsn: u64) -> BytesMut {
    let (at, end) = (lsn.to_be_bytes(), (lsn + 8).to_be_bytes());
    frame(Lsn(lsn + 8), &[b"c", &xid.to_be_bytes(), b"\0", &at, &end, &77_i64.to_be_bytes()])
}

/// What a transaction's frames say: begin, texts with their positions, commit.
async fn told(mut replay: Replay) -> Vec<String> {
    let mut bytes = BytesMut::new();
    while replay.fill(&mut bytes).await.unwrap() {}
    let mut frames = FrameReader::new(&bytes);
    let mut told = Vec::new();
    while let Some(frame) = frames.next().unwrap() {
        let Frame::Data { lsn, start, end } = frame else { panic!("{frame:?}") };
        told.push(match Message::parse(&bytes, start, end).unwrap() {
            Message::Begin { final_lsn, xid, .. } => {
                format!("begin {} of {xid} at {}", final_lsn.0, lsn.0)
            }
            Message::Logical { content, .. } => {
                format!("{} {}", lsn.0, String::from_utf8_lossy(content))
            }
            Message::Commit { end } => format!("commit {} at {}", end.0, lsn.0),
            other => panic!("{other:?}"),
        });
    }
    told
}

/// Gives the frames to `all`; what came back of the last.
async fn take(all: &mut InProgress, frames: &[BytesMut]) -> Option<Replay> {
    let mut last = None;
    for frame in frames {
        assert!(all.takes(kind(frame).unwrap()));
        last = all.take(frame).await.unwrap();
    }
    last
}

#[tokio::test]
async fn a_transaction_goes_on_at_its_commit_without_what_was_rolled_back() {
    let mut all = InProgress::new(config(0), 150_000);
    let frames = [
        start(7),
        change(7, 0, "columns"),
        change(7, 10, "a"),
        change(8, 11, "of 8"),
        change(9, 12, "of 9, in 8"),
        stop(),
        abort(7, 8),
        start(20),
        change(20, 13, "another"),
        stop(),
        start(7),
        change(10, 14, "kept"),
        stop(),
        abort(7, 99),
        commit(7, 50),
    ];
    let replay = take(&mut all, &frames).await.unwrap();
    let expected = ["begin 50 of 7 at 10", "0 columns", "10 a", "14 kept", "commit 58 at 58"];
    assert_eq!(told(replay).await, expected);
    assert!(take(&mut all, &[abort(20, 20), commit(20, 60)]).await.is_none());
}

/// The server tells nothing of a transaction of which nothing is left, but before 15.
#[tokio::test]
async fn a_transaction_without_a_change_is_told_where_the_server_would() {
    for (version, expected) in [(150_000, 0), (140_000, 2)] {
        let mut all = InProgress::new(config(0), version);
        let frames =
            [start(7), change(8, 11, "x"), stop(), abort(7, 8), start(7), stop(), commit(7, 50)];
        let replay = take(&mut all, &frames).await;
        let told = match replay {
            Some(replay) => told(replay).await.len(),
            None => 0,
        };
        assert_eq!(told, expected, "{version}");
    }
}

#[tokio::test]
async fn what_exceeds_the_disk_or_cannot_be_the_same_is_refused() {
    let large = "x".repeat(MEMORY_MAX + 1);
    let mut all = InProgress::new(config(1000), 150_000);
    take(&mut all, &[start(7)]).await;
    let refusal = all.take(&change(7, 10, &large)).await.unwrap_err();
    assert!(refusal.to_string().contains("streaming.spill.max.bytes=1000"), "{refusal}");

    let folder = "/does/not/exist".into();
    let mut all = InProgress::new(InProgressConfig { folder, disk_max: u64::MAX }, 150_000);
    take(&mut all, &[start(7)]).await;
    let refusal = all.take(&change(7, 10, &large)).await.unwrap_err();
    assert!(refusal.to_string().contains("/does/not/exist"), "{refusal}");

    let origin = frame(Lsn(1), &[b"O", &[0; 8], b"elsewhere\0"]);
    assert!(matches!(all.take(&origin).await, Err(Refusal::Origin)));
    assert!(all.take(&frame(Lsn(1), &[b"S\0"])).await.is_err(), "cut short");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is on disk when a subtransaction is rolled back: what is left is what a list would
    /// hold.
    #[test]
    fn memory_and_disk_hold_what_a_list_would(
        steps in prop::collection::vec((0_u8..4, prop::bool::ANY), 1..40),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut kept = kept::Kept::default();
            let mut list: Vec<(u32, u64)> = Vec::new();
            // The open subtransactions, from the outermost on.
            let mut open: Vec<u32> = Vec::new();
            let mut next = 100;
            for (at, (step, write)) in (1_u64..).zip(steps) {
                match step {
                    0 => {
                        next += 1;
                        open.push(next);
                    }
                    1 => if let Some(aborted) = open.pop() {
                        kept.abort(aborted).await.unwrap();
                        let first = list.iter().position(|(xid, _)| *xid == aborted);
                        list.truncate(first.unwrap_or(list.len()));
                    },
                    _ => {
                        let subxid = open.last().copied();
                        kept.push(subxid, Lsn(at), &change(subxid.unwrap_or(7), at, "text"));
                        list.push((subxid.unwrap_or(7), at));
                    }
                }
                if write {
                    kept.write(&std::env::temp_dir()).await.unwrap();
                }
            }
            prop_assert_eq!(kept.first().map(|first| first.0), list.first().map(|(_, at)| *at));
            let ends = [frame(Lsn(0), &[b"B", &[0; 20]]), frame(Lsn(0), &[b"C", &[0; 25]])];
            let told = told(kept.replay(ends).await.unwrap()).await;
            let texts: Vec<_> = list.iter().map(|(_, at)| format!("{at} text")).collect();
            prop_assert_eq!(&told[1..told.len() - 1], texts);
            Ok(())
        })?;
    }
}
