//! Promise: the comparison with other proxies runs by one command and measures what it says.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::{java, once, process, require};

const TARGETS: [&str; 3] = ["direct", "haproxy", "schemaward-enforce"];
const WORKLOADS: [&str; 3] = ["avro-200-lz4", "avro-200-at-1000", "avro-200-read"];

#[test]
#[ignore = "long: scripts/full runs it"]
fn the_comparison_measures_every_target_and_what_it_took() {
    let found = require::haproxy().and_then(|()| require::python());
    let required = require::or_skip_unless(&["SCHEMAWARD_REQUIRE_HAPROXY"], &found);
    let (Some(()), Some(jars)) = (required, java::kafka_jars(java::CURRENT)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let mut run = Command::new(once::package().join("benches/side_by_side/run"));
    run.args(["--rounds", "1", "--seconds", "1", "--warm-up", "0", "--idle", "20"]);
    run.arg("--targets").args(TARGETS).arg("--workloads").args(WORKLOADS);
    run.args(["--binary", env!("CARGO_BIN_EXE_schemaward")]).arg("--kafka-lib").arg(jars);
    run.arg("--json").arg(&json);
    // It builds the load generator, which is up to date where all targets have been built.
    let finished = process::run(&mut run, "", Duration::from_secs(1_200));
    finished.ok().expect("it runs to its end");
    let figures: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();

    for trial in figures["trials"].as_array().unwrap() {
        assert_eq!(trial["refuses"], trial["target"] == "schemaward-enforce", "{trial}");
    }
    let rows = figures["measurements"].as_array().unwrap();
    assert_eq!(rows.len(), TARGETS.len() * WORKLOADS.len());
    for row in rows {
        check_row(row);
    }
    for target in &TARGETS[1..] {
        let its = &figures["processes"][target];
        for key in ["ready_seconds", "resident_at_rest", "resident_idle", "resident_busy"] {
            assert!(number(&its[key], "0") > 0.0, "{target}, {key}: {its}");
        }
    }
}

fn check_row(row: &Value) {
    let of = |key: &str| number(row, key);
    assert!(of("records") > 0.0 && of("records_per_second") > 0.0, "{row}");
    assert!(of("bytes") > 190.0 * of("records") && of("bytes") <= 200.0 * of("records"), "{row}");
    assert!(of("cpu_of_broker") > 0.0 && of("cpu_of_generator") > 0.0, "{row}");
    let has_process = row["target"] != "direct";
    for key in ["cpu_per_million_records", "cpu_per_gigabyte", "resident_bytes"] {
        assert_eq!(of(key) > 0.0, has_process, "{key}: {row}");
    }
    if row["workload"] != "avro-200-read" {
        let times = ["p50_ms", "p99_ms", "p999_ms"].map(of);
        assert!(times[0] > 0.0 && times.is_sorted(), "{row}");
    }
    if row["workload"] == "avro-200-at-1000" {
        assert_eq!(of("records"), 1_000.0, "{row}");
    }
}

fn number(value: &Value, key: &str) -> f64 {
    let found = key.parse::<usize>().map_or_else(|_| &value[key], |index| &value[index]);
    found.as_f64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}
