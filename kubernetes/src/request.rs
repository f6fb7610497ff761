//! One request to the API, and what went wrong with it in words.

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::client::Body;
use outrigger_xds::channel::chain;
use serde_json::Value;

/// An answer that is longer is not taken, bytes. A page of 500 objects of etcd's largest size would be larger; none is known.
pub(crate) const MAX_ANSWER: usize = 256 << 20;

/// Who writes, as the API notes it.
const MANAGER: &str = "outrigger";

/// An answer, other than a watch, that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) what: What,
    /// For people.
    pub(crate) text: String,
    /// How long the server wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// What was gone by is too old (410): list again.
    Expired,
    /// There is no such thing (404).
    Absent,
    /// Somebody else was faster (409).
    Conflict,
    /// We may not (403).
    Forbidden,
    /// It does not know who we are (401).
    Stranger,
    /// It is not what the API takes (400, 405, 413, 415, 422), and will not be.
    Invalid,
    /// Nothing, but to try again.
    Other,
}

impl Trouble {
    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self {
            what: What::Other,
            text: text.into(),
            retry_after: None,
        }
    }

    /// What a `Status` says, by its code.
    pub(crate) fn of_status(code: u64, status: &Value) -> Self {
        let what = match code {
            404 => What::Absent,
            409 => What::Conflict,
            410 => What::Expired,
            401 => What::Stranger,
            403 => What::Forbidden,
            400 | 405 | 413 | 415 | 422 => What::Invalid,
            _ => What::Other,
        };
        let said = status["message"].as_str().unwrap_or("it says no more");
        let help = if what == What::Forbidden {
            "; the ClusterRole of docs/kubernetes.md allows what is needed"
        } else {
            ""
        };
        let seconds = status["details"]["retryAfterSeconds"].as_u64();
        Self {
            what,
            text: format!("Kubernetes answers {code}: {said}{help}"),
            retry_after: seconds.map(Duration::from_secs),
        }
    }
}

/// Sends a request; answers that refuse are troubles.
pub(crate) async fn send(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<Response<Body>, Trouble> {
    let asked = client.send(request.map(Body::from));
    let asked = tokio::time::timeout(PATIENCE, asked).await;
    let answer = asked.map_err(|_| Trouble::other("Kubernetes does not answer"))?;
    let answer = answer.map_err(|error| {
        Trouble::other(format!("Kubernetes cannot be reached: {}", chain(&error)))
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let retry_after = answer.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let said = collect(answer).await.unwrap_or_default();
    let said: Value = serde_json::from_slice(&said).unwrap_or_default();
    let trouble = Trouble::of_status(u64::from(status.as_u16()), &said);
    Err(Trouble {
        retry_after: retry_after.map(Duration::from_secs).or(trouble.retry_after),
        ..trouble
    })
}

/// Sends a request, and reads the document that comes.
pub(crate) async fn json(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<(StatusCode, Value), Trouble> {
    let answer = send(client, request).await?;
    let status = answer.status();
    let bytes = tokio::time::timeout(PATIENCE, collect(answer)).await;
    let bytes = bytes.map_err(|_| Trouble::other("Kubernetes does not answer to the end"))??;
    let json = serde_json::from_slice(&bytes);
    let json = json
        .map_err(|error| Trouble::other(format!("Kubernetes answers what is no JSON: {error}")))?;
    Ok((status, json))
}

async fn collect(answer: Response<Body>) -> Result<Vec<u8>, Trouble> {
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let cut = |error| Trouble::other(format!("the answer of Kubernetes breaks off: {error}"));
    Ok(body.map_err(cut)?.to_bytes().into())
}

/// A request that asks for something.
pub(crate) fn get(path: &str) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    // Names are those that Kubernetes gives, or were looked at (`outrigger_xds::secrets`); of what is none nothing is asked.
    *request.uri_mut() = path
        .parse()
        .unwrap_or_else(|_| Uri::from_static("/no-such-path"));
    request
}

/// A request that makes something.
pub(crate) fn post(path: &str, json: &Value) -> Request<Vec<u8>> {
    with(Method::POST, path, "application/json", json)
}

/// A request that makes something another, whole.
pub(crate) fn put(path: &str, json: &Value) -> Request<Vec<u8>> {
    with(Method::PUT, path, "application/json", json)
}

/// A request that makes something another in part (RFC 7396).
pub(crate) fn merge(path: &str, json: &Value) -> Request<Vec<u8>> {
    with(Method::PATCH, path, "application/merge-patch+json", json)
}

/// A request with a document.
fn with(method: Method, path: &str, kind: &'static str, json: &Value) -> Request<Vec<u8>> {
    let mut request = get(&format!("{path}?fieldManager={MANAGER}"));
    *request.method_mut() = method;
    *request.body_mut() = json.to_string().into_bytes();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    request
}
