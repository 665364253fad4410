//! Client overrides: `producer.override.*`, `consumer.override.*`, `admin.override.*` (KIP-458).

use super::client_keys::{Client, client_config};
use super::report::info;
use super::{SubmittedProps, ValidationError, ValidationScope};
use crate::config::{ConfigKey, Props, Submitted, with_prefix};
use crate::kafka::{ClientKind, ClientProps};
use crate::plugin::PluginKind;
use crate::runtime::config_infos::{ConfigInfo, ConfigKeyInfo, ConfigValueInfo};
use crate::runtime::connector_config::{DLQ_TOPIC_NAME, OFFSETS_STORAGE_TOPIC};

/// `connector.client.config.override.policy`: which client settings a connector may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverridePolicy {
    All,
    None,
    /// Only those that say who the connector is to the broker.
    Principal,
    /// Our default: everything that tunes a client or says who it is, but nothing that names a
    /// class, a file or a URL. Those are ways into the worker's machine, and the original's `All`
    /// has been such a way (CVE-2023-25194, CVE-2025-27817).
    #[default]
    Tuning,
}

impl OverridePolicy {
    /// The policy of this name, or of the original's class of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let simple = name.rsplit('.').next().unwrap_or(name);
        let simple = simple.strip_suffix("ConnectorClientConfigOverridePolicy").unwrap_or(simple);
        [Self::All, Self::None, Self::Principal, Self::Tuning]
            .into_iter()
            .find(|policy| policy.name() == simple)
    }

    fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::None => "None",
            Self::Principal => "Principal",
            Self::Tuning => "Tuning",
        }
    }

    fn allows(self, key: &str, value: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Principal => {
                matches!(key, "sasl.jaas.config" | "sasl.mechanism" | "security.protocol")
            }
            Self::Tuning => tunes(key, value),
        }
    }
}

