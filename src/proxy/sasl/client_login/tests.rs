//! Whom a login is taken for, and when.

use std::net::SocketAddr;

use bytes::BufMut;

use super::*;
use crate::{proxy::sequence_guard::Identity, wire::request::Request};

const NONE: &[&str] = &[];

fn peer() -> Arc<Peer> {
    let address = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let identity = Identity::peer("L", address.ip());
    Arc::new(Peer::new(address, identity).known_by_login("L".into()))
}

fn request(api_key: i16, version: i16, body: &[u8]) -> (RequestPrefix, LoginFrame) {
    let mut payload = Vec::new();
    payload.put_i16(api_key);
    payload.put_i16(version);
    payload.put_i32(1);
    payload.put_i16(-1);
    payload.put_slice(body);
    match Request::new(Frame::build(&payload).unwrap()).unwrap() {
        (prefix, Request::Login(frame)) => (prefix, frame),
        other => panic!("{other:?}"),
    }
}

fn handshake(mechanism: &str) -> (RequestPrefix, LoginFrame) {
    let length = i16::try_from(mechanism.len()).unwrap();
    request(17, 1, &[&length.to_be_bytes()[..], mechanism.as_bytes()].concat())
}

fn authenticate(message: &[u8]) -> (RequestPrefix, LoginFrame) {
    let length = i32::try_from(message.len()).unwrap();
    request(36, 0, &[&length.to_be_bytes()[..], message].concat())
}

fn answer(error: i16, message: &[u8]) -> Frame {
    let mut payload = vec![0, 0, 0, 1];
    payload.put_i16(error);
    payload.put_i16(-1);
    payload.put_i32(i32::try_from(message.len()).unwrap());
    payload.put_slice(message);
    Frame::build(&payload).unwrap()
}

/// A message of a login, the broker's error code, and its message.
type Round<'a> = (&'a [u8], i16, &'a [u8]);

