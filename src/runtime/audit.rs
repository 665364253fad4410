//! Changes on behalf of somebody: each is recorded before it is made and completed after it, with
//! principal, time, address and what was changed.
//!
//! [`Changes`] offers what [`Herder`] offers to those who change something, and is the only way in
//! which `rest` and `cli` reach it. Secrets are recorded as the references that they were given as;
//! those that were written out are `[hidden]`, and `changed` names them if they changed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Props;
use crate::runtime::access::{Access, Role};
use crate::runtime::herder::{
    Answer, ConnectorInfo, ConnectorStatus, Herder, HerderError, NAME_BYTES_MAX, OffsetChange,
    TargetState, TaskId, internal,
};
use crate::runtime::loggers::LogLevel;
use crate::runtime::validation::{self, SubmittedProps};
use crate::store::{AuditEntry, AuditOutcome};

pub use crate::store::AuditRow;

/// How often what is too old is forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(3600);
/// Parts of the past that are forgotten at once; the rest at the next time.
const FORGET_PARTS_MAX: usize = 100;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Who changes something.
#[derive(Debug, Clone)]
pub struct Actor {
    pub access: Access,
    /// `None`: the worker's own files.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// The worker, which creates the connectors of its files.
    pub fn worker() -> Self {
        Self { access: Access::everything("worker"), address: None }
    }
}

/// What somebody may change.
#[derive(Debug, Clone)]
pub struct Changes {
    herder: Herder,
    actor: Actor,
}

impl Herder {
    /// Changes on behalf of `actor`.
    pub fn changes(&self, actor: Actor) -> Changes {
        Changes { herder: self.clone(), actor }
    }

    /// What was changed, newest first: of one connector or of everything, before the change numbered
    /// `before`.
    ///
    /// # Errors
    /// When the state database is away.
    pub async fn history(
        &self,
        connector: Option<&str>,
        before: i64,
        limit: i64,
    ) -> Answer<Vec<AuditRow>> {
        self.store().audit(connector, before, limit).await.map_err(internal)
    }

    /// Forgets what is older than `audit.retention.days`, until the worker ends.
    pub fn forget_history(&self) {
        let days = self.config().security.audit_retention_days;
        if days == 0 {
            return;
        }
        let (store, shutdown) = (self.store().clone(), self.shared.shutdown.clone());
        self.shared.tracker.spawn(async move {
            let mut ticks = interval(FORGET_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = shutdown.cancelled() => return,
                }
                for _ in 0..FORGET_PARTS_MAX {
                    match store.forget_history(DAY * days).await {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            tracing::warn!(%error, "the history cannot be shortened; trying again");
                            break;
                        }
                    }
                }
            }
        });
    }
}

impl Changes {
    /// See [`Herder::create_connector`].
    ///
    /// # Errors
    /// As there; [`HerderError::Forbidden`] where the actor may not.
    pub async fn create_connector(
        &self,
        name: &str,
        config: Props,
        target_state: TargetState,
    ) -> Answer<ConnectorInfo> {
        self.allowed(Role::Editor, name)?;
        let detail = json!({
            "new": self.masked(&config), "initial_state": target_state.name(),
        });
        let work = self.herder.create_connector(name, config, target_state);
        self.recorded("create", Some(name), detail, true, work).await
    }

