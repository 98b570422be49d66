//! A connection that remembers headers judges as one that remembers nothing, whatever happens between its batches.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::prelude::*;

use crate::{
    limits::{RecordLimits, SchemaLimits},
    record::{
        Unlimited,
        builder::{Flavour, OwnedRecord, batch, read_all, reseal},
    },
    schema::{
        CacheObserver, CacheSettings, Documents, Fetched, Lifetime, Lookup, References,
        RegistrySettings, RequestOutcome, Schema, SchemaCache, SchemaFormat, SchemaRef,
        SchemaSource, SourceError, SubjectStrategy,
    },
    validate::{
        convention::{Convention, Conventions},
        headers::MAX_HEADERS_BYTES,
        judge::{Judge, Resolved, Workspace},
        metadata::HeaderNames,
        policy::{Check, Policy, RuleSettings, Tombstones, TopicPolicy},
        verdict::PartitionVerdict,
    },
};

const SCHEMAS: [&str; 3] = ["7", "8", "http://registry/users.avsc"];

/// Answers with one schema or another or none, as it is told.
#[derive(Clone, Default)]
struct Fickle(Arc<AtomicUsize>);

impl SchemaSource for Fickle {
    fn find<'a>(&'a self, _: &'a SchemaRef, _: Option<&'a Fetched>) -> Lookup<'a> {
        let text = match self.0.load(Ordering::SeqCst) {
            0 => "\"boolean\"",
            1 => "\"string\"",
            2 => {
                let detail = "nobody answers".into();
                return Box::pin(async { Err(SourceError::Unavailable { detail }) });
            }
            _ => {
                let detail = "there is none".into();
                return Box::pin(async { Err(SourceError::NotFound { detail }) });
            }
        };
        let documents =
            Documents { format: SchemaFormat::Avro, text: text.to_owned(), references: vec![] };
        let schema = Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap());
        let lifetime = Lifetime::For(Duration::from_secs(5));
        let fetched = Fetched { lifetime, ..Fetched::immutable(schema) };
        Box::pin(async { Ok(Arc::new(fetched)) })
    }
}

/// Counts look-ups that the cache answers.
#[derive(Default)]
struct Hits(AtomicUsize);

impl CacheObserver for Hits {
    fn hit(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn miss(&self) {}
    fn request(&self, _: RequestOutcome) {}
    fn request_seconds(&self, _: f64) {}
    fn entries(&self, _: u64) {}
    fn over_budget(&self) {}
}

/// Two judges in front of two registries, and the clock of both.
struct World {
    now: Arc<Mutex<Instant>>,
    sources: [Fickle; 2],
    judges: [Judge; 2],
    hits: Arc<Hits>,
    policies: Vec<TopicPolicy>,
    references: References,
}

impl World {
    fn new(max_entries: u64) -> Self {
        let now = Arc::new(Mutex::new(Instant::now()));
        let (sources, hits) = ([Fickle::default(), Fickle::default()], Arc::new(Hits::default()));
        let url = Some("http://registry".parse().unwrap());
        let references = References::new(&RegistrySettings { url, ..Default::default() });
        let judges = [0, 1].map(|at: usize| {
            let stale_ttl = Duration::from_secs(4);
            let settings = CacheSettings { stale_ttl, max_entries, ..CacheSettings::default() };
            let (shown, source) = (Arc::clone(&now), Arc::new(sources[at].clone()));
            let clock = Arc::new(move || *shown.lock().unwrap());
            let cache = SchemaCache::with_clock(source, settings, Arc::clone(&hits) as _, clock);
            Judge::new(references.clone(), cache, RecordLimits::default())
        });
        Self { now, sources, judges, hits, policies: policies(), references }
    }

    fn pass(&self, seconds: u64) {
        *self.now.lock().unwrap() += Duration::from_secs(seconds);
    }

    fn reference(&self, at: usize) -> SchemaRef {
        self.references.parse(SCHEMAS[at].as_bytes()).unwrap()
    }