fn tunes(key: &str, value: &str) -> bool {
    const LOGIN_MODULES: [&str; 3] = [
        "org.apache.kafka.common.security.plain.PlainLoginModule",
        "org.apache.kafka.common.security.scram.ScramLoginModule",
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
    ];
    const NAMES_CODE_OR_PLACES: [&str; 8] =
        ["class", "classes", "reporters", "location", "url", "providers", "serializer", "cmd"];
    if key == "sasl.jaas.config" {
        let mut modules = login_modules(value).peekable();
        return modules.peek().is_some() && modules.all(|module| LOGIN_MODULES.contains(&module));
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    !NAMES_CODE_OR_PLACES.contains(&last) && last != "deserializer"
}

/// The login module of each entry; a `;` in quotes ends none.
fn login_modules(jaas: &str) -> impl Iterator<Item = &str> {
    let (mut quote, mut escaped) = (None, false);
    let ends = move |c: char| {
        let literal = std::mem::take(&mut escaped);
        match quote {
            Some(_) if literal => {}
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => return c == ';',
        }
        false
    };
    jaas.split(ends).filter_map(|entry| entry.split_whitespace().next())
}

/// The entries of the overrides that this connector uses; those of clients that it does not have
/// are ignored, as in the original.
pub(super) fn entries(
    scope: &ValidationScope<'_>,
    kind: PluginKind,
    submitted: &SubmittedProps,
) -> Result<Vec<ConfigInfo>, ValidationError> {
    let set = |key: &str| {
        let value = submitted.get(key).and_then(Option::as_deref);
        value.is_some_and(|value| !value.trim().is_empty())
    };
    let source = kind == PluginKind::Source;
    let queue = !source && set(DLQ_TOPIC_NAME);
    let own_offsets = source && (set(OFFSETS_STORAGE_TOPIC) || scope.exactly_once);
    let creates = source && submitted.keys().any(|key| key.starts_with("topic.creation."));
    let mut entries = Vec::new();
    for (used, client) in [
        (source || queue, Client::Producer),
        (!source || own_offsets, Client::Consumer),
        (creates || queue || own_offsets, Client::Admin),
    ] {
        if used {
            let mut own = of_client(scope.override_policy, client, submitted)?;
            translate(scope, client, submitted, &mut own);
            entries.extend(own);
        }
    }
    Ok(entries)
}

fn of_client(
    policy: OverridePolicy,
    client: Client,
    submitted: &SubmittedProps,
) -> Result<Vec<ConfigInfo>, ValidationError> {
    let prefix = client.prefix();
    let given = submitted.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    let mut entries = Vec::new();
    for (name, value) in with_prefix(&given.collect(), prefix) {
        let mut entry = match client_config(client).key(&name) {
            Some(key) => known(key, prefix, &value)?,
            None => unknown(&format!("{prefix}{name}"), value.clone()),
        };
        if !policy.allows(&name, &value) {
            entry.value.errors.push(format!(
                "The '{}' policy does not allow '{name}' to be overridden in the connector \
                 configuration.",
                policy.name()
            ));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Settings that decide who the client is or whom it trusts: ignoring one would not do.
const DECISIVE: &[&str] = &[
    "sasl.client.callback.handler.class",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.oauthbearer.token.endpoint.url",
    "security.providers",
    "ssl.engine.factory.class",
];

/// Says of each override what keeps it from being the client's: a store that cannot be read, a
/// setting of security without an equivalent. Others without an equivalent are named in the log
/// when the client is made.
fn translate(
    scope: &ValidationScope<'_>,
    client: Client,
    submitted: &SubmittedProps,
    entries: &mut [ConfigInfo],
) {
    let connector: Props =
        submitted.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    let props = ClientProps {
        bootstrap_servers: "",
        worker: scope.client_settings,
        connector: &connector,
        client_id: "",
    };
    let kind = match client {
        Client::Producer => ClientKind::Producer,
        Client::Consumer => ClientKind::Consumer,
        Client::Admin => ClientKind::Admin,
    };
    let fine = entries.iter_mut().filter(|entry| entry.value.errors.is_empty());
    let name = |entry: &ConfigInfo| {
        let name = entry.value.name.strip_prefix(client.prefix());
        name.unwrap_or_default().to_owned()
    };
    match props.translate(kind) {
        Ok(translation) => {
            for entry in fine {
                let name = name(entry);
                if DECISIVE.contains(&name.as_str()) && translation.unknown.contains(&name) {
                    entry.value.errors.push(format!(
                        "{name} has no equivalent here, and going on without it would not do what \
                         it says: remove it"
                    ));
                }
            }
        }
        Err(error) => {
            // Its text begins with the setting; one of the worker's own is none of the connector's.
            let text = error.trace();
            let mut concerned = fine.filter(|entry| text.contains(&name(entry)));
            if let Some(entry) = concerned.next() {
                entry.value.errors.push(text);
            }
        }
    }
}

fn known(key: &ConfigKey, prefix: &str, value: &str) -> Result<ConfigInfo, ValidationError> {
    let outcome = key.outcome(key.name, Submitted::Text(value));
    if let Some(message) = outcome.errors.first() {
        return Err(ValidationError::Unreadable(message.clone()));
    }
    Ok(info(ConfigKeyInfo::of(key).under(prefix), key, outcome))
}

fn unknown(name: &str, value: String) -> ConfigInfo {
    ConfigInfo {
        definition: None,
        value: ConfigValueInfo {
            name: name.to_owned(),
            value: Some(value),
            recommended_values: Vec::new(),
            errors: Vec::new(),
            visible: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_login_module_has_to_be_known() {
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let ldap = "com.sun.security.auth.module.LdapLoginModule required";
        for (jaas, expected) in [
            (format!("{plain} username=\"u\" password=\"p\";"), true),
            (format!("{plain} password=\"a;b\" username='c;d';"), true),
            (format!("{plain}; {plain};"), true),
            (format!("{plain}; {ldap};"), false),
            (format!("{plain} password=\"\\\"\"; {ldap};"), false),
            (format!("{plain} password='\"'; {ldap};"), false),
            (ldap.to_owned(), false),
            (" ; ".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(tunes("sasl.jaas.config", &jaas), expected, "{jaas}");
        }
    }
}
