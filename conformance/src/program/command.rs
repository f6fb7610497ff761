//! A command line with places to fill in: `outrigger run --config {config} [--label {label}]`.
//!
//! Words are split at blanks; quotes keep blanks, as in a shell, but nothing else that a shell does is done. What stands
//! in brackets is left out when a case has no value for what it names, and repeated when it has several.

use std::collections::BTreeMap;

/// What may be filled in, and what it is.
pub const NAMES: [(&str, &str); 14] = [
    ("config", "the file with the case's Istio YAML"),
    ("port", "the port of the outbound listener, on 127.0.0.1"),
    ("admin", "a free port, for whatever else the program opens"),
    ("inbound", "the port of the inbound listener, on 127.0.0.1"),
    (
        "app",
        "the address of the application behind the inbound listener",
    ),
    (
        "namespace",
        "the namespace of the workload, where it is not `default`",
    ),
    ("label", "a label of the workload, `key=value`"),
    ("mesh", "a file with the mesh's configuration"),
    (
        "idle_timeout",
        "for how long a client's connection may be without a request",
    ),
    (
        "stream_idle_timeout",
        "for how long nothing of a request may move",
    ),
    (
        "request_head_timeout",
        "how long the head of a request may take",
    ),
    ("max_request_body", "the largest request body, in bytes"),
    (
        "dns",
        "the port of a name server on 127.0.0.1, where a case speaks of names",
    ),
    (
        "identity",
        "the folder of its certificate, its key and the authorities of the mesh, where a case gives it one",
    ),
];

/// What every case has a value for; only this may stand outside of brackets.
const ALWAYS: [&str; 3] = ["config", "port", "admin"];

/// The values of a case, by name; a name that is not there has none.
pub(crate) type Values = BTreeMap<&'static str, Vec<String>>;

/// A command with places to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    words: Vec<Word>,
    in_brackets: bool,
}

type Word = Vec<Piece>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(&'static str),
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut open: Option<Vec<Word>> = None;
        for word in split(text)? {
            let mut text = &*word;
            if open.is_none() && begins_group(text) {
                text = &text[1..];
                open = Some(Vec::new());
            }
            let Some(mut group) = open.take() else {
                parts.push(Part {
                    words: vec![pieces(text)?],
                    in_brackets: false,
                });
                continue;
            };
            match text.strip_suffix(']') {
                Some(text) => {
                    group.push(pieces(text)?);
                    parts.push(Part {
                        words: group,
                        in_brackets: true,
                    });
                }
                None => {
                    group.push(pieces(text)?);
                    open = Some(group);
                }
            }
        }
        if open.is_some() {
            return Err("a `[` has no `]`".to_owned());
        }
        Self(parts).checked()
    }

    fn checked(self) -> Result<Self, String> {
        match self.0.first() {
            Some(first) if !first.in_brackets => {}
            Some(_) | None => return Err("begin with the program to run".to_owned()),
        }
        for part in &self.0 {
            let names: Vec<&str> = part.names().collect();
            if part.in_brackets && names.is_empty() {
                return Err("nothing in brackets is to be filled in".to_owned());
            }
            let astray = names.iter().find(|name| !ALWAYS.contains(name));
            if let (false, Some(name)) = (part.in_brackets, astray) {
                let what = format!("not every case has {{{name}}}: write [... {{{name}}} ...]");
                return Err(what);
            }
        }
        for name in ["config", "port"] {
            if !self.names().any(|n| n == name) {
                return Err(format!("it must say where {{{name}}} goes"));
            }
        }
        Ok(self)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(Part::names)
    }

    /// The first name that a case has a value for and the command has no place for.
    pub(crate) fn lacks(&self, values: &Values) -> Option<&'static str> {
        let needed = values.keys().filter(|name| !ALWAYS.contains(name));
        needed
            .copied()
            .find(|name| !self.names().any(|n| n == *name))
    }

    /// The words of the command, filled in.
    pub(crate) fn fill(&self, values: &Values) -> Vec<String> {
        self.0.iter().flat_map(|part| part.fill(values)).collect()
    }
}

