//! What a peer does, read from the words of a row of `docs/faults.md`: bytes that it sends and what it waits for. What the words
//! mean to a reader stands on that page.

use super::frames;

/// One thing that a peer does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// An endpoint at whose address nobody listens.
    Refuse,
    /// An endpoint whose kernel takes no more connections.
    Full,
    /// A whole handshake of TLS.
    Tls,
    /// So many bytes of a ClientHello.
    Hello(usize),
    /// Bytes, in one write.
    Send(Vec<u8>),
    /// Bytes, each in a write of its own.
    Drip(Vec<u8>),
    /// The same bytes again and again, until nobody takes them any more.
    Pour(Vec<u8>),
    /// Reads up to the blank line.
    Head,
    /// Reads so many bytes more.
    Read(usize),
    /// Reads a whole response, and tells of it.
    Answer,
    /// Reads until the other side ends the connection, and tells of it.
    Rest,
    /// The same without a word: what comes does not matter.
    Stall,
    /// Reads frames up to a HEADERS frame.
    Asked,
    /// Reads the frames of a response, and tells of it.
    Stream(u32),
    /// Ends its own direction.
    Shut,
    /// Says in TLS that this is the end.
    Bye,
    /// Ends the connection with a reset.
    Reset,
    /// Lets the other script go on that awaits this word.
    Tell(String),
    /// Waits for that.
    Await(String),
}

/// The steps of a script, for a row whose service has this name.
pub(crate) fn steps(text: &str, host: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for part in parts(text) {
        let words = words(&part)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        steps.push(step(&words, host).ok_or_else(|| format!("`{part}` means nothing"))?);
    }
    Ok(steps)
}

fn step(words: &[&str], host: &str) -> Option<Step> {
    let number = |text: &str| text.parse().ok();
    Some(match *words {
        ["refuse"] => Step::Refuse,
        ["full"] => Step::Full,
        ["tls"] => Step::Tls,
        ["hello", count] => Step::Hello(number(count)?),
        ["head"] => Step::Head,
        ["read", count] => Step::Read(number(count)?),
        ["answer"] => Step::Answer,
        ["rest"] => Step::Rest,
        ["stall"] => Step::Stall,
        ["shut"] => Step::Shut,
        ["bye"] => Step::Bye,
        ["reset"] => Step::Reset,
        ["tell", word] => Step::Tell(word.to_owned()),
        ["await", word] => Step::Await(word.to_owned()),
        ["h2", "asked"] => Step::Asked,
        ["h2", "answer", stream] => Step::Stream(stream.parse().ok()?),
        ["h2", ref frame @ ..] => Step::Send(frames::frame(frame, host)?),
        ["drip", ref rest @ ..] => Step::Drip(bytes(rest, host)?),
        ["pour", ref rest @ ..] => Step::Pour(bytes(rest, host)?),
        ["send", ref rest @ ..] => Step::Send(bytes(rest, host)?),
        ref rest => Step::Send(bytes(rest, host)?),
    })
}

/// `GET`, `POST 5`, `200 chunked` are heads; text in quotes is itself, `9 x "text"` nine times.
fn bytes(words: &[&str], host: &str) -> Option<Vec<u8>> {
    if let [first, ref rest @ ..] = *words
        && let Some(text) = first.strip_prefix('"')
    {
        let mut all = unescaped(text)?;
        if !rest.is_empty() {
            all.extend(bytes(rest, host)?);
        }
        return Some(all);
    }
    let (head, framing, rest) = match *words {
        ["GET", ref rest @ ..] => (format!("GET / HTTP/1.1\r\nhost: {host}\r\n"), "none", rest),
        ["POST", framing, ref rest @ ..] => (
            format!("POST / HTTP/1.1\r\nhost: {host}\r\n"),
            framing,
            rest,
        ),
        ["200", framing, ref rest @ ..] => ("HTTP/1.1 200 OK\r\n".to_owned(), framing, rest),
        ["204", ref rest @ ..] => ("HTTP/1.1 204 No Content\r\n".to_owned(), "none", rest),
        [count, "x", text] => {
            let text = unescaped(text.strip_prefix('"')?)?;
            return Some(text.repeat(count.parse().ok()?));
        }
        _ => return None,
    };
    let framing = match framing {
        "none" | "close" => String::new(),
        "chunked" => "transfer-encoding: chunked\r\n".to_owned(),
        length => format!("content-length: {}\r\n", length.parse::<usize>().ok()?),
    };
    let mut all = format!("{head}{framing}\r\n").into_bytes();
    if !rest.is_empty() {
        all.extend(bytes(rest, host)?);
    }
    Some(all)
}

/// `\r \n \" \\` and `\xNN`.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => match rest.next()? {
                'r' => out.push(b'\r'),
                'n' => out.push(b'\n'),
                'x' => {
                    let digits: String = rest.by_ref().take(2).collect();
                    out.push(u8::from_str_radix(&digits, 16).ok()?);
                }
                other => out.extend(other.to_string().bytes()),
            },
            other => out.extend(other.to_string().bytes()),
        }
    }
    Some(out)
}

/// What stands between commas that are not in quotes.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for c in text.chars() {
        match c {
            ',' if !quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        parts.last_mut().expect("there is always one").push(c);
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// The words of a step. One that was quoted keeps its first quote, as a mark.
fn words(part: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in part.chars() {
        match c {
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            '"' if quoted && !escaped => {
                quoted = false;
                words.push(std::mem::take(&mut word));
            }
            '"' if !quoted => {
                quoted = true;
                word.push('"');
            }
            other => word.push(other),
        }
        escaped = c == '\\' && !escaped;
    }
    if quoted {
        return Err(format!("`{part}` has a quote that does not end"));
    }
    words.extend((!word.is_empty()).then_some(word));
    Ok(words)
}

#[test]
fn words_are_steps() {
    let read = |text| steps(text, "a.test").unwrap();
    assert_eq!(
        read(r#"head, 200 5 "a,\"\x00", drip "x" GET, tell it"#),
        [
            Step::Head,
            Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na,\"\0".to_vec()),
            Step::Drip(b"xGET / HTTP/1.1\r\nhost: a.test\r\n\r\n".to_vec()),
            Step::Tell("it".to_owned()),
        ]
    );
    assert_eq!(read(r#"send 3 x "ab""#), [Step::Send(b"ababab".to_vec())]);
    assert_eq!(read(r#"POST chunked"#).len(), 1);
    for wrong in ["jump", "read many", r#"send "open"#, "POST"] {
        assert!(steps(wrong, "a.test").is_err(), "{wrong}");
    }
}
