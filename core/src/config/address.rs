//! Addresses as resources write them: IP addresses, CIDR blocks, Unix sockets.

use std::net::IpAddr;

use super::names::{self, Complaint};

/// Where a workload or an endpoint is, as its `address` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IP address.
    Ip(IpAddr),
    /// The path of a Unix socket, or `@name` for an abstract one.
    Unix(&'a str),
    /// A name to look up.
    Name(&'a str),
}

/// The scheme of Unix sockets in `address` and `defaultEndpoint`.
pub const UNIX_PREFIX: &str = "unix://";

/// Reads an IP address; a zone (`fe80::1%eth0`) is not one.
#[must_use]
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Tells IP addresses, Unix sockets and names apart without judging them.
#[must_use]
pub fn classify(address: &str) -> Host<'_> {
    if let Some(path) = address.strip_prefix(UNIX_PREFIX) {
        Host::Unix(path)
    } else {
        parse_ip(address).map_or(Host::Name(address), Host::Ip)
    }
}

/// Checks the path of a Unix socket: absolute and not a folder, or abstract (`@name`).
///
/// # Errors
/// What is wrong with it.
pub fn check_unix(path: &str) -> Result<(), Complaint> {
    if path.is_empty() {
        Err("has no path".into())
    } else if path.starts_with('@') || (path.starts_with('/') && !path.ends_with('/')) {
        Ok(())
    } else {
        Err("is not the absolute path of a socket".into())
    }
}

/// An IP block: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The address as written, host bits included.
    pub address: IpAddr,
    /// Leading bits that count, at most 32 or 128.
    pub bits: u8,
}

impl Block {
    /// Whether the block is one address.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        self.bits == Self::width(self.address)
    }

    const fn width(address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        }
    }
}

/// Reads an IP address or a CIDR block.
///
/// # Errors
/// What is wrong with it.
pub fn parse_block(text: &str) -> Result<Block, Complaint> {
    let whole = |address| Block {
        address,
        bits: Block::width(address),
    };
    let Some((ip, bits)) = text.split_once('/') else {
        return parse_ip(text)
            .map(whole)
            .ok_or_else(|| "is not an IP address or CIDR block".into());
    };
    let address = parse_ip(ip).ok_or("is not a CIDR block (its address is invalid)")?;
    let is_digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
    match bits.parse::<u8>() {
        Ok(bits) if is_digits && bits <= Block::width(address) => Ok(Block { address, bits }),
        Ok(_) | Err(_) => Err("is not a CIDR block (its prefix length is invalid)".into()),
    }
}

/// Splits `host:port` or `[ipv6]:port`.
///
/// # Errors
/// What is wrong with it.
pub fn split_host_port(text: &str) -> Result<(&str, u16), Complaint> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest
            .split_once("]:")
            .ok_or("is not of the form `[address]:port`")?,
        None => text
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains(':'))
            .ok_or("is not of the form `address:port`")?,
    };
    let port = port
        .parse::<u64>()
        .map_err(|_| format!("has the port `{port}`, which is not a number"))?;
    let port = names::check_port(port).map_err(|why| format!("has a port that {why}"))?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        for (text, good) in [
            ("1.2.3.4", true),
            ("1.2.3.4/16", true),
            ("::1", true),
            ("2001:db8::/32", true),
            ("1.2.3.4/33", false),
            ("1.2.3.4/", false),
            ("1.2.3.4/+1", false),
            ("1.2.3/8", false),
            ("01.2.3.4", false),
            ("foo", false),
            ("", false),
        ] {
            assert_eq!(parse_block(text).is_ok(), good, "{text}");
        }
        assert!(parse_block("1.2.3.4/32").is_ok_and(|b| b.is_single()));
    }

    #[test]
    fn unix_sockets() {
        for (text, good) in [
            ("unix:///a/b", true),
            ("unix://@abstract", true),
            ("unix:///", false),
            ("unix:///dir/", false),
            ("unix://./relative", false),
            ("unix://", false),
        ] {
            let Host::Unix(path) = classify(text) else {
                panic!("{text} is not a socket");
            };
            assert_eq!(check_unix(path).is_ok(), good, "{text}");
        }
        assert_eq!(classify("a.b"), Host::Name("a.b"));
    }

    #[test]
    fn host_and_port() {
        for (text, want) in [
            ("127.0.0.1:80", Some(("127.0.0.1", 80))),
            ("[::1]:80", Some(("::1", 80))),
            ("a:65535", Some(("a", 65535))),
            ("a:0", None),
            ("a:65536", None),
            ("::1:80", None),
            ("a", None),
            ("[::1]", None),
            (":80", Some(("", 80))),
        ] {
            assert_eq!(split_host_port(text).ok(), want, "{text}");
        }
    }
}
