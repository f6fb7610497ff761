//! A case without the reason phrases of responses that clients await.
//!
//! Who reads a response is to ignore the phrase (RFC 9112 §4), and a program need not know the words of every status, so
//! a program of its own is not held to them.

use std::sync::Arc;

use crate::case::{Case, Client};
use crate::script::{Action, Awaited, Step};

/// The case with any phrase in their place.
pub(crate) fn left_out(mut case: Case) -> Case {
    for Client { steps, .. } in &mut case.clients {
        *steps = steps.iter().map(step).collect::<Arc<[Step]>>();
    }
    case
}

fn step(step: &Step) -> Step {
    let mut step = step.clone();
    if let Action::Await(Awaited { first, .. }) = &mut step.action {
        *first = any_phrase(first);
    }
    step
}

/// `HTTP/1.1 404 Not Found` becomes `HTTP/1.1 404 *`.
fn any_phrase(first: &str) -> String {
    let mut words = first.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(version), Some(status), Some(_)) if version.starts_with("HTTP/") => {
            format!("{version} {status} *")
        }
        _ => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_status_lines_change() {
        for (first, want) in [
            ("HTTP/1.1 404 Not Found", "HTTP/1.1 404 *"),
            ("HTTP/1.1 599 ", "HTTP/1.1 599 *"),
            ("HTTP/1.1 200", "HTTP/1.1 200"),
            ("GET /a HTTP/1.1", "GET /a HTTP/1.1"),
        ] {
            assert_eq!(any_phrase(first), want);
        }
    }
}
