//! Plans and states for people: colour only on a terminal, and no secret.

use std::fmt::Write;

use super::plan::{Action, Change, Plan};
use crate::cli::files::Definition;
use crate::cli::paint::Paint;
use crate::cli::rest_client::{KeyError, Status};
use crate::cli::table;

/// The plan, and how much it is.
pub(super) fn plan(plan: &Plan, paint: Paint) -> String {
    let mut text = String::new();
    let mut counts = [0; 3];
    for action in &plan.actions {
        let (index, line) = match action {
            Action::Create { definition } => {
                let line = format!("+ {}  ({})", definition.name, definition.file.display());
                (0, paint.green(&line))
            }
            Action::Update { name, .. } => (1, paint.yellow(&format!("~ {name}"))),
            Action::Delete { name } => (2, paint.red(&format!("- {name}"))),
        };
        counts[index] += 1;
        let _ = writeln!(text, "{line}");
        match action {
            Action::Create { definition } => {
                for (key, value) in &definition.config {
                    if key != "name" {
                        let _ = writeln!(text, "    {key} = {}", shown(key, value));
                    }
                }
            }
            Action::Update { changes, .. } => {
                changes.iter().for_each(|c| change(&mut text, c, paint))
            }
            Action::Delete { .. } => {}
        }
    }
    let [create, update, delete] = counts;
    let unchanged = plan.same.len();
    let _ = if plan.is_empty() {
        writeln!(text, "Nothing to do: {unchanged} connectors are as the files say.")
    } else {
        let counted = format!("{create} to create, {update} to update, {delete} to delete");
        writeln!(text, "Plan: {counted}, {unchanged} unchanged.")
    };
    if !plan.others.is_empty() {
        let _ =
            writeln!(text, "Not described by any file, and left alone: {}", plan.others.join(", "));
    }
    text
}

fn change(text: &mut String, change: &Change, paint: Paint) {
    let Change { key, before, after } = change;
    let value = |value: &Option<String>| value.as_deref().map(|value| shown(key, value));
    let line = match (value(before), value(after)) {
        (None, Some(after)) => paint.green(&format!("+ {key} = {after}")),
        (Some(before), None) => paint.red(&format!("- {key} = {before}")),
        (before, after) => {
            let [before, after] = [before, after].map(Option::unwrap_or_default);
            paint.yellow(&format!("~ {key} = {before} -> {after}"))
        }
    };
    let _ = writeln!(text, "    {line}");
}

/// A value, unless its key or its look says that it is a secret. References to secrets are none.
fn shown(key: &str, value: &str) -> String {
    let key = key.to_ascii_lowercase();
    let secret = ["password", "secret", "token", "jaas", "credential", "access.key", "private.key"];
    let reference = value.starts_with("${") && value.ends_with('}');
    let with_user = value.contains("://") && value.contains('@');
    if !reference && (with_user || secret.iter().any(|word| key.contains(word))) {
        "[hidden]".to_owned()
    } else {
        value.to_owned()
    }
}

/// The files that a worker would refuse, key by key.
pub(super) fn refused<'a>(
    refused: impl Iterator<Item = &'a (&'a Definition, Vec<KeyError>)>,
    paint: Paint,
) -> String {
    let mut text = String::new();
    let mut files = 0;
    for (definition, errors) in refused {
        files += 1;
        let head = format!("{} ({})", definition.name, definition.file.display());
        let _ = writeln!(text, "{}", paint.red(&head));
        for error in errors {
            let _ = writeln!(text, "    {}: {}", error.key, error.message);
        }
    }
    let _ = writeln!(text, "Nothing was changed: the worker refuses {files} of the files.");
    text
}

/// A table of connectors, and below it why some do not run.
pub(super) fn statuses(found: &[(&str, Option<&Status>)], paint: Paint) -> String {
    let columns = ["connector", "type", "state", "tasks"].map(str::to_owned);
    let row = |(name, status): &(&str, Option<&Status>)| match status {
        None => vec![Some((*name).to_owned()), None, Some("absent".to_owned()), None],
        Some(status) => vec![
            Some((*name).to_owned()),
            Some(status.kind.clone()),
            Some(status.connector.state.clone()),
            Some(status.tasks_summary()),
        ],
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let mut text = table::render(&columns, &rows);
    for (name, status) in found.iter().filter_map(|(name, status)| Some((name, (*status)?))) {
        for (who, trace) in status.traces() {
            let _ = writeln!(text, "\n{} {trace}", paint.red(&format!("{name}{who}:")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Props;

    fn props(members: &[(&str, &str)]) -> Props {
        members.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_plan_is_plain_without_a_terminal_and_hides_secrets() {
        let live = BTreeMap::from([
            ("b".to_owned(), props(&[("database.password", "old"), ("x", "1"), ("y", "2")])),
            ("c".to_owned(), props(&[])),
        ]);
        let wanted = [
            Definition {
                name: "a".to_owned(),
                config: props(&[("name", "a"), ("aws.secret.access.key", "k"), ("topics", "t")]),
                file: "a.json".into(),
            },
            Definition {
                name: "b".to_owned(),
                config: props(&[("database.password", "${file:p:k}"), ("x", "2"), ("z", "3")]),
                file: "b.json".into(),
            },
        ];
        let text = plan(&Plan::between(&wanted, &live, Some("")), Paint(false));
        assert_eq!(
            text,
            "+ a  (a.json)\n    aws.secret.access.key = [hidden]\n    topics = t\n~ b\n    \
             ~ database.password = [hidden] -> ${file:p:k}\n    ~ x = 1 -> 2\n    - y = 2\n    \
             + z = 3\n- c\nPlan: 1 to create, 1 to update, 1 to delete, 0 unchanged.\n"
        );
        let coloured = plan(&Plan::between(&wanted, &live, None), Paint(true));
        assert!(coloured.contains("\x1b[32m+ a"), "{coloured}");
        assert!(coloured.contains("left alone: c"), "{coloured}");
    }

    #[test]
    fn nothing_to_do_is_said() {
        let text = plan(&Plan::default(), Paint(false));
        assert_eq!(text, "Nothing to do: 0 connectors are as the files say.\n");
    }
}
