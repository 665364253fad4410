//! Source offsets in the original's JSON (Debezium, `PostgresOffsetContext`), so that an offset that
//! one wrote is a valid start for the other. Members come in the original's order.

use std::sync::Arc;

use serde::Deserialize;

use crate::connector::OffsetChange;
use crate::connector::postgres::generation::Generation;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::snapshot::MEMBER;
use crate::data::SourceOffset;
use crate::error::ConnectError;

/// What a stored offset says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// A snapshot began and did not end: its rows have to be read again.
    SnapshotInterrupted,
    /// All that was committed before this is stored.
    Streaming {
        resume: Lsn,
        /// The first member of `source.sequence`.
        last_commit: Option<Lsn>,
    },
}

#[derive(Debug, Deserialize)]
struct Members {
    #[serde(default)]
    lsn: Option<i64>,
    #[serde(default)]
    lsn_proc: Option<i64>,
    #[serde(default)]
    lsn_commit: Option<i64>,
    #[serde(default, rename = "txId")]
    xid: Option<i64>,
    #[serde(default, rename = "messageType")]
    message_type: Option<String>,
    #[serde(default)]
    snapshot: Option<serde_json::Value>,
    #[serde(default)]
    last_snapshot_record: Option<bool>,
    #[serde(default)]
    snapshot_completed: Option<bool>,
}

impl Position {
    /// Reads an offset that this or the original wrote.
    pub(super) fn parse(offset: &str) -> Result<Self, String> {
        let members: Members =
            serde_json::from_str(offset).map_err(|error| format!("{error}: {offset}"))?;
        let finished =
            members.last_snapshot_record == Some(true) || members.snapshot_completed == Some(true);
        if is_initial(members.snapshot.as_ref()) && !finished {
            return Ok(Self::SnapshotInterrupted);
        }
        let lsn = |number: i64| Lsn(number.cast_unsigned());
        let resume = members.lsn_proc.or(members.lsn).map(lsn);
        let resume = resume.ok_or_else(|| format!("neither lsn_proc nor lsn in {offset}"))?;
        let last_commit = members.lsn_commit.or(members.lsn_proc).map(lsn);
        Ok(Self::Streaming { resume, last_commit })
    }
}

/// The transaction that an offset lies inside of, as only the original writes them, and the position of
/// the last row that was handed out. That row may have others at its position, of which nothing is
/// known: COPY writes many at once.
pub(super) fn inside_transaction(offset: &str) -> Option<(u32, Lsn)> {
    let members: Members = serde_json::from_str(offset).ok()?;
    let row = ["INSERT", "UPDATE", "DELETE", "TRUNCATE"];
    row.contains(&members.message_type?.as_str()).then_some(())?;
    Some((u32::try_from(members.xid?).ok()?, Lsn(members.lsn_proc?.cast_unsigned())))
}

/// The initial snapshot; 2.x wrote true.
fn is_initial(snapshot: Option<&serde_json::Value>) -> bool {
    match snapshot {
        Some(serde_json::Value::Bool(snapshot)) => *snapshot,
        Some(serde_json::Value::String(kind)) => {
            kind.eq_ignore_ascii_case("INITIAL") || kind.eq_ignore_ascii_case("true")
        }
        _ => false,
    }
}

/// Whether `change` is one that a connector of this `topic.prefix` can go on from. Any partition may
/// be forgotten.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_change(prefix: &str, change: &OffsetChange) -> Result<(), ConnectError> {
    let Some(offset) = &change.offset else { return Ok(()) };
    let expected = serde_json::json!({ "server": prefix });
    if change.partition.as_ref() != expected.as_object() {
        return Err(ConnectError::config(format!(
            "The partition of this connector is {expected}, with its topic.prefix as server"
        )));
    }
    let text = serde_json::Value::Object(offset.clone()).to_string();
    Position::parse(&text).map(|_| ()).map_err(|reason| {
        ConnectError::config(format!(
            "The offset of this connector needs the WAL position as number, lsn or lsn_proc: \
             {reason}"
        ))
    })
}

/// Writes the offsets of one source partition.
#[derive(Debug, Clone)]
pub(super) struct Offsets {
    partition: Arc<str>,
    generation: Generation,
}

impl Offsets {
    /// For the logical server `topic.prefix`.
    pub(super) fn new(prefix: &str) -> Self {
        let partition = serde_json::json!({ "server": prefix }).to_string().into();
        Self { partition, generation: Generation::Three }
    }

    /// The same in the form of a generation.
    pub(super) fn of_generation(self, generation: Generation) -> Self {
        Self { generation, ..self }
    }

