//! An ordered list of header fields in one block of bytes.
//!
//! A head is copied once, from the read buffer into this block, with its names lower-cased on the way. That one copy of
//! a few hundred bytes buys what ranges of a read buffer cannot: the head outlives the buffer (retries, logs), header
//! operations need no second representation, and HTTP/2 can fill the same block. The block is reused, so a keep-alive
//! connection allocates nothing per request.
//!
//! Fields stand in the block as HTTP/1 has them on the wire, so that those that nobody touched are read, and written again,
//! in one piece.

mod adding;

use core::ops::Range;

use bytes::BytesMut;

use super::name::{FieldName, Known, Names, is_token_byte};
use super::octets;

/// What stands between a name and its value, and behind the value.
const COLON: &[u8; 2] = b": ";
const END: &[u8; 2] = b"\r\n";

/// One field: where its line lies in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FieldLine {
    known: Known,
    never_indexed: bool,
    /// Its octets were judged as they were read.
    is_writable: bool,
    name_len: u16,
    start: u32,
    value_len: u32,
}

impl FieldLine {
    const fn name(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.name_len as usize
    }

    const fn value(&self) -> Range<usize> {
        let start = self.name().end + COLON.len();
        start..start + self.value_len as usize
    }

    const fn line(&self) -> Range<usize> {
        self.start as usize..self.value().end + END.len()
    }
}

/// Why a field was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// A name is empty or longer than 65,535 bytes.
    NameLength,
    /// All fields together exceed 4 GiB; callers bound heads far below that.
    Full,
}

/// Header or trailer fields in the order they arrived. Names are in lower case.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    block: Vec<u8>,
    entries: Vec<FieldLine>,
    /// The names that may be there: most that are asked for are not, and then nothing is looked through.
    names: Names,
}

/// A view of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name's number, or [`Known::Other`].
    pub known: Known,
    /// The name in lower case.
    pub name: &'a [u8],
    /// The value without surrounding white space.
    pub value: &'a [u8],
    /// Its sender wants it in nobody's compression table (RFC 7541 §6.2.3).
    pub never_indexed: bool,
    /// Its octets were judged as it was read, and are those of one field.
    pub(crate) is_judged: bool,
}

impl Field<'_> {
    /// Whether it stays one field on the wire: nothing else keeps a value from configuration from being two.
    pub(crate) fn is_writable(self) -> bool {
        let is_name = || !self.name.is_empty() && self.name.iter().all(|b| is_token_byte(*b));
        self.is_judged
            || !octets::has_control(self.value) && (self.known != Known::Other || is_name())
    }
}

