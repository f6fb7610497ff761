//! What a request was hashed by, and what bounded load made of it.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// What a request hashes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHash {
    /// The number; `None` when the request has nothing that is hashed.
    pub value: Option<u64>,
    /// What was hashed.
    pub by: HashedBy,
    /// The positions of the route's destinations for which a cookie was made.
    pub made: SmallVec<[u32; 4]>,
}

impl RequestHash {
    /// The number with what was hashed, if there was something.
    #[must_use]
    pub fn number(&self) -> Option<(u64, HashedBy)> {
        Some((self.value?, self.by))
    }
}

/// What was hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HashedBy {
    /// Nothing: a number was drawn.
    #[default]
    Nothing,
    /// The values of a header field.
    Field,
    /// The value of a cookie.
    Cookie,
    /// The value of a cookie that the proxy made.
    MadeCookie,
    /// The client's address.
    SourceAddress,
    /// The value of a query parameter.
    QueryParameter,
    /// Several of these, because destinations of one route hash by different things.
    Several,
}

/// How busy the picked endpoint was, by what bounded load allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBound {
    /// Requests in flight on the picked one.
    pub active: u32,
    /// How many it may have before another one.
    pub slots: u32,
    /// How many endpoints were passed over because they had too many.
    pub passed: u32,
    /// The position of the endpoint that the hash names.
    pub named: u32,
    /// Requests in flight on that one.
    pub named_active: u32,
    /// How many that one may have.
    pub named_slots: u32,
}

impl Display for HashedBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing, so a number was drawn",
            Self::Field => "a header field",
            Self::Cookie => "a cookie",
            Self::MadeCookie => "a cookie that was made",
            Self::SourceAddress => "the client's address",
            Self::QueryParameter => "a query parameter",
            Self::Several => "several things",
        })
    }
}

impl Display for LoadBound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            active,
            slots,
            passed,
            named_active,
            named_slots,
            ..
        } = self;
        write!(f, "{active} of {slots} requests in flight")?;
        if *passed > 0 {
            write!(
                f,
                " (the one it names had {named_active} of {named_slots}, {passed} passed over)"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_told() {
        let free = LoadBound {
            active: 1,
            slots: 4,
            passed: 0,
            named: 2,
            named_active: 1,
            named_slots: 4,
        };
        assert_eq!(free.to_string(), "1 of 4 requests in flight");
        let full = LoadBound {
            passed: 2,
            named_active: 9,
            ..free
        };
        assert_eq!(
            full.to_string(),
            "1 of 4 requests in flight (the one it names had 9 of 4, 2 passed over)"
        );
    }
}
