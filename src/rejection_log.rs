//! One warning for each refused batch, held to a rate for each topic and reason: a producer that goes wrong must not
//! fill the log. Values, keys and headers of records never come here.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

pub use self::recent::{RecentRejection, RecentRejections};
use crate::{log_rate::LogRate, reason::Reason, text::shown, validate::policy::Mode};

mod recent;

/// A batch that was refused, or would have been.
#[derive(Debug, Clone, Copy)]
pub struct RejectedBatch<'a> {
    /// The topic, as the client named it.
    pub topic: &'a str,
    /// The partition's index.
    pub partition: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a [u8]>,
    /// Where the client is.
    pub peer: SocketAddr,
    /// Which record of the batch, from 0, is the first that does not pass; `None`: it is the batch as a whole.
    pub batch_index: Option<i32>,
    /// The schema that this record names, fit to be shown, where that can be read.
    pub schema: Option<&'a str>,
    /// Why.
    pub reason: Reason,
    /// Which record, and what is wrong with it.
    pub message: &'a str,
    /// What the topic's rule does about it.
    pub mode: Mode,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a batch about which there is something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was forwarded although it is bad: its topic is observed.
    Observed,
    /// It was refused.
    Refused,
    /// It was forwarded without a judgement: a schema is not at hand.
    Unjudged,
}

/// Writes the warnings.
pub struct RejectionLog {
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    /// What each topic may still write. Past [`MAX_TOPICS`] the topics share the entry of the empty name.
    topics: Mutex<Topics>,
    recent: RecentRejections,
}

type Topics = HashMap<Box<str>, BTreeMap<Reason, LogRate>>;

impl fmt::Debug for RejectionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectionLog").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Default for RejectionLog {
    fn default() -> Self {
        Self::new()
    }
}

impl RejectionLog {
    /// A log by the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Instant::now)
    }

    /// A log by another clock.
    pub fn with_clock(clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self {
            clock: Box::new(clock),
            topics: Mutex::default(),
            recent: RecentRejections::default(),
        }
    }

    /// The latest ones, for people who look.
    #[must_use]
    pub const fn recent(&self) -> &RecentRejections {
        &self.recent
    }

    /// Writes a warning about `batch`, unless its topic had enough of them for this reason.
    pub fn rejected(&self, batch: &RejectedBatch<'_>) {
        self.recent.add(batch, SystemTime::now());
        if let Some(suppressed) = self.take(batch.topic, batch.reason) {
            write(batch, suppressed);
        }
    }

    /// Writes how many warnings were left out and are not told yet, within the rate. To be called now and then, so that the
    /// last ones of a burst are told too.
    pub fn report_suppressed(&self) {
        let now = (self.clock)();
        self.report(|bucket| bucket.take(now));
    }

    /// The same whatever the rate: for the end, when there is no later.
    pub fn report_rest(&self) {
        self.report(|bucket| Some(std::mem::take(&mut bucket.suppressed)));
    }

    fn report(&self, mut take: impl FnMut(&mut LogRate) -> Option<u64>) {
        let mut found = Vec::new();
        {
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            for (topic, reasons) in topics.iter_mut() {
                let open = reasons.iter_mut().filter(|(_, bucket)| bucket.suppressed > 0);
                for (reason, bucket) in open {
                    found.extend(take(bucket).map(|count| (topic.clone(), *reason, count)));
                }
            }
        }
        for (topic, reason, suppressed) in found {
            let topic =
                if topic.is_empty() { "(others)".to_owned() } else { shown(topic.as_bytes()) };
            let reason = reason.label();
            tracing::warn!(topic, reason, suppressed, "more batches with bad records");
        }
    }

    fn take(&self, topic: &str, reason: Reason) -> Option<u64> {
        let now = (self.clock)();
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reasons) = topics.get_mut(topic) {
            return reasons.entry(reason).or_insert_with(|| LogRate::new(now)).take_or_count(now);
        }
        if topics.len() >= MAX_TOPICS {
            topics.retain(|_, reasons| reasons.values_mut().any(|bucket| !bucket.is_idle(now)));
        }
        // Kafka has no longer names, so what is cut off here is nobody's topic.
        let fits = topics.len() < MAX_TOPICS && topic.len() <= MAX_TOPIC_BYTES;
        let name = if fits { topic } else { SHARED };
        let reasons = topics.entry(name.into()).or_default();
        reasons.entry(reason).or_insert_with(|| LogRate::new(now)).take_or_count(now)
    }
}

