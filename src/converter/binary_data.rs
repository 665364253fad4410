//! `io.debezium.converters.BinaryDataConverter` and `io.debezium.converters.ByteArrayConverter`: bytes
//! as they are, for payloads that were made elsewhere (an outbox), and another converter for
//! everything else (heartbeats, schema changes).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Converter, ConverterContext, Leaves, Presence, RowEncoder};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator, with_prefix};
use crate::data::{
    Header, PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Type, Value,
};
use crate::error::{ConnectError, DataError};

const DELEGATE: &str = "delegate.converter.type";

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "converter.type",
            ConfigType::String,
            "Whether keys or values are converted.",
        )
        .default("value")
        .check(Validator::OneOf(&["key", "value", "header"])),
        ConfigKey::new(
            DELEGATE,
            ConfigType::String,
            "The class of the converter for what is no bytes; its settings follow as \
             delegate.converter.type.NAME.",
        ),
    ])
}

/// Makes the converter.
///
/// # Errors
/// When the converter behind it is not known, or cannot be made.
pub fn construct(
    props: &Props,
    context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let delegate = parsed.optional_string(DELEGATE).map(|class| {
        let construct = (context.by_class)(&class).ok_or_else(|| {
            ConnectError::config(format!(
                "{DELEGATE} \"{class}\" is no converter of this worker; GET \
                 /connector-plugins?connectorsOnly=false lists them"
            ))
        })?;
        construct(&with_prefix(props, &format!("{DELEGATE}.")), context)
    });
    let schema = SchemaBuilder::new(Type::Bytes).optional().build();
    let leaves = Leaves::new(&schema);
    Ok(Box::new(BinaryDataConverter { delegate: delegate.transpose()?, leaves, schema }))
}

struct BinaryDataConverter {
    delegate: Option<Box<dyn Converter>>,
    leaves: Leaves,
    schema: Arc<Schema>,
}

impl fmt::Debug for BinaryDataConverter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BinaryDataConverter").finish_non_exhaustive()
    }
}

/// Whether values of `schema` are for the converter behind this one.
fn is_other(schema: Option<&Arc<Schema>>) -> bool {
    schema.is_some_and(|schema| schema.ty() != Type::Bytes)
}

#[async_trait]
impl Converter for BinaryDataConverter {
    fn is_prepared(&mut self, topic: &str, schema: Option<&Arc<Schema>>) -> bool {
        let delegate = self.delegate.as_mut().filter(|_| is_other(schema));
        delegate.is_none_or(|delegate| delegate.is_prepared(topic, schema))
    }

    async fn prepare(
        &mut self,
        topic: &str,
        schema: Option<&Arc<Schema>>,
    ) -> Result<(), ConnectError> {
        match self.delegate.as_mut().filter(|_| is_other(schema)) {
            Some(delegate) => delegate.prepare(topic, schema).await,
            None => Ok(()),
        }
    }

    fn is_record_prepared(
        &mut self,
        topic: &str,
        headers: &[Header],
        data: &SchemaAndValue,
    ) -> bool {
        let delegate = self.delegate.as_mut().filter(|_| is_other(data.schema.as_ref()));
        delegate.is_none_or(|delegate| delegate.is_record_prepared(topic, headers, data))
    }

    async fn prepare_record(
        &mut self,
        topic: &str,
        headers: &[Header],
        data: &SchemaAndValue,
    ) -> Result<(), ConnectError> {
        match self.delegate.as_mut().filter(|_| is_other(data.schema.as_ref())) {
            Some(delegate) => delegate.prepare_record(topic, headers, data).await,
            None => Ok(()),
        }
    }

    fn encoder(&mut self, topic: &str, planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
        if is_other(planned.schema.as_ref()) {
            return self.delegate.as_mut()?.encoder(topic, planned);
        }
        planned.schema.as_ref().filter(|schema| schema.name().is_none())?;
        super::leaf_encoder(planned)
    }

    fn from_connect_data(
        &mut self,
        topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        self.from_record(topic, &[], data, out)
    }

    fn from_record(
        &mut self,
        topic: &str,
        headers: &[Header],
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        match &data.value {
            Value::Bytes(bytes) if !is_other(data.schema.as_ref()) => {
                out.extend_from_slice(bytes);
                Ok(Presence::Present)
            }
            Value::Null if !is_other(data.schema.as_ref()) => Ok(Presence::Null),
            value => match &mut self.delegate {
                Some(delegate) => delegate.from_record(topic, headers, data, out),
                None => Err(DataError::new(format!(
                    "A {topic} of type '{}' requires a {DELEGATE} to be configured",
                    value.java_class()
                ))),
            },
        }
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        let value = bytes.map_or(Value::Null, |bytes| Value::Bytes(Bytes::copy_from_slice(bytes)));
        Ok(SchemaAndValue { schema: Some(self.schema.clone()), value })
    }

    fn decode_cells(
        &mut self,
        topic: &str,
        off: usize,
        len: usize,
        batch: &mut RecordBatch,
    ) -> Result<Option<Arc<RowPlan>>, DataError> {
        Ok(self.leaves.decode(topic, off, len, batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converter::tests::{check_planned, write};
    use crate::converter::{NewConverter, Role, json};

    fn by_class(class: &str) -> Option<NewConverter> {
        (class == "Json").then_some(json::construct as NewConverter)
    }

    fn converter(settings: &[(&str, &str)]) -> Result<Box<dyn Converter>, ConnectError> {
        let props: Props =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        construct(&props, &ConverterContext { by_class, ..Role::Value.into() })
    }

    #[test]
    fn bytes_pass_and_the_rest_is_for_another_converter() {
        let bytes = || Value::Bytes(Bytes::from_static(b"\0\xff"));
        let of = |ty| Some(SchemaBuilder::new(ty).build());
        let mut alone = converter(&[]).unwrap();
        let settings = [(DELEGATE, "Json"), ("delegate.converter.type.schemas.enable", "false")];
        let mut with = converter(&settings).unwrap();
        for converter in [&mut alone, &mut with] {
            for schema in [of(Type::Bytes), None] {
                let written = write(converter.as_mut(), schema, bytes());
                assert_eq!(written, Ok(Some(b"\0\xff".to_vec())));
            }
            assert_eq!(write(converter.as_mut(), None, Value::Null), Ok(None));
        }
        assert_eq!(
            write(alone.as_mut(), of(Type::Int32), Value::Int32(1)).unwrap_err(),
            "A t of type 'java.lang.Integer' requires a delegate.converter.type to be configured"
        );
        let written = write(with.as_mut(), of(Type::Int32), Value::Int32(1));
        assert_eq!(written, Ok(Some(b"1".to_vec())));
        let error = converter(&[(DELEGATE, "no.Such")]).err().unwrap();
        assert!(error.to_string().contains("no.Such"), "{error}");
    }

    #[test]
    fn both_paths_agree() {
        let schema = SchemaBuilder::new(Type::Bytes).build();
        let wire = Bytes::from_static(b"..\x00\xFF..");
        check_planned(converter(&[]).unwrap().as_mut(), &schema, &wire, 2, 2);
    }
}
