//! WasmPlugin and TrafficExtension: code that Envoy would run.

use std::collections::BTreeSet;

use super::selection;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::value::quoted;

const FAIL_STRATEGIES: &[(&str, i32, ())] = &[
    ("FAIL_CLOSE", 0, ()),
    ("FAIL_OPEN", 1, ()),
    ("FAIL_RELOAD", 2, ()),
];
const PULL_POLICIES: &[(&str, i32, ())] = &[
    ("UNSPECIFIED_POLICY", 0, ()),
    ("IfNotPresent", 1, ()),
    ("Always", 2, ()),
];
const TYPES: &[(&str, i32, ())] = &[
    ("UNSPECIFIED_PLUGIN_TYPE", 0, ()),
    ("HTTP", 1, ()),
    ("NETWORK", 2, ()),
];
const MODES: &[(&str, i32, ())] = &[
    ("UNDEFINED", 0, ()),
    ("CLIENT", 1, ()),
    ("SERVER", 2, ()),
    ("CLIENT_AND_SERVER", 3, ()),
];
const PLUGIN_PHASES: &[(&str, i32, ())] = &[
    ("UNSPECIFIED_PHASE", 0, ()),
    ("AUTHN", 1, ()),
    ("AUTHZ", 2, ()),
    ("STATS", 3, ()),
];
const PHASES: &[(&str, i32, ())] = &[
    ("UNSPECIFIED", 0, ()),
    ("AUTHN", 1, ()),
    ("AUTHZ", 2, ()),
    ("STATS", 3, ()),
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ValueFrom {
    #[default]
    Inline,
    Host,
}

const VALUES_FROM: &[(&str, i32, ValueFrom)] = &[
    ("INLINE", 0, ValueFrom::Inline),
    ("HOST", 1, ValueFrom::Host),
];

/// Judges the `spec` of a WasmPlugin.
pub(super) fn judge_wasm_plugin(o: &mut Object<'_, '_>) {
    selection::judge(o);
    wasm(o);
    o.symbol("phase", PLUGIN_PHASES);
    o.integer::<i32>("priority");
    o.messages("match", traffic);
}

/// Judges the `spec` of a TrafficExtension.
pub(super) fn judge_traffic_extension(o: &mut Object<'_, '_>) {
    selection::judge(o);
    let has_wasm = o.message("wasm", wasm).is_some();
    let has_lua = o.message("lua", lua).is_some();
    o.one_of(&["wasm", "lua"]);
    if !has_wasm && !has_lua {
        o.report().raise(
            Code::RequiredField,
            "an extension needs `wasm` or `lua`",
            "",
        );
    }
    o.symbol("phase", PHASES);
    o.integer::<i32>("priority");
    o.messages("match", traffic);
}

fn lua(o: &mut Object<'_, '_>) {
    const MOST: usize = 65536;
    let code = o.string("inlineCode");
    if code.is_empty() {
        o.report()
            .raise_in("inlineCode", Code::RequiredField, "there is no code", "");
    } else if code.len() > MOST {
        let message = format!("the code has {} bytes; {MOST} are allowed", code.len());
        o.report()
            .raise_in("inlineCode", Code::InvalidPolicy, message, "");
    }
}

/// Whether it has only what may stand in a URL (RFC 3986 §2).
fn is_url(url: &str) -> bool {
    let is_hex = |at: usize| url.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    url.bytes().enumerate().all(|(at, b)| match b {
        b'%' => is_hex(at + 1) && is_hex(at + 2),
        b' ' => false,
        b => !b.is_ascii_control(),
    })
}

fn wasm(o: &mut Object<'_, '_>) {
    let url = o.string("url");
    o.report().field("url", |report| {
        if url.is_empty() {
            return report.raise(Code::RequiredField, "the plugin needs a `url`", "");
        }
        if !is_url(&url) {
            let message = format!("{} is not a URL", quoted(&url));
            return report.raise(Code::InvalidPolicy, message, "");
        }
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, None | Some("file" | "http" | "https" | "oci")) {
            let message = format!("`{url}` has a scheme that plugins are not loaded by");
            report.raise(
                Code::InvalidPolicy,
                message,
                "use `oci://`, `https://`, `http://` or `file://`",
            );
        }
    });
    let hash = o.string("sha256");
    let is_hash = hash.len() == 64
        && hash
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !hash.is_empty() && !is_hash {
        let message = format!("`{hash}` is not 64 digits of lower-case hexadecimal");
        o.report()
            .raise_in("sha256", Code::InvalidPolicy, message, "");
    }
    for (field, most) in [("imagePullSecret", 253), ("pluginName", 256)] {
        let text = o.optional_string(field);
        if text.is_some_and(|text| text.is_empty() || text.len() > most) {
            let message = format!("`{field}` has 1 to {most} characters");
            o.report().raise_in(field, Code::InvalidName, message, "");
        }
    }
    o.symbol("imagePullPolicy", PULL_POLICIES);
    o.symbol("failStrategy", FAIL_STRATEGIES);
    o.symbol("type", TYPES);
    o.string("verificationKey");
    o.take("pluginConfig");
    o.message("vmConfig", |vm| {
        let mut names = BTreeSet::new();
        vm.messages("env", |env| variable(env, &mut names));
    });
}

fn variable(o: &mut Object<'_, '_>, names: &mut BTreeSet<String>) {
    let (name, value) = (o.string("name"), o.string("value"));
    let from = o.symbol("valueFrom", VALUES_FROM).unwrap_or_default();
    if name.is_empty() || name.len() > 256 {
        o.report().raise_in(
            "name",
            Code::InvalidName,
            "a variable's name has 1 to 256 characters",
            "",
        );
    }
    if from == ValueFrom::Host && !value.is_empty() {
        let message = "a variable that comes from the host has no value here";
        o.report()
            .raise_in("value", Code::InvalidPolicy, message, "remove it");
    }
    if !names.insert(name) {
        o.report().raise_in(
            "name",
            Code::InvalidName,
            "another variable has the same name",
            "",
        );
    }
}

fn traffic(o: &mut Object<'_, '_>) {
    o.symbol("mode", MODES);
    o.messages("ports", |o| {
        let number = o.integer::<u32>("number");
        o.report()
            .field("number", |report| checks::port(number, report));
    });
}
