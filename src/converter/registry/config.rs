//! What a connector's file says about the Schema Registry: the keys of Confluent's
//! `AbstractKafkaSchemaSerDeConfig` and `SchemaRegistryClientConfig`.

use std::time::Duration;

use super::subject::{SubjectNames, TOPIC_NAME};
use crate::config::{ConfigKey, ConfigType, Parsed, Props, Secret, Validator};
use crate::converter::Role;
use crate::error::ConnectError;

pub(super) const URL: &str = "schema.registry.url";
const HEADER_PREFIX: &str = "request.header.";
const NO_CONTEXT: &str = "io.confluent.kafka.serializers.context.NullContextNameStrategy";

/// The keys that every converter of the registry has, in the original's order.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(in crate::converter) fn keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Class, Int, List, Password, String};
    let mut keys = vec![
        ConfigKey::new(
            URL,
            List,
            "URLs of the registry's instances, separated by commas; the next is asked when one \
             cannot be reached.",
        )
        .required()
        .high(),
        ConfigKey::new(
            "schema.registry.url.randomize",
            Boolean,
            "Whether the instance that is asked first is chosen by chance.",
        )
        .default("false"),
        ConfigKey::new(
            "max.schemas.per.subject",
            Int,
            "How many schemas are kept in memory, in each direction.",
        )
        .default("1000"),
        ConfigKey::new(
            "normalize.schemas",
            Boolean,
            "Whether the registry brings schemas into one form before it compares them.",
        )
        .default("false")
        .medium(),
        ConfigKey::new(
            "auto.register.schemas",
            Boolean,
            "Whether schemas that are new are registered; else they have to be there.",
        )
        .default("true")
        .medium(),
        ConfigKey::new(
            "propagate.schema.tags",
            Boolean,
            "Whether a new version gets the tags of the one before.",
        )
        .default("false"),
        ConfigKey::new(
            "use.schema.id",
            Int,
            "With auto.register.schemas=false: the id of the schema to write with; -1 is none.",
        )
        .default("-1"),
        ConfigKey::new(
            "id.compatibility.strict",
            Boolean,
            "Whether the schema of use.schema.id must have a default for each field that the \
             record does not have.",
        )
        .default("true"),
        ConfigKey::new(
            "use.latest.version",
            Boolean,
            "With auto.register.schemas=false: write with the latest schema of the subject, as it \
             is when the task first needs it.",
        )
        .default("false"),
        ConfigKey::new(
            "latest.compatibility.strict",
            Boolean,
            "Whether the latest schema must have a default for each field that the record does not \
             have.",
        )
        .default("true"),
        ConfigKey::new(
            "use.latest.with.metadata",
            String,
            "With auto.register.schemas=false: write with the latest schema of the subject that \
             has this metadata, as in application.version=v1.",
        ),
        ConfigKey::new(
            "basic.auth.credentials.source",
            String,
            "Where user and password come from: URL takes them from schema.registry.url, USER_INFO \
             from basic.auth.user.info, SASL_INHERIT from sasl.jaas.config.",
        )
        .default("URL")
        .check(Validator::OneOf(&["URL", "USER_INFO", "SASL_INHERIT"]))
        .medium(),
        ConfigKey::new(
            "schema.registry.basic.auth.user.info",
            Password,
            "The former name of basic.auth.user.info.",
        )
        .default("")
        .medium(),
        ConfigKey::new("basic.auth.user.info", Password, "User and password as user:password.")
            .default("")
            .medium(),
        ConfigKey::new(
            "sasl.jaas.config",
            Password,
            "For SASL_INHERIT: the login module's line, with username and password.",
        )
        .medium(),
        ConfigKey::new(
            "bearer.auth.credentials.source",
            String,
            "Where the bearer token comes from; only STATIC_TOKEN is supported.",
        )
        .default("STATIC_TOKEN")
        .check(Validator::OneOf(&["STATIC_TOKEN"]))
        .medium(),
        ConfigKey::new("bearer.auth.token", Password, "The bearer token; wins over basic.auth.")
            .default("")
            .medium(),
        ConfigKey::new(
            "bearer.auth.identity.pool.id",
            String,
            "Sent with the token as Confluent-Identity-Pool-Id.",
        )
        .medium(),
        ConfigKey::new(
            "bearer.auth.logical.cluster",
            String,
            "Sent with the token as target-sr-cluster.",
        )
        .medium(),
        ConfigKey::new(
            "context.name.strategy",
            Class,
            "The context that subjects are in; only the strategy without contexts is supported.",
        )
        .default(NO_CONTEXT)
        .check(Validator::OneOf(&[NO_CONTEXT]))
        .medium(),
    ];
    for key in ["key.subject.name.strategy", "value.subject.name.strategy"] {
        keys.push(
            ConfigKey::new(
                key,
                Class,
                "How subjects are named: TopicNameStrategy, RecordNameStrategy or \
                 TopicRecordNameStrategy, by simple or full class name.",
            )
            .default(TOPIC_NAME)
            .check(Validator::Custom(super::subject::strategy_rule))
            .medium(),
        );
    }
    keys.extend([
        ConfigKey::new("proxy.host", String, "The HTTP proxy in front of the registry.")
            .default(""),
        ConfigKey::new("proxy.port", Int, "The proxy's port.").default("-1"),
        ConfigKey::new(
            "http.connect.timeout.ms",
            Int,
            "How long a connection to the registry may take.",
        )
        .default("60000")
        .check(Validator::AtLeast(1)),
        ConfigKey::new("http.read.timeout.ms", Int, "How long the registry may take to answer.")
            .default("60000")
            .check(Validator::AtLeast(1)),
        ConfigKey::new(
            "max.retries",
            Int,
            "How often a request is sent again before the task shows the failure; it then goes on \
             trying.",
        )
        .default("3")
        .check(Validator::Between(0, 100)),
        ConfigKey::new("retries.wait.ms", Int, "The longest wait before the first repetition.")
            .default("1000")
            .check(Validator::AtLeast(0)),
        ConfigKey::new("retries.max.wait.ms", Int, "The longest wait before any repetition.")
            .default("20000")
            .check(Validator::AtLeast(0)),
    ]);
    keys.extend(super::tls::keys());
    keys
}

