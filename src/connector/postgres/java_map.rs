//! The order in which a Java `HashMap` shows its texts: where the original writes one out, records
//! have that order.

/// How many buckets a map of so many entries has: 16, doubled beyond three quarters.
pub(super) fn buckets(entries: usize) -> u32 {
    let mut buckets = 16_u32;
    while entries > buckets as usize * 3 / 4 {
        buckets *= 2;
    }
    buckets
}

/// Sorts entries as a map of `buckets` shows them.
pub(super) fn sort<T>(entries: &mut [T], buckets: u32, key: impl Fn(&T) -> &str) {
    entries.sort_by_key(|entry| spread_hash(key(entry)) & (buckets - 1));
}

/// Java's `String.hashCode`, spread as `HashMap.hash` does.
fn spread_hash(text: &str) -> u32 {
    let hash = text
        .encode_utf16()
        .fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_as_in_java() {
        // Observed.
        let mut keys = ["b", "m", "q", "zz", "aaa", "hello", "world"];
        sort(&mut keys, buckets(7), |key| key);
        assert_eq!(keys, ["zz", "aaa", "q", "b", "world", "hello", "m"]);
        let mut tables = ["inv.a", "inv.b"];
        sort(&mut tables, buckets(2), |key| key);
        assert_eq!(tables, ["inv.b", "inv.a"]);
        assert_eq!([12, 13, 25].map(buckets), [16, 32, 64]);
    }
}
