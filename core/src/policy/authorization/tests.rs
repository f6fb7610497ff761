//! What every attribute of a request is, by tables.

use super::*;
use crate::compile::{Answers, Inbound, Workload, compile};
use crate::config::mesh::MeshConfig;
use crate::config::{Source, load};
use crate::peer::{ListenerKind, PeerCertificate, TlsVersion};
use crate::snapshot::Authorization;

fn policies(text: &str) -> Authorization {
    let source = Source {
        name: "f.yaml",
        bytes: text.as_bytes(),
    };
    let loaded = load(&[source], "default");
    let faults: Vec<_> = loaded.findings.iter().map(ToString::to_string).collect();
    assert!(
        !loaded
            .resources
            .authorization_policies
            .iter()
            .any(|p| p.meta.rejected),
        "{text}\n{faults:?}"
    );
    let inbound = [Inbound {
        listen: ([10, 0, 0, 1], 15006).into(),
        application: ([127, 0, 0, 1], 8080).into(),
    }];
    let compiled = compile(
        &loaded.resources,
        &Workload::default(),
        &MeshConfig::default(),
        &inbound,
        &Answers::new(),
        &mut crate::cluster::Registry::default(),
        0,
    );
    (*compiled.snapshot.authorization).clone()
}

/// One policy that denies by this rule.
fn denying(rule: &str) -> Authorization {
    policies(&format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a}}\n\
         spec: {{action: DENY, rules: [{rule}]}}\n"
    ))
}

fn tls(principal: &str, sni: Option<&str>) -> TlsFacts {
    TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "".into(),
        sni: sni.map(Into::into),
        alpn: None,
        resumed: false,
        peer: Some(PeerCertificate {
            uri_names: Box::new([format!("spiffe://{principal}").into()]),
            ..PeerCertificate::default()
        }),
    }
}

/// `GET host/path; name: value; …`.
fn request(text: &str) -> RequestHead {
    let mut parts = text.split("; ");
    let (method, target) = parts.next().and_then(|line| line.split_once(' ')).unwrap();
    let at = target.find('/').unwrap();
    let mut head = RequestHead {
        method: method.parse().unwrap(),
        authority: target[..at].into(),
        path: target[at..].into(),
        ..RequestHead::default()
    };
    for field in parts {
        let (name, value) = field.split_once(": ").unwrap();
        head.headers
            .append(name.as_bytes(), value.as_bytes())
            .unwrap();
    }
    head
}

const PEER: Peer = Peer {
    remote: core::net::SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 9)), 4000),
    local: core::net::SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1)), 15006),
    original: None,
    listener: ListenerKind::Inbound(0),
};

fn asking<'a>(request: &'a RequestHead, tls: Option<&'a TlsFacts>) -> Asking<'a> {
    Asking {
        peer: &PEER,
        port: 8080,
        tls,
        server_name: tls.and_then(|tls| tls.sni.as_deref()),
        request: Some((request, "http")),
        claims: None,
    }
}

