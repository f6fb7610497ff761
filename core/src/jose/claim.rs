//! What a token claims: JSON, read within bounds, in which no name stands twice.
//!
//! A name that stands twice has two readings, and whoever is behind the proxy may choose the other one (RFC 7519 §4 lets a
//! reader refuse it).

use core::fmt;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// How deep lists and objects may lie in each other.
pub const MAX_DEPTH: usize = 32;

/// Claims by name.
pub type Claims = BTreeMap<Box<str>, Claim>;

/// The value of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as protobuf's `Struct` holds one: as Envoy has it.
    Number(f64),
    /// A string.
    Text(Box<str>),
    /// A list.
    List(Box<[Self]>),
    /// An object.
    Object(Claims),
}

impl Claim {
    /// Its text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The texts that a match looks at: itself, or those of its list.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let own = match self {
            Self::List(list) => &**list,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_) => {
                core::slice::from_ref(self)
            }
        };
        own.iter().filter_map(Self::text)
    }

    /// The claim at the end of a path of names.
    #[must_use]
    pub fn at<'a>(claims: &'a Claims, path: &[impl AsRef<str>]) -> Option<&'a Self> {
        let (first, rest) = path.split_first()?;
        let found = claims.get(first.as_ref())?;
        match found {
            _ if rest.is_empty() => Some(found),
            Self::Object(inner) => Self::at(inner, rest),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// What Envoy writes for it into a header field, lists and objects as base64 of their JSON; `None` for what it leaves out:
    /// `null` and empty texts. Names of objects are sorted here, and in no order there.
    #[must_use]
    pub fn as_field(&self) -> Option<Box<str>> {
        match self {
            Self::Text(text) => (!text.is_empty()).then(|| text.clone()),
            Self::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
            // Whole numbers of 64 bits as such, others with six digits after the point.
            Self::Number(n)
                if *n >= 0.0 && *n < 18_446_744_073_709_551_615.0 && n.fract() == 0.0 =>
            {
                Some((*n as u64).to_string().into())
            }
            Self::Number(n) => Some(format!("{n:.6}").into()),
            Self::List(_) | Self::Object(_) => {
                let json = serde_json::to_vec(self).ok()?;
                Some(STANDARD.encode(json).into())
            }
            Self::Null => None,
        }
    }

    /// A text that lists words becomes their list (Istio's `spaceDelimitedClaims`).
    pub fn split_words(&mut self) {
        if let Self::Text(text) = self {
            let words = text.split(' ').filter(|word| !word.is_empty());
            *self = Self::List(words.map(|word| Self::Text(word.into())).collect());
        }
    }
}

/// As JSON; whole numbers without a point.
impl Serialize for Claim {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            // Below 2^63 a whole number stands as one of 64 bits, with nothing lost.
            Self::Number(n) if n.fract() == 0.0 && n.abs() < 9_223_372_036_854_775_808.0 => {
                to.serialize_i64(*n as i64)
            }
            Self::Number(n) => to.serialize_f64(*n),
            Self::Text(text) => to.serialize_str(text),
            Self::List(list) => to.collect_seq(list),
            Self::Object(claims) => to.collect_map(claims),
        }
    }
}

/// Reads a JSON object and nothing behind it; `None` when it is none, lies too deep, or has a name twice.
pub(super) fn read_object(json: &[u8]) -> Option<Claims> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = Depth(0).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Claim::Object(claims) => Some(claims),
        Claim::Null | Claim::Bool(_) | Claim::Number(_) | Claim::Text(_) | Claim::List(_) => None,
    }
}

