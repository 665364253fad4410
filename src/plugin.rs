//! The registry: class name or alias to configuration table and constructor. The only list of
//! concrete plugins.

mod transformations;

use std::sync::Arc;

use crate::config::{ConfigDef, Props};
use crate::connector::{
    Connector, ConnectorContext, SinkTask, SinkTaskContext, SourceTask, SourceTaskContext,
    postgres, s3,
};
use crate::converter::simple_header::AsHeaderConverter;
use crate::converter::{
    HeaderConverter, NewConverter, Role, avro, binary_data, byte_array, cloud_events, json,
    json_schema, number, protobuf, simple_header, string,
};
use crate::data::Schema;
use crate::error::{ConnectError, DataError};
use crate::transform::{Predicate, Transformation};

/// Makes the connector that plans; its configuration passed the plugin's [`ConfigDef`].
pub type NewConnector = fn(&Props, ConnectorContext) -> Result<Box<dyn Connector>, ConnectError>;

/// Makes a source task, ready to poll.
pub type NewSourceTask = fn(&Props, SourceTaskContext) -> Result<Box<dyn SourceTask>, ConnectError>;
/// Makes a sink task, ready to be assigned partitions.
pub type NewSinkTask = fn(&Props, SinkTaskContext) -> Result<Box<dyn SinkTask>, ConnectError>;
/// Makes a header converter.
pub type NewHeaderConverter = fn(&Props) -> Result<Box<dyn HeaderConverter>, ConnectError>;
/// Makes a transform.
pub type NewTransformation = fn(&Props) -> Result<Box<dyn Transformation>, ConnectError>;
/// Makes a predicate.
pub type NewPredicate = fn(&Props) -> Result<Box<dyn Predicate>, ConnectError>;

/// What a plugin is and how it is made.
#[derive(Debug, Clone, Copy)]
pub enum Constructor {
    Source { connector: NewConnector, task: NewSourceTask },
    Sink { connector: NewConnector, task: NewSinkTask },
    Converter(NewConverter),
    HeaderConverter(NewHeaderConverter),
    Transformation(NewTransformation),
    Predicate(NewPredicate),
}

/// The kind of a plugin, as `/connector-plugins` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKind {
    Source,
    Sink,
    Converter,
    HeaderConverter,
    Transformation,
    Predicate,
}

impl PluginKind {
    /// The name in `/connector-plugins`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Converter => "converter",
            Self::HeaderConverter => "header_converter",
            Self::Transformation => "transformation",
            Self::Predicate => "predicate",
        }
    }

    /// The suffixes that an alias may leave out of the simple class name.
    fn suffix(self) -> &'static str {
        match self {
            Self::Source | Self::Sink => "Connector",
            Self::Converter => "Converter",
            Self::HeaderConverter => "HeaderConverter",
            Self::Transformation => "Transformation",
            Self::Predicate => "Predicate",
        }
    }
}

/// One static entry of the registry.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// The full class name of the original.
    pub class: &'static str,
    /// Further full class names that mean the same.
    pub aliases: &'static [&'static str],
    /// The version of the original that the plugin equals.
    pub version: &'static str,
    pub config_def: fn() -> ConfigDef,
    pub constructor: Constructor,
}

impl Plugin {
    /// Its kind.
    pub fn kind(&self) -> PluginKind {
        match self.constructor {
            Constructor::Source { .. } => PluginKind::Source,
            Constructor::Sink { .. } => PluginKind::Sink,
            Constructor::Converter(_) => PluginKind::Converter,
            Constructor::HeaderConverter(_) => PluginKind::HeaderConverter,
            Constructor::Transformation(_) => PluginKind::Transformation,
            Constructor::Predicate(_) => PluginKind::Predicate,
        }
    }

    /// Whether `name` is the class, a class alias, the simple name, or the simple name without its
    /// kind's suffix (Kafka Connect, `PluginUtils`).
    fn is_named(&self, name: &str) -> bool {
        if self.class == name || self.aliases.contains(&name) {
            return true;
        }
        let simple = self.class.rsplit('.').next().unwrap_or(self.class);
        simple == name || simple.strip_suffix(self.kind().suffix()).is_some_and(|s| s == name)
    }
}

/// The message type of the Parquet files that the S3 sink writes of values of `schema`.
///
/// # Errors
/// When such values cannot be written as Parquet, with the remedy.
pub fn parquet_schema(schema: Option<&Arc<Schema>>) -> Result<String, DataError> {
    s3::parquet_schema(schema)
}

/// The plugins of this worker.
#[derive(Debug, Clone, Default)]
pub struct Plugins {
    plugins: Vec<Arc<Plugin>>,
}

