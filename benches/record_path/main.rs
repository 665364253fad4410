//! What a row costs between the source's cells and the message's bytes: unwrapped and as JSON, beside what `serde_json` needs for
//! the same bytes from a ready struct, and what copying them costs. The command and its figures: docs/performance.md.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that panics says where and why; what it prints is its result"
)]

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

fn encoder(plan: &RowPlan, schemas: &str) -> Box<dyn RowEncoder> {
    let plugins = Plugins::builtin();
    let class = "org.apache.kafka.connect.json.JsonConverter";
    let plugin = plugins.find(&[PluginKind::Converter], class).unwrap();
    let Constructor::Converter(construct) = plugin.constructor else { panic!("a converter") };
    let mut converter =
        construct(&props(&[("schemas.enable", schemas)]), &Role::Value.into()).unwrap();
    converter.encoder(&plan.topic, plan.value.as_ref().unwrap()).unwrap()
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

fn measure(criterion: &mut Criterion) {
    for shape in [shapes::narrow(), shapes::wide()] {
        let plan = unwrapped(&shape.plan);
        let (without, with) = (encoder(&plan, "false"), encoder(&plan, "true"));
        let mut out = Vec::with_capacity(16 << 10);
        let (mut ours, mut theirs, mut enveloped) = (Vec::new(), Vec::new(), Vec::new());
        encode(without.as_ref(), &shape, &mut out, |message| ours.push(message.to_vec()));
        serde(&shape.floor, &mut out, |message| theirs.push(message.to_vec()));
        encode(with.as_ref(), &shape, &mut out, |message| enveloped.push(message.to_vec()));
        assert_eq!(String::from_utf8_lossy(&ours[0]), String::from_utf8_lossy(&theirs[0]));
        assert_eq!(ours, theirs, "the floor writes the same bytes");

        let bytes = |messages: &[Vec<u8>]| messages.iter().map(Vec::len).sum::<usize>() as u64;
        let rows = ROWS as u64;
        let mut group = criterion.benchmark_group(shape.name);
        let plain = Throughput::ElementsAndBytes { elements: rows, bytes: bytes(&ours) };
        let whole = Throughput::ElementsAndBytes { elements: rows, bytes: bytes(&enveloped) };
        group.throughput(plain.clone());
        group.bench_function("memcpy of the bytes without schemas", |bencher| {
            bencher.iter(|| {
                for message in &ours {
                    out.clear();
                    out.extend_from_slice(message);
                    black_box(&out);
                }
            });
        });
        group.bench_function("serde_json, the same bytes from ready structs", |bencher| {
            bencher.iter(|| serde(&shape.floor, &mut out, |message| _ = black_box(message)));
        });
        group.bench_function("unwrap and JsonConverter, without schemas", |bencher| {
            bencher.iter(|| {
                encode(without.as_ref(), &shape, &mut out, |message| _ = black_box(message));
            });
        });
        group.throughput(whole);
        group.bench_function("memcpy of the bytes with schemas", |bencher| {
            bencher.iter(|| {
                for message in &enveloped {
                    out.clear();
                    out.extend_from_slice(message);
                    black_box(&out);
                }
            });
        });
        group.bench_function("unwrap and JsonConverter, with schemas", |bencher| {
            bencher.iter(|| {
                encode(with.as_ref(), &shape, &mut out, |message| _ = black_box(message));
            });
        });
        group.finish();
        let counted = allocation_counter::measure(|| {
            encode(without.as_ref(), &shape, &mut out, |message| _ = black_box(message));
            encode(with.as_ref(), &shape, &mut out, |message| _ = black_box(message));
        });
        assert_eq!(counted.count_total, 0, "{}: a row allocates nothing", shape.name);
        println!("{}: {} allocations for {} messages", shape.name, counted.count_total, 2 * ROWS);
    }
}

criterion_group!(benches, measure);
criterion_main!(benches);
