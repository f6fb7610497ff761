//! Gateways that are compiled: which ports there are, what is found behind them, and what is told.

use std::fmt::Write as _;

use crate::cluster::Registry;
use crate::compile::{Answers, Carried, CarriedPorts, Compiled, Workload, compile};
use crate::config::mesh::MeshConfig;
use crate::config::{Source, load};
use crate::snapshot::{Action, ClientProof, GatewayServer, Snapshot};

const HEAD: &str = "apiVersion: networking.istio.io/v1\n";

fn gateway(name: &str, namespace: &str, servers: &str) -> String {
    format!(
        "{HEAD}kind: Gateway\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{selector: {{istio: edge}}, servers: [{servers}]}}\n---\n"
    )
}

fn rules(name: &str, spec: &str) -> String {
    format!(
        "{HEAD}kind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{{spec}}}\n---\n"
    )
}

fn http(hosts: &str) -> String {
    format!("{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [{hosts}]}}")
}

fn answer(status: u16) -> String {
    format!("directResponse: {{status: {status}}}")
}

fn compiled(yaml: &str, ports: CarriedPorts) -> Compiled {
    let source = Source {
        name: "f",
        bytes: yaml.as_bytes(),
    };
    let loaded = load(&[source], "shop");
    assert!(
        loaded.findings.iter().all(|f| !f.blocks()),
        "{:?}",
        loaded.findings
    );
    let workload = Workload {
        namespace: "edge".into(),
        labels: [("istio".to_owned(), "edge".to_owned())].into(),
        carries: Box::new(Carried {
            ports,
            trusted_hops: None,
        }),
        ..Workload::default()
    };
    let (mesh, registry) = (MeshConfig::default(), &mut Registry::default());
    compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &Answers::new(),
        registry,
        0,
    )
}

/// `80 shop.example: 200 404; …` of a snapshot: the statuses that a host's rules answer in their order.
fn shown(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for listener in &*snapshot.gateways {
        let _ = write!(text, "{}", listener.port);
        if let Some(place) = &listener.bind {
            let _ = write!(text, " {place}");
        }
        if let Some(tls) = &listener.tls {
            let names: Vec<String> = tls
                .servers
                .iter()
                .map(|server| {
                    let how = match &server.termination {
                        None => "passes",
                        Some(termination) => match termination.clients {
                            ClientProof::Nothing => "simple",
                            ClientProof::Optional(_) => "optional",
                            ClientProof::Required(_) => "mutual",
                            ClientProof::Mesh => "mesh",
                        },
                    };
                    format!("{} {how}", server.names.join(","))
                })
                .collect();
            let _ = write!(text, " [{}]", names.join("; "));
        }
        for server in &listener.servers {
            let GatewayServer::Http(hosts) = server else {
                continue;
            };
            for (host, entry) in hosts.iter() {
                let _ = write!(text, " {host}:");
                for rule in &*snapshot.virtual_host(entry.ports[0].virtual_host).rules {
                    let _ = match &*rule.action {
                        Action::Respond(to) => write!(text, " {}", to.status.as_u16()),
                        Action::Redirect(to) => write!(text, " {}", to.status.as_u16()),
                        Action::Forward(_) => write!(text, " forward"),
                    };
                }
            }
        }
        text.push('\n');
    }
    text
}

#[track_caller]
fn check(yaml: &str, want: &str, told: &[&str]) {
    let compiled = compiled(yaml, CarriedPorts::Every);
    assert_eq!(shown(&compiled.snapshot), want, "{yaml}");
    let found = compiled.findings.iter();
    let found: Vec<String> = found.map(|f| format!("{} {}", f.code, f.path)).collect();
    assert_eq!(found, told, "{yaml}");
}

