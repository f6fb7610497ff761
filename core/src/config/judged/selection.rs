//! What a policy holds for: `selector`, `targetRef` and `targetRefs`, which several kinds share.

use std::collections::BTreeMap;

use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;

/// What a policy may be attached to, by group and kind.
const TARGETS: [(&str, &str); 4] = [
    ("", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
];

/// Checks `selector`, `targetRef` and `targetRefs`, and answers the selector's labels, none when there is no selector.
pub(in crate::config) fn judge(o: &mut Object<'_, '_>) -> BTreeMap<String, String> {
    let labels = labels(o);
    o.message("targetRef", target);
    targets(o);
    o.one_of(&["selector", "targetRef", "targetRefs"]);
    labels
}

/// Checks `targetRefs`.
pub(in crate::config) fn targets(o: &mut Object<'_, '_>) {
    o.messages("targetRefs", target);
}

/// Checks `selector` and answers its labels, none when there is no selector.
pub(in crate::config) fn labels(o: &mut Object<'_, '_>) -> BTreeMap<String, String> {
    o.message("selector", |selector| {
        let labels = selector.string_map("matchLabels");
        checks::selector("matchLabels", &labels, selector.report());
        labels
    })
    .unwrap_or_default()
}

fn target(o: &mut Object<'_, '_>) {
    let (group, kind) = (o.string("group"), o.string("kind"));
    if o.string("name").is_empty() {
        o.report()
            .raise_in("name", Code::RequiredField, "a target needs a name", "");
    }
    if !o.string("namespace").is_empty() {
        o.report().raise_in(
            "namespace",
            Code::InvalidTarget,
            "a target is always in the policy's own namespace",
            "remove `namespace`",
        );
    }
    let canonical = if group == "core" { "" } else { group.as_str() };
    if !TARGETS.contains(&(canonical, kind.as_str())) {
        o.report().raise(
            Code::InvalidTarget,
            format!("a policy can not be attached to kind `{kind}` of group `{group}`"),
            "attach it to a Service, a ServiceEntry, a Gateway or a GatewayClass",
        );
    }
}
