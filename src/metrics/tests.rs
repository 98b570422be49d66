//! What a scrape shows, read by a small strict parser of the text format.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::reason::Reason;

/// Families by name: type, and series (name and labels) with their values.
#[derive(Default)]
struct Scrape {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads the text, strictly: HELP and TYPE before the samples of a family, families in one piece, each series once.
    fn of(text: &str) -> Self {
        let mut scrape = Self::default();
        let mut helped = BTreeSet::new();
        let mut current = String::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                current = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, current, "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(scrape.types.insert(name.into(), kind.into()).is_none(), "{line}");
            } else {
                scrape.sample(line, &current);
            }
        }
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let suffixes: &[&str] = match self.types[family].as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line}");
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        assert!(name.chars().all(legal), "{line}");
        if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            assert!(labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
            for pair in labels[1..labels.len() - 1].split(',') {
                let (label, value) = pair.split_once("=\"").unwrap();
                assert!(label.chars().all(legal), "{line}");
                assert!(!value.strip_suffix('"').unwrap().contains(['"', '\\']), "{line}");
            }
        }
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(self.series.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }

    fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("{series} is not there"))
    }

    fn starting_with(&self, start: &str) -> usize {
        self.series.keys().filter(|series| series.starts_with(start)).count()
    }
}

fn scrape(metrics: &Metrics) -> Scrape {
    Scrape::of(&metrics.encode())
}

