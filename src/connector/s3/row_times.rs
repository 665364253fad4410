//! The Kafka timestamp of every row of a file, as its metadata lists them for the history tables:
//! the first one, then each one's difference to the one before it.

use std::fmt::Write as _;

/// Rows beyond which a file lists none: the footer would outgrow what it describes.
const ROWS_MAX: usize = 100_000;

/// The list while a file grows.
#[derive(Debug, Default)]
pub(super) struct RowTimes {
    text: String,
    last_ms: i64,
    rows: usize,
    /// A row without a timestamp, or one too many, leaves the file without a list.
    is_given_up: bool,
}

impl RowTimes {
    /// Adds the next row.
    pub(super) fn push(&mut self, timestamp_ms: Option<i64>) {
        let difference = timestamp_ms.and_then(|ms| ms.checked_sub(self.last_ms));
        let (Some(ms), Some(difference)) = (timestamp_ms, difference) else {
            return self.give_up();
        };
        if self.is_given_up || self.rows == ROWS_MAX {
            return self.give_up();
        }
        if 0 < self.rows {
            self.text.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{difference}");
        self.last_ms = ms;
        self.rows += 1;
    }

    fn give_up(&mut self) {
        *self = Self { is_given_up: true, ..Self::default() };
    }

    /// The list, when it has every row.
    pub(super) fn finish(self) -> Option<String> {
        (0 < self.rows).then_some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_then_differences() {
        let rows: [(&[Option<i64>], Option<&str>); 4] = [
            (&[Some(100), Some(100), Some(95)], Some("100,0,-5")),
            (&[Some(100), None, Some(95)], None),
            (&[Some(1), Some(i64::MIN)], None),
            (&[], None),
        ];
        for (times, expected) in rows {
            let mut list = RowTimes::default();
            times.iter().for_each(|time| list.push(*time));
            assert_eq!(list.finish().as_deref(), expected, "{times:?}");
        }
    }

    #[test]
    fn a_long_file_lists_none() {
        let mut list = RowTimes::default();
        (0..=ROWS_MAX).for_each(|_| list.push(Some(1)));
        assert_eq!(list.finish(), None);
    }
}
