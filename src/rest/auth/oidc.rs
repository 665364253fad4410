//! JSON web tokens of an OpenID Connect issuer (RFC 7519): its keys are fetched over bounded time and
//! size, kept, and fetched anew when a token names one that is not among them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use tokio::sync::Mutex;

use super::Known;
use crate::error::ConnectError;
use crate::runtime::security_config::OidcConfig;

/// How long keys count before they are fetched again.
const KEYS_FRESH: Duration = Duration::from_secs(10 * 60);
/// How long they are used while the issuer does not answer.
const KEYS_USABLE: Duration = Duration::from_secs(24 * 3600);
/// Between two attempts to fetch them: tokens of made-up keys must not make the worker call out.
const FETCH_INTERVAL: Duration = Duration::from_secs(30);
/// How long an answer of the issuer may take, and how long it may be.
const FETCH_MAX: Duration = Duration::from_secs(5);
const FETCH_BYTES_MAX: usize = 256 * 1024;
const KEYS_MAX: usize = 64;
/// Longer tokens are no tokens.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How far the clocks may differ.
const LEEWAY_S: u64 = 30;

/// Asymmetric ones: whoever can check a token must not be able to make one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Whose tokens are believed.
#[derive(Debug)]
pub(super) struct Issuer {
    config: OidcConfig,
    client: reqwest::Client,
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    set: Arc<Vec<Jwk>>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
}

impl Issuer {
    /// Nothing is fetched yet.
    ///
    /// # Errors
    /// When the issuer is no URL.
    pub(super) fn new(config: OidcConfig) -> Result<Self, ConnectError> {
        for (key, text) in
            [("issuer", Some(&config.issuer)), ("jwks.url", config.jwks_url.as_ref())]
        {
            let Some(text) = text else { continue };
            let url = url::Url::parse(text).ok();
            if !url.is_some_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host()) {
                return Err(ConnectError::config(format!(
                    "the setting rest.auth.oidc.{key} is wrong: \"{text}\" is no https URL"
                )));
            }
            if text.starts_with("http:") {
                tracing::warn!(
                    key,
                    "whoever can change what http carries can make tokens; use https"
                );
            }
        }
        let client = reqwest::Client::builder()
            .timeout(FETCH_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                ConnectError::fatal("the client for the token issuer cannot be made").because(error)
            })?;
        Ok(Self { config, client, keys: Mutex::default() })
    }

    /// Whose token this is, if the issuer made it for us and it is of this time.
    pub(super) async fn known(&self, token: &str) -> Option<Known> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let header = decode_header(token).ok()?;
        if !ALGORITHMS.contains(&header.alg) {
            return None;
        }
        let keys = self.keys(header.kid.as_deref()).await;
        let fitting = keys.iter().filter(|key| fits(key, header.kid.as_deref()));
        for key in fitting {
            match verified(token, key, header.alg, &self.config) {
                Ok(claims) => return self.named(&claims),
                Err(error) => tracing::debug!(%error, "a token was refused"),
            }
        }
        None
    }

    fn named(&self, claims: &Value) -> Option<Known> {
        let principal = claims.get(&self.config.principal_claim)?.as_str()?;
        let groups = match claims.get(&self.config.groups_claim) {
            Some(Value::Array(groups)) => {
                groups.iter().filter_map(|group| group.as_str().map(str::to_owned)).collect()
            }
            Some(Value::String(groups)) => groups.split_whitespace().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let fine = !principal.is_empty() && !principal.contains(char::is_control);
        fine.then(|| Known { principal: principal.to_owned(), groups })
    }

    /// The issuer's keys; fetched when they are old or `wanted` is not among them. One at a time
    /// fetches, the others wait for it.
    async fn keys(&self, wanted: Option<&str>) -> Arc<Vec<Jwk>> {
        let mut keys = self.keys.lock().await;
        let fresh = keys.fetched.is_some_and(|at| at.elapsed() < KEYS_FRESH);
        let there = keys.set.iter().any(|key| fits(key, wanted));
        let may_ask = keys.asked.is_none_or(|at| at.elapsed() >= FETCH_INTERVAL);
        if (fresh && there) || !may_ask {
            return usable(&keys);
        }
        keys.asked = Some(Instant::now());
        match self.fetch().await {
            Ok(set) => {
                keys.set = Arc::new(set);
                keys.fetched = Some(Instant::now());
            }
            Err(reason) => tracing::warn!(reason, "the token issuer's keys cannot be fetched"),
        }
        usable(&keys)
    }

    async fn fetch(&self) -> Result<Vec<Jwk>, String> {
        let url = match &self.config.jwks_url {
            Some(url) => url.clone(),
            None => {
                let issuer = self.config.issuer.trim_end_matches('/');
                let metadata = format!("{issuer}/.well-known/openid-configuration");
                let metadata: Value = self.get(&metadata).await?;
                if metadata["issuer"] != self.config.issuer.as_str() {
                    return Err("its metadata are of another issuer".to_owned());
                }
                let url = metadata["jwks_uri"].as_str();
                url.ok_or("its metadata name no keys")?.to_owned()
            }
        };
        let set: JwkSet = serde_json::from_value(self.get(&url).await?)
            .map_err(|_| "what it answers is no set of keys".to_owned())?;
        let mut keys = set.keys;
        keys.truncate(KEYS_MAX);
        Ok(keys)
    }

    /// Nothing of an answer is ever part of a text (CVE-2025-27817).
    async fn get(&self, url: &str) -> Result<Value, String> {
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let mut answer = self.client.get(url).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > FETCH_BYTES_MAX {
                return Err("its answer is too long".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|_| "its answer is no JSON".to_owned())
    }
}

fn usable(keys: &Keys) -> Arc<Vec<Jwk>> {
    match keys.fetched {
        Some(at) if at.elapsed() < KEYS_USABLE => Arc::clone(&keys.set),
        _ => Arc::default(),
    }
}

/// Whether a token that names `wanted` may be signed by `key`.
fn fits(key: &Jwk, wanted: Option<&str>) -> bool {
    let signs = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    signs && (wanted.is_none() || key.common.key_id.as_deref() == wanted)
}

fn verified(
    token: &str,
    key: &Jwk,
    algorithm: Algorithm,
    config: &OidcConfig,
) -> Result<Value, jsonwebtoken::errors::Error> {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&[&config.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_S;
    let key = DecodingKey::from_jwk(key)?;
    Ok(decode::<Value>(token, &key, &validation)?.claims)
}