#[test]
fn every_family_is_there_from_the_start() {
    let scrape = scrape(&Metrics::new(10));
    let own: Vec<_> =
        scrape.types.iter().filter(|(name, _)| name.starts_with("schemaward_")).collect();
    let expected = [
        ("batches_total", "counter"),
        ("build_info", "gauge"),
        ("bytes_total", "counter"),
        ("certificate_rotations_total", "counter"),
        ("clients_turned_away_total", "counter"),
        ("config_reloads_total", "counter"),
        ("connections", "gauge"),
        ("connections_closed_total", "counter"),
        ("connections_max", "gauge"),
        ("connections_total", "counter"),
        ("memory_budget_bytes", "gauge"),
        ("memory_budget_evictions_total", "counter"),
        ("memory_budget_used_bytes", "gauge"),
        ("memory_budget_waits_total", "counter"),
        ("nodes_outside_map", "gauge"),
        ("produce_broker_seconds", "histogram"),
        ("produce_own_seconds", "histogram"),
        ("quarantine_queue_bytes", "gauge"),
        ("quarantined_records_total", "counter"),
        ("records_total", "counter"),
        ("registry_circuits_open", "gauge"),
        ("registry_request_seconds", "histogram"),
        ("registry_requests_avoided_total", "counter"),
        ("registry_requests_total", "counter"),
        ("registry_retries_total", "counter"),
        ("schema_cache_entries", "gauge"),
        ("schema_cache_hits_total", "counter"),
        ("schema_cache_misses_total", "counter"),
        ("sequence_gaps_open", "gauge"),
        ("upstream_errors_total", "counter"),
        ("validation_seconds", "histogram"),
    ];
    let own: Vec<_> =
        own.iter().map(|(name, kind)| (&name["schemaward_".len()..], kind.as_str())).collect();
    assert_eq!(own, expected);
    assert!(
        cfg!(not(target_os = "linux"))
            || scrape.types.contains_key("process_resident_memory_bytes")
    );
    let version = format!("schemaward_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.value(&version), 1.0);
}

#[test]
fn closed_labels_exist_from_the_start_at_zero() {
    let metrics = Metrics::new(10);
    let _ = metrics.topic("orders");
    let scrape = scrape(&metrics);
    for outcome in REGISTRY_OUTCOMES {
        assert_eq!(
            scrape.value(&format!("schemaward_registry_requests_total{{outcome=\"{outcome}\"}}")),
            0.0
        );
    }
    for kind in ["closed", "connect", "connect_timeout", "io", "login", "protocol", "tls"] {
        assert_eq!(
            scrape.value(&format!("schemaward_upstream_errors_total{{kind=\"{kind}\"}}")),
            0.0
        );
    }
    for cause in ["handshake_timeout", "tls"] {
        let series = format!("schemaward_clients_turned_away_total{{cause=\"{cause}\"}}");
        assert_eq!(scrape.value(&series), 0.0);
    }
    for topic in ["orders", "other"] {
        for reason in Reason::ALL.map(Reason::label) {
            for verdict in ["rejected", "observed"] {
                let series = format!(
                    "schemaward_records_total{{reason=\"{reason}\",topic=\"{topic}\",verdict=\"{verdict}\"}}"
                );
                assert_eq!(scrape.value(&series), 0.0);
            }
        }
        for verdict in ["forwarded", "refused", "observed", "off"] {
            let series =
                format!("schemaward_batches_total{{topic=\"{topic}\",verdict=\"{verdict}\"}}");
            assert_eq!(scrape.value(&series), 0.0);
        }
    }
    assert_eq!(scrape.starting_with("schemaward_records_total"), 2 * (2 * Reason::ALL.len() + 3));
}

#[test]
fn what_is_counted_is_shown() {
    let metrics = Metrics::new(10);
    let topic = metrics.topic("orders");
    topic.records(RecordVerdict::Accepted, None, 3);
    topic.records(RecordVerdict::Rejected, Some(Reason::PayloadInvalid), 2);
    topic.records(RecordVerdict::Unjudged, Some(Reason::BatchCorrupt), 1);
    metrics.topic("orders").batch(BatchVerdict::Refused);
    metrics.connection_opened();
    metrics.connection_opened();
    metrics.connection_closed(ConnectionEnd::Closed);
    metrics.bytes(Direction::ClientToBroker, 100);
    metrics.request("produce");
    metrics.upstream_error(UpstreamErrorKind::ConnectTimeout);
    metrics.config_reload(ReloadOutcome::Failed);
    metrics.certificate_rotation(ReloadOutcome::Applied);
    metrics.max_connections(500);
    metrics.validation(Duration::from_millis(3));
    metrics.registry_request("not_found");
    metrics.registry_request_seconds(0.02);
    metrics.cache_hit();
    metrics.cache_entries(7);
    let table = [
        ("records_total{reason=\"none\",topic=\"orders\",verdict=\"accepted\"}", 3.0),
        ("records_total{reason=\"payload_invalid\",topic=\"orders\",verdict=\"rejected\"}", 2.0),
        ("records_total{reason=\"batch_corrupt\",topic=\"orders\",verdict=\"unjudged\"}", 1.0),
        ("batches_total{topic=\"orders\",verdict=\"refused\"}", 1.0),
        ("connections", 1.0),
        ("connections_total", 2.0),
        ("bytes_total{direction=\"client_to_broker\"}", 100.0),
        ("bytes_total{direction=\"broker_to_client\"}", 0.0),
        ("requests_total{api=\"produce\"}", 1.0),
        ("upstream_errors_total{kind=\"connect_timeout\"}", 1.0),
        ("config_reloads_total{outcome=\"failed\"}", 1.0),
        ("certificate_rotations_total{outcome=\"applied\"}", 1.0),
        ("certificate_rotations_total{outcome=\"failed\"}", 0.0),
        ("connections_max", 500.0),
        ("validation_seconds_bucket{le=\"0.01\"}", 1.0),
        ("validation_seconds_bucket{le=\"0.002\"}", 0.0),
        ("validation_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("registry_requests_total{outcome=\"not_found\"}", 1.0),
        ("registry_request_seconds_count", 1.0),
        ("schema_cache_hits_total", 1.0),
        ("schema_cache_entries", 7.0),
    ];
    let scrape = scrape(&metrics);
    for (series, expected) in table {
        assert_eq!(scrape.value(&format!("schemaward_{series}")), expected, "{series}");
    }
    assert_eq!(metrics.connections(), 1);
}

#[test]
fn levels_are_read_when_somebody_scrapes() {
    let metrics = Metrics::new(0);
    assert_eq!(scrape(&metrics).value("schemaward_memory_budget_bytes"), 0.0);
    let waits = Arc::new(AtomicU64::new(1));
    let read = Arc::clone(&waits);
    metrics.read_levels_with(move || Levels {
        memory_budget_bytes: 64,
        memory_budget_used_bytes: u64::MAX,
        memory_budget_waits: read.load(Ordering::SeqCst),
        memory_budget_evictions: 4,
        nodes_outside_map: 2,
        quarantine_queue_bytes: 4_096,
        sequence_gaps_open: 3,
    });
    metrics.read_levels_with(Levels::default);
    for total in [1, 1, 5_u32] {
        waits.store(u64::from(total), Ordering::SeqCst);
        let scrape = scrape(&metrics);
        for (series, expected) in [
            ("memory_budget_bytes", 64.0),
            ("memory_budget_used_bytes", i64::MAX as f64),
            ("memory_budget_waits_total", f64::from(total)),
            ("memory_budget_evictions_total", 4.0),
            ("nodes_outside_map", 2.0),
            ("quarantine_queue_bytes", 4_096.0),
            ("sequence_gaps_open", 3.0),
        ] {
            assert_eq!(scrape.value(&format!("schemaward_{series}")), expected, "{series}");
        }
    }
}

#[test]
fn topics_past_the_bound_are_counted_together() {
    let metrics = Metrics::new(2);
    for name in ["a", "b", "c", "d", "a"] {
        metrics.topic(name).batch(BatchVerdict::Forwarded);
    }
    let scrape = scrape(&metrics);
    let value = |topic| {
        scrape
            .value(&format!("schemaward_batches_total{{topic=\"{topic}\",verdict=\"forwarded\"}}"))
    };
    assert_eq!((value("a"), value("b"), value("other")), (2.0, 1.0, 2.0));
    assert_eq!(scrape.starting_with("schemaward_batches_total{topic=\"c\""), 0);
}

#[test]
fn the_bound_may_be_moved_and_who_has_a_label_keeps_it() {
    let metrics = Metrics::new(1);
    assert_eq!(metrics.topic("a").name(), "a");
    assert_eq!(metrics.topic("b").name(), "other");
    metrics.allow_topics(700);
    for number in 0..699 {
        let name = format!("topic-{number:03}");
        assert_eq!(metrics.topic(&name).name(), name);
    }
    metrics.allow_topics(0);
    assert_eq!(metrics.topic("topic-698").name(), "topic-698");
    assert_eq!(metrics.topic("c").name(), "other");
    let scrape = scrape(&metrics);
    assert_eq!(scrape.starting_with("schemaward_batches_total{"), 701 * 4);
}

#[test]
fn names_that_no_topic_can_have_take_no_label() {
    let metrics = Metrics::new(2);
    let long = "x".repeat(250);
    for name in ["", "a\"b", "a\nb", "t\u{f6}pic", &long, "other"] {
        assert_eq!(metrics.topic(name).name(), "other");
    }
    assert_eq!(metrics.topic(&long[1..]).name().len(), 249);
    scrape(&metrics);
}

#[test]
fn histograms_have_at_most_ten_buckets() {
    let scrape = scrape(&Metrics::new(0));
    let histograms = scrape.types.iter().filter(|(_, kind)| *kind == "histogram");
    let names: Vec<_> = histograms.map(|(name, _)| name).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        let buckets = scrape.starting_with(&format!("{name}_bucket"));
        assert!((2..=10).contains(&buckets), "{name} has {buckets}");
    }
}

/// Counts in every way that traffic does, a new topic among them.
fn count_everything(metrics: &Metrics, round: usize) {
    let topic = metrics.topic(&format!("new-{round}"));
    topic.records(RecordVerdict::Rejected, Some(Reason::PayloadInvalid), 1);
    topic.batch(BatchVerdict::Refused);
    metrics.request("Produce");
    metrics.bytes(Direction::ClientToBroker, 1);
    metrics.validation(Duration::from_micros(1));
    metrics.produce_own(Duration::from_micros(1));
    metrics.produce_broker(Duration::from_micros(1));
    metrics.connection_opened();
    metrics.connection_closed(ConnectionEnd::Closed);
    metrics.upstream_error(UpstreamErrorKind::Io);
    metrics.cache_hit();
    metrics.cache_miss();
    metrics.registry_request("found");
    metrics.registry_request_seconds(0.1);
}

/// Stands in the middle of a scrape, time and again, and goes on only when another thread has counted everything.
struct Standstill {
    metrics: Arc<Metrics>,
    stops: Arc<std::sync::atomic::AtomicUsize>,
}

impl Standstill {
    fn here(&self) {
        let stop = self.stops.fetch_add(1, Ordering::SeqCst);
        let metrics = Arc::clone(&self.metrics);
        let counted = std::thread::spawn(move || count_everything(&metrics, stop));
        let patience = std::time::Instant::now() + Duration::from_secs(60);
        while !counted.is_finished() {
            assert!(std::time::Instant::now() < patience, "who counts waits for the scrape");
            std::thread::yield_now();
        }
        counted.join().unwrap();
    }
}

impl fmt::Write for Standstill {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.stops.load(Ordering::SeqCst) < 100 && text.contains("schemaward_") {
            self.here();
        }
        Ok(())
    }
}

