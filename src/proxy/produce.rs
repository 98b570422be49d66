//! One Produce request: judged partition by partition, waited for where schemas are missing, guarded, planned.

mod copies;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use self::copies::ToCopy;
use super::{
    budget::Holding,
    gateway::Gateway,
    in_force::Judging,
    peer::Peer,
    quarantine::NotWritten,
    report::{Report, Topic},
    sequence_guard::{GapTicket, SequencedBatch},
};
use crate::{
    limits::{KIB, MAX_PENDING_LOOKUPS},
    metrics::{BatchVerdict, RecordVerdict},
    reason::Reason,
    record::{self, Allowance, Compression, ProducerSequence},
    schema::SchemaRef,
    validate::{
        judge::{Generation, MemorySpent, Resolved, Workspace},
        plan::{At, Cleared, Plan, Planner},
        policy::{Action, Mode, SequenceGuard, TopicPolicy},
        verdict::{BatchFault, PartitionVerdict},
    },
    wire::{
        ErrorCode, TopicKey, WireError, produce::ProduceRequest, refuse::AnswerShape,
        request::ProduceFrame,
    },
};

/// Topics whose policy and counters one connection remembers.
const MAX_TOPICS: usize = 1_024;
/// Decompression buffers above this are given back after each request.
const KEPT_SCRATCH_BYTES: usize = 16 * KIB;
/// After this long a walk lets other connections run before the next batch.
const YIELD_AFTER: Duration = Duration::from_millis(2);
/// A batch is walked again when this many times the schemas have come.
const LOOK_AGAIN_FACTOR: usize = 4;
/// What a walk may take of memory without asking: enough for small batches, which wait behind nobody.
const SPARED_SCRATCH_BYTES: usize = 256 * KIB;
/// What a refusal may take of memory without asking, while it waits for the broker's part of the answer.
const SPARED_ANSWER_BYTES: usize = KIB;
/// What one schema that is waited for takes at most: its reference, a few times over.
const LOOKUP_BYTES: usize = 8 * KIB;
/// The version of Produce from which brokers take zstd.
const FIRST_PRODUCE_WITH_ZSTD: i16 = 7;
/// Longest name of a topic in Kafka: longer ones are not remembered.
const MAX_TOPIC_NAME_BYTES: usize = 249;

/// What a Produce request comes to.
#[derive(Debug)]
pub struct Judged {
    /// The bytes for the broker.
    pub cleared: Cleared<Vec<Bytes>>,
    /// What to add to the broker's answer; `None` where nothing is refused.
    pub answer: Option<PendingAnswer>,
    /// Whether anything is left for the broker.
    pub forwarded: usize,
    /// Acknowledgements that the producer asked for; with 0 there is no answer.
    pub acks: i16,
}

/// The part of an answer that waits for the broker's.
#[derive(Debug)]
pub struct PendingAnswer {
    /// Every partition of the request, with the refusals.
    pub shape: AnswerShape,
    /// Gaps that count once the producer has been told.
    pub tickets: Vec<GapTicket>,
    /// Bytes that it takes while it waits.
    pub bytes: usize,
    /// What they are charged to.
    _holding: Holding,
}

/// One partition of the request at hand.
#[derive(Debug)]
struct Case<'a> {
    at: At,
    key: TopicKey<'a>,
    topic: Arc<Topic>,
    partition: i32,
    record_set: &'a [u8],
    sequence: Option<ProducerSequence>,
}

/// Judges the Produce requests of one connection.
#[derive(Debug)]
pub struct ProduceGate {
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    workspace: Workspace,
    holding: Holding,
    /// How long batches were walked since other connections could run.
    busy: Duration,
    topics: HashMap<Box<str>, Arc<Topic>>,
    /// By whose rules the topics were looked up.
    judge: Option<Generation>,
}

