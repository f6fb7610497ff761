//! The connection that somebody asks about, where it is not HTTP: read from a line such as `TCP 10.0.0.1:6379` or
//! `TLS shop.test@10.0.0.1:443`.
//!
//! Owns how such a line is taken. What becomes of the connection is core's business.

use std::net::IpAddr;

use crate::question::Misread;

/// How it is written.
pub const CONNECTION_FORM: &str =
    "`TCP 10.0.0.1:6379`, `TCP redis:6379`, `TLS shop.test:443` or `TLS shop.test@10.0.0.1:443`";

/// What its client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing that is HTTP or TLS.
    Bytes,
    /// A ClientHello.
    Hello,
}

/// A connection, not yet made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    pub(crate) says: Says,
    /// The server name that TLS asks for, or the service that is meant; in lower case.
    pub(crate) name: Option<String>,
    /// Where it is to go; `None` where the name says it.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

fn misread(what: &str) -> Misread {
    Misread::new(format!("{what}; write {CONNECTION_FORM}"))
}

impl Reach {
    /// Takes a line; `None` for one that is about a request.
    ///
    /// # Errors
    /// Says what is wrong with it, and how it is written.
    pub fn read(line: &str) -> Option<Result<Self, Misread>> {
        let mut words = line.split_whitespace();
        let says = match words.next()? {
            "TCP" => Says::Bytes,
            "TLS" => Says::Hello,
            _ => return None,
        };
        let to = (words.next(), words.next());
        Some(match to {
            (Some(to), None) => Self::to(says, to),
            (None, _) => Err(misread("it does not say where the connection goes")),
            (Some(_), Some(_)) => Err(misread("there is more than where the connection goes")),
        })
    }

    fn to(says: Says, to: &str) -> Result<Self, Misread> {
        let (host, port) = to
            .rsplit_once(':')
            .ok_or_else(|| misread(&format!("`{}` has no port", to.escape_debug())))?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| misread(&format!("`{}` is no port", port.escape_debug())))?;
        let (name, at) = match host.split_once('@') {
            Some((name, at)) => (name, Some(at)),
            None => (host, None),
        };
        let address = |text: &str| -> Option<IpAddr> {
            let bare = text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'));
            bare.unwrap_or(text).parse().ok()
        };
        let (name, address) = match (address(name), at) {
            (Some(address), None) => (None, Some(address)),
            (None, None) => (Some(name), None),
            (_, Some(_)) if says == Says::Bytes => {
                return Err(misread("only TLS names somebody besides where it goes"));
            }
            (_, Some(at)) => match address(at) {
                Some(address) => (Some(name), Some(address)),
                None => {
                    let at = at.escape_debug();
                    return Err(misread(&format!("`{at}` is no address")));
                }
            },
        };
        let is_name = |name: &&str| {
            let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
            !name.is_empty() && name.len() < 254 && name.bytes().all(is_plain)
        };
        if let Some(name) = name.filter(|name| !is_name(name)) {
            let name = name.escape_debug();
            return Err(misread(&format!("`{name}` is no name of a host")));
        }
        Ok(Self {
            says,
            name: name.map(str::to_ascii_lowercase),
            address,
            port,
        })
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> String {
        let address = self.address.map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
        let to = match (&self.name, address) {
            (Some(name), Some(address)) => format!("{name}@{address}"),
            (name, address) => name.clone().or(address).unwrap_or_default(),
        };
        let says = match self.says {
            Says::Bytes => "TCP",
            Says::Hello => "TLS",
        };
        format!("{says} {to}:{}", self.port)
    }

    /// The server name that its client asks for.
    pub(crate) fn server_name(&self) -> Option<&str> {
        match self.says {
            Says::Hello => self.name.as_deref(),
            Says::Bytes => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_as_they_are_written() {
        for line in [
            "TCP 10.0.0.1:6379",
            "TCP [fd00::1]:6379",
            "TCP redis:6379",
            "TLS shop.test:443",
            "TLS 10.0.0.1:443",
            "TLS shop.test@10.0.0.1:443",
            "TLS shop.test@[fd00::1]:443",
        ] {
            let read = Reach::read(line).expect("it is about a connection");
            assert_eq!(read.map(|reach| reach.text()), Ok(line.to_owned()));
        }
        let upper = Reach::read("TLS  Shop.Test:443 ").expect("it is about a connection");
        assert_eq!(
            upper.map(|reach| reach.text()),
            Ok("TLS shop.test:443".into())
        );
        for line in ["GET http://a/", "http://TCP/", "", "tcp a:1", "CONNECT a:1"] {
            assert_eq!(Reach::read(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, why) in [
            ("TCP", "does not say where"),
            ("TCP a:1 b", "more than where"),
            ("TCP redis", "`redis` has no port"),
            ("TCP redis:x", "`x` is no port"),
            ("TCP redis:0", "`0` is no port"),
            ("TCP redis:70000", "`70000` is no port"),
            ("TCP a@10.0.0.1:1", "only TLS names"),
            ("TLS a@b:1", "`b` is no address"),
            ("TLS :443", "`` is no name"),
            ("TLS a/b:443", "`a/b` is no name"),
        ] {
            let error = Reach::read(line)
                .expect("it is about a connection")
                .unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(why) && error.contains(CONNECTION_FORM),
                "{line}: {error}"
            );
        }
    }
}
