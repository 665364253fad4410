//! One table test per rule of the answer, on plugins that do nothing.

use async_trait::async_trait;

use super::*;
use crate::config::{ConfigKey, ConfigType, Validator, Width};
use crate::connector::{Connector, ExactlyOnceSupport};
use crate::plugin::Plugin;
use crate::transform::{Keep, Predicate, Transformation};

/// A connector whose outside is wrong when `outside` says so.
struct Planner(Option<String>);

#[async_trait]
impl Connector for Planner {
    async fn validate(&self) -> Vec<ConfigError> {
        match self.0.as_deref() {
            Some("panics") => panic!("a bug"),
            Some(text) => vec![ConfigError::new("file", text)],
            None => Vec::new(),
        }
    }

    fn task_configs(&self, _tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        Ok(Vec::new())
    }

    fn exactly_once_support(&self) -> Option<ExactlyOnceSupport> {
        match self.0.as_deref() {
            Some("silent") => None,
            Some("inexact") => Some(ExactlyOnceSupport::Unsupported),
            Some("panics") => panic!("a bug"),
            _ => Some(ExactlyOnceSupport::Supported),
        }
    }

    fn defines_transaction_boundaries(&self) -> bool {
        self.0.as_deref() == Some("bounded")
    }
}

struct Idle;

impl Transformation for Idle {
    fn apply(&mut self, _record: &mut crate::data::Record) -> Result<Keep, ConnectError> {
        Ok(Keep::Record)
    }
}

impl Predicate for Idle {
    fn test(&self, _record: &crate::data::Record) -> bool {
        true
    }
}

fn planner(props: &Props, _: ConnectorContext) -> Result<Box<dyn Connector>, ConnectError> {
    Ok(Box::new(Planner(props.get("outside").cloned())))
}

fn file_config() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("file", ConfigType::String, "A file.").high(),
        ConfigKey::new("topic", ConfigType::String, "A topic.")
            .required()
            .high()
            .check(Validator::NonEmpty)
            .shown("File", 1, Width::Long, "Topic"),
        ConfigKey::new("secret", ConfigType::Password, "A secret.").default("x"),
    ])
}

fn sink_config() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("file", ConfigType::String, "A file."),
        ConfigKey::new("tasks.max", ConfigType::Int, "Only one.").default("1"),
    ])
}

fn router_config() -> ConfigDef {
    let text = |name| ConfigKey::new(name, ConfigType::String, "").high();
    ConfigDef::new(vec![
        text("replacement").required(),
        text("regex").required().check(Validator::NonEmpty),
        ConfigKey::new("limit", ConfigType::Int, "").default("1"),
    ])
}

fn converter_config() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("converter.type", ConfigType::String, "").required(),
        ConfigKey::new("schemas.enable", ConfigType::Boolean, "").default("true").shown(
            "Schemas",
            1,
            Width::Medium,
            "Enable Schemas",
        ),
    ])
}

fn plugins() -> Plugins {
    let plugin = |class, config_def, constructor| Plugin {
        class,
        aliases: &[],
        version: "3.9.1",
        config_def,
        constructor,
    };
    let mut plugins = Plugins::default();
    plugins.register(plugin(
        "org.example.FileSourceConnector",
        file_config,
        Constructor::Source { connector: planner, task: |_, _| Err(ConnectError::fatal("none")) },
    ));
    plugins.register(plugin(
        "org.example.FileSinkConnector",
        sink_config,
        Constructor::Sink { connector: planner, task: |_, _| Err(ConnectError::fatal("none")) },
    ));
    plugins.register(plugin(
        "org.example.Router",
        router_config,
        Constructor::Transformation(|_| Ok(Box::new(Idle))),
    ));
    plugins.register(plugin(
        "org.example.Matches",
        ConfigDef::default,
        Constructor::Predicate(|_| Ok(Box::new(Idle))),
    ));
    plugins.register(plugin(
        "org.example.PlainConverter",
        converter_config,
        Constructor::Converter(|_, _| Err(ConnectError::fatal("none"))),
    ));
    plugins
}

async fn answer(pairs: &[(&str, &str)]) -> Result<ConfigInfos, ValidationError> {
    let submitted = pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), (value != "NULL").then(|| value.to_owned())))
        .collect();
    let plugins = plugins();
    let scope = ValidationScope {
        plugins: &plugins,
        context: ConnectorContext::default(),
        group_id: "connect-cluster",
        exactly_once: false,
        client_settings: &Props::new(),
        override_policy: OverridePolicy::default(),
        providers: Arc::default(),
    };
    validate(&scope, &submitted).await
}

