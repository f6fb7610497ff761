//! One token as it is written (RFC 7519, in the compact form of RFC 7515 §3.1): its parts, and what it says of itself.
//!
//! A token that was read proves nothing yet.

use core::ops::Range;

use super::algorithm::Algorithm;
use super::base64url;
use super::claim::{self, Claim, Claims};
use super::fault::TokenFault;

/// A longer token is never read, in bytes, whatever a worker is set to: no more than a client's head has by default.
pub const MAX_TOKEN: usize = 60 * 1024;

/// What a token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// How it says it is signed.
    pub algorithm: Algorithm,
    /// Which key, if it says so and the text is not empty.
    pub kid: Option<Box<str>>,
    /// Who made it; empty when it does not say.
    pub issuer: Box<str>,
    /// Whom it is about; empty when it does not say.
    pub subject: Box<str>,
    /// Whom it is for.
    pub audiences: Box<[Box<str>]>,
    /// Not before, in seconds since 1970; 0 when it does not say.
    pub not_before: u64,
    /// Until when, in seconds since 1970; 0 is for ever.
    pub expires: u64,
    /// Everything it claims.
    pub claims: Claims,
    /// Where in its text the payload stands.
    pub payload: Range<usize>,
    /// What is signed is its text up to here.
    pub signed: usize,
    /// The signature.
    pub signature: Box<[u8]>,
}

impl Token {
    /// Reads a token, in Envoy's order of complaints.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(text: &[u8]) -> Result<Self, TokenFault> {
        if text.len() > MAX_TOKEN {
            return Err(TokenFault::TooLong);
        }
        let (header, payload, signature) = parts(text).ok_or(TokenFault::BadFormat)?;
        let header_json = base64url::decode(&text[header]).ok_or(TokenFault::HeaderBase64)?;
        let header = claim::read_object(&header_json).ok_or(TokenFault::HeaderJson)?;
        let (algorithm, kid) = read_header(&header)?;
        let json = base64url::decode(&text[payload.clone()]).ok_or(TokenFault::PayloadBase64)?;
        let claims = claim::read_object(&json).ok_or(TokenFault::PayloadJson)?;
        let issuer = string(&claims, "iss", TokenFault::IssNotString)?;
        let subject = string(&claims, "sub", TokenFault::SubNotString)?;
        let (not, out) = (TokenFault::IatNotInteger, TokenFault::IatOutOfRange);
        seconds(&claims, "iat", not, out)?;
        let (not, out) = (TokenFault::NbfNotInteger, TokenFault::NbfOutOfRange);
        let not_before = seconds(&claims, "nbf", not, out)?;
        let (not, out) = (TokenFault::ExpNotInteger, TokenFault::ExpOutOfRange);
        let expires = seconds(&claims, "exp", not, out)?;
        string(&claims, "jti", TokenFault::JtiNotString)?;
        let audiences = audiences(&claims)?;
        let signed = payload.end;
        let signature = base64url::decode(&text[signature]).ok_or(TokenFault::SignatureBase64)?;
        Ok(Self {
            algorithm,
            kid,
            issuer,
            subject,
            audiences,
            not_before,
            expires,
            claims,
            payload,
            signed,
            signature: signature.into(),
        })
    }

    /// Whether it holds at a time, give or take `skew`, all in seconds since 1970.
    ///
    /// # Errors
    /// It does not yet, or not any more.
    pub const fn check_time(&self, now: u64, skew: u64) -> Result<(), TokenFault> {
        if now.saturating_add(skew) < self.not_before {
            Err(TokenFault::NotYetValid)
        } else if self.expires != 0 && now > self.expires.saturating_add(skew) {
            Err(TokenFault::Expired)
        } else {
            Ok(())
        }
    }

    /// Who it speaks for in Istio's words, `ISSUER/SUBJECT`; `None` when it does not say both.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        let names_both = !self.issuer.is_empty() && !self.subject.is_empty();
        names_both.then(|| format!("{}/{}", self.issuer, self.subject))
    }
}

