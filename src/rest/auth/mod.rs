//! Who asks, and whether they may: basic authentication, bearer tokens, JSON web tokens and
//! certificates, before a handler runs.
//!
//! Which role an operation takes is [`needed`]'s table alone; that a role is one for a connector of
//! this name is checked here for names in the path, and by `runtime::audit` for those in a body.

mod basic;
mod digest;
mod jaas;
mod oidc;
mod tokens;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, MatchedPath, Path, Request, State};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::error::ApiError;
use super::limits::{Limits, Refill};
use super::listen::Peer;
use crate::error::ConnectError;
use crate::runtime::access::{Access, Role};
use crate::runtime::audit::{Actor, Changes};
use crate::runtime::herder::HerderError;
use crate::runtime::security_config::{BasicConfig, SecurityConfig};
use basic::Users;
use oidc::Issuer;
use tokens::Tokens;

/// Wrong credentials of one address a minute: guessing passwords takes for ever.
const FAILURES_A_MINUTE: u32 = 30;

/// What knows who somebody is.
#[derive(Debug)]
pub(super) struct Gate {
    security: SecurityConfig,
    users: Option<Users>,
    tokens: Option<Tokens>,
    issuer: Option<Issuer>,
    failures: Limits,
    requests: Option<Limits>,
}

/// Somebody who is known, and the groups that they are in.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    principal: String,
    groups: Vec<String>,
}

impl Known {
    fn new(principal: impl Into<String>) -> Self {
        Self { principal: principal.into(), groups: Vec::new() }
    }
}

impl Gate {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// What cannot be read, with the setting that names it.
    pub(super) fn of(security: &SecurityConfig) -> Result<Self, ConnectError> {
        let users = match &security.basic {
            None => None,
            Some(BasicConfig::Users(file)) => Some(Users::read("rest.auth.basic.file", file)?),
            Some(BasicConfig::LoginConfig(file)) => Some(jaas::users(file)?),
        };
        let tokens = security.tokens_file.as_deref().map(Tokens::read).transpose()?;
        let issuer = security.oidc.clone().map(Issuer::new).transpose()?;
        let requests = match security.requests_per_second {
            0 => None,
            most => Some(Limits::new(Refill::per_second(most))),
        };
        let failures = Limits::new(Refill::per_minute(FAILURES_A_MINUTE));
        Ok(Self { security: security.clone(), users, tokens, issuer, failures, requests })
    }

    async fn known(&self, request: &Parts, peer: Option<&Peer>) -> Option<Known> {
        let authorization = request.headers.get(AUTHORIZATION).and_then(|text| text.to_str().ok());
        if let Some((scheme, credentials)) = authorization.and_then(|text| text.split_once(' ')) {
            let credentials = credentials.trim();
            return match scheme.to_ascii_lowercase().as_str() {
                "basic" => self.users.as_ref()?.known(credentials).map(Known::new),
                "bearer" => self.bearer(credentials).await,
                _ => None,
            };
        }
        let certificate = peer.and_then(|peer| peer.certificate.as_deref());
        certificate.map(Known::new)
    }

    async fn bearer(&self, token: &str) -> Option<Known> {
        if let Some(name) = self.tokens.as_ref().and_then(|tokens| tokens.known(token)) {
            return Some(Known::new(name));
        }
        self.issuer.as_ref()?.known(token).await
    }
}

/// Lets through who may, with [`Access`] and address as the request's [`Actor`].
pub(super) async fn guard(
    State(gate): State<Arc<Gate>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    // It says which methods there are, and browsers ask without credentials before they ask with.
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().cloned();
    let address = peer.as_ref().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.address);
    let access = match admitted(&gate, &parts, peer.as_ref(), address).await {
        Ok(access) => access,
        Err(refusal) => return refusal.into_response(),
    };
    let names = parts.extract::<Path<HashMap<String, String>>>().await;
    let names = names.map(|Path(names)| names).unwrap_or_default();
    let connector = names.get("connector").map(String::as_str);
    if let Err(refusal) = allowed(&access, &parts.method, path.as_str(), connector) {
        return ApiError::from(refusal).into_response();
    }
    parts.extensions.insert(Actor { access, address: Some(address) });
    next.run(Request::from_parts(parts, body)).await
}

