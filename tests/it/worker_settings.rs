//! A worker that is started as the original's images and scripts are documented to be started has
//! the settings that they would have.

use std::collections::BTreeMap;
use std::process::Command;

use ferroconnect::config::parse_properties;
use ferroconnect::runtime::worker_settings::{Origin, WorkerSettings};

/// The settings that somebody set, with their values.
fn settings(file: Option<&str>, environment: &[(&str, &str)]) -> BTreeMap<String, String> {
    let file = file.map(|text| parse_properties(text).unwrap());
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings =
        WorkerSettings::gather(Some("worker.properties").zip(file.as_ref()), &environment);
    let unknown = settings.unknown();
    assert!(unknown.is_empty(), "what an image is documented to take: {unknown:?}");
    let set = settings.effective().into_iter().filter(|shown| shown.origin != Origin::Default);
    set.map(|shown| (shown.name, shown.value)).collect()
}

#[track_caller]
fn are(found: BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(found, expected);
}

/// The service `connect` of Debezium's tutorial compose files.
#[test]
fn the_compose_file_of_debezium_connect() {
    let found = settings(
        None,
        &[
            ("PATH", "/usr/bin"),
            ("BOOTSTRAP_SERVERS", "kafka:9092"),
            ("GROUP_ID", "1"),
            ("CONFIG_STORAGE_TOPIC", "my_connect_configs"),
            ("OFFSET_STORAGE_TOPIC", "my_connect_offsets"),
            ("STATUS_STORAGE_TOPIC", "my_connect_statuses"),
            ("CONNECT_KEY_CONVERTER_SCHEMA_REGISTRY_URL", "http://schema-registry:8081"),
            ("KEY_CONVERTER", "io.confluent.connect.avro.AvroConverter"),
            ("VALUE_CONVERTER", "io.confluent.connect.avro.AvroConverter"),
            ("CONNECT_VALUE_CONVERTER_SCHEMA_REGISTRY_URL", "http://schema-registry:8081"),
            ("OFFSET_FLUSH_INTERVAL_MS", "10000"),
            ("SHUTDOWN_TIMEOUT", "10000"),
            ("ADVERTISED_HOST_NAME", "connect"),
            ("LOG_LEVEL", "INFO"),
            ("HEAP_OPTS", "-Xmx1g"),
        ],
    );
    are(
        found,
        &[
            ("bootstrap.servers", "kafka:9092"),
            ("config.storage.topic", "my_connect_configs"),
            ("group.id", "1"),
            ("key.converter", "io.confluent.connect.avro.AvroConverter"),
            ("key.converter.schema.registry.url", "http://schema-registry:8081"),
            ("offset.flush.interval.ms", "10000"),
            ("offset.storage.topic", "my_connect_offsets"),
            ("rest.advertised.host.name", "connect"),
            ("status.storage.topic", "my_connect_statuses"),
            ("task.shutdown.graceful.timeout.ms", "10000"),
            ("value.converter", "io.confluent.connect.avro.AvroConverter"),
            ("value.converter.schema.registry.url", "http://schema-registry:8081"),
        ],
    );
}