impl Headers {
    /// Forgets all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.block.clear();
        self.entries.clear();
        self.names = Names::default();
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: Known) -> Option<&[u8]> {
        self.named(name)
            .find(|e| e.known == name)
            .map(|e| self.value_of(e))
    }

    /// The values of all fields of this name, in order.
    pub fn get_all(&self, name: Known) -> impl Iterator<Item = &[u8]> {
        self.named(name)
            .filter(move |e| e.known == name)
            .map(|e| self.value_of(e))
    }

    /// The values of all fields of a configured name, in order.
    pub fn find_all<'a>(&'a self, name: &'a FieldName) -> impl Iterator<Item = &'a [u8]> {
        self.named(name.known())
            .filter(|e| self.is_named(e, name))
            .map(|e| self.value_of(e))
    }

    /// Whether a field of a configured name is there.
    #[must_use]
    pub fn contains(&self, name: &FieldName) -> bool {
        self.named(name.known()).any(|e| self.is_named(e, name))
    }

    /// Removes every field of this name; says whether there was one.
    pub fn remove(&mut self, name: Known) -> bool {
        if !self.names.have(name) {
            return false;
        }
        self.names.remove(name);
        let Some(first) = self.entries.iter().position(|e| e.known == name) else {
            return false;
        };
        self.entries.remove(first);
        // Most names stand once.
        if self.entries[first..].iter().any(|e| e.known == name) {
            self.entries.retain(|e| e.known != name);
        }
        true
    }

    /// Whether there may be a field of one of these names.
    pub(crate) const fn may_have_any(&self, names: Names) -> bool {
        self.names.have_any(names)
    }

    /// Removes every field of a configured name; says whether there was one.
    pub fn remove_named(&mut self, name: &FieldName) -> bool {
        if !self.names.have(name.known()) {
            return false;
        }
        let before = self.entries.len();
        let block = &self.block;
        self.entries.retain(|e| !is_named(block, e, name));
        before != self.entries.len()
    }

    /// Removes every field that `doomed` names.
    pub fn remove_if(&mut self, mut doomed: impl FnMut(Field<'_>) -> bool) {
        let block = &self.block;
        self.entries.retain(|e| !doomed(view(block, e)));
    }

    /// Removes every field that `doomed` names, of those whose names begin with this.
    pub(crate) fn remove_if_begins(
        &mut self,
        with: &[u8; 8],
        mut doomed: impl FnMut(Field<'_>) -> bool,
    ) {
        let block = &self.block;
        // A shorter name has its colon among the first eight octets of its line.
        let begins = |e: &FieldLine| block[e.start as usize..].first_chunk() == Some(with);
        if self.entries.iter().any(begins) {
            self.entries
                .retain(|e| !begins(e) || !doomed(view(block, e)));
        }
    }

    /// Replaces all fields of this name by one; a field that stood there keeps the first one's place.
    pub fn set(&mut self, name: Known, value: &[u8]) {
        self.set_with(name, |block| block.extend_from_slice(value));
    }

    /// The same, with what `write` appends as the value.
    pub fn set_with(&mut self, name: Known, write: impl FnOnce(&mut Vec<u8>)) {
        let place = self.named(name).position(|e| e.known == name);
        self.remove(name);
        self.append_with(name, write);
        self.move_last_to(place);
    }

    /// Replaces all fields of a configured name by one; a field that stood there keeps the first one's place.
    pub fn set_named(&mut self, name: &FieldName, value: &[u8]) {
        let mut fields = self.named(name.known());
        let place = fields.position(|e| self.is_named(e, name));
        self.remove_named(name);
        // A configured name is 1 to 255 bytes long, and heads are bounded far below 4 GiB.
        let _ = self.append(name.as_str().as_bytes(), value);
        self.move_last_to(place);
    }

    /// Adds a field of a configured name at the end.
    pub fn append_named(&mut self, name: &FieldName, value: &[u8]) {
        // As in `set_named`.
        let _ = self.append(name.as_str().as_bytes(), value);
    }

    /// All fields in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        self.entries.iter().map(|e| view(&self.block, e))
    }

    /// Appends the lines of all fields but these, as HTTP/1 has them on the wire; one that could not stay one line is left out.
    /// Those that stand side by side are copied in one piece.
    pub(crate) fn put_lines(&self, without: Names, out: &mut BytesMut) {
        out.reserve(self.block.len());
        let (mut begins, mut ends) = (0, 0);
        for entry in &self.entries {
            let passes = !without.have(entry.known)
                && (entry.is_writable || view(&self.block, entry).is_writable());
            if !passes {
                continue;
            }
            let line = entry.line();
            if ends != line.start {
                out.extend_from_slice(&self.block[begins..ends]);
                begins = line.start;
            }
            ends = line.end;
        }
        out.extend_from_slice(&self.block[begins..ends]);
    }

    /// The fields among which those of a name are.
    fn named(&self, name: Known) -> core::slice::Iter<'_, FieldLine> {
        match self.names.have(name) {
            true => self.entries.iter(),
            false => [].iter(),
        }
    }

    fn move_last_to(&mut self, place: Option<usize>) {
        if let Some(place) = place {
            self.entries[place..].rotate_right(1);
        }
    }

    fn value_of(&self, entry: &FieldLine) -> &[u8] {
        view(&self.block, entry).value
    }

    fn is_named(&self, entry: &FieldLine, name: &FieldName) -> bool {
        is_named(&self.block, entry, name)
    }
}

fn view<'a>(block: &'a [u8], e: &FieldLine) -> Field<'a> {
    Field {
        known: e.known,
        name: &block[e.name()],
        value: &block[e.value()],
        never_indexed: e.never_indexed,
        is_judged: e.is_writable,
    }
}

fn is_named(block: &[u8], entry: &FieldLine, name: &FieldName) -> bool {
    match (entry.known, name.known()) {
        (Known::Other, Known::Other) => view(block, entry).name == name.as_str().as_bytes(),
        (a, b) => a == b,
    }
}

