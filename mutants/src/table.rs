//! What came of it, by module, and who survived.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::find::Mutant;
use crate::play::Fate;
use crate::store::Told;

/// Survivors that are known: each line of the list is a key and, behind ` | `, the reason. `#` begins a remark.
pub fn reasons(text: &str) -> HashMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(" | "))
        .map(|(key, why)| (key.trim().to_owned(), why.trim().to_owned()))
        .collect()
}

/// `core/src/policy/edf.rs` is in `core policy`, files of other packages in their package.
pub fn module(file: &str) -> String {
    let mut parts = file.split('/');
    let package = parts.next().unwrap_or_default();
    match parts.nth(1) {
        Some(first) if package == "core" => format!("core {}", first.trim_end_matches(".rs")),
        _ => package.to_owned(),
    }
}

#[derive(Default)]
struct Row {
    tried: usize,
    caught: usize,
    known: usize,
    survived: usize,
    unreached: usize,
}

impl Row {
    fn share(&self) -> f64 {
        let of = self.tried - self.known;
        if of == 0 {
            100.0
        } else {
            100.0 * self.caught as f64 / of as f64
        }
    }
}

/// What is to be told, and where.
pub struct Asked {
    pub is_json: bool,
    pub least: f64,
    pub page: Option<PathBuf>,
    /// The command, and when and where it ran: a line under the table.
    pub how: String,
}

/// Whether enough were caught, and nobody survived that the list does not name.
pub fn tell(
    words: &Asked,
    chosen: &[Mutant],
    decided: &HashMap<String, Told>,
    reasons: &HashMap<String, String>,
) -> io::Result<bool> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut survivors = Vec::new();
    let (mut refused, mut open) = (0, 0);
    for mutant in chosen {
        let Some(told) = decided.get(&mutant.key) else {
            open += 1;
            continue;
        };
        if told.fate == Fate::Refused {
            refused += 1;
            continue;
        }
        for name in [module(&mutant.file), "all".to_owned()] {
            let row = rows.entry(name).or_default();
            row.tried += 1;
            match told.fate {
                Fate::Caught | Fate::TimedOut => row.caught += 1,
                _ if reasons.contains_key(&mutant.key) => row.known += 1,
                Fate::Unreached => row.unreached += 1,
                _ => row.survived += 1,
            }
        }
        if matches!(told.fate, Fate::Survived | Fate::Unreached)
            && !reasons.contains_key(&mutant.key)
        {
            survivors.push((mutant, told.fate));
        }
    }
    if words.is_json {
        let rows: BTreeMap<_, _> = rows
            .iter()
            .map(|(name, r)| (name, serde_json::json!({"tried": r.tried, "caught": r.caught, "equivalent": r.known, "survived": r.survived, "unreached": r.unreached})))
            .collect();
        let list: Vec<_> = survivors
            .iter()
            .map(|(m, fate)| serde_json::json!({"file": m.file, "line": m.line, "function": m.function, "from": m.from, "to": m.to, "fate": fate, "key": m.key}))
            .collect();
        println!(
            "{}",
            serde_json::json!({"modules": rows, "survivors": list, "refused": refused, "open": open})
        );
    } else {
        for (mutant, fate) in &survivors {
            let how = if *fate == Fate::Unreached {
                "no test gets there"
            } else {
                "no test sees it"
            };
            println!("{}:{}: {how}\n  {}", mutant.file, mutant.line, mutant.key);
        }
        println!("\n{}", table(&rows, refused, open));
    }
    if let Some(page) = words.page.as_ref() {
        write(
            page,
            &format!("{}\n\n{}", table(&rows, refused, open), words.how),
        )?;
    }
    let share = rows.get("all").map_or(100.0, Row::share);
    if share < words.least {
        eprintln!("{share:.1} % are caught, and {} are wanted", words.least);
    }
    Ok(share >= words.least && survivors.is_empty())
}

fn table(rows: &BTreeMap<String, Row>, refused: usize, open: usize) -> String {
    let mut lines = vec![
        "| module | mutants | caught | equivalent or left | survived | reached by nobody | caught of those that count |"
            .to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for (name, row) in rows {
        lines.push(format!(
            "| {name} | {} | {} | {} | {} | {} | {:.1} % |",
            row.tried,
            row.caught,
            row.known,
            row.survived,
            row.unreached,
            row.share()
        ));
    }
    let rest = match open {
        0 => String::new(),
        open => format!(" {open} of the sample were not tried."),
    };
    lines.push(format!("\n{refused} more do not compile.{rest}"));
    lines.join("\n")
}

const BEGINS: &str = "<!-- mutants: the table of the command above -->";
const ENDS: &str = "<!-- mutants: end -->";

/// Puts a table where the page has a place for it.
fn write(page: &Path, table: &str) -> io::Result<()> {
    let text = fs::read_to_string(page)?;
    let parts = text
        .split_once(BEGINS)
        .and_then(|(before, rest)| Some((before, rest.split_once(ENDS)?.1)));
    let Some((before, after)) = parts else {
        return Err(io::Error::other(format!(
            "{} has no place for a table: a line `{BEGINS}`, and a line `{ENDS}`",
            page.display()
        )));
    };
    fs::write(
        page,
        format!("{before}{BEGINS}\n\n{table}\n\n{ENDS}{after}"),
    )
}
