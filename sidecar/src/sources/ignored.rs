//! Which entries of a folder are left out because somebody said so: `.outriggerignore` and `--ignore`.
//!
//! Owns the patterns, which are those of a `.gitignore`, and whether one matches. Where they are read is in the walk.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The file of a folder that has patterns, a line each.
pub(super) const FILE: &str = ".outriggerignore";

/// A pattern: `*` and `?` stay within a name, `**` crosses folders, `!` takes back, a `/` at the end means folders only, any
/// other `/` ties it to the folder it was written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// By name, outermost first; `**` stands for any number of them.
    names: Vec<String>,
    takes_back: bool,
    only_folders: bool,
}

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (takes_back, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (only_folders, text) = match text.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let anywhere = (!text.contains('/')).then_some("**");
        let names = text.split('/').filter(|name| !name.is_empty());
        Ok(Self {
            names: anywhere
                .into_iter()
                .chain(names)
                .map(str::to_owned)
                .collect(),
            takes_back,
            only_folders,
        })
    }
}

impl Pattern {
    fn matches(&self, path: &[String], is_folder: bool) -> bool {
        if self.only_folders && !is_folder {
            return false;
        }
        // The parts of the pattern that may come next, name by name.
        let mut next = vec![false; self.names.len() + 1];
        next[0] = true;
        self.skip_any(&mut next);
        for name in path {
            let mut after = vec![false; next.len()];
            for (at, part) in self.names.iter().enumerate().filter(|(at, _)| next[*at]) {
                if part == "**" {
                    after[at] = true;
                } else if is_like(part, name) {
                    after[at + 1] = true;
                }
            }
            self.skip_any(&mut after);
            next = after;
        }
        next[self.names.len()]
    }

    /// `**` may stand for nothing.
    fn skip_any(&self, next: &mut [bool]) {
        for (at, part) in self.names.iter().enumerate() {
            if next[at] && part == "**" {
                next[at + 1] = true;
            }
        }
    }
}

