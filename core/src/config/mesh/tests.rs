//! Mesh configurations and what is read of them.

use super::{MeshConfig, ProviderKind};
use crate::config::sidecar::OutboundMode;
use crate::config::{Source, load_mesh, log_format};
use crate::snapshot::PathNormalization;
use crate::snapshot::telemetry::LogFormat;
use crate::time::Duration;

fn read(yaml: &str) -> (MeshConfig, Vec<String>) {
    let source = Source {
        name: "mesh.yaml",
        bytes: yaml.as_bytes(),
    };
    let (mesh, findings) = load_mesh(source);
    let said = findings
        .iter()
        .map(|f| format!("{} {}", f.code, f.path))
        .collect();
    (mesh, said)
}

#[test]
fn settings() {
    let direct = "
connectTimeout: 3s
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
h2UpgradePolicy: UPGRADE
pathNormalization: {normalization: MERGE_SLASHES}
rootNamespace: root
localityLbSetting: {enabled: false, failoverPriority: [a]}
zoneAwareLbSetting: {minClusterSize: 3}
defaultVirtualServiceExportTo: ['.']
";
    let indented = direct.replace('\n', "\n    ");
    let wrapped = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio}}\ndata:\n  mesh: |{indented}\n"
    );
    for yaml in [direct, &wrapped] {
        let (mesh, said) = read(yaml);
        assert_eq!(said, [""; 0], "{yaml}");
        assert_eq!(mesh.connect_timeout, Duration::from_secs(3));
        let mode = mesh.outbound_traffic_policy.map(|policy| policy.mode);
        assert_eq!(mode, Some(OutboundMode::RegistryOnly));
        assert!(mesh.h2_upgrade);
        assert_eq!(mesh.path_normalization, PathNormalization::MergeSlashes);
        assert_eq!(mesh.root_namespace, "root");
        assert_eq!(mesh.locality_lb_setting.enabled, Some(false));
        assert_eq!(mesh.locality_lb_setting.failover_priority, ["a"]);
        let zones = mesh.zone_aware_lb_setting.unwrap();
        assert_eq!((zones.enabled, zones.min_cluster_size), (None, Some(3)));
        assert_eq!(mesh.default_virtual_service_export_to, ["."]);
    }
    assert_eq!(read("").0, MeshConfig::default());
}

#[test]
fn providers() {
    let (mesh, said) = read(
        "extensionProviders:\n\
         - {name: file, envoyFileAccessLog: {path: /tmp/log, logFormat: {text: '%PROTOCOL%'}, omitEmptyValues: true}}\n\
         - {name: envoy, envoyFileAccessLog: {path: /dev/stderr, logFormat: {labels: {a: b}}}}\n\
         defaultProviders: {accessLogging: [FILE]}\n",
    );
    assert_eq!(said, [""; 0]);
    let names = mesh.extension_providers.iter().map(|p| p.name.as_str());
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["prometheus", "stackdriver", "envoy", "file"]);
    let file = |name: &str| match &mesh.provider(name).unwrap().kind {
        ProviderKind::FileAccessLog(file) => file.clone(),
        other @ (ProviderKind::Prometheus
        | ProviderKind::Traces(_)
        | ProviderKind::Authorizer(_)
        | ProviderKind::Other(_)) => {
            panic!("{other:?}")
        }
    };
    assert_eq!(file("File").path, "/tmp/log");
    let LogFormat::Text(text) = &*file("file").format else {
        panic!("it is text");
    };
    assert!(text.omits_empty);
    assert_eq!(text.parts.len(), 2, "an operator and a line end");
    assert!(matches!(*file("envoy").format, LogFormat::Json { .. }));
    assert_eq!(mesh.default_providers.access_logging, ["FILE"]);
    assert_eq!(mesh.default_providers.metrics, ["prometheus"]);
}

#[test]
fn access_logs() {
    assert_eq!(read("accessLogFormat: '%PROTOCOL%'").0.access_log, None);
    let log = |yaml: &str| {
        let (mesh, said) = read(&format!("accessLogFile: /dev/stdout\n{yaml}"));
        assert_eq!(said, [""; 0], "{yaml}");
        let log = mesh.access_log.unwrap();
        assert_eq!(log.path, "/dev/stdout");
        log.format
    };
    assert_eq!(*log(""), log_format::istio_text());
    assert_eq!(*log("accessLogEncoding: JSON"), log_format::istio_json());
    assert_eq!(
        *log("accessLogFormat: '%PROTOCOL%'"),
        log_format::written("%PROTOCOL%\n").0
    );
    assert_eq!(
        *log("accessLogEncoding: JSON\naccessLogFormat: '{\"a\": \"%PROTOCOL%\"}'"),
        log_format::written("{\"a\": \"%PROTOCOL%\"}").0
    );
}

