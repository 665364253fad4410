//! The levels of loggers, changed while the worker runs (Kafka Connect, `runtime/Loggers`).
//!
//! A logger is a module of this program, `ferroconnect::rest`, or `ferroconnect.rest`. Names of the
//! original's packages mean the modules that do their work, so that runbooks written for it work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::reload;

/// The name of the logger that all others follow.
pub const ROOT: &str = "root";

/// Loggers that exist before anybody sets them.
const KNOWN: [&str; 11] = [
    "ferroconnect",
    "ferroconnect::cli",
    "ferroconnect::connector::postgres",
    "ferroconnect::connector::s3",
    "ferroconnect::converter",
    "ferroconnect::kafka",
    "ferroconnect::rest",
    "ferroconnect::runtime",
    "ferroconnect::store",
    "ferroconnect::transform",
    "librdkafka",
];

/// The original's packages, longer names first, and what does their work here.
const PACKAGES: [(&str, &str); 10] = [
    ("org.apache.kafka.connect.runtime.rest", "ferroconnect::rest"),
    ("org.apache.kafka.connect.runtime", "ferroconnect::runtime"),
    ("org.apache.kafka.connect.storage", "ferroconnect::store"),
    ("org.apache.kafka.connect.transforms", "ferroconnect::transform"),
    ("org.apache.kafka.connect.json", "ferroconnect::converter"),
    ("org.apache.kafka.connect", "ferroconnect"),
    ("org.apache.kafka.clients", "librdkafka"),
    ("org.apache.kafka", "ferroconnect"),
    ("io.debezium", "ferroconnect::connector::postgres"),
    ("io.confluent.connect.s3", "ferroconnect::connector::s3"),
];

/// The levels of the original, from the most to the least talkative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    All,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
    Off,
}

const LEVELS: [LogLevel; 8] = [
    LogLevel::All,
    LogLevel::Trace,
    LogLevel::Debug,
    LogLevel::Info,
    LogLevel::Warn,
    LogLevel::Error,
    LogLevel::Fatal,
    LogLevel::Off,
];

impl LogLevel {
    /// Reads a level in any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        LEVELS.into_iter().find(|level| level.name().eq_ignore_ascii_case(text))
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Off => "OFF",
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::All | Self::Trace => LevelFilter::TRACE,
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error | Self::Fatal => LevelFilter::ERROR,
            Self::Off => LevelFilter::OFF,
        }
    }

    fn of(filter: LevelFilter) -> Self {
        let plain = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Off];
        plain.into_iter().find(|level| level.filter() == filter).unwrap_or(Self::Info)
    }
}

/// A logger's level, and when it was changed (milliseconds since 1970).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggerLevel {
    pub level: LogLevel,
    pub last_modified: Option<i64>,
}

/// The hand on the levels of this process. Clones share them.
#[derive(Debug, Clone)]
pub struct LogControl {
    levels: Arc<Mutex<Levels>>,
    /// `None`: nothing logs by them.
    handle: Option<reload::Handle<Targets, Registry>>,
}

impl LogControl {
    /// Levels as `directives` says (`info,ferroconnect::rest=debug`), and the layer that filters by
    /// them.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn filtering(directives: &str) -> Result<(Self, reload::Layer<Targets, Registry>), String> {
        let targets: Targets = directives.parse().map_err(|error| format!("{error}"))?;
        let levels = Levels::of(&targets);
        let (layer, handle) = reload::Layer::new(levels.targets());
        let levels = Arc::new(Mutex::new(levels));
        Ok((Self { levels, handle: Some(handle) }, layer))
    }

    /// Levels that nothing logs by: for a worker that shares its process.
    pub fn detached() -> Self {
        Self { levels: Arc::new(Mutex::new(Levels::of(&Targets::new()))), handle: None }
    }

    /// The loggers whose level was set, and the root; by name.
    pub fn all(&self) -> BTreeMap<String, LoggerLevel> {
        let levels = self.lock();
        let mut all: BTreeMap<String, LoggerLevel> =
            levels.set.iter().map(|(name, set)| (name.clone(), set.shown)).collect();
        all.insert(ROOT.to_owned(), levels.root.shown);
        all
    }

    /// A logger's level; of one that was not set, the one it follows. `None`: there is none.
    pub fn get(&self, name: &str) -> Option<LoggerLevel> {
        let levels = self.lock();
        if name.eq_ignore_ascii_case(ROOT) {
            return Some(levels.root.shown);
        }
        if let Some(set) = levels.set.get(name) {
            return Some(set.shown);
        }
        KNOWN
            .contains(&name)
            .then(|| LoggerLevel { level: levels.effective(name), last_modified: None })
    }

    /// Sets the level of every logger whose name starts with `name`, and of that one, which may be
    /// new; returns their names, sorted.
    pub fn set(&self, name: &str, level: LogLevel) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut levels = self.lock();
        let names = levels.change(name, level, i64::try_from(now).unwrap_or(i64::MAX));
        if let Some(handle) = &self.handle
            && let Err(error) = handle.reload(levels.targets())
        {
            tracing::warn!(%error, "the levels of loggers cannot be changed");
        }
        names
    }

    fn lock(&self) -> MutexGuard<'_, Levels> {
        // A map of levels has no half-done state that a panic could leave.
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy)]
struct Set {
    shown: LoggerLevel,
    /// Of two names for one module the one that was set later counts.
    change: u64,
}

#[derive(Debug)]
struct Levels {
    root: Set,
    set: BTreeMap<String, Set>,
    changes: u64,
}

