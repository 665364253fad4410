//! The whole pipeline of one test: a captured database, a state database, a bucket, a worker's
//! settings, and the objects that come out.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;
use serde_json::{Value, json};

use super::{TestDatabase, WorkerOptions, WorkerProcess, services, unique};

/// Names of its own for everything, so that tests run side by side.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub source: TestDatabase,
    state: TestDatabase,
    pub bucket: String,
    /// The topic prefix; also the name of slot, publication and connectors.
    pub prefix: String,
    pub options: WorkerOptions,
}

/// A Parquet object of the sink.
#[derive(Debug)]
pub(crate) struct Object {
    pub topic: String,
    pub partition: i32,
    /// From its name.
    pub start_offset: i64,
    /// From its metadata.
    pub last_offset: i64,
    pub rows: Vec<Row>,
}

impl Pipeline {
    /// Makes the databases and the bucket.
    pub(crate) async fn create() -> Self {
        let (source, state) = (TestDatabase::create().await, TestDatabase::create().await);
        let prefix = unique("p");
        let (host, port) = services().postgres_address();
        let options = WorkerOptions {
            state_url: state.url.clone(),
            group_id: prefix.clone(),
            resolve: format!("postgres:5432={host}:{port}"),
            environment: vec![(
                "FERROCONNECT_S3_ROTATE_IDLE_INTERVAL_MS".to_owned(),
                "500".to_owned(),
            )],
            failpoints: None,
        };
        Self { source, state, bucket: services().bucket(), prefix, options }
    }

    /// Takes the state database away, or gives it back.
    pub(crate) async fn allow_state(&self, allow: bool) {
        allow_connections(&self.source, &self.state, allow).await;
    }

    /// Takes the captured database away, or gives it back.
    pub(crate) async fn allow_source(&self, allow: bool) {
        allow_connections(&self.state, &self.source, allow).await;
    }

    /// The state database.
    pub(crate) fn state(&self) -> &TestDatabase {
        &self.state
    }

    /// The example source file with this test's names.
    pub(crate) fn source_file(&self, tables: &str) -> Value {
        let user = url::Url::parse(&services().postgres).expect("a URL");
        let mut file = example("postgres-source.json");
        file["name"] = json!(format!("{}-source", self.prefix));
        let config = &mut file["config"];
        config["database.user"] = json!(user.username());
        config["database.password"] = json!(user.password().unwrap_or("unused"));
        config["database.dbname"] = json!(self.source.name);
        config["table.include.list"] = json!(tables);
        config["publication.name"] = json!(self.prefix);
        config["slot.name"] = json!(self.prefix);
        config["topic.prefix"] = json!(self.prefix);
        file
    }

    /// The example sink file with this test's names.
    pub(crate) fn sink_file(&self, topics: &str) -> Value {
        let mut file = example("s3-sink.json");
        file["name"] = json!(format!("{}-sink", self.prefix));
        file["config"]["topics"] = json!(topics);
        file["config"]["s3.bucket.name"] = json!(self.bucket);
        file
    }

    /// Posts a connector file as `curl` would; it must be accepted.
    pub(crate) async fn post(&self, worker: &WorkerProcess, file: &Value) {
        let (status, body) = self.try_post(worker, file).await;
        assert_eq!(status, 201, "{body}");
    }

    /// Posts a connector file and returns status and body.
    pub(crate) async fn try_post(&self, worker: &WorkerProcess, file: &Value) -> (u16, String) {
        let url = format!("{}/connectors", worker.url);
        let request = reqwest::Client::new().post(url).json(file);
        let response = request.send().await.expect("the worker answers");
        (response.status().as_u16(), response.text().await.unwrap_or_default())
    }

    /// The bucket's Parquet objects, in order of topic, partition and offset.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let mut objects: Vec<_> = files_under(services().s3_dir.join(&self.bucket))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
            .map(|path| read_object(&path))
            .collect();
        objects.sort_by_key(|object| (object.topic.clone(), object.partition, object.start_offset));
        objects
    }

    /// Asserts that in every partition the objects' offsets follow each other without gap and
    /// without overlap, each with as many rows as offsets; returns the next offset per partition.
    pub(crate) fn assert_each_offset_once(
        &self,
        objects: &[Object],
    ) -> BTreeMap<(String, i32), i64> {
        let mut next: BTreeMap<(String, i32), i64> = BTreeMap::new();
        for object in objects {
            let expected = next.entry((object.topic.clone(), object.partition)).or_insert(0);
            assert_eq!(object.start_offset, *expected, "gap or overlap before {object:.0?}");
            let rows = i64::try_from(object.rows.len()).expect("a small file");
            assert_eq!(object.start_offset + rows - 1, object.last_offset, "{}", object.topic);
            *expected = object.last_offset + 1;
        }
        next
    }
}

/// Lets nobody connect to `database` and cuts off who did, or lets everybody; asked through `other`.
async fn allow_connections(other: &TestDatabase, database: &TestDatabase, allow: bool) {
    let admin = other.connect().await;
    let name = &database.name;
    let alter = format!("alter database {name} with allow_connections {allow}");
    admin.batch_execute(&alter).await.expect("a superuser may");
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    if !allow {
        admin.execute(terminate, &[name]).await.expect("a superuser may");
    }
}

/// GET as JSON; the error is what was seen instead.
pub(crate) async fn get(url: &str) -> Result<Value, String> {
    let response = reqwest::get(url).await.map_err(|error| error.to_string())?;
    let text = response.text().await.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|_| text)
}

fn example(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors").join(name);
    let text = std::fs::read_to_string(path).expect("the example files are in connectors/");
    serde_json::from_str(&text).expect("the example files are JSON")
}

fn files_under(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn read_object(path: &PathBuf) -> Object {
    let file = File::open(path).expect("an object is a file of the S3 server");
    let reader =
        SerializedFileReader::new(file).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let metadata: BTreeMap<_, _> = reader
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .into_iter()
        .flatten()
        .map(|entry| (entry.key.clone(), entry.value.clone().unwrap_or_default()))
        .collect();
    let stem = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
    let mut parts = stem.trim_end_matches(".snappy.parquet").rsplitn(3, '+');
    let start = parts.next().expect("offset").parse().expect("a number");
    let partition = parts.next().expect("partition").parse().expect("a number");
    let topic = parts.next().expect("topic").to_owned();
    assert_eq!(metadata["cdc.topic"], topic);
    assert_eq!(metadata["cdc.first_offset"].parse(), Ok(start));
    let last_offset = metadata["cdc.last_offset"].parse().expect("a number");
    let rows = reader.get_row_iter(None).expect("rows").collect::<Result<_, _>>().expect("rows");
    Object { topic, partition, start_offset: start, last_offset, rows }
}