/// Where header, payload and signature stand; none may be empty.
fn parts(text: &[u8]) -> Option<(Range<usize>, Range<usize>, Range<usize>)> {
    let mut dots = memchr::memchr_iter(b'.', text);
    let (first, second) = (dots.next()?, dots.next()?);
    let is_third = dots.next().is_some();
    let all = (0..first, first + 1..second, second + 1..text.len());
    let is_empty = all.0.is_empty() || all.1.is_empty() || all.2.is_empty();
    (!is_third && !is_empty).then_some(all)
}

fn read_header(header: &Claims) -> Result<(Algorithm, Option<Box<str>>), TokenFault> {
    let named = header.get("alg").and_then(Claim::text);
    let named = named.ok_or(TokenFault::AlgMissing)?;
    let algorithm = Algorithm::of(named).ok_or(TokenFault::AlgUnsupported)?;
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.text().ok_or(TokenFault::BadKid)?),
    };
    // Nothing that may be critical is understood, and an empty list is not allowed.
    if header.contains_key("crit") {
        return Err(TokenFault::Critical);
    }
    let kid = kid.filter(|kid| !kid.is_empty());
    Ok((algorithm, kid.map(Box::from)))
}

fn string(claims: &Claims, name: &str, fault: TokenFault) -> Result<Box<str>, TokenFault> {
    match claims.get(name) {
        None => Ok(Box::default()),
        Some(claim) => claim.text().map(Box::from).ok_or(fault),
    }
}

/// A NumericDate, of which only whole seconds count.
fn seconds(
    claims: &Claims,
    name: &str,
    not_a_number: TokenFault,
    out_of_range: TokenFault,
) -> Result<u64, TokenFault> {
    /// 2^64, the first number too large.
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    match claims.get(name) {
        None => Ok(0),
        Some(Claim::Number(number)) if (0.0..BEYOND).contains(number) => Ok(*number as u64),
        Some(Claim::Number(_)) => Err(out_of_range),
        Some(Claim::Null | Claim::Bool(_) | Claim::Text(_) | Claim::List(_) | Claim::Object(_)) => {
            Err(not_a_number)
        }
    }
}

