//! What a message consists of: a row for each field, with its number and the name that documents have for it.

/// A type of message.
#[derive(Debug)]
pub(super) struct Message {
    /// For people: as its interface calls it, without the package.
    pub(super) name: &'static str,
    fields: &'static [Field],
}

/// One of its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// As documents write it.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// There may be many of it.
    pub(super) is_list: bool,
}

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Bytes,
    Flag,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Double,
    /// One of these, or a number that has no name yet.
    Symbol(Symbols),
    Duration,
    /// A `google.protobuf.Struct`: any document.
    Free,
    Message(&'static Message),
    /// A scalar in a message of its own, so that it can be absent (`google.protobuf.BoolValue` and its like): documents have it
    /// bare.
    Wrapped(&'static Self),
    /// From keys of the first kind, which is text or a number, to the second.
    Map(&'static Self, &'static Self),
}

/// The numbers of an enum, and what documents call them.
pub(super) type Symbols = &'static [(i32, &'static str)];

impl Message {
    pub(super) const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        Self { name, fields }
    }

    pub(super) fn field(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

impl Field {
    /// There may be many of it.
    pub(super) const fn list(self) -> Self {
        Self {
            is_list: true,
            ..self
        }
    }

    /// In a message of its own.
    pub(super) const fn wrapped(self) -> Self {
        let kind = match self.kind {
            Kind::Flag => Kind::Wrapped(&Kind::Flag),
            Kind::Int32 => Kind::Wrapped(&Kind::Int32),
            Kind::Uint32 => Kind::Wrapped(&Kind::Uint32),
            Kind::Int64 => Kind::Wrapped(&Kind::Int64),
            Kind::Uint64 => Kind::Wrapped(&Kind::Uint64),
            Kind::Double => Kind::Wrapped(&Kind::Double),
            other => other,
        };
        Self { kind, ..self }
    }
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        is_list: false,
    }
}

pub(super) const fn text(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Text)
}

pub(super) const fn bytes(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Bytes)
}

pub(super) const fn flag(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Flag)
}

pub(super) const fn int32(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Int32)
}

pub(super) const fn uint32(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Uint32)
}

pub(super) const fn int64(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Int64)
}

pub(super) const fn uint64(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Uint64)
}

pub(super) const fn double(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Double)
}

pub(super) const fn symbol(number: u32, name: &'static str, symbols: Symbols) -> Field {
    field(number, name, Kind::Symbol(symbols))
}

pub(super) const fn duration(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Duration)
}

pub(super) const fn free(number: u32, name: &'static str) -> Field {
    field(number, name, Kind::Free)
}

pub(super) const fn message(number: u32, name: &'static str, of: &'static Message) -> Field {
    field(number, name, Kind::Message(of))
}

/// Whose keys are text.
pub(super) const fn map(number: u32, name: &'static str, of: &'static Kind) -> Field {
    field(number, name, Kind::Map(&Kind::Text, of))
}

/// Whose keys are numbers, such as ports.
pub(super) const fn numbered(number: u32, name: &'static str, of: &'static Kind) -> Field {
    field(number, name, Kind::Map(&Kind::Uint32, of))
}
