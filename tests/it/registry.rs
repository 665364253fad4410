//! Converters of the Schema Registry, against a registry that nobody here wrote.

use std::time::Duration;

use parquet::record::RowAccessor;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerProcess, eventually, eventually_async, registry, services};

const AVRO: &str = "io.confluent.connect.avro.AvroConverter";

/// A captured table with every kind of column that has a form of its own in the registry's formats.
async fn with_products() -> Pipeline {
    let pipeline = Pipeline::create().await;
    let create = "create table products (id int primary key, name text, price numeric(10,2),
                      tags text[], sold boolean, weight real, updated_at timestamptz);
                  insert into products values
                      (1, 'Widget', 19.99, '{a,null}', true, 0.5, '2024-05-01T10:00:00Z'),
                      (2, null, null, null, null, null, null)";
    pipeline.source.connect().await.batch_execute(create).await.unwrap();
    pipeline
}

fn with_converter(config: &mut Value, class: &str, url: &str) {
    for side in ["key", "value"] {
        config[format!("{side}.converter")] = json!(class);
        config[format!("{side}.converter.schema.registry.url")] = json!(url);
        if let Some(settings) = config.as_object_mut() {
            settings.remove(&format!("{side}.converter.schemas.enable"));
        }
    }
}

/// Posts a source and a sink, both with what `set` sets.
async fn post_both(pipeline: &Pipeline, worker: &WorkerProcess, set: impl Fn(&mut Value)) {
    let mut source = pipeline.source_file("public.products");
    set(&mut source["config"]);
    pipeline.post(worker, &source).await;
    let mut sink = pipeline.sink_file(&topic(pipeline));
    set(&mut sink["config"]);
    pipeline.post(worker, &sink).await;
}

fn topic(pipeline: &Pipeline) -> String {
    format!("{}.public.products", pipeline.prefix)
}

/// Waits until the objects hold exactly these ids.
async fn ids_are(pipeline: &Pipeline, worker: &WorkerProcess, expected: &[i32]) {
    eventually_async("the rows in S3", 60, || async {
        let objects = pipeline.objects();
        let rows = objects.iter().flat_map(|object| &object.rows);
        let mut ids: Vec<_> = rows.map(|row| row.get_int(0).unwrap()).collect();
        ids.sort_unstable();
        if ids == expected {
            return Ok(());
        }
        let status = get(&format!("{}/connectors?expand=status", worker.url)).await;
        Err(format!("{ids:?}, {status:?}, {}", worker.log.display()))
    })
    .await;
}

/// Rows through a format and back, and what the registry and the topic hold meanwhile.
async fn rows_become_parquet(
    class: &str,
    schema_type: &str,
    set: impl Fn(&mut Value),
) -> (Value, Vec<u8>) {
    let pipeline = with_products().await;
    let worker = WorkerProcess::start(&pipeline.options);
    post_both(&pipeline, &worker, |config| {
        with_converter(config, class, registry());
        set(config);
    })
    .await;
    ids_are(&pipeline, &worker, &[1, 2]).await;
    let update =
        "update products set price = 18.49 where id = 1; delete from products where id = 2";
    pipeline.source.connect().await.batch_execute(update).await.unwrap();
    ids_are(&pipeline, &worker, &[1, 1, 2, 2]).await;
    let objects = pipeline.objects();
    pipeline.assert_each_offset_once(&objects);
    let shown: Vec<_> =
        objects.iter().flat_map(|object| &object.rows).map(ToString::to_string).collect();
    let widget = shown.iter().find(|row| row.contains("19.99")).expect("the first row");
    for part in ["name: \"Widget\"", "sold: true", "weight: 0.5", "2024-05-01T10:00:00.000000Z"] {
        assert!(widget.contains(part), "{part} in {widget}");
    }
    assert!(shown.iter().any(|row| row.contains("18.49")), "{shown:?}");
    let latest = format!("{}/subjects/{}-value/versions/latest", registry(), topic(&pipeline));
    let registered = get(&latest).await.unwrap();
    let ty = registered["schemaType"].as_str().unwrap_or("AVRO");
    assert_eq!(ty, schema_type);
    let message = first_message(&topic(&pipeline));
    assert_eq!(message[0], 0);
    let id = i32::from_be_bytes(message[1..5].try_into().unwrap());
    assert_eq!(i64::from(id), registered["id"].as_i64().unwrap());
    (registered, message)
}

/// The first `count` messages of a topic of one partition.
fn messages(topic: &str, count: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &services().kafka)
        .set("group.id", format!("reader-{topic}"))
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&partitions).unwrap();
    let mut found = Vec::new();
    eventually("the messages", 30, || {
        let polled = consumer.poll(Duration::from_millis(200));
        found.extend(polled.and_then(Result::ok).map(|message| message.detach()));
        if found.len() < count { Err(found.len()) } else { Ok(()) }
    });
    found
}

