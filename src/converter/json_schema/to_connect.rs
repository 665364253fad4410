//! The Connect schema of a JSON Schema (Confluent, `JsonSchemaData.toConnectSchema`).
//!
//! What a schema accepts beyond its types (lengths, patterns, conditions) is not looked at: reading
//! is not validating.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::JsonSchemaOptions;
use super::vocabulary::{
    ENUM, GENERAL_ENUM, GENERAL_UNION, GENERAL_UNION_PREFIX, INDEX, NULL_MARKER, ONE_OF,
    PARAMETERS, TYPE, VERSION,
};
use crate::data::{Schema, SchemaBuilder, Type};
use crate::error::DataError;

/// As deep as a schema may be nested, references followed.
const DEPTH_MAX: usize = 64;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// The Connect schema of `text`, which may refer to `references`: their names and texts.
///
/// # Errors
/// When Connect has no such schema.
pub(super) fn to_connect(
    text: &str,
    references: &[(String, String)],
    version: Option<i32>,
    options: JsonSchemaOptions,
) -> Result<Arc<Schema>> {
    let parse = |text: &str| {
        serde_json::from_str::<Json>(text)
            .map_err(|error| DataError::new(format!("Cannot parse the JSON Schema: {error}")))
    };
    let root = parse(text)?;
    let others = references.iter().map(|(name, text)| Ok((name.clone(), parse(text)?)));
    let others: BTreeMap<_, _> = others.collect::<Result<_>>()?;
    let mut mapping = Mapping { others: &others, options, unions: 0 };
    mapping.any(&Place { root: &root, depth: 0 }, &root, version, false)
}

struct Mapping<'a> {
    others: &'a BTreeMap<String, Json>,
    options: JsonSchemaOptions,
    unions: usize,
}

/// The document that a schema stands in, and how deep.
#[derive(Clone, Copy)]
struct Place<'a> {
    root: &'a Json,
    depth: usize,
}

impl<'a> Mapping<'a> {
    fn any(
        &mut self,
        place: &Place<'a>,
        json: &'a Json,
        version: Option<i32>,
        optional: bool,
    ) -> Result<Arc<Schema>> {
        let place = Place { depth: place.depth + 1, ..*place };
        if place.depth > DEPTH_MAX {
            return Err(DataError::new(
                "The JSON Schema contains itself, or is nested too deeply; values of endless depth \
                 are not supported",
            ));
        }
        let Some(object) = json.as_object() else {
            return Err(DataError::new(format!("Unsupported schema type {json}")));
        };
        if let Some(reference) = object.get("$ref").and_then(Json::as_str) {
            let (place, target) = self.referred(&place, reference)?;
            return self.any(&place, target, version, optional);
        }
        for (key, is_all) in [("oneOf", false), ("anyOf", false), ("allOf", true)] {
            let Some(branches) = object.get(key).and_then(Json::as_array) else { continue };
            return match is_all {
                true => self.all_of(&place, branches, version, optional),
                false => {
                    self.combined(&place, &branches.iter().collect::<Vec<_>>(), version, optional)
                }
            };
        }
        if let Some(Json::Array(types)) = object.get("type") {
            return self.several_types(&place, object, types, version, optional);
        }
        let builder = self.builder(&place, object)?;
        self.finish(builder, object, version, optional)
    }

    /// `"type": ["string", "null"]` is a union of the same schema with each type.
    fn several_types(
        &mut self,
        place: &Place<'a>,
        object: &'a Map<String, Json>,
        types: &'a [Json],
        version: Option<i32>,
        optional: bool,
    ) -> Result<Arc<Schema>> {
        let is_null = |ty: &&Json| ty.as_str() == Some("null");
        let others: Vec<_> = types.iter().filter(|ty| !is_null(ty)).collect();
        let [only] = others.as_slice() else {
            return Err(DataError::new(format!(
                "A schema of several types ({}) is not supported; write it as oneOf",
                Json::from(types.to_vec())
            )));
        };
        let ty = only.as_str().unwrap_or_default();
        let builder = self.builder_of(place, object, ty)?;
        self.finish(builder, object, version, optional || others.len() < types.len())
    }

