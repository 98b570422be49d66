//! Promise: what `deploy/monitoring` asks Prometheus for is there: every rule and every panel names metrics, labels and values
//! that a scrape has; every alert has a test that fires, one that is quiet, and a section in the runbook.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "monitoring/promql.rs"]
mod promql;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use schemaward::{
    metrics::{BatchVerdict, Metrics, RecordVerdict},
    reason::Reason,
    wire::api,
};
use serde::Deserialize;
use support::{require, scrape::Scrape};

/// What Prometheus and Kubernetes add to every series.
const TARGET_LABELS: [&str; 4] = ["instance", "job", "namespace", "pod"];
const SEVERITIES: [&str; 3] = ["critical", "info", "warning"];
/// What each alert's section in the runbook says.
const RUNBOOK_PARTS: [&str; 3] = ["**Means:** ", "**Look:** ", "**Do:** "];

#[derive(Debug, Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(default)]
    record: String,
    #[serde(default)]
    alert: String,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The labels of a metric, each with the values that it can have; none where these are open.
type Labels = BTreeMap<String, BTreeSet<String>>;

fn text(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(&text("deploy/monitoring/rules.yaml")).unwrap();
    assert!(rules.groups.iter().all(|group| group.name.starts_with("schemaward.")));
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Every metric that a process of ours shows, by the names that queries use.
fn metrics() -> BTreeMap<String, Labels> {
    let metrics = Metrics::new(10);
    metrics.expect_requests(api::LABELS);
    let topic = metrics.topic("orders");
    topic.batch(BatchVerdict::Forwarded);
    topic.records(RecordVerdict::Unjudged, Some(Reason::RegistryUnavailable), 1);
    let mut all: BTreeMap<String, Labels> = BTreeMap::new();
    for series in Scrape::of(&metrics.encode()).series.keys() {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let known = all.entry(name.to_owned()).or_default();
        for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once("=\"").unwrap();
            known.entry(label.into()).or_default().insert(value.trim_end_matches('"').into());
        }
    }
    for labels in all.values_mut() {
        for open in ["topic", "version", "le"] {
            labels.entry(open.into()).and_modify(BTreeSet::clear);
        }
    }
    all
}

/// The same with what the rules record.
fn metrics_and_records() -> BTreeMap<String, Labels> {
    let mut all = metrics();
    for rule in rules().into_iter().filter(|rule| !rule.record.is_empty()) {
        let query = promql::read(&rule.expr);
        let labels = query.grouped_by.into_iter().map(|label| {
            let values = query.selectors.iter().filter_map(|one| all.get(&one.metric)?.get(&label));
            let values = values.flatten().cloned().collect();
            (label, values)
        });
        let labels = labels.collect();
        assert!(all.insert(rule.record.clone(), labels).is_none(), "twice: {}", rule.record);
    }
    all
}

/// What is wrong with a query.
fn faults(query: &str, known: &BTreeMap<String, Labels>) -> Vec<String> {
    let read = promql::read(query);
    let mut faults = Vec::new();
    let mut has = BTreeSet::from(TARGET_LABELS.map(str::to_owned));
    if read.selectors.is_empty() {
        faults.push(format!("no metric in {query}"));
    }
    for selector in &read.selectors {
        let Some(labels) = known.get(&selector.metric) else {
            faults.push(format!("no metric {}", selector.metric));
            continue;
        };
        has.extend(labels.keys().cloned());
        for (label, values) in &selector.matchers {
            let Some(possible) = labels.get(label) else {
                if !TARGET_LABELS.contains(&label.as_str()) {
                    faults.push(format!("{} has no label {label}", selector.metric));
                }
                continue;
            };
            let is_open = possible.is_empty() || values.contains('$');
            for value in values.split('|').filter(|value| !is_open && !possible.contains(*value)) {
                faults.push(format!("{}: {label} is never {value}", selector.metric));
            }
        }
    }
    let grouped = read.grouped_by.iter().filter(|label| !has.contains(*label));
    faults.extend(grouped.map(|label| format!("grouped by {label}, which nothing has")));
    faults
}

#[test]
fn a_query_for_what_does_not_exist_is_found() {
    let known = metrics_and_records();
    for (query, fault) in [
        ("rate(schemaward_recods_total[5m])", "no metric schemaward_recods_total"),
        ("sum(schemaward_connections{topic=\"a\"})", "schemaward_connections has no label topic"),
        (
            "sum by (verdict) (rate(schemaward_records_total{verdict=\"refused\"}[5m]))",
            "schemaward_records_total: verdict is never refused",
        ),
        (
            "schemaward_records_total{reason=~\"payload_invalid|to_long\"}",
            "schemaward_records_total: reason is never to_long",
        ),
        ("sum by (subject) (schemaward_connections)", "grouped by subject, which nothing has"),
        ("vector(1)", "no metric in vector(1)"),
        ("job:schemaward_nothing:rate5m > 0", "no metric job:schemaward_nothing:rate5m"),
    ] {
        assert_eq!(faults(query, &known), [fault], "{query}");
    }
    let fine = "schemaward_connections{namespace=\"a\",job=~\"$job\"} / schemaward_connections_max";
    assert!(faults(fine, &known).is_empty());
}

#[test]
fn every_rule_asks_for_metrics_labels_and_values_that_exist() {
    let known = metrics_and_records();
    let rules = rules();
    assert!(rules.len() > 20, "{}", rules.len());
    for rule in rules {
        let found = faults(&rule.expr, &known);
        assert!(found.is_empty(), "{}{}: {found:?}", rule.record, rule.alert);
        for text in rule.annotations.values() {
            for label in text.split("$labels.").skip(1) {
                let end = label.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(label.len());
                let query = promql::read(&rule.expr);
                let target = TARGET_LABELS.contains(&&label[..end]);
                let grouped = query.grouped_by.contains(&label[..end]);
                let own = query.selectors.iter().any(|one| {
                    known.get(&one.metric).is_some_and(|labels| labels.contains_key(&label[..end]))
                });
                assert!(target || grouped || own, "{}: {text}", rule.alert);
            }
        }
    }
}