/// The service `connect` of Confluent's all-in-one compose files.
#[test]
fn the_compose_file_of_cp_kafka_connect() {
    let found = settings(
        None,
        &[
            ("CONNECT_BOOTSTRAP_SERVERS", "broker:29092"),
            ("CONNECT_REST_ADVERTISED_HOST_NAME", "connect"),
            ("CONNECT_GROUP_ID", "compose-connect-group"),
            ("CONNECT_CONFIG_STORAGE_TOPIC", "docker-connect-configs"),
            ("CONNECT_CONFIG_STORAGE_REPLICATION_FACTOR", "1"),
            ("CONNECT_OFFSET_FLUSH_INTERVAL_MS", "10000"),
            ("CONNECT_OFFSET_STORAGE_TOPIC", "docker-connect-offsets"),
            ("CONNECT_OFFSET_STORAGE_REPLICATION_FACTOR", "1"),
            ("CONNECT_STATUS_STORAGE_TOPIC", "docker-connect-status"),
            ("CONNECT_STATUS_STORAGE_REPLICATION_FACTOR", "1"),
            ("CONNECT_KEY_CONVERTER", "org.apache.kafka.connect.storage.StringConverter"),
            ("CONNECT_VALUE_CONVERTER", "io.confluent.connect.avro.AvroConverter"),
            ("CONNECT_VALUE_CONVERTER_SCHEMA_REGISTRY_URL", "http://schema-registry:8081"),
            ("CLASSPATH", "/usr/share/java/monitoring-interceptors/monitoring-interceptors.jar"),
            (
                "CONNECT_PRODUCER_INTERCEPTOR_CLASSES",
                "io.confluent.monitoring.clients.interceptor.MonitoringProducerInterceptor",
            ),
            ("CONNECT_PLUGIN_PATH", "/usr/share/java,/usr/share/confluent-hub-components"),
            ("CONNECT_LOG4J_LOGGERS", "org.apache.zookeeper=ERROR,org.I0Itec.zkclient=ERROR"),
            ("CONNECT_LOG4J_ROOT_LOGLEVEL", "INFO"),
            ("CONNECT_INTERNAL_KEY_CONVERTER", "org.apache.kafka.connect.json.JsonConverter"),
            ("CONNECT_CUB_KAFKA_TIMEOUT", "300"),
            ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ],
    );
    are(
        found,
        &[
            ("bootstrap.servers", "broker:29092"),
            ("config.storage.replication.factor", "1"),
            ("config.storage.topic", "docker-connect-configs"),
            ("group.id", "compose-connect-group"),
            ("internal.key.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("offset.flush.interval.ms", "10000"),
            ("offset.storage.replication.factor", "1"),
            ("offset.storage.topic", "docker-connect-offsets"),
            ("plugin.path", "/usr/share/java,/usr/share/confluent-hub-components"),
            (
                "producer.interceptor.classes",
                "io.confluent.monitoring.clients.interceptor.MonitoringProducerInterceptor",
            ),
            ("rest.advertised.host.name", "connect"),
            ("status.storage.replication.factor", "1"),
            ("status.storage.topic", "docker-connect-status"),
            ("value.converter", "io.confluent.connect.avro.AvroConverter"),
            ("value.converter.schema.registry.url", "http://schema-registry:8081"),
        ],
    );
}

/// Every setting of the files that Apache Kafka ships, comments taken off.
#[test]
fn the_properties_files_of_apache_kafka() {
    let distributed = "bootstrap.servers=localhost:9092\ngroup.id=connect-cluster\n\
        key.converter=org.apache.kafka.connect.json.JsonConverter\n\
        value.converter=org.apache.kafka.connect.json.JsonConverter\n\
        key.converter.schemas.enable=true\nvalue.converter.schemas.enable=true\n\
        offset.storage.topic=connect-offsets\noffset.storage.replication.factor=1\n\
        offset.storage.partitions=25\nconfig.storage.topic=connect-configs\n\
        config.storage.replication.factor=1\nstatus.storage.topic=connect-status\n\
        status.storage.replication.factor=1\nstatus.storage.partitions=5\n\
        offset.flush.interval.ms=10000\nlisteners=HTTP://:8083\n\
        rest.advertised.host.name=h\nrest.advertised.port=1\nrest.advertised.listener=http\n\
        plugin.path=/usr/local/share/java,/usr/local/share/kafka/plugins\n";
    assert_eq!(settings(Some(distributed), &[]).len(), distributed.lines().count());
    let standalone = "bootstrap.servers=localhost:9092\n\
        key.converter=org.apache.kafka.connect.json.JsonConverter\n\
        value.converter=org.apache.kafka.connect.json.JsonConverter\n\
        key.converter.schemas.enable=true\nvalue.converter.schemas.enable=true\n\
        offset.storage.file.filename=/tmp/connect.offsets\noffset.flush.interval.ms=10000\n\
        plugin.path=/usr/local/share/java\n";
    assert_eq!(settings(Some(standalone), &[]).len(), standalone.lines().count());
}

fn binary(arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ferroconnect"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        // Where the linked libraries are.
        .envs(std::env::vars_os().filter(|(name, _)| name == "LD_LIBRARY_PATH"))
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn print_config_shows_what_holds_and_why() {
    let file = std::env::temp_dir().join(format!("{}.properties", crate::support::unique("w")));
    std::fs::write(&file, "group.id=file\ngrup.id=x\nsasl.jaas.config=hunter2\n").unwrap();
    let path = file.to_string_lossy();
    let database = ("DATABASE_URL", "postgres://u:hunter2@h/d");
    let variables = [database, ("CONNECT_BOOTSTRAP_SERVERS", "b:1"), ("CONNECT_PLUGIN_PATH", "/p")];
    let (fine, shown, warnings) = binary(&["worker", &path, "--print-config"], &variables);
    assert!(fine, "{warnings}");
    let line = |name: &str| -> Vec<&str> {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} is not in\n{shown}")).split_whitespace().collect()
    };
    assert_eq!(line("group.id"), ["group.id", "file", &*path]);
    assert_eq!(
        line("bootstrap.servers"),
        ["bootstrap.servers", "b:1", "$CONNECT_BOOTSTRAP_SERVERS"]
    );
    assert_eq!(line("rest.port"), ["rest.port", "8083", "default"]);
    assert_eq!(line("state.database.url"), ["state.database.url", "[hidden]", "$DATABASE_URL"]);
    assert!(line("plugin.path").contains(&"(no"), "{shown}");
    assert!(warnings.contains("nobody reads the setting grup.id"), "{warnings}");
    assert!(warnings.contains("did you mean group.id?"), "{warnings}");
    assert!(!format!("{shown}{warnings}").contains("hunter2"));

    let wrong = [database, ("CONNECT_REST_PORT", "none")];
    let (fine, shown, errors) = binary(&["worker", "--print-config"], &wrong);
    assert!(!fine && shown.contains("rest.port") && errors.contains("rest.port"), "{errors}");
    std::fs::remove_file(file).unwrap();
}