#[test]
fn what_is_not_used_is_told() {
    for (yaml, expected) in [
        (
            "defaultConfig: {concurrency: 2}",
            "not-in-effect defaultConfig.concurrency",
        ),
        (
            "defaultConfig: {tracing: {datadog: {address: 'd:1'}}}",
            "not-in-effect defaultConfig.tracing.datadog",
        ),
        (
            "defaultConfig: {tracing: {zipkin: {address: zipkin}}}",
            "invalid-address defaultConfig.tracing.zipkin.address",
        ),
        (
            "defaultConfig: {tracing: {sampling: 101}}",
            "invalid-percent defaultConfig.tracing.sampling",
        ),
        (
            "extensionProviders: [{name: a, zipkin: {service: z, port: 0}}]",
            "invalid-port extensionProviders[0].zipkin.port",
        ),
        (
            "extensionProviders: [{name: a, opentelemetry: {port: 1}}]",
            "required-field extensionProviders[0].opentelemetry.service",
        ),
        (
            "extensionProviders: [{name: a, opentelemetry: {service: o, port: 1, dynatraceSampler: {}}}]",
            "not-in-effect extensionProviders[0].opentelemetry.dynatraceSampler",
        ),
        (
            "extensionProviders: [{name: a, opentelemetry: {service: o, port: 1, http: {path: 'a b'}}}]",
            "wrong-type extensionProviders[0].opentelemetry.http.path",
        ),
        (
            "extensionProviders: [{name: a, opentelemetry: {service: o, port: 1, http: {path: /, headers: [{name: 'a b', value: c}]}}}]",
            "invalid-header-name extensionProviders[0].opentelemetry.http.headers[0].name",
        ),
        (
            "extensionProviders: [{name: a, skywalking: {service: s, port: 1}}]",
            "not-in-effect extensionProviders[0].skywalking",
        ),
        (
            "verifyCertificateAtClient: true",
            "not-in-effect verifyCertificateAtClient",
        ),
        (
            "extensionProviders: [{name: a, datadog: {service: b, port: 1}}]",
            "not-in-effect extensionProviders[0].datadog",
        ),
        (
            "extensionProviders: [{name: a}]",
            "required-field extensionProviders[0]",
        ),
        (
            "extensionProviders: [{prometheus: {}}]",
            "required-field extensionProviders[0].name",
        ),
        (
            "extensionProviders: [{name: a, prometheus: {}, envoyFileAccessLog: {path: b}}]",
            "one-of extensionProviders[0]",
        ),
        (
            "extensionProviders: [{name: a, prometheus: {}}, {name: a, prometheus: {}}]",
            "invalid-name extensionProviders[1].name",
        ),
        (
            "extensionProviders: [{name: a, envoyFileAccessLog: {}}]",
            "required-field extensionProviders[0].envoyFileAccessLog.path",
        ),
        (
            "extensionProviders: [{name: a, envoyFileAccessLog: {path: b, logFormat: {text: a, labels: {b: c}}}}]",
            "one-of extensionProviders[0].envoyFileAccessLog.logFormat",
        ),
        (
            "extensionProviders: [{name: a, envoyFileAccessLog: {path: b, logFormat: {text: '%NO%'}}}]",
            "invalid-log-format extensionProviders[0].envoyFileAccessLog.logFormat.text",
        ),
        (
            "extensionProviders: [{name: a, envoyFileAccessLog: {path: b, logFormat: {labels: {a: '%UPSTREAM_METADATA(a)%'}}}}]",
            "operator-not-in-effect extensionProviders[0].envoyFileAccessLog.logFormat.labels",
        ),
        (
            "accessLogFormat: '100%'",
            "invalid-log-format accessLogFormat",
        ),
        ("accessLogEncoding: XML", "invalid-enum accessLogEncoding"),
        (
            "{accessLogEncoding: JSON, accessLogFormat: '%PROTOCOL%'}",
            "invalid-log-format accessLogFormat",
        ),
        (
            "defaultProviders: {accessLogging: [a]}",
            "unknown-provider defaultProviders.accessLogging[0]",
        ),
        (
            "localityLbSetting: {failover: [{from: a, to: a}]}",
            "invalid-locality localityLbSetting.failover[0]",
        ),
        (
            "zoneAwareLbSetting: {failover: [{from: a, to: a/b}]}",
            "invalid-locality zoneAwareLbSetting.failover[0].to",
        ),
        ("conectTimeout: 3s", "unknown-field conectTimeout"),
        ("connectTimeout: 0s", "invalid-duration connectTimeout"),
        ("connectTimeout: 3", "invalid-duration connectTimeout"),
        (
            "outboundTrafficPolicy: {mode: DENY}",
            "invalid-enum outboundTrafficPolicy.mode",
        ),
        (
            "defaultServiceExportTo: ['*', a]",
            "invalid-export-to defaultServiceExportTo[0]",
        ),
    ] {
        assert_eq!(read(yaml).1, [expected], "{yaml}");
    }
}

