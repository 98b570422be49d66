//! SCRAM against published exchanges, and against servers that mean no good.

use super::*;

struct Exchange {
    hash: Hash,
    username: &'static str,
    password: &'static str,
    nonce: &'static str,
    messages: [&'static str; 4],
}

/// The example of RFC 7677, section 3, and one that was computed with Python's hashlib.
const EXCHANGES: [Exchange; 2] = [
    Exchange {
        hash: Hash::Sha256,
        username: "user",
        password: "pencil",
        nonce: "rOprNGfwEbeRWgbNEkqO",
        messages: [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    },
    Exchange {
        hash: Hash::Sha512,
        username: "a=b,c",
        password: "grün",
        nonce: "fyko+d2lbbFgONRv9qkxdawL",
        messages: [
            "n,,n=a=3Db=2Cc,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=AAECAwQFBgcICQoLDA0ODw==,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=KdWsBkcLU0MqBCxHmpFaV63EYoYFtLGwZQrwXx5Gip3Dz7chhyzosUjyFfiGRGXTElWZsW+nm6u7Oc9mQ4w5mA==",
            "v=rCPzo1f7lu+VcM0KIlKO5G745QUR87RnjNxERQj8W+EcdMeV7LfLhhNI8FLwd8vl98Sx0qtcXs7t3QpVImySZQ==",
        ],
    },
];

fn begun(exchange: &Exchange) -> Scram {
    Scram::with_nonce(exchange.hash, exchange.username, exchange.nonce.to_owned())
}

fn keys(exchange: &Exchange, server: &ServerFirst) -> Keys {
    Keys::derive(exchange.hash, exchange.password, &server.salt, server.iterations)
}

#[test]
fn published_exchanges_come_out_byte_by_byte() {
    for exchange in &EXCHANGES {
        let [first, server_first, last, server_last] = exchange.messages.map(str::as_bytes);
        let scram = begun(exchange);
        assert_eq!(scram.first(), first);
        let server = scram.server_first(server_first).unwrap();
        let (message, expected) = scram.last(&server, &keys(exchange, &server));
        assert_eq!(message, last);
        assert_eq!(expected.check(server_last), Ok(()));
        let with_extension = [server_last, b",x=y"].concat();
        assert_eq!(expected.check(&with_extension), Ok(()));
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    for exchange in &EXCHANGES {
        let scram = begun(exchange);
        let server = scram.server_first(exchange.messages[1].as_bytes()).unwrap();
        let (_, expected) = scram.last(&server, &keys(exchange, &server));
        let signature = STANDARD.decode(&exchange.messages[3][2..]).unwrap();
        for at in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[at] ^= 1;
            let message = format!("v={}", STANDARD.encode(wrong));
            assert_eq!(expected.check(message.as_bytes()), Err(ScramError::Signature));
        }
        for (message, error) in [
            (&b"v="[..], ScramError::Signature),
            (b"v=AAAA", ScramError::Signature),
            (b"v=?", ScramError::Malformed("last")),
            (b"", ScramError::Malformed("last")),
            (b"ok", ScramError::Malformed("last")),
            (b"\xff", ScramError::Malformed("last")),
            (b"e=other-error", ScramError::Refused("other-error".to_owned())),
        ] {
            assert_eq!(expected.check(message), Err(error), "{message:?}");
        }
    }
}

#[test]
fn what_a_server_asks_for_is_bounded_and_has_to_continue_our_nonce() {
    let scram = Scram::with_nonce(Hash::Sha256, "user", "abc".to_owned());
    let malformed = || Err(ScramError::Malformed("first"));
    for (message, expected) in [
        ("r=abcd,s=AAAA,i=4096", Ok(4_096)),
        ("r=abcd,s=AAAA,i=1000000,x=y", Ok(1_000_000)),
        ("r=abcd,s=AAAA,i=4095", Err(ScramError::Iterations(4_095))),
        ("r=abcd,s=AAAA,i=1000001", Err(ScramError::Iterations(1_000_001))),
        ("r=abcd,s=AAAA,i=4294967295", Err(ScramError::Iterations(u32::MAX))),
        ("r=abcd,s=AAAA,i=4294967296", malformed()),
        ("r=abcd,s=AAAA,i=0", malformed()),
        ("r=abcd,s=AAAA,i=-1", malformed()),
        ("r=abcd,s=AAAA,i=", malformed()),
        ("r=abcd,s=AAAA", malformed()),
        ("r=abcd,s=,i=4096", malformed()),
        ("r=abcd,s=?,i=4096", malformed()),
        ("s=AAAA,r=abcd,i=4096", malformed()),
        ("m=x,r=abcd,s=AAAA,i=4096", malformed()),
        ("", malformed()),
        ("r=abc,s=AAAA,i=4096", Err(ScramError::Nonce)),
        ("r=abx,s=AAAA,i=4096", Err(ScramError::Nonce)),
        ("r=,s=AAAA,i=4096", Err(ScramError::Nonce)),
        ("e=unknown-user\n", Err(ScramError::Refused("unknown-user\\n".to_owned()))),
    ] {
        let asked = scram.server_first(message.as_bytes()).map(|server| server.iterations.get());
        assert_eq!(asked, expected, "{message}");
    }
    let huge = format!("r=abcd,s={},i=4096", "AAAA".repeat(2_000));
    assert_eq!(scram.server_first(huge.as_bytes()), Err(ScramError::Malformed("first")));
    assert_eq!(scram.server_first(b"\xff\xfe"), Err(ScramError::Malformed("first")));
}

#[test]
fn no_two_logins_share_a_nonce() {
    let nonce = || Scram::new(Hash::Sha512, "user").unwrap().nonce;
    let (one, other) = (nonce(), nonce());
    assert!(one != other && one.len() == 32 && !one.contains(','), "{one} {other}");
}
