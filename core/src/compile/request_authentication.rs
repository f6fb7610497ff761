//! Which RequestAuthentications hold for a workload, and what they come to together.
//!
//! As in Istio, those of the workload's namespace and of the root namespace whose selector holds all count: they add up, none
//! takes the place of another. What can not be compiled refuses tokens rather than letting them pass: a rule whose keys are
//! not there has none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Input;
use super::names::JwksAnswers;
use super::resources::ResourceTable;
use crate::cluster::Registry;
use crate::config::names;
use crate::config::request_authentication::{
    JwtRule as Written, KeySource, RequestAuthentication as Resource,
};
use crate::jose::KeySet;
use crate::message::FieldName;
use crate::snapshot::{
    ClaimField, JwksAddress, JwksPlace, JwtKeys, JwtRule, Origin, RequestAuthentication,
    TokenLocation, TokenPlace,
};
use crate::time::Duration;

/// For how long fetching keys may go on where nobody says.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Claims that list words in any case (Istio).
const SPACE_DELIMITED: [&str; 2] = ["permission", "scope"];

/// Compiles them; `None` when no rule holds for the workload.
pub(super) fn request_authentication(
    input: &Input<'_>,
    answers: &JwksAnswers,
    resources: &mut ResourceTable,
    registry: &mut Registry,
) -> Option<Arc<RequestAuthentication>> {
    let mut written: Vec<(&Resource, usize, &Written)> = applicable(input)
        .into_iter()
        .flat_map(|resource| {
            let rules = resource.jwt_rules.iter().enumerate();
            rules.map(move |(at, rule)| (resource, at, rule))
        })
        .collect();
    if written.is_empty() {
        return None;
    }
    written.sort_by_key(|(_, _, rule)| &rule.issuer); // stable
    let rules: Box<[JwtRule]> = written
        .iter()
        .map(|(resource, at, rule)| compile_rule(resource, *at, rule, resources, answers))
        .collect();
    let mut own_fields: Vec<FieldName> = Vec::new();
    for rule in &rules {
        let claims = rule.claim_fields.iter().map(|claim| &claim.field);
        for field in rule.payload_field.iter().chain(claims) {
            if !own_fields.contains(field) {
                own_fields.push(field.clone());
            }
        }
    }
    Some(Arc::new(RequestAuthentication {
        rules,
        locations: locations(written.iter().map(|(_, _, rule)| *rule)),
        own_fields: own_fields.into(),
        counts: registry.jwt_counts(),
    }))
}

/// Whether any tokens of requests to the workload are checked.
#[must_use]
pub(super) fn checks_tokens(input: &Input<'_>) -> bool {
    let mut all = applicable(input).into_iter();
    all.any(|resource| !resource.meta.rejected && !resource.jwt_rules.is_empty())
}

/// Those of the workload's namespace, then those of the root namespace; each in Istio's order.
fn applicable<'a>(input: &Input<'a>) -> Vec<&'a Resource> {
    let mut all: Vec<&Resource> = input.resources.request_authentications.iter().collect();
    all.sort_by_key(|r| (&r.meta.created, &r.meta.name, &r.meta.namespace));
    let (root, own) = (&input.mesh.root_namespace, &input.workload.namespace);
    let holds = |resource: &Resource| {
        !resource.is_targeted && names::selects(&resource.selector, &input.workload.labels)
    };
    let of = |namespace: &str| {
        let all = all.iter().copied();
        all.filter(move |r| r.meta.namespace == namespace && holds(r))
            .collect::<Vec<_>>()
    };
    let mut found = of(own);
    if root != own {
        found.extend(of(root));
    }
    found
}

fn origin(resource: &Resource, at: usize, resources: &mut ResourceTable) -> Origin {
    let path = format!("spec.jwtRules[{at}]");
    Origin {
        resource: resources.id_of("RequestAuthentication", &resource.meta),
        line: resource.meta.locate(&path).line,
        path: path.into(),
    }
}

