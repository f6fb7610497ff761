//! Version 1: one line of text.

use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use super::{Addresses, Header, Ips, Malformed};

/// The longest line, with its end (`proxy-protocol.txt` §2.1).
const MOST_LINE: usize = 107;

const BEGINNING: &[u8] = b"PROXY ";

pub(super) fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let begun = &bytes[..bytes.len().min(BEGINNING.len())];
    if !BEGINNING.starts_with(begun) {
        return Err(Malformed::NotProxy);
    }
    let seen = &bytes[..bytes.len().min(MOST_LINE)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() < MOST_LINE {
            true => Ok(None),
            false => Err(Malformed::TooLong),
        };
    };
    let line = seen[BEGINNING.len()..end].strip_suffix(b"\r");
    let line = line.and_then(|line| str::from_utf8(line).ok());
    Ok(Some(Header {
        length: end + 1,
        addresses: addresses(line.ok_or(Malformed::Line)?)?,
    }))
}

/// What stands behind the first word.
fn addresses(line: &str) -> Result<Option<Addresses>, Malformed> {
    // Whatever stands behind that one is not looked at.
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or(Malformed::Line);
    let (family, source, destination) = (word()?, word()?, word()?);
    let (from, to) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(Malformed::Line);
    }
    let (source, destination) = match family {
        "TCP4" => (ip::<Ipv4Addr>(source)?, ip::<Ipv4Addr>(destination)?),
        "TCP6" => (ip::<Ipv6Addr>(source)?, ip::<Ipv6Addr>(destination)?),
        _ => return Err(Malformed::Line),
    };
    Ok(Some(Addresses {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    }))
}

fn ip<T: FromStr + Into<IpAddr>>(word: &str) -> Result<IpAddr, Malformed> {
    word.parse::<T>()
        .map(Into::into)
        .map_err(|_| Malformed::Line)
}

/// Digits without a sign and without zeros before them.
fn port(word: &str) -> Result<u16, Malformed> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_plain && (word == "0" || !word.starts_with('0'));
    let port = word.parse().ok().filter(|_| is_plain);
    port.ok_or(Malformed::Line)
}

pub(super) fn write(ips: Ips, ports: (u16, u16)) -> Box<[u8]> {
    let line = |family: &str, source: &dyn Display, destination: &dyn Display| {
        let (from, to) = ports;
        format!("PROXY {family} {source} {destination} {from} {to}\r\n")
    };
    let line = match ips {
        Ok((source, destination)) => line("TCP4", &source, &destination),
        Err((source, destination)) => line("TCP6", &source, &destination),
    };
    line.into_bytes().into()
}
