//! How the sources of tracing come together, and what is told of what can not be done.

use super::*;
use crate::cluster::Registry;
use crate::compile::{Answers, Compiled, compile};
use crate::config::{Source, load, load_mesh};

const PROVIDERS: &str = "
extensionProviders:
- {name: otel, opentelemetry: {service: otel.obs.svc.cluster.local, port: 4317, maxTagLength: 99}}
- {name: http, opentelemetry: {service: shop/otel.test, port: 4318, http: {path: v1/t, timeout: 3s,
    headers: [{name: X-Key, value: v}, {name: x-token, envName: TOKEN}]}}}
- {name: zipkin, zipkin: {service: zipkin.test, port: 9411, enable64bitTraceId: true,
    traceContextOption: USE_B3_WITH_W3C_PROPAGATION}}
";

const SERVICE: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: otel, namespace: obs}
spec:
  hosts: [otel.obs.svc.cluster.local]
  ports: [{number: 4317, name: grpc, protocol: GRPC}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1, ports: {grpc: 14317}}, {address: 10.0.0.2}]
";

fn telemetry(namespace: &str, tracing: &str) -> String {
    format!(
        "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\n\
         metadata: {{name: default, namespace: {namespace}}}\nspec: {{tracing: [{tracing}]}}\n"
    )
}

fn compiled(resources: &str, mesh: &str, trace: TraceFlags) -> Compiled {
    let source = |bytes| Source {
        name: "test",
        bytes,
    };
    let loaded = load(&[source(resources.as_bytes())], "shop");
    let (mesh, of_mesh) = load_mesh(source(mesh.as_bytes()));
    let wrong = loaded.findings.iter().chain(&of_mesh);
    let wrong: Vec<_> = wrong.map(|f| (f.code, &f.message)).collect();
    assert_eq!(wrong, []);
    let labels = [("app", "cart"), ("version", "v2")];
    let workload = Workload {
        namespace: "shop".into(),
        labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
        trace,
        ..Workload::default()
    };
    let (answers, registry) = (Answers::new(), &mut Registry::default());
    compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &answers,
        registry,
        0,
    )
}

fn policies(resources: &str, mesh: &str, trace: TraceFlags) -> Tracing {
    let compiled = compiled(resources, mesh, trace);
    let told: Vec<_> = compiled
        .findings
        .iter()
        .map(|f| (f.code, &f.message))
        .collect();
    assert_eq!(told, []);
    compiled.snapshot.tracing
}

/// Of both directions, which are alike.
fn policy(resources: &str, mesh: &str, trace: TraceFlags) -> TracePolicy {
    let Tracing { outbound, inbound } = policies(resources, mesh, trace);
    let (outbound, inbound) = (outbound.unwrap(), inbound.unwrap());
    assert!(Arc::ptr_eq(&outbound, &inbound));
    (*outbound).clone()
}

fn flags(sampled: Option<u16>) -> TraceFlags {
    TraceFlags {
        collector: Some(CollectorFlag {
            url: "http://[::1]:9411".into(),
            host: "::1".into(),
            port: 9411,
            is_https: false,
            protocol: CollectorProtocol::Zipkin {
                path: "/api/v2/spans".into(),
            },
        }),
        sampled_of_10000: sampled,
    }
}

#[test]
fn nothing_is_traced_unless_somebody_says_where_spans_go() {
    let zipkin = "defaultConfig: {tracing: {zipkin: {address: 'zipkin.test:9411'}}}\n";
    for (resources, mesh, is_traced) in [
        (String::new(), "", false),
        (String::new(), PROVIDERS, false),
        (
            telemetry("shop", "{randomSamplingPercentage: 100}"),
            PROVIDERS,
            false,
        ),
        (String::new(), zipkin, true),
        (
            String::new(),
            &format!("{zipkin}enableTracing: false"),
            false,
        ),
        (
            telemetry("shop", "{randomSamplingPercentage: 100}"),
            &format!("{zipkin}enableTracing: false"),
            true,
        ),
        (
            String::new(),
            &format!("{PROVIDERS}defaultProviders: {{tracing: [otel]}}"),
            true,
        ),
    ] {
        let tracing = policies(&resources, mesh, TraceFlags::default());
        assert_eq!(tracing.outbound.is_some(), is_traced, "{resources} {mesh}");
        assert_eq!(tracing.inbound.is_some(), is_traced);
    }
}

