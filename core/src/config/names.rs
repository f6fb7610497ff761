//! Names as Istio understands them: host names, patterns, short names, ports, labels, namespaces.
//!
//! Pure functions over text. A validator answers `Err` with what is wrong, in words that continue the sentence
//! "`x` …"; where the text stands and how bad that is stays with the caller. Addresses are in `address`, the protocol
//! of a port is in `protocol`.

use std::borrow::Cow;

/// The domain under which Kubernetes services answer when nobody says otherwise.
pub const CLUSTER_DOMAIN: &str = "cluster.local";

/// The namespace whose resources hold for all, when the mesh does not say.
pub const DEFAULT_ROOT_NAMESPACE: &str = "istio-system";

/// What is wrong with a name, without the name itself.
pub type Complaint = String;

/// Longest host name (RFC 1035 §2.3.4).
const MAX_HOST: usize = 255;
/// Longest label of a host name (RFC 1123 §2.1).
const MAX_LABEL: usize = 63;

/// Whether `text` is an RFC 1123 label: letters, digits and inner hyphens, 1 to 63 characters.
///
/// Upper case passes, as in Istio: host names are compared without regard to case.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= MAX_LABEL
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// Checks a Kubernetes namespace or another name that must be an RFC 1123 label.
///
/// # Errors
/// What is wrong with it.
pub fn check_dns_label(text: &str) -> Result<(), Complaint> {
    if is_dns_label(text) {
        Ok(())
    } else if text.is_empty() {
        Err("is empty".into())
    } else if text.len() > MAX_LABEL {
        Err(format!("is longer than {MAX_LABEL} characters"))
    } else {
        Err("is not a DNS label (letters, digits and inner hyphens)".into())
    }
}

fn check_length(host: &str) -> Result<(), Complaint> {
    match host.len() {
        0 => Err("is empty, a host name is required".into()),
        1..=MAX_HOST => Ok(()),
        _ => Err(format!("is longer than {MAX_HOST} characters")),
    }
}

fn check_labels(host: &str) -> Result<(), Complaint> {
    let last = host.rsplit('.').next().unwrap_or(host);
    if last.parse::<i64>().is_ok() {
        return Err(format!(
            "ends in `{last}`: a top-level domain cannot be a number"
        ));
    }
    // One trailing dot is the unambiguous way to write a name.
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.split('.').find(|label| !is_dns_label(label)) {
        None => Ok(()),
        Some("") => Err("has an empty label".into()),
        Some(label) if label.len() > MAX_LABEL => {
            Err(format!("has a label longer than {MAX_LABEL} characters"))
        }
        Some(label) if label.contains('*') => {
            Err("has `*` in a place other than the whole first label".into())
        }
        Some(label) => Err(format!("has the invalid label `{label}`")),
    }
}

/// The gateway name that stands for all sidecars.
pub const MESH_GATEWAY: &str = "mesh";

/// Whether a reference to a gateway stands for all sidecars.
#[must_use]
pub fn is_mesh_gateway(reference: &str) -> bool {
    reference == MESH_GATEWAY
}

/// Namespace and name of a Gateway that a resource of the namespace `own` names: `namespace/name`, `name` of the own namespace,
/// or the legacy FQDN.
#[must_use]
pub fn gateway<'t>(reference: &'t str, own: &'t str, domain: &str) -> (&'t str, &'t str) {
    let (namespace, name) = reference.split_once('/').unwrap_or_else(|| {
        split_service_host(reference, domain)
            .map_or((own, reference), |(name, namespace)| (namespace, name))
    });
    (if namespace == "." { own } else { namespace }, name)
}

/// Whether a reference in a resource of the namespace `own` stands for the Gateway `namespace/name`.
#[must_use]
pub fn is_gateway(reference: &str, own: &str, domain: &str, gateway: &str) -> bool {
    let (namespace, name) = self::gateway(reference, own, domain);
    !is_mesh_gateway(reference) && gateway.split_once('/') == Some((namespace, name))
}

/// Checks a host name without wildcard; a short name such as `reviews` is one too.
///
/// # Errors
/// What is wrong with it.
pub fn check_fqdn(host: &str) -> Result<(), Complaint> {
    check_length(host)?;
    check_labels(host)
}

