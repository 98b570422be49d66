//! Logins over connections to brokers that answer whatever they like.

use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::{
    limits::KIB,
    proxy::settings::{SaslMechanism, SaslSettings},
};

/// Answers everybody with the same bytes, and then closes or says nothing more.
#[derive(Debug)]
struct Says(Vec<u8>, Then);

#[derive(Debug, Clone, Copy)]
enum Then {
    Closes,
    Waits,
}

impl Dial for Says {
    type Io = DuplexStream;

    async fn dial(&self, _address: &BrokerAddress) -> io::Result<DuplexStream> {
        let (near, mut far) = duplex(256 * KIB);
        let Self(said, then) = self;
        let (said, then) = (said.clone(), *then);
        tokio::spawn(async move {
            far.write_all(&said).await.unwrap();
            if matches!(then, Then::Closes) {
                far.shutdown().await.unwrap();
            }
            let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
        });
        Ok(near)
    }
}

async fn refused(said: &[u8], then: Then, connect_timeout: Duration) -> DialError {
    let folder = tempfile::tempdir().unwrap();
    let [username_file, password_file] = ["u", "p"].map(|name| folder.path().join(name));
    for file in [&username_file, &password_file] {
        std::fs::write(file, "secret").unwrap();
    }
    let mechanism = SaslMechanism::Plain;
    let address = BrokerAddress { host: "kafka".to_owned(), port: 9092 };
    let settings = UpstreamSettings {
        bootstrap: vec![address.clone()],
        connect_timeout,
        tls: None,
        sasl: Some(SaslSettings { mechanism, username_file, password_file }),
    };
    let upstream = Upstream::new(&settings, Says(said.to_vec(), then), None);
    upstream.connect(&address).await.unwrap_err()
}

#[tokio::test]
async fn a_broker_that_is_none_ends_the_login_with_a_sentence() {
    let huge = [&(64 * KIB as u32 + 1).to_be_bytes()[..], &[0; 100]].concat();
    for (said, expected) in [
        (&b""[..], "the broker closed during the login"),
        (&[0, 0], "the broker closed during the login"),
        (&[0, 0, 1, 0, 1, 2, 3], "the broker closed during the login"),
        (&huge, "frame announces 65537 bytes but at most 65536 are taken"),
        (&[0x7f, 0xff, 0xff, 0xff], "frame announces 2147483647 bytes but at most 65536 are taken"),
        (&[0xff; 8], "frame announces -1 bytes, which is no size of a frame"),
        (&[0, 0, 0, 0], "frame announces 0 bytes, which is no size of a frame"),
        (&[0, 0, 0, 4, 0, 0, 0, 9], "broker answered correlation id 9, expected 0"),
        (&[0, 0, 0, 4, 0, 0, 0, 0], "ApiVersions response v0"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "frame announces 1213486160 bytes"),
        (b"\x15\x03\x01\x00\x02\x02", "frame announces 352518400 bytes"),
    ] {
        let error = refused(said, Then::Closes, Duration::from_secs(60)).await;
        assert_eq!(error.kind, UpstreamErrorKind::Login);
        assert_eq!(error.to_string(), "broker kafka:9092 does not let schemaward in");
        let source = error.source.to_string();
        assert!(source.contains(expected), "{said:?}: {source}");
    }
}

#[tokio::test]
async fn a_broker_that_never_answers_is_waited_for_no_longer_than_for_a_connection() {
    let error = refused(&[0, 0, 1, 0, 1, 2, 3], Then::Waits, Duration::from_millis(50)).await;
    assert_eq!(error.kind, UpstreamErrorKind::Login);
    assert_eq!(error.source.to_string(), "the login did not come about in time");
}