/// Reads a value at this depth.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.0 < MAX_DEPTH {
            true => Ok(Self(self.0 + 1)),
            false => Err(E::custom("too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Claim;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Claim, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Claim;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Claim, E> {
        Ok(Claim::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Claim, E> {
        Ok(Claim::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Claim, E> {
        Ok(Claim::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Claim, E> {
        Ok(Claim::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Claim, E> {
        Ok(Claim::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Claim, E> {
        Ok(Claim::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Claim, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Claim::List(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claim, A::Error> {
        let inner = self.deeper()?;
        let mut claims = Claims::new();
        while let Some(name) = map.next_key::<Box<str>>()? {
            let value = map.next_value_seed(inner)?;
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Claim::Object(claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Claims> {
        read_object(json.as_bytes())
    }

    #[test]
    fn what_has_two_readings_or_no_end_is_not_read() {
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH - 1)).is_some());
        for bad in [
            &nested(MAX_DEPTH),
            &nested(100_000),
            "[]",
            "1",
            "",
            "{} {}",
            "{\"a\":1,\"a\":1}",
            "{\"x\":{\"a\":1,\"\\u0061\":1}}",
            "{\"a\":1e400}",
            "{\"a\":\"\\ud800\"}",
            "{a:1}",
        ] {
            assert_eq!(read(bad), None, "{}", &bad[..bad.len().min(40)]);
        }
        assert_eq!(read_object(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn claims_are_found_by_path_and_matched_by_text() {
        let claims = read(r#"{"a": {"b": ["x", 1, "y"], "c": "z"}, "d.e": "f"}"#).unwrap();
        let texts = |path: &[&str]| -> Vec<String> {
            let claim = Claim::at(&claims, path);
            claim.map_or_else(Vec::new, |claim| claim.texts().map(String::from).collect())
        };
        assert_eq!(texts(&["a", "b"]), ["x", "y"]);
        assert_eq!(texts(&["a", "c"]), ["z"]);
        assert_eq!(texts(&["d.e"]), ["f"]);
        for none in [&["a"][..], &["a", "c", "d"], &["a", "b", "0"], &[], &["e"]] {
            assert!(texts(none).is_empty(), "{none:?}");
        }
    }

    #[test]
    fn fields_are_written_as_envoy_writes_them() {
        for (json, want) in [
            ("\"x y\"", Some("x y")),
            ("\"\"", None),
            ("true", Some("true")),
            ("false", Some("false")),
            ("0", Some("0")),
            ("1700000000", Some("1700000000")),
            ("9007199254740993", Some("9007199254740992")),
            ("1.5", Some("1.500000")),
            ("-3", Some("-3.000000")),
            ("null", None),
            ("[\"a\"]", Some("WyJhIl0=")),
            ("{}", Some("e30=")),
        ] {
            let claims = read(&format!("{{\"a\":{json}}}")).unwrap();
            assert_eq!(claims["a"].as_field().as_deref(), want, "{json}");
        }
    }

    #[test]
    fn words_become_a_list_and_nothing_else_does() {
        let mut claims = read(r#"{"scope": " read  write", "n": 1}"#).unwrap();
        claims.values_mut().for_each(Claim::split_words);
        let words: Vec<_> = claims["scope"].texts().collect();
        assert_eq!(words, ["read", "write"]);
        assert_eq!(claims["n"], Claim::Number(1.0));
    }

    #[test]
    fn lists_and_objects_become_base64_of_their_json() {
        for (json, want) in [
            (
                r#"["a b", 1, 2.5, true, null]"#,
                r#"["a b",1,2.5,true,null]"#,
            ),
            (
                r#"{"z": -5, "a": [{}], "b": 1e30}"#,
                r#"{"a":[{}],"b":1e+30,"z":-5}"#,
            ),
            ("[]", "[]"),
            ("[\"\\u00e9\\n\"]", "[\"é\\n\"]"),
        ] {
            let claims = read_object(format!(r#"{{"c": {json}}}"#).as_bytes()).unwrap();
            let got = claims["c"].as_field().unwrap();
            let got = String::from_utf8(STANDARD.decode(got.as_bytes()).unwrap()).unwrap();
            assert_eq!(got, want, "{json}");
        }
    }
}
