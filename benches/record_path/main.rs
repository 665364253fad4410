//! What a row costs between the source's cells and the message's bytes: unwrapped and as JSON or Avro, beside what `serde_json` needs
//! for the same bytes from a ready struct, and what copying them costs. The command and its figures: docs/performance.md.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that panics says where and why; what it prints is its result"
)]

mod registry;
mod shapes;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use ferroconnect::config::Props;
use ferroconnect::converter::{Role, RowEncoder};
use ferroconnect::data::{Row, RowPlan};
use ferroconnect::plugin::{Constructor, PluginKind, Plugins};
use ferroconnect::transform::Planned;
use shapes::{Floor, ROWS, Shape};

fn props(settings: &[(&str, &str)]) -> Props {
    settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The shape behind `ExtractNewRecordState` as the example files configure it.
fn unwrapped(plan: &Arc<RowPlan>) -> Arc<RowPlan> {
    let plugins = Plugins::builtin();
    let class = "io.debezium.transforms.ExtractNewRecordState";
    let plugin = plugins.find(&[PluginKind::Transformation], class).unwrap();
    let Constructor::Transformation(construct) = plugin.constructor else { panic!("a transform") };
    let settings = [("drop.tombstones", "true"), ("delete.handling.mode", "rewrite")];
    match construct(&props(&settings)).unwrap().plan(plan) {
        Planned::Plan(plan) => plan,
        other => panic!("not planned: {other:?}"),
    }
}

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const AVRO: &str = "io.confluent.connect.avro.AvroConverter";

/// The converter's encoder of the shape's values.
fn encoder(plan: &RowPlan, class: &str, settings: &[(&str, &str)]) -> Box<dyn RowEncoder> {
    let plugins = Plugins::builtin();
    let plugin = plugins.find(&[PluginKind::Converter], class).unwrap();
    let Constructor::Converter(construct) = plugin.constructor else { panic!("a converter") };
    let mut converter = construct(&props(settings), &Role::Value.into()).unwrap();
    let value = plan.value.as_ref().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(converter.prepare(&plan.topic, value.schema.as_ref())).unwrap();
    converter.encoder(&plan.topic, value).unwrap()
}

/// One message after the other in a buffer that is used again, as the source task has it.
fn encode(encoder: &dyn RowEncoder, shape: &Shape, out: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
    for row in &shape.batch.rows {
        let Row::Planned { plan, first_cell } = *row else { unreachable!("all rows are planned") };
        out.clear();
        encoder.write(&shape.batch.view(plan, first_cell), out).unwrap();
        each(out);
    }
}

fn serde(floor: &Floor, out: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
    fn rows<T: serde::Serialize>(rows: &[T], out: &mut Vec<u8>, each: &mut impl FnMut(&[u8])) {
        for row in rows {
            out.clear();
            serde_json::to_writer(&mut *out, row).unwrap();
            each(out);
        }
    }
    match floor {
        Floor::Narrow(all) => rows(all, out, &mut each),
        Floor::Wide(all) => rows(all, out, &mut each),
    }
}

/// The messages that `write` hands on.
fn all(write: impl FnOnce(&mut Vec<u8>, &mut dyn FnMut(&[u8]))) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    write(&mut Vec::new(), &mut |message| messages.push(message.to_vec()));
    messages
}

fn measure(criterion: &mut Criterion) {
    let registry = registry::start();
    for shape in [shapes::narrow(), shapes::wide()] {
        let plan = unwrapped(&shape.plan);
        let without = encoder(&plan, JSON, &[("schemas.enable", "false")]);
        let with = encoder(&plan, JSON, &[("schemas.enable", "true")]);
        let avro = encoder(&plan, AVRO, &[("schema.registry.url", &registry)]);
        let of = |encoder: &dyn RowEncoder| all(|out, each| encode(encoder, &shape, out, each));
        let (ours, floor) = (of(without.as_ref()), all(|out, each| serde(&shape.floor, out, each)));
        assert_eq!(String::from_utf8_lossy(&ours[0]), String::from_utf8_lossy(&floor[0]));
        assert_eq!(ours, floor, "the floor writes the same bytes");

        let mut out = Vec::with_capacity(16 << 10);
        let mut group = criterion.benchmark_group(shape.name);
        group.throughput(throughput(&floor));
        group.bench_function("serde_json, the same bytes from ready structs", |bencher| {
            bencher.iter(|| serde(&shape.floor, &mut out, |message| _ = black_box(message)));
        });
        for (name, encoder) in [
            ("unwrap and JsonConverter, without schemas", &without),
            ("unwrap and JsonConverter, with schemas", &with),
            ("unwrap and AvroConverter", &avro),
        ] {
            let messages = of(encoder.as_ref());
            group.throughput(throughput(&messages));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    encode(encoder.as_ref(), &shape, &mut out, |message| _ = black_box(message));
                });
            });
            group.bench_function(format!("memcpy of the bytes of: {name}"), |bencher| {
                bencher.iter(|| {
                    for message in &messages {
                        out.clear();
                        out.extend_from_slice(message);
                        black_box(&out);
                    }
                });
            });
        }
        group.finish();
        let encoders = [without, with, avro];
        let counted = allocation_counter::measure(|| {
            for encoder in &encoders {
                encode(encoder.as_ref(), &shape, &mut out, |message| _ = black_box(message));
            }
        });
        assert_eq!(counted.count_total, 0, "{}: a row allocates nothing", shape.name);
        let messages = encoders.len() * ROWS;
        println!("{}: {} allocations for {messages} messages", shape.name, counted.count_total);
    }
}

fn throughput(messages: &[Vec<u8>]) -> Throughput {
    let bytes = messages.iter().map(|message| message.len() as u64).sum();
    Throughput::ElementsAndBytes { elements: messages.len() as u64, bytes }
}

criterion_group!(benches, measure);
criterion_main!(benches);
