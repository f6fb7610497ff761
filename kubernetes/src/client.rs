//! How the API is reached.

use std::fmt;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use outrigger_xds::channel::chain;

use crate::request::{get, json};

/// Why there is no way to the API, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable(String);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// A way to the API: to a URL (of a test or of `kubectl proxy`; nobody says who he is), or as this pod's service account, or by the
/// kubeconfig of whoever runs us (`KUBECONFIG`, `~/.kube/config`).
///
/// # Errors
/// There is none of these, or nobody answers there.
pub async fn connect(url: Option<&str>) -> Result<Client, Unreachable> {
    let mut config = match url {
        Some(url) => Config::new(url.parse().map_err(|error| {
            Unreachable(format!(
                "`{url}` is no URL of Kubernetes' API: {error}; such as http://127.0.0.1:8001"
            ))
        })?),
        None => found().await?,
    };
    // Whoever asks knows better when to ask again.
    config.default_retry = false;
    let cluster = config.cluster_url.clone();
    let client = Client::try_from(config);
    let client = client
        .map_err(|error| Unreachable(format!("cannot speak to {cluster}: {}", chain(&error))))?;
    let answered = json(&client, get("/version")).await;
    answered.map_err(|trouble| Unreachable(format!("{cluster}: {}", trouble.text)))?;
    Ok(client)
}

async fn found() -> Result<Config, Unreachable> {
    // A pod has no kubeconfig but for somebody else's sake, and it is not read by mistake there.
    let in_cluster = match Config::incluster() {
        Ok(config) => return Ok(config),
        Err(error) => chain(&error),
    };
    let read = Kubeconfig::read();
    let read = match read {
        Ok(kubeconfig) => {
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
        }
        Err(error) => Err(error),
    };
    read.map_err(|error| {
        Unreachable(format!(
            "no way to Kubernetes: this is no pod ({in_cluster}), and there is no kubeconfig ({}); set KUBECONFIG, or name the API's URL",
            chain(&error)
        ))
    })
}
