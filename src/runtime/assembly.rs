//! Makes connectors and tasks out of their plugins: what a configuration says, built.

use std::sync::Arc;

use crate::config::{Props, Resolved, with_prefix};
use crate::connector::{
    Connector, ConnectorContext, SinkTaskContext, SourceTask, SourceTaskContext,
};
use crate::converter::{Converter, ConverterContext, HeaderConverter, Role};
use crate::error::{ConnectError, ErrorKind};
use crate::metrics::{Metrics, TaskMetrics, TaskSide};
use crate::plugin::{Constructor, NewSourceTask, Plugin, PluginKind, Plugins, converter_of};
use crate::runtime::chain::Chain;
use crate::runtime::connector_config::{
    CONNECTOR_CLASS, HEADER_CONVERTER, KEY_CONVERTER, TASKS_MAX, TASKS_MAX_ENFORCE, TOPICS,
    TOPICS_REGEX, VALUE_CONVERTER, connector_config,
};
use crate::runtime::entity::{ConnectorKind, TaskId};
use crate::runtime::errant::ErrantRecords;
use crate::runtime::exactly_once::{Opened, Opening};
use crate::runtime::ledger::Ledger;
use crate::runtime::panics;
use crate::runtime::resolution::resolved;
use crate::runtime::sink_task::{SinkTaskParts, run_sink_task};
use crate::runtime::source_task::{SourceTaskParts, run_source_task};
use crate::runtime::task::TaskControl;
use crate::runtime::topic_reader::WorkerTopics;
use crate::runtime::transactions::Transactional;
use crate::runtime::worker_config::{ConverterConfig, WorkerConfig};
use crate::store::{Lease, Store};

/// The key that names the task's class in the original.
const TASK_CLASS: &str = "task.class";

/// What connectors and tasks are made with.
#[derive(Debug)]
pub(crate) struct Assembly {
    pub store: Store,
    pub plugins: Arc<Plugins>,
    pub metrics: Arc<Metrics>,
    pub worker: Arc<WorkerConfig>,
}

/// A task, ready to run.
pub(crate) enum PreparedTask {
    Source(Box<SourceTaskParts>),
    /// Made once its transactions are open.
    ExactlyOnceSource(Box<Opening>, MakeSource),
    Sink(Box<SinkTaskParts>),
}

/// Makes a source task that goes on at the offsets that were opened.
pub(crate) type MakeSource =
    Box<dyn FnOnce(Opened) -> Result<SourceTaskParts, ConnectError> + Send>;

impl PreparedTask {
    /// Runs the task until it is cancelled or fails; a panic is a failure.
    pub(crate) async fn run(self, control: TaskControl) -> Result<(), ConnectError> {
        match self {
            Self::Source(parts) => panics::caught_async(run_source_task(*parts, control)).await,
            Self::ExactlyOnceSource(opening, make) => {
                let Some(opened) = opening.open_when_possible(&control).await? else {
                    return Ok(());
                };
                let parts = panics::caught(|| make(opened))?;
                panics::caught_async(run_source_task(parts, control)).await
            }
            Self::Sink(parts) => panics::caught_async(run_sink_task(*parts, control)).await,
        }
    }
}

impl Assembly {
    /// The plugin of a connector's configuration.
    pub(crate) fn plugin(&self, config: &Props) -> Option<&Arc<Plugin>> {
        self.plugin_of(config.get(CONNECTOR_CLASS)?)
    }

    fn plugin_of(&self, class: &str) -> Option<&Arc<Plugin>> {
        self.plugins.find(&[PluginKind::Source, PluginKind::Sink], class)
    }

    /// Which way a connector moves data.
    pub(crate) fn kind(&self, config: &Props) -> ConnectorKind {
        self.kind_of(config.get(CONNECTOR_CLASS).map(String::as_str))
    }

    /// Which way a connector of this class moves data.
    pub(crate) fn kind_of(&self, class: Option<&str>) -> ConnectorKind {
        match class.and_then(|class| self.plugin_of(class)).map(|plugin| plugin.kind()) {
            Some(PluginKind::Source) => ConnectorKind::Source,
            Some(PluginKind::Sink) => ConnectorKind::Sink,
            _ => ConnectorKind::Unknown,
        }
    }

    /// The plugin's version, as statuses show it.
    pub(crate) fn version(&self, config: &Props) -> Option<String> {
        self.plugin(config).map(|plugin| plugin.version.to_owned())
    }

    /// A configuration with its references resolved: for the memory of what runs, never to be kept
    /// or shown.
    ///
    /// # Errors
    /// When a provider cannot answer.
    pub(crate) async fn resolve(&self, config: &Props) -> Result<Resolved, ConnectError> {
        resolved(&self.worker.providers, config.clone()).await
    }

