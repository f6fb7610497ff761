//! The hosts that a table is made of, and how much of it each gets.

/// A host of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share<'a> {
    /// What it is hashed by: its address as text.
    pub key: &'a str,
    /// Its part of the whole; all parts total 1.
    pub share: f64,
}

/// Hosts of a table with their shares, by weight, of a part of the whole (all of it: 1).
#[must_use]
pub fn shares<'a>(
    hosts: impl Iterator<Item = (&'a str, u32)> + Clone,
    part: f64,
) -> Vec<Share<'a>> {
    let total: u64 = hosts.clone().map(|(_, weight)| u64::from(weight)).sum();
    hosts
        .map(|(key, weight)| Share {
            key,
            share: f64::from(weight) * part / total as f64,
        })
        .collect()
}
