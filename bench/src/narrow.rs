//! The narrow row: five columns, about 85 bytes on the wire. `bench/workload.py` has it as SQL.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Key of row `id` with its schema, as JsonConverter writes it.
pub(crate) fn key(id: u64, out: &mut String) {
    out.clear();
    let _ = write!(
        out,
        r#"{{"schema":{{"type":"struct","fields":[{{"type":"int64","optional":false,"field":"id"}}],"optional":false,"name":"bench.public.narrow.Key"}},"payload":{{"id":{id}}}}}"#
    );
}

/// Value of row `id` with its schema: the flat form that `ExtractNewRecordState` leaves.
pub(crate) fn flat_value(id: u64, out: &mut String) {
    out.clear();
    out.push_str(FLAT_SCHEMA);
    let _ = write!(out, r#","payload":{{"id":{id},"#);
    columns(id, out);
    out.push_str(r#","__deleted":"false"}}"#);
}

/// Key without schema.
pub(crate) fn bare_key(id: u64, out: &mut String) {
    out.clear();
    let _ = write!(out, r#"{{"id":{id}}}"#);
}

/// Debezium's change event without schema, of the size that the source writes.
pub(crate) fn bare_envelope(id: u64, out: &mut String) {
    out.clear();
    let _ = write!(out, r#"{{"before":null,"after":{{"id":{id},"#);
    columns(id, out);
    let lsn = 24_000_000 + id * 150;
    let _ = write!(
        out,
        r#"}},"source":{{"version":"3.6.0.Final","connector":"postgresql","name":"bench","ts_ms":1767225600123,"snapshot":"false","db":"bench","sequence":"[\"{lsn}\",\"{lsn}\"]","ts_us":1767225600123456,"ts_ns":1767225600123456000,"schema":"public","table":"narrow","txId":{},"lsn":{lsn},"xmin":null}},"transaction":null,"op":"c","ts_ms":1767225600456,"ts_us":1767225600456789,"ts_ns":1767225600456789000}}"#,
        1000 + id / 100
    );
}

const FLAT_SCHEMA: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},{"type":"int32","optional":true,"field":"k"},{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"12"},"field":"v"},{"type":"string","optional":true,"field":"s"},{"type":"string","optional":true,"name":"io.debezium.time.ZonedTimestamp","version":1,"field":"ts"},{"type":"string","optional":true,"field":"__deleted"}],"optional":false,"name":"bench.public.narrow.Value"}"#;

fn columns(id: u64, out: &mut String) {
    let _ = write!(out, r#""k":{},"v":""#, id % 1000);
    STANDARD.encode_string(unscaled(id % 100_000), out);
    let _ = write!(
        out,
        r#"","s":"name-{id}","ts":"2026-01-01T00:{:02}:{:02}.{:06}Z""#,
        id / 60 % 60,
        id % 60,
        id % 1_000_000
    );
}

/// Two's complement, big-endian, in as few bytes as hold it: Connect's Decimal.
fn unscaled(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut first = value.leading_zeros() as usize / 8;
    first = first.min(bytes.len() - 1);
    let digits = bytes.get(first..).unwrap_or_default();
    if digits.first().is_some_and(|byte| *byte >= 0x80) {
        return [&[0], digits].concat();
    }
    digits.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut text = String::new();
        for write in [key, flat_value, bare_key, bare_envelope] {
            write(123_456, &mut text);
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }

    #[test]
    fn decimals_keep_their_sign() {
        assert_eq!(unscaled(0), [0]);
        assert_eq!(unscaled(127), [127]);
        assert_eq!(unscaled(128), [0, 128]);
        assert_eq!(unscaled(99_999), [1, 0x86, 0x9f]);
    }
}
