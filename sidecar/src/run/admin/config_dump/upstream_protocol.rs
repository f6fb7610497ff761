//! What is spoken to the endpoints of a cluster, by Envoy's names.

use outrigger_core::snapshot::UpstreamProtocol;
use serde_json::{Value, json};

use super::duration;

pub(super) fn protocol(protocol: UpstreamProtocol) -> Value {
    match protocol {
        UpstreamProtocol::Http1 => json!({ "http1": {} }),
        UpstreamProtocol::AsClient => json!({ "use_downstream_protocol": {} }),
        UpstreamProtocol::Http2(options) => json!({ "http2": {
            "max_concurrent_streams": options.max_concurrent_streams,
            "connection_keepalive": options.keepalive.map(|pings| json!({
                "interval": duration(pings.interval),
                "timeout": duration(pings.timeout),
            })),
        }}),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outrigger_core::snapshot::{Http2KeepAlive, Http2Options};

    use super::*;

    #[test]
    fn settings_are_shown() {
        let options = Http2Options {
            max_concurrent_streams: Some(7),
            keepalive: Some(Http2KeepAlive {
                interval: Duration::from_secs(30),
                timeout: Duration::from_millis(500),
            }),
        };
        for (shown, want) in [
            (UpstreamProtocol::Http1, r#"{"http1":{}}"#),
            (
                UpstreamProtocol::AsClient,
                r#"{"use_downstream_protocol":{}}"#,
            ),
            (
                UpstreamProtocol::Http2(Http2Options::default()),
                r#"{"http2":{"connection_keepalive":null,"max_concurrent_streams":null}}"#,
            ),
            (
                UpstreamProtocol::Http2(options),
                r#"{"http2":{"connection_keepalive":{"interval":"30s","timeout":"0.5s"},"max_concurrent_streams":7}}"#,
            ),
        ] {
            assert_eq!(protocol(shown).to_string(), want);
        }
    }
}
