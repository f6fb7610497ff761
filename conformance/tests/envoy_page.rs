//! `docs/envoy.md` has each cause by which a case differs on Envoy as a heading, and beneath it the cases that name it.

use std::collections::BTreeMap;
use std::path::Path;

use outrigger_conformance::pages;

/// The titles of cases by the cause that they name.
type Causes = BTreeMap<String, Vec<String>>;

#[test]
fn the_page_lists_what_differs_by_cause() {
    let (cases, failures) = pages::read(&pages::folder());
    assert!(failures.is_empty(), "{failures:?}");
    let mut named = Causes::new();
    for case in &cases {
        if let Some((_, why)) = case.difference("envoy") {
            let cause = why.trim_end_matches('.').to_lowercase();
            named.entry(cause).or_default().push(case.title.clone());
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/envoy.md");
    let page = std::fs::read_to_string(path).expect("docs/envoy.md is readable text");
    let mut told = Causes::new();
    let mut cause = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            cause = Some(heading.to_lowercase());
        } else if line.starts_with("## ") {
            cause = None;
        } else if let (Some(cause), Some(link)) = (&cause, line.strip_prefix("- [")) {
            let (title, _) = link.split_once("](").expect("a case is a link to its page");
            told.entry(cause.clone())
                .or_default()
                .push(title.to_owned());
        }
    }
    for titles in named.values_mut().chain(told.values_mut()) {
        titles.sort();
    }
    assert_eq!(told, named);
}
