//! Walks answers with record data while they stream, and rewrites their tails. Sans-io: nothing of them is kept here.
//!
//! Fetch v16-18 and ShareFetch v0-2 name the current leaders' addresses behind all records (KIP-951, KIP-932), when the
//! length of the frame has long been sent. So the walk passes over record sets by their length, holds only the tail, and
//! replaces it by one of exactly the same length.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod tail;

use std::cmp::Ordering;

use self::tail::Tail;
use super::{Cluster, WireError, rewrite::walk::Layout};
use crate::cursor::{Cursor, CursorError};

/// Bytes that the tail of an answer may have: thousands of addresses.
pub const MAX_TAIL_BYTES: usize = 64 * 1024;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// Nothing is left of the frame.
    Done,
    /// Not enough bytes for the next step: more have to be read.
    NeedMore,
    /// The next bytes go out unchanged, as many as this says. They may be more than are buffered.
    Pass(usize),
    /// Everything that is left of the frame is buffered, and goes out as these bytes instead. They are as many.
    Replace(Vec<u8>),
}

/// The walk over one answer.
#[derive(Debug)]
pub struct TailRewriter {
    layout: Layout,
    /// Arrays that the walk is in, innermost last.
    levels: Vec<Level>,
    tail: Option<Tail>,
    left: usize,
    passed: usize,
}

/// An array that the walk is in.
#[derive(Debug)]
struct Level {
    /// What an element consists of.
    steps: &'static [Step],
    /// The next of these steps.
    next: usize,
    /// Elements left, the one that the walk is in included.
    elements: u32,
}

/// A piece of a message.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A compact array of what its elements consist of, or null.
    Array(&'static [Step]),
    /// A compact text or record set, or null.
    Bytes,
    /// As many bytes as this says.
    Fixed(usize),
    /// A tagged field.
    TaggedField,
    /// A section of tagged fields.
    TaggedFields,
}

use Step::{Array, Bytes, Fixed, TaggedField, TaggedFields};

const FETCH: &[Step] = &[
    TaggedFields,     // of the header
    Fixed(4 + 2 + 4), // throttle time, error code, session id
    Array(&[
        Fixed(16), // topic id
        Array(&[
            Fixed(4 + 2 + 8 + 8 + 8), // index, error code, high watermark, last stable offset, log start offset
            Array(&[Fixed(8 + 8), TaggedFields]), // aborted transactions
            Fixed(4),                 // preferred read replica
            Bytes,                    // records
            TaggedFields,
        ]),
        TaggedFields,
    ]),
];

const SHARE_TOPICS: Step = Array(&[
    Fixed(16), // topic id
    Array(&[
        Fixed(4 + 2),                             // index, error code
        Bytes,                                    // error message
        Fixed(2),                                 // error code of the acknowledgement
        Bytes,                                    // its message
        Fixed(4 + 4),                             // leader, its epoch
        TaggedFields,                             // of the leader
        Bytes,                                    // records
        Array(&[Fixed(8 + 8 + 2), TaggedFields]), // acquired records
        TaggedFields,
    ]),
    TaggedFields,
]);

const SHARE_FETCH_V0: &[Step] = &[
    TaggedFields, // of the header
    Fixed(4 + 2), // throttle time, error code
    Bytes,        // error message
    SHARE_TOPICS,
];

const SHARE_FETCH: &[Step] = &[
    TaggedFields, // of the header
    Fixed(4 + 2), // throttle time, error code
    Bytes,        // error message
    Fixed(4),     // lock timeout
    SHARE_TOPICS,
];

impl TailRewriter {
    /// Begins with the response to a request of `api_key` and `version`. `body_len` counts the bytes after the 4-byte
    /// size and the 4-byte correlation id; the first byte to be shown is the one behind these. Responses without
    /// addresses behind records pass as a whole.
    #[must_use]
    pub fn new(api_key: i16, version: i16, body_len: usize) -> Self {
        let (what, steps, tail): (_, &[Step], _) = match (api_key, version) {
            (1, 16..) => ("Fetch response", FETCH, Some(Tail::TaggedEndpoints)),
            (78, ..=0) => ("ShareFetch response", SHARE_FETCH_V0, Some(Tail::PlainEndpoints)),
            (78, 1..) => ("ShareFetch response", SHARE_FETCH, Some(Tail::PlainEndpoints)),
            _ => ("response", &[], None),
        };
        Self {
            layout: Layout { what, version, flexible: true },
            levels: vec![Level { steps, next: 0, elements: 1 }],
            tail,
            left: body_len,
            passed: 0,
        }
    }

