//! What the database says about itself: the report, in numbers, as text for one key, and as a page.

mod html;
mod key;
mod summary;

pub use key::{KeyHistory, KeyVersion, key_history};
pub use summary::{
    Bucket, Continuity, Gap, History, KeyCount, PartitionOffset, RejectCount, SchemaChange,
    TableHistory, history,
};

pub use html::page;
