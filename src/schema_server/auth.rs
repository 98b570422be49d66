//! Who may use the server: one user, whose name and password are in files, read anew for each request so that they may
//! rotate.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

/// The files that hold a user's name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFiles {
    /// File with the name.
    pub username: PathBuf,
    /// File with the password.
    pub password: PathBuf,
}

impl CredentialFiles {
    /// Name and password as the header of basic authentication (RFC 7617) has them.
    ///
    /// # Errors
    /// A file cannot be read, is too large or empty, or the name holds a colon, which ends it there.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut pair = word(&self.username)?;
        if pair.contains(&b':') {
            let message = format!("{}: a user name has no colon", self.username.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        pair.push(b':');
        pair.extend(word(&self.password)?);
        Ok(pair)
    }

    /// Whether `authorization` is what the files ask for. While they cannot be read, nothing is.
    pub(super) fn admit(&self, authorization: &[u8]) -> bool {
        let given = match authorization.split_at_checked(SCHEME.len()) {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case(SCHEME) => given.trim_ascii(),
            _ => return false,
        };
        let Ok(given) = STANDARD.decode(given) else { return false };
        match self.read() {
            Ok(wanted) => equal(&given, &wanted),
            Err(error) => {
                tracing::error!(%error, "credentials cannot be read, nobody is let in");
                false
            }
        }
    }
}

/// What a file holds, the line's end apart.
fn word(path: &Path) -> io::Result<Vec<u8>> {
    let invalid = |what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = File::open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid("it is too large"));
    }
    while bytes.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() { Err(invalid("it is empty")) } else { Ok(bytes) }
}

/// Compares in a time that says nothing about where the two differ, nor how long the wanted one is.
fn equal(given: &[u8], wanted: &[u8]) -> bool {
    let (given, wanted) = (digest(&SHA256, given), digest(&SHA256, wanted));
    let pairs = given.as_ref().iter().zip(wanted.as_ref());
    let differing = pairs.fold(0, |seen, (given, wanted)| seen | (given ^ wanted));
    std::hint::black_box(differing) == 0
}

const SCHEME: &[u8] = b"Basic ";
const MAX_BYTES: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_name_and_password_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = CredentialFiles { username: path("user"), password: path("password") };
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair)).into_bytes();
        assert!(!files.admit(&basic("ann:secret")), "no files, no entry");
        std::fs::write(path("user"), "ann\n").unwrap();
        std::fs::write(path("password"), "se:cret \r\n").unwrap();
        for (pair, admitted) in [
            ("ann:se:cret ", true),
            ("ann:se:cret", false),
            ("Ann:se:cret ", false),
            ("ann:", false),
            (":se:cret ", false),
            ("", false),
        ] {
            assert_eq!(files.admit(&basic(pair)), admitted, "{pair}");
        }
        assert!(
            files.admit(
                &basic("ann:se:cret ").to_ascii_lowercase()[..6]
                    .iter()
                    .chain(&basic("ann:se:cret ")[6..])
                    .copied()
                    .collect::<Vec<_>>()
            )
        );
        for header in [&b"Basic"[..], b"Basic ***", b"Bearer se:cret", b""] {
            assert!(!files.admit(header), "{header:?}");
        }
        std::fs::write(path("password"), "other").unwrap();
        assert!(files.admit(&basic("ann:other")) && !files.admit(&basic("ann:se:cret ")));
        for name in ["", "\n", "a:b"] {
            std::fs::write(path("user"), name).unwrap();
            assert!(files.read().is_err(), "{name}");
        }
    }
}
