//! Which of many like findings are shown, so that three hundred of one sort hide no other.
//!
//! Owns what counts as alike, and the choice. For people only: machines get every finding.

use std::collections::BTreeMap;

use outrigger_core::config::{Code, Finding};

/// So many of one sort are shown.
const SHOWN: usize = 2;

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is shown.
    Whole,
    /// It is shown, and that so many more of its sort are not.
    Last(usize),
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

/// What becomes of each finding.
pub(super) fn fold(findings: &[Finding]) -> Vec<Shown> {
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
