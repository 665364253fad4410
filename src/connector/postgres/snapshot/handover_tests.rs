//! Markers and progress, whatever the order in which readers read.

use super::*;
use crate::connector::postgres::client::{CatalogColumn, CatalogTable, Types};
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::relation::{Relation, TableShape};
use crate::connector::postgres::snapshot::Interrupted;
use crate::connector::postgres::snapshot::plan::Circumstances;
use crate::connector::postgres::snapshot::plan::tests::{config, size, table};
use crate::connector::postgres::type_mapping::{PgKind, PgType};

const POINT: SnapshotPoint = SnapshotPoint { lsn: Lsn(5), xid: Some(6), ts_usec: 7 };

/// A handover of tables with so many blocks, a hundred to a chunk.
struct Played {
    handover: Handover,
    shape: Arc<ReadTable>,
    seen: Vec<String>,
}

impl Played {
    fn new(blocks: &[u64], mut progress: Progress) -> Self {
        let config = config(&[]);
        let oids = 1..=u32::try_from(blocks.len()).unwrap();
        let sizes: Vec<_> = oids.zip(blocks).map(|(oid, blocks)| size(oid, *blocks)).collect();
        let tables = sizes.iter().map(|size| table(size.oid, 0)).collect();
        let circumstances = Circumstances {
            version: 150_000,
            sizes: &sizes,
            xmin: 3,
            stable: true,
            progress: &mut progress,
        };
        let plan = Arc::new(Plan::new(&config, tables, circumstances));
        let column = CatalogColumn {
            name: "id".to_owned(),
            type_oid: 23,
            modifier: -1,
            not_null: true,
            default: None,
        };
        let catalog = CatalogTable { columns: vec![column], key: vec!["id".to_owned()] };
        let shape = TableShape::read("s", "t", catalog);
        let ty = PgType { name: "int4".to_owned(), elsewhere: None, kind: PgKind::Base };
        let types: Types = [(23, Arc::new(ty))].into();
        let (relation, plans) = Relation::read(&shape, &types, &config, POINT.into()).unwrap();
        let shape = Arc::new(ReadTable { relation, plans });
        let handover = Handover::new(plan, Offsets::new("cdc"), POINT, progress);
        Self { handover, shape, seen: Vec::new() }
    }

    /// A batch of `table`, of which `name` is in the outcome.
    fn rows(&mut self, table: usize, name: &'static str) -> &mut Self {
        let (shape, bytes) = (self.shape.clone(), Bytes::from_static(name.as_bytes()));
        let given = self.handover.take(Read::Rows { table, shape, bytes, rows: 2 });
        self.see(given)
    }

    fn end(&mut self, chunk: usize) -> &mut Self {
        let given = self.handover.take(Read::ChunkEnd(chunk));
        self.see(given)
    }

    fn finish(&mut self) -> Vec<String> {
        let given = self.handover.finish();
        self.see(given);
        std::mem::take(&mut self.seen)
    }

    fn see(&mut self, given: Vec<Given>) -> &mut Self {
        for given in given {
            let (mut text, offset) = match given {
                Given::At(offset) => ("at".to_owned(), offset),
                Given::Rows(chunk) => {
                    let mut text = String::from_utf8(chunk.bytes.to_vec()).unwrap();
                    for (flag, name) in [
                        (chunk.first_of_snapshot, " first"),
                        (chunk.first_of_table, " first-in-table"),
                        (chunk.last_of_table, " last-in-table"),
                        (chunk.last_of_snapshot, " last"),
                    ] {
                        text.push_str(if flag { name } else { "" });
                    }
                    (text, chunk.offset)
                }
            };
            let progress = Interrupted::parse(&offset.offset).unwrap().progress;
            text.push_str(" | ");
            text.push_str(&progress.text());
            self.seen.push(text);
        }
        self
    }
}

const NOTHING: &str = r#"{"finished":[],"begun":{}}"#;

fn begun(table: u32, ranges: u32, done: &str) -> String {
    format!(r#""{table}":{{"blocks":100,"ranges":{ranges},"files":"f","xmin":3,"done":[{done}]}}"#)
}

#[test]
fn chunks_of_one_table_may_end_in_any_order() {
    let mut played = Played::new(&[200], Progress::default());
    played.rows(0, "a1").rows(0, "b1").rows(0, "b2").end(1).rows(0, "a2").end(0);
    let one = format!(r#"{{"finished":[],"begun":{{{}}}}}"#, begun(1, 2, "[1,1]"));
    assert_eq!(
        played.finish(),
        [
            format!("a1 first first-in-table | {NOTHING}"),
            format!("b1 | {NOTHING}"),
            format!("b2 | {one}"),
            r#"a2 last-in-table last | {"finished":[1],"begun":{}}"#.to_owned(),
        ]
    );
}

#[test]
fn a_chunk_without_rows_ends_with_the_batch_that_is_kept_back() {
    let mut played = Played::new(&[300, 0], Progress::default());
    played.end(0);
    let first = format!(r#"{{"finished":[],"begun":{{{}}}}}"#, begun(1, 3, "[0,0]"));
    assert_eq!(std::mem::take(&mut played.seen), [format!("at | {first}")]);
    // The empty table that comes last takes nothing from the last row.
    played.rows(0, "b").end(1).end(2).end(3);
    assert_eq!(played.handover.tables_left(), 0);
    let seen = played.finish();
    assert_eq!(
        seen,
        [
            format!(r#"at | {{"finished":[2],"begun":{{{}}}}}"#, begun(1, 3, "[0,0]")),
            r#"b first first-in-table last-in-table last | {"finished":[1,2],"begun":{}}"#
                .to_owned(),
        ]
    );
}

#[test]
fn tables_that_are_read_side_by_side_each_have_a_first_and_a_last() {
    let mut played = Played::new(&[100, 100], Progress::default());
    played.rows(0, "a1").rows(1, "b1").rows(0, "a2").end(0).rows(1, "b2").end(1);
    let names: Vec<_> =
        played.finish().iter().map(|text| text.split(" | ").next().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        [
            "a1 first first-in-table",
            "a2 last-in-table",
            "b1 first-in-table",
            "b2 last-in-table last"
        ]
    );
}

#[test]
fn a_snapshot_that_is_gone_on_with_has_no_second_first() {
    let mut before = Played::new(&[200, 100], Progress::default());
    before.rows(0, "a1").end(0).rows(0, "b1");
    let offset = before.handover.offset().clone();
    let progress = Interrupted::parse(&offset.offset).unwrap().progress;
    let mut played = Played::new(&[200, 100], progress);
    // What came into the read range since, the other range, the other table.
    played.end(0).rows(0, "b1").end(1).rows(1, "c").end(2);
    let names: Vec<_> =
        played.finish().iter().map(|text| text.split(" | ").next().unwrap().to_owned()).collect();
    assert_eq!(names, ["at", "b1 last-in-table", "c first-in-table last-in-table last"]);
}
