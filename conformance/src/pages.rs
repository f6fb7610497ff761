//! The case pages of a folder: reading them, and choosing among them by words.

use std::path::{Path, PathBuf};

use crate::case::Case;

/// All cases of a folder and of those in it, in the order of their files' names, and the pages that cannot be read. A
/// `README.md` is no page of cases. Files are named from the folder above.
#[must_use]
pub fn read(folder: &Path) -> (Vec<Case>, Vec<String>) {
    let mut pages = Vec::new();
    collect(folder, &mut pages);
    pages.sort();
    let root = folder.parent().unwrap_or(folder);
    let (mut cases, mut failures) = (Vec::new(), Vec::new());
    for page in pages {
        let name = page.strip_prefix(root).unwrap_or(&page);
        let name = name.display().to_string();
        match std::fs::read_to_string(&page) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(text) => match Case::parse_file(&name, &text) {
                Ok(read) => cases.extend(read),
                Err(problem) => failures.push(problem.to_string()),
            },
        }
    }
    if cases.is_empty() && failures.is_empty() {
        failures.push(format!("{}: there are no cases here", folder.display()));
    }
    (cases, failures)
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, pages);
        } else if path.extension().is_some_and(|e| e == "md")
            && path.file_name().is_some_and(|n| n != "README.md")
        {
            pages.push(path);
        }
    }
}

/// The folder of the package's own cases, where it was built.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Whether a case's file or title has one of these words; without words every case has.
#[must_use]
pub fn is_wanted(case: &Case, words: &[String]) -> bool {
    let hit = |w: &String| case.file.contains(w.as_str()) || case.title.contains(w.as_str());
    words.is_empty() || words.iter().any(hit)
}

/// The area of a case: the folder of its page under `cases/`.
#[must_use]
pub fn area(case: &Case) -> &str {
    case.file.split('/').nth(1).unwrap_or(&case.file)
}
