//! Files to resources: reads every document, sends each to the reader of its kind, and collects what was found.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::code::Code;
use super::finding::{Finding, ResourceName};
use super::kinds::{ReadKind, Treatment, treatment};
use super::meta::Meta;
use super::report::Report;
use super::resources::Resources;
use super::value::quoted;
use super::yaml::{self, Node, Value};
use super::{destination_rule, envelope, gateway, service_entry, virtual_service, workload_entry};

/// A file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As the user named it; findings show it.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// What a run has read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The resources, rejected ones included.
    pub resources: Resources,
    /// In the order of the sources, and in each by line.
    pub findings: Vec<Finding>,
}

/// Reads all sources. A resource that names no namespace is in `default_namespace`.
///
/// Never fails: what can not be read is told and left out, and does not affect the rest.
#[must_use]
pub fn load(sources: &[Source<'_>], default_namespace: &str) -> Loaded {
    let mut loader = Loader {
        default_namespace,
        file: Arc::from(""),
        report: Report::new(),
        resources: Resources::default(),
        seen: BTreeMap::new(),
    };
    for source in sources {
        loader.file = Arc::from(source.name);
        loader.report.enter_file(&loader.file);
        for document in yaml::read(source.bytes, &mut loader.report) {
            loader.document(document);
        }
        loader.report.leave_file();
    }
    Loaded {
        resources: loader.resources,
        findings: loader.report.into_findings(),
    }
}

struct Loader<'a> {
    default_namespace: &'a str,
    file: Arc<str>,
    report: Report,
    resources: Resources,
    /// Where each resource was read first.
    seen: BTreeMap<ResourceName, String>,
}

impl Loader<'_> {
    fn document(&mut self, document: Node) {
        let document = Arc::new(document);
        self.report.enter_document(&document, None);
        let Some(types) = envelope::type_meta(&mut self.report, &document) else {
            return;
        };
        match treatment(&types.api_version, &types.kind) {
            Treatment::Read(ReadKind::List) => self.list(document),
            Treatment::Read(kind) => self.resource(kind, &types.kind, &document),
            told => self.tell(&told, &types),
        }
    }

    /// The items of a List. They are known by their own lines, so the list leaves no trace in their paths.
    fn list(&mut self, list: Arc<Node>) {
        // Nobody else holds the document: the report lets go of it first.
        self.report.enter_document(&Arc::new(Node::default()), None);
        let list = Arc::unwrap_or_clone(list);
        let Value::Map(entries) = list.value else {
            return;
        };
        let items = entries
            .into_iter()
            .find(|entry| &*entry.key.text == "items");
        match items.map(|entry| entry.value.value) {
            Some(Value::Seq(items)) => items.into_iter().for_each(|item| self.document(item)),
            None | Some(Value::Null) => {}
            Some(Value::Scalar(_) | Value::Map(_)) => {
                self.report
                    .raise_at(list.at, Code::WrongType, "`items` is not a list", "");
            }
        }
    }

    fn tell(&mut self, treatment: &Treatment, types: &envelope::TypeMeta) {
        let (kind, api_version) = (quoted(&types.kind), quoted(&types.api_version));
        match treatment {
            Treatment::Read(_) => {}
            Treatment::WrongVersion(versions) => self.report.raise_in(
                "apiVersion",
                Code::ApiVersion,
                format!("{api_version} is not a version of {kind}"),
                format!("use one of {}", versions.join(", ")),
            ),
            Treatment::NotRead => self.report.raise_in(
                "kind",
                Code::KindNotRead,
                format!(
                    "{kind} of {api_version} is not read; the proxy behaves as if it were not there"
                ),
                "",
            ),
            Treatment::Unknown(hint) => self.report.raise_in(
                "kind",
                Code::UnknownKind,
                format!("{api_version} has no kind {kind}"),
                hint.as_str(),
            ),
            Treatment::Foreign => self.report.raise_in(
                "kind",
                Code::KindIgnored,
                format!("{kind} of {api_version} does not concern the proxy"),
                "",
            ),
        }
    }

    fn resource(&mut self, read: ReadKind, kind: &str, document: &Arc<Node>) {
        let report = &mut self.report;
        let meta = envelope::meta(report, document, &self.file, self.default_namespace);
        report.name_resource(meta.resource_name(kind));
        self.check_unique(&meta, kind);
        let Some(spec) = self.istio_spec(document) else {
            return;
        };
        let (report, resources) = (&mut self.report, &mut self.resources);
        match read {
            ReadKind::List => {}
            ReadKind::DestinationRule => {
                let rule = destination_rule::read(report, meta, spec);
                keep(report, &mut resources.destination_rules, rule, |rule| {
                    &mut rule.meta
                });
            }
            ReadKind::Gateway => {
                let gateway = gateway::read(report, meta, spec);
                keep(report, &mut resources.gateways, gateway, |gateway| {
                    &mut gateway.meta
                });
            }
            ReadKind::ServiceEntry => {
                let entry = service_entry::read(report, meta, spec);
                keep(report, &mut resources.service_entries, entry, |entry| {
                    &mut entry.meta
                });
            }
            ReadKind::VirtualService => {
                let service = virtual_service::read(report, meta, spec);
                keep(
                    report,
                    &mut resources.virtual_services,
                    service,
                    |service| &mut service.meta,
                );
            }
            ReadKind::WorkloadEntry => {
                let entry = workload_entry::read(report, meta, spec);
                keep(report, &mut resources.workload_entries, entry, |entry| {
                    &mut entry.meta
                });
            }
        }
    }

    /// The `spec` of an Istio resource, whose envelope holds nothing else.
    fn istio_spec<'n>(&mut self, document: &'n Node) -> Option<&'n Node> {
        envelope::check_top_level(&mut self.report, document);
        let spec = document
            .entry("spec")
            .filter(|entry| !entry.value.is_null());
        if spec.is_none() {
            self.report
                .raise(Code::NoSpec, "the resource has no `spec`", "");
        }
        Some(&spec?.value)
    }

    fn check_unique(&mut self, meta: &Meta, kind: &str) {
        if meta.name.is_empty() {
            return;
        }
        let name = meta.resource_name(kind);
        let place = format!("{}:{}", meta.file, meta.mark.line);
        if let Some(first) = self.seen.get(&name) {
            let message = format!("{name} is defined before, at {first}");
            self.report.raise_at(
                meta.mark,
                Code::DuplicateResource,
                message,
                "remove one of them or give it another name",
            );
        } else {
            self.seen.insert(name, place);
        }
    }
}

/// Keeps a resource, marked as rejected when errors were found in it.
fn keep<T>(
    report: &Report,
    kept: &mut Vec<T>,
    mut resource: T,
    meta: impl Fn(&mut T) -> &mut Meta,
) {
    meta(&mut resource).rejected = report.has_errors();
    kept.push(resource);
}

#[cfg(test)]
#[path = "load/tests.rs"]
mod tests;
