//! Envoy's `config.core.v3.HeaderValueOption`: fields that are written into heads.

use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::header_name;
use crate::config::report::Report;

/// A header field to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOption {
    /// Its name.
    pub name: String,
    /// Its value, which may hold format operators.
    pub value: String,
    /// It takes the place of what is there.
    pub overwrite: bool,
}

/// Whether a header option overwrites; `None` for what this proxy does not do.
const APPEND_ACTIONS: &[(&str, i32, Option<bool>)] = &[
    ("APPEND_IF_EXISTS_OR_ADD", 0, Some(false)),
    ("ADD_IF_ABSENT", 1, None),
    ("OVERWRITE_IF_EXISTS_OR_ADD", 2, Some(true)),
    ("OVERWRITE_IF_EXISTS", 3, None),
];

/// Reads a list of them.
pub(super) fn headers(o: &mut Object<'_, '_>, name: &'static str) -> Vec<HeaderOption> {
    let all = o.messages(name, |option| {
        let header = option.message("header", |header| {
            let message = "`raw_value` is not in effect";
            if header.take("rawValue").is_some() {
                header
                    .report()
                    .raise_in("rawValue", Code::NotInEffect, message, "");
            }
            HeaderOption {
                name: header.string("key"),
                value: header.string("value"),
                overwrite: false,
            }
        });
        let append = option.optional_boolean("append");
        let action = option.symbol("appendAction", APPEND_ACTIONS);
        if option.boolean("keepEmptyValue") {
            let message = "`keep_empty_value` is not in effect";
            option
                .report()
                .raise_in("keepEmptyValue", Code::NotInEffect, message, "");
        }
        if action == Some(None) {
            let message = "this action is not in effect: the field is left out";
            option
                .report()
                .raise_in("appendAction", Code::NotInEffect, message, "");
            return None;
        }
        Some(HeaderOption {
            overwrite: append == Some(false) || action == Some(Some(true)),
            ..header?
        })
    });
    all.into_iter().flatten().collect()
}

/// Checks a list of them, told at the message that has it under this name.
pub(super) fn check_headers(field: &str, headers: &[HeaderOption], report: &mut Report) {
    report.each(field, headers, |report, header| {
        header_name::written(&header.name, false, report);
        header_name::value(&header.value, report);
    });
}
