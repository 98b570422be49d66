//! Runs servers that are processes of their own, until they are told to stop.

use std::{error::Error, pin::Pin};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use super::{Exit, complain};

/// Done when the process is told to stop.
pub(super) type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs `server` until SIGTERM or SIGINT; `grace_exceeded` says of its error whether its time to end was over.
pub(super) fn serve<E: Error + 'static>(
    server: impl AsyncFnOnce(Stop) -> Result<(), E>,
    grace_exceeded: impl FnOnce(&E) -> bool,
) -> Exit {
    match run(server) {
        Ok(()) => Exit::Clean,
        Err(error) => {
            complain(error.as_ref());
            match error.downcast_ref() {
                Some(error) if grace_exceeded(error) => Exit::DrainGraceExceeded,
                _ => Exit::Failure,
            }
        }
    }
}

fn run<E: Error + 'static>(
    server: impl AsyncFnOnce(Stop) -> Result<(), E>,
) -> Result<(), Box<dyn Error>> {
    Builder::new_multi_thread().enable_all().build()?.block_on(async {
        // Before anything else: from here on a signal no longer kills the process.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        server(Box::pin(stop)).await?;
        tracing::info!("stopped");
        Ok(())
    })
}
