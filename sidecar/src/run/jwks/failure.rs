//! Why a set of keys was not fetched.

use std::fmt;

/// Why a set of keys was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The address is none that can be asked.
    Address(&'static str),
    /// It did not come in time.
    TooLate,
    /// No connection came about, or it broke.
    Connection(String),
    /// The answer has this status. Redirects are not followed: who answers for an issuer is said by its address.
    Status(u16),
    /// The answer is longer than any set.
    TooLong,
    /// The answer is no set of keys.
    NoKeys(&'static str),
    /// What the issuer says of itself (OpenID Connect Discovery) is not to be believed.
    Discovery(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) | Self::Discovery(why) => f.write_str(why),
            Self::TooLate => f.write_str("no answer in time"),
            Self::Connection(why) => f.write_str(why),
            Self::Status(status) => write!(f, "the answer is {status}"),
            Self::TooLong => f.write_str("the answer is longer than 256 KiB"),
            Self::NoKeys(why) => write!(f, "the answer is no set of keys: {why}"),
        }
    }
}