    fn referred(&self, place: &Place<'a>, reference: &str) -> Result<(Place<'a>, &'a Json)> {
        let (document, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let unknown =
            || DataError::new(format!("The JSON Schema refers to {reference}, which is not there"));
        let root = match document {
            "" => place.root,
            name => {
                let by_name = self.others.get(name);
                let by_end = || {
                    let mut others = self.others.iter();
                    others.find(|(own, _)| name.ends_with(&format!("/{own}"))).map(|(_, json)| json)
                };
                by_name.or_else(by_end).ok_or_else(unknown)?
            }
        };
        let target = match pointer {
            "" => Some(root),
            pointer if pointer.starts_with('/') => root.pointer(pointer),
            id => by_id(root, &format!("#{id}"), 0),
        };
        Ok((Place { root, depth: place.depth }, target.ok_or_else(unknown)?))
    }

    fn builder(
        &mut self,
        place: &Place<'a>,
        object: &'a Map<String, Json>,
    ) -> Result<SchemaBuilder> {
        if let Some(symbols) = object.get("enum").and_then(Json::as_array) {
            let ty = object.get("type").and_then(Json::as_str);
            if ty.is_none_or(|ty| ty == "string") {
                return Ok(self.enumeration(symbols));
            }
        }
        if let Some(value) = object.get("const").filter(|_| !object.contains_key("type")) {
            return Ok(self.enumeration(std::slice::from_ref(value)));
        }
        let implied = match object {
            _ if object.contains_key("properties") => "object",
            _ if object.contains_key("items") => "array",
            _ => "",
        };
        let ty = object.get("type").and_then(Json::as_str).unwrap_or(implied);
        self.builder_of(place, object, ty)
    }

    fn builder_of(
        &mut self,
        place: &Place<'a>,
        object: &'a Map<String, Json>,
        ty: &str,
    ) -> Result<SchemaBuilder> {
        let connect_type = object.get(TYPE).and_then(Json::as_str);
        Ok(match (ty, connect_type) {
            ("boolean", _) => SchemaBuilder::new(Type::Boolean),
            ("integer" | "number", Some(connect_type)) => SchemaBuilder::new(match connect_type {
                "int8" => Type::Int8,
                "int16" => Type::Int16,
                "int32" => Type::Int32,
                "int64" => Type::Int64,
                "float32" => Type::Float32,
                "float64" => Type::Float64,
                "bytes" => Type::Bytes,
                other => return Err(DataError::new(format!("Unsupported type {other}"))),
            }),
            ("integer", None) => SchemaBuilder::new(Type::Int64),
            ("number", None) => SchemaBuilder::new(Type::Float64),
            ("string", Some("bytes")) => SchemaBuilder::new(Type::Bytes),
            ("string", _) => SchemaBuilder::new(Type::String),
            ("array", _) => self.array(place, object, connect_type == Some("map"))?,
            ("object", Some("map")) => {
                let values = object.get("additionalProperties").ok_or_else(|| {
                    DataError::new("A map without additionalProperties has no schema of its values")
                })?;
                let keys = SchemaBuilder::new(Type::String).build();
                SchemaBuilder::map(keys, self.any(place, values, None, false)?)
            }
            ("object", _) => self.object(place, object)?,
            ("", _) => {
                return Err(DataError::new(
                    "A schema that says nothing of the type is not supported",
                ));
            }
            (other, _) => return Err(DataError::new(format!("Unsupported schema type {other}"))),
        })
    }

    fn array(
        &mut self,
        place: &Place<'a>,
        object: &'a Map<String, Json>,
        is_map: bool,
    ) -> Result<SchemaBuilder> {
        let items = object
            .get("items")
            .filter(|items| items.is_object())
            .ok_or_else(|| DataError::new("Array schema did not specify the items type"))?;
        if is_map && let Some(entry) = items.get("properties") {
            let member = |name| {
                entry
                    .get(name)
                    .ok_or_else(|| DataError::new(format!("An entry of a map without \"{name}\"")))
            };
            let keys = self.any(place, member("key")?, None, false)?;
            return Ok(SchemaBuilder::map(keys, self.any(place, member("value")?, None, false)?));
        }
        Ok(SchemaBuilder::array(self.any(place, items, None, false)?))
    }

    fn object(
        &mut self,
        place: &Place<'a>,
        object: &'a Map<String, Json>,
    ) -> Result<SchemaBuilder> {
        let properties = object.get("properties").and_then(Json::as_object);
        let required = object.get("required").and_then(Json::as_array);
        let is_required = |name: &str| {
            required.is_some_and(|required| required.iter().any(|each| each.as_str() == Some(name)))
        };
        let mut ordered = Vec::new();
        for (at, (name, property)) in properties.into_iter().flatten().enumerate() {
            let index = property.get(INDEX).and_then(Json::as_u64);
            ordered.push((index.unwrap_or(at as u64), name, property));
        }
        ordered.sort_by_key(|(index, _, _)| *index);
        let mut builder = SchemaBuilder::structure();
        for (_, name, property) in ordered {
            let optional = self.options.optional_for_nonrequired && !is_required(name);
            let schema = self.any(place, property, None, optional).map_err(|e| e.at(name))?;
            builder = builder.field(name.clone(), schema);
        }
        Ok(builder)
    }

    fn enumeration(&self, symbols: &[Json]) -> SchemaBuilder {
        let general = self.options.generalized_sum_type_support;
        let param = if general { GENERAL_ENUM } else { ENUM };
        let mut builder = SchemaBuilder::new(Type::String).parameter(param, "");
        for (index, symbol) in symbols.iter().enumerate() {
            let text = match symbol {
                Json::Null => NULL_MARKER.to_owned(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let value = if general { index.to_string() } else { text.clone() };
            builder = builder.parameter(format!("{param}.{text}"), value);
        }
        builder
    }

    /// `oneOf` and `anyOf`: null with one other is that, optional; more are a struct.
    fn combined(
        &mut self,
        place: &Place<'a>,
        branches: &[&'a Json],
        version: Option<i32>,
        optional: bool,
    ) -> Result<Arc<Schema>> {
        let is_null = |json: &&&Json| json.get("type").and_then(Json::as_str) == Some("null");
        let others: Vec<_> = branches.iter().filter(|json| !is_null(json)).copied().collect();
        match others.as_slice() {
            [only] if branches.len() == 1 && self.options.flatten_singleton_unions => {
                return self.any(place, only, None, false);
            }
            [only] if branches.len() == 2 => return self.any(place, only, version, true),
            _ => {}
        }
        let (mut builder, prefix) = if self.options.generalized_sum_type_support {
            let name = format!("{GENERAL_UNION_PREFIX}{}", self.unions);
            self.unions += 1;
            let builder = SchemaBuilder::structure().name(name.clone());
            (builder.parameter(GENERAL_UNION, name), format!("{GENERAL_UNION_PREFIX}field_"))
        } else {
            (SchemaBuilder::structure().name(ONE_OF), format!("{ONE_OF}.field."))
        };
        for (index, branch) in others.iter().enumerate() {
            builder =
                builder.field(format!("{prefix}{index}"), self.any(place, branch, None, true)?);
        }
        let has_null = others.len() < branches.len();
        if let Some(version) = version {
            builder = builder.version(version);
        }
        Ok(builder.with_optional(optional || has_null).build())
    }

    /// `allOf`: the properties of all, else what says most of the type.
    fn all_of(
        &mut self,
        place: &Place<'a>,
        branches: &'a [Json],
        version: Option<i32>,
        optional: bool,
    ) -> Result<Arc<Schema>> {
        let mut properties = Vec::new();
        for branch in branches {
            self.collect(place, branch, &mut properties, 0)?;
        }
        if properties.is_empty() {
            let says_type = |json: &&Json| {
                ["oneOf", "anyOf", "enum", "type", "$ref"].iter().any(|key| json.get(key).is_some())
            };
            let branch = branches.iter().find(says_type).ok_or_else(|| {
                DataError::new("An allOf that says nothing of the type is not supported")
            })?;
            return self.any(place, branch, version, optional);
        }
        let mut builder = SchemaBuilder::structure();
        for (name, (own, property, required)) in properties {
            let optional = self.options.optional_for_nonrequired && !required;
            let schema = self.any(&own, property, None, optional).map_err(|e| e.at(&name))?;
            builder = builder.field(name, schema);
        }
        Ok(builder.with_optional(optional).build())
    }

    fn collect(
        &self,
        place: &Place<'a>,
        json: &'a Json,
        properties: &mut Vec<(String, (Place<'a>, &'a Json, bool))>,
        depth: usize,
    ) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(DataError::new("The JSON Schema contains itself"));
        }
        if let Some(reference) = json.get("$ref").and_then(Json::as_str) {
            let (place, target) = self.referred(place, reference)?;
            return self.collect(&place, target, properties, depth + 1);
        }
        for branch in json.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            self.collect(place, branch, properties, depth + 1)?;
        }
        let required = json.get("required").and_then(Json::as_array);
        for (name, property) in
            json.get("properties").and_then(Json::as_object).into_iter().flatten()
        {
            let is_required = required
                .is_some_and(|required| required.iter().any(|each| each.as_str() == Some(name)));
            let entry = (*place, property, is_required);
            match properties.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = entry,
                None => properties.push((name.clone(), entry)),
            }
        }
        Ok(())
    }

