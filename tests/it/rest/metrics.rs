//! `/metrics` (checklist 284 to 287).

use std::collections::BTreeSet;

use serde_json::json;

use super::client::{Name, call, get, is_ours};
use crate::support::{eventually_async, unique};

/// Every attribute that the original's groups have, as dashboards ask for it: name and labels.
const SERIES: &[(&str, &[&str])] = &[
    (
        "connector",
        &[
            "connector_status",
            "connector_connector_type",
            "connector_connector_class",
            "connector_connector_version",
        ],
    ),
    (
        "task",
        &[
            "connector_task_status",
            "connector_task_running_ratio",
            "connector_task_pause_ratio",
            "connector_task_offset_commit_max_time_ms",
            "connector_task_offset_commit_avg_time_ms",
            "connector_task_batch_size_max",
            "connector_task_batch_size_avg",
            "connector_task_offset_commit_failure_percentage",
            "connector_task_offset_commit_success_percentage",
            "source_task_source_record_poll_rate",
            "source_task_source_record_poll_total",
            "source_task_source_record_write_rate",
            "source_task_source_record_write_total",
            "source_task_poll_batch_max_time_ms",
            "source_task_poll_batch_avg_time_ms",
            "source_task_source_record_active_count",
            "source_task_source_record_active_count_max",
            "source_task_source_record_active_count_avg",
            "task_error_total_record_failures",
            "task_error_total_record_errors",
            "task_error_total_records_skipped",
            "task_error_total_retries",
            "task_error_total_errors_logged",
            "task_error_deadletterqueue_produce_requests",
            "task_error_deadletterqueue_produce_failures",
            "task_error_last_error_timestamp",
        ],
    ),
    (
        "sink",
        &[
            "sink_task_sink_record_read_rate",
            "sink_task_sink_record_read_total",
            "sink_task_sink_record_send_rate",
            "sink_task_sink_record_send_total",
            "sink_task_partition_count",
            "sink_task_offset_commit_seq_no",
            "sink_task_offset_commit_completion_rate",
            "sink_task_offset_commit_completion_total",
            "sink_task_offset_commit_skip_rate",
            "sink_task_offset_commit_skip_total",
            "sink_task_put_batch_max_time_ms",
            "sink_task_put_batch_avg_time_ms",
            "sink_task_sink_record_active_count",
            "sink_task_sink_record_active_count_max",
            "sink_task_sink_record_active_count_avg",
        ],
    ),
    (
        "",
        &[
            "worker_connector_count",
            "worker_task_count",
            "worker_connector_startup_attempts_total",
            "worker_connector_startup_success_total",
            "worker_connector_startup_success_percentage",
            "worker_connector_startup_failure_total",
            "worker_connector_startup_failure_percentage",
            "worker_task_startup_attempts_total",
            "worker_task_startup_success_total",
            "worker_task_startup_success_percentage",
            "worker_task_startup_failure_total",
            "worker_task_startup_failure_percentage",
            "coordinator_assigned_connectors",
            "coordinator_assigned_tasks",
            "app_info_start_time_ms",
        ],
    ),
    (
        "connector",
        &[
            "worker_connector_total_task_count",
            "worker_connector_running_task_count",
            "worker_connector_paused_task_count",
            "worker_connector_failed_task_count",
            "worker_connector_unassigned_task_count",
            "worker_connector_destroyed_task_count",
            "worker_connector_restarting_task_count",
        ],
    ),
];

/// The names and labels of the series at present, without values.
async fn series() -> BTreeSet<String> {
    let answer = get("/metrics").await.is(200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.text.ends_with("# EOF\n"), "{answer:?}");
    let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').expect("a value").0.to_owned()).collect()
}

fn has(series: &BTreeSet<String>, name: &str, labels: &str) -> bool {
    series.iter().any(|one| match one.split_once('{') {
        Some((of, rest)) => of == name && rest.starts_with(labels),
        None => one == name && labels.is_empty(),
    })
}

