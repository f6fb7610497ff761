//! Files to resources: reads every document, sends each to the reader of its kind, and collects what was found.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::code::Code;
use super::decode::object;
use super::finding::Finding;
use super::judged::{self, DRY_RUN};
use super::kinds::{IstioKind, JudgedKind, KubernetesKind, Treatment, treatment};
use super::mark::Mark;
use super::mesh::MeshConfig;
use super::meta::Meta;
use super::node::{Node, Value};
use super::report::{Report, UnknownFields};
use super::resource_name::ResourceName;
use super::resources::Resources;
use super::source::Source;
use super::spelling::suggestion;
use super::value::quoted;
use super::yaml::{self, Embedded};
use super::{
    authorization_policy, bystanders, destination_rule, envelope, envoy_filter, gateway,
    gateway_api, kubernetes, kustomize, mesh, peer_authentication, request_authentication,
    service_entry, sidecar, telemetry, virtual_service, workload_entry,
};

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
    let patches = kustomize::patches(sources);
    let mut loader = Loader {
        default_namespace,
        file: Arc::from(""),
        report: Report::new(),
        resources: Resources::default(),
        pieces: gateway_api::Pieces::default(),
        seen: BTreeMap::new(),
    };
    loader.report.see_unknown_fields(UnknownFields::Refused);
    for source in sources {
        loader.file = Arc::from(source.name);
        loader.report.enter_file(&loader.file);
        if patches.contains(&kustomize::plain_path(source.name)) {
            loader.patch();
        } else {
            loader.file(source.bytes);
        }
        loader.report.leave_file(source.bytes);
    }
    let mut findings = loader.report.into_findings();
    let (of_api, told) = gateway_api::bind(&loader.pieces, &loader.resources.services);
    loader.resources.gateway_api = of_api;
    findings.extend(told);
    Loaded {
        resources: loader.resources,
        findings,
    }
}

/// Reads the mesh configuration: the settings themselves, or a ConfigMap that holds them under `mesh`.
///
/// Never fails: what can not be read is told, and the default is kept for it.
#[must_use]
pub fn load_mesh(source: Source<'_>) -> (MeshConfig, Vec<Finding>) {
    let mut report = Report::new();
    let file = Arc::from(source.name);
    report.enter_file(&file);
    let mut mesh = MeshConfig::default();
    for document in yaml::read(source.bytes, &mut report) {
        mesh = mesh_document(&mut report, document, source.bytes);
    }
    report.leave_file(source.bytes);
    (mesh, report.into_findings())
}

fn mesh_document(report: &mut Report, document: Node, file: &[u8]) -> MeshConfig {
    if document.entry("kind").and_then(|kind| kind.value.text()) != Some("ConfigMap") {
        return mesh_settings(report, document);
    }
    let document = Arc::new(document);
    report.enter_document(&document, None);
    let data = document.entry("data");
    let mesh = data.and_then(|data| data.value.entry("mesh"));
    let Some(embedded) = mesh.and_then(|entry| Embedded::new(file, entry)) else {
        let message = "a ConfigMap holds the mesh configuration as text under `data.mesh`";
        let help = "write `mesh: |` and the settings below it";
        report.raise_in("data.mesh", Code::WrongType, message, help);
        return MeshConfig::default();
    };
    let place = |inner| embedded.place(inner);
    report.within(place, |report| {
        let documents = yaml::read(embedded.text().as_bytes(), report);
        mesh_settings(report, documents.into_iter().next().unwrap_or_default())
    })
}

fn mesh_settings(report: &mut Report, document: Node) -> MeshConfig {
    let document = Arc::new(document);
    report.enter_document(&document, None);
    object(report, &document, mesh::decode)
}

struct Loader<'a> {
    default_namespace: &'a str,
    file: Arc<str>,
    report: Report,
    resources: Resources,
    pieces: gateway_api::Pieces,
    /// Where each resource was read first, and what it says there.
    seen: BTreeMap<ResourceName, (String, Arc<Node>)>,
}

