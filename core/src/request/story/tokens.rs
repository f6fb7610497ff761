//! What a story says of a request's tokens.

use core::fmt::{self, Formatter};

use super::At;
use crate::decision::{Authentication, Record};
use crate::snapshot::Snapshot;

/// Tells what became of them, and which rule said so.
pub(super) fn tell(
    f: &mut Formatter<'_>,
    authentication: Authentication,
    record: &Record,
    snapshot: &Snapshot,
) -> fmt::Result {
    f.write_str("  token        ")?;
    let by = match authentication {
        Authentication::Preflight => return writeln!(f, "none is asked for: a question of CORS"),
        Authentication::NoToken => return writeln!(f, "none, and none is required"),
        Authentication::Accepted { rule } => {
            let principal = record.token.as_ref().and_then(|token| token.principal());
            match principal {
                Some(principal) => write!(f, "of {}", principal.escape_debug())?,
                None => f.write_str("accepted")?,
            }
            Some(rule)
        }
        Authentication::Refused { fault, rule } => {
            write!(f, "refused: {}", fault.explain())?;
            rule
        }
    };
    let auth = snapshot.request_authentication.as_ref();
    let rule = by.and_then(|at| auth?.rules.get(at as usize));
    if let Some(rule) = rule {
        write!(f, "; {}", At(&rule.origin, snapshot))?;
    }
    writeln!(f)
}
