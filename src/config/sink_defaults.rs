//! What the worker gives to sinks whose configuration does not say.

use super::Secret;

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
    /// `s3.rotate.idle.interval.ms`; `None` is the built-in default.
    pub rotate_idle_interval_ms: Option<i64>,
}
