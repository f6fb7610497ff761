//! Where a route sends requests or connections, as written, and how that is read.

use crate::config::code::Code;
use crate::config::decode::{Object, object};
use crate::config::node::{Node, Value};
use crate::config::report::Report;
use crate::config::scalar;

/// A service, a subset of it and a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// Short names belong to the resource's namespace.
    pub host: String,
    /// A subset of the host's DestinationRule; empty is the whole service.
    pub subset: String,
    /// The service port; absent means the only one, or the one being routed.
    pub port: Option<u32>,
}

pub(super) fn destination(o: &mut Object<'_, '_>) -> Destination {
    Destination {
        host: o.string("host"),
        subset: o.string("subset"),
        port: o.read("port", port_selector).flatten(),
    }
}

/// `{number: 80}`. Of anything but a mapping no port is taken, so that nothing else is told of a number nobody wrote.
fn port_selector(report: &mut Report, node: &Node) -> Option<u32> {
    match &node.value {
        Value::Scalar(scalar) => {
            let is_number = scalar.text.parse::<u32>().is_ok();
            let form = if is_number {
                "`port: {number: …}`"
            } else {
                "`port: {number: 80}`"
            };
            scalar::bare(report, scalar, form);
            None
        }
        Value::Seq(_) => {
            scalar::wrong_type(report, node, "a mapping");
            None
        }
        Value::Null | Value::Map(_) => object(report, node, |o| {
            let number = o.optional_integer("number");
            let has_number = number.is_some() || o.report().is_unread("number");
            if has_number {
                o.removed("name", "use `number`");
                return number;
            }
            let message = match o.take("name") {
                Some(_) => "`number` is missing; `name` was removed from Istio",
                None => "`number` is missing",
            };
            o.report()
                .raise(Code::RequiredField, message, "write `port: {number: …}`");
            None
        }),
    }
}

/// A missing destination is one without a host, which is told when it is checked.
pub(super) fn required_destination(o: &mut Object<'_, '_>) -> Destination {
    o.message("destination", destination).unwrap_or_default()
}
