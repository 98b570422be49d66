//! The token that the full admin listener asks for: in a file, read anew for each request so that it may rotate.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that holds a token.
#[derive(Debug, Clone)]
pub(super) struct TokenFile(Arc<Path>);

/// Whether there is a token in the file at `path`.
///
/// # Errors
/// What is wrong with the file, with its name.
pub fn check_token_file(path: &Path) -> Result<(), String> {
    let read = TokenFile::new(path.to_owned()).read();
    read.map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => error.to_string(),
        _ => format!("{}: cannot be read: {error}", path.display()),
    })
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path.into())
    }

    /// The token, without blanks around it.
    ///
    /// # Errors
    /// If there is none: a file that cannot be read, is too large, or holds no token.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.0)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        let token = bytes.trim_ascii();
        let printable = token.iter().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || !printable || bytes.len() as u64 > MAX_BYTES {
            let path = self.0.display();
            let message = format!("{path} holds no token: one word of at most {MAX_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(token.to_vec())
    }

    /// Whether `authorization` is the header that the token asks for. Without a token that can be read, nothing is.
    pub(super) fn admits(&self, authorization: &[u8]) -> bool {
        let given = match authorization.split_at_checked(SCHEME.len()) {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case(SCHEME) => given.trim_ascii(),
            _ => return false,
        };
        match self.read() {
            Ok(token) => equal(given, &token),
            Err(error) => {
                tracing::error!(%error, "admin token cannot be read, nobody is let in");
                false
            }
        }
    }
}

/// Compares in a time that depends on the lengths alone.
fn equal(left: &[u8], right: &[u8]) -> bool {
    let differing = left.iter().zip(right).fold(0, |seen, (left, right)| seen | (left ^ right));
    std::hint::black_box(differing) == 0 && left.len() == right.len()
}

const SCHEME: &[u8] = b"Bearer ";
const MAX_BYTES: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = TokenFile::new(path.clone());
        assert!(!file.admits(b"Bearer secret"), "no file, no entry");
        std::fs::write(&path, " \n").unwrap();
        assert!(!file.admits(b"Bearer "), "no token, no entry");
        std::fs::write(&path, "secret\n").unwrap();
        for (given, admitted) in [
            (&b"Bearer secret"[..], true),
            (b"bearer secret", true),
            (b"Bearer  secret ", true),
            (b"Bearer secre", false),
            (b"Bearer secrets", false),
            (b"Bearer Secret", false),
            (b"Bearer ", false),
            (b"Basic secret", false),
            (b"secret", false),
            (b"", false),
        ] {
            assert_eq!(file.admits(given), admitted, "{given:?}");
        }
        std::fs::write(&path, "other").unwrap();
        assert!(file.admits(b"Bearer other") && !file.admits(b"Bearer secret"));
    }

    #[test]
    fn files_without_one_word_are_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for bytes in [&b""[..], b"two words", b"a\nb", &[b'x'; 4_097], b"\xff"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(TokenFile::new(path.clone()).read().is_err());
        }
    }
}
