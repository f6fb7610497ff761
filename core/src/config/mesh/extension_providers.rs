//! `extensionProviders` and `defaultProviders`: where what is told of traffic may go, by name.
//!
//! Owns the list with Istio's own entries in it, and the providers whose fields are read. A provider of another kind is
//! known by its name and told as not used.

use std::sync::Arc;

use super::authorizers::{self, Authorizer};
use super::trace_providers::{self, TraceProvider};
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::log_format;
use crate::config::report::Report;
use crate::snapshot::telemetry::LogFormat;

/// One entry of `extensionProviders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionProvider {
    /// What Telemetry resources call it; in any case of letters, as Istio does.
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
}

/// What a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// `envoyFileAccessLog`: a file or a standard stream for access logs.
    FileAccessLog(FileAccessLog),
    /// `prometheus`: metrics that are scraped.
    Prometheus,
    /// `zipkin` or `opentelemetry`: spans.
    Traces(Box<TraceProvider>),
    /// `envoyExtAuthzHttp` or `envoyExtAuthzGrpc`: it says whether requests may pass.
    Authorizer(Box<Authorizer>),
    /// One that this proxy does not use: the field that says what it is.
    Other(&'static str),
}

/// Where an access log goes and how its lines look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAccessLog {
    /// A file, or `/dev/stdout` or `/dev/stderr`.
    pub path: String,
    /// How lines look.
    pub format: Arc<LogFormat>,
}

/// `defaultProviders`: who is told where no Telemetry resource says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultProviders {
    /// For `tracing`, of which only the first is used.
    pub tracing: Vec<String>,
    /// For `metrics`.
    pub metrics: Vec<String>,
    /// For `accessLogging`.
    pub access_logging: Vec<String>,
}

impl Default for DefaultProviders {
    /// As an installation of Istio has them.
    fn default() -> Self {
        Self {
            tracing: Vec::new(),
            metrics: vec!["prometheus".into()],
            access_logging: Vec::new(),
        }
    }
}

/// Kinds that are not used, by the field that says which it is.
const OTHERS: &[&str] = &[
    "datadog",
    "envoyHttpAls",
    "envoyOtelAls",
    "envoyTcpAls",
    "lightstep",
    "opencensus",
    "sds",
    "skywalking",
    "stackdriver",
];

/// The entries that every mesh has; one of the same name replaces it.
pub(super) fn built_in() -> Vec<ExtensionProvider> {
    let provider = |name: &str, kind| ExtensionProvider {
        name: name.into(),
        kind,
    };
    vec![
        provider("prometheus", ProviderKind::Prometheus),
        provider("stackdriver", ProviderKind::Other("stackdriver")),
        provider(
            "envoy",
            ProviderKind::FileAccessLog(FileAccessLog {
                path: "/dev/stdout".into(),
                format: Arc::new(log_format::istio_text()),
            }),
        ),
    ]
}

/// Reads `extensionProviders`: Istio's own, and those that are written.
pub(super) fn decode(o: &mut Object<'_, '_>) -> Vec<ExtensionProvider> {
    let mut all = built_in();
    let written = o.messages("extensionProviders", provider);
    for (at, written) in written.into_iter().enumerate() {
        let Some(written) = written else { continue };
        let path = format!("extensionProviders[{at}].name");
        if at > 0
            && all[built_in().len()..]
                .iter()
                .any(|p| p.name == written.name)
        {
            let message = format!("another provider is called `{}`", written.name);
            o.report().raise_in(&path, Code::InvalidName, message, "");
            continue;
        }
        match all.iter_mut().find(|known| known.name == written.name) {
            Some(known) => *known = written,
            None => all.push(written),
        }
    }
    all
}

