//! Repeats schemaward's own login on a connection that is in use (KIP-368): a broker allows nothing in between, so the
//! client's requests wait; the answers before it flow on.

use tokio::{io::AsyncWrite, sync::oneshot, time::timeout};

use super::own_login::{LoginError, Next, Session};
use crate::proxy::{
    connection::{ConnectionError, Then},
    in_flight::{InFlight, Owed},
    writer::BrokerWriter,
};

/// Repeats the login of `session`, which is the new one afterwards.
///
/// # Errors
/// [`ConnectionError`]: the broker closes such a connection, or has done so.
pub async fn repeat<W: AsyncWrite + Unpin>(
    session: &mut Session,
    in_flight: &InFlight<Then>,
    broker: &mut BrokerWriter<W>,
) -> Result<(), ConnectionError> {
    // Earlier requests may take their time (a join of a group, a long poll): that is none of the login's.
    in_flight.all_settled().await;
    let renewed = timeout(session.time(), exchange(session, in_flight, broker)).await;
    *session = renewed.unwrap_or(Err(ConnectionError::OwnLogin(LoginError::Deadline)))?;
    Ok(())
}

async fn exchange<W: AsyncWrite + Unpin>(
    session: &Session,
    in_flight: &InFlight<Then>,
    broker: &mut BrokerWriter<W>,
) -> Result<Session, ConnectionError> {
    let (mut exchange, mut request) = session.again().await.map_err(ConnectionError::OwnLogin)?;
    loop {
        let (answered, answer) = oneshot::channel();
        let then = Then::OwnLogin(answered);
        in_flight.push(Owed::Broker { prefix: request.prefix(), then }, 0);
        broker.own(&request).await.map_err(ConnectionError::BrokerIo)?;
        // The way of responses ends the connection when it fails; this one then waits for nothing more.
        let answer = answer.await.map_err(|_| ConnectionError::OwnLogin(LoginError::Ending))?;
        match exchange.take(&answer).await.map_err(ConnectionError::OwnLogin)? {
            Next::Ask(rest, next) => (exchange, request) = (*rest, next),
            Next::Done(session) => return Ok(session),
        }
    }
}
