//! The `source` block of records: one list of members, for plans and for trees (Debezium,
//! `PostgresSourceInfoStructMaker`).

use std::sync::Arc;

use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::generation::Generation;
use crate::data::{Schema, SchemaBuilder, Type, Value};

/// What is the same in every block of a connector.
#[derive(Debug, Clone)]
pub(super) struct SourceInfo {
    generation: Generation,
    name: String,
    database: String,
}

/// What differs from record to record: values, or where a plan finds them.
#[derive(Debug)]
pub(super) struct Varying<T> {
    pub(super) ts_ms: T,
    pub(super) snapshot: T,
    pub(super) sequence: T,
    pub(super) ts_us: T,
    pub(super) ts_ns: T,
    pub(super) xid: T,
    pub(super) lsn: T,
    pub(super) xmin: T,
    pub(super) origin: T,
    pub(super) origin_lsn: T,
}

/// Where the members stand that only the newer generation has.
const NEWER: [usize; 4] = [7, 8, 14, 15];

impl SourceInfo {
    pub(super) fn new(config: &PostgresConfig) -> Self {
        Self {
            generation: config.generation,
            name: config.topic_prefix.clone(),
            database: config.server.database.clone(),
        }
    }

    /// The members in the order of [`SourceInfo::schema`]; `constant` makes one of a value.
    pub(super) fn members<T>(
        &self,
        schema: &str,
        table: &str,
        constant: impl Fn(Value) -> T,
        varying: Varying<T>,
    ) -> Vec<T> {
        let text = |text: &str| constant(Value::string(text));
        let members = [
            text(self.generation.version()),
            text("postgresql"),
            text(&self.name),
            varying.ts_ms,
            varying.snapshot,
            text(&self.database),
            varying.sequence,
            varying.ts_us,
            varying.ts_ns,
            text(schema),
            text(table),
            varying.xid,
            varying.lsn,
            varying.xmin,
            varying.origin,
            varying.origin_lsn,
        ];
        self.kept(members).collect()
    }

    /// The schema of the block.
    pub(super) fn schema(&self) -> Arc<Schema> {
        let string = || SchemaBuilder::new(Type::String).build();
        let optional_string = || SchemaBuilder::new(Type::String).optional().build();
        let optional_int64 = || SchemaBuilder::new(Type::Int64).optional().build();
        let snapshot = SchemaBuilder::new(Type::String)
            .optional()
            .name("io.debezium.data.Enum")
            .version(1)
            .parameter("allowed", self.generation.snapshot_markers())
            .default_value(Value::string("false"))
            .build();
        let fields = [
            ("version", string()),
            ("connector", string()),
            ("name", string()),
            ("ts_ms", SchemaBuilder::new(Type::Int64).build()),
            ("snapshot", snapshot),
            ("db", string()),
            ("sequence", optional_string()),
            ("ts_us", optional_int64()),
            ("ts_ns", optional_int64()),
            ("schema", string()),
            ("table", string()),
            ("txId", optional_int64()),
            ("lsn", optional_int64()),
            ("xmin", optional_int64()),
            ("origin", optional_string()),
            ("origin_lsn", optional_int64()),
        ];
        let named = SchemaBuilder::structure().name("io.debezium.connector.postgresql.Source");
        let block = match self.generation {
            Generation::Two => named,
            Generation::Three => named.version(1),
        };
        let field = |block: SchemaBuilder, (name, schema)| block.field(name, schema);
        self.kept(fields).fold(block, field).build()
    }

    fn kept<T>(&self, members: [T; 16]) -> impl Iterator<Item = T> {
        let all = self.generation == Generation::Three;
        let kept = move |(at, member)| (all || !NEWER.contains(&at)).then_some(member);
        members.into_iter().enumerate().filter_map(kept)
    }
}
