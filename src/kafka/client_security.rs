//! Java's `security.protocol`, `ssl.*` and `sasl.*` in librdkafka's words.
//!
//! Sources: Kafka's `SslConfigs` and `SaslConfigs`, and the login modules' options.

use super::client_config::Translation;
use super::key_store::{self, KeyStore};
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
        known_module(jaas)?;
        for (option, key) in [("username", "sasl.username"), ("password", "sasl.password")] {
            if let Some(value) = jaas_option(jaas, option) {
                set(key, &value);
            }
        }
    }
    for (key, name) in [
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
    translate_stores(java, out)?;
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

/// Translates what `ssl.keystore.location` and `ssl.truststore.location` name.
fn translate_stores(java: &Props, out: &mut Translation) -> Result<(), ConnectError> {
    let get = |key: &str| java.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let mut set = |key: &str, value: &str| {
        out.settings.insert(key.to_owned(), value.to_owned());
    };
    if let Some(location) = get("ssl.truststore.location") {
        match store(&get, "ssl.truststore", location)? {
            None => set("ssl.ca.location", location),
            Some(KeyStore { trusted, .. }) if trusted.is_empty() => {
                return Err(unreadable(
                    "ssl.truststore",
                    location,
                    "it has no trusted certificate",
                ));
            }
            Some(KeyStore { trusted, .. }) => set("ssl.ca.pem", &trusted),
        }
    }
    let mut key_is_plain = false;
    if let Some(location) = get("ssl.keystore.location") {
        match store(&get, "ssl.keystore", location)? {
            None => {
                set("ssl.certificate.location", location);
                set("ssl.key.location", location);
            }
            Some(KeyStore { key: None, .. }) => {
                return Err(unreadable("ssl.keystore", location, "it has no private key"));
            }
            Some(KeyStore { key: Some((key, chain)), .. }) => {
                set("ssl.key.pem", &key);
                set("ssl.certificate.pem", &chain);
                key_is_plain = true;
            }
        }
    }
    if let Some(password) = get("ssl.key.password").filter(|_| !key_is_plain) {
        set("ssl.key.password", password);
    }
    Ok(())
}

/// The content of a key or trust store; `None` for a PEM file, which librdkafka reads itself.
fn store<'a>(
    get: &impl Fn(&str) -> Option<&'a str>,
    prefix: &str,
    location: &str,
) -> Result<Option<KeyStore>, ConnectError> {
    let stated = get(&format!("{prefix}.type")).map(str::to_ascii_uppercase);
    let extension = location.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let pem_by_name = matches!(extension.as_str(), "pem" | "crt" | "cer" | "key");
    match stated.as_deref() {
        Some("PEM") => return Ok(None),
        None if pem_by_name => return Ok(None),
        None | Some("JKS" | "PKCS12") => {}
        Some(other) => {
            let reason = format!("a {other} store cannot be read");
            return Err(unreadable(prefix, location, &reason));
        }
    }
    let bytes = std::fs::read(location).map_err(|error| {
        ConnectError::config(format!("{prefix}.location: cannot read \"{location}\""))
            .because(error)
    })?;
    let password = get(&format!("{prefix}.password")).unwrap_or_default();
    let key_password = get("ssl.key.password").unwrap_or(password);
    key_store::read(&bytes, password, key_password)
        .map(Some)
        .map_err(|reason| unreadable(prefix, location, &reason))
}

fn unreadable(prefix: &str, location: &str, reason: &str) -> ConnectError {
    ConnectError::config(format!(
        "{prefix}.location: cannot use \"{location}\": {reason}; PEM, JKS and PKCS12 stores can be \
         read"
    ))
}

/// Login modules are code in the original, and ways into the machine (CVE-2023-25194): here they are
/// names of what librdkafka can do.
fn known_module(jaas: &str) -> Result<(), ConnectError> {
    let module = jaas.split_whitespace().next().unwrap_or_default();
    let remedy = match module {
        "org.apache.kafka.common.security.plain.PlainLoginModule"
        | "org.apache.kafka.common.security.scram.ScramLoginModule" => return Ok(()),
        "com.sun.security.auth.module.Krb5LoginModule" => "Kerberos is not there",
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule" => {
            "OAUTHBEARER is not there"
        }
        _ => "it is none that this worker knows",
    };
    Err(ConnectError::config(format!(
        "sasl.jaas.config: cannot use the login module \"{module}\": {remedy}; use PlainLoginModule or \
         ScramLoginModule of org.apache.kafka.common.security"
    )))
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

    fn fixture(name: &str) -> String {
        format!("{}/tests/fixtures/key-stores/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn stores_of_java_become_pem() {
        for kind in ["jks", "p12"] {
            let (keys, trust) =
                (fixture(&format!("client.{kind}")), fixture(&format!("trust.{kind}")));
            let key_password = if kind == "jks" { "keypassword" } else { "storepass" };
            let settings = translate(&[
                ("security.protocol", "SSL"),
                ("ssl.keystore.location", &keys),
                ("ssl.keystore.password", "storepass"),
                ("ssl.key.password", key_password),
                ("ssl.truststore.location", &trust),
                ("ssl.truststore.password", "storepass"),
            ])
            .unwrap()
            .settings;
            assert!(settings["ssl.key.pem"].contains("BEGIN PRIVATE KEY"), "{kind}");
            assert!(!settings.contains_key("ssl.key.password"), "{kind}: the PEM is not encrypted");
            assert_eq!(settings["ssl.ca.pem"].matches("BEGIN CERTIFICATE").count(), 2, "{kind}");
            // librdkafka reads them when a client is made.
            let mut client = rdkafka::ClientConfig::new();
            settings.iter().for_each(|(key, value)| {
                client.set(key, value);
            });
            client.create::<rdkafka::producer::BaseProducer>().unwrap();
        }
    }

    #[test]
    fn what_cannot_be_used_is_a_configuration_error_with_a_remedy() {
        let client = fixture("client.p12");
        let trust = fixture("trust.jks");
        for (settings, expected) in [
            (
                vec![("ssl.truststore.location", "/none/trust.jks")],
                "cannot read \"/none/trust.jks\"",
            ),
            (vec![("ssl.keystore.location", &*client)], "its password is wrong"),
            (
                vec![("ssl.keystore.location", &*trust), ("ssl.keystore.password", "storepass")],
                "it has no private key",
            ),
            (
                vec![("ssl.keystore.location", &*client), ("ssl.keystore.type", "BCFKS")],
                "a BCFKS store cannot be read",
            ),
            (
                vec![(
                    "sasl.jaas.config",
                    "com.sun.security.auth.module.JndiLoginModule required;",
                )],
                "cannot use the login module",
            ),
        ] {
            let error = translate(&settings).unwrap_err();
            assert_eq!(error.kind(), crate::error::ErrorKind::Config);
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!error.trace().contains("storepass"), "{error:?}");
        }
    }

    #[test]
    fn a_pem_file_is_taken_as_it_is() {
        let settings = translate(&[
            ("ssl.keystore.location", "/key.pem"),
            ("ssl.key.password", "secret"),
            ("ssl.truststore.location", "/ca"),
            ("ssl.truststore.type", "PEM"),
        ])
        .unwrap()
        .settings;
        assert_eq!(settings["ssl.key.location"], "/key.pem");
        assert_eq!(settings["ssl.key.password"], "secret");
        assert_eq!(settings["ssl.ca.location"], "/ca");
    }
}
