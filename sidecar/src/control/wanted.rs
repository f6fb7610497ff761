//! What is to stand at an object for what was found in it, became of it, and who refuses it: pure.

use outrigger_control::verdicts::Verdicts;
use outrigger_core::config::gateway_api::{Reason, RouteStatus};
use outrigger_core::config::{Code, Finding, Severity};
use outrigger_kubernetes::{Condition, Wanted, When};
use outrigger_xds::Object;
use serde_json::{Value, json};

/// Whose entries in `status.parents` are ours.
pub(super) const CONTROLLER: &str = "outrigger.dev/control";

/// Istio's condition for what an analysis found.
pub(super) const PASSED: &str = "PassedAnalysis";

/// Istio's condition for whether proxies have what is written.
pub(super) const RECONCILED: &str = "Reconciled";

/// Somebody who refuses an object, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refuser {
    pub(super) who: String,
    pub(super) why: String,
}

/// What is to stand in the status of an object; none where we have no part in it.
pub(super) fn wanted(
    object: &Object,
    verdicts: &Verdicts,
    refuser: Option<&Refuser>,
) -> Option<Wanted> {
    let key = &object.key;
    let findings = verdicts.findings.get(key).map_or(&[][..], Vec::as_slice);
    match key.kind.group {
        "gateway.networking.k8s.io" if key.kind.kind.ends_with("Route") => {
            let status = verdicts.routes.get(key)?;
            Some(route(object, status, findings, refuser))
        }
        group if group.ends_with(".istio.io") => {
            let conditions = vec![passed(findings), reconciled(refuser)];
            let messages = findings.iter().map(message).collect();
            Some(Wanted::Istio(conditions, messages))
        }
        _ => None,
    }
}

/// Whether we have a part in a status as it stands.
pub(super) fn is_ours(status: &Value) -> bool {
    let entries = |name: &str| status[name].as_array().into_iter().flatten();
    entries("conditions").any(|known| known["type"] == PASSED || known["type"] == RECONCILED)
        || entries("parents").any(|known| known["controllerName"] == CONTROLLER)
}

fn passed(findings: &[Finding]) -> Condition {
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    let errors = findings.iter().filter(is_error).count();
    let warnings = findings.len() - errors;
    let reason = match (errors, warnings) {
        (0, 0) => "noErrorsFound",
        (0, _) => "warningsFound",
        _ => "errorsFound",
    };
    let words: Vec<String> = findings.iter().map(words).collect();
    Condition {
        kind: PASSED,
        is_so: findings.is_empty(),
        reason: reason.to_owned(),
        message: match findings {
            [] => "nothing is wrong with it".to_owned(),
            _ => format!(
                "{errors} errors and {warnings} warnings: {}",
                words.join("; ")
            ),
        },
        when: match findings {
            [] => When::IfThere,
            _ => When::Always,
        },
    }
}

fn reconciled(refuser: Option<&Refuser>) -> Condition {
    let (reason, message, when) = match refuser {
        Some(Refuser { who, why }) => {
            ("Refused", format!("{who} refuses it: {why}"), When::IfOlder)
        }
        None => (
            "Reconciled",
            "nobody is known to refuse it".to_owned(),
            When::IfThereAndOlder,
        ),
    };
    Condition {
        kind: RECONCILED,
        is_so: refuser.is_none(),
        reason: reason.to_owned(),
        message,
        when,
    }
}

fn route(
    object: &Object,
    status: &RouteStatus,
    findings: &[Finding],
    refuser: Option<&Refuser>,
) -> Wanted {
    let of = |kind: &'static str, told: &Result<(), Reason>, good: &str| Condition {
        kind,
        is_so: told.is_ok(),
        reason: told
            .as_ref()
            .map_or_else(|why| why.reason, |()| kind)
            .to_owned(),
        message: told
            .as_ref()
            .map_or_else(|why| why.message.clone(), |()| good.to_owned()),
        when: When::Always,
    };
    let references = &object.json["spec"]["parentRefs"];
    let parents = status.parents.iter().map(|(at, accepted)| {
        let mut accepted = of("Accepted", accepted, "taken");
        if accepted.reason == "UnsupportedValue"
            && let Some(finding) = findings.first()
        {
            accepted.message = words(finding);
        }
        let resolved = of("ResolvedRefs", &status.resolved, "all are there");
        let conditions = vec![accepted, resolved, reconciled(refuser)];
        (references[*at].clone(), conditions)
    });
    Wanted::Parents(CONTROLLER, parents.collect())
}

/// A finding in the words of Istio's `AnalysisMessageBase`, whose codes are Istio's own; it has no room for a text.
fn message(finding: &Finding) -> Value {
    let level = finding.severity.as_str().to_uppercase();
    json!({"type": {"name": reason(finding.code), "code": finding.code.as_str()}, "level": level})
}

/// A finding in a line.
pub(super) fn words(finding: &Finding) -> String {
    let mut text = String::new();
    if !finding.path.is_empty() {
        text.push_str(&finding.path);
        text.push_str(": ");
    }
    text.push_str(&finding.message);
    text.push_str(&format!(" [{}]", finding.code.as_str()));
    if !finding.help.is_empty() {
        text.push_str("; ");
        text.push_str(&finding.help);
    }
    text
}

/// A code as Kubernetes writes reasons: `unknown-host` is `UnknownHost`.
pub(super) fn reason(code: Code) -> String {
    let parts = code.as_str().split('-');
    let capital = |part: &str| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_uppercase() + rest
    };
    parts.map(capital).collect()
}

