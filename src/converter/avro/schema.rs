//! An Avro schema as this crate needs it: with every property of every type, which the registry keeps
//! and Connect's mapping lives on.
//!
//! Apache Avro specification, "Schema Declaration". Types lie in one arena, so that a named type may
//! be referred to from anywhere, also from within itself.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use crate::error::DataError;

/// A place in [`AvroSchema`]'s arena.
pub(crate) type TypeId = usize;

/// A schema.
#[derive(Debug, Clone)]
pub(crate) struct AvroSchema {
    types: Vec<AvroType>,
    pub(super) root: TypeId,
}

/// A type with what stands around it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AvroType {
    pub(super) kind: Kind,
    /// Of records, enumerations and fixed types.
    pub(super) name: Option<FullName>,
    pub(super) doc: Option<String>,
    /// What the specification does not name, in order.
    pub(super) props: Map<String, Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Vec<AvroField>),
    Enum { symbols: Vec<String>, default: Option<String> },
    Fixed(usize),
}

/// A member of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AvroField {
    pub(super) name: String,
    pub(super) ty: TypeId,
    pub(super) doc: Option<String>,
    pub(super) default: Option<Json>,
    pub(super) props: Map<String, Json>,
}

/// A name with its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FullName {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl FullName {
    /// Splits at the last dot.
    pub(super) fn of(full: &str) -> Self {
        match full.rsplit_once('.') {
            Some(("", name)) => Self { namespace: None, name: name.to_owned() },
            Some((namespace, name)) => {
                Self { namespace: Some(namespace.to_owned()), name: name.to_owned() }
            }
            None => Self { namespace: None, name: full.to_owned() },
        }
    }

    /// The dotted name.
    pub(super) fn full(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Kind {
    /// The name of a type that has no other.
    pub(super) fn primitive_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Enum { .. } => "enum",
            Self::Fixed(_) => "fixed",
        }
    }

    /// The primitive type of this name.
    pub(super) fn primitive(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }
}

impl AvroType {
    /// A type without a name.
    pub(super) fn of(kind: Kind) -> Self {
        Self { kind, name: None, doc: None, props: Map::new() }
    }

    /// A property that is text.
    pub(super) fn text_prop(&self, key: &str) -> Option<&str> {
        self.props.get(key)?.as_str()
    }
}

impl AvroSchema {
    pub(super) fn new(types: Vec<AvroType>, root: TypeId) -> Self {
        Self { types, root }
    }

    /// The type at `id`.
    ///
    /// # Panics
    /// When `id` is of another schema: ids are only made by this one's builder.
    pub(super) fn ty(&self, id: TypeId) -> &AvroType {
        self.types.get(id).expect("an id of this schema")
    }

    /// The type of the whole.
    pub(super) fn root_type(&self) -> &AvroType {
        self.ty(self.root)
    }

    /// The full name of the record that the whole is.
    pub(super) fn record_name(&self) -> Option<String> {
        let root = self.root_type();
        matches!(root.kind, Kind::Record(_)).then(|| root.name.as_ref().map(FullName::full))?
    }

    /// The schema as the original's library writes it.
    ///
    /// # Errors
    /// When two types that differ have one name.
    pub(crate) fn text(&self) -> Result<String, DataError> {
        let mut names = Names { known: HashMap::new(), space: None };
        Ok(self.json(self.root, &mut names)?.to_string())
    }

