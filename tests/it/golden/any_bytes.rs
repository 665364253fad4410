//! Arbitrary and damaged messages through every converter: an error or a value, never a panic, and the same on both paths.

use bytes::Bytes;
use proptest::prelude::*;

use ferroconnect::config::Props;
use ferroconnect::converter::{Converter, HeaderConverter, Role};
use ferroconnect::data::RecordBatch;
use ferroconnect::plugin::{Constructor, Plugins};

/// Every converter that needs nothing of the outside, as it comes and, where it has the switch, without schemas.
fn converters() -> Vec<Box<dyn Converter>> {
    let mut all = Vec::new();
    for plugin in Plugins::builtin().iter() {
        let Constructor::Converter(construct) = plugin.constructor else { continue };
        let without = Props::from([("schemas.enable".to_owned(), "false".to_owned())]);
        all.extend(construct(&Props::new(), &Role::Value.into()).ok());
        all.extend(construct(&without, &Role::Value.into()).ok());
    }
    assert!(all.len() >= 16, "the converters are found: {}", all.len());
    all
}

fn header_converters() -> Vec<Box<dyn HeaderConverter>> {
    let mut all = Vec::new();
    for plugin in Plugins::builtin().iter() {
        let Constructor::HeaderConverter(construct) = plugin.constructor else { continue };
        all.extend(construct(&Props::new()).ok());
    }
    all
}

fn read(message: &[u8]) {
    for converter in &mut converters() {
        let tree = converter.to_connect_data("t", Some(message));
        let mut batch =
            RecordBatch { wire: Bytes::copy_from_slice(message), ..RecordBatch::default() };
        let Ok(Some(plan)) = converter.decode_cells("t", 0, message.len(), &mut batch) else {
            continue;
        };
        let index = batch.plan_index(&plan);
        let Ok(planned) = plan.materialize(&batch.view(index, 0)) else { continue };
        let tree = tree.expect("what is read into cells is read into trees");
        // NaN is no value equal to itself.
        assert_eq!(format!("{:?}", planned.value), format!("{tree:?}"));
    }
    for converter in &mut header_converters() {
        let _value = converter.to_connect_header("t", "h", Some(message));
    }
}

/// A message with a schema of every type.
const MESSAGE: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"price"},{"type":"array","items":{"type":"int8"},"optional":true,"field":"list"},{"type":"map","keys":{"type":"string"},"values":{"type":"double"},"optional":true,"field":"map"},{"type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1,"field":"day"},{"type":"boolean","optional":true,"default":true,"field":"flag"}],"optional":false,"name":"t.Value"},"payload":{"id":1,"name":"a \"b\" ü","price":"B88=","list":[1,2],"map":{"k":1.5},"day":19000,"flag":null}}"#;

proptest! {
    #[test]
    fn any_bytes_are_taken(message: Vec<u8>) {
        read(&message);
    }

    #[test]
    fn damaged_messages_are_taken(
        changes in prop::collection::vec((0..MESSAGE.len(), any::<u8>()), 0..4),
        cut in 0..=MESSAGE.len(),
        whole: bool,
    ) {
        let mut message = MESSAGE.as_bytes().to_vec();
        for (at, byte) in changes {
            message[at] = byte;
        }
        if !whole {
            message.truncate(cut);
        }
        read(&message);
    }

    #[test]
    fn texts_of_brackets_are_taken(text in "[\\[\\]{}:,\"\\\\ a0-9.eE+nultrf-]{0,60}") {
        read(text.as_bytes());
    }
}
