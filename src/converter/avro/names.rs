//! Names that Avro takes, made of names that it does not: `scrub.invalid.names`.

/// What takes the place of a digit in front.
const PREFIX: char = 'x';

/// The name as it is, or made fit: its bytes are URL-encoded, a leading digit gets a prefix, and
/// what is left over becomes `_`.
pub(in crate::converter) fn scrub(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    if name.is_empty() || (name.bytes().all(is_plain) && !starts_with_digit) {
        return name.to_owned();
    }
    let mut scrubbed = String::new();
    if starts_with_digit {
        scrubbed.push(PREFIX);
    }
    for byte in name.bytes() {
        match byte {
            byte if is_plain(byte) => scrubbed.push(char::from(byte)),
            // URL encoding leaves `.`, `-` and `*`, and writes a blank as `+`: none is a letter.
            b'.' | b'-' | b'*' | b' ' => scrubbed.push('_'),
            byte => scrubbed.push_str(&format!("_{byte:02X}")),
        }
    }
    scrubbed
}

/// As [`scrub`], each part of a dotted name.
pub(super) fn scrub_full(name: &str) -> String {
    name.split('.').map(scrub).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_avro_refuses_is_changed() {
        for (name, expected) in [
            ("plain_1", "plain_1"),
            ("a-b", "a_b"),
            ("1x", "x1x"),
            ("a b", "a_b"),
            ("ä", "_C3_A4"),
            ("", ""),
        ] {
            assert_eq!(scrub(name), expected);
        }
        assert_eq!(scrub_full("cdc-1.my-schema.Value"), "cdc_1.my_schema.Value");
    }
}