impl Plugins {
    /// Everything that Ferroconnect brings.
    pub fn builtin() -> Self {
        let mut plugins = Self::default();
        for plugin in builtin() {
            plugins.register(plugin);
        }
        plugins
    }

    /// Adds a plugin; for the ones that other crates bring, and for tests.
    pub fn register(&mut self, plugin: Plugin) {
        self.plugins.push(Arc::new(plugin));
    }

    /// All plugins, in registration order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.iter()
    }

    /// The plugin of one of `kinds` that `name` means, if exactly one does, or one of Kafka's own.
    pub fn find(&self, kinds: &[PluginKind], name: &str) -> Option<&Arc<Plugin>> {
        let mut matches =
            self.iter().filter(|plugin| kinds.contains(&plugin.kind()) && plugin.is_named(name));
        let found = matches.next()?;
        let others: Vec<_> = matches.collect();
        if others.is_empty() {
            return Some(found);
        }
        // Debezium has a ByteArrayConverter too: a file that says just this was written for Kafka's,
        // which every worker has.
        let mut kafka = std::iter::once(found)
            .chain(others)
            .filter(|plugin| plugin.class.starts_with("org.apache.kafka.connect.converters."));
        let found = kafka.next()?;
        kafka.next().is_none().then_some(found)
    }
}

/// The built-in converter of a class: for converters that have another do some of their work.
pub fn converter_of(class: &str) -> Option<NewConverter> {
    let plugins = converters().into_iter().map(Arc::new).collect();
    let plugins = Plugins { plugins };
    match plugins.find(&[PluginKind::Converter], class)?.constructor {
        Constructor::Converter(construct) => Some(construct),
        _ => None,
    }
}

/// The version of Kafka Connect whose converters, transforms and predicates ours equal.
const KAFKA_VERSION: &str = "3.9.0";
/// The version of Confluent's converters that ours equal.
const CONFLUENT_VERSION: &str = "7.9.0";
/// The version of Debezium whose transforms ours equal.
const DEBEZIUM_VERSION: &str = "3.6.3.Final";

/// One entry per plugin.
fn builtin() -> Vec<Plugin> {
    let mut plugins = vec![postgres_source(), s3_sink()];
    #[cfg(feature = "analytics")]
    plugins.push(scd2_sink());
    plugins.extend(converters());
    plugins.extend(transformations::debezium());
    plugins.extend(transformations::kafka());
    plugins.extend(transformations::predicates());
    plugins
}

fn postgres_source() -> Plugin {
    Plugin {
        class: postgres::CLASS,
        aliases: &[],
        version: postgres::VERSION,
        config_def: postgres::config_def,
        constructor: Constructor::Source { connector: postgres::connector, task: postgres::task },
    }
}

fn s3_sink() -> Plugin {
    Plugin {
        class: s3::CLASS,
        aliases: &[],
        version: s3::VERSION,
        config_def: s3::config_def,
        constructor: Constructor::Sink { connector: s3::construct, task: s3::construct_task },
    }
}

