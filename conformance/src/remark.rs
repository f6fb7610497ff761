//! What a line of a case's prose says to the runner: who does not play the case, who answers it otherwise, how long it takes.
//!
//! Owns the words of such lines. What follows from them is `case`'s and the subjects'.

use std::time::Duration;

use outrigger_core::stream::Protocol;

use crate::pairing::Pairing;

/// A line that is more than prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remark<'a> {
    /// `Skipped on SUBJECT: reason`.
    Skipped(&'a str, &'a str),
    /// `Differs on SUBJECT: reason`.
    Differs(&'a str, &'a str),
    /// `HTTP/1 only: reason`, `HTTP/1 clients only: reason`, `HTTP/1 services only: reason`.
    Only(Only, &'a str),
    /// `Takes 5 s`.
    Takes(Duration),
}

/// Who of a case speaks HTTP/1 and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Everybody: it is played as it is written.
    Http1,
    /// Clients; services may speak HTTP/2.
    Clients,
    /// Services; clients may speak HTTP/2.
    Services,
}

impl Only {
    const ALL: [(&'static str, Self); 3] = [
        ("HTTP/1 only: ", Self::Http1),
        ("HTTP/1 clients only: ", Self::Clients),
        ("HTTP/1 services only: ", Self::Services),
    ];

    /// Whether a case has no meaning in a pairing.
    #[must_use]
    pub fn excludes(self, pairing: Pairing) -> bool {
        match self {
            Self::Http1 => pairing != Pairing::ONE,
            Self::Clients => pairing.client == Protocol::Http2,
            Self::Services => pairing.service == Protocol::Http2,
        }
    }
}

/// A test that plays for real what a program is not asked: `; played by PATH NAME.` at the end of a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayedBy {
    /// The line that says so.
    pub line: usize,
    /// The test's file, from the root of the project.
    pub path: String,
    /// The test's name.
    pub test: String,
}

/// What a line says, if it says anything of that kind.
///
/// # Errors
/// How to write what was meant.
pub(crate) fn parse(text: &str) -> Result<Option<Remark<'_>>, String> {
    for (words, remark) in [
        ("Skipped on ", Remark::Skipped as fn(_, _) -> _),
        ("Differs on ", Remark::Differs),
    ] {
        if let Some(rest) = text.strip_prefix(words) {
            let wrong = || format!("write `{words}SUBJECT: reason`");
            let (subject, why) = rest.split_once(": ").ok_or_else(wrong)?;
            return Ok(Some(remark(subject, why)));
        }
    }
    for (words, only) in Only::ALL {
        if let Some(why) = text.strip_prefix(words) {
            return Ok(Some(Remark::Only(only, why)));
        }
    }
    let Some(rest) = text.strip_prefix("Takes ") else {
        return Ok(None);
    };
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    let (time, _) = rest.split_once([';', '.']).unwrap_or((rest, ""));
    let seconds = time.strip_suffix(" s").and_then(|n| n.parse().ok());
    let seconds = seconds.ok_or("write `Takes 5 s.`")?;
    Ok(Some(Remark::Takes(Duration::from_secs(seconds))))
}

/// Who plays it for real, if the line says so.
pub(crate) fn played_by(line: usize, text: &str) -> Option<PlayedBy> {
    let (_, rest) = text.split_once("; played by ")?;
    let (path, test) = rest.trim_end_matches('.').split_once(' ')?;
    Some(PlayedBy {
        line,
        path: path.to_owned(),
        test: test.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_they_say() {
        let seconds = |n| Ok(Some(Remark::Takes(Duration::from_secs(n))));
        for (text, want) in [
            ("Why it is so.", Ok(None)),
            ("Takes the place of both.", Ok(None)),
            ("Takes 5 s.", seconds(5)),
            ("Takes 3600 s; played by a/b.rs c.", seconds(3600)),
            ("Takes 5s.", Err("write `Takes 5 s.`".to_owned())),
            (
                "Skipped on sim: it is: so.",
                Ok(Some(Remark::Skipped("sim", "it is: so."))),
            ),
            (
                "HTTP/1 clients only: so.",
                Ok(Some(Remark::Only(Only::Clients, "so."))),
            ),
            (
                "Differs on envoy: so.",
                Ok(Some(Remark::Differs("envoy", "so."))),
            ),
            (
                "Differs on envoy.",
                Err("write `Differs on SUBJECT: reason`".to_owned()),
            ),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
    }

    #[test]
    fn who_speaks_http1_leaves_out_pairings() {
        let left_out = |only: Only| {
            let all = Pairing::ALL.into_iter().filter(|p| only.excludes(*p));
            all.map(|pairing| pairing.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(left_out(Only::Http1), ["1-2", "2-1", "2-2"]);
        assert_eq!(left_out(Only::Clients), ["2-1", "2-2"]);
        assert_eq!(left_out(Only::Services), ["1-2", "2-2"]);
    }

    #[test]
    fn a_test_that_plays_it_is_named() {
        let played = played_by(
            7,
            "Skipped on program: so; played by sidecar/tests/run.rs it_is_so.",
        );
        let want = PlayedBy {
            line: 7,
            path: "sidecar/tests/run.rs".to_owned(),
            test: "it_is_so".to_owned(),
        };
        assert_eq!(played, Some(want));
        assert_eq!(played_by(7, "Skipped on program: so."), None);
    }
}
