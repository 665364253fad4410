//! Checks that follow parsing, with the original's texts.

use super::ConfigValue;

/// A check of a parsed value.
#[derive(Debug, Clone, Copy)]
pub enum Validator {
    /// An integer of at least this.
    AtLeast(i64),
    /// An integer in this range, both ends included.
    Between(i64, i64),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// One of these strings in any case; shown upper-cased in this order.
    OneOfAnyCase(&'static [&'static str]),
    /// A list whose items are all of these.
    ListOf(&'static [&'static str]),
    /// Present and not blank.
    NonEmpty,
    /// Anything but null.
    NonNull,
    /// A rule of the plugin's own: the reason when it is broken.
    Custom(fn(&ConfigValue) -> Option<String>),
}

impl Validator {
    /// The item of a list that [`Validator::check`] refuses: the original names it alone.
    pub fn offender<'a>(&self, value: &'a ConfigValue) -> Option<&'a str> {
        let (Self::ListOf(allowed), ConfigValue::List(items)) = (self, value) else { return None };
        items.iter().map(String::as_str).find(|item| !allowed.contains(item))
    }

    /// Why `value` is refused, if it is.
    pub fn check(&self, value: &ConfigValue) -> Option<String> {
        match (self, value) {
            (Self::Custom(rule), value) => rule(value),
            (Self::AtLeast(_) | Self::Between(..), ConfigValue::Null) => {
                Some("Value must be non-null".to_owned())
            }
            (Self::NonNull, ConfigValue::Null) => Some("entry must be non null".to_owned()),
            (Self::AtLeast(min) | Self::Between(min, _), ConfigValue::Integer(number))
                if number < min =>
            {
                Some(format!("Value must be at least {min}"))
            }
            (Self::Between(_, max), ConfigValue::Integer(number)) if number > max => {
                Some(format!("Value must be no more than {max}"))
            }
            (Self::OneOf(allowed), value) => one_of(allowed, value),
            (Self::OneOfAnyCase(allowed), value) => one_of_any_case(allowed, value),
            (Self::ListOf(allowed), ConfigValue::List(_)) => self
                .offender(value)
                .map(|_| format!("String must be one of: {}", allowed.join(", "))),
            (Self::NonEmpty, ConfigValue::String(text)) if text.is_empty() => {
                Some("String must be non-empty".to_owned())
            }
            _ => None,
        }
    }
}

fn one_of(allowed: &[&str], value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(text) if allowed.contains(&text.as_str()) => None,
        _ => Some(format!("String must be one of: {}", allowed.join(", "))),
    }
}

fn one_of_any_case(allowed: &[&str], value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(text) if allowed.iter().any(|a| a.eq_ignore_ascii_case(text)) => None,
        _ => {
            let allowed: Vec<_> = allowed.iter().map(|a| a.to_uppercase()).collect();
            Some(format!("String must be one of (case insensitive): {}", allowed.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_item_of_a_list_is_named() {
        let check = Validator::ListOf(&["a", "b"]);
        for (items, expected) in
            [(vec![], None), (vec!["b", "a"], None), (vec!["a", "x", "y"], Some("x"))]
        {
            let value = ConfigValue::List(items.into_iter().map(str::to_owned).collect());
            assert_eq!(check.offender(&value), expected);
            assert_eq!(check.check(&value).is_some(), expected.is_some());
        }
    }
}
