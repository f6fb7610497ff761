//! Files in, files out: what is not touched stays to the letter.
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::collections::BTreeMap;

use outrigger_inject::{Around, Settings, inject_text, namespaces};

const FILE: &str = "\
# Who we are.
apiVersion: v1
kind: Namespace
metadata:   {name: shop,   labels: {istio-injection: enabled}}   # oddly spaced
---
# Not for a sidecar.
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: shop}
data:
  text: |
    keep   this
--- # the pod
# and its comment

kind: Pod
apiVersion: v1
metadata: {name: a, namespace: shop}
spec:
  zone: first   # keys stay in their order
  containers: [{image: \"a:1\", name: app}]
---
{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"b\", \"namespace\": \"bare\"}, \"spec\": {\"containers\": [{\"name\": \"app\"}]}}
";

fn out(text: &str) -> Result<(String, Vec<String>), String> {
    let namespaces = namespaces("f", text)?;
    let around = Around {
        namespace: "default",
        namespaces: &namespaces,
    };
    let done = inject_text("f", text, around, &Settings::default())?;
    let out = done.documents.iter().map(|one| one.text.as_str()).collect();
    let told = done.documents.iter().flat_map(|one| &one.told);
    Ok((out, told.map(ToString::to_string).collect()))
}

#[test]
fn what_is_not_injected_stays_to_the_letter() {
    let text = FILE.to_owned()
        + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: bare, labels: {a: b}}\n";
    let (got, told) = out(&text).unwrap();
    let (before, after) = text.split_once("kind: Pod").unwrap();
    let (_, after) = after.split_once("---\n").unwrap();
    assert!(got.starts_with(before), "{got}");
    assert!(got.ends_with(after), "{got}");
    assert!(
        got.contains("\nkind: Pod\napiVersion: v1\nmetadata:\n  name: a\n"),
        "{got}"
    );
    assert!(
        got.contains("\nspec:\n  zone: first\n  containers:\n  - image: a:1\n    name: app\n"),
        "{got}"
    );
    assert_eq!(
        told,
        [
            "Namespace default/shop: not injected: its kind has no pods",
            "ConfigMap shop/c: not injected: its kind has no pods",
            "Pod shop/a: injected",
            "Pod bare/b: not injected: neither the pod (`sidecar.istio.io/inject: \"true\"`) nor its namespace (`istio-injection: enabled`) asks for one",
            "Namespace default/bare: not injected: its kind has no pods",
        ]
    );
    let none = BTreeMap::new();
    let around = Around {
        namespace: "default",
        namespaces: &none,
    };
    let done = inject_text(
        "f",
        "kind: Pod\nspec: {containers: [{name: a}]}\n---\nkind: Service\n",
        around,
        &Settings::default(),
    );
    let documents = done.unwrap().documents;
    assert_eq!(
        documents[0].objects[0]["spec"]["initContainers"][1]["name"],
        "istio-proxy"
    );
    assert_eq!(
        (
            documents[1].objects[0]["kind"].as_str(),
            documents[1].patch.len()
        ),
        (Some("Service"), 0)
    );
    let again = out(&got).unwrap();
    assert_eq!(again.0, got, "twice is once");
}

#[test]
fn documents_may_begin_and_end_in_any_way() {
    let pod = "{kind: Pod, metadata: {name: a}, spec: {containers: [{name: app}]}}";
    for (text, begins) in [
        (pod.to_owned(), "kind: Pod\n"),
        (format!("--- {pod}\n"), "---\nkind: Pod\n"),
        (
            format!("\n# c\n---\n---\n{pod}\n...\n"),
            "\n# c\n---\n---\nkind: Pod\n",
        ),
        (
            format!("%YAML 1.2\n---\n{pod}\n"),
            "%YAML 1.2\n---\nkind: Pod\n",
        ),
        (
            format!("a: |\n  ---- no marker\n---\n{pod}"),
            "a: |\n  ---- no marker\n---\nkind: Pod\n",
        ),
    ] {
        let (got, _) = out(&text).unwrap();
        assert!(got.starts_with(begins), "{text}\n=>\n{got}");
        assert_eq!(out(&got).unwrap().0, got);
    }
    for text in ["", "\n", "# nothing\n", "---\n---\n"] {
        assert_eq!(out(text).unwrap(), (text.to_owned(), vec![]));
    }
}

#[test]
fn what_cannot_be_read_or_done_is_told_with_its_place() {
    for (text, want) in [
        ("a: 1\n---\nb: [\n", "f:"),
        ("a: 1\na: 2\n", "f:2:1: "),
        (
            "kind: Pod\nmetadata: {name: a, annotations: {sidecar.istio.io/nativeSidecar: \"1\"}}\nspec: {containers: [{name: b}]}",
            "f: Pod default/a: annotation `sidecar.istio.io/nativeSidecar`: `1` is not `true` or `false`",
        ),
    ] {
        let told = out(text).unwrap_err();
        assert!(told.starts_with(want), "{told}");
    }
}

#[test]
fn namespaces_in_lists_count() {
    let text = "kind: List\nitems:\n- {kind: Namespace, metadata: {name: a, labels: {b: c}}}\n- {kind: Namespace, metadata: {name: d}}\n";
    let want = BTreeMap::from([
        (
            "a".to_owned(),
            BTreeMap::from([("b".to_owned(), "c".to_owned())]),
        ),
        ("d".to_owned(), BTreeMap::new()),
    ]);
    assert_eq!(namespaces("f", text).unwrap(), want);
}
