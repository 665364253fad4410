//! `docker-compose.yml` and the example files, checked by reading: no machine without Docker can
//! start them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ferroconnect::config::Props;
use ferroconnect::runtime::worker_config::WorkerConfig;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: String,
    build: Option<String>,
    command: Option<String>,
    entrypoint: Option<Vec<String>>,
    depends_on: Option<serde_json::Value>,
    #[serde(default)]
    environment: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    healthcheck: Option<serde_json::Value>,
    restart: Option<String>,
}

/// The user's table of components: image and the ports to be reached on the machine, as
/// `published:container`. Our worker stands for `cp-kafka-connect` and `debezium/connect`.
const COMPONENTS: [(&str, &str, &[&str]); 7] = [
    ("postgres", "postgres:14", &["5432:5432"]),
    ("kafka", "confluentinc/cp-kafka:7.0.1", &["9092:9092"]),
    ("zookeeper", "confluentinc/cp-zookeeper:7.0.1", &["2181:2181"]),
    ("ferroconnect", "ferroconnect:latest", &["8083:8083"]),
    ("akhq", "tchiotludo/akhq:latest", &["8080:8080"]),
    ("pgadmin", "dpage/pgadmin4:latest", &["8082:80"]),
    ("minio", "minio/minio:latest", &["9000:9000", "9001:9001"]),
];

#[test]
fn compose_has_every_component_with_its_image_and_ports() {
    let compose = compose();
    for (name, image, ports) in COMPONENTS {
        let service = compose.services.get(name).unwrap_or_else(|| panic!("compose has no {name}"));
        assert_eq!(service.image, image, "{name}");
        assert_eq!(service.restart.as_deref(), Some("unless-stopped"), "{name}");
        let published: Vec<_> =
            service.ports.iter().map(|port| port.trim_start_matches("127.0.0.1:")).collect();
        assert_eq!(published, ports, "{name}");
    }
}

