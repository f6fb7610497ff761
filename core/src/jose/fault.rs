//! Why a token is not accepted, in the words that Envoy answers with.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenFault {
    /// `nbf` is more than the tolerated skew ahead.
    NotYetValid,
    /// `exp` is more than the tolerated skew past.
    Expired,
    /// It has not three parts.
    BadFormat,
    /// It is longer than a worker reads, or than [`MAX_TOKEN`](super::MAX_TOKEN).
    TooLong,
    /// Its header is not base64url.
    HeaderBase64,
    /// Its header is not a JSON object, or has a name twice.
    HeaderJson,
    /// `alg` is absent or no text.
    AlgMissing,
    /// `alg` is `none`, or nothing that is implemented.
    AlgUnsupported,
    /// `kid` is no text.
    BadKid,
    /// `crit` asks for something that is not understood (RFC 7515 §4.1.11).
    Critical,
    /// Its payload is not base64url.
    PayloadBase64,
    /// Its payload is not a JSON object, or has a name twice.
    PayloadJson,
    /// `iss` is no text.
    IssNotString,
    /// `sub` is no text.
    SubNotString,
    /// `iat` is no number.
    IatNotInteger,
    /// `iat` is negative or too large.
    IatOutOfRange,
    /// `nbf` is no number.
    NbfNotInteger,
    /// `nbf` is negative or too large.
    NbfOutOfRange,
    /// `exp` is no number.
    ExpNotInteger,
    /// `exp` is negative or too large.
    ExpOutOfRange,
    /// `jti` is no text.
    JtiNotString,
    /// `aud` is neither a text nor a list of texts.
    AudNotString,
    /// Its signature is not base64url.
    SignatureBase64,
    /// Nobody configured its issuer for where it was found.
    UnknownIssuer,
    /// None of its audiences is allowed.
    AudienceNotAllowed,
    /// No key that may have signed it did.
    SignatureWrong,
    /// There is no token where one is required.
    Missing,
    /// Its issuer has no key that can be used.
    NoValidKeys,
    /// No key has its `kid`, or is for its `alg`.
    NoKeyMatches,
    /// The issuer's keys have not been fetched yet.
    KeysNotFetched,
    /// There are more tokens than are looked at.
    TooManyTokens,
}

impl TokenFault {
    /// What Envoy says of it. What Envoy does not tell apart has the words of what it would come to there.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotYetValid => "Jwt not yet valid",
            Self::Expired => "Jwt is expired",
            Self::BadFormat | Self::TooLong => {
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
            }
            Self::HeaderBase64 => "Jwt header is an invalid Base64url encoded",
            Self::HeaderJson => "Jwt header is an invalid JSON",
            Self::AlgMissing => "Jwt header [alg] field is required and must be a string",
            Self::AlgUnsupported => "Jwt header [alg] is not supported",
            Self::BadKid => "Jwt header [kid] field is not a string",
            Self::PayloadBase64 => "Jwt payload is an invalid Base64url encoded",
            Self::PayloadJson => "Jwt payload is an invalid JSON",
            Self::IssNotString => "Jwt payload [iss] field is not a string",
            Self::SubNotString => "Jwt payload [sub] field is not a string",
            Self::IatNotInteger => "Jwt payload [iat] field is not an integer",
            Self::IatOutOfRange => "Jwt payload [iat] field is not a positive 64 bit integer",
            Self::NbfNotInteger => "Jwt payload [nbf] field is not an integer",
            Self::NbfOutOfRange => "Jwt payload [nbf] field is not a positive 64 bit integer",
            Self::ExpNotInteger => "Jwt payload [exp] field is not an integer",
            Self::ExpOutOfRange => "Jwt payload [exp] field is not a positive 64 bit integer",
            Self::JtiNotString => "Jwt payload [jti] field is not a string",
            Self::AudNotString => "Jwt payload [aud] field is not a string or string list",
            Self::SignatureBase64 => "Jwt signature is an invalid Base64url encoded",
            Self::UnknownIssuer => "Jwt issuer is not configured",
            Self::AudienceNotAllowed => "Audiences in Jwt are not allowed",
            Self::SignatureWrong | Self::Critical => "Jwt verification fails",
            Self::NoKeyMatches => "Jwks doesn't have key to match kid or alg from Jwt",
            Self::Missing => "Jwt is missing",
            Self::NoValidKeys => "Jwks doesn't have any valid public key",
            Self::KeysNotFetched => "Jwks remote fetch is failed",
            Self::TooManyTokens => "Found multiple Jwt tokens",
        }
    }

    /// What people are told who ask why, where Envoy's words do not say it.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::TooLong => "the token is longer than 16 KiB",
            Self::Critical => "`crit` names an extension that is not understood",
            Self::TooManyTokens => "more tokens than are looked at in one request",
            Self::KeysNotFetched => "the keys of its issuer have not been fetched yet",
            Self::NotYetValid
            | Self::Expired
            | Self::BadFormat
            | Self::HeaderBase64
            | Self::HeaderJson
            | Self::AlgMissing
            | Self::AlgUnsupported
            | Self::BadKid
            | Self::PayloadBase64
            | Self::PayloadJson
            | Self::IssNotString
            | Self::SubNotString
            | Self::IatNotInteger
            | Self::IatOutOfRange
            | Self::NbfNotInteger
            | Self::NbfOutOfRange
            | Self::ExpNotInteger
            | Self::ExpOutOfRange
            | Self::JtiNotString
            | Self::AudNotString
            | Self::SignatureBase64
            | Self::UnknownIssuer
            | Self::AudienceNotAllowed
            | Self::SignatureWrong
            | Self::Missing
            | Self::NoValidKeys
            | Self::NoKeyMatches => self.as_str(),
        }
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