fn compile_rule(
    resource: &Resource,
    at: usize,
    written: &Written,
    resources: &mut ResourceTable,
    answers: &JwksAnswers,
) -> JwtRule {
    let origin = origin(resource, at, resources);
    let claim_fields = written.output_claim_to_headers.iter();
    let claim_fields = claim_fields.filter_map(|(field, claim)| {
        Some(ClaimField {
            field: FieldName::new(field)?,
            path: claim.split('.').map(Box::from).collect(),
        })
    });
    let words: BTreeSet<&str> = written
        .space_delimited_claims
        .iter()
        .map(String::as_str)
        .chain(SPACE_DELIMITED)
        .collect();
    JwtRule {
        origin,
        issuer: written.issuer.as_str().into(),
        audiences: written
            .audiences
            .iter()
            .map(|audience| JwtRule::plain_audience(audience).into())
            .collect(),
        // What has errors lets nobody's token pass, rather than not looking at any.
        keys: match resource.meta.rejected {
            true => JwtKeys::Inline(Arc::default()),
            false => keys(written, answers),
        },
        forwards: written.forward_original_token,
        payload_field: written
            .output_payload_to_header
            .as_deref()
            .and_then(FieldName::new),
        claim_fields: claim_fields.collect(),
        space_delimited: words.into_iter().map(Box::from).collect(),
        is_required: written.is_required,
    }
}

fn keys(written: &Written, answers: &JwksAnswers) -> JwtKeys {
    let place = match &written.keys {
        // What can not be read has no key, and refuses every token.
        KeySource::Inline(text) => {
            let set = KeySet::read(text.as_bytes()).unwrap_or_default();
            return JwtKeys::Inline(Arc::new(set));
        }
        KeySource::Uri(uri) => JwksPlace::Uri(uri.as_str().into()),
        KeySource::Discovered => JwksPlace::Issuer(written.issuer.as_str().into()),
    };
    let fetched = answers.get(&place);
    let fetched = fetched.and_then(|json| KeySet::read(json.as_bytes()).ok());
    JwtKeys::Remote {
        fetched: fetched.map(Arc::new),
        at: JwksAddress {
            place,
            timeout: written.timeout.unwrap_or(FETCH_TIMEOUT),
        },
    }
}

/// Where tokens of these rules may be. A rule that names no place has Istio's: `authorization: Bearer …` and the query
/// parameter `access_token`.
fn locations<'a>(rules: impl Iterator<Item = &'a Written>) -> Box<[TokenLocation]> {
    let mut headers: BTreeMap<String, (TokenPlace, Vec<u32>)> = BTreeMap::new();
    let (mut params, mut cookies) = (BTreeMap::new(), BTreeMap::new());
    for (at, rule) in (0..).zip(rules) {
        let names_none = rule.from_headers.is_empty()
            && rule.from_params.is_empty()
            && rule.from_cookies.is_empty();
        let default = names_none.then_some(("authorization", "Bearer "));
        let written = rule.from_headers.iter();
        let written = written.map(|from| (from.name.as_str(), from.prefix.as_str()));
        for (name, prefix) in written.chain(default) {
            let Some(field) = FieldName::new(name) else {
                continue;
            };
            let key = format!("{}{prefix}", field.as_str());
            let place = TokenPlace::Header(field, prefix.into());
            add(&mut headers.entry(key).or_insert((place, Vec::new())).1, at);
        }
        let default = names_none.then_some("access_token");
        for name in rule.from_params.iter().map(String::as_str).chain(default) {
            add(params.entry(name).or_default(), at);
        }
        for name in &rule.from_cookies {
            add(cookies.entry(name.as_str()).or_default(), at);
        }
    }
    let headers = headers.into_values();
    let params = params.into_iter();
    let cookies = cookies.into_iter();
    headers
        .chain(params.map(|(name, rules)| (TokenPlace::Param(name.into()), rules)))
        .chain(cookies.map(|(name, rules)| (TokenPlace::Cookie(name.into()), rules)))
        .map(|(place, rules)| TokenLocation {
            place,
            rules: rules.into(),
        })
        .collect()
}

fn add(rules: &mut Vec<u32>, at: u32) {
    if rules.last() != Some(&at) {
        rules.push(at);
    }
}

#[cfg(test)]
mod tests;
