//! Masks by digest: a column's text becomes the hexadecimal digest of a salt and the text (Debezium,
//! `MaskStrings`). The first form digests the text as Java serializes it, the second its UTF-8.

use std::fmt::Write as _;

use md5::Md5;
use md5::digest::DynDigest;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

/// A rule's digest.
#[derive(Clone)]
pub(super) struct DigestMask {
    algorithm: Algorithm,
    salt: Vec<u8>,
    form: Form,
}

/// What of a text is digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What Java's `ObjectOutputStream` makes of it.
    Serialized,
    Utf8,
}

type Algorithm = fn() -> Box<dyn DynDigest>;

impl std::fmt::Debug for DigestMask {
    /// The salt is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestMask").field("form", &self.form).finish_non_exhaustive()
    }
}

impl DigestMask {
    /// A mask by an algorithm that Java has under this name; `None` when there is none.
    pub(super) fn new(algorithm: &str, salt: &str, form: Form) -> Option<Self> {
        let algorithm: Algorithm = match algorithm.to_uppercase().as_str() {
            "MD5" => || Box::new(Md5::default()),
            "SHA" | "SHA1" | "SHA-1" => || Box::new(Sha1::default()),
            "SHA-224" => || Box::new(Sha224::default()),
            "SHA-256" => || Box::new(Sha256::default()),
            "SHA-384" => || Box::new(Sha384::default()),
            "SHA-512" => || Box::new(Sha512::default()),
            "SHA-512/224" => || Box::new(Sha512_224::default()),
            "SHA-512/256" => || Box::new(Sha512_256::default()),
            _ => return None,
        };
        Some(Self { algorithm, salt: salt.as_bytes().to_vec(), form })
    }

    /// The digest of `text` in lower-case hexadecimal.
    pub(super) fn mask(&self, text: &str) -> String {
        let mut digest = (self.algorithm)();
        digest.update(&self.salt);
        match self.form {
            Form::Utf8 => digest.update(text.as_bytes()),
            Form::Serialized => digest.update(&serialized(text)),
        }
        let digest = digest.finalize();
        let mut hex = String::with_capacity(digest.len() * 2);
        for byte in &digest {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        }
        hex
    }
}

/// The stream of a lone string (Java Object Serialization, "Grammar for the Stream Format").
fn serialized(text: &str) -> Vec<u8> {
    const MAGIC_AND_VERSION: [u8; 4] = [0xac, 0xed, 0, 5];
    const TC_STRING: u8 = 0x74;
    const TC_LONGSTRING: u8 = 0x7c;
    let modified = modified_utf8(text);
    let mut stream = MAGIC_AND_VERSION.to_vec();
    match u16::try_from(modified.len()) {
        Ok(length) => {
            stream.push(TC_STRING);
            stream.extend(length.to_be_bytes());
        }
        Err(_) => {
            stream.push(TC_LONGSTRING);
            stream.extend((modified.len() as u64).to_be_bytes());
        }
    }
    stream.extend(modified);
    stream
}

/// UTF-8 of each UTF-16 unit by itself, with zero in two bytes.
fn modified_utf8(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        let [high, low] = unit.to_be_bytes();
        match unit {
            1..=0x7f => bytes.push(low),
            0 | 0x80..=0x7ff => {
                bytes.extend([0xc0 | high << 2 | low >> 6, 0x80 | low & 0x3f]);
            }
            _ => bytes.extend([
                0xe0 | high >> 4,
                0x80 | (high & 0xf) << 2 | low >> 6,
                0x80 | low & 0x3f,
            ]),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_original() {
        // Observed.
        for (form, text, expected) in [
            (
                Form::Serialized,
                "hashme",
                "7d08b92e25e8790a228ea0ea8266b5671b7188b7bcb53708995e408f63266366",
            ),
            (Form::Utf8, "hashme2", "17c4be095122305b51ae1c3b347a5e"),
        ] {
            let mask = DigestMask::new("SHA-256", "abc", form).unwrap();
            assert!(mask.mask(text).starts_with(expected), "{text}: {}", mask.mask(text));
        }
        assert!(DigestMask::new("ROT13", "abc", Form::Utf8).is_none());
        assert!(!format!("{:?}", DigestMask::new("MD5", "abc", Form::Utf8)).contains("97"));
    }

    #[test]
    fn texts_are_serialized_as_java_does() {
        assert_eq!(serialized("a"), [0xac, 0xed, 0, 5, 0x74, 0, 1, b'a']);
        assert_eq!(modified_utf8("\0\u{e9}\u{20ac}"), [0xc0, 0x80, 0xc3, 0xa9, 0xe2, 0x82, 0xac]);
        assert_eq!(modified_utf8("\u{1f600}"), [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]);
        let long = "a".repeat(70_000);
        assert_eq!(serialized(&long)[4..13], [0x7c, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
