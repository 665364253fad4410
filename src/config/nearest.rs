//! What a misspelt name was meant to be.

/// Beyond this many edits two names have nothing to do with each other.
const EDITS_MAX: usize = 3;

/// The one of `names` that `name` was meant to be, perhaps.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (edits, nearest) = names.map(|other| (edits(name, other), other)).min()?;
    (edits <= EDITS_MAX && edits * 2 < name.len()).then_some(nearest)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in (1..).zip(a.chars()) {
        let mut diagonal = std::mem::replace(&mut row[0], i);
        for (j, b) in (1..).zip(&b) {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j];
            row[j] = substituted.min(diagonal + 1).min(row[j - 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("flush.size", "flush.size", 0),
            ("flsh.size", "flush.size", 1),
            ("topic.regex", "topics.regex", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn what_is_too_far_away_was_not_meant() {
        let names = ["flush.size", "topics"];
        let meant = |name| nearest(name, names.into_iter());
        assert_eq!(meant("flush.sise"), Some("flush.size"));
        assert_eq!(meant("topic"), Some("topics"));
        assert_eq!(meant("tops"), None);
        assert_eq!(meant("something.else"), None);
    }
}
