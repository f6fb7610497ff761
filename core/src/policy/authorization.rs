//! Whether a client may ask for what it asks for: AuthorizationPolicies as Istio has Envoy evaluate them.
//!
//! Owns the order (AUDIT, DENY, ALLOW) and what every attribute of a request is. Policies are settled in the snapshot. A
//! function over arguments: the path is normalised before, and a host is compared in its canonical form.

use core::cell::OnceCell;
use core::net::IpAddr;

use memchr::memchr;

use super::authority::{self, HostText};
use super::hash::request_hash::client_address;
use crate::decision::{Access, AuthorizationSeen};
use crate::jose::{Claim, Claims};
use crate::message::RequestHead;
use crate::peer::{AddressRange, Peer, TlsFacts};
use crate::snapshot::{
    AccessRule, AccessRuleId, AccessRules, Check, HostPattern, MatchedField, Probed, RuleSet, Test,
    TextPattern, TokenPrincipal,
};

/// What is known of who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Who connected, and where.
    pub peer: &'a Peer,
    /// The port that the application serves.
    pub port: u16,
    /// What TLS on the connection proves; `None` for clear text.
    pub tls: Option<&'a TlsFacts>,
    /// The name that the client asks for in TLS, which may end here or pass through.
    pub server_name: Option<&'a str>,
    /// The request, normalised, and its scheme; `None` for a connection that carries no HTTP.
    pub request: Option<(&'a RequestHead, &'static str)>,
    /// What a token of the request says that was found good.
    pub claims: Option<&'a Claims>,
}

/// Whether a rule of a set matches.
#[must_use]
pub fn matches(rules: &RuleSet, asking: &Asking<'_>) -> bool {
    first(rules, &Asked::of(asking)).is_some()
}

/// Decides.
#[must_use]
pub fn decide(rules: &AccessRules, asking: &Asking<'_>) -> AuthorizationSeen {
    let asking = &Asked::of(asking);
    let audited = first(&rules.audit, asking);
    let tries = rules.tried_allow.is_some() || !rules.tried_deny.rules.is_empty();
    AuthorizationSeen {
        access: access(&rules.deny, rules.allow.as_ref(), asking),
        tried: tries.then(|| access(&rules.tried_deny, rules.tried_allow.as_ref(), asking)),
        audited,
    }
}

fn access(deny: &RuleSet, allow: Option<&RuleSet>, asking: &Asked<'_>) -> Access {
    if let Some(by) = first(deny, asking) {
        return Access::Denied(Some(by));
    }
    let Some(allow) = allow else {
        return Access::Allowed(None);
    };
    match first(allow, asking) {
        Some(by) => Access::Allowed(Some(by)),
        None => Access::Denied(None),
    }
}

/// The first rule of a set that matches.
fn first(set: &RuleSet, asking: &Asked<'_>) -> Option<AccessRuleId> {
    let holds = |at: u32| rule_holds(&set.rules[at as usize], asking);
    let mut always = set.index.always().iter().copied();
    let mut best = always.find(|at| holds(*at));
    for (number, probe) in set.index.probes().iter().enumerate() {
        asking.with_text(probe.what, |text| {
            let part = probe.part.of(text);
            let Some(part) = part.filter(|part| set.index.may_find(number, part)) else {
                return;
            };
            for at in set.index.find(number, part) {
                if best.is_none_or(|best| at < best) && holds(at) {
                    best = Some(at);
                }
            }
        });
    }
    best.map(|at| set.rules[at as usize].id)
}

fn rule_holds(rule: &AccessRule, asking: &Asked<'_>) -> bool {
    let all = |tests: &[Test]| tests.iter().all(|test| asking.passes(test));
    let any = |alternatives: &[Box<[Test]>]| {
        alternatives.is_empty() || alternatives.iter().any(|tests| all(tests))
    };
    any(&rule.from) && any(&rule.to) && all(&rule.when)
}

