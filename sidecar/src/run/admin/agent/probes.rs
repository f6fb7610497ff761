//! Probes of the application, which the kubelet asks us and we ask the application (`/app-health/CONTAINER/livez`).
//!
//! Owns how they are written (`ISTIO_KUBE_APP_PROBERS`, by the path that is asked) and what an answer means. Injection writes them;
//! what connects is in `application`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, TE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde::Deserialize;
use tokio::time::timeout;

use super::application::Application;
use super::redirects::{Leads, MOST_REQUESTS, Target, leads};

/// The variable that has them.
pub(in crate::run) const VARIABLE: &str = "ISTIO_KUBE_APP_PROBERS";

/// How long an application may take where the probe does not say: the kubelet's own default.
const PATIENCE: Duration = Duration::from_secs(1);

/// An answer of the gRPC health protocol is no longer, in bytes.
const LONGEST_ANSWER: usize = 4096;

/// `SERVING` of `grpc.health.v1`.
const SERVING: i32 = 1;

/// All of them, by path.
#[derive(Debug, Default)]
pub(in crate::run) struct Probes(BTreeMap<String, Probe>);

#[derive(Debug)]
struct Probe {
    asks: Asks,
    patience: Duration,
}

#[derive(Debug)]
enum Asks {
    Http {
        port: u16,
        path: String,
        is_tls: bool,
        /// Those that the probe says, `host` among them.
        headers: HeaderMap,
    },
    Tcp {
        port: u16,
    },
    Grpc {
        port: u16,
        service: String,
    },
}

/// What an application answers to a probe.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// Where it sends who asks, if that is another host: the kubelet takes the status for well then, and warns.
    pub(super) away: Option<String>,
}

