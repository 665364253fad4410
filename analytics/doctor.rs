//! What of the history is worth less than it could be, and the line that mends it.

use serde::Serialize;

use crate::history::{History, TableHistory};

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub table: String,
    pub what: String,
    pub remedy: String,
}

/// What `ExtractNewRecordState` has to be told for exact order and time.
const ADD_FIELDS: &str =
    "transforms.unwrap.add.fields=op,ts_ms,source.ts_ms,source.lsn,source.txId";

/// Looks through a report.
pub fn doctor(history: &History) -> Vec<Finding> {
    history.tables.iter().flat_map(of_table).collect()
}

fn of_table(table: &TableHistory) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |what: String, remedy: &str| {
        findings.push(Finding { table: table.table.clone(), what, remedy: remedy.to_owned() });
    };
    let by_offset = table.order.as_deref() == Some("kafka offset");
    if table.time_is_approximate {
        find(
            format!(
                "times are approximate ({}): as_of is exact only between objects",
                table.time.as_deref().unwrap_or_default()
            ),
            &format!("in the source connector: {ADD_FIELDS}"),
        );
    }
    if by_offset {
        find(
            "changes are ordered by Kafka offset: what a connector sends again after a restart looks \
             like changes, and truncates are invisible"
                .into(),
            &format!("in the source connector: {ADD_FIELDS}"),
        );
    }
    if 0 < table.unresolved_toast {
        find(
            format!(
                "{} versions show NULL for a large value that the source did not repeat and that was \
                 never seen (column _incomplete)",
                table.unresolved_toast
            ),
            "take an incremental snapshot of the table, or set REPLICA IDENTITY FULL",
        );
    }
    if let Some(continuity) = table.continuity.filter(|continuity| 0 < continuity.breaks) {
        find(
            format!(
                "{} of {} updates do not follow from the change before them: changes are missing, or \
                 are not of this source",
                continuity.breaks, continuity.checked
            ),
            "take an incremental snapshot of the table",
        );
    }
    for gap in &table.offset_gaps {
        find(
            format!(
                "partition {}: expected offset {}, got {} after {}: objects are missing, unless the \
                 topic is compacted or written in transactions",
                gap.partition, gap.expected, gap.got, gap.after
            ),
            "look whether the sink has written and a lifecycle rule has removed them",
        );
    }
    for reject in &table.rejects {
        find(
            format!("{} rows were set aside: {}", reject.rows, reject.reason),
            "select * from cdc_rejects names the objects and rows",
        );
    }
    if table.rows_read == 0 {
        find("no row was read".into(), "look whether the sink writes under the source's prefix");
    }
    schema(table, &mut find);
    findings
}

fn schema(table: &TableHistory, find: &mut impl FnMut(String, &str)) {
    let changes = table.schema_changes.iter();
    let added: Vec<_> = changes.filter(|change| change.change.starts_with("added")).collect();
    if added.windows(2).any(|pair| pair[0].at != pair[1].at) {
        find(
            "columns were added later: rows that have not changed since show NULL, even if the source \
             has a default for them"
                .into(),
            "take an incremental snapshot of the table",
        );
    }
    if table.schema_changes.iter().any(|change| change.change.ends_with("became VARCHAR")) {
        find(
            "a column came with types that do not go together and is text now".into(),
            "give it a type of its own in tables.\"TOPIC\".types, and rebuild --from-objects",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_rows_get_the_line_that_makes_them_exact() {
        let bare = TableHistory {
            order: Some("kafka offset".into()),
            time_is_approximate: true,
            rows_read: 1,
            ..TableHistory::default()
        };
        let exact =
            TableHistory { order: Some("lsn".into()), rows_read: 1, ..TableHistory::default() };
        let history = |table| History { tables: vec![table], ..History::default() };
        let found = doctor(&history(bare));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|finding| finding.remedy.contains("add.fields=op,ts_ms")));
        assert_eq!(doctor(&history(exact)), []);
    }
}
