//! What is said of a peer with each of its requests, kept with its connection.

use core::cell::Cell;
use core::fmt;

/// A text that is the same until the configuration is another one. Idle connections, of which there are many, have little of it.
#[derive(Default)]
pub struct Said(Cell<Option<Box<Text>>>);

struct Text {
    /// Of the configuration.
    revision: u64,
    text: Box<[u8]>,
}

impl Said {
    /// Appends what was said under a configuration of this revision, or else what `say` appends, which is kept.
    pub fn append(&self, revision: u64, to: &mut Vec<u8>, say: impl FnOnce(&mut Vec<u8>)) {
        let kept = self.0.take().filter(|kept| kept.revision == revision);
        let kept = match kept {
            Some(kept) => {
                to.extend_from_slice(&kept.text);
                kept
            }
            None => {
                let at = to.len();
                say(to);
                let text = to[at..].into();
                Box::new(Text { revision, text })
            }
        };
        self.0.set(Some(kept));
    }
}

/// What is kept is made again by whoever has the copy.
impl Clone for Said {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_for_each_configuration() {
        let said = Said::default();
        for (revision, made, told) in [
            (1, "one", "one"),
            (1, "other", "one"),
            (2, "two", "two"),
            (1, "again", "again"),
        ] {
            let mut text = b"before ".to_vec();
            said.append(revision, &mut text, |text| {
                text.extend_from_slice(made.as_bytes());
            });
            assert_eq!(text, format!("before {told}").into_bytes());
        }
    }
}
