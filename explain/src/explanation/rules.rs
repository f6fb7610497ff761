//! The rules of a virtual host held against a request, one after the other, up to the first that holds.

use outrigger_core::decision::Record;
use outrigger_core::policy::route::{unmet, words};
use outrigger_core::request::scheme;
use outrigger_core::snapshot::{Snapshot, VirtualHost};

use super::{Place, Tried};

/// Each rule that is tried. The last one holds, unless none does.
pub(super) fn tried(of: &VirtualHost, record: &Record, snapshot: &Snapshot) -> Vec<Tried> {
    let request = &record.request;
    let claims = record.token.as_ref().map(|token| &token.claims);
    let mut tried = Vec::new();
    for (number, rule) in (1..).zip(&*of.rules) {
        let unmet = unmet(&rule.condition, request, scheme(request), claims);
        let origin = rule.origin.as_ref();
        tried.push(Tried {
            number,
            name: rule.name.to_string(),
            origin: origin.and_then(|origin| Place::new(origin, snapshot)),
            matches: unmet.is_none(),
            conditions: words::conditions(&rule.condition),
            unmet: unmet.map(|unmet| words::unmet(unmet, request, scheme(request))),
        });
        if unmet.is_none() {
            break;
        }
    }
    tried
}
