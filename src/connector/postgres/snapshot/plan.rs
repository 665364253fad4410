//! What is read: the tables in order, each cut into chunks that threads take one by one. Pure.

use crate::connector::postgres::client::{TableId, quoted};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::relation::TableShape;
use crate::connector::postgres::snapshot::config::TableOrder;
use crate::connector::postgres::snapshot::progress::{Cut, Progress};
use crate::connector::postgres::snapshot::sizes::TableSize;

/// Ranges of row identifiers are read without scanning the rest from this release on.
const RANGE_SCANS: u32 = 140_000;
/// Cutting finer than this makes more statements than it is worth.
const BLOCKS_MIN: u32 = 16;

/// The tables of a snapshot and what is still to be read of them.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tables: Vec<PlannedTable>,
    /// In the order in which they are taken.
    pub(super) chunks: Vec<Chunk>,
    /// Of all tables, read or not.
    pub(super) blocks: u64,
    /// Of those that an earlier session has read.
    pub(super) blocks_done: u64,
}

#[derive(Debug)]
pub(super) struct PlannedTable {
    pub(super) id: TableId,
    /// `None`: the table is read whole.
    pub(super) cut: Option<Cut>,
    /// How many chunks are to be read.
    pub(super) chunks: usize,
    /// Something of it was read before.
    pub(super) begun: bool,
}

/// What one statement reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// An index of [`Plan::tables`].
    pub(super) table: usize,
    pub(super) part: Part,
    /// For the progress that people see.
    pub(super) blocks: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// The range of this number.
    Range(u32),
    /// Of ranges that an earlier session has read, the rows that came there since.
    Since {
        read: Vec<(u32, Option<u32>)>,
        xmin: u32,
    },
}

/// What planning has to know beside the configuration.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) version: u32,
    pub(super) sizes: &'a [TableSize],
    /// Of the snapshot that is read.
    pub(super) xmin: u32,
    /// All statements see the same rows.
    pub(super) stable: bool,
    /// What was read before, from which this takes what no longer holds.
    pub(super) progress: &'a mut Progress,
}

impl Plan {
    /// Cuts `tables`, which stand in the order of the lists.
    pub(super) fn new(
        config: &PostgresConfig,
        mut tables: Vec<TableId>,
        circumstances: Circumstances<'_>,
    ) -> Self {
        match config.snapshot.order {
            TableOrder::AsListed => {}
            TableOrder::FewRowsFirst => tables.sort_by_key(|table| table.rows_estimate),
            TableOrder::ManyRowsFirst => {
                tables.sort_by_key(|table| std::cmp::Reverse(table.rows_estimate));
            }
        }
        let Circumstances { version, sizes, xmin, stable, progress } = circumstances;
        let mut plan = Self { tables: Vec::new(), chunks: Vec::new(), blocks: 0, blocks_done: 0 };
        for id in tables {
            let size = sizes.iter().find(|size| size.oid == id.oid);
            let blocks = size.map_or(0, |size| size.blocks);
            plan.blocks += blocks;
            if progress.is_finished(id.oid) {
                plan.blocks_done += blocks;
                continue;
            }
            let ranged = stable
                && version >= RANGE_SCANS
                && !config.snapshot.whole_tables
                && !config.snapshot.statements.contains_key(&id.name());
            let cut = size.filter(|size| ranged && size.heap).map(|size| Cut {
                blocks: range_blocks(config, &id, size.largest),
                ranges: 0,
                files: size.files.clone(),
                xmin,
            });
            plan.add(id, cut, size.map_or(0, |size| size.largest), blocks, progress);
        }
        plan
    }