#[test]
fn attributes_of_requests() {
    let operation = |fields: &str| format!("{{to: [{{operation: {{{fields}}}}}]}}");
    let source = |fields: &str| format!("{{from: [{{source: {{{fields}}}}}]}}");
    let when = |key: &str, values: &str| format!("{{when: [{{key: '{key}', {values}}}]}}");
    for (rule, matches, misses) in [
        (
            operation("methods: [GET, P*]"),
            &["GET a/", "POST a/", "PUT a/"][..],
            &["DELETE a/"][..],
        ),
        (operation("notMethods: [GET]"), &["POST a/"], &["GET a/"]),
        (
            operation("paths: [/a, /b*, '*.css', '/t/{*}/x']"),
            &[
                "GET a/a",
                "GET a/a?q=1",
                "GET a/b/c",
                "GET a/x.css",
                "GET a/t/1/x",
            ],
            &[
                "GET a/a/",
                "GET a/A",
                "GET a/x.css/",
                "GET a/t/1/2/x",
                "GET a/x?q=/a",
            ],
        ),
        (operation("paths: ['*']"), &["GET a/"], &[]),
        (
            operation("paths: [/a*], notPaths: [/a/public*]"),
            &["GET a/a/x"],
            &["GET a/a/public/x", "GET a/b"],
        ),
        (
            operation("hosts: [a.example, '*.b.example']"),
            &[
                "GET a.example/",
                "GET A.Example/",
                "GET a.example:8080/",
                "GET a.example./",
                "GET a.example.:80/",
                "GET x.B.example:1/",
            ],
            &["GET b.example/", "GET a.example.evil/", "GET xa.example/"],
        ),
        (
            operation("hosts: ['a.example:80', '*:9', '[::1]']"),
            &[
                "GET a.example/",
                "GET a.example:80/",
                "GET x:9/",
                "GET [::1]:7/",
            ],
            &["GET a.example:81/", "GET x/", "GET [::2]/"],
        ),
        (operation("ports: ['8080']"), &["GET a/"], &[]),
        (operation("ports: ['15006', '80']"), &[], &["GET a/"]),
        (
            when("request.headers[x-user]", "values: [jo, a*]"),
            &[
                "GET a/; x-user: jo",
                "GET a/; X-User: ab",
                "GET a/; x-user: max; x-user: jo",
            ],
            &[
                "GET a/",
                "GET a/; x-user: joe",
                "GET a/; x-user: max, jo",
                "GET a/; x-user: ",
            ],
        ),
        (
            when("request.headers[x-user]", "notValues: [jo]"),
            &["GET a/", "GET a/; x-user: max"],
            &["GET a/; x-user: jo", "GET a/; x-user: max; x-user: jo"],
        ),
        (
            when("request.headers[x-user]", "values: ['*']"),
            &["GET a/; x-user: jo", "GET a/; x-user: "],
            &["GET a/"],
        ),
        (
            when("request.headers[:method]", "values: [GET]"),
            &["GET a/"],
            &["PUT a/"],
        ),
        (
            source("ipBlocks: [10.0.0.0/24]"),
            &["GET a/", "GET a/; x-forwarded-for: 1.2.3.4"],
            &[],
        ),
        (
            source("remoteIpBlocks: [1.2.3.4]"),
            &["GET a/; x-forwarded-for: 9.9.9.9, 1.2.3.4"],
            &["GET a/", "GET a/; x-forwarded-for: 1.2.3.4, 9.9.9.9"],
        ),
        (
            source("notRemoteIpBlocks: [10.0.0.0/8]"),
            &["GET a/; x-forwarded-for: 1.2.3.4"],
            &["GET a/", "GET a/; x-forwarded-for: forged"],
        ),
        (
            when("remote.ip", "values: ['1.0.0.0/8']"),
            &["GET a/; x-forwarded-for: 1.2.3.4"],
            &["GET a/"],
        ),
        (when("source.ip", "values: [10.0.0.9]"), &["GET a/"], &[]),
        (
            when("destination.ip", "values: [10.0.0.1]"),
            &["GET a/"],
            &[],
        ),
        (
            when("destination.ip", "values: [127.0.0.1]"),
            &[],
            &["GET a/"],
        ),
        (
            when("destination.port", "values: ['8080']"),
            &["GET a/"],
            &[],
        ),
        (source("principals: ['*']"), &[], &["GET a/"]),
        (source("notPrincipals: ['*']"), &["GET a/"], &[]),
        (source("requestPrincipals: ['*']"), &[], &["GET a/"]),
        (source("notNamespaces: [a]"), &["GET a/"], &[]),
        (
            "{from: [{source: {ipBlocks: [9.9.9.9]}}, {source: {ipBlocks: [10.0.0.9]}}], \
             to: [{operation: {methods: [PUT]}}, {operation: {methods: [GET]}}], \
             when: [{key: source.ip, values: [10.0.0.9]}]}"
                .to_owned(),
            &["GET a/", "PUT a/"],
            &["POST a/"],
        ),
        ("{}".to_owned(), &["GET a/"], &[]),
    ] {
        let of = denying(&rule);
        for (requests, denied) in [(matches, true), (misses, false)] {
            for text in requests {
                let request = request(text);
                let seen = decide(&of.http, &asking(&request, None));
                assert_eq!(is_denied(seen), denied, "{rule}: {text}");
            }
        }
    }
}

