//! Where fields live that are often written one level too deep or not deep enough.
//!
//! Only for advice: copied YAML loses its indentation, and then a field is unknown where it stands and well known next
//! to it. What a resource really reads is in its reader.

/// Field, and where it belongs.
const HOMES: &[(&str, &str)] = &[
    ("baseEjectionTime", "`outlierDetection`"),
    ("connectionPool", "`trafficPolicy` of a DestinationRule"),
    ("consecutive5xxErrors", "`outlierDetection`"),
    ("consistentHash", "`loadBalancer`"),
    ("corsPolicy", "`spec.http[]` of a VirtualService"),
    ("destination", "`route[]`, `mirrors[]`"),
    ("fault", "`spec.http[]` of a VirtualService"),
    ("http1MaxPendingRequests", "`connectionPool.http`"),
    ("loadBalancer", "`trafficPolicy` of a DestinationRule"),
    ("match", "`spec.http[]` of a VirtualService"),
    ("maxConnections", "`connectionPool.tcp`"),
    ("mirror", "`spec.http[]` of a VirtualService"),
    ("mirrorPercentage", "`spec.http[]` of a VirtualService"),
    ("outlierDetection", "`trafficPolicy` of a DestinationRule"),
    ("perTryTimeout", "`retries`"),
    ("retries", "`spec.http[]` of a VirtualService"),
    ("retryOn", "`retries`"),
    ("rewrite", "`spec.http[]` of a VirtualService"),
    ("route", "`spec.http[]` of a VirtualService"),
    ("subset", "`destination`"),
    ("subsets", "`spec` of a DestinationRule"),
    ("timeout", "`spec.http[]` of a VirtualService"),
    (
        "trafficPolicy",
        "`spec` or `spec.subsets[]` of a DestinationRule",
    ),
    ("weight", "`route[]`, beside `destination`"),
];

/// What others call a field, and what it is called here.
const SYNONYMS: &[(&str, &str)] = &[
    ("algorithm", "simple"),
    ("code", "httpStatus"),
    ("hostname", "host"),
    ("path", "uri"),
    ("policy", "simple"),
    ("service", "host"),
    ("serviceName", "host"),
    ("status", "httpStatus"),
    ("statusCode", "httpStatus"),
    ("type", "simple"),
    ("version", "subset"),
];

/// What to say about a field that is unknown where it stands and known elsewhere, or known here by another name.
pub(super) fn advice(key: &str, known: &[&str]) -> Option<String> {
    let mut synonyms = SYNONYMS.iter().filter(|(other, _)| *other == key);
    if let Some((_, name)) = synonyms.find(|(_, name)| known.contains(name)) {
        return Some(format!("did you mean `{name}`?"));
    }
    let (field, home) = HOMES.iter().find(|(field, _)| *field == key)?;
    Some(format!(
        "`{field}` belongs to {home}: is it indented as it should be?"
    ))
}
