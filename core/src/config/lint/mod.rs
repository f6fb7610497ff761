//! What resources say about each other: names that lead nowhere, rules that never apply, resources that hide others.
//!
//! Runs after reading, over everything that was read, as `istioctl analyze` does. Rules of one resource by itself are
//! in its `validate`. A finding here needs proof: what may well be defined elsewhere is told only when the files hold
//! enough to tell. So a host is unknown only when services of its sort were read at all, a selector selects nothing only when
//! there are workloads it could select, and a folder with one VirtualService in it is fine.

mod destination_rules;
mod destinations;
mod http2_settings;
mod meant;
mod peer_authentications;
mod same_host;
mod services;
mod sidecars;
mod tables;
mod telemetries;
mod virtual_services;

use super::code::Code;
use super::finding::Finding;
use super::mesh::MeshConfig;
use super::meta::Meta;
use super::resources::Resources;
use meant::Guesses;
use tables::Tables;

/// Judges all resources together. Findings come in the order of the kinds; sort them by place to show them.
#[must_use]
pub fn lint(resources: &Resources, mesh: &MeshConfig) -> Vec<Finding> {
    let mut lint = Lint {
        resources,
        mesh,
        tables: Tables::new(resources, mesh),
        guesses: Guesses::new(),
        findings: Vec::new(),
    };
    virtual_services::lint(&mut lint);
    destinations::lint(&mut lint);
    destination_rules::lint(&mut lint);
    http2_settings::lint(&mut lint);
    services::lint(&mut lint);
    same_host::lint(&mut lint);
    sidecars::lint(&mut lint);
    telemetries::lint(&mut lint);
    peer_authentications::lint(&mut lint);
    lint.findings
}

/// A run of the lint.
struct Lint<'a> {
    resources: &'a Resources,
    mesh: &'a MeshConfig,
    tables: Tables<'a>,
    guesses: Guesses,
    findings: Vec<Finding>,
}

impl Lint<'_> {
    /// Tells something about a field of a resource.
    fn tell(
        &mut self,
        about: About<'_>,
        path: impl Into<String>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let path = path.into();
        let at = about.meta.locate(&path);
        self.findings.push(Finding {
            resource: Some(about.meta.resource_name(about.kind)),
            path,
            help: help.into(),
            ..Finding::new(code, &about.meta.file, at, message)
        });
    }
}

/// The resource a finding is about.
#[derive(Clone, Copy)]
struct About<'a> {
    kind: &'a str,
    meta: &'a Meta,
}

/// Rules for another name of a service hold for nobody.
fn tell_alias(lint: &mut Lint<'_>, about: About<'_>, path: String, host: &str) {
    let Some(service) = lint.tables.alias(host) else {
        return;
    };
    let message = format!("`{host}` is another name for `{service}`, whose rules hold for it");
    let help = format!("write `{service}`; the ExternalName service has no rules of its own");
    lint.tell(about, path, Code::AliasHost, message, help);
}

/// `namespace/name`, as messages name a resource of a kind that the sentence names.
fn full_name(meta: &Meta) -> String {
    format!("{}/{}", meta.namespace, meta.name)
}

#[cfg(test)]
mod tests;
