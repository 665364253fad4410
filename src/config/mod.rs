//! Configuration: string properties, the tables that give them meaning, and every error at once.
//!
//! [`Props`] -> [`ConfigDef::validate`] (all errors, per key) -> [`Parsed`] -> a typed struct of the
//! plugin. Nothing past the typed struct looks up a string key. Nothing here awaits.

mod def;
mod egress;
mod memory_budget;
mod nearest;
mod parsed;
mod properties;
mod providers;
mod reference;
mod resolve;
mod schema_name;
mod secret;
mod sink_defaults;
mod validator;

pub use def::{
    ConfigDef, ConfigError, ConfigKey, ConfigType, ConfigValue, Default, Importance, Outcome,
    Submitted, Visibility, Width, Wording,
};
pub use egress::Egress;
pub use memory_budget::{MemoryBudget, MemoryShare};
pub use nearest::nearest;
pub use parsed::Parsed;
pub use properties::parse_properties;
pub use providers::{ConfigProviders, Resolved};
pub use reference::reference;
pub use resolve::HostMap;
pub use schema_name::{SCHEMA_NAME_ADJUSTMENT_MODES, SchemaNameAdjustment};
pub use secret::Secret;
pub use sink_defaults::{AwsEnvironment, SinkDefaults};
pub use validator::Validator;

/// The properties of a connector, worker or plugin, as submitted.
pub type Props = std::collections::BTreeMap<String, String>;

/// The members of `props` whose key starts with `prefix`, without it.
pub fn with_prefix(props: &Props, prefix: &str) -> Props {
    props
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
        .collect()
}