#[test]
fn what_applications_are_told_of_certificates_is_read() {
    use crate::snapshot::{ForwardMode, ForwardedClientCert};
    let default = ForwardedClientCert::default();
    for (headers, expected) in [
        ("{}", default),
        (
            "{forwardedClientCert: SANITIZE}",
            ForwardedClientCert {
                mode: ForwardMode::Sanitize,
                ..default
            },
        ),
        (
            "{setCurrentClientCertDetails: {uri: true}}",
            ForwardedClientCert {
                subject: false,
                dns: false,
                ..default
            },
        ),
    ] {
        let text = format!("defaultConfig: {{proxyHeaders: {headers}}}");
        let source = Source {
            name: "mesh.yaml",
            bytes: text.as_bytes(),
        };
        let (mesh, findings) = load_mesh(source);
        assert_eq!(findings, [], "{headers}");
        assert_eq!(mesh.default_config.client_certs, expected, "{headers}");
    }
}

#[test]
fn findings_within_a_config_map_are_where_they_are_written() {
    const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n";
    for (mesh, expected) in [
        (
            "  mesh: |\n    rootNamespace: root\n    conectTimeout: 3s\n    connectTimeout: 3\n",
            &["7:5 unknown-field", "8:21 invalid-duration"][..],
        ),
        (
            "  mesh: |-\n\n      outboundTrafficPolicy:\n        mode: DENY\n",
            &["8:15 invalid-enum"],
        ),
        (
            "  mesh: |\n    rootNamespace: root\n    connectTimeout: [\n",
            &["7:21 yaml-syntax"],
        ),
        (
            r#"  mesh: "rootNamespace: root\nconnectTimeout: 3\n""#,
            &["5:47 invalid-duration"],
        ),
        (
            "  mesh: >\n    rootNamespace: root\n\n    connectTimeout: 3\n",
            &["8:21 invalid-duration"],
        ),
        ("  mesh: 'connectTimeout: 3'\n", &["5:26 invalid-duration"]),
        ("  mesh: \"\"\n", &[]),
        ("  mesh: [a]\n", &["5:9 wrong-type"]),
        ("  mash: a\n", &["4:1 wrong-type"]),
    ] {
        let yaml = format!("{HEAD}{mesh}");
        let source = Source {
            name: "mesh.yaml",
            bytes: yaml.as_bytes(),
        };
        let (_, findings) = load_mesh(source);
        let said = findings
            .iter()
            .map(|f| format!("{}:{} {}", f.line, f.column, f.code))
            .collect::<Vec<_>>();
        assert_eq!(said, expected, "{yaml}");
    }
}

#[test]
fn one_proxy_config_stands_under_another() {
    let of = |text: &str| read(&format!("defaultConfig: {text}")).0.default_config;
    let mesh = "{tracing: {sampling: 10, maxPathTagLength: 3, zipkin: {address: 'z:1'}}, tracingServiceName: CANONICAL_NAME_ONLY, \
                gatewayTopology: {numTrustedProxies: 2}, proxyHeaders: {forwardedClientCert: SANITIZE}, \
                proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true', ISTIO_META_DNS_AUTO_ALLOCATE: 'true'}}";
    let over = "{tracing: {sampling: 20}, tracingServiceName: APP_LABEL_AND_NAMESPACE, gatewayTopology: {}, \
                proxyHeaders: {}, proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'false', ISTIO_META_DNS_AUTO_ALLOCATE: 'false'}}";
    let all = of(mesh).under(&of(over), |_| true);
    let want = "{tracing: {sampling: 20, maxPathTagLength: 3, zipkin: {address: 'z:1'}}, \
                proxyMetadata: {ISTIO_META_DNS_AUTO_ALLOCATE: 'false'}}";
    assert_eq!(all, of(want));
    // What is not written there stays.
    assert_eq!(of(mesh).under(&of("{}"), |_| false), of(mesh));
    for (name, want) in [
        ("tracingServiceName", "tracing_service_name"),
        ("proxyHeaders", "client_certs"),
        ("gatewayTopology", "topology"),
        ("proxyMetadata.ISTIO_META_DNS_CAPTURE", "dns_capture"),
    ] {
        let (under, over) = (of(mesh), of("{}"));
        let some = under.clone().under(&over, |field| field == name);
        assert_ne!(some, under, "{want}");
        let same = [
            some.tracing == under.tracing,
            (some.tracing_service_name == under.tracing_service_name)
                == (name != "tracingServiceName"),
            (some.client_certs == under.client_certs) == (name != "proxyHeaders"),
            (some.topology == under.topology) == (name != "gatewayTopology"),
            (some.dns_capture == under.dns_capture)
                == (name != "proxyMetadata.ISTIO_META_DNS_CAPTURE"),
            some.dns_auto_allocate == under.dns_auto_allocate,
        ];
        assert_eq!(same, [true; 6], "{want}");
    }
}