    async fn look_up(&self, judge: usize, at: usize) {
        let _ = self.judges[judge].schemas().resolve(&self.reference(at)).await;
    }
}

fn policies() -> Vec<TopicPolicy> {
    let names = HeaderNames::default();
    let rule = RuleSettings::default;
    let allowing = |glob: &str| RuleSettings { allow_schemas: vec![glob.into()], ..rule() };
    let accepting = |list: &[Convention]| RuleSettings {
        conventions: Conventions::new(list),
        ..RuleSettings::default()
    };
    let mut rules = vec![
        rule(),
        RuleSettings { check: Check::Metadata, ..rule() },
        RuleSettings { tombstones: Tombstones::Reject, ..rule() },
        allowing("7"),
        allowing("8"),
        accepting(&[Convention::CloudEvents]),
        accepting(&[Convention::Headers, Convention::CloudEvents, Convention::ConfluentPrefix]),
        accepting(&[Convention::ConfluentPrefix]),
    ];
    rules.push(RuleSettings { key_conventions: Some(Conventions::default()), ..rule() });
    let mut policies: Vec<_> = rules.iter().map(|rule| TopicPolicy::new(rule, &names)).collect();
    let of_topics = RuleSettings {
        topics: vec!["*".to_owned()],
        subjects: SubjectStrategy::TopicName,
        ..rule()
    };
    let of_topics = Policy::new(&[of_topics], &rule(), &names);
    policies.extend(["a", "b"].map(|topic| TopicPolicy::clone(&of_topics.for_topic(topic))));
    policies
}

/// What is known of each record: that it passes, why it does not, or that its schema is missing.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    Good,
    Bad(String, Option<Box<str>>),
    Unknown,
}

/// The marks of a batch whose records are judged together, or what is wrong with it as a whole.
fn together(verdict: &PartitionVerdict, count: usize) -> Result<Vec<Mark>, String> {
    if let Some(fault) = verdict.fault() {
        return Err(fault.detail.clone());
    }
    assert_eq!(verdict.records(), count as u64);
    let mut marks: Vec<_> = (0..count).map(|_| Mark::Good).collect();
    for record in verdict.rejected() {
        let at = usize::try_from(record.batch_index).unwrap();
        let said = format!("{:?} {}", record.rejection.reason, record.rejection.detail);
        marks[at] = Mark::Bad(said, record.schema.clone());
    }
    Ok(marks)
}

/// The same where every record is judged alone, by one who has seen no other.
fn apart(
    judge: &Judge,
    policy: &TopicPolicy,
    resolved: &Resolved,
    bytes: &[u8],
) -> Result<Vec<Mark>, String> {
    let records = read_all(bytes).map_err(|error| error.to_string())?;
    Ok(records.iter().map(|record| alone(judge, policy, resolved, record)).collect())
}

fn alone(judge: &Judge, policy: &TopicPolicy, resolved: &Resolved, record: &OwnedRecord) -> Mark {
    let bytes = batch(Flavour::Plain, std::slice::from_ref(record));
    let verdict = judge.walk(&bytes, policy, resolved, &mut Workspace::default(), &mut Unlimited);
    let verdict = verdict.unwrap();
    match verdict.unknown_records() {
        0 => together(&verdict, 1).unwrap().remove(0),
        _ => Mark::Unknown,
    }
}

/// What happens on a connection and around it.
#[derive(Debug, Clone)]
enum Step {
    /// A batch of this flavour comes; of its bytes one is changed, where there is a place for it.
    Batch(usize, Vec<OwnedRecord>, Option<(usize, u8)>),
    /// The same with schemas that were looked up for the request, by the other judge.
    Resolved(Vec<OwnedRecord>, usize),
    Pass(u64),
    Answer(usize, usize),
    LookUp(usize, usize),
    /// A reload.
    Judge(usize),
    /// Another topic, or a rule with another list.
    Policy(usize),
}

