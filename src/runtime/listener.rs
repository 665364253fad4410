//! Where the REST API listens and what the worker says of its address: `listeners`,
//! `admin.listeners`, `rest.advertised.*` (Kafka Connect, `RestServer`, `RestServerConfig`).

use crate::config::{ConfigKey, ConfigType, Parsed, Props, Validator};
use crate::error::ConnectError;

/// The port of the original when nothing is set.
const PORT: u16 = 8083;

/// A socket of the REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// `https`
    pub secure: bool,
    /// An empty host is every interface.
    pub host: String,
    /// 0: a free one, which is known once the socket is bound.
    pub port: u16,
}

/// Where the resources of operators are, `/admin/loggers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminListeners {
    /// `admin.listeners` is not set: with all others.
    Shared,
    /// Listeners of their own; none when it is set to nothing, which takes the resources away.
    Own(Vec<Listener>),
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    pub api: Vec<Listener>,
    pub admin: AdminListeners,
    /// `rest.advertised.host.name`
    pub advertised_host: Option<String>,
    /// `rest.advertised.port`
    pub advertised_port: Option<u16>,
    /// `rest.advertised.listener`: whether it is the `https` one; `None` when it is not set.
    pub advertised_secure: Option<bool>,
}

impl Listeners {
    /// Reads the settings.
    ///
    /// # Errors
    /// What cannot be read, with the remedy.
    pub fn of(parsed: &Parsed, settings: &Props) -> Result<Self, ConnectError> {
        let mut api = list(parsed, "listeners")?;
        if api.is_empty() {
            let port = port(parsed, "rest.port").unwrap_or(PORT);
            api.push(Listener { secure: false, host: parsed.string("rest.host.name"), port });
        }
        let admin = match settings.contains_key("admin.listeners") {
            true => AdminListeners::Own(list(parsed, "admin.listeners")?),
            false => AdminListeners::Shared,
        };
        let listeners = Self {
            api,
            admin,
            advertised_host: parsed
                .optional_string("rest.advertised.host.name")
                .filter(|host| !host.is_empty()),
            advertised_port: port(parsed, "rest.advertised.port"),
            advertised_secure: advertised_secure(parsed)?,
        };
        if let Some(secure) = listeners.advertised_secure
            && !listeners.api.iter().any(|listener| listener.secure == secure)
        {
            return Err(ConnectError::config(format!(
                "the setting rest.advertised.listener is wrong: listeners has no {} listener",
                scheme(secure)
            )));
        }
        Ok(listeners)
    }

    /// The listener that others are told of: the one that `rest.advertised.listener` names, else
    /// the first `http` one, else the first.
    pub fn advertised(&self) -> &Listener {
        let secure = self.advertised_secure.unwrap_or(false);
        self.api
            .iter()
            .find(|listener| listener.secure == secure)
            .or_else(|| self.api.first())
            .expect("there is always a listener")
    }
}

impl Listener {
    /// `SCHEME://HOST:PORT`
    fn parse(text: &str) -> Option<Self> {
        let (scheme, address) = text.trim().split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (host, port) = address.trim_end_matches('/').rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { secure, host, port: port.parse().ok()? })
    }

    /// What to bind.
    pub fn address(&self) -> (&str, u16) {
        let host = if self.host.is_empty() { "0.0.0.0" } else { self.host.as_str() };
        (host, self.port)
    }

    /// The URL that somebody who sees `host` calls it by.
    pub fn url(&self, host: &str) -> String {
        let scheme = scheme(self.secure);
        let port = self.port;
        match host.contains(':') {
            true => format!("{scheme}://[{host}]:{port}"),
            false => format!("{scheme}://{host}:{port}"),
        }
    }
}

/// The keys.
pub(crate) fn keys() -> Vec<ConfigKey> {
    const PORTS: Validator = Validator::Between(1, 65_535);
    let text = |name, doc| ConfigKey::new(name, ConfigType::String, doc);
    vec![
        ConfigKey::new("listeners", ConfigType::List, "Where the REST API listens, http or https"),
        ConfigKey::new(
            "admin.listeners",
            ConfigType::List,
            "Where /admin listens: with all others when absent, nowhere when empty",
        ),
        text("rest.host.name", "The older form of listeners: the host"),
        ConfigKey::new("rest.port", ConfigType::Int, "The older form of listeners: the port")
            .default("8083")
            .check(PORTS),
        text("rest.advertised.host.name", "The host in worker_id"),
        ConfigKey::new("rest.advertised.port", ConfigType::Int, "The port in worker_id"),
        text("rest.advertised.listener", "Whose port is in worker_id: http or https"),
    ]
}

