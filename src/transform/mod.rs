//! Single message transforms and predicates; one file each, named as the class in snake case.

pub mod activate_tracing_span;
pub mod by_logical_table_router;
pub mod cast;
pub mod collection_name_transformation;
pub mod content_based_router;
pub mod convert_cloud_event_to_saveable_form;
pub mod decode_logical_decoding_message_content;
pub mod drop_headers;
pub mod enforce_record_size;
mod envelope;
pub mod event_router;
mod expression;
pub mod extract_changed_record_state;
pub mod extract_field;
pub mod extract_new_document_state;
pub mod extract_new_record_state;
pub mod extract_schema_to_new_record;
pub mod field_name_transformation;
mod field_path;
pub mod filter;
pub mod flatten;
mod geometry;
pub mod geometry_format_transformer;
pub mod header_from;
pub mod header_to_value;
pub mod hoist_field;
pub mod insert_field;
pub mod insert_header;
mod java_date_format;
mod java_regex;
mod json_expansion;
pub mod mask_field;
mod naming_style;
pub mod partition_routing;
pub mod predicate;
pub mod read_to_insert_event;
mod rebuild;
pub mod regex_router;
pub mod replace_field;
pub mod schema_change_event_filter;
mod scripted;
pub mod scripted_filter;
pub mod set_schema_metadata;
pub mod swap_geometry_coordinates;
mod target;
#[cfg(test)]
mod testing;
pub mod timestamp_converter;
pub mod timestamp_router;
pub mod timezone_converter;
pub mod value_to_key;
pub mod vector_to_json_converter;
mod wkb;

use std::sync::Arc;

use crate::data::{Record, RowPlan};
use crate::error::ConnectError;

/// What a transform makes of a whole shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    /// Every row of the shape becomes this.
    Plan(Arc<RowPlan>),
    /// Every row of the shape is dropped.
    Drop,
    /// It depends on the row: take the general path.
    PerRecord,
}

/// Whether a record goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Record,
    Drop,
}

/// `org.apache.kafka.connect.transforms.Transformation`.
pub trait Transformation: Send {
    /// Rewrites a shape, where the outcome is the same for all its rows. Called once per shape.
    fn plan(&self, _input: &RowPlan) -> Planned {
        Planned::PerRecord
    }

    /// Transforms one record; [`Transformation::plan`] must give the same.
    ///
    /// # Errors
    /// When the record does not have the form that the transform needs; the record is then unchanged.
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError>;
}

/// `org.apache.kafka.connect.transforms.predicates.Predicate`.
pub trait Predicate: Send {
    /// Whether a whole shape matches; `None` when it depends on the row.
    fn plan(&self, _input: &RowPlan) -> Option<bool> {
        None
    }

    /// Whether this record matches.
    fn test(&self, record: &Record) -> bool;
}
