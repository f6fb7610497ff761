//! Who scrapes a pod by its annotations finds the application's metrics and the sidecar's on one page of the agent, which is not captured.

use serde_json::{Map, Value};

use crate::annotations::{Annotations, MERGE};
use crate::names::AGENT_PORT;
use crate::refused::Refused;
use crate::settings::Settings;

/// Where both are.
const PATH: &str = "/stats/prometheus";

/// What Prometheus looks for, without what is before it.
const FIELDS: &[&str] = &["scrape", "path", "port"];

/// Leads scrapes to the agent. What the pod said, in Istio's form, if it said anything.
pub(crate) fn merge(
    metadata: &mut Value,
    own: Annotations<'_>,
    settings: &Settings,
) -> Result<Option<String>, Refused> {
    let says = |field: &str| own.get(&format!("prometheus.io/{field}"));
    let is_wanted = own.flag(MERGE)?.unwrap_or(settings.merge_metrics);
    // The agent asks in clear text.
    let is_elsewhere = says("scheme").is_some_and(|scheme| scheme != "http");
    if !is_wanted || is_elsewhere || says("scrape") == Some("false") {
        return Ok(None);
    }
    let original: Map<String, Value> = FIELDS
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), says(field)?.into())))
        .collect();
    let port = AGENT_PORT.to_string();
    for (field, value) in [("scrape", "true"), ("path", PATH), ("port", &port)] {
        metadata["annotations"][format!("prometheus.io/{field}")] = value.into();
    }
    let is_the_agents = says("port") == Some(&port);
    let is_said = original.contains_key("scrape") && !is_the_agents;
    Ok(is_said.then(|| Value::Object(original).to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scrapes_go_to_the_agent() {
        let ours = json!({"prometheus.io/scrape": "true", "prometheus.io/path": PATH, "prometheus.io/port": "15020"});
        let app = json!({"prometheus.io/scrape": "true", "prometheus.io/path": "/m", "prometheus.io/port": "8080"});
        for (annotations, want, said) in [
            (json!({}), ours.clone(), None),
            (
                app.clone(),
                ours.clone(),
                Some(json!({"scrape": "true", "path": "/m", "port": "8080"})),
            ),
            (
                json!({"prometheus.io/scrape": "true"}),
                ours.clone(),
                Some(json!({"scrape": "true"})),
            ),
            (json!({"prometheus.io/port": "8080"}), ours.clone(), None),
            (ours.clone(), ours, None),
            (
                json!({"prometheus.io/scrape": "false"}),
                json!({"prometheus.io/scrape": "false"}),
                None,
            ),
            (
                json!({"prometheus.io/scrape": "true", "prometheus.io/scheme": "https"}),
                json!({"prometheus.io/scrape": "true", "prometheus.io/scheme": "https"}),
                None,
            ),
            (json!({MERGE: "false"}), json!({MERGE: "false"}), None),
        ] {
            let mut metadata = json!({"annotations": annotations});
            let own = Annotations(Some(&annotations));
            let got = merge(&mut metadata, own, &Settings::default()).unwrap();
            assert_eq!(metadata["annotations"], want);
            assert_eq!(
                got.map(|text| serde_json::from_str::<Value>(&text).unwrap()),
                said
            );
        }
        let never = Settings {
            merge_metrics: false,
            ..Settings::default()
        };
        let mut metadata = json!({});
        assert_eq!(
            merge(&mut metadata, Annotations(Some(&app)), &never),
            Ok(None)
        );
        assert_eq!(metadata, json!({}));
        let odd = json!({MERGE: "maybe"});
        assert!(merge(&mut metadata, Annotations(Some(&odd)), &never).is_err());
    }
}
