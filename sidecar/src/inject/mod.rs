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
