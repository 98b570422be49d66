//! One simulation from its seed to its verdict: who takes part, what befalls them, and what must hold at the end.

use std::{
    cell::Cell,
    fmt::Write,
    panic,
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use turmoil::Sim;

use super::{
    Mutation,
    cluster::{self, Cluster},
    producer::{Client, Ledger, Settings},
    proxy::{self, Proxy, Registry, Weather},
    traffic::{Mark, Traffic},
    wire::Manners,
};
use crate::support::idempotent::{
    Chance, Fate, INVALID_RECORD, LAST, Line, OUT_OF_ORDER, Producer, Style, after,
};

/// What a run came to; the same seed comes to the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the last producer was done.
    pub elapsed: Duration,
    /// Whether a proxy drained in the midst of traffic: tokio tells its connections in any order.
    pub drained: bool,
    pub stored: usize,
    pub refused: usize,
    /// Partitions whose producer has given up.
    pub gave_up: usize,
    /// All logs, condensed.
    pub digest: u64,
}

thread_local! {
    /// Panics on this thread, which all of a simulation runs on: a task that panics would take them along.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    PANICS.set(0);
}

const TICK: Duration = Duration::from_millis(5);
/// When the last fault begins, at most.
const TROUBLE: u64 = 12_000;
/// How long everything may take once all faults are mended.
const PATIENCE: Duration = Duration::from_secs(180);

/// What can befall the network and its hosts.
#[derive(Debug, Clone)]
enum Fault {
    CrashBroker(usize),
    CrashProxy,
    Drain,
    Hold(String, String),
    MoveLeader,
    Partition(String, String),
    PartitionOneWay(String, String),
    RegistryDown,
}

impl Fault {
    /// Whether bytes can be lost so that neither side hears of it: half-open connections.
    const fn loses_bytes(&self) -> bool {
        matches!(self, Self::Partition(..) | Self::PartitionOneWay(..))
    }
}

/// A fault, when it begins and when it is mended.
#[derive(Debug)]
struct Planned {
    fault: Fault,
    begins: Duration,
    ends: Duration,
}

struct World<'a> {
    sim: Sim<'a>,
    proxy: Proxy,
    cluster: Cluster,
    ledgers: Vec<Ledger>,
    traffic: Traffic,
    chance: Chance,
    finished: Duration,
}

/// Runs `seed` with what `mutation` breaks.
///
/// # Errors
/// What went against the contract.
pub fn run(seed: u64, mutation: Mutation) -> Result<Outcome, String> {
    count_panics();
    let mut world = World::new(seed, mutation);
    let plan = world.plan();
    world.go_through(&plan)?;
    world.come_to_rest(&plan)?;
    let mut outcome = world.verify()?;
    outcome.drained = plan.iter().any(|planned| matches!(planned.fault, Fault::Drain));
    Ok(outcome)
}

