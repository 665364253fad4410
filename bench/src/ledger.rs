//! The ledger: which of the ids 1 to N were seen, and how often.

use anyhow::Result;
use serde_json::{Value, json};

/// A bit for each id.
#[derive(Debug)]
pub(crate) struct Ids {
    seen: Vec<bool>,
    records: u64,
    repeated: u64,
    unexpected: u64,
}

impl Ids {
    /// A ledger that expects the ids 1 to `rows`.
    pub(crate) fn new(rows: u64) -> Result<Self> {
        let seen = vec![false; usize::try_from(rows)?];
        Ok(Self { seen, records: 0, repeated: 0, unexpected: 0 })
    }

    /// Enters a record of row `id`.
    pub(crate) fn see(&mut self, id: u64) {
        self.records += 1;
        let index = id.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.seen.get_mut(index)) {
            Some(seen) if *seen => self.repeated += 1,
            Some(seen) => *seen = true,
            None => self.unexpected += 1,
        }
    }

    /// The counts, and whether each expected id was seen once and nothing else.
    pub(crate) fn verdict(&self) -> Value {
        let missing = self.seen.iter().filter(|seen| !**seen).count();
        json!({
            "exact": missing == 0 && self.repeated == 0 && self.unexpected == 0,
            "records": self.records,
            "missing": missing,
            "repeated": self.repeated,
            "unexpected": self.unexpected,
        })
    }
}

/// The number behind the last `"id":` of a key, with or without schema.
pub(crate) fn id_in_json(text: &[u8]) -> Option<u64> {
    const NAME: &[u8] = br#""id":"#;
    let at = memchr::memmem::rfind(text, NAME)? + NAME.len();
    let digits = text.get(at..)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_a_repetition_and_a_stranger_are_told_apart() {
        let mut ids = Ids::new(3).unwrap();
        for id in [1, 3, 3, 4, 0] {
            ids.see(id);
        }
        assert_eq!(
            ids.verdict(),
            json!({"exact": false, "records": 5, "missing": 1, "repeated": 1, "unexpected": 2})
        );
    }

    #[test]
    fn the_id_is_found_behind_a_schema() {
        let mut key = String::new();
        crate::narrow::key(42, &mut key);
        assert_eq!(id_in_json(key.as_bytes()), Some(42));
        assert_eq!(id_in_json(br#"{"id":7}"#), Some(7));
        assert_eq!(id_in_json(br#"{"ident":7}"#), None);
    }
}