#[test]
fn identities_of_clients() {
    let request = request("GET a/");
    let source = |fields: &str| format!("{{from: [{{source: {{{fields}}}}}]}}");
    let when =
        |key: &str, value: &str| format!("{{when: [{{key: '{key}', values: ['{value}']}}]}}");
    let (cart, sleep) = ("cluster.local/ns/shop/sa/cart", "td/ns/default/sa/sleep");
    for (rule, matches, misses) in [
        (
            source("principals: [cluster.local/ns/shop/sa/cart]"),
            &[cart][..],
            &[sleep][..],
        ),
        (source("principals: ['*/sa/cart']"), &[cart], &[sleep]),
        (source("principals: ['*']"), &[cart, sleep], &[]),
        (source("notPrincipals: ['*/sa/cart']"), &[sleep], &[cart]),
        (
            source("namespaces: [shop]"),
            &[cart],
            &[sleep, "td/ns/shops/sa/a", "td/x/shop/sa/a"],
        ),
        (
            source("namespaces: ['sh*']"),
            &[cart, "td/ns/shops/sa/a"],
            &[sleep],
        ),
        (
            source("namespaces: ['s.op']"),
            &["td/ns/s.op/sa/a"],
            &[cart],
        ),
        (
            source("serviceAccounts: [sleep]"),
            &[sleep],
            &[cart, "td/ns/other/sa/sleep"],
        ),
        (
            source("serviceAccounts: [shop/cart]"),
            &[cart],
            &[sleep, "td/ns/shop/sa/cart-1"],
        ),
        (
            source("serviceAccounts: [shop/cart]"),
            &["td/ns/shop/x/y/sa/cart/pod/a"],
            &[],
        ),
        (source("trustDomains: [td]"), &[sleep], &[cart]),
        (source("trustDomains: ['cluster.*']"), &[cart], &[sleep]),
        (
            when("source.principal", "cluster.local/ns/*"),
            &[cart],
            &[sleep],
        ),
        (when("source.namespace", "default"), &[sleep], &[cart]),
        (
            when("source.serviceAccount", "shop/cart"),
            &[cart],
            &[sleep],
        ),
        (when("source.trustDomain", "td"), &[sleep], &[cart]),
        (when("connection.sni", "*.example"), &[cart, sleep], &[]),
    ] {
        let of = denying(&rule);
        for (principals, denied) in [(matches, true), (misses, false)] {
            for principal in principals {
                let tls = tls(principal, Some("a.example"));
                let seen = decide(&of.http, &asking(&request, Some(&tls)));
                assert_eq!(is_denied(seen), denied, "{rule}: {principal}");
            }
        }
        let clear = decide(&of.http, &asking(&request, None));
        assert_eq!(is_denied(clear), rule.contains("not"), "{rule}: clear text");
    }
}

/// Whether the policies refuse it.
fn is_denied(seen: AuthorizationSeen) -> bool {
    matches!(seen.access, Access::Denied(_))
}

/// Two identities in one certificate are none (SPIFFE X.509-SVID §2).
#[test]
fn a_certificate_with_two_identities_proves_none() {
    let mut tls = tls("td/ns/a/sa/b", None);
    if let Some(peer) = &mut tls.peer {
        peer.uri_names = ["td/ns/a/sa/b", "td/ns/a/sa/c"]
            .map(|id| format!("spiffe://{id}").into())
            .into();
    }
    let request = request("GET a/");
    let of = denying("{from: [{source: {principals: ['*']}}]}");
    assert!(!is_denied(decide(&of.http, &asking(&request, Some(&tls)))));
}

