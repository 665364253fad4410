//! An authority and certificates that it signed, as files.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

use super::unique;

/// A folder with `ca.pem`, `server.pem` (for 127.0.0.1), `alice.pem`; the last two with their keys.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = std::env::temp_dir().join(unique("certificates"));
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let made = Self { folder };
        let (authority, issuer) = authority();
        made.write("ca.pem", &authority);
        made.write("server.pem", &signed(&issuer, "server", ExtendedKeyUsagePurpose::ServerAuth));
        made.write("alice.pem", &signed(&issuer, "alice", ExtendedKeyUsagePurpose::ClientAuth));
        let (_, stranger) = authority_of("another authority");
        made.write("eve.pem", &signed(&stranger, "alice", ExtendedKeyUsagePurpose::ClientAuth));
        made
    }

    /// The path of one of the files.
    pub(crate) fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(file)).expect("it was written")
    }

    /// `FILE.pem` as `FILE.p12` with this password, made by OpenSSL as people make it.
    pub(crate) fn pkcs12(&self, name: &str, password: &str) -> String {
        let file = |kind: &str| self.path(&format!("{name}.{kind}"));
        let made = std::process::Command::new("openssl")
            .args(["pkcs12", "-export", "-name", name, "-in", &file("pem")])
            .args(["-out", &file("p12"), "-passout", &format!("pass:{password}")])
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        file("p12")
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.join(Path::new(file)), text).expect("the folder is writable");
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    authority_of("the authority of a test")
}

fn authority_of(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), Issuer::new(params, key))
}

fn signed(
    issuer: &Issuer<'static, KeyPair>,
    name: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> String {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    format!("{}{}", certificate.pem(), key.serialize_pem())
}
