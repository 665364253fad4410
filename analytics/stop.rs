//! Ending a run from another thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::{Connection, InterruptHandle};

/// A hand on runs. Once it has stopped, it stops every run that it is given to.
#[derive(Clone, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    stopped: AtomicBool,
    statement: Mutex<Option<Arc<InterruptHandle>>>,
}

impl Stop {
    /// Ends the run that has this hand: between batches, or by interrupting its statement, which takes
    /// the batch back.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        let statement = self.inner.statement.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = statement.as_ref() {
            statement.interrupt();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::SeqCst)
    }

    /// From now on the statements of this connection are interrupted.
    pub(crate) fn watch(&self, connection: &Connection) {
        let mut statement = self.inner.statement.lock().unwrap_or_else(PoisonError::into_inner);
        *statement = Some(connection.interrupt_handle());
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}