fn provider(o: &mut Object<'_, '_>) -> Option<ExtensionProvider> {
    let name = o.string("name");
    if name.is_empty() {
        let message = "a provider needs a name";
        o.report()
            .raise_in("name", Code::RequiredField, message, "");
    }
    let file = o.message("envoyFileAccessLog", file_access_log);
    let prometheus = o.message("prometheus", |_| ());
    let zipkin = o.message("zipkin", trace_providers::zipkin);
    let opentelemetry = o.message("opentelemetry", trace_providers::opentelemetry);
    let http = o.message("envoyExtAuthzHttp", authorizers::http);
    let grpc = o.message("envoyExtAuthzGrpc", authorizers::grpc);
    let other = OTHERS.iter().find(|kind| o.take(kind).is_some()).copied();
    if let Some(kind) = other {
        let message = format!("providers of kind `{kind}` are not used by this proxy");
        o.report().raise_in(kind, Code::NotInEffect, message, "");
    }
    let kinds: Vec<&'static str> = [
        "envoyExtAuthzGrpc",
        "envoyExtAuthzHttp",
        "envoyFileAccessLog",
        "opentelemetry",
        "prometheus",
        "zipkin",
    ]
    .into_iter()
    .chain(OTHERS.iter().copied())
    .collect();
    o.one_of(&kinds);
    let kind = file
        .map(ProviderKind::FileAccessLog)
        .or_else(|| prometheus.map(|()| ProviderKind::Prometheus))
        .or_else(|| {
            let traces = zipkin.or(opentelemetry);
            traces.map(|traces| ProviderKind::Traces(Box::new(traces)))
        })
        .or_else(|| {
            let asked = http.or(grpc);
            asked.map(|asked| ProviderKind::Authorizer(Box::new(asked)))
        })
        .or_else(|| other.map(ProviderKind::Other));
    if kind.is_none() {
        let message = "a provider needs a field that says what it is, such as `envoyFileAccessLog`";
        o.report().raise(Code::RequiredField, message, "");
    }
    Some(ExtensionProvider { name, kind: kind? })
}

fn file_access_log(o: &mut Object<'_, '_>) -> FileAccessLog {
    let path = o.string("path");
    if path.is_empty() {
        let message = "an access log needs a `path`, such as `/dev/stdout`";
        o.report()
            .raise_in("path", Code::RequiredField, message, "");
    }
    let format = o.message("logFormat", log_format).flatten();
    let omits_empty = o.boolean("omitEmptyValues");
    let mut format = format.unwrap_or_else(log_format::istio_text);
    format.set_omits_empty(omits_empty);
    FileAccessLog {
        path,
        format: Arc::new(format),
    }
}

fn log_format(o: &mut Object<'_, '_>) -> Option<LogFormat> {
    let text = o.optional_string("text");
    let text = text.map(|text| {
        o.report()
            .field("text", |report| log_format::read_text(&text, report))
    });
    let labels = o.read("labels", |report, node| log_format::read_json(node, report));
    o.one_of(&["text", "labels"]);
    text.or(labels)
}

/// Reads `defaultProviders`.
pub(super) fn decode_defaults(o: &mut Object<'_, '_>) -> DefaultProviders {
    let default = DefaultProviders::default();
    let is_written = |o: &Object<'_, '_>, field| o.node().field(field).is_some();
    let metrics = if is_written(o, "metrics") {
        o.strings("metrics")
    } else {
        default.metrics
    };
    DefaultProviders {
        tracing: o.strings("tracing"),
        metrics,
        access_logging: o.strings("accessLogging"),
    }
}

/// Tells names of `defaultProviders` that no provider has.
pub(super) fn tell_unknown_defaults(
    defaults: &DefaultProviders,
    known: &[ExtensionProvider],
    report: &mut Report,
) {
    for (section, names) in [
        ("tracing", &defaults.tracing),
        ("metrics", &defaults.metrics),
        ("accessLogging", &defaults.access_logging),
    ] {
        report.field("defaultProviders", |report| {
            report.each(section, names, |report, name| {
                if !known.iter().any(|p| p.name.eq_ignore_ascii_case(name)) {
                    let message = format!("no extension provider is called `{name}`");
                    report.raise(Code::UnknownProvider, message, "");
                }
            });
        });
    }
}
