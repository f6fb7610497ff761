//! The lines in which both tell what came of a case, read again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Whose bodies nobody takes, so that windows close. `nghttp2_told.c` holds to the same.
pub(crate) const fn is_untaken(stream: u32) -> bool {
    stream % 8 == 7
}

/// Printable bytes as they are, but for those that have a meaning in a line.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'=') {
            text.push(char::from(*byte));
        } else {
            // A string takes all that is written.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

/// Name and value, escaped.
pub(crate) type Field = (String, String);

/// What one side told of one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The connection ended, and why.
    pub(crate) dead: Option<String>,
    /// The code of its GOAWAY.
    pub(crate) code: Option<u32>,
    /// It waits for nothing more: the peer leaves, and there is no stream.
    pub(crate) is_over: bool,
    /// By stream.
    pub(crate) streams: BTreeMap<u32, OfStream>,
    /// Frames that answer the peer: SETTINGS acknowledged, PING answered.
    pub(crate) acks: usize,
    pub(crate) pongs: usize,
    /// Reasons, in the teller's own words.
    pub(crate) why: Vec<String>,
}

/// What it told of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfStream {
    pub(crate) heads: Vec<Vec<Field>>,
    /// How many bytes, and their hash.
    pub(crate) data: Option<String>,
    pub(crate) ends: bool,
    /// The peer is done with it.
    pub(crate) gone: bool,
    /// It was reset, by whoever tells, with this code.
    pub(crate) reset: Option<u32>,
}

/// Everything that one side told, by case and piece.
pub(crate) type Story = BTreeMap<(usize, usize), Told>;

/// Reads all lines. What is no line of this kind is an error with its text.
pub(crate) fn read(text: &str) -> Result<Story, String> {
    let mut story = Story::new();
    for line in text.lines() {
        read_line(line, &mut story).ok_or_else(|| format!("not understood: {line}"))?;
    }
    Ok(story)
}

fn read_line(line: &str, story: &mut Story) -> Option<()> {
    let mut words = line.splitn(4, ' ');
    let at = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (event, rest) = (words.next()?, words.next().unwrap_or_default());
    let told = story.entry(at).or_default();
    let (number, says) = rest.split_once(' ').unwrap_or((rest, ""));
    if event == "fatal" {
        told.dead.get_or_insert_with(|| rest.to_owned());
        return Some(());
    }
    let number: u32 = number.parse().ok()?;
    let of_stream = told.streams.entry(number);
    match event {
        "head" => of_stream.or_default().heads.push(fields(says)?),
        "data" => of_stream.or_default().data = Some(says.to_owned()),
        "end" => of_stream.or_default().ends = true,
        "gone" => of_stream.or_default().gone = true,
        "rst" => of_stream.or_default().reset = says.parse().ok(),
        "why" => told.why.push(says.to_owned()),
        "goaway" => {
            told.dead = Some(says.to_owned());
            told.code = Some(number);
        }
        "over" => told.is_over = true,
        "ack" => told.acks += 1,
        "pong" => told.pongs += 1,
        _ => return None,
    }
    Some(())
}

fn fields(says: &str) -> Option<Vec<Field>> {
    let field = |field: &str| {
        let (name, value) = field.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    says.split(' ')
        .filter(|field| !field.is_empty())
        .map(field)
        .collect()
}
