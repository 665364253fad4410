//! The time between a chunk's watermarks: which of its rows have changed meanwhile. Pure.

use std::collections::HashSet;

use crate::connector::postgres::incremental::table::Chunk;
use crate::connector::postgres::lsn::Lsn;

/// More keys than this change in a window only when reading is far too slow for the table: the chunk
/// is then read again.
const KEYS_MAX: usize = 100_000;
/// A page's header: an end of the log may be given before or behind it.
const PAGE: u64 = 8192;
const HEADER_MAX: u64 = 40;

/// A window.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) id: String,
    /// Keys of rows that changed since the window was asked for. The original counts from the opening
    /// row in the stream on; a transaction may be streamed before the chunk's snapshot sees it.
    pub(super) changed: HashSet<Box<[u8]>>,
    pub(super) overflowed: bool,
    /// What was read, once that is known.
    pub(super) chunk: Option<Chunk>,
    /// Where it closes, when positions are the watermarks.
    pub(super) position: Option<Lsn>,
}

impl Window {
    pub(super) fn new(id: String) -> Self {
        Self { id, changed: HashSet::new(), overflowed: false, chunk: None, position: None }
    }

    /// A row of this key has changed.
    pub(super) fn change(&mut self, key: Box<[u8]>) {
        if self.overflowed {
            return;
        }
        self.changed.insert(key);
        if self.changed.len() > KEYS_MAX {
            self.overflowed = true;
            self.changed = HashSet::new();
        }
    }

    /// Whether everything that was visible in the chunk has been streamed at `position`.
    pub(super) fn closes_at(&self, position: Lsn) -> bool {
        let at_page = position.0.is_multiple_of(PAGE);
        let reached = if at_page { position.0.saturating_add(HEADER_MAX) } else { position.0 };
        self.position.is_some_and(|closes| reached >= closes.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn changes_count_until_there_are_too_many() {
        let mut window = Window::new("w".to_owned());
        window.change(key("a"));
        window.change(key("a"));
        assert_eq!(window.changed.iter().map(|key| key.to_vec()).collect::<Vec<_>>(), [b"a"]);
        for number in 0..=KEYS_MAX {
            window.change(key(&number.to_string()));
        }
        assert!(window.overflowed && window.changed.is_empty());
    }

    #[test]
    fn positions_close_a_window_also_behind_a_page_header() {
        let mut window = Window::new("w".to_owned());
        assert!(!window.closes_at(Lsn(u64::MAX)), "not read yet");
        window.position = Some(Lsn(8192 * 5 + 24));
        for (position, expected) in
            [(8192 * 5 + 24, true), (8192 * 5, true), (8192 * 5 + 8, false), (8192 * 5 - 8, false)]
        {
            assert_eq!(window.closes_at(Lsn(position)), expected, "{position}");
        }
    }
}
