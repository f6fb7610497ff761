//! How large things may grow in the rooms where everything meets: the joint between connections, requests and policy. What
//! holds for every file of the house is in `files`.

use std::collections::BTreeMap;

use crate::source::{Faults, RustFile, Tests, rust_files};

/// The rooms, below `core/src`.
const ROOMS: &[&str] = &["connection", "exchange", "local", "worker"];

/// A struct with more methods has more than one reason to exist. Those that only tests have do not count.
const MAX_METHODS: usize = 25;

/// A function that does not fit a screen cannot be seen at once.
const MAX_FUNCTION_LINES: usize = 60;

const MAX_FILE_LINES: usize = 400;

#[test]
fn where_everything_meets_nothing_grows_large() {
    let mut faults = Faults::default();
    let mut methods: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for file in rust_files().iter().filter(|file| is_in_a_room(file)) {
        let lines: Vec<&str> = file
            .code_lines(Tests::LeftOut)
            .map(|(_, code)| code)
            .collect();
        if lines.len() > MAX_FILE_LINES {
            let what = format!("{} lines, more than {MAX_FILE_LINES}", lines.len());
            faults.add(file, lines.len(), what);
        }
        for function in functions(&lines) {
            if function.lines > MAX_FUNCTION_LINES {
                let (name, lines) = (&function.name, function.lines);
                let what = format!("`{name}` has {lines} lines, more than {MAX_FUNCTION_LINES}");
                faults.add(file, function.at, what);
            }
            if let Some(of) = function.of {
                let room = file.core_module().to_owned();
                methods.entry((room, of)).or_default().push(function.name);
            }
        }
    }
    assert!(methods.len() > 20, "the walk finds the structs");
    for ((room, of), names) in methods {
        if names.len() > MAX_METHODS {
            let (count, names) = (names.len(), names.join(", "));
            faults.text(format!(
                "core/src/{room}: `{of}` has {count} methods, more than {MAX_METHODS}: {names}"
            ));
        }
    }
    faults.none();
}

fn is_in_a_room(file: &RustFile) -> bool {
    file.is_in("core/src/") && !file.is_test() && ROOMS.contains(&file.core_module())
}

struct Function {
    name: String,
    /// Its first line, and how many it has.
    at: usize,
    lines: usize,
    /// Whose method it is; nobody's for a free function or one that only tests have.
    of: Option<String>,
}

/// The functions of a file as rustfmt writes it: a thing ends with a brace in the column in which it began.
fn functions(lines: &[&str]) -> Vec<Function> {
    let mut found = Vec::new();
    let mut of = None;
    for (index, line) in lines.iter().enumerate() {
        if line.starts_with("impl") {
            let is_for_tests = index > 0 && lines[index - 1].starts_with("#[cfg(test)]");
            of = implementor(line).filter(|_| !is_for_tests);
        } else if *line == "}" {
            of = None;
        }
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let closing = format!("{indent}}}");
        let length = match line.ends_with('}') || line.ends_with(';') {
            true => 1,
            false => {
                let rest = &lines[index..];
                let end = rest.iter().position(|line| *line == closing);
                end.map_or(rest.len(), |end| end + 1)
            }
        };
        found.push(Function {
            name: name.to_owned(),
            at: index + 1,
            lines: length,
            of: of.clone(),
        });
    }
    found
}

/// `Worker` for `impl Worker {`, `impl fmt::Debug for Worker {` and `impl<'a> Worker<'a> {`.
fn implementor(line: &str) -> Option<String> {
    let subject = line.trim_end_matches('{').trim_end();
    let subject = match subject.rsplit_once(" for ") {
        Some((_, subject)) => subject,
        None if subject.starts_with("impl<") => subject.split_once("> ")?.1,
        None => subject.split_once(' ')?.1,
    };
    let end = subject.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &subject[..end.unwrap_or(subject.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let words = before.split_whitespace();
    let are_qualifiers = words.into_iter().all(|word| {
        matches!(word, "const" | "async" | "unsafe" | "extern" | "in")
            || word.starts_with("pub")
            || word.ends_with(')')
    });
    let end = after.find(['(', '<']);
    end.filter(|_| are_qualifiers).map(|end| &after[..end])
}

#[test]
fn functions_are_found_with_their_length_and_whose_they_are() {
    let source = "\
impl<'a> One<'a> {
    pub(in crate::exchange) const fn short(self) -> u8 {
        1
    }

    fn many(
        act: impl FnOnce(u8),
    ) {
        let f = |x: fn(u8)| x;
    }
}

impl fmt::Debug for Two {
    fn fmt(&self) {}
}

#[cfg(test)]
impl Two {
    fn parts(&self) {}
}

fn free() {
}";
    let lines: Vec<&str> = source.lines().collect();
    let found = functions(&lines);
    let found: Vec<_> = found
        .iter()
        .map(|f| (f.name.as_str(), f.at, f.lines, f.of.as_deref()))
        .collect();
    let want = [
        ("short", 2, 3, Some("One")),
        ("many", 6, 5, Some("One")),
        ("fmt", 14, 1, Some("Two")),
        ("parts", 19, 1, None),
        ("free", 22, 2, None),
    ];
    assert_eq!(found, want);
}
