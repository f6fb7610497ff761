//! Who may ask: what AuthorizationPolicies made of a request, as a part of its story.

use core::fmt::{self, Display, Formatter};

use super::Span;
use crate::decision::{Access, AuthorizationSeen, Checked, Whom, Word};
use crate::snapshot::{AccessRuleId, Snapshot};

/// Who was asked, and what they said.
pub(super) fn tell_checked(
    f: &mut Formatter<'_>,
    checked: &Checked,
    snapshot: &Snapshot,
) -> fmt::Result {
    write!(f, "  asked        ")?;
    match checked.whom {
        Whom::Provider(check) => {
            let check = snapshot.authorization.external.get(check as usize);
            f.write_str(check.map_or("a provider", |check| &check.authorizer.name))?;
        }
        Whom::RateLimit(id) => match snapshot.global_rate_limits.get(id.0 as usize) {
            Some(limit) => write!(f, "the rate limits of `{}`", limit.domain)?,
            None => f.write_str("a service that keeps rate limits")?,
        },
    }
    let took = Span(checked.took);
    f.write_str(match checked.whom {
        Whom::Provider(_) => ", which ",
        Whom::RateLimit(_) => ", whose service ",
    })?;
    match checked.word {
        Word::Allowed => writeln!(f, "allowed it after {took}"),
        Word::Denied(status) => writeln!(f, "denied it with {status} after {took}"),
        Word::Failed => writeln!(f, "gave no answer within {took}, so it is refused"),
        Word::FailedOpen => writeln!(f, "gave no answer within {took}, so it may pass"),
        Word::NotEnforced => writeln!(
            f,
            "said after {took} that it is over one, which is not enforced"
        ),
    }
}

pub(super) fn tell(
    f: &mut Formatter<'_>,
    seen: AuthorizationSeen,
    snapshot: &Snapshot,
) -> fmt::Result {
    let rule = |id| RuleText(id, snapshot);
    match seen.access {
        Access::Allowed(Some(by)) => writeln!(f, "  access       allowed by {}", rule(by))?,
        Access::Allowed(None) => writeln!(
            f,
            "  access       allowed: nothing denies it, and no policy says who may"
        )?,
        Access::Denied(Some(by)) => writeln!(f, "  access       denied by {}", rule(by))?,
        Access::Denied(None) => writeln!(f, "  access       denied: no policy allows it")?,
    }
    match seen.tried {
        None => {}
        Some(Access::Allowed(Some(by))) => {
            writeln!(f, "  dry run      would be allowed by {}", rule(by))?;
        }
        Some(Access::Allowed(None)) => writeln!(f, "  dry run      would not be denied")?,
        Some(Access::Denied(Some(by))) => {
            writeln!(f, "  dry run      would be denied by {}", rule(by))?;
        }
        Some(Access::Denied(None)) => {
            writeln!(
                f,
                "  dry run      would be denied: no policy on trial allows it"
            )?;
        }
    }
    match seen.audited {
        None => Ok(()),
        Some(by) => writeln!(f, "  audit        matched by {}", rule(by)),
    }
}

/// A rule by its policy, with where it stands.
struct RuleText<'a>(AccessRuleId, &'a Snapshot);

impl Display for RuleText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(id, snapshot) = self;
        let Some(name) = snapshot.authorization.names.get(id.0 as usize) else {
            return Ok(());
        };
        let origin = &name.origin;
        if name.is_broken {
            f.write_str("what has errors and so refuses everything, ")?;
        }
        match snapshot.resources.get(origin.resource.0 as usize) {
            None => f.write_str(&name.text),
            Some(resource) => {
                let (file, line) = (&resource.file, origin.line);
                write!(f, "{resource} {} ({file}:{line})", origin.path)
            }
        }
    }
}
