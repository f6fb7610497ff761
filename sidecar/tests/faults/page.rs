//! The rows of `docs/faults.md`: what each side does, what is configured, and what must come of it.

use std::path::PathBuf;

use super::script::{Step, steps};

/// What is spoken where a row plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP on both sides, in clear text; a client may speak either version of it.
    Http,
    /// The endpoint speaks HTTP/2.
    Http2,
    /// The endpoint speaks TLS.
    TlsEndpoint,
    /// The client speaks TLS.
    TlsClient,
    /// Bytes that are passed on.
    Tcp,
}

/// A row, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The line of the page, counted from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) fault: String,
    /// The name of its service, which no other row has.
    pub(crate) host: String,
    pub(crate) rule: Vec<String>,
    pub(crate) client: Vec<Step>,
    /// A script for each connection.
    pub(crate) endpoint: Vec<Vec<Step>>,
    pub(crate) outcome: Outcome,
}

/// What came of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) sees: String,
    /// Status, flags and details of each line of the access log.
    pub(crate) log: String,
    pub(crate) counted: String,
}

impl Row {
    /// Whether its client waits for something: one that does not may be gone before it is accepted.
    pub(crate) fn is_seen(&self) -> bool {
        let waits = |step: &Step| !matches!(step, Step::Send(_) | Step::Hello(_) | Step::Reset);
        self.client.iter().any(waits)
    }
}

impl Outcome {
    /// Whether this is what a row says, one of the outcomes that it leaves open.
    pub(crate) fn is_one_of(&self, said: &Self) -> bool {
        let pairs = [
            (&self.sees, &said.sees),
            (&self.log, &said.log),
            (&self.counted, &said.counted),
        ];
        let mut each = pairs.into_iter();
        each.all(|(found, said)| said.split(" or ").any(|one| one == found))
    }
}

pub(crate) fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md")
}

/// All rows of the page.
pub(crate) fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(path()).unwrap();
    let mut kind = None;
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            kind = kind_of(heading);
        } else if let (Some(kind), true) = (kind, text.starts_with("| ")) {
            let cells = cells(text);
            if cells[0] != "fault" {
                let row = row(line, kind, &cells);
                rows.push(row.unwrap_or_else(|why| panic!("docs/faults.md:{line}: {why}")));
            }
        }
    }
    rows
}

/// What a section is about, by the word in code at the end of its heading.
fn kind_of(heading: &str) -> Option<Kind> {
    Some(match heading.rsplit(' ').next()? {
        "`http`" => Kind::Http,
        "`http2`" => Kind::Http2,
        "`tls-endpoint`" => Kind::TlsEndpoint,
        "`tls-client`" => Kind::TlsClient,
        "`tcp`" => Kind::Tcp,
        _ => return None,
    })
}

fn row(line: usize, kind: Kind, cells: &[String]) -> Result<Row, String> {
    let [fault, rule, client, endpoint, sees, log, counted] = cells else {
        return Err(format!("{} cells, and not 7", cells.len()));
    };
    let host = format!("f{line}.test");
    let scripts = endpoint.split(" // ").map(|script| steps(script, &host));
    let rule = rule.split(", ").filter(|word| !word.is_empty());
    Ok(Row {
        line,
        kind,
        fault: fault.clone(),
        rule: rule.map(str::to_owned).collect(),
        client: steps(client, &host)?,
        endpoint: scripts
            .filter(|script| *script != Ok(Vec::new()))
            .collect::<Result<_, _>>()?,
        host,
        outcome: Outcome {
            sees: sees.clone(),
            log: log.clone(),
            counted: counted.clone(),
        },
    })
}

/// The cells of a row, without the code marks around them.
fn cells(text: &str) -> Vec<String> {
    let text = text.replace("\\|", "\0");
    let cells = text.trim().trim_matches('|').split('|');
    let bare = |cell: &str| cell.trim().trim_matches('`').replace('\0', "|");
    cells.map(bare).collect()
}

/// Writes what came of the rows into the page.
pub(crate) fn write(found: &[(Row, Outcome)]) {
    let text = std::fs::read_to_string(path()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let news = found
        .iter()
        .filter(|(row, outcome)| !outcome.is_one_of(&row.outcome));
    for (row, outcome) in news {
        let line = &mut lines[row.line - 1];
        let marked = line.replace("\\|", "\0");
        let mut kept: Vec<String> = marked.split('|').map(str::to_owned).collect();
        let code = |text: &str| match text {
            "" => " ".to_owned(),
            text => format!(" `{}` ", text.replace('|', "\0")),
        };
        kept[5] = code(&outcome.sees);
        kept[6] = code(&outcome.log);
        kept[7] = code(&outcome.counted);
        *line = kept.join("|").replace('\0', "\\|");
    }
    std::fs::write(path(), lines.join("\n") + "\n").unwrap();
}

/// Behind this line stands what Envoy does otherwise.
const OF_ENVOY: &str = "<!-- envoy: written by the test -->";

/// Writes the rows of which something else comes on Envoy to the end of the page.
pub(crate) fn write_of_envoy(found: &[(Row, Outcome)]) {
    let text = std::fs::read_to_string(path()).unwrap();
    let (before, _) = text.split_once(OF_ENVOY).unwrap();
    let mut page =
        format!("{before}{OF_ENVOY}\n\n| fault | what | here | Envoy |\n|---|---|---|---|\n");
    let mut alike = 0;
    for (row, outcome) in found {
        let said = &row.outcome;
        let pairs = [
            ("client sees", &said.sees, &outcome.sees),
            ("log", &said.log, &outcome.log),
        ];
        let other = pairs
            .iter()
            .filter(|(_, said, found)| !said.split(" or ").any(|one| one == found.as_str()));
        let mut is_alike = true;
        for (what, said, found) in other {
            is_alike = false;
            let code = |text: &str| match text {
                "" => String::new(),
                text => format!("`{}`", text.replace('|', "\\|")),
            };
            let fault = &row.fault;
            page += &format!("| {fault} | {what} | {} | {} |\n", code(said), code(found));
        }
        alike += usize::from(is_alike);
    }
    page += &format!("\nAlike: {alike} of {} rows.\n", found.len());
    std::fs::write(path(), page).unwrap();
}
