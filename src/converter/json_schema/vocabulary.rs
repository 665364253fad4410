//! The names by which the original keeps in JSON Schema what only Connect has, and the other way
//! round.

use crate::data::{Schema, Type};

pub(super) const NAMESPACE: &str = "io.confluent.connect.json";
pub(super) const ID: &str = "io.confluent.connect.json.Id";
pub(super) const ENUM: &str = "io.confluent.connect.json.Enum";
pub(in crate::converter) const ONE_OF: &str = "io.confluent.connect.json.OneOf";
pub(super) const TYPE: &str = "connect.type";
pub(super) const VERSION: &str = "connect.version";
pub(super) const PARAMETERS: &str = "connect.parameters";
pub(super) const INDEX: &str = "connect.index";
/// The symbol of an enumeration that is null.
pub(super) const NULL_MARKER: &str = "<NULL>";
pub(super) const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
pub(in crate::converter) const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
pub(super) const GENERAL_UNION_PREFIX: &str = "connect_union_";

/// A struct that stands for a union: at most one of its fields is not null.
pub(in crate::converter) fn is_union(schema: &Schema) -> bool {
    schema.ty() == Type::Struct
        && (schema.name() == Some(ONE_OF) || schema.parameter(GENERAL_UNION).is_some())
}

/// Sorts entries as a `java.util.HashMap` of them goes over them: by the low bits of the hash.
pub(super) fn java_hash_order<T>(entries: &mut [(String, T)]) {
    let mut capacity = 16;
    while entries.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let bucket = |key: &str| {
        let hash = key
            .encode_utf16()
            .fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) as usize & (capacity - 1)
    };
    entries.sort_by_key(|(key, _)| bucket(key));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connects_own_members_have_javas_order() {
        let keys = [TYPE, PARAMETERS, INDEX, VERSION].map(|key| (key.to_owned(), ()));
        let mut entries = keys.to_vec();
        java_hash_order(&mut entries);
        let order: Vec<_> = entries.iter().map(|(key, ())| key.as_str()).collect();
        assert_eq!(order, [VERSION, INDEX, TYPE, PARAMETERS]);
    }
}