/// Equal when the same fields stand in the same order, wherever they lie in their blocks, and whatever their senders think of
/// compression tables.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(a, b): (Field<'_>, Field<'_>)| a.name == b.name && a.value == b.value;
        self.len() == other.len() && self.iter().zip(other.iter()).all(is_same)
    }
}

impl Eq for Headers {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(h: &Headers) -> Vec<(String, String)> {
        h.iter()
            .map(|f| {
                (
                    String::from_utf8_lossy(f.name).into(),
                    String::from_utf8_lossy(f.value).into(),
                )
            })
            .collect()
    }

    fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
        items
            .iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect()
    }

    #[test]
    fn order_case_and_duplicates_are_kept() {
        let mut h = Headers::default();
        for (n, v) in [("X-A", "1"), ("Host", "h"), ("x-a", "2")] {
            h.append(n.as_bytes(), v.as_bytes()).unwrap();
        }
        assert_eq!(
            list(&h),
            pairs(&[("x-a", "1"), ("host", "h"), ("x-a", "2")])
        );
        assert_eq!(h.get(Known::Host), Some(&b"h"[..]));
        let a = FieldName::new("X-A").unwrap();
        assert_eq!(h.find_all(&a).collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn set_keeps_the_place_and_removes_the_rest() {
        let mut h = Headers::default();
        for (n, v) in [("x-a", "1"), ("x-b", "2"), ("x-a", "3")] {
            h.append(n.as_bytes(), v.as_bytes()).unwrap();
        }
        h.set_named(&FieldName::new("x-a").unwrap(), b"9");
        assert_eq!(list(&h), pairs(&[("x-a", "9"), ("x-b", "2")]));
        h.set(Known::XRequestId, b"id");
        assert!(h.remove(Known::XRequestId) && !h.remove(Known::XRequestId));
        assert_eq!(h.append(b"", b"v"), Err(InsertError::NameLength));
    }

    const NAMES: [&str; 5] = ["te", "host", "X-Mine", "server", "x-Other"];

    /// A list without an index: what is done by name is done to each field of it.
    fn plainly(fields: &mut Vec<(String, String)>, act: u8, name: &str, value: &str) {
        let (name, field) = (name.to_lowercase(), (name.to_lowercase(), value.to_owned()));
        match act {
            0 => fields.push(field),
            1 => fields.retain(|(other, _)| *other != name),
            2 => fields.retain(|(other, _)| other.len() != name.len()),
            3 => fields.clear(),
            _ => {
                let place = fields.iter().position(|(other, _)| *other == name);
                fields.retain(|(other, _)| *other != name);
                fields.insert(place.unwrap_or(fields.len()), field);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_done_by_name_is_as_in_a_plain_list(
            acts in prop::collection::vec((0u8..6, 0..NAMES.len(), "[a-z]{0,3}"), 0..40),
        ) {
            let (mut h, mut plain) = (Headers::default(), Vec::new());
            for (act, name, value) in acts {
                let name = FieldName::new(NAMES[name]).unwrap();
                plainly(&mut plain, act, name.as_str(), &value);
                match (act, name.known()) {
                    (0, _) => h.append(name.as_str().as_bytes(), value.as_bytes()).unwrap(),
                    (1, Known::Other) => drop(h.remove_named(&name)),
                    (1, known) => drop(h.remove(known)),
                    (2, _) => h.remove_if(|field| field.name.len() == name.as_str().len()),
                    (3, _) => h.clear(),
                    (4, known) if known != Known::Other => h.set(known, value.as_bytes()),
                    (..) => h.set_named(&name, value.as_bytes()),
                }
                prop_assert_eq!(list(&h), plain.clone());
                for name in NAMES.map(|name| FieldName::new(name).unwrap()) {
                    let of_name = || plain.iter().filter(|(other, _)| other == name.as_str());
                    let values: Vec<_> = of_name().map(|(_, value)| value.as_bytes()).collect();
                    prop_assert_eq!(h.contains(&name), !values.is_empty());
                    prop_assert_eq!(h.find_all(&name).collect::<Vec<_>>(), values.clone());
                    if name.known() != Known::Other {
                        prop_assert_eq!(h.get(name.known()), values.first().copied());
                        prop_assert_eq!(h.get_all(name.known()).collect::<Vec<_>>(), values);
                    }
                }
            }
        }
    }
}
