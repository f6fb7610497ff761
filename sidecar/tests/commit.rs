//! What the build takes for the commit, by repositories as git writes them.

#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

#[path = "../build/commit.rs"]
mod commit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use commit::Head;

const ONE: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// A folder of its own, gone at the end.
struct Root(PathBuf);

impl Root {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("outrigger-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// What is taken for the commit, and what is watched for another.
    fn found(&self, root: &str) -> Option<(Option<String>, Vec<String>)> {
        let head = Head::of(&self.0.join(root))?;
        let watched = head.watched();
        assert!(watched.iter().all(|path| path.exists()), "{watched:?}");
        let name = |path: &PathBuf| {
            let path = fs::canonicalize(path).unwrap();
            let root = fs::canonicalize(&self.0).unwrap();
            path.strip_prefix(root).unwrap().display().to_string()
        };
        Some((head.commit(), watched.iter().map(name).collect()))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_repository_says_what_is_checked_out() {
    type Files<'a> = &'a [(&'a str, &'a str)];
    let packed =
        format!("# pack-refs with: peeled\n{OTHER} refs/heads/a\n^{ONE}\n{ONE} refs/heads/main\n");
    let (one, other) = (format!("{ONE}\n"), format!("{OTHER}\n"));
    let (long, words) = ("4a".repeat(32), "word".repeat(10));
    let cases: &[(&str, Files<'_>, Option<&str>, &[&str])] = &[
        (
            "detached",
            &[(".git/HEAD", &one)],
            Some(ONE),
            &[".git/HEAD"],
        ),
        (
            "branch",
            &[
                (".git/HEAD", "ref: refs/heads/main\n"),
                (".git/refs/heads/main", &one),
            ],
            Some(ONE),
            &[".git/HEAD", ".git/refs/heads/main"],
        ),
        (
            "packed",
            &[
                (".git/HEAD", "ref: refs/heads/main\n"),
                (".git/packed-refs", &packed),
                (".git/refs/tags/x", &other),
            ],
            Some(ONE),
            &[".git/HEAD", ".git/refs", ".git/packed-refs"],
        ),
        (
            "loose before packed",
            &[
                (".git/HEAD", "ref: refs/heads/main\n"),
                (".git/packed-refs", &packed),
                (".git/refs/heads/main", &other),
            ],
            Some(OTHER),
            &[".git/HEAD", ".git/refs/heads/main"],
        ),
        (
            "packed with a log",
            &[
                (".git/HEAD", "ref: refs/heads/main\n"),
                (".git/packed-refs", &packed),
                (".git/logs/HEAD", "moved"),
                (".git/refs/tags/x", &other),
            ],
            Some(ONE),
            &[".git/HEAD", ".git/logs/HEAD", ".git/packed-refs"],
        ),
        (
            "no commit yet",
            &[(".git/HEAD", "ref: refs/heads/main\n")],
            None,
            &[".git/HEAD", ".git"],
        ),
        (
            "sha-256",
            &[(".git/HEAD", &long)],
            Some(&long),
            &[".git/HEAD"],
        ),
        ("nonsense", &[(".git/HEAD", "main\n")], None, &[".git/HEAD"]),
        ("short", &[(".git/HEAD", "abc\n")], None, &[".git/HEAD"]),
        ("no digits", &[(".git/HEAD", &words)], None, &[".git/HEAD"]),
    ];
    for (name, files, commit, watched) in cases {
        let root = Root::new(&format!("commit-{}", name.replace(' ', "-")));
        root.write(files);
        let (got, seen) = root.found("").unwrap();
        assert_eq!(got.as_deref(), *commit, "{name}");
        assert_eq!(seen, *watched, "{name}");
    }
}

#[test]
fn a_work_tree_beside_the_first_has_a_head_of_its_own() {
    let root = Root::new("commit-worktree");
    root.write(&[
        ("first/.git/HEAD", "ref: refs/heads/main\n"),
        ("first/.git/refs/heads/main", ONE),
        ("first/.git/refs/heads/work", OTHER),
        ("first/.git/worktrees/second/HEAD", "ref: refs/heads/work\n"),
        ("first/.git/worktrees/second/commondir", "../..\n"),
        ("second/.git", "gitdir: ../first/.git/worktrees/second\n"),
    ]);
    let (commit, watched) = root.found("second").unwrap();
    assert_eq!(commit.as_deref(), Some(OTHER));
    let head = "first/.git/worktrees/second/HEAD";
    assert_eq!(watched, [head, "first/.git/refs/heads/work"]);
}

#[test]
fn outside_of_a_repository_nothing_is_known() {
    let root = Root::new("commit-none");
    assert!(root.found("").is_none());
    root.write(&[(".git", "something else")]);
    assert!(root.found("").is_none());
}

/// Where git is, it says the same of our own repository.
#[test]
fn git_agrees() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let Some(head) = Head::of(root) else {
        return eprintln!("not tried: the sources are in no repository");
    };
    let said = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["rev-parse", "HEAD"])
        .output();
    let Some(said) = said.ok().filter(|said| said.status.success()) else {
        return eprintln!("not tried: there is no git");
    };
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(head.commit().as_deref(), Some(said.trim()));
}
