//! What signals have done: tables are added to the snapshot and taken away, reading is paused. Source:
//! Debezium, the classes of `io.debezium.pipeline.signal.actions`.

use fancy_regex::Regex;

use crate::connector::postgres::incremental::Incremental;
use crate::connector::postgres::incremental::context::{Collection, Context};
use crate::connector::postgres::signal::{Action, Execute, Scope, Signal, SnapshotKind, parse};
use crate::data::RecordBatch;

impl Incremental {
    pub(super) fn signal(&mut self, signal: &Signal, out: &mut RecordBatch) {
        tracing::info!(id = signal.id, r#type = signal.kind, "a signal");
        let action = match parse(signal) {
            Ok(action) => action,
            Err(reason) => {
                tracing::warn!("{reason}");
                return;
            }
        };
        match action {
            Action::Log(message) => {
                tracing::info!("{}", message.replacen("{}", &self.offset, 1));
            }
            Action::Execute(request) => match request.kind {
                SnapshotKind::Blocking => self.blocking.push_back(request),
                SnapshotKind::Incremental => self.execute(&signal.id, &request, out),
            },
            Action::Stop(scope) => self.stop(&scope, out),
            Action::Pause => self.pause(out),
            Action::Resume => self.resume(out),
            Action::WindowOpen | Action::WindowClose => {}
        }
    }

    fn execute(&mut self, id: &str, request: &Execute, out: &mut RecordBatch) {
        let begins = self.context.is_none();
        let context = self.context.get_or_insert_with(|| Context::new(id));
        for name in expand(&request.collections, &self.tables) {
            let condition = request.conditions.iter().find(|(table, _)| whole_match(table, &name));
            context.collections.push_back(Collection {
                condition: condition.map(|(_, filter)| filter.clone()),
                surrogate_key: request.surrogate_key.clone(),
                name,
            });
        }
        if context.collections.is_empty() {
            self.context = None;
            return;
        }
        if begins {
            let data = vec![("data_collections", context.names())];
            self.tell("STARTED", data, out);
        }
        self.read_on();
    }

    fn stop(&mut self, scope: &Scope, out: &mut RecordBatch) {
        let Some(context) = &mut self.context else {
            tracing::warn!("no incremental snapshot is in progress, nothing to stop");
            return;
        };
        let names = context.names();
        let current = context.collections.front().cloned();
        match scope {
            Scope::All => context.collections.clear(),
            Scope::Collections(patterns) => context
                .collections
                .retain(|each| !patterns.iter().any(|pattern| whole_match(pattern, &each.name))),
        }
        if context.collections.is_empty() {
            self.tell("ABORTED", vec![("data_collections", names)], out);
            self.context = None;
            self.window = None;
        } else if context.collections.front() != current.as_ref() {
            (context.last, context.maximum, context.rows) = (None, None, 0);
            self.window = None;
            self.read_on();
        }
    }

    fn pause(&mut self, out: &mut RecordBatch) {
        let Some(context) = self.context.as_ref().filter(|_| !self.paused) else { return };
        let data = vec![("data_collections", context.names())];
        self.paused = true;
        self.tell("PAUSED", data, out);
    }

    fn resume(&mut self, out: &mut RecordBatch) {
        let Some(context) = self.context.as_ref().filter(|_| self.paused) else { return };
        let data = vec![("data_collections", context.names())];
        self.paused = false;
        self.tell("RESUMED", data, out);
        self.read_on();
    }
}

/// The tables that expressions mean; one that means none is taken literally.
pub(super) fn expand(patterns: &[String], tables: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for pattern in patterns {
        let mut matching: Vec<_> =
            tables.iter().filter(|name| whole_match(pattern, name)).cloned().collect();
        if matching.is_empty() {
            matching.push(pattern.clone());
        }
        for name in matching {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Whether `pattern` matches all of `name`, or is it.
fn whole_match(pattern: &str, name: &str) -> bool {
    pattern == name
        || Regex::new(&format!("^(?:{pattern})$"))
            .is_ok_and(|regex| regex.is_match(name).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_tables_or_themselves() {
        let tables = ["inv.a", "inv.b", "other.a"].map(str::to_owned);
        for (patterns, expected) in [
            (&["inv\\..*"][..], &["inv.a", "inv.b"][..]),
            (&["inv.b", "inv.*"], &["inv.b", "inv.a"]),
            (&["Inv.a"], &["Inv.a"]),
            (&["a(b"], &["a(b"]),
        ] {
            let patterns: Vec<_> = patterns.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(expand(&patterns, &tables), expected, "{patterns:?}");
        }
    }
}