#[tokio::test]
async fn every_attribute_has_its_series() {
    if !is_ours() {
        return;
    }
    let (source, sink) = (Name::new(), Name::new());
    source.source(json!({})).await.is(201);
    let config = super::client::sink(json!({}));
    let body = json!({"name": sink.0, "config": config});
    super::client::call_with("POST", "/connectors", body).await.is(201);
    source.reaches("RUNNING", 1).await;
    sink.reaches("RUNNING", 1).await;
    let series = series().await;
    for (of, names) in SERIES {
        let labels = match *of {
            "connector" => format!("connector=\"{}\"", source.0),
            "task" => format!("connector=\"{}\",task=\"0\"", source.0),
            "sink" => format!("connector=\"{}\",task=\"0\"", sink.0),
            _ => String::new(),
        };
        for name in *names {
            let name = format!("kafka_connect_{name}");
            assert!(has(&series, &name, &labels), "{name}{{{labels}}} is not shown");
        }
    }
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(has(&series, name, ""), "{name}");
    }
}

#[tokio::test]
async fn a_status_is_a_label_until_the_connector_is_gone() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({})).await.is(201);
    let shows = |state: &'static str, tasks: bool| {
        let connector = format!("kafka_connect_connector_status{{connector=\"{}\"", name.0);
        let task = format!("kafka_connect_connector_task_status{{connector=\"{}\"", name.0);
        async move {
            eventually_async(state, 20, || async {
                let series = series().await;
                let of = |start: &str| -> Vec<String> {
                    series.iter().filter(|one| one.starts_with(start)).cloned().collect()
                };
                let (connectors, of_tasks) = (of(&connector), of(&task));
                let is = |one: &String| one.ends_with(&format!("status=\"{state}\"}}"));
                let fine = connectors.len() == 1
                    && connectors.iter().all(is)
                    && of_tasks.len() == usize::from(tasks)
                    && of_tasks.iter().all(is);
                if fine { Ok(()) } else { Err((connectors, of_tasks)) }
            })
            .await;
        }
    };
    shows("running", true).await;
    call("PUT", &name.path("/pause")).await.is(202);
    shows("paused", true).await;
    call("PUT", &name.path("/resume")).await.is(202);
    shows("running", true).await;
    call("PUT", &name.path("/stop")).await.is(204);
    shows("stopped", false).await;
    call("DELETE", &name.path("")).await.is(204);
    let label = format!("connector=\"{}\"", name.0);
    eventually_async("no series is left", 30, || async {
        let left: Vec<_> = series().await.into_iter().filter(|one| one.contains(&label)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test]
async fn a_failed_task_is_shown_as_failed() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"test.fail": "task"})).await.is(201);
    let expected = format!(
        "kafka_connect_connector_task_status{{connector=\"{}\",task=\"0\",status=\"failed\"}}",
        name.0
    );
    eventually_async("the failure shows", 30, || async {
        let series = series().await;
        if series.contains(&expected) { Ok(()) } else { Err(series) }
    })
    .await;
}

#[tokio::test]
async fn records_count_under_their_connector() {
    if !is_ours() {
        return;
    }
    let name = Name::new();
    name.source(json!({"test.records": "3", "topic": unique("metrics")})).await.is(201);
    let value = |text: &str, metric: &str| -> Option<u64> {
        let start = format!(
            "kafka_connect_source_task_{metric}_total{{connector=\"{}\",task=\"0\"}} ",
            name.0
        );
        text.lines().find_map(|line| line.strip_prefix(&start))?.parse().ok()
    };
    eventually_async("the records are counted", 30, || async {
        let text = get("/metrics").await.is(200).text;
        let numbers = (value(&text, "source_record_poll"), value(&text, "source_record_write"));
        assert!(numbers.1 <= numbers.0, "{numbers:?}");
        if numbers == (Some(3), Some(3)) { Ok(()) } else { Err(numbers) }
    })
    .await;
}
