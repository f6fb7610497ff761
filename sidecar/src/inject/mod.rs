//! The command `inject`: documents in, documents with sidecars out.
//!
//! Owns files, words and exit codes. Who gets a sidecar, and what that is, is `outrigger_inject`'s.

mod args;

pub(crate) use args::InjectArgs;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use outrigger_inject::{Around, Settings, Text, Why, inject_text, namespaces};
use serde_json::json;

use crate::sources;
use args::InjectFormat;

/// A pod asks for what there is not.
const REFUSED: u8 = 1;

/// Something could not be read.
const UNREADABLE: u8 = 2;

/// Runs the command and says how it went.
pub(crate) fn inject(args: &InjectArgs) -> ExitCode {
    match done(args) {
        Ok(texts) => {
            if !args.quiet {
                tell(&texts);
            }
            // Whoever reads may stop reading (`| head`).
            let _ = write(&texts, args.format);
            ExitCode::SUCCESS
        }
        Err((code, why)) => {
            anstream::eprintln!("error: {why}");
            ExitCode::from(code)
        }
    }
}

fn done(args: &InjectArgs) -> Result<Vec<Text>, (u8, String)> {
    let unreadable = |why: String| (UNREADABLE, why);
    let settings = settings(args).map_err(unreadable)?;
    let files = sources::read(&args.files).map_err(|all| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        unreadable(all.join("\nerror: "))
    })?;
    let mut texts = Vec::new();
    let mut known = BTreeMap::new();
    for source in &files.sources {
        let text = str::from_utf8(&source.bytes)
            .map_err(|error| unreadable(format!("{}: {error}", source.name)))?;
        known.extend(namespaces(&source.name, text).map_err(unreadable)?);
        texts.push((&source.name, text));
    }
    let around = Around {
        namespace: &args.namespace,
        namespaces: &known,
    };
    let injected = |(name, text): (&std::sync::Arc<str>, &str)| {
        inject_text(name, text, around, &settings).map_err(|why| (REFUSED, why))
    };
    texts.into_iter().map(injected).collect()
}

fn settings(args: &InjectArgs) -> Result<Settings, String> {
    let in_file =
        |path: &std::path::Path, why: &dyn Display| format!("`{}`: {why}", path.display());
    let mut settings = match &args.settings {
        None => Settings::default(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| in_file(path, &error))?;
            Settings::read(&text).map_err(|why| in_file(path, &why))?
        }
    };
    if let Some(path) = &args.mesh_config {
        let text = fs::read_to_string(path).map_err(|error| in_file(path, &error))?;
        settings = settings.in_mesh(&text).map_err(|why| in_file(path, &why))?;
    }
    if let Some(path) = &args.roots {
        let text = fs::read_to_string(path).map_err(|error| in_file(path, &error))?;
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(in_file(path, &"there is no certificate in PEM in it"));
        }
        settings.roots = Some(text);
    }
    Ok(settings)
}

/// What has no pods is no matter of anybody's.
fn tell(texts: &[Text]) {
    let documents = texts.iter().flat_map(|text| &text.documents);
    for told in documents.flat_map(|document| &document.told) {
        if told.why_not == Some(Why::NoPods) {
            continue;
        }
        anstream::eprintln!("{told}");
        for warning in &told.warnings {
            anstream::eprintln!("  warning: {warning}");
        }
    }
}

fn write(texts: &[Text], format: InjectFormat) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut ends_with = "\n".to_owned();
    let mut is_first = true;
    for document in texts.iter().flat_map(|text| &text.documents) {
        match format {
            InjectFormat::Yaml => {
                // Of another file, which has no need of a marker.
                let is_marked = document.text.starts_with("---");
                if !is_first && !ends_with.ends_with('\n') {
                    writeln!(out)?;
                }
                if !is_first && !is_marked {
                    writeln!(out, "---")?;
                }
                out.write_all(document.text.as_bytes())?;
                ends_with.clone_from(&document.text);
            }
            InjectFormat::Json => {
                for object in &document.objects {
                    writeln!(out, "{object}")?;
                }
            }
            InjectFormat::Patch if document.patch.is_empty() => {}
            InjectFormat::Patch => {
                let what: Vec<&str> = document
                    .told
                    .iter()
                    .map(|told| told.what.as_str())
                    .collect();
                writeln!(out, "{}", json!({"what": what, "patch": document.patch}))?;
            }
        }
        is_first = false;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::Cli;

    /// Whether the program takes the arguments and hooks of a container, once the kubelet has put in its variables.
    fn takes(container: &Value) {
        let words = |list: &Value| -> Vec<String> {
            let words = list
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            words
                .map(|word| word.replace("$(POD_NAMESPACE)", "shop"))
                .collect()
        };
        let run = [vec!["outrigger".to_owned()], words(&container["args"])].concat();
        let hooks = ["postStart", "preStop"];
        let hooks = hooks.map(|hook| words(&container["lifecycle"][hook]["exec"]["command"]));
        for line in [run].iter().chain(&hooks).filter(|line| !line.is_empty()) {
            if let Err(error) = Cli::try_parse_from(line) {
                panic!("{line:?}: {error}");
            }
        }
    }

    fn containers(object: &Value) -> Vec<Value> {
        let spec = object
            .pointer("/spec/template/spec")
            .unwrap_or_else(|| &object["spec"]);
        let all = ["initContainers", "containers"].into_iter();
        let all = all.filter_map(|field| spec[field].as_array());
        let ours = |one: &&Value| {
            one["image"]
                .as_str()
                .is_some_and(|image| image.starts_with("outrigger"))
        };
        all.flatten().filter(ours).cloned().collect()
    }

    #[test]
    fn what_is_injected_is_understood() {
        let settings = Settings {
            dns_capture: true,
            ipv6: true,
            ..Settings::default()
        };
        let around = Around {
            namespace: "shop",
            namespaces: &BTreeMap::new(),
        };
        for annotations in [
            json!({}),
            json!({"sidecar.istio.io/interceptionMode": "TPROXY", "sidecar.istio.io/nativeSidecar": "false"}),
            json!({"sidecar.istio.io/interceptionMode": "NONE", "sidecar.istio.io/logLevel": "debug"}),
            json!({
                "traffic.sidecar.istio.io/includeInboundPorts": "*",
                "traffic.sidecar.istio.io/excludeInboundPorts": "22",
                "traffic.sidecar.istio.io/includeOutboundPorts": "",
                "traffic.sidecar.istio.io/excludeOutboundPorts": "3306,5432",
                "traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/8,fd00::/8",
                "traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.1.0.0/16",
                "traffic.sidecar.istio.io/excludeInterfaces": "net1",
                "istio.io/reroute-virtual-interfaces": "k6t-eth0",
                "proxy.istio.io/config": "{concurrency: 2, terminationDrainDuration: 20s}",
            }),
        ] {
            let pod = json!({
                "kind": "Pod", "metadata": {"name": "a", "labels": {"app": "a"}, "annotations": annotations},
                "spec": {"containers": [{"name": "app"}]},
            });
            let injected = outrigger_inject::inject(&pod, around, &settings)
                .unwrap()
                .object;
            let found = containers(&injected);
            assert!(!found.is_empty());
            found.iter().for_each(takes);
        }
    }
}