/// The keys of the mapping that all formats have (Confluent, `AbstractDataConfig`).
pub(in crate::converter) fn data_keys() -> [ConfigKey; 3] {
    [
        ConfigKey::new(
            "generalized.sum.type.support",
            ConfigType::Boolean,
            "Whether enumerations and unions have one form in Connect, whatever format they came \
             from.",
        )
        .default("false")
        .medium(),
        ConfigKey::new(
            "ignore.default.for.nullables",
            ConfigType::Boolean,
            "Whether null stays null in fields that have a default.",
        )
        .default("false")
        .medium(),
        ConfigKey::new(
            "schemas.cache.config",
            ConfigType::Int,
            "Has no effect: schemas are kept converted as long as they are kept at all \
             (max.schemas.per.subject).",
        )
        .default("1000"),
    ]
}

/// How the registry is reached, and what for.
#[derive(Debug, Clone)]
pub(super) struct RegistryConfig {
    pub(super) urls: Vec<String>,
    pub(super) randomize: bool,
    pub(super) credentials: Credentials,
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) proxy: Option<(String, u16)>,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) retries_max: u32,
    pub(super) retry_wait: Duration,
    pub(super) retry_wait_max: Duration,
    pub(super) tls: super::tls::TlsConfig,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Credentials {
    /// Those of each URL, if it has some.
    Url,
    Basic {
        user: String,
        password: Secret,
    },
    Bearer(Secret),
}

/// How writers find the schema's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteMode {
    Register { normalize: bool, propagate_tags: bool },
    Id { id: i32, strict: bool },
    LatestWith { metadata: Vec<(String, String)>, strict: bool },
    Latest { strict: bool },
    Lookup { normalize: bool },
}

/// What the converters of the registry share.
#[derive(Debug, Clone)]
pub(super) struct SharedConfig {
    pub(super) registry: RegistryConfig,
    pub(super) mode: WriteMode,
    pub(super) subjects: SubjectNames,
    pub(super) schemas_max: usize,
}

impl SharedConfig {
    pub(super) fn new(parsed: &Parsed, props: &Props, role: Role) -> Result<Self, ConnectError> {
        let key = match role {
            Role::Key => "key.subject.name.strategy",
            Role::Value => "value.subject.name.strategy",
        };
        Ok(Self {
            registry: RegistryConfig::new(parsed, props)?,
            mode: WriteMode::new(parsed)?,
            subjects: SubjectNames::new(key, &parsed.string(key), role)?,
            schemas_max: usize::try_from(parsed.integer("max.schemas.per.subject"))
                .unwrap_or(0)
                .max(1),
        })
    }
}

