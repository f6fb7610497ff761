//! What somebody asks about, by the first word of his line: a request, or a connection that is not HTTP.

use outrigger_core::snapshot::Snapshot;

use crate::explanation::{Explanation, explain, explain_connection};
use crate::play::Circumstances;
use crate::question::{FORM, Question};
use crate::reach::{CONNECTION_FORM, Reach};

/// A request or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A request.
    Request(Question),
    /// A connection that is not HTTP.
    Connection(Reach),
}

impl Subject {
    /// Takes a line and the fields of a request.
    ///
    /// # Errors
    /// Says what is wrong with which of them, and how it is written.
    pub fn read(line: &str, fields: &[String]) -> Result<Self, String> {
        match Reach::read(line) {
            Some(Ok(_)) if !fields.is_empty() => {
                Err("a connection that is not HTTP has no fields: leave them out".to_owned())
            }
            Some(reach) => reach.map(Self::Connection).map_err(|e| e.to_string()),
            None => {
                let fields = fields.iter().map(String::as_str);
                let question = Question::new(line, fields);
                question.map(Self::Request).map_err(|e| e.to_string())
            }
        }
    }

    /// How it is written.
    #[must_use]
    pub fn form() -> String {
        format!("{FORM}; or a connection that is not HTTP, {CONNECTION_FORM}")
    }

    /// What a snapshot makes of it.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot, circumstances: &Circumstances) -> Explanation {
        match self {
            Self::Request(question) => explain(snapshot, question, circumstances),
            Self::Connection(reach) => explain_connection(snapshot, reach, circumstances),
        }
    }
}
