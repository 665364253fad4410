//! JSON tokens, byte for byte as the original's JSON library and Java write them.
//!
//! Strings escape what JSON demands and, of everything else, only characters beyond the BMP, as an
//! upper-case surrogate pair. Numbers are those of [`number_text`].

#![deny(clippy::indexing_slicing)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::data::number_text;
use crate::error::DataError;

/// Which plain bytes [`plain_length`] has to stop at.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// Escapes and everything that is not ASCII.
    NonAscii,
    /// Escapes and characters beyond the BMP.
    BeyondBmp,
}

/// Appends `text` in quotes.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Appends bytes that ought to be UTF-8 in quotes. ASCII needs no check of its own: the scan for
/// escapes tells.
///
/// # Errors
/// When the bytes are not UTF-8; `out` then ends in a fragment.
pub(super) fn push_utf8(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), DataError> {
    out.push(b'"');
    let plain = plain_length(bytes, Stop::NonAscii);
    let (head, tail) = bytes.split_at(plain);
    out.extend_from_slice(head);
    if !tail.is_empty() {
        let tail = std::str::from_utf8(tail).map_err(|error| {
            let at = plain + error.valid_up_to();
            DataError::new(format!("a string is not valid UTF-8 at byte {at}"))
        })?;
        push_escaped(out, tail);
    }
    out.push(b'"');
    Ok(())
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    loop {
        let plain = plain_length(rest.as_bytes(), Stop::BeyondBmp);
        // The scan stops at ASCII characters and at first bytes only: both are boundaries.
        let Some((head, tail)) = rest.split_at_checked(plain) else { return };
        out.extend_from_slice(head.as_bytes());
        let mut characters = tail.chars();
        let Some(character) = characters.next() else { return };
        push_escape(out, character);
        rest = characters.as_str();
    }
}

#[cold]
fn push_escape(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(hex_digit((*unit >> shift) & 0xF));
                }
            }
        }
    }
}

fn hex_digit(nibble: u16) -> u8 {
    let digit = char::from_digit(nibble.into(), 16).unwrap_or('0');
    u8::try_from(digit.to_ascii_uppercase()).unwrap_or(b'0')
}

/// How many leading bytes go through as they are, eight at a time.
fn plain_length(bytes: &[u8], stop: Stop) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        // A byte is below n when subtracting n borrows from its high bit; a borrow may also mark
        // the byte above a true one, so only the lowest mark counts.
        let marks = word.wrapping_sub(ONES * 0x20) & !word
            | quote.wrapping_sub(ONES) & !quote
            | backslash.wrapping_sub(ONES) & !backslash;
        let beyond = match stop {
            Stop::NonAscii => word,
            // Four leading ones: the first byte of a four-byte sequence.
            Stop::BeyondBmp => word & word << 1 & word << 2 & word << 3,
        };
        let marks = (marks | beyond) & HIGHS;
        if marks != 0 {
            return index * 8 + (marks.trailing_zeros() / 8) as usize;
        }
    }
    let scanned = words.len() * 8;
    let rest = bytes.get(scanned..).unwrap_or_default();
    let special = |&byte: &u8| match byte {
        b'"' | b'\\' | 0..0x20 => true,
        0x80.. if stop == Stop::NonAscii => true,
        0xF0.. => true,
        _ => false,
    };
    scanned + rest.iter().position(special).unwrap_or(rest.len())
}

/// Appends an integer.
pub(super) fn push_integer(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `true` or `false`.
pub(super) fn push_boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a FLOAT64; what JSON has no number for goes in quotes.
pub(super) fn push_f64(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        number_text::push_f64(out, number);
    } else {
        out.push(b'"');
        number_text::push_f64(out, number);
        out.push(b'"');
    }
}

/// Appends a FLOAT32, likewise.
pub(super) fn push_f32(out: &mut Vec<u8>, number: f32) {
    if number.is_finite() {
        number_text::push_f32(out, number);
    } else {
        push_f64(out, number.into());
    }
}

/// Appends bytes in standard padded base64, in quotes.
pub(super) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let target = out.get_mut(start..).unwrap_or_default();
    STANDARD.encode_slice(bytes, target).expect("the target has the exact length");
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_have_javas_form() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1.0e7, "1.0E7"),
            (1_000_000.0, "1000000.0"),
            (9_999_999.0, "9999999.0"),
            (1.0e-4, "1.0E-4"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (-0.0, "-0.0"),
            (1.0e21, "1.0E21"),
            (12_345_678.9, "1.23456789E7"),
            (-1.5e-10, "-1.5E-10"),
            (123_456_789_012_345_680.0, "1.2345678901234568E17"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(written(|out| push_f64(out, number)), expected);
        }
        assert_eq!(written(|out| push_f32(out, f32::MAX)), "3.4028235E38");
        assert_eq!(written(|out| push_f32(out, 0.1)), "0.1");
        assert_eq!(written(|out| push_f32(out, 0.001)), "0.001");
        assert_eq!(written(|out| push_f32(out, 1.0e7)), "1.0E7");
    }

    #[test]
    fn only_controls_quotes_and_the_far_planes_are_escaped() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("a\"b\\c/", r#""a\"b\\c/""#),
            ("\u{8}\u{c}\n\r\t", r#""\b\f\n\r\t""#),
            ("\u{1}\u{1f}\u{7f}", "\"\\u0001\\u001F\u{7f}\""),
            ("<>&'\u{2028}é€", "\"<>&'\u{2028}é€\""),
            ("12345678😀12345678", r#""12345678\uD83D\uDE0012345678""#),
            ("1234567é😀\n", "\"1234567é\\uD83D\\uDE00\\n\""),
        ] {
            assert_eq!(written(|out| push_string(out, text)), expected);
            assert_eq!(written(|out| push_utf8(out, text.as_bytes()).unwrap()), expected);
        }
        let error = push_utf8(&mut Vec::new(), b"ok\xFF").unwrap_err();
        assert_eq!(error.0, "a string is not valid UTF-8 at byte 2");
    }

    proptest! {
        #[test]
        fn strings_and_floats_read_back(text: String, number: f64) {
            let json = written(|out| push_string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.clone());
            let checked = written(|out| push_utf8(out, text.as_bytes()).unwrap());
            prop_assert_eq!(checked, json);
            if number.is_finite() {
                let json = written(|out| push_f64(out, number));
                prop_assert_eq!(json.parse::<f64>().unwrap().to_bits(), number.to_bits());
            }
        }
    }
}
