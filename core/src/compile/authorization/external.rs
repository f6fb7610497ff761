//! Policies with action `CUSTOM`: whom their providers are, and what is asked of them.

use http::StatusCode;

use super::attributes::{Traffic, Translation};
use super::{KIND, Numbered};
use crate::compile::Input;
use crate::compile::clusters::{Clusters, name};
use crate::config::authorization_policy::{AuthorizationPolicy, PolicyAction};
use crate::config::mesh::{self, ProviderKind};
use crate::config::{Code, Finding};
use crate::message::FieldName;
use crate::snapshot::{
    AccessRule, AccessRuleName, Authorizer, AuthorizerProtocol, CheckedBody, ExternalCheck,
    HttpCheck, RuleSet, TextPattern,
};
use crate::time::Duration;

/// How long a provider may take over HTTP where it is not said (Istio: 600 s).
const TIMEOUT: Duration = Duration::from_secs(600);

/// The providers that are asked, by name, each with its rules; and the rules whose provider there is not.
pub(super) fn checks(
    numbered: &[Numbered<'_>],
    names: &[AccessRuleName],
    input: &Input<'_>,
    clusters: &Clusters,
    findings: &mut Vec<Finding>,
) -> (Box<[ExternalCheck]>, Vec<AccessRule>) {
    let [http, tcp] = [Traffic::Http, Traffic::Tcp].map(|traffic| Translation { input, traffic });
    let mut checks: Vec<(String, [Vec<AccessRule>; 2])> = Vec::new();
    let mut unasked = Vec::new();
    for (policy, rule, id) in numbered {
        let Some(rule) = rule.filter(|_| policy.action == PolicyAction::Custom) else {
            continue;
        };
        let of_connections = tcp.rule(policy, rule, *id);
        let rule = http.rule(policy, rule, *id);
        if authorizer(&policy.provider, input).is_none() {
            unasked.extend(rule);
            continue;
        }
        let at = checks.iter().position(|(name, _)| *name == policy.provider);
        let at = at.unwrap_or_else(|| {
            checks.push((policy.provider.clone(), Default::default()));
            checks.len() - 1
        });
        let [of_http, of_tcp] = &mut checks[at].1;
        of_http.extend(rule);
        if is_asked_about_connections(&policy.provider, input) {
            of_tcp.extend(of_connections);
        }
    }
    checks.sort_by(|(a, _), (b, _)| a.cmp(b));
    let checks = checks.into_iter().filter_map(|(provider, rules)| {
        let authorizer = authorizer(&provider, input)?;
        let [rules, tcp] = rules.map(|mut rules| {
            rules.sort_by_key(|rule| &names[rule.id.0 as usize].text);
            RuleSet::new(rules)
        });
        Some(ExternalCheck {
            rules,
            tcp,
            authorizer: settled(&provider, authorizer, clusters),
        })
    });
    let checks = checks.collect();
    tell(numbered, input, findings);
    (checks, unasked)
}

/// Whether a provider can be asked about connections that carry no HTTP: over gRPC, as in Istio.
pub(super) fn is_asked_about_connections(name: &str, input: &Input<'_>) -> bool {
    authorizer(name, input).is_some_and(|of| of.http.is_none())
}

fn tell(numbered: &[Numbered<'_>], input: &Input<'_>, findings: &mut Vec<Finding>) {
    let mut told: Vec<&AuthorizationPolicy> = Vec::new();
    for (policy, ..) in numbered {
        let is_known = policy.action != PolicyAction::Custom
            || policy.meta.rejected
            || authorizer(&policy.provider, input).is_some();
        if is_known || told.iter().any(|known| known.meta == policy.meta) {
            continue;
        }
        told.push(policy);
        let message = format!(
            "no extension provider `{}` says who may pass, so what the policy matches is refused",
            policy.provider
        );
        findings.push(Finding::about(
            Code::UnknownProvider,
            KIND,
            &policy.meta,
            "spec.provider.name",
            message,
            "add it to `extensionProviders` of the mesh configuration (`--mesh-config`) as `envoyExtAuthzHttp` or `envoyExtAuthzGrpc`",
        ));
    }
}

fn authorizer<'a>(name: &str, input: &Input<'a>) -> Option<&'a mesh::Authorizer> {
    match &input.mesh.provider(name)?.kind {
        ProviderKind::Authorizer(authorizer) => Some(authorizer),
        ProviderKind::FileAccessLog(_)
        | ProviderKind::Prometheus
        | ProviderKind::Traces(_)
        | ProviderKind::Other(_) => None,
    }
}

fn settled(provider: &str, of: &mesh::Authorizer, clusters: &Clusters) -> Authorizer {
    let status = of.status_on_error;
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    Authorizer {
        name: provider.into(),
        cluster: clusters.by_name(name(of.port, "", &of.service)),
        authority: of.service.as_str().into(),
        timeout: of.timeout.unwrap_or(TIMEOUT),
        fails_open: of.fail_open,
        status_on_error: status.unwrap_or(StatusCode::FORBIDDEN),
        body: of.body.map(|body| CheckedBody {
            most: body.most as usize,
            allow_partial: body.allow_partial,
            as_bytes: body.as_bytes,
        }),
        protocol: match &of.http {
            None => AuthorizerProtocol::Grpc,
            Some(http) => AuthorizerProtocol::Http(http_check(http)),
        },
    }
}

fn http_check(of: &mesh::HttpAuthorizer) -> HttpCheck {
    let names = |list: &[String]| -> Box<[TextPattern]> {
        let lower = list.iter().map(|name| name.to_ascii_lowercase());
        lower.map(|name| TextPattern::new(&name)).collect()
    };
    let adds = of.adds.iter().filter_map(|(name, value)| {
        let value: Box<str> = value.as_str().into();
        Some((FieldName::new(name)?, value))
    });
    HttpCheck {
        path_prefix: of.path_prefix.as_str().into(),
        sees: names(&of.sees),
        adds: adds.collect(),
        to_upstream: names(&of.to_upstream),
        to_refused: names(&of.to_refused),
        to_allowed: names(&of.to_allowed),
    }
}
