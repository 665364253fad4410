//! The settings that say who may do what: read once, with every mistake named at start.

use std::collections::BTreeMap;

use crate::config::{ConfigKey, ConfigType, Parsed, Validator};
use crate::error::ConnectError;
use crate::runtime::access::Roles;

/// The original's extension for basic authentication.
const BASIC_AUTH: &str =
    "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension";
/// Where Java's login configuration is named.
const LOGIN_CONFIG: &str = "java.security.auth.login.config";

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct SecurityConfig {
    /// Basic authentication; `None`: it is off.
    pub basic: Option<BasicConfig>,
    /// `rest.auth.tokens.file`
    pub tokens_file: Option<String>,
    /// `rest.auth.oidc.*`; `None`: no issuer is named.
    pub oidc: Option<OidcConfig>,
    /// `rest.auth.roles`
    pub roles: Roles,
    /// `listeners.require.auth`
    pub require_auth: bool,
    /// `rest.rate.limit.requests.per.second`; 0: without limit.
    pub requests_per_second: u32,
    /// `audit.retention.days`; 0: for ever.
    pub audit_retention_days: u32,
}

/// Where the users of basic authentication are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BasicConfig {
    /// A login configuration of Java, whose entry `KafkaConnect` names the file.
    LoginConfig(String),
    /// A file of `USER=PASSWORD`.
    Users(String),
}

/// Whose tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    pub issuer: String,
    pub audience: String,
    /// `None`: the issuer's metadata name it.
    pub jwks_url: Option<String>,
    pub principal_claim: String,
    pub groups_claim: String,
}

impl SecurityConfig {
    /// Whether somebody has to say who they are.
    pub fn authenticates(&self) -> bool {
        self.basic.is_some()
            || self.tokens_file.is_some()
            || self.oidc.is_some()
            || self.roles.are_given()
    }

    /// Reads the settings.
    ///
    /// # Errors
    /// What is wrong, with the remedy.
    pub fn of(parsed: &Parsed, env: &BTreeMap<String, String>) -> Result<Self, ConnectError> {
        let text = |key: &str| parsed.optional_string(key).filter(|text| !text.is_empty());
        let wrong = |key: &str, why: String| {
            ConnectError::config(format!("the setting {key} is wrong: {why}"))
        };
        let roles = parsed.string("rest.auth.roles").parse::<Roles>();
        let roles = roles.map_err(|why| wrong("rest.auth.roles", why))?;
        let mut basic = text("rest.auth.basic.file").map(BasicConfig::Users);
        for class in parsed.list("rest.extension.classes") {
            if !is_basic_auth(&class) {
                let why = format!(
                    "\"{class}\" is not built in, and no classes are loaded; {BASIC_AUTH} is"
                );
                return Err(wrong("rest.extension.classes", why));
            }
            if basic.is_none() {
                let file = text(LOGIN_CONFIG).or_else(|| of_java_options(env));
                basic = Some(BasicConfig::LoginConfig(file.ok_or_else(|| {
                    wrong(
                        "rest.extension.classes",
                        format!(
                            "basic authentication needs its users: name a file of USER=PASSWORD \
                             in rest.auth.basic.file, or Java's login configuration in {LOGIN_CONFIG}"
                        ),
                    )
                })?));
            }
        }
        let issuer = text("rest.auth.oidc.issuer");
        let oidc = issuer.map(|issuer| {
            let audience = text("rest.auth.oidc.audience").ok_or_else(|| {
                let why = "tokens for anybody would be believed; name the one they are for";
                wrong("rest.auth.oidc.audience", why.to_owned())
            })?;
            Ok::<_, ConnectError>(OidcConfig {
                issuer,
                audience,
                jwks_url: text("rest.auth.oidc.jwks.url"),
                principal_claim: parsed.string("rest.auth.oidc.principal.claim"),
                groups_claim: parsed.string("rest.auth.oidc.groups.claim"),
            })
        });
        let number = |key: &str| u32::try_from(parsed.integer(key)).unwrap_or(u32::MAX);
        Ok(Self {
            basic,
            tokens_file: text("rest.auth.tokens.file"),
            oidc: oidc.transpose()?,
            roles,
            require_auth: parsed.boolean("listeners.require.auth"),
            requests_per_second: number("rest.rate.limit.requests.per.second"),
            audit_retention_days: number("audit.retention.days"),
        })
    }
}

fn is_basic_auth(class: &str) -> bool {
    class.trim() == BASIC_AUTH || BASIC_AUTH.ends_with(&format!(".{}", class.trim()))
}

/// `-Djava.security.auth.login.config=FILE` among the options that the images give to Java.
fn of_java_options(env: &BTreeMap<String, String>) -> Option<String> {
    let option = format!("-D{LOGIN_CONFIG}=");
    let options = ["KAFKA_OPTS", "CONNECT_OPTS", "EXTRA_ARGS"];
    let mut words = options
        .iter()
        .filter_map(|variable| env.get(*variable))
        .flat_map(|options| options.split_whitespace());
    words.find_map(|word| word.strip_prefix(&option).map(str::to_owned))
}

/// The keys.
pub(crate) fn keys() -> Vec<ConfigKey> {
    let text = |name, doc| ConfigKey::new(name, ConfigType::String, doc);
    let number = |name, default, doc| {
        ConfigKey::new(name, ConfigType::Int, doc).default(default).check(Validator::AtLeast(0))
    };
    vec![
        ConfigKey::new(
            "rest.extension.classes",
            ConfigType::List,
            "The original's BasicAuthSecurityRestExtension asks for users and passwords",
        )
        .default(""),
        text(LOGIN_CONFIG, "Java's login configuration, whose entry KafkaConnect names the users"),
        text("rest.auth.basic.file", "A file of USER=PASSWORD for basic authentication"),
        text("rest.auth.tokens.file", "A file of NAME=TOKEN or NAME=sha256:HEX for bearer tokens"),
        text("rest.auth.oidc.issuer", "Whose JSON web tokens are believed, https://..."),
        text("rest.auth.oidc.audience", "The audience that tokens have to be for"),
        text("rest.auth.oidc.jwks.url", "The issuer's keys, if its metadata do not name them"),
        text("rest.auth.oidc.principal.claim", "The claim that names who it is").default("sub"),
        text("rest.auth.oidc.groups.claim", "The claim that lists the groups").default("groups"),
        text(
            "rest.auth.roles",
            "PRINCIPAL=ROLE[:PREFIX],... with the roles viewer, operator, editor and admin; \
             everybody known is admin when absent",
        )
        .default(""),
        ConfigKey::new(
            "listeners.require.auth",
            ConfigType::Boolean,
            "Listen on loopback only while nobody has to say who they are",
        )
        .default("false"),
        number(
            "rest.rate.limit.requests.per.second",
            "0",
            "Requests of one principal or address a second, at most; 0 without limit",
        ),
        number("audit.retention.days", "90", "How long changes are remembered; 0 for ever"),
    ]
}