/// Whether a name is as the pattern for one says.
fn is_like(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut of) = (0, 0);
    // Where to go on after the last `*`, which has taken the name up to there.
    let mut star = None;
    while of < name.len() {
        match one(&pattern[at..], name[of]) {
            One::Any => {
                star = Some((at + 1, of));
                at += 1;
            }
            One::Same(length) => {
                at += length;
                of += 1;
            }
            One::Other => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (at, of) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// What the beginning of a pattern makes of one character.
enum One {
    /// It is `*`.
    Any,
    /// So much of the pattern stands for it.
    Same(usize),
    Other,
}

fn one(pattern: &[char], c: char) -> One {
    let same = |is_same: bool, length| {
        if is_same {
            One::Same(length)
        } else {
            One::Other
        }
    };
    match pattern {
        [] => One::Other,
        ['*', ..] => One::Any,
        ['?', ..] => One::Same(1),
        ['\\', escaped, ..] => same(*escaped == c, 2),
        // A class that does not end is a bracket.
        ['[', rest @ ..] => match rest.iter().skip(1).position(|c| *c == ']') {
            Some(end) => same(is_in(&rest[..=end], c), end + 3),
            None => same(c == '[', 1),
        },
        [first, ..] => same(*first == c, 1),
    }
}

/// Whether a character is in the class between brackets, such as `a-z_` or `!0-9`.
fn is_in(class: &[char], c: char) -> bool {
    let (is_negated, mut class) = match class {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    loop {
        class = match class {
            [] => return found != is_negated,
            [from, '-', to, rest @ ..] => {
                found |= (*from..=*to).contains(&c);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == c;
                rest
            }
        };
    }
}

/// Patterns, and the folder they were written for.
#[derive(Clone, Debug)]
pub(super) struct Ignored {
    folder: PathBuf,
    patterns: Vec<Pattern>,
}

impl Ignored {
    pub(super) fn new(folder: &Path, patterns: Vec<Pattern>) -> Self {
        Self {
            folder: folder.to_owned(),
            patterns,
        }
    }

    /// The lines of a [`FILE`].
    pub(super) fn read(folder: &Path, text: &str) -> Self {
        let lines = text.lines().map(str::trim_end);
        let patterns = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let Ok(pattern) = line.parse();
                pattern
            });
        Self::new(folder, patterns.collect())
    }

    /// What the last pattern that matches says; `None` when none does.
    fn verdict(&self, path: &Path, is_folder: bool) -> Option<bool> {
        let inside = path.strip_prefix(&self.folder).ok()?;
        let names: Vec<String> = inside
            .iter()
            .map(|name| name.to_string_lossy().into())
            .collect();
        let mut patterns = self.patterns.iter().rev();
        let last = patterns.find(|pattern| pattern.matches(&names, is_folder))?;
        Some(!last.takes_back)
    }
}

/// Whether an entry is left out; what comes later among the patterns has the last word.
pub(super) fn is_ignored(ignored: &[Ignored], path: &Path, is_folder: bool) -> bool {
    let mut verdicts = ignored.iter().rev();
    verdicts
        .find_map(|ignored| ignored.verdict(path, is_folder))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_gitignore() {
        let cases: &[(&str, &str, bool)] = &[
            ("values.yaml", "values.yaml", true),
            ("values.yaml", "a/b/values.yaml", true),
            ("values.yaml", "my-values.yaml", false),
            ("/values.yaml", "values.yaml", true),
            ("/values.yaml", "a/values.yaml", false),
            ("a/b.yaml", "a/b.yaml", true),
            ("a/b.yaml", "x/a/b.yaml", false),
            ("values*.yaml", "a/values-prod.yaml", true),
            ("*", "anything", true),
            ("a*b*c", "aXbXbYc", true),
            ("a*b*c", "aXbXbY", false),
            ("charts/*/x.yaml", "charts/one/x.yaml", true),
            ("charts/*/x.yaml", "charts/one/two/x.yaml", false),
            ("charts/**/x.yaml", "charts/one/two/x.yaml", true),
            ("charts/**/x.yaml", "charts/x.yaml", true),
            ("**/templates", "a/b/templates", true),
            ("templates/", "a/templates/", true),
            ("templates/", "a/templates", false),
            ("te?t.yaml", "test.yaml", true),
            ("te?t.yaml", "tet.yaml", false),
            ("v[0-9].yaml", "v7.yaml", true),
            ("v[!0-9].yaml", "v7.yaml", false),
            ("v[]a].yaml", "v].yaml", true),
            ("v[.yaml", "v[.yaml", true),
            ("\\!a.yaml", "!a.yaml", true),
            ("é*.yaml", "été.yaml", true),
            ("", "a", false),
        ];
        for (pattern, path, expected) in cases {
            let base = Path::new("/rules");
            let ignored = [Ignored::read(base, pattern)];
            let found = is_ignored(&ignored, &base.join(path), path.ends_with('/'));
            assert_eq!(found, *expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_word_counts() {
        let outer = Ignored::read(
            Path::new("/r"),
            "# all but one\n\n*.yaml  \n!keep.yaml\n/a/keep.yaml\n",
        );
        let inner = Ignored::read(Path::new("/r/b"), "!mine.yaml\n");
        for (path, expected) in [
            ("/r/x.yaml", true),
            ("/r/keep.yaml", false),
            ("/r/a/keep.yaml", true),
            ("/r/b/keep.yaml", false),
            ("/r/b/mine.yaml", false),
            ("/r/mine.yaml", true),
            ("/r/x.json", false),
            ("/elsewhere/x.yaml", false),
        ] {
            let all = [outer.clone(), inner.clone()];
            assert_eq!(is_ignored(&all, Path::new(path), false), expected, "{path}");
        }
    }
}
