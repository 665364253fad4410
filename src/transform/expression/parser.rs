//! Tokens to a tree. Everything that can be wrong with an expression is found here, when a connector
//! is configured, and not at the first record.

use super::lexer::{Token, tokens};
use super::{Binary, Binding, Expression, Method, ParseError};
use crate::data::values;
use crate::transform::java_regex::Pattern;

/// How deep expressions may nest: evaluation recurses.
const DEPTH_MAX: usize = 16;
/// How long they may be, in bytes.
const LENGTH_MAX: usize = 10_000;
/// How many operators and members they may have.
const OPERATORS_MAX: usize = 1_000;
/// How deep the tree may be: a row of operators nests as well.
const TREE_DEPTH_MAX: usize = 60;

pub(super) fn parse(text: &str) -> Result<Expression, ParseError> {
    if text.len() > LENGTH_MAX {
        return Err(ParseError::new(1, format!("it is longer than {LENGTH_MAX} bytes")));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        operators: 0,
        end: text.chars().count() + 1,
    };
    if parser.peek() == Some(&Token::Name("return".to_owned())) {
        parser.next += 1;
    }
    let expression = parser.ternary()?;
    parser.accept(";");
    match parser.tokens.get(parser.next) {
        None if expression.depth() > TREE_DEPTH_MAX => Err(ParseError::new(
            1,
            format!("more than {TREE_DEPTH_MAX} operators in a row: use parentheses and && or ||"),
        )),
        None => Ok(expression),
        Some((at, token)) => Err(ParseError::new(*at, unexpected(token))),
    }
}

fn unexpected(token: &Token) -> String {
    match token {
        Token::Symbol("/") => {
            "division is not supported: multiply the other side instead".to_owned()
        }
        Token::Symbol(symbol) => format!("'{symbol}' is not expected here"),
        Token::Name(name) => format!("'{name}' is not expected here"),
        Token::Text(_) => "a text is not expected here".to_owned(),
        Token::Integer(_) | Token::Decimal(_) => "a number is not expected here".to_owned(),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
    operators: usize,
    /// The column behind the last character.
    end: usize,
}

type Parsed = Result<Expression, ParseError>;

/// Operators of one level, which bind to the left.
type Level = &'static [(&'static str, Binary)];

