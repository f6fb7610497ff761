//! What is to be said of the objects of a mesh to whoever looks at them: what `outrigger check` finds in all of them together, and what
//! became of the routes of the Gateway API.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::config::gateway_api::RouteStatus;
use outrigger_core::config::{self, Finding, MeshConfig, Severity, Source};
use outrigger_xds::carried::unpack;
use outrigger_xds::messages::Resource;
use outrigger_xds::{Key, Object};

use crate::world::{World, is_mesh_config};

/// What is said of an object: more of its findings are not kept.
pub const MOST_FINDINGS: usize = 32;

/// All that is judged, as it travels.
#[derive(Debug)]
pub struct Judged(Vec<(Key, Arc<Resource>)>);

/// What came of it.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// What is found in each object: errors and warnings, the worst first.
    pub findings: BTreeMap<Key, Vec<Finding>>,
    /// What became of each route.
    pub routes: BTreeMap<Key, RouteStatus>,
    /// How many errors there are.
    pub errors: u64,
    /// How many warnings there are.
    pub warnings: u64,
}

impl Judged {
    /// What there is to judge in a world: all but secrets, which are nobody's to look at, and nodes.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let is_judged = |key: &Key| !matches!(key.kind.kind, "Secret" | "Node");
        Self(world.all(is_judged))
    }

    /// Judges it. It takes as long as `check` takes for as many files.
    #[must_use]
    pub fn judge(self) -> Verdicts {
        let unpacked = self.0.into_iter().filter_map(|(key, packed)| {
            let object = unpack(key.kind, Resource::clone(&packed)).ok()?;
            Some((key, object))
        });
        let mut files: BTreeMap<String, Key> = BTreeMap::new();
        let mut texts: Vec<(String, String)> = Vec::new();
        let (mut mesh, mut findings) = (MeshConfig::default(), Vec::new());
        for (key, object) in unpacked {
            let name = file(&object);
            let text = object.json.to_string();
            if is_mesh_config(&key) {
                let source = Source {
                    name: &name,
                    bytes: text.as_bytes(),
                };
                (mesh, findings) = config::load_mesh(source);
            } else {
                texts.push((name.clone(), text));
            }
            files.insert(name, key);
        }
        let sources = texts.iter().map(|(name, text)| Source {
            name,
            bytes: text.as_bytes(),
        });
        let loaded = config::load(&sources.collect::<Vec<_>>(), "default");
        findings.extend(loaded.findings);
        // `config::unserved` is of files: in a cluster a service has no endpoints for a while, and nobody did wrong.
        findings.extend(config::lint(&loaded.resources, &mesh));
        let mut verdicts = Verdicts::default();
        for finding in findings {
            verdicts.add(finding, &files);
        }
        for told in verdicts.findings.values_mut() {
            told.sort_by_key(|finding| finding.severity);
            told.truncate(MOST_FINDINGS);
        }
        for status in loaded.resources.gateway_api.statuses {
            let (kind, namespace) = (status.kind.as_str(), &status.namespace);
            let name = format!("{kind} {namespace}/{}", status.name);
            if let Some(key) = files.get(&name) {
                verdicts.routes.insert(key.clone(), status);
            }
        }
        verdicts
    }
}

impl Verdicts {
    fn add(&mut self, finding: Finding, files: &BTreeMap<String, Key>) {
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            // Whoever asks `check` is told; it is no reason to write.
            Severity::Info => return,
        }
        if let Some(key) = files.get(&*finding.file) {
            self.findings.entry(key.clone()).or_default().push(finding);
        }
    }
}

/// What an object is called where its findings say where they are. Kinds of one name in two groups are told apart.
fn file(object: &Object) -> String {
    let Key {
        kind,
        namespace,
        name,
    } = &object.key;
    let slash = if namespace.is_empty() { "" } else { "/" };
    match (kind.group, kind.kind) {
        ("gateway.networking.k8s.io", "Gateway") => {
            format!("Gateway.gateway.networking.k8s.io {namespace}/{name}")
        }
        (_, kind) => format!("{kind} {namespace}{slash}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents;

    fn judged(text: &str) -> Vec<String> {
        let source = Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        };
        let (changes, _) = documents::changes(&[source]);
        let mut world = World::default();
        for change in changes {
            world.apply(change);
        }
        let verdicts = Judged::of(&world).judge();
        let mut all: Vec<String> = Vec::new();
        for (key, findings) in &verdicts.findings {
            let codes = findings.iter().map(|f| f.code.as_str());
            let codes = codes.collect::<Vec<_>>().join(" ");
            all.push(format!("{}: {codes}", file_of(key)));
        }
        for (key, status) in &verdicts.routes {
            let parents = status.parents.iter().map(|(at, told)| match told {
                Ok(()) => format!("{at}"),
                Err(why) => format!("{at} {}", why.reason),
            });
            let parents = parents.collect::<Vec<_>>().join(" ");
            all.push(format!("{}= {parents}", file_of(key)));
        }
        all
    }

    fn file_of(key: &Key) -> String {
        format!("{} {}/{}", key.kind.kind, key.namespace, key.name)
    }

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{name: http, port: 80}]}\n---\n";

    #[test]
    fn each_object_is_told_what_is_found_in_all_together() {
        let rule = |host: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: cart, namespace: shop}}\n\
                 spec: {{hosts: [cart], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}\n---\n"
            )
        };
        let mesh = |text: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata: {{mesh: '{text}'}}\n---\n"
            )
        };
        let route = |parent: &str| {
            format!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: shop}}\n\
                 spec: {{parentRefs: [{{group: '', kind: Service, name: {parent}}}], rules: [{{backendRefs: [{{name: cart, port: 80}}]}}]}}\n---\n"
            )
        };
        for (text, want) in [
            (SERVICE.to_owned() + &rule("cart"), &[][..]),
            (
                SERVICE.to_owned() + &rule("card"),
                &["VirtualService shop/cart: unknown-host"],
            ),
            (
                SERVICE.to_owned() + &rule("cart") + &mesh("no: 1"),
                &["ConfigMap istio-system/istio: unknown-field"],
            ),
            (
                SERVICE.to_owned() + &route("cart"),
                &["HTTPRoute shop/r= 0"],
            ),
            (
                SERVICE.to_owned() + &route("card"),
                &[
                    "HTTPRoute shop/r: unknown-host",
                    "HTTPRoute shop/r= 0 NoMatchingParent",
                ],
            ),
        ] {
            assert_eq!(judged(&text), want, "{text}");
        }
    }
}
