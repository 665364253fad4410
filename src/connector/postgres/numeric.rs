//! PostgreSQL's decimal text to what Connect's decimals are made of: an unscaled integer as minimal
//! big-endian two's complement.

use num_bigint::BigInt;

/// A decimal as PostgreSQL prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numeric<'a> {
    NaN,
    Infinity,
    NegativeInfinity,
    Finite { negative: bool, whole: &'a [u8], fraction: &'a [u8] },
}

/// Reads the server's text: digits with an optional sign and fraction.
pub(super) fn parse(text: &[u8]) -> Option<Numeric<'_>> {
    match text {
        b"NaN" => return Some(Numeric::NaN),
        b"Infinity" => return Some(Numeric::Infinity),
        b"-Infinity" => return Some(Numeric::NegativeInfinity),
        _ => {}
    }
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(dot) => (digits.get(..dot)?, digits.get(dot + 1..)?),
        None => (digits, &[][..]),
    };
    let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    let any_digit = !whole.is_empty() || !fraction.is_empty();
    (all_digits && any_digit).then_some(Numeric::Finite { negative, whole, fraction })
}

/// Appends `whole.fraction` x 10^`scale` as an integer. Digits behind `scale` are rounded half up,
/// away from zero, as `BigDecimal.setScale` does in the original.
pub(super) fn write_unscaled(
    out: &mut Vec<u8>,
    negative: bool,
    whole: &[u8],
    fraction: &[u8],
    scale: i32,
) {
    // 38 digits fit an i128 whatever they are.
    let fits = usize::try_from(scale)
        .ok()
        .filter(|scale| *scale >= fraction.len() && whole.len().saturating_add(*scale) <= 38);
    if let Some(scale) = fits {
        let padding = std::iter::repeat_n(&b'0', scale - fraction.len());
        let digits = whole.iter().chain(fraction).chain(padding);
        let magnitude = digits.fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        write_i128(out, if negative { -magnitude } else { magnitude });
    } else {
        write_big(out, &unscaled(negative, whole, fraction, scale));
    }
}

fn unscaled(negative: bool, whole: &[u8], fraction: &[u8], scale: i32) -> BigInt {
    let mut digits: Vec<u8> = whole.iter().chain(fraction).copied().collect();
    let have = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let missing = i64::from(scale) - have;
    let mut round_up = false;
    if missing >= 0 {
        digits.resize(digits.len() + usize::try_from(missing).unwrap_or(0), b'0');
    } else {
        let surplus = usize::try_from(-missing).unwrap_or(usize::MAX);
        let keep = digits.len().saturating_sub(surplus);
        let first_dropped = if surplus <= digits.len() { digits.get(keep) } else { None };
        round_up = first_dropped.is_some_and(|digit| *digit >= b'5');
        digits.truncate(keep);
    }
    let magnitude = BigInt::parse_bytes(&digits, 10).unwrap_or_default() + i32::from(round_up);
    if negative { -magnitude } else { magnitude }
}

/// Appends `number` in the fewest bytes.
pub(super) fn write_i128(out: &mut Vec<u8>, number: i128) {
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xff } else { 0x00 };
    let redundant = bytes
        .windows(2)
        .take_while(
            |pair| matches!(pair, [first, next] if *first == sign && (first ^ next) & 0x80 == 0),
        )
        .count();
    out.extend(bytes.iter().skip(redundant));
}

fn write_big(out: &mut Vec<u8>, number: &BigInt) {
    out.extend(number.to_signed_bytes_be());
}

/// The scale and fraction of a decimal without trailing zeros, never below zero: what
/// `VariableScaleDecimal` holds.
pub(super) fn stripped(fraction: &[u8]) -> &[u8] {
    let significant = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    fraction.get(..significant).unwrap_or(fraction)
}

/// Money as text in a locale that writes a currency sign, commas and a dot: sign, whole digits and
/// fraction, in one buffer.
pub(super) fn plain_money(text: &[u8]) -> Option<Vec<u8>> {
    let negative = text.contains(&b'-') || text.first() == Some(&b'(');
    let digits = text.iter().filter(|byte| byte.is_ascii_digit() || **byte == b'.');
    let sign = negative.then_some(&b'-');
    let plain: Vec<u8> = sign.into_iter().chain(digits).copied().collect();
    parse(&plain).is_some().then_some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unscaled_bytes(text: &str, scale: i32) -> Vec<u8> {
        let Some(Numeric::Finite { negative, whole, fraction }) = parse(text.as_bytes()) else {
            panic!("{text}")
        };
        let mut out = Vec::new();
        write_unscaled(&mut out, negative, whole, fraction, scale);
        out
    }

    #[test]
    fn decimals_become_the_bytes_of_the_original() {
        // The type table of the reference, base64 decoded.
        for (text, scale, expected) in [
            ("123.45", 2, &[0x30, 0x39][..]),
            ("12345", 0, &[0x30, 0x39]),
            ("-0.005", 3, &[0xfb]),
            ("0", 0, &[0x00]),
            ("0.00", 2, &[0x00]),
            ("128", 0, &[0x00, 0x80]),
            ("-128", 0, &[0x80]),
            ("1.5", 2, &[0x00, 0x96]),
            ("1234.56", 2, &[0x01, 0xe2, 0x40]),
            ("-12.34", 2, &[0xfb, 0x2e]),
            ("12300", -2, &[0x7b]),
            ("0.125", 2, &[0x0d]),
            ("-0.125", 2, &[0xf3]),
            (
                "1234567890123456789.0123456789",
                10,
                &[0x27, 0xe4, 0x1b, 0x32, 0x46, 0xbe, 0xc9, 0xb1, 0x6e, 0x39, 0x81, 0x15],
            ),
        ] {
            assert_eq!(unscaled_bytes(text, scale), expected, "{text} at scale {scale}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-", ".", "1e5", "1.2.3", "abc", "１"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"NaN"), Some(Numeric::NaN));
    }

    #[test]
    fn money_of_a_locale_becomes_plain() {
        for (text, expected) in [
            ("$1,234.56", "1234.56"),
            ("-$12.34", "-12.34"),
            ("($12.34)", "-12.34"),
            ("12.34 €", "12.34"),
        ] {
            assert_eq!(plain_money(text.as_bytes()).unwrap(), expected.as_bytes(), "{text}");
        }
        assert_eq!(plain_money(b"$"), None);
    }

    proptest! {
        #[test]
        fn both_ways_to_an_unscaled_integer_agree(
            negative: bool,
            whole in "[0-9]{1,25}",
            fraction in "[0-9]{0,13}",
            more in 0_i32..3,
        ) {
            let scale = i32::try_from(fraction.len()).unwrap() + more;
            let (whole, fraction) = (whole.as_bytes(), fraction.as_bytes());
            let mut fast = Vec::new();
            write_unscaled(&mut fast, negative, whole, fraction, scale);
            let big = unscaled(negative, whole, fraction, scale);
            prop_assert_eq!(BigInt::from_signed_bytes_be(&fast), big.clone());
            prop_assert_eq!(fast, big.to_signed_bytes_be());
        }

        #[test]
        fn integers_take_the_fewest_bytes(number: i128) {
            let mut out = Vec::new();
            write_i128(&mut out, number);
            prop_assert_eq!(out, BigInt::from(number).to_signed_bytes_be());
        }
    }
}
