//! What is installed fits the program: the manifests are Kubernetes' to their last field, control may read each kind that it reads and
//! not much more, webhooks lead to where reviews are answered, and settings are some that injection reads.
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use outrigger_inject::{INJECT, Settings, VALIDATE, yaml};
use outrigger_xds::{KINDS, Kind};
use serde_json::Value;

mod strict;

fn install() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../install")
}

fn manifests() -> Vec<Value> {
    let text = fs::read(install().join("manifests/outrigger.yaml")).unwrap();
    let documents = yaml::read("outrigger.yaml", &text).unwrap();
    documents.iter().map(yaml::Tree::to_json).collect()
}

fn all(kind: &str) -> Vec<Value> {
    let found: Vec<Value> = manifests()
        .into_iter()
        .filter(|one| one["kind"] == kind)
        .collect();
    assert!(!found.is_empty(), "there is a {kind}");
    found
}

#[test]
fn each_manifest_is_kubernetes_own_to_its_last_field() {
    for manifest in manifests() {
        let fault = match manifest["kind"].as_str().unwrap() {
            "Namespace" => strict::through::<Namespace>(&manifest),
            "ServiceAccount" => strict::through::<ServiceAccount>(&manifest),
            "ConfigMap" => strict::through::<ConfigMap>(&manifest),
            "ClusterRole" => strict::through::<ClusterRole>(&manifest),
            "ClusterRoleBinding" => strict::through::<ClusterRoleBinding>(&manifest),
            "Role" => strict::through::<Role>(&manifest),
            "RoleBinding" => strict::through::<RoleBinding>(&manifest),
            "Service" => strict::through::<Service>(&manifest),
            "Deployment" => strict::through::<Deployment>(&manifest),
            "PodDisruptionBudget" => strict::through::<PodDisruptionBudget>(&manifest),
            "MutatingWebhookConfiguration" => {
                strict::through::<MutatingWebhookConfiguration>(&manifest)
            }
            "ValidatingWebhookConfiguration" => {
                strict::through::<ValidatingWebhookConfiguration>(&manifest)
            }
            other => Some(format!("nobody looks at a {other}")),
        };
        assert_eq!(fault, None);
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect()
}

#[test]
fn control_may_read_what_it_reads_and_no_secret_of_others() {
    let roles = all("ClusterRole");
    let (mut readable, mut told) = (BTreeSet::new(), BTreeSet::new());
    for rule in roles[0]["rules"].as_array().unwrap() {
        let verbs = strings(&rule["verbs"]);
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                assert!(!group.contains('*') && !resource.contains('*') && !verbs.contains(&"*"));
                assert_ne!((group, resource), ("", "secrets"));
                if verbs.contains(&"watch") {
                    readable.insert((group.to_owned(), resource.to_owned()));
                }
                if let Some(plural) = resource.strip_suffix("/status") {
                    assert_eq!(verbs, ["get", "patch"], "{rule}");
                    told.insert((group.to_owned(), plural.to_owned()));
                }
                if resource == "events" {
                    assert_eq!((group, &verbs[..]), ("", &["get", "create", "patch"][..]));
                }
                let writes = verbs
                    .iter()
                    .any(|verb| !["get", "list", "watch"].contains(verb));
                let may_write = resource.ends_with("/status")
                    || ["events", "tokenreviews"].contains(&resource)
                    || (resource, &verbs[..]) == ("configmaps", &["create"])
                    || rule["resourceNames"].is_array();
                assert!(!writes || may_write, "{rule}");
            }
        }
    }
    for kind in KINDS {
        // Those are read where the chart says so.
        if !["secrets", "configmaps"].contains(&kind.plural) {
            let key = (kind.group.to_owned(), kind.plural.to_owned());
            assert!(readable.remove(&key), "control may not watch {key:?}");
        }
    }
    // Conditions of Istio's kinds, and who took a route, are written; nothing into what others keep.
    let has_status = |kind: &&Kind| {
        kind.group.ends_with(".istio.io") || kind.kind.ends_with("Route") && !kind.group.is_empty()
    };
    let kinds = KINDS.iter().filter(has_status);
    let wanted = kinds.map(|kind| (kind.group.to_owned(), kind.plural.to_owned()));
    assert_eq!(told, wanted.collect(), "whose status control writes");
    let rest: Vec<_> = readable.into_iter().map(|(_, resource)| resource).collect();
    assert_eq!(rest, [""; 0], "nobody reads these");
    for role in all("Role") {
        for rule in role["rules"].as_array().unwrap() {
            let is_named = rule["resourceNames"].is_array();
            let is_create = strings(&rule["verbs"]) == ["create"];
            let is_of_credentials = role["metadata"]["name"] == "outrigger-credentials";
            assert!(is_named || is_create || is_of_credentials, "{rule}");
        }
    }
}

#[test]
fn webhooks_lead_to_where_reviews_are_answered() {
    let services = all("Service");
    let ports = services[0]["spec"]["ports"].as_array().unwrap();
    for (kind, path, policy) in [
        ("MutatingWebhookConfiguration", INJECT, "Fail"),
        ("ValidatingWebhookConfiguration", VALIDATE, "Ignore"),
    ] {
        for webhook in all(kind)[0]["webhooks"].as_array().unwrap() {
            let service = &webhook["clientConfig"]["service"];
            assert_eq!(service["path"], path);
            assert_eq!(service["name"], services[0]["metadata"]["name"]);
            assert_eq!(service["namespace"], services[0]["metadata"]["namespace"]);
            assert!(ports.iter().any(|port| port["port"] == service["port"]));
            assert_eq!(webhook["failurePolicy"], policy);
            assert_eq!(
                webhook["admissionReviewVersions"],
                serde_json::json!(["v1"])
            );
            // Its own pods do not wait for it.
            let excluded =
                webhook["namespaceSelector"]["matchExpressions"][0]["values"].to_string();
            assert!(excluded.contains("outrigger-system") && excluded.contains("kube-system"));
        }
    }
}

#[test]
fn settings_are_read_by_injection() {
    let maps = all("ConfigMap");
    let settings = Settings::read(maps[0]["data"]["settings.yaml"].as_str().unwrap()).unwrap();
    let services = all("Service");
    let name = services[0]["metadata"]["name"].as_str().unwrap();
    let namespace = services[0]["metadata"]["namespace"].as_str().unwrap();
    let address = format!("{name}.{namespace}.svc:15012");
    assert_eq!(settings.discovery_address, address);
    assert_eq!(settings.ca_address, address);
    assert!(settings.never.iter().any(|never| never == namespace));
    let deployment = &all("Deployment")[0];
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["containers"][0]["image"], settings.image);
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"],
        "false"
    );
    assert!(deployment["spec"]["replicas"].as_u64().unwrap() >= 2);
}

/// Where Helm is, by itself or as PyPI's `helm-python-sdk`; elsewhere it says that nothing was compared.
#[test]
fn the_manifest_is_what_the_chart_gives() {
    let rendered = Command::new("python3")
        .arg(install().join("render"))
        .arg("--check")
        .output();
    let output = match rendered {
        Ok(output) if output.status.code() != Some(3) => output,
        Ok(_) => return println!("there is no Helm: nothing was compared"),
        Err(_) => return println!("there is no python3: nothing was compared"),
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