fn first_message(topic: &str) -> Vec<u8> {
    messages(topic, 1)[0].payload().expect("a value").to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_goes_from_rows_to_parquet() {
    let (registered, message) = rows_become_parquet(AVRO, "AVRO", |_| ()).await;
    let text = registered["schema"].as_str().unwrap();
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    let mut body = &message[5..];
    let value = apache_avro::from_avro_datum(&schema, &mut body, None).unwrap();
    assert!(body.is_empty());
    let apache_avro::types::Value::Record(fields) = value else { panic!("no record: {value:?}") };
    assert_eq!(fields[0].0, "id");
    assert_eq!(fields[0].1, apache_avro::types::Value::Int(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_is_waited_for() {
    let pipeline = with_products().await;
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    drop(door);
    let real = url::Url::parse(registry()).unwrap();
    let mut url = real.clone();
    url.set_port(Some(address.port())).unwrap();
    let worker = WorkerProcess::start(&pipeline.options);
    let mut source = pipeline.source_file("public.products");
    with_converter(&mut source["config"], AVRO, url.as_str());
    source["config"]["value.converter.max.retries"] = json!("0");
    source["config"]["key.converter.max.retries"] = json!("0");
    pipeline.post(&worker, &source).await;
    let mut sink = pipeline.sink_file(&topic(&pipeline));
    with_converter(&mut sink["config"], AVRO, url.as_str());
    pipeline.post(&worker, &sink).await;
    let status_url = format!("{}/connectors/{}-source/status", worker.url, pipeline.prefix);
    eventually_async("the source to say what it waits for", 30, || async {
        let log = std::fs::read_to_string(&worker.log).unwrap();
        let status = get(&status_url).await?;
        let says = log.lines().any(|line| {
            line.contains("the schema registry does not answer")
                && line.contains(&address.to_string())
        });
        let runs = status["tasks"][0]["state"] == "RUNNING";
        if says && runs { Ok(()) } else { Err(format!("{status} {log}")) }
    })
    .await;
    let door = TcpListener::bind(address).await.unwrap();
    let target = format!("127.0.0.1:{}", real.port().unwrap());
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = door.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut outside = TcpStream::connect(target).await?;
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await
            });
        }
    });
    ids_are(&pipeline, &worker, &[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_avro_goes_to_the_dead_letter_queue() {
    let pipeline = Pipeline::create().await;
    let topic = topic(&pipeline);
    let schema = json!({ "type": "record", "name": "Value", "namespace": pipeline.prefix.clone(),
        "fields": [{ "name": "id", "type": "int" }, { "name": "t", "type": "string" }] });
    let answer = reqwest::Client::new()
        .post(format!("{}/subjects/{topic}-value/versions", registry()))
        .json(&json!({ "schema": schema.to_string() }))
        .send()
        .await
        .unwrap();
    let id = answer.json::<Value>().await.unwrap()["id"].as_i64().unwrap();
    let id = i32::try_from(id).unwrap().to_be_bytes();
    let message = |id: [u8; 4], body: &[u8]| [&[0][..], &id, body].concat();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &services().kafka).create().unwrap();
    for value in [
        message(id, b"\x02\x02a"),
        message(i32::MAX.to_be_bytes(), b"\x02\x02a"),
        b"{\"id\":1}".to_vec(),
        message(id, b"\x02\x04a"),
        message(id, b"\x02\x02\xff"),
        vec![0, 1],
        message(id, b"\x04\x02b"),
    ] {
        producer.send(BaseRecord::<(), _>::to(&topic).payload(&value)).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let worker = WorkerProcess::start(&pipeline.options);
    let mut sink = pipeline.sink_file(&topic);
    with_converter(&mut sink["config"], AVRO, registry());
    let letters = format!("{topic}.dlq");
    sink["config"]["errors.tolerance"] = json!("all");
    sink["config"]["errors.deadletterqueue.topic.name"] = json!(letters);
    sink["config"]["errors.deadletterqueue.topic.replication.factor"] = json!("1");
    sink["config"]["errors.deadletterqueue.context.headers.enable"] = json!("true");
    pipeline.post(&worker, &sink).await;
    ids_are(&pipeline, &worker, &[1, 2]).await;
    let reasons: Vec<_> = messages(&letters, 5)
        .iter()
        .map(|message| {
            let header = |name: &str| {
                let headers = message.headers().expect("headers");
                let found = headers.iter().find(|header| header.key == name).expect("the header");
                String::from_utf8_lossy(found.value.unwrap_or_default()).into_owned()
            };
            let offset = header("__connect.errors.offset");
            assert_eq!(header("__connect.errors.topic"), topic);
            assert_eq!(header("__connect.errors.stage"), "VALUE_CONVERTER");
            (offset, header("__connect.errors.exception.message"))
        })
        .collect();
    for (offset, text) in [
        ("1", "Error retrieving Avro value schema for id 2147483647"),
        ("2", "Unknown magic byte!"),
        ("3", "truncated: 2 bytes wanted and 1 left (field \"t\")"),
        ("4", "text is not valid UTF-8"),
        ("5", "2 bytes are no message of the registry"),
    ] {
        let found = reasons.iter().find(|(at, _)| at == offset);
        assert!(found.is_some_and(|(_, reason)| reason.contains(text)), "{text} in {reasons:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_schema_goes_from_rows_to_parquet() {
    let class = "io.confluent.connect.json.JsonSchemaConverter";
    let (registered, message) = rows_become_parquet(class, "JSON", |_| ()).await;
    let body: Value = serde_json::from_slice(&message[5..]).unwrap();
    assert_eq!(body["id"], 1);
    let schema: Value = serde_json::from_str(registered["schema"].as_str().unwrap()).unwrap();
    assert_eq!(schema["properties"]["id"]["type"], "integer");
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_goes_from_rows_to_parquet() {
    let class = "io.confluent.connect.protobuf.ProtobufConverter";
    let (registered, message) = rows_become_parquet(class, "PROTOBUF", |config| {
        for side in ["key", "value"] {
            config[format!("{side}.converter.optional.for.nullables")] = json!("true");
        }
        if !config["table.include.list"].is_null() {
            // Lists of Protobuf hold no nulls.
            config["column.exclude.list"] = json!("public.products.tags");
        }
    })
    .await;
    // The first message of the file, whose first field is the key: number 1, a varint.
    assert_eq!(message[5..8], [0, 0x08, 1]);
    let text = registered["schema"].as_str().unwrap();
    for part in ["int32 id = 1;", "optional string name = 2;", "confluent.type.Decimal price = 3"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_in_avro_go_from_rows_to_parquet() {
    let pipeline = with_products().await;
    let worker = WorkerProcess::start(&pipeline.options);
    post_both(&pipeline, &worker, |config| {
        let settings = [
            ("value.converter", "io.debezium.converters.CloudEventsConverter"),
            ("value.converter.serializer.type", "avro"),
            ("value.converter.data.serializer.type", "avro"),
            ("value.converter.avro.schema.registry.url", registry()),
            // The event needs the whole change, and a sink takes it as it is.
            ("transforms", ""),
        ];
        for (key, value) in settings {
            config[key] = json!(value);
        }
    })
    .await;
    eventually_async("the events in S3", 60, || async {
        let objects = pipeline.objects();
        let rows = objects.iter().flat_map(|object| &object.rows);
        let shown: Vec<_> = rows.map(ToString::to_string).collect();
        let widget = shown.iter().find(|row| row.contains("name: \"Widget\""));
        let is_event = widget.is_some_and(|row| {
            row.contains("specversion: \"1.0\"") && row.contains("iodebeziumop: \"r\"")
        });
        if shown.len() == 2 && is_event {
            return Ok(());
        }
        let status = get(&format!("{}/connectors?expand=status", worker.url)).await;
        Err(format!("{shown:?}, {status:?}, {}", worker.log.display()))
    })
    .await;
    let topic = topic(&pipeline);
    let latest = |subject: String| async move {
        get(&format!("{}/subjects/{subject}/versions/latest", registry())).await.unwrap()
    };
    let (event, data) =
        (latest(format!("{topic}-value")).await, latest(format!("{topic}-data-value")).await);
    let message = first_message(&topic);
    let id = i32::from_be_bytes(message[1..5].try_into().unwrap());
    assert_eq!(json!(id), event["id"]);
    let schema = apache_avro::Schema::parse_str(event["schema"].as_str().unwrap()).unwrap();
    let read = apache_avro::from_avro_datum(&schema, &mut &message[5..], None).unwrap();
    let apache_avro::types::Value::Record(fields) = read else { panic!("no record: {read:?}") };
    let member = |name: &str| fields.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let apache_avro::types::Value::Bytes(inner) = member("data") else { panic!("no bytes") };
    let id = i32::from_be_bytes(inner[1..5].try_into().unwrap());
    assert_eq!(json!(id), data["id"]);
    let expected = format!("{}/schemas/ids/{id}", registry());
    assert_eq!(member("dataschema"), apache_avro::types::Value::String(expected));
}
