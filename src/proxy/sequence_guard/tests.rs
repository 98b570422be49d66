//! The guard against tables, against a slow model, and between simulated producers and a broker.

use super::*;
use proptest::prelude::*;

mod simulation;

const MINUTE: Duration = Duration::from_secs(60);
const LAST: i32 = i32::MAX;

fn identity() -> Identity {
    Identity::peer("default", IpAddr::from([127, 0, 0, 1]))
}

fn batch(identity: &Identity, (epoch, base_sequence): (i16, i32)) -> SequencedBatch<'_> {
    let topic = TopicKey::Name("orders");
    SequencedBatch {
        identity,
        topic,
        partition: 0,
        producer_id: 7,
        epoch,
        base_sequence,
        records: 1,
    }
}

fn guard(max_entries: usize) -> Arc<SequenceGuard> {
    Arc::new(SequenceGuard::new(max_entries, MINUTE))
}

#[test]
fn stops_followers_and_lets_the_rest_pass() {
    let cases = [
        ("the missing batch itself", (3, 10), (3, 10), false),
        ("the next batch", (3, 10), (3, 11), true),
        ("the farthest follower", (3, 10), (3, 10 + MAX_AHEAD), true),
        ("one beyond half the circle is older", (3, 10), (3, 10 + MAX_AHEAD + 1), false),
        ("a retry of an older batch", (3, 10), (3, 9), false),
        ("a follower past the wrap", (3, LAST), (3, 0), true),
        ("the last before the wrap is older", (3, 0), (3, LAST), false),
        ("an older epoch", (3, 10), (2, 11), false),
        ("the start of a newer epoch", (3, 10), (4, 0), false),
        ("the rest of a newer epoch", (3, 10), (4, 1), true),
        ("the rest of a newer epoch, below", (3, 10), (4, 9), true),
    ];
    let me = identity();
    let now = Instant::now();
    for (what, missing, next, stopped) in cases {
        let guard = guard(8);
        guard.withheld(&batch(&me, missing), now).told();
        assert_eq!(guard.blocks(&batch(&me, next), now), stopped, "{what}");
    }
}

#[test]
fn only_what_was_missing_closes_the_gap() {
    let cases = [
        ("the missing batch itself", (3, 10), true),
        ("a follower", (3, 11), false),
        ("an older batch", (3, 9), false),
        ("an older epoch", (2, 10), false),
        ("the start of a newer epoch", (4, 0), true),
        ("the same sequence of a newer epoch", (4, 10), false),
    ];
    let me = identity();
    let now = Instant::now();
    for (what, sent, closed) in cases {
        let guard = guard(8);
        guard.withheld(&batch(&me, (3, 10)), now).told();
        guard.forwarded(&batch(&me, sent), now);
        assert_eq!(guard.open_gaps() == 0, closed, "{what}");
    }
}

#[test]
fn the_gap_moves_on_to_what_was_stopped_behind_it() {
    let me = identity();
    let now = Instant::now();
    let guard = guard(8);
    let at = |base| SequencedBatch { records: 5, ..batch(&me, (0, base)) };
    guard.withheld(&at(10), now).told();
    assert!(guard.blocks(&at(15), now) && guard.blocks(&at(20), now));
    guard.forwarded(&at(10), now);
    assert_eq!([15, 20, 25].map(|base| guard.blocks(&at(base), now)), [false, true, true]);
    guard.forwarded(&at(15), now);
    guard.forwarded(&at(20), now);
    assert_eq!(guard.open_gaps(), 1, "25 was stopped too");
    guard.forwarded(&at(25), now);
    assert_eq!(guard.open_gaps(), 0);
}

#[test]
fn a_gap_belongs_to_its_identity_producer_topic_and_partition() {
    let me = identity();
    let other = Identity::peer("default", IpAddr::from([127, 0, 0, 2]));
    let now = Instant::now();
    let guard = guard(8);
    let missing = batch(&me, (0, 10));
    guard.withheld(&missing, now).told();
    let follower = batch(&me, (0, 11));
    assert!(guard.blocks(&follower, now));
    for stranger in [
        SequencedBatch { identity: &other, ..follower },
        SequencedBatch { topic: TopicKey::Name("users"), ..follower },
        SequencedBatch { topic: TopicKey::Id(TopicId([1; 16])), ..follower },
        SequencedBatch { partition: 1, ..follower },
        SequencedBatch { producer_id: 8, ..follower },
    ] {
        assert!(!guard.blocks(&stranger, now), "{stranger:?}");
    }
}

#[test]
fn batches_without_sequences_are_none_of_its_business() {
    let me = identity();
    let now = Instant::now();
    let guard = guard(8);
    let plain = SequencedBatch { producer_id: -1, ..batch(&me, (-1, -1)) };
    guard.withheld(&plain, now).told();
    guard.withheld(&batch(&me, (0, -1)), now).told();
    assert_eq!(guard.open_gaps(), 0);
    guard.withheld(&batch(&me, (0, 0)), now).told();
    assert!(!guard.blocks(&SequencedBatch { producer_id: -1, ..batch(&me, (0, 5)) }, now));
    assert!(!guard.blocks(&batch(&me, (0, -1)), now));
}