#[test]
fn what_lies_beneath_connections_to_collectors() {
    let rule = |tls: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r, namespace: obs}}\n\
             spec: {{host: otel.obs.svc.cluster.local, trafficPolicy: {{tls: {{{tls}}}}}}}\n"
        )
    };
    let simple = rule("mode: SIMPLE, sni: a.test, insecureSkipVerify: true");
    let flag = |host: &str, is_https| CollectorFlag {
        url: String::new(),
        host: host.into(),
        port: 4317,
        is_https,
        protocol: CollectorProtocol::OtlpGrpc,
    };
    let known = "otel.obs.svc.cluster.local";
    for (host, is_https, rule, want) in [
        ("away.test", false, "", None),
        ("away.test", true, "", Some("away.test by System")),
        ("10.1.1.1", true, "", Some("10.1.1.1 by System")),
        (known, false, "", None),
        (
            known,
            true,
            "",
            Some("otel.obs.svc.cluster.local by System"),
        ),
        (known, false, &*simple, Some("a.test by nobody")),
        (known, true, &*simple, Some("a.test by nobody")),
    ] {
        let trace = TraceFlags {
            collector: Some(flag(host, is_https)),
            ..TraceFlags::default()
        };
        let policy = policy(&format!("{SERVICE}{rule}"), "", trace);
        for address in &policy.collector.addresses {
            let seen = address.tls.as_ref().map(|tls| {
                let Sni::Name(name) = &tls.sni else {
                    panic!("{:?}", tls.sni);
                };
                match &tls.trust {
                    Trust::Nothing => format!("{name} by nobody"),
                    Trust::Chain { roots, names, .. } => {
                        assert_eq!(*names, PeerNames::Wanted);
                        format!("{name} by {roots:?}")
                    }
                }
            });
            assert_eq!(seen.as_deref(), want, "{host} {is_https} {rule}");
        }
    }
}

#[test]
fn collectors() {
    let with = |provider: &str| {
        let resources = SERVICE.to_owned()
            + &telemetry("shop", &format!("{{providers: [{{name: {provider}}}]}}"));
        policy(&resources, PROVIDERS, flags(None))
    };
    let otel = with("otel");
    assert_eq!(otel.collector.protocol, CollectorProtocol::OtlpGrpc);
    let addresses = otel
        .collector
        .addresses
        .iter()
        .map(|of| of.address.to_string());
    assert_eq!(
        addresses.collect::<Vec<_>>(),
        ["10.0.0.1:14317", "10.0.0.2:4317"]
    );
    assert_eq!(
        &*otel.collector.authority,
        "otel.obs.svc.cluster.local:4317"
    );
    assert_eq!(
        (otel.max_path_tag_length, otel.propagation),
        (99, Propagation::W3c)
    );
    assert_eq!(otel.collector.timeout, Duration::from_secs(5));

    let http = with("http");
    let path = "/v1/t".into();
    assert_eq!(
        http.collector.protocol,
        CollectorProtocol::OtlpHttp { path }
    );
    assert_eq!(
        *http.collector.addresses,
        [CollectorAddress {
            address: Address::Name("otel.test".into(), 4318),
            tls: None
        }]
    );
    assert_eq!(http.collector.timeout, Duration::from_secs(3));
    let headers = http.collector.headers.iter();
    let headers: Vec<_> = headers
        .map(|h| (h.name.as_str(), h.value.clone()))
        .collect();
    let want = [
        ("x-key", HeaderSource::Literal("v".into())),
        ("x-token", HeaderSource::Environment("TOKEN".into())),
    ];
    assert_eq!((headers, http.max_path_tag_length), (want.to_vec(), 256));

    let zipkin = with("ZIPKIN");
    let path = "/api/v2/spans".into();
    assert_eq!(
        zipkin.collector.protocol,
        CollectorProtocol::Zipkin { path }
    );
    let b3 = Propagation::B3 {
        is_short: true,
        with_w3c: true,
    };
    assert_eq!(
        (zipkin.propagation, &*zipkin.collector.name),
        (b3, "zipkin")
    );

    // A default provider goes behind the command line.
    let mesh = format!("{PROVIDERS}defaultProviders: {{tracing: [otel]}}");
    let flag = policy("", &mesh, flags(None)).collector;
    assert_eq!(
        (&*flag.authority, &*flag.name),
        ("[::1]:9411", "http://[::1]:9411")
    );
    assert_eq!(flag.addresses[0].address.to_string(), "[::1]:9411");
}

#[test]
fn shares() {
    let mesh = "defaultConfig: {tracing: {sampling: 25.5}}";
    let telemetry = telemetry("shop", "{randomSamplingPercentage: 12.34}");
    for (resources, mesh, flag, want) in [
        ("", "", None, 100),
        ("", "defaultConfig: {tracing: {sampling: 0}}", None, 100),
        ("", mesh, None, 2550),
        ("", mesh, Some(0), 0),
        (&*telemetry, mesh, Some(0), 1234),
    ] {
        let policy = policy(resources, mesh, flags(flag));
        assert_eq!(policy.sampled_of_10000, want, "{resources} {mesh} {flag:?}");
    }
}