    fn add(
        &mut self,
        id: TableId,
        cut: Option<Cut>,
        largest: u64,
        blocks: u64,
        progress: &mut Progress,
    ) {
        let table = self.tables.len();
        let first = self.chunks.len();
        let earlier = progress
            .begun(id.oid)
            .filter(|begun| cut.as_ref().is_some_and(|cut| cut.files == begun.cut.files));
        let mut begun = false;
        let cut = match (cut, earlier) {
            (None, _) => {
                self.chunks.push(Chunk { table, part: Part::Whole, blocks });
                None
            }
            (Some(_), Some(earlier)) => {
                begun = true;
                let ranges = earlier.cut.ranges;
                let each = blocks / u64::from(ranges.max(1));
                let read = earlier.read().collect();
                let part = Part::Since { read, xmin: earlier.cut.xmin };
                self.chunks.push(Chunk { table, part, blocks: 0 });
                for range in 0..ranges {
                    if earlier.is_done(range) {
                        self.blocks_done += each;
                    } else {
                        self.chunks.push(Chunk { table, part: Part::Range(range), blocks: each });
                    }
                }
                Some(earlier.cut.clone())
            }
            (Some(cut), None) => {
                let ranges = largest.div_ceil(u64::from(cut.blocks)).max(1);
                let ranges = u32::try_from(ranges).unwrap_or(u32::MAX);
                let each = blocks / u64::from(ranges);
                let chunk = |range| Chunk { table, part: Part::Range(range), blocks: each };
                self.chunks.extend((0..ranges).map(chunk));
                Some(Cut { ranges, ..cut })
            }
        };
        if !begun {
            progress.forget(id.oid);
        }
        let chunks = self.chunks.len() - first;
        self.tables.push(PlannedTable { id, cut, chunks, begun });
    }
}

/// So many that each thread has something to do, and not more than a crash may cost.
fn range_blocks(config: &PostgresConfig, id: &TableId, largest: u64) -> u32 {
    let snapshot = &config.snapshot;
    let multiplier = snapshot.multipliers.get(&id.name()).copied().unwrap_or(snapshot.multiplier);
    let wanted = u64::try_from(snapshot.threads.saturating_mul(multiplier)).unwrap_or(u64::MAX);
    if wanted <= 1 {
        return snapshot.chunk_blocks;
    }
    let each = u32::try_from(largest.div_ceil(wanted)).unwrap_or(u32::MAX);
    each.max(BLOCKS_MIN).min(snapshot.chunk_blocks)
}

/// The columns of `shape` that are read at all: what the filter leaves out is not, unless the key
/// needs it.
pub(in crate::connector::postgres) fn keep_read_columns(
    shape: &mut TableShape,
    config: &PostgresConfig,
) {
    let filters = &config.filters;
    let (schema, table) = (shape.schema.clone(), shape.table.clone());
    let read = |column: &str| filters.has_column(&schema, &table, column);
    if shape.columns.iter().any(|column| read(&column.name)) {
        let key = shape.key.clone();
        let mapped = !config.key_columns.is_empty();
        shape.columns.retain(|column| mapped || read(&column.name) || key.contains(&column.name));
    }
}

/// The statement that reads a part of a table. `overridden`: instead of the table.
pub(super) fn statement(
    id: &TableId,
    shape: &TableShape,
    cut: Option<&Cut>,
    part: &Part,
    overridden: Option<&str>,
) -> String {
    let columns: Vec<_> = shape.columns.iter().map(|column| quoted(&column.name)).collect();
    let columns = columns.join(", ");
    if let Some(statement) = overridden {
        // The statement may give the columns in any order, so they are picked by name.
        let statement = statement.trim_end().trim_end_matches(';');
        return format!("copy (select {columns} from ({statement}) as overridden) to stdout");
    }
    let range = |first: u32, end: Option<u32>| {
        let start = format!("ctid >= '({first},0)'::tid");
        match end {
            Some(end) => format!("{start} and ctid < '({end},0)'::tid"),
            None => start,
        }
    };
    let condition = match (part, cut) {
        (Part::Whole, _) | (Part::Range(_), None) => String::new(),
        (Part::Range(number), Some(cut)) => {
            let end = (number + 1 < cut.ranges).then(|| (number + 1).saturating_mul(cut.blocks));
            format!(" where {}", range(number.saturating_mul(cut.blocks), end))
        }
        (Part::Since { read, xmin }, _) => {
            let ranges: Vec<_> =
                read.iter().map(|(first, end)| format!("({})", range(*first, *end))).collect();
            format!(" where ({}) and age(xmin) <= age('{xmin}'::xid)", ranges.join(" or "))
        }
    };
    format!("copy (select {columns} from {}{condition}) to stdout", id.quoted())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
pub(super) mod tests;