/// Runs as a source: it polls a prefix of objects and consumes no topic.
#[cfg(feature = "analytics")]
fn scd2_sink() -> Plugin {
    use crate::connector::duckdb;
    Plugin {
        class: duckdb::CLASS,
        aliases: &[],
        version: duckdb::VERSION,
        config_def: duckdb::config_def,
        constructor: Constructor::Source {
            connector: duckdb::construct,
            task: duckdb::construct_task,
        },
    }
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn converters() -> Vec<Plugin> {
    let converter = |class, config_def, construct| Plugin {
        class,
        aliases: &[],
        version: KAFKA_VERSION,
        config_def,
        constructor: Constructor::Converter(construct),
    };
    let header = |class, config_def, construct| Plugin {
        class,
        aliases: &[],
        version: KAFKA_VERSION,
        config_def,
        constructor: Constructor::HeaderConverter(construct),
    };
    let byte_array_class = "org.apache.kafka.connect.converters.ByteArrayConverter";
    let json_class = "org.apache.kafka.connect.json.JsonConverter";
    let string_class = "org.apache.kafka.connect.storage.StringConverter";
    let confluent = |class, config_def, construct| Plugin {
        version: CONFLUENT_VERSION,
        ..converter(class, config_def, construct)
    };
    let debezium = |class| Plugin {
        version: DEBEZIUM_VERSION,
        ..converter(class, binary_data::config_def, binary_data::construct)
    };
    vec![
        confluent(
            "io.confluent.connect.avro.AvroConverter",
            avro::config_def as fn() -> ConfigDef,
            avro::construct as NewConverter,
        ),
        confluent(
            "io.confluent.connect.json.JsonSchemaConverter",
            json_schema::config_def,
            json_schema::construct,
        ),
        confluent(
            "io.confluent.connect.protobuf.ProtobufConverter",
            protobuf::config_def,
            protobuf::construct,
        ),
        debezium("io.debezium.converters.BinaryDataConverter"),
        debezium("io.debezium.converters.ByteArrayConverter"),
        Plugin {
            config_def: cloud_events::config_def,
            constructor: Constructor::Converter(cloud_events::construct),
            ..debezium("io.debezium.converters.CloudEventsConverter")
        },
        converter(byte_array_class, byte_array::config_def, byte_array::construct),
        converter(
            "org.apache.kafka.connect.converters.BooleanConverter",
            number::config_def,
            number::construct_boolean,
        ),
        converter(
            "org.apache.kafka.connect.converters.DoubleConverter",
            number::config_def,
            number::construct_double,
        ),
        converter(
            "org.apache.kafka.connect.converters.FloatConverter",
            number::config_def,
            number::construct_float,
        ),
        converter(
            "org.apache.kafka.connect.converters.IntegerConverter",
            number::config_def,
            number::construct_integer,
        ),
        converter(
            "org.apache.kafka.connect.converters.LongConverter",
            number::config_def,
            number::construct_long,
        ),
        converter(
            "org.apache.kafka.connect.converters.ShortConverter",
            number::config_def,
            number::construct_short,
        ),
        converter(json_class, json::config_def, json::construct),
        converter(string_class, string::config_def, string::construct),
        header(
            "org.apache.kafka.connect.storage.SimpleHeaderConverter",
            simple_header::config_def,
            simple_header::construct,
        ),
        header(byte_array_class, byte_array::config_def, |props| {
            Ok(Box::new(AsHeaderConverter(byte_array::construct(props, &Role::Value.into())?)))
        }),
        header(json_class, json::config_def, |props| {
            Ok(Box::new(AsHeaderConverter(json::construct(props, &Role::Value.into())?)))
        }),
        header(string_class, string::config_def, |props| {
            Ok(Box::new(AsHeaderConverter(string::construct(props, &Role::Value.into())?)))
        }),
        header(
            "org.apache.kafka.connect.converters.BooleanConverter",
            number::config_def,
            |props| {
                Ok(Box::new(AsHeaderConverter(number::construct_boolean(
                    props,
                    &Role::Value.into(),
                )?)))
            },
        ),
        header(
            "org.apache.kafka.connect.converters.DoubleConverter",
            number::config_def,
            |props| {
                Ok(Box::new(AsHeaderConverter(number::construct_double(
                    props,
                    &Role::Value.into(),
                )?)))
            },
        ),
        header("org.apache.kafka.connect.converters.FloatConverter", number::config_def, |props| {
            Ok(Box::new(AsHeaderConverter(number::construct_float(props, &Role::Value.into())?)))
        }),
        header(
            "org.apache.kafka.connect.converters.IntegerConverter",
            number::config_def,
            |props| {
                Ok(Box::new(AsHeaderConverter(number::construct_integer(
                    props,
                    &Role::Value.into(),
                )?)))
            },
        ),
        header("org.apache.kafka.connect.converters.LongConverter", number::config_def, |props| {
            Ok(Box::new(AsHeaderConverter(number::construct_long(props, &Role::Value.into())?)))
        }),
        header("org.apache.kafka.connect.converters.ShortConverter", number::config_def, |props| {
            Ok(Box::new(AsHeaderConverter(number::construct_short(props, &Role::Value.into())?)))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_is_found_by_its_class_and_has_sound_defaults() {
        let plugins = Plugins::builtin();
        for plugin in plugins.iter() {
            let found = plugins.find(&[plugin.kind()], plugin.class);
            assert!(found.is_some_and(|found| Arc::ptr_eq(found, plugin)), "{}", plugin.class);
            let table = (plugin.config_def)();
            assert_eq!(table.validate(&Props::new()).len(), table.keys().len());
        }
    }

    #[test]
    fn simple_names_do() {
        let plugins = Plugins::builtin();
        for (kind, name) in [
            (PluginKind::Converter, "JsonConverter"),
            (PluginKind::Converter, "Json"),
            (PluginKind::HeaderConverter, "SimpleHeaderConverter"),
            (PluginKind::Transformation, "RegexRouter"),
            (PluginKind::Predicate, "TopicNameMatches"),
        ] {
            assert!(plugins.find(&[kind], name).is_some(), "{name}");
        }
        assert!(plugins.find(&[PluginKind::Converter], "no.Such").is_none());
        let shared = plugins.find(&[PluginKind::Converter], "ByteArrayConverter").unwrap();
        assert_eq!(shared.class, "org.apache.kafka.connect.converters.ByteArrayConverter");
        assert!(plugins.find(&[PluginKind::Transformation], "Filter").is_none());
    }
}
