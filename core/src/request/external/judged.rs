//! What the answer of a provider comes to, whatever it speaks.

use ::http::StatusCode;
use bytes::Bytes;

use crate::decision::Record;
use crate::message::Headers;

/// What an answer comes to.
#[derive(Debug)]
pub(super) enum Judged {
    /// The request may pass, with these changes.
    Allowed(Changes),
    /// It may not: the answer for its client.
    Denied {
        status: StatusCode,
        fields: Headers,
        body: Bytes,
    },
    /// It makes no sense.
    Nonsense,
}

/// What is changed of a request that may pass, and of its response.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Fields that take the place of those of their names.
    pub(super) set: Headers,
    /// Fields that stand beside them.
    pub(super) append: Headers,
    /// Names of fields that are taken away.
    pub(super) remove: Vec<Box<str>>,
    /// Fields for the client.
    pub(super) response: Headers,
}

impl Changes {
    /// Makes them.
    pub(super) fn apply(&self, record: &mut Record) {
        let headers = &mut record.request.headers;
        for name in &self.remove {
            headers.remove_if(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
        }
        for field in self.set.iter() {
            headers.remove_if(|of| of.name == field.name);
        }
        for field in self.set.iter().chain(self.append.iter()) {
            let _ = headers.append(field.name, field.value);
        }
        if !self.response.is_empty() {
            let told = record.told_fields.get_or_insert_default();
            for field in self.response.iter() {
                let _ = told.set.append(field.name, field.value);
            }
        }
    }
}
