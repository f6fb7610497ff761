//! Names as people write them: the other case of a field, and what somebody may have meant by a name that is not known.

/// `perTryTimeout` as `per_try_timeout`: the original name of a field whose JSON name is in camel case.
#[must_use]
pub fn snake_case(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A known name that is a part of the key, or the key of it: `match` for `matches`, `timeout` for `requestTimeout`.
#[must_use]
pub fn kinship(key: &str, known: &[&str]) -> String {
    let (key, most) = (plain(key), key.len());
    let is_kin = |name: &&&str| {
        let name = plain(name);
        let (short, long) = if name.len() < key.len() {
            (&name, &key)
        } else {
            (&key, &name)
        };
        let is_most = short.len() >= 4 && short.len() * 2 >= long.len();
        is_most && (long.starts_with(&**short) || long.ends_with(&**short))
    };
    // The closest in length, and of several the first.
    let nearest = known
        .iter()
        .filter(is_kin)
        .min_by_key(|name| name.len().abs_diff(most));
    nearest.map_or_else(String::new, |name| format!("did you mean `{name}`?"))
}

/// Without what people forget to write alike.
fn plain(name: &str) -> String {
    name.replace(['_', '-'], "").to_ascii_lowercase()
}

/// What the author of an unknown field may have meant.
#[must_use]
pub fn suggestion(key: &str, known: &[&str]) -> String {
    let near = nearest(key, known.iter().copied());
    near.map_or_else(String::new, |name| format!("did you mean `{name}`?"))
}

/// The known name that is nearest to one that is not known, if it is near enough to be meant.
#[must_use]
pub fn nearest<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // Comparing is quadratic in the length, and nobody misspells a name by this much.
    if key.len() > 64 {
        return None;
    }
    let key = plain(key);
    let (distance, name) = known
        .map(|name| (strsim::damerau_levenshtein(&key, &plain(name)), name))
        .min()?;
    // Two slips, or the end of a long word.
    let is_near = distance <= 2 && distance * 3 <= name.len() || distance == 3 && name.len() >= 12;
    is_near.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_near() {
        for (key, expected) in [
            ("retires", "did you mean `retries`?"),
            ("time_out", "did you mean `timeout`?"),
            ("Timeout", "did you mean `timeout`?"),
            ("banana", ""),
            ("to", ""),
        ] {
            assert_eq!(
                suggestion(key, &["retries", "timeout", "route"]),
                expected,
                "{key}"
            );
        }
    }

    /// Two slips in every three letters are too many, and three only in a long word.
    #[test]
    fn how_near_is_near() {
        for (key, known, is_near) in [
            ("sxbsey", "subset", true),
            ("sxbxey", "subset", false),
            ("rxuxe", "route", false),
            ("rxute", "route", true),
            ("txx", "tls", false),
            ("sourceLxxxls", "sourceLabels", true),
            ("sourceXxxxls", "sourceLabels", false),
            ("soxrcLaxexs", "sourceLabel", false),
        ] {
            let near = nearest(key, [known].into_iter());
            assert_eq!(near.is_some(), is_near, "{key} for {known}");
        }
        // Longer ones are compared with nobody.
        for (letters, is_near) in [(64, true), (65, false)] {
            let long = "a".repeat(letters);
            assert_eq!(
                nearest(&long, [&*long].into_iter()).is_some(),
                is_near,
                "{letters}"
            );
        }
    }
}
