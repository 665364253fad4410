//! What an error of the server means for the task, and what an operator can do about it.

use std::error::Error as _;

use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::wire::{ServerError, WireError};
use crate::error::{ConnectError, ErrorKind};

/// Turns a failure while `doing` something into an error that names server, database and slot.
pub(super) fn explain(error: WireError, doing: &str, config: &PostgresConfig) -> ConnectError {
    let server = &config.server;
    let slot = &config.slot.name;
    let place = format!(
        "database \"{}\" at {}:{} (slot \"{slot}\")",
        server.database, server.host, server.port
    );
    let (kind, remedy) = match &error {
        WireError::Config(_) => (ErrorKind::Config, String::new()),
        WireError::Io(..) | WireError::Protocol(_) => (ErrorKind::Retriable, String::new()),
        WireError::Server(answer) => judge(answer, config),
    };
    let text = format!("{doing} failed on {place}{remedy}");
    let explained = match kind {
        ErrorKind::Config => ConnectError::config(text),
        ErrorKind::Fatal => ConnectError::fatal(text),
        _ => ConnectError::retriable(text),
    };
    explained.because(error)
}

fn judge(error: &ServerError, config: &PostgresConfig) -> (ErrorKind, String) {
    let (user, slot) = (&config.server.user, &config.slot.name);
    let (kind, remedy) = match error.code.as_str() {
        code if code.starts_with("28") => (
            ErrorKind::Config,
            format!(
                "; correct database.user (\"{user}\") and database.password, or admit the user in \
                 pg_hba.conf"
            ),
        ),
        "3D000" => (ErrorKind::Config, "; correct database.dbname".to_owned()),
        "42501" => (
            ErrorKind::Config,
            format!(
                "; the role lacks a privilege: alter role \"{user}\" replication; grant select on \
                 the captured tables to \"{user}\"; creating a publication takes ownership of its \
                 tables, or a superuser who creates it beforehand"
            ),
        ),
        "53400" => (
            ErrorKind::Config,
            "; raise max_replication_slots or max_wal_senders on the server, or drop a slot that \
             nobody uses"
                .to_owned(),
        ),
        "55006" => (
            ErrorKind::Retriable,
            format!(
                "; another client uses slot \"{slot}\": give each connector a distinct slot.name"
            ),
        ),
        "42710" => (
            ErrorKind::Config,
            "; when setting up multiple connectors for the same database host, please make sure to \
             use a distinct replication slot name for each."
                .to_owned(),
        ),
        "42704" => (
            ErrorKind::Fatal,
            format!(
                "; slot \"{slot}\" or publication \"{}\" is gone: recreate what is missing and take \
                 a new snapshot (delete the connector's offsets, or snapshot.mode=when_needed)",
                config.publication.name
            ),
        ),
        // It lets nobody in at present: it is restored, or a maintenance goes on.
        "55000" if error.severity == "FATAL" => (ErrorKind::Retriable, String::new()),
        "55000" if error.message.contains("wal_level") => (ErrorKind::Config, wal_level_remedy()),
        "55000" | "58P01" => (
            ErrorKind::Fatal,
            format!(
                "; slot \"{slot}\" can no longer serve the position: drop it with select \
                 pg_drop_replication_slot('{slot}'), and take a new snapshot (delete the \
                 connector's offsets, or snapshot.mode=when_needed)"
            ),
        ),
        code if code.starts_with("42") || code.starts_with("22") => {
            (ErrorKind::Fatal, String::new())
        }
        _ => (ErrorKind::Retriable, String::new()),
    };
    (kind, remedy)
}

/// What a failure means for a task that was connected before: a password that was changed, an entry of
/// pg_hba.conf, a database that is being restored or a role that is being replaced come back, and
/// then the task goes on by itself.
pub(super) fn at_reconnect(error: ConnectError) -> ConnectError {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<WireError>());
    let code = cause.and_then(WireError::code).unwrap_or_default();
    if !(code.starts_with("28") || code == "3D000" || code == "53400") {
        return error;
    }
    ConnectError::retriable("the server no longer lets the connector in; it is tried again")
        .because(error)
}

/// How logical decoding is switched on.
pub(super) fn wal_level_remedy() -> String {
    "; run alter system set wal_level = logical, and restart the server".to_owned()
}
