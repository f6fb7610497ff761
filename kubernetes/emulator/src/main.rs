//! The emulator alone: serves the documents of a folder, and follows what changes there.
//!
//! `cargo run -p outrigger-kubernetes-emulator -- --listen 127.0.0.1:8001 mesh/`

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use outrigger_kubernetes_emulator::Emulator;
use serde::Deserialize as _;
use serde_json::Value;

const USAGE: &str = "usage: outrigger-kubernetes-emulator [--listen ADDR] DIR\n\
    Serves the YAML and JSON documents of a folder as Kubernetes' API does, over clear text, and looks for changes each second.";

/// Files are read again this often.
const EVERY: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut addr = SocketAddr::from(([127, 0, 0, 1], 8001));
    let mut folder = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--listen" {
            let Some(given) = arguments.next().and_then(|addr| addr.parse().ok()) else {
                return usage();
            };
            addr = given;
        } else if argument.starts_with('-') || folder.replace(PathBuf::from(argument)).is_some() {
            return usage();
        }
    }
    let Some(folder) = folder else {
        return usage();
    };
    let cluster = match Emulator::listen(addr).await {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("cannot listen on {addr}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening on {}", cluster.url());
    let mut known = BTreeSet::new();
    loop {
        known = follow(&cluster, &folder, known);
        tokio::time::sleep(EVERY).await;
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// An object by its API version, kind, namespace and name.
type Name = (String, String, String, String);

/// Makes the cluster what the files say; what they said before and do not say now is taken away.
fn follow(cluster: &Emulator, folder: &Path, known: BTreeSet<Name>) -> BTreeSet<Name> {
    let objects = match read(folder) {
        Ok(objects) => objects,
        Err(why) => {
            eprintln!("{why}; kept what is served");
            return known;
        }
    };
    let mut names = BTreeSet::new();
    for object in &objects {
        let name = name(object);
        if !cluster.apply(object) && !known.contains(&name) {
            eprintln!("no kind of this cluster: {} {}", name.0, name.1);
        }
        names.insert(name);
    }
    for (api_version, kind, namespace, name) in known.difference(&names) {
        cluster.delete(api_version, kind, namespace, name);
    }
    names
}

fn name(object: &Value) -> Name {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let meta = &object["metadata"];
    (
        text(&object["apiVersion"]),
        text(&object["kind"]),
        text(&meta["namespace"]),
        text(&meta["name"]),
    )
}

fn read(folder: &Path) -> Result<Vec<Value>, String> {
    let because =
        |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let entries = std::fs::read_dir(folder).map_err(|error| because(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut objects = Vec::new();
    for path in paths {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !matches!(ending, Some("yaml" | "yml" | "json")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| because(&path, &error))?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = Value::deserialize(document).map_err(|error| because(&path, &error))?;
            if object.is_object() {
                objects.push(object);
            }
        }
    }
    Ok(objects)
}
