//! Reads JSON from bytes that came from outside, token by token.
//!
//! As lenient as the original's reader is set up to be: leading zeros are fine, whatever follows the
//! first value is ignored. Bounded in depth and in the length of numbers, since both cost more than
//! they carry.

#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use memchr::memchr2;

/// How deep values may nest: far above any record, far below what a stack holds.
const DEPTH_MAX: usize = 500;
/// The original's limit: converting longer digit strings is quadratic work.
const NUMBER_LENGTH_MAX: usize = 1000;

/// Why text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) at: usize,
    pub(super) reason: &'static str,
}

/// A value as a tree; for what has no place in cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    /// There was no text at all.
    Missing,
    Null,
    Boolean(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    /// In order; of equal keys the last value stands, at the place of the first.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// A number's text, known to be of the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<'a> {
    pub(super) text: &'a str,
    pub(super) integral: bool,
}

/// A string: where it stands when it needs no unescaping, else its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text<'a> {
    Plain { at: usize, text: &'a str },
    Unescaped(String),
}

/// A place in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// Where the next byte to read is.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is not blank, not consumed.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Consumes `literal` if it stands right here, without skipping blanks.
    pub(super) fn take(&mut self, literal: &[u8]) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(literal));
        if found {
            self.at += literal.len();
        }
        found
    }

    /// Consumes `byte` if it is the next one that is not blank.
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), Malformed> {
        if self.accept(byte) { Ok(()) } else { self.fail(reason) }
    }

    fn fail<T>(&self, reason: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.at, reason })
    }

    /// Reads a whole value.
    pub(super) fn value(&mut self) -> Result<Node<'a>, Malformed> {
        self.nested_value(0)
    }

    fn nested_value(&mut self, depth: usize) -> Result<Node<'a>, Malformed> {
        if depth > DEPTH_MAX {
            return self.fail("it is nested too deeply");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Node::String(match self.string()? {
                Text::Plain { text, .. } => Cow::Borrowed(text),
                Text::Unescaped(text) => Cow::Owned(text),
            })),
            Some(b'-' | b'0'..=b'9') => Ok(Node::Number(self.number()?)),
            _ if self.take(b"null") => Ok(Node::Null),
            _ if self.take(b"true") => Ok(Node::Boolean(true)),
            _ if self.take(b"false") => Ok(Node::Boolean(false)),
            _ => self.fail("a value is expected"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, Malformed> {
        self.at += 1;
        let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        if self.accept(b'}') {
            return Ok(Node::Object(members));
        }
        loop {
            let key = match self.key()? {
                Text::Plain { text, .. } => Cow::Borrowed(text),
                Text::Unescaped(text) => Cow::Owned(text),
            };
            let value = self.nested_value(depth + 1)?;
            match members.iter_mut().find(|(known, _)| *known == key) {
                Some(member) => member.1 = value,
                None => members.push((key, value)),
            }
            if !self.accept(b',') {
                self.expect(b'}', "',' or '}' is expected")?;
                return Ok(Node::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node<'a>, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        if self.accept(b']') {
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.nested_value(depth + 1)?);
            if !self.accept(b',') {
                self.expect(b']', "',' or ']' is expected")?;
                return Ok(Node::Array(items));
            }
        }
    }

    /// Reads a member's key with its colon.
    pub(super) fn key(&mut self) -> Result<Text<'a>, Malformed> {
        if self.peek() != Some(b'"') {
            return self.fail("a key in quotes is expected");
        }
        let key = self.string()?;
        self.expect(b':', "':' is expected")?;
        Ok(key)
    }

    /// Reads a string; its opening quote is next.
    pub(super) fn string(&mut self) -> Result<Text<'a>, Malformed> {
        let mut unescaped = Vec::new();
        if let Some((at, text)) = self.string_into(&mut unescaped)? {
            return Ok(Text::Plain { at, text });
        }
        match String::from_utf8(unescaped) {
            Ok(text) => Ok(Text::Unescaped(text)),
            Err(_) => self.fail("a string is not valid UTF-8"),
        }
    }

    /// Reads a string; its opening quote is next. A string without escapes is returned with its
    /// place; of any other the text is appended to `out`.
    pub(super) fn string_into(
        &mut self,
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, &'a str)>, Malformed> {
        self.expect(b'"', "a string is expected")?;
        let start = self.at;
        let plain = self.plain_run()?;
        if self.take(b"\"") {
            return Ok(Some((start, plain)));
        }
        out.extend_from_slice(plain.as_bytes());
        while self.take(b"\\") {
            let character = self.escape()?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            out.extend_from_slice(self.plain_run()?.as_bytes());
        }
        self.take(b"\"");
        Ok(None)
    }

    /// What stands before the next quote or backslash.
    fn plain_run(&mut self) -> Result<&'a str, Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(length) = memchr2(b'"', b'\\', rest) else {
            return self.fail("a string has no end");
        };
        let run = self.utf8(self.at, length)?;
        self.at += length;
        Ok(run)
    }

    fn utf8(&self, start: usize, length: usize) -> Result<&'a str, Malformed> {
        let bytes = self.text.get(start..start + length).unwrap_or_default();
        if let Some(at) = first_control(bytes) {
            return Err(Malformed { at: start + at, reason: "a control character is not escaped" });
        }
        std::str::from_utf8(bytes).map_err(|error| Malformed {
            at: start + error.valid_up_to(),
            reason: "a string is not valid UTF-8",
        })
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let Some(byte) = self.text.get(self.at).copied() else {
            return self.fail("a string has no end");
        };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => byte.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return self.fail("an unknown escape"),
        })
    }

    /// Half of a surrogate pair alone, which Java's strings can hold and UTF-8 cannot, becomes the
    /// replacement character.
    fn unicode_escape(&mut self) -> Result<char, Malformed> {
        let first = self.hex4()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let behind_first = self.at;
        if first < 0xDC00 && self.take(b"\\u") {
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = behind_first;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 4);
        let code = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(code) = code else { return self.fail("four hexadecimal digits are expected") };
        self.at += 4;
        Ok(code)
    }

    /// Reads a number; its first byte is next.
    pub(super) fn number(&mut self) -> Result<Number<'a>, Malformed> {
        self.peek();
        let start = self.at;
        self.take(b"-");
        self.digits()?;
        let mut integral = true;
        if self.take(b".") {
            integral = false;
            self.digits()?;
        }
        if self.take(b"e") || self.take(b"E") {
            integral = false;
            let _signed = self.take(b"+") || self.take(b"-");
            self.digits()?;
        }
        if self.at - start > NUMBER_LENGTH_MAX {
            return self.fail("a number has more than 1000 characters");
        }
        let text = self.text.get(start..self.at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        Ok(Number { text: text.unwrap_or_default(), integral })
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return self.fail("a digit is expected");
        }
        self.at += count;
        Ok(())
    }

    /// Skips a value and returns its span. Finds the end of well-formed values; others are found out
    /// when the span is read.
    pub(super) fn skip(&mut self) -> Result<(usize, usize), Malformed> {
        let Some(first) = self.peek() else { return self.fail("a value is expected") };
        let start = self.at;
        match first {
            b'{' | b'[' => self.skip_brackets()?,
            b'"' => self.skip_string()?,
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let end = rest.iter().position(|byte| {
                    matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
                });
                self.at += end.unwrap_or(rest.len());
            }
        }
        if self.at == start {
            return self.fail("a value is expected");
        }
        Ok((start, self.at))
    }

    fn skip_brackets(&mut self) -> Result<(), Malformed> {
        let mut depth = 0_usize;
        while let Some(byte) = self.text.get(self.at).copied() {
            match byte {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        self.fail("an object or array has no end")
    }

    fn skip_string(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(length) = memchr2(b'"', b'\\', rest) else {
                return self.fail("a string has no end");
            };
            self.at += length;
            if self.take(b"\"") {
                return Ok(());
            }
            self.at += 2;
        }
    }
}