const SOURCE: [(&str, &str); 3] =
    [("name", "s"), ("connector.class", "FileSource"), ("topic", "t")];
const SINK: [(&str, &str); 3] = [("name", "s"), ("connector.class", "FileSink"), ("topics", "t")];

async fn messages(base: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<String> {
    let infos = answer(&[base, more].concat()).await.expect("an answer");
    infos.messages().map(str::to_owned).collect()
}

fn names(infos: &ConfigInfos) -> Vec<&str> {
    infos.configs.iter().map(|config| config.value.name.as_str()).collect()
}

#[tokio::test]
async fn a_valid_source_has_its_keys_and_groups_in_order() {
    let infos = answer(&SOURCE).await.unwrap();
    assert_eq!((infos.name.as_str(), infos.error_count), ("FileSource", 0));
    assert_eq!(
        infos.groups,
        [
            "Common",
            "Transforms",
            "Predicates",
            "Error Handling",
            "Topic Creation",
            "Exactly Once Support",
            "offsets.topic",
            "File"
        ]
    );
    let names = names(&infos);
    assert_eq!(names[0], "name");
    assert_eq!(names[15], "topic.creation.groups");
    assert_eq!(names[20..], ["file", "topic", "secret"]);
    let file = infos.configs[20].definition.as_ref().unwrap();
    assert_eq!((file.group.as_deref(), file.order, file.width), (None, -1, "NONE"));
    let secret = &infos.configs[22];
    assert_eq!(secret.value.value.as_deref(), Some("[hidden]"));
    assert_eq!(secret.definition.as_ref().unwrap().default_value.as_deref(), Some("[hidden]"));
}

#[tokio::test]
async fn a_plugin_key_stands_where_the_framework_has_one_of_that_name() {
    let infos = answer(&[&SINK[..], &[("tasks.max", "0")]].concat()).await.unwrap();
    assert_eq!(names(&infos)[2], "tasks.max");
    assert_eq!(infos.error_count, 0, "the plugin's key has no lower bound");
    assert_eq!(infos.groups, ["Common", "Transforms", "Predicates", "Error Handling"]);
    assert_eq!(
        names(&infos)[15..],
        [
            "topics",
            "topics.regex",
            "errors.deadletterqueue.topic.name",
            "errors.deadletterqueue.topic.replication.factor",
            "errors.deadletterqueue.context.headers.enable",
            "file"
        ]
    );
}

#[tokio::test]
async fn rules_between_keys() {
    let neither = "Must configure one of topics or topics.regex";
    assert_eq!(messages(&SINK[..2], &[]).await, [neither, neither]);
    let both = "topics and topics.regex are mutually exclusive options, but both are set.";
    assert_eq!(messages(&SINK, &[("topics.regex", "x")]).await, [both, both]);
    let queue = "errors.deadletterqueue.topic.name";
    assert_eq!(
        messages(&SINK[..2], &[("topics", "t, d"), (queue, "d")]).await,
        [
            "The DLQ topic 'd' may not be included in the list of topics ('topics=[t, d]') consumed by \
          the connector"
        ]
    );
    assert_eq!(
        messages(&SINK[..2], &[("topics.regex", "d.*"), (queue, "dlq")]).await,
        [
            "The DLQ topic 'dlq' may not be matched by the regex for the topics ('topics.regex=d.*') \
          consumed by the connector"
        ]
    );
    assert_eq!(
        messages(&SINK[1..], &[("name", "cluster")]).await,
        ["Consumer group for sink connector named cluster conflicts with Connect worker group \
          connect-cluster"]
    );
    assert_eq!(
        messages(&SOURCE, &[("exactly.once.support", "required")]).await,
        ["This worker does not have exactly-once source support enabled."]
    );
}

#[tokio::test]
async fn what_a_source_says_of_exactly_once_is_asked_when_it_is_required() {
    let not_enabled = "This worker does not have exactly-once source support enabled.";
    let unsaid = "The connector does not implement the API required for preflight validation of \
                  exactly-once source support. Please consult the documentation for the connector to \
                  determine whether it supports exactly-once semantics, and then consider \
                  reconfiguring the connector to use the value \"requested\" for this property (which \
                  will disable this preflight check and allow the connector to be created).";
    let unsupported =
        "The connector does not support exactly-once semantics with the provided configuration.";
    let required = ("exactly.once.support", "Required");
    for (outside, expected) in [("silent", unsaid), ("inexact", unsupported)] {
        let found = messages(&SOURCE, &[required, ("outside", outside)]).await;
        assert_eq!(found, [not_enabled, expected]);
    }
    let found = messages(&SOURCE, &[required, ("outside", "panics")]).await;
    assert!(found[1].starts_with("An unexpected error occurred during validation: panicked at"));
    let requested = ("exactly.once.support", "requested");
    assert!(messages(&SOURCE, &[requested]).await.is_empty());

    let own = ("transaction.boundary", "connector");
    let unbounded = "The connector does not support connector-defined transaction boundaries with the \
                     given configuration. Please reconfigure it to use a different transaction \
                     boundary definition.";
    assert_eq!(messages(&SOURCE, &[own]).await, [unbounded]);
    let bounded = messages(&SOURCE, &[own, ("outside", "bounded")]).await;
    assert!(!bounded.iter().any(|message| message == unbounded), "{bounded:?}");
}

#[tokio::test]
async fn null_is_refused_except_for_the_plugins_own_keys() {
    let null = "Null value can not be supplied as the configuration value.";
    assert_eq!(messages(&SOURCE[..2], &[("topic", "NULL")]).await, Vec::<String>::new());
    assert_eq!(
        messages(&SOURCE, &[("tasks.max", "NULL")]).await,
        ["Invalid value null for configuration tasks.max: Value must be non-null", null]
    );
    let infos = answer(&[&SOURCE[..], &[("nobodys", "NULL")]].concat()).await.unwrap();
    assert_eq!(infos.configs[0].definition, None);
    assert_eq!(infos.configs[0].value.errors, [null]);
}

#[tokio::test]
async fn a_transform_shows_its_keys_numbered_from_0() {
    let infos = answer(
        &[
            &SOURCE[..],
            &[
                ("transforms", "r"),
                ("transforms.r.type", "Router"),
                ("transforms.r.regex", ""),
                ("transforms.r.limit", "x"),
                ("predicates", "p"),
                ("predicates.p.type", "org.example.Matches"),
            ],
        ]
        .concat(),
    )
    .await
    .unwrap();
    let of_r: Vec<_> = infos
        .configs
        .iter()
        .filter_map(|config| config.definition.as_ref())
        .filter(|key| key.group.as_deref() == Some("Transforms: r"))
        .map(|key| (key.order, key.name.as_str(), key.display_name.as_str()))
        .collect();
    assert_eq!(
        of_r,
        [
            (0, "transforms.r.type", "Transformation type for r"),
            (1, "transforms.r.regex", "regex"),
            (2, "transforms.r.replacement", "replacement"),
            (3, "transforms.r.negate", "negate"),
            (4, "transforms.r.predicate", "predicate"),
            (5, "transforms.r.limit", "limit"),
        ]
    );
    assert_eq!(
        infos.messages().collect::<Vec<_>>(),
        [
            "Invalid value  for configuration regex: String must be non-empty",
            "Missing required configuration \"transforms.r.replacement\" which has no default value.",
            "Invalid value x for configuration transforms.r.limit: Not a number of type INT",
        ]
    );
    assert!(infos.groups.contains(&"Predicates: p".to_owned()));
}

#[tokio::test]
async fn a_transform_without_a_usable_class_shows_its_type_alone() {
    for (class, expected) in [
        (
            "Nope",
            "Invalid value Nope for configuration transforms.a.type: Class Nope could not be found.",
        ),
        (
            "org.example.Matches",
            "Class class org.example.Matches does not implement the Transformation interface",
        ),
    ] {
        let keys = [("transforms", "a"), ("transforms.a.type", class), ("transforms.a.x", "1")];
        assert_eq!(messages(&SOURCE, &keys).await, [expected]);
    }
    assert_eq!(
        messages(&SOURCE, &[("transforms", "a")]).await,
        ["Missing required configuration \"transforms.a.type\" which has no default value."]
    );
    let negate = [
        ("transforms", "a"),
        ("transforms.a.type", "Router"),
        ("transforms.a.regex", "x"),
        ("transforms.a.replacement", "x"),
        ("transforms.a.negate", "true"),
    ];
    assert_eq!(
        messages(&SOURCE, &negate).await,
        [
            "Config 'transforms.a.negate' was provided but there is no config 'transforms.a.predicate' \
          defining a predicate to be negated."
        ]
    );
}

#[tokio::test]
async fn a_converter_brings_its_keys() {
    let converter = ("key.converter", "Plain");
    let infos = answer(&[&SOURCE[..], &[converter]].concat()).await.unwrap();
    let names = names(&infos);
    assert_eq!(names[23..], ["key.converter.converter.type", "key.converter.schemas.enable"]);
    assert_eq!(infos.configs[5 - 1].value.value.as_deref(), Some("org.example.PlainConverter"));
    assert!(infos.groups.contains(&"Schemas".to_owned()));
    assert_eq!(
        messages(&SOURCE, &[converter, ("key.converter.schemas.enable", "x")]).await,
        ["Invalid value x for configuration schemas.enable: Expected value to be either true or \
          false"]
    );
    assert_eq!(
        messages(&SOURCE, &[("value.converter", "Nope")]).await,
        ["Invalid value Nope for configuration value.converter: Class Nope could not be found."]
    );
}

#[tokio::test]
async fn overrides_are_shown_where_the_client_is_used() {
    let infos = answer(
        &[
            &SOURCE[..],
            &[("producer.override.linger.ms", "5"), ("producer.override.x.y", "z")],
            &[("consumer.override.group.id", "g")],
        ]
        .concat(),
    )
    .await
    .unwrap();
    let overrides: Vec<_> = infos.configs[23..]
        .iter()
        .map(|config| (config.definition.is_some(), config.value.name.as_str()))
        .collect();
    assert_eq!(
        overrides,
        [(true, "producer.override.linger.ms"), (false, "producer.override.x.y")]
    );
    let unreadable = [&SOURCE[..], &[("producer.override.max.request.size", "x")]].concat();
    assert_eq!(
        answer(&unreadable).await.unwrap_err().to_string(),
        "Invalid value x for configuration max.request.size: Not a number of type INT"
    );
    let jndi = "com.sun.security.auth.module.JndiLoginModule required;";
    assert_eq!(
        messages(&SOURCE, &[("producer.override.sasl.jaas.config", jndi)]).await,
        [
            "The 'Tuning' policy does not allow 'sasl.jaas.config' to be overridden in the connector \
          configuration."
        ]
    );
}

#[tokio::test]
async fn without_a_plugin_there_is_no_answer() {
    let error = answer(&[("name", "x"), ("database.password", "p")]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Connector config {database.password=[hidden], name=x} contains no connector type"
    );
    let error = answer(&[("connector.class", "Nope")]).await.unwrap_err();
    assert!(error.to_string().starts_with(
        "Failed to find any class that implements Connector and which name matches Nope, available \
         connectors are: PluginDesc{klass=class org.example.FileSinkConnector, \
         name='org.example.FileSinkConnector', version='3.9.1', encodedVersion=3.9.1, type=sink, \
         typeName='sink', location='classpath'}, PluginDesc{"
    ));
}

#[tokio::test]
async fn the_connector_looks_at_its_outside_when_no_key_is_wrong() {
    assert_eq!(messages(&SOURCE, &[("outside", "no such file")]).await, ["no such file"]);
    let panics = messages(&SOURCE, &[("outside", "panics")]).await;
    assert!(panics[0].contains("ended in a panic"), "{panics:?}");
    let other = [("outside", "no such file"), ("tasks.max", "0")];
    assert_eq!(messages(&SOURCE, &other).await.len(), 1, "not asked when a key is wrong");
}

#[test]
fn keys_that_nobody_reads_are_found() {
    let plugins = plugins();
    let scope = ValidationScope {
        plugins: &plugins,
        context: ConnectorContext::default(),
        group_id: "connect-cluster",
        exactly_once: false,
        client_settings: &Props::new(),
        override_policy: OverridePolicy::default(),
        providers: Arc::default(),
    };
    let submitted: SubmittedProps = [
        ("connector.class", "FileSource"),
        ("topci", "t"),
        ("task.max", "1"),
        ("something.else", "1"),
        ("transforms", "r"),
        ("transforms.r.type", "Router"),
        ("transforms.r.regex", "x"),
        ("transforms.r.regexx", "x"),
        ("transforms.other.type", "Router"),
        ("key.converter.schemas.enable", "true"),
        ("producer.override.linger.ms", "1"),
        ("topic.creation.default.partitions", "1"),
    ]
    .map(|(key, value)| (key.to_owned(), Some(value.to_owned())))
    .into();
    let plugin = plugins.find(&[PluginKind::Source], "FileSource").unwrap();
    let unknown = unknown_keys(&scope, plugin, &submitted);
    let unknown: Vec<_> =
        unknown.iter().map(|found| (found.key.as_str(), found.near.as_deref())).collect();
    assert_eq!(
        unknown,
        [
            ("something.else", None),
            ("task.max", Some("tasks.max")),
            ("topci", Some("topic")),
            ("transforms.other.type", None),
            ("transforms.r.regexx", None),
        ]
    );
}

#[test]
fn keys_that_the_postgresql_source_reads_undeclared_are_no_mistakes() {
    let plugins = Plugins::builtin();
    let scope = ValidationScope {
        plugins: &plugins,
        context: ConnectorContext::default(),
        group_id: "connect-cluster",
        exactly_once: false,
        client_settings: &Props::new(),
        override_policy: OverridePolicy::default(),
        providers: Arc::default(),
    };
    let submitted = [
        "debezium.compatibility",
        "topic.heartbeat.prefix",
        "column.mask.hash.v2.SHA-256.with.salt.s",
        "column.truncate.to.5.chars",
        "snapshot.select.statement.overrides.inv.a",
        "tabel.include.list",
        "database.server.name",
    ]
    .map(|key| (key.to_owned(), Some("x".to_owned())))
    .into();
    let plugin = plugins.find(&[PluginKind::Source], "PostgresConnector").unwrap();
    let unknown = unknown_keys(&scope, plugin, &submitted);
    let unknown: Vec<_> =
        unknown.iter().map(|found| (found.key.as_str(), found.near.as_deref())).collect();
    assert_eq!(
        unknown,
        [("database.server.name", None), ("tabel.include.list", Some("table.include.list"))]
    );
}

/// The example files as they stand in the repository; their numbers become text.
fn example(file: &str) -> SubmittedProps {
    let path = format!("{}/connectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the example file");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut props: SubmittedProps = file["config"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(key, value)| (key.clone(), Some(text(value))))
        .collect();
    props.insert(NAME.to_owned(), Some(text(&file["name"])));
    props
}

#[test]
fn the_example_files_are_valid() {
    let plugins = Plugins::builtin();
    let scope = ValidationScope {
        plugins: &plugins,
        context: ConnectorContext::default(),
        group_id: "connect-cluster",
        exactly_once: false,
        client_settings: &Props::new(),
        override_policy: OverridePolicy::default(),
        providers: Arc::default(),
    };
    for (file, unread) in [
        ("postgres-source.json", &["database.server.name", "include.schema.changes"][..]),
        ("s3-sink.json", &[]),
    ] {
        let submitted = example(file);
        let (class, plugin) = named_plugin(&scope, &submitted, &Resolved::default()).expect(file);
        let infos = declared(&scope, plugin, &submitted).expect(file).finish(class);
        assert_eq!(infos.messages().collect::<Vec<_>>(), Vec::<&str>::new(), "{file}");
        let unknown = unknown_keys(&scope, plugin, &submitted);
        let unknown: Vec<_> = unknown.iter().map(|found| found.key.as_str()).collect();
        assert_eq!(unknown, unread, "{file}");
    }
}

#[test]
fn every_plugins_table_can_be_shown() {
    let plugins = Plugins::builtin();
    for plugin in plugins.iter() {
        for key in plugin_keys(plugin).keys() {
            // A default that does not parse panics here.
            let _ = key.outcome(key.name, Submitted::Absent);
            assert!(!key.documentation.is_empty(), "{} {}", plugin.class, key.name);
        }
    }
}

#[tokio::test]
async fn overrides_that_cannot_be_followed_are_refused() {
    let jaas = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;";
    for (key, value, expected) in [
        ("producer.override.sasl.jaas.config", jaas, "OAUTHBEARER is not there"),
        ("producer.override.linger.ms", "5", ""),
    ] {
        let found = messages(&SOURCE, &[(key, value)]).await;
        assert_eq!(found.is_empty(), expected.is_empty(), "{key}: {found:?}");
        assert!(found.iter().all(|message| message.contains(expected)), "{found:?}");
    }
}
