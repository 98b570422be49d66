//! How the dead-letter topic of a topic is called.

use std::fmt;

/// Stands for the name of the topic whose batch was refused.
const PLACE: &str = "{topic}";
/// Longest name of a topic in Kafka.
pub const MAX_TOPIC_BYTES: usize = 249;

/// The name of dead-letter topics: one for all, or one for each topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeadLetterName {
    before: Box<str>,
    /// What follows the topic's name; `None`: the topic's name is no part of it.
    after: Option<Box<str>>,
}

impl DeadLetterName {
    /// Reads a name in which `{topic}` may stand once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (before, after) = match text.split_once(PLACE) {
            Some((before, after)) => (before, Some(after)),
            None => (text, None),
        };
        let legal = |part: &str| {
            part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let rest = after.unwrap_or_default();
        if before.is_empty() && rest.is_empty() {
            return Err("must be another topic than the one whose batch is refused".to_owned());
        }
        if !legal(before) || !legal(rest) || matches!(text, "." | "..") {
            return Err(format!(
                "must be the name of a topic, of letters, digits, `.`, `_` and `-`, in which {PLACE} may stand once"
            ));
        }
        if before.len() + rest.len() > MAX_TOPIC_BYTES {
            return Err(format!("must have at most {MAX_TOPIC_BYTES} characters"));
        }
        Ok(Self { before: before.into(), after: after.map(Into::into) })
    }

    /// The dead-letter topic of `topic`. Of a long name a longer one is made, which no topic can have.
    #[must_use]
    pub fn of(&self, topic: &str) -> String {
        match &self.after {
            Some(after) => format!("{}{topic}{after}", self.before),
            None => self.before.to_string(),
        }
    }

    /// Whether `topic` may be a dead-letter topic by this name: what is refused there is not copied anywhere.
    #[must_use]
    pub fn is_one(&self, topic: &str) -> bool {
        match &self.after {
            None => *self.before == *topic,
            Some(after) => topic
                .strip_prefix(&*self.before)
                .and_then(|rest| rest.strip_suffix(&**after))
                .is_some_and(|topic| !topic.is_empty()),
        }
    }
}

impl Default for DeadLetterName {
    fn default() -> Self {
        Self { before: "".into(), after: Some(".rejected".into()) }
    }
}

impl fmt::Display for DeadLetterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            Some(after) => write!(f, "{}{PLACE}{after}", self.before),
            None => f.write_str(&self.before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_topics_or_is_one_for_all() {
        let table = [
            ("{topic}.rejected", "orders", "orders.rejected"),
            ("dead.{topic}", "orders", "dead.orders"),
            ("a-{topic}_b", "x", "a-x_b"),
            ("dead-letters", "orders", "dead-letters"),
        ];
        for (text, topic, expected) in table {
            let name = DeadLetterName::parse(text).unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(name.of(topic), expected);
            assert!(name.is_one(expected), "{text}");
            assert!(!name.is_one(topic), "{text}");
        }
        assert_eq!(DeadLetterName::default().to_string(), "{topic}.rejected");
        assert!(!DeadLetterName::default().is_one(".rejected"));
    }

    #[test]
    fn what_no_topic_can_be_called_is_an_error() {
        for text in ["", "{topic}", "a b", "{topic}{topic}", "x{name}", "..", "sch\u{f6}n"] {
            assert!(DeadLetterName::parse(text).is_err(), "{text:?}");
        }
        assert!(DeadLetterName::parse(&"x".repeat(250)).is_err());
    }
}