#[test]
fn every_alert_has_a_severity_a_summary_and_a_section_in_the_runbook() {
    let runbook = text("docs/runbooks.md");
    let mut expected = BTreeSet::new();
    for rule in rules().into_iter().filter(|rule| !rule.alert.is_empty()) {
        let Rule { alert, labels, annotations, .. } = &rule;
        assert!(SEVERITIES.contains(&labels["severity"].as_str()), "{alert}: {labels:?}");
        for key in ["summary", "description"] {
            assert!(annotations[key].ends_with('.'), "{alert}: {key}");
        }
        let place = format!("docs/runbooks.md#{}", alert.to_lowercase());
        assert_eq!(annotations["runbook_url"], place);
        let (_, section) = runbook
            .split_once(&format!("\n## {alert}\n"))
            .unwrap_or_else(|| panic!("docs/runbooks.md has no section {alert}"));
        let section = section.split("\n## ").next().unwrap();
        for part in RUNBOOK_PARTS {
            assert!(section.contains(part), "docs/runbooks.md: {alert}: {part}");
        }
        assert!(expected.insert(alert.clone()), "twice: {alert}");
    }
    let written: BTreeSet<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## Schemaward"))
        .map(|rest| format!("Schemaward{rest}"))
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn every_query_of_the_runbook_asks_for_what_exists() {
    let known = metrics_and_records();
    let runbook = text("docs/runbooks.md");
    let queries: Vec<_> = runbook.split("```promql\n").skip(1).collect();
    assert!(queries.len() > 5);
    for block in queries {
        for query in block.split("```").next().unwrap().lines() {
            assert_eq!(faults(query, &known), Vec::<String>::new(), "{query}");
        }
    }
}

#[derive(Debug, Deserialize)]
struct UnitTests {
    tests: Vec<UnitTest>,
}

#[derive(Debug, Deserialize)]
struct UnitTest {
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<QueryTest>,
}

#[derive(Debug, Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct QueryTest {
    expr: String,
}

#[test]
fn every_alert_has_a_test_that_fires_and_one_that_is_quiet_and_every_record_has_one() {
    let tests: UnitTests =
        serde_saphyr::from_str(&text("deploy/monitoring/rules.test.yaml")).unwrap();
    let alerts: Vec<_> = tests.tests.iter().flat_map(|test| &test.alert_rule_test).collect();
    let queries: Vec<_> = tests.tests.iter().flat_map(|test| &test.promql_expr_test).collect();
    for rule in rules() {
        if rule.alert.is_empty() {
            let found = queries.iter().any(|query| query.expr.starts_with(&rule.record));
            assert!(found, "{} has no test", rule.record);
            continue;
        }
        for quiet in [false, true] {
            let found = alerts
                .iter()
                .any(|test| test.alertname == rule.alert && test.exp_alerts.is_empty() == quiet);
            assert!(found, "{} has no test for quiet = {quiet}", rule.alert);
        }
    }
}

#[test]
fn the_prometheus_rule_has_the_same_groups() {
    let rules = text("deploy/monitoring/rules.yaml");
    let (_, groups) = rules.split_once("\ngroups:\n").unwrap();
    let indented = groups.lines().map(|line| match line {
        "" => String::new(),
        line => format!("  {line}"),
    });
    let expected = indented.collect::<Vec<_>>().join("\n") + "\n";
    let manifest = text("deploy/monitoring/prometheusrule.yaml");
    let (head, found) = manifest.split_once("\n  groups:\n").unwrap();
    assert!(head.contains("kind: PrometheusRule") && head.ends_with("\nspec:"), "{head}");
    if found != expected && std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/monitoring/prometheusrule.yaml");
        return fs::write(path, format!("{head}\n  groups:\n{expected}")).unwrap();
    }
    assert_eq!(found, expected, "BLESS=1 cargo test --features demo --test monitoring");
}

fn dashboard() -> serde_json::Value {
    serde_json::from_str(&text("deploy/monitoring/dashboard.json")).unwrap()
}

#[test]
fn every_panel_asks_for_metrics_labels_and_values_that_exist() {
    let known = metrics();
    let dashboard = dashboard();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let found = faults(target["expr"].as_str().unwrap(), &known);
            assert!(found.is_empty(), "{}: {found:?}", panel["title"]);
            queries += 1;
        }
    }
    assert!(queries > 30, "{queries}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["definition"].as_str() else { continue };
        let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (selector, label) = inner.rsplit_once(", ").unwrap();
        let query = format!("sum by ({label}) ({selector})");
        assert!(faults(&query, &known).is_empty(), "{query}");
    }
}

#[test]
fn the_dashboard_needs_no_plug_in_and_has_its_rows_and_variables() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<_> =
        panels.iter().filter(|panel| panel["type"] == "row").map(|panel| &panel["title"]).collect();
    let expected =
        ["Traffic", "Rejections", "Latency: own and broker", "Registry and cache", "Resources"];
    assert_eq!(rows, expected);
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(["row", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{panel}");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["datasource", "namespace", "job", "instance", "topic"]);
}

#[test]
fn the_dashboard_is_what_its_script_writes() {
    if require::or_skip(&require::python()).is_none() {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/dashboard");
    let checked = Command::new("python3").args([script, "--check"]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
