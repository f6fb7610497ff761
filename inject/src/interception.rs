//! How connections come to a sidecar, by Istio's words.

use serde::Deserialize;

/// How connections come to the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Interception {
    /// The kernel sends them to its ports.
    Redirect,
    /// Those from outside come as they are, with both addresses.
    Tproxy,
    /// Not at all: applications know of it.
    None,
}

impl Interception {
    /// As annotations and flags write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Redirect => "REDIRECT",
            Self::Tproxy => "TPROXY",
            Self::None => "NONE",
        }
    }

    /// By that word, in any case.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Redirect, Self::Tproxy, Self::None]
            .into_iter()
            .find(|mode| mode.word().eq_ignore_ascii_case(word))
    }
}
