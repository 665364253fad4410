//! The whole pipeline on the real binary: PostgreSQL to Kafka to S3, and what happens when a part of
//! it is wrong until somebody mends it. Nothing here restarts the worker.

use parquet::record::RowAccessor;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerProcess, eventually_async, services};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_the_right_one_taken() {
    let pipeline = with_items().await;
    let client = pipeline.source.connect().await;
    let role = &pipeline.prefix;
    client
        .batch_execute(&format!("create role {role} superuser replication login password 'right'"))
        .await
        .unwrap();
    let worker = WorkerProcess::start(&pipeline.options);
    let mut file = pipeline.source_file("public.items");
    file["config"]["database.user"] = json!(role);
    file["config"]["database.password"] = json!("wrong");
    let (status, body) = pipeline.try_post(&worker, &file).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("password") && body.contains(role.as_str()), "{body}");
    assert!(!body.contains("wrong"), "the password shows: {body}");
    file["config"]["database.password"] = json!("right");
    pipeline.post(&worker, &file).await;
    post_sink(&pipeline, &worker, |_| {}).await;
    ids_are(&pipeline, &worker, &[1, 2]).await;
    let (status, body) = pipeline.try_post(&worker, &file).await;
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("already exists"), "{body}");
    drop(worker);
    client.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named_and_the_sink_goes_on_when_it_is_there() {
    let pipeline = with_items().await;
    std::fs::remove_dir_all(services().s3_dir.join(&pipeline.bucket)).unwrap();
    let worker = WorkerProcess::start(&pipeline.options);
    pipeline.post(&worker, &pipeline.source_file("public.items")).await;
    post_sink(&pipeline, &worker, |_| {}).await;
    logged(&worker, &[&pipeline.bucket, "bucket"]).await;
    std::fs::create_dir(services().s3_dir.join(&pipeline.bucket)).unwrap();
    ids_are(&pipeline, &worker, &[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_named_and_the_sink_goes_on_with_the_right_ones() {
    let pipeline = with_items().await;
    let worker = WorkerProcess::start(&pipeline.options);
    pipeline.post(&worker, &pipeline.source_file("public.items")).await;
    post_sink(&pipeline, &worker, |config| {
        config["aws.access.key.id"] = json!(services().s3_access_key);
        config["aws.secret.access.key"] = json!("not-the-secret");
    })
    .await;
    logged(&worker, &[&pipeline.bucket, "aws.secret.access.key"]).await;
    let log = std::fs::read_to_string(&worker.log).unwrap();
    assert!(!log.contains("not-the-secret"), "the secret is in the log");
    let patch = json!({ "aws.secret.access.key": services().s3_secret_key });
    let url = format!("{}/connectors/{}-sink/config", worker.url, pipeline.prefix);
    let answer = reqwest::Client::new().patch(&url).json(&patch).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    ids_are(&pipeline, &worker, &[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_at_the_start_is_waited_for() {
    let mut pipeline = with_items().await;
    // The brokers' own addresses are learned through this one, once it answers.
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    drop(door);
    let bootstrap = ("BOOTSTRAP_SERVERS".to_owned(), address.to_string());
    pipeline.options.environment.push(bootstrap);
    let worker = WorkerProcess::start(&pipeline.options);
    pipeline.post(&worker, &pipeline.source_file("public.items")).await;
    post_sink(&pipeline, &worker, |_| {}).await;
    logged(&worker, &[&address.to_string()]).await;
    let health = reqwest::get(format!("{}/health", worker.url)).await.unwrap();
    assert!(!health.status().is_success(), "the worker is not healthy without brokers");
    let door = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = door.accept().await {
            tokio::spawn(async move {
                let mut outside = TcpStream::connect(&services().kafka).await?;
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await
            });
        }
    });
    ids_are(&pipeline, &worker, &[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_made_later_is_captured_then() {
    let pipeline = Pipeline::create().await;
    let worker = WorkerProcess::start(&pipeline.options);
    let (status, body) = pipeline.try_post(&worker, &pipeline.source_file("public.items")).await;
    assert_eq!(status, 201, "{body}");
    post_sink(&pipeline, &worker, |_| {}).await;
    logged(&worker, &["public.items"]).await;
    create_items(&pipeline).await;
    ids_are(&pipeline, &worker, &[1, 2]).await;
}

async fn with_items() -> Pipeline {
    let pipeline = Pipeline::create().await;
    create_items(&pipeline).await;
    pipeline
}

async fn create_items(pipeline: &Pipeline) {
    let client = pipeline.source.connect().await;
    let create = "create table items (id bigint primary key, name text);
                  insert into items values (1, 'a'), (2, 'b')";
    client.batch_execute(create).await.unwrap();
}

async fn post_sink(pipeline: &Pipeline, worker: &WorkerProcess, edit: impl FnOnce(&mut Value)) {
    let mut file = pipeline.sink_file(&format!("{}.public.items", pipeline.prefix));
    edit(&mut file["config"]);
    pipeline.post(worker, &file).await;
}

/// Waits until one line of the log has all of `words`.
async fn logged(worker: &WorkerProcess, words: &[&str]) {
    eventually_async("the log to say what is wrong", 30, || async {
        let log = std::fs::read_to_string(&worker.log).unwrap();
        let said = log.lines().any(|line| {
            (line.contains("WARN") || line.contains("ERROR"))
                && words.iter().all(|word| line.contains(word))
        });
        if said { Ok(()) } else { Err(log) }
    })
    .await;
}

/// Waits until the objects hold exactly these ids.
async fn ids_are(pipeline: &Pipeline, worker: &WorkerProcess, expected: &[i64]) {
    eventually_async("the rows in S3", 60, || async {
        let mut ids: Vec<_> = pipeline
            .objects()
            .iter()
            .flat_map(|object| &object.rows)
            .map(|row| row.get_long(0).unwrap())
            .collect();
        ids.sort_unstable();
        if ids == expected {
            return Ok(());
        }
        let status = get(&format!("{}/connectors?expand=status", worker.url)).await?;
        Err(format!("{ids:?}; {status}"))
    })
    .await;
}