    /// Title, version, description, parameters and default.
    fn finish(
        &self,
        mut builder: SchemaBuilder,
        object: &Map<String, Json>,
        version: Option<i32>,
        optional: bool,
    ) -> Result<Arc<Schema>> {
        if let Some(title) = object.get("title").and_then(Json::as_str) {
            builder = builder.name(title);
        }
        let own = object.get(VERSION).and_then(Json::as_i64);
        if let Some(version) = own.and_then(|own| i32::try_from(own).ok()).or(version) {
            builder = builder.version(version);
        }
        if let Some(description) = object.get("description").and_then(Json::as_str) {
            builder = builder.doc(description);
        }
        let parameters = object.get(PARAMETERS).and_then(Json::as_object);
        for (key, value) in parameters.into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            builder = builder.parameter(key.clone(), text);
        }
        builder = builder.with_optional(optional);
        if let Some(default) = object.get("default").filter(|default| !default.is_null()) {
            let schema = builder.clone().build();
            let text = default.to_string();
            match self.options.values().read(Some(&schema), text.as_bytes()) {
                Ok(value) if !value.is_null() => builder = builder.default_value(value),
                _ => {
                    let name = schema.name().unwrap_or_else(|| schema.ty().name());
                    tracing::warn!(
                        schema = name,
                        "the default of a json schema does not fit, ignored"
                    );
                }
            }
        }
        Ok(builder.build())
    }
}

/// The schema within `json` that has this identifier.
fn by_id<'a>(json: &'a Json, id: &str, depth: usize) -> Option<&'a Json> {
    if depth > DEPTH_MAX {
        return None;
    }
    match json {
        Json::Object(object) => {
            let own = object.get("$id").or_else(|| object.get("id")).and_then(Json::as_str);
            if own == Some(id) {
                return Some(json);
            }
            object.values().find_map(|each| by_id(each, id, depth + 1))
        }
        Json::Array(items) => items.iter().find_map(|each| by_id(each, id, depth + 1)),
        _ => None,
    }
}
