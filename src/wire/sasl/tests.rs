//! The messages of a login against kafka-protocol, and against damage.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
        SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
        api_versions_response::ApiVersion,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use proptest::prelude::*;

use super::*;

fn request<R: Request>(version: i16, request: &R) -> Frame {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(StrBytes::from_static_str("someone")));
    let mut out = BytesMut::new();
    header.encode(&mut out, R::header_version(version)).unwrap();
    request.encode(&mut out, version).unwrap();
    Frame::build(&out).unwrap()
}

fn response<R: Encodable + HeaderVersion>(version: i16, response: &R) -> Frame {
    let mut out = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(7);
    header.encode(&mut out, R::header_version(version)).unwrap();
    response.encode(&mut out, version).unwrap();
    Frame::build(&out).unwrap()
}

/// Every frame that is `frame` cut short or with a byte behind it.
fn damaged(frame: &Frame) -> Vec<Frame> {
    let payload = frame.payload();
    let mut all: Vec<_> = (0..payload.len()).map(|end| payload[..end].to_vec()).collect();
    all.push([payload, &[0]].concat());
    all.iter().map(|payload| Frame::build(payload).unwrap()).collect()
}

#[test]
fn what_clients_send_is_read_in_every_version_and_damage_is_an_error() {
    let mechanism_of = SaslHandshakeRequest::default().with_mechanism("SCRAM-SHA-256".into());
    let frame = request(1, &mechanism_of);
    assert_eq!(mechanism(&frame), Ok("SCRAM-SHA-256"));
    damaged(&frame).iter().for_each(|frame| assert!(mechanism(frame).is_err()));
    for version in 0..=2 {
        let body = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"n,,x"));
        let frame = request(version, &body);
        assert_eq!(message(&frame), Ok(&b"n,,x"[..]), "v{version}");
        damaged(&frame).iter().for_each(|frame| assert!(message(frame).is_err()));
    }
}

#[test]
fn what_brokers_answer_is_read_in_every_version_and_damage_is_an_error() {
    let names = ["PLAIN", "GSSAPI"].map(StrBytes::from_static_str).to_vec();
    let taken = SaslHandshakeResponse::default().with_error_code(33).with_mechanisms(names);
    let frame = response(1, &taken);
    let expected =
        HandshakeAnswer { error_code: ErrorCode(33), mechanisms: vec!["PLAIN", "GSSAPI"] };
    assert_eq!(HandshakeAnswer::parse(&frame), Ok(expected));
    damaged(&frame).iter().for_each(|frame| assert!(HandshakeAnswer::parse(frame).is_err()));
    for version in 0..=2 {
        for text in [None, Some("no")] {
            let answer = SaslAuthenticateResponse::default()
                .with_error_code(58)
                .with_error_message(text.map(StrBytes::from_static_str))
                .with_auth_bytes(Bytes::from_static(b"v=x"))
                .with_session_lifetime_ms(if version >= 1 { 5_000 } else { 0 });
            let frame = response(version, &answer);
            let parsed = AuthenticateAnswer::parse(&frame, version).unwrap();
            assert_eq!(parsed.error_code, ErrorCode(58));
            assert_eq!(parsed.error_message, text.map(str::as_bytes));
            assert_eq!(parsed.message, b"v=x");
            assert_eq!(parsed.session_lifetime_ms, answer.session_lifetime_ms);
            for frame in damaged(&frame) {
                assert!(AuthenticateAnswer::parse(&frame, version).is_err());
            }
        }
    }
}

#[test]
fn the_highest_version_of_an_api_is_found() {
    let entry = |key, max| ApiVersion::default().with_api_key(key).with_max_version(max);
    for (keys, expected) in [
        (vec![], None),
        (vec![entry(17, 1)], None),
        (vec![entry(17, 1), entry(36, 2)], Some(2)),
        (vec![entry(36, 0), entry(0, 9)], Some(0)),
    ] {
        let frame = response(0, &ApiVersionsResponse::default().with_api_keys(keys));
        assert_eq!(highest_version(&frame, ApiKey::SASL_AUTHENTICATE), Ok(expected));
        for frame in damaged(&frame) {
            assert!(highest_version(&frame, ApiKey::SASL_AUTHENTICATE).is_err());
        }
    }
}

#[test]
fn counts_that_promise_more_than_is_there_are_errors() {
    for count in [-1, 1, 1_001, i32::MAX] {
        let mut payload = vec![0, 0, 0, 7, 0, 0];
        payload.extend(count.to_be_bytes());
        let frame = Frame::build(&payload).unwrap();
        assert!(HandshakeAnswer::parse(&frame).is_err(), "{count}");
        assert!(highest_version(&frame, ApiKey::SASL_AUTHENTICATE).is_err(), "{count}");
    }
}

#[test]
fn own_requests_are_what_a_broker_reads() {
    let read = |own: &OwnRequest, header_version| {
        let mut bytes = Bytes::copy_from_slice(own.frame().payload());
        let header = RequestHeader::decode(&mut bytes, header_version).unwrap();
        assert_eq!(header.correlation_id, 9);
        assert_eq!(RequestPrefix::parse(own.frame()), Ok(own.prefix()));
        assert_eq!(header.client_id, Some(StrBytes::from_static_str(CLIENT_ID)));
        bytes
    };
    assert!(read(&OwnRequest::api_versions(9).unwrap(), 1).is_empty());
    let mut body = read(&OwnRequest::handshake(9, "PLAIN").unwrap(), 1);
    assert_eq!(&SaslHandshakeRequest::decode(&mut body, 1).unwrap().mechanism, "PLAIN");
    for version in 0..=OWN_AUTHENTICATE {
        let own = OwnRequest::authenticate(9, version, b"\0a\0secret").unwrap();
        let mut body = read(&own, 1);
        let read = SaslAuthenticateRequest::decode(&mut body, version).unwrap();
        assert_eq!(&read.auth_bytes[..], b"\0a\0secret");
        assert!(!format!("{own:?}").contains("secret") && body.is_empty());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(payload: Vec<u8>, version in -1_i16..4) {
        let frame = Frame::build(&payload).unwrap();
        let _ = mechanism(&frame);
        let _ = message(&frame);
        let _ = HandshakeAnswer::parse(&frame);
        let _ = AuthenticateAnswer::parse(&frame, version);
        let _ = highest_version(&frame, ApiKey::SASL_AUTHENTICATE);
    }
}
