//! The one writer and the readers: no thread that serves sockets ever waits for the disk.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{
    answer::Refusal,
    layout::{self, Claim, StorageError},
    settings::Storage,
};

/// What the writer does: one after the other, each in a transaction of its own.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The database of one server.
#[derive(Debug)]
pub(super) struct Database {
    jobs: mpsc::Sender<Job>,
    /// `None` in memory: what is there belongs to the writer's connection.
    readers: Option<Arc<Readers>>,
}

/// Ends when the last handle of the database is gone; what was under way is finished before.
#[derive(Debug)]
pub(super) struct Writer(JoinHandle<()>);

impl Writer {
    /// Waits for its end. Blocks.
    pub(super) fn join(self) {
        // It catches panics of its jobs.
        let _ = self.0.join();
    }
}

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

impl Database {
    /// Opens what is kept, or begins. Blocks.
    pub(super) fn open(storage: &Storage) -> Result<(Self, Writer), StorageError> {
        let (claim, path) = match storage {
            Storage::Folder(folder) => {
                let (claim, path) = layout::claim(folder)?;
                (Some(claim), Some(path))
            }
            Storage::Memory => (None, None),
        };
        let connection = layout::open(path.as_deref())?;
        let (jobs, queue) = mpsc::channel(MAX_QUEUED);
        let named = thread::Builder::new().name("schema-writer".into());
        let spawned = named.spawn(move || write_all(connection, queue, claim));
        let writer = spawned.map_err(|source| StorageError::Folder {
            path: PathBuf::from("the writer's thread"),
            source,
        })?;
        let readers = path.map(|path| {
            let places = Arc::new(Semaphore::new(MAX_READERS));
            Arc::new(Readers { path, idle: Mutex::default(), places })
        });
        Ok((Self { jobs, readers }, Writer(writer)))
    }

    /// Does `work` in a transaction, which is on the disk when this returns; nothing of it where `work` refuses.
    ///
    /// # Cancel safety
    /// What was begun is finished, also where nobody waits for it any more.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.ask_writer(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    /// Does `work`, which only reads, and sees one state of the database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let work = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            work(&transaction)
        };
        match &self.readers {
            Some(readers) => Readers::read(readers, work).await,
            None => self.ask_writer(work).await,
        }
    }

    async fn ask_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // An error means that nobody waits any more.
            let _ = answer.send(work(connection));
        });
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Readers {
    async fn read<T: Send + 'static>(
        readers: &Arc<Self>,
        work: impl FnOnce(&mut Connection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Arc::clone(&readers.places).acquire_owned().await.map_err(|_| stopped())?;
        let readers = Arc::clone(readers);
        let read = tokio::task::spawn_blocking(move || {
            let _place = place;
            let idle = readers.idle().pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => layout::open_reader(&readers.path).map_err(|error| {
                    tracing::error!(%error, "the database cannot be read");
                    Refusal::new(50001, "Error in the backend data store")
                })?,
            };
            let done = work(&mut connection);
            readers.idle().push(connection);
            done
        });
        read.await.map_err(|_| stopped())?
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_all(mut connection: Connection, mut queue: mpsc::Receiver<Job>, claim: Option<Claim>) {
    while let Some(job) = queue.blocking_recv() {
        // Its transaction is rolled back as it unwinds; who waits is told that nothing was done.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut connection)));
    }
    drop(connection);
    drop(claim);
}

fn stopped() -> Refusal {
    Refusal::new(50001, "Error in the backend data store")
}

/// Writes that may wait for the writer; more wait to be queued.
const MAX_QUEUED: usize = 64;
/// Connections that read at once.
const MAX_READERS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    async fn count(database: &Database) -> Result<i64, Refusal> {
        database
            .read(|connection| {
                Ok(connection.query_row("SELECT count(*) FROM levels", [], |row| row.get(0))?)
            })
            .await
    }

    fn insert(transaction: &Transaction<'_>, subject: &str) {
        transaction.execute("INSERT INTO levels VALUES (?1, 'NONE')", [subject]).unwrap();
    }

    #[tokio::test]
    async fn what_is_refused_or_panics_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        for storage in [Storage::Memory, Storage::Folder(folder.path().to_owned())] {
            let (database, writer) = Database::open(&storage).unwrap();
            let done = database.write(|transaction| {
                insert(transaction, "a");
                Ok(7)
            });
            assert_eq!(done.await, Ok(7));
            let refused = database.write(|transaction| -> Result<(), _> {
                insert(transaction, "b");
                Err(Refusal::new(404, "no"))
            });
            assert_eq!(refused.await.unwrap_err().code, 404);
            let panicked = database.write(|transaction| -> Result<(), _> {
                insert(transaction, "c");
                panic!("of a test");
            });
            assert_eq!(panicked.await.unwrap_err().code, 50001);
            assert_eq!(count(&database).await, Ok(1));
            drop(database);
            writer.join();
        }
        let (database, _) = Database::open(&Storage::Folder(folder.path().to_owned())).unwrap();
        assert_eq!(count(&database).await, Ok(1), "it is there after the end");
    }
}
