//! The settings of the converter (Debezium, `CloudEventsConverterConfig`).

use crate::config::{
    ConfigDef, ConfigKey, ConfigType, Props, SCHEMA_NAME_ADJUSTMENT_MODES, SchemaNameAdjustment,
    Validator, with_prefix,
};
use crate::error::ConnectError;

const SERIALIZERS: [&str; 2] = ["json", "avro"];
const REGISTRY_URL: &str = "schema.registry.url";
const APICURIO_URL: &str = "apicurio.registry.url";

/// The configuration keys, in the original's order. Keys behind `json.` and `avro.` are those of the
/// converters inside.
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    ConfigDef::new(vec![
        key("converter.type", ConfigType::String, "Whether keys or values are converted.")
            .default("value")
            .check(Validator::OneOf(&["key", "value", "header"])),
        key("serializer.type", ConfigType::String, "How events are written: json or avro.")
            .default("json")
            .high()
            .check(Validator::OneOfAnyCase(&SERIALIZERS)),
        key(
            "data.serializer.type",
            ConfigType::String,
            "How the data within events are written: json or avro.",
        )
        .default("json")
        .high()
        .check(Validator::OneOfAnyCase(&SERIALIZERS)),
        key(
            "opentelemetry.tracing.attributes.enable",
            ConfigType::Boolean,
            "Whether events have the attribute traceparent, which comes from the header of that \
             name.",
        )
        .default("false")
        .high(),
        key(
            "extension.attributes.enable",
            ConfigType::Boolean,
            "Whether the operation, the source and the transaction are attributes (iodebezium*).",
        )
        .default("true")
        .high(),
        key(
            "schema.name.adjustment.mode",
            ConfigType::String,
            "How the name of the events' schema is made fit for Avro: none, avro or avro_unicode.",
        )
        .default("avro")
        .check(SCHEMA_NAME_ADJUSTMENT_MODES),
        key(
            "schema.cloudevents.name",
            ConfigType::String,
            "The name of the events' schema; by default SERVER.DATABASE.CloudEvents.Envelope.",
        ),
        key(
            "schema.data.name.source.header.enable",
            ConfigType::Boolean,
            "Whether the header dataSchemaName may give the name of the data's schema.",
        )
        .default("false"),
        key(
            "metadata.source",
            ConfigType::List,
            "Where source, op and transaction come from (value or header), and after them id, type, \
             traceparent and dataSchemaName (generate or header), as id:header.",
        )
        .default("value,id:generate,type:generate,traceparent:header,dataSchemaName:generate")
        .high(),
    ])
    .reading(|key| key.starts_with("json.") || key.starts_with("avro."))
}

/// A form of events or of their data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serializer {
    Json,
    Avro,
}

impl Serializer {
    fn parse(text: &str) -> Self {
        if text.eq_ignore_ascii_case("avro") { Self::Avro } else { Self::Json }
    }

    /// The media type of data in this form.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Avro => "application/avro",
        }
    }
}

/// Where an attribute comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Value,
    Header,
    Generate,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "value" => Self::Value,
            "header" => Self::Header,
            "generate" => Self::Generate,
            _ => return None,
        })
    }
}

/// Where the attributes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origins {
    /// Source, operation and transaction.
    pub(super) global: Origin,
    pub(super) id: Origin,
    pub(super) ty: Origin,
    pub(super) trace_parent: Origin,
    pub(super) data_name: Origin,
}

#[derive(Debug, Clone)]
pub(super) struct CloudEventsConfig {
    pub(super) event: Serializer,
    pub(super) data: Serializer,
    /// Whether data in JSON have their schema with them.
    pub(super) data_has_schemas: bool,
    pub(super) tracing: bool,
    pub(super) extensions: bool,
    pub(super) adjustment: SchemaNameAdjustment,
    pub(super) event_name: Option<String>,
    pub(super) origins: Origins,
    /// As `dataschema` shows them; there where something is in Avro.
    pub(super) registry_urls: Option<String>,
}

