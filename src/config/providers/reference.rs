//! How references look: `\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}` in Kafka's `ConfigTransformer`.

/// A reference in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    pub whole: &'a str,
    pub provider: &'a str,
    /// Empty when there is none.
    pub path: &'a str,
    pub key: &'a str,
}

/// The text in parts: references, and what stands between them.
pub(super) fn parts(text: &str) -> Vec<Result<Reference<'_>, &str>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, candidate) = rest.split_at(start);
        let Some((reference, after)) = reference(candidate) else {
            // Nothing behind the next brace can begin earlier: it is looked at on its own.
            let (literal, after) = rest.split_at(start + 2);
            parts.push(Err(literal));
            rest = after;
            continue;
        };
        parts.push(Err(before));
        parts.push(Ok(reference));
        rest = after;
    }
    parts.push(Err(rest));
    parts
}

/// The reference at the beginning of `text`, and what follows it.
fn reference(text: &str) -> Option<(Reference<'_>, &str)> {
    let (inner, after) = text.strip_prefix("${")?.split_once('}')?;
    let (provider, rest) = inner.split_once(':')?;
    let (path, key) = rest.split_once(':').unwrap_or(("", rest));
    let (whole, _) = text.split_at(text.len() - after.len());
    Some((Reference { whole, provider, path, key }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_at_its_first_colon() {
        for (text, expected) in [
            ("${file:/a/b.properties:k}", Some(("file", "/a/b.properties", "k"))),
            ("${file:/a:k:with:colons}", Some(("file", "/a", "k:with:colons"))),
            ("${env:K}", Some(("env", "", "K"))),
            ("${env:}", Some(("env", "", ""))),
            ("${K}", None),
        ] {
            let found = parts(text).into_iter().find_map(Result::ok);
            let found = found.map(|found| (found.provider, found.path, found.key));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_parts_are_the_text() {
        for text in ["", "a", "${", "a${b}c${d:e}f", "${x ${file:p:k}} ü${env:Ä}"] {
            let joined: String = parts(text)
                .into_iter()
                .map(|part| part.map_or_else(|literal| literal, |reference| reference.whole))
                .collect();
            assert_eq!(joined, text);
        }
    }
}
