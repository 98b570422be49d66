//! A client in another language that keeps to one manner of speaking: tasks as arguments, cases on its standard input, one
//! JSON object a line on its standard output, and as the last one every address that it has dialled.
//!
//! It is bound to a sidecar or to brokers; whoever dials anything else has learned an address that it must not know, and
//! the test fails.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::case::{self, Case, Consumed, Outcome};
use super::kafka::Kafka;
use super::process;
use super::sidecar::Sidecar;

/// How to start it.
#[derive(Debug, Clone)]
pub struct Foreign {
    command: Vec<String>,
}

impl Foreign {
    /// A program and its first arguments.
    pub fn new(command: &[&str]) -> Self {
        Self { command: command.iter().map(ToString::to_string).collect() }
    }

    /// Knows the bootstrap listener of `sidecar`, and may dial nothing but the ports that stand for `nodes`.
    pub fn behind(&self, sidecar: &Sidecar, nodes: &[i32]) -> Bound {
        let ports = nodes.iter().map(|node| sidecar.proxy.node(u16::try_from(*node).unwrap()));
        let may_dial = ports.chain([sidecar.bootstrap()]).collect();
        Bound { command: self.command.clone(), bootstrap: sidecar.bootstrap(), may_dial }
    }

    /// Knows the brokers themselves.
    pub fn beside(&self, kafka: &Kafka) -> Bound {
        let may_dial = kafka.addresses().iter().map(ToString::to_string).collect();
        Bound { command: self.command.clone(), bootstrap: kafka.bootstrap(), may_dial }
    }
}

/// A client that knows where to start.
#[derive(Debug, Clone)]
pub struct Bound {
    command: Vec<String>,
    bootstrap: String,
    may_dial: BTreeSet<String>,
}

/// What a producer has seen.
#[derive(Debug)]
pub struct Produced {
    /// Of every record, in the order of the cases.
    pub outcomes: Vec<Outcome>,
    /// How each transaction ended.
    pub transactions: Vec<String>,
    pub dialled: BTreeSet<String>,
}

/// One phase of a rebalance.
#[derive(Debug, Deserialize)]
pub struct Phase {
    pub phase: String,
    /// By member.
    pub owned: BTreeMap<String, BTreeSet<i32>>,
    pub read: Vec<ReadBy>,
}

/// Who read a record.
#[derive(Debug, Deserialize)]
pub struct ReadBy {
    pub member: String,
    pub partition: i32,
    pub offset: i64,
}

impl Bound {
    /// Sends the cases of each group, and waits for what becomes of them before the next group.
    pub fn produce(&self, settings: &[&str], groups: &[&[Case]]) -> Produced {
        let flush = "{\"flush\": true}\n";
        let stdin: String =
            groups.iter().map(|group| format!("{}{flush}", case::to_lines(group))).collect();
        let (lines, dialled) = self.run("produce", settings, &stdin);
        let (ends, outcomes): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line.get("transaction").is_some());
        let outcomes: Vec<_> = outcomes.into_iter().map(Outcome::from_json).collect();
        assert_eq!(outcomes.len(), groups.iter().map(|group| group.len()).sum::<usize>());
        let transactions = ends.iter().map(|line| text(&line["transaction"])).collect();
        Produced { outcomes, transactions, dialled }
    }

    /// Reads `count` records of `topic` as a member of `group`; fewer if no more come for a while.
    pub fn consume(
        &self,
        settings: &[&str],
        topic: &str,
        group: &str,
        count: usize,
    ) -> Vec<Consumed> {
        let count = count.to_string();
        let args = [&[topic, group, &count], settings].concat();
        self.run("consume", &args, "").0.iter().map(Consumed::from_json).collect()
    }

    /// Lets a second member join `group` and leave it again; in each phase it sends `cases`, one for each partition of
    /// `topic`, and reads them.
    pub fn rebalance(
        &self,
        settings: &[&str],
        topic: &str,
        group: &str,
        cases: &[Case],
    ) -> Vec<Phase> {
        let args = [&[topic, group], settings].concat();
        let (lines, _) = self.run("rebalance", &args, &case::to_lines(cases));
        let phase = |line: Value| serde_json::from_value(line).expect("a phase");
        lines.into_iter().map(phase).collect()
    }

    /// Creates `topic`-new, asks for everything that an administrator asks for, and deletes `topic`: the answers by the
    /// name of the question.
    pub fn admin_tour(&self, topic: &str, group: &str) -> BTreeMap<String, Value> {
        let (lines, _) = self.run("admin", &[topic, group], "");
        lines.into_iter().map(|line| (text(&line["step"]), line)).collect()
    }

    fn run(&self, task: &str, args: &[&str], stdin: &str) -> (Vec<Value>, BTreeSet<String>) {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args([task, &self.bootstrap]).args(args);
        let mut lines = process::run(&mut command, stdin, DEADLINE).json_lines();
        let dialled = lines.pop().expect("the addresses that were dialled");
        let dialled = dialled["dialled"].as_array().expect("addresses").iter().map(text);
        let dialled: BTreeSet<_> = dialled.collect();
        assert!(dialled.is_subset(&self.may_dial), "{command:?} dialled {dialled:?}");
        assert!(!dialled.is_empty(), "{command:?} hides what it dials");
        (lines, dialled)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}

const DEADLINE: Duration = Duration::from_secs(180);
