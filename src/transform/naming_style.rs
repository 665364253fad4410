//! Names in another style: what the transforms of Debezium's JDBC sink do to topics and fields.

use super::rebuild::java_split;
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::error::ConnectError;

/// A style; see [`Naming::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Snake,
    Camel,
    Upper,
    Lower,
    Default,
}

const STYLES: [(&str, Style); 5] = [
    ("SNAKE_CASE", Style::Snake),
    ("CAMEL_CASE", Style::Camel),
    ("UPPER_CASE", Style::Upper),
    ("LOWER_CASE", Style::Lower),
    ("DEFAULT", Style::Default),
];

impl Style {
    fn named(text: &str) -> Option<Self> {
        STYLES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, style)| *style)
    }
}

/// Prefix, style and suffix.
#[derive(Debug)]
pub(super) struct Naming {
    prefix: String,
    suffix: String,
    style: Style,
}

/// The keys under these names.
pub(super) fn config_def(
    prefix: &'static str,
    suffix: &'static str,
    style: &'static str,
) -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(prefix, ConfigType::String, "What is put before names.").default(""),
        ConfigKey::new(suffix, ConfigType::String, "What is put behind names.").default(""),
        ConfigKey::new(
            style,
            ConfigType::String,
            "The style of names: snake_case, camel_case, upper_case, lower_case, or default, which \
             leaves them.",
        )
        .default("default")
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text) if Style::named(text).is_none() => {
                let names: Vec<_> = STYLES.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Some(format!("Invalid naming style: {text}. Allowed styles are: {names}"))
            }
            _ => None,
        })),
    ])
}

impl Naming {
    /// The naming that `props` describe under these keys.
    pub(super) fn new(
        props: &Props,
        [prefix, suffix, style]: [&'static str; 3],
    ) -> Result<Self, ConnectError> {
        let parsed = config_def(prefix, suffix, style).parse(props)?;
        Ok(Self {
            prefix: parsed.string(prefix),
            suffix: parsed.string(suffix),
            style: Style::named(&parsed.string(style)).unwrap_or(Style::Default),
        })
    }

    /// `name` in this style, between prefix and suffix.
    pub(super) fn of(&self, name: &str) -> String {
        let styled = match self.style {
            Style::Snake => snake(name),
            Style::Camel => camel(name),
            Style::Upper => name.to_uppercase(),
            Style::Lower => name.to_lowercase(),
            Style::Default => name.to_owned(),
        };
        format!("{}{styled}{}", self.prefix, self.suffix)
    }
}

/// An underscore for each dot, and between a small and a capital letter, a letter and a digit. The
/// original replaces pairs: the second of one is not the first of the next.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut rest = name.chars().peekable();
    while let Some(character) = rest.next() {
        if character == '.' {
            out.push('_');
            continue;
        }
        out.push(character);
        let splits = rest.peek().is_some_and(|next| {
            let (letter, digit) = (character.is_ascii_alphabetic(), character.is_ascii_digit());
            character.is_ascii_lowercase() && next.is_ascii_uppercase()
                || letter && next.is_ascii_digit()
                || digit && next.is_ascii_alphabetic()
        });
        if splits {
            out.push('_');
            out.extend(rest.next());
        }
    }
    out.to_lowercase()
}

/// Parts between dots and underscores, each but the first with a capital.
fn camel(name: &str) -> String {
    let normal = name.replace('.', "_");
    let mut out = String::with_capacity(name.len());
    for (index, part) in java_split(&normal, '_').into_iter().enumerate() {
        let mut characters = part.chars();
        match characters.next() {
            Some(first) if index > 0 => {
                out.extend(first.to_uppercase());
                out.push_str(&characters.as_str().to_lowercase());
            }
            _ => out.push_str(&part.to_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_styles() {
        for (style, name, expected) in [
            (Style::Snake, "CamelCase.TableName", "camel_case_table_name"),
            (Style::Snake, "x1Y2", "x_1y_2"),
            (Style::Snake, "URLValue", "urlvalue"),
            (Style::Camel, "cdc.commerce.products", "cdcCommerceProducts"),
            (Style::Camel, "snake_case__name_", "snakeCaseName"),
            (Style::Upper, "a_b", "A_B"),
            (Style::Lower, "A_B", "a_b"),
            (Style::Default, "A.b", "A.b"),
        ] {
            let naming = Naming { prefix: "p_".into(), suffix: "_s".into(), style };
            assert_eq!(naming.of(name), format!("p_{expected}_s"), "{style:?}");
        }
    }
}
