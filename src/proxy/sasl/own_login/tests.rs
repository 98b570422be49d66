//! A login at brokers that do as they should, and at brokers that mean no good.

use bytes::BufMut;
use tempfile::TempDir;

use super::*;
use crate::wire::prefix::RequestPrefix;

const PASSWORD: &str = "hunter2";

/// A login with its files.
fn login(mechanism: SaslMechanism) -> (TempDir, Arc<OwnLogin>) {
    let folder = tempfile::tempdir().unwrap();
    let [username_file, password_file] = ["u", "p"].map(|name| folder.path().join(name));
    std::fs::write(&username_file, "alice\n").unwrap();
    std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
    let settings = SaslSettings { mechanism, username_file, password_file };
    (folder, OwnLogin::new(settings, Duration::from_secs(5)))
}

fn answer(correlation_id: i32, body: impl FnOnce(&mut Vec<u8>)) -> Frame {
    let mut payload = correlation_id.to_be_bytes().to_vec();
    body(&mut payload);
    Frame::build(&payload).unwrap()
}

/// Names SaslHandshake and SaslAuthenticate up to `highest`.
fn versions(highest: i16) -> Frame {
    answer(0, |out| {
        out.put_i16(0);
        out.put_i32(2);
        [17, 0, 1, 36, 0, highest].iter().for_each(|number| out.put_i16(*number));
    })
}

fn handshake(error: i16) -> Frame {
    answer(1, |out| {
        out.put_i16(error);
        out.put_i32(1);
        out.put_i16(6);
        out.put_slice(b"GSSAPI");
    })
}

fn authenticated(id: i32, error: i16, text: &str, message: &[u8], lifetime: Option<i64>) -> Frame {
    answer(id, |out| {
        out.put_i16(error);
        out.put_i16(i16::try_from(text.len()).unwrap());
        out.put_slice(text.as_bytes());
        out.put_i32(i32::try_from(message.len()).unwrap());
        out.put_slice(message);
        lifetime.iter().for_each(|lifetime| out.put_i64(*lifetime));
    })
}

/// Begins a login and carries it to the first message of the mechanism, in version `highest`.
async fn begun(login: &Arc<OwnLogin>, highest: i16) -> (Exchange, OwnRequest) {
    let (exchange, request) = Exchange::begin(login).await.unwrap();
    assert_eq!(request.prefix(), prefix(18, 0, 0));
    let (exchange, request) = asks(exchange.take(&versions(highest)).await);
    assert_eq!(request.prefix(), prefix(17, 1, 1));
    asks(exchange.take(&handshake(0)).await)
}

fn prefix(api_key: i16, api_version: i16, correlation_id: i32) -> RequestPrefix {
    RequestPrefix { api_key, api_version, correlation_id }
}

fn asks(next: Result<Next, LoginError>) -> (Exchange, OwnRequest) {
    match next {
        Ok(Next::Ask(exchange, request)) => (*exchange, request),
        other => panic!("{other:?}"),
    }
}

fn done(next: Result<Next, LoginError>) -> Session {
    match next {
        Ok(Next::Done(session)) => session,
        other => panic!("{other:?}"),
    }
}

fn said(request: &OwnRequest) -> String {
    let message = crate::wire::sasl::message(request.frame()).unwrap();
    String::from_utf8(message.to_vec()).unwrap()
}

#[tokio::test]
async fn plain_sends_user_and_password_in_the_version_that_the_broker_takes() {
    let (_folder, login) = login(SaslMechanism::Plain);
    for (highest, version, lifetime) in [(0, 0, None), (1, 1, Some(0)), (2, 1, Some(60_000))] {
        let (exchange, request) = begun(&login, highest).await;
        assert_eq!(request.prefix(), prefix(36, version, 2));
        assert_eq!(said(&request), "\0alice\0hunter2");
        let session = done(exchange.take(&authenticated(2, 0, "", b"", lifetime)).await);
        assert_eq!(session.due.is_some(), lifetime == Some(60_000), "v{highest}");
        assert!(!session.is_due(Instant::now()));
    }
}

#[tokio::test]
async fn a_login_is_repeated_without_asking_for_versions_and_with_what_the_files_hold_then() {
    let (folder, login) = login(SaslMechanism::Plain);
    let (exchange, _) = begun(&login, 2).await;
    let session = done(exchange.take(&authenticated(2, 0, "", b"", Some(1))).await);
    assert!(session.is_due(Instant::now() + Duration::from_millis(1)));
    std::fs::write(folder.path().join("p"), "other").unwrap();
    let (exchange, request) = session.again().await.unwrap();
    assert_eq!(request.prefix(), prefix(17, 1, 3));
    let taken = answer(3, |out| out.put_slice(&[0; 6]));
    let (exchange, request) = asks(exchange.take(&taken).await);
    assert_eq!((request.prefix(), &*said(&request)), (prefix(36, 1, 4), "\0alice\0other"));
    let session = done(exchange.take(&authenticated(4, 0, "", b"", Some(0))).await);
    assert!(!session.is_due(Instant::now() + Duration::from_secs(1_000_000)));
    std::fs::write(folder.path().join("u"), "bob").unwrap();
    assert!(matches!(session.again().await, Err(LoginError::UserChanged)));
    std::fs::remove_file(folder.path().join("u")).unwrap();
    assert!(matches!(session.again().await, Err(LoginError::Credentials(_))));
}