    /// See [`Herder::put_connector_config`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_connector_config(
        &self,
        name: &str,
        config: Props,
    ) -> Answer<(bool, ConnectorInfo)> {
        self.put("update", name, config, Map::new()).await
    }

    /// Gives a connector the configuration back that it had as `version`.
    ///
    /// # Errors
    /// `Connector {c} not found`, or there is no such version; as for a new configuration.
    pub async fn roll_back(&self, name: &str, version: i64) -> Answer<ConnectorInfo> {
        self.allowed(Role::Editor, name)?;
        self.herder.connector_config(name).await?;
        let found = self.herder.store().config_of_version(name, version).await.map_err(internal)?;
        let config = found.ok_or_else(|| {
            HerderError::NotFound(format!(
                "Connector {name} has no configuration of version {version}"
            ))
        })?;
        let detail = Map::from_iter([("to_version".to_owned(), json!(version))]);
        self.put("rollback", name, config, detail).await.map(|(_, info)| info)
    }

    async fn put(
        &self,
        action: &str,
        name: &str,
        config: Props,
        mut detail: Map<String, Value>,
    ) -> Answer<(bool, ConnectorInfo)> {
        self.allowed(Role::Editor, name)?;
        let old = self.herder.store().connector(name).await.map_err(internal)?;
        detail.extend(self.difference(old.as_ref().map(|old| &old.config), Some(&config)));
        let work = self.herder.put_connector_config(name, config);
        self.recorded(action, Some(name), detail.into(), true, work).await
    }

    /// See [`Herder::patch_connector_config`].
    ///
    /// # Errors
    /// As there.
    pub async fn patch_connector_config(
        &self,
        name: &str,
        patch: SubmittedProps,
    ) -> Answer<ConnectorInfo> {
        self.allowed(Role::Editor, name)?;
        let old = self.herder.store().connector(name).await.map_err(internal)?;
        let new = old.as_ref().map(|old| patched(&old.config, &patch));
        let detail = self.difference(old.as_ref().map(|old| &old.config), new.as_ref());
        let work = self.herder.patch_connector_config(name, patch);
        self.recorded("patch", Some(name), detail.into(), true, work).await
    }

    /// See [`Herder::delete_connector`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete_connector(&self, name: &str) -> Answer<()> {
        self.allowed(Role::Editor, name)?;
        let old = self.herder.store().connector(name).await.map_err(internal)?;
        let detail = self.difference(old.as_ref().map(|old| &old.config), None);
        let work = self.herder.delete_connector(name);
        self.recorded("delete", Some(name), detail.into(), false, work).await
    }

    /// See [`Herder::pause`].
    ///
    /// # Errors
    /// As there.
    pub async fn pause(&self, name: &str) -> Answer<()> {
        self.told("pause", name, Value::Null, self.herder.pause(name)).await
    }

    /// See [`Herder::resume`].
    ///
    /// # Errors
    /// As there.
    pub async fn resume(&self, name: &str) -> Answer<()> {
        self.told("resume", name, Value::Null, self.herder.resume(name)).await
    }

    /// See [`Herder::stop`].
    ///
    /// # Errors
    /// As there.
    pub async fn stop(&self, name: &str) -> Answer<()> {
        self.told("stop", name, Value::Null, self.herder.stop(name)).await
    }

    /// See [`Herder::restart_connector`].
    ///
    /// # Errors
    /// As there.
    pub async fn restart_connector(&self, name: &str) -> Answer<()> {
        self.told("restart", name, Value::Null, self.herder.restart_connector(name)).await
    }

    /// See [`Herder::restart_connector_and_tasks`].
    ///
    /// # Errors
    /// As there.
    pub async fn restart_connector_and_tasks(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Answer<ConnectorStatus> {
        let detail = json!({"includeTasks": include_tasks, "onlyFailed": only_failed});
        let work = self.herder.restart_connector_and_tasks(name, include_tasks, only_failed);
        self.told("restart", name, detail, work).await
    }

    /// See [`Herder::restart_task`].
    ///
    /// # Errors
    /// As there.
    pub async fn restart_task(&self, id: &TaskId) -> Answer<()> {
        let detail = json!({"task": id.task});
        self.told("restart", &id.connector, detail, self.herder.restart_task(id)).await
    }

    /// What operators may tell a connector.
    async fn told<T>(
        &self,
        action: &str,
        name: &str,
        detail: Value,
        work: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        self.allowed(Role::Operator, name)?;
        self.recorded(action, Some(name), detail, false, work).await
    }

    /// See [`Herder::reset_topics`].
    ///
    /// # Errors
    /// As there.
    pub async fn reset_topics(&self, name: &str) -> Answer<()> {
        self.allowed(Role::Editor, name)?;
        let work = self.herder.reset_topics(name);
        self.recorded("reset topics", Some(name), Value::Null, false, work).await
    }

    /// See [`Herder::alter_offsets`].
    ///
    /// # Errors
    /// As there.
    pub async fn alter_offsets(&self, name: &str, changes: &[OffsetChange]) -> Answer<String> {
        self.allowed(Role::Editor, name)?;
        let new = changes
            .iter()
            .map(|change| json!({"partition": change.partition, "offset": change.offset}));
        let detail = json!({"old": self.offsets(name).await, "new": new.collect::<Vec<_>>()});
        let work = self.herder.alter_offsets(name, changes);
        self.recorded("alter offsets", Some(name), detail, false, work).await
    }

    /// See [`Herder::reset_offsets`].
    ///
    /// # Errors
    /// As there.
    pub async fn reset_offsets(&self, name: &str) -> Answer<String> {
        self.allowed(Role::Editor, name)?;
        let detail = json!({"old": self.offsets(name).await});
        let work = self.herder.reset_offsets(name);
        self.recorded("reset offsets", Some(name), detail, false, work).await
    }

    /// Records a new level of a logger, and tells the other workers if it is for all.
    ///
    /// # Errors
    /// When the state database is away.
    pub async fn set_log_level(&self, logger: &str, level: LogLevel, cluster: bool) -> Answer<()> {
        if !self.actor.access.allows_everywhere(Role::Admin) {
            return Err(self.actor.access.refusal(Role::Admin, None));
        }
        let detail = json!({"logger": logger, "level": level.name(), "cluster": cluster});
        let work = async {
            match cluster {
                true => self.herder.announce_log_level(logger, level).await,
                false => Ok(()),
            }
        };
        self.recorded("set log level", None, detail, false, work).await
    }

    fn allowed(&self, role: Role, name: &str) -> Answer<()> {
        match self.actor.access.allows(role, Some(name)) {
            true => Ok(()),
            false => Err(self.actor.access.refusal(role, Some(name))),
        }
    }

    /// The offsets before a change; unknown where they cannot be read, which the change itself says.
    async fn offsets(&self, name: &str) -> Value {
        let Ok(offsets) = self.herder.offsets(name).await else { return Value::Null };
        let offsets = offsets
            .into_iter()
            .map(|offset| json!({"partition": offset.partition, "offset": offset.offset}));
        offsets.collect::<Vec<_>>().into()
    }

    async fn recorded<T>(
        &self,
        action: &str,
        connector: Option<&str>,
        detail: Value,
        of_config: bool,
        work: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        let Actor { access, address } = &self.actor;
        let entry = AuditEntry {
            principal: access.principal(),
            address: address.map(|address| address.to_string()),
            action,
            // Names that cannot be kept are those of no connector.
            connector: connector
                .filter(|name| !name.contains('\0') && name.len() <= NAME_BYTES_MAX),
            detail,
        };
        let store = self.herder.change()?;
        let id = store.begin_audit(&entry).await.map_err(internal)?;
        let answer = work.await;
        let outcome = match &answer {
            Ok(_) => AuditOutcome::Done,
            Err(HerderError::Internal(_)) => AuditOutcome::Failed,
            Err(_) => AuditOutcome::Refused,
        };
        let of_config = of_config && outcome == AuditOutcome::Done;
        if let Err(error) = store.complete_audit(id, outcome, of_config).await {
            tracing::warn!(%error, id, action, "what became of a change is not recorded");
        }
        let principal = access.principal();
        tracing::info!(principal, action, connector, outcome = ?outcome, "change");
        answer
    }

    /// Old and new configuration without secrets, and the keys whose values differ.
    fn difference(&self, old: Option<&Props>, new: Option<&Props>) -> Map<String, Value> {
        let keys: BTreeSet<_> = [old, new].into_iter().flatten().flat_map(Props::keys).collect();
        let value = |props: Option<&Props>, key: &String| props.and_then(|p| p.get(key)).cloned();
        let changed: Vec<_> =
            keys.into_iter().filter(|key| value(old, key) != value(new, key)).collect();
        let mut detail = Map::from_iter([("changed".to_owned(), json!(changed))]);
        for (name, config) in [("old", old), ("new", new)] {
            if let Some(config) = config {
                detail.insert(name.to_owned(), self.masked(config));
            }
        }
        detail
    }

    fn masked(&self, config: &Props) -> Value {
        let secrets = validation::secret_keys(self.herder.plugins(), config);
        let members = config.iter().map(|(key, value)| {
            let secret = secrets.contains(key) || has_credentials(value);
            let hidden = secret && !is_reference(value);
            let shown = if hidden { "[hidden]" } else { value.as_str() };
            (key.clone(), Value::from(shown))
        });
        Value::Object(members.collect())
    }
}

