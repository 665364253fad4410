//! Panics of plugins and tasks as errors: a panicking task is FAILED, the worker lives.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use futures::FutureExt;

use crate::error::ConnectError;

thread_local! {
    /// Where the newest panic of this thread was: the payload does not say.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Remembers where panics happen. What the process did with panics before, it still does.
pub(crate) fn observe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = take_hook();
        set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string);
            PLACE.with(|slot| *slot.borrow_mut() = place);
            earlier(panic);
        }));
    });
}

/// Runs `work`; a panic becomes a fatal error.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, ConnectError>) -> Result<T, ConnectError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(error(payload.as_ref())))
}

/// Runs `work`; a panic becomes a fatal error.
pub(crate) async fn caught_async<T>(
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|payload| Err(error(payload.as_ref())))
}

/// The hook ran on this thread a moment ago: unwinding does not change threads.
fn error(payload: &(dyn Any + Send)) -> ConnectError {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned());
    let place = PLACE.with(|slot| slot.borrow_mut().take());
    let place = place.unwrap_or_else(|| "an unknown place".to_owned());
    ConnectError::fatal(format!("panicked at {place}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_place_and_message() {
        observe();
        let sync = caught::<()>(|| panic!("sync {}", 1)).unwrap_err().to_string();
        assert!(sync.starts_with("panicked at src/runtime/panics.rs:"), "{sync}");
        assert!(sync.ends_with(": sync 1"), "{sync}");
        let work = async {
            tokio::task::yield_now().await;
            panic!("async")
        };
        let text = caught_async::<()>(work).await.unwrap_err().to_string();
        assert!(text.ends_with(": async"), "{text}");
    }
}
