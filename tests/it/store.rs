//! Each statement of the state database, on a real server.

use std::sync::Arc;
use std::time::Duration;

use ferroconnect::config::{Props, Secret};
use ferroconnect::data::{SourceOffset, TopicPartition};
use ferroconnect::store::{
    CONNECTOR_TASK, Heartbeat, Lease, SinkFileRow, SinkUpload, State, Store, StoreError,
    StoredStatus, TargetState, Truth, WorkerRow,
};

use crate::support::{TestDatabase, eventually_async};

async fn store() -> (TestDatabase, Store) {
    let database = TestDatabase::create().await;
    let store = Store::connect(&Secret::new(&database.url), 4).await.expect("the state database");
    (database, store)
}

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn worker(id: &str, address: &str) -> WorkerRow {
    WorkerRow {
        id: id.to_owned(),
        address: address.to_owned(),
        version: "1".to_owned(),
        time_to_live: Duration::from_secs(10),
    }
}

async fn acquire(store: &Store, task: i32, worker: &WorkerRow) -> Lease {
    store.acquire("c", task, worker).await.expect("the state database").expect("the lease is free")
}

fn fenced<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Fenced { .. })), "{outcome:?}");
}

fn status(task: i32, state: State, trace: Option<&str>) -> StoredStatus {
    StoredStatus {
        connector: "c".to_owned(),
        task,
        state,
        worker_id: "h:1".to_owned(),
        trace: trace.map(str::to_owned),
        version: None,
    }
}

#[tokio::test]
async fn workers_that_start_together_migrate_once() {
    let database = TestDatabase::create().await;
    let url = Secret::new(&database.url);
    let (one, two, three) =
        tokio::join!(Store::connect(&url, 1), Store::connect(&url, 1), Store::connect(&url, 1));
    for store in [one, two, three] {
        store.unwrap().ping().await.unwrap();
    }
    let client = database.connect().await;
    let row = client.query_one("select count(*) from ferroconnect.migration", &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) >= 1);
}

#[tokio::test]
async fn an_unusable_url_is_named_without_its_password() {
    let error = Store::connect(&Secret::new("postgres://u:hunter2@:x/y"), 1).await.unwrap_err();
    assert!(error.to_string().contains("state.database.url"));
    assert!(!error.trace().contains("hunter2"));
    let away = Secret::new("postgres://u:hunter2@127.0.0.1:1/y");
    let error = Store::connect(&away, 1).await.unwrap_err();
    assert_eq!(error.kind(), ferroconnect::error::ErrorKind::Retriable);
    assert!(error.to_string().contains("127.0.0.1:1"));
    assert!(!error.trace().contains("hunter2"));
}

#[tokio::test]
async fn the_name_of_a_connector_is_taken_once() {
    let (_database, store) = store().await;
    let config = props(&[("name", "c"), ("odd", "a\u{0}b\nü \"")]);
    let (one, two) = tokio::join!(
        store.create_connector("c", &config, TargetState::Paused),
        store.create_connector("c", &config, TargetState::Paused)
    );
    assert_ne!(one.unwrap(), two.unwrap());
    let stored = store.connector("c").await.unwrap().unwrap();
    assert_eq!(stored.config, config);
    assert_eq!(stored.target_state, TargetState::Paused);
    assert_eq!(store.connector_names().await.unwrap(), ["c"]);
    assert_eq!(store.connector("d").await.unwrap(), None);
}

