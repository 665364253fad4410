//! `docs/reference/` says what the tables of the code say. `UPDATE_EXPECT=1` writes it anew.

use expect_test::expect_file;

use ferroconnect::config::reference;
use ferroconnect::plugin::{PluginKind, Plugins};
use ferroconnect::runtime::connector_config::connector_config;
use ferroconnect::runtime::worker_config;

#[test]
fn the_workers_settings() {
    let text = format!(
        "# Settings of the worker\n\nIn a properties file, or in the environment: `group.id` as \
         `GROUP_ID`, `CONNECT_GROUP_ID` or `FERROCONNECT_GROUP_ID`. Generated from the code.\n\n{}",
        reference(&worker_config::definition())
    );
    expect_file!["../../docs/reference/worker.md"].assert_eq(&text);
}

#[test]
fn the_connectors_keys() {
    let plugins = Plugins::builtin();
    for plugin in plugins.iter() {
        let (kind, file) = match plugin.kind() {
            PluginKind::Source if plugin.class.starts_with("ferroconnect.") => {
                ("source", "scd2-sink.md")
            }
            PluginKind::Source => ("source", "postgres-source.md"),
            PluginKind::Sink => ("sink", "s3-sink.md"),
            _ => continue,
        };
        let text = format!(
            "# `{}`\n\n{} Generated from the code.\n\n## Keys of this {kind} \
             connector\n\n{}\n## Keys of every {kind} connector\n\n{}",
            plugin.class,
            if plugin.class.starts_with("ferroconnect.") {
                "Ours; the runtime runs it as a source, because it consumes no topic.".to_owned()
            } else {
                format!("Version {} of the original.", plugin.version)
            },
            reference(&(plugin.config_def)()),
            reference(connector_config(plugin.kind())),
        );
        let path = format!("{}/docs/reference/{file}", env!("CARGO_MANIFEST_DIR"));
        expect_file![path].assert_eq(&text);
    }
}

#[test]
fn converters_transforms_and_predicates() {
    let pages = [
        ("Converters", "converters.md", [PluginKind::Converter, PluginKind::HeaderConverter]),
        (
            "Transforms and predicates",
            "transforms.md",
            [PluginKind::Transformation, PluginKind::Predicate],
        ),
    ];
    for (title, file, kinds) in pages {
        let mut text = format!("# {title}\n\nGenerated from the code.\n");
        let plugins = Plugins::builtin();
        for plugin in plugins.iter().filter(|plugin| kinds.contains(&plugin.kind())) {
            text.push_str(&format!("\n## `{}`\n\n", plugin.class));
            let def = (plugin.config_def)();
            if def.keys().is_empty() {
                text.push_str("No keys.\n");
            } else {
                text.push_str(&reference(&def));
            }
        }
        let path = format!("{}/docs/reference/{file}", env!("CARGO_MANIFEST_DIR"));
        expect_file![path].assert_eq(&text);
    }
}
