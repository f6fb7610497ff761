//! A decision as a recording holds it, and where two of them differ.
//!
//! Which fields it has is said by [`Record`] alone.

use outrigger_core::decision::Record;
use serde::Serialize;
use serde_json::Value;

/// What was decided for one request: its record, read from a file.
pub type Decided = Record<String>;

/// A field in which two decisions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which one, such as `attempts[1].endpoint`.
    pub field: String,
    /// What was recorded.
    pub recorded: String,
    /// What is decided now.
    pub now: String,
}

/// Every field in which `now` differs from what was recorded.
#[must_use]
pub fn differences(recorded: &Decided, now: &impl Serialize) -> Vec<Difference> {
    let (Ok(recorded), Ok(now)) = (serde_json::to_value(recorded), serde_json::to_value(now))
    else {
        unreachable!("fields have names, and numbers are 64 bits long");
    };
    let mut found = Vec::new();
    compare("", Some(&recorded), Some(&now), &mut found);
    found
}

/// Goes down to where only values are left.
fn compare(
    field: &str,
    recorded: Option<&Value>,
    now: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (recorded, now) {
        (Some(recorded), Some(now)) if recorded == now => {}
        (Some(Value::Object(recorded)), Some(Value::Object(now)))
            if recorded.keys().eq(now.keys()) =>
        {
            let dot = if field.is_empty() { "" } else { "." };
            for (name, recorded) in recorded {
                let field = format!("{field}{dot}{name}");
                compare(&field, Some(recorded), now.get(name), found);
            }
        }
        (Some(Value::Array(recorded)), Some(Value::Array(now))) => {
            for at in 0..recorded.len().max(now.len()) {
                let field = format!("{field}[{at}]");
                compare(&field, recorded.get(at), now.get(at), found);
            }
        }
        (recorded, now) => found.push(Difference {
            field: field.to_owned(),
            recorded: told(recorded),
            now: told(now),
        }),
    }
}

/// A value for people; `none` where there is none.
fn told(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
