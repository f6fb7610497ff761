//! Which versions of HTTP a case is played in: what its clients speak, and what its services do.
//!
//! Every case is written in HTTP/1. Where a side speaks HTTP/2, its scripts are translated (`outrigger_sim::translated`),
//! and the mesh says `h2UpgradePolicy: UPGRADE`, so that services are spoken to in HTTP/2. A service whose port says nothing
//! is spoken to as its client speaks, so what is spoken on a connection is what is heard first.

use core::fmt;
use core::str::FromStr;

use outrigger_core::stream::Protocol::{self, Http1, Http2};
use serde_yaml::{Mapping, Value};

/// Versions on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pairing {
    /// What clients speak.
    pub client: Protocol,
    /// What services speak that are not told otherwise by the case.
    pub service: Protocol,
}

impl Pairing {
    /// HTTP/1 on both sides, as cases are written.
    pub const ONE: Self = Self::new(Http1, Http1);

    /// All that there are.
    pub const ALL: [Self; 4] = [
        Self::ONE,
        Self::new(Http1, Http2),
        Self::new(Http2, Http1),
        Self::new(Http2, Http2),
    ];

    const fn new(client: Protocol, service: Protocol) -> Self {
        Self { client, service }
    }

    /// Those that a word names: one of them, or `all`.
    ///
    /// # Errors
    /// What may be named.
    pub fn named(word: &str) -> Result<Vec<Self>, String> {
        match word {
            "all" => Ok(Self::ALL.to_vec()),
            one => one.parse().map(|pairing| vec![pairing]),
        }
    }

    /// The mesh of a case in these versions.
    #[must_use]
    pub fn mesh(self, mesh: Option<Value>) -> Option<Value> {
        match self.service {
            Http1 => mesh,
            Http2 => Some(upgraded(mesh.unwrap_or_else(|| Mapping::new().into()))),
        }
    }
}

/// The mesh's settings, with HTTP/2 to services unless they say something about that.
fn upgraded(mut mesh: Value) -> Value {
    if let Value::Mapping(fields) = &mut mesh {
        let name = Value::from("h2UpgradePolicy");
        fields.entry(name).or_insert_with(|| "UPGRADE".into());
    }
    mesh
}

impl fmt::Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |protocol| match protocol {
            Http1 => 1,
            Http2 => 2,
        };
        write!(f, "{}-{}", number(self.client), number(self.service))
    }
}

impl FromStr for Pairing {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let wrong = || format!("`{word}` is none of 1-1, 1-2, 2-1, 2-2 and all");
        all.find(|pairing| pairing.to_string() == word)
            .ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairings_have_names() {
        for pairing in Pairing::ALL {
            assert_eq!(Pairing::named(&pairing.to_string()), Ok(vec![pairing]));
        }
        assert_eq!(Pairing::named("all").unwrap(), Pairing::ALL);
        assert!(Pairing::named("1").unwrap_err().contains("none of 1-1"));
    }

    #[test]
    fn a_mesh_that_speaks_of_it_has_its_way() {
        let mesh = |text: &str| upgraded(serde_yaml::from_str(text).unwrap());
        assert_eq!(mesh("{a: 1}"), mesh("{a: 1, h2UpgradePolicy: UPGRADE}"));
        let kept = "{h2UpgradePolicy: DO_NOT_UPGRADE}";
        assert_eq!(mesh(kept), serde_yaml::from_str::<Value>(kept).unwrap());
    }
}
