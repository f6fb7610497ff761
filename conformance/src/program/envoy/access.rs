//! From AuthorizationPolicies to Envoy's RBAC filters, as Istio's control plane makes them (`pilot/pkg/security/authz`): one
//! that denies, and one that allows, if anything does.
//!
//! A test's Envoy stands on another port and address
//! than the case's application, so what a policy says of these is settled here.

use outrigger_core::peer::AddressRange;
use outrigger_core::snapshot::{
    AccessRule, Authorization, Check, HostPattern, MatchedField, PathPattern, RuleSet, Snapshot,
    TemplatePiece, Test, TextPattern, TokenPrincipal,
};
use serde_json::{Value, json};

use super::words::{extension, type_url};
use super::{Derived, tokens};

/// The filter's name.
pub(super) const FILTER: &str = "envoy.filters.http.rbac";
/// What it is configured with.
pub(super) const KIND: &str = "envoy.extensions.filters.http.rbac.v3.RBAC";

/// The filters of an inbound listener, in the order in which they look at a request.
pub(super) fn filters(snapshot: &Snapshot) -> Derived<Vec<Value>> {
    let policies = &*snapshot.authorization;
    let mut filters = Vec::new();
    let rules = &policies.http;
    if !rules.deny.rules.is_empty() || !rules.tried_deny.rules.is_empty() {
        let tried = (!rules.tried_deny.rules.is_empty()).then_some(&rules.tried_deny);
        let denies = (!rules.deny.rules.is_empty()).then_some(&rules.deny);
        filters.push(filter("DENY", denies, tried, policies)?);
    }
    if rules.allow.is_some() || rules.tried_allow.is_some() {
        let (allow, tried) = (rules.allow.as_ref(), rules.tried_allow.as_ref());
        filters.push(filter("ALLOW", allow, tried, policies)?);
    }
    Ok(filters)
}

fn filter(
    action: &str,
    rules: Option<&RuleSet>,
    tried: Option<&RuleSet>,
    policies: &Authorization,
) -> Derived<Value> {
    let mut config =
        json!({ "shadow_rules_stat_prefix": format!("istio_dry_run_{}_", action.to_lowercase()) });
    if let Some(rules) = rules {
        config["rules"] = self::rules(action, "", rules, policies)?;
    }
    if let Some(tried) = tried {
        config["shadow_rules"] = self::rules(action, "", tried, policies)?;
    }
    Ok(extension(FILTER, KIND, config))
}

/// Rules by their names, before which `prefix` stands.
pub(super) fn rules(
    action: &str,
    prefix: &str,
    set: &RuleSet,
    policies: &Authorization,
) -> Derived<Value> {
    let named = set.rules.iter().map(|rule| {
        let name = format!("{prefix}{}", policies.name(rule.id).text);
        Ok((name, policy(rule, policies)?))
    });
    let named = named.collect::<Derived<serde_json::Map<_, _>>>()?;
    Ok(json!({ "action": action, "policies": named }))
}

/// One rule. Istio puts conditions to what they are about; either side takes all of them here, as principals can say
/// everything that these cases ask for.
fn policy(rule: &AccessRule, policies: &Authorization) -> Derived<Value> {
    let of = |alternatives: &[Box<[Test]>], side: Side| -> Derived<Vec<Value>> {
        let list = alternatives.iter();
        let list = list.map(|tests| all(tests, side, policies));
        list.collect()
    };
    let any = || vec![json!({ "any": true })];
    let or_any = |list: Vec<Value>| if list.is_empty() { any() } else { list };
    let mut principals = or_any(of(&rule.from, Side::Principal)?);
    let mut permissions = or_any(of(&rule.to, Side::Permission)?);
    for test in &rule.when {
        let side = match &test.check {
            Check::DestinationIp(_) | Check::DestinationPort(_) | Check::Sni(_) => Side::Permission,
            _ => Side::Principal,
        };
        let (list, key, ids) = match side {
            Side::Permission => (&mut permissions, "and_rules", "rules"),
            Side::Principal => (&mut principals, "and_ids", "ids"),
        };
        let condition = one(test, side, policies)?;
        for entry in list {
            *entry = json!({ key: { ids: [entry.take(), condition.clone()] } });
        }
    }
    Ok(json!({ "permissions": permissions, "principals": principals }))
}

