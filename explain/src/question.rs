//! The request that somebody asks about: read from a line such as `GET http://reviews:9080/ratings?id=7` and from fields
//! such as `end-user: jason`.
//!
//! Owns how such a line is taken, and what is said of one that cannot be taken. What a request means is core's business:
//! it gets the bytes that a client would send.

use std::fmt;

use http::Method;

/// How a question is written.
pub const FORM: &str =
    "`GET http://host[:port]/path?query`, or `GET /path` with a `Host` field beside it";

/// Bytes of a line and its fields together; what a proxy takes of a head is less.
const MOST_BYTES: usize = 64 * 1024;

/// A request, not yet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    method: Method,
    /// Host and optional port; empty until a field names it.
    authority: String,
    /// Path and query; the authority again for CONNECT.
    target: String,
    /// All but `host`, in the order given.
    fields: Vec<(String, String)>,
}

/// A line or a field that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread(String);

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misread {}

impl Misread {
    pub(crate) const fn new(what: String) -> Self {
        Self(what)
    }
}

fn misread(what: impl Into<String>) -> Misread {
    Misread(format!("{}; write {FORM}", what.into()))
}

impl Question {
    /// Takes a line and fields. A line without a method is a GET.
    ///
    /// # Errors
    /// Says what is wrong with which of them, and how it is written.
    pub fn new<'f>(line: &str, fields: impl IntoIterator<Item = &'f str>) -> Result<Self, Misread> {
        let mut question = Self::line(line)?;
        for field in fields {
            question.field(field)?;
        }
        if question.authority.is_empty() {
            return Err(misread(
                "no host is named, in the line or by a `Host` field",
            ));
        }
        let bytes = question.bytes().len();
        if bytes > MOST_BYTES {
            return Err(misread(format!(
                "the request has {bytes} bytes, and {MOST_BYTES} is the most"
            )));
        }
        Ok(question)
    }

    fn line(line: &str) -> Result<Self, Misread> {
        if let Some(odd) = line.chars().find(|c| c.is_control()) {
            return Err(misread(format!(
                "the request line has the control character {}",
                odd.escape_debug()
            )));
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (method, target, version) = match words[..] {
            [] => return Err(misread("the request line is empty")),
            [target] => ("GET", target, None),
            [method, target] => (method, target, None),
            [method, target, version] => (method, target, Some(version)),
            [..] => return Err(misread(format!("`{line}` has more than three words"))),
        };
        if let Some(version) = version.filter(|version| *version != "HTTP/1.1") {
            return Err(misread(format!(
                "`{version}` is not asked about, only HTTP/1.1 is"
            )));
        }
        let token = Method::from_bytes(method.as_bytes());
        // Methods are case-sensitive, and nobody means `get`.
        let method = match token {
            Ok(method) if !method.as_str().chars().any(|c| c.is_ascii_lowercase()) => method,
            Ok(_) | Err(_) => {
                return Err(misread(format!(
                    "`{method}` is no method such as `GET` or `POST`"
                )));
            }
        };
        let (authority, target) = match method {
            Method::CONNECT => (target.to_owned(), target.to_owned()),
            _ => Self::split(target)?,
        };
        Ok(Self {
            method,
            authority,
            target,
            fields: Vec::new(),
        })
    }

    /// Host and path of a target, as far as they are there.
    fn split(target: &str) -> Result<(String, String), Misread> {
        if target.starts_with('/') || target == "*" {
            return Ok((String::new(), target.to_owned()));
        }
        let rest = match target.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return Err(misread(
                    "a sidecar sees of `https://` only what passes; ask with `http://`, and add the field \
                     `x-forwarded-proto: https` if TLS ends before the sidecar",
                ));
            }
            Some((scheme, _)) => return Err(misread(format!("`{scheme}://` is not routed"))),
            None => target,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return Err(misread(format!("`{target}` names no host")));
        }
        if authority.contains('@') {
            return Err(misread(format!(
                "`{authority}` has a user, which no request tells"
            )));
        }
        // A fragment stays with the client.
        let path = path.split('#').next().unwrap_or_default();
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Ok((authority.to_owned(), path))
    }

    fn field(&mut self, text: &str) -> Result<(), Misread> {
        let wrong = |what: &str| {
            let text = text.escape_debug();
            Err(Misread(format!(
                "`{text}` {what}; write fields as `name: value`"
            )))
        };
        let Some((name, value)) = text.split_once(':') else {
            return wrong("has no colon");
        };
        let (name, value) = (name.trim(), value.trim());
        let is_token = |byte: u8| outrigger_core::message::is_token_byte(byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return wrong("has no name that a field can have");
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return wrong("has a control character in its value");
        }
        if !name.eq_ignore_ascii_case("host") {
            self.fields.push((name.to_owned(), value.to_owned()));
        } else if self.authority.is_empty() || self.method != Method::CONNECT {
            // As with curl, the field says which host is meant wherever the connection goes.
            value.clone_into(&mut self.authority);
        }
        Ok(())
    }

    /// `GET http://reviews:9080/ratings`.
    #[must_use]
    pub fn text(&self) -> String {
        match self.method {
            Method::CONNECT => format!("CONNECT {}", self.target),
            _ => format!("{} http://{}{}", self.method, self.authority, self.target),
        }
    }

    /// Its method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Host and optional port, as asked.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Its fields but `host`, in the order given.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// What a client would send: a head, and no body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let Self {
            method,
            authority,
            target,
            fields,
        } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n");
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_as_people_write_them() {
        for (line, fields, text) in [
            ("GET http://a/b?c", &[][..], "GET http://a/b?c"),
            ("  GET   http://a/b  HTTP/1.1 ", &[], "GET http://a/b"),
            ("http://a", &[], "GET http://a/"),
            ("a:8080/b", &[], "GET http://a:8080/b"),
            ("POST a?b=c#d", &[], "POST http://a/?b=c"),
            ("GET /b", &["Host: a"], "GET http://a/b"),
            ("GET http://1.2.3.4/b", &["host:a:80"], "GET http://a:80/b"),
            ("CONNECT a:443", &["host: b"], "CONNECT a:443"),
            ("OPTIONS *", &["host: a"], "OPTIONS http://a*"),
        ] {
            let question = Question::new(line, fields.iter().copied());
            assert_eq!(question.as_ref().map(Question::text), Ok(text.into()));
        }
        let question = Question::new("GET http://a/", ["X-Who:  me ", "b:"]).unwrap();
        let bytes = b"GET / HTTP/1.1\r\nhost: a\r\nX-Who: me\r\nb: \r\n\r\n";
        assert_eq!(question.bytes(), bytes);
    }

    #[test]
    fn what_cannot_be_taken_says_why_and_how() {
        let long = format!("GET http://a/{}", "b".repeat(MOST_BYTES));
        for (line, fields, why) in [
            ("", &[][..], "is empty"),
            ("GET http://a/ b c", &[], "more than three words"),
            ("get http://a/", &[], "`get` is no method"),
            ("G(T http://a/", &[], "`G(T` is no method"),
            ("GET http:///b", &[], "names no host"),
            ("GET /b", &[], "no host is named"),
            ("GET ftp://a/", &[], "`ftp://` is not routed"),
            ("GET https://a/", &[], "ask with `http://`"),
            ("GET http://me@a/", &[], "has a user"),
            ("GET http://a/ HTTP/2", &[], "only HTTP/1.1"),
            ("GET http://a/\r\nx: y", &[], "control character"),
            ("GET http://a/", &["x"], "`x` has no colon"),
            (
                "GET http://a/",
                &["x y: z"],
                "no name that a field can have",
            ),
            ("GET http://a/", &["x: y\r\nz: 1"], "control character"),
            (&long, &[], "is the most"),
        ] {
            let error = Question::new(line, fields.iter().copied()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(why) && text.contains("; write "), "{text}");
        }
    }
}