fn audiences(claims: &Claims) -> Result<Box<[Box<str>]>, TokenFault> {
    let Some(claim) = claims.get("aud") else {
        return Ok(Box::default());
    };
    let is_list_of_texts = match claim {
        Claim::Text(_) => true,
        Claim::List(list) => list.iter().all(|one| one.text().is_some()),
        Claim::Null | Claim::Bool(_) | Claim::Number(_) | Claim::Object(_) => false,
    };
    match is_list_of_texts {
        true => Ok(claim.texts().map(Box::from).collect()),
        false => Err(TokenFault::AudNotString),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{payload}.AA")
    }

    fn fault(header: &str, payload: &str) -> Option<TokenFault> {
        Token::read(token(header, payload).as_bytes()).err()
    }

    #[test]
    fn faults_of_parts_are_told_apart() {
        const HS: &str = r#"{"alg":"HS256"}"#;
        for (header, payload, want) in [
            (HS, "{}", None),
            (r#"{"alg":"HS256","kid":"","typ":"JWT"}"#, "{}", None),
            ("{", "{}", Some(TokenFault::HeaderJson)),
            ("{}", "{}", Some(TokenFault::AlgMissing)),
            (r#"{"alg":1}"#, "{}", Some(TokenFault::AlgMissing)),
            (r#"{"alg":"none"}"#, "{}", Some(TokenFault::AlgUnsupported)),
            (r#"{"alg":"hs256"}"#, "{}", Some(TokenFault::AlgUnsupported)),
            (r#"{"alg":"HS256","kid":1}"#, "{}", Some(TokenFault::BadKid)),
            (
                r#"{"alg":"HS256","crit":[]}"#,
                "{}",
                Some(TokenFault::Critical),
            ),
            (
                r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
                "{}",
                Some(TokenFault::Critical),
            ),
            (
                r#"{"alg":"HS256","alg":"HS256"}"#,
                "{}",
                Some(TokenFault::HeaderJson),
            ),
            (HS, "[]", Some(TokenFault::PayloadJson)),
            (HS, r#"{"iss":1}"#, Some(TokenFault::IssNotString)),
            (HS, r#"{"sub":null}"#, Some(TokenFault::SubNotString)),
            (HS, r#"{"iat":"1"}"#, Some(TokenFault::IatNotInteger)),
            (HS, r#"{"iat":-1}"#, Some(TokenFault::IatOutOfRange)),
            (HS, r#"{"nbf":true}"#, Some(TokenFault::NbfNotInteger)),
            (HS, r#"{"nbf":1e20}"#, Some(TokenFault::NbfOutOfRange)),
            (HS, r#"{"exp":[]}"#, Some(TokenFault::ExpNotInteger)),
            (HS, r#"{"exp":-0.5}"#, Some(TokenFault::ExpOutOfRange)),
            (HS, r#"{"jti":{}}"#, Some(TokenFault::JtiNotString)),
            (HS, r#"{"aud":["a",1]}"#, Some(TokenFault::AudNotString)),
            (HS, r#"{"aud":1}"#, Some(TokenFault::AudNotString)),
        ] {
            assert_eq!(fault(header, payload), want, "{header} {payload}");
        }
        let long = token(HS, &format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_TOKEN)));
        for (text, want) in [
            ("", TokenFault::BadFormat),
            ("a.b", TokenFault::BadFormat),
            ("a..b", TokenFault::BadFormat),
            ("a.b.c.d", TokenFault::BadFormat),
            (".b.c", TokenFault::BadFormat),
            ("a.b.", TokenFault::BadFormat),
            ("!.e30.AA", TokenFault::HeaderBase64),
            ("eyJhbGciOiJIUzI1NiJ9.!.AA", TokenFault::PayloadBase64),
            ("eyJhbGciOiJIUzI1NiJ9.e30.A=", TokenFault::SignatureBase64),
            (&long, TokenFault::TooLong),
        ] {
            assert_eq!(Token::read(text.as_bytes()).err(), Some(want), "{text:.40}");
        }
    }

    #[test]
    fn what_a_token_says_of_itself() {
        let payload = r#"{"iss":"https://a.test","sub":"jo","aud":["x","y"],"nbf":10.9,"exp":20,"n":{"a":1}}"#;
        let text = token(r#"{"alg":"ES256","kid":"k"}"#, payload);
        let token = Token::read(text.as_bytes()).unwrap();
        assert_eq!(token.algorithm, Algorithm::Es256);
        assert_eq!(token.kid.as_deref(), Some("k"));
        assert_eq!(token.principal().as_deref(), Some("https://a.test/jo"));
        assert_eq!(*token.audiences, ["x".into(), "y".into()]);
        assert_eq!((token.not_before, token.expires), (10, 20));
        let payload_text = URL_SAFE_NO_PAD.encode(payload);
        assert_eq!(&text[token.payload.clone()], payload_text);
        assert_eq!(&text[token.signed..], ".AA");
    }

    #[test]
    fn times_are_kept_to_the_second_and_with_the_skew() {
        let token = |payload: &str| {
            let text = token(r#"{"alg":"HS256"}"#, payload);
            Token::read(text.as_bytes()).unwrap()
        };
        let bounded = token(r#"{"nbf":1000,"exp":2000}"#);
        for (now, want) in [
            (0, Err(TokenFault::NotYetValid)),
            (939, Err(TokenFault::NotYetValid)),
            (940, Ok(())),
            (2060, Ok(())),
            (2061, Err(TokenFault::Expired)),
            (u64::MAX, Err(TokenFault::Expired)),
        ] {
            assert_eq!(bounded.check_time(now, 60), want, "{now}");
        }
        assert_eq!(token("{}").check_time(u64::MAX, 60), Ok(()));
        assert_eq!(
            token(r#"{"exp":18446744073709549000}"#).check_time(1 << 63, 60),
            Ok(())
        );
    }
}
