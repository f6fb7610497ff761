//! Our codec beside libnghttp2 on the same bytes: `conformance/peers/nghttp2` runs this together with the C program that
//! feeds libnghttp2, and says what comes of it.
//!
//! - `make SEED COUNT` writes cases: those of the fuzz corpus, and so many more.
//! - `tell` reads cases and prints what our codec makes of each.
//! - `compare CASES OURS THEIRS KINDS` says where two such prints differ, apart from the kinds of differences in a file. It
//!   ends with 1 if they do.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

#[path = "../../../fuzz/src/http2.rs"]
#[expect(
    unreachable_pub,
    dead_code,
    reason = "shared with the fuzz targets, where it is a library; not all of it is used"
)]
mod codec;

mod cases;
mod compare;
mod draws;
mod fields;
mod generate;
mod kinds;
mod meaning;
mod story;
mod tell;

use cases::Case;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["make", seed, count] => make(seed, count).map(|()| true),
        ["tell"] => tell().map(|()| true),
        ["compare", cases, ours, theirs, kinds] => compare([cases, ours, theirs, kinds]),
        _ => Err("make SEED COUNT, tell, or compare CASES OURS THEIRS KINDS".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(wrong) => {
            let _ = writeln!(io::stderr(), "{wrong}");
            ExitCode::from(2)
        }
    }
}

type Failed = Box<dyn core::error::Error>;

fn make(seed: &str, count: &str) -> Result<(), Failed> {
    let (seed, count) = (seed.parse()?, count.parse()?);
    let mut out = BufWriter::new(io::stdout().lock());
    let corpus = cases::corpus()?;
    corpus.iter().try_for_each(|case| case.write(&mut out))?;
    for number in 0..count {
        generate::case(seed, number, &corpus).write(&mut out)?;
    }
    Ok(out.flush()?)
}

fn tell() -> Result<(), Failed> {
    let mut out = BufWriter::new(io::stdout().lock());
    for (number, case) in Case::read_all(io::stdin().lock())?.iter().enumerate() {
        tell::tell(number, case, &mut out)?;
    }
    Ok(out.flush()?)
}

/// Whether nothing differs but what is known.
#[expect(clippy::disallowed_methods, reason = "the ban is for what core ships")]
fn compare([cases, ours, theirs, known]: [&str; 4]) -> Result<bool, Failed> {
    let cases = Case::read_all(File::open(cases)?)?;
    let read = |path| -> Result<_, Failed> { Ok(story::read(&fs::read_to_string(path)?)?) };
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    let known = kinds::Known::read(&fs::read_to_string(known)?)?;
    let all = compare::all(&cases, &ours, &theirs);
    let mut out = BufWriter::new(io::stdout().lock());
    let is_fine = all.print(&cases, &known, &mut out)?;
    out.flush()?;
    Ok(is_fine)
}
