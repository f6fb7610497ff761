//! The plain model of authorization: every rule of every policy is held against the request as it is written, one after the other,
//! without a table, in Istio's order (Istio's security reference, AuthorizationPolicy). Random policies and requests of core's tests and
//! of the fuzzer are decided by it, and by what core compiles of the same policies.

#![allow(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "the model is fed what its users write"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile};
use outrigger_core::config::Resources;
use outrigger_core::config::authorization_policy::{
    AuthorizationPolicy, Condition, Operation, PolicyAction, Rule, Source, Values,
};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::meta::Meta;
use outrigger_core::decision::AuthorizationSeen;
use outrigger_core::jose::{Claim, Claims};
use outrigger_core::message::RequestHead;
use outrigger_core::peer::{ListenerKind, Peer, PeerCertificate, TlsFacts, TlsVersion};
use outrigger_core::policy::authorization::{Asking, decide};
use outrigger_core::snapshot::Authorization;

/// A request as the model sees it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its authority.
    pub host: &'a str,
    /// Its path, with its query.
    pub path: &'a str,
    /// Its other fields.
    pub fields: Vec<(&'a str, &'a str)>,
    /// The other end of the connection.
    pub source: [u8; 4],
    /// Trust domain, namespace, service account.
    pub identity: Option<(&'a str, &'a str, &'a str)>,
    /// Issuer, subject, group.
    pub token: Option<(&'a str, &'a str, &'a str)>,
}

/// The port that the application serves.
pub const PORT: u16 = 8080;

impl Request<'_> {
    fn field(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(of, _)| *of == name);
        named.map(|(_, value)| *value).collect()
    }

    fn principal(&self) -> Option<String> {
        let (domain, namespace, account) = self.identity?;
        Some(format!("{domain}/ns/{namespace}/sa/{account}"))
    }

    fn remote(&self) -> Ipv4Addr {
        let told = self.field("x-forwarded-for");
        let last = told.last().and_then(|text| text.rsplit(',').next());
        let last = last.and_then(|text| text.trim().parse().ok());
        last.unwrap_or_else(|| self.source.into())
    }

    fn host(&self) -> (String, String) {
        let (host, port) = self.host.split_once(':').unwrap_or((self.host, "80"));
        (without_last_dot(host).to_lowercase(), port.to_owned())
    }
}

/// A name is the same with a last dot, whoever writes it; the root has no other.
fn without_last_dot(name: &str) -> &str {
    let short = name.strip_suffix('.').filter(|name| !name.is_empty());
    short.unwrap_or(name)
}

/// Text with a wildcard at one end.
fn like(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => !text.is_empty(),
        (Some(end), _) => text.ends_with(end),
        (None, Some(begin)) => text.starts_with(begin),
        (None, None) => text == pattern,
    }
}

/// `{*}` is what has no slash and something else, `{**}` is anything: tried at every length.
fn like_template(template: &str, path: &str) -> bool {
    if let Some(rest) = template.strip_prefix("{**}") {
        return (0..=path.len()).any(|at| like_template(rest, &path[at..]));
    }
    if let Some(rest) = template.strip_prefix("{*}") {
        let segment = path.split('/').next().unwrap_or_default();
        return (1..=segment.len()).any(|at| like_template(rest, &path[at..]));
    }
    match (template.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => like_template(&template[1..], &path[1..]),
        _ => false,
    }
}

fn path(pattern: &str, request: &Request<'_>) -> bool {
    let path = request.path.split('?').next().unwrap_or_default();
    match pattern.contains('{') {
        true => like_template(pattern, path),
        false => like(pattern, path),
    }
}

fn host(pattern: &str, request: &Request<'_>) -> bool {
    let (host, port) = request.host();
    let (pattern, of) = pattern.split_once(':').unwrap_or((pattern, "*"));
    let pattern = without_last_dot(pattern).to_lowercase();
    like(&pattern, &host) && like(of, &port)
}

fn block(pattern: &str, address: Ipv4Addr) -> bool {
    let (base, bits) = pattern.split_once('/').unwrap_or((pattern, "32"));
    let base: Ipv4Addr = base.parse().unwrap();
    let bits: u32 = bits.parse().unwrap();
    (0..bits).all(|bit| {
        let of = |address: Ipv4Addr| u32::from(address) >> (31 - bit) & 1;
        of(base) == of(address)
    })
}

fn token(pattern: &str, request: &Request<'_>) -> bool {
    let Some((issuer, subject, _)) = request.token else {
        return false;
    };
    if pattern == "*" {
        return true;
    }
    let (of, who) = pattern.split_once('/').unwrap();
    like(of, issuer) && like(who, subject)
}

fn account(pattern: &str, policy: &AuthorizationPolicy, request: &Request<'_>) -> bool {
    let Some((_, namespace, account)) = request.identity else {
        return false;
    };
    let whole = match pattern.contains('/') {
        true => pattern.to_owned(),
        false => format!("{}/{pattern}", policy.meta.namespace),
    };
    whole == format!("{namespace}/{account}")
}

/// One of `any`, if there are some, and none of `none`.
fn meets(values: &Values, matches: impl Fn(&str) -> bool) -> bool {
    let positive = values.any.is_empty() || values.any.iter().any(|value| matches(value));
    positive && !values.none.iter().any(|value| matches(value))
}

