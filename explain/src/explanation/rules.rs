//! The rules of a virtual host held against a request, one after the other, up to the first that holds.

use outrigger_core::message::RequestHead;
use outrigger_core::policy::route::{Unmet, unmet};
use outrigger_core::request::scheme;
use outrigger_core::snapshot::{MatchedField, Snapshot, VirtualHost};

use super::{Place, Tried, words};

/// Each rule that is tried. The last one holds, unless none does.
pub(super) fn tried(of: &VirtualHost, request: &RequestHead, snapshot: &Snapshot) -> Vec<Tried> {
    let mut tried = Vec::new();
    for (number, rule) in (1..).zip(&*of.rules) {
        let unmet = unmet(&rule.condition, request, scheme(request));
        let origin = rule.origin.as_ref();
        tried.push(Tried {
            number,
            name: rule.name.to_string(),
            origin: origin.and_then(|origin| Place::new(origin, snapshot)),
            matches: unmet.is_none(),
            conditions: words::conditions(&rule.condition),
            unmet: unmet.map(|unmet| tell(unmet, request)),
        });
        if unmet.is_none() {
            break;
        }
    }
    tried
}

/// What is asked for, and what is there.
fn tell(unmet: Unmet<'_>, request: &RequestHead) -> String {
    let found = |bytes: &[u8]| format!("it is `{}`", String::from_utf8_lossy(bytes));
    let (wanted, found) = match unmet {
        Unmet::Path(wanted) => (words::path(wanted), found(request.path_only())),
        Unmet::Method(wanted) => (
            format!("method {}", words::text(wanted)),
            found(request.method.as_str().as_bytes()),
        ),
        Unmet::Scheme(wanted) => (
            format!("scheme {}", words::text(wanted)),
            found(scheme(request).as_bytes()),
        ),
        Unmet::Authority(wanted) => (
            format!("authority {}", words::text(wanted)),
            found(&request.authority),
        ),
        Unmet::Field(wanted) => (words::field(wanted), values(&wanted.name, request)),
        Unmet::Query(wanted) => {
            let query = request.query();
            let text = |query| format!("the query is `{}`", String::from_utf8_lossy(query));
            (
                format!(
                    "query parameter `{}` {}",
                    wanted.name,
                    words::text(&wanted.value)
                ),
                query.map_or_else(|| "there is no query".to_owned(), text),
            )
        }
    };
    format!("{wanted}: {found}")
}

/// The values of a field that a rule looks at.
fn values(field: &MatchedField, request: &RequestHead) -> String {
    let text = |bytes: &[u8]| format!("`{}`", String::from_utf8_lossy(bytes));
    let value = match field {
        MatchedField::Field(name) => {
            let values: Vec<String> = request.headers.find_all(name).map(text).collect();
            return match values.is_empty() {
                true => "it is absent".to_owned(),
                false => format!("it is {}", values.join(" and ")),
            };
        }
        MatchedField::Method => text(request.method.as_str().as_bytes()),
        MatchedField::Path => text(&request.path),
        MatchedField::Authority => text(&request.authority),
        MatchedField::Scheme => text(scheme(request).as_bytes()),
    };
    format!("it is {value}")
}
