//! What a verdict means for a topic. Facts come from elsewhere; only this file has opinions.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use wildmatch::WildMatch;

use super::{
    claim::Reader,
    convention::Conventions,
    dead_letter::DeadLetterName,
    metadata::{HeaderNames, NameTable, Side},
    verdict::{BatchFault, PartitionVerdict},
};
use crate::{
    protobuf::UnknownFields,
    reason::Reason,
    schema::{References, SchemaRef, SubjectStrategy, WantedSubject},
    wire::{
        ErrorCode,
        refuse::{RecordError, Refusal},
    },
};

/// What a rule does with records that do not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuse their batch.
    Enforce,
    /// Forward everything, judge and count.
    Observe,
    /// Forward everything unread.
    Off,
}

/// What happens to records whose schema cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnavailable {
    /// Forward them and count.
    Accept,
    /// Refuse them for good.
    Reject,
    /// Answer a retriable code.
    Retry,
}

/// Whether null values pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstones {
    /// They pass, without metadata.
    Allow,
    /// They are refused.
    Reject,
}

/// How much of a record is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Metadata present and well-formed; no look-up, the value is not read.
    Metadata,
    /// The value against its schema.
    Value,
}

/// Whether batches that follow a withheld one are withheld too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceGuard {
    /// They go on.
    Off,
    /// They are answered `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    On,
}

/// One rule of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSettings {
    /// Names and globs (`*`, `?`) of the topics (`rules[].topics`). Empty in the default rule.
    pub topics: Vec<String>,
    /// `rules[].mode`.
    pub mode: Mode,
    /// `rules[].check`.
    pub check: Check,
    /// `rules[].tombstones`.
    pub tombstones: Tombstones,
    /// `rules[].on_registry_unavailable`.
    pub on_registry_unavailable: OnUnavailable,
    /// Schema references that the topic accepts, globs (`rules[].allow_schemas`). Empty: every one.
    pub allow_schemas: Vec<String>,
    /// Under which subject a schema has to be registered (`rules[].subjects`).
    pub subjects: SubjectStrategy,
    /// Globs of further subjects, which will do as well (`rules[].allow_subjects`).
    pub allow_subjects: Vec<String>,
    /// `rules[].sequence_guard`.
    pub sequence_guard: SequenceGuard,
    /// What becomes of fields that a message in Protocol Buffers has and its schema has not (`rules[].unknown_fields`).
    pub unknown_fields: UnknownFields,
    /// How values may name their schema (`rules[].conventions`).
    pub conventions: Conventions,
    /// The same of keys; `None`: keys are not looked at (`rules[].key_conventions`).
    pub key_conventions: Option<Conventions>,
    /// Where refused batches are copied to; `None`: nowhere (`rules[].quarantine`).
    pub quarantine: Option<DeadLetterName>,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            mode: Mode::Enforce,
            check: Check::Value,
            tombstones: Tombstones::Allow,
            on_registry_unavailable: OnUnavailable::Retry,
            allow_schemas: Vec::new(),
            subjects: SubjectStrategy::Any,
            allow_subjects: Vec::new(),
            sequence_guard: SequenceGuard::On,
            unknown_fields: UnknownFields::default(),
            conventions: Conventions::default(),
            key_conventions: None,
            quarantine: None,
        }
    }
}

/// How the records of a topic name their schemas.
#[derive(Debug, Clone)]
pub struct Naming {
    /// The headers that are looked for.
    pub names: NameTable,
    /// How values may do it.
    pub value: Conventions,
    /// The same of keys, where they are looked at.
    pub key: Option<Conventions>,
    own: bool,
}

impl Naming {
    fn new(rule: &RuleSettings, names: &HeaderNames) -> Self {
        let (value, key) = (rule.conventions.clone(), rule.key_conventions.clone());
        let names = NameTable::new(names, &value, key.as_ref());
        let own = value.is_headers_only() && key.is_none();
        Self { names, value, key, own }
    }