    /// Looks at `buf`, the bytes of the frame that have arrived and have not been passed yet (bytes of a next frame
    /// behind them do no harm), and says what is to be done. After [`Advance::Pass`] the caller sends that many bytes
    /// and shows what follows them.
    ///
    /// # Errors
    /// [`WireError`] if the answer cannot be read: a field reaches beyond the frame, or the tail is larger than
    /// [`MAX_TAIL_BYTES`]. The connection has to end, as part of the answer may have been sent.
    pub fn advance(&mut self, buf: &[u8], cluster: &dyn Cluster) -> Result<Advance, WireError> {
        let buf = buf.get(..self.left).unwrap_or(buf);
        let mut ready = 0_usize;
        while let Some(step) = self.next_step() {
            let Some(rest) = buf.get(ready..) else { break };
            let Some(size) = self.walk(step, rest)? else { break };
            ready = ready.saturating_add(size);
        }
        match ready {
            0 if self.next_step().is_some() => Ok(Advance::NeedMore),
            0 => self.finish(buf, cluster),
            _ => Ok(Advance::Pass(ready)),
        }
    }

    /// The step that comes next; `None` at the tail.
    fn next_step(&mut self) -> Option<Step> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some(step) = level.steps.get(level.next) {
                return Some(*step);
            }
            level.next = 0;
            level.elements = level.elements.saturating_sub(1);
            if level.elements == 0 {
                self.levels.pop();
            }
        }
    }

    /// Takes `step`, of which `rest` holds at least the beginning, and says how many bytes it has. `None` if its length
    /// has not arrived.
    fn walk(&mut self, step: Step, rest: &[u8]) -> Result<Option<usize>, WireError> {
        let (size, inner) = match measure(step, rest) {
            Ok(measured) => measured,
            Err(CursorError::Truncated { .. }) if rest.len() < self.left => return Ok(None),
            Err(error) => return Err(self.field(error)),
        };
        self.left = match self.left.checked_sub(size) {
            Some(left) => left,
            None => return Err(self.truncated(size)),
        };
        if let Some(inner) = &inner
            && usize::try_from(inner.elements).map_or(true, |elements| elements > self.left)
        {
            // Each element takes a byte at least.
            return Err(self.truncated(usize::try_from(inner.elements).unwrap_or(usize::MAX)));
        }
        self.passed = self.passed.saturating_add(size);
        if let Some(level) = self.levels.last_mut() {
            level.next = level.next.saturating_add(1);
        }
        self.levels.extend(inner);
        Ok(Some(size))
    }

    fn finish(&mut self, buf: &[u8], cluster: &dyn Cluster) -> Result<Advance, WireError> {
        let Some(tail) = self.tail else {
            return Ok(match std::mem::take(&mut self.left) {
                0 => Advance::Done,
                left => Advance::Pass(left),
            });
        };
        let Layout { what, version, .. } = self.layout;
        if self.left > MAX_TAIL_BYTES {
            let (size, limit) = (self.left, MAX_TAIL_BYTES);
            return Err(WireError::TailTooLarge { what, version, size, limit });
        }
        if buf.len().cmp(&self.left) == Ordering::Less {
            return Ok(Advance::NeedMore);
        }
        let replaced = tail.rewrite(self.layout, buf, cluster)?;
        self.tail = None;
        let left = std::mem::take(&mut self.left);
        Ok(replaced.map_or(Advance::Pass(left), Advance::Replace))
    }

    fn truncated(&self, needed: usize) -> WireError {
        self.field(CursorError::Truncated { at: self.passed, needed, left: self.left })
    }

    const fn field(&self, error: CursorError) -> WireError {
        let Layout { what, version, .. } = self.layout;
        WireError::Field { what, version, error }
    }
}

/// How many bytes `step` has, and which elements follow them.
fn measure(step: Step, rest: &[u8]) -> Result<(usize, Option<Level>), CursorError> {
    let mut cursor = Cursor::new(rest);
    let level = |steps, elements| (elements > 0).then_some(Level { steps, next: 0, elements });
    let (skipped, inner) = match step {
        Fixed(size) => (size, None),
        Bytes => (to_usize(cursor.unsigned_varint()?.saturating_sub(1)), None),
        Array(steps) => (0, level(steps, cursor.unsigned_varint()?.saturating_sub(1))),
        TaggedFields => (0, level(&[TaggedField], cursor.unsigned_varint()?)),
        TaggedField => {
            cursor.unsigned_varint()?; // tag
            (to_usize(cursor.unsigned_varint()?), None)
        }
    };
    Ok((cursor.position().saturating_add(skipped), inner))
}

fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::*;
    use crate::wire::rewrite::support::{
        Dice, HOST, TenNodes, body, decode, encode, frame, retain_told, tape, told,
    };
    use bytes::Bytes as Shared;
    use kafka_protocol::{
        messages::{
            FetchResponse, ShareFetchResponse, fetch_response as fetch,
            share_fetch_response as share,
        },
        protocol::StrBytes,
    };
    use proptest::prelude::*;

    const FETCH_KEY: i16 = 1;
    const SHARE_FETCH_KEY: i16 = 78;

    /// What came out, and the most bytes that were held at once.
    type Outcome = Result<(Vec<u8>, usize), WireError>;

    /// Does what a connection does: `arrival` says in which portions the bytes arrive. Another frame follows.
    fn stream(api_key: i16, version: i16, body: &[u8], arrival: &[u8]) -> Outcome {
        let cluster = TenNodes::default();
        let mut rewriter = TailRewriter::new(api_key, version, body.len());
        let input = [body, b"the next frame"].concat();
        let (mut arrived, mut sent, mut held) = (0, Vec::new(), 0);
        let mut portions = arrival.iter().map(|size| 1 + usize::from(*size)).cycle();
        loop {
            let buf = &input[sent.len().min(arrived)..arrived];
            held = held.max(buf.len());
            match rewriter.advance(buf, &cluster)? {
                Advance::Done => break,
                Advance::NeedMore => {
                    assert!(arrived < body.len(), "asks for more than the frame has");
                    arrived = input.len().min(arrived + portions.next().unwrap_or(1));
                }
                Advance::Pass(size) => {
                    assert!(size > 0);
                    sent.extend(&input[sent.len()..sent.len() + size]);
                    arrived = arrived.max(sent.len());
                }
                Advance::Replace(tail) => {
                    assert!(arrived >= body.len(), "the tail is replaced before it arrived");
                    sent.extend(tail);
                }
            }
        }
        assert_eq!(sent.len(), body.len());
        Ok((sent, held))
    }

    fn records(dice: &mut Dice) -> Option<Shared> {
        let len = [0, 1, 126, 127, 300, 20_000][usize::from(dice.below(6))];
        (dice.below(4) != 0).then(|| Shared::from(vec![dice.below(255); len]))
    }

    fn fetch_response(dice: &mut Dice) -> FetchResponse {
        let endpoint = |dice: &mut Dice| {
            fetch::NodeEndpoint::default()
                .with_node_id(dice.node())
                .with_host(dice.text())
                .with_port(dice.i32())
                .with_rack(dice.nullable_text())
                .with_unknown_tagged_fields(dice.tags())
        };
        FetchResponse::default()
            .with_throttle_time_ms(dice.i32())
            .with_error_code(dice.error_code())
            .with_session_id(dice.i32())
            .with_node_endpoints(dice.few(endpoint))
            .with_unknown_tagged_fields(dice.tags())
            .with_responses(dice.few(|dice| {
                fetch::FetchableTopicResponse::default()
                    .with_topic_id(dice.topic_id())
                    .with_partitions(dice.few(fetch_partition))
                    .with_unknown_tagged_fields(dice.tags())
            }))
    }

    fn fetch_partition(dice: &mut Dice) -> fetch::PartitionData {
        let aborted = |dice: &mut Dice| {
            fetch::AbortedTransaction::default()
                .with_producer_id(dice.i64().into())
                .with_first_offset(dice.i64())
                .with_unknown_tagged_fields(dice.tags())
        };
        fetch::PartitionData::default()
            .with_partition_index(dice.i32())
            .with_error_code(dice.error_code())
            .with_high_watermark(dice.i64())
            .with_last_stable_offset(dice.i64())
            .with_log_start_offset(dice.i64())
            .with_current_leader(
                fetch::LeaderIdAndEpoch::default()
                    .with_leader_id(dice.node())
                    .with_leader_epoch(dice.i32()),
            )
            .with_aborted_transactions((dice.below(2) == 0).then(|| dice.few(aborted)))
            .with_preferred_read_replica(dice.node())
            .with_records(records(dice))
            .with_unknown_tagged_fields(dice.tags())
    }

    fn share_response(dice: &mut Dice) -> ShareFetchResponse {
        let endpoint = |dice: &mut Dice| {
            share::NodeEndpoint::default()
                .with_node_id(dice.node())
                .with_host(dice.text())
                .with_port(dice.i32())
                .with_rack(dice.nullable_text())
                .with_unknown_tagged_fields(dice.tags())
        };
        ShareFetchResponse::default()
            .with_throttle_time_ms(dice.i32())
            .with_error_code(dice.error_code())
            .with_error_message(dice.nullable_text())
            .with_acquisition_lock_timeout_ms(dice.i32())
            .with_node_endpoints(dice.few(endpoint))
            .with_unknown_tagged_fields(dice.tags())
            .with_responses(dice.few(|dice| {
                share::ShareFetchableTopicResponse::default()
                    .with_topic_id(dice.topic_id())
                    .with_partitions(dice.few(share_partition))
                    .with_unknown_tagged_fields(dice.tags())
            }))
    }

    fn share_partition(dice: &mut Dice) -> share::PartitionData {
        let acquired = |dice: &mut Dice| {
            share::AcquiredRecords::default()
                .with_first_offset(dice.i64())
                .with_last_offset(dice.i64())
                .with_delivery_count(dice.i16())
                .with_unknown_tagged_fields(dice.tags())
        };
        share::PartitionData::default()
            .with_partition_index(dice.i32())
            .with_error_code(dice.error_code())
            .with_error_message(dice.nullable_text())
            .with_acknowledge_error_code(dice.error_code())
            .with_acknowledge_error_message(dice.nullable_text())
            .with_current_leader(
                share::LeaderIdAndEpoch::default()
                    .with_leader_id(dice.i32())
                    .with_leader_epoch(dice.i32())
                    .with_unknown_tagged_fields(dice.tags()),
            )
            .with_records(records(dice))
            .with_acquired_records(dice.few(acquired))
            .with_unknown_tagged_fields(dice.tags())
    }

    /// Takes away the lock timeout, which v0 does not have; the header has no tagged fields.
    fn as_share_v0(body: &[u8], response: &ShareFetchResponse) -> (Vec<u8>, Vec<u8>) {
        let message = response.error_message.as_ref().map_or(0, |message| message.len());
        let (head, rest) = body.split_at(1 + 4 + 2 + 1 + message);
        let (timeout, rest) = rest.split_at(4);
        ([head, rest].concat(), timeout.to_vec())
    }

    /// Checks what was told, given what would be told with all the room of the world in `ideal_len` bytes.
    fn check_told<T: PartialEq + std::fmt::Debug>(
        told: &[T],
        ideal: &[T],
        ideal_len: usize,
        len: usize,
    ) {
        assert_eq!(told, &ideal[..told.len()], "what fits is told from the front on");
        if ideal_len == len || ideal_len + 4 <= len {
            assert_eq!(told.len(), ideal.len(), "what fits is told");
        }
    }

    proptest! {
        #[test]
        fn fetched_data_streams_and_only_the_addresses_change(
            version in 16..=18_i16, tape in tape(), arrival in prop::collection::vec(any::<u8>(), 1..9),
        ) {
            let mut dice = Dice::new(tape, true);
            let header_tags = dice.tags();
            let response = fetch_response(&mut dice);
            let given = encode(&response, version, &header_tags);
            let (out, held) = stream(FETCH_KEY, version, body(&given), &arrival).unwrap();
            prop_assert!(held <= 10 + 256 + 2_048, "{held} bytes held");
            let mut out: FetchResponse = decode(&frame(&out), version);
            let mut ideal = response.clone();
            retain_told(&mut ideal.node_endpoints, |leader| {
                (&mut leader.node_id, &mut leader.host, &mut leader.port)
            });
            let ideal_len = encode(&ideal, version, &header_tags).bytes().len();
            let len = given.bytes().len();
            check_told(&out.node_endpoints, &ideal.node_endpoints, ideal_len, len);
            out.unknown_tagged_fields.retain(|tag, _| ideal.unknown_tagged_fields.contains_key(tag));
            out.node_endpoints = ideal.node_endpoints.clone();
            prop_assert_eq!(out, ideal);
        }

        #[test]
        fn shared_data_streams_and_only_the_addresses_change(
            version in 0..=2_i16, tape in tape(), arrival in prop::collection::vec(any::<u8>(), 1..9),
        ) {
            let mut dice = Dice::new(tape, true);
            let response = share_response(&mut dice);
            let given = encode(&response, 1, &Default::default());
            let (v0, timeout) = as_share_v0(body(&given), &response);
            let body = if version == 0 { &v0[..] } else { body(&given) };
            let (mut out, held) = stream(SHARE_FETCH_KEY, version, body, &arrival).unwrap();
            prop_assert!(held <= 10 + 256 + 2_048, "{held} bytes held");
            if version == 0 {
                let at = 8 + response.error_message.as_ref().map_or(0, |message| message.len());
                out.splice(at..at, timeout);
            }
            let mut out: ShareFetchResponse = decode(&frame(&out), 1);
            let mut ideal = response.clone();
            retain_told(&mut ideal.node_endpoints, |leader| {
                (&mut leader.node_id, &mut leader.host, &mut leader.port)
            });
            let ideal_len = encode(&ideal, 1, &Default::default()).bytes().len();
            let len = given.bytes().len();
            check_told(&out.node_endpoints, &ideal.node_endpoints, ideal_len, len);
            out.unknown_tagged_fields.retain(|tag, _| ideal.unknown_tagged_fields.contains_key(tag));
            out.node_endpoints = ideal.node_endpoints.clone();
            prop_assert_eq!(out, ideal);
        }

        #[test]
        fn no_length_of_other_fields_leaves_a_brokers_address_standing(
            others in 0..400_usize, filler in 0..20_000_usize, tag in 0..400_i32, hosts in 1..40_usize,
        ) {
            // The tail is emptied at worst: outside the map, or where the local address is longer.
            let endpoint = fetch::NodeEndpoint::default().with_host(StrBytes::from_static_str("b"));
            let shared = share::NodeEndpoint::default().with_host(StrBytes::from_static_str("b"));
            let outside = endpoint.clone().with_node_id(11.into());
            let mut tags: std::collections::BTreeMap<i32, Shared> =
                (1..).take(others).map(|tag| (tag, Shared::new())).collect();
            tags.insert(1 + tag, vec![0; filler].into());
            for node in [endpoint, outside] {
                let response = FetchResponse::default()
                    .with_unknown_tagged_fields(tags.clone())
                    .with_node_endpoints(vec![node; hosts]);
                let given = encode(&response, 18, &Default::default());
                let (out, _) = stream(FETCH_KEY, 18, body(&given), &[255]).unwrap();
                let out: FetchResponse = decode(&frame(&out), 18);
                prop_assert!(out.node_endpoints.iter().all(|leader| leader.host.as_str() == HOST));
            }
            let response = ShareFetchResponse::default()
                .with_unknown_tagged_fields(tags)
                .with_node_endpoints(vec![shared; hosts]);
            let given = encode(&response, 1, &Default::default());
            let (out, _) = stream(SHARE_FETCH_KEY, 1, body(&given), &[255]).unwrap();
            let out: ShareFetchResponse = decode(&frame(&out), 1);
            prop_assert!(out.node_endpoints.iter().all(|leader| leader.host.as_str() == HOST));
        }

        #[test]
        fn a_frame_that_ends_too_early_or_too_late_is_an_error(
            tape in tape(), share: bool, cut: usize, arrival in prop::collection::vec(any::<u8>(), 1..9),
        ) {
            let mut dice = Dice::new(tape, true);
            let (key, given) = if share {
                (SHARE_FETCH_KEY, encode(&share_response(&mut dice), 1, &Default::default()))
            } else {
                (FETCH_KEY, encode(&fetch_response(&mut dice), 17, &Default::default()))
            };
            let version = if share { 1 } else { 17 };
            let body = body(&given);
            let cut = stream(key, version, &body[..cut % body.len()], &arrival);
            prop_assert!(matches!(cut, Err(WireError::Field { .. })), "{cut:?}");
            let longer = stream(key, version, &[body, &[0]].concat(), &arrival);
            prop_assert!(matches!(longer, Err(WireError::TrailingBytes { left: 1, .. })), "{longer:?}");
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_never_change_length(
            key in prop::sample::select(vec![FETCH_KEY, SHARE_FETCH_KEY]),
            version in 0..20_i16,
            body: Vec<u8>,
            arrival in prop::collection::vec(any::<u8>(), 1..9),
        ) {
            let _ = stream(key, version, &body, &arrival);
        }

        #[test]
        fn damage_never_panics(
            tape in tape(), share: bool, at: usize, byte: u8, version in 0..19_i16,
        ) {
            let mut dice = Dice::new(tape, true);
            let (key, given) = if share {
                (SHARE_FETCH_KEY, encode(&share_response(&mut dice), 1, &Default::default()))
            } else {
                (FETCH_KEY, encode(&fetch_response(&mut dice), 17, &Default::default()))
            };
            let mut body = body(&given).to_vec();
            let at = at % body.len();
            body[at] = byte;
            let _ = stream(key, version, &body, &[100]);
        }
    }

    fn leader(node: i32, host: &str) -> fetch::NodeEndpoint {
        let host = StrBytes::from_string(host.to_owned());
        fetch::NodeEndpoint::default().with_node_id(node.into()).with_host(host).with_port(9092)
    }

    /// The nodes and hosts that come out, by Fetch.
    fn leaders(given: Vec<fetch::NodeEndpoint>) -> Vec<(i32, String, i32)> {
        let given = FetchResponse::default().with_node_endpoints(given);
        let given = encode(&given, 16, &Default::default());
        let (out, _) = stream(FETCH_KEY, 16, body(&given), &[30]).unwrap();
        let out: FetchResponse = decode(&frame(&out), 16);
        let leaders = out.node_endpoints.iter();
        leaders.map(|one| (one.node_id.0, one.host.to_string(), one.port)).collect()
    }

    #[test]
    fn an_address_is_replaced_where_it_fits_and_else_left_out() {
        let ours = |node| (node, HOST.to_owned(), told(node).unwrap().1);
        let long = "kafka-0.kafka.svc.cluster.local";
        assert_eq!(leaders(vec![leader(1, HOST)]), [ours(1)]);
        assert_eq!(leaders(vec![leader(1, long)]), [ours(1)]);
        assert_eq!(leaders(vec![leader(1, long), leader(2, long)]), [ours(1), ours(2)]);
        assert_eq!(leaders(vec![leader(10, long), leader(2, "k")]), [ours(2)]);
        assert_eq!(leaders(vec![leader(1, "kafka")]), []);
        assert_eq!(leaders(vec![leader(10, long)]), []);
        assert_eq!(leaders(vec![]), []);
        // One byte is left over: too few for a tagged field.
        assert_eq!(leaders(vec![leader(1, &format!("{HOST}x"))]), []);
        assert_eq!(leaders(vec![leader(1, &format!("{HOST}xx"))]), [ours(1)]);
    }

    #[test]
    fn large_record_sets_are_never_held() {
        let partition = fetch::PartitionData::default().with_records(Some(vec![1; 8 << 20].into()));
        let topic = fetch::FetchableTopicResponse::default().with_partitions(vec![partition; 3]);
        let response = FetchResponse::default()
            .with_responses(vec![topic])
            .with_node_endpoints(vec![leader(1, HOST); 3]);
        let given = encode(&response, 18, &Default::default());
        let (out, held) = stream(FETCH_KEY, 18, body(&given), &[255, 3]).unwrap();
        assert!(held <= 512, "{held} bytes held");
        assert_eq!(decode::<FetchResponse>(&frame(&out), 18).responses, response.responses);
    }

    #[test]
    fn a_tail_that_is_too_large_to_hold_is_an_error() {
        for (size, fits) in [(MAX_TAIL_BYTES - 5, true), (MAX_TAIL_BYTES - 4, false)] {
            let tags = [(5, Shared::from(vec![0; size]))].into_iter().collect();
            let response = FetchResponse::default().with_unknown_tagged_fields(tags);
            let given = encode(&response, 18, &Default::default());
            let out = stream(FETCH_KEY, 18, body(&given), &[255]);
            assert_eq!(out.is_ok(), fits);
            let too_large = matches!(out, Err(WireError::TailTooLarge { .. }));
            assert_eq!(too_large, !fits);
        }
    }

    #[test]
    fn answers_without_addresses_pass_as_a_whole() {
        for (key, version) in [(FETCH_KEY, 15), (FETCH_KEY, 4), (0, 13), (-1, 0)] {
            let mut rewriter = TailRewriter::new(key, version, 5_000_000);
            let cluster = TenNodes::default();
            assert_eq!(rewriter.advance(&[], &cluster), Ok(Advance::Pass(5_000_000)));
            assert_eq!(rewriter.advance(&[1, 2], &cluster), Ok(Advance::Done));
        }
    }
}
