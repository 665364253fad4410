//! Messages byte by byte, and what becomes of every other byte sequence.

use proptest::prelude::*;

use super::*;

/// A `w` frame at `lsn` around `message`.
pub(crate) fn data_frame(lsn: u64, message: &[u8]) -> Vec<u8> {
    let mut body = vec![b'w'];
    body.extend(lsn.to_be_bytes());
    body.extend([0; 16]);
    body.extend(message);
    let mut frame = vec![b'd'];
    frame.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

fn column(text: &str) -> Vec<u8> {
    let mut bytes = vec![b't'];
    bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn texts(tuple: Tuple<'_>) -> Vec<String> {
    tuple
        .columns()
        .map(|datum| match datum.unwrap() {
            Datum::Null => "null".to_owned(),
            Datum::Unchanged => "unchanged".to_owned(),
            Datum::Text { text, .. } => String::from_utf8(text.to_vec()).unwrap(),
        })
        .collect()
}

#[test]
fn a_transaction_is_read_frame_by_frame() {
    // Captured from PostgreSQL 15: begin, relation, insert, commit.
    let begin =
        [&b"B"[..], &40_u64.to_be_bytes(), &1_000_000_i64.to_be_bytes(), &7_u32.to_be_bytes()]
            .concat();
    let relation = [
        &b"R"[..],
        &16_u32.to_be_bytes(),
        b"inv\0a\0d",
        &2_u16.to_be_bytes(),
        b"\x01id\0",
        &23_u32.to_be_bytes(),
        &(-1_i32).to_be_bytes(),
        b"\0name\0",
        &25_u32.to_be_bytes(),
        &(-1_i32).to_be_bytes(),
    ]
    .concat();
    let insert =
        [&b"I"[..], &16_u32.to_be_bytes(), b"N", &2_u16.to_be_bytes(), &column("10"), b"n"]
            .concat();
    let commit =
        [&b"C\0"[..], &40_u64.to_be_bytes(), &48_u64.to_be_bytes(), &0_i64.to_be_bytes()].concat();
    let chunk = [
        data_frame(32, &begin),
        data_frame(0, &relation),
        data_frame(32, &insert),
        data_frame(48, &commit),
    ]
    .concat();
    let mut frames = FrameReader::new(&chunk);
    let mut next = || match frames.next().unwrap() {
        Some(Frame::Data { lsn, start, end }) => {
            Some((lsn, Message::parse(&chunk, start, end).unwrap()))
        }
        None => None,
        other => panic!("{other:?}"),
    };
    let commit_micros = PG_EPOCH_MICROS + 1_000_000;
    assert_eq!(
        next(),
        Some((Lsn(32), Message::Begin { final_lsn: Lsn(40), commit_micros, xid: 7 }))
    );
    let Some((_, Message::Relation(relation))) = next() else { panic!() };
    assert_eq!((relation.id, relation.schema, relation.table), (16, "inv", "a"));
    assert_eq!(relation.columns.iter().map(|c| c.identity).collect::<Vec<_>>(), [true, false]);
    let Some((_, Message::Insert { relation: 16, new })) = next() else { panic!() };
    assert_eq!(texts(new), ["10", "null"]);
    let Some(Ok(Datum::Text { off, text })) = new.columns().next() else { panic!() };
    assert_eq!(chunk.get(off as usize..off as usize + 2), Some(text));
    assert_eq!(next(), Some((Lsn(48), Message::Commit { end: Lsn(48) })));
    assert_eq!(next(), None);
}

#[test]
fn updates_and_deletes_have_old_tuples() {
    let parse = |bytes: &[u8]| {
        let bytes = bytes.to_vec().leak();
        Message::parse(bytes, 0, bytes.len()).unwrap()
    };
    let tuple = |columns: &[&[u8]]| {
        let count = u16::try_from(columns.len()).unwrap().to_be_bytes();
        [&count[..], &columns.concat()].concat()
    };
    let id = 16_u32.to_be_bytes();
    let new = tuple(&[&column("2"), b"u"]);
    let plain = parse(&[&b"U"[..], &id, b"N", &new].concat());
    assert!(
        matches!(&plain, Message::Update { old: None, new, .. } if texts(*new) == ["2", "unchanged"])
    );
    let old = tuple(&[&column("1"), b"n"]);
    let keyed = parse(&[&b"U"[..], &id, b"K", &old, b"N", &new].concat());
    let Message::Update { old: Some((OldKind::Key, old_tuple)), new: new_tuple, .. } = keyed else {
        panic!()
    };
    assert_eq!(
        (texts(old_tuple), texts(new_tuple)),
        (vec!["1".into(), "null".into()], vec!["2".into(), "unchanged".into()])
    );
    let full = parse(&[&b"D"[..], &id, b"O", &old].concat());
    assert!(matches!(full, Message::Delete { kind: OldKind::Full, .. }));
    let truncate =
        [&b"T"[..], &2_u32.to_be_bytes(), b"\0", &1_u32.to_be_bytes(), &2_u32.to_be_bytes()];
    assert_eq!(parse(&truncate.concat()), Message::Truncate { relations: vec![1, 2] });
    let logical =
        [&b"M\x01"[..], &8_u64.to_be_bytes(), b"pfx\0", &3_u32.to_be_bytes(), b"abc"].concat();
    let expected = Message::Logical { transactional: true, prefix: "pfx", content: b"abc" };
    assert_eq!(parse(&logical), expected);
}

#[test]
fn what_is_not_known_is_named() {
    assert_eq!(Message::parse(b"S", 0, 1), Err(DecodeError::Unsupported('S')));
    assert_eq!(Message::parse(b"", 0, 0), Err(DecodeError::Short(0)));
    let binary = [&b"I"[..], &[0; 4], b"N\0\x01b\0\0\0\0"].concat();
    let Message::Insert { new, .. } = Message::parse(&binary, 0, binary.len()).unwrap() else {
        panic!()
    };
    assert_eq!(new.columns().next(), Some(Err(DecodeError::ColumnKind('b'))));
}

#[test]
fn keepalives_say_where_the_log_ends() {
    let mut frame = vec![b'd'];
    frame.extend(22_u32.to_be_bytes());
    frame.push(b'k');
    frame.extend(99_u64.to_be_bytes());
    frame.extend([0; 8]);
    frame.push(1);
    let expected = Frame::Keepalive { wal_end: Lsn(99), answer: true };
    assert_eq!(FrameReader::new(&frame).next(), Ok(Some(expected)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut frames = FrameReader::new(&bytes);
        while let Ok(Some(frame)) = frames.next() {
            if let Frame::Data { start, end, .. } = frame {
                let _ = Message::parse(&bytes, start, end);
            }
        }
        if let Ok(Message::Insert { new, .. } | Message::Update { new, .. }) =
            Message::parse(&bytes, 0, bytes.len())
        {
            new.columns().for_each(drop);
        }
    }
}
