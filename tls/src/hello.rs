//! The first bytes of a client: whether they are TLS, and its ClientHello, within bounds.
//!
//! Owns what may be sent before it was answered: records of handshakes with something in them, up to the end of the hello, and
//! nothing behind it. Reading them from a stream is the handshake's.

use bytes::{Buf as _, BytesMut};
use outrigger_core::peer::TlsFault;
use rustls::Error;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};

use crate::fault;

/// How long a ClientHello may be by default, in bytes with the heads of its records; Envoy's inspector of TLS stops there too.
pub const LONGEST_HELLO: usize = 16 * 1024;

/// The type of records that handshakes are in (RFC 8446 §5.1). No head of HTTP begins so.
const HANDSHAKE: u8 = 22;

/// The first byte of the version in every record.
const MAJOR: u8 = 3;

/// The head of a record: its type, a version, and how long it is (RFC 8446 §5.1).
const HEAD: usize = 5;

/// The type of the first message of a handshake (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;

/// What the first bytes of a client look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// There is one byte, which could be of either.
    Undecided,
    Tls,
    ClearText,
}

impl Looks {
    pub(crate) fn of(first: &[u8]) -> Self {
        match first {
            [] | [HANDSHAKE] => Self::Undecided,
            [HANDSHAKE, MAJOR, ..] => Self::Tls,
            _ => Self::ClearText,
        }
    }
}

/// Why nothing is agreed on, and what the client is told of it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) fault: TlsFault,
    pub(crate) last_words: Vec<u8>,
}

impl From<TlsFault> for Refused {
    fn from(fault: TlsFault) -> Self {
        Self {
            fault,
            last_words: Vec::new(),
        }
    }
}

impl Refused {
    /// By the library.
    pub(crate) fn by(error: &Error, mut alert: AcceptedAlert) -> Self {
        let mut last_words = Vec::new();
        // Writing into memory does not fail.
        let _ = alert.write_all(&mut last_words);
        Self {
            fault: fault::of(error),
            last_words,
        }
    }
}

/// A ClientHello that comes in any number of pieces.
pub(crate) struct Hello {
    /// Bytes that it may have.
    most: usize,
    acceptor: Acceptor,
    /// Bytes of whole records so far.
    taken: usize,
}

impl Hello {
    /// One that may have so many bytes.
    pub(crate) fn of(most: usize) -> Self {
        Self {
            most,
            acceptor: Acceptor::default(),
            taken: 0,
        }
    }

    /// Takes the records that are whole off the front of what has come; `None` wants more.
    ///
    /// # Errors
    /// It is none, too long, or followed by something.
    pub(crate) fn take(&mut self, came: &mut BytesMut) -> Result<Option<Accepted>, Refused> {
        while let Some(length) = self.record(came)? {
            let mut record = &came[..length];
            while !record.is_empty() {
                let taken = self.acceptor.read_tls(&mut record);
                if taken.is_err() || taken.is_ok_and(|taken| taken == 0) {
                    return Err(TlsFault::NotTls.into());
                }
            }
            came.advance(length);
            self.taken += length;
            match self.acceptor.accept() {
                Ok(Some(accepted)) if came.is_empty() => return Ok(Some(accepted)),
                // Nothing may follow it before it was answered (early data is off).
                Ok(Some(_)) => return Err(TlsFault::NotTls.into()),
                Ok(None) => {}
                Err((error, alert)) => return Err(Refused::by(&error, alert)),
            }
        }
        Ok(None)
    }

    /// The length of the record that is in front, once it is whole. What can be no part of a hello is not waited for.
    fn record(&self, came: &[u8]) -> Result<Option<usize>, TlsFault> {
        let [kind, major, _, high, low, rest @ ..] = came else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let is_first = self.taken == 0;
        let is_other = is_first && rest.first().is_some_and(|kind| *kind != CLIENT_HELLO);
        // A record of a handshake has something in it (RFC 8446 §5.1).
        if *kind != HANDSHAKE || *major != MAJOR || length == 0 || is_other {
            return Err(TlsFault::NotTls);
        }
        if self.taken + HEAD + length > self.most {
            return Err(TlsFault::HelloTooLong);
        }
        Ok(Some(HEAD + length).filter(|length| came.len() >= *length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_bytes_tell() {
        for (first, want) in [
            (&b""[..], Looks::Undecided),
            (b"\x16", Looks::Undecided),
            (b"\x16\x03", Looks::Tls),
            (b"\x16\x03\x01\x02", Looks::Tls),
            (b"\x16\x02", Looks::ClearText),
            (b"G", Looks::ClearText),
            (b"PRI * HTTP/2.0", Looks::ClearText),
            (b"\x80\x2e\x01", Looks::ClearText),
        ] {
            assert_eq!(Looks::of(first), want, "{first:?}");
        }
    }

    #[test]
    fn a_hello_has_so_many_bytes_and_no_more() {
        // The head of a record with a ClientHello of so many bytes.
        let begins = |length: u16| {
            let [high, low] = length.to_be_bytes();
            BytesMut::from(&[HANDSHAKE, MAJOR, 1, high, low, CLIENT_HELLO][..])
        };
        for (most, length, fits) in [
            (LONGEST_HELLO, 16 * 1024 - 5, true),
            (LONGEST_HELLO, 16 * 1024 - 4, false),
            (64, 59, true),
            (64, 60, false),
        ] {
            let taken = Hello::of(most).take(&mut begins(length));
            match taken {
                Ok(None) => assert!(fits, "{most} {length}"),
                Err(refused) => {
                    assert_eq!(refused.fault, TlsFault::HelloTooLong, "{most} {length}");
                    assert!(!fits, "{most} {length}");
                }
                Ok(Some(_)) => panic!("{most} {length}: it has just begun"),
            }
        }
    }
}
