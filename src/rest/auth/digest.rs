//! Secrets as their digests, compared in constant time (CVE-2021-38153): what can be measured says
//! nothing about a secret.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 digest of a secret.
#[derive(Clone)]
pub(super) struct Hashed([u8; 32]);

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Hashed {
    pub(super) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// A secret as files have it: itself, or `sha256:` and its digest in hexadecimal.
    pub(super) fn of_file(text: &str) -> Option<Self> {
        let Some(hex) = text.strip_prefix("sha256:") else { return Some(Self::of(text)) };
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether both are of one secret.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_digest() {
        let digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert!(Hashed::of_file(digest).unwrap().is(&Hashed::of("test")));
        assert!(Hashed::of_file("test").unwrap().is(&Hashed::of("test")));
        assert!(!Hashed::of("test").is(&Hashed::of("tesT")));
        for wrong in ["sha256:", "sha256:9f86", &digest.replace('9', "g")] {
            assert!(Hashed::of_file(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{:?}", Hashed::of("test")), "[hidden]");
    }
}
