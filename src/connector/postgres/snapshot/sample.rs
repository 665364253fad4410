//! One row of a table, as a snapshot would read it.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::connector::postgres::client::{Client, TableId};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::{Marker, ReadPoint};
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::relation::{Relation, TableShape};
use crate::connector::postgres::snapshot::handover::Read;
use crate::connector::postgres::snapshot::plan::{Part, keep_read_columns, statement};
use crate::connector::postgres::snapshot::reader::copy;
use crate::connector::postgres::snapshot::rows::ReadTable;
use crate::data::RecordBatch;
use crate::error::ConnectError;

/// A row of the table `id`, or `None` when it has none; and the connection for the next question.
pub(in crate::connector::postgres) async fn sample(
    mut client: Client,
    id: &TableId,
    config: &PostgresConfig,
    point: ReadPoint,
) -> Result<(Client, Option<RecordBatch>), ConnectError> {
    let doing = format!("Reading a row of table {}", id.name());
    let failed = |error| explain(error, &doing, config);
    let catalog = client.table(id.oid).await.map_err(failed)?;
    let mut shape = TableShape::read(&id.schema, &id.table, catalog);
    keep_read_columns(&mut shape, config);
    let types = client.types(&shape.type_oids()).await.map_err(failed)?;
    let (relation, plans) = Relation::read(&shape, &types, config, point)?;
    let table = Arc::new(ReadTable { relation, plans });
    let rows = match config.snapshot.statements.get(&id.name()) {
        Some(statement) => {
            format!("({}) as overridden", statement.trim_end().trim_end_matches(';'))
        }
        None => id.quoted(),
    };
    let one = format!("select * from {rows} limit 1");
    let sql = statement(id, &shape, None, &Part::Whole, Some(&one));
    let mut connection = client.into_connection();
    connection.start_copy(&sql).await.map_err(failed)?;
    // One row is one message.
    let (out, mut read) = mpsc::channel(1);
    copy(&mut connection, 0, &table, &out).await.map_err(|error| error.explained(failed))?;
    drop(out);
    let client = Client::from_connection(connection);
    let Some(Read::Rows { shape, bytes, rows, .. }) = read.recv().await else {
        return Ok((client, None));
    };
    let mut batch = RecordBatch::default();
    shape.read(&bytes, rows, |_| Marker::Last, &mut batch)?;
    Ok((client, Some(batch)))
}
