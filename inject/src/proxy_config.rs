//! A ProxyConfig, as far as something is made of it: in the annotation `proxy.istio.io/config`, in the mesh's `defaultConfig`, and in the
//! variable `PROXY_CONFIG` of a sidecar.

use std::collections::BTreeMap;

use outrigger_core::config::value::parse_duration;
use serde_json::Value;

use crate::annotations::refused;
use crate::interception::Interception;
use crate::names::PROXY_CONFIG;
use crate::refused::Refused;
use crate::yaml;

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// `holdApplicationUntilProxyStarts`: the application starts once the sidecar is ready.
    pub hold: Option<bool>,
    /// `interceptionMode`: how connections come to the sidecar.
    pub interception: Option<Interception>,
    /// Worker threads; 0 is one for each core.
    pub concurrency: Option<u32>,
    /// `terminationDrainDuration`: how long the end may take, in seconds, rounded up.
    pub drain: Option<u64>,
    /// `drainDuration`: how long connections of a listener that is gone may go on, in seconds, rounded up.
    pub listener_drain: Option<u64>,
    /// Where the configuration comes from, `HOST:PORT`.
    pub discovery_address: Option<String>,
    /// `proxyMetadata`: variables.
    pub metadata: BTreeMap<String, String>,
    /// Its fields that change nothing.
    pub unread: Vec<String>,
}

impl ProxyConfig {
    /// Reads one; null says nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(value: &Value) -> Result<Self, String> {
        of(value)
    }
}

/// Whole seconds of a duration as Istio writes them.
fn seconds(value: &Value) -> Option<u64> {
    let time = parse_duration(value.as_str()?).ok()?;
    Some(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

/// Reads an annotation.
pub(crate) fn read(text: &str) -> Result<ProxyConfig, Refused> {
    let documents = yaml::read(PROXY_CONFIG, text.as_bytes()).map_err(Refused)?;
    match documents.first().map(yaml::Tree::to_json) {
        None => Ok(ProxyConfig::default()),
        Some(value) => {
            of(&value).map_err(|why| Refused(format!("annotation `{PROXY_CONFIG}`: {why}")))
        }
    }
}

/// Reads a ProxyConfig; what is wrong with it.
pub(crate) fn of(value: &Value) -> Result<ProxyConfig, String> {
    let mut config = ProxyConfig::default();
    if value.is_null() {
        return Ok(config);
    }
    let fields = value.as_object().ok_or("it is no mapping")?;
    for (name, value) in fields {
        let is_read = set(&mut config, name, value);
        if !is_read.ok_or_else(|| format!("`{name}` cannot be {value}"))? {
            config.unread.push(name.clone());
        }
    }
    Ok(config)
}

/// Whether it is a field that is made something of; `None` when it cannot have that value.
fn set(config: &mut ProxyConfig, name: &str, value: &Value) -> Option<bool> {
    match name {
        "holdApplicationUntilProxyStarts" => config.hold = Some(value.as_bool()?),
        "interceptionMode" => config.interception = Some(Interception::named(value.as_str()?)?),
        "concurrency" => config.concurrency = Some(u32::try_from(value.as_u64()?).ok()?),
        "terminationDrainDuration" => config.drain = Some(seconds(value)?),
        "drainDuration" => config.listener_drain = Some(seconds(value)?),
        "discoveryAddress" => config.discovery_address = Some(value.as_str()?.to_owned()),
        "proxyMetadata" => {
            for (key, value) in value.as_object()? {
                config
                    .metadata
                    .insert(key.clone(), value.as_str()?.to_owned());
            }
        }
        _ => return Some(false),
    }
    Some(true)
}

/// Refuses what is no address, because it becomes an argument.
pub(crate) fn check_address(text: &str) -> Result<(), Refused> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    let fits = !host.is_empty()
        && !host.starts_with('-')
        && host.bytes().all(is_host)
        && port.parse::<u16>().is_ok();
    match fits {
        true => Ok(()),
        false => Err(refused(PROXY_CONFIG, text, "an address `HOST:PORT`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_something_of_is_read_and_the_rest_named() {
        let text = "holdApplicationUntilProxyStarts: true\nconcurrency: 2\nterminationDrainDuration: 19.1s\ndrainDuration: 3s\n\
                    interceptionMode: TPROXY\nproxyMetadata: {A: \"true\"}\nstatNameLength: 3\n";
        let got = read(text).unwrap();
        let want = ProxyConfig {
            hold: Some(true),
            interception: Some(Interception::Tproxy),
            concurrency: Some(2),
            drain: Some(20),
            listener_drain: Some(3),
            discovery_address: None,
            metadata: BTreeMap::from([("A".into(), "true".into())]),
            unread: vec!["statNameLength".into()],
        };
        assert_eq!(got, want);
        assert_eq!(read("").unwrap(), ProxyConfig::default());
        assert_eq!(read("{}").unwrap(), ProxyConfig::default());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, want) in [
            ("concurrency: -1", "`concurrency` cannot be -1"),
            ("proxyMetadata: {A: true}", "`proxyMetadata` cannot be"),
            (
                "interceptionMode: SOCKS",
                "`interceptionMode` cannot be \"SOCKS\"",
            ),
            (
                "terminationDrainDuration: 20",
                "`terminationDrainDuration` cannot be 20",
            ),
            ("[1]", "it is no mapping"),
            ("a: [", "proxy.istio.io/config:"),
        ] {
            let told = read(text).unwrap_err().0;
            assert!(told.contains(want), "{told}");
        }
        for text in ["--config=/etc:1", "a b:1", "host", ":1", "host:port"] {
            assert!(check_address(text).is_err(), "{text}");
        }
        assert!(check_address("istiod.istio-system.svc:15012").is_ok());
        assert!(check_address("[::1]:15012").is_ok());
    }
}
