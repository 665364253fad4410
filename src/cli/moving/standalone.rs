//! The files of a standalone Kafka Connect worker: connectors as properties, offsets as a Java map.
//!
//! Source: `FileOffsetBackingStore.java` writes a `HashMap<byte[], byte[]>` by Java's object serialization
//! (Java Object Serialization Specification, section 6). Only this one shape is read; no class is ever
//! looked for.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::origin::{Origin, OriginConnector};
use crate::config::parse_properties;
use crate::kafka::Latest;
use crate::rest;

/// Everything before the two fields of a `java.util.HashMap`: stream header, class, its fields.
const HEAD: &[u8] =
    b"\xac\xed\0\x05sr\0\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\0\x02\
F\0\x0aloadFactorI\0\x09thresholdxp";
/// `loadFactor` and `threshold`, the mark of a block of 8 bytes, and the capacity in it.
const BEFORE_SIZE: usize = 4 + 4 + 2 + 4;
const NULL: u8 = 0x70;
const ARRAY: u8 = 0x75;
const CLASS: u8 = 0x72;
const REFERENCE: u8 = 0x71;
/// The class of `byte[]` as it is written out the first time, and the reference to it afterwards.
const BYTE_ARRAY: &[u8] = b"\0\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\0\0xp";
const BYTE_ARRAY_HANDLE: &[u8] = b"\0\x7e\0\x02";

/// The entries of an offset file whose value is not null.
///
/// # Errors
/// When the bytes are not what a standalone worker writes, with the place.
pub(super) fn offsets(bytes: &[u8]) -> Result<Latest, String> {
    let mut reader = Reader { rest: bytes, length: bytes.len() };
    reader.expect(HEAD)?;
    reader.take(BEFORE_SIZE)?;
    let size = reader.number()?;
    let mut entries = Latest::new();
    for _ in 0..size {
        let key = reader.byte_array()?;
        let value = reader.byte_array()?;
        if let (Some(key), Some(value)) = (key, value) {
            entries.insert(key.to_vec(), value.to_vec());
        }
    }
    Ok(entries)
}

struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    fn error(&self) -> String {
        let at = self.length - self.rest.len();
        format!("it is no offset file of a standalone worker (byte {at})")
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.error());
        };
        self.rest = rest;
        Ok(taken)
    }

    fn expect(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(bytes).ok_or_else(|| self.error())?;
        Ok(())
    }

    fn number(&mut self) -> Result<u32, String> {
        let taken = self.take(4)?;
        Ok(taken.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn byte_array(&mut self) -> Result<Option<&'a [u8]>, String> {
        match self.take(1)?[0] {
            NULL => return Ok(None),
            ARRAY => {}
            _ => return Err(self.error()),
        }
        match self.take(1)?[0] {
            CLASS => self.expect(BYTE_ARRAY)?,
            REFERENCE => self.expect(BYTE_ARRAY_HANDLE)?,
            _ => return Err(self.error()),
        }
        let length = usize::try_from(self.number()?).map_err(|_| self.error())?;
        self.take(length).map(Some)
    }
}

/// The connectors of these files: `*.properties` as a standalone worker takes them, or JSON as it is posted.
///
/// # Errors
/// A file that cannot be read, or that names no connector.
pub(super) fn connectors(files: &[PathBuf]) -> anyhow::Result<Origin> {
    let mut origin = Origin::new();
    for file in files {
        let (name, config) =
            connector(file).with_context(|| format!("{} is no connector file", file.display()))?;
        origin.insert(name, OriginConnector { config, ..OriginConnector::default() });
    }
    Ok(origin)
}

fn connector(file: &Path) -> anyhow::Result<(String, crate::config::Props)> {
    let text = std::fs::read_to_string(file)?;
    if file.extension().is_some_and(|extension| extension == "json") {
        return Ok(rest::connector_file(&text)?);
    }
    let config = parse_properties(&text).map_err(anyhow::Error::msg)?;
    let name = config.get("name").filter(|name| !name.is_empty());
    let name = name.context("it has no `name`")?.clone();
    Ok((name, config))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenJDK 17 writes for three entries, of which the one for `b` is null.
    const THREE: &str = "\
aced0005737200116a6176612e7574696c2e486173684d61700507dac1c31660d103000246000a6c6f6164466163746f7249\
00097468726573686f6c6478703f4000000000000c77080000001000000003757200025b42acf317f8060854e00200007870\
000000165b2262222c7b2266696c656e616d65223a2266227d5d707571007e0002000000165b2261222c7b22736572766572\
223a22636463227d5d7571007e0002000000107b226c736e223a32343032333132387d7571007e0002000000165b2263222c\
7b2266696c656e616d65223a2267227d5d7571007e00020000000e7b22706f736974696f6e223a377d78";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
    }

    #[test]
    fn a_file_of_the_original_is_read() {
        let found = offsets(&bytes(THREE)).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let found: Vec<_> = found.iter().map(|(key, value)| (text(key), text(value))).collect();
        let expected = [
            (r#"["a",{"server":"cdc"}]"#, r#"{"lsn":24023128}"#),
            (r#"["c",{"filename":"g"}]"#, r#"{"position":7}"#),
        ];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_file_that_is_cut_or_changed_is_an_error() {
        let whole = bytes(THREE);
        for length in 0..whole.len() - 1 {
            assert!(offsets(&whole[..length]).is_err(), "{length}");
        }
        let mut changed = whole.clone();
        changed[8] = b'x';
        assert!(offsets(&changed).unwrap_err().contains("standalone worker"));
    }
}
