//! `.properties` files (`java.util.Properties.load`): worker files, and secrets in files.

use super::Props;

/// Reads the text of a properties file. Of a key that stands twice, the last one counts.
///
/// # Errors
/// The line of an escape that is cut short.
pub fn parse_properties(text: &str) -> Result<Props, String> {
    let mut props = Props::new();
    for (number, line) in logical_lines(text) {
        let (key, value) = split(&line);
        let unescaped = |text| {
            unescape(text).ok_or_else(|| {
                format!("line {number}: cannot read the escape; write \\u and four hex digits")
            })
        };
        props.insert(unescaped(key)?, unescaped(value)?);
    }
    Ok(props)
}

/// Lines without comments and blanks, continuation lines joined, each with its first line's number.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut numbered = text.lines().enumerate();
    while let Some((index, first)) = numbered.next() {
        let mut line = first.trim_start_matches(BLANKS).to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while ends_in_continuation(&line) {
            line.pop();
            let Some((_, next)) = numbered.next() else { break };
            line.push_str(next.trim_start_matches(BLANKS));
        }
        lines.push((index + 1, line));
    }
    lines
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// Whether the line ends in an odd number of backslashes.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Splits at the first `=`, `:` or blank that no backslash protects.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, char)| {
        let found = !escaped && (matches!(char, '=' | ':') || BLANKS.contains(char));
        escaped = *char == '\\' && !escaped;
        found
    });
    let Some((end, _)) = end else { return (line, "") };
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(BLANKS))
}

fn unescape(text: &str) -> Option<String> {
    // UTF-16, because a character beyond the first plane is written as two escapes.
    let mut units = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(mut char) = chars.next() {
        if char == '\\' {
            char = match chars.next() {
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                    units.push(u16::from_str_radix(&digits, 16).ok().filter(|_| hex)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            };
        }
        units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_java_are_read() {
        for (name, text, expected) in [
            ("equals sign", "a=b", &[("a", "b")][..]),
            ("colon", "a : b", &[("a", "b")]),
            ("blank", "a b c", &[("a", "b c")]),
            ("blanks around", "  a  =  b  ", &[("a", "b  ")]),
            ("no value", "a\nb=", &[("a", ""), ("b", "")]),
            ("value with separators", "a=b=c:d", &[("a", "b=c:d")]),
            ("comments", "# x=1\n ! y=2\n\na=b", &[("a", "b")]),
            ("continuation", "a=b,\\\n   c\nd=e", &[("a", "b,c"), ("d", "e")]),
            ("no continuation", "a=b\\\\\nd=e", &[("a", "b\\"), ("d", "e")]),
            ("continuation at the end", "a=b\\", &[("a", "b")]),
            ("escaped separator", "a\\=b\\ c=d", &[("a=b c", "d")]),
            ("escapes", "a=\\t\\u00e4\\ud83d\\ude00\\q", &[("a", "\tä😀q")]),
            ("carriage returns", "a=b\r\nc=d\r\n", &[("a", "b"), ("c", "d")]),
            ("last wins", "a=1\na=2", &[("a", "2")]),
        ] {
            let expected: Props = expected
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(parse_properties(text), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_broken_escape_is_an_error_with_its_line() {
        for text in ["a=1\nb=\\u12", "\na=\\u12g4", "\n\\u=1"] {
            assert!(parse_properties(text).unwrap_err().starts_with("line 2:"), "{text}");
        }
    }
}
