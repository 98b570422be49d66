//! What a verdict means for a topic. Facts come from elsewhere; only this file has opinions.

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
    /// They are answered OUT_OF_ORDER_SEQUENCE_NUMBER.
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
    /// `rules[].sequence_guard`.
    pub sequence_guard: SequenceGuard,
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
            sequence_guard: SequenceGuard::On,
        }
    }
}
