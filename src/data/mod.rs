//! Connect's data model: schemas, values, records, and the batch that carries them.
//!
//! No I/O and no async. Sources: Kafka Connect's `data` package for what schemas and values mean;
//! the batch, its cells and plans are ours: a row is a run of [`Cell`]s over one buffer, and what is
//! the same for all rows of a shape stands in one [`RowPlan`], so that moving a row costs neither a
//! tree nor a map.

mod batch;
mod header;
pub mod number_text;
mod plan;
mod record;
mod schema;
pub mod schema_projector;
mod sink_batch;
mod value;
pub mod values;

pub use batch::{Cell, RecordBatch, Row, RowView, Seal};
pub use header::{Header, Headers};
pub use plan::{Node, PlannedValue, RowPlan};
pub use record::{Record, SchemaAndValue, SourceOffset, TopicPartition};
pub use schema::{Field, Schema, SchemaBuilder, Type, logical};
pub use sink_batch::{Origin, SinkBatch};
pub use value::{Decimal, Struct, Value};
