//! Paths to fields (`field.syntax.version`, KIP-821).
//!
//! V1 is one literal name. In V2 dots separate segments; a segment that starts with a back-tick ends
//! at the back-tick before the next dot or the end, and a backslash makes a back-tick literal.

use crate::error::ConnectError;

/// The segments of a V2 path.
pub(super) fn parse(path: &str) -> Result<Vec<String>, ConnectError> {
    let mut segments = Vec::new();
    let (mut rest, mut at) = (path, 0);
    loop {
        let (segment, behind) = match rest.strip_prefix('`') {
            Some(quoted) => {
                let end = closing(quoted).ok_or_else(|| {
                    ConnectError::config(format!(
                        "Incomplete backtick pair in path: [{path}], consider adding a backslash \
                         before backtick at position {at} to escape it"
                    ))
                })?;
                (quoted.get(..end), quoted.get(end + 1..))
            }
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest.get(..end), rest.get(end..))
            }
        };
        segments.push(segment.unwrap_or_default().replace("\\`", "`"));
        match behind.and_then(|behind| behind.strip_prefix('.')) {
            Some(next) => {
                at = path.len() - next.len();
                rest = next;
            }
            None => return Ok(segments),
        }
    }
}

/// Where the back-tick is that ends a quoted segment.
fn closing(quoted: &str) -> Option<usize> {
    quoted.match_indices('`').map(|(at, _)| at).find(|at| {
        let escaped = quoted.get(..*at).is_some_and(|before| before.ends_with('\\'));
        let behind = quoted.get(at + 1..).unwrap_or_default();
        !escaped && (behind.is_empty() || behind.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_ticks_hold_dots() {
        for (path, expected) in [
            ("a", &["a"][..]),
            ("a.b", &["a", "b"]),
            ("a.", &["a", ""]),
            ("`a.b`.c", &["a.b", "c"]),
            ("a.`b.c`", &["a", "b.c"]),
            ("`a`b`", &["a`b"]),
            ("a`b.c`d", &["a`b", "c`d"]),
            (r"\`a.b", &["`a", "b"]),
            (r"`a\`.b`", &["a`.b"]),
        ] {
            assert_eq!(parse(path).unwrap(), expected, "{path}");
        }
        assert_eq!(
            parse("`a").unwrap_err().to_string(),
            "Incomplete backtick pair in path: [`a], consider adding a backslash before backtick \
             at position 0 to escape it"
        );
    }
}
