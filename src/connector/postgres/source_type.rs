//! A column's type as the database has it, in parameters of its schema (Debezium,
//! `PropagateSourceMetadataToSchemaParameter`; lengths and scales are those of the Java driver).

use crate::connector::postgres::type_mapping::{PgKind, PgType, Phase, numeric_modifier};
use crate::data::SchemaBuilder;

/// What the driver says of types without a length of their own.
const UNLIMITED: i64 = 2_147_483_647;

/// Length and scale; each may be unknown.
type Size = (Option<i64>, Option<i64>);

/// A column to describe.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceColumn<'a> {
    pub(super) name: &'a str,
    pub(super) ty: &'a PgType,
    pub(super) modifier: i32,
    /// The default's expression.
    pub(super) default: Option<&'a str>,
    pub(super) phase: Phase,
}

impl SourceColumn<'_> {
    /// `schema` with the parameters.
    pub(super) fn describe(self, schema: SchemaBuilder) -> SchemaBuilder {
        let (length, scale) = size(self.ty, self.modifier, self.phase);
        let with = |schema: SchemaBuilder, name: &str, value: Option<String>| match value {
            Some(value) => schema.parameter(format!("__debezium.source.column.{name}"), value),
            None => schema,
        };
        let schema = with(schema, "type", Some(self.type_name()));
        let schema = with(schema, "length", length.map(|length| length.to_string()));
        let schema = with(schema, "scale", scale.map(|scale| scale.to_string()));
        with(schema, "name", Some(self.name.to_owned()))
    }

    /// How many characters its texts may have.
    pub(super) fn length(self) -> usize {
        let (length, _) = size(self.ty, self.modifier, self.phase);
        length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX)
    }

    fn type_name(self) -> String {
        // The driver shows integers that count by themselves as what they were declared as, and types
        // that are not on the search path with their schema; the stream does not know.
        let counts = self.phase == Phase::Snapshot
            && self.default.is_some_and(|expression| expression.contains("nextval("));
        let serial = match self.ty.name.as_str() {
            "int2" => "SMALLSERIAL",
            "int4" => "SERIAL",
            "int8" => "BIGSERIAL",
            _ => "",
        };
        match &self.ty.elsewhere {
            _ if counts && !serial.is_empty() => serial.to_owned(),
            Some(schema) if self.phase == Phase::Snapshot => {
                format!("\"{schema}\".\"{}\"", self.ty.name).to_uppercase()
            }
            _ => self.ty.name.to_uppercase(),
        }
    }
}

fn size(ty: &PgType, modifier: i32, phase: Phase) -> Size {
    match &ty.kind {
        PgKind::Array(element) => size(element, modifier, phase),
        PgKind::Domain(base, own) => size(base, if *own >= 0 { *own } else { modifier }, phase),
        PgKind::Base => base_size(&ty.name, modifier, phase),
        _ => (Some(UNLIMITED), Some(0)),
    }
}

fn base_size(name: &str, modifier: i32, phase: Phase) -> Size {
    let known = |length: i64, scale: i64| (Some(length), Some(scale));
    let given = (modifier >= 0).then(|| i64::from(modifier));
    let digits = given.filter(|digits| *digits <= 6).unwrap_or(6);
    match name {
        "int2" => known(5, 0),
        "int4" | "oid" => known(10, 0),
        "int8" => known(19, 0),
        "float4" => known(8, 8),
        "float8" => known(17, 17),
        "numeric" => match (numeric_modifier(modifier), phase) {
            (Some((precision, scale)), _) => known(precision.into(), scale.into()),
            (None, Phase::Snapshot) => (Some(0), None),
            (None, Phase::Stream) => known(131_089, 0),
        },
        "bool" | "char" => known(1, 0),
        "bit" | "varbit" => known(given.unwrap_or(UNLIMITED), 0),
        "varchar" | "bpchar" => known(given.map_or(UNLIMITED, |given| given - 4), 0),
        "date" => known(13, 0),
        "time" => known(8 + fraction(digits), digits),
        "timetz" => known(14 + fraction(digits), digits),
        "timestamp" => known(22 + fraction(digits), digits),
        "timestamptz" => known(28 + fraction(digits), digits),
        // The lower half is the precision; of an interval without seconds it is all ones.
        "interval" => known(49, given.map_or(6, |given| given & 0xffff)),
        "vector" | "halfvec" | "sparsevec" => (given, Some(0)),
        _ => known(UNLIMITED, 0),
    }
}

/// How many characters the driver counts for the fraction of a second, with its point.
fn fraction(digits: i64) -> i64 {
    match digits {
        0 => 0,
        1 => 3,
        digits => digits + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_driver() {
        // Observed.
        for (name, modifier, expected) in [
            ("int4", -1, (Some(10), Some(0))),
            ("numeric", 4 + (6 << 16 | 2), (Some(6), Some(2))),
            ("varchar", 24, (Some(20), Some(0))),
            ("text", -1, (Some(UNLIMITED), Some(0))),
            ("bit", 3, (Some(3), Some(0))),
            ("time", 0, (Some(8), Some(0))),
            ("time", -1, (Some(15), Some(6))),
            ("timetz", 3, (Some(18), Some(3))),
            ("timestamp", 1, (Some(25), Some(1))),
            ("timestamp", 4, (Some(27), Some(4))),
            ("timestamptz", -1, (Some(35), Some(6))),
            ("interval", -1, (Some(49), Some(6))),
            ("interval", 6 << 16 | 0xffff, (Some(49), Some(65_535))),
            ("vector", -1, (None, Some(0))),
        ] {
            assert_eq!(base_size(name, modifier, Phase::Stream), expected, "{name}({modifier})");
        }
        assert_eq!(base_size("numeric", -1, Phase::Stream), (Some(131_089), Some(0)));
        assert_eq!(base_size("numeric", -1, Phase::Snapshot), (Some(0), None));
    }

    #[test]
    fn integers_that_count_are_serial_in_a_snapshot() {
        let ty = PgType { name: "int8".to_owned(), elsewhere: None, kind: PgKind::Base };
        let column = |phase| SourceColumn {
            name: "id",
            ty: &ty,
            modifier: -1,
            default: Some("nextval('inv.a_id_seq'::regclass)"),
            phase,
        };
        assert_eq!(column(Phase::Snapshot).type_name(), "BIGSERIAL");
        assert_eq!(column(Phase::Stream).type_name(), "INT8");
    }
}
