//! Who may do what: roles, for everything or for connectors whose names start with a prefix.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::runtime::herder::HerderError;

/// What somebody may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Pause, resume, stop and restart.
    Operator,
    /// Create, change and delete connectors and their offsets.
    Editor,
    /// Change the worker: the levels of its loggers; see what was changed everywhere.
    Admin,
}

impl Role {
    /// The name in settings and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Editor, Self::Admin]
            .into_iter()
            .find(|role| role.name().eq_ignore_ascii_case(text))
    }
}

/// A role for connectors whose names start with `prefix`; an empty one is everything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    role: Role,
    prefix: String,
}

/// Who somebody is and what they may do.
#[derive(Debug, Clone)]
pub struct Access {
    principal: Arc<str>,
    grants: Arc<[Grant]>,
}

impl Access {
    /// Somebody who may do everything.
    pub fn everything(principal: &str) -> Self {
        let all = Grant { role: Role::Admin, prefix: String::new() };
        Self { principal: principal.into(), grants: Arc::new([all]) }
    }

    /// The name that the audit log shows.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Whether this is allowed for the connector `name`, or without one for some connector at least.
    pub fn allows(&self, role: Role, name: Option<&str>) -> bool {
        self.grants.iter().any(|grant| {
            grant.role >= role && name.is_none_or(|name| name.starts_with(&grant.prefix))
        })
    }

    /// Whether this is allowed for every connector, and for the worker.
    pub fn allows_everywhere(&self, role: Role) -> bool {
        self.grants.iter().any(|grant| grant.role >= role && grant.prefix.is_empty())
    }

    /// Why it is not.
    pub fn refusal(&self, role: Role, name: Option<&str>) -> HerderError {
        let of = name.map(|name| format!(" of connector {name}")).unwrap_or_default();
        let article = if matches!(role, Role::Viewer) { "a" } else { "an" };
        HerderError::Forbidden(format!(
            "{} is not allowed to do this: it takes {article} {}{of}",
            self.principal,
            role.name()
        ))
    }
}

/// `rest.auth.roles`: who has which role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// `None`: everybody who is known may do everything, as in the original.
    given: Option<Vec<(Subject, Grant)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Anybody,
    Principal(String),
    Group(String),
}

impl Roles {
    /// Whether somebody was given a role.
    pub fn are_given(&self) -> bool {
        self.given.is_some()
    }

    /// What `principal`, a member of `groups`, may do.
    pub fn access(&self, principal: &str, groups: &[String]) -> Access {
        let Some(given) = &self.given else { return Access::everything(principal) };
        let is = |subject: &Subject| match subject {
            Subject::Anybody => true,
            Subject::Principal(name) => name == principal,
            Subject::Group(group) => groups.contains(group),
        };
        let grants = given.iter().filter(|(subject, _)| is(subject));
        let grants = grants.map(|(_, grant)| grant.clone()).collect();
        Access { principal: principal.into(), grants }
    }
}

impl FromStr for Roles {
    type Err = String;

    /// `WHO=ROLE[:PREFIX]`, comma-separated; WHO is a principal, `group:NAME` or `*`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut given = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let read = || {
                let (who, what) = entry.rsplit_once('=')?;
                let (role, prefix) = what.split_once(':').unwrap_or((what, ""));
                let subject = match who.trim() {
                    "" => return None,
                    "*" => Subject::Anybody,
                    who => match who.strip_prefix("group:") {
                        Some(group) => Subject::Group(group.to_owned()),
                        None => Subject::Principal(who.to_owned()),
                    },
                };
                let role = Role::parse(role.trim())?;
                Some((subject, Grant { role, prefix: prefix.trim().to_owned() }))
            };
            given.push(read().ok_or_else(|| {
                format!(
                    "cannot read \"{entry}\"; write PRINCIPAL=ROLE, group:NAME=ROLE or *=ROLE, where \
                     ROLE is viewer, operator, editor or admin, for some connectors only ROLE:PREFIX"
                )
            })?);
        }
        Ok(Self { given: (!given.is_empty()).then_some(given) })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_hold_for_what_they_were_given_for() {
        let roles: Roles =
            "alice=admin, ci=editor:orders-, ci=viewer, group:sre=operator, *=viewer:pub-"
                .parse()
                .unwrap();
        let sre = ["sre".to_owned()];
        for (who, groups, role, name, expected) in [
            ("alice", &[][..], Role::Admin, Some("x"), true),
            ("ci", &[], Role::Editor, Some("orders-1"), true),
            ("ci", &[], Role::Editor, Some("order"), false),
            ("ci", &[], Role::Editor, None, true),
            ("ci", &[], Role::Viewer, Some("x"), true),
            ("bob", &[], Role::Viewer, Some("pub-1"), true),
            ("bob", &[], Role::Viewer, Some("x"), false),
            ("bob", &[], Role::Operator, Some("pub-1"), false),
            ("bob", &sre, Role::Operator, Some("x"), true),
            ("bob", &sre, Role::Editor, Some("x"), false),
            ("Alice", &[], Role::Admin, Some("x"), false),
        ] {
            let access = roles.access(who, groups);
            assert_eq!(access.allows(role, name), expected, "{who} {role} {name:?}");
        }
        assert!(roles.access("alice", &[]).allows_everywhere(Role::Admin));
        assert!(!roles.access("ci", &[]).allows_everywhere(Role::Editor));
    }

    #[test]
    fn without_roles_everybody_who_is_known_may_do_everything() {
        let roles: Roles = " , ".parse().unwrap();
        assert!(!roles.are_given());
        assert!(roles.access("x", &[]).allows_everywhere(Role::Admin));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for wrong in ["alice", "alice=king", "=admin", "alice="] {
            let error = wrong.parse::<Roles>().unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
