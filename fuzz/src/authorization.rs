//! What must hold for policies as somebody writes them: they are read as what they say, and a compiled decision is the plain model's,
//! whatever policies and request they are. The fuzz target calls [`as_the_model`]; core's tests replay the corpus through it.

#[path = "authorization/model.rs"]
mod model;

use outrigger_core::config::authorization_policy::{
    AuthorizationPolicy, Condition, Operation, PolicyAction, Rule, Source, Values,
};
use outrigger_core::config::{Finding, Source as File, load};
use outrigger_core::decision::Access;
use outrigger_core::snapshot::AccessRuleId;

use crate::draws::Draws;
use model::{Request, access, decided, settled};

/// Letters that texts are made of: few, so that they often match, with those that mean something.
const TEXT: &[u8] = b"ab/.*{}:?";
const IDENTITY: &[u8] = b"ab";
const METHOD: &[u8] = b"GETP";
const HOST: &[u8] = b"abAB.";
const SEGMENTS: &[&str] = &["a", "b", "ab", ".", "", "{*}", "{**}", "a.b"];
const BLOCKS: &[&str] = &[
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.0/31",
    "1.2.3.4",
    "0.0.0.0/0",
    "128.0.0.0/1",
];
const PARTS: &[&str] = &["a", "b", "ab", "aa"];

impl Draws<'_> {
    /// At least one letter.
    fn text(&mut self, letters: &[u8], most: usize) -> String {
        let length = 1 + self.below(most);
        (0..length).map(|_| char::from(self.of(letters))).collect()
    }

    /// Text with a star at one end, or none; or nothing but a star.
    fn pattern(&mut self, letters: &[u8], most: usize) -> String {
        let text = self.text(letters, most);
        match self.below(5) {
            0 => format!("{text}*"),
            1 => format!("*{text}"),
            2 => "*".to_owned(),
            _ => text,
        }
    }

    /// A path, which may have wildcards of templates, or a star at one end.
    fn path(&mut self) -> String {
        let segments = self.several(4, |draws| draws.of(SEGMENTS));
        let path = format!("/{}", segments.join("/"));
        match self.below(4) {
            0 if !path.contains('{') => format!("{path}*"),
            1 if !path.contains('{') => format!("*{path}"),
            _ => path,
        }
    }

    fn values(&mut self, mut one: impl FnMut(&mut Self) -> String) -> Values {
        if !self.is_one_in(3) {
            return Values::default();
        }
        let first = one(self);
        let (mut any, mut none) = (self.several(2, &mut one), self.several(2, &mut one));
        match self.is_one_in(3) {
            true => none.push(first),
            false => any.push(first),
        }
        Values { any, none }
    }

    fn source(&mut self) -> Source {
        let mut source = Source {
            principals: self.values(|draws| match draws.below(3) {
                0 => format!(
                    "{}/ns/{}/sa/{}",
                    draws.of(PARTS),
                    draws.of(PARTS),
                    draws.of(PARTS)
                ),
                1 => format!("*/sa/{}", draws.of(PARTS)),
                _ => draws.pattern(IDENTITY, 4),
            }),
            request_principals: self.values(|draws| match draws.below(3) {
                0 => "*".to_owned(),
                1 => {
                    // Behind an issuer a wildcard stands at the end, or is none.
                    let (issuer, subject) = (draws.of(PARTS), draws.pattern(IDENTITY, 2));
                    let subject = match subject.strip_prefix('*') {
                        Some(rest) if !rest.is_empty() => rest,
                        Some(_) | None => &subject,
                    };
                    format!("{issuer}/{subject}")
                }
                _ => format!("*/{}", draws.of(PARTS)),
            }),
            namespaces: self.values(|draws| draws.pattern(IDENTITY, 3)),
            trust_domains: self.values(|draws| draws.pattern(IDENTITY, 3)),
            ip_blocks: self.values(|draws| draws.of(BLOCKS).to_owned()),
            remote_ip_blocks: self.values(|draws| draws.of(BLOCKS).to_owned()),
            ..Source::default()
        };
        // Istio has these by themselves.
        if source.principals == Values::default() && source.namespaces == Values::default() {
            source.service_accounts = self.values(|draws| match draws.below(2) {
                0 => draws.of(PARTS).to_owned(),
                _ => format!("{}/{}", draws.of(PARTS), draws.of(PARTS)),
            });
        }
        if source == Source::default() {
            source.namespaces.any.push("a".to_owned());
        }
        source
    }

    fn operation(&mut self) -> Operation {
        let mut operation = Operation {
            hosts: self.values(|draws| match draws.below(3) {
                0 => format!("{}:{}", draws.text(HOST, 3), draws.of(&["80", "*", "8080"])),
                _ => draws.pattern(HOST, 4),
            }),
            ports: self.values(|draws| draws.of(&["8080", "80"]).to_owned()),
            methods: self.values(|draws| draws.pattern(METHOD, 4)),
            paths: self.values(Self::path),
        };
        if operation == Operation::default() {
            operation.methods.any.push("GET".to_owned());
        }
        operation
    }

    fn condition(&mut self) -> Condition {
        let key = self.of(&[
            "source.ip",
            "destination.port",
            "request.auth.claims[group]",
            "request.headers[x-user]",
        ]);
        let one = |draws: &mut Self| match key {
            "source.ip" => draws.of(BLOCKS).to_owned(),
            "destination.port" => draws.of(&["8080", "80"]).to_owned(),
            _ => draws.pattern(IDENTITY, 3),
        };
        let mut any = self.several(2, one);
        let none = self.several(2, one);
        if any.is_empty() && none.is_empty() {
            any.push(one(self));
        }
        Condition {
            key: key.into(),
            values: Values { any, none },
        }
    }

    fn policy(&mut self, name: String) -> AuthorizationPolicy {
        let action = self.of(&[PolicyAction::Allow, PolicyAction::Deny, PolicyAction::Audit]);
        let mut policy = AuthorizationPolicy {
            action,
            dry_run: self.is_one_in(4) && action != PolicyAction::Audit,
            rules: self.several(3, |draws| Rule {
                from: draws.several(2, Self::source),
                to: draws.several(2, Self::operation),
                when: draws.several(2, Self::condition),
            }),
            ..AuthorizationPolicy::default()
        };
        policy.meta.name = name;
        policy.meta.namespace = "default".into();
        policy
    }
}

