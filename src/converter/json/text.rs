//! JSON tokens, byte for byte as the original's JSON library and Java write them.
//!
//! Strings escape what JSON demands and, of everything else, only characters beyond the BMP, as an
//! upper-case surrogate pair. Numbers have Java's text forms.

#![deny(clippy::indexing_slicing)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use num_bigint::{BigInt, Sign};

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

/// Appends a FLOAT64 as `Double.toString` does; what JSON has no number for goes in quotes.
pub(super) fn push_f64(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        let mut buffer = ryu::Buffer::new();
        push_java_float(out, buffer.format_finite(number), number.abs());
    } else {
        push_non_finite(out, number.is_nan(), number > 0.0);
    }
}

/// Appends a FLOAT32 as `Float.toString` does.
pub(super) fn push_f32(out: &mut Vec<u8>, number: f32) {
    if number.is_finite() {
        let mut buffer = ryu::Buffer::new();
        push_java_float(out, buffer.format_finite(number), number.abs().into());
    } else {
        push_non_finite(out, number.is_nan(), number > 0.0);
    }
}

fn push_non_finite(out: &mut Vec<u8>, nan: bool, positive: bool) {
    out.extend_from_slice(match (nan, positive) {
        (true, _) => b"\"NaN\"",
        (false, true) => b"\"Infinity\"",
        (false, false) => b"\"-Infinity\"",
    });
}

/// Turns the shortest digits into Java's form: plain from 10^-3 below 10^7, else one digit, a
/// fraction of at least one digit, and `E`.
fn push_java_float(out: &mut Vec<u8>, shortest: &str, magnitude: f64) {
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        out.extend_from_slice(shortest.as_bytes());
        return;
    }
    let unsigned = shortest.trim_start_matches('-');
    if unsigned.len() < shortest.len() {
        out.push(b'-');
    }
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().expect("the exponent of a float is a number");
    let digits = || whole.bytes().chain(fraction.bytes());
    let zeros = digits().take_while(|digit| *digit == b'0').count();
    let last = digits().enumerate().filter(|(_, digit)| *digit != b'0').map(|(at, _)| at).last();
    let last = last.unwrap_or(zeros);
    let position = i64::try_from(whole.len()).unwrap_or(0) - i64::try_from(zeros).unwrap_or(0) - 1;
    for (at, digit) in digits().enumerate().skip(zeros).take(last + 1 - zeros) {
        out.push(digit);
        if at == zeros {
            out.push(b'.');
        }
    }
    if last == zeros {
        out.push(b'0');
    }
    out.push(b'E');
    push_integer(out, exponent + position);
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

/// The shortest two's complement form: without leading bytes that only repeat the sign.
pub(super) fn minimal_signed(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && let [second, ..] = rest
    {
        let redundant = (*first == 0 && *second < 0x80) || (*first == 0xFF && *second >= 0x80);
        if !redundant {
            break;
        }
        bytes = rest;
    }
    if bytes.is_empty() { &[0] } else { bytes }
}

/// Appends a decimal from its two's complement unscaled value, as [`push_decimal`].
pub(super) fn push_decimal_bytes(out: &mut Vec<u8>, bytes: &[u8], scale: i32) {
    let bytes = minimal_signed(bytes);
    if bytes.len() > 8 {
        push_decimal(out, &BigInt::from_signed_bytes_be(bytes), scale);
        return;
    }
    let sign = bytes.first().is_some_and(|first| *first >= 0x80);
    let start = if sign { -1 } else { 0 };
    let number = bytes.iter().fold(start, |number: i64, byte| number << 8 | i64::from(*byte));
    let mut buffer = itoa::Buffer::new();
    push_scaled(out, number < 0, buffer.format(number.unsigned_abs()), scale);
}

/// Appends a decimal as `BigDecimal.toString` does.
pub(super) fn push_decimal(out: &mut Vec<u8>, unscaled: &BigInt, scale: i32) {
    let digits = unscaled.magnitude().to_string();
    push_scaled(out, unscaled.sign() == Sign::Minus, &digits, scale);
}

fn push_scaled(out: &mut Vec<u8>, negative: bool, digits: &str, scale: i32) {
    if negative {
        out.push(b'-');
    }
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let scale = i64::from(scale);
    let adjusted = length - 1 - scale;
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
    } else if scale > 0 && adjusted >= -6 {
        let whole = usize::try_from(length - scale).unwrap_or(0);
        let (whole_digits, fraction) = digits.split_at(whole);
        out.extend_from_slice(if whole == 0 { b"0" } else { whole_digits.as_bytes() });
        out.push(b'.');
        out.extend((length..scale).map(|_| b'0'));
        out.extend_from_slice(fraction.as_bytes());
    } else {
        let (first, fraction) = digits.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
        if adjusted != 0 {
            out.extend_from_slice(if adjusted > 0 { b"E+" } else { b"E" });
            push_integer(out, adjusted);
        }
    }
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

    #[test]
    fn decimals_have_javas_form() {
        for (unscaled, scale, expected) in [
            (150, 2, "1.50"),
            (1, -3, "1E+3"),
            (1, 10, "1E-10"),
            (12, -3, "1.2E+4"),
            (-5, 1, "-0.5"),
            (5, 3, "0.005"),
            (0, 2, "0.00"),
            (0, 8, "0E-8"),
            (123, 0, "123"),
            (1, 6, "0.000001"),
            (1, 7, "1E-7"),
            (i64::MIN, 2, "-92233720368547758.08"),
        ] {
            let unscaled = BigInt::from(unscaled);
            assert_eq!(written(|out| push_decimal(out, &unscaled, scale)), expected);
            let bytes = unscaled.to_signed_bytes_be();
            assert_eq!(written(|out| push_decimal_bytes(out, &bytes, scale)), expected);
        }
    }

    #[test]
    fn redundant_sign_bytes_go() {
        for (bytes, expected) in [
            (&[0u8, 0, 0x7F][..], &[0x7Fu8][..]),
            (&[0, 0x80], &[0, 0x80]),
            (&[0xFF, 0xFF, 0x80], &[0x80]),
            (&[0xFF, 0x7F], &[0xFF, 0x7F]),
            (&[0, 0], &[0]),
            (&[], &[0]),
        ] {
            assert_eq!(minimal_signed(bytes), expected);
        }
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

        #[test]
        fn decimals_of_any_width_agree(bytes in proptest::collection::vec(any::<u8>(), 1..20), scale in -20..40) {
            let unscaled = BigInt::from_signed_bytes_be(&bytes);
            let expected = written(|out| push_decimal(out, &unscaled, scale));
            prop_assert_eq!(written(|out| push_decimal_bytes(out, &bytes, scale)), expected);
            let minimal = unscaled.to_signed_bytes_be();
            prop_assert_eq!(minimal_signed(&bytes), minimal.as_slice());
        }
    }
}
