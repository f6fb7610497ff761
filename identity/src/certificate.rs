//! What a certificate says, as far as people and checks ask.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::asn1_rs::{Any, Sequence};
use x509_parser::extensions::{GeneralName, X509Extension};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

/// A certificate, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its URI names, as they stand there.
    pub uri_names: Vec<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its subject (RFC 4514); empty when it has none.
    pub subject: String,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// From when on it is good.
    pub not_before: SystemTime,
    /// Until when.
    pub not_after: SystemTime,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// It is not well formed (RFC 5280), or a name in it is no text.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, read) =
            X509Certificate::from_der(der).map_err(|_| "not a certificate of X.509".to_owned())?;
        if !rest.is_empty() {
            return Err("more than a certificate of X.509".into());
        }
        let names = read
            .subject_alternative_name()
            .map_err(|_| "its alternative names are not well formed".to_owned())?;
        if !names_are_der(&read) {
            return Err("a name in it is not well formed".into());
        }
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let (mut uri_names, mut dns_names) = (Vec::new(), Vec::new());
        for name in names {
            match name {
                GeneralName::URI(uri) => uri_names.push((*uri).to_owned()),
                GeneralName::DNSName(dns) => dns_names.push((*dns).to_owned()),
                GeneralName::Invalid(..) => return Err("a name in it is not well formed".into()),
                GeneralName::OtherName(..)
                | GeneralName::RFC822Name(_)
                | GeneralName::X400Address(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EDIPartyName(_)
                | GeneralName::IPAddress(_)
                | GeneralName::RegisteredID(_) => {}
            }
        }
        let validity = read.validity();
        Ok(Self {
            uri_names,
            dns_names,
            subject: read.subject().to_string(),
            serial: hexadecimal(read.raw_serial()),
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
        })
    }
}

/// Whether alternative names that are text are so in one piece, as DER has it (X.690 §10.2). The parser does not look, and a stricter one might
/// see no name there.
#[must_use]
pub fn names_are_der(certificate: &X509Certificate<'_>) -> bool {
    certificate.iter_extensions().all(is_der)
}

/// As [`names_are_der`], if this extension is that of names.
fn is_der(extension: &X509Extension<'_>) -> bool {
    const TEXTS: [u32; 3] = [1, 2, 6];
    if extension.oid != OID_X509_EXT_SUBJECT_ALT_NAME {
        return true;
    }
    let Ok((_, names)) = Sequence::from_der(extension.value) else {
        return false;
    };
    let mut rest = &*names.content;
    while !rest.is_empty() {
        match Any::from_der(rest) {
            Ok((after, name))
                if !(TEXTS.contains(&name.tag().0) && name.header.is_constructed()) =>
            {
                rest = after;
            }
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

fn hexadecimal(bytes: &[u8]) -> String {
    // A leading zero is the sign of a positive number (X.690 §8.3).
    let digits = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        whole => whole,
    };
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is before 1970 is as over as what was over then.
fn time(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}
