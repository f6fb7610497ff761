//! The names of services, with the addresses that an application gets who asks for one of them.
//!
//! `policy::dns` answers with it. Which names there are is `compile`'s business.

use core::net::IpAddr;

use super::name_table::{NameTable, Named};

/// Names of services that have addresses.
#[derive(Clone, Debug, Default)]
pub struct ServiceNames {
    /// Positions in `addresses`.
    names: NameTable,
    addresses: Box<[Box<[IpAddr]>]>,
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownName<'s> {
    /// Of both families.
    pub addresses: &'s [IpAddr],
    /// How many bytes of the name a wildcard left open; zero where the name itself is known.
    pub open: usize,
}

impl ServiceNames {
    /// Builds the table: names in lower case without a dot at their end, `*.x` among them, each with the position of its
    /// addresses. Of two equal names the first one counts.
    #[must_use]
    pub fn new(names: Vec<(Box<str>, u32)>, addresses: Vec<Box<[IpAddr]>>) -> Self {
        Self {
            names: NameTable::new(names),
            addresses: addresses.into(),
        }
    }

    /// What is known of a name in lower case: by itself, or by the longest wildcard that it is under.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<KnownName<'_>> {
        let (named, at) = self.names.find(name.as_bytes())?;
        Some(KnownName {
            addresses: &self.addresses[at as usize],
            open: match named {
                Named::Exact(_) => 0,
                Named::Suffix(suffix) => name.len() - suffix.len(),
            },
        })
    }

    /// All names as they were written, wildcards among them, with their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (String, &[IpAddr])> {
        let all = self.names.iter();
        all.map(|(named, at)| (named.to_string(), &*self.addresses[at as usize]))
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}