    /// Whether only values are looked at, and only the product's own convention is accepted.
    #[inline]
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.own
    }

    /// Reads what one side of a record claims.
    #[inline]
    #[must_use]
    pub fn reader(&self, side: Side) -> Reader<'_> {
        let conventions = match (side, &self.key) {
            (Side::Key, Some(key)) => key,
            _ => &self.value,
        };
        Reader { conventions, names: &self.names, side }
    }
}

/// Tells what one policy makes of references from what any other of the process does: of its rule, of another one, or of the
/// same with another list of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PolicyNumber(u64);

impl PolicyNumber {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What the rules say about one topic.
#[derive(Debug, Clone)]
pub struct TopicPolicy {
    number: PolicyNumber,
    /// What happens to records that do not pass.
    pub mode: Mode,
    /// How much of a record is looked at.
    pub check: Check,
    /// Whether null values pass.
    pub tombstones: Tombstones,
    /// What happens to records whose schema cannot be had.
    pub on_registry_unavailable: OnUnavailable,
    /// Whether followers of a withheld batch are withheld.
    pub sequence_guard: SequenceGuard,
    /// What becomes of fields that the schema has not.
    pub unknown_fields: UnknownFields,
    /// How records name their schemas.
    pub naming: Naming,
    quarantine: Option<DeadLetterName>,
    allow_schemas: Vec<WildMatch>,
    strategy: SubjectStrategy,
    allow_subjects: Arc<[String]>,
    /// Under which subject the schemas of keys and those of values have to be registered.
    subjects: [Option<Arc<WantedSubject>>; 2],
}

impl TopicPolicy {
    /// The policy that `rule` asks for, where metadata headers are called `names`.
    #[must_use]
    pub fn new(rule: &RuleSettings, names: &HeaderNames) -> Self {
        let policy = Self {
            number: PolicyNumber::next(),
            naming: Naming::new(rule, names),
            unknown_fields: rule.unknown_fields,
            mode: rule.mode,
            check: rule.check,
            tombstones: rule.tombstones,
            on_registry_unavailable: rule.on_registry_unavailable,
            sequence_guard: rule.sequence_guard,
            quarantine: rule.quarantine.clone(),
            allow_schemas: rule.allow_schemas.iter().map(|glob| WildMatch::new(glob)).collect(),
            strategy: rule.subjects,
            allow_subjects: rule.allow_subjects.clone().into(),
            subjects: [None, None],
        };
        // Where the topic counts, it is not known yet.
        if policy.is_of_topic() { policy } else { policy.of_topic("") }
    }

    /// Which policy this is.
    #[inline]
    pub(super) const fn number(&self) -> PolicyNumber {
        self.number
    }

    /// Whether the topic's name is part of what the rule wants.
    const fn is_of_topic(&self) -> bool {
        matches!(self.strategy, SubjectStrategy::TopicName | SubjectStrategy::TopicRecordName)
    }

    /// The same with the subjects of `topic`.
    fn of_topic(mut self, topic: &str) -> Self {
        let wanted = |suffix| {
            WantedSubject::new(self.strategy, topic, suffix, &self.allow_subjects).map(Arc::new)
        };
        self.subjects = [wanted("-key"), wanted("-value")];
        self.number = PolicyNumber::next();
        self
    }

    /// Under which subject the schemas of one side have to be registered. `None`: it does not matter, or the topic has no
    /// name.
    #[inline]
    #[must_use]
    pub const fn subject(&self, side: Side) -> Option<&Arc<WantedSubject>> {
        let [key, value] = &self.subjects;
        match side {
            Side::Key => key.as_ref(),
            Side::Value => value.as_ref(),
        }
    }

    /// Whether the topic accepts records of the schema at `reference`, by its URL or by its short name in the configured
    /// registry. What the header says literally does not count: it may spell one schema in many ways.
    #[must_use]
    pub fn allows_schema(&self, reference: &SchemaRef, references: &References) -> bool {
        let listed = |text: &str| {
            self.allow_schemas.iter().any(|glob| {
                glob.matches(text) || references.local(text).is_some_and(|it| glob.matches(it))
            })
        };
        self.allow_schemas.is_empty() || reference.allowed_by(listed)
    }
}

/// What to do with one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It goes on, as the bytes that came. While rejections are counted this is audit mode.
    Forward,
    /// It does not reach the broker; the producer is told this.
    Refuse(Refusal),
}

