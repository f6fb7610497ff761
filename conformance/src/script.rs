//! What a client or a service does on one connection, as a case file writes it.
//!
//! `>` goes from client to service, `<` comes back; who reads the script decides which of the two is sent and which is
//! awaited. `*` is something else that is done, `#` a remark, an empty line ends a group. `cases/README.md` is the guide.

use outrigger_core::time::Duration;

use crate::Problem;
use crate::escape::unescape;
use crate::tally::Tally;
use crate::trust::Expectation;

/// Whose script it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sends `>` and awaits `<`.
    Client,
    /// It awaits `>` and sends `<`.
    Service,
}

/// A message that must arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// The first line, compared as a whole.
    pub first: String,
    /// Fields that must have exactly these values; a value may be `*` (any) or `~regex`.
    pub fields: Vec<(String, String)>,
    /// Fields that must be absent.
    pub absent: Vec<String>,
    /// No fields but the ones named.
    pub only: bool,
    /// The whole body; `None` compares nothing and does not wait for the end.
    pub body: Option<Vec<u8>>,
    /// Trailers that must be there, all of them.
    pub trailers: Vec<(String, String)>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bytes to send.
    Send(Vec<u8>),
    /// A message to await.
    Await(Awaited),
    /// Some of the body of the message before, or of a tunnel.
    AwaitBytes(Vec<u8>),
    /// `* expect close`: the other side ends the connection, after whole messages.
    ExpectClose,
    /// `* expect cut`: the connection ends in the middle of a message.
    ExpectCut,
    /// `* expect reset`
    ExpectReset,
    /// `* expect end`: the message before ends here, with nothing left in its body.
    ExpectEnd,
    /// `* stop reading` (`false`) and `* read on` (`true`).
    Read(bool),
    /// `* raw`: what comes is no HTTP.
    Raw,
    /// The script is one in frames of HTTP/2 (`frames`), from here on.
    Frames,
    /// From an `ask` block: any response, to be counted.
    Collect,
    /// From an `ask` block: what was collected must be this.
    Judge(Tally),
    /// What is done alike in every protocol.
    Plain(Plain),
}

/// A step that needs to know no protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// `* close`
    Close,
    /// `* reset`
    Reset,
    /// `* shutdown`: half-close.
    Shutdown,
    /// `* signal NAME`
    Signal(String),
    /// `* await NAME`
    AwaitSignal(String),
    /// `* wait 5s`: virtual time only.
    Sleep(Duration),
    /// `* pause`: what follows is a write of its own.
    Pause,
    /// `* expect tls …`, `* expect no tls …`: what was met beneath HTTP.
    ExpectTls(Expectation),
}

/// A step and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line in the case file, from 1.
    pub line: usize,
    /// What.
    pub action: Action,
}

/// Parses a script. `first_line` is the line of its first line in `file`.
///
/// # Errors
/// A line that means nothing.
pub fn parse(file: &str, first_line: usize, text: &str, role: Role) -> Result<Vec<Step>, Problem> {
    let mut steps = Vec::new();
    let mut lines = (first_line..).zip(text.lines()).peekable();
    while let Some((number, line)) = lines.next() {
        let wrong = |what: String| Problem::new(file, number, what);
        match line.chars().next() {
            None | Some('#') => {}
            Some('*') => commands(line[1..].trim(), number, &mut steps).map_err(wrong)?,
            Some(arrow @ ('>' | '<')) => {
                let mut group = vec![(number, line[1..].to_owned())];
                while let Some((n, l)) = lines.next_if(|(_, l)| l.starts_with(arrow)) {
                    group.push((n, l[1..].to_owned()));
                }
                let sends = (arrow == '>') == (role == Role::Client);
                if sends {
                    let bytes = outgoing(&group).map_err(wrong)?;
                    steps.push(Step {
                        line: number,
                        action: Action::Send(bytes),
                    });
                } else {
                    awaited(&group, file, &mut steps)?;
                }
            }
            Some(_) => {
                return Err(wrong(format!(
                    "`{line}` begins with none of `>`, `<`, `*` and `#`"
                )));
            }
        }
    }
    Ok(steps)
}

