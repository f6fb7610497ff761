//! Pods in, pods out: each `cases/NAME.in.yaml` becomes `NAME.out.yaml`, whose comments are what is told.
//!
//! A document of an input may be settings (`settings: …`) for what follows, and Namespaces say what their labels are.
//! `OUTRIGGER_WRITE_CASES=1` writes the outputs anew, to be read before they are kept.
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

mod strict;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use outrigger_inject::yaml::{self, Tree};
use outrigger_inject::{Around, Settings, inject};
use serde_json::Value;

#[test]
fn pods_get_their_sidecars() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let writes = std::env::var_os("OUTRIGGER_WRITE_CASES").is_some();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .strip_suffix(".in.yaml")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 10, "the walk finds the cases");
    for name in names {
        let input = fs::read(folder.join(format!("{name}.in.yaml"))).unwrap();
        let output = folder.join(format!("{name}.out.yaml"));
        let got = play(&name, &input);
        if writes {
            fs::write(&output, &got).unwrap();
        }
        let want = fs::read_to_string(&output).unwrap_or_default();
        assert!(got == want, "{name}: got\n{got}");
    }
}

/// The output of a case, each of whose documents is looked at on the way.
fn play(name: &str, input: &[u8]) -> String {
    let mut settings = Settings::default();
    let mut namespaces = BTreeMap::new();
    let (mut comments, mut documents) = (String::new(), Vec::new());
    for mut document in yaml::read(name, input).unwrap() {
        let object = document.to_json();
        if let Some(said) = object.get("settings") {
            settings = Settings::read(&said.to_string()).unwrap();
            continue;
        }
        if object["kind"] == "Namespace" {
            let labels = serde_json::from_value(object["metadata"]["labels"].clone());
            let name = object["metadata"]["name"].as_str().unwrap();
            namespaces.insert(name.to_owned(), labels.unwrap());
            continue;
        }
        let around = Around {
            namespace: "default",
            namespaces: &namespaces,
        };
        match inject(&object, around, &settings) {
            Err(refused) => writeln!(comments, "# refused: {refused}").unwrap(),
            Ok(injection) => {
                for told in &injection.told {
                    writeln!(comments, "# {told}").unwrap();
                    for warning in &told.warnings {
                        writeln!(comments, "#   warning: {warning}").unwrap();
                    }
                }
                look_at(name, &object, &injection.object, &settings, around);
                document.apply(&injection.patch).unwrap();
                assert_eq!(document.to_json(), injection.object, "{name}");
                if !injection.patch.is_empty() {
                    documents.push(yaml::write(&document));
                }
            }
        }
    }
    comments + &documents.join("---\n")
}

/// What comes out is what Kubernetes takes if what went in is, and who injects once more changes nothing.
fn look_at(name: &str, before: &Value, after: &Value, settings: &Settings, around: Around<'_>) {
    if strict::fault(before).is_none() {
        assert_eq!(strict::fault(after), None, "{name}");
    }
    let again = inject(after, around, settings).unwrap();
    assert_eq!(again.patch, [], "{name}: twice is once");
    let tree = Tree::of_json(after);
    let written = yaml::write(&tree);
    let read = yaml::read(name, written.as_bytes()).unwrap();
    assert_eq!(
        read[0].to_json(),
        *after,
        "{name}: what is written is read again"
    );
}