    /// The newest of `stored` that is of this partition, whatever the order of its members.
    pub(super) fn find<'a>(&self, stored: &'a [SourceOffset]) -> Option<&'a SourceOffset> {
        let server = |text: &str| {
            let members: serde_json::Value = serde_json::from_str(text).ok()?;
            Some(members.get("server")?.clone())
        };
        let own = server(&self.partition);
        stored.iter().rev().find(|offset| server(&offset.partition) == own)
    }

    /// Behind a commit that ends at `lsn`.
    pub(super) fn committed(&self, lsn: Lsn, xid: Option<u32>, ts_usec: i64) -> SourceOffset {
        let lsn = lsn.0.cast_signed();
        let xid = xid.map(|xid| format!(",\"txId\":{xid}")).unwrap_or_default();
        // The older generation says that no transaction is open.
        let open = match self.generation {
            Generation::Two => "\"transaction_id\":null,",
            Generation::Three => "",
        };
        self.offset(format!(
            "{{{open}\"lsn_proc\":{lsn},\"messageType\":\"COMMIT\",\"lsn_commit\":{lsn},\
             \"lsn\":{lsn}{xid},\"ts_usec\":{ts_usec}}}"
        ))
    }

    /// The same offset with more `members`, each behind a comma.
    pub(super) fn extended(offset: &SourceOffset, members: &str) -> SourceOffset {
        let text = offset.offset.strip_suffix('}').unwrap_or(&offset.offset);
        SourceOffset {
            partition: offset.partition.clone(),
            offset: format!("{text}{members}}}").into(),
        }
    }

    /// In a snapshot as of `snapshot`; `completed`: its rows are all there.
    pub(super) fn snapshot(&self, snapshot: SnapshotPoint, completed: bool) -> SourceOffset {
        self.offset(format!("{}}}", self.snapshot_members(snapshot, completed)))
    }

    /// In a snapshot that has come as far as `progress` says.
    pub(super) fn interrupted(&self, snapshot: SnapshotPoint, progress: &str) -> SourceOffset {
        let progress = serde_json::Value::from(progress);
        let members = self.snapshot_members(snapshot, false);
        self.offset(format!("{members},\"{MEMBER}\":{progress}}}"))
    }

    /// Behind a snapshot, before anything was streamed.
    pub(super) fn after_snapshot(&self, snapshot: SnapshotPoint) -> SourceOffset {
        let lsn = snapshot.lsn.0.cast_signed();
        let xid = snapshot.xid.map(|xid| format!(",\"txId\":{xid}")).unwrap_or_default();
        let ts_usec = snapshot.ts_usec;
        self.offset(format!("{{\"lsn\":{lsn}{xid},\"ts_usec\":{ts_usec}}}"))
    }

    /// All but the closing brace.
    fn snapshot_members(&self, snapshot: SnapshotPoint, completed: bool) -> String {
        let lsn = snapshot.lsn.0.cast_signed();
        let xid = snapshot.xid.map(|xid| format!(",\"txId\":{xid}")).unwrap_or_default();
        let ts_usec = snapshot.ts_usec;
        let kind = match self.generation {
            Generation::Two => "\"snapshot\":true".to_owned(),
            Generation::Three => {
                format!("\"snapshot\":\"INITIAL\",\"snapshot_completed\":{completed}")
            }
        };
        format!(
            "{{\"last_snapshot_record\":{completed},\"lsn\":{lsn}{xid},\"ts_usec\":{ts_usec},{kind}"
        )
    }

    fn offset(&self, text: String) -> SourceOffset {
        SourceOffset { partition: self.partition.clone(), offset: text.into() }
    }
}

