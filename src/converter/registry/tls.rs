//! TLS towards the registry: `schema.registry.ssl.*`, in Java's terms.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::config::{ConfigKey, ConfigType, Parsed, Secret};
use crate::error::ConnectError;

const TRUSTSTORE: &str = "schema.registry.ssl.truststore.location";
const TRUSTSTORE_PASSWORD: &str = "schema.registry.ssl.truststore.password";
const TRUSTSTORE_TYPE: &str = "schema.registry.ssl.truststore.type";
const TRUSTSTORE_PEM: &str = "schema.registry.ssl.truststore.certificates";
const KEYSTORE: &str = "schema.registry.ssl.keystore.location";
const KEYSTORE_PASSWORD: &str = "schema.registry.ssl.keystore.password";
const KEYSTORE_TYPE: &str = "schema.registry.ssl.keystore.type";
const KEYSTORE_CHAIN: &str = "schema.registry.ssl.keystore.certificate.chain";
const KEYSTORE_KEY: &str = "schema.registry.ssl.keystore.key";
const IDENTIFICATION: &str = "schema.registry.ssl.endpoint.identification.algorithm";

pub(super) fn keys() -> Vec<ConfigKey> {
    use ConfigType::{Password, String};
    vec![
        ConfigKey::new(
            TRUSTSTORE,
            String,
            "A file with the certificates that are trusted, PEM or PKCS12; the system's when \
             absent.",
        )
        .high(),
        ConfigKey::new(TRUSTSTORE_PASSWORD, Password, "The trust store's password.").high(),
        ConfigKey::new(
            TRUSTSTORE_TYPE,
            String,
            "PEM or PKCS12; told from the file's name when absent.",
        )
        .medium(),
        ConfigKey::new(TRUSTSTORE_PEM, Password, "Trusted certificates in PEM form.").high(),
        ConfigKey::new(
            KEYSTORE,
            String,
            "A file with the client's certificate and key, PEM or PKCS12.",
        )
        .high(),
        ConfigKey::new(KEYSTORE_PASSWORD, Password, "The key store's password.").high(),
        ConfigKey::new(
            KEYSTORE_TYPE,
            String,
            "PEM or PKCS12; told from the file's name when absent.",
        )
        .medium(),
        ConfigKey::new(KEYSTORE_CHAIN, Password, "The client's certificates in PEM form.").high(),
        ConfigKey::new(KEYSTORE_KEY, Password, "The client's key in PEM form (PKCS #8).").high(),
        ConfigKey::new(
            IDENTIFICATION,
            String,
            "https: the certificate must be one of the registry's host; empty: any that is \
             trusted.",
        )
        .default("https"),
    ]
}

/// What `schema.registry.ssl.*` says.
#[derive(Debug, Clone)]
pub(super) struct TlsConfig {
    truststore: Option<StoreConfig>,
    truststore_pem: Option<Secret>,
    keystore: Option<StoreConfig>,
    client_pem: Option<(Secret, Secret)>,
    checks_host: bool,
}

#[derive(Debug, Clone)]
struct StoreConfig {
    setting: &'static str,
    path: String,
    password: Option<Secret>,
    ty: Option<String>,
}

impl TlsConfig {
    pub(super) fn new(parsed: &Parsed) -> Self {
        let secret = |key| parsed.optional_secret(key).filter(|secret| !secret.expose().is_empty());
        let store = |setting, password, ty| {
            parsed.optional_string(setting).map(|path| StoreConfig {
                setting,
                path,
                password: secret(password),
                ty: parsed.optional_string(ty),
            })
        };
        Self {
            truststore: store(TRUSTSTORE, TRUSTSTORE_PASSWORD, TRUSTSTORE_TYPE),
            truststore_pem: secret(TRUSTSTORE_PEM),
            keystore: store(KEYSTORE, KEYSTORE_PASSWORD, KEYSTORE_TYPE),
            client_pem: secret(KEYSTORE_CHAIN).zip(secret(KEYSTORE_KEY)),
            checks_host: !parsed.string(IDENTIFICATION).is_empty(),
        }
    }

