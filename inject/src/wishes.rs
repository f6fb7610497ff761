//! What a pod wishes for by its annotations, over what is set for all.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::annotations::{
    Annotations, CPU, CPU_LIMIT, IMAGE, LOG_LEVEL, MEMORY, MEMORY_LIMIT, MODE, NATIVE, READY_DELAY,
    READY_FAILURES, READY_PERIOD, REWRITE, USER_MOUNT, USER_VOLUME, refused,
};
use crate::interception::Interception;
use crate::names::PROXY_CONFIG;
use crate::proxy_config::{self, ProxyConfig, check_address};
use crate::refused::Refused;
use crate::settings::Settings;

/// The variable by which applications' questions for names are captured.
const DNS_CAPTURE: &str = "ISTIO_META_DNS_CAPTURE";

/// What is put into one pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wishes {
    pub(crate) image: String,
    pub(crate) native: bool,
    pub(crate) hold: bool,
    pub(crate) interception: Interception,
    pub(crate) dns: bool,
    pub(crate) rewrite_probes: bool,
    pub(crate) log_level: Option<String>,
    pub(crate) workers: Option<u32>,
    pub(crate) drain: Option<u64>,
    pub(crate) listener_drain: Option<u64>,
    pub(crate) discovery_address: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) resources: Value,
    pub(crate) ready: Ready,
    /// By name: the volume's source, and where it is mounted.
    pub(crate) volumes: Map<String, Value>,
    pub(crate) mounts: Map<String, Value>,
    pub(crate) warnings: Vec<String>,
}

/// How readiness is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) delay: u32,
    pub(crate) period: u32,
    pub(crate) failures: u32,
}

impl Wishes {
    /// Reads them.
    pub(crate) fn read(annotations: Annotations<'_>, settings: &Settings) -> Result<Self, Refused> {
        let config = annotations.get(PROXY_CONFIG).map(proxy_config::read);
        let config = config.transpose()?.unwrap_or_default();
        let mut warnings: Vec<String> = annotations
            .unread()
            .into_iter()
            .map(|name| format!("annotation `{name}` is not in effect"))
            .collect();
        let unread = config.unread.iter();
        warnings.extend(
            unread.map(|name| format!("`{name}` of annotation `{PROXY_CONFIG}` is not in effect")),
        );
        if let Some(address) = &config.discovery_address {
            check_address(address)?;
        }
        let mut environment = settings.environment.clone();
        environment.extend(config.metadata.clone());
        let dns = match environment.get(DNS_CAPTURE) {
            Some(word) => word == "true",
            None => settings.dns_capture,
        };
        let hold = settings.hold_application_until_proxy_starts;
        Ok(Self {
            image: image(annotations, settings, &mut warnings)?,
            native: annotations.flag(NATIVE)?.unwrap_or(settings.native_sidecar),
            hold: config.hold.unwrap_or(hold),
            interception: interception(annotations, &config, settings)?,
            dns,
            rewrite_probes: annotations
                .flag(REWRITE)?
                .unwrap_or(settings.rewrite_probes),
            log_level: log_level(annotations)?,
            workers: config
                .concurrency
                .or(settings.concurrency)
                .filter(|workers| *workers > 0),
            drain: config.drain.or(settings.drain_time),
            listener_drain: config.listener_drain.or(settings.listener_drain_time),
            discovery_address: config
                .discovery_address
                .unwrap_or_else(|| settings.discovery_address.clone()),
            environment,
            resources: resources(annotations, settings)?,
            ready: Ready {
                delay: annotations.number(READY_DELAY, 0)?.unwrap_or(0),
                period: annotations.number(READY_PERIOD, 1)?.unwrap_or(15),
                failures: annotations.number(READY_FAILURES, 1)?.unwrap_or(4),
            },
            volumes: json_map(annotations, USER_VOLUME)?,
            mounts: json_map(annotations, USER_MOUNT)?,
            warnings,
        })
    }
}