const LEVELS: [Level; 4] = [
    &[
        ("===", Binary::Equal),
        ("!==", Binary::NotEqual),
        ("==", Binary::Equal),
        ("!=", Binary::NotEqual),
    ],
    &[
        ("<=", Binary::LessOrEqual),
        (">=", Binary::GreaterOrEqual),
        ("<", Binary::Less),
        (">", Binary::Greater),
        ("in", Binary::In),
    ],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("%", Binary::Remainder)],
];

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = match self.peek() {
            Some(Token::Symbol(next)) => *next == symbol,
            Some(Token::Name(next)) => symbol == "in" && next == symbol,
            _ => false,
        };
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        let at = self.at();
        if self.accept(symbol) {
            return Ok(());
        }
        Err(ParseError::new(at, format!("'{symbol}' is missing")))
    }

    fn count(&mut self) -> Result<(), ParseError> {
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            let reason = format!("it has more than {OPERATORS_MAX} operators and members");
            return Err(ParseError::new(self.at(), reason));
        }
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::new(self.at(), format!("it nests deeper than {DEPTH_MAX}")));
        }
        Ok(())
    }

    fn ternary(&mut self) -> Parsed {
        self.deeper()?;
        let condition = self.or()?;
        let expression = if self.accept("?:") {
            Expression::Elvis(Box::new(condition), Box::new(self.ternary()?))
        } else if self.accept("?") {
            let then = self.ternary()?;
            self.expect(":")?;
            Expression::Ternary(Box::new(condition), Box::new(then), Box::new(self.ternary()?))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn or(&mut self) -> Parsed {
        let mut any = vec![self.and()?];
        while self.accept("||") {
            any.push(self.and()?);
        }
        Ok(single(any, Expression::Any))
    }

    fn and(&mut self) -> Parsed {
        let mut all = vec![self.level(&LEVELS)?];
        while self.accept("&&") {
            all.push(self.level(&LEVELS)?);
        }
        Ok(single(all, Expression::All))
    }

    fn level(&mut self, levels: &'static [Level]) -> Parsed {
        let Some((operators, tighter)) = levels.split_first() else { return self.unary() };
        let mut left = self.level(tighter)?;
        loop {
            if levels.len() == LEVELS.len() && self.accept("==~") {
                self.count()?;
                let at = self.at();
                let right = self.level(tighter)?;
                left = Expression::Matches(Box::new(left), literal_pattern(at, &right)?);
                continue;
            }
            let Some((_, operator)) = operators.iter().find(|(symbol, _)| self.accept(symbol))
            else {
                return Ok(left);
            };
            self.count()?;
            let right = self.level(tighter)?;
            left = Expression::Binary(*operator, Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self) -> Parsed {
        let (not, minus) = (self.accept("!"), self.peek() == Some(&Token::Symbol("-")));
        if !not && !minus {
            return self.postfix();
        }
        self.deeper()?;
        if !not {
            self.next += 1;
        }
        let inner = Box::new(self.unary()?);
        self.depth -= 1;
        Ok(if not { Expression::Not(inner) } else { Expression::Negate(inner) })
    }

    fn postfix(&mut self) -> Parsed {
        let mut expression = self.primary()?;
        loop {
            let safe = self.accept("?.");
            if safe || self.accept(".") {
                self.count()?;
                expression = self.member(expression, safe)?;
            } else if self.accept("[") {
                self.count()?;
                let index = self.ternary()?;
                self.expect("]")?;
                expression = Expression::Index(Box::new(expression), Box::new(index));
            } else {
                return Ok(expression);
            }
        }
    }

    fn member(&mut self, of: Expression, safe: bool) -> Parsed {
        let at = self.at();
        let name = match self.peek() {
            Some(Token::Name(name) | Token::Text(name)) => name.clone(),
            _ => {
                return Err(ParseError::new(at, "a field or method name is missing after the dot"));
            }
        };
        self.next += 1;
        if !self.accept("(") {
            return Ok(Expression::Property { of: Box::new(of), name, safe });
        }
        let mut arguments = Vec::new();
        let argument_at = self.at();
        while !self.accept(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            arguments.push(self.ternary()?);
        }
        if let ("matches", [argument]) = (name.as_str(), arguments.as_slice()) {
            let pattern = literal_pattern(argument_at, argument)?;
            return Ok(Expression::Matches(Box::new(of), pattern));
        }
        let method = Method::find(&name, arguments.len()).ok_or_else(|| {
            let count = arguments.len();
            let known = Method::names();
            ParseError::new(
                at,
                format!("there is no method {name} with {count} arguments; known are {known}"),
            )
        })?;
        Ok(Expression::Call { of: Box::new(of), method, arguments, safe })
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let Some(token) = self.peek().cloned() else {
            return Err(ParseError::new(at, "something is missing here"));
        };
        self.next += 1;
        Ok(match token {
            Token::Text(text) => Expression::Text(text),
            Token::Integer(integer) => Expression::Integer(integer),
            Token::Decimal(text) => Expression::Decimal(
                values::decimal(&text)
                    .ok_or_else(|| ParseError::new(at, "the number cannot be represented"))?,
            ),
            Token::Name(name) => match name.as_str() {
                "true" => Expression::Boolean(true),
                "false" => Expression::Boolean(false),
                "null" => Expression::Null,
                _ => Expression::Binding(Binding::find(&name).ok_or_else(|| {
                    let known = Binding::names();
                    ParseError::new(at, format!("there is no {name}; known are {known}"))
                })?),
            },
            Token::Symbol("(") => {
                let inner = self.ternary()?;
                self.expect(")")?;
                inner
            }
            Token::Symbol("[") => {
                let mut items = Vec::new();
                while !self.accept("]") {
                    if !items.is_empty() {
                        self.expect(",")?;
                    }
                    items.push(self.ternary()?);
                }
                Expression::List(items)
            }
            other => return Err(ParseError::new(at, unexpected(&other))),
        })
    }
}

fn single(mut items: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match items.pop() {
        Some(only) if items.is_empty() => only,
        Some(last) => {
            items.push(last);
            many(items)
        }
        None => many(items),
    }
}

/// Patterns are compiled once, so they must be written out.
fn literal_pattern(at: usize, expression: &Expression) -> Result<Box<Pattern>, ParseError> {
    let Expression::Text(text) = expression else {
        return Err(ParseError::new(at, "a regular expression must be a text in quotes"));
    };
    Pattern::new(text).map(Box::new).map_err(|error| ParseError::new(at, error))
}