impl World<'_> {
    fn new(seed: u64, mutation: Mutation) -> Self {
        let mut chance = Chance::new(seed);
        let brokers = 1 + chance.below(3) as usize;
        let partitions = 1 + chance.below(4) as usize;
        let mut sim = turmoil::Builder::new()
            .rng_seed(chance.next())
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3_600))
            .min_message_latency(Duration::from_millis(chance.below(3)))
            .max_message_latency(Duration::from_millis(5 + chance.below(chance_of_latency(seed))))
            .tcp_capacity(chance.pick(&[128, 256, 1_024]))
            .build();
        let cluster = Cluster::new(brokers, partitions, chance.next(), mutation);
        for node in 0..brokers {
            let cluster = cluster.clone();
            sim.host(cluster::name(node), move || cluster.clone().run(node));
        }
        let mut config = proxy::config(brokers, &settings(&mut chance, mutation));
        // Smaller than anybody may configure, so that connections compete.
        config.memory_budget = chance.pick(&[64 * 1_024, 256 * 1_024, 64 * 1_024 * 1_024]);
        let proxy = Proxy {
            config,
            brokers,
            registry: Registry::new(chance.next(), chance.pick(&[500, 3_000, 3_600_000])),
            started: Arc::default(),
        };
        let host = proxy.clone();
        sim.host("proxy", move || host.clone().run());
        let traffic = Traffic {
            seed: chance.next(),
            bad_percent: chance.pick(&[0, 10, 25]),
            large_percent: chance.pick(&[0, 0, 10, 40]),
        };
        let mut world = Self {
            sim,
            proxy,
            cluster,
            ledgers: Vec::new(),
            traffic,
            chance,
            finished: Duration::ZERO,
        };
        for index in 0..1 + world.chance.below(3) as usize {
            world.add_producer(index, partitions);
        }
        world
    }

    fn add_producer(&mut self, index: usize, partitions: usize) {
        let chance = &mut self.chance;
        let style = chance.pick(&[Style::BumpEpoch, Style::Renumber, Style::HeadOfLine]);
        let mut traffic = self.traffic;
        if style == Style::HeadOfLine {
            // A refusal for good is the end of such a producer.
            traffic.bad_percent = 0;
        }
        let lines = (0..partitions).map(|partition| {
            let first = chance.pick(&[0, LAST - 4]);
            if chance.percent(30) {
                let producers = &mut self.cluster.lock().partitions[partition].producers;
                producers.remember(index as i64, after(first, -2), 2);
            }
            Line::new(3 + chance.below(25) as usize, first)
        });
        let lines = lines.collect();
        let settings = Settings {
            index,
            seed: chance.next(),
            version: chance.pick(&[3, 7, 8, 9, 10, 12]),
            manners: Manners {
                read_pause: chance.pick(&[0, 0, 50, 400]),
                piece: chance.pick(&[64 * 1_024, 4_000, 1_500]),
                write_pause: chance.pick(&[0, 0, 10]),
            },
            request_timeout: Duration::from_millis(chance.pick(&[2_000, 4_000, 10_000])),
            cuts: chance.pick(&[0, 2, 10]),
        };
        let producer = Arc::new(Mutex::new(Producer::new(style, lines)));
        let ledger = Ledger { traffic, producer, complaints: Arc::default() };
        self.ledgers.push(ledger.clone());
        self.sim.client(client(index), Client::run(settings, ledger, self.cluster.clone()));
    }

    fn plan(&mut self) -> Vec<Planned> {
        let count = self.chance.below(9);
        let mut plan: Vec<_> = (0..count)
            .map(|_| {
                let begins = self.chance.below(TROUBLE);
                let lasts = 5 + self.chance.below(4_000);
                let fault = self.fault();
                let begins = Duration::from_millis(begins);
                Planned { fault, begins, ends: begins + Duration::from_millis(lasts) }
            })
            .collect();
        plan.sort_by_key(|planned| planned.begins);
        plan
    }

    fn fault(&mut self) -> Fault {
        let broker = self.chance.below(self.proxy.brokers as u64) as usize;
        let other = if self.chance.percent(50) {
            cluster::name(broker)
        } else {
            client(self.chance.below(self.ledgers.len() as u64) as usize)
        };
        let proxy = "proxy".to_owned();
        match self.chance.below(10) {
            0 => Fault::CrashProxy,
            1 => Fault::Drain,
            2 => Fault::CrashBroker(broker),
            3 => Fault::MoveLeader,
            4 => Fault::RegistryDown,
            5..8 => Fault::Hold(proxy, other),
            8 => Fault::Partition(proxy, other),
            _ if self.chance.percent(50) => Fault::PartitionOneWay(proxy, other),
            _ => Fault::PartitionOneWay(other, proxy),
        }
    }

    fn step(&mut self) -> Result<bool, String> {
        self.sim.step().map_err(|error| error.to_string())
    }

    /// Lets traffic and faults run until the last fault is mended.
    fn go_through(&mut self, plan: &[Planned]) -> Result<(), String> {
        let mut begun = vec![false; plan.len()];
        let mut ended = vec![false; plan.len()];
        while !ended.iter().all(|ended| *ended) {
            let now = self.sim.elapsed();
            for (at, planned) in plan.iter().enumerate() {
                if !begun[at] && planned.begins <= now {
                    begun[at] = true;
                    self.begin(&planned.fault);
                }
                if begun[at] && !ended[at] && planned.ends <= now {
                    ended[at] = true;
                    self.mend(&planned.fault);
                }
            }
            if self.step()? {
                break;
            }
        }
        Ok(())
    }

    fn begin(&mut self, fault: &Fault) {
        tracing::info!(at = ?self.sim.elapsed(), ?fault, "begins");
        match fault {
            Fault::CrashBroker(node) => {
                self.sim.crash(cluster::name(*node));
                self.cluster.lock().forget(*node);
                if self.chance.percent(50) {
                    self.move_leaders(*node);
                }
            }
            Fault::CrashProxy => self.sim.crash("proxy"),
            Fault::Drain => self.proxy.current().iter().for_each(proxy::Started::drain),
            Fault::Hold(one, other) => self.sim.hold(one.as_str(), other.as_str()),
            Fault::MoveLeader => {
                let node = self.chance.below(self.proxy.brokers as u64) as usize;
                self.move_leaders(node);
            }
            Fault::Partition(one, other) => self.sim.partition(one.as_str(), other.as_str()),
            Fault::PartitionOneWay(from, to) => {
                self.sim.partition_oneway(from.as_str(), to.as_str());
            }
            Fault::RegistryDown => *self.proxy.registry.weather.lock().unwrap() = Weather::Down,
        }
    }

    /// What `node` leads is led by others from now on, where there are any.
    fn move_leaders(&mut self, node: usize) {
        let brokers = self.proxy.brokers;
        let to = (node + 1) % brokers;
        for partition in &mut self.cluster.lock().partitions {
            if partition.leader == node {
                partition.leader = to;
            }
        }
    }

    fn mend(&mut self, fault: &Fault) {
        tracing::info!(at = ?self.sim.elapsed(), ?fault, "ends");
        match fault {
            Fault::CrashBroker(node) => self.sim.bounce(cluster::name(*node)),
            // It may be up again, or still finish what is in flight: then it is killed.
            Fault::CrashProxy | Fault::Drain => self.sim.bounce("proxy"),
            Fault::Hold(one, other) => self.sim.release(one.as_str(), other.as_str()),
            Fault::Partition(one, other) | Fault::PartitionOneWay(one, other) => {
                self.sim.repair(one.as_str(), other.as_str());
            }
            Fault::MoveLeader => {}
            Fault::RegistryDown => {
                *self.proxy.registry.weather.lock().unwrap() = Weather::Changing;
            }
        }
    }

    /// Everything works from now on: producers finish, and then the proxy drains to nothing.
    fn come_to_rest(&mut self, plan: &[Planned]) -> Result<(), String> {
        self.cluster.lock().calm = true;
        *self.proxy.registry.weather.lock().unwrap() = Weather::Fine;
        for planned in plan {
            match &planned.fault {
                Fault::Hold(one, other)
                | Fault::Partition(one, other)
                | Fault::PartitionOneWay(one, other) => {
                    self.sim.repair(one.as_str(), other.as_str());
                    self.sim.release(one.as_str(), other.as_str());
                }
                Fault::CrashBroker(node) if !self.sim.is_host_running(cluster::name(*node)) => {
                    self.sim.bounce(cluster::name(*node));
                }
                _ => {}
            }
        }
        if !self.sim.is_host_running("proxy") {
            self.sim.bounce("proxy");
        }
        let deadline = self.sim.elapsed() + PATIENCE;
        while !self.step()? {
            self.complaints()?;
            if self.sim.elapsed() > deadline {
                return Err(format!("a producer never finishes: {}", self.unfinished()));
            }
        }
        self.finished = self.sim.elapsed();
        self.proxy.current().iter().for_each(proxy::Started::drain);
        let deadline = self.sim.elapsed() + PATIENCE;
        while self.sim.is_host_running("proxy") {
            self.step()?;
            if self.sim.elapsed() > deadline {
                return Err("the proxy never drains".to_owned());
            }
        }
        match PANICS.take() {
            0 => {}
            panics => return Err(format!("{panics} panics")),
        }
        let left = self.proxy.current().and_then(|started| started.left_over());
        if let Some(left) = left.filter(|_| !plan.iter().any(|planned| planned.fault.loses_bytes()))
        {
            return Err(format!("after a drain, {left}"));
        }
        // Where an end was never heard of, the answers that are owed never come: at the end of the grace it is cut off.
        self.sim.bounce("proxy");
        self.sim.crash("proxy");
        let started = self.proxy.started.lock().unwrap();
        started.iter().find_map(proxy::Started::left_over).map_or(Ok(()), Err)
    }

    fn complaints(&self) -> Result<(), String> {
        let first = |ledger: &Ledger| ledger.complaints.lock().unwrap().first().cloned();
        self.ledgers.iter().find_map(first).map_or(Ok(()), Err)
    }

    /// What is not done, and what the proxy is busy with.
    fn unfinished(&self) -> String {
        let mut open = String::new();
        for (index, ledger) in self.ledgers.iter().enumerate() {
            let producer = ledger.producer.lock().unwrap();
            for (partition, line) in producer.lines.iter().enumerate() {
                let batches: Vec<_> =
                    line.batches.iter().filter(|batch| !batch.is_done()).collect();
                if !line.is_done() {
                    let _ = write!(
                        open,
                        "producer {index} ({:?}), partition {partition}: {batches:?}; ",
                        producer.style
                    );
                }
            }
        }
        if let Some(started) = self.proxy.current() {
            let budget = &started.gateway.budget;
            let (used, waits, gaps) =
                (budget.used(), budget.waits_total(), started.gateway.guard.open_gaps());
            let _ = write!(open, "{used} bytes in use, {waits} waits, {gaps} gaps");
        }
        open
    }

    fn verify(&self) -> Result<Outcome, String> {
        self.complaints()?;
        let (mut refused, mut gave_up) = (0, 0);
        for (index, ledger) in self.ledgers.iter().enumerate() {
            let producer = ledger.producer.lock().unwrap();
            for (partition, line) in producer.lines.iter().enumerate() {
                let style = producer.style;
                gave_up += usize::from(line.gave_up);
                refused += self
                    .verify_line((index, ledger), partition, line)
                    .map_err(|what| format!("producer {index} ({style:?}), {what}"))?;
            }
        }
        let cluster = self.cluster.lock();
        let logs: Vec<_> = cluster.partitions.iter().map(|partition| &partition.log).collect();
        let stored = logs.iter().map(|log| log.len()).sum();
        let marks = logs.into_iter().flatten();
        let digest = marks.fold(0_u64, |digest, mark| {
            let Mark { producer, partition, batch, record, .. } = *mark;
            [producer, partition, batch, record]
                .iter()
                .fold(digest, |digest, part| digest.wrapping_mul(31) + u64::from(*part))
        });
        let (elapsed, drained) = (self.finished, false);
        Ok(Outcome { elapsed, drained, stored, refused, gave_up, digest })
    }

    /// Every acknowledged batch is stored whole, once and in order; every other was refused because it is bad.
    fn verify_line(
        &self,
        (index, ledger): (usize, &Ledger),
        partition: usize,
        line: &Line,
    ) -> Result<usize, String> {
        let cluster = self.cluster.lock();
        let log = cluster.partitions[partition].log.iter();
        let mine: Vec<_> = log.filter(|mark| mark.producer == index as u32).collect();
        if !mine.is_sorted() {
            return Err(format!("partition {partition}: stored out of order: {mine:?}"));
        }
        let mut refused = 0;
        for (batch, sent) in line.batches.iter().enumerate() {
            let of_batch = mine.iter().filter(|mark| mark.batch == batch as u32);
            let records: Vec<_> = of_batch.map(|mark| mark.record).collect();
            let bad = ledger.traffic.is_bad(index, partition, batch);
            let whole: Vec<_> = (0..sent.count as u32).collect();
            match sent.fate {
                Fate::Acknowledged if records == whole && !bad => {}
                Fate::Failed(INVALID_RECORD) if records.is_empty() && bad => refused += 1,
                // Its producer was told that it knows nothing about them; they may be stored, whole and once.
                Fate::Failed(OUT_OF_ORDER) | Fate::Queued
                    if line.gave_up && !bad && (records.is_empty() || records == whole) => {}
                fate => {
                    let stored = records.len();
                    return Err(format!(
                        "partition {partition}, batch {batch} of {}: {fate:?}, {stored} records are stored",
                        sent.count,
                    ));
                }
            }
        }
        Ok(refused)
    }
}

