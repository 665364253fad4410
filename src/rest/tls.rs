//! TLS of the listeners, from the original's settings: `listeners.https.ssl.*`, else `ssl.*`, with
//! keys and certificates in PEM or PKCS #12 (Kafka Connect, `SSLUtils`; KIP-651 for PEM).

use std::sync::Arc;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use x509_cert::der::{Decode, asn1};

use crate::config::{Props, with_prefix};
use crate::error::ConnectError;

/// The first bytes of a Java keystore of the older kind.
const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// The settings of one kind of listener: those under its prefix if there is one such setting, else
/// the common ones, as in the original.
struct Settings {
    props: Props,
    prefix: String,
}

impl Settings {
    fn of(settings: &Props, prefix: &str) -> Self {
        let own = with_prefix(settings, prefix);
        match own.keys().any(|key| key.starts_with("ssl.")) {
            true => Self { props: own, prefix: prefix.to_owned() },
            false => Self { props: settings.clone(), prefix: String::new() },
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.props.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn list(&self, key: &str) -> Vec<&str> {
        let items = self.get(key).unwrap_or_default().split(',');
        items.map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    fn wrong(&self, key: &str, why: impl std::fmt::Display) -> ConnectError {
        ConnectError::config(format!("the setting {}{key} is wrong: {why}", self.prefix))
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, ConnectError> {
        let Some(path) = self.get(key) else { return Ok(None) };
        let content = std::fs::read(path)
            .map_err(|error| self.wrong(key, format_args!("cannot read {path}: {error}")))?;
        Ok(Some(content))
    }
}

/// What accepts TLS connections as the settings under `prefix` say.
///
/// # Errors
/// The setting that is wrong or missing.
pub(super) fn acceptor(settings: &Props, prefix: &str) -> Result<TlsAcceptor, ConnectError> {
    let settings = Settings::of(settings, prefix);
    let provider = Arc::new(provider(&settings)?);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(&settings)?)
        .map_err(|error| settings.wrong("ssl.enabled.protocols", error))?;
    let (chain, key) = identity(&settings)?;
    let builder = match client_verifier(&settings, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| settings.wrong("ssl.keystore.location", error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// `ssl.cipher.suites` by their standard names; all that are safe when it is not set.
fn provider(settings: &Settings) -> Result<CryptoProvider, ConnectError> {
    let mut provider = aws_lc_rs::default_provider();
    let wanted = settings.list("ssl.cipher.suites");
    if wanted.is_empty() {
        return Ok(provider);
    }
    // The library's names of TLS 1.3's are `TLS13_AES_...` where the standard's are `TLS_AES_...`.
    let name = |suite: &tokio_rustls::rustls::SupportedCipherSuite| {
        format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
    };
    let known: Vec<String> = provider.cipher_suites.iter().map(&name).collect();
    provider.cipher_suites.retain(|suite| wanted.contains(&name(suite).as_str()));
    if provider.cipher_suites.is_empty() {
        let why = format!("none of them is among {}", known.join(", "));
        return Err(settings.wrong("ssl.cipher.suites", why));
    }
    Ok(provider)
}

fn versions(settings: &Settings) -> Result<Vec<&'static SupportedProtocolVersion>, ConnectError> {
    let mut wanted = settings.list("ssl.enabled.protocols");
    if wanted.is_empty() {
        wanted = vec!["TLSv1.2", "TLSv1.3"];
    }
    let versions = [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)];
    let versions: Vec<_> = versions
        .into_iter()
        .filter(|(name, _)| wanted.contains(name))
        .map(|(_, version)| version)
        .collect();
    match versions.is_empty() {
        true => {
            Err(settings.wrong("ssl.enabled.protocols", "write TLSv1.2,TLSv1.3 or one of them"))
        }
        false => Ok(versions),
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate chain and key of the listener.
fn identity(settings: &Settings) -> Result<Identity, ConnectError> {
    const CHAIN: &str = "ssl.keystore.certificate.chain";
    const KEY: &str = "ssl.keystore.key";
    const STORE: &str = "ssl.keystore.location";
    if let (Some(chain), Some(key)) = (settings.get(CHAIN), settings.get(KEY)) {
        let key = pem_key(key.as_bytes()).map_err(|why| settings.wrong(KEY, why))?;
        return Ok((pem_certificates(settings, CHAIN, chain.as_bytes())?, key));
    }
    let Some(content) = settings.read(STORE)? else {
        return Err(settings.wrong(
            STORE,
            "an https listener needs a certificate; name a file in PEM or PKCS #12",
        ));
    };
    if content.starts_with(&JKS) {
        return Err(settings.wrong(STORE, java_keystore()));
    }
    if !is_pem(settings, "ssl.keystore.type", &content) {
        return pkcs12_identity(settings, STORE, &content);
    }
    let key = pem_key(&content).map_err(|why| settings.wrong(STORE, why))?;
    Ok((pem_certificates(settings, STORE, &content)?, key))
}

fn java_keystore() -> &'static str {
    "it is a Java keystore of the older kind; make it one of PKCS #12 with keytool \
     -importkeystore -srckeystore FILE -destkeystore FILE.p12 -deststoretype PKCS12"
}

fn is_pem(settings: &Settings, key: &str, content: &[u8]) -> bool {
    let named = settings.get(key).is_some_and(|kind| kind.eq_ignore_ascii_case("PEM"));
    named || content.windows(11).any(|window| window == b"-----BEGIN ")
}

fn pem_key(content: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    if content.windows(encrypted.len()).any(|window| window == encrypted) {
        return Err("the key is encrypted; use PKCS #12 with a password, or decrypt it with \
                    openssl pkcs8"
            .to_owned());
    }
    PrivateKeyDer::from_pem_slice(content).map_err(|error| format!("no key in PEM: {error}"))
}

fn pem_certificates(
    settings: &Settings,
    key: &str,
    content: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(content)
        .collect::<Result<_, _>>()
        .map_err(|error| settings.wrong(key, format_args!("no certificate in PEM: {error}")))?;
    match certificates.is_empty() {
        true => Err(settings.wrong(key, "it holds no certificate")),
        false => Ok(certificates),
    }
}

fn open_pkcs12(
    settings: &Settings,
    key: &str,
    password: &str,
    content: &[u8],
) -> Result<KeyStore, ConnectError> {
    let password = settings.get(password).unwrap_or_default();
    KeyStore::from_pkcs12(content, password, Pkcs12ImportPolicy::Relaxed).map_err(|error| {
        settings
            .wrong(key, format_args!("it is neither PEM nor PKCS #12 of that password: {error}"))
    })
}

fn pkcs12_identity(
    settings: &Settings,
    key: &str,
    content: &[u8],
) -> Result<Identity, ConnectError> {
    let store = open_pkcs12(settings, key, "ssl.keystore.password", content)?;
    let Some((_alias, entry)) = store.private_key_chain() else {
        return Err(settings.wrong(key, "it holds no private key"));
    };
    let chain = entry.certs().iter().map(|certificate| certificate.as_der().to_vec().into());
    let private = PrivatePkcs8KeyDer::from(entry.key().as_der().to_vec());
    Ok((chain.collect(), private.into()))
}

/// `ssl.client.auth`: whether clients are asked for a certificate, and who may have signed it.
fn client_verifier(
    settings: &Settings,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, ConnectError> {
    const AUTH: &str = "ssl.client.auth";
    let optional = match settings.get(AUTH).unwrap_or("none").to_ascii_lowercase().as_str() {
        "none" => return Ok(None),
        "requested" => true,
        "required" => false,
        _ => return Err(settings.wrong(AUTH, "write none, requested or required")),
    };
    let mut roots = RootCertStore::empty();
    for certificate in trusted(settings)? {
        roots.add(certificate).map_err(|error| settings.wrong("ssl.truststore.location", error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    let verifier =
        builder.build().map_err(|error| settings.wrong("ssl.truststore.location", error))?;
    Ok(Some(verifier))
}

fn trusted(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    const CERTIFICATES: &str = "ssl.truststore.certificates";
    const STORE: &str = "ssl.truststore.location";
    if let Some(certificates) = settings.get(CERTIFICATES) {
        return pem_certificates(settings, CERTIFICATES, certificates.as_bytes());
    }
    let Some(content) = settings.read(STORE)? else {
        return Err(settings.wrong(
            STORE,
            "ssl.client.auth needs the authorities that sign clients' certificates",
        ));
    };
    if content.starts_with(&JKS) {
        return Err(settings.wrong(STORE, java_keystore()));
    }
    if is_pem(settings, "ssl.truststore.type", &content) {
        return pem_certificates(settings, STORE, &content);
    }
    let store = open_pkcs12(settings, STORE, "ssl.truststore.password", &content)?;
    let certificates = store.entries().filter_map(|(_alias, entry)| match entry {
        KeyStoreEntry::Certificate(certificate) => Some(certificate.as_der().to_vec().into()),
        _ => None,
    });
    Ok(certificates.collect())
}

/// Whom a certificate names: its subject's common name if there is exactly one, else the whole
/// subject as RFC 4514 writes it.
pub(super) fn named_by(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate.subject;
    let common_name = asn1::ObjectIdentifier::new_unwrap("2.5.4.3");
    let parts = subject.0.iter().flat_map(|part| part.0.iter());
    let mut names = parts.filter(|part| part.oid == common_name).map(|part| {
        let text = part.value.value();
        String::from_utf8_lossy(text).into_owned()
    });
    match (names.next(), names.next()) {
        (Some(name), None) if !name.is_empty() => Some(name),
        _ => Some(subject.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pairs: &[(&str, &str)]) -> String {
        let settings =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        match acceptor(&settings, "listeners.https.") {
            Ok(_) => panic!("{pairs:?} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    fn file(name: &str, content: &[u8]) -> String {
        let path = std::env::temp_dir().join(format!("{}-{name}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    #[test]
    fn what_is_wrong_is_named_with_the_remedy() {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = format!("{}{}", key.cert.pem(), key.signing_key.serialize_pem());
        let good = file("good.pem", pem.as_bytes());
        let older = file("older.jks", &[0xfe, 0xed, 0xfe, 0xed, 0, 0]);
        let garbage = file("garbage", b"garbage");
        let store = "ssl.keystore.location";
        for (name, pairs, part) in [
            ("nothing", &[][..], "ssl.keystore.location is wrong: an https listener needs"),
            ("no file", &[(store, "/nowhere/x")], "cannot read /nowhere/x"),
            ("older", &[(store, &older)], "-deststoretype PKCS12"),
            ("garbage", &[(store, &garbage)], "neither PEM nor PKCS #12"),
            (
                "prefix",
                &[("listeners.https.ssl.keystore.location", "/nowhere/x"), (store, &good)],
                "listeners.https.ssl.keystore.location",
            ),
            ("auth", &[(store, &good), ("ssl.client.auth", "maybe")], "ssl.client.auth"),
            (
                "no trust",
                &[(store, &good), ("ssl.client.auth", "required")],
                "ssl.truststore.location",
            ),
            ("protocol", &[(store, &good), ("ssl.enabled.protocols", "SSLv3")], "TLSv1.2"),
            (
                "cipher",
                &[(store, &good), ("ssl.cipher.suites", "TLS_NONE")],
                "TLS_AES_256_GCM_SHA384",
            ),
        ] {
            let error = refused(pairs);
            assert!(error.contains(part), "{name}: {error}");
        }
        let suites = Props::from([
            (store.to_owned(), good.clone()),
            ("ssl.cipher.suites".to_owned(), "TLS_AES_128_GCM_SHA256".to_owned()),
        ]);
        assert!(acceptor(&suites, "listeners.https.").is_ok());
        for path in [good, older, garbage] {
            let _ = std::fs::remove_file(path);
        }
    }

    #[test]
    fn a_certificate_names_its_holder() {
        let named = |parts: &[(rcgen::DnType, &str)]| {
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, text) in parts {
                params.distinguished_name.push(kind.clone(), *text);
            }
            let key = rcgen::KeyPair::generate().unwrap();
            named_by(params.self_signed(&key).unwrap().der())
        };
        use rcgen::DnType::{CommonName, OrganizationName};
        assert_eq!(
            named(&[(OrganizationName, "x"), (CommonName, "alice")]).as_deref(),
            Some("alice")
        );
        assert_eq!(named(&[(OrganizationName, "x")]).as_deref(), Some("O=x"));
        assert_eq!(named_by(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
