//! A snapshot that was asked for while the stream waits. Source: Debezium,
//! `ChangeEventSourceCoordinator.doBlockingSnapshot`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::ReadPoint;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::session::{Event, SessionInput, open_client};
use crate::connector::postgres::setup;
use crate::connector::postgres::signal::Execute;
use crate::connector::postgres::snapshot::{Origin, run};
use crate::error::ConnectError;

/// Reads the tables `names`, whose rows say that they are of `point`.
pub(in crate::connector::postgres) async fn blocking(
    input: SessionInput,
    request: Execute,
    names: Vec<String>,
    point: ReadPoint,
    out: mpsc::Sender<Event>,
) -> Result<(), ConnectError> {
    let failed = |error| explain(error, "starting a blocking snapshot", &input.config);
    let mut client = open_client(&input, "Ferroconnect General").await?;
    let facts = client.facts().await.map_err(failed)?;
    let tables = client.tables().await.map_err(failed)?;
    client.close().await;
    let mut tables = setup::captured(&input.config, tables);
    tables.retain(|table| names.contains(&table.name()));
    if tables.is_empty() {
        let names = names.join(", ");
        tracing::warn!(names, "none of the tables of a blocking snapshot is captured");
        return Ok(());
    }
    let config = Arc::new(configured(&input.config, request));
    let input = SessionInput { config, ..input };
    run(&input, &facts, tables, Origin::Beside(point), &out).await.map(drop)
}

/// The conditions are whole statements here, each for the table of exactly that name.
fn configured(config: &PostgresConfig, request: Execute) -> PostgresConfig {
    let mut config = config.clone();
    config.snapshot.tables = None;
    config.snapshot.delay = Duration::ZERO;
    config.snapshot.statements = request.conditions.into_iter().collect();
    config
}