impl WriteMode {
    fn new(parsed: &Parsed) -> Result<Self, ConnectError> {
        let normalize = parsed.boolean("normalize.schemas");
        let strict = parsed.boolean("latest.compatibility.strict");
        if parsed.boolean("auto.register.schemas") {
            let propagate_tags = parsed.boolean("propagate.schema.tags");
            return Ok(Self::Register { normalize, propagate_tags });
        }
        let id = parsed.integer("use.schema.id");
        if let Some(id) = i32::try_from(id).ok().filter(|id| *id >= 0) {
            return Ok(Self::Id { id, strict: parsed.boolean("id.compatibility.strict") });
        }
        if let Some(text) = parsed.optional_string("use.latest.with.metadata") {
            let pair = |each: &str| {
                let (key, value) = each.split_once('=')?;
                Some((key.trim().to_owned(), value.trim().to_owned()))
            };
            let metadata = text.split(',').map(pair).collect::<Option<_>>().ok_or_else(|| {
                ConnectError::config(format!(
                    "use.latest.with.metadata \"{text}\" is not of the form key=value,key=value"
                ))
            })?;
            return Ok(Self::LatestWith { metadata, strict });
        }
        Ok(match parsed.boolean("use.latest.version") {
            true => Self::Latest { strict },
            false => Self::Lookup { normalize },
        })
    }
}

impl RegistryConfig {
    fn new(parsed: &Parsed, props: &Props) -> Result<Self, ConnectError> {
        let urls: Vec<_> = parsed.list(URL).into_iter().filter(|url| !url.is_empty()).collect();
        if urls.is_empty() {
            return Err(ConnectError::config(format!(
                "Missing required configuration \"{URL}\" which has no default value."
            )));
        }
        let millis =
            |key| Duration::from_millis(u64::try_from(parsed.integer(key)).unwrap_or_default());
        let proxy = parsed.optional_string("proxy.host").map(|host| {
            let port = u16::try_from(parsed.integer("proxy.port")).ok().filter(|port| *port > 0);
            port.map(|port| (host, port)).ok_or_else(|| {
                ConnectError::config("proxy.host is set and proxy.port is not; set both")
            })
        });
        Ok(Self {
            urls,
            randomize: parsed.boolean("schema.registry.url.randomize"),
            credentials: Credentials::new(parsed)?,
            headers: headers(parsed, props),
            proxy: proxy.transpose()?,
            connect_timeout: millis("http.connect.timeout.ms"),
            read_timeout: millis("http.read.timeout.ms"),
            retries_max: u32::try_from(parsed.integer("max.retries")).unwrap_or_default(),
            retry_wait: millis("retries.wait.ms"),
            retry_wait_max: millis("retries.max.wait.ms"),
            tls: super::tls::TlsConfig::new(parsed),
        })
    }
}

/// The headers of each request, beside the credentials.
fn headers(parsed: &Parsed, props: &Props) -> Vec<(String, Secret)> {
    let mut headers: Vec<_> = props
        .iter()
        .filter_map(|(key, value)| {
            Some((key.strip_prefix(HEADER_PREFIX)?.to_owned(), Secret::new(value.clone())))
        })
        .collect();
    for (key, header) in [
        ("bearer.auth.identity.pool.id", "Confluent-Identity-Pool-Id"),
        ("bearer.auth.logical.cluster", "target-sr-cluster"),
    ] {
        if let Some(value) = parsed.optional_string(key) {
            headers.push((header.to_owned(), Secret::new(value)));
        }
    }
    headers
}

impl Credentials {
    fn new(parsed: &Parsed) -> Result<Self, ConnectError> {
        let secret = |key| parsed.optional_secret(key).filter(|secret| !secret.expose().is_empty());
        if let Some(token) = secret("bearer.auth.token") {
            return Ok(Self::Bearer(token));
        }
        match parsed.string("basic.auth.credentials.source").as_str() {
            "USER_INFO" => {
                let info = secret("basic.auth.user.info")
                    .or_else(|| secret("schema.registry.basic.auth.user.info"))
                    .ok_or_else(|| {
                        ConnectError::config(
                            "basic.auth.user.info must be provided when \
                             basic.auth.credentials.source is set to USER_INFO",
                        )
                    })?;
                let (user, password) = info.expose().split_once(':').ok_or_else(|| {
                    ConnectError::config("basic.auth.user.info is not of the form user:password")
                })?;
                Ok(Self::Basic { user: user.to_owned(), password: Secret::new(password) })
            }
            "SASL_INHERIT" => {
                let line = secret("sasl.jaas.config").ok_or_else(|| {
                    ConnectError::config(
                        "sasl.jaas.config must be provided among the converter's settings when \
                         basic.auth.credentials.source is set to SASL_INHERIT",
                    )
                })?;
                let option = |name| jaas_option(line.expose(), name);
                let (Some(user), Some(password)) = (option("username"), option("password")) else {
                    return Err(ConnectError::config(
                        "sasl.jaas.config has no username and password",
                    ));
                };
                Ok(Self::Basic { user, password: Secret::new(password) })
            }
            _ => Ok(Self::Url),
        }
    }
}

