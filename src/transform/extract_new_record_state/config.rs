//! The keys of `ExtractNewRecordState`, of both generations.

use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Parsed, Props, Validator};
use crate::error::ConnectError;

const TOMBSTONE_MODES: [&str; 5] =
    ["drop", "tombstone", "rewrite-with-tombstone", "rewrite", "delete-to-tombstone"];
const DELETE_MODES: [&str; 3] = ["drop", "rewrite", "none"];

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    ConfigDef::new(vec![
        key(
            "drop.tombstones",
            ConfigType::Boolean,
            "Whether tombstones are dropped. Debezium up to 3.1; without effect beside \
             delete.tombstone.handling.mode.",
        )
        .default("true"),
        key(
            "delete.handling.mode",
            ConfigType::String,
            "What becomes of deletes: drop; none, a null value; rewrite, the row before with \
             __deleted. Debezium up to 3.1; without effect beside delete.tombstone.handling.mode.",
        )
        .default("drop")
        .medium()
        .check(Validator::Custom(|value| one_of("delete.handling.mode", &DELETE_MODES, value))),
        key(
            "delete.tombstone.handling.mode",
            ConfigType::String,
            "What becomes of deletes and their tombstones: drop; tombstone, a null value; rewrite, \
             the row before with __deleted; rewrite-with-tombstone; delete-to-tombstone, a null \
             value without schema.",
        )
        .medium()
        .check(Validator::Custom(|value| {
            one_of("delete.tombstone.handling.mode", &TOMBSTONE_MODES, value)
        })),
        key("route.by.field", ConfigType::String, "The column whose value becomes the topic.")
            .default(""),
        key("add.fields.prefix", ConfigType::String, "The prefix of added fields.").default("__"),
        key(
            "add.fields",
            ConfigType::List,
            "Metadata to add to the row: field or struct.field of the envelope, then :name if it \
             is to have another name.",
        )
        .default(""),
        key("add.headers.prefix", ConfigType::String, "The prefix of added headers.").default("__"),
        key("add.headers", ConfigType::List, "Metadata to add as headers, written as add.fields.")
            .default(""),
        key(
            "drop.fields.header.name",
            ConfigType::String,
            "The header whose list of column names is left out of the row.",
        ),
        key(
            "drop.fields.from.key",
            ConfigType::Boolean,
            "Whether those columns are left out of the key too.",
        )
        .default("false"),
        key(
            "drop.fields.keep.schema.compatible",
            ConfigType::Boolean,
            "Whether only optional columns are left out.",
        )
        .default("true"),
        key(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a column with a default becomes the default, where the row is rebuilt.",
        )
        .default("true"),
    ])
}

fn one_of(name: &str, modes: &[&str], value: &ConfigValue) -> Option<String> {
    let ConfigValue::String(text) = value else { return None };
    let known = modes.iter().any(|mode| mode.eq_ignore_ascii_case(text));
    let modes = modes.join(", ");
    (!known)
        .then(|| format!("The '{name}' value '{text}' is invalid: Value must be one of {modes}"))
}

/// What becomes of a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transform) enum OnDelete {
    Drop,
    /// A null value with the row's schema.
    NullWithSchema,
    /// A true tombstone.
    NullWithoutSchema,
    /// The row before, marked by `__deleted`.
    Rewrite,
}

/// Where `__deleted` stands: the two generations differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transform) enum DeletedPlace {
    /// Debezium from 2.5.
    BeforeAdditions,
    /// Debezium up to 2.4.
    AfterAdditions,
}

/// A piece of metadata of the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transform) struct Metadata {
    /// The struct that holds it; `None` is the envelope itself.
    pub(in crate::transform) structure: Option<String>,
    pub(in crate::transform) field: String,
    /// Its name in the output, prefix included.
    pub(in crate::transform) output: String,
    /// Whether the envelope is looked at when the struct has no such field.
    pub(in crate::transform) or_envelope: bool,
}