#[test]
fn hosts_are_those_that_servers_and_rules_have_in_common() {
    let edge = |hosts: &str| gateway("g", "edge", &http(hosts));
    let of = |hosts: &str, gateways: &str| {
        rules(
            "a",
            &format!(
                "hosts: [{hosts}], gateways: [{gateways}], http: [{{{}}}]",
                answer(200)
            ),
        )
    };
    let mismatch = [
        "gateway-host-mismatch spec.hosts",
        "gateway-without-routes spec.servers[0].hosts",
    ];
    let bare = ["gateway-without-routes spec.servers[0].hosts"];
    for (server, hosts, gateways, want, told) in [
        ("a.test", "a.test", "edge/g", "80 a.test: 200\n", &[][..]),
        ("'*'", "a.test", "edge/g", "80 a.test: 200\n", &[]),
        ("A.test", "'*'", "edge/g", "80 a.test: 200\n", &[]),
        (
            "'*.test'",
            "'*.a.test', b.test",
            "edge/g",
            "80 b.test: 200 *.a.test: 200\n",
            &[],
        ),
        ("shop/a.test", "a.test", "edge/g", "80 a.test: 200\n", &[]),
        ("'*/a.test'", "a.test", "edge/g", "80 a.test: 200\n", &[]),
        ("./a.test", "a.test", "edge/g", "80\n", &mismatch),
        ("other/a.test", "a.test", "edge/g", "80\n", &mismatch),
        ("b.test", "a.test", "edge/g", "80\n", &mismatch),
        ("a.test", "a.test", "g", "80\n", &bare),
        ("a.test", "a.test", "edge/h", "80\n", &bare),
        ("a.test", "a.test", "mesh", "80\n", &bare),
        (
            "a.test",
            "a.test",
            "'mesh', g.edge.svc.cluster.local",
            "80 a.test: 200\n",
            &[],
        ),
    ] {
        check(&(edge(server) + &of(hosts, gateways)), want, told);
    }
}

#[test]
fn rules_of_one_host_are_put_together_and_those_for_everything_come_last() {
    let one = |name: &str, status: u16, more: &str| {
        let answer = answer(status);
        rules(
            name,
            &format!("hosts: [a.test], gateways: [edge/g], http: [{{{more}{answer}}}]"),
        )
    };
    let path = |path: &str| format!("match: [{{uri: {{prefix: {path}}}}}], ");
    let yaml = gateway("g", "edge", &http("a.test"))
        + &one("a", 201, "")
        + &one("b", 202, &path("/b"))
        + &one("c", 203, &path("/"))
        + &one("d", 204, &path("/d"));
    check(&yaml, "80 a.test: 202 204 201 203\n", &[]);
    // Entries that name gateways hold at those.
    let named = |gateway: &str| format!("match: [{{gateways: [{gateway}]}}], ");
    let yaml = gateway("g", "edge", &http("a.test"))
        + &one("a", 201, &named("edge/g"))
        + &one("b", 202, &named("mesh"))
        + &one("c", 203, "match: [{port: 8080}], ");
    check(&yaml, "80 a.test: 201\n", &[]);
}

#[test]
fn servers_share_ports_as_far_as_they_go_together() {
    let tcp = "{port: {number: 80, name: tcp, protocol: TCP}, hosts: ['*']}";
    let tls = |hosts: &str, mode: &str| {
        let name = hosts.trim_matches('\'').replace(['.', ',', ' ', '\''], "-");
        format!(
            "{{port: {{number: 443, name: {name}, protocol: HTTPS}}, hosts: [{hosts}], tls: {{{mode}}}}}"
        )
    };
    let bound = rules(
        "a",
        &format!(
            "hosts: ['*'], gateways: [edge/g], http: [{{{}}}]",
            answer(200)
        ),
    );
    let both = format!("{}, {tcp}", http("a.test"));
    check(
        &(gateway("g", "edge", &both) + &bound),
        "80 a.test: 200\n",
        &["gateway-conflict spec.servers[1].port.protocol"],
    );
    let simple = tls(
        "a.test",
        "mode: SIMPLE, serverCertificate: /c, privateKey: /k",
    );
    let again = tls(
        "'b.test', a.test",
        "mode: SIMPLE, serverCertificate: /d, privateKey: /k",
    );
    let mutual = tls(
        "c.test",
        "mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /a",
    );
    let pinned = tls(
        "d.test",
        "mode: MUTUAL, serverCertificate: /c, privateKey: /e, caCertificates: /a, verifyCertificateHash: [x]",
    );
    let passed = "{port: {number: 443, name: p, protocol: TLS}, hosts: ['*.test'], tls: {mode: PASSTHROUGH}}";
    let all = [&*simple, &again, &mutual, &pinned, passed].join(", ");
    check(
        &(gateway("g", "edge", &all) + &bound),
        "443 [a.test simple; c.test mutual; *.test passes] a.test: 200 c.test: 200\n",
        &[
            "gateway-conflict spec.servers[1].hosts",
            "gateway-tls-refused spec.servers[3].tls.verifyCertificateHash",
        ],
    );
}

