//! Principals under the other names of the mesh's trust domain (Istio `pilot/pkg/security/trustdomain`).

use crate::config::mesh::MeshConfig;
use crate::config::names::CLUSTER_DOMAIN;

/// The principals, and each that names a trust domain of the mesh under all names that this has. `cluster.local` stands
/// for the mesh whatever it is called.
pub(super) fn with_aliases(principals: &[String], mesh: &MeshConfig) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for principal in principals {
        let known = trust_domain(principal).filter(|(domain, _)| {
            *domain == CLUSTER_DOMAIN || mesh.trust_domains().any(|ours| is_meant(domain, ours))
        });
        let Some((domain, rest)) = known else {
            add(&mut all, principal.clone());
            continue;
        };
        for ours in mesh.trust_domains() {
            add(
                &mut all,
                match is_suffix(domain, ours) {
                    true => principal.clone(),
                    false => format!("{ours}/{rest}"),
                },
            );
        }
    }
    all
}

fn add(all: &mut Vec<String>, principal: String) {
    if !all.contains(&principal) {
        all.push(principal);
    }
}

/// The trust domain of a principal that has all of its parts and names one, and what stands behind it.
fn trust_domain(principal: &str) -> Option<(&str, &str)> {
    let (domain, rest) = principal.split_once('/')?;
    let has_all = rest.split('/').count() == 4;
    (has_all && domain != "*").then_some((domain, rest))
}

/// Whether a name with a wildcard at an end means a trust domain.
fn is_meant(domain: &str, ours: &str) -> bool {
    let begins = domain.strip_suffix('*');
    let begins = begins.is_some_and(|begin| ours.starts_with(begin));
    domain == ours || begins || is_suffix(domain, ours)
}

fn is_suffix(domain: &str, ours: &str) -> bool {
    let end = domain.strip_prefix('*');
    end.is_some_and(|end| ours.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Istio makes of them, by its own tables for trust domains.
    #[test]
    fn principals_are_known_by_every_name_of_the_mesh() {
        let mesh = |domains: &[&str]| MeshConfig {
            trust_domain: domains[0].to_owned(),
            trust_domain_aliases: domains[1..].iter().map(|&domain| domain.into()).collect(),
            ..MeshConfig::default()
        };
        for (domains, principal, want) in [
            (
                &["td1"][..],
                "cluster.local/ns/foo/sa/bar",
                &["td1/ns/foo/sa/bar"][..],
            ),
            (
                &["td1", "td2"],
                "td1/ns/foo/sa/bar",
                &["td1/ns/foo/sa/bar", "td2/ns/foo/sa/bar"],
            ),
            (
                &["td2", "td1", "cluster.local"],
                "cluster.local/ns/foo/sa/bar",
                &[
                    "td2/ns/foo/sa/bar",
                    "td1/ns/foo/sa/bar",
                    "cluster.local/ns/foo/sa/bar",
                ],
            ),
            (
                &["td1", "td2"],
                "other/ns/foo/sa/bar",
                &["other/ns/foo/sa/bar"],
            ),
            (&["td1", "td2"], "*/ns/foo/sa/bar", &["*/ns/foo/sa/bar"]),
            (&["td1", "td2"], "*", &["*"]),
            (&["td1", "td2"], "td1/ns/foo*", &["td1/ns/foo*"]),
            (&["td1", "td2"], "*/sa/bar", &["*/sa/bar"]),
            (
                &["new-td", "old-td", "some-other"],
                "*-td/ns/foo/sa/bar",
                &["*-td/ns/foo/sa/bar", "some-other/ns/foo/sa/bar"],
            ),
            (
                &["td1", "td2"],
                "td*/ns/foo/sa/bar",
                &["td1/ns/foo/sa/bar", "td2/ns/foo/sa/bar"],
            ),
            (
                &["cluster.local"],
                "cluster.local/ns/foo/sa/*",
                &["cluster.local/ns/foo/sa/*"],
            ),
        ] {
            let got = with_aliases(&[principal.to_owned()], &mesh(domains));
            assert_eq!(got, want, "{domains:?} {principal}");
        }
    }
}
