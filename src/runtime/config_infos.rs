//! The answer of a validation: every key that matters with its definition, its value and what is
//! wrong with it (Kafka Connect, `ConfigInfos`). Field order is wire order.

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::{ConfigKey, ConfigType, Default};

/// The answer of a validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigInfos {
    /// `connector.class` as submitted.
    #[schema(example = "io.confluent.connect.s3.S3SinkConnector")]
    pub name: String,
    /// 0: the configuration would be accepted.
    #[schema(example = 0)]
    pub error_count: usize,
    #[schema(example = json!(["Common", "Transforms", "Predicates", "Error Handling"]))]
    pub groups: Vec<String>,
    pub configs: Vec<ConfigInfo>,
}

/// One key of a validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigInfo {
    /// Null for a key that is declared nowhere, and yet has something wrong with it.
    pub definition: Option<ConfigKeyInfo>,
    pub value: ConfigValueInfo,
}

/// What a key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigKeyInfo {
    #[schema(example = "tasks.max")]
    pub name: String,
    /// BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS or PASSWORD.
    #[serde(rename = "type")]
    #[schema(example = "INT")]
    pub ty: &'static str,
    /// Whether it has no default.
    #[schema(example = false)]
    pub required: bool,
    #[schema(example = "1")]
    pub default_value: Option<String>,
    /// HIGH, MEDIUM or LOW.
    #[schema(example = "HIGH")]
    pub importance: &'static str,
    #[schema(example = "Maximum number of tasks to use for this connector.")]
    pub documentation: String,
    #[schema(example = "Common")]
    pub group: Option<String>,
    /// The position in the group; Kafka Connect 4.3 calls it so, earlier ones `order`.
    #[schema(example = 3)]
    pub order_in_group: i32,
    /// NONE, SHORT, MEDIUM or LONG.
    #[schema(example = "SHORT")]
    pub width: &'static str,
    #[schema(example = "Tasks max")]
    pub display_name: String,
    /// Keys whose meaning depends on this one.
    #[schema(example = json!([]))]
    pub dependents: Vec<String>,
    /// The position in the group; -1 without a group.
    #[schema(example = 3)]
    pub order: i32,
}

/// What a key's value is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigValueInfo {
    #[schema(example = "tasks.max")]
    pub name: String,
    /// As parsed, in text; passwords are `[hidden]`.
    #[schema(example = "1")]
    pub value: Option<String>,
    #[schema(example = json!([]))]
    pub recommended_values: Vec<String>,
    /// Empty when nothing is wrong.
    #[schema(example = json!([]))]
    pub errors: Vec<String>,
    #[schema(example = true)]
    pub visible: bool,
}

impl ConfigInfos {
    /// Every message, in the order of the answer.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.configs.iter().flat_map(|config| &config.value.errors).map(String::as_str)
    }
}

impl ConfigKeyInfo {
    /// The definition of a key that stands for itself.
    pub fn of(key: &ConfigKey) -> Self {
        Self {
            name: key.name.to_owned(),
            ty: key.ty.name(),
            required: key.default == Default::Required,
            default_value: default_shown(key),
            importance: key.importance.name(),
            documentation: key.documentation.to_owned(),
            group: key.group.map(str::to_owned),
            order_in_group: key.order,
            width: key.width.name(),
            display_name: key.display_name.to_owned(),
            dependents: owned(key.dependents),
            order: key.order,
        }
    }

    /// The same key under `prefix`; its display name stays.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.name = format!("{prefix}{}", self.name);
        for dependent in &mut self.dependents {
            *dependent = format!("{prefix}{dependent}");
        }
        self
    }

    /// The same key at this place of a form.
    #[must_use]
    pub fn placed(mut self, group: Option<String>, order: i32) -> Self {
        self.group = group;
        self.order = order;
        self.order_in_group = order;
        self
    }
}

fn default_shown(key: &ConfigKey) -> Option<String> {
    match (key.default, key.ty) {
        (Default::Text(_), ConfigType::Password) => Some("[hidden]".to_owned()),
        (Default::Text(text), _) => key.parse(text).ok()?.render(),
        (Default::Required | Default::Null, _) => None,
    }
}

pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
