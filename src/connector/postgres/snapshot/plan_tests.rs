//! How tables are cut, and what a restart reads again.

use super::*;
use crate::config::Props;
use crate::connector::postgres::client::CatalogTable;

pub(in crate::connector::postgres::snapshot) fn config(more: &[(&str, &str)]) -> PostgresConfig {
    let base = [
        ("topic.prefix", "cdc"),
        ("database.hostname", "h"),
        ("database.user", "u"),
        ("database.dbname", "d"),
        ("plugin.name", "pgoutput"),
        ("internal.snapshot.chunk.blocks", "100"),
    ];
    let pairs = base.iter().chain(more);
    let props: Props = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    PostgresConfig::new(&props).unwrap()
}

pub(in crate::connector::postgres::snapshot) fn table(oid: u32, rows: i64) -> TableId {
    TableId {
        oid,
        schema: "s".to_owned(),
        table: format!("t{oid}"),
        rows_estimate: rows,
        readable: true,
    }
}

pub(in crate::connector::postgres::snapshot) fn size(oid: u32, blocks: u64) -> TableSize {
    TableSize { oid, largest: blocks, blocks, block_bytes: 8192, files: "f".to_owned(), heap: true }
}

fn planned(
    config: &PostgresConfig,
    sizes: &[TableSize],
    version: u32,
    stable: bool,
    progress: &mut Progress,
) -> Vec<(u32, Part)> {
    let tables = sizes.iter().map(|size| table(size.oid, i64::from(size.oid))).collect();
    let circumstances = Circumstances { version, sizes, xmin: 50, stable, progress };
    let plan = Plan::new(config, tables, circumstances);
    for (number, table) in plan.tables.iter().enumerate() {
        let chunks = plan.chunks.iter().filter(|chunk| chunk.table == number).count();
        assert_eq!(table.chunks, chunks, "of {}", table.id.name());
    }
    plan.chunks.iter().map(|chunk| (plan.tables[chunk.table].id.oid, chunk.part.clone())).collect()
}

fn ranges(oid: u32, numbers: std::ops::Range<u32>) -> Vec<(u32, Part)> {
    numbers.map(|number| (oid, Part::Range(number))).collect()
}

#[test]
fn large_tables_are_cut_where_the_server_can_read_ranges() {
    let whole = || vec![(1, Part::Whole)];
    let two = &[("snapshot.max.threads", "2")][..];
    let overridden = &[
        ("snapshot.select.statement.overrides", "s.t1"),
        ("snapshot.select.statement.overrides.s.t1", "select 1"),
    ][..];
    let own = &[("snapshot.max.threads", "2"), ("snapshot.max.threads.multiplier.s.t1", "3")][..];
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u64, u32, bool, Vec<(u32, Part)>);
    let rows: [Row<'_>; 9] = [
        ("an empty table", &[], 0, 150_000, true, ranges(1, 0..1)),
        ("a small table", &[], 100, 150_000, true, ranges(1, 0..1)),
        ("a large table", &[], 250, 150_000, true, ranges(1, 0..3)),
        ("something for both threads", two, 120, 150_000, true, ranges(1, 0..2)),
        ("a multiplier of its own", own, 120, 150_000, true, ranges(1, 0..6)),
        ("an old server", &[], 250, 130_000, true, whole()),
        ("statements that see different rows", &[], 250, 150_000, false, whole()),
        ("an own statement", overridden, 250, 150_000, true, whole()),
        ("legacy", &[("legacy.snapshot.max.threads", "true")], 250, 150_000, true, whole()),
    ];
    for (name, more, blocks, version, stable, expected) in rows {
        let mut progress = Progress::default();
        let sizes = [size(1, blocks)];
        let chunks = planned(&config(more), &sizes, version, stable, &mut progress);
        assert_eq!(chunks, expected, "{name}");
    }
    let foreign = [TableSize { heap: false, ..size(1, 250) }];
    let chunks = planned(&config(&[]), &foreign, 150_000, true, &mut Progress::default());
    assert_eq!(chunks, whole(), "another format");
}

#[test]
fn tables_come_in_the_order_that_was_asked_for() {
    let sizes = [size(2, 1), size(9, 1), size(5, 1)];
    for (order, expected) in
        [("disabled", [2, 9, 5]), ("ascending", [2, 5, 9]), ("descending", [9, 5, 2])]
    {
        let config = config(&[("snapshot.tables.order.by.row.count", order)]);
        let chunks = planned(&config, &sizes, 150_000, true, &mut Progress::default());
        let oids: Vec<_> = chunks.iter().map(|(oid, _)| *oid).collect();
        assert_eq!(oids, expected, "{order}");
    }
}

#[test]
fn what_was_read_is_not_read_again() {
    let cut = Cut { blocks: 100, ranges: 4, files: "f".to_owned(), xmin: 7 };
    let mut progress = Progress::default();
    progress.table_done(1);
    progress.range_done(2, &cut, 0);
    progress.range_done(2, &cut, 1);
    progress.range_done(2, &cut, 3);
    progress.range_done(3, &cut, 0);
    let mut rewritten = size(3, 150);
    rewritten.files = "other".to_owned();
    // Its open end has grown: it was read, and what came there since is read with the rest.
    let sizes = [size(1, 500), size(2, 900), rewritten];
    let chunks = planned(&config(&[]), &sizes, 150_000, true, &mut progress);
    let since = Part::Since { read: vec![(0, Some(200)), (300, None)], xmin: 7 };
    let mut expected = vec![(2, since), (2, Part::Range(2))];
    expected.extend(ranges(3, 0..2));
    assert_eq!(chunks, expected);
    assert!(progress.begun(3).is_none(), "the rewritten table is read from its beginning");
    // A server that cannot read ranges any more (a restore to an older one) starts the table again.
    let chunks = planned(&config(&[]), &sizes, 130_000, true, &mut progress);
    assert_eq!(chunks, [(2, Part::Whole), (3, Part::Whole)]);
}

#[test]
fn statements_cover_each_block_once() {
    let cut = Cut { blocks: 100, ranges: 2, files: String::new(), xmin: 7 };
    let shape = TableShape::read("s", "t1", CatalogTable::default());
    let of = |part: Part| statement(&table(1, 0), &shape, Some(&cut), &part, None);
    for (part, expected) in [
        (Part::Whole, ""),
        (Part::Range(0), " where ctid >= '(0,0)'::tid and ctid < '(100,0)'::tid"),
        (Part::Range(1), " where ctid >= '(100,0)'::tid"),
        (
            Part::Since { read: vec![(0, Some(100)), (200, None)], xmin: 7 },
            " where ((ctid >= '(0,0)'::tid and ctid < '(100,0)'::tid) or (ctid >= \
             '(200,0)'::tid)) and age(xmin) <= age('7'::xid)",
        ),
    ] {
        assert_eq!(of(part), format!("copy (select  from \"s\".\"t1\"{expected}) to stdout"));
    }
    let overridden = statement(&table(1, 0), &shape, None, &Part::Whole, Some("select 1; "));
    assert_eq!(overridden, "copy (select  from (select 1) as overridden) to stdout");
}
