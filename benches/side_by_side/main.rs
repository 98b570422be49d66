//! The load generator of `benches/side_by_side/run`: librdkafka's clients, which send or read as much as they can or as
//! much as they are told, and say what came of it as one line of JSON. Whatever is not delivered fails the whole run.

#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a program of the benchmarks"
)]

mod consume;
mod latency;
mod order;
mod produce;
mod topic;
mod trial;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

#[derive(Debug, Parser)]
#[command(about = "Sends orders to Kafka, or reads them, and says how that went")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Reads a topic again and again.
    Consume(consume::Reading),
    /// Sends orders.
    Produce(produce::Sending),
    /// Creates a topic.
    Topic(topic::Topic),
    /// Sends one good order and one that its schema does not accept.
    Try(trial::Trial),
}

/// Why a run does not count.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Consume(reading) => reading.run(),
        Task::Produce(sending) => sending.run(),
        Task::Topic(topic) => topic.create(),
        Task::Try(trial) => trial.run(),
    };
    match done {
        Ok(outcome) => {
            println!("{outcome}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// What all clients have in common.
fn client(bootstrap: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", bootstrap).set("broker.address.family", "v4");
    settings.set_log_level(RDKafkaLogLevel::Error);
    settings
}
