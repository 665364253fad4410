//! What has to be done so that the worker has what the files say.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::files::Definition;
use crate::config::Props;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Create { definition: Definition },
    Update { name: String, config: Props, changes: Vec<Change> },
    Delete { name: String },
}

/// A key that differs: before, after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// The steps, and what stays.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) actions: Vec<Action>,
    /// Connectors that no file describes and that stay.
    pub(super) others: Vec<String>,
    /// Connectors that are as their file says.
    pub(super) same: Vec<String>,
}

impl Plan {
    /// `prune`: those that no file describes and whose name begins so are deleted.
    pub(super) fn between(
        wanted: &[Definition],
        live: &BTreeMap<String, Props>,
        prune: Option<&str>,
    ) -> Self {
        let mut plan = Self::default();
        for definition in wanted {
            match live.get(&definition.name) {
                None => plan.actions.push(Action::Create { definition: definition.clone() }),
                Some(config) if *config == definition.config => {
                    plan.same.push(definition.name.clone());
                }
                Some(config) => plan.actions.push(Action::Update {
                    name: definition.name.clone(),
                    config: definition.config.clone(),
                    changes: changes(config, &definition.config),
                }),
            }
        }
        let described: BTreeSet<_> = wanted.iter().map(|definition| &definition.name).collect();
        for name in live.keys().filter(|name| !described.contains(name)) {
            if prune.is_some_and(|prefix| name.starts_with(prefix)) {
                plan.actions.push(Action::Delete { name: name.clone() });
            } else {
                plan.others.push(name.clone());
            }
        }
        plan
    }

    pub(super) fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// The connectors that the worker has afterwards and that a file describes.
    pub(super) fn kept(&self) -> impl Iterator<Item = &str> {
        let changed = self.actions.iter().filter(|action| !matches!(action, Action::Delete { .. }));
        changed.map(Action::name).chain(self.same.iter().map(String::as_str))
    }
}

impl Action {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Create { definition } => &definition.name,
            Self::Update { name, .. } | Self::Delete { name } => name,
        }
    }
}

fn changes(before: &Props, after: &Props) -> Vec<Change> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| Change {
            key: key.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(members: &[(&str, &str)]) -> Props {
        members.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn definition(name: &str, members: &[(&str, &str)]) -> Definition {
        Definition { name: name.to_owned(), config: props(members), file: "f.json".into() }
    }

    #[test]
    fn what_differs_is_created_updated_or_left() {
        let live = BTreeMap::from([
            ("same".to_owned(), props(&[("a", "1")])),
            ("changed".to_owned(), props(&[("a", "1"), ("b", "1"), ("gone", "x")])),
            ("other".to_owned(), props(&[])),
        ]);
        let wanted = [
            definition("changed", &[("a", "1"), ("b", "2"), ("new", "y")]),
            definition("fresh", &[("a", "1")]),
            definition("same", &[("a", "1")]),
        ];
        let plan = Plan::between(&wanted, &live, None);
        let change = |key: &str, before: Option<&str>, after: Option<&str>| Change {
            key: key.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let changes = vec![
            change("b", Some("1"), Some("2")),
            change("gone", Some("x"), None),
            change("new", None, Some("y")),
        ];
        let config = wanted[0].config.clone();
        assert_eq!(
            plan.actions,
            [
                Action::Update { name: "changed".to_owned(), config, changes },
                Action::Create { definition: wanted[1].clone() },
            ]
        );
        assert_eq!(plan.kept().collect::<Vec<_>>(), ["changed", "fresh", "same"]);
        assert_eq!((plan.same, plan.others), (vec!["same".to_owned()], vec!["other".to_owned()]));
    }

    #[test]
    fn pruning_takes_only_what_the_prefix_allows() {
        let live = ["a-1", "b-1"].map(|name| (name.to_owned(), props(&[])));
        let live = BTreeMap::from(live);
        let plan = Plan::between(&[], &live, Some("a-"));
        assert_eq!(plan.actions, [Action::Delete { name: "a-1".to_owned() }]);
        assert_eq!(plan.others, ["b-1"]);
        assert_eq!(Plan::between(&[], &live, Some("")).actions.len(), 2);
    }
}
