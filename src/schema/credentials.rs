//! Who we are to a registry: read from its files for each request, so that what is replaced there counts at once.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::HeaderValue;

use super::CredentialFiles;
use crate::limits::KIB;

/// Why credentials cannot be used. Names the file, never what is in it: for the log, not for producers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}", path = path.display())]
pub struct CredentialFault {
    path: PathBuf,
    what: String,
}

impl CredentialFiles {
    /// Whether the files can be used now.
    ///
    /// # Errors
    /// [`CredentialFault`]: the first that cannot.
    pub fn check(&self) -> Result<(), CredentialFault> {
        self.header().map(drop)
    }

    /// Whether one of the files can be read and has text in it.
    ///
    /// # Errors
    /// [`CredentialFault`]: it cannot.
    pub fn check_file(path: &Path) -> Result<(), CredentialFault> {
        read(path).map(drop)
    }

    /// What stands in the `Authorization` header, if anything. Reads files: not for a thread that serves sockets.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, CredentialFault> {
        let (text, path) = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password } => {
                let (user, secret) = (read(username)?, read(password)?);
                if user.contains(':') {
                    return Err(fault(username, "a user name must not have a colon"));
                }
                (format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))), username)
            }
            Self::Bearer { token } => {
                let text = read(token)?;
                if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(fault(token, "a token has neither blanks nor control characters"));
                }
                (format!("Bearer {text}"), token)
            }
        };
        let header = HeaderValue::from_str(&text);
        let mut header = header.map_err(|_| fault(path, "cannot be sent in a header"))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

fn fault(path: &Path, what: impl Into<String>) -> CredentialFault {
    CredentialFault { path: path.to_owned(), what: what.into() }
}

/// The text of a file without the line end that editors leave.
fn read(path: &Path) -> Result<String, CredentialFault> {
    let unreadable = |error| fault(path, format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fault(path, format!("has more than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| fault(path, "is not UTF-8"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(fault(path, "is empty"));
    }
    Ok(text.to_owned())
}

/// Tokens of large identity providers have a few KiB.
const MAX_BYTES: u64 = 64 * KIB as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_a_header_and_faults_name_the_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (user, password) = (file("user", b"me\n"), file("password", "pässword\r\n".as_bytes()));
        let basic = |username: &PathBuf, password: &PathBuf| CredentialFiles::Basic {
            username: username.clone(),
            password: password.clone(),
        };
        let header = basic(&user, &password).header().unwrap().unwrap();
        assert_eq!(header.to_str().unwrap(), format!("Basic {}", STANDARD.encode("me:pässword")));
        assert!(header.is_sensitive());
        let bearer = |token| CredentialFiles::Bearer { token };
        let header = bearer(file("token", b"a.b.c\n")).header().unwrap().unwrap();
        assert_eq!(header, "Bearer a.b.c");
        assert_eq!(CredentialFiles::None.header(), Ok(None));
        let large = vec![b'x'; 64 * KIB + 1];
        let wrong: &[(&str, &[u8])] = &[
            ("empty", b"\n"),
            ("two lines", b"secret\nsecret"),
            ("blank", b"secret secret"),
            ("binary", b"secret\xff"),
            ("large", &large),
        ];
        for (name, text) in wrong {
            let fault = bearer(file(name, text)).check().unwrap_err().to_string();
            assert!(fault.contains(name) && !fault.contains("secret"), "{fault}");
        }
        assert!(basic(&file("colon", b"a:b"), &password).check().is_err());
        assert!(bearer(folder.path().join("none")).check().is_err());
    }
}