/// The same, and what many rules look at.
struct Asked<'a> {
    asking: Asking<'a>,
    /// The request's path without its query.
    path: Option<&'a [u8]>,
    /// The client's identity, which has text.
    principal: Option<&'a str>,
    /// The namespace of that, once somebody has asked for it.
    namespace: OnceCell<Option<&'a str>>,
}

impl<'a> Asked<'a> {
    fn of(asking: &Asking<'a>) -> Self {
        Self {
            asking: *asking,
            path: asking.request.map(|(request, _)| request.path_only()),
            principal: principal_of(asking).filter(|principal| !principal.is_empty()),
            namespace: OnceCell::new(),
        }
    }

    fn namespace(&self) -> Option<&'a str> {
        let of = || self.principal.and_then(namespace_of);
        *self.namespace.get_or_init(of)
    }

    fn remote(&self) -> IpAddr {
        match self.asking.request {
            Some((request, _)) => client_address(request, self.asking.peer.remote),
            None => self.asking.peer.remote.ip(),
        }
    }

    /// Host in canonical form, and the port that is meant: the scheme's where the authority has none.
    fn host(&self) -> Option<(HostText, u16)> {
        let (request, scheme) = self.asking.request?;
        let (host, port) = authority::split(&request.authority);
        let otherwise = if scheme == "https" { 443 } else { 80 };
        Some((authority::canonical_host(host), port.unwrap_or(otherwise)))
    }

    /// What an index looks up.
    fn with_text(&self, what: Probed, look: impl FnOnce(&[u8])) {
        match what {
            Probed::Path => {
                if let Some(path) = self.path {
                    look(path);
                }
            }
            Probed::Method => {
                if let Some((request, _)) = self.asking.request {
                    look(request.method.as_str().as_bytes());
                }
            }
            Probed::Host => {
                if let Some((host, _)) = self.host() {
                    look(&host);
                }
            }
            Probed::Port => look(&self.asking.port.to_be_bytes()),
            Probed::Principal => {
                if let Some(principal) = self.principal {
                    look(principal.as_bytes());
                }
            }
            Probed::Namespace => {
                if let Some(namespace) = self.namespace() {
                    look(namespace.as_bytes());
                }
            }
        }
    }

    fn passes(&self, test: &Test) -> bool {
        self.holds(&test.check) != test.negated
    }

    fn holds(&self, check: &Check) -> bool {
        let has = |ranges: &[AddressRange], address: IpAddr| {
            ranges.iter().any(|range| range.has(address))
        };
        let of_peer = |texts: &[TextPattern], part: fn(&str) -> Option<&str>| {
            let part = self.principal.and_then(part);
            part.is_some_and(|part| any_matches(texts, part.as_bytes()))
        };
        match check {
            Check::SourceIp(ranges) => has(ranges, self.asking.peer.remote.ip()),
            Check::RemoteIp(ranges) => has(ranges, self.remote()),
            Check::DestinationIp(ranges) => has(ranges, self.asking.peer.destination().ip()),
            Check::DestinationPort(ports) => ports.contains(&self.asking.port),
            Check::Principal(texts) => of_peer(texts, |principal| Some(principal)),
            Check::Namespace(texts) => {
                let namespace = self.namespace();
                namespace.is_some_and(|namespace| any_matches(texts, namespace.as_bytes()))
            }
            Check::TrustDomain(texts) => of_peer(texts, trust_domain_of),
            Check::ServiceAccount(accounts) => {
                let of_peer = self.principal.and_then(account_of);
                of_peer.is_some_and(|(namespace, account)| {
                    let mut accounts = accounts.iter();
                    accounts.any(|(ns, name)| **ns == *namespace && **name == *account)
                })
            }
            Check::TokenPrincipal(principals) => self.has_token_of(principals),
            Check::Claim(path, texts) => {
                let claim = self
                    .asking
                    .claims
                    .and_then(|claims| Claim::at(claims, path));
                claim.is_some_and(|claim| {
                    let mut values = claim.texts();
                    values.any(|value| any_matches(texts, value.as_bytes()))
                })
            }
            Check::Field(name, texts) => self.has_field(name, texts),
            Check::Method(texts) => {
                let method = self.asking.request.map(|(request, _)| &request.method);
                method.is_some_and(|method| any_matches(texts, method.as_str().as_bytes()))
            }
            Check::Host(hosts) => self.asks_for(hosts),
            Check::Path(paths) => {
                let matches = |path| paths.iter().any(|wanted| wanted.matches(path));
                self.path.is_some_and(matches)
            }
            Check::Sni(texts) => {
                let sni = self.asking.server_name;
                sni.is_some_and(|sni| any_matches(texts, sni.as_bytes()))
            }
        }
    }

    fn has_token_of(&self, principals: &[TokenPrincipal]) -> bool {
        let Some(claims) = self.asking.claims else {
            return false;
        };
        let text = |name| claims.get(name).and_then(Claim::text);
        let (issuer, subject) = (text("iss"), text("sub"));
        let matches = |wanted: &TextPattern, text: Option<&str>| {
            text.is_some_and(|text| wanted.matches(text.as_bytes()))
        };
        principals
            .iter()
            .any(|wanted| matches(&wanted.issuer, issuer) && matches(&wanted.subject, subject))
    }

    /// Whether one of the values of a field matches: each is judged by itself.
    fn has_field(&self, name: &MatchedField, texts: &[TextPattern]) -> bool {
        let Some((request, scheme)) = self.asking.request else {
            return false;
        };
        let matches = |value: &[u8]| {
            // A field that is there and empty is there.
            let is_there = texts.contains(&TextPattern::Present);
            is_there || any_matches(texts, value)
        };
        match name {
            MatchedField::Field(name) => request.headers.find_all(name).any(matches),
            MatchedField::Method => matches(request.method.as_str().as_bytes()),
            MatchedField::Path => matches(&request.path),
            MatchedField::Authority => matches(&request.authority),
            MatchedField::Scheme => matches(scheme.as_bytes()),
        }
    }

    fn asks_for(&self, hosts: &[HostPattern]) -> bool {
        let Some((host, port)) = self.host() else {
            return false;
        };
        let is_port = |wanted: &TextPattern| {
            let mut digits = [0; 20];
            wanted.matches(crate::message::digits::<10>(port.into(), &mut digits))
        };
        let mut hosts = hosts.iter();
        hosts.any(|wanted| wanted.host.matches(&host) && wanted.port.as_ref().is_none_or(is_port))
    }
}