#[test]
fn compose_publishes_on_this_machine_only() {
    for (name, service) in compose().services {
        for port in service.ports {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
    }
}

#[test]
fn compose_refers_only_to_what_there_is() {
    let compose = compose();
    for (name, service) in &compose.services {
        for volume in &service.volumes {
            let source = volume.split(':').next().expect("a source");
            let known = if source.starts_with('.') {
                root().join(source).exists()
            } else {
                compose.volumes.contains_key(source)
            };
            assert!(known, "{name} mounts {source}, which is not there");
        }
        for needed in dependencies(service) {
            let service = compose.services.get(&needed.0);
            let service = service.unwrap_or_else(|| panic!("{name} depends on {}", needed.0));
            let waits_for_health = needed.1 == "service_healthy";
            assert!(
                !waits_for_health || service.healthcheck.is_some() || needed.0 == "ferroconnect",
                "{name} waits for the health of {}, which has no check",
                needed.0
            );
        }
        if let Some(context) = &service.build {
            assert!(root().join(context).join("Dockerfile").exists(), "{name} builds {context}");
        }
    }
}

/// Inside the network the names of services are host names.
#[test]
fn the_example_files_name_hosts_of_compose() {
    let compose = compose();
    let source = connector_file("postgres-source");
    assert!(compose.services.contains_key(&source["database.hostname"]));
    let database = &compose.services["postgres"];
    assert_eq!(published_from(database, &source["database.port"]), Some("5432"));

    let sink = connector_file("s3-sink");
    let makes_bucket = compose.services["minio-bucket"].entrypoint.iter().flatten();
    assert!(
        makes_bucket.into_iter().any(|word| word.contains(&sink["s3.bucket.name"])),
        "nothing makes the bucket {}",
        sink["s3.bucket.name"]
    );
}

/// The database is initialised with what the source's file names.
#[test]
fn the_database_is_made_as_the_source_file_names_it() {
    let source = connector_file("postgres-source");
    let sql = ["01-roles-and-databases.sql", "02-commerce.sql"]
        .map(|file| text(&format!("docker/postgres/{file}")))
        .join("\n");
    let tables = source["table.include.list"].split(',');
    let made = tables.map(|table| format!("create table if not exists {table} ")).chain([
        format!("create role {} login replication", source["database.user"]),
        format!("password '{}'", source["database.password"]),
        format!("create database {}", source["database.dbname"]),
        format!("create publication {}", source["publication.name"]),
    ]);
    for statement in made {
        assert!(sql.contains(&statement), "docker/postgres has no \"{statement}\"");
    }
    let server = compose().services["postgres"].command.clone().expect("a command");
    assert!(server.contains("wal_level=logical"));
}

#[test]
fn the_worker_reads_its_environment_in_compose() {
    let compose = compose();
    let environment: BTreeMap<String, String> = compose.services["ferroconnect"]
        .environment
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("a string").to_owned()))
        .collect();
    let known = [
        "BOOTSTRAP_SERVERS",
        "GROUP_ID",
        "FERROCONNECT_DATABASE_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ];
    assert!(environment.keys().map(String::as_str).eq(sorted(known)), "{environment:?}");

    let worker = WorkerConfig::from_sources(None, &environment).expect("the worker accepts it");
    assert_eq!(worker.bootstrap_servers, "kafka:29092");
    assert_eq!(worker.group_id, "ferroconnect");
    assert_eq!(worker.listeners.api.first().expect("a listener").port, 8083);

    let database = url::Url::parse(&environment["FERROCONNECT_DATABASE_URL"]).expect("a URL");
    assert_eq!(database.host_str(), Some("postgres"));
    let roles = text("docker/postgres/01-roles-and-databases.sql");
    assert!(roles.contains(&format!("create database {}", database.path().trim_matches('/'))));
    let password = database.password().expect("a password");
    assert!(
        roles.contains(&format!("create role {} login password '{password}'", database.username()))
    );

    let minio = &compose.services["minio"].environment;
    assert_eq!(minio["MINIO_ROOT_USER"], environment["AWS_ACCESS_KEY_ID"]);
    assert_eq!(minio["MINIO_ROOT_PASSWORD"], environment["AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn kafka_advertises_what_its_clients_reach() {
    let compose = compose();
    let kafka = &compose.services["kafka"].environment;
    let advertised = kafka["KAFKA_ADVERTISED_LISTENERS"].as_str().expect("a string");
    let worker = &compose.services["ferroconnect"].environment["BOOTSTRAP_SERVERS"];
    let inside = format!("INTERNAL://{}", worker.as_str().expect("a string"));
    assert_eq!(advertised, format!("{inside},HOST://localhost:9092"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(file: &str) -> String {
    let path: PathBuf = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compose() -> Compose {
    yaml_serde::from_str(&text("docker-compose.yml")).expect("compose can be read")
}

/// The configuration in `connectors/NAME.json`; the worker takes a number for its text, as the
/// original does.
fn connector_file(name: &str) -> Props {
    #[derive(Deserialize)]
    struct File {
        name: String,
        config: BTreeMap<String, serde_json::Value>,
    }
    let file: File = serde_json::from_str(&text(&format!("connectors/{name}.json")))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!file.name.is_empty(), "{name} has no name");
    let as_text = |value: serde_json::Value| {
        value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
    };
    file.config.into_iter().map(|(key, value)| (key, as_text(value))).collect()
}

/// The services that must be there first, with the condition.
fn dependencies(service: &Service) -> Vec<(String, String)> {
    let condition = |value: &serde_json::Value| {
        value["condition"].as_str().unwrap_or("service_started").to_owned()
    };
    match &service.depends_on {
        Some(serde_json::Value::Object(services)) => {
            services.iter().map(|(name, value)| (name.clone(), condition(value))).collect()
        }
        Some(serde_json::Value::Array(services)) => services
            .iter()
            .filter_map(|name| Some((name.as_str()?.to_owned(), "service_started".to_owned())))
            .collect(),
        _ => Vec::new(),
    }
}

/// The port on this machine behind which the container's `port` is.
fn published_from<'a>(service: &'a Service, port: &str) -> Option<&'a str> {
    service
        .ports
        .iter()
        .find_map(|published| published.strip_suffix(&format!(":{port}"))?.rsplit(':').next())
}

fn sorted<const N: usize>(mut names: [&str; N]) -> [&str; N] {
    names.sort_unstable();
    names
}
