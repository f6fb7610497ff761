//! Header blocks of HTTP/2, read and written plainly: no code of core's is used, so that what a sidecar compresses is read by
//! somebody else.
//!
//! What is written is never compressed and never kept (RFC 7541 §6.2.2): that is all a peer needs.

use std::collections::VecDeque;

/// A field.
pub(crate) type Field = (String, String);

/// What both sides know from the start (RFC 7541 appendix A), a field a line.
const KNOWN: &str = "\
    :authority\n\
    :method = GET\n\
    :method = POST\n\
    :path = /\n\
    :path = /index.html\n\
    :scheme = http\n\
    :scheme = https\n\
    :status = 200\n\
    :status = 204\n\
    :status = 206\n\
    :status = 304\n\
    :status = 400\n\
    :status = 404\n\
    :status = 500\n\
    accept-charset\n\
    accept-encoding = gzip, deflate\n\
    accept-language\n\
    accept-ranges\n\
    accept\n\
    access-control-allow-origin\n\
    age\n\
    allow\n\
    authorization\n\
    cache-control\n\
    content-disposition\n\
    content-encoding\n\
    content-language\n\
    content-length\n\
    content-location\n\
    content-range\n\
    content-type\n\
    cookie\n\
    date\n\
    etag\n\
    expect\n\
    expires\n\
    from\n\
    host\n\
    if-match\n\
    if-modified-since\n\
    if-none-match\n\
    if-range\n\
    if-unmodified-since\n\
    last-modified\n\
    link\n\
    location\n\
    max-forwards\n\
    proxy-authenticate\n\
    proxy-authorization\n\
    range\n\
    referer\n\
    refresh\n\
    retry-after\n\
    server\n\
    set-cookie\n\
    strict-transport-security\n\
    transfer-encoding\n\
    user-agent\n\
    vary\n\
    via\n\
    www-authenticate\n\
";

