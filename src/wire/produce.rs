//! Reads Produce requests, v0 to v13, and rebuilds them without the partitions that must not go on.
//!
//! v0 to v2 have no transactional id; v9 is flexible, the request header too; v13 has topic ids in place of names.
//! A broker takes v3 and later only; the older ones are read in order to be refused partition by partition.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::api::{self, ApiKey};
use super::fields::{Fields, Flexible};
use super::frame::Frame;
use super::prefix::RequestPrefix;
use super::{TopicId, TopicKey, WireError};

/// A Produce request, borrowed from its frame.
#[derive(Debug)]
pub struct ProduceRequest<'a> {
    /// Api version, 0 to 13.
    pub version: i16,
    /// What the response has to carry.
    pub correlation_id: i32,
    /// What the client calls itself; `None` also if that is not UTF-8, which brokers take.
    pub client_id: Option<&'a str>,
    /// The transactional id; `None` also if it is not UTF-8, which brokers take.
    pub transactional_id: Option<&'a str>,
    /// Acknowledgements asked for. With 0 there is no response.
    pub acks: i16,
    /// The topics in the order of the request. One topic may stand here twice, and so may one partition.
    pub topics: Vec<TopicProduce<'a>>,
    frame: &'a Frame,
    /// Where the number of topics stands.
    count_at: Range<usize>,
}

/// One topic of a Produce request.
#[derive(Debug)]
pub struct TopicProduce<'a> {
    /// Its name or id.
    pub topic: TopicKey<'a>,
    /// Its partitions in the order of the request.
    pub partitions: Vec<PartitionProduce<'a>>,
    /// Where the topic stands.
    at: Range<usize>,
    /// Where the number of its partitions stands.
    count_at: Range<usize>,
}

/// One partition of a Produce request.
#[derive(Debug)]
pub struct PartitionProduce<'a> {
    /// Its index.
    pub index: i32,
    /// What is to be stored: one record batch, if all is well.
    pub record_set: Option<&'a [u8]>,
    /// Where the partition stands.
    at: Range<usize>,
}

impl<'a> ProduceRequest<'a> {
    /// Reads a whole Produce request.
    ///
    /// Memory grows with the elements that are there, up to 20,000 topics and partitions.
    ///
    /// # Errors
    /// Any [`WireError`] that a broker would close the connection for; more elements than are taken; a topic name that
    /// is not UTF-8, which no broker has.
    pub fn parse(frame: &'a Frame) -> Result<Self, WireError> {
        let RequestPrefix { api_version: version, correlation_id, .. } = check_prefix(frame)?;
        // From the front of the frame, so that positions are those of the frame.
        let mut fields = Fields::new(frame.bytes(), WHAT, version, flexible(version));
        fields.skip(SIZE_AND_PREFIX)?;
        let client_id = fields.client_id()?.and_then(utf8);
        fields.tagged_fields()?;
        let transactional_id = match version {
            3.. => fields.nullable_text()?.and_then(utf8),
            _ => None,
        };
        let acks = fields.i16()?;
        fields.skip(TIMEOUT)?;
        let (topics, count_at) = read_elements(&mut fields, |fields| read_topic(fields, version))?;
        fields.tagged_fields()?;
        fields.end()?;
        #[rustfmt::skip]
        let request = Self { version, correlation_id, client_id, transactional_id, acks, topics, frame, count_at };
        Ok(request)
    }

    /// The request with only those partitions for which `keep` says so, given the positions of topic and partition; it
    /// is asked once for each, in order. Topics that lose all their partitions vanish.
    ///
    /// The pieces begin with the size and are to be written one after the other. All that stays is shared with the frame
    /// and byte-identical to what came: header, client id, tagged fields of every level, record sets.
    #[must_use]
    pub fn without(&self, mut keep: impl FnMut(usize, usize) -> bool) -> Vec<Bytes> {
        let mut topics = Pieces::new(self.frame.bytes(), self.version);
        let mut kept_topics = Kept { before: self.topics.len(), after: 0 };
        let mut dropped = false;
        for (position, topic) in self.topics.iter().enumerate() {
            let kept = topic.kept(|partition| keep(position, partition));
            dropped |= kept.len() < topic.partitions.len();
            if !kept.is_empty() || topic.partitions.is_empty() {
                kept_topics.after = kept_topics.after.saturating_add(1);
                topic.write(&kept, &mut topics);
            }
        }
        if !dropped {
            return vec![self.frame.bytes().clone()];
        }
        let topics_end = self.topics.last().map_or(self.count_at.end, |last| last.at.end);
        topics.raw(topics_end..self.frame.bytes().len());
        let mut head = Pieces::new(self.frame.bytes(), self.version);
        head.raw(SIZE..self.count_at.start);
        head.count(kept_topics, &self.count_at);
        with_size(head.finish().into_iter().chain(topics.finish()).collect())
    }
}