/// What the configuration says, beyond the defaults.
fn settings(chance: &mut Chance, mutation: Mutation) -> String {
    let deadline = chance.pick(&["50ms", "500ms", "2s", "5s"]);
    let in_flight = chance.pick(&["2", "5", "1000"]);
    let stall = chance.pick(&["5s", "30s"]);
    let unavailable = chance.pick(&["50ms", "1s"]);
    let rule = match mutation {
        Mutation::GuardOff => "{sequence_guard: \"off\"}",
        Mutation::JudgingOff => "{mode: \"off\"}",
        _ => "{}",
    };
    format!(
        "registry:\n  url: http://registry:8081\n  \
         cache: {{unavailable_ttl: {unavailable}, negative_ttl: 1s, stale_ttl: 100ms}}\n\
         limits:\n  lookup_deadline: {deadline}\n  \
         max_in_flight: {in_flight}\n  stall_timeout: {stall}\n  max_request_bytes: 1MiB\n  \
         max_other_request_bytes: 1MiB\ndefault_rule: {rule}\n",
    )
}

/// Slow networks are rarer than quick ones.
const fn chance_of_latency(seed: u64) -> u64 {
    if seed.is_multiple_of(4) { 300 } else { 30 }
}

fn client(index: usize) -> String {
    format!("producer{index}")
}