fn advertised_secure(parsed: &Parsed) -> Result<Option<bool>, ConnectError> {
    let named = parsed.optional_string("rest.advertised.listener").unwrap_or_default();
    match named.to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "http" => Ok(Some(false)),
        "https" => Ok(Some(true)),
        _ => Err(ConnectError::config(format!(
            "the setting rest.advertised.listener is wrong: \"{named}\" is neither http nor https"
        ))),
    }
}

fn scheme(secure: bool) -> &'static str {
    if secure { "https" } else { "http" }
}

fn list(parsed: &Parsed, key: &str) -> Result<Vec<Listener>, ConnectError> {
    let texts = parsed.list(key);
    let texts = texts.iter().filter(|text| !text.trim().is_empty());
    texts
        .map(|text| {
            Listener::parse(text).ok_or_else(|| {
                ConnectError::config(format!(
                    "the setting {key} is wrong: \"{text}\" is no listener; write \
                     http://HOST:PORT or https://HOST:PORT, or http://:{PORT} for every interface"
                ))
            })
        })
        .collect()
}

fn port(parsed: &Parsed, key: &str) -> Option<u16> {
    parsed.optional_integer(key).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::runtime::worker_config::WorkerConfig;

    fn listeners(pairs: &[(&str, &str)]) -> Result<Listeners, String> {
        let mut env: BTreeMap<String, String> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        env.insert("DATABASE_URL".to_owned(), "postgres://h/d".to_owned());
        let config = WorkerConfig::from_sources(None, &env);
        config.map(|config| config.listeners).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn urls(listeners: &[Listener]) -> Vec<String> {
        listeners.iter().map(|listener| listener.url(&listener.host)).collect()
    }

    #[test]
    fn each_form_is_read() {
        for (name, pairs, expected) in [
            ("nothing", &[][..], &["http://:8083"][..]),
            ("empty", &[("CONNECT_LISTENERS", "")], &["http://:8083"]),
            ("host and port", &[("CONNECT_LISTENERS", "http://h:1")], &["http://h:1"]),
            ("every interface", &[("CONNECT_LISTENERS", "HTTP://:2")], &["http://:2"]),
            (
                "several",
                &[("CONNECT_LISTENERS", "https://h:1, http://[::1]:3")],
                &["https://h:1", "http://[::1]:3"],
            ),
            ("older form", &[("REST_PORT", "4"), ("REST_HOST_NAME", "h")], &["http://h:4"]),
        ] {
            assert_eq!(urls(&listeners(pairs).expect(name).api), expected, "{name}");
        }
        for wrong in ["http://h", "ftp://h:1", "h:1", "http://h:99999"] {
            let error = listeners(&[("CONNECT_LISTENERS", wrong)]).expect_err(wrong);
            assert!(error.contains("listeners") && error.contains(wrong), "{error}");
            let error = listeners(&[("CONNECT_ADMIN_LISTENERS", wrong)]).expect_err(wrong);
            assert!(error.contains("admin.listeners"), "{error}");
        }
    }

    #[test]
    fn admin_listeners_are_shared_unless_set() {
        assert_eq!(listeners(&[]).unwrap().admin, AdminListeners::Shared);
        let none = listeners(&[("CONNECT_ADMIN_LISTENERS", "")]).unwrap();
        assert_eq!(none.admin, AdminListeners::Own(Vec::new()));
        let own = listeners(&[("CONNECT_ADMIN_LISTENERS", "https://localhost:9")]).unwrap();
        let AdminListeners::Own(own) = own.admin else { panic!("{own:?}") };
        assert_eq!(urls(&own), ["https://localhost:9"]);
    }

    #[test]
    fn others_are_told_of_the_listener_that_is_named() {
        let both = ("CONNECT_LISTENERS", "https://a:1,http://b:2");
        assert_eq!(listeners(&[both]).unwrap().advertised().host, "b");
        let named = ("CONNECT_REST_ADVERTISED_LISTENER", "HTTPS");
        assert_eq!(listeners(&[both, named]).unwrap().advertised().host, "a");
        let only = ("CONNECT_LISTENERS", "https://a:1");
        assert_eq!(listeners(&[only]).unwrap().advertised().host, "a");
        let error = listeners(&[("CONNECT_LISTENERS", "http://b:2"), named]).unwrap_err();
        assert!(error.contains("rest.advertised.listener"), "{error}");
        let error = listeners(&[("CONNECT_REST_ADVERTISED_LISTENER", "ftp")]).unwrap_err();
        assert!(error.contains("rest.advertised.listener"), "{error}");
    }
}