impl Part {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().flatten().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Value(name) => Some(*name),
        })
    }

    fn fill(&self, values: &Values) -> Vec<String> {
        let count = |name| values.get(name).map_or(0, Vec::len);
        let turns = self.names().map(count);
        let turns = match self.names().any(|name| count(name) == 0) {
            true => 0,
            false => turns.max().unwrap_or(1),
        };
        (0..turns)
            .flat_map(|turn| self.words.iter().map(move |word| fill(word, values, turn)))
            .collect()
    }
}

/// A name with fewer values than turns keeps its last one.
fn fill(word: &Word, values: &Values, turn: usize) -> String {
    word.iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Value(name) => values
                .get(name)
                .and_then(|all| all.get(turn).or_else(|| all.last()))
                .map_or("", String::as_str),
        })
        .collect()
}

/// A bracket begins a group unless it belongs to an IPv6 address, such as `[::1]:80`.
fn begins_group(word: &str) -> bool {
    let end = word.find(']').unwrap_or(word.len());
    word.starts_with('[') && end + 1 >= word.len()
}

fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(quote) => Err(format!("a {quote} is never closed")),
        None => Ok(words),
    }
}

fn pieces(text: &str) -> Result<Word, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let unclosed = || format!("`{{{after}` has no `}}`");
        let (name, tail) = after.split_once('}').ok_or_else(unclosed)?;
        let Some((name, _)) = NAMES.iter().find(|(n, _)| *n == name) else {
            let names: Vec<&str> = NAMES.iter().map(|(n, _)| *n).collect();
            let names = names.join("}, {");
            return Err(format!("`{{{name}}}` is none of {{{names}}}"));
        };
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Value(name));
        rest = tail;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &[(&'static str, &[&str])]) -> Values {
        let owned = |all: &[&str]| all.iter().map(|v| (*v).to_owned()).collect();
        list.iter().map(|(name, all)| (*name, owned(all))).collect()
    }

    #[test]
    fn brackets_are_left_out_or_repeated() {
        let text =
            "p '--a b'={config} [::1]:{port} [--label {label}] [-i {inbound}={app}] [{mesh}]";
        let command = Command::parse(text).unwrap();
        for (more, want) in [
            (&[][..], "p|--a b=C|[::1]:1"),
            (
                &[("label", &["x=1", "y=2"][..])],
                "p|--a b=C|[::1]:1|--label|x=1|--label|y=2",
            ),
            (
                &[("inbound", &["2"]), ("app", &["A"]), ("mesh", &["M"])],
                "p|--a b=C|[::1]:1|-i|2=A|M",
            ),
        ] {
            let mut all = values(&[("config", &["C"]), ("port", &["1"]), ("admin", &["3"])]);
            all.extend(values(more));
            assert_eq!(command.fill(&all).join("|"), want);
            assert_eq!(command.lacks(&all), None);
        }
    }

    #[test]
    fn a_case_may_need_what_a_command_has_no_place_for() {
        let command = Command::parse("p {config} {port}").unwrap();
        let all = values(&[("config", &["C"]), ("admin", &["3"]), ("label", &["x=1"])]);
        assert_eq!(command.lacks(&all), Some("label"));
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, what) in [
            ("", "begin with the program"),
            ("[{mesh}] {config} {port}", "begin with the program"),
            ("p {config}", "{port}"),
            ("p {config} {port} {label}", "not every case has {label}"),
            ("p {config} {port} [x", "no `]`"),
            ("p {config} {port} [x]", "nothing in brackets"),
            ("p {config} {port} {cfg}", "`{cfg}` is none of"),
            ("p {config} {port} 'x", "never closed"),
            ("p {config} {port", "no `}`"),
        ] {
            let got = Command::parse(text).unwrap_err();
            assert!(got.contains(what), "{text}: {got}");
        }
    }
}
