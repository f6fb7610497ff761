//! Two files of one room do not import each other, not even by way of others: neither could be read, moved or changed
//! alone.
//!
//! A room is a folder, and each of its files stands for itself and for what lies below it. The page of a room (`mod.rs`,
//! `lib.rs`, or the file with the folder's name) is left out: it opens its files, and they use what it says for all.
//! Which modules of core may import which is ruled in `layers`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::source::{Faults, RustFile, Tests, rust_files};

/// Circles that are left, by room, each with its reason. One that is gone must be removed here.
const LEFT: &[(&str, &[&str], &str)] = &[
    (
        "core/src/cluster",
        &["choices", "limits", "retries", "state"],
        "each file that counts for a cluster has the methods of its state for that, and a permit holds what it gives back to",
    ),
    (
        "runtime-sim/src",
        &["errands", "peer"],
        "a peer is told where errands are left, and one kind of them brings another peer: no smaller word would do for both",
    ),
];

/// A module's place below `src`: `["config", "yaml"]`.
type Path = Vec<String>;

#[test]
fn files_of_a_room_do_not_import_each_other_in_a_circle() {
    let files = rust_files();
    let mut packages: BTreeMap<&str, BTreeMap<Path, &RustFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        if let Some((package, inside)) = file.relative.split_once("/src/") {
            let modules = packages.entry(package).or_default();
            modules.insert(module_path(inside), file);
        }
    }
    let mut faults = Faults::default();
    let mut used = BTreeSet::new();
    for (package, modules) in packages {
        for (room, imports) in rooms(&modules) {
            let room = [&[package.to_owned(), "src".to_owned()], &*room].concat();
            let room = room.join("/");
            if room == "core/src" {
                continue; // `layers` has its order, and its exceptions
            }
            for circle in circles(&imports) {
                let known = LEFT.iter().position(|(r, c, _)| *r == room && *c == circle);
                match known {
                    Some(at) => drop(used.insert(at)),
                    None => faults.text(told(&room, &circle, &imports)),
                }
            }
        }
    }
    for (at, (room, circle, _)) in LEFT.iter().enumerate() {
        if !used.contains(&at) {
            let circle = circle.join(", ");
            faults.text(format!(
                "{room}: {circle} are no circle any more: remove it from LEFT"
            ));
        }
    }
    faults.none();
}

fn told(room: &str, circle: &[&str], imports: &Imports<'_>) -> String {
    let mut text = format!(
        "{room}: {} import each other in a circle: move what they share",
        circle.join(", ")
    );
    for (edge, by) in imports {
        if circle.contains(&edge.0) && circle.contains(&edge.1) {
            let _ = write!(text, "\n    {} → {}, by {by}", edge.0, edge.1);
        }
    }
    text
}

/// `["config", "yaml"]` for `config/yaml/mod.rs` and for `config/yaml.rs`; nothing for `lib.rs`.
fn module_path(inside: &str) -> Path {
    let mut path: Path = inside
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if matches!(
        path.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        path.pop();
    }
    path
}

/// Who of a room imports whom, with one place where it does.
type Imports<'m> = BTreeMap<(&'m str, &'m str), String>;

/// The imports of each room: an import belongs to the deepest room that holds both ends.
fn rooms<'m>(modules: &'m BTreeMap<Path, &RustFile>) -> BTreeMap<Path, Imports<'m>> {
    let mut rooms: BTreeMap<Path, Imports<'m>> = BTreeMap::new();
    let handed_on = handed_on(modules);
    for (module, file) in modules {
        for path in imported(&code(file)) {
            let Some(target) = resolve(module, &path, modules, &handed_on) else {
                continue;
            };
            let shared = module.iter().zip(target).take_while(|(a, b)| a == b);
            let depth = shared.count();
            if let (Some(from), Some(to)) = (module.get(depth), target.get(depth)) {
                let place = || format!("{} ({})", file.relative, path.join("::"));
                let room = rooms.entry(module[..depth].to_vec()).or_default();
                room.entry((from, to)).or_insert_with(place);
            }
        }
    }
    rooms
}

/// What a module hands on from its files (`pub use`), by name.
type HandedOn<'m> = BTreeMap<(&'m Path, String), Path>;

fn handed_on<'m>(modules: &'m BTreeMap<Path, &RustFile>) -> HandedOn<'m> {
    let mut all = BTreeMap::new();
    for (module, file) in modules {
        for statement in statements(&code(file)).filter(|s| s.starts_with("pub")) {
            for path in branches(tree(&statement)) {
                if let Some(name) = path.last() {
                    all.insert((module, name.clone()), path);
                }
            }
        }
    }
    all
}