fn any_record() -> impl Strategy<Value = OwnedRecord> {
    let value = prop_oneof![
        6 => Just(Some(vec![1])),
        1 => Just(Some(vec![2, b'x'])),
        1 => Just(Some(vec![0, 0, 0, 0, 7, 1])),
        1 => Just(None),
    ];
    let key = prop_oneof![4 => Just(None), 1 => Just(Some(vec![1]))];
    let content_type = prop_oneof![
        6 => Just(Some("avro")), 1 => Just(Some("avro-json")), 1 => Just(Some("nonsense")), 1 => Just(None)
    ];
    let schema =
        prop_oneof![6 => (0..SCHEMAS.len()).prop_map(|at| SCHEMAS[at]), 1 => Just("nowhere:1")];
    let name =
        prop_oneof![5 => Just("schema-id"), 1 => Just("ce_dataschema"), 1 => Just("schema-ie")];
    let trace = prop_oneof![
        4 => Just(None),
        2 => (0..3_u8).prop_map(|trace| Some(vec![b'a' + trace; 32])),
        1 => (MAX_HEADERS_BYTES - 60..MAX_HEADERS_BYTES + 60).prop_map(|length| Some(vec![b'x'; length])),
    ];
    let twice = prop_oneof![9 => Just(false), 1 => Just(true)];
    (value, key, content_type, schema, name, trace, twice).prop_map(
        |(value, key, content_type, schema, name, trace, twice)| {
            let mut record = OwnedRecord { value, key, ..OwnedRecord::default() };
            if let Some(content_type) = content_type {
                record = record.with("content-type", content_type);
            }
            record = record.with(name, schema);
            if twice {
                record = record.with("schema-id", "8");
            }
            match trace {
                Some(trace) => record.with("trace-id", trace),
                None => record,
            }
        },
    )
}

/// Records of a batch mostly share what they have.
fn any_records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let pool = proptest::collection::vec(any_record(), 1..4);
    (pool, proptest::collection::vec(any::<usize>(), 1..20))
        .prop_map(|(pool, turns)| turns.iter().map(|at| pool[at % pool.len()].clone()).collect())
}

fn any_step() -> impl Strategy<Value = Step> {
    let changed = proptest::option::weighted(0.3, (any::<usize>(), 1..=255_u8));
    prop_oneof![
        8 => (0..Flavour::ALL.len(), any_records(), changed).prop_map(|(flavour, records, changed)| Step::Batch(flavour, records, changed)),
        1 => (any_records(), 0..SCHEMAS.len()).prop_map(|(records, at)| Step::Resolved(records, at)),
        2 => (1..4_u64).prop_map(Step::Pass),
        2 => (0..2_usize, 0..4_usize).prop_map(|(judge, answer)| Step::Answer(judge, answer)),
        4 => (0..2_usize, 0..SCHEMAS.len()).prop_map(|(judge, at)| Step::LookUp(judge, at)),
        1 => (0..2_usize).prop_map(Step::Judge),
        2 => (0..11_usize).prop_map(Step::Policy),
    ]
}