impl CloudEventsConfig {
    /// The settings in `props`.
    ///
    /// # Errors
    /// When they are not valid, or contradict each other.
    pub(super) fn new(props: &Props) -> Result<Self, ConnectError> {
        let parsed = config_def().parse(props)?;
        let event = Serializer::parse(&parsed.string("serializer.type"));
        let data = Serializer::parse(&parsed.string("data.serializer.type"));
        if (event, data) == (Serializer::Avro, Serializer::Json) {
            return Err(ConnectError::config(
                "Cannot use 'application/json' data content type within Avro events; set \
                 data.serializer.type to avro",
            ));
        }
        let uses_avro = event == Serializer::Avro || data == Serializer::Avro;
        let tracing = parsed.boolean("opentelemetry.tracing.attributes.enable");
        let mut origins = origins(&parsed.list("metadata.source"))?;
        // Without these a name or a parent from a header is one of the configuration only.
        if origins.trace_parent == Origin::Header && !tracing {
            origins.trace_parent = Origin::Generate;
        }
        if origins.data_name == Origin::Header
            && !parsed.boolean("schema.data.name.source.header.enable")
        {
            origins.data_name = Origin::Generate;
        }
        Ok(Self {
            event,
            data,
            data_has_schemas: props
                .get("json.schemas.enable")
                .is_none_or(|enable| enable.trim().eq_ignore_ascii_case("true")),
            tracing,
            extensions: parsed.boolean("extension.attributes.enable"),
            adjustment: SchemaNameAdjustment::parse(&parsed.string("schema.name.adjustment.mode"))
                .unwrap_or(SchemaNameAdjustment::Avro),
            event_name: parsed.optional_string("schema.cloudevents.name"),
            origins,
            registry_urls: if uses_avro { Some(registry_urls(props)?) } else { None },
        })
    }
}

fn registry_urls(props: &Props) -> Result<String, ConnectError> {
    let avro = with_prefix(props, "avro.");
    let urls = avro.get(REGISTRY_URL).map(|urls| {
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        urls.collect::<Vec<_>>().join(",")
    });
    if let Some(urls) = urls.filter(|urls| !urls.is_empty()) {
        return Ok(urls);
    }
    let apicurio = match avro.contains_key(APICURIO_URL) {
        true => {
            "; avro.apicurio.registry.url is for Apicurio's own protocol: name its Confluent-compatible \
             address instead (/apis/ccompat/v7)"
        }
        false => "",
    };
    Err(ConnectError::config(format!(
        "Need URL(s) for schema registry instances for CloudEvents when using Apache Avro: set \
         avro.{REGISTRY_URL}{apicurio}"
    )))
}

fn origins(items: &[String]) -> Result<Origins, ConnectError> {
    let refused = |text: String| Err(ConnectError::config(format!("metadata.source: {text}")));
    let first = items.first().map(String::as_str).unwrap_or_default();
    let global = match Origin::parse(first) {
        Some(origin @ (Origin::Value | Origin::Header)) => origin,
        Some(Origin::Generate) => {
            return refused("Global metadata source can't be GENERATE".to_owned());
        }
        None => return refused(format!("\"{first}\" comes first; it has to be value or header")),
    };
    let mut origins =
        Origins { global, id: global, ty: global, trace_parent: global, data_name: global };
    for item in items.iter().skip(1) {
        let (name, origin) = item.split_once(':').unwrap_or((item, ""));
        let origin = match Origin::parse(origin) {
            Some(origin @ (Origin::Header | Origin::Generate)) => origin,
            Some(Origin::Value) => {
                return refused("Field metadata source can't be VALUE".to_owned());
            }
            None => return refused(format!("Field source `{origin}` is not valid")),
        };
        match name {
            "id" => origins.id = origin,
            "type" => origins.ty = origin,
            "traceparent" => origins.trace_parent = origin,
            "dataSchemaName" => origins.data_name = origin,
            _ => return refused(format!("Field `{name}` is not allowed to set custom source")),
        }
    }
    Ok(origins)
}
