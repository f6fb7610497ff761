//! Which fields of a request an application carries on to the calls that it makes for it.

use outrigger_core::config::Report;
use outrigger_core::config::code::Code;
use outrigger_core::config::node::{Node, Value};
use outrigger_core::config::scalar;
use outrigger_core::config::value::quoted;
use outrigger_core::message::FieldName;

use crate::load::{Forwards, USUAL};

/// What goes on where nobody says otherwise.
pub(super) fn usual() -> Forwards {
    Forwards::new(USUAL.iter().map(|name| (*name).to_owned()).collect())
}

/// Names of fields; one that ends with `*` is the beginning of names.
pub(super) fn read(report: &mut Report, node: &Node) -> Forwards {
    let help = "write a list of names of headers, such as `[end-user, x-b3-*]`";
    let Value::Seq(items) = &node.value else {
        report.raise(Code::WrongType, "`forwards` is not a list", help);
        return Forwards::default();
    };
    let mut names = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let name = report.index(index, |report| {
            let name = scalar::string(report, item)?.to_ascii_lowercase();
            let bare = name.strip_suffix('*').unwrap_or(&name);
            if name == "x-request-id" {
                let help = "leave it out; rows are counted by it";
                report.raise(
                    Code::InvalidHeaderName,
                    "each call has an `x-request-id` of its own here",
                    help,
                );
            } else if FieldName::new(bare).is_none() || is_of_the_connection(bare) {
                let message = format!("{} is no header that goes on", quoted(&name));
                report.raise(Code::InvalidHeaderName, message, help);
            }
            Some(name)
        });
        names.extend(name);
    }
    Forwards::new(names)
}

/// What a request says about itself and its connection, and not about what it is for.
fn is_of_the_connection(name: &str) -> bool {
    [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "upgrade",
        "expect",
    ]
    .contains(&name)
}
