//! What surrounds the `spec`: apiVersion, kind and metadata, and which keys may stand beside them.

use std::sync::Arc;

use super::code::Code;
use super::decode::{Object, object};
use super::meta::Meta;
use super::names::check_dns_label;
use super::node::{Node, Value};
use super::report::Report;
use super::scalar;
use super::spelling::suggestion;
use super::value::quoted;

/// apiVersion and kind of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypeMeta {
    pub(super) api_version: String,
    pub(super) kind: String,
}

/// Reads apiVersion and kind; tells and gives up when the document is no resource.
pub(super) fn type_meta(report: &mut Report, document: &Node) -> Option<TypeMeta> {
    const HELP: &str = "a resource has `apiVersion`, `kind`, `metadata` and `spec`";
    if !matches!(document.value, Value::Map(_)) {
        report.raise(Code::NotAResource, "the document is not a mapping", HELP);
        return None;
    }
    let is_absent = |name: &str| {
        document
            .entry(name)
            .is_none_or(|entry| entry.value.is_null())
    };
    if is_absent("apiVersion") && is_absent("kind") {
        let message = "the document has neither `apiVersion` nor `kind`";
        report.raise(Code::NotAResource, message, HELP);
        return None;
    }
    let mut text = |name: &str| {
        let value = document.entry(name).filter(|entry| !entry.value.is_null());
        let Some(entry) = value else {
            let keys: Vec<&str> = document
                .entries()
                .iter()
                .map(|entry| &*entry.key.text)
                .collect();
            let help = match suggestion(name, &keys) {
                meant if meant.is_empty() => HELP.to_owned(),
                meant => format!(
                    "{} write it `{name}`",
                    meant.replace("did you mean", "is it")
                ),
            };
            report.raise(
                Code::NotAResource,
                format!("the document has no `{name}`"),
                help,
            );
            return None;
        };
        report.field(name, |report| scalar::string(report, &entry.value))
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    Some(TypeMeta {
        api_version: api_version?,
        kind: kind?,
    })
}

/// Reads `metadata`.
pub(super) fn meta(
    report: &mut Report,
    document: &Arc<Node>,
    file: &Arc<str>,
    default_namespace: &str,
) -> Meta {
    let absent = Node {
        at: document.at,
        value: Value::Null,
    };
    let node = document
        .entry("metadata")
        .map_or(&absent, |entry| &entry.value);
    let mut meta = report.field("metadata", |report| object(report, node, metadata));
    if meta.namespace.is_empty() {
        default_namespace.clone_into(&mut meta.namespace);
    }
    meta.file = Arc::clone(file);
    meta.mark = document.at;
    meta.document = Arc::clone(document);
    meta
}

fn metadata(o: &mut Object<'_, '_>) -> Meta {
    const WRITTEN_BY_THE_CLUSTER: &[&str] = &[
        "clusterName",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    for name in WRITTEN_BY_THE_CLUSTER {
        o.take(name);
    }
    let meta = Meta {
        name: o.string("name"),
        namespace: o.string("namespace"),
        labels: o.string_map("labels"),
        annotations: o.string_map("annotations"),
        created: o.optional_string("creationTimestamp"),
        ..Meta::default()
    };
    check_name(o, &meta.name);
    if !meta.namespace.is_empty()
        && let Err(complaint) = check_dns_label(&meta.namespace)
    {
        let message = format!("namespace {} {complaint}", quoted(&meta.namespace));
        o.report()
            .raise_in("namespace", Code::Metadata, message, "");
    }
    meta
}

/// Object names are DNS subdomains to Kubernetes (RFC 1123), in lower case.
fn check_name(o: &mut Object<'_, '_>, name: &str) {
    if name.is_empty() {
        if o.node()
            .entry("name")
            .is_none_or(|entry| entry.value.is_null())
            && o.node().entry("generateName").is_none()
        {
            o.report().raise(
                Code::Metadata,
                "the resource has no name",
                "add `metadata.name`",
            );
        }
        return;
    }
    let is_label = |label: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(label.bytes().next())
            && edge(label.bytes().last())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        o.report().raise_in(
            "name",
            Code::ResourceName,
            format!("{} is not a name that Kubernetes takes", quoted(name)),
            "use lower case letters, digits, `-` and `.`, at most 253 characters",
        );
    }
}

/// Tells keys that may not stand beside `spec` in an Istio resource.
pub(super) fn check_top_level(report: &mut Report, document: &Node) {
    const KNOWN: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
    for entry in document.entries() {
        let key = &*entry.key.text;
        if KNOWN.contains(&key) {
            continue;
        }
        let mut help = suggestion(key, KNOWN);
        if help.is_empty() {
            help = "move it under `spec` or remove it; check the indentation".to_owned();
        }
        report.key_or_field(key, |report| {
            let message = format!("unknown field {} beside `spec`", quoted(key));
            report.raise_at(entry.at, Code::UnknownTopLevelField, message, help);
        });
    }
}
