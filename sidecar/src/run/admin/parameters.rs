//! What stands behind the `?` of a request to the admin endpoints.
//!
//! Owns that a parameter which an endpoint does not know is refused: Envoy ignores it, and who misspells one gets an answer to
//! another question.

use super::query;

/// Names and values, decoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query; `path` is whose it is.
    ///
    /// # Errors
    /// A parameter is not among `known`, stands twice, or is no text. The words are for the user.
    pub(super) fn read(path: &str, query: &str, known: &[&str]) -> Result<Self, String> {
        let mut all = Self::default();
        for (name, value) in query::parse(query)? {
            let shown = name.escape_debug();
            if !known.contains(&&*name) {
                return Err(match known {
                    [] => format!("`{path}` takes no parameters, and `{shown}` was given"),
                    _ => format!(
                        "`{path}` has no parameter `{shown}`; it takes {}",
                        known.join(", ")
                    ),
                });
            }
            if all.get(&name).is_some() {
                return Err(format!("`{shown}` stands twice"));
            }
            all.0.push((name, value.unwrap_or_default()));
        }
        Ok(all)
    }

    /// The value of a parameter, empty where it has none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// Whether it is there, and means yes.
    ///
    /// # Errors
    /// It has a value; then it might mean no.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some("") => Ok(true),
            Some(value) => Err(format!(
                "`{name}` takes no value, and `{}` was given",
                value.escape_debug()
            )),
        }
    }

    /// One of several values, the first where nothing is said.
    ///
    /// # Errors
    /// It is none of them.
    pub(super) fn one_of<'a>(&self, name: &str, values: &[&'a str]) -> Result<&'a str, String> {
        let Some(value) = self.get(name) else {
            return Ok(values.first().copied().unwrap_or_default());
        };
        let known = values.iter().find(|known| **known == value);
        known.copied().ok_or_else(|| {
            let value = value.escape_debug();
            format!("`{name}={value}` is not known; use {}", values.join(" or "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused() {
        let read = |query| Parameters::read("/x", query, &["format", "a b", "flag"]);
        for (query, want) in [
            ("", Ok(&[][..])),
            ("&", Ok(&[])),
            ("format=json", Ok(&[("format", "json")])),
            ("flag&format", Ok(&[("flag", ""), ("format", "")])),
            ("a%20b=%C3%A9", Ok(&[("a b", "é")])),
            ("a+b=1%2B1=2", Ok(&[("a b", "1+1=2")])),
            (
                "Format=json",
                Err("`/x` has no parameter `Format`; it takes format, a b, flag"),
            ),
            ("format=1&format=2", Err("`format` stands twice")),
            ("format=%", Err("`%` is not percent-encoded text")),
            (
                "%0a=1",
                Err("`/x` has no parameter `\\n`; it takes format, a b, flag"),
            ),
        ] {
            let want = want
                .map(|all| {
                    let owned = all.iter().map(|(n, v)| ((*n).into(), (*v).into()));
                    Parameters(owned.collect())
                })
                .map_err(str::to_owned);
            assert_eq!(read(query), want, "{query}");
        }
        let none = Parameters::read("/ready", "x=1", &[]);
        assert_eq!(
            none.unwrap_err(),
            "`/ready` takes no parameters, and `x` was given"
        );
    }

    #[test]
    fn values_are_judged() {
        let all = Parameters(vec![
            ("flag".into(), "no".into()),
            ("format".into(), "xml".into()),
        ]);
        assert_eq!(all.flag("absent"), Ok(false));
        assert!(all.flag("flag").is_err());
        assert_eq!(all.one_of("absent", &["text", "json"]), Ok("text"));
        let error = all.one_of("format", &["text", "json"]).unwrap_err();
        assert_eq!(error, "`format=xml` is not known; use text or json");
    }
}