/// Checks a host name whose first label may be `*`, or may start with `*` (see [`is_partial_wildcard`]).
///
/// # Errors
/// What is wrong with it.
pub fn check_host(host: &str) -> Result<(), Complaint> {
    check_length(host)?;
    let (first, rest) = host
        .split_once('.')
        .map_or((host, None), |(first, rest)| (first, Some(rest)));
    let label = match first.strip_prefix('*') {
        Some(tail) => tail.strip_prefix('-').unwrap_or(tail),
        None => first,
    };
    let is_wildcard = first == "*";
    if !is_wildcard && !is_dns_label(label) {
        check_labels(host)?;
        return Err(format!("has the invalid label `{first}`"));
    }
    rest.map_or(Ok(()), |rest| {
        if rest.is_empty() {
            return Ok(());
        }
        check_labels(rest)
    })
}

/// Whether it is the SNI by which gateways pass a sidecar's TLS on: `outbound_.80_.v1_.reviews.ns.svc.cluster.local`.
#[must_use]
pub fn is_passthrough_sni(host: &str) -> bool {
    let Some((port, rest)) = host
        .strip_prefix("outbound_.")
        .and_then(|rest| rest.split_once("_."))
    else {
        return false;
    };
    let Some((subset, service)) = rest.split_once("_.") else {
        return false;
    };
    port.parse::<u16>().is_ok()
        && (subset.is_empty() || is_dns_label(subset))
        && check_fqdn(service).is_ok()
}

/// Whether the host holds a wildcard that is not a whole label, such as `*bar.com`. Istio reads it as a suffix in some
/// places and refuses it in others.
#[must_use]
pub fn is_partial_wildcard(host: &str) -> bool {
    host.contains('*') && host != "*" && !host.starts_with("*.")
}

/// Whether the host is a pattern.
#[must_use]
pub fn is_wildcard(host: &str) -> bool {
    host.starts_with('*')
}

/// Host names are compared in lower case and without a trailing dot.
#[must_use]
pub fn normalize(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// The full name of a host that a resource in `namespace` writes: a name without any dot is a Kubernetes service of
/// that namespace, everything else is taken as it stands, so `reviews.prod` is not expanded.
#[must_use]
pub fn resolve(host: &str, namespace: &str, cluster_domain: &str) -> String {
    if host.is_empty() || host.contains('.') || host.contains('*') || host.contains(':') {
        normalize(host).into_owned()
    } else {
        service_host(&normalize(host), namespace, cluster_domain)
    }
}

/// The host name of the Kubernetes service `name` in `namespace`.
#[must_use]
pub fn service_host(name: &str, namespace: &str, cluster_domain: &str) -> String {
    format!("{name}.{namespace}.svc.{cluster_domain}")
}

/// Splits `name.namespace.svc.<cluster domain>` into name and namespace.
#[must_use]
pub fn split_service_host<'a>(host: &'a str, cluster_domain: &str) -> Option<(&'a str, &'a str)> {
    let rest = host
        .strip_suffix(cluster_domain)?
        .strip_suffix('.')?
        .strip_suffix(".svc")?;
    let (name, namespace) = rest.split_once('.')?;
    (!name.is_empty() && !namespace.is_empty() && !namespace.contains('.'))
        .then_some((name, namespace))
}

/// All names under which the service `host` answers on a sidecar in `client_namespace`, its own name first. Only
/// Kubernetes services have others.
#[must_use]
pub fn aliases(host: &str, client_namespace: &str, cluster_domain: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    if let Some((name, namespace)) = split_service_host(host, cluster_domain) {
        if namespace == client_namespace {
            names.push(name.to_owned());
        }
        names.push(format!("{name}.{namespace}"));
        names.push(format!("{name}.{namespace}.svc"));
    }
    names
}

/// Whether every host that `inner` stands for is one that `pattern` stands for. Both are compared in lower case.
#[must_use]
pub fn covers(pattern: &str, inner: &str) -> bool {
    let (pattern, inner) = (normalize(pattern), normalize(inner));
    match (pattern.strip_prefix('*'), inner.strip_prefix('*')) {
        (None, _) => pattern == inner,
        // `*.foo.com` stands for names below foo.com, so it covers `*.bar.foo.com` and itself.
        (Some(suffix), Some(inner_suffix)) => inner_suffix.ends_with(suffix),
        (Some(suffix), None) => inner.len() > suffix.len() && inner.ends_with(suffix),
    }
}

