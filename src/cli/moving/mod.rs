//! `ferroconnect import` and `export`: connectors with their progress, from a Kafka Connect cluster and back
//! to it. The Kafka Connect side is read from its internal topics or files; ours is spoken to by REST, so
//! that every check of the API holds.

mod export;
mod import;
mod internal_topics;
mod origin;
mod standalone;

pub(super) use export::{Export, export};
pub(super) use import::{Import, import};
