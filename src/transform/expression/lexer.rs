//! Tokens of expressions, each with the column where it starts.

use super::ParseError;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Integer(i64),
    /// Digits with a fraction, as written.
    Decimal(String),
    Symbol(&'static str),
}

/// Longest first.
const SYMBOLS: [&str; 28] = [
    "===", "!==", "==~", "==", "!=", "<=", ">=", "&&", "||", "?.", "?:", "<", ">", "!", "?", ":",
    ".", ",", "(", ")", "[", "]", "+", "-", "*", "%", "/", ";",
];

/// Splits `text`; columns count characters from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ParseError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = column(text, rest);
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let (token, behind) = match first {
            '\'' | '"' => quoted(rest, first, at)?,
            _ if first.is_ascii_digit() => number(rest, at)?,
            _ if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
                (Token::Name(name.to_owned()), behind)
            }
            _ => {
                let found = SYMBOLS.iter().find_map(|s| Some((*s, rest.strip_prefix(s)?)));
                let (symbol, behind) = found.ok_or_else(|| {
                    ParseError::new(at, format!("'{first}' has no meaning in an expression"))
                })?;
                (Token::Symbol(symbol), behind)
            }
        };
        tokens.push((at, token));
        rest = behind;
    }
}

/// The column of `rest`, the end of `text`.
fn column(text: &str, rest: &str) -> usize {
    text.chars().count() - rest.chars().count() + 1
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, &str), ParseError> {
    let mut text = String::new();
    let mut characters = rest.chars();
    characters.next();
    while let Some(character) = characters.next() {
        match character {
            _ if character == quote => return Ok((Token::Text(text), characters.as_str())),
            '\\' => text.push(match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other @ ('\\' | '\'' | '"' | '$')) => other,
                _ => {
                    return Err(ParseError::new(
                        at,
                        "a backslash in a text stands before n, t, r, $, a quote or itself only",
                    ));
                }
            }),
            '$' if quote == '"' => {
                return Err(ParseError::new(
                    at,
                    "a text in double quotes cannot hold $: use single quotes, and + to join texts",
                ));
            }
            other => text.push(other),
        }
    }
    Err(ParseError::new(at, format!("the text has no closing {quote}")))
}

fn number(rest: &str, at: usize) -> Result<(Token, &str), ParseError> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(rest);
    let behind = rest.get(whole..).unwrap_or_default();
    let fraction = behind.strip_prefix('.').map_or(0, digits);
    let length = if fraction > 0 { whole + 1 + fraction } else { whole };
    let (text, behind) = rest.split_at(length);
    let behind = behind.strip_prefix(['L', 'l']).unwrap_or(behind);
    if behind.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(ParseError::new(at, "a number is written in decimal digits"));
    }
    if fraction > 0 {
        return Ok((Token::Decimal(text.to_owned()), behind));
    }
    let integer = text.parse().map_err(|_| ParseError::new(at, "the number is beyond 64 bits"))?;
    Ok((Token::Integer(integer), behind))
}
