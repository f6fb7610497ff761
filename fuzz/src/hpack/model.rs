//! RFC 7541 read slowly, with nothing in it but what the text says: strings bit by bit by appendix B as it stands there,
//! the dynamic table as a list.

use std::collections::BTreeMap;
use std::rc::Rc;

/// Appendix A: a line for each entry, name and value.
const APPENDIX_A: &str = include_str!("appendix_a.txt");

/// Appendix B: a line for each symbol, its code in hexadecimal and the length of that in bits.
const APPENDIX_B: &str = include_str!("appendix_b.txt");

/// A field as a block tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
    pub never_indexed: bool,
}

/// A block that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The state of a decoder.
#[derive(Clone, Debug)]
pub struct Model {
    fixed: Rc<[(Vec<u8>, Vec<u8>)]>,
    /// By code and length.
    symbols: Rc<BTreeMap<(u32, u32), usize>>,
    /// Newest first.
    table: Vec<(Vec<u8>, Vec<u8>)>,
    max_size: u64,
    limit: u64,
}

impl Model {
    /// A model whose table may grow to `limit` bytes; it has 4096 until it is told.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let fixed = APPENDIX_A.lines().map(|line| {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            (name.as_bytes().to_vec(), value.as_bytes().to_vec())
        });
        let symbols = APPENDIX_B.lines().map(|line| {
            let mut words = line.split(' ');
            let mut word = |radix| u32::from_str_radix(words.next().unwrap_or_default(), radix);
            match (word(10), word(16), word(10)) {
                (Ok(symbol), Ok(code), Ok(length)) => ((code, length), symbol as usize),
                (..) => unreachable!("the file is well formed"),
            }
        });
        Self {
            fixed: fixed.collect(),
            symbols: Rc::new(symbols.collect()),
            table: Vec::new(),
            max_size: 4096,
            limit,
        }
    }

    /// The fields of a block, and of one that cannot be read those before the fault.
    pub fn decode(&mut self, mut block: &[u8]) -> (Vec<Field>, Result<(), Unreadable>) {
        let mut fields = Vec::new();
        let mut end = Ok(());
        while !block.is_empty() && end.is_ok() {
            end = self.step(&mut block, &mut fields);
        }
        (fields, end)
    }

    /// One representation (§6).
    fn step(&mut self, block: &mut &[u8], fields: &mut Vec<Field>) -> Result<(), Unreadable> {
        let first = block[0];
        if first >= 0b1000_0000 {
            let index = integer(block, 7)?;
            let (name, value) = self.entry(index)?;
            fields.push(Field {
                name,
                value,
                never_indexed: false,
            });
        } else if first >= 0b0100_0000 {
            let field = self.literal(block, 6)?;
            self.table
                .insert(0, (field.name.clone(), field.value.clone()));
            self.evict();
            fields.push(field);
        } else if first >= 0b0010_0000 {
            let size = integer(block, 5)?;
            if size > self.limit || !fields.is_empty() {
                return Err(Unreadable);
            }
            self.max_size = size;
            self.evict();
        } else {
            let mut field = self.literal(block, 4)?;
            field.never_indexed = first >= 0b0001_0000;
            fields.push(field);
        }
        Ok(())
    }

    fn literal(&self, block: &mut &[u8], bits: u32) -> Result<Field, Unreadable> {
        let index = integer(block, bits)?;
        let name = if index == 0 {
            self.string(block)?
        } else {
            self.entry(index)?.0
        };
        Ok(Field {
            name,
            value: self.string(block)?,
            never_indexed: false,
        })
    }

    /// §2.3.3.
    fn entry(&self, index: u64) -> Result<(Vec<u8>, Vec<u8>), Unreadable> {
        let all = self.fixed.iter().chain(&self.table);
        let at = index.checked_sub(1).ok_or(Unreadable)?;
        let mut rest = all.skip(usize::try_from(at).map_err(|_| Unreadable)?);
        rest.next().cloned().ok_or(Unreadable)
    }

    /// §4.1 and §4.4, with the same end: an entry that is too large drives out all, then itself.
    fn evict(&mut self) {
        let size = |table: &[(Vec<u8>, Vec<u8>)]| {
            let sizes = table
                .iter()
                .map(|(name, value)| name.len() + value.len() + 32);
            sizes.sum::<usize>() as u64
        };
        while size(&self.table) > self.max_size {
            self.table.pop();
        }
    }

    /// §5.2.
    fn string(&self, block: &mut &[u8]) -> Result<Vec<u8>, Unreadable> {
        let is_coded = block.first().is_some_and(|octet| *octet >= 0x80);
        let length = usize::try_from(integer(block, 7)?).map_err(|_| Unreadable)?;
        if length > block.len() {
            return Err(Unreadable);
        }
        let (text, rest) = block.split_at(length);
        *block = rest;
        if !is_coded {
            return Ok(text.to_vec());
        }
        let (mut plain, mut code, mut bits) = (Vec::new(), 0u32, 0);
        for octet in text {
            for bit in (0..8).rev() {
                code = (code << 1) | u32::from((octet >> bit) & 1);
                bits += 1;
                if let Some(symbol) = self.symbols.get(&(code, bits)) {
                    plain.push(u8::try_from(*symbol).map_err(|_| Unreadable)?);
                    (code, bits) = (0, 0);
                }
            }
        }
        let is_padding = bits < 8 && code == (1 << bits) - 1;
        is_padding.then_some(plain).ok_or(Unreadable)
    }
}

/// §5.1, as far as 32 bits go, and five octets behind the prefix.
fn integer(block: &mut &[u8], bits: u32) -> Result<u64, Unreadable> {
    let mut next = || {
        let (octet, rest) = block.split_first().ok_or(Unreadable)?;
        *block = rest;
        Ok(u64::from(*octet))
    };
    let most = (1 << bits) - 1;
    let mut value = next()? & most;
    if value == most {
        for place in 0.. {
            let octet = next()?;
            value += (octet & 127) << (7 * place);
            if octet < 128 {
                break;
            }
            if place == 4 {
                return Err(Unreadable);
            }
        }
    }
    if value > u64::from(u32::MAX) {
        return Err(Unreadable);
    }
    Ok(value)
}