impl Action {
    /// Refuses a batch for what is wrong with it as a whole.
    #[must_use]
    pub fn refuse(fault: &BatchFault) -> Self {
        let message = Some(fault.message());
        Self::Refuse(Refusal { code: fault.code, message, record_errors: Vec::new() })
    }
}

impl TopicPolicy {
    /// Says what to do with a batch: corrupt comes before certainly bad records, these before records that could not be
    /// judged.
    #[must_use]
    pub fn decide(&self, verdict: &PartitionVerdict) -> Action {
        if self.mode != Mode::Enforce {
            return Action::Forward;
        }
        if let Some(fault) = verdict.fault() {
            return Action::refuse(fault);
        }
        if verdict.rejected_records() > 0 {
            return refuse_records(verdict);
        }
        match verdict.unknown_detail() {
            None => Action::Forward,
            Some((batch_index, detail)) => self.undecidable(*batch_index, detail),
        }
    }

    fn undecidable(&self, batch_index: i32, detail: &str) -> Action {
        let reason = Reason::RegistryUnavailable;
        let code = match self.on_registry_unavailable {
            OnUnavailable::Accept => return Action::Forward,
            OnUnavailable::Reject => ErrorCode::INVALID_RECORD,
            OnUnavailable::Retry => reason.error_code(),
        };
        let message = format!("{}: record {batch_index}: {detail}", reason.label());
        Action::Refuse(Refusal { code, message: Some(message), record_errors: Vec::new() })
    }
}

fn refuse_records(verdict: &PartitionVerdict) -> Action {
    let record_errors = verdict
        .rejected()
        .iter()
        .map(|record| RecordError { batch_index: record.batch_index, message: record.message() });
    let record_errors: Vec<_> = record_errors.collect();
    let first = record_errors.first().map(|error| error.message.clone());
    let message = match verdict.rejected_records() {
        0 | 1 => first,
        count => first.map(|first| format!("{first} (and {} more records)", count - 1)),
    };
    Action::Refuse(Refusal { code: ErrorCode::INVALID_RECORD, message, record_errors })
}

/// The rules, compiled.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    default: Arc<TopicPolicy>,
    internal: Arc<TopicPolicy>,
    unnamed: Option<Arc<TopicPolicy>>,
    /// How the dead-letter topics of all rules are called.
    dead_letters: Vec<DeadLetterName>,
}

#[derive(Debug)]
struct Rule {
    topics: Vec<TopicGlob>,
    policy: Arc<TopicPolicy>,
}

#[derive(Debug)]
struct TopicGlob {
    glob: WildMatch,
    names_something: bool,
}

impl Policy {
    /// Compiles `rules`, the first that matches wins, and `default` for topics that none matches; metadata headers are
    /// called `names`.
    #[must_use]
    pub fn new(rules: &[RuleSettings], default: &RuleSettings, names: &HeaderNames) -> Self {
        let named = rules.iter().chain([default]).filter_map(|rule| rule.quarantine.clone());
        let dead_letters = named.collect();
        let rules = rules.iter().map(|rule| Rule {
            topics: rule.topics.iter().map(|glob| TopicGlob::new(glob)).collect(),
            policy: Arc::new(TopicPolicy::new(rule, names)),
        });
        let rules: Vec<_> = rules.collect();
        let internal = RuleSettings { mode: Mode::Off, ..RuleSettings::default() };
        let default = Arc::new(TopicPolicy::new(default, names));
        let enforces = rules
            .iter()
            .map(|rule| &rule.policy)
            .chain([&default])
            .any(|it| it.mode == Mode::Enforce);
        let unnamed = (!enforces).then(|| Arc::clone(&default));
        let internal = Arc::new(TopicPolicy::new(&internal, names));
        Self { rules, default, internal, unnamed, dead_letters }
    }