async fn admitted(
    gate: &Gate,
    request: &Parts,
    peer: Option<&Peer>,
    address: IpAddr,
) -> Result<Access, ApiError> {
    let address = address.to_string();
    let access = if gate.security.authenticates() {
        if let Err(seconds) = gate.failures.room(&address) {
            return Err(ApiError::too_many_requests(seconds));
        }
        let Some(Known { principal, groups }) = gate.known(request, peer).await else {
            // An address that only lacks credentials has not guessed any.
            if request.headers.contains_key(AUTHORIZATION) {
                let _ = gate.failures.take(&address);
                tracing::warn!(address, "credentials were refused");
            }
            return Err(ApiError::unauthorized());
        };
        gate.security.roles.access(&principal, &groups)
    } else {
        let certificate = peer.and_then(|peer| peer.certificate.as_deref());
        Access::everything(certificate.unwrap_or("anonymous"))
    };
    if let Some(requests) = &gate.requests {
        let who = format!("{} {address}", access.principal());
        requests.take(&who).map_err(ApiError::too_many_requests)?;
    }
    Ok(access)
}

/// Where a role has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// For the connector in the path; where there is none, for some connector.
    Connector,
    /// For all of them.
    Everywhere,
}

/// Which role an operation takes.
pub(super) fn needed(method: &Method, path: &str) -> (Role, Reach) {
    use Reach::{Connector, Everywhere};
    let looks = matches!(*method, Method::GET | Method::HEAD);
    match path {
        "/metrics" => (Role::Viewer, Everywhere),
        "/ferroconnect/audit" => (Role::Admin, Everywhere),
        _ if looks => (Role::Viewer, Connector),
        "/admin/loggers/{logger}" => (Role::Admin, Everywhere),
        "/connectors/{connector}/pause"
        | "/connectors/{connector}/resume"
        | "/connectors/{connector}/stop"
        | "/connectors/{connector}/restart"
        | "/connectors/{connector}/tasks/{task}/restart" => (Role::Operator, Connector),
        _ => (Role::Editor, Connector),
    }
}

fn allowed(
    access: &Access,
    method: &Method,
    path: &str,
    connector: Option<&str>,
) -> Result<(), HerderError> {
    let (role, reach) = needed(method, path);
    let fine = match reach {
        Reach::Connector => access.allows(role, connector),
        Reach::Everywhere => access.allows_everywhere(role),
    };
    if fine { Ok(()) } else { Err(access.refusal(role, connector)) }
}

/// What the one who asks may see.
#[derive(Debug)]
pub(super) struct Seen(pub(super) Access);

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(actor(parts).access))
    }
}

impl FromRequestParts<Api> for Changes {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        Ok(api.herder.changes(actor(parts)))
    }
}

fn actor(parts: &Parts) -> Actor {
    let actor = parts.extensions.get::<Actor>().cloned();
    actor.expect("every route is behind the guard")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_takes_its_role() {
        for (method, path, role, reach) in [
            ("GET", "/", Role::Viewer, Reach::Connector),
            ("GET", "/connectors", Role::Viewer, Reach::Connector),
            ("HEAD", "/connectors/{connector}", Role::Viewer, Reach::Connector),
            ("POST", "/connectors", Role::Editor, Reach::Connector),
            ("DELETE", "/connectors/{connector}", Role::Editor, Reach::Connector),
            ("PUT", "/connectors/{connector}/config", Role::Editor, Reach::Connector),
            ("PUT", "/connectors/{connector}/pause", Role::Operator, Reach::Connector),
            ("PUT", "/connectors/{connector}/topics/reset", Role::Editor, Reach::Connector),
            ("PUT", "/connector-plugins/{plugin}/config/validate", Role::Editor, Reach::Connector),
            ("GET", "/admin/loggers", Role::Viewer, Reach::Connector),
            ("PUT", "/admin/loggers/{logger}", Role::Admin, Reach::Everywhere),
            ("GET", "/ferroconnect/audit", Role::Admin, Reach::Everywhere),
            ("GET", "/metrics", Role::Viewer, Reach::Everywhere),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(needed(&method, path), (role, reach), "{method} {path}");
        }
    }
}
