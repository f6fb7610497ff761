//! How labels are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// A value of a label between its quotes.
#[must_use]
pub(crate) fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return Cow::Borrowed(value);
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    Cow::Owned(value.replace('\n', "\\n"))
}

/// Labels as an exposition writes them, without the braces around, by name.
#[must_use]
pub fn label_text(labels: &[(&str, &str)]) -> String {
    let all: BTreeMap<_, _> = labels.iter().copied().collect();
    let each = all
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    each.collect::<Vec<_>>().join(",")
}
