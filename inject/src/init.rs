//! The container that captures connections before all others: `outrigger intercept apply`.

use serde_json::{Value, json};

use crate::annotations::Annotations;
use crate::capture;
use crate::interception::Interception;
use crate::names::INIT;
use crate::refused::Refused;
use crate::settings::Settings;
use crate::wishes::Wishes;

/// It, where there is one: none captures nothing, and with a CNI plugin that does it.
pub(crate) fn container(
    annotations: Annotations<'_>,
    wishes: &Wishes,
    settings: &Settings,
) -> Result<Option<Value>, Refused> {
    // Looked at in any case: a CNI plugin reads them, too.
    let flags = capture::flags(annotations)?;
    if settings.cni || wishes.interception == Interception::None {
        return Ok(None);
    }
    let mut args = vec!["intercept".to_owned(), "apply".to_owned()];
    args.push(format!("--mode={}", wishes.interception.word()));
    args.extend(flags);
    let or = |flag: &str, is_on: bool| is_on.then(|| flag.to_owned());
    args.extend(or("--dns", wishes.dns));
    args.extend(or("--ipv6", settings.ipv6));
    let mut container = json!({
        "name": INIT,
        "image": settings.init_image,
        "args": args,
        "resources": settings.init_resources,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "runAsUser": 0,
        },
    });
    if !settings.seccomp_profile.is_null() {
        container["securityContext"]["seccompProfile"] = settings.seccomp_profile.clone();
    }
    if let Some(policy) = &settings.image_pull_policy {
        container["imagePullPolicy"] = policy.clone().into();
    }
    Ok(Some(container))
}
