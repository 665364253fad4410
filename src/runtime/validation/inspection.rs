//! A configuration and its outside looked at as a whole, for `ferroconnect check`: what validation
//! says, what it would only tell the log, what the connector sees out there, and a record as its
//! transforms make it. Nothing is made or changed anywhere.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::{
    SubmittedProps, UnknownKey, ValidationError, ValidationScope, named_plugin, resolve,
    unknown_keys, validate,
};
use crate::config::Props;
use crate::connector::{Finding, Inspection, Verdict};
use crate::converter::{Converter, Presence, Role};
use crate::data::{Record, RecordBatch, Row, SchemaAndValue};
use crate::error::ConnectError;
use crate::plugin::{Constructor, Plugin, PluginKind, Plugins, parquet_schema};
use crate::runtime::chain::Chain;
use crate::transform::Keep;

/// Looking at the outside may take longer than a validation, for which a form waits.
const INSPECTION_MAX: Duration = Duration::from_secs(30);

/// What there is to say about a configuration.
#[derive(Debug)]
pub struct Inspected {
    /// What keeps it from being accepted: the key and why.
    pub errors: Vec<(String, String)>,
    pub findings: Vec<Finding>,
    pub sample: Option<Sample>,
}

/// A record as a consumer would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub topic: String,
    /// As JSON without its schema; `None` is null.
    pub key: Option<String>,
    pub value: Option<String>,
    /// The message type of Parquet files with such values.
    pub parquet_schema: Result<String, String>,
}

/// Looks at `submitted` and at what it names.
///
/// # Errors
/// As [`validate`].
pub async fn inspect(
    scope: &ValidationScope<'_>,
    submitted: &SubmittedProps,
) -> Result<Inspected, ValidationError> {
    let infos = validate(scope, submitted).await?;
    let errors: Vec<_> = infos
        .configs
        .iter()
        .flat_map(|info| {
            info.value.errors.iter().map(|text| (info.value.name.clone(), text.clone()))
        })
        .collect();
    let (resolved, submitted) = &resolve(scope, submitted).await?;
    let (_, plugin) = named_plugin(scope, submitted, resolved)?;
    let mut inspection = Inspection::default();
    for reference in &resolved.missing {
        let text = format!("{reference} stands for nothing and is kept as text");
        inspection.look("references", text);
    }
    for UnknownKey { key, near } in unknown_keys(scope, plugin, submitted) {
        let meant = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        inspection.look("keys", format!("nobody reads {key}{meant}"));
    }
    let mut sample = None;
    if errors.is_empty() {
        let texts = submitted.iter().filter_map(|(key, text)| Some((key.clone(), text.clone()?)));
        let props: Props = texts.collect();
        let seen = outside(scope, plugin, &props).await;
        inspection.findings.extend(seen.findings);
        if let Some(batch) = seen.sample {
            match record(scope.plugins, &props, &batch) {
                Ok(Some(record)) => sample = Some(record),
                Ok(None) => inspection.look("record", "the transforms drop the first record"),
                Err(error) => inspection.wrong("record", error.trace()),
            }
        }
    }
    Ok(Inspected { errors, findings: inspection.findings, sample })
}

impl Inspected {
    /// The worst of it.
    pub fn verdict(&self) -> Verdict {
        let worst = self.findings.iter().map(|finding| finding.verdict).max();
        if self.errors.is_empty() { worst.unwrap_or(Verdict::Fine) } else { Verdict::Wrong }
    }
}

/// What the connector sees.
async fn outside(scope: &ValidationScope<'_>, plugin: &Plugin, props: &Props) -> Inspection {
    let (Constructor::Source { connector, .. } | Constructor::Sink { connector, .. }) =
        plugin.constructor
    else {
        return Inspection::default();
    };
    let context = scope.context.clone();
    let look = async move { connector(props, context)?.inspect().await };
    let looked = tokio::time::timeout(INSPECTION_MAX, AssertUnwindSafe(look).catch_unwind()).await;
    let mut inspection = Inspection::default();
    match looked {
        Ok(Ok(Ok(seen))) => return seen,
        Ok(Ok(Err(error))) => inspection.wrong("outside", error.trace()),
        Ok(Err(_panic)) => {
            inspection.wrong("outside", format!("{} panicked while looking", plugin.class));
        }
        Err(_elapsed) => inspection
            .wrong("outside", format!("looking did not end within {} s", INSPECTION_MAX.as_secs())),
    }
    inspection
}

/// The first record of `batch` behind the transforms; `None` if they drop it.
fn record(
    plugins: &Plugins,
    props: &Props,
    batch: &RecordBatch,
) -> Result<Option<Sample>, ConnectError> {
    let mut record = match batch.rows.first() {
        None => return Ok(None),
        Some(Row::Tree { record }) => batch.records[*record as usize].clone(),
        Some(Row::Planned { plan, first_cell }) => {
            let plan_of_row = &batch.plans[*plan as usize];
            plan_of_row.materialize(&batch.view(*plan, *first_cell))?
        }
    };
    if Chain::build(plugins, props)?.apply(&mut record)? == Keep::Drop {
        return Ok(None);
    }
    sample(plugins, &record).map(Some)
}

fn sample(plugins: &Plugins, record: &Record) -> Result<Sample, ConnectError> {
    let schema = record.value.schema.as_ref();
    Ok(Sample {
        topic: record.topic.to_string(),
        key: json(plugins, Role::Key, &record.topic, &record.key)?,
        value: json(plugins, Role::Value, &record.topic, &record.value)?,
        parquet_schema: parquet_schema(schema).map_err(|error| error.to_string()),
    })
}

/// JSON, whatever the converter: one with a registry would register the schema.
fn json(
    plugins: &Plugins,
    role: Role,
    topic: &Arc<str>,
    data: &SchemaAndValue,
) -> Result<Option<String>, ConnectError> {
    let mut converter = json_converter(plugins, role)?;
    let mut text = Vec::new();
    let presence = converter.from_connect_data(topic, data, &mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((presence == Presence::Present).then_some(text))
}

fn json_converter(plugins: &Plugins, role: Role) -> Result<Box<dyn Converter>, ConnectError> {
    let plugin = plugins.find(&[PluginKind::Converter], "JsonConverter");
    let Some(Constructor::Converter(construct)) = plugin.map(|plugin| plugin.constructor) else {
        return Err(ConnectError::fatal("there is no JsonConverter"));
    };
    let settings = [("schemas.enable".to_owned(), "false".to_owned())].into();
    construct(&settings, &role.into())
}
