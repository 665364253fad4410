//! What the worker gives to sinks whose configuration does not say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{MemoryBudget, Secret};

/// The worker's own S3 settings, as the AWS SDKs read them from the environment, and the defaults of
/// our sink settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkDefaults {
    /// `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`.
    pub endpoint_url: Option<String>,
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<Secret>,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<Secret>,
    /// Where else credentials may come from.
    pub aws: AwsEnvironment,
    /// `s3.rotate.idle.interval.ms`; `None` is the built-in default.
    pub rotate_idle_interval_ms: Option<i64>,
    /// `s3.buffer.memory`: what all open files of the worker may hold.
    pub memory: Arc<MemoryBudget>,
}

/// The worker's environment as far as the AWS SDKs look for credentials in it: `AWS_*`, and the home
/// folder. Its values are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AwsEnvironment {
    pub variables: BTreeMap<String, String>,
    /// `HOME`
    pub home: Option<String>,
}

impl AwsEnvironment {
    /// What of `environment` matters.
    pub fn of(environment: &BTreeMap<String, String>) -> Self {
        let ours = environment.iter().filter(|(name, _)| name.starts_with("AWS_"));
        Self {
            variables: ours.map(|(name, value)| (name.clone(), value.clone())).collect(),
            home: environment.get("HOME").cloned(),
        }
    }
}

impl fmt::Debug for AwsEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
