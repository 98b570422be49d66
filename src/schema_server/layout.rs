//! The database's layout, and what is asked of a file before it is used.
//!
//! A write-ahead log with `synchronous=FULL`: a commit returns once the log is on the disk, so that neither a killed
//! process nor a lost power supply takes back what was acknowledged, and readers wait for no writer.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// Why the schemas that are kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is damaged, or no database.
    #[error("{} is damaged, or no database: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Another program wrote it.
    #[error("{} is the database of another program", .0.display())]
    Foreign(PathBuf),
    /// The folder cannot be used.
    #[error("{} cannot be used", path.display())]
    Folder {
        /// The folder, or a file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{} is used by another process", .0.display())]
    InUse(PathBuf),
    /// The database fails.
    #[error("{} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: rusqlite::Error,
    },
    /// Another version of schemaward wrote it.
    #[error("{} has layout {found}, this version of schemaward reads {LAYOUT}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Which layout it has.
        found: i64,
    },
}

/// Which process uses a folder: it holds a lock for as long as this is kept.
#[derive(Debug)]
pub(super) struct Claim {
    _lock: File,
}

/// Takes `folder`, which is made if it is not there, and gives the path of the database in it.
pub(super) fn claim(folder: &Path) -> Result<(Claim, PathBuf), StorageError> {
    let fault = |path: &Path, source| StorageError::Folder { path: path.to_owned(), source };
    fs::create_dir_all(folder).map_err(|error| fault(folder, error))?;
    let path = folder.join("lock");
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = opened.map_err(|error| fault(&path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok((Claim { _lock: lock }, folder.join("schemas.db"))),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(fault(&path, error)),
    }
}

/// Opens the database at `path` for writing, or makes it. `None`: in memory.
pub(super) fn open(path: Option<&Path>) -> Result<Connection, StorageError> {
    let place = path.unwrap_or_else(|| Path::new("the database in memory")).to_owned();
    let opened = match path {
        Some(path) => Connection::open(path),
        None => Connection::open_in_memory(),
    };
    let mut connection = opened.map_err(|error| fault(&place, error))?;
    set_up(&mut connection, &place).map_err(|error| match error {
        Fault::Sql(error) => fault(&place, error),
        Fault::Storage(error) => error,
    })?;
    Ok(connection)
}

/// Opens the database at `path` once more, to read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(connection)
    });
    connection.map_err(|error| fault(path, error))
}

enum Fault {
    Sql(rusqlite::Error),
    Storage(StorageError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn set_up(connection: &mut Connection, path: &Path) -> Result<(), Fault> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let number = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    let (application, layout) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = (application, layout, tables) == (0, 0, 0);
    if !is_new && application != APPLICATION {
        return Err(Fault::Storage(StorageError::Foreign(path.to_owned())));
    }
    if !is_new && layout != LAYOUT {
        let (path, found) = (path.to_owned(), layout);
        return Err(Fault::Storage(StorageError::Version { path, found }));
    }
    // Before anything else is done to the file: what is damaged shall stay as it is.
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        let (path, detail) = (path.to_owned(), found);
        return Err(Fault::Storage(StorageError::Damaged { path, detail }));
    }
    // In memory there is no log, and the answer says so.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    if is_new {
        // All or nothing: a process that is killed here leaves an empty file.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", LAYOUT)?;
        transaction.commit()?;
    }
    Ok(())
}

fn fault(path: &Path, source: rusqlite::Error) -> StorageError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            StorageError::Damaged { path, detail: source.to_string() }
        }
        _ => StorageError::Open { path, source },
    }
}

/// `schw`: says in the file's header whose it is.
const APPLICATION: i64 = 0x7363_6877;
/// Rises with every change of the tables.
const LAYOUT: i64 = 1;
/// How long a statement waits for a lock; only backups by hand hold one for long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `AUTOINCREMENT`: an id is given once, whatever was deleted since. A schema's row stays for good, so that the same
/// schema gets the same id again; its text goes when nothing uses it any more.
const TABLES: &str = "
CREATE TABLE schemas (
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id <= 2147483647),
    guid BLOB NOT NULL UNIQUE,
    format TEXT NOT NULL,
    text TEXT,
    refers_to TEXT NOT NULL
) STRICT;
CREATE TABLE uses (
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    schema INTEGER NOT NULL REFERENCES schemas (id),
    PRIMARY KEY (subject, version, schema)
) STRICT, WITHOUT ROWID;
CREATE TABLE versions (
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    schema INTEGER NOT NULL REFERENCES schemas (id),
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_of_schema ON versions (schema);
CREATE TABLE levels (subject TEXT PRIMARY KEY, level TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE documents (
    path TEXT NOT NULL,
    version INTEGER NOT NULL,
    schema INTEGER NOT NULL REFERENCES schemas (id),
    body BLOB NOT NULL,
    created INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (path, version)
) STRICT;
CREATE INDEX documents_of_schema ON documents (schema);
";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        open(Some(path)).unwrap_err().to_string()
    }

    #[test]
    fn a_database_is_opened_again_and_used_by_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let (claimed, path) = claim(&folder.path().join("new/folder")).unwrap();
        for _ in 0..2 {
            let connection = open(Some(&path)).unwrap();
            let mode: String =
                connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            let synchronous: i64 =
                connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
            assert_eq!((mode.as_str(), synchronous), ("wal", 2));
        }
        let second = claim(&folder.path().join("new/folder")).unwrap_err();
        assert!(second.to_string().ends_with("is used by another process"), "{second}");
        drop(claimed);
        claim(&folder.path().join("new/folder")).unwrap();
    }

    #[test]
    fn what_is_no_database_of_this_version_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("text"), "x".repeat(10_000)).unwrap();
        assert!(refused(&path("text")).contains("is damaged, or no database"));
        Connection::open(path("foreign")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
        assert!(refused(&path("foreign")).ends_with("is the database of another program"));
        let newer = open(Some(&path("newer"))).unwrap();
        newer.pragma_update(None, "user_version", 2).unwrap();
        drop(newer);
        assert!(
            refused(&path("newer")).ends_with("has layout 2, this version of schemaward reads 1")
        );
        drop(open(Some(&path("torn"))).unwrap());
        let mut bytes = fs::read(path("torn")).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0x5a);
        fs::write(path("torn"), &bytes).unwrap();
        assert!(refused(&path("torn")).contains("is damaged, or no database"));
        assert_eq!(fs::read(path("torn")).unwrap(), bytes, "it was left alone");
        let failing = open(Some(&path("no/such/folder"))).unwrap_err();
        assert!(matches!(failing, StorageError::Open { .. }), "{failing:?}");
    }
}
