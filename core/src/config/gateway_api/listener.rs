//! Gateways of the API: listeners, and who may bind to them.

use super::namespaces::{self, AllowedNamespaces};
use super::not_in_effect;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::meta::Meta;
use crate::config::names;
use crate::config::server_tls::ServerTlsMode;

/// Istio's option that says who must show a certificate.
const TERMINATE_MODE: &str = "gateway.istio.io/tls-terminate-mode";

/// A Gateway.
#[derive(Debug)]
pub(super) struct ApiGateway {
    pub(super) meta: Meta,
    pub(super) class: String,
    pub(super) listeners: Vec<Listener>,
}

/// One listener.
#[derive(Debug)]
pub(super) struct Listener {
    /// Its position in the Gateway.
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) port: u32,
    pub(super) protocol: ListenerProtocol,
    /// In lower case; `*` where it is for any.
    pub(super) hostname: String,
    pub(super) tls: Option<ListenerTls>,
    pub(super) namespaces: AllowedNamespaces,
    /// The kinds that may; any that fit the protocol where none is named.
    pub(super) kinds: Vec<String>,
}

/// What is spoken to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListenerProtocol {
    Http,
    Https,
    Tls,
    Tcp,
}

impl ListenerProtocol {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
        }
    }

    const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }
}

/// TLS of a listener.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListenerTls {
    Passthrough,
    /// How, and the secrets of the certificates that are shown.
    Terminate(ServerTlsMode, Vec<Certificate>),
}

/// Where a certificate is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Reads the `spec`. Listeners that could only be opened wider than they are written are left out.
pub(super) fn read(spec: &mut Object<'_, '_>, meta: &Meta) -> ApiGateway {
    let class = spec.string("gatewayClassName");
    for name in ["addresses", "infrastructure", "allowedListeners"] {
        not_in_effect(spec, name, &format!("`{name}` is not in effect here"));
    }
    let mut frontend = false;
    spec.message("tls", |tls| {
        not_in_effect(tls, "backend", "`backend` is not in effect: no certificate is shown to backends");
        let message = "certificates of clients are not checked by the API's words: HTTPS listeners are left out";
        frontend = not_in_effect(tls, "frontend", message);
    });
    let mut at = 0;
    let listeners = spec.messages("listeners", |node| {
        at += 1;
        listener(node, meta, at - 1)
    });
    let is_kept = |listener: &Listener| !(frontend && listener.protocol == ListenerProtocol::Https);
    ApiGateway {
        meta: Meta::default(),
        class,
        listeners: listeners.into_iter().flatten().filter(is_kept).collect(),
    }
}

fn listener(node: &mut Object<'_, '_>, meta: &Meta, at: usize) -> Option<Listener> {
    let name = node.string("name");
    let port = node.integer("port");
    let protocol = protocol(node);
    let hostname = hostname(node);
    let is_tls = protocol.is_some_and(ListenerProtocol::is_tls);
    let tls = node.message("tls", |tls| read_tls(tls, meta));
    let (mut namespaces, mut kinds) = (AllowedNamespaces::Same, Vec::new());
    node.message("allowedRoutes", |allowed| {
        namespaces = (allowed.message("namespaces", namespaces::read)).unwrap_or_default();
        kinds = allowed.messages("kinds", |kind| {
            kind.take("group");
            kind.string("kind")
        });
    });
    if !(1..=65_535).contains(&port) {
        let message = format!("{port} is no port");
        node.report()
            .raise_in("port", Code::InvalidPort, message, "use one of 1 to 65535");
    }
    if is_tls && tls.is_none() {
        let message = "the listener needs `tls`: it is left out";
        let help = "name a secret in `certificateRefs`, or say `mode: Passthrough`";
        node.report()
            .raise_in("tls", Code::GatewayTlsRefused, message, help);
    }
    Some(Listener {
        at,
        name,
        port,
        protocol: protocol?,
        hostname,
        // What was told of TLS leaves the listener out.
        tls: match is_tls {
            true => Some(tls??),
            false => None,
        },
        namespaces,
        kinds,
    })
}