/// Where the first control character is; eight bytes at a time while there is none.
fn first_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    let below_space = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(ONES * 0x20) & !word & (ONES * 0x80) != 0
    };
    let control = |byte: &u8| *byte < 0x20;
    if words.iter().any(below_space) || rest.iter().any(control) {
        return bytes.iter().position(control);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Node<'_>, Malformed> {
        Lexer::new(text.as_bytes(), 0).value()
    }

    fn as_serde(node: &Node<'_>) -> serde_json::Value {
        match node {
            Node::Missing | Node::Null => serde_json::Value::Null,
            Node::Boolean(value) => (*value).into(),
            Node::Number(number) => serde_json::from_str(number.text).unwrap(),
            Node::String(text) => text.as_ref().into(),
            Node::Array(items) => items.iter().map(as_serde).collect(),
            Node::Object(members) => {
                members.iter().map(|(key, value)| (key.to_string(), as_serde(value))).collect()
            }
        }
    }

    #[track_caller]
    fn check_like_serde(text: &str) {
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(as_serde(&read(text).unwrap()), expected, "{text}");
        let mut lexer = Lexer::new(text.as_bytes(), 0);
        let (start, end) = lexer.skip().unwrap();
        assert_eq!(text.get(start..end), Some(text.trim()));
    }

    #[test]
    fn values_read_as_by_another_reader() {
        for text in [
            r#"{"a":[1,-2.5,3e4,true,false,null,"x"],"b":{}}"#,
            r#" [ 1 , { "k" : "v" } , [ ] ] "#,
            r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é😀""#,
            "-0.5E-3",
            r#"{"a":1,"a":2}"#,
        ] {
            check_like_serde(text);
        }
    }

    #[test]
    fn the_readers_leniency_is_the_originals() {
        assert_eq!(read("007").unwrap(), Node::Number(Number { text: "007", integral: true }));
        assert_eq!(read("1 2").unwrap(), Node::Number(Number { text: "1", integral: true }));
        assert_eq!(read(r#""\uD83Dx""#).unwrap(), Node::String("\u{FFFD}x".into()));
        assert_eq!(read(r#""\uD83D\u0041""#).unwrap(), Node::String("\u{FFFD}A".into()));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(100_000);
        let long = "1".repeat(1001);
        for text in [
            "",
            " ",
            "{",
            "[1",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "\"x",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\t\"",
            "nul",
            "+1",
            ".5",
            "5.",
            "1e",
            "-",
            &deep,
            &long,
            "[1}",
        ] {
            assert!(read(text).is_err(), "{}", text.get(..10).unwrap_or(text));
        }
        assert!(Lexer::new(b"\"\xFF\"", 0).value().is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "[\\[\\]{}:,\"\\\\a0-9.eE+ -]{0,40}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let mut lexer = Lexer::new(bytes, 0);
                let read = lexer.value();
                let _span = Lexer::new(bytes, 0).skip();
                let serde = serde_json::Deserializer::from_slice(bytes)
                    .into_iter::<serde_json::Value>().next();
                if let Some(Ok(expected)) = serde {
                    prop_assert_eq!(as_serde(&read.unwrap()), expected);
                }
            }
        }
    }
}
