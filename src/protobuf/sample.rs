//! Data of any message, made up from a number: for the tests, not by any code that is tested.

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};

/// Bytes put together by hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn varint(mut self, mut value: u64) -> Self {
        while value > 0x7f {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
        self
    }

    pub(super) fn tag(self, number: u32, wire: u8) -> Self {
        self.varint(u64::from(number) << 3 | u64::from(wire))
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn sized(self, bytes: &[u8]) -> Self {
        self.varint(u64::try_from(bytes.len()).unwrap()).raw(bytes)
    }

    /// A varint with more bytes than it needs.
    fn padded(mut self, value: u64, padding: u64) -> Self {
        self = self.varint(value);
        for _ in 0..padding {
            *self.0.last_mut().unwrap() |= 0x80;
            self.0.push(0);
        }
        self
    }
}

/// Numbers that follow from the first.
#[derive(Debug)]
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }

    fn bits(&mut self) -> u64 {
        let bits = u32::try_from(self.below(65)).unwrap();
        let high = self.below(1 << 32) << 32;
        (high | self.below(1 << 32)).checked_shr(bits).unwrap_or(0)
    }
}

/// A datum of `message`.
pub(super) fn datum(message: &MessageDescriptor, numbers: &mut Numbers, depth: u32) -> Vec<u8> {
    let mut parts = Vec::new();
    for field in message.fields() {
        let many = field.cardinality() == Cardinality::Repeated;
        let deep = depth > 4 && matches!(field.kind(), Kind::Message(_));
        // Without a value, an entry has a default one, which may lack a required field.
        let entry_of = message.is_map_entry() && matches!(field.kind(), Kind::Message(_));
        let count = match field.cardinality() {
            Cardinality::Required => 1,
            _ if entry_of => 1,
            _ if deep => 0,
            Cardinality::Optional => u64::from(numbers.below(3) > 0) + numbers.below(12) / 11,
            Cardinality::Repeated => numbers.below(4),
        };
        let kind = field.kind();
        let wire = wire_type(&kind, field.is_group());
        if many && wire != 2 && wire != 3 && numbers.below(2) == 0 {
            let values = (0..count).map(|_| value(&field, &kind, numbers, depth).0);
            let values = values.collect::<Vec<_>>().concat();
            parts.push(Bytes::default().tag(field.number(), 2).sized(&values));
            continue;
        }
        for _ in 0..count {
            let value = value(&field, &kind, numbers, depth);
            parts.push(Bytes::default().tag(field.number(), wire).raw(&value.0));
        }
    }
    // Fields come in any order.
    for _ in 0..numbers.below(3) * u64::try_from(parts.len()).unwrap() {
        let length = u64::try_from(parts.len()).unwrap();
        let (one, two) = (numbers.below(length), numbers.below(length));
        parts.swap(usize::try_from(one).unwrap(), usize::try_from(two).unwrap());
    }
    parts.into_iter().flat_map(|part| part.0).collect()
}

fn wire_type(kind: &Kind, group: bool) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Message(_) if group => 3,
        Kind::Bytes | Kind::Message(_) | Kind::String => 2,
        Kind::Fixed32 | Kind::Float | Kind::Sfixed32 => 5,
        _ => 0,
    }
}

fn value(field: &FieldDescriptor, kind: &Kind, numbers: &mut Numbers, depth: u32) -> Bytes {
    let empty = Bytes::default();
    let padding = if numbers.below(8) == 0 { numbers.below(2) } else { 0 };
    match kind {
        Kind::Bool => empty.padded(numbers.below(2), padding),
        Kind::Bytes => {
            let length = numbers.below(40);
            let bytes: Vec<u8> =
                (0..length).map(|_| u8::try_from(numbers.below(256)).unwrap()).collect();
            empty.sized(&bytes)
        }
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => empty.raw(&numbers.bits().to_le_bytes()),
        Kind::Enum(it) => {
            let index = numbers.below(u64::try_from(it.values().len()).unwrap());
            let value = it.values().nth(usize::try_from(index).unwrap()).unwrap();
            empty.varint(i64::from(value.number()).cast_unsigned())
        }
        Kind::Fixed32 | Kind::Float | Kind::Sfixed32 => {
            empty.raw(&numbers.bits().to_le_bytes()[..4])
        }
        Kind::Int32 => {
            let value = numbers.bits().cast_signed() >> 32;
            empty.varint(value.cast_unsigned())
        }
        Kind::Int64 | Kind::Sint64 | Kind::Uint64 => empty.varint(numbers.bits()),
        Kind::Message(message) => {
            let inner = datum(message, numbers, depth + 1);
            if field.is_group() {
                return empty.raw(&inner).tag(field.number(), 4);
            }
            empty.sized(&inner)
        }
        Kind::Sint32 | Kind::Uint32 => empty.padded(numbers.bits() >> 32, padding),
        Kind::String => {
            let length = numbers.below(30);
            let alphabet = ['a', 'Z', ' ', 'é', '€', '𝄞', '\0'];
            let text: String =
                (0..length).map(|_| alphabet[usize::try_from(numbers.below(7)).unwrap()]).collect();
            empty.sized(text.as_bytes())
        }
    }
}
