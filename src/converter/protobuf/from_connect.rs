//! The Protobuf schema of a Connect schema, as the text of a file (Confluent,
//! `ProtobufData.fromConnectSchema`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::ProtobufOptions;
use super::vocabulary::{
    DATE, DECIMAL, ENUM, GENERAL_ENUM, GENERAL_UNION, PRECISION, TAG, TIME, TIMESTAMP, TYPE, UNION,
    UNNAMED, WRAPPER, is_union,
};
use crate::data::{Schema, Type, logical};
use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// The text of the schema's file, and the full name of its message.
///
/// # Errors
/// When Protobuf has no such schema.
pub(super) fn from_connect(
    schema: &Arc<Schema>,
    options: ProtobufOptions,
) -> Result<(String, String)> {
    if schema.ty() != Type::Struct || is_union(schema) {
        return wrapper(schema);
    }
    let mut file = File { options, imports: BTreeSet::new(), unnamed: 0 };
    let full = file.name_of(schema.name());
    let full = full.split('.').map(|part| file.checked(part)).collect::<Result<Vec<_>>>()?;
    let (package, name) = match full.split_last() {
        Some((name, package)) => (package.join("."), name.clone()),
        None => return Err(DataError::new("Empty name")),
    };
    let mut body = String::new();
    file.message(&mut body, 0, &name, schema)?;
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if !package.is_empty() {
        let _ = writeln!(text, "package {package};");
    }
    text.push('\n');
    for import in &file.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !file.imports.is_empty() {
        text.push('\n');
    }
    text.push_str(&body);
    Ok((text, full.join(".")))
}

/// The messages of `google/protobuf/wrappers.proto`, in its order.
const WRAPPERS: [(&str, &str); 9] = [
    ("DoubleValue", "double"),
    ("FloatValue", "float"),
    ("Int64Value", "int64"),
    ("UInt64Value", "uint64"),
    ("Int32Value", "int32"),
    ("UInt32Value", "uint32"),
    ("BoolValue", "bool"),
    ("StringValue", "string"),
    ("BytesValue", "bytes"),
];

/// Values that are no structs are messages of the file of wrappers.
fn wrapper(schema: &Schema) -> Result<(String, String)> {
    let name = match schema.ty() {
        Type::Int8 | Type::Int16 | Type::Int32 => "Int32Value",
        Type::Int64 => "Int64Value",
        Type::Float32 => "FloatValue",
        Type::Float64 => "DoubleValue",
        Type::Boolean => "BoolValue",
        Type::String => "StringValue",
        Type::Bytes => "BytesValue",
        ty => {
            let ty = ty.name();
            return Err(DataError::new(format!("Unsupported root schema of type {ty}")));
        }
    };
    let mut text = "syntax = \"proto3\";\npackage google.protobuf;\n".to_owned();
    for (name, ty) in WRAPPERS {
        let _ = write!(text, "\nmessage {name} {{\n  {ty} value = 1;\n}}\n");
    }
    Ok((text, format!("google.protobuf.{name}")))
}

struct File {
    options: ProtobufOptions,
    imports: BTreeSet<&'static str>,
    unnamed: usize,
}

/// What stands inside a message, beside its fields.
#[derive(Default)]
struct Inner {
    text: String,
    names: Vec<String>,
}

