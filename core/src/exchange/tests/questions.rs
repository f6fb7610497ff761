//! Questions about a request, of either kind, when a call panics: who waits is answered, and nobody's question goes on.

use super::*;
use crate::compile::{Answers, Inbound, Workload, compile};
use crate::config::{Source, load, load_mesh};

const ASKED: &str = "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: asked}
spec:
  hosts: [asked.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: grpc, protocol: GRPC}]
  endpoints: [{address: 10.0.0.2}]
---
";

const LIMITS: &str = "
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: limits}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_INBOUND}
    patch:
      operation: INSERT_FIRST
      value:
        name: limits
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
          domain: d
          failure_mode_deny: true
          rate_limit_service:
            transport_api_version: V3
            grpc_service: {envoy_grpc: {cluster_name: 'outbound|81||asked.test'}}
          rate_limits: [{actions: [{remote_address: {}}]}]
";

const POLICY: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask}
spec: {action: CUSTOM, provider: {name: authz}, rules: [{}]}
";

const MESH: &str =
    "extensionProviders: [{name: authz, envoyExtAuthzHttp: {service: asked.test, port: 80}}]";

/// A worker whose inbound requests are asked about, and a client of it.
fn asking(by: &str) -> Driver {
    let text = format!("{SERVICE}{ASKED}{by}");
    let source = |bytes| Source {
        name: "f.yaml",
        bytes,
    };
    let inbound = [Inbound {
        listen: ([10, 0, 0, 9], 15006).into(),
        application: ([10, 0, 0, 9], 8080).into(),
    }];
    let compiled = compile(
        &load(&[source(text.as_bytes())], "default").resources,
        &Workload::default(),
        &load_mesh(source(MESH.as_bytes())).0,
        &inbound,
        &Answers::new(),
        &mut crate::cluster::Registry::default(),
        0,
    );
    let snapshot = Arc::new(compiled.snapshot);
    let mut d = Driver::crowd(snapshot, WorkerSettings::default(), 1, 0);
    d.accept_from(Peer {
        listener: ListenerKind::Inbound(0),
        ..driver::PEER
    });
    d
}

/// The request that waits, and its question.
fn waits(d: &mut Driver) -> (ExchangeId, ExchangeId) {
    d.sends(Side::Downstream, GET);
    let asks = d.parties[0].exchange.expect("it is under way");
    let mut others = d.worker.exchanges().filter(|(id, _)| *id != asks);
    let (question, _) = others.next().expect("somebody is asked");
    assert!(others.next().is_none());
    (asks, question)
}

fn loses(d: &mut Driver, gone: ExchangeId) {
    d.worker.lose(gone);
    d.worker.recover(None, d.now);
    d.drain();
}

#[test]
fn who_waits_for_a_question_that_is_gone_is_refused() {
    for (by, want, details) in [
        (LIMITS, "500", "rate_limiter_error"),
        (POLICY, "403", "ext_authz_error"),
    ] {
        let mut d = asking(by);
        for _ in 0..2 {
            let (_, question) = waits(&mut d);
            loses(&mut d, question);
            let client = d.receives(Side::Downstream);
            assert!(client.starts_with(&format!("HTTP/1.1 {want} ")), "{client}");
            assert_eq!(d.record().details.to_string(), details);
            assert_eq!(d.worker.exchanges().count(), 0, "{want}");
        }
    }
}

#[test]
fn a_question_of_nobody_is_given_up() {
    for by in [LIMITS, POLICY] {
        let mut d = asking(by);
        let (asks, _) = waits(&mut d);
        loses(&mut d, asks);
        assert!(d.is_gone());
        assert_eq!(d.worker.exchanges().count(), 0);
        let clusters = &d.worker.view().snapshot.clusters;
        let endpoints = clusters.iter().flat_map(|cluster| &cluster.endpoints);
        for endpoint in endpoints {
            assert_eq!(endpoint.state.active(), 0, "{}", endpoint.text);
        }
    }
}

#[test]
fn the_story_tells_who_was_asked() {
    let mut d = asking(LIMITS);
    let (_, question) = waits(&mut d);
    loses(&mut d, question);
    d.receives(Side::Downstream);
    let story = d.story();
    let line = "  asked        the rate limits of `d`, whose service gave no answer within 0.0 ms, so it is refused\n";
    assert!(story.contains(line), "{story}");
}
