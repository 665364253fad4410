//! Arbitrary text through every decoder of a column's text: a value or none, never a panic.

use std::sync::Arc;

use proptest::prelude::*;

use crate::connector::postgres::{array, datetime, geometry, numeric};
use crate::data::{Schema, SchemaBuilder, Type};

fn structure(fields: &[(&str, Arc<Schema>)]) -> Arc<Schema> {
    let builder = fields.iter().fold(SchemaBuilder::structure(), |builder, (name, schema)| {
        builder.field(*name, schema.clone())
    });
    builder.build()
}

fn decode(text: &[u8]) {
    let plain = |ty| SchemaBuilder::new(ty).optional().build();
    let _date = datetime::date(text);
    let _time = (datetime::time(text), datetime::timetz(text));
    let _timestamp = (datetime::timestamp(text), datetime::timestamptz(text));
    let _interval = datetime::interval(text);
    let _money = numeric::plain_money(text);
    let mut out = Vec::new();
    if let Some(numeric::Numeric::Finite { negative, whole, fraction }) = numeric::parse(text) {
        numeric::write_unscaled(&mut out, negative, whole, fraction, 2);
    }
    let (mut out, real) = (Vec::new(), plain(Type::Float64));
    let _hstore = (array::hstore_json(text, &mut out), array::hstore_map(text));
    let wkb = plain(Type::Bytes);
    let point = structure(&[
        ("x", real.clone()),
        ("y", real.clone()),
        ("wkb", wkb.clone()),
        ("srid", plain(Type::Int32)),
    ]);
    let _point = geometry::point(&point, text);
    let _shape = geometry::postgis(&structure(&[("wkb", wkb), ("srid", plain(Type::Int32))]), text);
    let _vector = geometry::vector(&SchemaBuilder::array(real.clone()).build(), text);
    let dimensions = plain(Type::Int16);
    let vector = SchemaBuilder::map(dimensions.clone(), real).build();
    let _sparse = geometry::sparse_vector(
        &structure(&[("dimensions", dimensions), ("vector", vector)]),
        text,
    );
}

proptest! {
    #[test]
    fn any_bytes_are_taken(text: Vec<u8>) {
        decode(&text);
    }

    #[test]
    fn texts_of_their_characters_are_taken(text in "[0-9A-F:. TBCZ+,{}\\[\\]()\"\\\\=>a-e/$-]{0,40}") {
        decode(text.as_bytes());
    }
}
