//! The text of an Avro schema, read.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::schema::{AvroField, AvroSchema, AvroType, FullName, Kind, TypeId, check_name};
use crate::error::DataError;

/// What the specification names of a type; everything else is a property.
const RESERVED: [&str; 11] = [
    "type",
    "name",
    "namespace",
    "doc",
    "fields",
    "items",
    "values",
    "symbols",
    "size",
    "aliases",
    "default",
];
const RESERVED_OF_FIELD: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];
/// As deep as a schema may be nested.
const DEPTH_MAX: usize = 100;

/// Reads `text`, which may name types of `references`, each the text of another schema.
///
/// # Errors
/// When it is no Avro schema.
pub(super) fn parse(text: &str, references: &[String]) -> Result<AvroSchema, DataError> {
    let mut parser = Parser { types: Vec::new(), names: HashMap::new() };
    for reference in references {
        parser.schema(reference)?;
    }
    let root = parser.schema(text)?;
    Ok(AvroSchema::new(parser.types, root))
}

struct Parser {
    types: Vec<AvroType>,
    names: HashMap<FullName, TypeId>,
}

type Result<T, E = DataError> = std::result::Result<T, E>;

impl Parser {
    fn schema(&mut self, text: &str) -> Result<TypeId> {
        let json = serde_json::from_str(text)
            .map_err(|error| DataError::new(format!("Cannot parse the Avro schema: {error}")))?;
        self.any(&json, None, 0)
    }

    fn add(&mut self, ty: AvroType) -> TypeId {
        self.types.push(ty);
        self.types.len() - 1
    }

    fn any(&mut self, json: &Json, space: Option<&str>, depth: usize) -> Result<TypeId> {
        if depth > DEPTH_MAX {
            return Err(DataError::new("The Avro schema is nested too deeply"));
        }
        match json {
            Json::String(name) => self.by_name(name, space),
            Json::Object(object) => self.object(object, space, depth),
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.any(branch, space, depth + 1));
                let branches = branches.collect::<Result<_>>()?;
                Ok(self.add(AvroType::of(Kind::Union(branches))))
            }
            other => Err(DataError::new(format!("No type: {other}"))),
        }
    }

    fn by_name(&mut self, name: &str, space: Option<&str>) -> Result<TypeId> {
        if let Some(kind) = Kind::primitive(name) {
            return Ok(self.add(AvroType::of(kind)));
        }
        let found = self.names.get(&in_space(name, space));
        let found = found.or_else(|| self.names.get(&FullName::of(name)));
        found.copied().ok_or_else(|| DataError::new(format!("Undefined name: \"{name}\"")))
    }

    fn object(
        &mut self,
        object: &Map<String, Json>,
        space: Option<&str>,
        depth: usize,
    ) -> Result<TypeId> {
        let ty = object.get("type").ok_or_else(|| DataError::new("No type in the Avro schema"))?;
        let Some(ty) = ty.as_str() else { return self.any(ty, space, depth + 1) };
        let part = |key| {
            object.get(key).ok_or_else(|| DataError::new(format!("No {key} in the Avro schema")))
        };
        let kind = match ty {
            "array" => Kind::Array(self.any(part("items")?, space, depth + 1)?),
            "map" => Kind::Map(self.any(part("values")?, space, depth + 1)?),
            "record" | "error" | "enum" | "fixed" => {
                return self.named(ty, object, space, depth);
            }
            other => match Kind::primitive(other) {
                Some(kind) => kind,
                None => return self.by_name(other, space),
            },
        };
        Ok(self.add(AvroType { props: props(object, &RESERVED), ..AvroType::of(kind) }))
    }

    fn named(
        &mut self,
        ty: &str,
        object: &Map<String, Json>,
        space: Option<&str>,
        depth: usize,
    ) -> Result<TypeId> {
        let text = |key| object.get(key).and_then(Json::as_str);
        let name = text("name").ok_or_else(|| DataError::new("No name in the Avro schema"))?;
        let space = text("namespace").or(space).filter(|space| !space.is_empty());
        let name = in_space(name, space);
        check_name(&name.name)?;
        let kind = match ty {
            "enum" => Kind::Enum {
                symbols: symbols(object)?,
                default: text("default").map(str::to_owned),
            },
            "fixed" => Kind::Fixed(size(object)?),
            // Filled below: a record may name itself.
            _ => Kind::Record(Vec::new()),
        };
        let id = self.add(AvroType {
            kind,
            name: Some(name.clone()),
            doc: text("doc").map(str::to_owned),
            props: props(object, &RESERVED),
        });
        if self.names.insert(name.clone(), id).is_some() {
            return Err(DataError::new(format!("Can't redefine: {}", name.full())));
        }
        if matches!(ty, "record" | "error") {
            let fields = object.get("fields").and_then(Json::as_array);
            let fields = fields.ok_or_else(|| DataError::new("Record has no fields"))?;
            let fields = fields
                .iter()
                .map(|field| self.field(field, name.namespace.as_deref(), depth))
                .collect::<Result<Vec<_>>>()?;
            if let Some(ty) = self.types.get_mut(id) {
                ty.kind = Kind::Record(fields);
            }
        }
        Ok(id)
    }

    fn field(&mut self, json: &Json, space: Option<&str>, depth: usize) -> Result<AvroField> {
        let refused = || DataError::new(format!("No field of a record: {json}"));
        let object = json.as_object().ok_or_else(refused)?;
        let name = object.get("name").and_then(Json::as_str).ok_or_else(refused)?;
        check_name(name)?;
        let ty = self.any(object.get("type").ok_or_else(refused)?, space, depth + 1)?;
        Ok(AvroField {
            name: name.to_owned(),
            ty,
            doc: object.get("doc").and_then(Json::as_str).map(str::to_owned),
            default: object.get("default").cloned(),
            props: props(object, &RESERVED_OF_FIELD),
        })
    }
}

/// A name as it stands, or within the namespace at hand.
fn in_space(name: &str, space: Option<&str>) -> FullName {
    match space {
        Some(space) if !name.contains('.') => {
            FullName { namespace: Some(space.to_owned()), name: name.to_owned() }
        }
        _ => FullName::of(name),
    }
}

fn props(object: &Map<String, Json>, reserved: &[&str]) -> Map<String, Json> {
    let own = object.iter().filter(|(key, _)| !reserved.contains(&key.as_str()));
    own.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn symbols(object: &Map<String, Json>) -> Result<Vec<String>> {
    let refused = || DataError::new("Enum has no symbols");
    let symbols = object.get("symbols").and_then(Json::as_array).ok_or_else(refused)?;
    symbols
        .iter()
        .map(|symbol| {
            let symbol = symbol.as_str().ok_or_else(refused)?;
            check_name(symbol)?;
            Ok(symbol.to_owned())
        })
        .collect()
}

fn size(object: &Map<String, Json>) -> Result<usize> {
    let size = object.get("size").and_then(Json::as_u64);
    size.and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size <= i32::MAX.unsigned_abs() as usize)
        .ok_or_else(|| DataError::new("Invalid or no size"))
}
