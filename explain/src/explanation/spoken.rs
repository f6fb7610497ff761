//! What is spoken to the endpoints of a cluster, in words.

use outrigger_core::snapshot::{Http2Options, UpstreamProtocol};

use super::words;

/// The protocol towards endpoints.
pub(super) fn protocol(protocol: UpstreamProtocol) -> String {
    match protocol {
        UpstreamProtocol::Http1 => "HTTP/1.1".to_owned(),
        UpstreamProtocol::Http2(options) => format!("HTTP/2{}", http2(options)),
        UpstreamProtocol::AsClient => "what the client speaks, here HTTP/1.1".to_owned(),
    }
}

fn http2(options: Http2Options) -> String {
    let mut told = String::new();
    if let Some(most) = options.max_concurrent_streams {
        told += &format!(", at most {most} streams on a connection");
    }
    if let Some(keepalive) = options.keepalive {
        told += &format!(", a ping every {}", words::time(keepalive.interval));
    }
    told
}
