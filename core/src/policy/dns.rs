//! What an application is told that asks for a name: the addresses of a service that it sees, or that somebody else is to be
//! asked.
//!
//! A pure function over the names of services, as Istio's agent decides it. Applications in a Pod ask for a name with each
//! of their search domains behind it first; what is known without the first of them is answered as an alias for that, so
//! that one question is enough. What a message looks like is nobody's business here.

use core::net::IpAddr;

use crate::snapshot::ServiceNames;

/// How long an answer of ours holds, in seconds (Istio's agent).
pub const TTL: u32 = 30;

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its addresses of IPv4 (A).
    V4,
    /// Its addresses of IPv6 (AAAA).
    V6,
    /// How to reach a service, which may hold addresses too (SVCB, HTTPS; RFC 9460).
    Binding,
    /// Anything else.
    Other,
}

impl Kind {
    /// Whether an address is what was asked for.
    #[must_use]
    pub const fn has(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
            Self::Binding | Self::Other => false,
        }
    }
}

/// What is said of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'s, 'q> {
    /// A service has it.
    Here {
        /// The name that it stands for, where it was asked for with a search domain behind it.
        alias: Option<&'q str>,
        /// Of both families; those of the kind that was asked for are told, which may be none.
        addresses: &'s [IpAddr],
    },
    /// Somebody else is to be asked.
    Elsewhere,
}

/// Decides. `name` is in lower case and has no dot at its end, no more than `search`, the first domain in which the
/// application looks for names.
#[must_use]
pub fn tell<'s, 'q>(
    names: &'s ServiceNames,
    name: &'q str,
    kind: Kind,
    search: Option<&str>,
) -> Told<'s, 'q> {
    match kind {
        // Where a service is bound elsewhere, applications would go there and past its rules.
        Kind::V4 | Kind::V6 | Kind::Binding => {}
        Kind::Other => return Told::Elsewhere,
    }
    let own = names.find(name);
    let short = search.and_then(|domain| name.strip_suffix(domain)?.strip_suffix('.'));
    let short = short.and_then(|short| Some((short, names.find(short)?)));
    match (own, short) {
        // A wildcard that leaves less open is more particular; the name itself leaves nothing open.
        (Some(own), short) if own.open == 0 || short.is_none_or(|(_, s)| own.open <= s.open) => {
            Told::Here {
                alias: None,
                addresses: own.addresses,
            }
        }
        (_, Some((short, known))) => Told::Here {
            alias: Some(short),
            addresses: known.addresses,
        },
        (_, None) => Told::Elsewhere,
    }
}

#[cfg(test)]
mod tests;