impl Collector for Standstill {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.here();
        Vec::new()
    }
}

#[test]
fn a_scrape_that_stands_still_delays_nobody_who_counts() {
    let metrics = Metrics::new(1_000);
    metrics.expect_requests(&["Produce"]);
    count_everything(&metrics, 1_000);
    let stops = Arc::default();
    let standstill = || Standstill { metrics: Arc::clone(&metrics), stops: Arc::clone(&stops) };
    let levels = standstill();
    metrics.read_levels_with(move || {
        levels.here();
        Levels::default()
    });
    metrics.registry.register(Box::new(standstill())).unwrap();
    metrics.write(&mut standstill()).unwrap();
    let counted = stops.load(Ordering::SeqCst);
    assert!(counted >= 100, "{counted}: in levels, families and topics");
    let series = "schemaward_requests_total{api=\"Produce\"}";
    assert!(scrape(&metrics).value(series) > counted as f64);
}

#[test]
fn the_time_of_a_produce_request_is_told_in_two_parts() {
    let metrics = Metrics::new(0);
    metrics.produce_own(Duration::from_micros(80));
    metrics.produce_broker(Duration::from_millis(4));
    let scrape = scrape(&metrics);
    for (series, expected) in [
        ("own_seconds_bucket{le=\"0.00005\"}", 0.0),
        ("own_seconds_bucket{le=\"0.0001\"}", 1.0),
        ("own_seconds_sum", 8e-5),
        ("broker_seconds_bucket{le=\"0.0025\"}", 0.0),
        ("broker_seconds_bucket{le=\"0.005\"}", 1.0),
        ("broker_seconds_count", 1.0),
    ] {
        assert_eq!(scrape.value(&format!("schemaward_produce_{series}")), expected, "{series}");
    }
}

#[test]
fn nothing_is_lost_when_many_threads_count_and_scrape() {
    let metrics = Metrics::new(50);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let metrics = &metrics;
            scope.spawn(move || {
                for round in 0..100 {
                    let topic = metrics.topic(&format!("t{}", (round + thread) % 100));
                    topic.records(RecordVerdict::Accepted, None, 2);
                }
            });
        }
        for _ in 0..5 {
            scrape(&metrics);
        }
    });
    let scrape = scrape(&metrics);
    let accepted =
        scrape.series.iter().filter(|(series, _)| series.contains("verdict=\"accepted\""));
    assert_eq!(accepted.map(|(_, value)| value).sum::<f64>(), 800.0);
}
