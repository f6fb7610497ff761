//! How fields come into the block: as they were read, in one piece or one by one, and as the proxy adds them.

use super::super::name::{Known, LineBegins};
use super::super::octets;
use super::{COLON, END, Field, FieldLine, Headers, InsertError};

impl Headers {
    /// Adds a field at the end; the name may be in any case. The caller has checked that name and value are legal.
    pub fn append(&mut self, name: &[u8], value: &[u8]) -> Result<(), InsertError> {
        let start = self.block.len();
        self.block
            .reserve(name.len() + value.len() + COLON.len() + END.len());
        self.block.extend_from_slice(name);
        let name = &mut self.block[start..];
        octets::make_lower(name);
        let known = Known::of(name);
        let added = self.finish_entry(known, start, value);
        if added.is_err() {
            self.block.truncate(start);
        }
        added
    }

    /// Adds a field whose name is in lower case and has been looked up.
    pub(crate) fn append_read(&mut self, field: Field<'_>) -> Result<(), InsertError> {
        let start = self.block.len();
        self.block.extend_from_slice(field.name);
        let added = self.finish_entry(field.known, start, field.value);
        match self.entries.last_mut() {
            Some(last) if added.is_ok() => {
                (last.never_indexed, last.is_writable) = (field.never_indexed, field.is_judged);
            }
            Some(_) | None => self.block.truncate(start),
        }
        added
    }

    /// Adds fields whose lines stand one behind the other in `section`, each as it would be written, but that its name may be
    /// in any case: how long their names and values are. The caller has checked that they are legal.
    pub(crate) fn append_lines(
        &mut self,
        section: &[u8],
        fields: &[(u16, u32)],
    ) -> Result<(), InsertError> {
        let begins = self.block.len();
        let end = begins + section.len();
        if u32::try_from(end).is_err() {
            return Err(InsertError::Full);
        }
        self.block.extend_from_slice(section);
        self.entries.reserve(fields.len());
        let mut rest = &mut self.block[begins..];
        let mut names = self.names;
        let entries = fields.iter().map(|(name_len, value_len)| {
            let length = usize::from(*name_len) + COLON.len() + *value_len as usize + END.len();
            let start = (end - rest.len()) as u32;
            let (line, behind) = core::mem::take(&mut rest).split_at_mut(length);
            rest = behind;
            let name = &mut line[..usize::from(*name_len)];
            octets::make_lower(name);
            let known = Known::of(name);
            names.insert(known);
            FieldLine {
                known,
                never_indexed: false,
                is_writable: true,
                name_len: *name_len,
                start,
                value_len: *value_len,
            }
        });
        self.entries.extend(entries);
        self.names = names;
        Ok(())
    }

    /// Adds a field whose name the proxy knows.
    pub fn append_known(&mut self, known: Known, value: &[u8]) {
        self.append_with(known, |block| block.extend_from_slice(value));
    }

    /// Adds a field whose name the proxy knows, and whose value is what `write` appends.
    pub fn append_with(&mut self, known: Known, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.block.len();
        self.begin_line(known.begins_line());
        let split = self.block.len();
        write(&mut self.block);
        let value_len = self.block.len() - split;
        self.block.extend_from_slice(END);
        // Known names are 2 to 32 bytes, and heads are bounded far below 4 GiB, so neither error can happen.
        let _ = self.push_entry(known, start, known.as_str().len(), value_len, false);
    }

    /// Adds a field whose value is ours, and so needs no look at its octets when it is written.
    pub(crate) fn append_own(&mut self, known: Known, value: &[u8]) {
        debug_assert!(!octets::has_control(value), "it is one of ours");
        let (start, begins) = (self.block.len(), known.begins_line());
        self.block.reserve(begins.0.len() + value.len() + END.len());
        let name_len = self.begin_line(begins);
        self.block.extend_from_slice(value);
        self.block.extend_from_slice(END);
        // As in `append_with`.
        let _ = self.push_entry(known, start, name_len, value.len(), true);
    }

    /// Appends how a line begins. How long the name is.
    fn begin_line(&mut self, (text, length): &LineBegins) -> usize {
        let (start, length) = (self.block.len(), usize::from(*length));
        self.block.extend_from_slice(text);
        self.block.truncate(start + length);
        length.saturating_sub(COLON.len())
    }

    /// Replaces all fields of this name by one whose value is ours; a field that stood there keeps the first one's place.
    pub(crate) fn set_own(&mut self, known: Known, value: &[u8]) {
        if !self.names.have(known) {
            return self.append_own(known, value);
        }
        let place = self.entries.iter().position(|e| e.known == known);
        self.remove(known);
        self.append_own(known, value);
        self.move_last_to(place);
    }

    /// Adds the value and the entry of a field whose name stands in the block from `start` on.
    fn finish_entry(
        &mut self,
        known: Known,
        start: usize,
        value: &[u8],
    ) -> Result<(), InsertError> {
        let name_len = self.block.len() - start;
        self.block.extend_from_slice(COLON);
        self.block.extend_from_slice(value);
        self.block.extend_from_slice(END);
        self.push_entry(known, start, name_len, value.len(), false)
    }

    /// Adds the entry of a field whose line stands in the block from `start` on.
    fn push_entry(
        &mut self,
        known: Known,
        start: usize,
        name_len: usize,
        value_len: usize,
        is_writable: bool,
    ) -> Result<(), InsertError> {
        let name_len = u16::try_from(name_len)
            .ok()
            .filter(|n| *n > 0)
            .ok_or(InsertError::NameLength)?;
        let start = u32::try_from(start).map_err(|_| InsertError::Full)?;
        let value_len = u32::try_from(value_len).map_err(|_| InsertError::Full)?;
        self.names.insert(known);
        self.entries.push(FieldLine {
            known,
            never_indexed: false,
            is_writable,
            name_len,
            start,
            value_len,
        });
        Ok(())
    }
}
