//! The answer of a validation while it grows.

use crate::config::{ConfigDef, ConfigKey, Outcome};
use crate::runtime::config_infos::{
    ConfigInfo, ConfigInfos, ConfigKeyInfo, ConfigValueInfo, owned,
};

/// The answer of a validation while it grows.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Keys without a definition that have something wrong with them.
    undefined: Vec<ConfigInfo>,
    defined: Vec<ConfigInfo>,
    /// Keys of clients and converters: each counts once, however much is wrong with it.
    sub_entries: Vec<ConfigInfo>,
    groups: Vec<String>,
}

impl Report {
    /// Adds a key; a key that is there already is replaced where it stands.
    pub(super) fn define(&mut self, key: &ConfigKey, outcome: Outcome) {
        self.define_info(info(ConfigKeyInfo::of(key), key, outcome));
    }

    /// As [`Report::define`].
    pub(super) fn define_info(&mut self, info: ConfigInfo) {
        match self.defined.iter_mut().find(|other| other.value.name == info.value.name) {
            Some(place) => *place = info,
            None => self.defined.push(info),
        }
    }

    /// Adds keys of clients or converters.
    pub(super) fn sub_entries(&mut self, entries: Vec<ConfigInfo>) {
        for entry in &entries {
            if let Some(group) = entry.definition.as_ref().and_then(|key| key.group.as_deref()) {
                self.group(group);
            }
        }
        self.sub_entries.extend(entries);
    }

    /// Adds a group, once.
    pub(super) fn group(&mut self, group: &str) {
        if !self.groups.iter().any(|other| other == group) {
            self.groups.push(group.to_owned());
        }
    }

    /// Adds the groups of a table.
    pub(super) fn groups_of(&mut self, table: &ConfigDef) {
        for group in table.keys().iter().filter_map(|key| key.group) {
            self.group(group);
        }
    }

    /// Says something about a key, which need not be declared.
    pub(super) fn error(&mut self, key: &str, message: String) {
        let known = self.defined.iter_mut().chain(&mut self.undefined);
        if let Some(info) = known.into_iter().find(|info| info.value.name == key) {
            info.value.errors.push(message);
            return;
        }
        self.undefined.push(ConfigInfo {
            definition: None,
            value: ConfigValueInfo {
                name: key.to_owned(),
                value: None,
                recommended_values: Vec::new(),
                errors: vec![message],
                visible: true,
            },
        });
    }

    /// The value of a declared key.
    pub(super) fn value(&self, key: &str) -> Option<&ConfigValueInfo> {
        self.defined.iter().map(|info| &info.value).find(|value| value.name == key)
    }

    /// The value of a declared key, to change it.
    pub(super) fn value_mut(&mut self, key: &str) -> Option<&mut ConfigValueInfo> {
        self.defined.iter_mut().map(|info| &mut info.value).find(|value| value.name == key)
    }

    /// The original's count: messages of the declared keys, but keys of clients and converters.
    pub(super) fn error_count(&self) -> usize {
        let declared = self.undefined.iter().chain(&self.defined);
        let messages: usize = declared.map(|info| info.value.errors.len()).sum();
        messages + self.sub_entries.iter().filter(|info| !info.value.errors.is_empty()).count()
    }

    /// The answer.
    pub(super) fn finish(self, class: &str) -> ConfigInfos {
        ConfigInfos {
            name: class.to_owned(),
            error_count: self.error_count(),
            groups: self.groups,
            configs: [self.undefined, self.defined, self.sub_entries].concat(),
        }
    }
}

/// One key with its definition as shown.
pub(super) fn info(definition: ConfigKeyInfo, key: &ConfigKey, outcome: Outcome) -> ConfigInfo {
    let value = ConfigValueInfo {
        name: definition.name.clone(),
        value: outcome.value.render(),
        recommended_values: owned(key.recommended),
        errors: outcome.errors,
        visible: true,
    };
    ConfigInfo { definition: Some(definition), value }
}
