//! The user name and password of schemaward's own login: in files, read again at each login so that they may rotate.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::Secret;
use crate::proxy::settings::SaslSettings;

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Why there are no credentials. Shows the file and nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("{} {source}", path.display())]
pub struct CredentialsError {
    path: PathBuf,
    source: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is empty")]
    Empty,
    #[error("is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("is no text in UTF-8 without NUL")]
    NoText,
}

impl Credentials {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CredentialsError`]: a file cannot be read, is empty, too large or no text.
    pub fn read(settings: &SaslSettings) -> Result<Self, CredentialsError> {
        let username = one(&settings.username_file)?;
        let password = Secret::new(one(&settings.password_file)?);
        Ok(Self { username, password })
    }

    /// Whether one of the files can be used now.
    ///
    /// # Errors
    /// [`CredentialsError`]: it cannot be read, is empty, too large or no text.
    pub fn check(path: &Path) -> Result<(), CredentialsError> {
        one(path).map(drop)
    }
}

fn one(path: &Path) -> Result<String, CredentialsError> {
    text(path).map_err(|source| CredentialsError { path: path.to_owned(), source })
}

/// The text in the file, without the line end behind it.
fn text(path: &Path) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Fault::TooLarge);
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match std::str::from_utf8(text) {
        Ok("") => Err(Fault::Empty),
        // NUL is what parts user and password in PLAIN.
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(Fault::NoText),
    }
}

const MAX_BYTES: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::settings::SaslMechanism;

    #[test]
    fn one_line_end_is_no_part_of_a_credential() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (bytes, expected) in [
            (&b"alice"[..], Some("alice")),
            (b"alice\n", Some("alice")),
            (b"alice\r\n", Some("alice")),
            (b"alice\n\n", Some("alice\n")),
            (b" a b \n", Some(" a b ")),
            ("gr\u{fc}n".as_bytes(), Some("gr\u{fc}n")),
            (&[b'x'; 4_096], Some(&*"x".repeat(4_096))),
            (&[b'x'; 4_097], None),
            (b"", None),
            (b"\n", None),
            (b"a\0b", None),
            (b"\xff", None),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(text(&path).ok().as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_wrong_names_the_file_and_nothing_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let [username_file, password_file] = ["u", "p"].map(|name| folder.path().join(name));
        let mechanism = SaslMechanism::Plain;
        std::fs::write(&username_file, "alice").unwrap();
        let settings = SaslSettings { mechanism, username_file, password_file };
        let missing = Credentials::read(&settings).unwrap_err().to_string();
        assert!(missing.contains(settings.password_file.to_str().unwrap()), "{missing}");
        std::fs::write(&settings.password_file, b"hunter2\xff").unwrap();
        let faulty = Credentials::read(&settings).unwrap_err();
        assert!(!format!("{faulty:?} {faulty}").contains("hunter2"), "{faulty}");
        std::fs::write(&settings.password_file, "hunter2").unwrap();
        let read = Credentials::read(&settings).unwrap();
        assert_eq!((&*read.username, read.password.reveal()), ("alice", "hunter2"));
        assert!(!format!("{read:?}").contains("hunter2"));
    }
}
