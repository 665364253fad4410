//! The reference documentation of a table: what `docs/reference/` holds.

use std::fmt::Write;

use super::def::Default;
use super::{ConfigDef, ConfigKey, ConfigType};

/// The table as Markdown: a row per key, in table order.
pub fn reference(def: &ConfigDef) -> String {
    let mut text = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in def.keys() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            key.name,
            key.ty.name().to_lowercase(),
            default(key),
            meaning(key)
        );
    }
    text
}

fn default(key: &ConfigKey) -> String {
    match key.default {
        Default::Required => "required".to_owned(),
        Default::Null | Default::Text("") => "none".to_owned(),
        Default::Text(_) if key.ty == ConfigType::Password => "`[hidden]`".to_owned(),
        Default::Text(text) => format!("`{}`", escape(text)),
    }
}

fn meaning(key: &ConfigKey) -> String {
    let mut text = escape(key.documentation.trim());
    if !key.recommended.is_empty() {
        let values: Vec<_> = key.recommended.iter().map(|value| format!("`{value}`")).collect();
        let _ = write!(text, " ({})", values.join(", "));
    }
    text
}

/// A bar would end the cell, a line break the row.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_row() {
        let def = ConfigDef::new(vec![
            ConfigKey::new("a", ConfigType::Int, "x | y").default("1"),
            ConfigKey::new("b", ConfigType::Password, "").required(),
        ]);
        let rows: Vec<_> = reference(&def).lines().skip(2).map(str::to_owned).collect();
        assert_eq!(rows, ["| `a` | int | `1` | x \\| y |", "| `b` | password | required |  |"]);
    }
}
