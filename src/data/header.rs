//! Record headers.

use std::sync::Arc;

use super::{Schema, Value};

/// One header; keys may repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub key: String,
    pub schema: Option<Arc<Schema>>,
    pub value: Value,
}

/// A record's headers, in order.
pub type Headers = Vec<Header>;