fn image(
    annotations: Annotations<'_>,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Result<String, Refused> {
    let Some(image) = annotations.get(IMAGE) else {
        return Ok(settings.image.clone());
    };
    if image.is_empty() || image.contains(char::is_whitespace) {
        return Err(refused(IMAGE, image, "an image"));
    }
    // As in a pod that was written for Istio's own proxy.
    if image.contains("proxyv2") {
        warnings.push(format!(
            "annotation `{IMAGE}`: `{image}` is Istio's proxy; `{}` is put in",
            settings.image
        ));
        return Ok(settings.image.clone());
    }
    Ok(image.to_owned())
}

fn interception(
    annotations: Annotations<'_>,
    config: &ProxyConfig,
    settings: &Settings,
) -> Result<Interception, Refused> {
    match annotations.get(MODE) {
        Some(word) => Interception::named(word)
            .ok_or_else(|| refused(MODE, word, "`REDIRECT`, `TPROXY` or `NONE`")),
        None => Ok(config.interception.unwrap_or(settings.interception)),
    }
}

/// Istio's words as ours.
fn log_level(annotations: Annotations<'_>) -> Result<Option<String>, Refused> {
    let Some(word) = annotations.get(LOG_LEVEL) else {
        return Ok(None);
    };
    let ours = match word {
        "trace" | "debug" | "info" | "warning" | "error" | "off" => word,
        "critical" => "error",
        other => {
            return Err(refused(
                LOG_LEVEL,
                other,
                "`trace`, `debug`, `info`, `warning`, `error`, `critical` or `off`",
            ));
        }
    };
    Ok(Some(ours.to_owned()))
}

/// As in Istio, annotations say all of it or nothing.
fn resources(annotations: Annotations<'_>, settings: &Settings) -> Result<Value, Refused> {
    let mut resources = Map::new();
    for (name, field, of) in [
        (CPU, "requests", "cpu"),
        (MEMORY, "requests", "memory"),
        (CPU_LIMIT, "limits", "cpu"),
        (MEMORY_LIMIT, "limits", "memory"),
    ] {
        let Some(text) = annotations.get(name) else {
            continue;
        };
        if !is_quantity(text) {
            return Err(refused(name, text, "a quantity, such as `100m` or `128Mi`"));
        }
        let field = resources
            .entry(field)
            .or_insert_with(|| Value::Object(Map::new()));
        field[of] = text.into();
    }
    Ok(match resources.is_empty() {
        true => settings.resources.clone(),
        false => Value::Object(resources),
    })
}