/// One blank after the arrow belongs to the notation.
fn content(line: &str) -> &str {
    line.strip_prefix(' ').unwrap_or(line)
}

/// Lines end in CRLF, but not a line that ends in a backslash, and not the last one of a group unless it is empty.
fn outgoing(group: &[(usize, String)]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for (at, (_, line)) in group.iter().enumerate() {
        let text = content(line);
        let last = at + 1 == group.len();
        if let Some(open) = text.strip_suffix('\\').filter(|t| !t.ends_with('\\')) {
            bytes.extend(unescape(open)?);
        } else {
            bytes.extend(unescape(text)?);
            if !last || text.is_empty() {
                bytes.extend(b"\r\n");
            }
        }
    }
    Ok(bytes)
}

/// Whether a line begins a message.
#[must_use]
pub fn is_first_line(text: &str) -> bool {
    let mut words = text.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(version), Some(status), ..) if version.starts_with("HTTP/1.") => {
            status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit())
        }
        (Some(method), Some(_), Some(version), None) => {
            !method.is_empty()
                && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
                && version.starts_with("HTTP/1.")
        }
        _ => false,
    }
}

fn awaited(group: &[(usize, String)], file: &str, steps: &mut Vec<Step>) -> Result<(), Problem> {
    let mut at = 0;
    while at < group.len() {
        let (number, first) = (group[at].0, content(&group[at].1));
        let wrong = |what: String| Problem::new(file, number, what);
        let end = group[at + 1..]
            .iter()
            .position(|(_, l)| is_first_line(content(l)))
            .map_or(group.len(), |n| at + 1 + n);
        let lines: Vec<&str> = group[at..end].iter().map(|(_, l)| l.as_str()).collect();
        let action = if is_first_line(first) {
            Action::Await(message(&lines).map_err(wrong)?)
        } else {
            let text: Vec<&str> = lines.iter().map(|l| content(l)).collect();
            Action::AwaitBytes(unescape(&text.join("\r\n")).map_err(wrong)?)
        };
        steps.push(Step {
            line: number,
            action,
        });
        at = end;
    }
    Ok(())
}

