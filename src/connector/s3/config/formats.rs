//! The formats of the objects.

use super::Reader;
use crate::config::{Parsed, Props};
use crate::connector::s3::config_def as def;
use crate::connector::s3::format::{
    AvroCodec, AvroFormat, AvroOptions, BytesFormat, Codec, Compression, Format, JsonDecimals,
    JsonFormat, Lz4Extension, ParquetFormat,
};

impl Reader {
    /// The format that `class_key` names.
    pub(super) fn format(
        &mut self,
        parsed: &Parsed,
        props: &Props,
        class_key: &'static str,
    ) -> Option<Format> {
        let class = parsed.string(class_key);
        let full = def::full_format(&class);
        let compression = match parsed.string(def::COMPRESSION_TYPE).as_str() {
            "gzip" => Compression::Gzip(u32::try_from(parsed.integer(def::COMPRESSION_LEVEL)).ok()),
            _ => Compression::None,
        };
        let takes_gzip = matches!(full, Some(def::JSON_FORMAT | def::BYTE_ARRAY_FORMAT));
        if compression != Compression::None && !takes_gzip {
            self.no_gzip(class_key, &class);
        }
        match full? {
            def::PARQUET_FORMAT => {
                let name = parsed.string(def::PARQUET_CODEC);
                let extension = match parsed.string(def::PARQUET_LZ4_EXTENSION).as_str() {
                    def::LZ4_PLAIN => Lz4Extension::Plain,
                    _ => Lz4Extension::Hadoop,
                };
                let codec = Codec::of(&name, extension);
                if codec.is_none() {
                    let message = format!(
                        "codec {name} is not supported by this version; use snappy, zstd, gzip, \
                         lz4, lz4_raw or none"
                    );
                    self.error(def::PARQUET_CODEC, message);
                }
                Some(Format::Parquet(ParquetFormat::new(codec?)))
            }
            def::JSON_FORMAT => {
                let numeric =
                    parsed.string(def::JSON_DECIMAL_FORMAT).eq_ignore_ascii_case("numeric");
                let decimals = if numeric { JsonDecimals::Numeric } else { JsonDecimals::Base64 };
                Some(Format::Json(JsonFormat::new(decimals, compression)))
            }
            def::BYTE_ARRAY_FORMAT => {
                // As written, blanks included: the table's parser trims.
                let separator = props.get(def::BYTES_SEPARATOR).map_or("\n", String::as_str);
                let extension = parsed.string(def::BYTES_EXTENSION);
                Some(Format::Bytes(BytesFormat::new(extension, separator, compression)))
            }
            _ => {
                let options = AvroOptions {
                    metadata: parsed.boolean(def::CONNECT_METADATA),
                    enhanced: parsed.boolean(def::ENHANCED_AVRO),
                    optional_map_keys: parsed.boolean(def::OPTIONAL_MAP_KEYS),
                };
                let codec = AvroCodec::of(&parsed.string(def::AVRO_CODEC));
                Some(Format::Avro(AvroFormat::new(codec, options)))
            }
        }
    }

    /// The format of keys or headers, where they are stored.
    pub(super) fn companion(
        &mut self,
        parsed: &Parsed,
        props: &Props,
        switch: &'static str,
        class_key: &'static str,
    ) -> Option<Format> {
        if parsed.boolean(switch) { self.format(parsed, props, class_key) } else { None }
    }

    fn no_gzip(&mut self, class_key: &'static str, class: &str) {
        let (what, switch) = match class_key {
            def::KEYS_FORMAT_CLASS => ("keys", Some(def::STORE_KEYS)),
            def::HEADERS_FORMAT_CLASS => ("headers", Some(def::STORE_HEADERS)),
            _ => ("data", None),
        };
        let message =
            format!("Compression Type gzip not valid for {what} format class: ( {class} ).");
        let keys = switch.into_iter().chain([class_key, def::COMPRESSION_TYPE]);
        keys.for_each(|key| self.error(key, message.clone()));
    }
}
