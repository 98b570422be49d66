//! A stream of requests, as a client sends it: announced, cut, and told apart.

use bytes::BytesMut;
use schemaward::limits::WireLimits;
use schemaward::wire::WireError;
use schemaward::wire::api::{self, ApiKey};
use schemaward::wire::frame::{Frame, announced, response_header};
use schemaward::wire::prefix::RequestPrefix;
use schemaward::wire::request::{Answer, Request};
use schemaward::wire::sasl;

use super::{Outcome, split, within};

/// The first byte says in which portions the stream arrives.
pub fn run(data: &[u8]) -> Outcome {
    let (portion, stream) = split(data);
    for end in 0..stream.len().min(12) {
        let (earlier, now) = (announced(&stream[..end]), announced(stream));
        assert!(earlier == Ok(None) || earlier == now, "{earlier:?}, then {now:?}");
        let (earlier, now) = (response_header(&stream[..end]), response_header(stream));
        assert!(earlier == Ok(None) || earlier == now, "{earlier:?}, then {now:?}");
    }
    let at_once = within(4 * stream.len() + 4_096, || cut(stream, stream.len()));
    assert_eq!(at_once, cut(stream, 1 + portion), "the portions must not matter");
    at_once.iter().for_each(request);
    Outcome::of(!at_once.is_empty())
}

/// Does what a connection does: no frame is collected that was not announced and found to be small enough.
fn cut(stream: &[u8], portion: usize) -> Vec<Frame> {
    let (mut frames, mut buf) = (Vec::new(), BytesMut::new());
    for portion in stream.chunks(portion.max(1)) {
        buf.extend_from_slice(portion);
        while let Ok(Some(announced)) = announced(&buf) {
            if announced.check(&WireLimits::default()).is_err() {
                return frames;
            }
            let Some(frame) = Frame::cut(&mut buf) else { break };
            assert_eq!(frame.payload().len(), announced.size);
            assert_eq!(Frame::from_bytes(frame.bytes().clone()), Ok(frame.clone()));
            frames.push(frame);
        }
    }
    frames
}

fn request(frame: &Frame) {
    let prefix = RequestPrefix::parse(frame).expect("a frame that was announced has a prefix");
    let RequestPrefix { api_key, api_version, .. } = prefix;
    assert!(api::LABELS.contains(&api::label(api_key)));
    let offered = api::offered(api_key).is_none_or(|range| range.contains(&api_version));
    match Request::new(frame.clone()) {
        Ok((read, request)) => {
            assert_eq!(read, prefix);
            judge(api_key, offered, frame, &request);
        }
        Err(error) => {
            assert!(matches!(error, WireError::Version { .. }), "{error}");
            assert!(!offered, "{error}");
        }
    }
}

fn judge(api_key: i16, offered: bool, frame: &Frame, request: &Request) {
    let is_produce = ApiKey(api_key) == ApiKey::PRODUCE;
    match request {
        Request::Opaque(opaque, answer) => {
            assert!(!is_produce && offered, "api key {api_key} passes unread");
            assert_eq!(opaque.frame(), frame);
            let read = api::offered(api_key).is_some();
            assert!(read || *answer == Answer::Relay, "the answer of an unknown api is read");
        }
        Request::Login(login) => {
            assert!([17, 36].contains(&api_key) && offered);
            assert_eq!(login.frame(), frame);
            // Whatever stands in it is read or refused, and no more.
            let _ = (sasl::mechanism(frame), sasl::message(frame));
        }
        Request::Produce(produce) => {
            assert!(is_produce && offered);
            assert_eq!(produce.frame(), frame);
        }
        Request::TooNewApiVersions => {
            assert!(ApiKey(api_key) == ApiKey::API_VERSIONS && !offered);
        }
    }
}