impl File {
    fn name_of(&mut self, name: Option<&str>) -> String {
        match name.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => {
                self.unnamed += 1;
                format!("{UNNAMED}{}", self.unnamed)
            }
        }
    }

    fn checked(&self, name: &str) -> Result<String> {
        let is_letter = |each: char| each.is_ascii_alphabetic() || each == '_';
        let fits = name.starts_with(is_letter)
            && name.chars().all(|each| is_letter(each) || each.is_ascii_digit());
        match (fits, self.options.scrub_invalid_names) {
            (true, _) => Ok(name.to_owned()),
            (false, true) => Ok(super::scrub(name)),
            (false, false) => Err(DataError::new(format!(
                "\"{name}\" is not a valid identifier (scrub.invalid.names=true makes names fit)"
            ))),
        }
    }

    fn unqualified(&mut self, name: Option<&str>) -> Result<String> {
        let name = self.name_of(name);
        self.checked(name.rsplit('.').next().unwrap_or(&name))
    }

    fn message(
        &mut self,
        out: &mut String,
        depth: usize,
        name: &str,
        schema: &Schema,
    ) -> Result<()> {
        let margin = "  ".repeat(depth);
        let _ = writeln!(out, "{margin}message {name} {{");
        let mut inner = Inner::default();
        let mut next = 1;
        for field in schema.fields() {
            let own = field.schema.parameter(TAG).and_then(|tag| tag.parse::<u32>().ok());
            let tag = own.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            let field_name = self.checked(&field.name)?;
            if is_union(&field.schema) {
                self.oneof(out, depth + 1, &field.schema, &mut inner)?;
                continue;
            }
            self.field(out, depth + 1, &field_name, &field.schema, tag, false, &mut inner)
                .map_err(|error| error.at(&field.name))?;
        }
        if !inner.text.is_empty() {
            let _ = write!(out, "\n{}", inner.text);
        }
        let _ = writeln!(out, "{margin}}}");
        Ok(())
    }

    fn oneof(
        &mut self,
        out: &mut String,
        depth: usize,
        schema: &Schema,
        inner: &mut Inner,
    ) -> Result<()> {
        let margin = "  ".repeat(depth);
        let name = match schema.parameter(GENERAL_UNION) {
            Some(name) if self.options.generalized_sum_type_support => name.to_owned(),
            _ => {
                let name = schema.name().unwrap_or_default();
                let name = name.strip_prefix(UNION).unwrap_or(name).trim_start_matches('.');
                name.rsplit('.').next().unwrap_or(name).to_owned()
            }
        };
        let _ = writeln!(out, "{margin}oneof {} {{", self.checked(&name)?);
        for field in schema.fields() {
            let tag = field.schema.parameter(TAG).and_then(|tag| tag.parse().ok());
            let tag = tag.ok_or_else(|| {
                DataError::new(format!("The member \"{}\" of a union has no tag", field.name))
            })?;
            let name = self.checked(&field.name)?;
            self.field(out, depth + 1, &name, &field.schema, tag, true, inner)?;
        }
        let _ = writeln!(out, "{margin}}}");
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a line of the text, and where it goes")]
    fn field(
        &mut self,
        out: &mut String,
        depth: usize,
        name: &str,
        schema: &Arc<Schema>,
        tag: u32,
        in_oneof: bool,
        inner: &mut Inner,
    ) -> Result<()> {
        let label = match schema.ty() {
            Type::Array | Type::Map => "repeated ",
            _ if self.options.optional_for_nullables && schema.is_optional() && !in_oneof => {
                "optional "
            }
            _ => "",
        };
        let element = match schema.ty() {
            Type::Array => schema.value_schema().ok_or_else(no_parts)?,
            _ => schema,
        };
        let mut meta = Vec::new();
        let ty = self.data_type(element, name, depth, in_oneof, &mut meta, inner)?;
        let margin = "  ".repeat(depth);
        let _ = write!(out, "{margin}{label}{ty} {name} = {tag}");
        if !meta.is_empty() {
            self.imports.insert("confluent/meta.proto");
            let _ = write!(out, " [(confluent.field_meta) = {{\n{margin}  params: [\n");
            for (at, (key, value)) in meta.iter().enumerate() {
                let comma = if at + 1 < meta.len() { "," } else { "" };
                let _ = writeln!(
                    out,
                    "{margin}    {{\n{margin}      key: \"{key}\",\n{margin}      value: \"{value}\"\n{margin}    }}{comma}"
                );
            }
            let _ = write!(out, "{margin}  ]\n{margin}}}]");
        }
        out.push_str(";\n");
        Ok(())
    }

    fn data_type(
        &mut self,
        schema: &Arc<Schema>,
        field: &str,
        depth: usize,
        in_oneof: bool,
        meta: &mut Vec<(String, String)>,
        inner: &mut Inner,
    ) -> Result<String> {
        if let Some((file, ty)) = known_type(schema, meta) {
            self.imports.insert(file);
            return Ok(format!(".{ty}"));
        }
        // A member of a oneof is absent without a wrapper; one that had a wrapper keeps it.
        let may_wrap = !in_oneof || schema.parameter(WRAPPER) == Some("true");
        let wraps = self.options.wrapper_for_nullables && schema.is_optional() && may_wrap;
        let of_type = |default: &'static str| {
            schema.parameter(TYPE).map_or_else(|| default.to_owned(), str::to_owned)
        };
        let (plain, wrapper) = match schema.ty() {
            Type::Int8 | Type::Int16 => {
                let ty = if schema.ty() == Type::Int8 { "int8" } else { "int16" };
                meta.push(("connect.type".to_owned(), ty.to_owned()));
                ("int32".to_owned(), "Int32Value")
            }
            Type::Int32 if schema.parameter(ENUM).is_some() => {
                return self.enumeration(schema, depth, inner);
            }
            Type::Int32 => (of_type("int32"), "Int32Value"),
            Type::Int64 => {
                let plain = of_type("int64");
                let wrapper = match plain.as_str() {
                    "uint32" | "fixed32" => "UInt32Value",
                    "uint64" | "fixed64" => "UInt64Value",
                    _ => "Int64Value",
                };
                (plain, wrapper)
            }
            Type::Float32 => ("float".to_owned(), "FloatValue"),
            Type::Float64 => ("double".to_owned(), "DoubleValue"),
            Type::Boolean => ("bool".to_owned(), "BoolValue"),
            Type::String
                if schema.parameter(ENUM).is_some() || schema.parameter(GENERAL_ENUM).is_some() =>
            {
                return self.enumeration(schema, depth, inner);
            }
            Type::String => ("string".to_owned(), "StringValue"),
            Type::Bytes => ("bytes".to_owned(), "BytesValue"),
            Type::Array => return Err(DataError::new("Array cannot be nested")),
            Type::Map => return self.map(schema, depth, inner),
            Type::Struct => {
                let mut name = self.unqualified(schema.name())?;
                if name == field {
                    // A message and a field cannot have one name.
                    name.push_str("Message");
                }
                if !inner.names.contains(&name) {
                    inner.names.push(name.clone());
                    let mut text = String::new();
                    self.message(&mut text, depth, &name, schema)?;
                    inner.text.push_str(&text);
                }
                return Ok(name);
            }
        };
        if wraps {
            self.imports.insert("google/protobuf/wrappers.proto");
            return Ok(format!(".google.protobuf.{wrapper}"));
        }
        Ok(plain)
    }

    /// A map is a list of messages with key and value.
    fn map(&mut self, schema: &Arc<Schema>, depth: usize, inner: &mut Inner) -> Result<String> {
        let name = format!("{}Entry", capitalized(&self.unqualified(schema.name())?));
        if inner.names.contains(&name) {
            return Ok(name);
        }
        inner.names.push(name.clone());
        let margin = "  ".repeat(depth);
        let mut text = format!("{margin}message {name} {{\n");
        let mut parts = Inner::default();
        let (keys, values) = (schema.key_schema(), schema.value_schema());
        for (tag, (name, part)) in [("key", keys), ("value", values)].into_iter().enumerate() {
            let part = part.ok_or_else(no_parts)?;
            let tag = u32::try_from(tag + 1).unwrap_or_default();
            self.field(&mut text, depth + 1, name, part, tag, false, &mut parts)?;
        }
        if !parts.text.is_empty() {
            let _ = write!(text, "\n{}", parts.text);
        }
        let _ = writeln!(text, "{margin}}}");
        inner.text.push_str(&text);
        Ok(name)
    }

    fn enumeration(&mut self, schema: &Schema, depth: usize, inner: &mut Inner) -> Result<String> {
        let general = self.options.generalized_sum_type_support;
        let param = if general { GENERAL_ENUM } else { ENUM };
        let own = schema.parameter(param).or(schema.name());
        let name = self.unqualified(own)?;
        if inner.names.contains(&name) {
            return Ok(name);
        }
        inner.names.push(name.clone());
        let margin = "  ".repeat(depth);
        let mut text = format!("{margin}enum {name} {{\n");
        for (key, value) in schema.parameters() {
            let symbol = key.strip_prefix(param).and_then(|rest| rest.strip_prefix('.'));
            let Some(symbol) = symbol else { continue };
            let number: i32 = value.parse().map_err(|_| {
                DataError::new(format!("The symbol {symbol} has no number but \"{value}\""))
            })?;
            let _ = writeln!(text, "{margin}  {symbol} = {number};");
        }
        let _ = writeln!(text, "{margin}}}");
        inner.text.push_str(&text);
        Ok(name)
    }
}