/// A quantity of Kubernetes' that is not negative.
fn is_quantity(text: &str) -> bool {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let has_digit = number.bytes().any(|b| b.is_ascii_digit());
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|e| {
        let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    let units = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    has_digit && number.matches('.').count() <= 1 && (exponent || units.contains(&suffix))
}

fn json_map(annotations: Annotations<'_>, name: &str) -> Result<Map<String, Value>, Refused> {
    let Some(text) = annotations.get(name) else {
        return Ok(Map::new());
    };
    let map: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| Refused(format!("annotation `{name}`: {error}")))?;
    match map.iter().find(|(_, value)| !value.is_object()) {
        None => Ok(map),
        Some((key, _)) => Err(Refused(format!(
            "annotation `{name}`: `{key}` is no object"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(annotations: &Value) -> Result<Wishes, Refused> {
        Wishes::read(Annotations(Some(annotations)), &Settings::default())
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (annotations, want) in [
            (json!({NATIVE: "yes"}), "`yes` is not `true` or `false`"),
            (json!({CPU: "-1"}), "`-1` is not a quantity"),
            (json!({MEMORY: "1 GB"}), "is not a quantity"),
            (json!({MEMORY: "1.2.3"}), "is not a quantity"),
            (json!({MODE: "redirect?"}), "is not `REDIRECT`"),
            (json!({LOG_LEVEL: "loud"}), "`loud` is not `trace`"),
            (
                json!({READY_PERIOD: "0"}),
                "`0` is not a whole number from 1",
            ),
            (
                json!({USER_VOLUME: "[]"}),
                "annotation `sidecar.istio.io/userVolume`",
            ),
            (json!({USER_MOUNT: "{\"a\": 1}"}), "`a` is no object"),
            (json!({IMAGE: ""}), "is not an image"),
            (
                json!({PROXY_CONFIG: "discoveryAddress: --x"}),
                "is not an address",
            ),
        ] {
            let told = read(&annotations).unwrap_err().0;
            assert!(told.contains(want), "{told}");
        }
    }

    #[test]
    fn annotations_of_resources_say_all_of_it() {
        assert_eq!(
            read(&json!({})).unwrap().resources,
            Settings::default().resources
        );
        let some = read(&json!({CPU: "1e3m", MEMORY_LIMIT: "1Gi"}));
        assert!(some.is_err(), "an exponent has no unit");
        let some = read(&json!({CPU: "100m", MEMORY_LIMIT: "1Gi"}))
            .unwrap()
            .resources;
        assert_eq!(
            some,
            json!({"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}})
        );
    }

    #[test]
    fn quantities_are_kubernetes_own() {
        for text in [
            "1", "0.5", ".5", "100m", "1k", "1Ki", "2Gi", "1e3", "1E-3", "5n",
        ] {
            assert!(is_quantity(text), "{text}");
        }
        for text in [
            "", ".", "m", "1.2.3", "-1", "1 Gi", "1GB", "1e", "1e+", "1eK", "Gi",
        ] {
            assert!(!is_quantity(text), "{text}");
        }
    }

    #[test]
    fn readiness_may_be_looked_at_at_once() {
        let own = json!({READY_DELAY: "0", READY_PERIOD: "1", READY_FAILURES: "1"});
        let want = Ready {
            delay: 0,
            period: 1,
            failures: 1,
        };
        assert_eq!(read(&own).unwrap().ready, want);
        let usual = Ready {
            delay: 0,
            period: 15,
            failures: 4,
        };
        assert_eq!(read(&json!({REWRITE: "true"})).unwrap().ready, usual);
    }

    #[test]
    fn what_is_not_in_effect_is_named() {
        let wishes = read(&json!({
            "sidecar.istio.io/agentLogLevel": "debug",
            "prometheus.istio.io/other": "false",
            "prometheus.io/scrape": "true",
            PROXY_CONFIG: "{image: {imageType: debug}}",
            IMAGE: "docker.io/istio/proxyv2:1.29",
        }))
        .unwrap();
        assert_eq!(
            wishes.warnings,
            [
                "annotation `prometheus.istio.io/other` is not in effect",
                "annotation `sidecar.istio.io/agentLogLevel` is not in effect",
                "`image` of annotation `proxy.istio.io/config` is not in effect",
                "annotation `sidecar.istio.io/proxyImage`: `docker.io/istio/proxyv2:1.29` is Istio's proxy; `outrigger:0.1.0` is put in",
            ]
        );
        assert_eq!(wishes.image, Settings::default().image);
    }

    #[test]
    fn the_pods_own_configuration_goes_before_that_of_all() {
        let all = Settings {
            concurrency: Some(3),
            drain_time: Some(4),
            dns_capture: true,
            ..Settings::default()
        };
        let own = json!({PROXY_CONFIG: "{concurrency: 0, proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"false\"}}"});
        let wishes = Wishes::read(Annotations(Some(&own)), &all).unwrap();
        assert!(!wishes.dns);
        assert_eq!(wishes.workers, None);
        let plain = Wishes::read(Annotations(None), &all).unwrap();
        assert!(plain.dns);
        assert_eq!((plain.workers, plain.drain), (Some(3), Some(4)));
    }
}
