//! Kustomizations in a folder: which of its files are patches, and so no resources as they stand.
//!
//! Nothing is built here. What a kustomization makes of other files is known to who builds it.

use std::collections::BTreeSet;

use super::node::Node;
use super::report::Report;
use super::source::Source;
use super::yaml;

/// The names by which a kustomization is known.
const NAMES: &[&str] = &["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fields that list patches: entries are paths, or have one.
const PATCHES: &[&str] = &["patches", "patchesStrategicMerge", "patchesJson6902"];

/// Whether a file is a kustomization.
pub(super) fn is_kustomization(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    NAMES.contains(&name)
}

/// The files that a kustomization among the sources names as patches, by their plain paths.
pub(super) fn patches(sources: &[Source<'_>]) -> BTreeSet<String> {
    let mut patches = BTreeSet::new();
    let kustomizations = sources
        .iter()
        .filter(|source| is_kustomization(source.name));
    for source in kustomizations {
        let folder = source
            .name
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        // What is wrong with it is told when its turn comes.
        for document in yaml::read(source.bytes, &mut Report::new()) {
            let lists = PATCHES.iter().filter_map(|field| document.entry(field));
            let entries = lists.flat_map(|list| list.value.items());
            let paths = entries.filter_map(path_of);
            patches.extend(paths.map(|path| plain_path(&format!("{folder}/{path}"))));
        }
    }
    patches
}

/// The path of an entry. A patch that is written out in place has none.
fn path_of(entry: &Node) -> Option<&str> {
    let path = entry.entry("path").and_then(|path| path.value.text());
    path.or_else(|| entry.text())
        .filter(|path| !path.contains('\n'))
}

/// A path without `.` and, as far as it can be told, without `..`.
pub(super) fn plain_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for (at, part) in path.split('/').enumerate() {
        match part {
            "" if at > 0 => {}
            "." => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, ".." | "")) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn paths_are_plain() {
        for (path, plain) in [
            ("a/b.yaml", "a/b.yaml"),
            ("./a//./b.yaml", "a/b.yaml"),
            ("a/base/../b.yaml", "a/b.yaml"),
            ("../a/../../b.yaml", "../../b.yaml"),
            ("/a/../b.yaml", "/b.yaml"),
        ] {
            assert_eq!(plain_path(path), plain, "{path}");
        }
    }

    #[test]
    fn patches_of_kustomizations_are_passed_over() {
        let rule = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {selector: {a: b}}\n";
        let delete = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n$patch: delete\n";
        let kustomization = "patches: [{path: p/one.yaml, target: {kind: Gateway}}, {patch: '- op: x'}]\npatchesStrategicMerge: [../three.yaml]\n";
        let sources = [
            ("./a/kustomization.yaml", kustomization),
            ("./a/p/one.yaml", rule),
            ("./a/p/two.yaml", rule),
            ("./three.yaml", rule),
            ("./four.yaml", delete),
        ];
        let sources = sources.map(|(name, text)| Source {
            name,
            bytes: text.as_bytes(),
        });
        let findings = load(&sources, "default").findings;
        let found: Vec<_> = findings
            .iter()
            .map(|finding| (&*finding.file, finding.code.as_str()))
            .collect();
        let expected = [
            ("./a/kustomization.yaml", "kustomization"),
            ("./a/p/one.yaml", "passed-over"),
            ("./a/p/two.yaml", "required-field"),
            ("./three.yaml", "passed-over"),
            ("./four.yaml", "passed-over"),
        ];
        assert_eq!(found, expected);
    }
}
