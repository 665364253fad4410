//! Java's key and trust stores as PEM texts, which librdkafka takes: PKCS12 by OpenSSL, which
//! librdkafka links anyway, and JKS, for which there is no widely kept library, by the reader below.
//!
//! What a store is says its content: `keytool` has long written PKCS12 whatever the file is called,
//! and Java reads either.

use openssl::hash::{MessageDigest, hash};
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::provider::Provider;
use openssl::x509::X509;

/// What a store holds, as PEM.
#[derive(Default, PartialEq, Eq)]
pub(super) struct KeyStore {
    /// The first private key, and its certificates, the key's own first.
    pub key: Option<(String, String)>,
    /// The certificates that stand for themselves.
    pub trusted: String,
}

/// Reads a store that is no PEM file.
///
/// # Errors
/// Why not: never the password.
pub(super) fn read(bytes: &[u8], password: &str, key_password: &str) -> Result<KeyStore, String> {
    match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] => jks(bytes, password, key_password),
        [0x30, ..] => pkcs12(bytes, password),
        [0xce, 0xce, 0xce, 0xce, ..] => {
            Err("it is a JCEKS store; convert it to PKCS12 with keytool -importkeystore".to_owned())
        }
        _ => Err("it is neither a JKS nor a PKCS12 store".to_owned()),
    }
}

fn pkcs12(bytes: &[u8], password: &str) -> Result<KeyStore, String> {
    let store =
        Pkcs12::from_der(bytes).map_err(|error| format!("it is no PKCS12 store: {error}"))?;
    let parsed = store.parse2(password).or_else(|_| {
        // Stores that are older than Java 8u301 need algorithms that OpenSSL 3 has set aside.
        let legacy = Provider::try_load(None, "legacy", true);
        let parsed = store.parse2(password);
        drop(legacy);
        parsed
    });
    let parsed = parsed.map_err(|_| {
        "its password is wrong, or its encryption is too old for this machine's OpenSSL; keytool \
         -importkeystore -deststoretype pkcs12 writes it anew"
            .to_owned()
    })?;
    let pem = |certificate: &X509| -> Result<String, String> {
        let pem = certificate.to_pem().map_err(|error| error.to_string())?;
        String::from_utf8(pem).map_err(|error| error.to_string())
    };
    let others: Vec<String> =
        parsed.ca.iter().flatten().map(|each| pem(&each.to_owned())).collect::<Result<_, _>>()?;
    let Some(key) = parsed.pkey else {
        return Ok(KeyStore { key: None, trusted: others.concat() });
    };
    let key = key.private_key_to_pem_pkcs8().map_err(|error| error.to_string())?;
    let own = parsed.cert.as_ref().map(pem).transpose()?.unwrap_or_default();
    let chain = own + &others.concat();
    let key = String::from_utf8(key).map_err(|error| error.to_string())?;
    Ok(KeyStore { key: Some((key, chain)), trusted: String::new() })
}

/// A JKS store (Java, `sun.security.provider.JavaKeyStore`): entries, then a digest over password,
/// a phrase and everything before.
fn jks(bytes: &[u8], password: &str, key_password: &str) -> Result<KeyStore, String> {
    const DIGEST: usize = 20;
    let body = bytes.len().checked_sub(DIGEST).ok_or(CUT_SHORT)?;
    let (body, digest) = bytes.split_at(body);
    let mut signed = utf16(password);
    signed.extend_from_slice(b"Mighty Aphrodite");
    signed.extend_from_slice(body);
    if sha1(&signed)? != digest {
        return Err("its password is wrong, or it was changed".to_owned());
    }
    let mut reader = Reader(body);
    reader.number()?;
    let version = reader.number()?;
    let entries = reader.number()?;
    let mut store = KeyStore::default();
    for _ in 0..entries {
        let tag = reader.number()?;
        let alias = reader.short()?;
        reader.take(alias)?;
        reader.take(8)?;
        match tag {
            1 => {
                let length = reader.length()?;
                let protected = reader.take(length)?;
                let mut chain = String::new();
                for _ in 0..reader.number()? {
                    chain.push_str(&reader.certificate(version)?);
                }
                if store.key.is_none() {
                    store.key = Some((unprotected(protected, key_password)?, chain));
                }
            }
            2 => store.trusted.push_str(&reader.certificate(version)?),
            other => return Err(format!("it has an entry of the unknown kind {other}")),
        }
    }
    Ok(store)
}

const CUT_SHORT: &str = "it is cut short";

