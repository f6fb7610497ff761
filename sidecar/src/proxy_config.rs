//! `PROXY_CONFIG`: what Istio's injection writes into a pod of its ProxyConfig (the mesh's `defaultConfig`, with the pod's
//! `proxy.istio.io/config` over it), as JSON or YAML.
//!
//! Owns what of it is an option of `run`, and the variables in it (`proxyMetadata`). What of it decides about requests is read where the
//! mesh configuration is; what is neither is named there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::OnceLock;

use outrigger_inject::{ProxyConfig, yaml};
use serde_json::{Map, Value, json};

use crate::sources::Source;

/// The variable, and what findings in it are called after.
const NAME: &str = "PROXY_CONFIG";

/// What is said there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    config: ProxyConfig,
    /// All of it.
    fields: Map<String, Value>,
}

impl Said {
    /// Reads it.
    ///
    /// # Errors
    /// It is no ProxyConfig.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let told = |why: String| format!("{NAME}: {why}");
        let documents = yaml::read(NAME, text.as_bytes())?;
        let value = documents.first().map(yaml::Tree::to_json);
        let value = value.unwrap_or_default();
        let config = ProxyConfig::of(&value).map_err(told)?;
        let fields = match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Ok(Self { config, fields })
    }

    /// What it says of an option of `run`.
    pub(crate) fn option(&self, long: &str) -> Option<String> {
        let config = &self.config;
        match long {
            "workers" => config
                .concurrency
                .filter(|workers| *workers > 0)
                .map(|workers| workers.to_string()),
            "drain-time" => config.drain.map(|seconds| seconds.to_string()),
            "listener-drain-time" => config.listener_drain.map(|seconds| seconds.to_string()),
            "interception" => config.interception.map(|mode| mode.word().to_owned()),
            "xds" => config.discovery_address.clone(),
            _ => None,
        }
    }

    /// What it says of a variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.config.metadata.get(name).map(String::as_str)
    }

    /// The rest of it, as the `defaultConfig` of a mesh configuration; `known` are the variables that are read elsewhere. `None` where
    /// nothing is left.
    pub(crate) fn rest(&self, known: &BTreeSet<String>) -> Option<Source> {
        let mut rest = self.fields.clone();
        for name in [
            "concurrency",
            "terminationDrainDuration",
            "drainDuration",
            "interceptionMode",
            "discoveryAddress",
        ] {
            rest.remove(name);
        }
        if let Some(Value::Object(metadata)) = rest.get_mut("proxyMetadata") {
            metadata.retain(|name, _| !known.contains(name));
            if metadata.is_empty() {
                rest.remove("proxyMetadata");
            }
        }
        (!rest.is_empty()).then(|| Source {
            name: NAME.into(),
            // Of lines, so that a finding's position says something. A value of JSON can always be written.
            bytes: serde_json::to_vec_pretty(&json!({"defaultConfig": rest})).unwrap_or_default(),
        })
    }
}

/// Which fields of `defaultConfig` what is left says, and variables of `proxyMetadata` behind a dot.
pub(crate) fn says(rest: &Source) -> impl Fn(&str) -> bool {
    let value: Value = serde_json::from_slice(&rest.bytes).unwrap_or_default();
    move |name| {
        let mut path = std::iter::once("defaultConfig").chain(name.split('.'));
        path.try_fold(&value, |value, field| value.get(field))
            .is_some()
    }
}

/// What the environment says, read once.
///
/// # Errors
/// It is no ProxyConfig.
pub(crate) fn said() -> Result<&'static Said, &'static str> {
    static SAID: OnceLock<Result<Said, String>> = OnceLock::new();
    let said = SAID.get_or_init(|| match std::env::var(NAME) {
        Ok(text) => Said::read(&text),
        Err(_) => Ok(Said::default()),
    });
    said.as_ref().map_err(String::as_str)
}

/// What the environment says of a variable, or else `proxyMetadata`.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    let of_config = || said().ok()?.variable(name).map(OsString::from);
    std::env::var_os(name).or_else(of_config)
}

/// The same as text that is not empty.
pub(crate) fn text(name: &str) -> Option<String> {
    let text = variable(name)?.into_string().ok()?;
    (!text.is_empty()).then_some(text)
}

/// All variables, those of `proxyMetadata` too.
pub(crate) fn all() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Ok(said) = said() {
        all.clone_from(&said.config.metadata);
    }
    let own = std::env::vars_os();
    all.extend(
        own.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_option_is_one_and_the_rest_is_left() {
        let text = "concurrency: 2\nterminationDrainDuration: 1m\ndrainDuration: 1.5s\ninterceptionMode: TPROXY\n\
                    discoveryAddress: istiod:15012\nstatNameLength: 3\ntracing: {sampling: 10}\n\
                    proxyMetadata: {OUTRIGGER_LABEL: a=b, X: other}\n";
        let json = r#"{"concurrency": 2, "terminationDrainDuration": "60s", "drainDuration": "1.5s", "interceptionMode": "TPROXY",
            "discoveryAddress": "istiod:15012", "statNameLength": 3, "tracing": {"sampling": 10},
            "proxyMetadata": {"OUTRIGGER_LABEL": "a=b", "X": "other"}}"#;
        for text in [text, json] {
            let said = Said::read(text).unwrap();
            for (option, want) in [
                ("workers", Some("2")),
                ("drain-time", Some("60")),
                ("listener-drain-time", Some("2")),
                ("interception", Some("TPROXY")),
                ("xds", Some("istiod:15012")),
                ("admin", None),
            ] {
                assert_eq!(said.option(option).as_deref(), want, "{option}");
            }
            assert_eq!(said.variable("OUTRIGGER_LABEL"), Some("a=b"));
            let rest = said.rest(&["OUTRIGGER_LABEL".to_owned()].into()).unwrap();
            let rest: Value = serde_json::from_slice(&rest.bytes).unwrap();
            let want = json!({"defaultConfig": {
                "statNameLength": 3, "tracing": {"sampling": 10}, "proxyMetadata": {"X": "other"},
            }});
            assert_eq!(rest, want);
        }
    }

    #[test]
    fn who_says_nothing_says_nothing() {
        for text in ["", "{}", "null", "concurrency: 0", "proxyMetadata: {}"] {
            let said = Said::read(text).unwrap();
            assert_eq!(said.option("workers"), None, "{text}");
            assert!(said.rest(&BTreeSet::new()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, want) in [
            ("{", "PROXY_CONFIG"),
            ("[1]", "PROXY_CONFIG: it is no mapping"),
            ("concurrency: many", "PROXY_CONFIG: `concurrency` cannot be"),
            ("interceptionMode: SOCKS", "`interceptionMode` cannot be"),
            ("drainDuration: soon", "`drainDuration` cannot be"),
        ] {
            let why = Said::read(text).unwrap_err();
            assert!(why.contains(want), "{why}");
        }
    }
}
