//! The decisions of the runtime as pure functions: what follows from a changed target state, what a
//! restart covers (KIP-745), and when a failed task is started again.

use std::time::Duration;

use crate::error::ErrorKind;
use crate::runtime::entity::{ConnectorStatus, State, TargetState};
use crate::runtime::worker_config::TaskRestart;
use crate::store::StoredConnector;

/// What this worker last made of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    pub config_version: i64,
    pub restarts: i64,
    pub target_state: TargetState,
    /// The connector could not be started.
    pub failed: bool,
}

/// What has to be done with a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is as it shall be.
    Keep,
    /// Plan its tasks and run them.
    Start,
    /// Keep the tasks that it has, and let them rest. A connector that failed stays failed.
    Pause,
    /// Remove all tasks.
    Stop,
}

/// What follows from `wanted`, given what was done before.
pub(crate) fn step(applied: Option<&Applied>, wanted: &StoredConnector) -> Step {
    let fresh = applied.is_none_or(|applied| {
        applied.config_version != wanted.config_version || applied.restarts != wanted.restarts
    });
    let before = applied.map(|applied| applied.target_state);
    match wanted.target_state {
        TargetState::Stopped if fresh || before != Some(TargetState::Stopped) => Step::Stop,
        TargetState::Paused if fresh || before != Some(TargetState::Paused) => Step::Pause,
        TargetState::Started if fresh => Step::Start,
        TargetState::Started => match applied {
            // Resuming does not mend a failed connector, stopping it in between does.
            Some(applied) if applied.failed && before != Some(TargetState::Stopped) => Step::Keep,
            Some(applied) if applied.target_state == TargetState::Started => Step::Keep,
            _ => Step::Start,
        },
        _ => Step::Keep,
    }
}

/// Whether a connector that failed is still to be shown as failed after `step`.
pub(crate) fn stays_failed(applied: Option<&Applied>, wanted: &StoredConnector) -> bool {
    applied.is_some_and(|applied| {
        applied.failed
            && applied.config_version == wanted.config_version
            && applied.restarts == wanted.restarts
            && applied.target_state != TargetState::Stopped
            && wanted.target_state != TargetState::Stopped
    })
}

/// What a restart covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestartPlan {
    pub connector: bool,
    pub tasks: Vec<usize>,
    /// The present status, with RESTARTING where something will restart; traces are kept.
    pub shown: ConnectorStatus,
}

/// Plans the restart of the connector and, with `include_tasks`, of its tasks; with `only_failed`
/// those that failed.
pub(crate) fn restart_plan(
    mut status: ConnectorStatus,
    include_tasks: bool,
    only_failed: bool,
) -> RestartPlan {
    let covered = |state: State| !only_failed || state == State::Failed;
    let connector = covered(status.connector.state);
    if connector {
        status.connector.state = State::Restarting;
    }
    let mut tasks = Vec::new();
    for (task, info) in &mut status.tasks {
        if include_tasks && covered(info.state) {
            info.state = State::Restarting;
            tasks.push(*task);
        }
    }
    RestartPlan { connector, tasks, shown: status }
}

/// The restarts of one task that failed for reasons outside.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: TaskRestart,
    attempts: u32,
}

impl Restarts {
    pub(crate) fn new(policy: TaskRestart) -> Self {
        Self { policy, attempts: 0 }
    }

    /// How many restarts there were since the task last ran for long.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The delay before the next start, if there is to be one: only what failed outside is expected
    /// to pass. A task that ran for longer than the longest delay starts counting anew. `jitter`,
    /// between 0 and 1, spreads tasks that failed together over the second half of the delay.
    pub(crate) fn after(
        &mut self,
        kind: ErrorKind,
        ran: Duration,
        jitter: f64,
    ) -> Option<Duration> {
        if kind != ErrorKind::Retriable {
            return None;
        }
        if ran > self.policy.backoff_max {
            self.attempts = 0;
        }
        if self.policy.max_attempts.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let factor = 1 << self.attempts.min(20);
        let full = self.policy.backoff_initial.saturating_mul(factor).min(self.policy.backoff_max);
        self.attempts += 1;
        Some(full.mul_f64(0.5 + jitter / 2.0))
    }
}

