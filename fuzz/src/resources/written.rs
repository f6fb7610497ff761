//! Resources as somebody writes them, about few names, so that they meet.

use std::fmt::Write as _;

use crate::draws::Draws;

const HOSTS: &[&str] = &[
    "a.test",
    "b.test",
    "*.test",
    "a.default.svc.cluster.local",
    "a",
    "c.n.svc.cluster.local",
];
const NAMESPACES: &[&str] = &["default", "n", "istio-system"];
const PORTS: &[&str] = &["80", "8080", "443"];
const PROTOCOLS: &[&str] = &["HTTP", "HTTP2", "TCP", "TLS", "GRPC", "HTTPS"];
const SUBSETS: &[&str] = &["v1", "v2", "v3"];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"];
const TIMES: &[&str] = &["1s", "250ms", "0s", "1h"];
const PATHS: &[&str] = &["/", "/a", "/a/b", "/b"];

/// At most eight, each of any kind.
pub fn resources(draws: &mut Draws<'_>) -> String {
    let count = 1 + draws.below(8);
    (0..count).map(|at| resource(draws, at)).collect()
}

fn resource(draws: &mut Draws<'_>, at: usize) -> String {
    // Few names: sometimes one stands for two.
    let name = format!("r{}", if draws.is_one_in(8) { 0 } else { at });
    let namespace = draws.of(NAMESPACES);
    let (group, kind, spec) = match draws.below(13) {
        0 | 1 => (
            "networking.istio.io/v1",
            "VirtualService",
            virtual_service(draws),
        ),
        2 | 3 => (
            "networking.istio.io/v1",
            "DestinationRule",
            destination_rule(draws),
        ),
        4 | 5 => (
            "networking.istio.io/v1",
            "ServiceEntry",
            service_entry(draws),
        ),
        6 => ("networking.istio.io/v1", "Gateway", gateway(draws)),
        7 => ("networking.istio.io/v1", "Sidecar", sidecar(draws)),
        8 => ("networking.istio.io/v1", "WorkloadEntry", workload(draws)),
        9 => ("v1", "Service", service(draws)),
        10 => (
            "security.istio.io/v1",
            "PeerAuthentication",
            peer_authentication(draws),
        ),
        11 => (
            "security.istio.io/v1",
            "AuthorizationPolicy",
            authorization(draws),
        ),
        _ => ("telemetry.istio.io/v1", "Telemetry", telemetry(draws)),
    };
    format!(
        "---\napiVersion: {group}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    )
}

/// `name: [...], `, or nothing.
fn list(
    draws: &mut Draws<'_>,
    name: &str,
    most: usize,
    one: impl FnMut(&mut Draws<'_>) -> String,
) -> String {
    let all = draws.several(most, one);
    if all.is_empty() {
        String::new()
    } else {
        format!("{name}: [{}], ", all.join(", "))
    }
}

/// The same with one at least.
fn some(
    draws: &mut Draws<'_>,
    name: &str,
    most: usize,
    mut one: impl FnMut(&mut Draws<'_>) -> String,
) -> String {
    let all: Vec<String> = (0..1 + draws.below(most)).map(|_| one(draws)).collect();
    format!("{name}: [{}], ", all.join(", "))
}

/// One of these parts, or none of it.
fn perhaps(draws: &mut Draws<'_>, one: impl FnOnce(&mut Draws<'_>) -> String) -> String {
    if draws.is_one_in(2) {
        one(draws)
    } else {
        String::new()
    }
}

fn quoted(draws: &mut Draws<'_>, all: &[&str]) -> String {
    format!("'{}'", draws.of(all))
}

fn destination(draws: &mut Draws<'_>) -> String {
    let mut text = format!("host: '{}'", draws.of(HOSTS));
    if draws.is_one_in(3) {
        let _ = write!(text, ", subset: {}", draws.of(SUBSETS));
    }
    if draws.is_one_in(3) {
        let _ = write!(text, ", port: {{number: {}}}", draws.of(PORTS));
    }
    format!("{{{text}}}")
}

fn virtual_service(draws: &mut Draws<'_>) -> String {
    let hosts = some(draws, "hosts", 2, |draws| quoted(draws, HOSTS));
    let gateways = list(draws, "gateways", 2, |draws| {
        draws.of(&["mesh", "r1", "n/r2", "default/r0"]).to_owned()
    });
    let export = list(draws, "exportTo", 1, |draws| {
        quoted(draws, &["*", ".", "n"])
    });
    let rules = list(draws, "http", 4, rule);
    let tcp = perhaps(draws, |draws| {
        let (port, to) = (draws.of(PORTS), destination(draws));
        format!("tcp: [{{match: [{{port: {port}}}], route: [{{destination: {to}}}]}}], ")
    });
    let tls = perhaps(draws, |draws| {
        let (port, host, to) = (draws.of(PORTS), draws.of(HOSTS), destination(draws));
        format!(
            "tls: [{{match: [{{port: {port}, sniHosts: ['{host}']}}], route: [{{destination: {to}}}]}}], "
        )
    });
    [hosts, gateways, export, rules, tcp, tls].concat()
}

fn rule(draws: &mut Draws<'_>) -> String {
    let matches = list(draws, "match", 2, |draws| match draws.below(4) {
        0 => format!("{{uri: {{exact: '{}'}}}}", draws.of(PATHS)),
        1 => format!(
            "{{uri: {{regex: '{}.*'}}, port: {}}}",
            draws.of(PATHS),
            draws.of(PORTS)
        ),
        2 => format!(
            "{{headers: {{x-a: {{prefix: '{}'}}}}, sourceLabels: {{app: a}}}}",
            draws.of(SUBSETS)
        ),
        _ => format!(
            "{{uri: {{prefix: '{}'}}, ignoreUriCase: true}}",
            draws.of(PATHS)
        ),
    });
    let action = match draws.below(6) {
        0 => format!(
            "redirect: {{uri: '{}', redirectCode: {}}}",
            draws.of(PATHS),
            draws.of(&["301", "308", "302"])
        ),
        1 => format!(
            "directResponse: {{status: {}, body: {{string: x}}}}",
            draws.of(&["200", "503", "404"])
        ),
        2 => format!(
            "delegate: {{name: r{}, namespace: {}}}",
            draws.below(8),
            draws.of(NAMESPACES)
        ),
        _ => {
            let mut routes = String::new();
            for _ in 0..1 + draws.below(3) {
                let _ = write!(
                    routes,
                    "{{destination: {}, weight: {}}}, ",
                    destination(draws),
                    draws.below(60)
                );
            }
            format!("route: [{routes}]")
        }
    };
    let more = [
        perhaps(draws, |draws| format!(", timeout: {}", draws.of(TIMES))),
        perhaps(draws, |draws| {
            format!(
                ", retries: {{attempts: {}, perTryTimeout: {}, retryOn: '5xx,reset'}}",
                draws.below(5),
                draws.of(TIMES)
            )
        }),
        perhaps(draws, |draws| format!(", mirror: {}", destination(draws))),
        perhaps(draws, |draws| {
            format!(
                ", rewrite: {{uri: '{}', authority: '{}'}}",
                draws.of(PATHS),
                draws.of(HOSTS)
            )
        }),
        perhaps(draws, |draws| {
            format!(
                ", fault: {{abort: {{httpStatus: {}, percentage: {{value: {}}}}}}}",
                draws.of(&["503", "404"]),
                draws.below(101)
            )
        }),
    ];
    format!("{{{matches}{action}{}}}", more.concat())
}

fn policy(draws: &mut Draws<'_>) -> String {
    let pool = perhaps(draws, |draws| {
        format!(
            "connectionPool: {{tcp: {{maxConnections: {}, connectTimeout: {}}}, http: {{http1MaxPendingRequests: {}, maxRetries: {}, h2UpgradePolicy: {}}}}}, ",
            draws.below(9),
            draws.of(TIMES),
            draws.below(9),
            draws.below(9),
            draws.of(&["DEFAULT", "UPGRADE", "DO_NOT_UPGRADE"])
        )
    });
    let balancer = perhaps(draws, |draws| {
        let how = match draws.below(3) {
            0 => format!("simple: {}", draws.of(&["RANDOM", "ROUND_ROBIN", "LEAST_REQUEST", "PASSTHROUGH"])),
            1 => format!("consistentHash: {{httpHeaderName: x-a, {}: {{}}}}", draws.of(&["maglev", "ringHash"])),
            _ => "simple: LEAST_REQUEST, localityLbSetting: {failover: [{from: a, to: b}]}, warmup: {duration: 10s}".to_owned(),
        };
        format!("loadBalancer: {{{how}}}, ")
    });
    let outliers = perhaps(draws, |draws| {
        format!(
            "outlierDetection: {{consecutive5xxErrors: {}, interval: {}, maxEjectionPercent: {}}}, ",
            draws.below(9),
            draws.of(TIMES),
            draws.below(101)
        )
    });
    let tls = perhaps(draws, |draws| {
        format!(
            "tls: {{mode: {}, sni: '{}'}}, ",
            draws.of(&["DISABLE", "ISTIO_MUTUAL", "SIMPLE"]),
            draws.of(HOSTS)
        )
    });
    [pool, balancer, outliers, tls].concat()
}

fn destination_rule(draws: &mut Draws<'_>) -> String {
    let host = quoted(draws, HOSTS);
    let export = list(draws, "exportTo", 1, |draws| {
        quoted(draws, &["*", ".", "n"])
    });
    let all = policy(draws);
    let ports = list(draws, "portLevelSettings", 2, |draws| {
        format!(
            "{{port: {{number: {}}}, {}}}",
            draws.of(PORTS),
            policy(draws)
        )
    });
    let subsets = list(draws, "subsets", 3, |draws| {
        let (name, label, own) = (draws.of(SUBSETS), draws.of(SUBSETS), policy(draws));
        format!("{{name: {name}, labels: {{version: {label}}}, trafficPolicy: {{{own}}}}}")
    });
    let selector = perhaps(draws, |draws| {
        format!(
            "workloadSelector: {{matchLabels: {{app: {}}}}}, ",
            draws.of(&["a", "b"])
        )
    });
    format!("host: {host}, {export}trafficPolicy: {{{all}{ports}}}, {subsets}{selector}")
}

fn port(draws: &mut Draws<'_>) -> String {
    let (number, protocol) = (draws.of(PORTS), draws.of(PROTOCOLS));
    format!("{{number: {number}, name: p{number}, protocol: {protocol}}}")
}

fn endpoint(draws: &mut Draws<'_>) -> String {
    let (address, version) = (draws.of(ADDRESSES), draws.of(SUBSETS));
    let place = perhaps(draws, |draws| {
        format!(", locality: {}/z", draws.of(&["a", "b"]))
    });
    let weight = perhaps(draws, |draws| format!(", weight: {}", draws.below(100)));
    format!("{{address: '{address}', labels: {{version: {version}}}{place}{weight}}}")
}

fn service_entry(draws: &mut Draws<'_>) -> String {
    let hosts = some(draws, "hosts", 2, |draws| quoted(draws, HOSTS));
    let addresses = list(draws, "addresses", 2, |draws| {
        quoted(draws, &["240.0.0.1", "10.1.0.0/16", "240.0.0.2"])
    });
    let ports = some(draws, "ports", 3, port);
    let (resolution, place) = (
        draws.of(&["STATIC", "DNS", "NONE", "DNS_ROUND_ROBIN"]),
        draws.of(&["MESH_INTERNAL", "MESH_EXTERNAL"]),
    );
    let endpoints = match draws.is_one_in(4) {
        true => format!(
            "workloadSelector: {{labels: {{app: {}}}}}, ",
            draws.of(&["a", "b"])
        ),
        false => list(draws, "endpoints", 4, endpoint),
    };
    format!("{hosts}{addresses}{ports}resolution: {resolution}, location: {place}, {endpoints}")
}

fn gateway(draws: &mut Draws<'_>) -> String {
    let servers = some(draws, "servers", 3, |draws| {
        let (port, host) = (port(draws), draws.of(HOSTS));
        let tls = perhaps(draws, |draws| {
            format!(
                "tls: {{mode: {}, credentialName: c, httpsRedirect: {}}}, ",
                draws.of(&["SIMPLE", "PASSTHROUGH", "MUTUAL"]),
                draws.is_one_in(2)
            )
        });
        format!(
            "{{port: {port}, {tls}hosts: ['{}{host}']}}",
            draws.of(&["", "n/", "*/", "./"])
        )
    });
    format!("selector: {{app: {}}}, {servers}", draws.of(&["a", "b"]))
}

fn sidecar(draws: &mut Draws<'_>) -> String {
    let selector = perhaps(draws, |draws| {
        format!(
            "workloadSelector: {{labels: {{app: {}}}}}, ",
            draws.of(&["a", "b"])
        )
    });
    let egress = list(draws, "egress", 3, |draws| {
        let bound = perhaps(draws, |draws| format!("port: {}, ", port(draws)));
        let hosts = some(draws, "hosts", 3, |draws| {
            format!("'{}/{}'", draws.of(&["*", ".", "n", "~"]), draws.of(HOSTS))
        });
        format!("{{{bound}{hosts}}}")
    });
    let ingress = list(draws, "ingress", 2, |draws| {
        format!(
            "{{port: {}, defaultEndpoint: '127.0.0.1:{}'}}",
            port(draws),
            draws.of(PORTS)
        )
    });
    let policy = perhaps(draws, |draws| {
        format!(
            "outboundTrafficPolicy: {{mode: {}}}, ",
            draws.of(&["REGISTRY_ONLY", "ALLOW_ANY"])
        )
    });
    [selector, egress, ingress, policy].concat()
}

fn workload(draws: &mut Draws<'_>) -> String {
    let (address, app, version) = (
        draws.of(ADDRESSES),
        draws.of(&["a", "b"]),
        draws.of(SUBSETS),
    );
    let ports = perhaps(draws, |draws| {
        format!("ports: {{p80: {}}}, ", draws.of(&["8080", "81"]))
    });
    format!("address: '{address}', {ports}labels: {{app: {app}, version: {version}}}")
}

fn service(draws: &mut Draws<'_>) -> String {
    let ports = some(draws, "ports", 2, |draws| {
        let (number, target) = (draws.of(PORTS), draws.of(PORTS));
        format!(
            "{{name: {}-{number}, port: {number}, targetPort: {target}}}",
            draws.of(&["http", "tcp", "grpc"])
        )
    });
    let address = perhaps(draws, |draws| {
        format!("clusterIP: {}, ", draws.of(&["240.0.0.1", "None"]))
    });
    format!(
        "{ports}{address}selector: {{app: {}}}",
        draws.of(&["a", "b"])
    )
}

fn peer_authentication(draws: &mut Draws<'_>) -> String {
    const MODES: &[&str] = &["STRICT", "PERMISSIVE", "DISABLE", "UNSET"];
    let selector = perhaps(draws, |draws| {
        format!(
            "selector: {{matchLabels: {{app: {}}}}}, ",
            draws.of(&["a", "b"])
        )
    });
    let ports = perhaps(draws, |draws| {
        format!(
            ", portLevelMtls: {{{}: {{mode: {}}}}}",
            draws.of(PORTS),
            draws.of(MODES)
        )
    });
    format!("{selector}mtls: {{mode: {}}}{ports}", draws.of(MODES))
}

fn authorization(draws: &mut Draws<'_>) -> String {
    let selector = perhaps(draws, |draws| {
        format!(
            "selector: {{matchLabels: {{app: {}}}}}, ",
            draws.of(&["a", "b"])
        )
    });
    let rules = list(draws, "rules", 2, |draws| {
        let (namespace, path, port) = (draws.of(NAMESPACES), draws.of(PATHS), draws.of(PORTS));
        format!(
            "{{from: [{{source: {{namespaces: [{namespace}]}}}}], to: [{{operation: {{paths: ['{path}*'], ports: ['{port}']}}}}]}}"
        )
    });
    format!(
        "{selector}action: {}, {rules}",
        draws.of(&["ALLOW", "DENY", "AUDIT"])
    )
}

fn telemetry(draws: &mut Draws<'_>) -> String {
    let tracing = perhaps(draws, |draws| {
        format!(
            "tracing: [{{randomSamplingPercentage: {}}}], ",
            draws.below(101)
        )
    });
    let logs = perhaps(draws, |draws| {
        format!(
            "accessLogging: [{{disabled: {}, filter: {{expression: 'response.code >= {}'}}}}], ",
            draws.is_one_in(2),
            draws.below(600)
        )
    });
    let metrics = perhaps(draws, |draws| {
        format!(
            "metrics: [{{overrides: [{{match: {{metric: {}, mode: CLIENT}}, disabled: {}}}]}}], ",
            draws.of(&["REQUEST_COUNT", "ALL_METRICS"]),
            draws.is_one_in(2)
        )
    });
    [tracing, logs, metrics].concat()
}
