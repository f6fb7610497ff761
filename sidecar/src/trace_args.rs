//! Options of `run` that say which requests are traced and where their spans go. `docs/tracing.md` says what they mean beside
//! Telemetry resources and the mesh configuration.

use std::num::NonZeroU64;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use outrigger_core::compile::{CollectorFlag, TraceFlags};
use outrigger_core::snapshot::CollectorProtocol;

/// Where OTLP is posted unless the URL says.
const OTLP_PATH: &str = "/v1/traces";

/// Where Zipkin's spans are posted.
const ZIPKIN_PATH: &str = "/api/v2/spans";

/// The usual ports of OTLP over HTTP and of Zipkin.
const OTLP_HTTP_PORT: u16 = 4318;
const ZIPKIN_PORT: u16 = 9411;

/// Spans, and who takes them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Traces")]
pub(crate) struct TraceArgs {
    /// Where spans go, such as http://127.0.0.1:4317; nothing is traced unless this, a Telemetry resource or the mesh
    /// configuration names a collector. A resource goes before this, and this before the mesh configuration
    #[arg(long, value_name = "URL", env = "OUTRIGGER_TRACE_COLLECTOR")]
    trace_collector: Option<CollectorUrl>,

    /// What the collector speaks [default: by the URL: zipkin at port 9411 or a path /api/v2/spans, otlp-http at port 4318 or
    /// any other path, else otlp-grpc]
    #[arg(
        long,
        value_enum,
        value_name = "PROTOCOL",
        env = "OUTRIGGER_TRACE_PROTOCOL",
        requires = "trace_collector"
    )]
    trace_protocol: Option<TraceProtocol>,

    /// The share of requests that are traced where nobody before has decided, in steps of 0.01 [default: what the mesh
    /// configuration says, else 1]
    #[arg(long, value_name = "PERCENT", env = "OUTRIGGER_TRACE_SAMPLING", value_parser = parse_percent)]
    trace_sampling: Option<u16>,

    /// Spans that may wait for collectors that are slow or away; more are dropped and counted
    #[arg(
        long,
        value_name = "N",
        env = "OUTRIGGER_TRACE_QUEUE",
        default_value = "4096"
    )]
    pub(crate) trace_queue: NonZeroU64,
}

/// What a collector speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TraceProtocol {
    /// OpenTelemetry over gRPC
    OtlpGrpc,
    /// OpenTelemetry as protobuf over HTTP/1.1
    OtlpHttp,
    /// Zipkin's JSON, version 2
    Zipkin,
}

/// A URL of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CollectorUrl {
    text: String,
    is_https: bool,
    host: String,
    port: Option<u16>,
    path: String,
}

impl FromStr for CollectorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: http::Uri = text
            .parse()
            .map_err(|_| format!("`{text}` is no URL such as http://127.0.0.1:4317"))?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => {
                let why = format!("`{text}` begins with neither `http://` nor `https://`");
                return Err(why);
            }
        };
        let host = uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if uri.query().is_some() || host.is_empty() {
            return Err(format!("`{text}` has a query, or no host"));
        }
        Ok(Self {
            text: text.to_owned(),
            is_https,
            host: bare.unwrap_or(host).to_owned(),
            port: uri.port_u16(),
            path: match uri.path() {
                "/" => String::new(),
                path => path.to_owned(),
            },
        })
    }
}

impl TraceArgs {
    /// What `compile` needs to know.
    pub(crate) fn flags(&self) -> TraceFlags {
        TraceFlags {
            collector: self.trace_collector.as_ref().map(|url| self.collector(url)),
            sampled_of_10000: self.trace_sampling,
        }
    }

    fn collector(&self, url: &CollectorUrl) -> CollectorFlag {
        let CollectorUrl {
            text,
            is_https,
            host,
            port,
            path,
        } = url;
        let protocol = self.trace_protocol.unwrap_or(match (path.as_str(), port) {
            (ZIPKIN_PATH, _) | ("", Some(ZIPKIN_PORT)) => TraceProtocol::Zipkin,
            ("", Some(OTLP_HTTP_PORT)) => TraceProtocol::OtlpHttp,
            ("", _) => TraceProtocol::OtlpGrpc,
            _ => TraceProtocol::OtlpHttp,
        });
        let or = |usual: &str| match path.as_str() {
            "" => usual.into(),
            path => path.into(),
        };
        let (protocol, usual_port) = match protocol {
            TraceProtocol::OtlpGrpc => (CollectorProtocol::OtlpGrpc, 4317),
            TraceProtocol::OtlpHttp => (
                CollectorProtocol::OtlpHttp {
                    path: or(OTLP_PATH),
                },
                OTLP_HTTP_PORT,
            ),
            TraceProtocol::Zipkin => (
                CollectorProtocol::Zipkin {
                    path: or(ZIPKIN_PATH),
                },
                ZIPKIN_PORT,
            ),
        };
        CollectorFlag {
            url: text.clone(),
            host: host.clone(),
            port: port.unwrap_or(usual_port),
            is_https: *is_https,
            protocol,
        }
    }
}