    /// Where refused batches of `topic`, whose policy is `policy`, are copied to. `None`: nowhere, as those of dead-letter
    /// topics: nothing goes round in circles.
    #[must_use]
    pub fn dead_letter_topic(&self, topic: &str, policy: &TopicPolicy) -> Option<Arc<str>> {
        let name = policy.quarantine.as_ref().filter(|_| policy.mode == Mode::Enforce)?;
        let is_dead_letter = self.dead_letters.iter().any(|name| name.is_one(topic));
        (!is_dead_letter).then(|| name.of(topic).into())
    }

    /// What the rules say about a topic whose name is not known: something only where none of them refuses anything.
    #[must_use]
    pub fn for_unnamed(&self) -> Option<Arc<TopicPolicy>> {
        self.unnamed.clone()
    }

    /// What the rules say about `topic`. Internal topics are off unless a rule names them: `*` names nothing.
    #[must_use]
    pub fn for_topic(&self, topic: &str) -> Arc<TopicPolicy> {
        let internal = is_internal(topic);
        let rule = self.rules.iter().find(|rule| rule.matches(topic, internal));
        let policy = match rule {
            Some(rule) => &rule.policy,
            None if internal => &self.internal,
            None => &self.default,
        };
        match policy.is_of_topic() {
            true => Arc::new(TopicPolicy::clone(policy).of_topic(topic)),
            false => Arc::clone(policy),
        }
    }
}

impl Rule {
    fn matches(&self, topic: &str, internal: bool) -> bool {
        self.topics
            .iter()
            .any(|topics| (topics.names_something || !internal) && topics.glob.matches(topic))
    }
}

impl TopicGlob {
    fn new(glob: &str) -> Self {
        let names_something = glob.chars().any(|character| !matches!(character, '*' | '?'));
        Self { glob: WildMatch::new(glob), names_something }
    }
}