    /// The configurations of a connector's tasks, as they may be stored: with references.
    ///
    /// # Errors
    /// Why the connector cannot be started.
    pub(crate) fn plan(&self, name: &str, resolved: &Resolved) -> Result<Vec<Props>, ConnectError> {
        let config = &resolved.props;
        let plugin = self.known_plugin(config)?;
        let framework = connector_config(plugin.kind()).parse(config)?;
        let tasks_max = usize::try_from(framework.integer(TASKS_MAX)).unwrap_or(1);
        let connector = self.connector(config)?;
        let configs = panics::caught(|| connector.task_configs(tasks_max))?;
        if configs.len() > tasks_max {
            let text = too_many_tasks(name, configs.len(), tasks_max);
            if framework.boolean(TASKS_MAX_ENFORCE) {
                return Err(ConnectError::config(text));
            }
            tracing::warn!(connector = name, "{text}");
        }
        let stored = |task| resolved.restored(with_framework_keys(plugin, config, task));
        Ok(configs.into_iter().map(stored).collect())
    }

    /// Makes the connector, which plans.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) fn connector(&self, config: &Props) -> Result<Box<dyn Connector>, ConnectError> {
        let plugin = self.known_plugin(config)?;
        let context = ConnectorContext {
            hosts: Arc::clone(&self.worker.hosts),
            defaults: Arc::clone(&self.worker.sink_defaults),
        };
        let (Constructor::Source { connector: construct, .. }
        | Constructor::Sink { connector: construct, .. }) = plugin.constructor
        else {
            return Err(no_connector(config));
        };
        panics::caught(|| construct(config, context))
    }

    /// The metrics of a task; `None` when its class is none of this worker.
    pub(crate) fn task_metrics(&self, id: &TaskId, config: &Props) -> Option<Arc<TaskMetrics>> {
        Some(self.metrics.task(&id.connector, id.task, self.side(config)?))
    }

    /// Which way a connector's tasks move data; `None` when its class is none of this worker.
    pub(crate) fn side(&self, config: &Props) -> Option<TaskSide> {
        Some(match self.plugin(config)?.kind() {
            PluginKind::Sink => TaskSide::Sink,
            _ => TaskSide::Source,
        })
    }

    /// Makes a task from resolved configurations.
    ///
    /// # Errors
    /// Why it cannot be made; retriable when only the state database is away.
    pub(crate) async fn task(
        &self,
        id: &TaskId,
        lease: &Lease,
        config: &Props,
        task_config: &Props,
    ) -> Result<PreparedTask, ConnectError> {
        let plugin = self.known_plugin(config)?;
        // The guard may have become stricter since the configuration was accepted.
        if let Some((key, why)) = self.worker.hosts.refused_key(config) {
            return Err(ConnectError::config(format!("{key}: {why}")));
        }
        let metrics = |side| self.metrics.task(&id.connector, id.task, side);
        match plugin.constructor {
            Constructor::Source { task: construct, .. } => {
                let metrics = metrics(TaskSide::Source);
                let source = Source { construct, task_config: task_config.clone() };
                let context = self.source_context(id, Arc::clone(&metrics));
                let stages = panics::caught(|| self.stages(config))?;
                let parts = self.source_parts(id, lease, config, metrics, stages);
                let Some(topic) = self.worker.exactly_once.clone() else {
                    let offsets = self.store.source_offsets(&id.connector).await?;
                    let context = SourceTaskContext { offsets, ..context };
                    let parts = panics::caught(|| source.complete(parts, context, None))?;
                    return Ok(PreparedTask::Source(Box::new(parts)));
                };
                let opening = Opening {
                    id: id.clone(),
                    lease: lease.clone(),
                    store: self.store.clone(),
                    config: config.clone(),
                    worker: Arc::clone(&self.worker),
                    topic,
                };
                let make = move |opened: Opened| {
                    let Opened { transactional, offsets } = opened;
                    let transactions = transactional.context.clone();
                    let context = SourceTaskContext { offsets, transactions, ..context };
                    source.complete(parts, context, Some(transactional))
                };
                Ok(PreparedTask::ExactlyOnceSource(Box::new(opening), Box::new(make)))
            }
            Constructor::Sink { task: construct, .. } => {
                let metrics = metrics(TaskSide::Sink);
                let errants = ErrantRecords::new(config)?;
                let context = SinkTaskContext {
                    connector: id.connector.clone(),
                    task: id.task,
                    hosts: Arc::clone(&self.worker.hosts),
                    defaults: Arc::clone(&self.worker.sink_defaults),
                    ledger: Arc::new(Ledger::new(self.store.clone(), lease.clone())),
                    reporter: errants.clone().map(|errants| errants as _),
                    metrics: Arc::clone(&metrics),
                };
                let parts = panics::caught(|| {
                    let task = construct(task_config, context)?;
                    let stages = self.stages(config)?;
                    let parts = self.sink_parts(id, lease, config, metrics, task, stages);
                    Ok(SinkTaskParts { errants, ..parts })
                })?;
                Ok(PreparedTask::Sink(Box::new(parts)))
            }
            _ => Err(no_connector(config)),
        }
    }

    /// What a source task is given, but for its offsets.
    fn source_context(&self, id: &TaskId, metrics: Arc<TaskMetrics>) -> SourceTaskContext {
        SourceTaskContext {
            connector: id.connector.clone(),
            task: id.task,
            offsets: Vec::new(),
            hosts: Arc::clone(&self.worker.hosts),
            defaults: Arc::clone(&self.worker.sink_defaults),
            metrics,
            topics: Some(Arc::new(WorkerTopics::new(Arc::clone(&self.worker), &id.connector))),
            exactly_once: self.worker.exactly_once.is_some(),
            transactions: None,
        }
    }

    /// Everything of a source task but the task itself.
    fn source_parts(
        &self,
        id: &TaskId,
        lease: &Lease,
        config: &Props,
        metrics: Arc<TaskMetrics>,
        stages: Stages,
    ) -> impl FnOnce(Box<dyn SourceTask>, Option<Transactional>) -> SourceTaskParts + Send + use<>
    {
        let (id, lease, store) = (id.clone(), lease.clone(), self.store.clone());
        let (config, worker) = (config.clone(), Arc::clone(&self.worker));
        move |task, transactional| SourceTaskParts {
            id,
            lease,
            store,
            config,
            worker,
            metrics,
            task,
            chain: stages.chain,
            key_converter: stages.key_converter,
            value_converter: stages.value_converter,
            header_converter: stages.header_converter,
            transactional,
        }
    }

    fn sink_parts(
        &self,
        id: &TaskId,
        lease: &Lease,
        config: &Props,
        metrics: Arc<TaskMetrics>,
        task: Box<dyn crate::connector::SinkTask>,
        stages: Stages,
    ) -> SinkTaskParts {
        SinkTaskParts {
            id: id.clone(),
            lease: lease.clone(),
            store: self.store.clone(),
            config: config.clone(),
            worker: Arc::clone(&self.worker),
            metrics,
            task,
            errants: None,
            chain: stages.chain,
            key_converter: stages.key_converter,
            value_converter: stages.value_converter,
            header_converter: stages.header_converter,
        }
    }

    /// What stands between a task and Kafka.
    fn stages(&self, config: &Props) -> Result<Stages, ConnectError> {
        let worker = &self.worker;
        Ok(Stages {
            chain: Chain::build(&self.plugins, config)?,
            key_converter: self.converter(
                config,
                KEY_CONVERTER,
                &worker.key_converter,
                Role::Key,
            )?,
            value_converter: self.converter(
                config,
                VALUE_CONVERTER,
                &worker.value_converter,
                Role::Value,
            )?,
            header_converter: self.header_converter(config)?,
        })
    }

    fn converter(
        &self,
        config: &Props,
        key: &str,
        default: &ConverterConfig,
        role: Role,
    ) -> Result<Box<dyn Converter>, ConnectError> {
        let chosen = own_or(config, key, default);
        let plugin = self.plugins.find(&[PluginKind::Converter], &chosen.class);
        match plugin.map(|plugin| plugin.constructor) {
            Some(Constructor::Converter(construct)) => {
                let hosts = Arc::clone(&self.worker.hosts);
                let context = ConverterContext { role, hosts, by_class: converter_of };
                construct(&chosen.props, &context)
            }
            _ => Err(unknown_converter(key, &chosen.class)),
        }
    }

    fn header_converter(&self, config: &Props) -> Result<Box<dyn HeaderConverter>, ConnectError> {
        let chosen = own_or(config, HEADER_CONVERTER, &self.worker.header_converter);
        let plugin = self.plugins.find(&[PluginKind::HeaderConverter], &chosen.class);
        match plugin.map(|plugin| plugin.constructor) {
            Some(Constructor::HeaderConverter(construct)) => construct(&chosen.props),
            _ => Err(unknown_converter(HEADER_CONVERTER, &chosen.class)),
        }
    }

    fn known_plugin(&self, config: &Props) -> Result<&Arc<Plugin>, ConnectError> {
        self.plugin(config).ok_or_else(|| no_connector(config))
    }
}

