//! Orders of a shop as producers send them, about as long as is asked for, in each encoding.

use clap::ValueEnum;
use rdkafka::message::{Header, OwnedHeaders};

/// How a value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Avro's binary encoding.
    Avro,
    /// Avro's JSON encoding: unions are tagged.
    AvroJson,
    /// JSON that a JSON Schema describes.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Avro => "avro",
            Self::AvroJson => "avro-json",
            Self::Json => "application/json",
            Self::Protobuf => "protobuf",
        }
    }

    /// What a record says of its value.
    pub(crate) fn headers(self, schema_id: &str) -> OwnedHeaders {
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new_with_capacity(2);
        headers
            .insert(header("content-type", self.content_type()))
            .insert(header("schema-id", schema_id))
    }

    /// Different values of nearly `size` bytes each: as many lines as fit, and a note that fills what is left.
    pub(crate) fn values(self, size: usize, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| Order::of(self, size, number).encode(self)).collect()
    }

    /// A value that its schema does not accept.
    pub(crate) fn broken(self, size: usize) -> Vec<u8> {
        let mut value = Order::of(self, size, 0).encode(self);
        match self {
            Self::Avro | Self::Protobuf => value.push(0xff),
            Self::AvroJson | Self::Json => {
                value = String::from_utf8_lossy(&value).replace("\"id\":", "\"number\":").into();
            }
        }
        value
    }
}

struct Order {
    id: usize,
    customer: String,
    placed: usize,
    note: String,
    lines: Vec<Line>,
}

struct Line {
    sku: String,
    count: usize,
    /// In quarters, which every encoding writes exactly.
    price: f64,
}

impl Order {
    fn of(format: Format, size: usize, number: usize) -> Self {
        let mut order = Self {
            id: 1_000_000 + number,
            customer: format!("customer-{:04}", number * 7 % 10_000),
            placed: 1_767_225_600_000 + number * 1_013,
            note: String::new(),
            lines: Vec::new(),
        };
        loop {
            order.lines.push(Line::of(number, order.lines.len()));
            if order.encode(format).len() > size {
                order.lines.pop();
                break;
            }
        }
        let short = size.saturating_sub(order.encode(format).len());
        let words = "leave it at the door or with the neighbours, and ring twice; ";
        order.note = words.chars().cycle().take(short).collect();
        order
    }

    fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Avro => self.avro(),
            Format::AvroJson => self.json(&format!("{{\"string\":\"{}\"}}", self.note)),
            Format::Json => self.json(&format!("\"{}\"", self.note)),
            Format::Protobuf => self.protobuf(),
        }
    }

    fn avro(&self) -> Vec<u8> {
        let mut out = Vec::new();
        zigzag(&mut out, self.id);
        avro_text(&mut out, &self.customer);
        zigzag(&mut out, self.placed);
        zigzag(&mut out, 1);
        avro_text(&mut out, &self.note);
        if !self.lines.is_empty() {
            zigzag(&mut out, self.lines.len());
        }
        for line in &self.lines {
            avro_text(&mut out, &line.sku);
            zigzag(&mut out, line.count);
            out.extend(line.price.to_le_bytes());
        }
        zigzag(&mut out, 0);
        out
    }

    fn json(&self, note: &str) -> Vec<u8> {
        let line = |line: &Line| {
            let Line { sku, count, price } = line;
            format!("{{\"sku\":\"{sku}\",\"count\":{count},\"price\":{price}}}")
        };
        let lines: Vec<_> = self.lines.iter().map(line).collect();
        let Self { id, customer, placed, .. } = self;
        let lines = lines.join(",");
        format!("{{\"id\":{id},\"customer\":\"{customer}\",\"placed\":{placed},\"note\":{note},\"lines\":[{lines}]}}")
            .into_bytes()
    }

    fn protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        protobuf_number(&mut out, 1, self.id);
        protobuf_bytes(&mut out, 2, self.customer.as_bytes());
        protobuf_number(&mut out, 3, self.placed);
        protobuf_bytes(&mut out, 4, self.note.as_bytes());
        for line in &self.lines {
            let mut inner = Vec::new();
            protobuf_bytes(&mut inner, 1, line.sku.as_bytes());
            protobuf_number(&mut inner, 2, line.count);
            inner.push(3 << 3 | 1);
            inner.extend(line.price.to_le_bytes());
            protobuf_bytes(&mut out, 5, &inner);
        }
        out
    }
}

impl Line {
    fn of(order: usize, number: usize) -> Self {
        let sku = format!("sku-{}-{:08}", order % 7, order * 31 + number);
        Self { sku, count: number % 90 + 1, price: (order % 400 + number) as f64 * 0.25 }
    }
}

fn zigzag(out: &mut Vec<u8>, number: usize) {
    varint(out, number << 1);
}

fn avro_text(out: &mut Vec<u8>, text: &str) {
    zigzag(out, text.len());
    out.extend(text.as_bytes());
}

fn protobuf_number(out: &mut Vec<u8>, field: u8, number: usize) {
    out.push(field << 3);
    varint(out, number);
}

fn protobuf_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, bytes.len());
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        out.push((number & 0x7f | 0x80) as u8);
        number >>= 7;
    }
    out.push(number as u8);
}
