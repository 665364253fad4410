//! Java's `security.protocol`, `ssl.*` and `sasl.*` in librdkafka's words.
//!
//! Sources: Kafka's `SslConfigs` and `SaslConfigs`, and the login modules' options.

use super::client_config::Translation;
use crate::config::Props;
use crate::error::ConnectError;

/// Whether `key` is translated here.
pub(super) fn is_security(key: &str) -> bool {
    key == "security.protocol" || key.starts_with("sasl.") || key.starts_with("ssl.")
}

/// Translates the security settings of `java`.
///
/// # Errors
/// When a key or trust store is of a format that cannot be read.
pub(super) fn translate_security(java: &Props, out: &mut Translation) -> Result<(), ConnectError> {
    let get = |key: &str| java.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let mut set = |key: &str, value: &str| {
        out.settings.insert(key.to_owned(), value.to_owned());
    };
    if let Some(protocol) = get("security.protocol") {
        set("security.protocol", &protocol.to_ascii_lowercase());
    }
    if let Some(mechanism) = get("sasl.mechanism") {
        set("sasl.mechanism", mechanism);
    }
    if let Some(jaas) = get("sasl.jaas.config") {
        for (option, key) in [("username", "sasl.username"), ("password", "sasl.password")] {
            if let Some(value) = jaas_option(jaas, option) {
                set(key, &value);
            }
        }
    }
    for (key, name) in [
        ("ssl.key.password", "ssl.key.password"),
        ("ssl.cipher.suites", "ssl.cipher.suites"),
        ("ssl.truststore.certificates", "ssl.ca.pem"),
        ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
        ("ssl.keystore.key", "ssl.key.pem"),
        ("sasl.kerberos.service.name", "sasl.kerberos.service.name"),
    ] {
        if let Some(value) = get(key) {
            set(name, value);
        }
    }
    match java.get("ssl.endpoint.identification.algorithm").map(|value| value.trim()) {
        None => {}
        Some("") => set("ssl.endpoint.identification.algorithm", "none"),
        Some(algorithm) => {
            set("ssl.endpoint.identification.algorithm", &algorithm.to_ascii_lowercase());
        }
    }
    if let Some(location) = get("ssl.truststore.location") {
        store_type(get("ssl.truststore.type"), location, "ssl.truststore", &["PEM"])?;
        set("ssl.ca.location", location);
    }
    if let Some(location) = get("ssl.keystore.location") {
        let kind =
            store_type(get("ssl.keystore.type"), location, "ssl.keystore", &["PEM", "PKCS12"])?;
        if kind == "PEM" {
            set("ssl.certificate.location", location);
            set("ssl.key.location", location);
        } else {
            set("ssl.keystore.location", location);
            if let Some(password) = get("ssl.keystore.password") {
                set("ssl.keystore.password", password);
            }
        }
    }
    let understood = |key: &str| {
        matches!(key, "security.protocol" | "sasl.mechanism" | "sasl.jaas.config")
            || key.starts_with("ssl.keystore.")
            || key.starts_with("ssl.truststore.")
            || matches!(
                key,
                "ssl.key.password"
                    | "ssl.cipher.suites"
                    | "ssl.endpoint.identification.algorithm"
                    | "sasl.kerberos.service.name"
                    // TLS versions are negotiated.
                    | "ssl.protocol"
                    | "ssl.enabled.protocols"
            )
    };
    let unknown = java.keys().filter(|key| is_security(key) && !understood(key));
    out.unknown.extend(unknown.cloned());
    Ok(())
}

/// The type of a key or trust store: as stated, else by the file's name; Java's default is JKS.
fn store_type(
    stated: Option<&str>,
    location: &str,
    prefix: &str,
    readable: &[&'static str],
) -> Result<&'static str, ConnectError> {
    let extension = location.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let by_name = match extension.as_str() {
        "pem" | "crt" | "cer" | "key" => "PEM",
        "p12" | "pfx" => "PKCS12",
        _ => "JKS",
    };
    let kind = stated.map_or_else(|| by_name.to_owned(), str::to_ascii_uppercase);
    readable.iter().copied().find(|name| *name == kind).ok_or_else(|| {
        ConnectError::config(format!(
            "{prefix}.location: a {kind} file cannot be read; convert \"{location}\" to {} and set \
             {prefix}.type",
            readable.join(" or ")
        ))
    })
}

/// The value of `option` in a JAAS entry: `Module required username="u" password="p";`.
fn jaas_option(jaas: &str, option: &str) -> Option<String> {
    let mut rest = jaas;
    loop {
        let (before, after) = rest.split_once('=')?;
        let name = before.trim_end().rsplit([' ', '\t', '\n', ';']).next().unwrap_or_default();
        let after = after.trim_start();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find([' ', ';', '\t', '\n']).unwrap_or(after.len());
                let (value, tail) = after.split_at(end);
                (value.to_owned(), tail)
            }
        };
        if name == option {
            return Some(value);
        }
        rest = tail;
    }
}

/// The text up to the closing quote, unescaped, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(pairs: &[(&str, &str)]) -> Result<Translation, ConnectError> {
        let java =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut translation = Translation::default();
        translate_security(&java, &mut translation).map(|()| translation)
    }

    #[test]
    fn credentials_come_out_of_a_jaas_entry() {
        let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required \
                    username=\"al=ice\" password=\"p\\\"w; d\";";
        let settings = translate(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.jaas.config", jaas),
            ("ssl.truststore.location", "/ca.pem"),
            ("ssl.endpoint.identification.algorithm", ""),
        ])
        .unwrap()
        .settings;
        assert_eq!(settings["security.protocol"], "sasl_ssl");
        assert_eq!(settings["sasl.username"], "al=ice");
        assert_eq!(settings["sasl.password"], "p\"w; d");
        assert_eq!(settings["ssl.ca.location"], "/ca.pem");
        assert_eq!(settings["ssl.endpoint.identification.algorithm"], "none");
    }

    #[test]
    fn a_store_that_cannot_be_read_is_a_configuration_error_with_a_remedy() {
        let error = translate(&[("ssl.truststore.location", "/trust.jks")]).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Config);
        assert!(error.to_string().contains("convert \"/trust.jks\" to PEM"), "{error}");
    }

    #[test]
    fn a_pkcs12_key_store_is_taken_as_it_is() {
        let settings = translate(&[
            ("ssl.keystore.location", "/key.p12"),
            ("ssl.keystore.password", "secret"),
        ])
        .unwrap()
        .settings;
        assert_eq!(settings["ssl.keystore.location"], "/key.p12");
        assert_eq!(settings["ssl.keystore.password"], "secret");
    }
}