/// Java's own protection of keys (`sun.security.provider.KeyProtector`): a salt, the key under a
/// stream of digests, and a digest of the key.
fn unprotected(protected: &[u8], password: &str) -> Result<String, String> {
    const SALT: usize = 20;
    let inner =
        octets_of_encrypted_key(protected).ok_or("its key is no EncryptedPrivateKeyInfo")?;
    let encrypted = inner.len().checked_sub(2 * SALT).ok_or(CUT_SHORT)?;
    let (salt, rest) = inner.split_at(SALT);
    let (encrypted, check) = rest.split_at(encrypted);
    let password = utf16(password);
    let mut key = Vec::with_capacity(encrypted.len());
    let mut block = salt.to_vec();
    for chunk in encrypted.chunks(SALT) {
        block = sha1(&[password.as_slice(), &block].concat())?;
        key.extend(chunk.iter().zip(&block).map(|(byte, mask)| byte ^ mask));
    }
    if sha1(&[password.as_slice(), &key].concat())? != check {
        return Err("the password of its key is wrong: set ssl.key.password".to_owned());
    }
    let key = PKey::private_key_from_pkcs8(&key).map_err(|error| error.to_string())?;
    let pem = key.private_key_to_pem_pkcs8().map_err(|error| error.to_string())?;
    String::from_utf8(pem).map_err(|error| error.to_string())
}

/// The second member of a DER sequence whose first is the algorithm.
fn octets_of_encrypted_key(der: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;
    let (outer, _) = element(der, SEQUENCE)?;
    let (_, rest) = element(outer, SEQUENCE)?;
    Some(element(rest, OCTETS)?.0)
}

/// The content of the element of this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if 4 < bytes.len() {
                return None;
            }
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length)
}

/// The rest of a store.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT_SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?.try_into().expect("four bytes were taken");
        Ok(u32::from_be_bytes(bytes))
    }

    fn length(&mut self) -> Result<usize, String> {
        Ok(usize::try_from(self.number()?).unwrap_or(usize::MAX))
    }

    fn short(&mut self) -> Result<usize, String> {
        let bytes = self.take(2)?.try_into().expect("two bytes were taken");
        Ok(usize::from(u16::from_be_bytes(bytes)))
    }

    /// A certificate as PEM; its type stands before it since the second version.
    fn certificate(&mut self, version: u32) -> Result<String, String> {
        if 2 <= version {
            let kind = self.short()?;
            self.take(kind)?;
        }
        let length = self.length()?;
        let certificate = X509::from_der(self.take(length)?)
            .map_err(|error| format!("a certificate: {error}"))?;
        let pem = certificate.to_pem().map_err(|error| error.to_string())?;
        String::from_utf8(pem).map_err(|error| error.to_string())
    }
}

fn sha1(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let digest = hash(MessageDigest::sha1(), bytes).map_err(|error| error.to_string())?;
    Ok(digest.to_vec())
}

/// A password as Java digests it.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with keytool; the password of both is `storepass`, that of the key in the JKS file
    /// `keypassword`.
    fn fixture(name: &str) -> Vec<u8> {
        let path = format!("{}/tests/fixtures/key-stores/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    }

    fn store(name: &str, password: &str, key_password: &str) -> Result<KeyStore, String> {
        read(&fixture(name), password, key_password)
    }

    #[test]
    fn keys_come_with_their_certificates() {
        for (name, key_password) in [("client.jks", "keypassword"), ("client.p12", "storepass")] {
            let (key, chain) = store(name, "storepass", key_password).unwrap().key.unwrap();
            let key = PKey::private_key_from_pem(key.as_bytes()).unwrap();
            let chain = X509::stack_from_pem(chain.as_bytes()).unwrap();
            assert!(chain[0].public_key().unwrap().public_eq(&key), "{name}");
        }
    }

    #[test]
    fn trusted_certificates_are_all_there() {
        for name in ["trust.jks", "trust.p12"] {
            let found = store(name, "storepass", "").unwrap();
            assert!(found.key.is_none(), "{name}");
            assert_eq!(X509::stack_from_pem(found.trusted.as_bytes()).unwrap().len(), 2, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (name, password, key_password, expected) in [
            ("client.jks", "wrong", "keypassword", "its password is wrong"),
            ("client.jks", "storepass", "wrong", "ssl.key.password"),
            ("client.p12", "wrong", "", "its password is wrong"),
        ] {
            let Err(error) = store(name, password, key_password) else { panic!("{name} was read") };
            assert!(error.contains(expected), "{name}: {error}");
            assert!(!error.contains("storepass"), "{error}");
        }
        assert!(read(b"-----BEGIN", "", "").is_err());
    }

    #[test]
    fn a_store_that_is_cut_short_is_refused_everywhere() {
        let whole = fixture("client.jks");
        for length in 0..whole.len() {
            let (cut, _) = whole.split_at(length);
            assert!(read(cut, "storepass", "keypassword").is_err(), "{length}");
        }
    }
}
