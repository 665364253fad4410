//! `schema.name.adjustment.mode`: schema names made fit for Avro.

use std::fmt::Write as _;

use super::{ConfigValue, Validator};

/// The key's check.
pub const SCHEMA_NAME_ADJUSTMENT_MODES: Validator = Validator::Custom(|value| match value {
    ConfigValue::String(text) if SchemaNameAdjustment::parse(text).is_none() => {
        Some("Value must be one of none, avro, avro_unicode".to_owned())
    }
    _ => None,
});

/// What is done to names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaNameAdjustment {
    /// Names stay as they are.
    None,
    /// What Avro does not allow becomes `_`.
    Avro,
    /// What Avro does not allow becomes `_uXXXX`, and so does `_`.
    AvroUnicode,
}

impl SchemaNameAdjustment {
    /// The mode that `text` names, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "avro" => Self::Avro,
            "avro_unicode" => Self::AvroUnicode,
            _ => return None,
        })
    }

    /// `name`, a full name with dots, adjusted.
    pub fn adjust(self, name: &str) -> String {
        if self == Self::None {
            return name.to_owned();
        }
        let mut out = String::with_capacity(name.len());
        let mut first = true;
        for character in name.chars() {
            let digit = character.is_ascii_digit();
            let legal = character.is_ascii_alphabetic()
                || character == '_'
                || (!first && (digit || character == '.'));
            match self {
                Self::AvroUnicode if !legal || character == '_' => {
                    let _ = write!(out, "_u{:04x}", u32::from(character));
                }
                _ if legal => out.push(character),
                _ if digit => {
                    out.push('_');
                    out.push(character);
                }
                _ => out.push('_'),
            }
            first = false;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit() {
        for (mode, name, expected) in [
            ("none", "a-b.c", "a-b.c"),
            ("avro", "a-b.c d", "a_b.c_d"),
            ("AVRO", "1a.b", "_1a.b"),
            ("avro_unicode", "a-b_c", "a_u002db_u005fc"),
        ] {
            let mode = SchemaNameAdjustment::parse(mode).unwrap();
            assert_eq!(mode.adjust(name), expected);
        }
        assert_eq!(SchemaNameAdjustment::parse("x"), None);
    }
}