fn any_matches(texts: &[TextPattern], text: &[u8]) -> bool {
    texts.iter().any(|wanted| wanted.matches(text))
}

fn principal_of<'a>(asking: &Asking<'a>) -> Option<&'a str> {
    asking.tls?.peer.as_ref()?.principal()
}

/// What stands before a slash, and behind it.
fn at_slash(text: &str) -> Option<(&str, &str)> {
    let at = memchr(b'/', text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// What stands behind the first part of a path that has this name. Identities are short, and of the many ways to look for a text
/// this one has nothing to prepare.
fn behind<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, mut rest) = at_slash(text)?;
    loop {
        let (part, behind) = at_slash(rest)?;
        if part == name {
            return Some(behind);
        }
        rest = behind;
    }
}

fn trust_domain_of(principal: &str) -> Option<&str> {
    Some(at_slash(principal)?.0)
}

/// The namespace of an identity, which something stands behind.
fn namespace_of(principal: &str) -> Option<&str> {
    Some(at_slash(behind(principal, "ns")?)?.0)
}

/// Namespace and service account of an identity.
fn account_of(principal: &str) -> Option<(&str, &str)> {
    let (namespace, rest) = at_slash(behind(principal, "ns")?)?;
    let rest = match rest.strip_prefix("sa/") {
        Some(account) => account,
        None => behind(rest, "sa")?,
    };
    let (account, _) = at_slash(rest).unwrap_or((rest, ""));
    Some((namespace, account))
}

#[cfg(test)]
mod tests;