#[tokio::test]
async fn a_login_goes_on_with_other_files_and_stays_with_its_mechanism() {
    let (folder, login) = login(SaslMechanism::Plain);
    let (exchange, _) = begun(&login, 2).await;
    let session = done(exchange.take(&authenticated(2, 0, "", b"", Some(1))).await);
    let [username_file, password_file] = ["u2", "p2"].map(|name| folder.path().join(name));
    std::fs::write(&username_file, "alice").unwrap();
    std::fs::write(&password_file, "new").unwrap();
    std::fs::remove_file(folder.path().join("p")).unwrap();
    let mechanism = SaslMechanism::ScramSha256;
    login.replace(SaslSettings { mechanism, username_file, password_file }, Duration::from_secs(7));
    assert_eq!(session.time(), Duration::from_secs(7));
    let (exchange, _) = session.again().await.unwrap();
    let taken = answer(3, |out| out.put_slice(&[0; 6]));
    let (_, request) = asks(exchange.take(&taken).await);
    assert_eq!(said(&request), "\0alice\0new");
    let (_, request) = begun(&login, 2).await;
    assert!(said(&request).starts_with("n,,n=alice,r="), "a new login takes the new mechanism");
}

#[tokio::test]
async fn a_scram_broker_has_to_prove_that_it_knows_the_password() {
    for (mechanism, hash) in
        [(SaslMechanism::ScramSha256, Hash::Sha256), (SaslMechanism::ScramSha512, Hash::Sha512)]
    {
        let (_folder, login) = login(mechanism);
        let (exchange, request) = begun(&login, 1).await;
        let first = said(&request);
        let nonce = first.strip_prefix("n,,n=alice,r=").unwrap();
        let challenge = format!("r={nonce}x,s=c2FsdA==,i=4096");
        let challenge = authenticated(2, 0, "", challenge.as_bytes(), Some(0));
        let (exchange, request) = asks(exchange.take(&challenge).await);
        assert!(said(&request).starts_with(&format!("c=biws,r={nonce}x,p=")), "{hash:?}");
        let forged = authenticated(3, 0, "", b"v=AAAA", Some(0));
        let refused = exchange.take(&forged).await;
        assert!(matches!(refused, Err(LoginError::Scram(ScramError::Signature))), "{refused:?}");
    }
}

#[tokio::test]
async fn connections_that_begin_at_once_derive_the_same_keys_once() {
    let (_folder, login) = login(SaslMechanism::ScramSha512);
    let logins = (0..50).map(|_| {
        let login = Arc::clone(&login);
        tokio::spawn(async move {
            let (exchange, request) = begun(&login, 1).await;
            let first = said(&request);
            let nonce = first.strip_prefix("n,,n=alice,r=").unwrap();
            let challenge = format!("r={nonce}x,s=c2FsdA==,i=4096");
            asks(exchange.take(&authenticated(2, 0, "", challenge.as_bytes(), Some(0))).await);
        })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap();
    }
    assert_eq!(login.keys.derived(), 1);
}

#[tokio::test]
async fn every_refusal_says_what_is_wrong_and_never_the_password() {
    let (_folder, login) = login(SaslMechanism::Plain);
    let (exchange, _) = Exchange::begin(&login).await.unwrap();
    let nothing = answer(0, |out| out.put_slice(&[0; 6]));
    assert!(matches!(exchange.take(&nothing).await, Err(LoginError::NoSasl)));
    for (error, expected) in [
        (33, "the broker does not take PLAIN but: GSSAPI"),
        (34, "the broker's listener takes no login (error 34)"),
    ] {
        let (exchange, _) = Exchange::begin(&login).await.unwrap();
        let (exchange, _) = asks(exchange.take(&versions(2)).await);
        let refused = exchange.take(&handshake(error)).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
    let refused = "login of alice by PLAIN refused (error 58): ";
    for (text, shown) in [
        ("Invalid username or password", "Invalid username or password"),
        ("wrong: hunter2!", "(withheld)"),
        ("a\nb", "a\\nb"),
    ] {
        let (exchange, _) = begun(&login, 1).await;
        let error = exchange.take(&authenticated(2, 58, text, b"", Some(0))).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{refused}{shown}"));
        assert!(!format!("{error:?}").contains(PASSWORD));
    }
}

#[tokio::test]
async fn hostile_answers_are_errors_at_every_step() {
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256] {
        let (_folder, login) = login(mechanism);
        for step in 0..3 {
            for payload in [&[][..], &[0; 3], &[0; 4], &[0xff; 40], b"HTTP/1.1 400 Bad Request"] {
                let (mut exchange, _) = Exchange::begin(&login).await.unwrap();
                for taken in [versions(1), handshake(0)].iter().take(step) {
                    (exchange, _) = asks(exchange.take(taken).await);
                }
                let frame = Frame::build(payload).unwrap();
                assert!(exchange.take(&frame).await.is_err(), "{step} {payload:?}");
            }
        }
    }
    let (_folder, login) = login(SaslMechanism::ScramSha256);
    for message in [&b""[..], b"r=,s=,i=", b"v=AAAA", &[0xff; 100], &[b'r'; 60_000]] {
        let (exchange, _) = begun(&login, 1).await;
        let refused = exchange.take(&authenticated(2, 0, "", message, Some(0))).await;
        assert!(matches!(refused, Err(LoginError::Scram(_))), "{refused:?}");
    }
}

#[test]
fn a_login_is_repeated_before_it_ends_and_not_by_all_at_once() {
    let now = Instant::now();
    for (lifetime, jitter, expected) in [
        (1_000, 0, Some(850)),
        (1_000, 255, Some(950)),
        (60_000, 128, Some(54_000)),
        (1, 0, Some(0)),
        (0, 0, None),
        (-1, 0, None),
        (i64::MIN, 0, None),
    ] {
        let due = due(now, lifetime, jitter).map(|due| due.duration_since(now).as_millis());
        assert_eq!(due, expected, "{lifetime} {jitter}");
    }
    // A time that no clock reaches is none, and no panic.
    assert!(due(now, i64::MAX, 255).is_none_or(|due| due > now));
}
