//! Lanes carry connections: threads, each with a scheduler and an epoll instance of its own.
//!
//! A scheduler that several threads share wakes a second thread for every event that the first one gets, in case there is more to
//! do. A proxy gets its events one by one, so that costs more than the event itself. Here a connection stays on the lane
//! that it was dealt to, with both of its sockets, and nobody else is woken for it.

use std::{
    future::Future,
    io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// Threads that carry connections. They end when this is dropped, and cut what they carry.
#[derive(Debug)]
pub struct Lanes {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// Connections of all listeners.
    carried: Arc<AtomicUsize>,
    _open: oneshot::Sender<()>,
}

impl Lanes {
    /// Opens `count` lanes.
    ///
    /// # Errors
    /// Where the system has no thread or no epoll instance left.
    pub fn open(count: NonZero<usize>) -> io::Result<Self> {
        (0..count.get()).map(Lane::open).collect::<io::Result<_>>().map(|lanes| Self { lanes })
    }

    /// As many as the process may use cores, a quota of its control group considered. On one lane a single long computation
    /// would hold up all connections; very many would only wait for each other.
    #[must_use]
    pub fn usual() -> NonZero<usize> {
        let cores = thread::available_parallelism().map_or(2, NonZero::get);
        NonZero::new(cores.clamp(2, 16)).unwrap_or(NonZero::<usize>::MIN)
    }
}

impl Lane {
    fn open(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel::<()>();
        let name = format!("lane-{number}");
        thread::Builder::new().name(name).spawn(move || {
            let _ = runtime.block_on(closed);
            // Not waiting for names that are being resolved.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, carried: Arc::default(), _open: open })
    }
}

/// Deals the connections of one listener to the lanes. Each listener deals for itself: who comes for a broker works more than
/// who comes to bootstrap, and one of each from every client must not fill one lane with all the work.
#[derive(Debug)]
pub struct Dealer {
    places: Vec<Place>,
}

/// A lane, as one listener sees it.
#[derive(Debug)]
struct Place {
    lane: Handle,
    /// Connections of this listener.
    dealt: Arc<AtomicUsize>,
    /// Connections of all listeners.
    carried: Arc<AtomicUsize>,
}

impl Dealer {
    /// Nothing is dealt yet. Does not keep the lanes: what is dealt after they have ended is cut at once.
    #[must_use]
    pub fn new(lanes: &Lanes) -> Self {
        let place = |lane: &Lane| Place {
            lane: lane.runtime.clone(),
            dealt: Arc::default(),
            carried: Arc::clone(&lane.carried),
        };
        Self { places: lanes.lanes.iter().map(place).collect() }
    }

    /// Has the lane carry a connection that carries the fewest of this listener, and among those the fewest of all. A panic
    /// ends the connection, and nothing else on its lane. `begin` makes what carries it, and that keeps the load: a task
    /// around it would be twice as large, for as long as the connection.
    pub fn deal<F>(&self, begin: impl FnOnce(Load) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let fewest =
            self.places.iter().min_by_key(|place| (count(&place.dealt), count(&place.carried)));
        if let Some(Place { lane, dealt, carried }) = fewest {
            lane.spawn(begin(Load { _dealt: One::more(dealt), _carried: One::more(carried) }));
        }
    }
}

fn count(connections: &AtomicUsize) -> usize {
    connections.load(Relaxed)
}

/// A connection, as long as it is one of those that a lane carries.
#[derive(Debug)]
pub struct Load {
    _dealt: One,
    _carried: One,
}

/// One more, for as long as this lives.
#[derive(Debug)]
struct One(Arc<AtomicUsize>);

impl One {
    fn more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn two() -> Lanes {
        Lanes::open(NonZero::new(2).unwrap()).unwrap()
    }

    /// Deals one connection that lasts until what is returned is dropped, and says on which lane it is.
    fn dealt(dealer: &Dealer) -> (String, oneshot::Sender<()>) {
        let (told, tells) = std::sync::mpsc::channel();
        let (lasts, over) = oneshot::channel::<()>();
        dealer.deal(|load| async move {
            let _load = load;
            told.send(thread::current().name().unwrap().to_owned()).unwrap();
            let _ = over.await;
        });
        (tells.recv().unwrap(), lasts)
    }

    #[test]
    fn each_listener_deals_its_connections_evenly_whoever_else_deals() {
        let lanes = two();
        let (bootstrap, broker) = (Dealer::new(&lanes), Dealer::new(&lanes));
        let mut counts = std::collections::BTreeMap::<_, [usize; 2]>::new();
        let mut open = Vec::new();
        for _ in 0..8 {
            for (which, dealer) in [&bootstrap, &broker].into_iter().enumerate() {
                let (lane, lasts) = dealt(dealer);
                counts.entry(lane).or_default()[which] += 1;
                open.push(lasts);
            }
        }
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [[4, 4], [4, 4]]);
    }

    #[test]
    fn a_connection_that_ends_makes_room_on_its_lane_a_panic_included() {
        let lanes = two();
        let dealer = Dealer::new(&lanes);
        let (first, first_lasts) = dealt(&dealer);
        let (second, _second_lasts) = dealt(&dealer);
        assert_ne!(first, second);
        drop(first_lasts);
        let carried = |name: &str| {
            let lane = name.strip_prefix("lane-").unwrap().parse::<usize>().unwrap();
            count(&dealer.places[lane].dealt)
        };
        while carried(&first) > 0 {
            thread::yield_now();
        }
        dealer.deal(|load| async {
            let _load = load;
            panic!("this is what a fault of ours looks like")
        });
        while carried(&first) > 0 {
            thread::yield_now();
        }
        let (third, _third_lasts) = dealt(&dealer);
        assert_eq!(third, first);
    }

    #[test]
    fn lanes_end_with_what_they_carry() {
        let (alive, mut cut) = mpsc::channel::<()>(1);
        let lanes = two();
        let dealer = Dealer::new(&lanes);
        dealer.deal(|load| async move {
            let _both = (load, alive);
            std::future::pending::<()>().await;
        });
        drop(lanes);
        assert_eq!(cut.blocking_recv(), None);
    }
}