impl Loader<'_> {
    /// A file that is a patch of others.
    fn patch(&mut self) {
        let message = "this is a patch of a kustomization, and passed over";
        let at = Mark { line: 1, column: 1 };
        self.report.raise_at(at, Code::PassedOver, message, "");
    }

    fn file(&mut self, bytes: &[u8]) {
        let mut documents = yaml::read(bytes, &mut self.report);
        let has = |report: &Report| report.has_in_file(bystanders::is_unparsed);
        if let Some(at) = bystanders::template_mark(bytes).filter(|_| has(&self.report)) {
            return self.template(bytes, at);
        }
        if kustomize::is_kustomization(&self.file) && !has(&self.report) {
            self.report.retract_file();
            let at = documents.first().map(|document| document.at);
            let message = "what this kustomization makes of other files is not seen";
            let help = "judge that: `kustomize build … | outrigger check -`";
            return self.report.raise_at(
                at.unwrap_or_default(),
                Code::Kustomization,
                message,
                help,
            );
        }
        if let Some(at) = bystanders::foreign_fault(&self.file, bytes, &self.report) {
            self.report.retract_file();
            let message =
                "this is not well-formed, was not meant as a resource, and is passed over";
            return self.report.raise_at(at, Code::PassedOver, message, "");
        }
        let bystander = documents.iter().find(|d| bystanders::is_bystander(d));
        if let Some(at) = bystander.map(|document| document.at) {
            documents.retain(|document| !bystanders::is_bystander(document));
            if documents.is_empty() && !has(&self.report) {
                // `on: push` of a pipeline is no matter of ours.
                self.report.retract_file();
            }
            let message = "this is no resource of Kubernetes, and passed over";
            self.report.raise_at(at, Code::PassedOver, message, "");
        }
        for document in documents {
            self.document(document);
        }
    }

    fn template(&mut self, bytes: &[u8], at: Mark) {
        self.report.retract_file();
        if !bystanders::names_istio(bytes) {
            let message = "a template that was not rendered, and holds nothing of Istio's";
            return self
                .report
                .raise_at(at, Code::TemplatePassedOver, message, "");
        }
        let message = "the file is a template that was not rendered";
        let help = "render it first (`helm template`), or leave it out with `--ignore` or in `.outriggerignore`";
        self.report
            .raise_at(at, Code::UnrenderedTemplate, message, help);
    }

    fn document(&mut self, document: Node) {
        let document = Arc::new(document);
        self.report.enter_document(&document, None);
        let Some(types) = envelope::type_meta(&mut self.report, &document) else {
            return;
        };
        match treatment(&types.api_version, &types.kind) {
            Treatment::List => self.list(document),
            Treatment::Istio(kind) => self.istio(kind, &types.kind, &document),
            Treatment::Kubernetes(kind) => self.kubernetes(kind, &types.kind, &document),
            Treatment::Judged(kind) => self.judge(kind, &types, &document),
            told @ (Treatment::WrongVersion(_) | Treatment::WrongGroup(_)) => {
                self.tell(&told, &types);
                let (report, namespace) = (&mut self.report, self.default_namespace);
                let meta = envelope::meta(report, &document, &self.file, namespace);
                report.name_resource(meta.resource_name(&types.kind));
            }
            told => {
                let template = kubernetes::read_pod_template(&document, self.default_namespace);
                self.resources.pod_templates.extend(template);
                match gateway_api::known(&types.api_version, &types.kind) {
                    gateway_api::Known::Read(kind) => self.gateway_api(kind, &types, &document),
                    gateway_api::Known::NotRead => self.tell(&Treatment::NotRead, &types),
                    gateway_api::Known::Foreign => self.tell(&told, &types),
                }
            }
        }
    }

    /// Kinds of the Gateway API come to something once all are read.
    fn gateway_api(
        &mut self,
        kind: gateway_api::Kind,
        types: &envelope::TypeMeta,
        document: &Arc<Node>,
    ) {
        if let Some(meta) = self.meta(kind.name(&types.kind), document) {
            let report = &mut self.report;
            self.pieces.read(kind, report, meta, document);
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
            Treatment::Istio(_) | Treatment::Kubernetes(_) | Treatment::List => {}
            Treatment::WrongVersion(versions) => {
                let versions_help = format!("use one of {}", versions.join(", "));
                let version = types.api_version.rsplit('/').next().unwrap_or_default();
                let meant = suggestion(version, versions);
                let help = [meant, versions_help].join(" ");
                self.report.raise_in(
                    "apiVersion",
                    Code::ApiVersion,
                    format!("{api_version} is not a version of {kind}"),
                    help.trim_start(),
                );
            }
            Treatment::WrongGroup(meant) => self.report.raise_in(
                "apiVersion",
                Code::ApiVersion,
                format!("{kind} is no kind of {api_version}"),
                format!("did you mean `{meant}`?"),
            ),
            Treatment::Judged(_) => self.report.raise_in(
                "kind",
                Code::KindNotRead,
                format!(
                    "{kind} is checked and not used; the proxy behaves as if it were not there"
                ),
                "",
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

    /// Who a resource is, which the report knows from here on; `None` when it was read before.
    fn meta(&mut self, kind: &str, document: &Arc<Node>) -> Option<Meta> {
        let report = &mut self.report;
        let meta = envelope::meta(report, document, &self.file, self.default_namespace);
        report.name_resource(meta.resource_name(kind));
        (!self.is_repeated(&meta, kind)).then_some(meta)
    }

    /// A kind that the proxy does not use: its author is told so, and what Istio would say about it.
    fn judge(&mut self, kind: JudgedKind, types: &envelope::TypeMeta, document: &Arc<Node>) {
        let Some(meta) = self.meta(&types.kind, document) else {
            return;
        };
        self.tell(&Treatment::Judged(kind), types);
        self.check_dry_run(&meta);
        if let Some(spec) = self.istio_spec(document) {
            judged::judge(&mut self.report, kind, spec);
        }
    }

    /// Only an AuthorizationPolicy can be tried without effect.
    fn check_dry_run(&mut self, meta: &Meta) {
        if meta.annotations.contains_key(DRY_RUN) {
            let message = format!("annotation `{DRY_RUN}` works with AuthorizationPolicy only");
            let help = "remove the annotation";
            self.report.raise_in(
                "metadata.annotations",
                Code::InvalidAnnotation,
                message,
                help,
            );
        }
    }

    /// Istio's kinds are read from their `spec`.
    fn istio(&mut self, read: IstioKind, kind: &str, document: &Arc<Node>) {
        let Some(meta) = self.meta(kind, document) else {
            return;
        };
        if read != IstioKind::AuthorizationPolicy {
            self.check_dry_run(&meta);
        }
        let nothing = Node::default();
        let spec = match (self.istio_spec(document), read) {
            (Some(spec), _) => spec,
            // One that says nothing is rejected, and keeps everybody out rather than nobody.
            (None, IstioKind::AuthorizationPolicy) => &nothing,
            (None, _) => return,
        };
        let (report, all) = (&mut self.report, &mut self.resources);
        match read {
            IstioKind::AuthorizationPolicy => {
                let policy = authorization_policy::read(report, meta, spec);
                let policies = &mut all.authorization_policies;
                keep(report, policies, policy, |r| &mut r.meta);
                // A rule without the field that was meant is a wider one.
                if let Some(policy) = policies.last_mut() {
                    policy.meta.rejected = report.has_any_errors();
                }
            }
            IstioKind::DestinationRule => {
                let rule = destination_rule::read(report, meta, spec);
                keep(report, &mut all.destination_rules, rule, |r| &mut r.meta);
            }
            IstioKind::EnvoyFilter => {
                let filter = envoy_filter::read(report, meta, spec);
                keep(report, &mut all.envoy_filters, filter, |r| &mut r.meta);
            }
            IstioKind::Gateway => {
                let gateway = gateway::read(report, meta, spec);
                keep(report, &mut all.gateways, gateway, |r| &mut r.meta);
            }
            IstioKind::PeerAuthentication => {
                let policy = peer_authentication::read(report, meta, spec);
                keep(report, &mut all.peer_authentications, policy, |r| {
                    &mut r.meta
                });
            }
            IstioKind::RequestAuthentication => {
                let read = request_authentication::read(report, meta, spec);
                let kept = &mut all.request_authentications;
                keep(report, kept, read, |r| &mut r.meta);
            }
            IstioKind::ServiceEntry => {
                let status = document.field("status").map(|entry| &entry.value);
                let entry = service_entry::read(report, meta, spec, status);
                keep(report, &mut all.service_entries, entry, |r| &mut r.meta);
            }
            IstioKind::Sidecar => {
                let sidecar = sidecar::read(report, meta, spec);
                keep(report, &mut all.sidecars, sidecar, |r| &mut r.meta);
            }
            IstioKind::Telemetry => {
                let telemetry = telemetry::read(report, meta, spec);
                keep(report, &mut all.telemetries, telemetry, |r| &mut r.meta);
            }
            IstioKind::VirtualService => {
                let service = virtual_service::read(report, meta, spec);
                keep(report, &mut all.virtual_services, service, |r| &mut r.meta);
            }
            IstioKind::WorkloadEntry => {
                let entry = workload_entry::read(report, meta, spec);
                keep(report, &mut all.workload_entries, entry, |r| &mut r.meta);
            }
        }
    }

    /// Kubernetes' own kinds are read from the whole document, because not all have a `spec`.
    fn kubernetes(&mut self, read: KubernetesKind, kind: &str, document: &Arc<Node>) {
        let Some(meta) = self.meta(kind, document) else {
            return;
        };
        let (report, all) = (&mut self.report, &mut self.resources);
        match read {
            KubernetesKind::Service => {
                let service = kubernetes::read_service(report, meta, document);
                keep(report, &mut all.services, service, |r| &mut r.meta);
            }
            KubernetesKind::EndpointSlice => {
                let slice = kubernetes::read_endpoint_slice(report, meta, document);
                keep(report, &mut all.endpoint_slices, slice, |r| &mut r.meta);
            }
            KubernetesKind::Endpoints => {
                for slice in kubernetes::read_endpoints(report, &meta, document) {
                    keep(report, &mut all.endpoints, slice, |r| &mut r.meta);
                }
            }
            KubernetesKind::Pod => {
                let pod = kubernetes::read_pod(report, meta, document);
                keep(report, &mut all.pods, pod, |r| &mut r.meta);
            }
            KubernetesKind::Secret => {
                let secret = kubernetes::read_secret(report, meta, document);
                keep(report, &mut all.secrets, secret, |r| &mut r.meta);
            }
            KubernetesKind::Node => {
                let node = kubernetes::Node { meta };
                keep(report, &mut all.nodes, node, |r| &mut r.meta);
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

    /// Whether the resource was read before, word for word: folders hold what was rendered beside what it was rendered
    /// from. Tells it, and tells an earlier one of the same name that says something else.
    fn is_repeated(&mut self, meta: &Meta, kind: &str) -> bool {
        if meta.name.is_empty() {
            return false;
        }
        let name = meta.resource_name(kind);
        let Some((first, document)) = self.seen.get(&name) else {
            let place = format!("{}:{}", meta.file, meta.mark.line);
            self.seen.insert(name, (place, Arc::clone(&meta.document)));
            return false;
        };
        let is_repeated = document.says_the_same(&meta.document);
        let (code, message, help) = if is_repeated {
            let message = "the resource stands elsewhere too, word for word";
            let help = format!("it stands at {first}");
            (Code::RepeatedResource, message, help)
        } else {
            let message = "another resource has the same kind, namespace and name";
            let help = format!(
                "it stands at {first}; remove one of them or give it another name, or judge alternatives apart"
            );
            (Code::DuplicateResource, message, help)
        };
        self.report.raise_at(meta.mark, code, message, help);
        is_repeated
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
