//! Numbers as text, byte for byte as Java writes them.

use num_bigint::{BigInt, Sign};

/// Appends a FLOAT64 as `Double.toString` does.
pub fn push_f64(out: &mut Vec<u8>, number: f64) {
    // As for FLOAT32.
    if number.abs().to_bits() == 1 {
        out.extend_from_slice(if number < 0.0 { b"-4.9E-324" } else { b"4.9E-324" });
        return;
    }
    if number.is_finite() {
        let mut buffer = ryu::Buffer::new();
        push_java_float(out, buffer.format_finite(number), number.abs());
    } else {
        push_non_finite(out, number.is_nan(), number > 0.0);
    }
}

/// Appends a FLOAT32 as `Float.toString` does.
pub fn push_f32(out: &mut Vec<u8>, number: f32) {
    // The smallest number has one digit that tells it apart, and Java writes two that are nearest.
    if number.abs().to_bits() == 1 {
        out.extend_from_slice(if number < 0.0 { b"-1.4E-45" } else { b"1.4E-45" });
        return;
    }
    if number.is_finite() {
        let mut buffer = ryu::Buffer::new();
        push_java_float(out, buffer.format_finite(number), number.abs().into());
    } else {
        push_non_finite(out, number.is_nan(), number > 0.0);
    }
}

fn push_non_finite(out: &mut Vec<u8>, nan: bool, positive: bool) {
    out.extend_from_slice(match (nan, positive) {
        (true, _) => b"NaN",
        (false, true) => b"Infinity",
        (false, false) => b"-Infinity",
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
    out.extend_from_slice(itoa::Buffer::new().format(exponent + position).as_bytes());
}

/// The shortest two's complement form: without leading bytes that only repeat the sign.
pub fn minimal_signed(mut bytes: &[u8]) -> &[u8] {
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
pub fn push_decimal_bytes(out: &mut Vec<u8>, bytes: &[u8], scale: i32) {
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
pub fn push_decimal(out: &mut Vec<u8>, unscaled: &BigInt, scale: i32) {
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
            out.extend_from_slice(itoa::Buffer::new().format(adjusted).as_bytes());
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
    fn the_smallest_numbers_have_two_digits() {
        assert_eq!(written(|out| push_f32(out, f32::from_bits(1))), "1.4E-45");
        assert_eq!(written(|out| push_f32(out, -f32::from_bits(1))), "-1.4E-45");
        assert_eq!(written(|out| push_f32(out, f32::from_bits(14))), "2.0E-44");
        assert_eq!(written(|out| push_f64(out, f64::from_bits(1))), "4.9E-324");
        assert_eq!(written(|out| push_f64(out, f64::from_bits(4))), "2.0E-323");
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
        fn decimals_of_any_width_agree(bytes in proptest::collection::vec(any::<u8>(), 1..20), scale in -20..40) {
            let unscaled = BigInt::from_signed_bytes_be(&bytes);
            let expected = written(|out| push_decimal(out, &unscaled, scale));
            prop_assert_eq!(written(|out| push_decimal_bytes(out, &bytes, scale)), expected);
            let minimal = unscaled.to_signed_bytes_be();
            prop_assert_eq!(minimal_signed(&bytes), minimal.as_slice());
        }
    }
}
