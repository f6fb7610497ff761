//! One fetch of one set of keys, within bounds: of time, of length, of where it may lead.

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use outrigger_core::jose::KeySet;
use outrigger_core::snapshot::{JwksAddress, JwksPlace};
use tokio::time::timeout;

use super::failure::Failure;
use super::transport::Trusted;

/// No set of keys is longer, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Where an issuer describes itself (OpenID Connect Discovery 1.0 §4).
const DESCRIPTION: &str = "/.well-known/openid-configuration";

/// Fetches a set, and sees that it is one.
pub(super) async fn fetch(at: &JwksAddress, trusted: &Trusted) -> Result<Box<str>, Failure> {
    let fetched = timeout(at.timeout, fetch_at_leisure(&at.place, trusted)).await;
    fetched.unwrap_or(Err(Failure::TooLate))
}

async fn fetch_at_leisure(place: &JwksPlace, trusted: &Trusted) -> Result<Box<str>, Failure> {
    let text = match place {
        JwksPlace::Uri(uri) => get(uri, trusted).await?,
        JwksPlace::Issuer(issuer) => {
            let address = format!("{}{DESCRIPTION}", issuer.trim_end_matches('/'));
            let description = get(&address, trusted).await?;
            let uri = keys_address(&description, issuer)?;
            get(&uri, trusted).await?
        }
    };
    match KeySet::read(text.as_bytes()) {
        Ok(_) => Ok(text),
        Err(fault) => Err(Failure::NoKeys(fault.as_str())),
    }
}

/// Where the keys are, as an issuer describes itself. It must be the one that was asked (§4.3), and must not lead from https to
/// an address that anybody may answer for.
fn keys_address(description: &str, issuer: &str) -> Result<String, Failure> {
    let description: serde_json::Value = serde_json::from_str(description)
        .map_err(|_| Failure::Discovery("what the issuer says of itself is no JSON"))?;
    let text = |name: &str| description.get(name).and_then(serde_json::Value::as_str);
    if text("issuer").is_some_and(|named| named != issuer) {
        let why = "who answers for the issuer says that he is another one";
        return Err(Failure::Discovery(why));
    }
    let uri = text("jwks_uri").ok_or(Failure::Discovery("the issuer names no `jwks_uri`"))?;
    if issuer.starts_with("https://") && !uri.starts_with("https://") {
        let why = "`jwks_uri` of an issuer with https is an address without";
        return Err(Failure::Discovery(why));
    }
    Ok(uri.to_owned())
}

async fn get(address: &str, trusted: &Trusted) -> Result<Box<str>, Failure> {
    let uri: Uri = address
        .parse()
        .map_err(|_| Failure::Address("its address is none"))?;
    let with_tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => return Err(Failure::Address("its address is not of http or https")),
    };
    let authority = uri.authority().filter(|authority| {
        // `user:password@` is sent to nobody.
        !authority.as_str().contains('@')
    });
    let authority = authority.ok_or(Failure::Address("its address names no host"))?;
    let port = authority
        .port_u16()
        .unwrap_or(if with_tls { 443 } else { 80 });
    let stream = trusted.connect(authority.host(), port, with_tls).await?;
    let failed = |error: hyper::Error| Failure::Connection(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // It ends with the sender.
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Failure::Address("its address can not be asked for"))?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(Failure::Status(answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    connection.abort();
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Failure::TooLong,
        false => Failure::Connection(error.to_string()),
    })?;
    let text = String::from_utf8(body.to_bytes().into());
    text.map(String::into_boxed_str)
        .map_err(|_| Failure::NoKeys("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_believed_about_itself_alone() {
        let of = |description: &str, issuer: &str| {
            keys_address(description, issuer).map_err(|why| why.to_string())
        };
        let https = "https://a.test/";
        for (description, issuer, want) in [
            (
                r#"{"jwks_uri":"https://k.test/x"}"#,
                https,
                Ok("https://k.test/x"),
            ),
            (
                r#"{"issuer":"https://a.test/","jwks_uri":"https://k"}"#,
                https,
                Ok("https://k"),
            ),
            (
                r#"{"issuer":"https://b.test","jwks_uri":"https://k"}"#,
                https,
                Err("another one"),
            ),
            (r#"{"jwks_uri":"http://k.test/x"}"#, https, Err("without")),
            (
                r#"{"jwks_uri":"http://k.test/x"}"#,
                "http://a",
                Ok("http://k.test/x"),
            ),
            (r#"{"jwks_uri":1}"#, https, Err("no `jwks_uri`")),
            ("<html>", https, Err("no JSON")),
        ] {
            match (of(description, issuer), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
                (got, want) => panic!("{description}: {got:?} instead of {want:?}"),
            }
        }
    }
}