#[cfg(test)]
mod tests {
    use outrigger_core::config::Mark;
    use outrigger_kubernetes::changed;
    use outrigger_xds::{Key, Kind};

    use super::*;

    fn object(api_version: &str, kind: &str) -> Object {
        let key = Key {
            kind: Kind::named(api_version, kind).unwrap(),
            namespace: "shop".into(),
            name: "cart".into(),
        };
        let json = json!({"spec": {"parentRefs": [{"name": "a"}, {"name": "b"}]}});
        Object {
            key,
            version: "1".into(),
            json,
        }
    }

    fn finding(code: Code) -> Finding {
        let mut finding = Finding::new(code, &"f".into(), Mark::default(), "no such host");
        finding.path = "spec.http[0]".to_owned();
        finding
    }

    fn refuser() -> Refuser {
        Refuser {
            who: "shop/cart-1".to_owned(),
            why: "no".to_owned(),
        }
    }

    /// What becomes of a status: type, status and reason of each condition.
    fn after(status: &Value, object: &Object, verdicts: &Verdicts, who: Option<&Refuser>) -> Value {
        let wanted = wanted(object, verdicts, who).unwrap();
        changed(&json!(1), status, &wanted, "now").unwrap_or_default()
    }

    fn shown(conditions: &Value) -> Vec<String> {
        let all = conditions.as_array().into_iter().flatten();
        let text = |json: &Value| json.as_str().unwrap_or_default().to_owned();
        all.map(|c| {
            format!(
                "{} {} {}",
                text(&c["type"]),
                text(&c["status"]),
                text(&c["reason"])
            )
        })
        .collect()
    }

    #[test]
    fn findings_and_refusals_are_conditions_of_istios_kinds() {
        let rule = object("networking.istio.io/v1", "VirtualService");
        let judged = |codes: &[Code]| {
            let findings = codes.iter().map(|code| finding(*code)).collect::<Vec<_>>();
            let mut verdicts = Verdicts::default();
            if !findings.is_empty() {
                verdicts.findings.insert(rule.key.clone(), findings);
            }
            verdicts
        };
        let nobody = json!({});
        for (codes, who, want) in [
            (&[][..], None, &[][..]),
            (
                &[Code::UnknownHost],
                None,
                &["PassedAnalysis False warningsFound"],
            ),
            (
                &[Code::InvalidPort, Code::UnknownHost],
                None,
                &["PassedAnalysis False errorsFound"],
            ),
            (&[], Some(refuser()), &["Reconciled False Refused"]),
        ] {
            let new = after(&nobody, &rule, &judged(codes), who.as_ref());
            assert_eq!(shown(&new["conditions"]), want);
            let messages = new["validationMessages"].as_array();
            assert_eq!(messages.map_or(0, Vec::len), codes.len());
        }
        let bad = after(&nobody, &rule, &judged(&[Code::InvalidPort]), None);
        let said = &bad["conditions"][0]["message"];
        let want = "1 errors and 0 warnings: spec.http[0]: no such host [invalid-port]";
        assert_eq!(said, want);
        let type_name = &bad["validationMessages"][0]["type"]["name"];
        assert_eq!(type_name, "InvalidPort");
        assert!(is_ours(&bad) && !is_ours(&json!({"conditions": [{"type": "Other"}]})));
        let mended = after(&bad, &rule, &judged(&[]), None);
        assert_eq!(
            shown(&mended["conditions"]),
            ["PassedAnalysis True noErrorsFound"]
        );
        assert_eq!(mended["validationMessages"], json!([]));
    }

    #[test]
    fn routes_say_who_took_them() {
        let route = object("gateway.networking.k8s.io/v1", "HTTPRoute");
        let why = |reason| {
            Err(Reason {
                reason,
                message: "m".to_owned(),
            })
        };
        let mut verdicts = Verdicts::default();
        verdicts.routes.insert(
            route.key.clone(),
            RouteStatus {
                kind: outrigger_core::config::virtual_service::ApiKind::Http,
                namespace: "shop".to_owned(),
                name: "cart".to_owned(),
                parents: vec![(0, Ok(())), (1, why("NoMatchingParent"))],
                resolved: why("BackendNotFound"),
            },
        );
        let new = after(&json!({}), &route, &verdicts, Some(&refuser()));
        let parents = new["parents"].as_array().unwrap();
        assert_eq!(parents[1]["parentRef"], json!({"name": "b"}));
        assert_eq!(parents[0]["controllerName"], CONTROLLER);
        let resolved = "ResolvedRefs False BackendNotFound";
        let refused = "Reconciled False Refused";
        assert_eq!(
            shown(&parents[0]["conditions"]),
            ["Accepted True Accepted", resolved, refused]
        );
        assert_eq!(
            shown(&parents[1]["conditions"]),
            ["Accepted False NoMatchingParent", resolved, refused]
        );
        let service = object("v1", "Service");
        assert_eq!(wanted(&service, &verdicts, None), None, "it is others'");
    }

    #[test]
    fn reasons_are_of_letters() {
        for code in Code::ALL {
            let reason = reason(*code);
            let mut letters = reason.chars();
            assert!(letters.next().is_some_and(|c| c.is_ascii_uppercase()));
            assert!(letters.all(|c| c.is_ascii_alphanumeric()), "{reason}");
        }
    }
}