/// The module that a path of another one leads to; `None` where it leads out of the package.
fn resolve<'m>(
    from: &Path,
    path: &[String],
    modules: &'m BTreeMap<Path, &RustFile>,
    handed_on: &HandedOn<'_>,
) -> Option<&'m Path> {
    let mut at = from.clone();
    let mut rest = path.to_vec();
    match rest.first().map(String::as_str)? {
        "crate" => at.clear(),
        "super" | "self" => {}
        first => {
            at.push(first.to_owned());
            modules.get(&at)?;
        }
    }
    rest.remove(0);
    if path[0] == "super" {
        at.pop();
    }
    while !rest.is_empty() {
        let next = [&*at, &rest[..1]].concat();
        if rest[0] == "super" {
            at.pop();
        } else if modules.contains_key(&next) {
            at = next;
        } else if let Some(inside) = handed_on.get(&(&at, rest[0].clone()))
            && modules.contains_key(&[&*at, &inside[..1]].concat())
            && inside.len() > 1
        {
            rest.splice(0..1, inside.iter().cloned());
            continue;
        } else {
            break;
        }
        rest.remove(0);
    }
    modules.get_key_value(&at).map(|(path, _)| path)
}

/// The code of a file without comments and without its tests.
fn code(file: &RustFile) -> String {
    let lines = file.code_lines(Tests::LeftOut);
    lines.map(|(_, line)| line.to_owned() + "\n").collect()
}

/// All paths that some code imports, and those that it names in place from `crate`, `super` or `self` on.
fn imported(code: &str) -> Vec<Path> {
    let mut paths: Vec<Path> = statements(code)
        .flat_map(|statement| branches(tree(&statement)))
        .collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || matches!(c, ':' | '$')) {
                continue;
            }
            let end = code[at..].find(|c: char| !is_word(c) && c != ':');
            let text = &code[at..end.map_or(code.len(), |end| at + end)];
            let steps = text.split("::").filter(|step| !step.is_empty());
            paths.push(steps.map(str::to_owned).collect());
        }
    }
    paths
}

/// The `use` statements of some code, each without line breaks.
fn statements(code: &str) -> impl Iterator<Item = String> {
    let mut open: Option<String> = None;
    code.lines().filter_map(move |line| {
        let line = line.trim();
        let begins = line.starts_with("use ")
            || line.starts_with("pub") && line.split_whitespace().any(|word| word == "use");
        match &mut open {
            Some(statement) => statement.push_str(line),
            None if begins => open = Some(line.to_owned()),
            None => return None,
        }
        open.take_if(|statement| statement.ends_with(';'))
    })
}

/// What stands behind `use` in a statement.
fn tree(statement: &str) -> &str {
    let tree = statement.split_once("use ").map_or("", |(_, tree)| tree);
    tree.trim_end_matches(';')
}

/// The paths of a tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn branches(tree: &str) -> Vec<Path> {
    let (stem, inside) = tree.split_once('{').unwrap_or((tree, ""));
    let stem: Path = stem
        .split("::")
        .filter_map(|step| step.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    if inside.is_empty() {
        return vec![stem];
    }
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let mut depth = 0;
    let parts = inside.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let parts = parts.map(str::trim).filter(|part| !part.is_empty());
    parts
        .flat_map(branches)
        .map(|branch| [stem.clone(), branch].concat())
        .collect()
}

/// Files of a room that import each other, directly or by way of others.
fn circles<'m>(imports: &Imports<'m>) -> BTreeSet<Vec<&'m str>> {
    let reached = |from: &'m str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(at) = open.pop() {
            let next = imports.keys().filter(|edge| edge.0 == at);
            open.extend(next.map(|edge| edge.1).filter(|to| seen.insert(*to)));
        }
        seen
    };
    let reach: BTreeMap<_, _> = imports
        .keys()
        .map(|(from, _)| (*from, reached(from)))
        .collect();
    let of = |file: &'m str| -> Vec<&'m str> {
        let mutual = |other: &&&str| reach.get(**other).is_some_and(|back| back.contains(file));
        reach[file].iter().filter(mutual).copied().collect()
    };
    reach
        .keys()
        .map(|file| of(file))
        .filter(|c| c.len() > 1)
        .collect()
}

#[test]
fn imports_are_read_as_they_are_written() {
    let code = "use super::a::{self, B, c::D as E};\npub use inner::F;\nfn f(x: crate::g::H) {}\n";
    let read: Vec<String> = imported(code).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        read,
        [
            "super::a::self",
            "super::a::B",
            "super::a::c::D",
            "inner::F",
            "crate::g::H",
            "super::a"
        ]
    );
}

#[test]
fn circles_may_be_long() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e")];
    let imports: Imports<'_> = edges.map(|edge| (edge, String::new())).into();
    assert_eq!(circles(&imports), [vec!["a", "b", "c"]].into());
}
