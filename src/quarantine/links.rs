//! Connections, one to a broker, no more than configured. Where none comes about, nobody tries for a while: who asks in
//! between is told at once instead of waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use super::link::{Link, LinkError, begin};
use crate::{
    metrics::Metrics,
    proxy::{
        settings::BrokerAddress,
        upstream::{Dial, Upstream},
    },
};

/// After a failure nobody tries for so long, doubled each time up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Brokers that are remembered for no more than that they failed.
const MAX_PLACES: usize = 1_000;

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// To any of the bootstrap brokers.
    Bootstrap,
    /// To the broker there.
    Broker(BrokerAddress),
}

/// Why there is no connection: what happened, for the log.
pub(super) type Down = Arc<str>;

type Dialled = Option<Result<Link, Down>>;

#[derive(Debug)]
enum State {
    /// Somebody dials, since then.
    Dialling(watch::Receiver<Dialled>, Instant),
    /// There is one, used last then.
    Open(Link, Instant),
    /// Nobody tries until then.
    Down { until: Instant, pause: Duration, why: Down },
}

/// All connections.
#[derive(Debug)]
pub(super) struct Links<D> {
    upstream: Arc<Upstream<D>>,
    metrics: Arc<Metrics>,
    permits: Arc<Semaphore>,
    /// A broker that takes longer to be reached is not waited for.
    patience: Duration,
    table: Mutex<HashMap<Place, State>>,
}

impl<D: Dial> Links<D> {
    pub(super) fn new(
        upstream: Arc<Upstream<D>>,
        metrics: Arc<Metrics>,
        most: usize,
        patience: Duration,
    ) -> Arc<Self> {
        let (permits, table) = (Arc::new(Semaphore::new(most)), Mutex::default());
        Arc::new(Self { upstream, metrics, permits, patience, table })
    }

    /// The connection to `place`: the one that there is, or a new one.
    pub(super) async fn to(self: &Arc<Self>, place: &Place) -> Result<Link, Down> {
        let mut dialled = {
            let now = Instant::now();
            let mut table = self.lock();
            match table.get_mut(place) {
                Some(State::Open(link, used)) if !link.is_closed() => {
                    *used = now;
                    return Ok(link.clone());
                }
                Some(State::Dialling(_, since)) if now > *since + self.patience => {
                    return Err("a connection is still being made".into());
                }
                Some(State::Dialling(dialled, _)) => dialled.clone(),
                Some(State::Down { until, why, .. }) if now < *until => return Err(why.clone()),
                _ => self.dial(&mut table, place, now),
            }
        };
        match dialled.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or_else(|| Err("no connection".into())),
            Err(_) => Err("no connection".into()),
        }
    }

    /// Begins to dial in a task of its own: who waits may give up before it is done.
    fn dial(
        self: &Arc<Self>,
        table: &mut HashMap<Place, State>,
        place: &Place,
        now: Instant,
    ) -> watch::Receiver<Dialled> {
        if table.len() >= MAX_PLACES {
            table.retain(|_, state| !matches!(state, State::Down { until, .. } if *until < now));
        }
        let pause = match table.get(place) {
            Some(State::Down { pause, .. }) => MAX_PAUSE.min(*pause * 2),
            _ => FIRST_PAUSE,
        };
        let (tell, dialled) = watch::channel(None);
        table.insert(place.clone(), State::Dialling(dialled.clone(), now));
        let (links, place) = (Arc::clone(self), place.clone());
        tokio::spawn(async move { links.connect(&place, pause, &tell).await });
        dialled
    }

    /// Dials, says how it went, and carries the connection to its end.
    async fn connect(&self, place: &Place, pause: Duration, tell: &watch::Sender<Dialled>) {
        let down = |why: Down| State::Down { until: Instant::now() + pause, pause, why };
        let line = match self.reach(place).await {
            Ok((link, line)) => {
                self.lock().insert(place.clone(), State::Open(link.clone(), Instant::now()));
                tell.send_replace(Some(Ok(link)));
                line
            }
            Err(why) => {
                self.lock().insert(place.clone(), down(why.clone()));
                tell.send_replace(Some(Err(why)));
                return;
            }
        };
        let ended = line.carry().await;
        let mut table = self.lock();
        // Another one may be there by now.
        if matches!(table.get(place), Some(State::Open(link, _)) if link.is_closed()) {
            match ended {
                Err(error @ LinkError::Silent) => {
                    table.insert(place.clone(), down(error.to_string().into()));
                }
                _ => drop(table.remove(place)),
            }
        }
    }

    async fn reach(&self, place: &Place) -> Result<(Link, super::link::Line<D::Io>), Down> {
        if self.permits.available_permits() == 0 {
            self.close_one();
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Down::from("no connection is free"))?;
        let connected = match place {
            Place::Bootstrap => self.upstream.connect_bootstrap().await,
            Place::Broker(address) => self.upstream.connect(address).await,
        };
        let connected = connected.map_err(|error| {
            self.metrics.upstream_error(error.kind);
            Down::from(format!("{error}: {}", error.source))
        })?;
        let address = connected.address.clone();
        let begun =
            tokio::time::timeout(self.patience, begin(connected, permit, self.patience)).await;
        let begun = begun.unwrap_or(Err(LinkError::Silent));
        begun.map_err(|error| format!("broker {address}: {error}").into())
    }

    /// Lets the connection go that was used longest ago. It ends once nobody waits for an answer any more.
    fn close_one(&self) {
        let mut table = self.lock();
        let open = table.iter().filter_map(|(place, state)| match state {
            State::Open(_, used) => Some((*used, place.clone())),
            State::Dialling(..) | State::Down { .. } => None,
        });
        if let Some((_, place)) = open.min_by_key(|(used, _)| *used) {
            table.remove(&place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, State>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