/// The keys, understood.
#[derive(Debug, Clone)]
pub(in crate::transform) struct Settings {
    pub(in crate::transform) on_delete: OnDelete,
    pub(in crate::transform) drop_tombstones: bool,
    pub(in crate::transform) deleted_place: DeletedPlace,
    pub(in crate::transform) route_by_field: Option<String>,
    pub(in crate::transform) add_fields: Vec<Metadata>,
    pub(in crate::transform) add_headers: Vec<Metadata>,
    pub(in crate::transform) drop_fields_header: Option<String>,
    pub(in crate::transform) drop_fields_from_key: bool,
    pub(in crate::transform) drop_only_optional: bool,
    pub(in crate::transform) replace_null_with_default: bool,
}

impl Settings {
    pub(in crate::transform) fn new(props: &Props) -> Result<Self, ConnectError> {
        let parsed = config_def().parse(props)?;
        let (on_delete, drop_tombstones, deleted_place) = modes(&parsed);
        let metadata = |list: &str, prefix: &str| {
            let prefix = parsed.string(prefix);
            let items = parsed.list(list);
            items.iter().map(|item| Metadata::parse(item, &prefix)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            on_delete,
            drop_tombstones,
            deleted_place,
            route_by_field: parsed.optional_string("route.by.field"),
            add_fields: metadata("add.fields", "add.fields.prefix")?,
            add_headers: metadata("add.headers", "add.headers.prefix")?,
            drop_fields_header: parsed.optional_string("drop.fields.header.name"),
            drop_fields_from_key: parsed.boolean("drop.fields.from.key"),
            drop_only_optional: parsed.boolean("drop.fields.keep.schema.compatible"),
            replace_null_with_default: parsed.boolean("replace.null.with.default"),
        })
    }
}

/// The newer key alone decides where it is set; else the older pair, which Debezium 3.2 stopped
/// reading: files that rely on it exist, and ignoring it would change what they do.
fn modes(parsed: &Parsed) -> (OnDelete, bool, DeletedPlace) {
    if let Some(mode) = parsed.optional_string("delete.tombstone.handling.mode") {
        let mode = mode.to_ascii_lowercase();
        let on_delete = match mode.as_str() {
            "drop" => OnDelete::Drop,
            "tombstone" => OnDelete::NullWithSchema,
            "delete-to-tombstone" => OnDelete::NullWithoutSchema,
            _ => OnDelete::Rewrite,
        };
        return (on_delete, mode != "rewrite-with-tombstone", DeletedPlace::BeforeAdditions);
    }
    let mode = parsed.string("delete.handling.mode").to_ascii_lowercase();
    let on_delete = match mode.as_str() {
        "rewrite" => OnDelete::Rewrite,
        "none" => OnDelete::NullWithSchema,
        _ => OnDelete::Drop,
    };
    (on_delete, parsed.boolean("drop.tombstones"), DeletedPlace::AfterAdditions)
}

impl Metadata {
    /// Whether it is the operation, which a tombstone has too.
    pub(in crate::transform) fn is_op(&self) -> bool {
        self.structure.is_none() && self.field == "op"
    }

    fn parse(item: &str, prefix: &str) -> Result<Self, ConnectError> {
        let unexpected = || ConnectError::config(format!("Unexpected field name: {item}"));
        let (path, name) = match *item.split(':').collect::<Vec<_>>().as_slice() {
            [path] => (path.trim(), None),
            [path, name] => (path.trim(), Some(name.trim())),
            _ => return Err(unexpected()),
        };
        let (structure, field, or_envelope) = match *path.split('.').collect::<Vec<_>>().as_slice()
        {
            [field] => match field {
                "op" | "ts_ms" | "ts_us" | "ts_ns" | "updateDescription" => (None, field, false),
                "id" | "total_order" | "data_collection_order" => {
                    (Some("transaction"), field, true)
                }
                _ => (Some("source"), field, true),
            },
            [structure, field] => (Some(structure), field, false),
            _ => return Err(unexpected()),
        };
        let name = name.map_or_else(|| path.replace('.', "_"), str::to_owned);
        Ok(Self {
            structure: structure.map(str::to_owned),
            field: field.to_owned(),
            output: format!("{prefix}{name}"),
            or_envelope,
        })
    }
}
