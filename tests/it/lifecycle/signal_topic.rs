//! A signal from a Kafka topic: the table is read once more, and comes out in S3 once more.

use std::time::Duration;

use ferroconnect::kafka::{Outgoing, Producer};
use serde_json::json;

use crate::kafka::Clients;
use crate::support::pipeline::Pipeline;
use crate::support::{WorkerProcess, eventually, eventually_async};

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_of_the_topic_has_a_table_read_again() {
    let pipeline = Pipeline::create().await;
    let client = pipeline.source.connect().await;
    client
        .batch_execute(
            "create table again (id int primary key, note text);
             insert into again select n, 'x' from generate_series(1, 10) n;",
        )
        .await
        .unwrap();
    let clients = Clients::new();
    let topic = format!("{}-signal", pipeline.prefix);
    clients.create(&topic, 1).await;
    let worker = WorkerProcess::start(&pipeline.options);
    let mut source = pipeline.source_file("public.again");
    source["config"]["signal.enabled.channels"] = json!("kafka");
    source["config"]["read.only"] = json!("true");
    source["config"]["incremental.snapshot.chunk.size"] = json!("4");
    pipeline.post(&worker, &source).await;
    pipeline.post(&worker, &pipeline.sink_file(&format!("{}.public.again", pipeline.prefix))).await;
    let rows = || pipeline.objects().iter().map(|object| object.rows.len()).sum::<usize>();
    eventually("the snapshot in S3", 40, || if rows() == 10 { Ok(()) } else { Err(rows()) });
    let signal = json!({
        "id": "k1", "type": "execute-snapshot", "data": {"data-collections": ["public.again"]},
    });
    // One for another connector, one that is none, and the one that counts.
    let own = pipeline.prefix.as_bytes();
    let producer = Producer::new(&clients.props()).unwrap();
    let text = signal.to_string();
    for (key, value) in [(&b"other"[..], text.as_str()), (own, "nonsense"), (own, &text)] {
        let mut message = Outgoing {
            topic: &topic,
            partition: Some(0),
            key: Some(key),
            value: Some(value.as_bytes()),
            ..Outgoing::default()
        };
        producer.send(&mut message, 0).unwrap();
    }
    tokio::time::timeout(Duration::from_secs(10), producer.reported()).await.unwrap();
    eventually_async("the table in S3 once more", 40, || async {
        if rows() == 20 { Ok(()) } else { Err(rows()) }
    })
    .await;
}
