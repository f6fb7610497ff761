//! Which pages exist, what they must mention, and that their links lead somewhere. What they say needs a reader.

use std::fs;

use crate::layers::LAYERS;
use crate::source::{Faults, files_under, read, root};

#[test]
fn pages_a_newcomer_looks_for_exist() {
    for page in [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "deny.toml",
        "docs/differences.md",
        "examples/README.md",
        ".ci/run",
    ] {
        assert!(!read(page).trim().is_empty(), "{page} is empty");
    }
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "cargo test --workspace"] {
        assert!(readme.contains(command), "README.md shows `{command}`");
    }
    let architecture = read("ARCHITECTURE.md");
    for (module, _) in LAYERS {
        assert!(
            architecture.contains(&format!("`{module}`")),
            "ARCHITECTURE.md places `{module}`"
        );
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut faults = Faults::default();
    let root = root();
    for page in files_under(&root, "md") {
        let text = fs::read_to_string(&page).expect("a page is readable text");
        let folder = page.parent().expect("a page lies in a folder");
        for (number, line) in text.lines().enumerate() {
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let path = target.split('#').next().unwrap_or_default();
                if !path.is_empty() && !path.contains("://") && !folder.join(path).exists() {
                    faults.text(format!(
                        "{}:{}: `{target}` leads nowhere",
                        page.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    faults.none();
}
