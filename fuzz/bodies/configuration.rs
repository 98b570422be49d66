//! One configuration with its environment: sound and the same when it is read back, or every mistake in a sentence.

use schemaward::config::Config;
use schemaward::limits::MIB;

use super::{Outcome, within};

/// The file, and variables behind it, `NAME=VALUE`, with a zero byte before each.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else { return Outcome::Refused };
    let mut parts = text.split('\0');
    let file = parts.next().unwrap_or_default();
    let variables: Vec<_> = parts
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let memory = 4 * MIB + 512 * data.len();
    match within(memory, || Config::parse(file, "file.yaml", variables.into_iter())) {
        Ok(config) => {
            let shown = config.effective().to_yaml();
            let again = Config::parse(&shown, "shown.yaml", std::iter::empty());
            let again = again.unwrap_or_else(|errors| panic!("{errors}\n{shown}"));
            assert_eq!(again, config, "what is shown is what is in force\n{shown}");
            Outcome::Taken
        }
        Err(errors) => {
            let said = errors.to_string();
            assert!(
                !said.is_empty() && said.len() <= 4_096 + 64 * data.len(),
                "{} bytes",
                said.len()
            );
            Outcome::Refused
        }
    }
}