/// `name="value"` or `name=value` of a login module's line.
fn jaas_option(line: &str, name: &str) -> Option<String> {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(name) {
        rest = after;
        let starts = before.is_empty() || before.ends_with(char::is_whitespace);
        let Some(value) = after.trim_start().strip_prefix('=').filter(|_| starts) else {
            continue;
        };
        let value = value.trim_start();
        let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
            let end = |each: char| each.is_whitespace() || each == ';';
            return value.split(end).next().map(str::to_owned);
        };
        let mut text = String::new();
        let mut chars = value.chars().skip(1);
        while let Some(each) = chars.next() {
            match each {
                '\\' => text.extend(chars.next()),
                each if each == quote => return Some(text),
                each => text.push(each),
            }
        }
        return None;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigDef;

    fn props(pairs: &[(&str, &str)]) -> Props {
        let mut props: Props =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        props.entry(URL.to_owned()).or_insert_with(|| "http://a:1,http://b:2".to_owned());
        props
    }

    fn shared(pairs: &[(&str, &str)]) -> Result<SharedConfig, String> {
        let props = props(pairs);
        let parsed = ConfigDef::new(keys()).parse(&props).map_err(|error| error.trace())?;
        SharedConfig::new(&parsed, &props, Role::Value).map_err(|error| error.trace())
    }

    #[test]
    fn the_mode_of_writing_follows_the_originals_order() {
        let off = ("auto.register.schemas", "false");
        for (pairs, expected) in [
            (vec![], WriteMode::Register { normalize: false, propagate_tags: false }),
            (
                vec![("use.latest.version", "true")],
                WriteMode::Register { normalize: false, propagate_tags: false },
            ),
            (vec![off], WriteMode::Lookup { normalize: false }),
            (vec![off, ("use.latest.version", "true")], WriteMode::Latest { strict: true }),
            (
                vec![off, ("use.schema.id", "7"), ("use.latest.version", "true")],
                WriteMode::Id { id: 7, strict: true },
            ),
            (
                vec![off, ("use.latest.with.metadata", "application.version=v1")],
                WriteMode::LatestWith {
                    metadata: vec![("application.version".to_owned(), "v1".to_owned())],
                    strict: true,
                },
            ),
        ] {
            assert_eq!(shared(&pairs).unwrap().mode, expected, "{pairs:?}");
        }
    }

    #[test]
    fn credentials_have_three_sources_and_a_token() {
        let basic = |pairs: &[(&str, &str)]| match shared(pairs).unwrap().registry.credentials {
            Credentials::Basic { user, password } => format!("{user}/{}", password.expose()),
            Credentials::Bearer(token) => format!("bearer {}", token.expose()),
            Credentials::Url => "url".to_owned(),
        };
        let source = |source| ("basic.auth.credentials.source", source);
        let line = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                    username=\"u s\"  password='p\\'w';";
        for (pairs, expected) in [
            (vec![], "url"),
            (vec![source("USER_INFO"), ("basic.auth.user.info", "me:a:b")], "me/a:b"),
            (vec![source("USER_INFO"), ("schema.registry.basic.auth.user.info", "me:x")], "me/x"),
            (vec![source("SASL_INHERIT"), ("sasl.jaas.config", line)], "u s/p'w"),
            (vec![("bearer.auth.token", "t")], "bearer t"),
        ] {
            assert_eq!(basic(&pairs), expected, "{pairs:?}");
        }
        for (pairs, text) in [
            (vec![source("USER_INFO")], "basic.auth.user.info must be provided"),
            (vec![source("SASL_INHERIT")], "sasl.jaas.config must be provided"),
            (vec![source("KERBEROS")], "String must be one of: URL, USER_INFO, SASL_INHERIT"),
            (vec![("proxy.host", "p")], "proxy.port"),
            (vec![("value.subject.name.strategy", "Mine")], "TopicNameStrategy"),
        ] {
            let error = shared(&pairs).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn the_url_is_required() {
        let error = ConfigDef::new(keys()).parse(&Props::new()).unwrap_err().trace();
        assert!(
            error.contains(
                "Missing required configuration \"schema.registry.url\" which has no default value."
            ),
            "{error}"
        );
    }
}