#[derive(Clone, Copy)]
enum Side {
    Permission,
    Principal,
}

impl Side {
    const fn and(self) -> (&'static str, &'static str) {
        match self {
            Self::Permission => ("and_rules", "rules"),
            Self::Principal => ("and_ids", "ids"),
        }
    }

    const fn or(self) -> (&'static str, &'static str) {
        match self {
            Self::Permission => ("or_rules", "rules"),
            Self::Principal => ("or_ids", "ids"),
        }
    }

    const fn not(self) -> &'static str {
        match self {
            Self::Permission => "not_rule",
            Self::Principal => "not_id",
        }
    }

    fn constant(self, holds: bool) -> Value {
        let any = json!({ "any": true });
        if holds {
            any
        } else {
            json!({ self.not(): any })
        }
    }
}

fn all(tests: &[Test], side: Side, policies: &Authorization) -> Derived<Value> {
    let list = tests.iter().map(|test| one(test, side, policies));
    let list = list.collect::<Derived<Vec<_>>>()?;
    let (and, ids) = side.and();
    Ok(match list.is_empty() {
        true => side.constant(true),
        false => json!({ and: { ids: list } }),
    })
}

fn one(test: &Test, side: Side, policies: &Authorization) -> Derived<Value> {
    let values = match &test.check {
        Check::SourceIp(ranges) => ranges_of("direct_remote_ip", ranges),
        Check::RemoteIp(ranges) => ranges_of("remote_ip", ranges),
        Check::DestinationIp(_) => {
            return Err("Envoy stands at another address than the case's application");
        }
        Check::DestinationPort(ports) => {
            let is_one = policies
                .ports
                .first()
                .is_some_and(|port| ports.contains(port));
            vec![side.constant(is_one)]
        }
        Check::Principal(texts) => texts.iter().map(principal).collect(),
        Check::Namespace(texts) => parts(texts, "[^/]+/ns/", "/.*"),
        Check::TrustDomain(texts) => parts(texts, "", "/.*"),
        Check::ServiceAccount(accounts) => accounts
            .iter()
            .map(|(namespace, account)| {
                let [namespace, account] = [namespace, account].map(|text| quoted(text));
                identity(&format!("[^/]+/ns/{namespace}/sa/{account}"))
            })
            .collect(),
        Check::Sni(texts) => texts
            .iter()
            .map(|text| json!({ "requested_server_name": text_match(text, false) }))
            .collect(),
        Check::TokenPrincipal(principals) => principals.iter().map(token_principal).collect(),
        Check::Claim(path, texts) => {
            let path: Vec<&str> = path.iter().map(|name| &**name).collect();
            texts.iter().map(|text| claim(&path, text)).collect()
        }
        Check::Field(name, texts) => texts
            .iter()
            .map(|text| header(field(name), text, false))
            .collect(),
        Check::Method(texts) => texts
            .iter()
            .map(|text| header(":method", text, false))
            .collect(),
        Check::Host(hosts) => hosts.iter().map(host).collect(),
        Check::Path(paths) => paths.iter().map(path).collect(),
    };
    let (or, ids) = side.or();
    let holds = json!({ or: { ids: values } });
    Ok(match test.negated {
        true => json!({ side.not(): holds }),
        false => holds,
    })
}

/// A token of this issuer about this subject.
fn token_principal(principal: &TokenPrincipal) -> Value {
    let of = [("iss", &principal.issuer), ("sub", &principal.subject)];
    json!({ "and_ids": { "ids": of.map(|(name, text)| claim(&[name], text)) } })
}

/// A claim that is such a text, or a list with one, in what the filter that checks tokens has left of an accepted one.
fn claim(path: &[&str], text: &TextPattern) -> Value {
    let path = [&[tokens::PAYLOAD], path].concat();
    let path: Vec<Value> = path.iter().map(|key| json!({ "key": key })).collect();
    let is = json!({ "string_match": text_match(text, false) });
    let value =
        json!({ "or_match": { "value_matchers": [is, { "list_match": { "one_of": is } }] } });
    json!({ "metadata": { "filter": tokens::FILTER, "path": path, "value": value } })
}

/// A client whose certificate says an identity of this form.
fn identity(regex: &str) -> Value {
    let regex = json!({ "regex": format!("spiffe://{regex}") });
    json!({ "authenticated": { "principal_name": { "safe_regex": regex } } })
}

