//! One compressed stream inside a batch that is sound otherwise: bounds hold, nothing of it stays behind for the next batch,
//! and what is taken is what other decoders make of it.

use schemaward::limits::{KIB, MIB, RecordLimits};
use schemaward::record::{Compression, RecordError, RecordErrorClass, Scratch};

use super::batches::{Purse, SOUND, Seen, batch, compare, drain, inflate, records, sound};
use super::{Outcome, split};

/// First byte: codec and limits. Then two bytes: the number of records, big-endian.
pub fn run(data: &[u8]) -> Outcome {
    let (choice, rest) = split(data);
    let Some((count, stream)) = rest.split_first_chunk() else { return Outcome::Refused };
    let count = i32::from(u16::from_be_bytes(*count));
    let id = 1 + (choice % 4) as u8;
    let codec = Compression::from_id(id).expect("a codec");
    let max_decompressed_bytes = [64 * KIB, 4 * KIB, 300 * KIB, 100][choice / 4 % 4];
    let max_record_bytes = [max_decompressed_bytes, 200][choice / 16 % 2];
    let limits = RecordLimits { max_decompressed_bytes, max_record_bytes };
    let record_set = batch(id, count, stream);

    let mut scratch = Scratch::new();
    let mut purse = Purse::of(64 * MIB);
    let first = records(&record_set, &mut scratch, &limits, &mut purse);
    assert_eq!(purse.granted, scratch.held_bytes());
    assert!(purse.granted <= most(codec, &limits), "{} bytes granted", purse.granted);
    // Warm, and with nothing more to be granted.
    let again = records(&record_set, &mut scratch, &limits, &mut Purse::of(0));
    assert_eq!(again, first, "what one batch leaves behind changes the next");
    clean(&mut scratch);
    tight(&record_set, &limits, choice, &first);
    counted(&record_set, &limits);

    let Ok(records) = first else { return Outcome::Refused };
    let plain = inflate(codec, stream, limits.max_decompressed_bytes);
    assert!(plain.len() <= limits.max_decompressed_bytes, "{} bytes", plain.len());
    compare(count, &plain, &records);
    Outcome::Taken
}

/// What a batch may hold: the window, doubled on its way, and what the codecs need themselves.
fn most(codec: Compression, limits: &RecordLimits) -> usize {
    let window = 2 * limits.max_decompressed_bytes + 256 * KIB;
    window + if codec == Compression::Zstd { 9 * MIB } else { 0 }
}

/// A sound batch of each codec is read after whatever came before.
fn clean(scratch: &mut Scratch) {
    let expected = Seen { key: None, value: Some(SOUND.to_vec()), headers: Vec::new() };
    for sound in sound() {
        let read = records(sound, scratch, &RecordLimits::default(), &mut Purse::of(64 * MIB));
        assert_eq!(read.as_deref(), Ok(std::slice::from_ref(&expected)));
    }
}

/// With little to be granted the answer is the same, or that it was not granted.
fn tight(
    record_set: &[u8],
    limits: &RecordLimits,
    choice: usize,
    plenty: &Result<Vec<Seen>, RecordError>,
) {
    let mut purse = Purse::of([0, 60, 170, 300, 1_000, 3_000, 8_000, 9_000][choice / 32] * KIB);
    let read = records(record_set, &mut Scratch::new(), limits, &mut purse);
    let spent = matches!(&read, Err(error) if error.class() == RecordErrorClass::BudgetSpent);
    assert!(spent || read == *plenty, "{read:?} in place of {plenty:?}");
}

/// No more is allocated than was granted, what the C library takes apart.
fn counted(record_set: &[u8], limits: &RecordLimits) {
    let (mut scratch, mut purse) = (Scratch::new(), Purse::of(64 * MIB));
    let mut read = Ok(0);
    let memory = allocation_counter::measure(|| {
        read = drain(record_set, &mut scratch, limits, &mut purse);
    });
    // A buffer that grows is there twice while it is copied.
    let most = 2 * purse.granted + KIB;
    assert!(memory.bytes_max <= most as u64, "{memory:?}, {} granted", purse.granted);
    assert!(read.unwrap_or(0) <= limits.max_record_bytes);
}