#[test]
fn a_dropped_ticket_takes_back_its_own_gap_only() {
    let me = identity();
    let now = Instant::now();
    let guard = guard(8);
    let [at_20, at_15, at_10] = [20, 15, 10].map(|sequence| batch(&me, (0, sequence)));
    guard.withheld(&at_20, now).told();
    let lower = guard.withheld(&at_10, now);
    assert!(guard.blocks(&at_15, now));
    drop(lower);
    assert!(!guard.blocks(&at_15, now));
    assert!(guard.blocks(&batch(&me, (0, 21)), now));
}

#[test]
fn a_late_ticket_leaves_what_somebody_else_opened() {
    let me = identity();
    let now = Instant::now();
    let guard = guard(8);
    let [at_10, at_11] = [10, 11].map(|sequence| batch(&me, (0, sequence)));
    let late = guard.withheld(&at_10, now);
    guard.forwarded(&at_10, now);
    assert_eq!(guard.open_gaps(), 0);
    let mine = guard.withheld(&at_10, now);
    drop(late);
    assert!(guard.blocks(&at_11, now));
    drop(mine);
    assert_eq!(guard.open_gaps(), 0);
}

#[test]
fn the_table_is_bounded_and_forgets_the_oldest_first() {
    let me = identity();
    let now = Instant::now();
    let guard = guard(2);
    let at = |partition| SequencedBatch { partition, ..batch(&me, (0, 0)) };
    let follower = |partition| SequencedBatch { partition, ..batch(&me, (0, 1)) };
    guard.withheld(&at(0), now).told();
    guard.withheld(&at(1), now).told();
    guard.withheld(&at(0), now).told();
    let third = guard.withheld(&at(2), now);
    assert_eq!(guard.open_gaps(), 2);
    assert_eq!([0, 1, 2].map(|p| guard.blocks(&follower(p), now)), [true, false, true]);
    guard.withheld(&at(3), now).told();
    guard.withheld(&at(4), now).told();
    drop(third);
    assert_eq!(guard.open_gaps(), 2);
    assert_eq!(guard.lock().by_age.len(), 2);
}

#[test]
fn a_gap_expires_when_nothing_was_withheld_for_it_for_long() {
    let me = identity();
    let now = Instant::now();
    let later = |seconds| now + Duration::from_secs(seconds);
    let guard = guard(8);
    let follower = batch(&me, (0, 1));
    guard.withheld(&batch(&me, (0, 0)), now).told();
    guard.withheld(&batch(&me, (0, 0)), later(30)).told();
    assert!(guard.blocks(&follower, later(89)));
    assert!(!guard.blocks(&follower, later(90)));
    assert_eq!((guard.open_gaps(), guard.lock().by_age.len()), (0, 0));
}

/// The obvious way: every live claim in a list, sequences as numbers that never wrap.
#[derive(Default)]
struct Model {
    claims: Vec<(usize, Place)>,
    /// End of the farthest batch that was withheld or stopped since the gap opened.
    until: Place,
    touched: Option<Instant>,
}

/// Epoch, and distance from where the sequences of that epoch start.
type Place = (i16, i32);

/// Epoch 0 starts just before the wrap, the others where a new epoch does.
fn on_the_wire((epoch, distance): Place) -> (i16, i32) {
    let start = if epoch == 0 { LAST - 3 } else { 0 };
    (epoch, start.wrapping_add(distance) & LAST)
}

/// How far sequence 0 is from where the sequences of `epoch` start.
fn start_distance(epoch: i16) -> i32 {
    if epoch == 0 { 4 } else { 0 }
}

impl Model {
    fn missing(&self) -> Option<Place> {
        let newest = self.claims.iter().map(|(_, place)| place.0).max()?;
        self.claims.iter().map(|(_, place)| *place).filter(|place| place.0 == newest).min()
    }

    fn withheld(&mut self, ticket: usize, place: Place, records: i32) {
        if self.claims.is_empty() {
            self.until = (-1, 0);
        }
        self.claims.push((ticket, place));
        self.until = self.until.max((place.0, place.1 + records));
    }

    fn blocks(&mut self, place: Place, records: i32) -> bool {
        let stopped = self.missing().is_some_and(|missing| {
            place.0 == missing.0 && place.1 > missing.1 || place.0 > missing.0 && place.1 != 0
        });
        if stopped {
            self.until = self.until.max((place.0, place.1 + records));
        }
        stopped
    }