/// Goes the steps on one connection, and compares every batch with its records alone.
async fn compare(max_entries: u64, steps: &[Step]) {
    let world = World::new(max_entries);
    let (mut workspace, mut judge, mut policy) = (Workspace::default(), 0, 0);
    for at in 0..SCHEMAS.len() {
        world.look_up(0, at).await;
    }
    for step in steps {
        let (bytes, resolved) = match step {
            Step::Batch(flavour, records, changed) => {
                let mut bytes = batch(Flavour::ALL[*flavour], records);
                if let Some((at, by)) = changed {
                    let from = 61 + at % (bytes.len() - 61);
                    bytes[from] ^= by;
                    reseal(&mut bytes);
                }
                (bytes, Resolved::new())
            }
            Step::Resolved(records, at) => {
                let reference = world.reference(*at);
                let resolution = world.judges[1 - judge].schemas().resolve(&reference).await;
                (batch(Flavour::Plain, records), Resolved::from([(reference, resolution)]))
            }
            Step::Pass(seconds) => {
                world.pass(*seconds);
                continue;
            }
            Step::Answer(source, answer) => {
                world.sources[*source].0.store(*answer, Ordering::SeqCst);
                continue;
            }
            Step::LookUp(judge, at) => {
                world.look_up(*judge, *at).await;
                continue;
            }
            Step::Judge(other) => {
                judge = *other;
                continue;
            }
            Step::Policy(other) => {
                policy = *other;
                continue;
            }
        };
        let (judge, policy) = (&world.judges[judge], &world.policies[policy]);
        let expected = apart(judge, policy, &resolved, &bytes);
        let verdict = judge.walk(&bytes, policy, &resolved, &mut workspace, &mut Unlimited);
        let verdict = verdict.unwrap();
        let found = together(&verdict, expected.as_ref().map_or(0, Vec::len));
        let unknown = |marks: &[Mark]| marks.iter().filter(|mark| **mark == Mark::Unknown).count();
        if let Ok(expected) = &expected {
            assert_eq!(verdict.unknown_records(), unknown(expected) as u64, "{step:?}");
        }
        let without_unknown = |marks: Vec<Mark>| -> Vec<Mark> {
            let known = |mark| if mark == Mark::Unknown { Mark::Good } else { mark };
            marks.into_iter().map(known).collect()
        };
        assert_eq!(found, expected.map(without_unknown), "{step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn who_remembers_headers_judges_as_who_remembers_nothing(
        max_entries in prop_oneof![Just(1_u64), Just(100)],
        steps in proptest::collection::vec(any_step(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(max_entries, &steps));
    }
}

/// Whether each of three records that name the first schema passes.
fn three(world: &World, workspace: &mut Workspace, judge: usize, policy: &TopicPolicy) -> char {
    let record = OwnedRecord::of([1]).with("content-type", "avro").with("schema-id", SCHEMAS[0]);
    let bytes = batch(Flavour::Plain, &[record.clone(), record.clone(), record]);
    let nothing = Resolved::new();
    let verdict = world.judges[judge].walk(&bytes, policy, &nothing, workspace, &mut Unlimited);
    let verdict = verdict.unwrap();
    match (verdict.rejected_records(), verdict.unknown_records()) {
        (0, 0) => '.',
        (3, 0) => 'x',
        (0, 3) => '?',
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_headers_lead_to_ends_with_whatever_it_depends_on() {
    let (world, mut workspace) = (World::new(1), Workspace::default());
    let default = &world.policies[0];
    let allowing_another = &world.policies[4];
    world.look_up(0, 0).await;
    world.sources[1].0.store(1, Ordering::SeqCst);
    world.look_up(1, 0).await;
    let mut mark = |judge, policy| three(&world, &mut workspace, judge, policy);
    assert_eq!((mark(0, default), mark(0, default)), ('.', '.'));
    assert_eq!((mark(1, default), mark(0, default)), ('x', '.'), "after a reload");
    assert_eq!((mark(0, allowing_another), mark(0, default)), ('x', '.'), "another list");
    world.look_up(0, 1).await;
    assert_eq!(mark(0, default), '?', "another schema has taken its place");
    world.look_up(0, 0).await;
    assert_eq!(mark(0, default), '.');
    world.pass(9);
    assert_eq!(mark(0, default), '?', "it serves no longer");
    world.look_up(0, 0).await;
    world.sources[0].0.store(1, Ordering::SeqCst);
    world.pass(6);
    assert_eq!(mark(0, default), '.', "it is out of date, serves, and is asked for again");
    while mark(0, default) == '.' {
        tokio::task::yield_now().await;
    }
    assert_eq!(mark(0, default), 'x', "the registry says otherwise now");
    world.sources[0].0.store(3, Ordering::SeqCst);
    world.pass(6);
    assert_eq!(mark(0, default), 'x', "the first who asks after that starts the look-up");
    world.look_up(0, 0).await;
    while world.judges[0].schemas().cached(&world.reference(0)).unwrap().is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(mark(0, default), 'x', "there is none any more");
    world.sources[0].0.store(0, Ordering::SeqCst);
    world.pass(3_600);
    world.look_up(0, 0).await;
    assert_eq!(mark(0, default), '.', "and there is one again");
}

#[tokio::test]
async fn a_schema_that_is_remembered_counts_as_a_hit_once_in_every_walk() {
    let (world, mut workspace) = (World::new(100), Workspace::default());
    world.look_up(0, 0).await;
    for walks in 1..5 {
        three(&world, &mut workspace, 0, &world.policies[0]);
        assert_eq!(world.hits.0.load(Ordering::SeqCst), walks);
    }
}

#[tokio::test]
async fn a_connection_that_remembers_keeps_no_schema_alive() {
    let (world, mut workspace) = (World::new(1), Workspace::default());
    world.look_up(0, 0).await;
    let schema = world.judges[0].schemas().cached(&world.reference(0)).unwrap().unwrap();
    let holders = Arc::strong_count(&schema);
    assert_eq!(three(&world, &mut workspace, 0, &world.policies[0]), '.');
    assert_eq!(Arc::strong_count(&schema), holders);
}