fn source(source: &Source, policy: &AuthorizationPolicy, request: &Request<'_>) -> bool {
    let of_identity = |pattern: &str, part: Option<&str>| part.is_some_and(|p| like(pattern, p));
    let identity = request.identity;
    let principal = request.principal();
    meets(&source.principals, |p| of_identity(p, principal.as_deref()))
        && meets(&source.namespaces, |p| {
            of_identity(p, identity.map(|(_, n, _)| n))
        })
        && meets(&source.trust_domains, |p| {
            of_identity(p, identity.map(|(d, ..)| d))
        })
        && meets(&source.service_accounts, |p| account(p, policy, request))
        && meets(&source.request_principals, |p| token(p, request))
        && meets(&source.ip_blocks, |p| block(p, request.source.into()))
        && meets(&source.remote_ip_blocks, |p| block(p, request.remote()))
}

fn operation(operation: &Operation, request: &Request<'_>) -> bool {
    meets(&operation.methods, |p| like(p, request.method))
        && meets(&operation.paths, |p| path(p, request))
        && meets(&operation.hosts, |p| host(p, request))
        && meets(&operation.ports, |p| p == PORT.to_string())
}

fn condition(condition: &Condition, request: &Request<'_>) -> bool {
    meets(&condition.values, |pattern| match &*condition.key {
        "source.ip" => block(pattern, request.source.into()),
        "destination.port" => pattern == PORT.to_string(),
        "request.auth.claims[group]" => request
            .token
            .is_some_and(|(.., group)| like(pattern, group)),
        "request.headers[x-user]" => {
            let values = request.field("x-user");
            values
                .iter()
                .any(|value| pattern == "*" || like(pattern, value))
        }
        other => panic!("{other}"),
    })
}

fn rule(rule: &Rule, policy: &AuthorizationPolicy, request: &Request<'_>) -> bool {
    (rule.from.is_empty() || rule.from.iter().any(|s| source(s, policy, request)))
        && (rule.to.is_empty() || rule.to.iter().any(|o| operation(o, request)))
        && rule.when.iter().all(|c| condition(c, request))
}

/// The name of the first rule by name that matches, of the policies with this action.
pub fn first(
    policies: &[AuthorizationPolicy],
    action: PolicyAction,
    dry_run: bool,
    request: &Request<'_>,
) -> Option<String> {
    let acting = policies
        .iter()
        .filter(|p| p.action == action && p.dry_run == dry_run);
    let matching = acting.flat_map(|policy| {
        let rules = policy.rules.iter().enumerate();
        let rules = rules.filter(|(_, of)| rule(of, policy, request));
        rules.map(move |(at, _)| {
            let Meta {
                namespace, name, ..
            } = &policy.meta;
            format!("ns[{namespace}]-policy[{name}]-rule[{at}]")
        })
    });
    matching.min()
}

/// Whether it may pass, and the rule that says so.
pub fn access(
    policies: &[AuthorizationPolicy],
    dry_run: bool,
    request: &Request<'_>,
) -> (bool, Option<String>) {
    if let Some(by) = first(policies, PolicyAction::Deny, dry_run, request) {
        return (false, Some(by));
    }
    let allows = |p: &AuthorizationPolicy| p.action == PolicyAction::Allow && p.dry_run == dry_run;
    match first(policies, PolicyAction::Allow, dry_run, request) {
        Some(by) => (true, Some(by)),
        None => (!policies.iter().any(allows), None),
    }
}

/// The same policies, compiled.
pub fn settled(policies: &[AuthorizationPolicy]) -> Arc<Authorization> {
    let resources = Resources {
        authorization_policies: policies.to_vec(),
        ..Resources::default()
    };
    let inbound = [Inbound {
        listen: ([10, 0, 0, 1], 15006).into(),
        application: ([127, 0, 0, 1], PORT).into(),
    }];
    let compiled = compile(
        &resources,
        &Workload::default(),
        &MeshConfig::default(),
        &inbound,
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    compiled.snapshot.authorization
}

/// What is decided by them.
pub fn decided(policies: &Authorization, request: &Request<'_>) -> AuthorizationSeen {
    let mut head = RequestHead {
        method: request.method.parse().unwrap(),
        authority: request.host.into(),
        path: request.path.into(),
        ..RequestHead::default()
    };
    for (name, value) in &request.fields {
        head.headers
            .append(name.as_bytes(), value.as_bytes())
            .unwrap();
    }
    let tls = request.principal().map(|principal| TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "".into(),
        sni: None,
        alpn: None,
        resumed: false,
        peer: Some(PeerCertificate {
            uri_names: Box::new([format!("spiffe://{principal}").into()]),
            ..PeerCertificate::default()
        }),
    });
    let text = |text: &str| Claim::Text(text.into());
    let claims = request.token.map(|(issuer, subject, group)| {
        Claims::from([
            ("iss".into(), text(issuer)),
            ("sub".into(), text(subject)),
            ("group".into(), text(group)),
        ])
    });
    let peer = Peer {
        remote: SocketAddr::new(IpAddr::from(request.source), 4000),
        local: ([10, 0, 0, 1], 15006).into(),
        original: None,
        listener: ListenerKind::Inbound(0),
    };
    let asking = Asking {
        peer: &peer,
        port: PORT,
        tls: tls.as_ref(),
        server_name: tls.as_ref().and_then(|tls| tls.sni.as_deref()),
        request: Some((&head, "http")),
        claims: claims.as_ref(),
    };
    decide(&policies.http, &asking)
}