impl Answered {
    const WELL: Self = Self {
        status: StatusCode::OK,
        away: None,
    };
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    http_get: Option<HttpGet>,
    tcp_socket: Option<TcpSocket>,
    grpc: Option<Grpc>,
    timeout_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpGet {
    #[serde(default)]
    path: String,
    port: Port,
    scheme: Option<String>,
    http_headers: Option<Vec<Field>>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct TcpSocket {
    port: Port,
}

#[derive(Deserialize)]
struct Grpc {
    port: Port,
    service: Option<String>,
}

/// Kubernetes lets a port be a number or text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

impl Port {
    fn number(self) -> Result<u16, String> {
        let number = match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text
                .parse()
                .map_err(|_| format!("`{text}` is no number of a port")),
        };
        match number? {
            0 => Err("0 is no port".into()),
            number => Ok(number),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl Probes {
    /// Reads them as injection writes them.
    ///
    /// # Errors
    /// Which is none, and why.
    pub(in crate::run) fn read(text: &str) -> Result<Self, String> {
        let written: BTreeMap<String, Written> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let probes = written.into_iter().map(|(path, written)| {
            let probe = probe(written).map_err(|why| format!("`{path}`: {why}"))?;
            Ok((path, probe))
        });
        probes.collect::<Result<_, String>>().map(Self)
    }

    /// Asks the application what a path stands for: its answer, or why there is none. `None`: the path stands for nothing.
    pub(super) async fn ask(
        &self,
        path: &str,
        application: &Application,
        asked: &HeaderMap,
    ) -> Option<Result<Answered, String>> {
        let probe = self.0.get(path)?;
        let answered = timeout(probe.patience, probe.asks.ask(application, asked)).await;
        Some(answered.unwrap_or_else(|_| {
            let seconds = probe.patience.as_secs_f64();
            Err(format!("no answer within {seconds} s"))
        }))
    }
}

fn probe(written: Written) -> Result<Probe, String> {
    let patience = match written.timeout_seconds {
        None | Some(0) => PATIENCE,
        Some(seconds) => Duration::from_secs(seconds),
    };
    let asks = match (written.http_get, written.tcp_socket, written.grpc) {
        (Some(get), None, None) => http_probe(get)?,
        (None, Some(tcp), None) => Asks::Tcp {
            port: tcp.port.number()?,
        },
        (None, None, Some(grpc)) => Asks::Grpc {
            port: grpc.port.number()?,
            service: grpc.service.unwrap_or_default(),
        },
        _ => return Err("expected one of httpGet, tcpSocket and grpc".into()),
    };
    Ok(Probe { asks, patience })
}

fn http_probe(get: HttpGet) -> Result<Asks, String> {
    let is_tls = match get.scheme.as_deref() {
        None | Some("" | "HTTP" | "http") => false,
        Some("HTTPS" | "https") => true,
        Some(scheme) => return Err(format!("`{scheme}` is no scheme of a probe")),
    };
    let mut headers = HeaderMap::new();
    for Field { name, value } in get.http_headers.into_iter().flatten() {
        let parsed = HeaderName::try_from(&*name).ok();
        let parsed = parsed.zip(HeaderValue::try_from(&*value).ok());
        let (name, value) = parsed.ok_or_else(|| format!("`{name}: {value}` is no header"))?;
        headers.append(name, value);
    }
    let slash = if get.path.starts_with('/') { "" } else { "/" };
    let path = format!("{slash}{}", get.path);
    if http::uri::PathAndQuery::try_from(&*path).is_err() {
        return Err(format!("`{path}` is no path"));
    }
    Ok(Asks::Http {
        port: get.port.number()?,
        path,
        is_tls,
        headers,
    })
}

impl Asks {
    async fn ask(&self, application: &Application, asked: &HeaderMap) -> Result<Answered, String> {
        match self {
            Self::Tcp { port } => application.connect(*port).await.map(|_| Answered::WELL),
            Self::Grpc { port, service } => {
                let status = ask_health(application, *port, service).await?;
                if status == SERVING {
                    return Ok(Answered::WELL);
                }
                Err(format!(
                    "the service says {status} of grpc.health.v1, which is not SERVING"
                ))
            }
            Self::Http {
                port,
                path,
                is_tls,
                headers,
            } => {
                let first = Target {
                    is_tls: *is_tls,
                    port: *port,
                    path: path.clone(),
                    authority: None,
                };
                ask_http(application, first, headers, asked).await
            }
        }
    }
}

/// Asks for a target, and for what redirects of the same host lead to.
async fn ask_http(
    application: &Application,
    first: Target,
    said: &HeaderMap,
    asked: &HeaderMap,
) -> Result<Answered, String> {
    let host = application.host();
    let mut target = first;
    for _ in 0..MOST_REQUESTS {
        let (status, fields) = get(application, &target, fields(said, asked)).await?;
        let away = match leads(status, &fields, &target, &host)? {
            Leads::To(next) => {
                target = next;
                continue;
            }
            Leads::Away(location) => Some(location),
            Leads::Nowhere => None,
        };
        return Ok(Answered { status, away });
    }
    Err(format!("stopped after {MOST_REQUESTS} redirects"))
}

/// The head of the answer to one request.
async fn get(
    application: &Application,
    target: &Target,
    mut fields: HeaderMap,
) -> Result<(StatusCode, HeaderMap), String> {
    let stream = match target.is_tls {
        true => application.connect_tls(target.port).await?,
        false => Box::new(application.connect(target.port).await?),
    };
    // A redirect that names the host goes before what the probe calls it.
    if target.authority.is_some() || !fields.contains_key(HOST) {
        let named = target.authority.clone();
        let named = named.unwrap_or_else(|| application.authority(target.port));
        fields.insert(HOST, HeaderValue::try_from(named).map_err(told)?);
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(&*target.path).body(Empty::<Bytes>::new());
    let mut request = request.map_err(told)?;
    *request.headers_mut() = fields;
    let answer = sender.send_request(request).await;
    // What it says beside its head is nobody's business.
    connection.abort();
    let (head, _) = answer.map_err(told)?.into_parts();
    Ok((head.status, head.headers))
}

/// What the probe says, with the kubelet's name for itself where it says none.
fn fields(said: &HeaderMap, asked: &HeaderMap) -> HeaderMap {
    let mut fields = said.clone();
    if let (false, Some(agent)) = (fields.contains_key(USER_AGENT), asked.get(USER_AGENT)) {
        fields.insert(USER_AGENT, agent.clone());
    }
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    fields
}

/// Asks by grpc.health.v1, in clear text as the kubelet does.
async fn ask_health(application: &Application, port: u16, service: &str) -> Result<i32, String> {
    let stream = TokioIo::new(application.connect(port).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .map_err(told)?;
    let connection = tokio::spawn(connection);
    let message = HealthCheckRequest {
        service: service.into(),
    };
    let request = Request::post(format!(
        "http://{}/grpc.health.v1.Health/Check",
        application.authority(port)
    ))
    .header(CONTENT_TYPE, "application/grpc")
    .header(TE, "trailers")
    .body(Full::new(framed(&message)))
    .map_err(told)?;
    let answer = sender.send_request(request).await.map_err(told)?;
    let status = |fields: &HeaderMap| {
        let status = fields.get("grpc-status")?.to_str().ok()?;
        (status != "0").then(|| format!("status {status} of gRPC"))
    };
    if let Some(why) = status(answer.headers()) {
        return Err(why);
    }
    if answer.status() != StatusCode::OK {
        return Err(format!("status {} of HTTP", answer.status()));
    }
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER)
        .collect()
        .await;
    connection.abort();
    let body = body.map_err(|error| error.to_string())?;
    if let Some(why) = body.trailers().and_then(status) {
        return Err(why);
    }
    unframed(&body.to_bytes())
}

/// A message of gRPC: not compressed, its length, itself.
fn framed(message: &HealthCheckRequest) -> Bytes {
    let text = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(5 + text.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(text.len()).expect("the name of a service is not that long"));
    frame.put_slice(&text);
    frame.freeze()
}

fn unframed(body: &[u8]) -> Result<i32, String> {
    let message = match body {
        [0, length @ ..] => length.get(4..),
        _ => None,
    };
    let message = message.ok_or("the answer is no message of gRPC")?;
    HealthCheckResponse::decode(message)
        .map(|answer| answer.status)
        .map_err(|error| format!("the answer is none of grpc.health.v1: {error}"))
}

fn told(error: impl std::error::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_read_as_injection_writes_them() {
        let text = r#"{"/app-health/a/livez": {"httpGet": {"path": "up", "port": 8080, "scheme": "HTTPS",
            "httpHeaders": [{"name": "host", "value": "a.example"}]}, "timeoutSeconds": 3},
            "/app-health/a/readyz": {"tcpSocket": {"port": "3306"}},
            "/app-health/a/startupz": {"grpc": {"port": 9000, "service": null}}}"#;
        let Probes(probes) = Probes::read(text).unwrap();
        let Probe { asks, patience } = &probes["/app-health/a/livez"];
        assert_eq!(*patience, Duration::from_secs(3));
        let Asks::Http {
            port: 8080,
            path,
            is_tls: true,
            headers,
        } = asks
        else {
            panic!("{asks:?}");
        };
        assert_eq!(
            (&**path, &headers[HOST]),
            ("/up", &"a.example".parse::<HeaderValue>().unwrap())
        );
        let fields = fields(headers, &HeaderMap::new());
        assert_eq!(fields[HOST], "a.example");
        assert!(matches!(
            probes["/app-health/a/readyz"].asks,
            Asks::Tcp { port: 3306 }
        ));
        assert!(matches!(
            probes["/app-health/a/startupz"].asks,
            Asks::Grpc { port: 9000, .. }
        ));
        assert_eq!(probes["/app-health/a/startupz"].patience, PATIENCE);
    }

    #[test]
    fn what_is_no_probe_is_named() {
        for (text, want) in [
            ("[]", "expected a map"),
            (r#"{"/a": {}}"#, "`/a`: expected one of httpGet"),
            (
                r#"{"/a": {"tcpSocket": {"port": 1}, "grpc": {"port": 1}}}"#,
                "`/a`: expected one of",
            ),
            (r#"{"/a": {"tcpSocket": {"port": 0}}}"#, "0 is no port"),
            (
                r#"{"/a": {"tcpSocket": {"port": "web"}}}"#,
                "`web` is no number",
            ),
            (
                r#"{"/a": {"httpGet": {"port": 1, "scheme": "FTP"}}}"#,
                "`FTP` is no scheme",
            ),
            (
                r#"{"/a": {"httpGet": {"port": 1, "path": "a b"}}}"#,
                "`/a b` is no path",
            ),
            (
                r#"{"/a": {"httpGet": {"port": 1, "httpHeaders": [{"name": ":"}]}}}"#,
                "`:: ` is no header",
            ),
        ] {
            let why = Probes::read(text).unwrap_err();
            assert!(why.contains(want), "{text}: {why}");
        }
    }

    #[test]
    fn answers_of_health_are_read() {
        for (body, want) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Ok(SERVING)),
            (&[0, 0, 0, 0, 2, 8, 2], Ok(2)),
            (&[0, 0, 0, 0, 0], Ok(0)),
            (&[], Err("no message of gRPC")),
            (&[1, 0, 0, 0, 0], Err("no message of gRPC")),
            (&[0, 0, 0, 0, 1, 8], Err("none of grpc.health.v1")),
        ] {
            match (unframed(body), want) {
                (got, Ok(want)) => assert_eq!(got, Ok(want)),
                (got, Err(want)) => assert!(got.unwrap_err().contains(want), "{body:?}"),
            }
        }
    }
}