/// As of when a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SnapshotPoint {
    pub(super) lsn: Lsn,
    pub(super) xid: Option<i64>,
    /// Microseconds since 1970.
    pub(super) ts_usec: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streaming(resume: u64, last_commit: Option<u64>) -> Position {
        Position::Streaming { resume: Lsn(resume), last_commit: last_commit.map(Lsn) }
    }

    #[test]
    fn offsets_inside_a_transaction_are_told_apart() {
        let row = r#"{"lsn_proc":144569048,"messageType":"INSERT","lsn":144569048,"txId":4359,"ts_usec":1795628452048352}"#;
        assert_eq!(inside_transaction(row), Some((4359, Lsn(144_569_048))));
        let own = Offsets::new("srv").committed(Lsn(7), Some(3), 1);
        assert_eq!(inside_transaction(&own.offset), None);
    }

    #[test]
    fn offsets_of_the_original_are_read() {
        // Observed offsets of 3.6 and 2.3.
        for (text, expected) in [
            (
                r#"{"last_snapshot_record":false,"lsn":40840144,"txId":836,"ts_usec":1795331560087723,"snapshot":"INITIAL","snapshot_completed":false}"#,
                Position::SnapshotInterrupted,
            ),
            (
                r#"{"last_snapshot_record":true,"lsn":40840144,"txId":836,"ts_usec":1795331560087723,"snapshot":"INITIAL","snapshot_completed":true}"#,
                streaming(40_840_144, None),
            ),
            (r#"{"lsn":40840144,"txId":836,"ts_usec":1}"#, streaming(40_840_144, None)),
            (
                r#"{"lsn_proc":57239168,"messageType":"INSERT","lsn_commit":57239160,"lsn":57239168,"txId":1118,"ts_usec":1}"#,
                streaming(57_239_168, Some(57_239_160)),
            ),
            (
                r#"{"transaction_id":null,"lsn_proc":7,"lsn":7,"txId":1,"ts_usec":1}"#,
                streaming(7, Some(7)),
            ),
            (
                r#"{"last_snapshot_record":true,"lsn":5,"txId":1,"ts_usec":1,"snapshot":true}"#,
                streaming(5, None),
            ),
            (r#"{"lsn":5,"ts_usec":1,"snapshot":"true"}"#, Position::SnapshotInterrupted),
        ] {
            assert_eq!(Position::parse(text), Ok(expected), "{text}");
        }
        for text in ["{}", "null", "{\"lsn\":\"5\"}", "x"] {
            assert!(Position::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn offsets_are_written_as_the_original_does() {
        let offsets = Offsets::new("cdc");
        assert_eq!(offsets.partition.as_ref(), r#"{"server":"cdc"}"#);
        let committed = offsets.committed(Lsn(59_106_008), Some(1241), 1_795_332_753_236_074);
        assert_eq!(
            committed.offset.as_ref(),
            r#"{"lsn_proc":59106008,"messageType":"COMMIT","lsn_commit":59106008,"lsn":59106008,"txId":1241,"ts_usec":1795332753236074}"#
        );
        assert_eq!(Position::parse(&committed.offset), Ok(streaming(59_106_008, Some(59_106_008))));
        let point = SnapshotPoint { lsn: Lsn(40_840_144), xid: Some(836), ts_usec: 1 };
        assert_eq!(
            offsets.snapshot(point, true).offset.as_ref(),
            r#"{"last_snapshot_record":true,"lsn":40840144,"txId":836,"ts_usec":1,"snapshot":"INITIAL","snapshot_completed":true}"#
        );
        assert_eq!(
            offsets.after_snapshot(point).offset.as_ref(),
            r#"{"lsn":40840144,"txId":836,"ts_usec":1}"#
        );
        let older = offsets.clone().of_generation(Generation::Two);
        assert_eq!(
            older.committed(Lsn(7), None, 1).offset.as_ref(),
            r#"{"transaction_id":null,"lsn_proc":7,"messageType":"COMMIT","lsn_commit":7,"lsn":7,"ts_usec":1}"#
        );
        assert_eq!(
            older.snapshot(point, false).offset.as_ref(),
            r#"{"last_snapshot_record":false,"lsn":40840144,"txId":836,"ts_usec":1,"snapshot":true}"#
        );
        let interrupted = offsets.snapshot(point, false);
        assert_eq!(Position::parse(&interrupted.offset), Ok(Position::SnapshotInterrupted));
    }

    #[test]
    fn a_change_has_to_be_one_to_go_on_from() {
        let change = |partition: serde_json::Value, offset: serde_json::Value| OffsetChange {
            partition: partition.as_object().cloned(),
            offset: offset.as_object().cloned(),
        };
        let own = serde_json::json!({"server": "cdc"});
        let other = serde_json::json!({"server": "other"});
        let null = serde_json::Value::Null;
        for (name, partition, offset, fine) in [
            ("position", &own, serde_json::json!({"lsn": 7, "ts_usec": 1}), true),
            ("forgotten", &own, null.clone(), true),
            ("forgotten other", &other, null.clone(), true),
            ("other", &other, serde_json::json!({"lsn": 7}), false),
            ("no partition", &null, serde_json::json!({"lsn": 7}), false),
            ("no position", &own, serde_json::json!({"position": 7}), false),
            ("a text", &own, serde_json::json!({"lsn": "0/7"}), false),
        ] {
            let checked = check_change("cdc", &change(partition.clone(), offset));
            assert_eq!(checked.is_ok(), fine, "{name}: {checked:?}");
        }
    }

    #[test]
    fn the_offset_of_the_partition_is_found() {
        let offsets = Offsets::new("cdc");
        let offset = |server: &str| SourceOffset {
            partition: format!("{{ \"server\": \"{server}\" }}").into(),
            offset: "{}".into(),
        };
        let stored = [offset("other"), offset("cdc")];
        assert_eq!(offsets.find(&stored), Some(&stored[1]));
        assert_eq!(offsets.find(&stored[..1]), None);
    }
}
