//! The entries of transforms and predicates.

use super::{Constructor, DEBEZIUM_VERSION, KAFKA_VERSION, Plugin};
use crate::connector::postgres::timescaledb;
use crate::transform::predicate::{has_header_key, record_is_tombstone, topic_name_matches};
use crate::transform::{
    activate_tracing_span, by_logical_table_router, cast, collection_name_transformation,
    content_based_router, convert_cloud_event_to_saveable_form,
    decode_logical_decoding_message_content, drop_headers, enforce_record_size, event_router,
    extract_changed_record_state, extract_field, extract_new_document_state,
    extract_new_record_state, extract_schema_to_new_record, field_name_transformation, filter,
    flatten, geometry_format_transformer, header_from, header_to_value, hoist_field, insert_field,
    insert_header, mask_field, partition_routing, read_to_insert_event, regex_router,
    replace_field, schema_change_event_filter, scripted_filter, set_schema_metadata,
    swap_geometry_coordinates, timestamp_converter, timestamp_router, timezone_converter,
    value_to_key, vector_to_json_converter,
};

#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn debezium() -> Vec<Plugin> {
    let debezium = |class, config_def, construct| Plugin {
        class,
        aliases: &[],
        version: DEBEZIUM_VERSION,
        config_def,
        constructor: Constructor::Transformation(construct),
    };
    vec![
        debezium(
            "io.debezium.connector.jdbc.transforms.CollectionNameTransformation",
            collection_name_transformation::config_def,
            collection_name_transformation::construct,
        ),
        debezium(
            "io.debezium.connector.jdbc.transforms.ConvertCloudEventToSaveableForm",
            convert_cloud_event_to_saveable_form::config_def,
            convert_cloud_event_to_saveable_form::construct,
        ),
        debezium(
            "io.debezium.connector.jdbc.transforms.FieldNameTransformation",
            field_name_transformation::config_def,
            field_name_transformation::construct,
        ),
        debezium(
            "io.debezium.connector.mongodb.transforms.ExtractNewDocumentState",
            extract_new_document_state::config_def,
            extract_new_document_state::construct,
        ),
        debezium(
            "io.debezium.connector.mysql.transforms.ReadToInsertEvent",
            read_to_insert_event::config_def,
            read_to_insert_event::construct,
        ),
        debezium(
            "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent",
            decode_logical_decoding_message_content::config_def,
            decode_logical_decoding_message_content::construct,
        ),
        debezium(
            "io.debezium.connector.postgresql.transforms.timescaledb.TimescaleDb",
            timescaledb::config_def,
            timescaledb::construct,
        ),
        debezium(
            "io.debezium.transforms.ByLogicalTableRouter",
            by_logical_table_router::config_def,
            by_logical_table_router::construct,
        ),
        debezium(
            "io.debezium.transforms.ContentBasedRouter",
            content_based_router::config_def,
            content_based_router::construct,
        ),
        debezium(
            "io.debezium.transforms.EnforceRecordSize",
            enforce_record_size::config_def,
            enforce_record_size::construct,
        ),
        debezium(
            "io.debezium.transforms.ExtractChangedRecordState",
            extract_changed_record_state::config_def,
            extract_changed_record_state::construct,
        ),
        debezium(
            "io.debezium.transforms.ExtractNewRecordState",
            extract_new_record_state::config_def,
            extract_new_record_state::construct,
        ),
        debezium(
            "io.debezium.transforms.ExtractSchemaToNewRecord",
            extract_schema_to_new_record::config_def,
            extract_schema_to_new_record::construct,
        ),
        debezium(
            "io.debezium.transforms.Filter",
            scripted_filter::config_def,
            scripted_filter::construct,
        ),
        debezium(
            "io.debezium.transforms.GeometryFormatTransformer",
            geometry_format_transformer::config_def,
            geometry_format_transformer::construct,
        ),
        debezium(
            "io.debezium.transforms.HeaderToValue",
            header_to_value::config_def,
            header_to_value::construct,
        ),
        debezium(
            "io.debezium.transforms.SchemaChangeEventFilter",
            schema_change_event_filter::config_def,
            schema_change_event_filter::construct,
        ),
        debezium(
            "io.debezium.transforms.SwapGeometryCoordinates",
            swap_geometry_coordinates::config_def,
            swap_geometry_coordinates::construct,
        ),
        debezium(
            "io.debezium.transforms.TimezoneConverter",
            timezone_converter::config_def,
            timezone_converter::construct,
        ),
        debezium(
            "io.debezium.transforms.ToLogicalTopicRouter",
            by_logical_table_router::topic_config_def,
            by_logical_table_router::construct_to_topic,
        ),
        debezium(
            "io.debezium.transforms.VectorToJsonConverter",
            vector_to_json_converter::config_def,
            vector_to_json_converter::construct,
        ),
        debezium(
            "io.debezium.transforms.outbox.EventRouter",
            event_router::config_def,
            event_router::construct,
        ),
        debezium(
            "io.debezium.transforms.tracing.ActivateTracingSpan",
            activate_tracing_span::config_def,
            activate_tracing_span::construct,
        ),
        debezium(
            "io.debezium.transforms.partitions.PartitionRouting",
            partition_routing::config_def,
            partition_routing::construct,
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn kafka() -> Vec<Plugin> {
    let kafka = |class, config_def, construct| Plugin {
        class,
        aliases: &[],
        version: KAFKA_VERSION,
        config_def,
        constructor: Constructor::Transformation(construct),
    };
    vec![
        kafka(
            "org.apache.kafka.connect.transforms.Cast$Key",
            cast::config_def,
            cast::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.Cast$Value",
            cast::config_def,
            cast::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.DropHeaders",
            drop_headers::config_def,
            drop_headers::construct,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.ExtractField$Key",
            extract_field::config_def,
            extract_field::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.ExtractField$Value",
            extract_field::config_def,
            extract_field::construct_value,
        ),
        kafka("org.apache.kafka.connect.transforms.Filter", filter::config_def, filter::construct),
        kafka(
            "org.apache.kafka.connect.transforms.Flatten$Key",
            flatten::config_def,
            flatten::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.Flatten$Value",
            flatten::config_def,
            flatten::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.HeaderFrom$Key",
            header_from::config_def,
            header_from::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.HeaderFrom$Value",
            header_from::config_def,
            header_from::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.HoistField$Key",
            hoist_field::config_def,
            hoist_field::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.HoistField$Value",
            hoist_field::config_def,
            hoist_field::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.InsertField$Key",
            insert_field::config_def,
            insert_field::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.InsertField$Value",
            insert_field::config_def,
            insert_field::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.InsertHeader",
            insert_header::config_def,
            insert_header::construct,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.MaskField$Key",
            mask_field::config_def,
            mask_field::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.MaskField$Value",
            mask_field::config_def,
            mask_field::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.RegexRouter",
            regex_router::config_def,
            regex_router::construct,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.ReplaceField$Key",
            replace_field::config_def,
            replace_field::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.ReplaceField$Value",
            replace_field::config_def,
            replace_field::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.SetSchemaMetadata$Key",
            set_schema_metadata::config_def,
            set_schema_metadata::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value",
            set_schema_metadata::config_def,
            set_schema_metadata::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.TimestampConverter$Key",
            timestamp_converter::config_def,
            timestamp_converter::construct_key,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.TimestampConverter$Value",
            timestamp_converter::config_def,
            timestamp_converter::construct_value,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.TimestampRouter",
            timestamp_router::config_def,
            timestamp_router::construct,
        ),
        kafka(
            "org.apache.kafka.connect.transforms.ValueToKey",
            value_to_key::config_def,
            value_to_key::construct,
        ),
    ]
}

pub(super) fn predicates() -> Vec<Plugin> {
    let predicate = |class, config_def, construct| Plugin {
        class,
        aliases: &[],
        version: KAFKA_VERSION,
        config_def,
        constructor: Constructor::Predicate(construct),
    };
    vec![
        predicate(
            "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
            has_header_key::config_def,
            has_header_key::construct,
        ),
        predicate(
            "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
            record_is_tombstone::config_def,
            record_is_tombstone::construct,
        ),
        predicate(
            "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
            topic_name_matches::config_def,
            topic_name_matches::construct,
        ),
    ]
}