    /// The configuration of connections.
    ///
    /// # Errors
    /// Which setting cannot be used, and why.
    pub(super) fn client(&self) -> Result<ClientConfig, ConnectError> {
        let failed = |setting: &str, error: &dyn std::fmt::Display| {
            ConnectError::config(format!("{setting}: {error}"))
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed("schema.registry.ssl", &error))?;
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider)
            .build()
            .map_err(|error| failed(TRUSTSTORE, &error))?;
        let verifier: Arc<dyn ServerCertVerifier> = match self.checks_host {
            true => chain,
            false => Arc::new(AnyHost { chain }),
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        match self.identity()? {
            Some((certificates, key)) => builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| failed(KEYSTORE, &error)),
            None => Ok(builder.with_no_client_auth()),
        }
    }

    fn roots(&self) -> Result<RootCertStore, ConnectError> {
        let mut roots = RootCertStore::empty();
        let (setting, certificates) = match (&self.truststore_pem, &self.truststore) {
            (Some(pem), _) => {
                (TRUSTSTORE_PEM, pem_certificates(TRUSTSTORE_PEM, pem.expose().as_bytes())?)
            }
            (None, Some(store)) => (TRUSTSTORE, store.certificates()?),
            (None, None) => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    // Plain HTTP needs none; the first TLS connection says so.
                    return Ok(empty_roots());
                }
                return Ok(roots);
            }
        };
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err(ConnectError::config(format!("{setting} has no certificate")));
        }
        Ok(roots)
    }

    fn identity(&self) -> Result<Option<Identity>, ConnectError> {
        if let Some((chain, key)) = &self.client_pem {
            let certificates = pem_certificates(KEYSTORE_CHAIN, chain.expose().as_bytes())?;
            return Ok(Some((certificates, pem_key(KEYSTORE_KEY, key.expose().as_bytes())?)));
        }
        self.keystore.as_ref().map(StoreConfig::identity).transpose()
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A verifier cannot be built of no root: one that signs nothing.
fn empty_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let anchor = rustls::pki_types::TrustAnchor {
        subject: vec![0x30, 0].into(),
        subject_public_key_info: vec![0x30, 0].into(),
        name_constraints: None,
    };
    roots.roots.push(anchor);
    roots
}

impl StoreConfig {
    fn read(&self) -> Result<Vec<u8>, ConnectError> {
        std::fs::read(&self.path).map_err(|error| {
            ConnectError::config(format!("{} \"{}\" cannot be read", self.setting, self.path))
                .because(error)
        })
    }

    fn is_pkcs12(&self) -> Result<bool, ConnectError> {
        let name = self.path.to_ascii_lowercase();
        let ty = self.ty.as_deref().map(str::to_ascii_uppercase);
        match ty.as_deref() {
            Some("PEM") => Ok(false),
            Some("PKCS12") => Ok(true),
            None if [".p12", ".pfx", ".pkcs12"].iter().any(|end| name.ends_with(end)) => Ok(true),
            None if [".pem", ".crt", ".cer", ".key"].iter().any(|end| name.ends_with(end)) => {
                Ok(false)
            }
            _ => Err(ConnectError::config(format!(
                "{} \"{}\" is a key store of Java; convert it with \"keytool -importkeystore \
                 -srckeystore {} -destkeystore store.p12 -deststoretype PKCS12\", or set its type \
                 to PEM or PKCS12",
                self.setting, self.path, self.path
            ))),
        }
    }

    fn pkcs12(&self) -> Result<p12_keystore::KeyStore, ConnectError> {
        let content = self.read()?;
        let password = self.password.as_ref().map_or("", Secret::expose);
        let policy = p12_keystore::Pkcs12ImportPolicy::Relaxed;
        p12_keystore::KeyStore::from_pkcs12(&content, password, policy).map_err(|error| {
            ConnectError::config(format!(
                "{} \"{}\" cannot be opened as PKCS12; is the password right?",
                self.setting, self.path
            ))
            .because(error)
        })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
        if !self.is_pkcs12()? {
            return pem_certificates(self.setting, &self.read()?);
        }
        let store = self.pkcs12()?;
        let mut certificates = Vec::new();
        for (_, entry) in store.entries() {
            match entry {
                p12_keystore::KeyStoreEntry::Certificate(certificate) => {
                    certificates.push(CertificateDer::from(certificate.as_der().to_vec()));
                }
                p12_keystore::KeyStoreEntry::PrivateKeyChain(chain) => certificates.extend(
                    chain.certs().iter().map(|each| CertificateDer::from(each.as_der().to_vec())),
                ),
                _ => {}
            }
        }
        Ok(certificates)
    }

    fn identity(&self) -> Result<Identity, ConnectError> {
        if !self.is_pkcs12()? {
            let content = self.read()?;
            let key = pem_key(self.setting, &content)?;
            return Ok((pem_certificates(self.setting, &content)?, key));
        }
        let store = self.pkcs12()?;
        let (_, chain) = store.private_key_chain().ok_or_else(|| {
            ConnectError::config(format!("{} \"{}\" has no key", self.setting, self.path))
        })?;
        let certificates =
            chain.certs().iter().map(|each| CertificateDer::from(each.as_der().to_vec())).collect();
        let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec());
        Ok((certificates, key.into()))
    }
}

fn pem_certificates(
    setting: &str,
    content: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    CertificateDer::pem_slice_iter(content).collect::<Result<_, _>>().map_err(|error| {
        ConnectError::config(format!("{setting} is no certificate in PEM form")).because(error)
    })
}

fn pem_key(setting: &str, content: &[u8]) -> Result<PrivateKeyDer<'static>, ConnectError> {
    PrivateKeyDer::from_pem_slice(content).map_err(|error| {
        ConnectError::config(format!("{setting} has no private key in PEM form")).because(error)
    })
}

/// Trusts what a trusted authority signed, whatever host it was made for.
#[derive(Debug)]
struct AnyHost {
    chain: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
