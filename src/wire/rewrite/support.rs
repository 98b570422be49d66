//! What the tests of this step share: a cluster with ten nodes, and kafka-protocol's codec as oracle.

use std::{collections::BTreeMap, fmt::Debug, str::FromStr, sync::Mutex};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{BrokerId, ResponseHeader, TopicName},
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes},
};
use proptest::prelude::*;

use super::rewrite_response;
use crate::wire::{Cluster, Endpoint, NodeId, TopicId, WireError, frame::Frame};

/// The host that clients are told.
pub(in crate::wire) const HOST: &str = "schemaward.local";

/// Maps nodes 0 to 9 to ports 9100 to 9109, and writes down what it is told.
#[derive(Debug, Default)]
pub(in crate::wire) struct TenNodes {
    pub(in crate::wire) seen: Mutex<Vec<(NodeId, String, i32)>>,
    pub(in crate::wire) topics: Mutex<Vec<(TopicId, String)>>,
    pub(in crate::wire) refuses_login: bool,
}

impl Cluster for TenNodes {
    fn advertise(&self, node: NodeId, host: &str, port: i32) -> Option<Endpoint> {
        self.seen.lock().unwrap().push((node, host.to_owned(), port));
        told(node.0)
            .map(|(host, port)| Endpoint { host: host.into(), port: port.try_into().unwrap() })
    }

    fn learn_topic(&self, id: TopicId, name: &str) {
        self.topics.lock().unwrap().push((id, name.to_owned()));
    }

    fn offers_login(&self) -> bool {
        !self.refuses_login
    }
}

/// What clients are told of a node.
pub(in crate::wire) fn told(node: i32) -> Option<(&'static str, i32)> {
    (0..10).contains(&node).then_some((HOST, 9100 + node))
}

/// Rewrites every element of an array of nodes, as slowly and plainly as can be.
pub(in crate::wire) fn retain_told<T>(
    nodes: &mut Vec<T>,
    fields: fn(&mut T) -> (&mut BrokerId, &mut StrBytes, &mut i32),
) {
    nodes.retain_mut(|element| {
        let (node, host, port) = fields(element);
        let Some(told) = told(node.0) else { return false };
        (*host, *port) = (StrBytes::from_static_str(told.0), told.1);
        true
    });
}

/// A response with its header and size.
pub(in crate::wire) fn encode<T: Encodable + HeaderVersion>(
    response: &T,
    version: i16,
    header_tags: &Tags,
) -> Frame {
    let mut out = BytesMut::from(&[0_u8; 4][..]);
    let header_version = T::header_version(version);
    let mut header = ResponseHeader::default().with_correlation_id(7);
    if header_version > 0 {
        header = header.with_unknown_tagged_fields(header_tags.clone());
    }
    header.encode(&mut out, header_version).unwrap();
    response.encode(&mut out, version).unwrap();
    Frame::seal(out.to_vec()).unwrap()
}

/// The response in `frame`, which has nothing behind it.
pub(in crate::wire) fn decode<T: Decodable + HeaderVersion>(frame: &Frame, version: i16) -> T {
    let mut bytes = frame.bytes().slice(4..);
    let header = ResponseHeader::decode(&mut bytes, T::header_version(version)).unwrap();
    assert_eq!(header.correlation_id, 7);
    let response = T::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty(), "{} bytes left", bytes.len());
    response
}

/// A frame of `body` behind a correlation id.
pub(in crate::wire) fn frame(body: &[u8]) -> Frame {
    Frame::seal([&[0; 4], &7_i32.to_be_bytes(), body].concat()).unwrap()
}

/// The body of a frame.
pub(in crate::wire) fn body(frame: &Frame) -> &[u8] {
    frame.payload().get(4..).unwrap()
}

/// Checks that no cut of `frame` is taken for a whole response, that what follows it stays, and that damage does not panic.
pub(in crate::wire) fn check_damage(
    api_key: i16,
    version: i16,
    frame: &Frame,
    damage: (usize, u8),
) {
    let payload = frame.payload();
    let rewrite = |payload: &[u8]| {
        let frame = Frame::seal([&[0; 4], payload].concat()).unwrap();
        rewrite_response(api_key, version, &frame, &TenNodes::default())
    };
    for end in 0..payload.len() {
        let cut = rewrite(&payload[..end]);
        assert!(matches!(cut, Err(WireError::Field { .. })), "{cut:?} after {end} bytes");
    }
    let (whole, longer) = (rewrite(payload).unwrap(), rewrite(&[payload, &[7]].concat()).unwrap());
    assert_eq!(longer.payload(), [whole.payload(), &[7]].concat(), "what follows stays");
    let mut damaged = payload.to_vec();
    let at = damage.0 % damaged.len();
    damaged[at] = damage.1;
    let _ = rewrite(&damaged);
}

pub(in crate::wire) type Tags = BTreeMap<i32, Bytes>;

/// Draws a response's fields from a tape of random bytes; at its end everything is 0, so that failures shrink well.
#[derive(Debug)]
pub(in crate::wire) struct Dice {
    tape: std::vec::IntoIter<u8>,
    flexible: bool,
}

/// A tape.
pub(in crate::wire) fn tape() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

impl Dice {
    pub(in crate::wire) fn new(tape: Vec<u8>, flexible: bool) -> Self {
        Self { tape: tape.into_iter(), flexible }
    }

    pub(in crate::wire) fn below(&mut self, limit: u8) -> u8 {
        self.tape.next().unwrap_or_default() % limit
    }

    pub(in crate::wire) fn i16(&mut self) -> i16 {
        i16::from(self.below(200)) - 100
    }

    pub(in crate::wire) fn i32(&mut self) -> i32 {
        i32::from_be_bytes([self.below(255), self.below(255), self.below(255), self.below(255)])
    }

    pub(in crate::wire) fn i64(&mut self) -> i64 {
        i64::from(self.i32()) << 20
    }

    /// 0 half of the time.
    pub(in crate::wire) fn error_code(&mut self) -> i16 {
        if self.below(2) == 0 { 0 } else { self.i16() }
    }

    /// Nodes in the map, nobody, and nodes outside.
    pub(in crate::wire) fn node(&mut self) -> BrokerId {
        BrokerId(i32::from(self.below(14)) - 1)
    }

    pub(in crate::wire) fn text(&mut self) -> StrBytes {
        let len = usize::from(self.below(24));
        StrBytes::from_string("ünternehmen.example-host".chars().take(len).collect())
    }

    pub(in crate::wire) fn nullable_text(&mut self) -> Option<StrBytes> {
        (self.below(2) == 0).then(|| self.text())
    }

    pub(in crate::wire) fn topic_name(&mut self) -> TopicName {
        TopicName(self.text())
    }

    /// A topic id, zero now and then; kafka-protocol's type for it has no name here.
    pub(in crate::wire) fn topic_id<T: FromStr<Err: Debug>>(&mut self) -> T {
        format!("{:032x}", u128::from(self.below(3))).parse().unwrap()
    }

    /// A few of something.
    pub(in crate::wire) fn few<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| element(self)).collect()
    }

    /// Tagged fields that no version defines; none where the version has none.
    pub(in crate::wire) fn tags(&mut self) -> Tags {
        if !self.flexible {
            return Tags::new();
        }
        let field = |dice: &mut Self| {
            let len = [0, 1, 5, 127, 128, 200][usize::from(dice.below(6))];
            (10 + i32::from(dice.below(200)), Bytes::from(vec![dice.below(255); len]))
        };
        if self.below(2) == 0 { Tags::new() } else { self.few(field).into_iter().collect() }
    }
}