/// Runs a login and gives whom it leaves: `None` a stranger.
fn log_in(peer: &Arc<Peer>, mechanism: &str, rounds: &[Round<'_>]) -> Option<Identity> {
    let mut login = ClientLogin::new(Arc::clone(peer), ClientLogins::Require);
    let (prefix, frame) = handshake(mechanism);
    assert!(login.read(prefix, &frame).unwrap().is_none());
    for (message, error, said) in rounds {
        let (prefix, frame) = authenticate(message);
        if let Some(attempt) = login.read(prefix, &frame).unwrap() {
            attempt.answered(&answer(*error, said)).unwrap();
        }
    }
    peer.is_admitted().then(|| peer.identity().clone())
}

fn jwt(claims: &str) -> Vec<u8> {
    let claims = BASE64_URL.encode(claims);
    format!("n,,\u{1}auth=Bearer e30.{claims}.\u{1}\u{1}").into_bytes()
}

#[test]
fn who_logs_in_is_who_the_broker_has_accepted() {
    let user = |mechanism, name| Some(Identity::user("L", mechanism, name));
    let address = || Some(Identity::peer("L", [127, 0, 0, 1].into()));
    let (first, last) = (&b"n,,n=al=2Cice=3D,r=abc"[..], &b"c=biws,r=abcd,p=AAAA"[..]);
    let long = [b"\0", &[b'x'; 1_025][..], b"\0pw"].concat();
    let table: Vec<(&str, Vec<Round<'_>>, Option<Identity>)> = vec![
        ("PLAIN", vec![(b"\0alice\0pw", 0, b"")], user("PLAIN", "alice")),
        ("PLAIN", vec![(b"bob\0alice\0pw", 0, b"")], user("PLAIN", "alice")),
        ("PLAIN", vec![(b"\0alice\0pw", 58, b"")], None),
        // The broker takes what is not understood here: a login, of nobody that is known.
        ("PLAIN", vec![(b"alice", 0, b"")], address()),
        ("PLAIN", vec![(b"\0\0pw", 0, b"")], address()),
        ("PLAIN", vec![(b"\0a\0b\0c", 0, b"")], address()),
        ("PLAIN", vec![(b"\0\xff\0pw", 0, b"")], address()),
        ("PLAIN", vec![(&long, 0, b"")], address()),
        ("PLAIN", vec![], None),
        ("SCRAM-SHA-256", vec![(first, 0, b"r=abcd,s=AAAA,i=4096")], None),
        (
            "SCRAM-SHA-256",
            vec![(first, 0, b"r=abcd"), (last, 0, b"v=AAAA")],
            user("SCRAM-SHA-256", "al,ice="),
        ),
        (
            "SCRAM-SHA-512",
            vec![(b"n,a=x,n=bob,r=abc", 0, b"r=abcd"), (last, 0, b"v=AAAA")],
            user("SCRAM-SHA-512", "bob"),
        ),
        ("SCRAM-SHA-512", vec![(first, 0, b"r=abcd"), (last, 58, b"")], None),
        ("SCRAM-SHA-512", vec![(first, 58, b""), (first, 0, b"r=abcd")], None),
        ("SCRAM-SHA-512", vec![(first, 0, b"r=abcd"), (last, 0, b"e=other-error")], None),
        ("SCRAM-SHA-512", vec![(b"n,,n=a=2", 0, b"r="), (last, 0, b"v=AAAA")], address()),
        ("SCRAM-SHA-512", vec![(b"n,,n=a=41", 0, b"r="), (last, 0, b"v=AAAA")], address()),
    ];
    for (mechanism, rounds, expected) in table {
        assert_eq!(log_in(&peer(), mechanism, &rounds), expected, "{mechanism} {rounds:?}");
    }
}

#[test]
fn a_token_is_accepted_only_where_the_broker_says_no_more() {
    let user = Some(Identity::user("L", "OAUTHBEARER", "alice"));
    let address = Some(Identity::peer("L", [127, 0, 0, 1].into()));
    let good = jwt(r#"{"iss":"x","sub":"alice","exp":1.5}"#);
    let twice = [&good[..good.len() - 1], b"auth=Bearer e30.e30.\x01\x01"].concat();
    for (message, error, said, expected) in [
        (&good[..], 0, &b""[..], &user),
        // RFC 7628: the reason comes as a message, the error only after the client has taken it.
        (&good, 0, br#"{"status":"invalid_token"}"#, &None),
        (&good, 58, b"", &None),
        (b"n,,\x01auth=Bearer opaque\x01\x01", 0, b"", &address),
        (b"n,,\x01auth=Basic e30.e30.\x01\x01", 0, b"", &address),
        (&jwt(r#"{"sub":7}"#), 0, b"", &address),
        (&jwt(r#"{"sub":"a","sub":"b"}"#), 0, b"", &address),
        (&jwt(&"[".repeat(100_000)), 0, b"", &address),
        (&twice, 0, b"", &address),
    ] {
        let seen = log_in(&peer(), "OAUTHBEARER", &[(message, error, said)]);
        assert_eq!(seen, *expected, "{}", String::from_utf8_lossy(message));
    }
    let refused = log_in(&peer(), "OAUTHBEARER", &[(&good, 0, b"{}"), (b"\x01", 0, b"")]);
    assert_eq!(refused, None, "what follows a refusal completes nothing");
}

#[test]
fn nobody_becomes_somebody_else() {
    let peer = peer();
    for name in ["alice", "mallory"] {
        let message = format!("\0{name}\0pw");
        let seen = log_in(&peer, "PLAIN", &[(message.as_bytes(), 0, b"")]);
        assert_eq!(seen, Some(Identity::user("L", "PLAIN", "alice")));
    }
    let certified = Identity::peer("subject", [127, 0, 0, 1].into());
    let fixed = Arc::new(Peer::new(peer.address, certified.clone()));
    assert_eq!(log_in(&fixed, "PLAIN", &[(b"\0alice\0pw", 0, b"")]), Some(certified));
}

#[test]
fn what_cannot_be_followed_is_refused_where_a_login_is_required_and_passes_elsewhere() {
    let unknown = |name: &str| Err(LoginRefusal::Mechanism(name.to_owned()));
    let long = "x".repeat(300);
    for (logins, mechanisms, expected) in [
        (ClientLogins::Require, &["GSSAPI"][..], unknown("GSSAPI")),
        (ClientLogins::Require, &["plain"], unknown("plain")),
        (ClientLogins::Require, &[&*long], unknown(&format!("{}…", "x".repeat(256)))),
        (ClientLogins::Require, &["PLAIN", "PLAIN"], Err(LoginRefusal::Overlapping)),
        (ClientLogins::Pass, &["GSSAPI", "PLAIN"], Ok(())),
        (ClientLogins::Refuse, &["PLAIN"], Err(LoginRefusal::NotOffered)),
        (ClientLogins::Pass, NONE, Ok(())),
    ] {
        let peer = peer();
        let mut login = ClientLogin::new(Arc::clone(&peer), logins);
        let mut read = |(prefix, frame): (RequestPrefix, LoginFrame)| login.read(prefix, &frame);
        let named = mechanisms.iter().try_for_each(|name| read(handshake(name)).map(drop));
        assert_eq!(named, expected, "{mechanisms:?}");
        if named.is_ok() {
            assert!(read(authenticate(b"\0alice\0pw")).unwrap().is_none(), "{mechanisms:?}");
        }
    }
}

#[test]
fn no_secret_is_shown() {
    let (_, frame) = authenticate(b"\0alice\0hunter2");
    assert!(!format!("{frame:?}").contains("hunter2"));
    let mut login = ClientLogin::new(peer(), ClientLogins::Pass);
    let (prefix, named) = handshake("PLAIN");
    login.read(prefix, &named).unwrap();
    let (prefix, _) = authenticate(b"");
    let attempt = login.read(prefix, &frame).unwrap().unwrap();
    assert!(!format!("{attempt:?} {login:?}").contains("hunter2"));
}
