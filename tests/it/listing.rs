//! A listing of all connectors asks the state database as often as one of a single one.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use ferroconnect::config::{Props, Secret};
use ferroconnect::metrics::Metrics;
use ferroconnect::plugin::Plugins;
use ferroconnect::runtime::herder::{Herder, TargetState};
use ferroconnect::runtime::worker_config::WorkerConfig;
use ferroconnect::store::Store;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{TestDatabase, eventually_async, services};

const CONNECTORS: usize = 20;

/// The statements that were run while this is a subscriber's layer.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, _field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{value:?} ");
    }
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut text = String::new();
            event.record(&mut Fields(&mut text));
            self.0.lock().expect("no test panics with it").push(text);
        }
    }
}

// One thread: what is logged while the listing is awaited is seen by the subscriber of this thread.
#[tokio::test]
async fn a_listing_takes_two_statements_however_many_connectors_there_are() {
    let database = TestDatabase::create().await;
    let env = BTreeMap::from([
        ("DATABASE_URL".to_owned(), database.url.clone()),
        ("BOOTSTRAP_SERVERS".to_owned(), services().kafka.clone()),
    ]);
    let config = WorkerConfig::from_sources(None, &env).expect("settings");
    let store = Store::connect(&Secret::new(&database.url), 4).await.expect("the state database");
    let (herder, guard) =
        Herder::start(config, Plugins::builtin(), Arc::new(Metrics::new()), store);
    for number in 0..CONNECTORS {
        let name = format!("c{number}");
        let config: Props = [
            ("connector.class", "S3SinkConnector"),
            ("name", name.as_str()),
            ("topics", "t"),
            ("s3.bucket.name", "b"),
            ("flush.size", "1"),
            ("storage.class", "io.confluent.connect.s3.storage.S3Storage"),
            ("format.class", "io.confluent.connect.s3.format.json.JsonFormat"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        herder.create_connector(&name, config, TargetState::Stopped).await.expect("it is new");
    }
    eventually_async("every connector's status", 30, || async {
        let listed = herder.overviews(true, true).await.map_err(|error| error.to_string())?;
        let with_status = listed.iter().filter(|overview| overview.status.is_some()).count();
        if with_status == CONNECTORS { Ok(()) } else { Err(with_status.to_string()) }
    })
    .await;

    let statements = Statements::default();
    let subscriber = tracing_subscriber::registry().with(statements.clone());
    let watching = tracing::subscriber::set_default(subscriber);
    let listed = herder.overviews(true, true).await.expect("the state database answers");
    drop(watching);
    assert_eq!(listed.len(), CONNECTORS);
    // The heartbeat beats meanwhile.
    let statements = statements.0.lock().expect("no test panics with it").clone();
    let listing: Vec<_> = statements
        .iter()
        .filter(|text| {
            !text.contains("ferroconnect.worker") && !text.contains("ferroconnect.lease")
        })
        .collect();
    assert_eq!(listing.len(), 2, "{listing:#?}");
    guard.shutdown().await;
}
