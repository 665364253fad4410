//! A store that refuses, forgets, delays and answers late: nothing lost, nothing twice, and an error
//! that says what to do. Rows 28, 30, 31 and 35 of the list of faults, and what requests carry.

use std::sync::Arc;
use std::time::Duration;

use ferroconnect::connector::SinkTask;
use ferroconnect::data::SinkBatch;
use ferroconnect::error::{ConnectError, ErrorKind};

use super::support::{Crash, Sink, partition, rows};
use super::{key, until_committed};
use crate::support::fault_proxy::{Fault, FaultProxy, Operation};

/// A sink behind a proxy, with these changes; requests are repeated as they say.
async fn sink(changes: &[(&str, &str)]) -> (Sink, FaultProxy) {
    let proxy = FaultProxy::start().await;
    let mut all = vec![("flush.size", "3"), ("s3.retry.backoff.ms", "1"), ("s3.part.retries", "0")];
    all.extend_from_slice(changes);
    let mut sink = Sink::new(&all);
    sink.defaults.endpoint_url = Some(proxy.url.clone());
    (sink, proxy)
}

/// Lets the task run through retriable failures until it commits `next`; returns the failures.
async fn until_healed(task: &mut dyn SinkTask, next: i64) -> Vec<ConnectError> {
    let mut failures = Vec::new();
    for _ in 0..400 {
        let put = task.put(&SinkBatch::default()).await;
        let committed = match put {
            Ok(()) => task.pre_commit().await,
            Err(error) => Err(error),
        };
        match committed {
            Ok(offsets) if offsets.last() == Some(&(partition(0), next)) => return failures,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Retriable, "{}", error.trace());
                failures.push(error);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("offset {next} was not committed; failures: {failures:?}");
}

/// Runs six rows, two files, through a sink that meets these faults.
async fn six_rows(operation: Operation, faults: Vec<Fault>, retries: &str) -> Vec<ConnectError> {
    let (sink, proxy) = sink(&[("s3.part.retries", retries)]).await;
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    proxy.next(operation, faults);
    let mut failures = Vec::new();
    if let Err(error) = task.put(&rows(0..6)).await {
        failures.push(error);
        task.put(&rows(0..6)).await.unwrap();
    }
    failures.extend(until_healed(task.as_mut(), 6).await);
    assert_eq!(sink.keys(), [key(0), key(3)], "{operation:?}");
    assert_eq!(sink.ids(), [0, 1, 2, 3, 4, 5], "{operation:?}");
    assert_eq!(sink.ledger.uploads(), 0, "{operation:?}");
    task.stop().await.unwrap();
    failures
}

#[tokio::test]
async fn a_request_that_is_lost_or_whose_reply_is_lost_changes_nothing() {
    for operation in [Operation::Create, Operation::Part, Operation::Complete] {
        for fault in [Fault::Lost, Fault::ReplyLost] {
            let failures = six_rows(operation, vec![fault.clone()], "0").await;
            let text = failures.first().map(ConnectError::to_string).unwrap_or_default();
            // The client repeats by itself what it may; what it does not is told.
            let may_be_silent = operation != Operation::Create;
            assert!(
                may_be_silent || !text.is_empty() || failures.is_empty(),
                "{operation:?} {fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_error_behind_a_status_of_success_is_an_error() {
    let text = "<Error><Code>InternalError</Code><Message>late</Message></Error>";
    six_rows(Operation::Complete, vec![Fault::Answered(text)], "0").await;
}

#[tokio::test]
async fn throttling_is_waited_out_within_the_requests_own_retries() {
    let slow_down = Fault::Refused(503, "SlowDown");
    let failures = six_rows(Operation::Part, vec![slow_down.clone(), slow_down], "3").await;
    assert!(failures.is_empty(), "{failures:?}");
}

#[tokio::test]
async fn failures_name_bucket_key_operation_and_remedy_and_heal() {
    let rows = [
        (Operation::Part, 503, "SlowDown", "UploadPart", "the store asks to slow down"),
        (Operation::Part, 507, "XMinioStorageFull", "UploadPart", "the store is full"),
        (Operation::Create, 400, "ExpiredToken", "CreateMultipartUpload", "renew them"),
        (Operation::Part, 400, "ExpiredToken", "UploadPart", "the credentials have expired"),
        (Operation::Create, 403, "AccessDenied", "CreateMultipartUpload", "s3:PutObject"),
        (Operation::Part, 403, "AccessDenied", "UploadPart", "s3:PutObject"),
        (Operation::Create, 404, "NoSuchBucket", "CreateMultipartUpload", "s3.bucket.name"),
        (Operation::Create, 403, "RequestTimeTooSkewed", "CreateMultipartUpload", "clock"),
        (Operation::Complete, 500, "InternalError", "CompleteMultipartUpload", "at http://"),
    ];
    for (operation, status, code, name, remedy) in rows {
        let failures = six_rows(operation, vec![Fault::Refused(status, code)], "0").await;
        let text = failures.first().unwrap_or_else(|| panic!("{code}: no failure")).to_string();
        assert!(text.starts_with(&format!("{name}, bucket \"")), "{code}: {text}");
        assert!(text.contains("key \"cdc_data/orders/partition=0/orders+0+000000000"), "{text}");
        assert!(text.contains(remedy), "{code}: {text}");
    }
}

#[tokio::test]
async fn no_offset_moves_while_writes_fail_not_even_at_the_end() {
    let (sink, proxy) = sink(&[]).await;
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    proxy.always(Operation::Part, Some(Fault::Refused(403, "AccessDenied")));
    let _ = task.put(&rows(0..6)).await;
    for _ in 0..5 {
        let _ = task.put(&rows(0..6)).await;
        assert!(task.pre_commit().await.unwrap_or_default().is_empty());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(task.pre_commit().await.unwrap_or_default().is_empty(), "the last question of a stop");
    task.stop().await.unwrap();
    assert!(sink.keys().is_empty());
    assert!(sink.ledger.done().is_empty());

    proxy.always(Operation::Part, None);
    let mut task = sink.task();
    assert_eq!(task.open(&[partition(0)]).await.unwrap(), []);
    task.put(&rows(0..6)).await.unwrap();
    until_committed(task.as_mut(), 6).await;
    assert_eq!(sink.ids(), [0, 1, 2, 3, 4, 5]);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_delivery_waits_no_longer_for_slow_uploads_than_it_may() {
    let (sink, proxy) = sink(&[("flush.size", "1"), ("max.write.duration.ms", "100")]).await;
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    proxy.always(Operation::Part, Some(Fault::Slow(Duration::from_millis(400))));
    let begun = std::time::Instant::now();
    // More files than may wait.
    let error = task.put(&rows(0..60)).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::Retriable);
    assert!(error.to_string().contains("slower than records arrive"), "{error}");
    proxy.always(Operation::Part, None);
    let mut taken = false;
    for _ in 0..200 {
        if task.put(&rows(0..60)).await.is_ok() {
            taken = true;
            break;
        }
    }
    assert!(taken, "the batch was never taken");
    until_healed(task.as_mut(), 60).await;
    assert_eq!(sink.ids(), (0..60).collect::<Vec<_>>());
    task.stop().await.unwrap();
}

#[tokio::test]
async fn failed_requests_files_and_waiting_records_are_counted() {
    let (sink, proxy) = sink(&[("s3.part.retries", "2")]).await;
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    proxy.next(Operation::Part, [Fault::Refused(503, "SlowDown")]);
    task.put(&rows(0..4)).await.unwrap();
    until_committed(task.as_mut(), 3).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    task.put(&SinkBatch::default()).await.unwrap();
    assert_eq!(sink.metrics.sink_failed_requests.get(), 1);
    assert_eq!(sink.metrics.sink_files.get(), 1);
    assert_eq!(sink.metrics.sink_open_files.get(), 1);
    assert!(sink.metrics.sink_bytes.get() > 500);
    assert!(sink.metrics.sink_buffer_bytes.get() > 0);
    assert!(sink.metrics.sink_unflushed_age_ms.get() >= 20, "one row waits");
    let text = sink.registry.encode();
    assert!(
        text.contains("ferroconnect_sink_file_size_bytes_count{connector=\"sink\",task=\"0\"} 1")
    );
    assert!(text.contains("ferroconnect_sink_upload_part_seconds_count{"), "{text}");
    task.close(&[partition(0)]).await.unwrap();
    assert_eq!(sink.metrics.sink_unflushed_age_ms.get(), 0);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn an_upload_carries_the_acl_and_its_encryption_and_is_signed_for_both() {
    let (sink, proxy) =
        sink(&[("s3.acl.canned", "bucket-owner-full-control"), ("s3.ssea.name", "AES256")]).await;
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows(0..3)).await.unwrap();
    until_committed(task.as_mut(), 3).await;
    // The server behind the proxy has checked the signature, which covers these headers.
    let created = &proxy.seen(Operation::Create)[0];
    assert_eq!(created.headers["x-amz-acl"], "bucket-owner-full-control");
    assert_eq!(created.headers["x-amz-server-side-encryption"], "AES256");
    let signed = created.headers["authorization"].to_str().unwrap();
    assert!(signed.contains(";x-amz-acl;"), "{signed}");
    for operation in [Operation::Part, Operation::Complete] {
        assert!(!proxy.seen(operation)[0].headers.contains_key("x-amz-acl"), "{operation:?}");
    }
    assert_eq!(sink.ids(), [0, 1, 2]);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_customers_key_goes_with_the_upload_and_each_part() {
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let (sink, proxy) = sink(&[("s3.ssea.name", "AES256"), ("s3.sse.customer.key", key)]).await;
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows(0..3)).await.unwrap();
    until_committed(task.as_mut(), 3).await;
    for operation in [Operation::Create, Operation::Part] {
        let headers = &proxy.seen(operation)[0].headers;
        assert_eq!(headers["x-amz-server-side-encryption-customer-algorithm"], "AES256");
        assert_eq!(headers["x-amz-server-side-encryption-customer-key"], key);
        let digest = &headers["x-amz-server-side-encryption-customer-key-md5"];
        assert_eq!(digest, "KYvwGXoFFJ42a2u2GDWhwQ==", "of the 32 bytes, not of their base64");
    }
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_of_the_key_service_is_named_and_without_one_the_bucket_decides() {
    let kms = ("s3.ssea.name", "aws:kms");
    for (changes, expected) in [
        (vec![kms, ("s3.sse.kms.key.id", "key-1")], Some("key-1")),
        (vec![kms], None),
        (vec![("s3.ssea.name", "aws:kms:dsse")], None),
    ] {
        let (sink, proxy) = sink(&changes).await;
        let mut task = sink.task();
        task.open(&[partition(0)]).await.unwrap();
        task.put(&rows(0..3)).await.unwrap();
        until_committed(task.as_mut(), 3).await;
        let headers = &proxy.seen(Operation::Create)[0].headers;
        let id = headers.get("x-amz-server-side-encryption-aws-kms-key-id");
        assert_eq!(id.map(|id| id.to_str().unwrap()), expected, "{changes:?}");
        let algorithm = headers.get("x-amz-server-side-encryption");
        assert_eq!(algorithm.is_some(), expected.is_some(), "{changes:?}");
        task.stop().await.unwrap();
    }
}

#[tokio::test]
async fn objects_of_values_are_tagged_and_a_failure_counts_as_the_file_says() {
    let tagging = [
        ("s3.object.tagging", "true"),
        ("s3.object.tagging.key.value.pairs", "team:a&b,stage:<dev>"),
        ("store.kafka.headers", "false"),
        ("s3.part.retries", "3"),
    ];
    let (ignoring, proxy) = sink(&tagging).await;
    proxy.next(Operation::Tag, [Fault::Refused(500, "InternalError"), Fault::Answered("")]);
    let mut task = ignoring.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows(0..3)).await.unwrap();
    until_committed(task.as_mut(), 3).await;
    proxy.always(Operation::Tag, Some(Fault::Refused(403, "AccessDenied")));
    task.put(&rows(3..6)).await.unwrap();
    until_committed(task.as_mut(), 6).await;
    let tagged = proxy.seen(Operation::Tag);
    assert_eq!(tagged.len(), 5, "two for one object, three for the other, which stays without");
    let first = tagged.iter().filter(|seen| seen.uri.path().ends_with("0000000000.snappy.parquet"));
    let body = first.map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).next().unwrap();
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    assert_eq!(
        body,
        format!(
            "<Tagging><TagSet>{}{}{}{}{}</TagSet></Tagging>",
            tag("startOffset", "0"),
            tag("endOffset", "2"),
            tag("recordCount", "3"),
            tag("team", "a&amp;b"),
            tag("stage", "&lt;dev&gt;"),
        )
    );
    assert!(tagged[0].headers.contains_key("content-md5"));
    task.stop().await.unwrap();

    let mut strict = tagging.to_vec();
    strict.push(("s3.object.behavior.on.tagging.error", "fail"));
    let (failing, proxy) = sink(&strict).await;
    proxy.always(Operation::Tag, Some(Fault::Refused(403, "AccessDenied")));
    let mut task = failing.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows(0..3)).await.unwrap();
    let mut failure = None;
    for _ in 0..200 {
        if let Err(error) = task.put(&SinkBatch::default()).await {
            failure = Some(error);
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let failure = failure.expect("the task fails");
    assert_eq!(failure.kind(), ErrorKind::Config);
    assert!(failure.trace().contains("PutObjectTagging, bucket"), "{}", failure.trace());
    assert!(failure.trace().contains("AccessDenied"), "{}", failure.trace());
    drop(task);
    // The next task finishes the file, tags included, with the count that was recorded.
    proxy.always(Operation::Tag, Some(Fault::Answered("")));
    let before = proxy.seen(Operation::Tag).len();
    let mut task = failing.task();
    assert_eq!(task.open(&[partition(0)]).await.unwrap(), [(partition(0), 3)]);
    let tagged = proxy.seen(Operation::Tag);
    assert_eq!(tagged.len(), before + 1);
    let body = String::from_utf8_lossy(&tagged[before].body).into_owned();
    assert!(body.contains(&tag("recordCount", "3")), "{body}");
    task.stop().await.unwrap();
}

#[tokio::test]
async fn tags_are_signed_as_the_store_wants_it() {
    // The server does not know tags, and says so only to requests whose signature is right.
    let sink = Sink::new(&[
        ("flush.size", "3"),
        ("s3.object.tagging", "true"),
        ("s3.object.behavior.on.tagging.error", "fail"),
    ]);
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows(0..3)).await.unwrap();
    let mut failure = None;
    for _ in 0..300 {
        if let Err(error) = task.put(&SinkBatch::default()).await {
            failure = Some(error.trace());
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let failure = failure.expect("the task fails");
    assert!(failure.contains("<Code>NotImplemented</Code>"), "{failure}");
}

#[tokio::test]
async fn requests_go_through_the_proxy_that_the_file_names() {
    let (sink, proxy) = sink(&[
        ("store.url", "http://s3.example.test:9000"),
        ("s3.proxy.user", "user"),
        ("s3.proxy.password", "pa:ss"),
        ("s3.proxy.url", "http://will.be.replaced:1"),
    ])
    .await;
    let mut props = sink.props.clone();
    props.insert("s3.proxy.url".to_owned(), proxy.url.clone());
    let mut task = sink.task_of(&props);
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows(0..3)).await.unwrap();
    until_committed(task.as_mut(), 3).await;
    assert_eq!(sink.ids(), [0, 1, 2]);
    let created = &proxy.seen(Operation::Create)[0];
    assert_eq!(created.uri.host(), Some("s3.example.test"), "asked as a proxy");
    // user:pa:ss
    assert_eq!(created.headers["proxy-authorization"], "Basic dXNlcjpwYTpzcw==");
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_serves_as_a_store_with_the_same_protocol() {
    let root = std::env::temp_dir().join(crate::support::unique("lake"));
    let url = format!("file://{}", root.display());
    let sink = Sink::new(&[("store.url", &url), ("flush.size", "3")]);
    for crash in [Crash::AfterCompleting, Crash::BeforeCompleted] {
        let at = sink.ledger.done().last().map_or(0, |(_, last)| last + 1);
        sink.ledger.crash_at(Some(crash));
        let mut task = sink.task();
        task.open(&[partition(0)]).await.unwrap();
        task.put(&rows(at..at + 4)).await.unwrap();
        super::until_crashed(task.as_mut()).await;
        drop(task);
        sink.ledger.crash_at(None);
        let mut task = sink.task();
        assert_eq!(task.open(&[partition(0)]).await.unwrap(), [(partition(0), at + 3)]);
        task.stop().await.unwrap();
    }
    assert_eq!(sink.ids_in(&root.join(&sink.bucket)), [0, 1, 2, 3, 4, 5]);
    std::fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn a_worker_whose_sinks_hold_too_much_sends_the_largest_on() {
    let mut sink = Sink::new(&[
        ("flush.size", "1000000"),
        ("format.class", "JsonFormat"),
        ("rotate.idle.interval.ms", "300"),
    ]);
    sink.defaults.memory = Arc::new(ferroconnect::config::MemoryBudget::new(2 * 1024 * 1024));
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    for first in 0..8 {
        let batch = super::support::rows_of(first * 500..(first + 1) * 500, &"y".repeat(1_000));
        task.put(&batch).await.unwrap();
    }
    until_healed(task.as_mut(), 4_000).await;
    let keys = sink.keys();
    assert!((2..=3).contains(&keys.len()), "4 MB in files of about 2 MB: {keys:?}");
    let mut next = 0;
    for (first, last) in sink.ledger.done() {
        assert_eq!(first, next);
        next = last + 1;
    }
    assert_eq!(next, 4_000);
    task.stop().await.unwrap();
}