#[tokio::test]
async fn configuration_versions_grow_even_over_deletion() {
    let (_database, store) = store().await;
    assert!(store.put_connector("c", &props(&[("v", "1")])).await.unwrap());
    let first = store.connector("c").await.unwrap().unwrap();
    assert!(!store.put_connector("c", &props(&[("v", "2")])).await.unwrap());
    let second = store.connector("c").await.unwrap().unwrap();
    assert!(second.config_version > first.config_version);
    assert_eq!(second.config, props(&[("v", "2")]));
    assert!(!store.put_connector("c", &props(&[("v", "2")])).await.unwrap());
    let same = store.connector("c").await.unwrap().unwrap();
    assert_eq!((same.config_version, same.restarts), (second.config_version, second.restarts + 1));

    let third = props(&[("v", "3")]);
    assert!(!store.replace_config("c", first.config_version, &third).await.unwrap());
    assert!(store.replace_config("c", second.config_version, &third).await.unwrap());
    let listed = store.connectors().await.unwrap().remove(0);
    assert_eq!(listed.config.get(), serde_json::to_string(&third).unwrap());
    assert_eq!((listed.name.as_str(), listed.class, listed.tasks), ("c", None, Vec::new()));

    assert!(store.delete_connector("c").await.unwrap());
    assert!(!store.delete_connector("c").await.unwrap());
    assert!(store.put_connector("c", &props(&[("v", "1")])).await.unwrap());
    let again = store.connector("c").await.unwrap().unwrap();
    assert!(again.config_version > second.config_version);
}

#[tokio::test]
async fn stopping_removes_tasks() {
    let (_database, store) = store().await;
    assert!(!store.set_target_state("c", TargetState::Stopped).await.unwrap());
    store.put_connector("c", &Props::new()).await.unwrap();
    let version = store.connector("c").await.unwrap().unwrap().config_version;
    let me = worker("w", "h:1");
    let lease = acquire(&store, CONNECTOR_TASK, &me).await;

    let configs = [props(&[("t", "0")]), props(&[("t", "1")])];
    assert!(store.put_tasks(&lease, version, &configs).await.unwrap());
    assert!(!store.put_tasks(&lease, version - 1, &configs).await.unwrap());
    let tasks = store.tasks("c").await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.config.clone()).collect::<Vec<_>>(), configs);
    assert_eq!(store.connector("c").await.unwrap().unwrap().tasks, [0, 1]);

    assert_eq!(store.request_task_restarts("c", &[1, 7]).await.unwrap(), [1]);
    assert_eq!(store.tasks("c").await.unwrap()[1].restarts, 1);
    assert!(store.request_connector_restart("c").await.unwrap());
    assert_eq!(store.connector("c").await.unwrap().unwrap().restarts, 1);

    let task = acquire(&store, 1, &me).await;
    store.put_status(&task, &status(1, State::Running, None)).await.unwrap();
    assert!(store.put_tasks(&lease, version, &configs[..1]).await.unwrap());
    assert_eq!(store.statuses(Some("c")).await.unwrap(), []);

    assert!(store.set_target_state("c", TargetState::Stopped).await.unwrap());
    assert!(store.tasks("c").await.unwrap().is_empty());
    assert!(!store.put_tasks(&lease, version, &configs).await.unwrap());
    let successor = acquire(&store, CONNECTOR_TASK, &me).await;
    fenced(store.put_tasks(&lease, version, &configs).await);
    assert!(successor.epoch > lease.epoch);
}

