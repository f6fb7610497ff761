//! A connection that is not HTTP, for people: where it goes and who listens there, and what comes of it.

use std::fmt;

use super::{BAD, BOLD, GOOD, line};
use crate::explanation::ConnectionTold;

/// What stands for an address that nobody listens at in particular.
const ANY: &str = "0.0.0.0:";

pub(super) fn write(out: &mut String, told: &ConnectionTold) -> fmt::Result {
    let mut destination = told.destination.replace(ANY, "any address, port ");
    if let Some(name) = &told.server_name {
        destination += &format!(", TLS asks for {name}");
    }
    line(out, "to", &destination)?;
    let listener = match &told.listener {
        Some(name) => format!("{BOLD}{name}{BOLD:#}"),
        None => "nobody".to_owned(),
    };
    line(out, "listener", &format!("{listener}\n{}", told.why))
}

/// Where it is connected to, or that it is closed; nothing where a request decides.
pub(super) fn write_end(out: &mut String, told: &ConnectionTold) -> fmt::Result {
    let flags = match &*told.flags {
        "" | "-" => String::new(),
        flags => format!(", flags {flags}"),
    };
    match &told.endpoint {
        Some(endpoint) if endpoint.starts_with(ANY) => line(
            out,
            "connects to",
            &format!("{GOOD}{}{GOOD:#}{flags}", told.picked),
        ),
        Some(endpoint) => {
            let text = format!("{GOOD}{endpoint}{GOOD:#}, {}{flags}", told.picked);
            line(out, "connects to", &text)
        }
        None if told.picked.is_empty() => Ok(()),
        None => line(out, "end", &format!("{BAD}{}{BAD:#}{flags}", told.picked)),
    }
}
