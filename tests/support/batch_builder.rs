//! Record batches (magic 2), byte by byte: good ones, and ones that no client library would write.

/// A record to be put into a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRecord {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl TestRecord {
    /// A record with a value and no headers.
    pub fn bare(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A record with the metadata of an Avro event.
    pub fn avro(schema_id: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::bare(value).header("content-type", "avro").header("schema-id", schema_id)
    }

    /// A null value.
    pub fn tombstone(key: &str) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }

    /// The same with one header more.
    pub fn header(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((key.into(), Some(value.as_ref().to_vec())));
        self
    }

    /// The same with one null header more.
    pub fn null_header(mut self, key: &str) -> Self {
        self.headers.push((key.into(), None));
        self
    }

    /// The same with a key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    fn encode(&self, index: usize) -> Vec<u8> {
        let mut body = vec![0];
        varint(&mut body, 0);
        varint(&mut body, index as i64);
        bytes(&mut body, self.key.as_deref());
        bytes(&mut body, self.value.as_deref());
        varint(&mut body, self.headers.len() as i64);
        for (key, value) in &self.headers {
            bytes(&mut body, Some(key));
            bytes(&mut body, value.as_deref());
        }
        let mut record = Vec::new();
        varint(&mut record, body.len() as i64);
        record.extend(body);
        record
    }
}

/// How a batch is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    /// As franz-go writes it.
    SnappyRaw,
    /// As Java writes it.
    SnappyXerial,
    Lz4,
    Zstd,
}

impl Codec {
    pub const ALL: [Self; 6] =
        [Self::None, Self::Gzip, Self::SnappyRaw, Self::SnappyXerial, Self::Lz4, Self::Zstd];

    const fn bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::SnappyRaw | Self::SnappyXerial => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    pub fn compress(self, plain: &[u8]) -> Vec<u8> {
        use std::io::Write;
        match self {
            Self::None => plain.to_vec(),
            Self::Gzip => {
                let mut out =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                out.write_all(plain).unwrap();
                out.finish().unwrap()
            }
            Self::SnappyRaw => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
            Self::SnappyXerial => {
                let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
                for block in plain.chunks(32 * 1024) {
                    let block = snap::raw::Encoder::new().compress_vec(block).unwrap();
                    out.extend((block.len() as u32).to_be_bytes());
                    out.extend(block);
                }
                out
            }
            Self::Lz4 => {
                let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
                out.write_all(plain).unwrap();
                out.finish().unwrap()
            }
            Self::Zstd => zstd::stream::encode_all(plain, 3).unwrap(),
        }
    }
}

/// A batch to be encoded, every field of its header open to lies.
#[derive(Debug, Clone)]
pub struct TestBatch {
    pub records: Vec<TestRecord>,
    pub codec: Codec,
    pub magic: i8,
    pub attributes: i16,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    /// Overrides the number of records that the header declares.
    pub declared_records: Option<i32>,
    /// Overrides the bytes after the header.
    pub body: Option<Vec<u8>>,
    /// Turns the checksum wrong.
    pub break_checksum: bool,
}

impl TestBatch {
    pub fn of(records: impl IntoIterator<Item = TestRecord>) -> Self {
        Self {
            records: records.into_iter().collect(),
            codec: Codec::None,
            magic: 2,
            attributes: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            declared_records: None,
            body: None,
            break_checksum: false,
        }
    }

    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    pub fn sequenced(mut self, producer_id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = producer_id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// The records as they stand in the batch before compression.
    pub fn plain_body(&self) -> Vec<u8> {
        self.records.iter().enumerate().flat_map(|(index, record)| record.encode(index)).collect()
    }

    pub fn encode(&self) -> Vec<u8> {
        let body = self.body.clone().unwrap_or_else(|| self.codec.compress(&self.plain_body()));
        let count = self.records.len() as i32;
        let mut tail = Vec::new();
        tail.extend((self.attributes | self.codec.bits()).to_be_bytes());
        tail.extend((self.declared_records.unwrap_or(count) - 1).to_be_bytes());
        tail.extend(TIMESTAMP.to_be_bytes());
        tail.extend(TIMESTAMP.to_be_bytes());
        tail.extend(self.producer_id.to_be_bytes());
        tail.extend(self.producer_epoch.to_be_bytes());
        tail.extend(self.base_sequence.to_be_bytes());
        tail.extend(self.declared_records.unwrap_or(count).to_be_bytes());
        tail.extend(body);
        let crc = crc32c::crc32c(&tail) ^ u32::from(self.break_checksum);
        let mut out = Vec::new();
        out.extend(0_i64.to_be_bytes());
        out.extend((tail.len() as i32 + 9).to_be_bytes());
        out.extend((-1_i32).to_be_bytes());
        out.extend(self.magic.to_be_bytes());
        out.extend(crc.to_be_bytes());
        out.extend(tail);
        out
    }
}

/// A fixed moment, so that batches are the same in every run: 2026-01-01T00:00:00Z.
const TIMESTAMP: i64 = 1_767_225_600_000;

/// A zigzag varint.
pub fn varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw > 0x7f {
        out.push(raw as u8 & 0x7f | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Bytes with their length as a varint, -1 for none.
pub fn bytes(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            varint(out, value.len() as i64);
            out.extend(value);
        }
        None => varint(out, -1),
    }
}
