//! The first line of the story of a connection that is not HTTP: where it was to go, and how it was told apart.

use core::fmt::{self, Display, Formatter};

use crate::decision::{Connection, ToldBy};

impl Display for Connection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "TCP {}", self.to)?;
        if let Some(name) = &self.server_name {
            write!(f, " ({name})")?;
        }
        writeln!(f, ": {}", self.told_by)
    }
}

impl Display for ToldBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Destination => "HTTP is not spoken there",
            Self::Tls => "it begins as TLS does",
            Self::FirstBytes => "it does not begin as HTTP does",
            Self::Silence => "its client did not say in time what it speaks",
            Self::Length => "it did not tell what it is within the bytes that are looked at",
            Self::Alpn => "its TLS agreed on a protocol that is not HTTP",
        })
    }
}
