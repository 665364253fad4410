//! How large tables are, and what their files are: what planning a snapshot asks of the catalog.

use crate::connector::postgres::client::{Client, Row};
use crate::connector::postgres::wire::{Result, TextRow};

/// A table with its partitions and children: a condition on a row's place holds in each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connector::postgres) struct TableSize {
    pub(super) oid: u32,
    /// Of the largest of them.
    pub(super) largest: u64,
    /// Of all of them.
    pub(in crate::connector::postgres) blocks: u64,
    pub(in crate::connector::postgres) block_bytes: u64,
    /// Changes when one of them gets another file: `vacuum full`, `cluster`, `truncate`, some kinds of
    /// `alter table`, a partition attached or detached.
    pub(super) files: String,
    /// All are in PostgreSQL's own format.
    pub(super) heap: bool,
}

/// The sizes of the tables `oids`. What is gone is left out.
pub(in crate::connector::postgres) async fn table_sizes(
    client: &mut Client,
    oids: &[u32],
) -> Result<Vec<TableSize>> {
    const SQL: &str = "\
        with recursive tree(root, oid) as ( \
            select o, o from unnest($1::oid[]) o \
            union all \
            select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid), \
        measured as ( \
            select t.root, t.oid, coalesce(a.amname = 'heap', false) heap, \
            coalesce(pg_relation_size(t.oid), 0) bytes, \
            coalesce(pg_relation_filenode(t.oid), 0) file \
            from tree t join pg_class c on c.oid = t.oid left join pg_am a on a.oid = c.relam \
            where c.relkind <> 'p') \
        select m.root, max(m.bytes) / b.size, sum(m.bytes)::bigint / b.size, b.size, \
        hashtextextended(string_agg(m.oid || ':' || m.file, ',' order by m.oid), 0), \
        bool_and(m.heap) \
        from measured m, (select current_setting('block_size')::bigint size) b \
        group by m.root, b.size";
    let list: Vec<_> = oids.iter().map(u32::to_string).collect();
    let rows = client.rows(SQL, &[&format!("{{{}}}", list.join(","))]).await?;
    rows.into_iter().map(size).collect()
}

fn size(row: TextRow) -> Result<TableSize> {
    let mut row = Row::new(row);
    Ok(TableSize {
        oid: row.parse()?,
        largest: row.parse()?,
        blocks: row.parse()?,
        block_bytes: row.parse()?,
        files: row.text()?,
        heap: row.boolean()?,
    })
}