/// Policies and requests that the bytes say: the policies are read from YAML and compiled, and each request is decided twice. Whether
/// the policies are such as are read.
pub fn as_the_model(bytes: &[u8]) -> bool {
    let mut draws = Draws(bytes);
    let count = draws.below(4);
    let written: Vec<_> = (0..count)
        .map(|at| draws.policy(format!("p{at}")))
        .collect();
    let yaml: String = written.iter().map(yaml).collect();
    let file = File {
        name: "policies.yaml",
        bytes: yaml.as_bytes(),
    };
    let loaded = load(&[file], "default");
    if loaded.findings.iter().any(Finding::blocks) {
        // What is refused is refused; that it then lets nobody in is core's own test.
        return false;
    }
    let read = &loaded.resources.authorization_policies;
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(read.rules, written.rules, "{yaml}");
        assert_eq!(
            (read.action, read.dry_run),
            (written.action, written.dry_run),
            "{yaml}"
        );
    }
    let settled = settled(read);
    let name = |id: AccessRuleId| settled.name(id).text.to_string();
    for _ in 0..=draws.below(4) {
        let (method, host) = (
            draws.of(&["GET", "PUT", "G", "TT"]),
            draws.text(b"abAB.:80", 6),
        );
        let path = format!("/{}", draws.text(TEXT, 8));
        let fields = draws.several(3, |draws| match draws.below(2) {
            0 => ("x-user", draws.of(PARTS)),
            _ => (
                "x-forwarded-for",
                draws.of(&["1.2.3.4", "1.2.3.4, 10.0.0.1", "?"]),
            ),
        });
        let three = |draws: &mut Draws<'_>| (draws.of(PARTS), draws.of(PARTS), draws.of(PARTS));
        let request = Request {
            method,
            host: &host,
            path: &path,
            fields,
            source: draws.of(&[[10, 0, 0, 1], [10, 0, 0, 2], [1, 2, 3, 4]]),
            identity: draws.is_one_in(2).then(|| three(&mut draws)),
            token: draws.is_one_in(2).then(|| three(&mut draws)),
        };
        if !is_host(&host) {
            continue;
        }
        let seen = decided(&settled, &request);
        let told = match seen.access {
            Access::Allowed(by) => (true, by.map(name)),
            Access::Denied(by) => (false, by.map(name)),
        };
        assert_eq!(told, access(read, false, &request), "{request:?}\n{yaml}");
    }
    true
}

/// A host and perhaps a port, as codecs let in: nothing else is asked about.
fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    !name.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn yaml(policy: &AuthorizationPolicy) -> String {
    let AuthorizationPolicy {
        meta,
        action,
        dry_run,
        rules,
        ..
    } = policy;
    let action = match action {
        PolicyAction::Allow => "ALLOW",
        PolicyAction::Deny => "DENY",
        PolicyAction::Audit => "AUDIT",
        PolicyAction::Custom => "CUSTOM",
    };
    let rules = list("rules", rules, |rule| {
        let parts = [
            list("from", &rule.from, |one| {
                format!("{{source: {{{}}}}}", source(one))
            }),
            list("to", &rule.to, |one| {
                format!("{{operation: {{{}}}}}", operation(one))
            }),
            list("when", &rule.when, |one| {
                let values = values("values", "notValues", &one.values);
                format!("{{key: '{}', {values}}}", one.key)
            }),
        ];
        format!("{{{}}}", parts.concat())
    });
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {}, namespace: default, \
         annotations: {{istio.io/dry-run: '{dry_run}'}}}}\nspec: {{action: {action}, {rules}}}\n---\n",
        meta.name
    )
}

/// A field that is a list; nothing where it is empty.
fn list<T>(name: &str, all: &[T], one: impl Fn(&T) -> String) -> String {
    let all: Vec<String> = all.iter().map(one).collect();
    match &*all {
        [] => String::new(),
        all => format!("{name}: [{}], ", all.join(", ")),
    }
}

fn values(any: &str, none: &str, values: &Values) -> String {
    let quoted = |text: &String| format!("\"{text}\"");
    list(any, &values.any, quoted) + &list(none, &values.none, quoted)
}

fn source(source: &Source) -> String {
    [
        values("principals", "notPrincipals", &source.principals),
        values(
            "requestPrincipals",
            "notRequestPrincipals",
            &source.request_principals,
        ),
        values("namespaces", "notNamespaces", &source.namespaces),
        values(
            "serviceAccounts",
            "notServiceAccounts",
            &source.service_accounts,
        ),
        values("trustDomains", "notTrustDomains", &source.trust_domains),
        values("ipBlocks", "notIpBlocks", &source.ip_blocks),
        values(
            "remoteIpBlocks",
            "notRemoteIpBlocks",
            &source.remote_ip_blocks,
        ),
    ]
    .concat()
}

fn operation(operation: &Operation) -> String {
    [
        values("hosts", "notHosts", &operation.hosts),
        values("ports", "notPorts", &operation.ports),
        values("methods", "notMethods", &operation.methods),
        values("paths", "notPaths", &operation.paths),
    ]
    .concat()
}
