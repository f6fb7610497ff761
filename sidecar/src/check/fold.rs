//! Which of many like findings are shown, so that three hundred of one sort hide no other.
//!
//! Owns what counts as alike, and the choice. For people only: machines get every finding.

use std::collections::BTreeMap;

use outrigger_core::config::{Code, Finding, Severity};

/// So many of one sort are shown.
const SHOWN: usize = 2;

/// So many of one code are shown that say different things.
const SHOWN_OF_CODE: usize = 10;

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is shown.
    Whole,
    /// It is shown, and that so many more of its sort are not.
    Last(usize),
    /// It is shown, and that so many more of its code are not.
    LastOfCode(usize),
    /// It is one of these.
    Folded,
}

/// Sorts that are folded altogether, because nobody has to act on them: each has one line.
pub(super) const ASIDE: &[(Code, &str)] = &[
    (Code::KindIgnored, "what does not concern the proxy"),
    (
        Code::TemplatePassedOver,
        "templates that were not rendered and hold nothing of Istio's",
    ),
    (
        Code::RepeatedResource,
        "resources that stand elsewhere too, word for word",
    ),
    (Code::PassedOver, "what is no resource of Kubernetes"),
];

/// What becomes of each finding: of those that say the same a few are shown, and of one code a screenful, unless they
/// are errors.
pub(super) fn fold(findings: &[Finding]) -> Vec<Shown> {
    let mut shown = fold_messages(findings);
    fold_codes(findings, &mut shown);
    shown
}

fn fold_messages(findings: &[Finding]) -> Vec<Shown> {
    let sort = |finding: &'_ Finding| (finding.code, finding.message.clone());
    let mut left: BTreeMap<(Code, String), (usize, usize)> = BTreeMap::new();
    for finding in findings {
        left.entry(sort(finding)).or_default().1 += 1;
    }
    findings
        .iter()
        .map(|finding| {
            if ASIDE.iter().any(|(code, _)| *code == finding.code) {
                return Shown::Folded;
            }
            let Some((nth, all)) = left.get_mut(&sort(finding)) else {
                return Shown::Whole;
            };
            *nth += 1;
            // The place of one finding that is left out would be no shorter than itself.
            if *all <= SHOWN + 1 || *nth < SHOWN {
                Shown::Whole
            } else if *nth == SHOWN {
                Shown::Last(*all - SHOWN)
            } else {
                Shown::Folded
            }
        })
        .collect()
}

/// Two hundred hosts that are all unknown say two hundred things, and one.
fn fold_codes(findings: &[Finding], shown: &mut [Shown]) {
    let mut left: BTreeMap<Code, Vec<usize>> = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        if shown[at] != Shown::Folded && finding.severity != Severity::Error {
            left.entry(finding.code).or_default().push(at);
        }
    }
    for (code, left) in left {
        if left.len() <= SHOWN_OF_CODE + 1 {
            continue;
        }
        let (kept, folded) = left.split_at(SHOWN_OF_CODE);
        for at in folded {
            shown[*at] = Shown::Folded;
        }
        let Some((last, before)) = kept.split_last() else {
            continue;
        };
        let told = before.iter().map(|at| match shown[*at] {
            Shown::Last(more) => more,
            Shown::Whole | Shown::LastOfCode(_) | Shown::Folded => 0,
        });
        let told = kept.len() + told.sum::<usize>();
        let all = findings.iter().filter(|finding| finding.code == code);
        shown[*last] = Shown::LastOfCode(all.count() - told);
    }
}