#[test]
fn each_scope_overrides_what_it_says_and_each_direction_is_its_own() {
    let resources = telemetry(
        "istio-system",
        "{providers: [{name: otel}], randomSamplingPercentage: 1, useRequestIdForTraceSampling: false}",
    ) + &telemetry(
        "shop",
        "{match: {mode: SERVER}, randomSamplingPercentage: 2, disableContextPropagation: true}",
    );
    let Tracing { outbound, inbound } = policies(&resources, PROVIDERS, TraceFlags::default());
    let (outbound, inbound) = (outbound.unwrap(), inbound.unwrap());
    let of = |policy: &TracePolicy| {
        (
            policy.sampled_of_10000,
            policy.propagation,
            policy.by_request_id,
        )
    };
    assert_eq!(of(&outbound), (100, Propagation::W3c, false));
    assert_eq!(of(&inbound), (200, Propagation::Off, false));

    let off = telemetry("istio-system", "{providers: [{name: otel}]}")
        + &telemetry(
            "shop",
            "{match: {mode: CLIENT}, disableSpanReporting: true}",
        );
    let tracing = policies(&off, PROVIDERS, TraceFlags::default());
    assert_eq!(
        (tracing.outbound.is_none(), tracing.inbound.is_some()),
        (true, true)
    );
}

#[test]
fn tags() {
    let names = |policy: &TracePolicy| {
        let names = policy.tags.iter().map(|tag| tag.name.to_string());
        names.collect::<Vec<_>>()
    };
    let istio = [
        "istio.canonical_revision",
        "istio.canonical_service",
        "istio.cluster_id",
        "istio.mesh_id",
        "istio.namespace",
    ];
    let plain = policy("", "", flags(None));
    assert_eq!(names(&plain), istio);
    let literal = |text: &str| TagValue::Literal(text.into());
    assert_eq!(plain.tags[0].value, literal("v2"));
    assert_eq!(plain.tags[1].value, literal("cart"));
    assert_eq!(plain.tags[4].value, literal("shop"));

    let mesh = "defaultConfig: {tracing: {enableIstioTags: false, maxPathTagLength: 9, customTags: {of-mesh: {literal: {value: m}}}}}";
    let of_mesh = policy("", mesh, flags(None));
    assert_eq!(
        (names(&of_mesh), of_mesh.max_path_tag_length),
        (vec!["of-mesh".into()], 9)
    );
    // Nothing is as if it were not said, and one octet is not.
    for (length, want) in [(0, 256), (1, 1)] {
        let mesh = format!("defaultConfig: {{tracing: {{maxPathTagLength: {length}}}}}");
        let of_mesh = policy("", &mesh, flags(None));
        assert_eq!(of_mesh.max_path_tag_length, want, "{length}");
    }

    let written = telemetry(
        "shop",
        "{enableIstioTags: false, customTags: {b: {header: {name: X-User, defaultValue: nobody}}, a: {environment: {name: HOST}}, \
         istio.mesh_id: {literal: {value: mine}}}}",
    );
    let written = policy(&written, mesh, flags(None));
    assert_eq!(names(&written), ["a", "b", "istio.mesh_id"]);
    let TagValue::Header { name, default } = &written.tags[1].value else {
        panic!("{:?}", written.tags);
    };
    assert_eq!((name.as_str(), &**default), ("x-user", "nobody"));
}

#[test]
fn names_of_services() {
    for (mesh, want) in [
        ("", "cart.shop"),
        (
            "defaultConfig: {tracingServiceName: CANONICAL_NAME_ONLY}",
            "cart",
        ),
        (
            "defaultConfig: {tracingServiceName: CANONICAL_NAME_AND_NAMESPACE}",
            "cart.shop",
        ),
    ] {
        assert_eq!(&*policy("", mesh, flags(None)).service, want);
    }
}

#[test]
fn what_can_not_be_done_is_told() {
    for (tracing, want) in [
        (
            "{providers: [{name: prometheus}]}",
            "not-in-effect spec.tracing[0].providers[0]",
        ),
        (
            "{providers: [{name: nobody}]}",
            "unknown-provider spec.tracing[0].providers[0]",
        ),
        (
            "{customTags: {t: {header: {name: 'a b'}}}}",
            "invalid-header-name spec.tracing[0].customTags[\"t\"]",
        ),
    ] {
        let compiled = compiled(&telemetry("shop", tracing), PROVIDERS, flags(None));
        let told = compiled
            .findings
            .iter()
            .map(|f| format!("{} {}", f.code, f.path));
        assert_eq!(told.collect::<Vec<_>>(), [want], "{tracing}");
    }
}