    fn json(&self, id: TypeId, names: &mut Names) -> Result<Json, DataError> {
        let ty = self.ty(id);
        if let Some(name) = &ty.name {
            if let Some(reference) = names.reference(self, name, id)? {
                return Ok(reference.into());
            }
            return self.named_json(ty, name, names);
        }
        let mut out = Map::new();
        out.insert("type".into(), ty.kind.primitive_name().into());
        match &ty.kind {
            Kind::Union(branches) => {
                let branches = branches.iter().map(|branch| self.json(*branch, names));
                return Ok(branches.collect::<Result<Vec<_>, _>>()?.into());
            }
            Kind::Array(items) => drop(out.insert("items".into(), self.json(*items, names)?)),
            Kind::Map(values) => drop(out.insert("values".into(), self.json(*values, names)?)),
            kind if ty.props.is_empty() => return Ok(kind.primitive_name().into()),
            _ => {}
        }
        out.extend(ty.props.clone());
        Ok(Json::Object(out))
    }

    fn named_json(
        &self,
        ty: &AvroType,
        name: &FullName,
        names: &mut Names,
    ) -> Result<Json, DataError> {
        let mut out = Map::new();
        out.insert("type".into(), ty.kind.primitive_name().into());
        out.insert("name".into(), name.name.clone().into());
        match (&name.namespace, &names.space) {
            (Some(namespace), space) if Some(namespace) != space.as_ref() => {
                out.insert("namespace".into(), namespace.clone().into());
            }
            (None, Some(_)) => drop(out.insert("namespace".into(), "".into())),
            _ => {}
        }
        if let Some(doc) = &ty.doc {
            out.insert("doc".into(), doc.clone().into());
        }
        match &ty.kind {
            Kind::Record(fields) => {
                let outside = std::mem::replace(&mut names.space, name.namespace.clone());
                let fields = fields.iter().map(|field| self.field_json(field, names));
                let fields = fields.collect::<Result<Vec<_>, _>>()?;
                names.space = outside;
                out.insert("fields".into(), fields.into());
            }
            Kind::Enum { symbols, default } => {
                out.insert("symbols".into(), symbols.clone().into());
                if let Some(default) = default {
                    out.insert("default".into(), default.clone().into());
                }
            }
            Kind::Fixed(size) => drop(out.insert("size".into(), (*size).into())),
            _ => {}
        }
        out.extend(ty.props.clone());
        Ok(Json::Object(out))
    }

    fn field_json(&self, field: &AvroField, names: &mut Names) -> Result<Json, DataError> {
        let mut out = Map::new();
        out.insert("name".into(), field.name.clone().into());
        out.insert("type".into(), self.json(field.ty, names)?);
        if let Some(doc) = &field.doc {
            out.insert("doc".into(), doc.clone().into());
        }
        if let Some(default) = &field.default {
            out.insert("default".into(), default.clone());
        }
        out.extend(field.props.clone());
        Ok(Json::Object(out))
    }
}

/// The names that a text has defined so far.
struct Names {
    known: HashMap<FullName, TypeId>,
    /// The namespace at hand.
    space: Option<String>,
}

impl Names {
    /// How to refer to a type that stands further ahead already.
    fn reference(
        &mut self,
        schema: &AvroSchema,
        name: &FullName,
        id: TypeId,
    ) -> Result<Option<String>, DataError> {
        let Some(known) = self.known.get(name) else {
            self.known.insert(name.clone(), id);
            return Ok(None);
        };
        if *known != id && schema.ty(*known) != schema.ty(id) {
            return Err(DataError::new(format!("Can't redefine: {}", name.full())));
        }
        let is_near = name.namespace.is_none() || name.namespace == self.space;
        Ok(Some(if is_near { name.name.clone() } else { name.full() }))
    }
}

/// Avro's rule for names.
///
/// # Errors
/// When `name` breaks it, with the original's text.
pub(super) fn check_name(name: &str) -> Result<(), DataError> {
    let mut chars = name.chars();
    let first = chars.next().ok_or_else(|| DataError::new("Empty name"))?;
    if !first.is_alphabetic() && first != '_' {
        return Err(DataError::new(format!("Illegal initial character: {name}")));
    }
    if !chars.all(|each| each.is_alphanumeric() || each == '_') {
        return Err(DataError::new(format!("Illegal character in: {name}")));
    }
    Ok(())
}
