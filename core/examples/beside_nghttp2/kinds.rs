//! The kinds of differences that are known, each with its reason, as they stand in a file: a line with a reason, and below it,
//! indented, the kinds that have it.

use std::collections::BTreeMap;

/// Reasons, by kind.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<String, String>);

impl Known {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut known = Self::default();
        let mut reason = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("    ") {
                Some(_) if reason.is_empty() => {
                    return Err(format!("a kind without a reason: {line}"));
                }
                Some(kind) => {
                    if known.0.insert(kind.to_owned(), reason.clone()).is_some() {
                        return Err(format!("a kind that stands twice: {kind}"));
                    }
                }
                None => line.clone_into(&mut reason),
            }
        }
        Ok(known)
    }

    /// Why a difference of this kind is as it should be, if it is; and the known kind, in which `*` is any text.
    pub(crate) fn reason(&self, kind: &str) -> Option<(&str, &str)> {
        let found = self.0.iter().find(|(known, _)| is_like(kind, known));
        found.map(|(known, reason)| (known.as_str(), reason.as_str()))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn is_like(kind: &str, known: &str) -> bool {
    let mut parts = known.split('*');
    let Some(mut rest) = parts.next().and_then(|front| kind.strip_prefix(front)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}
