//! Whoever comes by: asks for what a visit asks for, in the protocol that it speaks, and says in words what came back.

use std::net::SocketAddr;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;

use super::calls::Calls;
use super::client::Client;
use super::grpc;
use super::seen::seen;
use super::steps::{Speaks, Through, Visit};

/// The visitors: those of HTTP/1.1 have connections of their own, those of gRPC share one.
pub(super) struct Visitors {
    http1: Client,
    tester: Client,
    stranger: Client,
    grpc: Calls,
}

impl Visitors {
    /// Visitors of the sidecars at these addresses; nothing is connected yet.
    pub(super) fn new(sidecar: impl Fn(Through) -> SocketAddr) -> Self {
        Self {
            http1: Client::new(sidecar(Through::Visitor)),
            tester: Client::new(sidecar(Through::Tester)),
            stranger: Client::new(sidecar(Through::Stranger)),
            grpc: Calls::new(sidecar(Through::Visitor)),
        }
    }

    /// Asks once, and says what was seen of the answer.
    pub(super) async fn ask(&self, visit: &Visit) -> String {
        let answered = match visit.speaks {
            Speaks::Http1 => {
                let client = match visit.through {
                    Through::Visitor => &self.http1,
                    Through::Tester => &self.tester,
                    Through::Stranger => &self.stranger,
                };
                let answer = client.send(request(visit)).await;
                answer.map(|answer| seen(visit.look, &answer))
            }
            Speaks::Grpc => {
                let answer = self.grpc.call(call(visit)).await;
                answer.map(|answer| answer.in_short())
            }
        };
        answered.unwrap_or_else(|error| format!("no answer: {error}"))
    }

    /// The connection that calls share.
    pub(super) const fn calls(&self) -> &Calls {
        &self.grpc
    }
}

/// The request of a visit.
fn request(visit: &Visit) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = Method::from_bytes(visit.method.as_bytes()).unwrap_or_default();
    *request.uri_mut() = visit.path.parse().unwrap_or_default();
    let host = (HOST.as_str(), visit.host);
    for (name, value) in visit.headers.iter().copied().chain([host]) {
        let name = HeaderName::from_static(name);
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    request
}

/// The call of a visit.
fn call(visit: &Visit) -> Request<Full<Bytes>> {
    let mut call = grpc::call(visit.host, visit.path);
    for (name, value) in visit.headers {
        let name = HeaderName::from_static(name);
        call.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    call
}