impl Levels {
    fn of(targets: &Targets) -> Self {
        let set = |filter| Set {
            shown: LoggerLevel { level: LogLevel::of(filter), last_modified: None },
            change: 0,
        };
        let root = set(targets.default_level().unwrap_or(LevelFilter::INFO));
        let set = targets.iter().map(|(name, filter)| (name.to_owned(), set(filter))).collect();
        Self { root, set, changes: 0 }
    }

    fn targets(&self) -> Targets {
        let mut by_change: Vec<_> = self.set.iter().collect();
        by_change.sort_by_key(|(_, set)| set.change);
        let modules: BTreeMap<String, LevelFilter> = by_change
            .into_iter()
            .map(|(name, set)| (module_of(name), set.shown.level.filter()))
            .collect();
        Targets::new().with_default(self.root.shown.level.filter()).with_targets(modules)
    }

    fn effective(&self, name: &str) -> LogLevel {
        let longest = self
            .set
            .iter()
            .filter(|(set, _)| module_of(name).starts_with(&module_of(set)))
            .max_by_key(|(set, _)| set.len());
        longest.map_or(self.root.shown.level, |(_, set)| set.shown.level)
    }

    fn change(&mut self, name: &str, level: LogLevel, now: i64) -> Vec<String> {
        let is_root = name.eq_ignore_ascii_case(ROOT);
        let existing = self.set.keys().map(String::as_str).chain(KNOWN);
        let mut names: BTreeSet<String> = existing
            .filter(|existing| is_root || existing.starts_with(name))
            .map(str::to_owned)
            .collect();
        if !is_root {
            names.insert(name.to_owned());
        }
        self.changes += 1;
        let changed: Vec<bool> = names.iter().map(|name| self.effective(name) != level).collect();
        for (name, changed) in names.iter().zip(changed) {
            let before = self.set.get(name).and_then(|set| set.shown.last_modified);
            let last_modified = if changed { Some(now) } else { before };
            let shown = LoggerLevel { level, last_modified };
            self.set.insert(name.clone(), Set { shown, change: self.changes });
        }
        if is_root {
            let changed = self.root.shown.level != level;
            let last_modified = if changed { Some(now) } else { self.root.shown.last_modified };
            self.root.shown = LoggerLevel { level, last_modified };
            names.insert(ROOT.to_owned());
        }
        names.into_iter().collect()
    }
}

/// The module that a logger's name means.
fn module_of(name: &str) -> String {
    if name.starts_with("ferroconnect") {
        return name.replace('.', "::");
    }
    let package = PACKAGES.iter().find(|(package, _)| {
        name.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    package.map_or_else(|| name.to_owned(), |(_, module)| (*module).to_owned())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn levels_are_read_in_any_case() {
        for (text, expected) in [
            ("debug", Some(LogLevel::Debug)),
            ("OFF", Some(LogLevel::Off)),
            ("Fatal", Some(LogLevel::Fatal)),
            ("BOGUS", None),
            ("", None),
        ] {
            assert_eq!(LogLevel::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn names_of_the_original_mean_our_modules() {
        for (name, module) in [
            ("io.debezium", "ferroconnect::connector::postgres"),
            ("io.debezium.connector.postgresql", "ferroconnect::connector::postgres"),
            ("org.apache.kafka.connect.runtime.rest.RestServer", "ferroconnect::rest"),
            ("org.apache.kafka.connect", "ferroconnect"),
            ("org.apache.kafkaesque", "org.apache.kafkaesque"),
            ("ferroconnect.rest", "ferroconnect::rest"),
            ("librdkafka", "librdkafka"),
        ] {
            assert_eq!(module_of(name), module);
        }
    }

    #[test]
    fn a_change_covers_what_starts_with_the_name() {
        let mut levels = Levels::of(&"warn,sqlx=error".parse().unwrap());
        assert_eq!(levels.root.shown.level, LogLevel::Warn);
        let changed = levels.change("ferroconnect::connector", LogLevel::Debug, 5);
        assert_eq!(
            changed,
            [
                "ferroconnect::connector",
                "ferroconnect::connector::postgres",
                "ferroconnect::connector::s3"
            ]
        );
        assert_eq!(levels.effective("ferroconnect::connector::s3"), LogLevel::Debug);
        assert_eq!(levels.effective("ferroconnect::rest"), LogLevel::Warn);
        // Nothing changed: the time stays.
        levels.change("ferroconnect::connector", LogLevel::Debug, 9);
        assert_eq!(levels.set["ferroconnect::connector"].shown.last_modified, Some(5));
        let all = levels.change("ROOT", LogLevel::Error, 7);
        assert!(all.contains(&"root".to_owned()) && all.contains(&"sqlx".to_owned()));
        assert_eq!(levels.set["sqlx"].shown.last_modified, None);
        assert_eq!(levels.root.shown.last_modified, Some(7));
    }

    #[test]
    fn what_is_logged_follows() {
        let (control, layer) = LogControl::filtering("info").unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let enabled =
                || tracing::enabled!(target: "ferroconnect::rest::x", tracing::Level::DEBUG);
            assert!(!enabled());
            control.set("org.apache.kafka.connect.runtime.rest", LogLevel::Trace);
            assert!(enabled());
            control.set("ferroconnect::rest", LogLevel::Warn);
            assert!(!enabled());
            assert!(control.get("ferroconnect::rest").is_some());
            assert!(control.get("nobody").is_none());
            let names: Vec<_> = control.all().into_keys().collect();
            assert_eq!(
                names,
                ["ferroconnect::rest", "org.apache.kafka.connect.runtime.rest", "root"]
            );
        });
        assert!(LogControl::filtering("info,=,x=loud").is_err());
    }
}
