//! Values of options that several commands take.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use outrigger_core::compile::Inbound;
use outrigger_core::config::value::parse_duration;
use outrigger_core::peer::SpiffeId;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, in colour on a terminal
    Text,
    /// One JSON document
    Json,
}

/// Which runtime moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// epoll, any Unix
    Tokio,
    /// io_uring, Linux 6.1 or later
    Glommio,
    /// glommio where it can be used, else tokio
    Auto,
}

/// The event log's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A time, a level and a sentence
    #[default]
    Text,
    /// The same as a JSON object, with the numbers in it
    Json,
}

/// `k=v` of `--label`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelArg {
    /// The label's key, never empty.
    pub(crate) key: String,
    /// Its value, possibly empty.
    pub(crate) value: String,
}

impl FromStr for LabelArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.into(),
                value: value.into(),
            }),
            _ => Err("expected KEY=VALUE, such as version=v2".into()),
        }
    }
}

/// A time with its unit.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|_| format!("`{text}` is not a duration such as `90s` or `5m`"))
}

/// A time that ends: what has no end here is no limit.
pub(crate) fn parse_some_time(text: &str) -> Result<Duration, String> {
    let time = parse_time(text)?;
    if time.is_zero() {
        return Err("it must be longer than nothing".into());
    }
    Ok(time)
}

/// Bytes, or so many KiB, MiB or GiB.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let size = digits.parse::<u64>().ok().zip(unit);
    size.and_then(|(number, unit)| number.checked_mul(unit))
        .ok_or_else(|| format!("`{text}` is not a size such as `64MiB`, `512KiB` or `2GiB`"))
}

/// A random number of a request.
pub(crate) fn parse_random(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("`{text}` is not a number such as 7 or 0x9e3779b97f4a7c15"))
}

/// `ADDR=APP_ADDR` of `--inbound`, or `ADDR` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboundArg {
    /// Where we listen.
    pub(crate) listen: SocketAddr,
    /// Where the application listens; `None` where a connection was to go.
    pub(crate) application: Option<SocketAddr>,
}

impl InboundArg {
    /// As the compiler takes it.
    pub(crate) fn listener(self) -> Inbound {
        let Self {
            listen,
            application,
        } = self;
        Inbound {
            listen,
            application: application.unwrap_or_else(|| (listen.ip(), 0).into()),
        }
    }
}

impl FromStr for InboundArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (listen, application) = match text.split_once('=') {
            Some((listen, application)) => (listen, Some(parse_application(application)?)),
            None => (text, None),
        };
        Ok(Self {
            listen: parse_addr(listen)?,
            application,
        })
    }
}

fn parse_application(text: &str) -> Result<SocketAddr, String> {
    let addr = parse_addr(text)?;
    match addr.port() {
        0 => Err(format!("`{text}` has no port")),
        _ => Ok(addr),
    }
}

/// An address with its port.
///
/// # Errors
/// It is none.
pub(crate) fn parse_addr(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not an IP address and port, such as 127.0.0.1:8080"))
}

/// Who somebody is in a mesh.
///
/// # Errors
/// It is no SPIFFE ID of a workload.
pub(crate) fn parse_spiffe_id(text: &str) -> Result<String, String> {
    match SpiffeId::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!(
            "`{text}` is no identity of a workload: spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, want) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("17B", Some(17)),
            ("3KiB", Some(3 << 10)),
            ("2GiB", Some(2 << 30)),
            ("2GB", None),
            ("MiB", None),
            ("-1", None),
            ("99999999999GiB", None),
            ("é", None),
        ] {
            assert_eq!(parse_size(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        for (text, want) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("0xff", Some(255)),
            ("0x", None),
            ("ff", None),
            ("-1", None),
        ] {
            assert_eq!(parse_random(text).ok(), want, "{text}");
        }
    }
}