#[test]
fn plain_requests_are_sent_to_https_where_a_server_says_so() {
    let server = "{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.test, b.test], tls: {httpsRedirect: true}}";
    let bound = rules(
        "a",
        &format!(
            "hosts: [a.test], gateways: [edge/g], http: [{{{}}}]",
            answer(200)
        ),
    );
    check(
        &(gateway("g", "edge", server) + &bound),
        "80 a.test: 301 200 b.test: 301\n",
        &[],
    );
}

#[test]
fn what_is_not_listened_on_or_selected_is_told() {
    let bound = rules(
        "a",
        &format!(
            "hosts: [a.test], gateways: [edge/g], http: [{{{}}}]",
            answer(200)
        ),
    );
    let yaml = gateway("g", "edge", &http("a.test")) + &bound;
    let compiled_for = |ports| {
        let compiled = compiled(&yaml, ports);
        let told: Vec<String> = compiled
            .findings
            .iter()
            .map(|f| f.code.to_string())
            .collect();
        (shown(&compiled.snapshot), told)
    };
    assert_eq!(compiled_for(CarriedPorts::Nothing), (String::new(), vec![]));
    let closed = (String::new(), vec!["gateway-port-closed".to_owned()]);
    assert_eq!(compiled_for(CarriedPorts::These(vec![8080])), closed);
    check(
        &yaml.replace("istio: edge", "istio: other"),
        "",
        &["gateway-not-selected spec.selector"],
    );
    check(
        &yaml.replace("selector: {istio: edge}, ", ""),
        "80 a.test: 200\n",
        &[],
    );
}

#[test]
fn servers_at_addresses_of_their_own_stand_apart() {
    let at = |bind: &str, port: u16, host: &str| {
        format!(
            "{{port: {{number: {port}, name: '{host}', protocol: HTTP}}, bind: '{bind}', hosts: [{host}]}}"
        )
    };
    let of = |name: &str, host: &str, status: u16| {
        let answer = answer(status);
        rules(
            name,
            &format!("hosts: [{host}], gateways: [edge/g], http: [{{{answer}}}]"),
        )
    };
    let servers = [
        at("", 80, "a.test"),
        at("10.0.0.9", 80, "b.test"),
        at("0.0.0.0", 80, "c.test"),
        at("unix:///run/g.sock", 0, "d.test"),
    ];
    let yaml = gateway("g", "edge", &servers.join(", "))
        + &of("a", "a.test", 201)
        + &of("b", "b.test", 202)
        + &of("c", "c.test", 203)
        + &of("d", "d.test", 204);
    let want = "0 unix:///run/g.sock d.test: 204\n80 a.test: 201 c.test: 203\n80 10.0.0.9:80 b.test: 202\n";
    check(&yaml, want, &[]);
    // A Unix socket needs no port on the command line.
    let compiled = compiled(&yaml, CarriedPorts::These(vec![81]));
    assert_eq!(
        shown(&compiled.snapshot),
        "0 unix:///run/g.sock d.test: 204\n"
    );
}

#[test]
fn claims_are_matched_where_tokens_are_checked() {
    let checked = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: a, namespace: edge}\nspec: {jwtRules: [{issuer: a, jwks: '{\"keys\":[]}'}]}\n---\n";
    for (field, checked, findings) in [
        (
            "headers",
            "",
            &["not-in-effect spec.http[0].match[0].headers"][..],
        ),
        (
            "withoutHeaders",
            "",
            &["not-in-effect spec.http[0].match[0].headers"],
        ),
        ("headers", checked, &[]),
    ] {
        let spec = format!(
            "hosts: [a.test], gateways: [edge/g], http: [{{match: [{{{field}: {{'@request.auth.claims.group': {{exact: a}}}}}}], {}}}, {{{}}}]",
            answer(201),
            answer(202)
        );
        check(
            &(gateway("g", "edge", &http("a.test")) + &rules("a", &spec) + checked),
            "80 a.test: 201 202\n",
            findings,
        );
    }
}