/// Makes a source's task.
struct Source {
    construct: NewSourceTask,
    task_config: Props,
}

impl Source {
    fn complete(
        self,
        parts: impl FnOnce(Box<dyn SourceTask>, Option<Transactional>) -> SourceTaskParts,
        context: SourceTaskContext,
        transactional: Option<Transactional>,
    ) -> Result<SourceTaskParts, ConnectError> {
        let task = (self.construct)(&self.task_config, context)?;
        Ok(parts(task, transactional))
    }
}

struct Stages {
    chain: Chain,
    key_converter: Box<dyn Converter>,
    value_converter: Box<dyn Converter>,
    header_converter: Box<dyn HeaderConverter>,
}

/// A connector that names a converter uses only its own settings for it; one that does not gets the
/// worker's, and its own settings are ignored.
fn own_or(config: &Props, key: &str, default: &ConverterConfig) -> ConverterConfig {
    match config.get(key) {
        Some(class) => ConverterConfig {
            class: class.trim().to_owned(),
            props: with_prefix(config, &format!("{key}.")),
        },
        None => default.clone(),
    }
}

/// The keys that the original's framework adds to a task's configuration.
fn with_framework_keys(plugin: &Plugin, config: &Props, mut task: Props) -> Props {
    task.entry(TASK_CLASS.to_owned()).or_insert_with(|| task_class(plugin.class));
    if plugin.kind() == PluginKind::Sink {
        for key in [TOPICS, TOPICS_REGEX] {
            if let Some(value) = config.get(key) {
                task.insert(key.to_owned(), value.clone());
            }
        }
    }
    task
}