/// What comes after a failure, for whoever reads its trace.
pub(crate) fn what_is_next(kind: ErrorKind, delay: Option<Duration>, attempt: u32) -> String {
    match (delay, kind) {
        (Some(delay), _) => {
            format!("Restarting by itself in {:.1} s, attempt {attempt}.", delay.as_secs_f64())
        }
        (None, ErrorKind::Retriable) => {
            "Not restarting by itself any more: task.restart.max.attempts is reached.".to_owned()
        }
        (None, _) => "Waiting for a person: mend the cause, then change the configuration or POST \
             .../restart."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Props;
    use crate::runtime::entity::{ConnectorKind, StateInfo};

    fn wanted(config_version: i64, restarts: i64, target_state: TargetState) -> StoredConnector {
        StoredConnector {
            name: "c".to_owned(),
            target_state,
            config: Props::new(),
            config_version,
            restarts,
            tasks: Vec::new(),
        }
    }

    #[test]
    fn the_step_follows_from_what_changed() {
        use TargetState::{Paused, Started, Stopped};
        let applied = |target_state, failed| {
            Some(Applied { config_version: 1, restarts: 0, target_state, failed })
        };
        for (name, before, after, expected, failed) in [
            ("created", None, wanted(1, 0, Started), Step::Start, false),
            ("created paused", None, wanted(1, 0, Paused), Step::Pause, false),
            ("created stopped", None, wanted(1, 0, Stopped), Step::Stop, false),
            ("nothing", applied(Started, false), wanted(1, 0, Started), Step::Keep, false),
            ("paused", applied(Started, false), wanted(1, 0, Paused), Step::Pause, false),
            ("paused twice", applied(Paused, false), wanted(1, 0, Paused), Step::Keep, false),
            ("resumed", applied(Paused, false), wanted(1, 0, Started), Step::Start, false),
            ("stopped", applied(Paused, false), wanted(1, 0, Stopped), Step::Stop, false),
            ("stopped twice", applied(Stopped, false), wanted(1, 0, Stopped), Step::Keep, false),
            ("paused from stop", applied(Stopped, false), wanted(1, 0, Paused), Step::Pause, false),
            (
                "resumed from stop",
                applied(Stopped, false),
                wanted(1, 0, Started),
                Step::Start,
                false,
            ),
            ("updated", applied(Started, false), wanted(2, 0, Started), Step::Start, false),
            ("updated paused", applied(Paused, false), wanted(2, 0, Paused), Step::Pause, false),
            ("restarted", applied(Started, false), wanted(1, 1, Started), Step::Start, false),
            ("restarted paused", applied(Paused, false), wanted(1, 1, Paused), Step::Pause, false),
            ("failed", applied(Started, true), wanted(1, 0, Started), Step::Keep, true),
            ("failed, paused", applied(Started, true), wanted(1, 0, Paused), Step::Pause, true),
            ("failed, resumed", applied(Paused, true), wanted(1, 0, Started), Step::Keep, true),
            ("failed, stopped", applied(Started, true), wanted(1, 0, Stopped), Step::Stop, false),
            (
                "failed, restarted",
                applied(Started, true),
                wanted(1, 1, Started),
                Step::Start,
                false,
            ),
            ("failed, mended", applied(Started, true), wanted(2, 0, Started), Step::Start, false),
            ("stop mends", applied(Stopped, true), wanted(1, 0, Started), Step::Start, false),
        ] {
            assert_eq!(step(before.as_ref(), &after), expected, "{name}");
            assert_eq!(stays_failed(before.as_ref(), &after), failed, "{name}");
        }
    }

    #[test]
    fn a_restart_covers_what_was_asked_for() {
        let info = |state, trace: Option<&str>| StateInfo {
            state,
            worker_id: "w:1".to_owned(),
            trace: trace.map(str::to_owned),
            condition: None,
            version: None,
        };
        let status = |connector| ConnectorStatus {
            name: "c".to_owned(),
            connector: info(connector, None),
            tasks: vec![
                (0, info(State::Running, None)),
                (1, info(State::Failed, Some("why"))),
                (2, info(State::Paused, None)),
            ],
            kind: ConnectorKind::Source,
        };
        for (connector, include_tasks, only_failed, restarted, tasks) in [
            (State::Running, false, false, true, vec![]),
            (State::Running, false, true, false, vec![]),
            (State::Failed, false, true, true, vec![]),
            (State::Running, true, false, true, vec![0, 1, 2]),
            (State::Running, true, true, false, vec![1]),
            (State::Failed, true, true, true, vec![1]),
        ] {
            let plan = restart_plan(status(connector), include_tasks, only_failed);
            assert_eq!((plan.connector, plan.tasks), (restarted, tasks.clone()));
            let shown = |task: usize| plan.shown.tasks[task].1.clone();
            assert_eq!(plan.shown.connector.state == State::Restarting, restarted);
            assert_eq!(shown(1).trace.as_deref(), Some("why"));
            for task in 0..3 {
                assert_eq!(shown(task).state == State::Restarting, tasks.contains(&task));
            }
        }
    }

    #[test]
    fn only_outside_failures_are_restarted_with_growing_delays() {
        let policy = TaskRestart {
            backoff_initial: Duration::from_secs(1),
            backoff_max: Duration::from_secs(5),
            max_attempts: Some(4),
        };
        let mut restarts = Restarts::new(policy);
        let second = Duration::from_secs(1);
        for kind in [ErrorKind::Config, ErrorKind::Data, ErrorKind::Fatal] {
            assert_eq!(restarts.after(kind, second, 1.0), None);
        }
        let mut delays = Vec::new();
        while let Some(delay) = restarts.after(ErrorKind::Retriable, second, 1.0) {
            delays.push(delay.as_secs());
        }
        assert_eq!(delays, [1, 2, 4, 5]);
        let long = Duration::from_secs(6);
        assert_eq!(restarts.after(ErrorKind::Retriable, long, 0.0), Some(second / 2));
        assert_eq!(restarts.attempts(), 1);

        let mut endless = Restarts::new(TaskRestart { max_attempts: None, ..policy });
        for _ in 0..1000 {
            assert!(endless.after(ErrorKind::Retriable, second, 1.0).is_some());
        }
    }
}
