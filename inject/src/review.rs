//! Admission reviews (`admission.k8s.io/v1`): bytes of a question to bytes of an answer, without IO.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::settings::Settings;
use crate::validate;
use crate::workload::{Around, inject};

/// Where pods are asked about; what follows it is passed over.
pub const INJECT: &str = "/inject";

/// Where configuration is asked about.
pub const VALIDATE: &str = "/validate";

/// Longer reviews are not read: 8 MiB. An API server takes objects of up to 3 MiB, and a review may hold two.
pub const MAX_REVIEW_BYTES: usize = 8 << 20;

/// More warnings than that are counted, not told; longer ones are cut. API servers cut them, too.
const MAX_WARNINGS: usize = 16;
const MAX_WARNING_CHARS: usize = 256;

/// Longer messages are cut.
const MAX_MESSAGE_CHARS: usize = 4096;

/// Answers a review: the status of HTTP, and the body.
///
/// What is no review has a status of 400 and a body that says why; a review that is one is always answered with 200.
#[must_use]
pub fn answer(settings: &Settings, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let (status, body, _) = judged(settings, path, body);
    (status, body)
}

/// What a review came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A pod got a sidecar.
    Injected,
    /// A pod got none.
    Left,
    /// A pod asks for what there is not.
    Refused,
    /// Configuration is let in.
    Allowed,
    /// Configuration is not.
    Denied,
    /// It was no review.
    NoReview,
}

/// The answer, and what it came to.
pub(crate) fn judged(settings: &Settings, path: &str, body: &[u8]) -> (u16, Vec<u8>, Outcome) {
    let no_review = |status, told: String| (status, told.into_bytes(), Outcome::NoReview);
    let path = path.split('?').next().unwrap_or_default();
    let below = path.strip_prefix(INJECT);
    let is_injection = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !is_injection && path != VALIDATE {
        let told = format!(
            "there is nothing at this path; reviews are answered at {INJECT} and {VALIDATE}\n"
        );
        return no_review(404, told);
    }
    if body.len() > MAX_REVIEW_BYTES {
        return no_review(
            413,
            format!("the review has more than {MAX_REVIEW_BYTES} bytes\n"),
        );
    }
    let request = match read(body) {
        Ok(request) => request,
        Err(why) => return no_review(400, format!("{why}\n")),
    };
    let said = match is_injection {
        true => mutate(settings, &request),
        false => judge(&request),
    };
    let outcome = match (is_injection, &said) {
        (
            true,
            Said {
                denied: Some(_), ..
            },
        ) => Outcome::Refused,
        (true, Said { patch: Some(_), .. }) => Outcome::Injected,
        (true, _) => Outcome::Left,
        (
            false,
            Said {
                denied: Some(_), ..
            },
        ) => Outcome::Denied,
        (false, _) => Outcome::Allowed,
    };
    (200, said.write(&request.uid), outcome)
}

/// What is asked.
struct Request {
    uid: String,
    operation: String,
    namespace: String,
    object: Value,
    old_object: Value,
}

fn read(body: &[u8]) -> Result<Request, String> {
    let review: Value =
        serde_json::from_slice(body).map_err(|error| format!("this is no JSON: {error}"))?;
    let is = |field: &str, want: &str| review[field] == want;
    if !is("kind", "AdmissionReview") || !is("apiVersion", "admission.k8s.io/v1") {
        return Err("this is no AdmissionReview of admission.k8s.io/v1".into());
    }
    let request = &review["request"];
    let text = |field: &str| request[field].as_str().unwrap_or_default().to_owned();
    let uid = text("uid");
    if uid.is_empty() {
        return Err(
            "the review has no `request.uid`, so nobody could tell what is answered".into(),
        );
    }
    Ok(Request {
        uid,
        operation: text("operation"),
        namespace: text("namespace"),
        object: request["object"].clone(),
        old_object: request["oldObject"].clone(),
    })
}

/// What is answered.
#[derive(Default)]
struct Said {
    /// Why it is not to be stored, with a status of HTTP.
    denied: Option<(u16, String)>,
    patch: Option<Value>,
    warnings: Vec<String>,
}

impl Said {
    fn denied(code: u16, why: String) -> Self {
        Self {
            denied: Some((code, why)),
            ..Self::default()
        }
    }

    fn write(self, uid: &str) -> Vec<u8> {
        let mut response = json!({"uid": uid, "allowed": self.denied.is_none()});
        if let Some((code, why)) = &self.denied {
            response["status"] = json!({"code": code, "message": cut(why, MAX_MESSAGE_CHARS)});
        }
        if let Some(patch) = &self.patch {
            response["patchType"] = "JSONPatch".into();
            response["patch"] = STANDARD.encode(patch.to_string()).into();
        }
        if !self.warnings.is_empty() {
            response["warnings"] = few(&self.warnings).into();
        }
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": response,
        });
        review.to_string().into_bytes()
    }
}

fn few(warnings: &[String]) -> Vec<String> {
    let mut few: Vec<String> = warnings
        .iter()
        .take(MAX_WARNINGS)
        .map(|warning| cut(warning, MAX_WARNING_CHARS))
        .collect();
    if warnings.len() > MAX_WARNINGS {
        few.push(format!("and {} more", warnings.len() - MAX_WARNINGS));
    }
    few
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars - 1).chain(['…']).collect(),
    }
}

fn mutate(settings: &Settings, request: &Request) -> Said {
    // Pods of which the webhook was not asked to be told.
    if request.operation != "CREATE" {
        return Said::default();
    }
    if request.object["kind"] != "Pod" {
        return Said::denied(
            400,
            "sidecars are put into pods; `request.object` is none".into(),
        );
    }
    let around = Around {
        namespace: &request.namespace,
        // The webhook's selectors have looked at them.
        namespaces: &BTreeMap::new(),
    };
    match inject(&request.object, around, settings) {
        Err(refused) => Said::denied(422, refused.to_string()),
        Ok(injection) => {
            let mut warnings = Vec::new();
            for told in injection.told {
                let of = told.what;
                warnings.extend(told.warnings.into_iter().map(|why| format!("{of}: {why}")));
            }
            let patch = serde_json::to_value(&injection.patch);
            Said {
                patch: patch.ok().filter(|_| !injection.patch.is_empty()),
                warnings,
                denied: None,
            }
        }
    }
}

fn judge(request: &Request) -> Said {
    // What goes is never held up.
    if request.operation == "DELETE" || !request.object.is_object() {
        return Said::default();
    }
    let verdict = validate::judge(&request.object, &request.namespace);
    let said = Said {
        warnings: verdict.warnings,
        ..Said::default()
    };
    if verdict.errors.is_empty() {
        return said;
    }
    // Who takes a finalizer or a label away from what was stored before us must be able to.
    let is_as_before = request.operation == "UPDATE" && says_the_same(request);
    if is_as_before {
        return Said {
            warnings: [verdict.errors, said.warnings].concat(),
            ..said
        };
    }
    Said {
        denied: Some((422, verdict.errors.join("\n"))),
        ..said
    }
}

/// Whether an update leaves what is judged as it is.
fn says_the_same(request: &Request) -> bool {
    let fields = ["spec", "data", "annotations"];
    fields.iter().all(|field| {
        let place = match *field {
            "annotations" => "/metadata/annotations".to_owned(),
            other => format!("/{other}"),
        };
        request.object.pointer(&place) == request.old_object.pointer(&place)
    })
}
