//! The walk over a batch: what references lead to, from record to record and from batch to batch.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    limits::SchemaLimits,
    record::{
        Unlimited,
        builder::{Flavour, OwnedRecord, batch},
    },
    schema::{
        CacheSettings, Documents, Fetched, Lifetime, Lookup, RegistrySettings, SchemaFormat,
        SchemaSource, SubjectStrategy,
    },
    validate::{
        convention::{Convention, Conventions},
        memo::MAX_MEMO_BYTES,
        metadata::HeaderNames,
        policy::{Policy, RuleSettings},
    },
};

/// Gives a schema of this text for a moment.
struct Briefly(&'static str);

impl SchemaSource for Briefly {
    fn find<'a>(&'a self, _: &'a SchemaRef, _: Option<&'a Fetched>) -> Lookup<'a> {
        let lifetime = Lifetime::For(Duration::from_secs(5));
        let fetched =
            schema(self.0).map(|schema| Fetched { lifetime, ..Fetched::immutable(schema) });
        Box::pin(async { fetched.map(Arc::new) })
    }
}

/// Is never asked: these tests hand in what was looked up.
struct Nobody;

impl SchemaSource for Nobody {
    fn find<'a>(&'a self, _: &'a SchemaRef, _: Option<&'a Fetched>) -> Lookup<'a> {
        Box::pin(async { Err(not_found()) })
    }
}

fn not_found() -> SourceError {
    SourceError::NotFound { detail: "there is none".into() }
}

fn references(registry: &str) -> References {
    let url = Some(registry.parse().unwrap());
    References::new(&RegistrySettings { url, ..RegistrySettings::default() })
}

fn judge(registry: &str) -> Judge {
    let cache = SchemaCache::new(Arc::new(Nobody), CacheSettings::default(), Arc::new(()));
    let limits = RecordLimits::default();
    Judge::new(references(registry), cache, limits)
}

fn schema(text: &str) -> Resolution {
    let text = text.to_owned();
    let documents = Documents { format: SchemaFormat::Avro, text, references: Vec::new() };
    Ok(Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap()))
}

/// One record for each reference, each with the value `true`.
fn batch_of(references: &[&str]) -> Vec<u8> {
    let record = |reference: &&str| {
        OwnedRecord::of([1]).with("content-type", "avro").with("schema-id", *reference)
    };
    batch(Flavour::Plain, &references.iter().map(record).collect::<Vec<_>>())
}

/// Which records pass (`.`), do not (`x`), or wait for their schema (`?`).
fn walk(
    judge: &Judge,
    workspace: &mut Workspace,
    policy: &TopicPolicy,
    resolved: &Resolved,
    references: &[&str],
) -> String {
    let one = |reference| {
        let bytes = batch_of(&[reference]);
        judge.walk(&bytes, policy, resolved, &mut Workspace::default(), &mut Unlimited)
    };
    let apart = references.iter().map(|reference| one(reference).unwrap());
    let apart: String = apart.map(|verdict| mark(&verdict)).collect();
    let bytes = batch_of(references);
    let together = judge.walk(&bytes, policy, resolved, workspace, &mut Unlimited).unwrap();
    let rejected = together.rejected().iter().map(|record| record.batch_index);
    let expected = (0..).zip(apart.chars()).filter(|(_, mark)| *mark == 'x');
    assert!(rejected.eq(expected.map(|(index, _)| index)), "{apart} {together:?}");
    let unknown = apart.chars().filter(|mark| *mark == '?').count() as u64;
    assert_eq!(together.unknown_records(), unknown, "{apart} {together:?}");
    apart
}

fn mark(verdict: &PartitionVerdict) -> char {
    match (verdict.rejected_records(), verdict.unknown_records()) {
        (0, 0) => '.',
        (0, _) => '?',
        _ => 'x',
    }
}

fn default_policy() -> TopicPolicy {
    TopicPolicy::new(&RuleSettings::default(), &HeaderNames::default())
}

