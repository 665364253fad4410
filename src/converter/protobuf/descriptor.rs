//! The descriptor of a registered message: the text of a file, compiled.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, Value};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::vocabulary::KNOWN_FILES;
use crate::converter::registry::Resolved;
use crate::error::DataError;

/// The name of the file itself, which no reference has.
const ROOT: &str = "registered-schema.proto";

/// Gives the files that a schema names.
struct Files {
    texts: HashMap<String, String>,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.texts.get(name) {
            Some(text) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Compiles a registered file with those that it names.
///
/// # Errors
/// When it cannot be compiled.
pub(super) fn compile(schema: &Resolved) -> Result<DescriptorPool, DataError> {
    let known = KNOWN_FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let references = schema.references.iter();
    let references = references.map(|(name, schema)| (name.name.clone(), schema.text.clone()));
    let mut texts: HashMap<_, _> = known.chain(references).collect();
    texts.insert(ROOT.to_owned(), schema.schema.text.clone());
    let mut resolver = ChainFileResolver::new();
    resolver.add(Files { texts });
    resolver.add(GoogleFileResolver::new());
    let failed = |error: protox::Error| {
        DataError::new(format!("Cannot compile the Protobuf schema: {error}"))
    };
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(ROOT).map_err(failed)?;
    Ok(compiler.descriptor_pool())
}

/// Every message of the file, with its indexes.
///
/// # Errors
/// When there is no file.
pub(super) fn all(
    pool: &DescriptorPool,
) -> Result<Vec<(Vec<usize>, MessageDescriptor)>, DataError> {
    let file = pool.get_file_by_name(ROOT);
    let file = file.ok_or_else(|| DataError::new("The schema is no file"))?;
    let mut open: Vec<_> = file.messages().enumerate().map(|(at, each)| (vec![at], each)).collect();
    let mut found = Vec::new();
    while let Some((indexes, message)) = open.pop() {
        for (at, child) in message.child_messages().enumerate() {
            let mut indexes = indexes.clone();
            indexes.push(at);
            open.push((indexes, child));
        }
        found.push((indexes, message));
    }
    Ok(found)
}

/// The message of this full name, with its indexes.
///
/// # Errors
/// When there is none.
pub(super) fn by_name(
    pool: &DescriptorPool,
    name: Option<&str>,
) -> Result<(MessageDescriptor, Vec<usize>), DataError> {
    let found = all(pool)?.into_iter().find(|(_, each)| name == Some(each.full_name()));
    found.map(|(indexes, message)| (message, indexes)).ok_or_else(|| {
        let name = name.unwrap_or_default();
        DataError::new(format!("The registered schema has no message {name}"))
    })
}

/// What `confluent.field_meta` says of a field.
pub(super) fn field_meta(field: &FieldDescriptor) -> HashMap<String, String> {
    let read = || {
        let extension = field.parent_pool().get_extension_by_name("confluent.field_meta")?;
        let options = field.options();
        if !options.has_extension(&extension) {
            return None;
        }
        let meta = options.get_extension(&extension).into_owned();
        let params = meta.as_message()?.get_field_by_name("params")?.into_owned();
        let params = params.as_map()?.iter().filter_map(|(key, value)| {
            Some((key.as_str()?.to_owned(), Value::as_str(value)?.to_owned()))
        });
        Some(params.collect())
    };
    read().unwrap_or_default()
}
