//! Files as authorities write them, good and bad, and what is made of them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use super::{rotating::Rotating, *};
use crate::metrics::ReloadOutcome;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key, as PEM.
fn leaf(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority("an authority")).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn der(pem: &str) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_client_is_whom_its_certificate_names() {
    let named = |names: &[(DnType, &str)]| {
        let mut subject = DistinguishedName::new();
        for (kind, value) in names {
            subject.push(kind.clone(), *value);
        }
        subject
    };
    use DnType::{CommonName, OrganizationName, OrganizationalUnitName};
    let subjects = [
        (named(&[(CommonName, "orders")]), "CN=orders"),
        (named(&[(OrganizationName, "Example"), (CommonName, "orders")]), "CN=orders,O=Example"),
        (
            named(&[(OrganizationalUnitName, "a,b+c"), (CommonName, " x\n")]),
            "CN=\\ x\\0a,OU=a\\,b\\+c",
        ),
    ];
    for (subject, expected) in subjects {
        let (pem, _) = leaf(|params| params.distinguished_name = subject);
        assert_eq!(identity(&der(&pem)).unwrap(), expected);
    }
    let uri = SanType::URI("spiffe://example/orders".try_into().unwrap());
    let (pem, _) = leaf(|params| {
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names.push(uri);
    });
    assert_eq!(identity(&der(&pem)).unwrap(), "DNS:localhost,URI:spiffe://example/orders");
    let (pem, _) = leaf(|params| {
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names.clear();
    });
    assert!(identity(&der(&pem)).is_err(), "nobody shall share an identity with everybody unnamed");
}

fn settings(folder: &Path) -> ServerTlsSettings {
    ServerTlsSettings {
        identity: IdentityFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        },
        client_ca: Some(folder.join("ca.crt")),
    }
}

/// A file, what stands in it, and what is said about it.
type Wrong<'t> = (&'t str, Option<&'t str>, Role, &'t str);

#[test]
fn files_that_cannot_be_used_are_named_with_what_is_wrong() {
    let folder = Folder::new();
    let (certificate, key) = leaf(|_| ());
    let (_, other_key) = leaf(|_| ());
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let torn = &certificate[..certificate.len() / 2];
    let table: &[Wrong<'_>] = &[
        ("tls.crt", None, Role::Certificate, "cannot be read: No such file or directory"),
        ("tls.crt", Some(""), Role::Certificate, "no certificate in it (PEM is expected)"),
        ("tls.crt", Some(&key), Role::Certificate, "no certificate in it (PEM is expected)"),
        ("tls.crt", Some(torn), Role::Certificate, "cannot be read as PEM: "),
        ("tls.crt", Some(garbage), Role::Certificate, "a certificate in it cannot be used: "),
        ("tls.key", Some(&certificate), Role::Key, "no private key in it (PEM is expected)"),
        ("tls.key", Some(&encrypted), Role::Key, "the private key in it is encrypted"),
        ("tls.key", Some(&other_key), Role::Key, "the private key in it is not that of the "),
        ("ca.crt", Some("nothing"), Role::Authority, "no certificate in it (PEM is expected)"),
        ("ca.crt", Some(garbage), Role::Authority, "a certificate in it cannot be used: "),
    ];
    for (name, text, role, expected) in table {
        folder.write("tls.crt", &certificate);
        folder.write("tls.key", &key);
        folder.write("ca.crt", &authority("clients").pem());
        assert_eq!(TlsServer::check(&settings(folder.0.path())).unwrap(), [""; 0]);
        match text {
            Some(text) => drop(folder.write(name, text)),
            None => fs::remove_file(folder.0.path().join(name)).unwrap(),
        }
        let error = TlsServer::check(&settings(folder.0.path())).unwrap_err();
        assert_eq!(error.role, *role, "{name}");
        let start = format!("{}: {expected}", folder.0.path().join(name).display());
        assert!(error.to_string().starts_with(&start), "{error}\n{start}");
        assert!(!error.to_string().contains("PRIVATE KEY"), "contents are not shown: {error}");
    }
}

#[test]
fn certificates_that_do_not_hold_are_remarked_upon() {
    let folder = Folder::new();
    let (certificate, key) = leaf(|params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "old");
        params.not_after = date_time_ymd(2020, 1, 2);
    });
    folder.write("tls.crt", &certificate);
    folder.write("tls.key", &key);
    let settings = ServerTlsSettings { client_ca: None, ..settings(folder.0.path()) };
    let path = settings.identity.certificate.display().to_string();
    let expected =
        format!("{path}: the certificate of \"CN=old\" has expired on 2020-01-02T00:00:00Z");
    assert_eq!(TlsServer::check(&settings).unwrap(), [expected]);
}

#[test]
fn new_files_are_taken_up_and_bad_ones_leave_the_old_in_force() {
    let folder = Folder::new();
    let (certificate, key) = leaf(|_| ());
    let (new_certificate, new_key) = leaf(|_| ());
    folder.write("tls.crt", &certificate);
    folder.write("tls.key", &key);
    folder.write("ca.crt", &authority("clients").pem());
    let rotating =
        Rotating::new(server::Files(settings(folder.0.path())), &mut Vec::new()).unwrap();
    let mut seen = rotating.seen();
    let mut before = rotating.current();
    let mut look = |what: &str, expected: Option<ReloadOutcome>| {
        assert_eq!(rotating.look(&mut seen), expected, "{what}");
        let now = rotating.current();
        let changed = !Arc::ptr_eq(&before, &now);
        assert_eq!(changed, expected == Some(ReloadOutcome::Applied), "{what}");
        before = now;
    };
    look("nothing has changed", None);
    folder.write("tls.crt", &new_certificate);
    look("half of a pair may be on its way", None);
    folder.write("tls.key", &new_key);
    look("the pair fits", Some(ReloadOutcome::Applied));
    look("it is in force", None);
    folder.write("ca.crt", "nothing");
    look("it may be half written", None);
    look("it is not", Some(ReloadOutcome::Failed));
    look("it is said once", None);
    folder.write("ca.crt", "nothing else");
    look("another bad file may be half written", None);
    look("another bad file is said too", Some(ReloadOutcome::Failed));
    fs::remove_file(folder.0.path().join("ca.crt")).unwrap();
    look("a file that is missing may be on its way", None);
    folder.write("ca.crt", &authority("others").pem());
    look("a new authority is in force", Some(ReloadOutcome::Applied));
}

#[test]
fn sessions_are_not_taken_up_again_where_clients_show_certificates() {
    let folder = Folder::new();
    let (certificate, key) = leaf(|_| ());
    folder.write("tls.crt", &certificate);
    folder.write("tls.key", &key);
    folder.write("ca.crt", &authority("clients").pem());
    let asking = TlsServer::new(settings(folder.0.path())).unwrap().config();
    assert!(!asking.session_storage.can_cache() && asking.send_tls13_tickets == 0);
    assert!(!asking.ticketer.enabled());
    let open = ServerTlsSettings { client_ca: None, ..settings(folder.0.path()) };
    assert!(TlsServer::new(open).unwrap().config().session_storage.can_cache());
}

#[test]
fn sizes_that_are_the_first_bytes_of_tls_are_told_from_large_frames() {
    for (size, expected) in [
        (0x1603_0100, true),
        (0x1603_0102, true),
        (0x1603_0301, true),
        (0x1503_0300, true),
        (0x1703_0300, false),
        (0x1602_0100, false),
        (16 * 1024 * 1024 + 1, false),
        (usize::MAX, false),
    ] {
        assert_eq!(looks_like_tls(size), expected, "{size:#x}");
    }
}