impl<'a> TopicProduce<'a> {
    fn kept(&self, mut keep: impl FnMut(usize) -> bool) -> Vec<&PartitionProduce<'a>> {
        let partitions = self.partitions.iter().enumerate();
        partitions.filter(|(position, _)| keep(*position)).map(|(_, kept)| kept).collect()
    }

    fn write(&self, kept: &[&PartitionProduce<'_>], out: &mut Pieces<'_>) {
        out.raw(self.at.start..self.count_at.start);
        out.count(Kept { before: self.partitions.len(), after: kept.len() }, &self.count_at);
        for partition in kept {
            out.raw(partition.at.clone());
        }
        let partitions_end = self.partitions.last().map_or(self.count_at.end, |last| last.at.end);
        out.raw(partitions_end..self.at.end);
    }
}

/// How many elements an array had and has.
#[derive(Debug, Clone, Copy)]
struct Kept {
    before: usize,
    after: usize,
}

/// Puts a request together from ranges of its old frame and new counts.
#[derive(Debug)]
struct Pieces<'f> {
    frame: &'f Bytes,
    flexible: Flexible,
    done: Vec<Bytes>,
    /// A range that is still growing.
    pending: Range<usize>,
    counts: BytesMut,
}

impl<'f> Pieces<'f> {
    fn new(frame: &'f Bytes, version: i16) -> Self {
        let (done, counts) = (Vec::new(), BytesMut::new());
        Self { frame, flexible: flexible(version), done, pending: 0..0, counts }
    }

    /// Appends a range of the frame. Neighbours become one piece.
    fn raw(&mut self, range: Range<usize>) {
        if range.start == self.pending.end {
            self.pending.end = range.end;
        } else {
            self.flush();
            self.pending = range;
        }
    }

    /// Appends a count, as it was written if it did not change.
    fn count(&mut self, kept: Kept, old: &Range<usize>) {
        if kept.before == kept.after {
            return self.raw(old.clone());
        }
        self.flush();
        self.flexible.put_count(&mut self.counts, kept.after);
        self.done.push(self.counts.split().freeze());
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            // Ranges were read from this very frame, so they lie within it.
            self.done.push(self.frame.slice(self.pending.clone()));
        }
        self.pending = 0..0;
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.flush();
        self.done
    }
}

/// Puts the size in front. It fits: what was left out only ever makes a request shorter.
fn with_size(pieces: Vec<Bytes>) -> Vec<Bytes> {
    let size: usize = pieces.iter().map(Bytes::len).sum();
    let size = i32::try_from(size).unwrap_or(i32::MAX).to_be_bytes();
    std::iter::once(Bytes::copy_from_slice(&size)).chain(pieces).collect()
}

fn check_prefix(frame: &Frame) -> Result<RequestPrefix, WireError> {
    let prefix = RequestPrefix::parse(frame)?;
    if ApiKey(prefix.api_key) != ApiKey::PRODUCE {
        return Err(WireError::NotProduce { api_key: prefix.api_key });
    }
    api::check_offered(&prefix)?;
    Ok(prefix)
}

fn read_topic<'a>(fields: &mut Fields<'a>, version: i16) -> Result<TopicProduce<'a>, WireError> {
    let start = fields.position();
    let topic = read_topic_key(fields, version)?;
    let (partitions, count_at) = read_elements(fields, read_partition)?;
    fields.tagged_fields()?;
    Ok(TopicProduce { topic, partitions, at: start..fields.position(), count_at })
}

fn read_partition<'a>(fields: &mut Fields<'a>) -> Result<PartitionProduce<'a>, WireError> {
    let start = fields.position();
    let index = fields.i32()?;
    let record_set = fields.nullable_bytes()?;
    fields.tagged_fields()?;
    Ok(PartitionProduce { index, record_set, at: start..fields.position() })
}

/// Reads an array of topics or partitions, and where its length stands.
fn read_elements<'a, T>(
    fields: &mut Fields<'a>,
    mut read: impl FnMut(&mut Fields<'a>) -> Result<T, WireError>,
) -> Result<(Vec<T>, Range<usize>), WireError> {
    let start = fields.position();
    let count = fields.elements()?;
    let count_at = start..fields.position();
    // Not reserved: a count is only a claim. Collecting into a `Result` reserves nothing either.
    let elements = (0..count).map(|_| read(fields)).collect::<Result<_, _>>()?;
    Ok((elements, count_at))
}

/// Reads how a Produce message of `version` names a topic.
pub(super) fn read_topic_key<'a>(
    fields: &mut Fields<'a>,
    version: i16,
) -> Result<TopicKey<'a>, WireError> {
    match version {
        13.. => fields.array().map(|id| TopicKey::Id(TopicId(id))),
        _ => fields.text().map(TopicKey::Name),
    }
}

/// Which layout Produce messages of `version` have, and their headers too.
pub(super) const fn flexible(version: i16) -> Flexible {
    Flexible(version >= 9)
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

const WHAT: &str = "Produce request";
/// Bytes of the frame's size.
const SIZE: usize = 4;
/// Bytes of the frame's size, api key, api version and correlation id.
const SIZE_AND_PREFIX: usize = 12;
/// Bytes of the timeout, which is none of our business.
const TIMEOUT: usize = 4;