/// As policies spell it, which is without the scheme.
fn principal(text: &TextPattern) -> Value {
    let with_scheme = |text: &str| format!("spiffe://{text}");
    let name = match text {
        TextPattern::Exact(text) => json!({ "exact": with_scheme(text) }),
        TextPattern::Prefix(text) => json!({ "prefix": with_scheme(text) }),
        TextPattern::Suffix(text) => json!({ "suffix": text }),
        TextPattern::Present | TextPattern::Pieces(_) => return identity(&regex(text)),
    };
    json!({ "authenticated": { "principal_name": name } })
}

/// Identities of which a part is one of these.
fn parts(texts: &[TextPattern], before: &str, after: &str) -> Vec<Value> {
    let of = |text: &TextPattern| identity(&format!("{before}{}{after}", regex(text)));
    texts.iter().map(of).collect()
}

/// A part of an identity, which has no slash, as a regular expression; of a whole one a slash is as good as anything.
fn regex(text: &TextPattern) -> String {
    match text {
        TextPattern::Present => ".+".to_owned(),
        TextPattern::Exact(text) => quoted(text),
        TextPattern::Prefix(text) => format!("{}.*", quoted(text)),
        TextPattern::Suffix(text) => format!(".*{}", quoted(text)),
        TextPattern::Pieces(pieces) => {
            let pieces: Vec<String> = pieces.iter().map(|piece| quoted(piece)).collect();
            pieces.join(".*")
        }
    }
}

/// A text as it stands in a regular expression (RE2).
fn quoted(text: &str) -> String {
    regex::escape(text)
}

fn field(name: &MatchedField) -> &str {
    name.as_str()
}

fn ranges_of(kind: &str, ranges: &[AddressRange]) -> Vec<Value> {
    let range = |range: &AddressRange| json!({ kind: { "address_prefix": range.base().to_string(), "prefix_len": range.prefix() } });
    ranges.iter().map(range).collect()
}

/// A StringMatcher.
pub(super) fn text_match(text: &TextPattern, ignore_case: bool) -> Value {
    let mut matcher = match text {
        TextPattern::Present => return json!({ "safe_regex": { "regex": ".+" } }),
        TextPattern::Exact(text) => json!({ "exact": text }),
        TextPattern::Prefix(text) => json!({ "prefix": text }),
        TextPattern::Suffix(text) => json!({ "suffix": text }),
        TextPattern::Pieces(pieces) => {
            let pieces: Vec<&str> = pieces.iter().map(|piece| &**piece).collect();
            return json!({ "safe_regex": { "regex": pieces.join(".*") } });
        }
    };
    if ignore_case {
        matcher["ignore_case"] = true.into();
    }
    matcher
}

fn header(name: &str, text: &TextPattern, ignore_case: bool) -> Value {
    match text {
        TextPattern::Present => json!({ "header": { "name": name, "present_match": true } }),
        text => {
            json!({ "header": { "name": name, "string_match": text_match(text, ignore_case) } })
        }
    }
}

/// As Istio writes it: the authority as it came, in any case.
fn host(host: &HostPattern) -> Value {
    let whole = match (&host.host, &host.port) {
        (host, None) => host.clone(),
        (TextPattern::Exact(host), Some(TextPattern::Exact(port))) => {
            TextPattern::Exact(format!("{host}:{port}").into())
        }
        (TextPattern::Exact(host), Some(_)) => TextPattern::Prefix(format!("{host}:").into()),
        (_, Some(TextPattern::Exact(port))) => TextPattern::Suffix(format!(":{port}").into()),
        (host, Some(_)) => host.clone(),
    };
    header(":authority", &whole, true)
}

fn path(path: &PathPattern) -> Value {
    match path {
        PathPattern::Text(text) => json!({ "url_path": { "path": text_match(text, false) } }),
        PathPattern::Template(pieces) => {
            let pieces = pieces.iter().map(|piece| match piece {
                TemplatePiece::Text(text) => text,
                TemplatePiece::Segment => "*",
                TemplatePiece::Segments => "**",
            });
            let kind = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";
            let template: String = pieces.collect();
            json!({ "uri_template": {
                "name": "envoy.path.match.uri_template.uri_template_matcher",
                "typed_config": { "@type": type_url(kind), "path_template": template },
            } })
        }
    }
}
