//! `/connector-plugins`.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::entity::PluginInfo;
use super::error::{ApiError, ErrorMessage};
use super::extract::{Entity, PluginName, Query};
use crate::plugin::PluginKind;
use crate::runtime::config_infos::{ConfigInfos, ConfigKeyInfo};
use crate::runtime::connector_config::CONNECTOR_CLASS;
use crate::runtime::validation::{self, SubmittedProps, ValidationError, ValidationScope};

/// All kinds, in the order of the listing.
const KINDS: [PluginKind; 6] = [
    PluginKind::Sink,
    PluginKind::Source,
    PluginKind::Transformation,
    PluginKind::Predicate,
    PluginKind::Converter,
    PluginKind::HeaderConverter,
];

/// Classes of the original that a worker knows and does not list: what reads secrets, what extends
/// the API, what allows client settings.
const UNLISTED: [&str; 8] = [
    "org.apache.kafka.common.config.provider.FileConfigProvider",
    "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
    "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
    "org.apache.kafka.connect.connector.policy.AllConnectorClientConfigOverridePolicy",
    "org.apache.kafka.connect.connector.policy.NoneConnectorClientConfigOverridePolicy",
    "org.apache.kafka.connect.connector.policy.PrincipalConnectorClientConfigOverridePolicy",
    "org.apache.kafka.connect.connector.policy.AllowlistConnectorClientConfigOverridePolicy",
];

/// The plugins of this worker.
#[utoipa::path(
    get, path = "/connector-plugins", tag = "plugins",
    params(("connectorsOnly" = Option<bool>, Query, description = "Leave out what is no connector; true when absent", example = false)),
    responses((status = 200, description = "By kind and class", body = Vec<PluginInfo>))
)]
pub(super) async fn list(State(api): State<Api>, query: Query) -> Json<Vec<PluginInfo>> {
    let connectors_only = query.flag("connectorsOnly", true);
    let kinds = KINDS.iter().take(if connectors_only { 2 } else { KINDS.len() });
    let plugins = api.herder.plugins();
    let mut infos = Vec::new();
    for kind in kinds {
        let of_kind = plugins.iter().filter(|plugin| plugin.kind() == *kind);
        let mut of_kind: Vec<_> = of_kind.map(|plugin| PluginInfo::from(&**plugin)).collect();
        of_kind.sort_by(|a, b| a.class.cmp(&b.class));
        infos.extend(of_kind);
    }
    Json(infos)
}

/// The configuration keys of a plugin; of a connector with those that every connector has.
#[utoipa::path(
    get, path = "/connector-plugins/{plugin}/config", tag = "plugins",
    params(("plugin" = String, Path, description = "The class or an alias", example = "S3SinkConnector")),
    responses(
        (status = 200, description = "The keys", body = Vec<ConfigKeyInfo>),
        (status = 400, description = "The class is of a kind that is not listed", body = ErrorMessage),
        (status = 404, description = "There is no such plugin", body = ErrorMessage),
    )
)]
pub(super) async fn config(
    State(api): State<Api>,
    PluginName(name): PluginName,
) -> Result<Json<Vec<ConfigKeyInfo>>, ApiError> {
    let plugins = api.herder.plugins();
    let found = KINDS.iter().find_map(|kind| plugins.find(&[*kind], &name));
    let plugin = found.ok_or_else(|| unlisted(&name))?;
    let keys = validation::plugin_keys(plugin);
    Ok(Json(keys.keys().iter().map(ConfigKeyInfo::of).collect()))
}

fn unlisted(name: &str) -> ApiError {
    let is = |class: &&str| *class == name || class.ends_with(&format!(".{name}"));
    if !UNLISTED.iter().any(is) {
        return ApiError::not_found(format!("Unknown plugin {name}."));
    }
    let kinds: [&str; 6] =
        ["sink", "source", "converter", "header_converter", "transformation", "predicate"];
    ApiError::bad_request(format!(
        "Invalid plugin class {name}. Valid types are {}.",
        kinds.join(", ")
    ))
}

/// What a connector would be told about a configuration. Creates nothing.
#[utoipa::path(
    put, path = "/connector-plugins/{plugin}/config/validate", tag = "plugins",
    params(("plugin" = String, Path, description = "The class or an alias", example = "S3SinkConnector")),
    request_body(content = BTreeMap<String, Option<String>>, description = "The configuration", example = json!({"connector.class": "S3SinkConnector", "name": "s3-sink", "topics": "t", "s3.bucket.name": "b", "flush.size": "1000", "storage.class": "io.confluent.connect.s3.storage.S3Storage", "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat"})),
    responses(
        (status = 200, description = "Every key with its value and its errors", body = ConfigInfos),
        (status = 400, description = "The configuration is for another plugin", body = ErrorMessage),
        (status = 413, description = "The body is too long", body = ErrorMessage),
    )
)]
pub(super) async fn validate(
    State(api): State<Api>,
    PluginName(name): PluginName,
    Entity(config): Entity<SubmittedProps>,
) -> Result<Json<ConfigInfos>, ApiError> {
    let config = config
        .ok_or_else(|| ApiError::null_body("java.util.Map.get(Object)", "connectorConfig"))?;
    if let Some(Some(class)) = config.get(CONNECTOR_CLASS)
        && !is_of_type(class, &name)
    {
        return Err(ApiError::bad_request(format!(
            "Included connector type {class} does not match request type {name}"
        )));
    }
    let scope = ValidationScope::of(api.herder.plugins(), api.herder.config());
    let infos = validation::validate(&scope, &config).await;
    infos.map(Json).map_err(|error: ValidationError| ApiError::failed_validation(&error))
}

/// Whether the class of the body suits the type of the path: with one trailing `Connector` taken off
/// both, one ends with the other.
fn is_of_type(class: &str, name: &str) -> bool {
    let normal = |text: &str| match text.strip_suffix("Connector") {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => text.to_owned(),
    };
    normal(class).ends_with(&normal(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_suits_the_body() {
        for (class, name, suits) in [
            ("org.x.FileStreamSourceConnector", "FileStreamSource", true),
            ("FileStreamSource", "FileStreamSourceConnector", true),
            ("FileStreamSource", "Source", true),
            ("FileStreamSource", "Sink", false),
            ("FileStreamSource", "org.x.FileStreamSourceConnector", false),
            ("", "FileStreamSource", false),
            ("Connector", "Connector", true),
        ] {
            assert_eq!(is_of_type(class, name), suits, "{class} {name}");
        }
    }
}
