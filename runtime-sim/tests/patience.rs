//! Who waits how long: each call for as long as it says, whatever was asked on its connection before.

use outrigger_core::config::{MeshConfig, Source};
use outrigger_core::time::Duration;
use outrigger_sim::study::{Study, StudyOutcome, read};

fn play(scenario: &str) -> StudyOutcome {
    let source = Source {
        name: "scenario",
        bytes: scenario.as_bytes(),
    };
    let scenario = read(source).expect("the scenario is good");
    let study = Study::new(scenario, &[], MeshConfig::default()).expect("no rules");
    study.play(1, |_| ()).expect("the invariants hold")
}

/// An application keeps its connections. A call that is answered in time leaves no clock behind for one that waits for
/// ever, or for longer.
#[test]
fn patience_ends_with_the_call_that_has_it() {
    for (patience, left) in [
        ("", false),
        (", patience: 400ms", false),
        (", patience: 50ms", true),
    ] {
        let outcome = play(&format!(
            "duration: 20s\n\
             services:\n\
             \x20 web: {{calls: [[{{service: slow{patience}}}, {{service: quick, patience: 100ms}}]]}}\n\
             \x20 slow: {{latency: 300ms}}\n\
             \x20 quick: {{latency: 1ms}}\n\
             clients: {{u: {{asks: web, rate: 20/s}}}}\n"
        ));
        let (slow, quick) = (outcome.row("slow"), outcome.row("quick"));
        let (slow, quick) = (slow.expect("it is there"), quick.expect("it is there"));
        assert_eq!(quick.good(), quick.requests, "{patience}");
        let served = if left { 0 } else { slow.requests };
        assert_eq!(slow.good(), served, "{patience} {:?}", slow.reasons);
        let p50 = slow.percentile(0.5);
        let is_cut = p50 < Duration::from_millis(60);
        assert_eq!(is_cut, left, "{patience} {p50:?}");
    }
}