fn message(lines: &[&str]) -> Result<Awaited, String> {
    let mut wanted = Awaited {
        first: content(lines[0]).to_owned(),
        ..Awaited::default()
    };
    let mut body: Option<Vec<&str>> = None;
    for line in &lines[1..] {
        if let Some(trailer) = line.strip_prefix('+') {
            wanted.trailers.push(field(content(trailer))?);
            body.get_or_insert_default();
            continue;
        }
        let text = content(line);
        match (&mut body, text) {
            (Some(body), _) => body.push(text),
            (None, "") => body = Some(Vec::new()),
            (None, "!*") => wanted.only = true,
            (None, _) => match text.strip_prefix('!') {
                Some(name) => wanted.absent.push(name.to_owned()),
                None => wanted.fields.push(field(text)?),
            },
        }
    }
    wanted.body = match body {
        Some(lines) => Some(unescape(&lines.join("\r\n"))?),
        None => None,
    };
    Ok(wanted)
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is no `name: value`"))?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Whether a step is done when TLS is not agreed on.
#[must_use]
pub(crate) fn awaits_no_tls(step: Option<&Step>) -> bool {
    matches!(
        step.map(|step| &step.action),
        Some(Action::Plain(Plain::ExpectTls(Expectation::Refused(_))))
    )
}

/// Whether a script is in frames of HTTP/2.
#[must_use]
pub fn is_in_frames(steps: &[Step]) -> bool {
    steps
        .first()
        .is_some_and(|step| step.action == Action::Frames)
}

pub(crate) fn commands(text: &str, line: usize, steps: &mut Vec<Step>) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let actions = match *words {
        ["close"] => vec![Action::Plain(Plain::Close)],
        ["reset"] => vec![Action::Plain(Plain::Reset)],
        ["shutdown"] => vec![Action::Plain(Plain::Shutdown)],
        ["expect", "tls", ref facts @ ..] => {
            vec![Action::Plain(Plain::ExpectTls(Expectation::parse(facts)?))]
        }
        ["expect", "no", "tls", ref why @ ..] => {
            let why = (!why.is_empty()).then(|| why.join(" "));
            vec![Action::Plain(Plain::ExpectTls(Expectation::Refused(why)))]
        }
        ["expect", "close"] => vec![Action::ExpectClose],
        ["expect", "cut"] => vec![Action::ExpectCut],
        ["expect", "reset"] => vec![Action::ExpectReset],
        ["expect", "end"] => vec![Action::ExpectEnd],
        ["raw"] => vec![Action::Raw],
        ["stop", "reading"] => vec![Action::Read(false)],
        ["read", "on"] => vec![Action::Read(true)],
        ["signal", name] => vec![Action::Plain(Plain::Signal(name.to_owned()))],
        ["await", ref name @ ..] if !name.is_empty() => {
            vec![Action::Plain(Plain::AwaitSignal(name.join(" ")))]
        }
        ["wait", time] => vec![Action::Plain(Plain::Sleep(duration(time)?))],
        ["pause"] => vec![Action::Plain(Plain::Pause)],
        // The runner does these and tells when they are done.
        ["reload"] => vec![
            Action::Plain(Plain::Signal("reload".to_owned())),
            Action::Plain(Plain::AwaitSignal("reloaded".to_owned())),
        ],
        ["overload", level @ ("soft" | "hard" | "over")] => vec![
            Action::Plain(Plain::Signal(format!("overload {level}"))),
            Action::Plain(Plain::AwaitSignal("overload is known".to_owned())),
        ],
        ["drain"] => vec![
            Action::Plain(Plain::Signal("drain".to_owned())),
            Action::Plain(Plain::AwaitSignal("draining".to_owned())),
        ],
        _ => return Err(format!("`* {text}` is not known")),
    };
    steps.extend(actions.into_iter().map(|action| Step { line, action }));
    Ok(())
}

/// `5s`, `20ms` or `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is no duration"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "h" => Ok(Duration::from_secs(3600 * number)),
        _ => Err(format!("`{text}` is no duration")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str, role: Role) -> Vec<Action> {
        let steps = parse("f", 1, text, role).unwrap();
        steps.into_iter().map(|s| s.action).collect()
    }

    #[test]
    fn a_group_ends_lines_as_a_wire_does() {
        let text = "> POST / HTTP/1.1\n> a: b\n>\n> body\n\n> GET\\\n> \\n\n";
        let want = [&b"POST / HTTP/1.1\r\na: b\r\n\r\nbody"[..], b"GET\n"];
        assert_eq!(
            actions(text, Role::Client),
            want.map(|b| Action::Send(b.to_vec()))
        );
        assert_eq!(
            actions("< HTTP/1.1 200 OK\n<\n", Role::Service),
            [Action::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())]
        );
    }

    #[test]
    fn what_is_awaited_is_split_at_first_lines() {
        let text = "< HTTP/1.1 100 Continue\n< HTTP/1.1 200 OK\n< a: *\n< !b\n<\n< x\n<+ t: 1\n";
        let got = actions(text, Role::Client);
        let Action::Await(second) = &got[1] else {
            panic!("{got:?}")
        };
        assert_eq!(second.fields, [("a".to_owned(), "*".to_owned())]);
        assert_eq!(
            (&second.absent[..], second.body.as_deref()),
            (&["b".to_owned()][..], Some(&b"x"[..]))
        );
        assert_eq!(second.trailers, [("t".to_owned(), "1".to_owned())]);
        assert_eq!(
            actions("> data\n", Role::Service),
            [Action::AwaitBytes(b"data".to_vec())]
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, line) in [
            ("> a\nfoo\n", 11),
            ("* dance\n", 10),
            ("< HTTP/1.1 200 OK\n< x\n", 10),
        ] {
            assert_eq!(
                parse("f", 10, text, Role::Client).unwrap_err().line,
                line,
                "{text}"
            );
        }
    }
}