fn patched(config: &Props, patch: &SubmittedProps) -> Props {
    let mut config = config.clone();
    for (key, value) in patch {
        match value {
            Some(value) => config.insert(key.clone(), value.clone()),
            None => config.remove(key),
        };
    }
    config
}

/// A URL with a password in it, `https://USER:PASSWORD@HOST/`, whatever its key is called.
fn has_credentials(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ',']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// `${provider:path:key}` and nothing else: says where a secret is, and nothing of it.
fn is_reference(value: &str) -> bool {
    let inner = value.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| inner.contains(':') && !inner.contains(['{', '}']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_hold_a_password() {
        for (value, expected) in [
            ("https://u:p@host.example/x", true),
            ("http://a:1,http://u:p@b:2", true),
            ("jdbc:postgresql://u:p@h/d", true),
            ("https://host.example:9000/a@b:c", false),
            ("https://u@host.example", false),
            ("a:b@c", false),
        ] {
            assert_eq!(has_credentials(value), expected, "{value}");
        }
    }

    #[test]
    fn a_reference_is_all_that_a_value_is() {
        for (value, expected) in [
            ("${file:/etc/secrets:password}", true),
            ("${env:PASSWORD}", true),
            (" ${env:PASSWORD} ", true),
            ("hunter2", false),
            ("${env:A}hunter2", false),
            ("${env:A}${env:B}", false),
            ("${}", false),
            ("", false),
        ] {
            assert_eq!(is_reference(value), expected, "{value}");
        }
    }
}