/// Whether `topic` belongs to Kafka, Connect, Streams or a schema registry rather than to an application's events.
fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
        || matches!(topic, "_schemas" | "connect-configs" | "connect-offsets" | "connect-status")
        || topic.ends_with("-changelog")
        || topic.ends_with("-repartition")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::RegistrySettings;

    fn rule(topics: &[&str], mode: Mode) -> RuleSettings {
        let topics = topics.iter().map(ToString::to_string).collect();
        RuleSettings { topics, mode, ..RuleSettings::default() }
    }

    #[test]
    fn dead_letter_topics_have_none_themselves() {
        let to = |topics: &[&str], mode, name| RuleSettings {
            quarantine: Some(DeadLetterName::parse(name).unwrap()),
            ..rule(topics, mode)
        };
        let rules = [
            to(&["seen"], Mode::Observe, "seen-dead"),
            to(&["users"], Mode::Enforce, "all-dead"),
            rule(&["quiet"], Mode::Enforce),
        ];
        let default = to(&[], Mode::Enforce, "{topic}.rejected");
        let policy = Policy::new(&rules, &default, &HeaderNames::default());
        let table = [
            ("users", Some("all-dead")),
            ("orders", Some("orders.rejected")),
            ("orders.rejected", None),
            ("all-dead", None),
            ("seen-dead", None),
            ("seen", None),
            ("quiet", None),
            ("__consumer_offsets", None),
        ];
        for (topic, expected) in table {
            let found = policy.dead_letter_topic(topic, &policy.for_topic(topic));
            assert_eq!(found.as_deref(), expected, "{topic}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = [rule(&["orders.eu"], Mode::Off), rule(&["orders.*", "users"], Mode::Observe)];
        let policy = Policy::new(&rules, &RuleSettings::default(), &HeaderNames::default());
        let table = [
            ("orders.eu", Mode::Off),
            ("orders.us", Mode::Observe),
            ("users", Mode::Observe),
            ("ordersXus", Mode::Enforce),
            ("payments", Mode::Enforce),
        ];
        for (topic, mode) in table {
            assert_eq!(policy.for_topic(topic).mode, mode, "{topic}");
        }
    }

    #[test]
    fn internal_topics_are_off_unless_a_rule_names_them() {
        let internal = [
            "__consumer_offsets",
            "_schemas",
            "connect-configs",
            "app-store-changelog",
            "app-x-repartition",
        ];
        for rules in [&[][..], &[rule(&["*"], Mode::Enforce)]] {
            let policy = Policy::new(rules, &RuleSettings::default(), &HeaderNames::default());
            for topic in internal {
                assert_eq!(policy.for_topic(topic).mode, Mode::Off, "{topic}");
            }
        }
        let policy = Policy::new(
            &[rule(&["*-changelog"], Mode::Enforce)],
            &RuleSettings::default(),
            &HeaderNames::default(),
        );
        assert_eq!(policy.for_topic("app-store-changelog").mode, Mode::Enforce);
    }

    #[test]
    fn a_topic_without_a_name_passes_only_where_nothing_is_enforced() {
        let default = |mode| RuleSettings { mode, ..RuleSettings::default() };
        let table = [
            (vec![], Mode::Enforce, None),
            (vec![rule(&["a"], Mode::Enforce)], Mode::Off, None),
            (vec![rule(&["a"], Mode::Off)], Mode::Observe, Some(Mode::Observe)),
            (vec![rule(&["a"], Mode::Observe)], Mode::Off, Some(Mode::Off)),
        ];
        for (rules, mode, expected) in table {
            let policy = Policy::new(&rules, &default(mode), &HeaderNames::default());
            assert_eq!(policy.for_unnamed().map(|policy| policy.mode), expected, "{rules:?}");
        }
    }

    #[test]
    fn each_topic_and_side_has_its_subject_where_a_rule_asks_for_it() {
        let rule = |topic: &str, subjects, allow: &[&str]| RuleSettings {
            subjects,
            allow_subjects: allow.iter().map(ToString::to_string).collect(),
            ..rule(&[topic], Mode::Enforce)
        };
        let rules = [
            rule("named.*", SubjectStrategy::TopicName, &[]),
            rule("record", SubjectStrategy::RecordName, &[]),
            rule("listed", SubjectStrategy::Any, &["shared-*"]),
        ];
        let policy = Policy::new(&rules, &RuleSettings::default(), &HeaderNames::default());
        let expected = |topic: &str, side| {
            let policy = policy.for_topic(topic);
            policy.subject(side).map(|wanted| wanted.expected(&["a.R".to_owned()]))
        };
        let table = [
            ("named.a", "named.a-key", "named.a-value"),
            ("named.b", "named.b-key", "named.b-value"),
            ("record", "a.R", "a.R"),
            ("listed", "shared-*", "shared-*"),
        ];
        for (topic, key, value) in table {
            assert_eq!(expected(topic, Side::Key).as_deref(), Some(key), "{topic}");
            assert_eq!(expected(topic, Side::Value).as_deref(), Some(value), "{topic}");
        }
        assert_eq!(expected("other", Side::Value), None);
    }

    #[test]
    fn an_allow_list_matches_the_resolved_reference() {
        let rule = RuleSettings {
            allow_schemas: vec!["users/*".into(), "7".into(), "http://other/*".into()],
            ..RuleSettings::default()
        };
        let policy = TopicPolicy::new(&rule, &HeaderNames::default());
        let references = References::new(&RegistrySettings {
            url: Some("http://registry:8081".parse().unwrap()),
            allow: vec!["http://other".parse().unwrap()],
            ..RegistrySettings::default()
        });
        let table = [
            ("users/v1.avsc", true),
            ("http://registry:8081/users/v1.avsc", true),
            ("7", true),
            ("http://registry:8081/schemas/ids/7", true),
            ("http://other/x.avsc", true),
            ("8", false),
            ("orders/v1.avsc", false),
            ("orders/v1.avsc?/users/v1.avsc", false),
        ];
        for (header, allowed) in table {
            let reference = references.parse(header.as_bytes()).unwrap();
            assert_eq!(policy.allows_schema(&reference, &references), allowed, "{header}");
        }
    }
}
