//! What is asked of the database in SQL: its version and settings, slot, publication, tables and
//! columns. Statements are constant; names that SQL cannot bind are quoted.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::HostMap;
use crate::connector::postgres::config::ServerConfig;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::type_mapping::{PgKind, PgType};
use crate::connector::postgres::wire::{Connection, Purpose, Result, TextRow, WireError};

/// An SQL connection.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
}

/// What start-up has to know about a server.
#[derive(Debug, Clone)]
pub(super) struct ServerFacts {
    pub(super) version: u32,
    pub(super) wal_level: String,
    pub(super) in_recovery: bool,
    /// Where the write-ahead log ends.
    pub(super) current: Lsn,
    pub(super) may_replicate: bool,
    pub(super) slots_free: i64,
    /// In milliseconds; 0 is none.
    pub(super) sender_timeout: u64,
}

/// A replication slot.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) plugin: String,
    pub(super) database: String,
    pub(super) active: bool,
    pub(super) confirmed: Option<Lsn>,
    pub(super) restart: Option<Lsn>,
    pub(super) lost: bool,
}

/// How a slot stands, as the server sees it.
#[derive(Debug, Clone)]
pub(super) struct SlotState {
    /// Where the server's log ends.
    pub(super) current: Lsn,
    pub(super) confirmed: Lsn,
    /// What is kept on the server begins here.
    pub(super) restart: Option<Lsn>,
    pub(super) catalog_xmin: Option<i64>,
    /// Since version 13.
    pub(super) wal_status: Option<String>,
    /// What may still be written before the slot is given up; `None`: any amount.
    pub(super) safe_bytes: Option<i64>,
}

/// A table of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableId {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) table: String,
    /// The planner's row count.
    pub(super) rows_estimate: i64,
    pub(super) readable: bool,
}

impl TableId {
    /// `schema.table`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// The same, quoted where SQL needs it.
    pub(super) fn plain_or_quoted(&self) -> String {
        let plain = |name: &str| {
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                && !name.starts_with(|c: char| c.is_ascii_digit())
        };
        match plain(&self.schema) && plain(&self.table) {
            true => self.name(),
            false => self.quoted(),
        }
    }

    /// `"schema"."table"`.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }
}

/// What the role may do, and what of the server is left to use.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// Or what a hosted server has in place of one.
    pub(super) superuser: bool,
    /// Objects in the database.
    pub(super) may_create: bool,
    pub(super) senders_free: i64,
    pub(super) senders_max: i64,
    pub(super) slots_max: i64,
    tables: HashMap<u32, TableAccess>,
}

#[derive(Debug, Clone, Copy)]
struct TableAccess {
    owned: bool,
    keyed: bool,
    identified: bool,
}

impl Access {
    /// Whether the role owns the table.
    pub(super) fn owns(&self, oid: u32) -> bool {
        self.superuser || self.tables.get(&oid).is_some_and(|table| table.owned)
    }

    /// Whether records of the table have a key.
    pub(super) fn has_key(&self, oid: u32) -> bool {
        self.tables.get(&oid).is_some_and(|table| table.keyed)
    }

    /// Whether the server can tell the rows of the table apart.
    pub(super) fn has_identity(&self, oid: u32) -> bool {
        self.tables.get(&oid).is_some_and(|table| table.identified)
    }
}

/// A column as the catalog has it now.
#[derive(Debug, Clone)]
pub(super) struct CatalogColumn {
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
    pub(super) not_null: bool,
    /// The default's expression; `None` for generated and identity columns.
    pub(super) default: Option<String>,
}

/// A table's columns and key as the catalog has them now.
#[derive(Debug, Clone, Default)]
pub(super) struct CatalogTable {
    pub(super) columns: Vec<CatalogColumn>,
    /// Of the primary key, or else of the first usable unique index.
    pub(super) key: Vec<String>,
}

/// Types by their object id.
pub(super) type Types = HashMap<u32, Arc<PgType>>;