fn protocol(node: &mut Object<'_, '_>) -> Option<ListenerProtocol> {
    let protocol = node.string("protocol");
    Some(match &*protocol {
        "HTTP" => ListenerProtocol::Http,
        "HTTPS" => ListenerProtocol::Https,
        "TLS" => ListenerProtocol::Tls,
        "TCP" => ListenerProtocol::Tcp,
        _ => {
            let message = format!("`{protocol}` is not in effect: the listener is left out");
            let help = "use HTTP, HTTPS, TLS or TCP";
            let report = node.report();
            report.raise_in("protocol", Code::NotInEffect, message, help);
            return None;
        }
    })
}

fn hostname(node: &mut Object<'_, '_>) -> String {
    let hostname = node.string("hostname");
    if hostname.is_empty() {
        return "*".to_owned();
    }
    if let Err(complaint) = names::check_host(&hostname) {
        let message = format!("`{hostname}` {complaint}");
        node.report()
            .raise_in("hostname", Code::InvalidHost, message, "");
    }
    names::normalize(&hostname).into_owned()
}

/// `None` where less would be asked of clients than is written, or there is nothing to show.
fn read_tls(tls: &mut Object<'_, '_>, meta: &Meta) -> Option<ListenerTls> {
    let modes = [("Terminate", 0, false), ("Passthrough", 1, true)];
    let passes = tls.symbol("mode", &modes).unwrap_or(false);
    let certificates = tls.messages("certificateRefs", |certificate| {
        certificate.take("group");
        let kind = certificate.optional_string("kind");
        let (namespace, name) = (certificate.string("namespace"), certificate.string("name"));
        if kind.as_deref().is_some_and(|kind| kind != "Secret") {
            let message = "only Secrets hold certificates: the listener is left out";
            let report = certificate.report();
            report.raise_in("kind", Code::NotInEffect, message, "");
            return None;
        }
        Some(Certificate {
            namespace: match namespace.is_empty() {
                true => meta.namespace.clone(),
                false => namespace,
            },
            name,
        })
    });
    let message =
        "certificates of clients are not checked by `frontendValidation`: the listener is left out";
    let mut is_refused = not_in_effect(tls, "frontendValidation", message);
    let mode = terminate_mode(tls, &mut is_refused);
    let certificates: Option<Vec<Certificate>> = certificates.into_iter().collect();
    if is_refused {
        return None;
    }
    if passes {
        return Some(ListenerTls::Passthrough);
    }
    let certificates = certificates?;
    if certificates.is_empty() && mode != ServerTlsMode::IstioMutual {
        let message = "there is no certificate to show: the listener is left out";
        let report = tls.report();
        report.raise_in(
            "certificateRefs",
            Code::GatewayTlsRefused,
            message,
            "name a Secret",
        );
        return None;
    }
    Some(ListenerTls::Terminate(mode, certificates))
}

fn terminate_mode(tls: &mut Object<'_, '_>, is_refused: &mut bool) -> ServerTlsMode {
    let mut mode = ServerTlsMode::Simple;
    for (name, value) in tls.string_map("options") {
        match (name.as_str(), value.as_str()) {
            (TERMINATE_MODE, "SIMPLE") => {}
            (TERMINATE_MODE, "MUTUAL") => mode = ServerTlsMode::Mutual,
            (TERMINATE_MODE, "ISTIO_MUTUAL") => mode = ServerTlsMode::IstioMutual,
            _ => {
                *is_refused = true;
                let message =
                    format!("option `{name}: {value}` is not understood: the listener is left out");
                let help = format!("`{TERMINATE_MODE}` is one of SIMPLE, MUTUAL and ISTIO_MUTUAL");
                tls.report()
                    .raise_in("options", Code::NotInEffect, message, help);
            }
        }
    }
    mode
}
