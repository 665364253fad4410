//! What a session does, for every meeting of mode, offset and slot.

use super::*;
use crate::config::Props;

fn config(more: &[(&str, &str)]) -> PostgresConfig {
    let base = [
        ("topic.prefix", "cdc"),
        ("database.hostname", "h"),
        ("database.user", "u"),
        ("database.dbname", "d"),
        ("plugin.name", "pgoutput"),
        ("slot.name", "s"),
    ];
    let pairs = base.iter().chain(more);
    let props: Props = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    PostgresConfig::new(&props).unwrap()
}

fn facts() -> ServerFacts {
    ServerFacts {
        version: 150_000,
        wal_level: "logical".to_owned(),
        in_recovery: false,
        current: Lsn(1000),
        may_replicate: true,
        slots_free: 1,
        sender_timeout: 60_000,
    }
}

fn slot(confirmed: u64) -> Slot {
    Slot {
        plugin: "pgoutput".to_owned(),
        database: "d".to_owned(),
        active: false,
        confirmed: Some(Lsn(confirmed)),
        restart: Some(Lsn(1)),
        lost: false,
    }
}

fn at(resume: u64) -> Option<Position> {
    Some(Position::Streaming { resume: Lsn(resume), last_commit: None })
}

const SNAPSHOT: Start = Start::Snapshot { stream: true };

fn stream(from: Option<u64>) -> Start {
    Start::Stream { from: from.map(Lsn), last_commit: None }
}

#[test]
fn a_session_goes_on_where_nothing_is_lost() {
    let initial = config(&[]);
    let mode = |mode: &str| config(&[("snapshot.mode", mode)]);
    type Row = (&'static str, PostgresConfig, Option<Slot>, Option<Position>, bool, Start);
    let based = |data: &str, stream: &str| {
        let based = "snapshot.mode.configuration.based";
        let (data_key, stream_key) =
            (format!("{based}.snapshot.data"), format!("{based}.start.stream"));
        config(&[
            ("snapshot.mode", "configuration_based"),
            (&data_key, data),
            (&stream_key, stream),
        ])
    };
    let only = Start::Snapshot { stream: false };
    let rows: [Row; 18] = [
        ("no offset", initial.clone(), None, None, true, SNAPSHOT),
        ("no offset, a slot", initial.clone(), Some(slot(5)), None, true, SNAPSHOT),
        (
            "an interrupted snapshot",
            initial.clone(),
            Some(slot(5)),
            Some(Position::SnapshotInterrupted),
            true,
            SNAPSHOT,
        ),
        ("slot at the offset", initial.clone(), Some(slot(5)), at(5), true, stream(Some(5))),
        ("slot behind it", initial.clone(), Some(slot(4)), at(5), true, stream(Some(5))),
        ("always", mode("always"), Some(slot(5)), at(5), true, SNAPSHOT),
        ("always, reconnecting", mode("always"), Some(slot(5)), at(5), false, stream(Some(5))),
        ("no_data", mode("no_data"), None, None, true, stream(None)),
        ("initial_only", mode("initial_only"), None, None, true, Start::Snapshot { stream: false }),
        ("initial_only, read", mode("initial_only"), None, at(5), true, Start::Nothing),
        ("data and stream", based("true", "true"), Some(slot(5)), at(5), true, SNAPSHOT),
        ("reconnecting", based("true", "true"), Some(slot(5)), at(5), false, stream(Some(5))),
        ("data alone", based("true", "false"), None, None, true, only),
        ("stream alone", based("false", "true"), None, None, true, stream(None)),
        ("neither", based("false", "false"), None, None, true, Start::Nothing),
        ("when_needed, no slot", mode("when_needed"), None, at(5), true, SNAPSHOT),
        ("when_needed, slot ahead", mode("when_needed"), Some(slot(6)), at(5), true, SNAPSHOT),
        (
            "trust_slot",
            config(&[("offset.mismatch.strategy", "trust_slot")]),
            Some(slot(6)),
            at(5),
            true,
            stream(None),
        ),
    ];
    for (name, config, slot, position, fresh, expected) in rows {
        let decided = decide(&config, &facts(), slot.as_ref(), position, fresh).unwrap();
        assert_eq!(decided, expected, "{name}");
    }
}

#[test]
fn a_gap_stops_with_slot_positions_and_remedy() {
    let initial = config(&[]);
    let lost = Slot { lost: true, ..slot(5) };
    for (name, slot, position, words) in [
        ("no slot", None, at(5), vec!["\"s\" does not exist", "0/5", "when_needed"]),
        ("slot ahead", Some(slot(6)), at(5), vec!["\"s\" stands at 0/6", "0/5", "trust_slot"]),
        (
            "slot invalidated",
            Some(lost),
            at(5),
            vec!["\"s\" was invalidated", "max_slot_wal_keep_size"],
        ),
        ("server restored", Some(slot(5)), at(1001), vec!["ends at 0/3E8", "0/3E9"]),
    ] {
        let error = decide(&initial, &facts(), slot.as_ref(), position, true).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Fatal, "{name}");
        for word in words {
            assert!(error.to_string().contains(word), "{name}: {word} in {error}");
        }
    }
    let no_data = config(&[("snapshot.mode", "no_data")]);
    let interrupted = Some(Position::SnapshotInterrupted);
    let error = decide(&no_data, &facts(), None, interrupted, true).unwrap_err();
    assert!(
        error.to_string().starts_with("The connector previously stopped while taking a snapshot")
    );
}

#[test]
fn a_server_that_cannot_serve_is_refused_with_the_remedy() {
    let config = config(&[]);
    let replica = ServerFacts { wal_level: "replica".to_owned(), ..facts() };
    let error = check_server(&config, &replica).unwrap_err();
    assert!(error.to_string().starts_with("Postgres server wal_level property must be 'logical'"));
    assert!(error.to_string().contains("alter system set wal_level = logical"));
    let plain = ServerFacts { may_replicate: false, ..facts() };
    assert_eq!(server_problems(&config, &plain)[0].0, "database.user");
    assert!(check_server(&config, &facts()).is_ok());
    let decoderbufs = PostgresConfig { plugin: "decoderbufs".to_owned(), ..config };
    assert!(check_server(&decoderbufs, &facts()).is_err());
    assert!(check_slot(&decoderbufs, &slot(1)).is_ok());
    assert!(check_slot(&decoderbufs, &Slot { database: "e".to_owned(), ..slot(1) }).is_err());
}

#[test]
fn publications_leave_out_what_is_skipped() {
    assert_eq!(with_clause(&config(&[])), "");
    let skipping = config(&[("skipped.operations", "t"), ("publish.via.partition.root", "true")]);
    assert_eq!(
        with_clause(&skipping),
        " WITH (publish_via_partition_root = true, publish = 'insert,update,delete')"
    );
    assert_eq!(too_old(&skipping, &facts()), None);
    let reason = too_old(&skipping, &ServerFacts { version: 120_022, ..facts() }).unwrap();
    assert!(reason.contains("needs PostgreSQL 13 or newer, the server is version 12"), "{reason}");
}