/// Partitions that wait for schemas, and for which: no more of what was found in them than that.
#[derive(Default)]
struct Open<'a> {
    cases: Vec<Case<'a>>,
    references: HashSet<SchemaRef>,
}

impl<'a> Open<'a> {
    fn add(&mut self, case: Case<'a>, verdict: &PartitionVerdict) {
        self.cases.push(case);
        for reference in verdict.unknown() {
            if self.references.len() >= MAX_PENDING_LOOKUPS {
                break;
            }
            if !self.references.contains(reference) {
                self.references.insert(reference.clone());
            }
        }
    }
}

/// The request at hand and what was decided of it so far.
struct Desk<'a> {
    request: &'a ProduceRequest<'a>,
    /// What was in force when it came to be judged: a reload changes nothing for it.
    judging: &'a Judging,
    planner: Planner<'a>,
    tickets: Vec<GapTicket>,
    /// Refused batches that have to be copied, and the schemas that were found for them.
    to_copy: Vec<ToCopy<'a>>,
    resolved: Resolved,
}

impl ProduceGate {
    /// A gate for the connection of `peer`; what decompression takes is charged to `holding`.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, peer: Arc<Peer>, holding: Holding) -> Self {
        let holding = holding.sparing(SPARED_SCRATCH_BYTES);
        let (workspace, topics) = (Workspace::default(), HashMap::new());
        Self { gateway, peer, workspace, holding, busy: Duration::ZERO, topics, judge: None }
    }

    /// Judges a request that arrived at `arrived`. Waits for schemas within the look-up deadline, and for memory.
    ///
    /// # Errors
    /// [`WireError`] when the frame is no Produce request.
    ///
    /// # Cancel safety
    /// None: a request is judged to its end or its connection is closed.
    pub async fn judge(
        &mut self,
        frame: &ProduceFrame,
        arrived: Instant,
    ) -> Result<Judged, WireError> {
        let request = ProduceRequest::parse(frame.frame())?;
        // Held for as long as the request is judged, and no longer: what is out of force may go.
        let judging = self.gateway.judging.load_full();
        self.judge_by(&judging);
        let planner = Planner::new(&request);
        let mut desk = Desk {
            request: &request,
            judging: &judging,
            planner,
            tickets: Vec::new(),
            to_copy: Vec::new(),
            resolved: Resolved::new(),
        };
        self.refuse_duplicates(&mut desk);
        let open = self.first_look(&mut desk).await;
        if !open.cases.is_empty() {
            self.second_look(&mut desk, open, arrived).await;
        }
        if !desk.to_copy.is_empty() {
            // Apart from the request's own state: it is seldom, and large.
            Box::pin(self.quarantine(&mut desk)).await;
        }
        self.rest();
        let Desk { planner, tickets, .. } = desk;
        let Plan { cleared, shape, forwarded } = planner.finish(frame.frame().bytes());
        let answer = match shape {
            Some(shape) => Some(self.pending(shape, tickets).await),
            None => None,
        };
        Ok(Judged { cleared, answer, forwarded, acks: request.acks })
    }

    /// Forgets what was learnt by other rules than those in force.
    fn judge_by(&mut self, judging: &Judging) {
        let generation = Some(judging.judge.generation());
        if self.judge != generation {
            self.topics.clear();
            self.judge = generation;
        }
    }

    /// Gives back what walking took, but for a little.
    fn rest(&mut self) {
        if self.workspace.scratch.held_bytes() > KEPT_SCRATCH_BYTES {
            self.workspace.scratch.shrink();
        }
        self.holding.shrink_to(self.workspace.scratch.held_bytes());
    }

    async fn pending(&self, shape: AnswerShape, tickets: Vec<GapTicket>) -> PendingAnswer {
        let bytes = shape.held_bytes();
        let mut holding = self.holding.sibling().sparing(SPARED_ANSWER_BYTES);
        holding.cover(bytes).await;
        PendingAnswer { shape, tickets, bytes, _holding: holding }
    }

    /// A partition that is named twice is refused in every place: which of them counts differs by broker.
    fn refuse_duplicates(&mut self, desk: &mut Desk<'_>) {
        if places(desk.request).nth(1).is_none() {
            return;
        }
        let mut seen = HashSet::new();
        let mut twice = HashSet::new();
        for (_, key, partition) in places(desk.request) {
            if !seen.insert((key, partition)) {
                twice.insert((key, partition));
            }
        }
        if twice.is_empty() {
            return;
        }
        let doubled = places(desk.request).filter(|(_, key, at)| twice.contains(&(*key, *at)));
        for (at, key, partition) in doubled {
            if self.topic(desk.judging, key).is_some_and(|topic| topic.policy.mode != Mode::Enforce)
            {
                continue;
            }
            let reason = Reason::DuplicatePartition;
            let detail = "the request names the partition more than once".to_owned();
            let fault = BatchFault { reason, code: reason.error_code(), detail };
            self.refuse(desk, at, key, partition, &fault);
        }
    }

    /// Decides what can be decided without waiting for schemas, and returns the rest.
    async fn first_look<'a>(&mut self, desk: &mut Desk<'a>) -> Open<'a> {
        let mut open = Open::default();
        let nothing = Resolved::new();
        let Desk { request, judging, .. } = *desk;
        for (at, key, partition) in places(request) {
            if desk.planner.is_decided(at) {
                continue;
            }
            let Some(case) = self.admit(desk, at, key, partition) else { continue };
            let Some(verdict) = self.walk(judging, &case, &nothing).await else {
                desk.planner.unjudged(at, &case.topic.policy);
                self.report(request, &case.topic, case.partition).unjudged();
                continue;
            };
            match case.topic.policy.mode {
                Mode::Enforce if !verdict.is_settled() => open.add(case, &verdict),
                _ => self.settle(desk, &case, &verdict),
            }
        }
        open
    }

    /// Waits for the schemas of `open`, and decides with what has come by the deadline.
    async fn second_look<'a>(&mut self, desk: &mut Desk<'a>, open: Open<'a>, arrived: Instant) {
        // What decompression took is not held while others could use it.
        self.rest();
        let Open { mut cases, references } = open;
        self.holding.cover(references.len().saturating_mul(LOOKUP_BYTES)).await;
        let judging = desk.judging;
        let deadline = arrived + self.gateway.bounds.load().times.lookup_deadline;
        let mut lookups = JoinSet::new();
        for reference in references {
            let schemas = Arc::clone(judging.judge.schemas());
            lookups.spawn(async move {
                let resolution = schemas.resolve(&reference).await;
                (reference, resolution)
            });
        }
        let mut resolved = Resolved::new();
        let mut again = 1;
        while let Ok(Some(joined)) = timeout_at(deadline, lookups.join_next()).await {
            resolved.extend(joined);
            resolved.extend(std::iter::from_fn(|| lookups.try_join_next()).flatten());
            if resolved.len() >= again && !lookups.is_empty() {
                // What has come may be enough to refuse. So often at most that walking stays in proportion to waiting.
                again = resolved.len().saturating_mul(LOOK_AGAIN_FACTOR);
                self.look_again(desk, &mut cases, &resolved).await;
                if cases.is_empty() {
                    break;
                }
                self.rest();
            }
        }
        for case in cases {
            if let Some(verdict) = self.walk(judging, &case, &resolved).await {
                self.settle(desk, &case, &verdict);
            }
        }
        desk.resolved = resolved;
    }

    /// Decides what can be decided with the schemas that have come, and keeps the rest in `cases`.
    async fn look_again<'a>(
        &mut self,
        desk: &mut Desk<'a>,
        cases: &mut Vec<Case<'a>>,
        resolved: &Resolved,
    ) {
        for case in std::mem::take(cases) {
            match self.walk(desk.judging, &case, resolved).await {
                Some(verdict) if verdict.is_settled() => self.settle(desk, &case, &verdict),
                _ => cases.push(case),
            }
        }
    }

    /// Lets a partition in to be walked, unless it is decided by where it is.
    fn admit<'a>(
        &mut self,
        desk: &mut Desk<'a>,
        at: At,
        key: TopicKey<'a>,
        partition: i32,
    ) -> Option<Case<'a>> {
        let Some(topic) = self.topic(desk.judging, key) else {
            let reason = Reason::UnknownTopicId;
            let detail = "no Metadata answer has named this topic id yet".to_owned();
            let fault = BatchFault { reason, code: reason.error_code(), detail };
            self.refuse(desk, at, key, partition, &fault);
            return None;
        };
        if desk.planner.unread(at, &topic.policy) {
            topic.metrics.batch(BatchVerdict::Off);
            return None;
        }
        let record_set = desk.request.record_set(at.topic, at.partition).unwrap_or_default();
        let sequence = record::peek_sequence(record_set);
        let case = Case { at, key, topic, partition, record_set, sequence };
        match self.turned_away(desk.request, &case) {
            Some(fault) => {
                self.refuse_case(desk, &case, &fault);
                None
            }
            None => Some(case),
        }
    }

    /// What is refused before its records are looked at.
    fn turned_away(&self, request: &ProduceRequest<'_>, case: &Case<'_>) -> Option<BatchFault> {
        if case.topic.policy.mode != Mode::Enforce {
            return None;
        }
        if request.version < 3 {
            let reason = Reason::UnsupportedFormat;
            let code = ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT;
            let detail = format!("Produce v{} has no record headers", request.version);
            return Some(BatchFault { reason, code, detail });
        }
        self.held_back(case).or_else(|| {
            let is_too_early = request.version < FIRST_PRODUCE_WITH_ZSTD
                && record::peek_compression(case.record_set) == Some(Compression::Zstd);
            // A broker refuses it as well. But what goes to the broker holds back no follower.
            is_too_early.then(|| {
                let reason = Reason::UnsupportedCompression;
                let detail = format!("Produce v{} has no zstd", request.version);
                BatchFault { reason, code: reason.error_code(), detail }
            })
        })
    }

    /// Whether a batch has to wait for one before it.
    fn held_back(&self, case: &Case<'_>) -> Option<BatchFault> {
        let batch = self.guarded(case)?;
        let blocked = self.gateway.guard.blocks(&batch, Instant::now());
        blocked.then(|| {
            let reason = Reason::SequenceGap;
            let detail = "an earlier batch of this producer was refused and has not come again";
            BatchFault { reason, code: reason.error_code(), detail: detail.to_owned() }
        })
    }

    /// The batch as the guard sees it, if it is sequenced and the topic's rule asks for the guard.
    fn guarded<'s>(&'s self, case: &Case<'s>) -> Option<SequencedBatch<'s>> {
        let on = case.topic.policy.sequence_guard == SequenceGuard::On
            && case.topic.policy.mode == Mode::Enforce;
        let sequence = case.sequence.filter(|_| on)?;
        Some(self.sequenced(case.key, case.partition, sequence))
    }

    fn sequenced<'s>(
        &'s self,
        topic: TopicKey<'s>,
        partition: i32,
        sequence: ProducerSequence,
    ) -> SequencedBatch<'s> {
        SequencedBatch {
            identity: self.peer.identity(),
            topic,
            partition,
            producer_id: sequence.producer_id,
            epoch: sequence.producer_epoch,
            base_sequence: sequence.base_sequence,
            records: sequence.record_count,
        }
    }

    /// Walks a batch, waiting for memory where the rule enforces. `None`: it could not be judged, and waits for nothing.
    async fn walk(
        &mut self,
        judging: &Judging,
        case: &Case<'_>,
        resolved: &Resolved,
    ) -> Option<PartitionVerdict> {
        let policy = Arc::clone(&case.topic.policy);
        loop {
            match self.walk_once(judging, case.record_set, &policy, resolved).await {
                Ok(verdict) => {
                    self.holding.progress();
                    return Some(verdict);
                }
                Err(MemorySpent { .. }) if policy.mode == Mode::Observe => return None,
                Err(MemorySpent { needed }) => {
                    self.workspace.scratch.shrink();
                    let more = self.holding.covered().saturating_add(needed);
                    self.holding.cover(more).await;
                }
            }
        }
    }

    /// Walks a batch in turns, and lets other connections run after a while: a request may have thousands of batches, and
    /// small ones inflate too.
    async fn walk_once(
        &mut self,
        judging: &Judging,
        record_set: &[u8],
        policy: &TopicPolicy,
        resolved: &Resolved,
    ) -> Result<PartitionVerdict, MemorySpent> {
        let Self { gateway, workspace, holding, busy, .. } = self;
        let used = workspace.scratch.held_bytes();
        let mut grant = Grant { holding, used };
        let mut walk = judging.judge.begin(record_set, policy, resolved, workspace, &mut grant);
        let mut took = Duration::ZERO;
        loop {
            let started = Instant::now();
            let walked = walk.advance();
            let turn = started.elapsed();
            (took, *busy) = (took.saturating_add(turn), busy.saturating_add(turn));
            if *busy >= YIELD_AFTER {
                *busy = Duration::ZERO;
                tokio::task::yield_now().await;
            }
            if let Some(verdict) = walked.transpose() {
                gateway.metrics.validation(took);
                return verdict;
            }
        }
    }

    /// Decides a partition by its verdict; counts, logs and guards.
    fn settle<'a>(&self, desk: &mut Desk<'a>, case: &Case<'a>, verdict: &PartitionVerdict) {
        let topic = &case.topic;
        match desk.planner.judged(case.at, &topic.policy, verdict) {
            Action::Forward => {
                self.report(desk.request, topic, case.partition).forwarded(verdict);
                if let Some(batch) = self.guarded(case) {
                    self.gateway.guard.forwarded(&batch, Instant::now());
                }
                if topic.policy.mode == Mode::Observe {
                    let schemas = desk.judging.judge.schemas();
                    verdict.unknown().iter().for_each(|reference| schemas.prefetch(reference));
                }
            }
            Action::Refuse(refusal) => {
                let code = refusal.code;
                self.report(desk.request, topic, case.partition).refused(verdict);
                self.withhold(desk, case);
                let reason = match verdict.fault() {
                    Some(_) => Err(NotWritten::Undecodable),
                    None => Ok(verdict.first_reason()),
                };
                self.note_to_copy(desk, case, code, reason, verdict.records());
            }
        }
    }

    fn refuse_case<'a>(&self, desk: &mut Desk<'a>, case: &Case<'a>, fault: &BatchFault) {
        if fault.reason != Reason::SequenceGap {
            self.withhold(desk, case);
        }
        self.note_to_copy(desk, case, fault.code, Err(NotWritten::Undecodable), 0);
        desk.planner.refuse(case.at, fault);
        self.report(desk.request, &case.topic, case.partition).fault(fault);
    }

    /// Refuses a partition whose policy does not matter or cannot be known.
    fn refuse<'a>(
        &mut self,
        desk: &mut Desk<'a>,
        at: At,
        key: TopicKey<'a>,
        partition: i32,
        fault: &BatchFault,
    ) {
        desk.planner.refuse(at, fault);
        let record_set = desk.request.record_set(at.topic, at.partition).unwrap_or_default();
        if let Some(sequence) = record::peek_sequence(record_set) {
            let batch = self.sequenced(key, partition, sequence);
            self.open_gap(desk.request.acks, &mut desk.tickets, &batch);
        }
        if let Some(topic) = self.topic(desk.judging, key) {
            self.report(desk.request, &topic, partition).fault(fault);
            let case = Case { at, key, topic, partition, record_set, sequence: None };
            self.note_to_copy(desk, &case, fault.code, Err(NotWritten::Undecodable), 0);
        } else {
            let other = self.gateway.metrics.topic("");
            other.records(RecordVerdict::Rejected, Some(fault.reason), 1);
            other.batch(BatchVerdict::Refused);
        }
    }

    fn report<'s>(
        &'s self,
        request: &'s ProduceRequest<'_>,
        topic: &'s Topic,
        partition: i32,
    ) -> Report<'s> {
        let client_id = request.client_id.map(str::as_bytes);
        let (rejections, peer) = (&self.gateway.rejections, self.peer.address);
        Report { rejections, peer, client_id, topic, partition }
    }

    /// Opens the gap that a withheld batch leaves, unless nobody will be told of it.
    fn withhold(&self, desk: &mut Desk<'_>, case: &Case<'_>) {
        if let Some(batch) = self.guarded(case) {
            self.open_gap(desk.request.acks, &mut desk.tickets, &batch);
        }
    }

    fn open_gap(&self, acks: i16, tickets: &mut Vec<GapTicket>, batch: &SequencedBatch<'_>) {
        if acks != 0 && !self.peer.is_gone() {
            tickets.push(self.gateway.guard.withheld(batch, Instant::now()));
        }
    }

    fn topic(&mut self, judging: &Judging, key: TopicKey<'_>) -> Option<Arc<Topic>> {
        match key {
            TopicKey::Name(name) => Some(self.topic_named(judging, name)),
            TopicKey::Id(id) => match self.gateway.cluster.topics.name(id) {
                Some(name) => Some(self.topic_named(judging, &name)),
                None => self.unnamed_topic(judging),
            },
        }
    }

    /// What stands for a topic whose id is not known, where no rule refuses anything: it is counted among the others.
    fn unnamed_topic(&self, judging: &Judging) -> Option<Arc<Topic>> {
        let policy = judging.policy.for_unnamed()?;
        let name = "";
        let metrics = self.gateway.metrics.topic(name);
        Some(Arc::new(Topic { name: name.into(), policy, metrics, dead_letters: None }))
    }

    fn topic_named(&mut self, judging: &Judging, name: &str) -> Arc<Topic> {
        if let Some(topic) = self.topics.get(name) {
            return Arc::clone(topic);
        }
        if self.topics.len() >= MAX_TOPICS {
            self.topics.clear();
        }
        let policy = judging.policy.for_topic(name);
        let dead_letters = judging.policy.dead_letter_topic(name, &policy);
        let topic = Arc::new(Topic {
            name: name.into(),
            policy,
            metrics: self.gateway.metrics.topic(name),
            dead_letters,
        });
        if name.len() <= MAX_TOPIC_NAME_BYTES {
            self.topics.insert(name.into(), Arc::clone(&topic));
        }
        topic
    }
}

/// Every partition of a request: its place, its topic, its index.
fn places<'a>(
    request: &'a ProduceRequest<'a>,
) -> impl Iterator<Item = (At, TopicKey<'a>, i32)> + 'a {
    request.topics.iter().enumerate().flat_map(|(topic, produced)| {
        produced
            .partitions
            .iter()
            .enumerate()
            .map(move |(partition, data)| (At { topic, partition }, produced.topic, data.index))
    })
}

/// Memory for one walk: first what the connection holds already, then what the process has left.
struct Grant<'h> {
    holding: &'h mut Holding,
    used: usize,
}

impl Allowance for Grant<'_> {
    fn try_grow(&mut self, additional_bytes: usize) -> bool {
        let used = self.used.saturating_add(additional_bytes);
        let missing = used.saturating_sub(self.holding.covered());
        let granted = missing == 0 || self.holding.try_grow(missing);
        if granted {
            self.used = used;
        }
        granted
    }
}