impl Client {
    /// Connects.
    pub(super) async fn open(
        server: &ServerConfig,
        hosts: &HostMap,
        name: &'static str,
    ) -> Result<Self> {
        let connection = Connection::open(server, hosts, Purpose::Sql(name)).await?;
        Ok(Self { connection })
    }

    /// A client of a connection that is ready for statements.
    pub(super) fn from_connection(connection: Connection) -> Self {
        Self { connection }
    }

    /// The connection, for COPY.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Runs a statement for its effect.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<()> {
        self.connection.simple(sql).await.map(drop)
    }

    /// The one value of a statement in the simple protocol.
    pub(super) async fn value(&mut self, sql: &str) -> Result<Option<String>> {
        let rows = self.connection.simple(sql).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// The rows of a statement with text parameters.
    pub(super) async fn rows(&mut self, sql: &str, params: &[&str]) -> Result<Vec<TextRow>> {
        self.connection.query(sql, params).await
    }

    pub(super) async fn facts(&mut self) -> Result<ServerFacts> {
        const SQL: &str = "\
            select current_setting('server_version_num'), current_setting('wal_level'), \
            pg_is_in_recovery(), \
            case when pg_is_in_recovery() then pg_last_wal_receive_lsn() \
                 else pg_current_wal_lsn() end, \
            (select rolreplication or rolsuper or exists ( \
                 select 1 from pg_roles g where g.rolname in \
                 ('rds_superuser', 'rdsadmin', 'rdsrepladmin', 'rds_replication') \
                 and pg_has_role(r.oid, g.oid, 'member')) \
             from pg_roles r where rolname = current_user), \
            current_setting('max_replication_slots')::bigint \
                - (select count(*) from pg_replication_slots), \
            (select setting from pg_settings where name = 'wal_sender_timeout')";
        let mut row = Row::only(self.connection.query(SQL, &[]).await?)?;
        Ok(ServerFacts {
            version: row.parse()?,
            wal_level: row.text()?,
            in_recovery: row.boolean()?,
            current: row.optional()?.map(|text| lsn(&text)).transpose()?.unwrap_or_default(),
            may_replicate: row.boolean()?,
            slots_free: row.parse()?,
            sender_timeout: row.parse()?,
        })
    }

    pub(super) async fn slot(&mut self, name: &str, version: u32) -> Result<Option<Slot>> {
        const SQL: &str = "\
            select coalesce(plugin, ''), coalesce(database, ''), active, confirmed_flush_lsn, \
            restart_lsn, LOST from pg_replication_slots where slot_name = $1";
        let lost =
            if version >= 130_000 { "coalesce(wal_status = 'lost', false)" } else { "false" };
        let sql = SQL.replace("LOST", lost);
        let rows = self.connection.query(&sql, &[name]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let mut row = Row::new(row);
        Ok(Some(Slot {
            plugin: row.text()?,
            database: row.text()?,
            active: row.boolean()?,
            confirmed: row.optional()?.map(|text| lsn(&text)).transpose()?,
            restart: row.optional()?.map(|text| lsn(&text)).transpose()?,
            lost: row.boolean()?,
        }))
    }

    /// How the slot stands; `None` when there is none.
    pub(super) async fn slot_state(&mut self, name: &str) -> Result<Option<SlotState>> {
        // to_jsonb, because members that a version lacks are null in it.
        const SQL: &str = "\
            select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() \
                        else pg_current_wal_lsn() end, \
            coalesce(confirmed_flush_lsn, restart_lsn, '0/0'), restart_lsn, \
            catalog_xmin::text, to_jsonb(s) ->> 'wal_status', to_jsonb(s) ->> 'safe_wal_size' \
            from pg_replication_slots s where slot_name = $1";
        let rows = self.connection.query(SQL, &[name]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let mut row = Row::new(row);
        Ok(Some(SlotState {
            current: row.optional()?.map(|text| lsn(&text)).transpose()?.unwrap_or_default(),
            confirmed: lsn(&row.text()?)?,
            restart: row.optional()?.map(|text| lsn(&text)).transpose()?,
            catalog_xmin: row.optional()?.and_then(|text| text.parse().ok()),
            wal_status: row.optional()?,
            safe_bytes: row.optional()?.and_then(|text| text.parse().ok()),
        }))
    }

    pub(super) async fn drop_slot(&mut self, name: &str) -> Result<()> {
        self.connection.query("select pg_drop_replication_slot($1)", &[name]).await.map(drop)
    }

    /// Whether the publication exists and publishes all tables.
    pub(super) async fn publication(&mut self, name: &str) -> Result<Option<bool>> {
        // Names are used without quotes in statements, so the server folds them.
        const SQL: &str = "select puballtables from pg_publication where pubname = $1";
        let folded = if name.starts_with('"') {
            name.trim_matches('"').to_owned()
        } else {
            name.to_lowercase()
        };
        let rows = self.connection.query(SQL, &[&folded]).await?;
        rows.into_iter().next().map(|row| Row::new(row).boolean()).transpose()
    }

    /// The tables of a publication, as `schema.table`.
    pub(super) async fn publication_tables(&mut self, name: &str) -> Result<Vec<String>> {
        const SQL: &str = "\
            select schemaname || '.' || tablename from pg_publication_tables where pubname = $1";
        let rows = self.connection.query(SQL, &[name]).await?;
        rows.into_iter().map(|row| Row::new(row).text()).collect()
    }

    /// All tables and partitioned tables outside the system's schemas.
    pub(super) async fn tables(&mut self) -> Result<Vec<TableId>> {
        const SQL: &str = "\
            select c.oid, n.nspname, c.relname, greatest(c.reltuples, 0)::bigint, \
            has_table_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE') \
            from pg_class c join pg_namespace n on n.oid = c.relnamespace \
            where c.relkind in ('r', 'p') and n.nspname not like 'pg\\_toast%' \
            order by n.nspname, c.relname";
        let table = |row: TextRow| {
            let mut row = Row::new(row);
            Ok(TableId {
                oid: row.parse()?,
                schema: row.text()?,
                table: row.text()?,
                rows_estimate: row.parse()?,
                readable: row.boolean()?,
            })
        };
        self.connection.query(SQL, &[]).await?.into_iter().map(table).collect()
    }

    /// What the role may do with these tables, and on the server.
    pub(super) async fn access(&mut self, tables: &[TableId]) -> Result<Access> {
        const SERVER: &str = "\
            select r.rolsuper or exists ( \
                select 1 from pg_roles g where g.rolname in \
                ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin', 'alloydbsuperuser') \
                and pg_has_role(r.oid, g.oid, 'member')), \
            has_database_privilege(current_database(), 'CREATE'), \
            current_setting('max_wal_senders')::bigint \
                - (select count(*) from pg_stat_replication), \
            current_setting('max_wal_senders'), current_setting('max_replication_slots') \
            from pg_roles r where rolname = current_user";
        const TABLES: &str = "\
            select c.oid, pg_has_role(c.relowner, 'USAGE'), \
            exists (select 1 from pg_index i where i.indrelid = c.oid and i.indisunique \
                and i.indisvalid and i.indexprs is null and (i.indisprimary or i.indpred is null)), \
            c.relreplident = 'f' or exists (select 1 from pg_index i where i.indrelid = c.oid \
                and (i.indisprimary and c.relreplident = 'd' or i.indisreplident)) \
            from pg_class c where c.oid = any ($1::oid[])";
        let mut row = Row::only(self.connection.query(SERVER, &[]).await?)?;
        let oids: Vec<_> = tables.iter().map(|table| table.oid.to_string()).collect();
        let oids = format!("{{{}}}", oids.join(","));
        let table = |row: TextRow| {
            let mut row = Row::new(row);
            let oid = row.parse()?;
            let access = TableAccess {
                owned: row.boolean()?,
                keyed: row.boolean()?,
                identified: row.boolean()?,
            };
            Ok((oid, access))
        };
        let rows = self.connection.query(TABLES, &[&oids]).await?;
        Ok(Access {
            superuser: row.boolean()?,
            may_create: row.boolean()?,
            senders_free: row.parse()?,
            senders_max: row.parse()?,
            slots_max: row.parse()?,
            tables: rows.into_iter().map(table).collect::<Result<_>>()?,
        })
    }

    /// The replica identities of tables, by object id, as ALTER TABLE writes them.
    pub(super) async fn replica_identities(&mut self) -> Result<HashMap<u32, String>> {
        const SQL: &str = "\
            select c.oid, case c.relreplident when 'd' then 'DEFAULT' when 'f' then 'FULL' \
                when 'n' then 'NOTHING' \
                else 'USING INDEX ' || coalesce((select quote_ident(x.relname) from pg_index i \
                    join pg_class x on x.oid = i.indexrelid \
                    where i.indrelid = c.oid and i.indisreplident), '') end \
            from pg_class c where c.relkind in ('r', 'p')";
        let rows = self.connection.query(SQL, &[]).await?;
        let identity = |row: TextRow| {
            let mut row = Row::new(row);
            Ok((row.parse()?, row.text()?))
        };
        rows.into_iter().map(identity).collect()
    }

    /// The columns and key of a table as they are now; nothing when it is gone.
    pub(super) async fn table(&mut self, oid: u32) -> Result<CatalogTable> {
        const COLUMNS: &str = "\
            select a.attname, a.atttypid, a.atttypmod, a.attnotnull, \
            case when a.attgenerated = '' and a.attidentity = '' \
                 then pg_get_expr(d.adbin, d.adrelid) end \
            from pg_attribute a \
            left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
            where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped \
            order by a.attnum";
        // The primary key wins; else the first unique index by name that has no expression.
        const KEY: &str = "\
            with chosen as ( \
                select i.indexrelid, i.indkey, i.indnkeyatts from pg_index i \
                join pg_class x on x.oid = i.indexrelid \
                where i.indrelid = $1::oid and i.indisunique and i.indisvalid \
                and i.indexprs is null and (i.indisprimary or i.indpred is null) \
                order by i.indisprimary desc, x.relname limit 1) \
            select a.attname from chosen c \
            cross join lateral unnest(c.indkey[0:c.indnkeyatts - 1]) with ordinality k(num, pos) \
            join pg_attribute a on a.attrelid = $1::oid and a.attnum = k.num order by k.pos";
        let oid = oid.to_string();
        let column = |row: TextRow| {
            let mut row = Row::new(row);
            Ok(CatalogColumn {
                name: row.text()?,
                type_oid: row.parse()?,
                modifier: row.parse()?,
                not_null: row.boolean()?,
                default: row.optional()?,
            })
        };
        let columns = self.connection.query(COLUMNS, &[&oid]).await?;
        let columns = columns.into_iter().map(column).collect::<Result<_>>()?;
        let key = self.connection.query(KEY, &[&oid]).await?;
        let key = key.into_iter().map(|row| Row::new(row).text()).collect::<Result<_>>()?;
        Ok(CatalogTable { columns, key })
    }

    /// The types with these object ids, with what they are made of.
    pub(super) async fn types(&mut self, oids: &[u32]) -> Result<Types> {
        const SQL: &str = "\
            with recursive wanted(oid) as ( \
                select unnest($1::oid[]) union \
                select case when t.typtype = 'd' then t.typbasetype else t.typelem end \
                from wanted w join pg_type t on t.oid = w.oid \
                where t.typtype = 'd' or t.typcategory = 'A' and t.typelem <> 0) \
            select t.oid, t.typname, t.typtype, t.typcategory, t.typelem, t.typbasetype, \
            t.typtypmod, \
            (select string_agg(e.enumlabel, E'\\x01' order by e.enumsortorder) \
             from pg_enum e where e.enumtypid = t.oid), \
            case when n.nspname <> all(current_schemas(true)) then n.nspname end \
            from pg_type t join wanted w on w.oid = t.oid \
            join pg_namespace n on n.oid = t.typnamespace";
        let list: Vec<_> = oids.iter().map(u32::to_string).collect();
        let rows = self.connection.query(SQL, &[&format!("{{{}}}", list.join(","))]).await?;
        let rows = rows.into_iter().map(type_row).collect::<Result<HashMap<_, _>>>()?;
        let mut types = Types::new();
        for oid in rows.keys() {
            resolve(*oid, &rows, &mut types, 0);
        }
        Ok(types)
    }

    /// Says good-bye.
    pub(super) async fn close(self) {
        self.connection.close().await;
    }
}

struct TypeRow {
    name: String,
    kind: char,
    category: char,
    element: u32,
    base: u32,
    modifier: i32,
    labels: Option<String>,
    elsewhere: Option<String>,
}

fn type_row(row: TextRow) -> Result<(u32, TypeRow)> {
    let mut row = Row::new(row);
    let first = |text: String| text.chars().next().unwrap_or(' ');
    Ok((
        row.parse()?,
        TypeRow {
            name: row.text()?,
            kind: first(row.text()?),
            category: first(row.text()?),
            element: row.parse()?,
            base: row.parse()?,
            modifier: row.parse()?,
            labels: row.optional()?,
            elsewhere: row.optional()?,
        },
    ))
}

/// Domains of domains are allowed; of more than this many, nobody has any.
const DEPTH_MAX: usize = 32;

fn resolve(
    oid: u32,
    rows: &HashMap<u32, TypeRow>,
    types: &mut Types,
    depth: usize,
) -> Option<Arc<PgType>> {
    if let Some(known) = types.get(&oid) {
        return Some(known.clone());
    }
    let row = rows.get(&oid).filter(|_| depth < DEPTH_MAX)?;
    let kind = match (row.kind, row.category) {
        ('d', _) => PgKind::Domain(resolve(row.base, rows, types, depth + 1)?, row.modifier),
        ('e', _) => {
            let labels = row.labels.as_deref().unwrap_or_default();
            PgKind::Enum(labels.split('\u{1}').map(str::to_owned).collect())
        }
        (_, 'A') if row.element != 0 => {
            PgKind::Array(resolve(row.element, rows, types, depth + 1)?)
        }
        ('b' | 'r', _) => PgKind::Base,
        _ => PgKind::Other,
    };
    let ty = Arc::new(PgType { name: row.name.clone(), elsewhere: row.elsewhere.clone(), kind });
    types.insert(oid, ty.clone());
    Some(ty)
}

/// An identifier in double quotes.
pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A literal in single quotes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A log sequence number of an answer.
pub(super) fn lsn(text: &str) -> Result<Lsn> {
    text.parse().map_err(WireError::Protocol)
}

/// The values of a row, taken in order.
pub(super) struct Row(std::vec::IntoIter<Option<String>>);

impl Row {
    pub(super) fn new(row: TextRow) -> Self {
        Self(row.into_iter())
    }

    fn only(rows: Vec<TextRow>) -> Result<Self> {
        let row = rows.into_iter().next();
        row.map(Self::new).ok_or_else(|| WireError::Protocol("an answer without rows".to_owned()))
    }

    pub(super) fn optional(&mut self) -> Result<Option<String>> {
        self.0.next().ok_or_else(|| WireError::Protocol("a row is too short".to_owned()))
    }

    pub(super) fn text(&mut self) -> Result<String> {
        self.optional()?.ok_or_else(|| WireError::Protocol("an unexpected null".to_owned()))
    }

    pub(super) fn boolean(&mut self) -> Result<bool> {
        Ok(self.text()? == "t")
    }

    pub(super) fn parse<T: std::str::FromStr>(&mut self) -> Result<T> {
        let text = self.text()?;
        text.parse().map_err(|_| WireError::Protocol(format!("an unexpected value {text}")))
    }
}
