//! What went wrong in a handshake, in core's words.

use std::fmt;
use std::sync::Arc;

use outrigger_core::peer::TlsFault;
use rustls::{AlertDescription, CertificateError, Error, OtherError};

/// Why a certificate is not accepted that is well formed and signed; carried through the library.
#[derive(Debug)]
enum Rejected {
    For(String),
    /// It is of somebody else.
    WrongName,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::For(why) => why,
            Self::WrongName => "it says none of the names that are wanted",
        })
    }
}

impl std::error::Error for Rejected {}

/// A certificate is not accepted for this reason.
pub(crate) fn rejected(why: impl Into<String>) -> Error {
    carried(Rejected::For(why.into()))
}

/// A certificate says none of the names that are wanted.
pub(crate) fn wrong_name() -> Error {
    carried(Rejected::WrongName)
}

fn carried(why: Rejected) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

/// What an error of the library means.
pub(crate) fn of(error: &Error) -> TlsFault {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => {
            let said = why.to_string().into();
            match why.downcast_ref() {
                Some(Rejected::WrongName) => TlsFault::WrongName(said),
                Some(Rejected::For(_)) | None => TlsFault::Untrusted(said),
            }
        }
        Error::InvalidCertificate(why) => TlsFault::Untrusted(said(why)),
        Error::NoCertificatesPresented => TlsFault::NoCertificate,
        // The peer speaks of a certificate that it lacks, not of one that we lack.
        Error::AlertReceived(alert) => TlsFault::Refused(alert_name(*alert)),
        Error::PeerIncompatible(why) => TlsFault::NothingInCommon(format!("{why:?}").into()),
        Error::NoApplicationProtocol => TlsFault::NothingInCommon("no application protocol".into()),
        _ => TlsFault::NotTls,
    }
}

/// An alert by its name in RFC 8446 §6.
#[must_use]
pub fn alert_name(alert: AlertDescription) -> Box<str> {
    let name = format!("{alert:?}");
    let mut text = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase()
            && at > 0
            && !text.ends_with(|c: char| c.is_ascii_uppercase())
        {
            text.push('_');
        }
        text.push(letter);
    }
    text.to_ascii_lowercase().into()
}

fn said(why: &CertificateError) -> Box<str> {
    why.to_string().into()
}

/// The connection beneath ended.
pub(crate) fn ended() -> TlsFault {
    TlsFault::Refused("the connection ended".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_named_as_in_the_specification() {
        for (alert, want) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (
                AlertDescription::CertificateRequired,
                "certificate_required",
            ),
        ] {
            assert_eq!(&*alert_name(alert), want);
        }
    }
}
