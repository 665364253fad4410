//! The statements that read a table chunk by chunk, in the order of a key. Pure.

use crate::connector::postgres::client::{TableId, literal, quoted};

/// A column that chunks are ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderColumn {
    pub(super) name: String,
    pub(super) nullable: bool,
}

/// The values of these columns in a row.
pub(super) type Key = Vec<Option<String>>;

/// Which table is read, and how.
#[derive(Debug)]
pub(super) struct ChunkQuery<'a> {
    pub(super) table: &'a TableId,
    /// Of records.
    pub(super) columns: &'a [String],
    pub(super) order: &'a [OrderColumn],
    /// A condition of whoever asked.
    pub(super) filter: Option<&'a str>,
}

impl ChunkQuery<'_> {
    /// Reads the largest key.
    pub(super) fn maximum(&self) -> String {
        let columns: Vec<_> = self.order.iter().map(|column| quoted(&column.name)).collect();
        let order: Vec<_> = columns.iter().map(|column| format!("{column} desc")).collect();
        let condition = self.filter.map(|filter| format!(" where ({filter})")).unwrap_or_default();
        format!(
            "select {} from {}{condition} order by {} limit 1",
            columns.join(", "),
            self.table.quoted(),
            order.join(", ")
        )
    }

    /// Reads at most `rows` rows behind `last` and not behind `maximum`: the columns that order, and
    /// then those of records.
    pub(super) fn chunk(&self, last: Option<&Key>, maximum: &Key, rows: i64) -> String {
        let order: Vec<_> = self.order.iter().map(|column| quoted(&column.name)).collect();
        let order = order.join(", ");
        let columns: Vec<_> = self.columns.iter().map(|column| quoted(column)).collect();
        let mut conditions = Vec::new();
        conditions.extend(last.map(|last| behind(self.order, last)));
        conditions.push(format!("not ({})", behind(self.order, maximum)));
        conditions.extend(self.filter.map(|filter| format!("({filter})")));
        format!(
            "copy (select {order}, {} from {} where {} order by {order} limit {rows}) to stdout",
            columns.join(", "),
            self.table.quoted(),
            conditions.join(" and ")
        )
    }
}

/// The condition of rows that come behind `key`; nulls come last.
fn behind(order: &[OrderColumn], key: &Key) -> String {
    let simple = order.iter().zip(key).all(|(column, value)| !column.nullable && value.is_some());
    let columns: Vec<_> = order.iter().map(|column| quoted(&column.name)).collect();
    if simple {
        // A form that an index serves.
        let values: Vec<_> = key.iter().flatten().map(|value| literal(value)).collect();
        return match (columns.as_slice(), values.as_slice()) {
            ([column], [value]) => format!("{column} > {value}"),
            _ => format!("row({}) > row({})", columns.join(", "), values.join(", ")),
        };
    }
    let mut alternatives = Vec::new();
    let mut equal: Vec<String> = Vec::new();
    for (column, value) in columns.iter().zip(key) {
        let Some(value) = value else {
            // Nothing comes behind null.
            equal.push(format!("{column} is null"));
            continue;
        };
        let value = literal(value);
        let mut alternative = equal.clone();
        alternative.push(format!("({column} > {value} or {column} is null)"));
        alternatives.push(alternative.join(" and "));
        equal.push(format!("{column} = {value}"));
    }
    match alternatives.is_empty() {
        true => "false".to_owned(),
        false => format!("({})", alternatives.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(columns: &[(&str, bool)]) -> Vec<OrderColumn> {
        let column = |(name, nullable): &(&str, bool)| OrderColumn {
            name: (*name).to_owned(),
            nullable: *nullable,
        };
        columns.iter().map(column).collect()
    }

    fn key(values: &[Option<&str>]) -> Key {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn what_comes_behind_a_key() {
        type Row<'a> = (&'a [(&'a str, bool)], &'a [Option<&'a str>], &'a str);
        let rows: [Row<'_>; 6] = [
            (&[("k", false)], &[Some("5")], "\"k\" > '5'"),
            (&[("k", false)], &[Some("it's")], "\"k\" > 'it''s'"),
            (
                &[("a", false), ("b", false)],
                &[Some("1"), Some("x")],
                "row(\"a\", \"b\") > row('1', 'x')",
            ),
            (&[("k", true)], &[Some("5")], "((\"k\" > '5' or \"k\" is null))"),
            (&[("k", true)], &[None], "false"),
            (
                &[("a", true), ("b", false)],
                &[None, Some("2")],
                "(\"a\" is null and (\"b\" > '2' or \"b\" is null))",
            ),
        ];
        for (columns, values, expected) in rows {
            assert_eq!(behind(&order(columns), &key(values)), expected, "{columns:?} {values:?}");
        }
    }

    #[test]
    fn chunks_follow_each_other_up_to_the_maximum() {
        let table = TableId {
            oid: 1,
            schema: "s".to_owned(),
            table: "t".to_owned(),
            rows_estimate: 0,
            readable: true,
        };
        let (order, columns) = (order(&[("k", false)]), ["k".to_owned(), "v".to_owned()]);
        let query = ChunkQuery { table: &table, columns: &columns, order: &order, filter: None };
        assert_eq!(query.maximum(), "select \"k\" from \"s\".\"t\" order by \"k\" desc limit 1");
        assert_eq!(
            query.chunk(None, &key(&[Some("9")]), 10),
            "copy (select \"k\", \"k\", \"v\" from \"s\".\"t\" where not (\"k\" > '9') order by \
             \"k\" limit 10) to stdout"
        );
        let filtered = ChunkQuery { filter: Some("v = 1 or v = 2"), ..query };
        assert_eq!(
            filtered.chunk(Some(&key(&[Some("3")])), &key(&[Some("9")]), 10),
            "copy (select \"k\", \"k\", \"v\" from \"s\".\"t\" where \"k\" > '3' and not (\"k\" > \
             '9') and (v = 1 or v = 2) order by \"k\" limit 10) to stdout"
        );
        assert_eq!(
            filtered.maximum(),
            "select \"k\" from \"s\".\"t\" where (v = 1 or v = 2) order by \"k\" desc limit 1"
        );
    }
}
