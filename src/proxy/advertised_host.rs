//! The host that clients are told for a broker: one for all, or one for each with the node id in it.

use std::fmt;

use crate::wire::NodeId;

/// Stands for the node id in a template.
const PLACE: &str = "{node_id}";

/// A host name or address, or a template such as `broker-{node_id}.kafka.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvertisedHost {
    before: String,
    /// What follows the node id; `None` where all nodes have the same host.
    after: Option<String>,
}

impl AdvertisedHost {
    /// Reads a template. `None`: it names the node id more than once, or has other braces.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parted = match text.split_once(PLACE) {
            Some((before, after)) => {
                Self { before: before.to_owned(), after: Some(after.to_owned()) }
            }
            None => Self::same_for_all(text),
        };
        let braces = |text: &str| text.contains(['{', '}']);
        let more = braces(&parted.before) || parted.after.as_deref().is_some_and(braces);
        (!more).then_some(parted)
    }

    /// The host of all nodes.
    #[must_use]
    pub fn same_for_all(host: &str) -> Self {
        Self { before: host.to_owned(), after: None }
    }

    /// Whether nodes can be told apart by their host.
    #[must_use]
    pub const fn names_nodes(&self) -> bool {
        self.after.is_some()
    }

    /// The host of `node`.
    #[must_use]
    pub fn of(&self, node: NodeId) -> String {
        match &self.after {
            Some(after) => format!("{}{}{after}", self.before, node.0),
            None => self.before.clone(),
        }
    }

    /// The node whose host is `host`, capitals aside. `None`: it is no host of this template.
    #[must_use]
    pub fn node(&self, host: &str) -> Option<NodeId> {
        let after = self.after.as_deref()?;
        let (before, rest) = host.split_at_checked(self.before.len())?;
        let (id, end) = rest.split_at_checked(rest.len().checked_sub(after.len())?)?;
        let fits = before.eq_ignore_ascii_case(&self.before) && end.eq_ignore_ascii_case(after);
        // One way of writing each number: `+7` and `07` are other hosts.
        let node = NodeId(id.parse().ok().filter(|id| *id >= 0)?);
        (fits && node.0.to_string() == id).then_some(node)
    }
}

impl fmt::Display for AdvertisedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        self.after.as_ref().map_or(Ok(()), |after| write!(f, "{PLACE}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_template_is_written_for_each_node_and_read_back() {
        let host = AdvertisedHost::parse("broker-{node_id}.kafka.example.com").unwrap();
        for node in [0, 7, 1001, i32::MAX] {
            let name = host.of(NodeId(node));
            assert_eq!(name, format!("broker-{node}.kafka.example.com"));
            assert_eq!(host.node(&name), Some(NodeId(node)));
            assert_eq!(host.node(&name.to_uppercase()), Some(NodeId(node)));
        }
    }

    #[test]
    fn what_is_no_host_of_a_node_names_none() {
        let host = AdvertisedHost::parse("broker-{node_id}.example.com").unwrap();
        for name in [
            "",
            "kafka.example.com",
            "broker-.example.com",
            "broker-07.example.com",
            "broker-+7.example.com",
            "broker--7.example.com",
            "broker-7.example.org",
            "broker-7.example.com.",
            "broker-2147483648.example.com",
            "broker-é.example.com",
            "broke\u{301}-7",
        ] {
            assert_eq!(host.node(name), None, "{name}");
        }
        assert_eq!(AdvertisedHost::parse("proxy").unwrap().node("proxy"), None);
    }

    #[test]
    fn a_host_without_a_place_for_the_node_is_that_of_all() {
        let host = AdvertisedHost::parse("127.0.0.1").unwrap();
        assert!(!host.names_nodes());
        assert_eq!(host.of(NodeId(3)), "127.0.0.1");
    }

    #[test]
    fn other_braces_are_no_template() {
        for text in ["{node}", "a{node_id}b{node_id}", "{", "a}"] {
            assert_eq!(AdvertisedHost::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_name_that_is_a_nodes_is_the_one_that_the_node_is_told(name in "b-[0-9+-]{0,11}[.]x|.*") {
            let host = AdvertisedHost::parse("b-{node_id}.x").unwrap();
            if let Some(node) = host.node(&name) {
                prop_assert_eq!(host.of(node), name.to_ascii_lowercase());
            }
        }
    }
}
