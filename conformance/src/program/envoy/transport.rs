//! What lies beneath HTTP: from what is spoken with clients and endpoints to Envoy's transport sockets, as Istio makes them.
//!
//! Files that rules name are those that they name; the identity of the workload is a folder beside the configuration.

use outrigger_core::peer::TlsVersion;
use outrigger_core::snapshot::{
    ClientTls, Cluster, Endpoint, KeyName, MutualTls, PeerNames, RootsName, ServerTls, Sni, Spoken,
    TlsParameters, Trust, UpstreamProtocol,
};
use serde_json::{Value, json};

use super::Derived;
use super::words::extension;

const SOCKET: &str = "envoy.transport_sockets.tls";

/// The protocols by which clients of the mesh are told from others (Istio's inbound filter chains).
const OF_THE_MESH: [&str; 5] = [
    "istio",
    "istio-peer-exchange",
    "istio-http/1.0",
    "istio-http/1.1",
    "istio-h2",
];

/// The metadata by which an endpoint is told that is spoken to in TLS.
const MATCH: &str = "envoy.transport_socket_match";

/// The filter chains of an inbound listener with these filters, and what must look at a connection before one is chosen.
pub(super) fn inbound(
    tls: Option<&ServerTls>,
    filters: &Value,
    folder: &str,
) -> Derived<(Vec<Value>, Vec<Value>)> {
    let clear = json!({ "filters": filters });
    let Some(tls) = tls.filter(|tls| tls.mode != MutualTls::Disable) else {
        return Ok((vec![clear], Vec::new()));
    };
    let mut protected = json!({
        "filters": filters,
        "filter_chain_match": { "transport_protocol": "tls" },
        "transport_socket": downstream(tls, folder)?,
    });
    let mut chains = Vec::new();
    if tls.mode == MutualTls::Permissive {
        protected["filter_chain_match"]["application_protocols"] = json!(OF_THE_MESH);
        let mut clear = clear;
        clear["filter_chain_match"] = json!({ "transport_protocol": "raw_buffer" });
        chains.push(clear);
    }
    chains.push(protected);
    let inspector = extension(
        "envoy.filters.listener.tls_inspector",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        json!({}),
    );
    Ok((chains, vec![inspector]))
}

fn downstream(tls: &ServerTls, folder: &str) -> Derived<Value> {
    let mut common = json!({
        "tls_certificates": [certificate(&KeyName::Mesh, folder)?],
        "alpn_protocols": ["h2", "http/1.1"],
    });
    let domains = tls.trust_domains.iter();
    let domains = domains.map(|domain| {
        let prefix = format!("spiffe://{domain}/");
        json!({ "san_type": "URI", "matcher": { "prefix": prefix } })
    });
    let mut context = validation(&RootsName::Mesh, None, folder)?;
    context["match_typed_subject_alt_names"] = domains.collect();
    common["validation_context"] = context;
    set_parameters(&tls.parameters, &mut common)?;
    let kind = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    let context = json!({ "require_client_certificate": true, "common_tls_context": common });
    Ok(extension(SOCKET, kind, context))
}

/// Says how the endpoints of a cluster are spoken to.
pub(super) fn outbound(cluster: &Cluster, folder: &str, out: &mut Value) -> Derived<()> {
    let Some(tls) = &cluster.tls else {
        return Ok(());
    };
    let is_http2 = matches!(cluster.protocol, UpstreamProtocol::Http2(_));
    let socket = upstream(tls, is_http2, folder)?;
    if cluster.endpoints.iter().all(|endpoint| endpoint.is_secured) {
        out["transport_socket"] = socket;
        return Ok(());
    }
    let kind = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
    let clear = extension("envoy.transport_sockets.raw_buffer", kind, json!({}));
    out["transport_socket_matches"] = json!([
        { "name": "tlsMode-istio", "match": { "tlsMode": "istio" }, "transport_socket": socket },
        { "name": "tlsMode-disabled", "match": {}, "transport_socket": clear },
    ]);
    Ok(())
}

/// What marks an endpoint that is spoken to in TLS.
pub(super) fn metadata(endpoint: &Endpoint) -> Option<Value> {
    let mark = || json!({ "filter_metadata": { MATCH: { "tlsMode": "istio" } } });
    endpoint.is_secured.then(mark)
}

/// Whom to name, and whether to believe only that one, where that is the request's host.
pub(super) fn by_host(tls: &ClientTls) -> Option<Value> {
    let wants = match &tls.trust {
        Trust::Chain { names, .. } => *names == PeerNames::Wanted,
        Trust::Nothing => false,
    };
    let by_host = || json!({ "auto_sni": true, "auto_san_validation": wants });
    (tls.sni == Sni::Host).then(by_host)
}