#[test]
fn many_references_in_one_batch_are_judged_as_if_each_were_alone() {
    let judge = judge("http://registry");
    let mut resolved = Resolved::new();
    for id in 0..20 {
        let text = if id % 3 == 0 { "\"boolean\"" } else { "\"string\"" };
        let reference = judge.references.parse(format!("{id}").as_bytes()).unwrap();
        resolved.insert(reference, schema(text));
    }
    let long = |id: &str| format!("http://registry/{}{id}", "x".repeat(MAX_MEMO_BYTES - 300));
    let longer = |id: &str| format!("{}{}", long(id), "y".repeat(300));
    let odd = [long("1"), long("2"), longer("1"), longer("2"), "99".into(), String::new()];
    let mut named: Vec<String> = (0..20).map(|id| id.to_string()).collect();
    named.extend(odd);
    let mut workspace = Workspace::default();
    for step in [1, 3, 5, 7, 11] {
        let turns = (0..120).map(|at| &*named[at * step % (at % named.len() + 1)]);
        let turns: Vec<_> = turns.collect();
        walk(&judge, &mut workspace, &default_policy(), &resolved, &turns);
        walk(&judge, &mut workspace, &default_policy(), &Resolved::new(), &turns);
    }
}

#[test]
fn what_one_walk_found_is_not_believed_by_the_next() {
    let judge = judge("http://registry");
    let reference = judge.references.parse(b"7").unwrap();
    let mut workspace = Workspace::default();
    let steps = [
        (None, "?"),
        (Some(Err(not_found())), "x"),
        (Some(schema("\"boolean\"")), "."),
        (Some(schema("\"string\"")), "x"),
        (None, "?"),
    ];
    for (known, expected) in steps {
        let resolved = known.into_iter().map(|known| (reference.clone(), known)).collect();
        let marks = walk(&judge, &mut workspace, &default_policy(), &resolved, &["7"]);
        assert_eq!(marks, expected, "{resolved:?}");
    }
}

#[test]
fn what_one_topic_allows_says_nothing_about_the_next() {
    let judge = judge("http://registry");
    let reference = judge.references.parse(b"7").unwrap();
    let resolved = Resolved::from([(reference, schema("\"boolean\""))]);
    let mut workspace = Workspace::default();
    for (allowed, expected) in [("7", "."), ("8", "x"), ("*", "."), ("users/*", "x")] {
        let allow_schemas = vec![allowed.to_owned()];
        let rule = RuleSettings { allow_schemas, ..RuleSettings::default() };
        let policy = TopicPolicy::new(&rule, &HeaderNames::default());
        let marks = walk(&judge, &mut workspace, &policy, &resolved, &["7"]);
        assert_eq!(marks, expected, "{allowed}");
    }
    let rule = RuleSettings { check: Check::Metadata, ..RuleSettings::default() };
    let policy = TopicPolicy::new(&rule, &HeaderNames::default());
    let marks = walk(&judge, &mut workspace, &policy, &Resolved::new(), &["7", "", "8"]);
    assert_eq!(marks, ".x.");
}

#[test]
fn a_reference_means_what_the_present_registry_makes_of_it() {
    let mut workspace = Workspace::default();
    let resolved =
        Resolved::from([(references("http://one").parse(b"7").unwrap(), schema("\"boolean\""))]);
    for (registry, expected) in [("http://one", "."), ("http://two", "?"), ("http://one", ".")] {
        let judge = judge(registry);
        let marks = walk(&judge, &mut workspace, &default_policy(), &resolved, &["7"]);
        assert_eq!(marks, expected, "{registry}");
    }
}

#[test]
fn a_schema_counts_where_its_subject_does() {
    let judge = judge("http://registry");
    let rule = |topic: &str, subjects| RuleSettings {
        topics: vec![topic.to_owned()],
        subjects,
        ..RuleSettings::default()
    };
    let rules = [
        rule("a", SubjectStrategy::TopicName),
        rule("b", SubjectStrategy::TopicName),
        rule("c", SubjectStrategy::RecordName),
    ];
    let policy = Policy::new(&rules, &RuleSettings::default(), &HeaderNames::default());
    let plain = judge.references.parse(b"7").unwrap();
    let topic = |topic: &str| policy.for_topic(topic);
    let under = |name: &str| plain.under(topic(name).subject(Side::Value).unwrap()).unwrap();
    let elsewhere = || Err(SourceError::OtherSubject { detail: "elsewhere".into() });
    let resolved = Resolved::from([
        (plain.clone(), schema("\"boolean\"")),
        (under("a"), schema("\"boolean\"")),
        (under("b"), elsewhere()),
    ]);
    let mut workspace = Workspace::default();
    // Not known for c: what is known of the schema elsewhere says nothing.
    for (name, expected) in [("a", ".x"), ("b", "xx"), ("c", "?x"), ("d", ".?"), ("a", ".x")] {
        let named = ["7", "users/v1.avsc"];
        let marks = walk(&judge, &mut workspace, &topic(name), &resolved, &named);
        assert_eq!(marks, expected, "{name}");
    }
}

