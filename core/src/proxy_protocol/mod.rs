//! The header by which a proxy says whose connection it passes on (PROXY protocol, HAProxy's `proxy-protocol.txt`): text (version 1)
//! and binary (version 2), read and written.
//!
//! Knows the grammar and no policy: who is believed, and how long a header is waited for, is decided by who reads it.

mod text;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The longest header of version 2 that is read, in bytes with all that stands behind the addresses, if nobody says otherwise. The format
/// allows 64 KiB there; what proxies say in them takes a few hundred.
pub const MOST: usize = 4096;

/// Twelve bytes with which version 2 begins. No protocol of an application does.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family, and the length of the rest.
const FIXED: usize = 16;

/// Version 2 in the upper half of its byte; the command below.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// Families and transports of version 2.
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Two addresses and two ports.
const LENGTH_4: usize = 12;
const LENGTH_6: usize = 36;

/// Which of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Between whom the connection is that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// Where it has connected to.
    pub destination: SocketAddr,
}

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How long it is, in bytes; what the client says stands behind it.
    pub length: usize,
    /// Between whom; `None` where the proxy speaks for itself (`LOCAL`, a health check) or does not know (`UNKNOWN`).
    pub addresses: Option<Addresses>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They begin otherwise.
    NotProxy,
    /// The line of version 1 has another form, or its addresses are none.
    Line,
    /// It is longer than is read, or a line longer than version 1 has.
    TooLong,
    /// A command of version 2 that is none.
    Command,
    /// Addresses of version 2 that are not of TCP over IP.
    Family,
    /// Less than its addresses take, or what stands behind them does not end with it.
    Length,
}

/// Reads a header from the first bytes of a connection; `None` while more are needed. `most`: how long one of version 2 may be.
///
/// # Errors
/// There is none.
pub fn read(bytes: &[u8], most: usize) -> Result<Option<Header>, Malformed> {
    let signed = bytes.iter().zip(&SIGNATURE).take_while(|(a, b)| a == b);
    let signed = signed.count();
    if signed == SIGNATURE.len() {
        binary(bytes, most)
    } else if signed == bytes.len() {
        Ok(None)
    } else {
        text::read(bytes)
    }
}

/// Reads version 2, of which the signature is there.
fn binary(bytes: &[u8], most: usize) -> Result<Option<Header>, Malformed> {
    let command = match bytes.get(12) {
        Some(command @ (&LOCAL | &PROXY)) => *command,
        Some(_) => return Err(Malformed::Command),
        None => return Ok(None),
    };
    let family = match bytes.get(13) {
        Some(family @ (&UNSPECIFIED | &TCP4 | &TCP6)) => *family,
        // Whoever speaks for itself need not say over what.
        Some(_) if command == LOCAL => UNSPECIFIED,
        Some(_) => return Err(Malformed::Family),
        None => return Ok(None),
    };
    let Some(length) = bytes.get(14..FIXED) else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length > most {
        return Err(Malformed::TooLong);
    }
    let taken = match family {
        _ if command == LOCAL => 0,
        TCP4 => LENGTH_4,
        TCP6 => LENGTH_6,
        _ => 0,
    };
    if length < FIXED + taken {
        return Err(Malformed::Length);
    }
    let Some(rest) = bytes.get(FIXED..length) else {
        return Ok(None);
    };
    let (said, behind) = rest.split_at(taken);
    // What a proxy says for itself, or of what we do not know, is thrown away unread.
    if taken > 0 {
        skip(behind)?;
    }
    Ok(Some(Header {
        length,
        addresses: addresses(said),
    }))
}

/// What stands behind addresses: a type, a length of two bytes, and as many bytes, any number of times. None is read.
fn skip(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let length = rest.get(1..3).ok_or(Malformed::Length)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        rest = rest.get(3 + length..).ok_or(Malformed::Length)?;
    }
    Ok(())
}

/// Addresses in binary: both, then both ports.
fn addresses(said: &[u8]) -> Option<Addresses> {
    let (source, destination, ports): (IpAddr, IpAddr, &[u8]) = match said.len() {
        LENGTH_4 => (four(said, 0)?.into(), four(said, 4)?.into(), &said[8..]),
        LENGTH_6 => (six(said, 0)?.into(), six(said, 16)?.into(), &said[32..]),
        _ => return None,
    };
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Some(Addresses {
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
    })
}

fn four(said: &[u8], at: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = said.get(at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
}

fn six(said: &[u8], at: usize) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = said.get(at..at + 16)?.try_into().ok()?;
    Some(bytes.into())
}

/// Writes a header. Addresses of two families are both written as those of IPv6.
#[must_use]
pub fn write(version: Version, addresses: Addresses) -> Box<[u8]> {
    let (source, destination) = (addresses.source, addresses.destination);
    let ips = match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Ok((source, destination)),
        (source, destination) => Err((mapped(source), mapped(destination))),
    };
    let ports = (source.port(), destination.port());
    match version {
        Version::V1 => text::write(ips, ports),
        Version::V2 => {
            let mut said = Vec::with_capacity(FIXED + LENGTH_6);
            said.extend_from_slice(&SIGNATURE);
            said.push(PROXY);
            let (family, length) = match ips {
                Ok(_) => (TCP4, LENGTH_4),
                Err(_) => (TCP6, LENGTH_6),
            };
            said.extend_from_slice(&[family, 0, length as u8]); // less than 256
            match ips {
                Ok((source, destination)) => {
                    said.extend_from_slice(&source.octets());
                    said.extend_from_slice(&destination.octets());
                }
                Err((source, destination)) => {
                    said.extend_from_slice(&source.octets());
                    said.extend_from_slice(&destination.octets());
                }
            }
            said.extend_from_slice(&ports.0.to_be_bytes());
            said.extend_from_slice(&ports.1.to_be_bytes());
            said.into()
        }
    }
}

/// Two addresses of one family.
type Ips = Result<(Ipv4Addr, Ipv4Addr), (Ipv6Addr, Ipv6Addr)>;

const fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests;