fn upstream(tls: &ClientTls, is_http2: bool, folder: &str) -> Derived<Value> {
    let spoken = if is_http2 {
        Spoken::Http2
    } else {
        Spoken::Http1
    };
    let mut common = json!({ "alpn_protocols": tls.alpn.offered(spoken) });
    if let Some(name) = &tls.identity {
        common["tls_certificates"] = json!([certificate(name, folder)?]);
    }
    if let Trust::Chain { roots, crl, names } = &tls.trust {
        let mut context = validation(roots, crl.as_deref(), folder)?;
        if let PeerNames::Of(names) = names {
            let names = names.iter().map(|name| {
                let kind = if name.contains("://") { "URI" } else { "DNS" };
                json!({ "san_type": kind, "matcher": { "exact": name } })
            });
            context["match_typed_subject_alt_names"] = names.collect();
        }
        common["validation_context"] = context;
    }
    set_parameters(&tls.parameters, &mut common)?;
    let mut context = json!({ "common_tls_context": common });
    if let Sni::Name(name) = &tls.sni {
        context["sni"] = (&**name).into();
    }
    let kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    Ok(extension(SOCKET, kind, context))
}

fn certificate(name: &KeyName, folder: &str) -> Derived<Value> {
    let (chain, key) = match name {
        KeyName::Mesh => (
            format!("{folder}/identity/cert-chain.pem"),
            format!("{folder}/identity/key.pem"),
        ),
        KeyName::Files(chain, key) => (chain.to_string(), key.to_string()),
        KeyName::Secret(..) => return Err("secrets come from Istio's control plane"),
    };
    Ok(json!({ "certificate_chain": { "filename": chain }, "private_key": { "filename": key } }))
}

fn validation(roots: &RootsName, crl: Option<&str>, folder: &str) -> Derived<Value> {
    let roots = match roots {
        RootsName::Mesh => format!("{folder}/identity/root-cert.pem"),
        RootsName::File(file) => file.to_string(),
        RootsName::System => return Err("what the system believes"),
        RootsName::Secret(..) => return Err("secrets come from Istio's control plane"),
    };
    let mut context = json!({ "trusted_ca": { "filename": &roots } });
    let of_mesh = format!("{folder}/identity/ca-crl.pem");
    let is_mesh = roots == format!("{folder}/identity/root-cert.pem");
    let of_mesh = (is_mesh && std::fs::exists(&of_mesh).unwrap_or_default()).then_some(&*of_mesh);
    if let Some(list) = crl.or(of_mesh) {
        context["crl"] = json!({ "filename": list });
    }
    Ok(context)
}

fn set_parameters(parameters: &TlsParameters, common: &mut Value) -> Derived<()> {
    if !parameters.cipher_suites.is_empty() || !parameters.key_exchanges.is_empty() {
        return Err("cipher suites and groups are not derived");
    }
    // A client of Envoy goes no further than TLS 1.2 by itself.
    let least = match parameters.min_version {
        Some(TlsVersion::Tls13) => "TLSv1_3",
        Some(TlsVersion::Tls12) | None => "TLSv1_2",
    };
    common["tls_params"] = json!({
        "tls_minimum_protocol_version": least,
        "tls_maximum_protocol_version": "TLSv1_3",
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::snapshot::Alpn;

    fn server(mode: MutualTls) -> ServerTls {
        ServerTls {
            mode,
            parameters: TlsParameters::default(),
            trust_domains: ["td".into()].into(),
            port: 80,
            servers: Box::default(),
        }
    }

    #[test]
    fn a_mode_becomes_filter_chains() {
        for (mode, want) in [
            (MutualTls::Disable, &[None][..]),
            (MutualTls::Strict, &[Some("tls")]),
            (MutualTls::Permissive, &[Some("raw_buffer"), Some("tls")]),
        ] {
            let (chains, inspectors) = inbound(Some(&server(mode)), &json!([]), "f").unwrap();
            let of = |chain: &Value| {
                let of = &chain["filter_chain_match"]["transport_protocol"];
                of.as_str().map(str::to_owned)
            };
            let got: Vec<Option<String>> = chains.iter().map(of).collect();
            let want: Vec<Option<String>> =
                want.iter().map(|name| name.map(str::to_owned)).collect();
            assert_eq!(got, want, "{mode:?}");
            assert_eq!(inspectors.is_empty(), mode == MutualTls::Disable);
        }
    }

    #[test]
    fn what_an_endpoint_must_prove_stands_where_envoy_looks_for_it() {
        let tls = ClientTls {
            identity: Some(KeyName::Mesh),
            trust: Trust::Chain {
                roots: RootsName::File("/r.pem".into()),
                crl: None,
                names: PeerNames::Of(["a.example".into(), "spiffe://td/x".into()].into()),
            },
            sni: Sni::Name("a.example".into()),
            alpn: Alpn::Mesh,
            parameters: TlsParameters::default(),
        };
        let socket = upstream(&tls, false, "f").unwrap();
        let context = &socket["typed_config"];
        let common = &context["common_tls_context"];
        assert_eq!(context["sni"], "a.example");
        assert_eq!(
            common["alpn_protocols"],
            json!(["istio-http/1.1", "istio", "http/1.1"])
        );
        let chain = &common["tls_certificates"][0]["certificate_chain"]["filename"];
        assert_eq!(chain, "f/identity/cert-chain.pem");
        let wanted = &common["validation_context"];
        assert_eq!(wanted["trusted_ca"]["filename"], "/r.pem");
        let kinds = &wanted["match_typed_subject_alt_names"];
        assert_eq!(kinds[0]["san_type"], "DNS");
        assert_eq!(kinds[1]["san_type"], "URI");
        let secret = KeyName::Secret("a".into(), "b".into());
        assert!(certificate(&secret, "f").is_err());
    }
}