#[test]
fn a_key_and_a_value_of_the_same_schema_have_subjects_of_their_own() {
    let judge = judge("http://registry");
    let conventions = Conventions::new(&[Convention::ConfluentPrefix]);
    let rule = RuleSettings {
        topics: vec!["t".to_owned()],
        subjects: SubjectStrategy::TopicName,
        key_conventions: Some(conventions.clone()),
        conventions,
        ..RuleSettings::default()
    };
    let policy = Policy::new(&[rule], &RuleSettings::default(), &HeaderNames::default());
    let policy = policy.for_topic("t");
    let plain = judge.references.parse(b"7").unwrap();
    let under = |side| plain.under(policy.subject(side).unwrap()).unwrap();
    let known = || schema("\"boolean\"");
    let other = || Err(SourceError::OtherSubject { detail: "elsewhere".into() });
    let framed = [0, 0, 0, 0, 7, 1];
    let record = OwnedRecord { key: Some(framed.to_vec()), ..OwnedRecord::of(framed) };
    let bytes = batch(Flavour::Plain, &[record]);
    for (key, value, expected) in [
        (known(), known(), '.'),
        (other(), known(), 'x'),
        (known(), other(), 'x'),
        (other(), other(), 'x'),
    ] {
        let resolved = Resolved::from([(under(Side::Key), key), (under(Side::Value), value)]);
        let mut workspace = Workspace::default();
        let verdict = judge.walk(&bytes, &policy, &resolved, &mut workspace, &mut Unlimited);
        assert_eq!(mark(&verdict.unwrap()), expected, "{resolved:?}");
    }
}

#[tokio::test]
async fn what_a_connection_remembers_ends_with_a_reload_an_allow_list_and_the_schema_itself() {
    let now = Arc::new(Mutex::new(Instant::now()));
    let judge = |text: &'static str| {
        let settings = CacheSettings { stale_ttl: Duration::ZERO, ..CacheSettings::default() };
        let shown = Arc::clone(&now);
        let clock = Arc::new(move || *shown.lock().unwrap());
        let cache = SchemaCache::with_clock(Arc::new(Briefly(text)), settings, Arc::new(()), clock);
        Judge::new(references("http://registry"), cache, RecordLimits::default())
    };
    let (before, after) = (judge("\"boolean\""), judge("\"string\""));
    let reference = before.references.parse(b"7").unwrap();
    let allowing = |glob: &str| {
        let rule = RuleSettings { allow_schemas: vec![glob.to_owned()], ..Default::default() };
        TopicPolicy::new(&rule, &HeaderNames::default())
    };
    let mut workspace = Workspace::default();
    let mut marks = |judge: &Judge, policy: &TopicPolicy| {
        walk(judge, &mut workspace, policy, &Resolved::new(), &["7", "7"])
    };
    for judge in [&before, &after] {
        judge.schemas().resolve(&reference).await.unwrap();
    }
    assert_eq!(marks(&before, &default_policy()), "..");
    assert_eq!(marks(&after, &default_policy()), "xx", "another judge, another registry behind it");
    assert_eq!(marks(&before, &default_policy()), "..");
    assert_eq!(marks(&before, &allowing("8")), "xx", "allowed no more");
    assert_eq!(marks(&before, &allowing("7")), "..", "allowed again");
    *now.lock().unwrap() += Duration::from_secs(5);
    assert_eq!(marks(&before, &default_policy()), "??", "it has expired");
}