    fn forwarded(&mut self, place: Place, records: i32) -> bool {
        let fills = self
            .missing()
            .is_some_and(|missing| place == missing || place.0 > missing.0 && place.1 == 0);
        let next = (place.0, place.1 + records);
        if let Some(missing) = self.missing().filter(|_| fills) {
            if self.until.0 < next.0 {
                let first = if missing.0 == self.until.0 {
                    missing.1
                } else {
                    start_distance(self.until.0)
                };
                self.until = (next.0, self.until.1 - first);
            }
            self.claims.clear();
            if self.until.0 == next.0 && self.until > next {
                self.claims.push((usize::MAX, next));
            }
        }
        fills
    }
}

#[derive(Debug, Clone)]
enum Event {
    Dropped(usize),
    Forwarded(Place, i32),
    Looked(Place, i32),
    Told(usize),
    Wait(u64),
    Withheld(Place, i32),
}

fn event() -> impl Strategy<Value = (usize, Event)> {
    let place = || (0..3_i16, 0..8_i32);
    let what = prop_oneof![
        3 => (0..32_usize).prop_map(Event::Dropped),
        6 => (place(), 1..4_i32).prop_map(|(place, records)| Event::Forwarded(place, records)),
        6 => (place(), 1..4_i32).prop_map(|(place, records)| Event::Looked(place, records)),
        3 => (0..32_usize).prop_map(Event::Told),
        1 => (0..90_u64).prop_map(Event::Wait),
        6 => (place(), 1..4_i32).prop_map(|(place, records)| Event::Withheld(place, records)),
    ];
    (0..2_usize, what)
}

/// The guard and its models, one for each of two partitions.
struct Pair {
    guard: Arc<SequenceGuard>,
    models: [Model; 2],
    tickets: Vec<Option<GapTicket>>,
    now: Instant,
}

impl Pair {
    fn apply(&mut self, which: usize, event: &Event) {
        let me = identity();
        let now = self.now;
        let at = |place, records| SequencedBatch {
            partition: i32::try_from(which).unwrap(),
            records,
            ..batch(&me, on_the_wire(place))
        };
        let model = &mut self.models[which];
        match *event {
            Event::Dropped(ticket) => {
                if self.tickets.get_mut(ticket).and_then(Option::take).is_some() {
                    for model in &mut self.models {
                        model.claims.retain(|(id, _)| *id != ticket);
                    }
                }
            }
            Event::Forwarded(place, records) => {
                self.guard.forwarded(&at(place, records), now);
                if model.forwarded(place, records) {
                    model.touched = Some(now);
                }
            }
            Event::Looked(place, records) => {
                let stopped = self.guard.blocks(&at(place, records), now);
                let missing = model.missing();
                assert_eq!(stopped, model.blocks(place, records), "{place:?} after {missing:?}");
            }
            Event::Told(ticket) => {
                if let Some(ticket) = self.tickets.get_mut(ticket).and_then(Option::take) {
                    ticket.told();
                }
            }
            Event::Wait(seconds) => self.wait(Duration::from_secs(seconds)),
            Event::Withheld(place, records) => {
                model.withheld(self.tickets.len(), place, records);
                model.touched = Some(now);
                self.tickets.push(Some(self.guard.withheld(&at(place, records), now)));
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        for model in &mut self.models {
            if model.touched.is_some_and(|touched| self.now - touched >= MINUTE) {
                model.claims.clear();
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_list_of_everything_that_is_missing(
        events in proptest::collection::vec(event(), 1..80),
    ) {
        let mut pair = Pair {
            guard: guard(8),
            models: Default::default(),
            tickets: Vec::new(),
            now: Instant::now(),
        };
        for (which, event) in events {
            pair.apply(which, &event);
        }
        for place in (0..3).flat_map(|epoch| (0..12).map(move |distance| (epoch, distance))) {
            pair.apply(0, &Event::Looked(place, 1));
            pair.apply(1, &Event::Looked(place, 1));
        }
        let open = pair.models.iter().filter(|model| !model.claims.is_empty()).count();
        prop_assert_eq!(pair.guard.open_gaps(), open);
        drop(pair.tickets);
        prop_assert_eq!(pair.guard.lock().by_age.len(), pair.guard.open_gaps());
    }
}

#[test]
fn new_bounds_leave_gaps_open_that_fit_into_them() {
    let guard = guard(8);
    let me = identity();
    let now = Instant::now();
    let of = |producer_id| SequencedBatch { producer_id, ..batch(&me, (3, 10)) };
    let next = |producer_id| SequencedBatch { producer_id, ..batch(&me, (3, 11)) };
    (1..=3).for_each(|producer| guard.withheld(&of(producer), now).told());
    guard.resize(2, 10 * MINUTE);
    assert_eq!(guard.open_gaps(), 3, "a reload closes none");
    let later = now + 2 * MINUTE;
    assert!((1..=3).all(|producer| guard.blocks(&next(producer), later)), "they last longer now");
    guard.withheld(&of(4), later).told();
    let blocked: Vec<_> = (1..=4).filter(|it| guard.blocks(&next(*it), later)).collect();
    assert_eq!((guard.open_gaps(), blocked), (2, vec![3, 4]), "the newest ones");
}