/// Whether some host is meant by both patterns.
#[must_use]
pub fn overlaps(a: &str, b: &str) -> bool {
    covers(a, b) || covers(b, a)
}

/// Checks the key of a label: an optional DNS prefix and a slash, then up to 63 letters, digits, `-`, `_` and `.`.
///
/// # Errors
/// What is wrong with it.
pub fn check_label_key(key: &str) -> Result<(), Complaint> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            let host = prefix.strip_prefix("*.").unwrap_or(prefix);
            check_fqdn(host).map_err(|_| format!("has the invalid prefix `{prefix}`"))?;
            name
        }
    };
    if name.is_empty() {
        return Err("is empty, a label needs a key".into());
    }
    check_label_text(name)
}

/// Checks the value of a label: empty, or up to 63 letters, digits, `-`, `_` and `.`, alphanumeric at both ends.
///
/// # Errors
/// What is wrong with it.
pub fn check_label_value(value: &str) -> Result<(), Complaint> {
    if value.is_empty() {
        Ok(())
    } else {
        check_label_text(value)
    }
}

fn check_label_text(text: &str) -> Result<(), Complaint> {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if bytes.len() > MAX_LABEL {
        Err(format!("is longer than {MAX_LABEL} characters"))
    } else if edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner) {
        Ok(())
    } else {
        Err("is not a label (letters, digits, `-`, `_` and `.`, alphanumeric at both ends)".into())
    }
}

/// Checks a port number.
///
/// # Errors
/// What is wrong with it.
pub fn check_port(port: u64) -> Result<u16, Complaint> {
    match u16::try_from(port) {
        Ok(port) if port > 0 => Ok(port),
        Ok(_) | Err(_) => Err("is not in the range 1..65535".into()),
    }
}

/// Whether every label of `selector` is among `labels`; the empty selector selects everything.
#[must_use]
pub fn selects(
    selector: &std::collections::BTreeMap<String, String>,
    labels: &std::collections::BTreeMap<String, String>,
) -> bool {
    selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}

/// What an `exportTo` list says about who sees a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// The namespace asked about, because the list names it or because it is the resource's own (`.`).
    Namespace,
    /// Not this namespace.
    Hidden,
}

/// Whether a resource of `own` with this `exportTo` is seen from `client`. An empty list means `*`.
#[must_use]
pub fn visibility(export_to: &[String], own: &str, client: &str) -> Visibility {
    let mut seen = Visibility::Hidden;
    for entry in export_to {
        match entry.as_str() {
            "*" => return Visibility::Public,
            "." if own == client => seen = Visibility::Namespace,
            name if name == client => seen = Visibility::Namespace,
            _ => {}
        }
    }
    if export_to.is_empty() {
        Visibility::Public
    } else {
        seen
    }
}

/// One thing that is wrong with an `exportTo` list: which entry, and what.
pub type ExportComplaint = (usize, Complaint);

/// Checks an `exportTo` list of a resource in `namespace`. `none` allows `~`, which only a ServiceEntry may use.
#[must_use]
pub fn check_export_to(export_to: &[String], namespace: &str, none: bool) -> Vec<ExportComplaint> {
    let mut complaints = Vec::new();
    let own = |entry: &str| {
        if entry == "." {
            namespace.to_owned()
        } else {
            entry.to_owned()
        }
    };
    for (at, entry) in export_to.iter().enumerate() {
        if let Some(first) = export_to[..at].iter().position(|e| own(e) == own(entry)) {
            complaints.push((at, format!("says the same as exportTo[{first}]")));
        }
        match entry.as_str() {
            "*" | "." => {}
            "~" if none => {}
            "~" => complaints.push((at, "is only allowed on a ServiceEntry".into())),
            name => {
                if check_dns_label(name).is_err() {
                    complaints.push((at, "is neither `.`, `*` nor a namespace".into()));
                }
            }
        }
    }
    for alone in ["*", "~"] {
        if export_to.len() > 1
            && let Some(at) = export_to.iter().position(|e| e == alone)
        {
            complaints.push((
                at,
                format!("makes the other entries pointless: `{alone}` stands alone"),
            ));
        }
    }
    complaints
}

#[cfg(test)]
#[path = "names/tests.rs"]
mod tests;