/// The symbols whose codes have so many bits, in the order of their codes (RFC 7541 appendix B).
#[rustfmt::skip]
const CODE: [(u32, &[u16]); 21] = [
    (5, &[48, 49, 50, 97, 99, 101, 105, 111, 115, 116]),
    (6, &[
        32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110,
        112, 114, 117
    ]),
    (7, &[
        58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106,
        107, 113, 118, 119, 120, 121, 122
    ]),
    (8, &[38, 42, 44, 59, 88, 90]),
    (10, &[33, 34, 40, 41, 63]),
    (11, &[39, 43, 124]),
    (12, &[35, 62]),
    (13, &[0, 36, 64, 91, 93, 126]),
    (14, &[94, 125]),
    (15, &[60, 96, 123]),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (21, &[153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
    (22, &[
        129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189,
        190, 196, 198, 228, 232, 233
    ]),
    (23, &[
        1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174,
        175, 180, 182, 183, 188, 191, 197, 231, 239
    ]),
    (24, &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]),
    (25, &[199, 207, 234, 235]),
    (26, &[192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
    (27, &[203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]),
    (28, &[
        2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31,
        127, 220, 249
    ]),
    (30, &[10, 13, 22, 256]),
];

/// What a table has room for until something else is said (RFC 9113 §6.5.2).
pub(crate) const FIRST_SIZE: usize = 4096;

/// Reads the header blocks of one side.
#[derive(Debug)]
pub(crate) struct Decoder {
    kept: VecDeque<Field>,
    size: usize,
    most: usize,
    /// What we allow.
    allowed: usize,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self {
            kept: VecDeque::new(),
            size: 0,
            most: FIRST_SIZE,
            allowed: FIRST_SIZE,
        }
    }

    /// The other side has agreed to this size. Where its table may be larger, its next block says otherwise.
    pub(crate) const fn allow(&mut self, size: usize) {
        self.allowed = size;
    }

    /// Reads a whole block.
    pub(crate) fn read(&mut self, block: &[u8]) -> Result<Vec<Field>, String> {
        let mut rest = block;
        let mut fields = Vec::new();
        while let Some(first) = rest.first().copied() {
            if first & 0xe0 == 0x20 {
                let size = integer(&mut rest, 5)?;
                if !fields.is_empty() || size > self.allowed {
                    return Err(format!("a table of {size} after {} fields", fields.len()));
                }
                self.most = size;
                self.shrink(0);
                continue;
            }
            if self.most > self.allowed {
                return Err(format!("the table stays larger than {}", self.allowed));
            }
            if first & 0x80 != 0 {
                let at = integer(&mut rest, 7)?;
                fields.push(self.get(at)?);
                continue;
            }
            let is_kept = first & 0x40 != 0;
            let at = integer(&mut rest, if is_kept { 6 } else { 4 })?;
            let name = match at {
                0 => text(&mut rest)?,
                at => self.get(at)?.0,
            };
            let field = (name, text(&mut rest)?);
            if is_kept {
                self.keep(field.clone());
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn get(&self, at: usize) -> Result<Field, String> {
        let found = match at {
            0 => None,
            1..=61 => KNOWN.lines().nth(at - 1).map(|line| {
                let (name, value) = line.split_once(" = ").unwrap_or((line, ""));
                (name.to_owned(), value.to_owned())
            }),
            at => self.kept.get(at - 62).cloned(),
        };
        found.ok_or_else(|| format!("no field has the index {at}"))
    }

    fn keep(&mut self, field: Field) {
        let size = field.0.len() + field.1.len() + 32;
        self.shrink(size);
        if size <= self.most {
            self.size += size;
            self.kept.push_front(field);
        }
    }

    /// Makes room for so much.
    fn shrink(&mut self, needed: usize) {
        while self.size + needed > self.most {
            let Some((name, value)) = self.kept.pop_back() else {
                return;
            };
            self.size -= name.len() + value.len() + 32;
        }
    }
}

/// RFC 7541 §5.1.
fn integer(rest: &mut &[u8], bits: u32) -> Result<usize, String> {
    let most = (1 << bits) - 1;
    let mut value = usize::from(octet(rest)?) & most;
    if value < most {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let next = usize::from(octet(rest)?);
        value += (next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number that does not end".to_owned())
}

fn octet(rest: &mut &[u8]) -> Result<u8, String> {
    let (first, others) = rest.split_first().ok_or("a block that is cut")?;
    *rest = others;
    Ok(*first)
}

/// RFC 7541 §5.2.
fn text(rest: &mut &[u8]) -> Result<String, String> {
    let is_coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (own, others) = rest.split_at_checked(length).ok_or("a text that is cut")?;
    *rest = others;
    let bytes = if is_coded {
        decoded(own)?
    } else {
        own.to_vec()
    };
    Ok(bytes.iter().map(|byte| char::from(*byte)).collect())
}

/// Bit by bit: of each length, the codes follow each other, and go on where the shorter ones ended.
fn decoded(coded: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let (mut code, mut length) = (0_u32, 0_u32);
    let bits = coded
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    for bit in bits {
        code = code << 1 | u32::from(bit);
        length += 1;
        if let Some(symbol) = symbol(code, length) {
            let symbol = u8::try_from(symbol).map_err(|_| "the end of a text within it")?;
            out.push(symbol);
            (code, length) = (0, 0);
        }
    }
    // What fills the last octet is the beginning of the longest code: ones.
    if length > 7 || code != (1 << length) - 1 {
        return Err(format!("{code:b} after a text"));
    }
    Ok(out)
}

fn symbol(code: u32, length: u32) -> Option<u16> {
    let (mut first, mut before) = (0_u32, 0);
    for (bits, symbols) in CODE {
        first <<= bits - before;
        before = bits;
        let count = symbols.len() as u32;
        if bits == length {
            let at = code.checked_sub(first).filter(|at| *at < count)?;
            return symbols.get(at as usize).copied();
        }
        first += count;
    }
    None
}

/// Writes fields, as they are.
pub(crate) fn write(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            push_integer(text.len(), &mut block);
            block.extend(text.chars().map(|c| c as u8));
        }
    }
    block
}

fn push_integer(number: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = number.checked_sub(127) else {
        return block.push(number as u8);
    };
    block.push(127);
    while rest >= 128 {
        block.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// RFC 7541 appendix C.4 and C.6, and what is written is read.
#[test]
fn blocks_are_read() {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits
            .chunks(2)
            .map(|pair| (pair[0] * 16 + pair[1]) as u8)
            .collect()
    };
    let mut decoder = Decoder::new();
    for (block, want) in [
        (
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "/ www.example.com",
        ),
        (
            "8286 84be 5886 a8eb 1064 9cbf",
            "/ www.example.com no-cache",
        ),
        (
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            "/index.html www.example.com custom-value",
        ),
    ] {
        let fields = decoder.read(&hex(block)).unwrap();
        let values: Vec<&str> = fields[2..].iter().map(|(_, value)| &**value).collect();
        assert_eq!(values.join(" "), want);
    }
    decoder.allow(0);
    assert!(decoder.read(&[0x82]).unwrap_err().contains("stays larger"));
    assert_eq!(decoder.read(&[0x20, 0x82]).unwrap()[0].1, "GET");
    assert!(decoder.read(&[0xbe]).is_err(), "nothing is kept any more");
    let long = vec![
        ("a".to_owned(), "b".repeat(300)),
        ("c".to_owned(), String::new()),
    ];
    assert_eq!(decoder.read(&write(&long)).unwrap(), long);
    assert!(decoded(&[0xff, 0xff, 0xff, 0xff]).is_err());
}