/// The file and message of a logical type.
fn known_type(
    schema: &Schema,
    meta: &mut Vec<(String, String)>,
) -> Option<(&'static str, &'static str)> {
    match schema.name() {
        Some(logical::DECIMAL) => {
            for (key, parameter) in [("precision", PRECISION), ("scale", logical::SCALE)] {
                if let Some(value) = schema.parameter(parameter) {
                    meta.push((key.to_owned(), value.to_owned()));
                }
            }
            Some(("confluent/type/decimal.proto", DECIMAL))
        }
        Some(logical::DATE) => Some(("google/type/date.proto", DATE)),
        Some(logical::TIME) => Some(("google/type/timeofday.proto", TIME)),
        Some(logical::TIMESTAMP) => Some(("google/protobuf/timestamp.proto", TIMESTAMP)),
        _ => None,
    }
}

fn no_parts() -> DataError {
    DataError::new("A container without the schema of its parts")
}

/// As `ProtobufSchema.toMapEntry` has it: the parts between underscores begin with capitals.
fn capitalized(name: &str) -> String {
    name.split('_')
        .map(|part| {
            let mut chars = part.chars();
            match chars.next() {
                Some(first) => first.to_ascii_uppercase().to_string() + chars.as_str(),
                None => String::new(),
            }
        })
        .collect()
}
