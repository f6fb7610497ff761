//! Labels of the pod from a file, as the downward API writes them (`metadata.labels`): `key="value"` a line, the value quoted as Go does.
//!
//! Read once, at the start: a pod's labels may change later, what it is selected by here does not.

use std::fs;
use std::path::Path;

use crate::options::LabelArg;

/// Those of the file whose keys nobody has said a value for.
///
/// # Errors
/// It cannot be read, or which line is no label.
pub(super) fn besides(said: &[LabelArg], file: &Path) -> Result<Vec<LabelArg>, String> {
    let told = |why: String| format!("{} (--labels-file): {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| told(error.to_string()))?;
    let mut labels = read(&text).map_err(told)?;
    labels.retain(|label| said.iter().all(|other| other.key != label.key));
    Ok(labels)
}

fn read(text: &str) -> Result<Vec<LabelArg>, String> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let labels = lines.map(|(at, line)| {
        let label = label(line.trim());
        label.ok_or_else(|| format!("line {} is no KEY=\"VALUE\"", at + 1))
    });
    labels.collect()
}

fn label(line: &str) -> Option<LabelArg> {
    let (key, value) = line.split_once('=')?;
    let quoted = value.strip_prefix('"')?.strip_suffix('"')?;
    // What a label may have needs no escape, so those that Go and JSON write alike are all that come.
    let value: String = serde_json::from_str(&format!("\"{quoted}\"")).ok()?;
    (!key.is_empty()).then(|| LabelArg {
        key: key.into(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_the_downward_api_writes_them() {
        for (text, want) in [
            (
                "app=\"cart\"\nversion=\"v2\"\n",
                Ok(&[("app", "cart"), ("version", "v2")][..]),
            ),
            ("a.b/c=\"\"", Ok(&[("a.b/c", "")])),
            ("a=\"b\\\"c\"\n\n", Ok(&[("a", "b\"c")])),
            ("", Ok(&[])),
            ("app=\"cart\"\nversion=v2", Err("line 2 is no")),
            ("=\"x\"", Err("line 1 is no")),
            ("a=\"", Err("line 1 is no")),
        ] {
            match (read(text), want) {
                (got, Ok(want)) => {
                    let got = got.unwrap();
                    let got: Vec<_> = got
                        .iter()
                        .map(|label| (&*label.key, &*label.value))
                        .collect();
                    assert_eq!(got, want);
                }
                (got, Err(want)) => assert!(got.unwrap_err().contains(want), "{text}"),
            }
        }
    }
}