/// `S3SinkConnector` has `S3SinkTask`, `PostgresConnector` has `PostgresConnectorTask`.
fn task_class(connector: &str) -> String {
    let stem = connector
        .strip_suffix("Connector")
        .filter(|stem| stem.ends_with("Sink") || stem.ends_with("Source"));
    format!("{}Task", stem.unwrap_or(connector))
}

fn no_connector(config: &Props) -> ConnectError {
    let class = config.get(CONNECTOR_CLASS).map_or("", String::as_str);
    ConnectError::config(format!(
        "connector.class \"{class}\" is no connector of this worker; GET /connector-plugins lists \
         them"
    ))
}

fn unknown_converter(key: &str, class: &str) -> ConnectError {
    ConnectError::config(format!(
        "{key} \"{class}\" is no converter of this worker; GET \
         /connector-plugins?connectorsOnly=false lists them"
    ))
}

fn too_many_tasks(name: &str, tasks: usize, tasks_max: usize) -> String {
    format!(
        "The connector {name} has generated {tasks} tasks, which is greater than {tasks_max}, the \
         maximum number of tasks it is configured to create. This behaviour should be considered a \
         bug and is disallowed. If necessary, it can be permitted by reconfiguring the connector \
         with 'tasks.max.enforce' set to false; however, this option will be removed in a future \
         release of Kafka Connect."
    )
}

/// A failure as `trace` shows it: the original's class for it, the message, every cause on a line.
/// User interfaces show the first line.
pub(crate) fn trace_of(error: &ConnectError) -> String {
    format!("{}: {}", class_of_error(error), error.trace())
}

/// The original's class for a failure.
pub(crate) fn class_of_error(error: &ConnectError) -> &'static str {
    match error.kind() {
        ErrorKind::Retriable => "org.apache.kafka.connect.errors.RetriableException",
        ErrorKind::Data => "org.apache.kafka.connect.errors.DataException",
        ErrorKind::Config => "org.apache.kafka.common.config.ConfigException",
        ErrorKind::Fatal => "org.apache.kafka.connect.errors.ConnectException",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_classes_are_the_originals() {
        for (connector, task) in [
            ("io.confluent.connect.s3.S3SinkConnector", "io.confluent.connect.s3.S3SinkTask"),
            ("a.FileStreamSourceConnector", "a.FileStreamSourceTask"),
            (
                "io.debezium.connector.postgresql.PostgresConnector",
                "io.debezium.connector.postgresql.PostgresConnectorTask",
            ),
        ] {
            assert_eq!(task_class(connector), task);
        }
    }

    #[test]
    fn own_converter_settings_count_only_with_an_own_converter() {
        let default = ConverterConfig {
            class: "W".to_owned(),
            props: Props::from([("w".to_owned(), "1".to_owned())]),
        };
        let props = |pairs: &[(&str, &str)]| -> Props {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let ignored = props(&[("key.converter.x", "2")]);
        assert_eq!(own_or(&ignored, "key.converter", &default), default);
        let own = props(&[("key.converter", " C "), ("key.converter.x", "2")]);
        let chosen = own_or(&own, "key.converter", &default);
        assert_eq!((chosen.class.as_str(), chosen.props), ("C", props(&[("x", "2")])));
    }

    #[test]
    fn the_first_line_of_a_trace_has_class_and_message() {
        let error = ConnectError::data("bad").because(ConnectError::fatal("why"));
        let expected = "org.apache.kafka.connect.errors.DataException: bad\nCaused by: why";
        assert_eq!(trace_of(&error), expected);
    }
}
