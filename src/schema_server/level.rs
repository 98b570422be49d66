//! Compatibility levels: which earlier versions a new one is compared with, and who has to read whom.

/// What a new version of a subject must be able to do with earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
    None,
}

/// The level in force for a subject, and whether somebody has asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) level: Level,
    pub(super) asked_for: bool,
}

impl Level {
    pub(super) const ALL: [Self; 7] = [
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
        Self::None,
    ];

    /// What holds where nobody has said anything, as in other registries.
    pub(super) const INITIAL: Self = Self::Backward;

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.label().eq_ignore_ascii_case(name))
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
            Self::None => "NONE",
        }
    }

    /// Whether the new version must read what earlier ones wrote.
    pub(super) const fn new_reads_old(self) -> bool {
        matches!(
            self,
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    /// Whether earlier versions must read what the new one writes.
    pub(super) const fn old_reads_new(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether all earlier versions count, and not only the latest.
    pub(super) const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_known_by_its_name() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.label()), Some(level));
            assert_eq!(Level::parse(&level.label().to_lowercase()), Some(level));
        }
        assert_eq!(Level::parse("SIDEWAYS"), None);
    }
}
