//! Kafka goes away under a running source task and comes back: librdkafka's own cluster, because
//! the tests' broker serves others.

use std::time::Duration;

use rdkafka::mocking::MockCluster;

use super::Bench;
use super::fakes::{FakeSource, Turn};
use super::source::{numbers, read_from};
use crate::support::{eventually_async, unique};

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_the_brokers_are_away_arrives_in_order_when_they_are_back() {
    let cluster = MockCluster::new(1).expect("a cluster in this process");
    let topic = unique("broker");
    cluster.create_topic(&topic, 1, 1).expect("a topic");
    let bench = Bench::new(&[]).await.with_kafka(&cluster.bootstrap_servers());
    let turns = (0..40).map(|_| Turn::Later(Duration::from_millis(250), 25)).collect();
    let source = FakeSource::new(&topic, 0, turns);
    let told = source.told.clone();
    let mut running = bench.start_source(source).await;
    eventually_async("the first records to arrive", 15, || async {
        told.last().filter(|next| 25 <= *next).ok_or("nothing is stored")
    })
    .await;

    cluster.broker_down(1).expect("a broker");
    let away = tokio::time::timeout(
        Duration::from_secs(20),
        running.condition.wait_for(|shown| {
            shown.as_ref().is_some_and(|shown| shown.to_string().starts_with("waiting for Kafka"))
        }),
    );
    away.await.expect("it is told in time").expect("the task runs");
    let stored = told.last();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(told.last(), stored, "nothing is stored that did not arrive");
    cluster.broker_up(1).expect("a broker");

    eventually_async("the last records to be stored", 30, || async {
        told.last().filter(|next| *next == 1000).ok_or_else(|| told.last())
    })
    .await;
    assert_eq!(read_from(&cluster.bootstrap_servers(), &topic, 1000).await, numbers(0..1000));
    running.condition.wait_for(Option::is_none).await.expect("the task runs");
    running.stop().await.expect("the task ends well");
}
