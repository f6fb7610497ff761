//! What is written into a cluster for others to find: the authority's secret, the roots, and whom webhooks may trust.
//!
//! Owns that replicas need no leader: each write says what should be, is made only where it is not, and of two that disagree the one that
//! was there first holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use outrigger_authority::CaFiles;
use serde_json::{Map, Value, json};

use crate::request::{self, Trouble, What, get, merge, post, put};

/// The ConfigMap that has the roots in each namespace, and the name in it, as Istio calls them.
const ROOTS: (&str, &str) = ("istio-ca-root-cert", "root-cert.pem");

/// So often a write that others are in the way of is tried.
const TRIES: u32 = 5;

/// Why something was not read or written, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotWritten {
    text: String,
    what: What,
}

impl NotWritten {
    pub(crate) fn new(what: &str, trouble: &Trouble) -> Self {
        Self {
            text: format!("{what}: {}", trouble.text),
            what: trouble.what,
        }
    }

    fn other(text: String) -> Self {
        Self {
            text,
            what: What::Other,
        }
    }

    /// Whether we may not (403): trying again is of no use before somebody allows it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.what == What::Forbidden
    }

    /// Whether the API does not take what was to be written: trying the same again is of no use.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.what == What::Invalid
    }
}

impl std::fmt::Display for NotWritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for NotWritten {}

/// The authority that a Secret holds; where there is no such Secret it is made of what `make` gives. Of several replicas that make one at
/// once all get the same.
///
/// # Errors
/// The Secret is no authority, may not be read or written, or `make` fails.
pub async fn authority(
    client: &Client,
    namespace: &str,
    name: &str,
    make: impl FnOnce() -> Result<CaFiles, String>,
) -> Result<CaFiles, NotWritten> {
    let place = format!("/api/v1/namespaces/{namespace}/secrets");
    let what = format!("Secret {namespace}/{name}");
    let failed = |trouble: Trouble| NotWritten::new(&what, &trouble);
    if let Some(secret) = find(client, &format!("{place}/{name}"))
        .await
        .map_err(failed)?
    {
        return read(&secret, &what);
    }
    let files = make().map_err(|why| NotWritten::other(format!("{what}: {why}")))?;
    let parts = files
        .named()
        .into_iter()
        .filter(|(_, text)| !text.is_empty());
    let data: Map<String, Value> = parts
        .map(|(name, text)| (name.to_owned(), json!(STANDARD.encode(text))))
        .collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "istio.io/ca-root",
        "metadata": {"name": name, "namespace": namespace}, "data": data,
    });
    match request::json(client, post(&place, &secret)).await {
        Ok(_) => Ok(files),
        // Somebody else was faster: theirs holds.
        Err(trouble) if trouble.what == What::Conflict => {
            let secret = find(client, &format!("{place}/{name}"))
                .await
                .map_err(failed)?;
            read(&secret.unwrap_or_default(), &what)
        }
        Err(trouble) => Err(failed(trouble)),
    }
}

fn read(secret: &Value, what: &str) -> Result<CaFiles, NotWritten> {
    let files = CaFiles::from_named(|name| {
        let bytes = STANDARD.decode(secret["data"][name].as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    });
    files.map_err(|missing| {
        NotWritten::other(format!(
            "{what} is no authority: `{missing}` is missing in it, or no text"
        ))
    })
}

/// Sees to it that a namespace has the roots, where sidecars of Istio's look for them (ConfigMap `istio-ca-root-cert`). Says whether
/// anything was written.
///
/// # Errors
/// It may not be written.
pub async fn roots(client: &Client, namespace: &str, roots: &str) -> Result<bool, NotWritten> {
    let (name, key) = ROOTS;
    let place = format!("/api/v1/namespaces/{namespace}/configmaps");
    let whole = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"istio.io/config": "true"}},
        "data": {key: roots},
    });
    let failed =
        |trouble: Trouble| NotWritten::new(&format!("ConfigMap {namespace}/{name}"), &trouble);
    for _ in 0..TRIES {
        let found = find(client, &format!("{place}/{name}"))
            .await
            .map_err(failed)?;
        let written = match found {
            Some(map) if map["data"][key] == roots => return Ok(false),
            Some(_) => {
                let patch = json!({"data": {key: roots}});
                request::json(client, merge(&format!("{place}/{name}"), &patch)).await
            }
            None => request::json(client, post(&place, &whole)).await,
        };
        match written {
            Ok(_) => return Ok(true),
            // Made or deleted meanwhile: look again.
            Err(trouble) if matches!(trouble.what, What::Conflict) => {}
            // A namespace that is being deleted takes nothing any more.
            Err(trouble) if trouble.what == What::Absent => return Ok(false),
            Err(trouble) => return Err(failed(trouble)),
        }
    }
    Err(NotWritten::other(format!(
        "ConfigMap {namespace}/{name}: others write it all the time"
    )))
}

/// Which webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhooks {
    /// `MutatingWebhookConfiguration`.
    Mutating,
    /// `ValidatingWebhookConfiguration`.
    Validating,
}

/// Tells Kubernetes whose certificates it may trust when it calls the webhooks of a configuration (`caBundle`). Says whether anything was
/// written; a configuration that is not there is none of our business.
///
/// # Errors
/// It may not be written.
pub async fn bundle(
    client: &Client,
    kind: Webhooks,
    name: &str,
    roots: &str,
) -> Result<bool, NotWritten> {
    let plural = match kind {
        Webhooks::Mutating => "mutatingwebhookconfigurations",
        Webhooks::Validating => "validatingwebhookconfigurations",
    };
    let place = format!("/apis/admissionregistration.k8s.io/v1/{plural}/{name}");
    let failed = |trouble: Trouble| NotWritten::new(&format!("{plural} {name}"), &trouble);
    let wanted = json!(STANDARD.encode(roots));
    for _ in 0..TRIES {
        let Some(mut configuration) = find(client, &place).await.map_err(failed)? else {
            return Ok(false);
        };
        let mut is_other = false;
        for webhook in configuration["webhooks"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            // One at a URL is somebody else's server.
            if webhook["clientConfig"]["service"].is_object()
                && webhook["clientConfig"]["caBundle"] != wanted
            {
                webhook["clientConfig"]["caBundle"] = wanted.clone();
                is_other = true;
            }
        }
        if !is_other {
            return Ok(false);
        }
        // With its `resourceVersion`: what others have written since is not overwritten.
        match request::json(client, put(&place, &configuration)).await {
            Ok(_) => return Ok(true),
            Err(trouble) if matches!(trouble.what, What::Conflict | What::Absent) => {}
            Err(trouble) => return Err(failed(trouble)),
        }
    }
    Err(NotWritten::other(format!(
        "{plural} {name}: others write it all the time"
    )))
}

/// What stands there, if anything does.
async fn find(client: &Client, path: &str) -> Result<Option<Value>, Trouble> {
    match request::json(client, get(path)).await {
        Ok((_, json)) => Ok(Some(json)),
        Err(trouble) if trouble.what == What::Absent => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
