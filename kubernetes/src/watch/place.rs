//! Where objects of a kind stand in the API of this cluster.

use kube::Client;
use outrigger_xds::Kind;
use serde_json::Value;

use crate::request::{Trouble, What, get, json};

/// Which objects of a kind are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Only {
    pub(crate) namespace: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
}

/// A kind in the version in which this cluster serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) api_version: String,
    /// Without a query.
    path: String,
    selector: String,
}

impl Place {
    /// Looks for it. None where the cluster serves no version of the kind.
    pub(crate) async fn find(
        client: &Client,
        kind: &Kind,
        only: &Only,
    ) -> Result<Option<Self>, Trouble> {
        if kind.group.is_empty() {
            return Ok(Some(Self::new(kind, kind.version, only)));
        }
        let Some(group) = there(client, &format!("/apis/{}", kind.group)).await? else {
            return Ok(None);
        };
        for version in versions(kind, &group) {
            let served = there(client, &format!("/apis/{}/{version}", kind.group)).await?;
            let served = served.unwrap_or_default();
            let mut names = served["resources"].as_array().into_iter().flatten();
            if names.any(|row| row["name"] == kind.plural) {
                return Ok(Some(Self::new(kind, &version, only)));
            }
        }
        Ok(None)
    }

    fn new(kind: &Kind, version: &str, only: &Only) -> Self {
        let (api_version, mut path) = if kind.group.is_empty() {
            (version.to_owned(), format!("/api/{version}"))
        } else {
            let api_version = format!("{}/{version}", kind.group);
            let path = format!("/apis/{api_version}");
            (api_version, path)
        };
        if let Some(namespace) = &only.namespace {
            path.push_str(&format!("/namespaces/{namespace}"));
        }
        path.push_str(&format!("/{}", kind.plural));
        let name = only.name.as_ref();
        let selector = name.map(|name| format!("&fieldSelector=metadata.name%3D{name}"));
        Self {
            api_version,
            path,
            selector: selector.unwrap_or_default(),
        }
    }

    /// A list, or its next page.
    pub(crate) fn list(&self, limit: u32, token: &str) -> String {
        let mut path = format!("{}?limit={limit}{}", self.path, self.selector);
        if !token.is_empty() {
            path.push_str("&continue=");
            for byte in token.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
                    path.push(char::from(byte));
                } else {
                    path.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        path
    }

    /// What happens after a version, for so many seconds.
    pub(crate) fn watch(&self, version: &str, seconds: u64) -> String {
        format!(
            "{}?watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}{}",
            self.path, self.selector
        )
    }
}

/// What is served there, if anything is.
async fn there(client: &Client, path: &str) -> Result<Option<Value>, Trouble> {
    match json(client, get(path)).await {
        Ok((_, json)) => Ok(Some(json)),
        Err(trouble) if trouble.what == What::Absent => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// The versions that a group has, in the order in which they are looked at: the one that we know, then the one that the cluster prefers.
fn versions(kind: &Kind, group: &Value) -> Vec<String> {
    let rows = group["versions"].as_array().into_iter().flatten();
    let listed = std::iter::once(&group["preferredVersion"]).chain(rows);
    let mut versions: Vec<String> = Vec::new();
    for version in listed.filter_map(|row| row["version"].as_str()) {
        if versions.iter().all(|known| known != version) {
            versions.push(version.to_owned());
        }
    }
    versions.sort_by_key(|version| version != kind.version);
    versions
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_say_what_is_wanted() {
        let kind = Kind::named("networking.istio.io/v1", "Gateway").unwrap();
        let all = Place::new(kind, "v1beta1", &Only::default());
        assert_eq!(
            all.list(500, ""),
            "/apis/networking.istio.io/v1beta1/gateways?limit=500"
        );
        assert_eq!(
            all.list(2, "a+/="),
            "/apis/networking.istio.io/v1beta1/gateways?limit=2&continue=a%2B%2F%3D"
        );
        let only = Only {
            namespace: Some("a".into()),
            name: Some("b".into()),
        };
        let one = Place::new(Kind::named("v1", "Secret").unwrap(), "v1", &only);
        assert_eq!(
            one.watch("7", 9),
            "/api/v1/namespaces/a/secrets?watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=9&fieldSelector=metadata.name%3Db"
        );
    }

    #[test]
    fn our_version_is_looked_at_first() {
        let kind = Kind::named("networking.istio.io/v1", "Gateway").unwrap();
        for (listed, looked_at) in [
            (
                &["v1alpha3", "v1", "v1beta1"][..],
                &["v1", "v1beta1", "v1alpha3"][..],
            ),
            (&["v1alpha3", "v1beta1"], &["v1beta1", "v1alpha3"]),
        ] {
            let rows: Vec<_> = listed
                .iter()
                .map(|version| json!({"version": version}))
                .collect();
            let group = json!({"preferredVersion": {"version": "v1beta1"}, "versions": rows});
            assert_eq!(versions(kind, &group), looked_at);
        }
    }
}