#[tokio::test]
async fn a_fenced_worker_cannot_speak_for_its_successor() {
    let (_database, store) = store().await;
    store.put_connector("c", &Props::new()).await.unwrap();
    let version = store.connector("c").await.unwrap().unwrap().config_version;
    let old = acquire(&store, CONNECTOR_TASK, &worker("w", "h:1")).await;
    store.put_tasks(&old, version, &[Props::new()]).await.unwrap();
    let old_task = acquire(&store, 0, &worker("w", "h:1")).await;
    let new = acquire(&store, CONNECTOR_TASK, &worker("v", "h:1")).await;
    let new_task = acquire(&store, 0, &worker("v", "h:1")).await;

    let failed = status(CONNECTOR_TASK, State::Failed, Some("a\u{0}b"));
    store.put_status(&new, &failed).await.unwrap();
    store.put_status(&old, &status(CONNECTOR_TASK, State::Running, None)).await.unwrap();
    store.put_status(&new_task, &status(0, State::Paused, None)).await.unwrap();
    store.put_status(&old_task, &status(0, State::Running, None)).await.unwrap();

    let shown = status(CONNECTOR_TASK, State::Failed, Some("a\u{fffd}b"));
    assert_eq!(store.statuses(None).await.unwrap(), [shown, status(0, State::Paused, None)]);

    store.set_target_state("c", TargetState::Stopped).await.unwrap();
    store.put_status(&new_task, &status(0, State::Running, None)).await.unwrap();
    assert_eq!(store.statuses(Some("c")).await.unwrap().len(), 1);
    store.delete_connector("c").await.unwrap();
    store.put_status(&new, &failed).await.unwrap();
    assert!(store.statuses(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn source_offsets_are_written_under_the_lease_and_survive_deletion() {
    let (_database, store) = store().await;
    store.put_connector("c", &Props::new()).await.unwrap();
    let offset = |partition: &str, offset: &str| SourceOffset {
        partition: Arc::from(partition),
        offset: Arc::from(offset),
    };
    let old = acquire(&store, 0, &worker("w", "h:1")).await;
    let two = [offset("p", "1"), offset("q", "1"), offset("p", "2")];
    store.put_source_offsets(&old, &two, Truth::Here).await.unwrap();
    store.put_source_offsets(&old, &[], Truth::Here).await.unwrap();
    store.check(&old).await.unwrap();

    let new = acquire(&store, 0, &worker("w", "h:1")).await;
    fenced(store.put_source_offsets(&old, &[offset("p", "0")], Truth::Here).await);
    fenced(store.check(&old).await);
    store.put_source_offsets(&new, &[offset("q", "3")], Truth::Here).await.unwrap();
    store.delete_connector("c").await.unwrap();
    store.release(&new).await.unwrap();
    fenced(store.put_source_offsets(&new, &[offset("q", "4")], Truth::Here).await);
    assert_eq!(store.source_offsets("c").await.unwrap(), [offset("p", "2"), offset("q", "3")]);
}

#[tokio::test]
async fn sink_offsets_and_topics_are_written_under_the_lease() {
    let (_database, store) = store().await;
    store.put_connector("c", &Props::new()).await.unwrap();
    let at = |partition| TopicPartition { topic: Arc::from("t"), partition };
    let lease = acquire(&store, 0, &worker("w", "h:1")).await;
    store.put_sink_offsets(&lease, &[(at(1), 5), (at(0), 7), (at(1), 6)]).await.unwrap();
    assert_eq!(store.sink_offsets("c").await.unwrap(), [(at(0), 7), (at(1), 6)]);

    let topics = ["b".to_owned(), "a".to_owned()];
    store.add_topics(&lease, &topics).await.unwrap();
    store.add_topics(&lease, &topics[..1]).await.unwrap();
    assert_eq!(store.topics("c").await.unwrap(), ["a", "b"]);
    store.reset_topics("c").await.unwrap();
    assert!(store.topics("c").await.unwrap().is_empty());
    store.delete_connector("c").await.unwrap();
    store.add_topics(&lease, &topics).await.unwrap();
    assert!(store.topics("c").await.unwrap().is_empty());

    store.release(&lease).await.unwrap();
    fenced(store.put_sink_offsets(&lease, &[(at(1), 8)]).await);
    fenced(store.add_topics(&lease, &topics).await);
}

#[tokio::test]
async fn only_a_dead_workers_lease_can_be_taken() {
    let (_database, store) = store().await;
    let (one, two) = (worker("one", "h:1"), worker("two", "h:2"));
    let mut first = Heartbeat::new(store.clone(), one.clone());
    let mut second = Heartbeat::new(store.clone(), two.clone());
    first.beat().await.unwrap();
    let lease = acquire(&store, 0, &one).await;
    assert_eq!(first.beat().await.unwrap(), std::slice::from_ref(&lease));
    second.beat().await.unwrap();
    assert_eq!(store.acquire("c", 0, &two).await.unwrap(), None);

    // A killed process: its session ends, and after two missed beats its leases are free.
    drop(first);
    let taken = eventually_async("the takeover", 6, || async {
        store.acquire("c", 0, &two).await.unwrap().ok_or("held")
    })
    .await;
    assert!(taken.epoch > lease.epoch);
    assert_eq!(second.beat().await.unwrap(), [taken]);

    second.leave().await.unwrap();
    assert!(store.acquire("c", 0, &one).await.unwrap().is_some());
}

#[tokio::test]
async fn a_worker_that_beats_without_its_session_is_alive() {
    let (database, store) = store().await;
    let (one, two) = (worker("one", "h:1"), worker("two", "h:2"));
    let mut first = Heartbeat::new(store.clone(), one.clone());
    first.beat().await.unwrap();
    acquire(&store, 0, &one).await;
    let client = database.connect().await;
    let cut = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'";
    client.execute(cut, &[]).await.unwrap();
    assert_eq!(store.acquire("c", 0, &two).await.unwrap(), None);
    // The first beat finds the session cut, the next one opens another.
    assert!(first.beat().await.is_err());
    first.beat().await.unwrap();
    let old = "update ferroconnect.worker set beat_at = now() - interval '5 seconds'";
    client.execute(old, &[]).await.unwrap();
    assert_eq!(store.acquire("c", 0, &two).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_is_completed_only_by_the_owner_of_its_partition() {
    let (_database, store) = store().await;
    let at = TopicPartition { topic: Arc::from("t"), partition: 0 };
    let file = |first, last, key: &str, upload: Option<&str>| SinkFileRow {
        partition: at.clone(),
        first_offset: first,
        last_offset: last,
        key: key.to_owned(),
        upload_id: upload.map(str::to_owned),
        etags: upload.iter().map(|_| "\"e\"".to_owned()).collect(),
        records: last - first + 1,
    };
    let upload = |key: &str, id: &str| SinkUpload { key: key.to_owned(), upload_id: id.to_owned() };
    let me = worker("w", "h:1");
    let one = acquire(&store, 0, &me).await;
    let (a, b) = (file(0, 9, "a", Some("u1")), file(10, 12, "b", None));
    fenced(store.completing_files(&one, std::slice::from_ref(&a)).await);
    assert_eq!(store.recover_files(&one, &at).await.unwrap().next, None);
    store.upload_started(&one, &at, &upload("a", "u1")).await.unwrap();
    store.upload_started(&one, &at, &upload("x", "u2")).await.unwrap();
    store.completing_files(&one, &[a.clone(), b.clone()]).await.unwrap();
    assert_eq!(store.orphaned_uploads(&one, &at).await.unwrap(), [upload("x", "u2")]);

    // Another task of the same connector opens the partition: the first one is out.
    let two = acquire(&store, 1, &me).await;
    let left = store.recover_files(&two, &at).await.unwrap();
    assert_eq!((left.completing, left.next), (vec![a.clone(), b.clone()], None));
    fenced(store.completing_files(&one, &[file(13, 14, "c", None)]).await);
    fenced(store.completed_files(&one, std::slice::from_ref(&a), 10).await);
    store.completed_files(&two, &[a.clone(), b.clone()], 13).await.unwrap();
    store.upload_ended(&two, &upload("x", "u2")).await.unwrap();
    assert!(store.orphaned_uploads(&two, &at).await.unwrap().is_empty());
    let left = store.recover_files(&two, &at).await.unwrap();
    assert_eq!((left.completing, left.next), (vec![], Some(13)));

    // Once the group was told, the ledger has nothing to add: tools may reset the group.
    store.put_sink_offsets(&two, &[(at.clone(), 10)]).await.unwrap();
    assert_eq!(store.recover_files(&two, &at).await.unwrap().next, Some(13));
    store.put_sink_offsets(&two, &[(at.clone(), 13)]).await.unwrap();
    assert_eq!(store.recover_files(&two, &at).await.unwrap().next, None);

    store.release(&two).await.unwrap();
    fenced(store.recover_files(&two, &at).await);
    fenced(store.upload_started(&two, &at, &upload("a", "u1")).await);
}
