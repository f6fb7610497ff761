//! Files of documents: what is not injected stays as it was written, to the letter; what is, is written anew in the order of its keys,
//! below the comments that stood before it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::patch::Operation;
use crate::settings::Settings;
use crate::workload::{Around, Told, inject};
use crate::yaml::{self, Tree};

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// All of its documents.
    pub documents: Vec<Document>,
}

/// One document, or several that are written as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// As text, with the marker before it and the line break behind it, where there were any.
    pub text: String,
    /// As JSON.
    pub objects: Vec<Value>,
    /// What was done to it; empty where it is as it was.
    pub patch: Vec<Operation>,
    /// What is told of its parts that have pods.
    pub told: Vec<Told>,
}

/// The labels of the namespaces that a file has.
///
/// # Errors
/// It cannot be read: `file:line:column: …`.
pub fn namespaces(
    file: &str,
    text: &str,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let mut found = BTreeMap::new();
    for document in yaml::read(file, text.as_bytes())? {
        collect(&document.to_json(), &mut found);
    }
    Ok(found)
}

fn collect(object: &Value, found: &mut BTreeMap<String, BTreeMap<String, String>>) {
    if object["kind"] == "List" {
        let items = object["items"].as_array();
        items
            .into_iter()
            .flatten()
            .for_each(|item| collect(item, found));
    }
    let name = object["metadata"]["name"].as_str();
    if let Some(name) = name.filter(|_| object["kind"] == "Namespace") {
        let labels = object["metadata"]["labels"].as_object();
        let label =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let labels = labels.into_iter().flatten().filter_map(label).collect();
        found.insert(name.to_owned(), labels);
    }
}

/// Puts sidecars into the documents of a file.
///
/// # Errors
/// It cannot be read (`file:line:column: …`), or a pod is refused.
pub fn inject_text(
    file: &str,
    text: &str,
    around: Around<'_>,
    settings: &Settings,
) -> Result<Text, String> {
    // Places in findings are those of the whole.
    let count = yaml::read(file, text.as_bytes())?.len();
    let mut chunks = Vec::new();
    for chunk in split(text) {
        chunks.push((chunk, yaml::read(file, chunk.as_bytes())?));
    }
    if chunks.iter().map(|(_, trees)| trees.len()).sum::<usize>() != count {
        return Err(format!("{file}: its documents cannot be told apart"));
    }
    let mut documents = Vec::new();
    for (chunk, trees) in chunks {
        let document =
            document(chunk, trees, around, settings).map_err(|why| format!("{file}: {why}"))?;
        documents.push(document);
    }
    Ok(Text { documents })
}

fn document(
    chunk: &str,
    mut trees: Vec<Tree>,
    around: Around<'_>,
    settings: &Settings,
) -> Result<Document, String> {
    let mut document = Document {
        text: chunk.to_owned(),
        objects: Vec::new(),
        patch: Vec::new(),
        told: Vec::new(),
    };
    for tree in &mut trees {
        let injection = inject(&tree.to_json(), around, settings).map_err(|why| why.to_string())?;
        tree.apply(&injection.patch)
            .map_err(|misfit| format!("{}: the patch does not fit", misfit.0))?;
        document.objects.push(injection.object);
        document.patch.extend(injection.patch);
        document.told.extend(injection.told);
    }
    if !document.patch.is_empty() {
        let written: Vec<String> = trees.iter().map(yaml::write).collect();
        document.text = head(chunk) + &written.join("---\n");
    }
    Ok(document)
}

/// The parts that begin with a marker; before the first there may be one without.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if is_marker(line) && at > from && !is_prologue(&text[from..at]) {
            parts.push(&text[from..at]);
            from = at;
        }
        at += line.len();
    }
    if at > from {
        parts.push(&text[from..at]);
    }
    parts
}

/// Directives, which belong to the marker behind them.
fn is_prologue(part: &str) -> bool {
    part.starts_with('%')
        && part
            .lines()
            .all(|line| line.starts_with(['%', '#']) || line.trim().is_empty())
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t']))
}

/// The marker and the comments before a document. Of a marker with a document on its line the marker stays.
fn head(chunk: &str) -> String {
    let mut head = String::new();
    for line in chunk.split_inclusive('\n') {
        let plain = line.trim();
        if is_marker(line) {
            let rest = line.trim_start_matches('-').trim();
            if rest.is_empty() || rest.starts_with('#') {
                head.push_str(line);
            } else {
                head.push_str("---\n");
                break;
            }
        } else if plain.is_empty() || plain.starts_with('#') || line.starts_with('%') {
            head.push_str(line);
        } else {
            break;
        }
    }
    head
}