#[test]
fn claims_of_tokens() {
    let text = |text: &str| Claim::Text(text.into());
    let list = |all: &[&str]| Claim::List(all.iter().map(|one| text(one)).collect());
    let inner = Claims::from([("b".into(), list(&["c", "d"]))]);
    let claims = Claims::from([
        ("iss".into(), text("https://id.example")),
        ("sub".into(), text("jo/x")),
        ("aud".into(), list(&["shop", "cart"])),
        ("azp".into(), text("web")),
        ("a".into(), Claim::Object(inner)),
    ]);
    let request = request("GET a/");
    for (key, value, matches) in [
        ("request.auth.principal", "https://id.example/*", true),
        ("request.auth.principal", "*", true),
        // Issuer and subject are two texts, whatever slashes they hold.
        ("request.auth.principal", "https://id.example/jo/x", false),
        ("request.auth.principal", "https://other.example/*", false),
        ("request.auth.audiences", "cart", true),
        ("request.auth.audiences", "c*", true),
        ("request.auth.audiences", "other", false),
        ("request.auth.presenter", "web", true),
        ("request.auth.claims[a][b]", "d", true),
        ("request.auth.claims[a][b]", "e", false),
        ("request.auth.claims[a]", "d", false),
        ("request.auth.claims[iss]", "https://id.example", true),
        ("request.auth.claims[none]", "*", false),
    ] {
        let of = denying(&format!(
            "{{when: [{{key: '{key}', values: ['{value}']}}]}}"
        ));
        let asking = Asking {
            claims: Some(&claims),
            ..asking(&request, None)
        };
        let seen = decide(&of.http, &asking);
        assert_eq!(is_denied(seen), matches, "{key} {value}");
    }
}

/// DENY before ALLOW; one ALLOW makes everything else forbidden; AUDIT and policies on trial change nothing.
#[test]
fn policies_are_asked_in_istios_order() {
    let policy = |name: &str, action: &str, tried: bool, rules: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
             metadata: {{name: {name}, annotations: {{istio.io/dry-run: '{tried}'}}}}\n\
             spec: {{action: {action}, rules: {rules}}}\n---\n"
        )
        .replace(", annotations: {istio.io/dry-run: 'false'}", "")
    };
    let paths = |path: &str| format!("[{{to: [{{operation: {{paths: ['{path}']}}}}]}}]");
    let of = policies(
        &[
            policy("deny", "DENY", false, &paths("/a/secret")),
            policy("allow", "ALLOW", false, &paths("/a/*")),
            policy("audit", "AUDIT", false, &paths("*")),
            policy("tried-deny", "DENY", true, &paths("/a/x")),
            policy("tried-allow", "ALLOW", true, &paths("/a/y")),
        ]
        .concat(),
    );
    for (path, access, tried) in [
        ("/a/secret", "denied by deny", "denied"),
        ("/a/x", "allowed by allow", "denied by tried-deny"),
        ("/a/y", "allowed by allow", "allowed by tried-allow"),
        ("/b", "denied", "denied"),
    ] {
        let request = request(&format!("GET a{path}"));
        let seen = decide(&of.http, &asking(&request, None));
        let told = |access: Access| {
            let (word, by) = match access {
                Access::Allowed(by) => ("allowed", by),
                Access::Denied(by) => ("denied", by),
            };
            let by = by.map(|by| of.name(by).text.to_string());
            let by = by.map(|by| {
                by.replace("ns[default]-policy[", " by ")
                    .replace("]-rule[0]", "")
            });
            format!("{word}{}", by.unwrap_or_default())
        };
        assert_eq!(told(seen.access), access, "{path}");
        assert_eq!(seen.tried.map(told).as_deref(), Some(tried), "{path}");
        assert!(seen.audited.is_some(), "{path}");
    }
}

/// What HTTP alone knows is no attribute of other connections; addresses and identities are.
#[test]
fn connections_without_http() {
    for (rule, denied) in [
        ("{from: [{source: {ipBlocks: [10.0.0.9]}}]}", true),
        ("{from: [{source: {remoteIpBlocks: [10.0.0.9]}}]}", true),
        ("{from: [{source: {namespaces: [shop]}}]}", true),
        ("{to: [{operation: {ports: ['8080']}}]}", true),
        (
            "{to: [{operation: {ports: ['80'], methods: [GET]}}]}",
            false,
        ),
        ("{to: [{operation: {methods: [GET]}}]}", true),
    ] {
        let tls = tls("td/ns/shop/sa/cart", None);
        let asking = Asking {
            peer: &PEER,
            port: 8080,
            tls: Some(&tls),
            server_name: tls.sni.as_deref(),
            request: None,
            claims: None,
        };
        let seen = decide(&denying(rule).tcp, &asking);
        assert_eq!(is_denied(seen), denied, "{rule}");
    }
}
