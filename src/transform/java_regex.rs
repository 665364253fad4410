//! `java.util.regex` as transforms use it: whole matches, and the first find replaced.
//!
//! The engine knows look-around, backreferences and possessive quantifiers. Not known: Java's
//! character class intersections and its `\p{java...}` classes, which are refused when compiled.

use fancy_regex::{Captures, Regex};

use crate::error::ConnectError;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    whole: Regex,
    find: Regex,
}

impl Pattern {
    /// Compiles `pattern`.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let pattern = &without_quotes(pattern);
        let compile = |text: &str| Regex::new(text).map_err(|error| error.to_string());
        Ok(Self { find: compile(pattern)?, whole: compile(&format!(r"\A(?:{pattern})\z"))? })
    }

    /// `Matcher.matches`.
    pub(super) fn matches(&self, text: &str) -> Result<bool, ConnectError> {
        self.whole.is_match(text).map_err(|error| too_costly(text, &error))
    }

    /// `Matcher.replaceFirst`.
    pub(super) fn replace_first(
        &self,
        text: &str,
        replacement: &str,
    ) -> Result<String, ConnectError> {
        let found = self.find.captures(text).map_err(|error| too_costly(text, &error))?;
        let Some(captures) = found else { return Ok(text.to_owned()) };
        let Some(whole) = captures.get(0) else { return Ok(text.to_owned()) };
        let (before, after) = (text.get(..whole.start()), text.get(whole.end()..));
        let mut out = before.unwrap_or_default().to_owned();
        expand(&mut out, replacement, &captures)?;
        out.push_str(after.unwrap_or_default());
        Ok(out)
    }
}

/// What stands between `\Q` and `\E` is literal: written out, which the engine knows.
fn without_quotes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = quote(rest) {
        let (before, quoted) = rest.split_at(at);
        out.push_str(before);
        let quoted = quoted.get(2..).unwrap_or_default();
        let (literal, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        for character in literal.chars() {
            if character.is_ascii_punctuation() {
                out.push('\\');
            }
            out.push(character);
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Where the first `\Q` is whose backslash is not escaped itself.
fn quote(pattern: &str) -> Option<usize> {
    let mut characters = pattern.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && characters.next()?.1 == 'Q' {
            return Some(at);
        }
    }
    None
}

fn too_costly(text: &str, error: &fancy_regex::Error) -> ConnectError {
    ConnectError::data(format!("cannot match \"{text}\": {error}"))
}

/// Appends `replacement` with `$1` and `${name}` replaced by groups; a backslash makes the next
/// character literal.
fn expand(
    out: &mut String,
    replacement: &str,
    captures: &Captures<'_, str>,
) -> Result<(), ConnectError> {
    let mut rest = replacement.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some(literal) => out.push(literal),
                None => return Err(ConnectError::data("character to be escaped is missing")),
            },
            '$' => {
                let (group, behind) = group(rest.as_str(), captures)?;
                out.push_str(group);
                rest = behind.chars();
            }
            literal => out.push(literal),
        }
    }
    Ok(())
}

/// The group that the text behind a `$` refers to, and what follows the reference.
fn group<'t, 'r>(
    rest: &'r str,
    captures: &'t Captures<'_, str>,
) -> Result<(&'t str, &'r str), ConnectError> {
    if let Some(name) = rest.strip_prefix('{') {
        let illegal = || ConnectError::data("named capturing group is missing trailing '}'");
        let (name, behind) = name.split_once('}').ok_or_else(illegal)?;
        let unknown = || ConnectError::data(format!("No group with name {{{name}}}"));
        let group = captures.name(name).ok_or_else(unknown)?;
        return Ok((group.as_str(), behind));
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(ConnectError::data("Illegal group reference: group index is missing"));
    }
    // The first digit always counts, further ones as long as there is such a group.
    let mut number = 0;
    let mut taken = 0;
    for digit in rest.bytes().take(digits).map(|byte| usize::from(byte - b'0')) {
        let longer = number * 10 + digit;
        if taken > 0 && longer >= captures.len() {
            break;
        }
        number = longer;
        taken += 1;
    }
    if number >= captures.len() {
        return Err(ConnectError::data(format!("No group {number}")));
    }
    let group = captures.get(number).map_or("", |group| group.as_str());
    Ok((group, rest.get(taken..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, text: &str, replacement: &str) -> Result<String, String> {
        let pattern = Pattern::new(pattern).unwrap();
        pattern.replace_first(text, replacement).map_err(|error| error.to_string())
    }

    #[test]
    fn a_match_is_whole_and_a_replacement_the_first_find() {
        let pattern = Pattern::new("a|ab").unwrap();
        assert!(pattern.matches("ab").unwrap());
        assert!(!pattern.matches("abc").unwrap());
        assert!(!Pattern::new("a$").unwrap().matches("a\n").unwrap());
        assert_eq!(replaced("a|ab", "ab", "X").unwrap(), "Xb");
        assert_eq!(replaced("z", "ab", "X").unwrap(), "ab");
        assert!(Pattern::new("(?<!x)(a)\\1").unwrap().matches("aa").unwrap());
        assert!(Pattern::new("(").is_err());
        let quoted = Pattern::new(r"a\Q.(b\E.*\\Q").unwrap();
        assert!(quoted.matches(r"a.(bxyz\Q").unwrap());
        assert!(!quoted.matches(r"ax(b\Q").unwrap());
    }

    #[test]
    fn groups_are_named_or_numbered() {
        for (replacement, expected) in [
            ("$2-$1", Ok("b-a.c")),
            ("${second}", Ok("b.c")),
            ("$10", Ok("a0.c")),
            ("\\$1", Ok("$1.c")),
            ("$0$0", Ok("abab.c")),
            ("$3", Err("No group 3")),
            ("$", Err("Illegal group reference: group index is missing")),
            ("$x", Err("Illegal group reference: group index is missing")),
            ("${zz}", Err("No group with name {zz}")),
            ("\\", Err("character to be escaped is missing")),
        ] {
            let replaced = replaced("(a)(?<second>b)", "ab.c", replacement);
            assert_eq!(replaced.as_deref().map_err(String::as_str), expected, "{replacement}");
        }
        assert_eq!(replaced("(a)|(b)", "b", "[$1]").unwrap(), "[]");
    }
}
