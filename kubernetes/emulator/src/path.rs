//! What a request is about, by its path and query.

use crate::status::Failure;
use crate::store::Wanted;

/// The parts of a path such as `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/status`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Path {
    /// None where it is not one of objects.
    pub(crate) fn parse(parts: &[&str]) -> Option<Self> {
        let (group, version, rest) = match parts {
            ["api", version, rest @ ..] => ("", version, rest),
            ["apis", group, version, rest @ ..] => (*group, version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() && rest[0] != "status" => {
                (Some((*namespace).to_owned()), rest)
            }
            rest => (None, rest),
        };
        let (plural, rest) = rest.split_first()?;
        let at = |place: usize| rest.get(place).map(|part| (*part).to_owned());
        (rest.len() <= 2).then(|| Self {
            group: group.to_owned(),
            version: (*version).to_owned(),
            plural: (*plural).to_owned(),
            namespace,
            name: at(0),
            subresource: at(1),
        })
    }
}

/// The query of a request, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(
            split
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        let found = all.find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// Which objects a list or a watch is about.
    pub(crate) fn wanted(&self, path: &Path) -> Result<Wanted, Failure> {
        let mut wanted = Wanted {
            group: path.group.clone(),
            plural: path.plural.clone(),
            namespace: path.namespace.clone(),
            name: None,
        };
        for selector in self.get("fieldSelector").unwrap_or_default().split(',') {
            match selector.split_once('=') {
                Some(("metadata.name", name)) => {
                    wanted.name = Some(name.trim_start_matches('=').to_owned());
                }
                Some(("metadata.namespace", name)) => {
                    wanted.namespace = Some(name.trim_start_matches('=').to_owned());
                }
                None if selector.is_empty() => {}
                _ => {
                    let why = format!("field label not supported: {selector}");
                    return Err(Failure::new(400, "BadRequest", why));
                }
            }
        }
        if self.get("labelSelector").is_some() {
            return Err(Failure::new(
                400,
                "BadRequest",
                "labels are not selected by here",
            ));
        }
        Ok(wanted)
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = if byte == b'%' { pair(&mut rest) } else { None };
        bytes.push(match (byte, hex) {
            (b'%', Some(byte)) => byte,
            (b'+', _) => b' ',
            (byte, _) => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A byte by its two digits.
fn pair(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || char::from(rest.next()?).to_digit(16);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_kinds_and_objects() {
        for (path, plural, namespace, name, subresource) in [
            ("api/v1/pods", "pods", None, None, None),
            ("api/v1/namespaces", "namespaces", None, None, None),
            ("api/v1/namespaces/a", "namespaces", None, Some("a"), None),
            (
                "api/v1/namespaces/a/status",
                "namespaces",
                None,
                Some("a"),
                Some("status"),
            ),
            (
                "api/v1/namespaces/a/pods/b",
                "pods",
                Some("a"),
                Some("b"),
                None,
            ),
            (
                "apis/g/v1/namespaces/a/cars/b/status",
                "cars",
                Some("a"),
                Some("b"),
                Some("status"),
            ),
            ("apis/g/v1/cars", "cars", None, None, None),
        ] {
            let parts: Vec<_> = path.split('/').collect();
            let parsed = Path::parse(&parts).unwrap();
            assert_eq!(parsed.plural, plural, "{path}");
            assert_eq!(parsed.namespace.as_deref(), namespace, "{path}");
            assert_eq!(parsed.name.as_deref(), name, "{path}");
            assert_eq!(parsed.subresource.as_deref(), subresource, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("fieldSelector=metadata.name%3Da%2Db&watch=1&x=a+b");
        assert_eq!(query.get("fieldSelector"), Some("metadata.name=a-b"));
        assert_eq!(query.get("x"), Some("a b"));
        assert!(query.is("watch") && !query.is("x"));
    }
}