/// Hundredths of a percent.
fn parse_percent(text: &str) -> Result<u16, String> {
    let percent = text.trim_end_matches('%').parse::<f64>().ok();
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent
        .map(|percent| (percent * 100.0).round() as u16)
        .ok_or_else(|| format!("`{text}` is not a percentage between 0 and 100"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Whole {
        #[command(flatten)]
        trace: TraceArgs,
    }

    fn args(args: &[&str]) -> Result<TraceArgs, String> {
        let words = ["run"].iter().chain(args);
        let whole = Whole::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(whole.trace)
    }

    #[test]
    fn nothing_is_asked_for_unless_it_is_written() {
        let args = args(&[]).unwrap();
        assert_eq!(args.flags(), TraceFlags::default());
        assert_eq!(args.trace_queue.get(), 4096);
    }

    #[test]
    fn a_url_says_what_is_spoken_unless_somebody_does() {
        let http = |path: &str| CollectorProtocol::OtlpHttp { path: path.into() };
        let zipkin = |path: &str| CollectorProtocol::Zipkin { path: path.into() };
        for (url, protocol, want, port) in [
            ("http://c:4317", None, CollectorProtocol::OtlpGrpc, 4317),
            ("http://c", None, CollectorProtocol::OtlpGrpc, 4317),
            ("http://c:4318/", None, http(OTLP_PATH), 4318),
            ("http://c:80/mine", None, http("/mine"), 80),
            ("http://c/v1/traces", None, http(OTLP_PATH), 4318),
            ("http://c:9411", None, zipkin(ZIPKIN_PATH), 9411),
            ("http://c:80/api/v2/spans", None, zipkin(ZIPKIN_PATH), 80),
            ("http://c:80", Some("zipkin"), zipkin(ZIPKIN_PATH), 80),
            (
                "http://c:4318",
                Some("otlp-grpc"),
                CollectorProtocol::OtlpGrpc,
                4318,
            ),
            ("http://c:1/x", Some("zipkin"), zipkin("/x"), 1),
        ] {
            let mut words = vec!["--trace-collector", url];
            words.extend(protocol.iter().flat_map(|p| ["--trace-protocol", p]));
            let collector = args(&words).unwrap().flags().collector.unwrap();
            assert_eq!(
                (&collector.protocol, collector.port),
                (&want, port),
                "{url}"
            );
            assert_eq!((&*collector.url, &*collector.host), (url, "c"));
        }
        for (url, want) in [("http://c:4317", false), ("https://c:4317", true)] {
            let flags = args(&["--trace-collector", url]).unwrap().flags();
            assert_eq!(flags.collector.unwrap().is_https, want, "{url}");
        }
        let six = args(&["--trace-collector", "http://[::1]:4317"]).unwrap();
        assert_eq!(six.flags().collector.unwrap().host, "::1");
    }

    #[test]
    fn shares_are_percentages() {
        for (text, want) in [("0", 0), ("1", 100), ("12.34", 1234), ("100%", 10_000)] {
            let sampled = args(&["--trace-sampling", text]).unwrap().flags();
            assert_eq!(sampled.sampled_of_10000, Some(want), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            &["--trace-collector", "c:4317"][..],
            &["--trace-collector", "grpc://c:4317"],
            &["--trace-collector", "http://c:4318/v1/traces?a=b"],
            &["--trace-collector", "http://"],
            &["--trace-protocol", "zipkin"],
            &[
                "--trace-collector",
                "http://c",
                "--trace-protocol",
                "jaeger",
            ],
            &["--trace-sampling", "101"],
            &["--trace-sampling", "-1"],
            &["--trace-sampling", "some"],
            &["--trace-queue", "0"],
        ] {
            assert!(args(words).is_err(), "{words:?}");
        }
    }
}
