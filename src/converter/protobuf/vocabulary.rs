//! The names by which the original keeps in Protobuf what only Connect has, and the other way round;
//! and the files that schemas may import without a reference.

use crate::data::{Schema, Type};

pub(super) const ENUM: &str = "io.confluent.connect.protobuf.Enum";
pub(super) const UNION: &str = "io.confluent.connect.protobuf.Union";
pub(super) const TAG: &str = "io.confluent.connect.protobuf.Tag";
pub(super) const TYPE: &str = "io.confluent.connect.protobuf.Type";
/// A member of a oneof that is a message of `wrappers.proto`.
pub(super) const WRAPPER: &str = "io.confluent.connect.protobuf.Wrapper";
pub(super) const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
pub(super) const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
pub(super) const UNNAMED: &str = "ConnectDefault";
pub(super) const PRECISION: &str = "connect.decimal.precision";

pub(super) const DECIMAL: &str = "confluent.type.Decimal";
pub(super) const DATE: &str = "google.type.Date";
pub(super) const TIME: &str = "google.type.TimeOfDay";
pub(super) const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// A struct that stands for a oneof: at most one of its fields is not null.
pub(super) fn is_union(schema: &Schema) -> bool {
    schema.ty() == Type::Struct
        && (schema.name().is_some_and(|name| name.starts_with(UNION))
            || schema.parameter(GENERAL_UNION).is_some())
}

/// Files that registries know, with what a schema may use of them.
pub(super) const KNOWN_FILES: [(&str, &str); 4] = [
    (
        "confluent/meta.proto",
        r#"syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta {
  string doc = 1;
  map<string, string> params = 2;
  repeated string tags = 3;
}
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
"#,
    ),
    (
        "confluent/type/decimal.proto",
        r#"syntax = "proto3";
package confluent.type;
message Decimal {
  bytes value = 1;
  uint32 precision = 2;
  int32 scale = 3;
}
"#,
    ),
    (
        "google/type/date.proto",
        r#"syntax = "proto3";
package google.type;
message Date {
  int32 year = 1;
  int32 month = 2;
  int32 day = 3;
}
"#,
    ),
    (
        "google/type/timeofday.proto",
        r#"syntax = "proto3";
package google.type;
message TimeOfDay {
  int32 hours = 1;
  int32 minutes = 2;
  int32 seconds = 3;
  int32 nanos = 4;
}
"#,
    ),
];