fn write(batch: &RejectedBatch<'_>, suppressed: u64) {
    let client_id = batch.client_id.map(shown).unwrap_or_default();
    let (topic, partition, peer) = (shown(batch.topic.as_bytes()), batch.partition, batch.peer);
    let (batch_index, schema) = (batch.batch_index, batch.schema);
    let (reason, mode) = (batch.reason.label(), mode_label(batch.mode));
    let detail = cut(batch.message);
    let message = match batch.fate {
        Fate::Observed => "batch would be rejected",
        Fate::Refused => "batch rejected",
        Fate::Unjudged => "batch forwarded without a judgement",
    };
    tracing::warn!(
        topic, partition, batch_index, client_id, %peer, reason, mode, schema, detail, suppressed,
        "{message}"
    );
}

const fn mode_label(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Observe => "observe",
        Mode::Off => "off",
    }
}

/// The message is ours and long only by the names in it; control characters have no place in a line all the same.
fn cut(message: &str) -> String {
    let clean = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    message.chars().take(MAX_MESSAGE_CHARS).map(clean).collect()
}

/// Topics that are told apart; each has at most one entry for each reason.
const MAX_TOPICS: usize = 1_000;
/// Longest name of a topic.
const MAX_TOPIC_BYTES: usize = 249;
/// Name of the entry that all further topics share: no topic has it.
const SHARED: &str = "";
/// Longest message in a line.
const MAX_MESSAGE_CHARS: usize = 2_048;

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc, time::Duration};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::logging::{LogFormat, LogSettings, layer};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(work: impl FnOnce()) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let made = lines.clone();
        let settings = LogSettings { format: LogFormat::Json, ..LogSettings::default() };
        let subscriber =
            tracing_subscriber::registry().with(layer(&settings, move || made.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A log whose clock stands until it is moved.
    fn stopped() -> (RejectionLog, impl Fn(u64)) {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = now.clone();
        let log = RejectionLog::with_clock(move || *clock.lock().unwrap());
        (log, move |seconds| *now.lock().unwrap() += Duration::from_secs(seconds))
    }

    fn batch(topic: &str, reason: Reason) -> RejectedBatch<'_> {
        RejectedBatch {
            topic,
            partition: 3,
            client_id: Some(b"app\n1"),
            peer: "127.0.0.1:5000".parse().unwrap(),
            batch_index: Some(7),
            schema: Some("orders/v1.avsc"),
            reason,
            message: "payload_invalid: record 0: id at byte 1: unexpected end",
            mode: Mode::Enforce,
            fate: Fate::Refused,
        }
    }

    #[test]
    fn a_line_has_the_facts_as_fields() {
        let (log, _) = stopped();
        let lines = lines_of(|| log.rejected(&batch("orders", Reason::PayloadInvalid)));
        let line = &lines[0];
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "batch rejected");
        assert_eq!(line["topic"], "orders");
        assert_eq!(line["partition"], 3);
        assert_eq!(line["batch_index"], 7);
        assert_eq!(line["schema"], "orders/v1.avsc");
        assert_eq!(line["client_id"], "app\\n1");
        assert_eq!(line["peer"], "127.0.0.1:5000");
        assert_eq!(line["reason"], "payload_invalid");
        assert_eq!(line["mode"], "enforce");
        assert_eq!(line["detail"], "payload_invalid: record 0: id at byte 1: unexpected end");
        assert_eq!(line["suppressed"], 0);
    }

    #[test]
    fn a_batch_that_is_bad_as_a_whole_names_no_record_and_no_schema() {
        let (log, _) = stopped();
        let whole =
            RejectedBatch { batch_index: None, schema: None, ..batch("a", Reason::BatchCorrupt) };
        let lines = lines_of(|| log.rejected(&whole));
        assert_eq!((lines[0].get("batch_index"), lines[0].get("schema")), (None, None));
    }

    #[test]
    fn text_from_the_wire_is_cut_and_escaped() {
        let (log, _) = stopped();
        let long = "x".repeat(10_000);
        let mut hostile = batch(&long, Reason::PayloadInvalid);
        let client_id = [&[0x1b, b'[', b'"', b'\n', 0xff], long.as_bytes()].concat();
        hostile.client_id = Some(&client_id);
        let lines = lines_of(|| log.rejected(&hostile));
        let text = |field: &str| lines[0][field].as_str().unwrap().to_owned();
        assert_eq!(text("topic"), format!("{}{}", "x".repeat(256), '\u{2026}'));
        let expected = format!(r#"\u{{1b}}[\"\n\xff{}{}"#, "x".repeat(251), '\u{2026}');
        assert_eq!(text("client_id"), expected);
    }

    #[test]
    fn what_became_of_a_batch_is_told_apart() {
        let (log, _) = stopped();
        let batch = batch("a", Reason::BatchCorrupt);
        let observed = RejectedBatch { mode: Mode::Observe, fate: Fate::Observed, ..batch };
        let unjudged = RejectedBatch { fate: Fate::Unjudged, ..batch };
        let lines = lines_of(|| [observed, unjudged].iter().for_each(|batch| log.rejected(batch)));
        assert_eq!(lines[0]["message"], "batch would be rejected");
        assert_eq!(lines[0]["mode"], "observe");
        assert_eq!(lines[1]["message"], "batch forwarded without a judgement");
    }

    #[test]
    fn a_topic_writes_five_lines_and_then_one_in_ten_seconds() {
        let (log, pass) = stopped();
        let orders = batch("orders", Reason::PayloadInvalid);
        let many = |count: usize| lines_of(|| (0..count).for_each(|_| log.rejected(&orders)));
        assert_eq!(many(100).len(), 5);
        pass(9);
        assert_eq!(many(1).len(), 0);
        pass(1);
        let lines = many(10);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["suppressed"], 96);
        pass(25);
        let lines = many(3);
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["suppressed"], &lines[1]["suppressed"]), (&9.into(), &0.into()));
    }

    #[test]
    fn topics_and_reasons_have_their_own_count() {
        let (log, _) = stopped();
        let lines = lines_of(|| {
            for _ in 0..10 {
                log.rejected(&batch("a", Reason::PayloadInvalid));
                log.rejected(&batch("b", Reason::PayloadInvalid));
                log.rejected(&batch("a", Reason::SchemaNotFound));
            }
        });
        assert_eq!(lines.len(), 15);
    }

    #[test]
    fn what_was_left_out_is_told_in_the_end() {
        let (log, pass) = stopped();
        lines_of(|| (0..8).for_each(|_| log.rejected(&batch("a", Reason::PayloadInvalid))));
        assert_eq!(lines_of(|| log.report_suppressed()).len(), 0);
        pass(10);
        let lines = lines_of(|| log.report_suppressed());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["suppressed"], 3);
        assert_eq!(lines_of(|| log.report_suppressed()).len(), 0);
        lines_of(|| (0..8).for_each(|_| log.rejected(&batch("a", Reason::PayloadInvalid))));
        assert_eq!(lines_of(|| log.report_suppressed()).len(), 0);
        let lines = lines_of(|| log.report_rest());
        assert_eq!((lines.len(), &lines[0]["suppressed"]), (1, &8.into()));
        assert_eq!(lines_of(|| log.report_rest()).len(), 0);
    }

    #[test]
    fn made_up_topics_fill_neither_memory_nor_log() {
        let (log, pass) = stopped();
        let lines = lines_of(|| {
            for topic in 0..3 * MAX_TOPICS {
                for _ in 0..6 {
                    log.rejected(&batch(&format!("t{topic}"), Reason::PayloadInvalid));
                }
            }
        });
        assert_eq!(lines.len(), 5 * (MAX_TOPICS + 1));
        assert_eq!(log.topics.lock().unwrap().len(), MAX_TOPICS + 1);
        pass(3_600);
        lines_of(|| log.report_suppressed());
        pass(3_600);
        lines_of(|| log.rejected(&batch("new", Reason::PayloadInvalid)));
        assert_eq!(log.topics.lock().unwrap().len(), 1);
    }

    #[test]
    fn names_longer_than_a_topic_share_one_entry() {
        let (log, _) = stopped();
        let long = "x".repeat(30_000);
        lines_of(|| {
            log.rejected(&batch(&long, Reason::PayloadInvalid));
            log.rejected(&batch(&long[1..], Reason::PayloadInvalid));
        });
        let topics = log.topics.lock().unwrap();
        assert_eq!(topics.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), [""]);
    }
}
